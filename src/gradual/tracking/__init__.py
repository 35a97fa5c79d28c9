"""Tracking with MLflow, the only package that calls it.

Everything here does nothing, but for a line in the debug log, where no run is active, and imports
MLflow only where one can be: nodes, notebooks and tests call these functions unconditionally.
"""

import os

from gradual.tracking.model import log_model
from gradual.tracking.registration import Registration
from gradual.tracking.registry import find_version, load_registered
from gradual.tracking.run import (
    count_looks,
    flatten,
    log_artifact,
    log_metrics,
    log_params,
    log_results,
    namespace,
    set_tags,
)

# Read when MLflow is imported: nothing is to be reported to its makers, nor waited for offline.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
# It prints a server's address, whose password the log would have.
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")

__all__ = [
    "Registration",
    "count_looks",
    "find_version",
    "flatten",
    "load_registered",
    "log_artifact",
    "log_metrics",
    "log_model",
    "log_params",
    "log_results",
    "namespace",
    "set_tags",
]
