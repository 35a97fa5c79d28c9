"""Kedro hooks of the project."""

from kedro.framework import project
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl

from gradual.configuration.loader import ConfigLoader
from gradual.tracking.kedro_hook import TrackingHook

__all__ = ["ConfigurationHook", "TrackingHook"]


class ConfigurationHook:
    """Makes the pipelines from what the session's environment and ``--params`` say."""

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Hand the config loader to the registry; pipelines of an earlier session are forgotten."""
        if not isinstance(context.config_loader, ConfigLoader):
            return
        from gradual import pipeline_registry  # reads the settings, which name this hook

        pipeline_registry.use(context.config_loader)
        if project.PACKAGE_NAME is not None:
            project.pipelines.configure(f"{project.PACKAGE_NAME}.pipeline_registry")
