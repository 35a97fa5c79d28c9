"""Kedro's session and context, with the checks of this project before a run."""

from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession

from gradual.configuration.checks import check_parameters
from gradual.configuration.errors import ConfigurationError, nearest
from gradual.configuration.loader import ConfigLoader


class Context(KedroContext):
    """A context whose parameters are checked whole before the first node runs."""

    @property
    def params(self) -> dict[str, Any]:
        """The parameters; those of the pipelines that run are known to be complete.

        Raises:
            ConfigurationError: Something is missing, unknown or has a bad value.
        """
        if isinstance(self.config_loader, ConfigLoader) and self.config_loader.sources:
            chosen = self._pipelines_to_validate
            check_parameters(
                self.config_loader, pipelines, list(pipelines) if chosen is None else chosen
            )
        parameters: dict[str, Any] = super().params
        return parameters


class Session(KedroSession):
    """A session that answers an unknown pipeline with what to write."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """As Kedro's, without MLflow's advice to the makers of kedro-mlflow in the log."""
        from gradual.tracking import kedro_hook  # noqa: F401 - imports the plugin without a word

        super().__init__(*args, **kwargs)

    def run(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Run pipelines, as Kedro's session does.

        Raises:
            ConfigurationError: There is no such pipeline, or `conf/` cannot be used.
        """
        try:
            result: dict[str, Any] = super().run(*args, **kwargs)
            return result
        except ValueError as error:
            # Kedro's own answer speaks of a function; it is raised from the failed look-up.
            if not isinstance(error.__cause__, KeyError) or "pipeline" not in str(error):
                raise
            name = error.__cause__.args[0]
            if name in pipelines:
                raise
            raise ConfigurationError(unknown_pipeline(name, list(pipelines))) from None


def unknown_pipeline(name: str, known: list[str]) -> str:
    """Return what is answered to the name of a pipeline that is not there."""
    return (
        f"there is no pipeline {name}.{nearest(name, known)} `kedro registry list` prints their "
        f"names. A new source gets its pipelines by a line in conf/base/sources.yml, `{name}: "
        "tables` (or texts, or ratings)"
    )
