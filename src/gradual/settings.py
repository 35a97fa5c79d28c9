"""Project settings that Kedro reads: https://docs.kedro.org/en/stable/configure/configuration_basics/."""

import logging
import warnings
from pathlib import Path

from kedro.framework.cli.utils import ENTRY_POINT_GROUPS
from kedro.utils import find_kedro_project

from gradual.configuration.loader import ConfigLoader
from gradual.configuration.session import Context, Session
from gradual.hooks import ConfigurationHook, LockHook, RetrainHook, TrackingHook

# The project's hook is kedro-mlflow's with readable parameters, so the plugin's own, which installs
# itself by entry point, must not run beside it: every run would be tracked twice. Plugins are named
# as their metadata spells them.
DISABLE_HOOKS_FOR_PLUGINS = ["kedro_mlflow", "kedro-mlflow"]
if find_kedro_project(Path.cwd()) is None:  # packaged: .telemetry, which says no, is not there
    DISABLE_HOOKS_FOR_PLUGINS += ["kedro-telemetry", "kedro_telemetry", "kedro-viz", "kedro_viz"]
# For each command Kedro loads those of all plugins, and kedro-mlflow's import MLflow: seconds.
# `gradual.cli` has them too, and loads them when they are called.
ENTRY_POINT_GROUPS["project"] = "gradual.commands"
HOOKS = (LockHook(), ConfigurationHook(), RetrainHook(), TrackingHook())

CONTEXT_CLASS = Context
SESSION_CLASS = Session
CONFIG_LOADER_CLASS = ConfigLoader
CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    # An environment may override a single nested value of these, but it replaces a catalog entry
    # as a whole: arguments of two dataset types must not mix.
    "merge_strategy": {"parameters": "soft", "globals": "soft", "mlflow": "soft"},
}

logging.captureWarnings(True)
# Warnings to the authors of Kedro and its plugins, which a user of this project cannot act on.
warnings.filterwarnings("ignore", message="register_new_resolver")
warnings.filterwarnings("ignore", message="Option '--pipeline' is deprecated")
