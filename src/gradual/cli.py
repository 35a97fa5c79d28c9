"""The project's own commands beside Kedro's, loaded when they are called."""

from kedro.framework.cli.utils import LazyGroup

cli = LazyGroup(
    name="gradual",
    lazy_subcommands={
        "run": "gradual.configuration.commands.run",
        "package": "gradual.configuration.commands.package",
        "gradual": "gradual.configuration.commands.gradual",
        "mlflow": "kedro_mlflow.framework.cli.cli.mlflow_commands",
    },
)
