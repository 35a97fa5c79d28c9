"""The project's own commands beside Kedro's, loaded when they are called."""

from importlib.util import find_spec

from kedro.framework.cli.utils import LazyGroup

_COMMANDS = {
    "run": "gradual.configuration.commands.run",
    "package": "gradual.configuration.commands.package",
    "gradual": "gradual.configuration.commands.gradual",
    "mlflow": "kedro_mlflow.framework.cli.cli.mlflow_commands",
}
if find_spec("kedro_airflow"):  # no dependency of the project: see docs/production.md
    _COMMANDS["airflow"] = "kedro_airflow.plugin.airflow_commands"

cli = LazyGroup(name="gradual", lazy_subcommands=_COMMANDS)
