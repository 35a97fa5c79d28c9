"""Which metrics of `gradual.results.metrics` models on tables have, and which of them decides."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradual.results.metrics import MultiLabelAnswers
from gradual.tabular.targets import Target

DECIDES = {
    "binary": "roc_auc",
    "multiclass": "log_loss",
    "multilabel": "macro_auc",
    "regression": "rmse",
    "regression_log": "rmse",
}
"""By kind of target, the metric by which a model is chosen."""
HEADLINE = {
    "binary": ("accuracy", "roc_auc"),
    "multiclass": ("accuracy", "roc_auc"),
    "multilabel": ("micro_f1", "macro_auc"),
    "regression": ("rmse", "mae"),
    "regression_log": ("rmse", "rmspe"),
}
"""By kind of target, the metrics that the first sentence gives."""


def scored_kind(target: Target) -> str:
    """The kind of a target as the metrics have it: a logarithm has more of them."""
    return "regression_log" if target.config.log else target.kind


def scored_answers(target: Target, found: np.ndarray) -> Any:
    """Predictions `(n, outputs)` as the metrics take them; a label is given above one half."""
    return MultiLabelAnswers(found, found > 0.5) if target.kind == "multilabel" else found


def row_losses(target: Target, found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """How wrong each prediction is: `(n,)`, or `(n, outputs)` where each column has its own answer.

    Args:
        target: What is predicted.
        found: `(n, outputs)` probabilities or values.
        truth: From `Target.encode`.

    Returns:
        Losses in the unit of `loss_name`.
    """
    if target.kind == "regression":
        if target.config.log:
            return np.abs(np.log1p(found) - np.log1p(truth))
        return np.abs(found - truth)
    sure = found.astype(np.float64).clip(1e-7, 1 - 1e-7)
    if target.kind == "multilabel":
        return -np.where(truth > 0, np.log(sure), np.log1p(-sure))
    return -np.log(sure[np.arange(len(truth)), truth])


def loss_name(target: Target) -> str:
    """What `row_losses` gives, with its unit."""
    if target.kind == "regression":
        return "absolute error of log(1 + value)" if target.config.log else "absolute error"
    return "log loss (nats)"
