"""Predictions for the rows of a table, one by one, whatever is predicted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from gradual.results.predictions import predictions_table

Kind = Literal["binary", "multiclass", "multilabel", "regression"]
NO, YES = "no", "yes"


def table_predictions(
    kind: Kind,
    rows: np.ndarray,
    truth: np.ndarray,
    predicted: np.ndarray,
    names: Sequence[str],
    baseline: np.ndarray | None = None,
) -> pd.DataFrame:
    """Put truth and predictions of a model and of a baseline into one table.

    Args:
        kind: What is predicted.
        rows: ``(n,)`` numbers of the rows in the table they came from.
        truth: ``(n,)`` numbers of the classes, or ``(n, columns)`` yes or no (1 or 0), or values.
        predicted: ``(n, names)`` probabilities, or values.
        names: Of the classes; of the target's columns where each has an answer of its own.
        baseline: Likewise from another model.

    Returns:
        Classes: see `examples.predictions_table`. Yes-or-no columns: the same with the classes
        ``no`` and ``yes``, a row for each row and column, and ``column``. Values: ``row``,
        ``column``, ``target``, ``predicted``, ``error`` (target minus predicted) and
        ``baseline_predicted``, a row for each row and column.
    """
    if kind in ("binary", "multiclass"):
        labels = np.array(names, dtype=object)[truth]
        return predictions_table(rows, labels, predicted, names, baseline_probabilities=baseline)
    each = np.repeat(rows, len(names))
    column = np.tile(np.array(names, dtype=object), len(rows))
    if kind == "multilabel":
        labels = np.where(truth.ravel() > 0, YES, NO).astype(object)
        frame = predictions_table(
            each,
            labels,
            _both(predicted),
            (NO, YES),
            baseline_probabilities=None if baseline is None else _both(baseline),
        )
        frame.insert(1, "column", column.astype("str"))
        return frame
    frame = pd.DataFrame(
        {
            "row": each,
            "column": column,
            "target": truth.ravel(),
            "predicted": predicted.ravel(),
            "error": truth.ravel() - predicted.ravel(),
        }
    ).astype({"column": "str"})
    if baseline is not None:
        frame["baseline_predicted"] = baseline.ravel()
    return frame


def _both(yes: np.ndarray) -> np.ndarray:
    """``(n, columns)`` probabilities of a yes to ``(n · columns, 2)`` of no and yes."""
    flat = np.asarray(yes, np.float64).ravel()
    return np.stack([1 - flat, flat], axis=1)
