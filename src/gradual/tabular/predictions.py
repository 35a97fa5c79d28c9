"""Predictions for the rows of a table, one by one, whatever is predicted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from gradual.results.predictions import predictions_table
from gradual.tabular.metrics import row_losses
from gradual.tabular.targets import Target

NO, YES = "no", "yes"


def table_predictions(
    target: Target,
    rows: np.ndarray,
    truth: np.ndarray,
    predicted: np.ndarray,
    baseline: np.ndarray | None = None,
) -> pd.DataFrame:
    """Put truth and predictions of a model and of a baseline into one table.

    Args:
        target: What is predicted.
        rows: ``(n,)`` numbers of the rows in the table they came from.
        truth: From `Target.encode`.
        predicted: ``(n, outputs)`` probabilities, or values.
        baseline: Likewise from another model.

    Returns:
        Classes: see `gradual.results.predictions.predictions_table`. Yes-or-no columns: the same
        with the classes ``no`` and ``yes``, a row for each row and column, and ``column``. Values:
        ``row``, ``column``, ``target``, ``predicted``, ``error`` (target minus predicted) and
        ``baseline_predicted``, a row for each row and column. All: ``loss`` of the model, see
        `gradual.tabular.metrics.row_losses`.
    """
    names = target.classes
    losses = row_losses(target, predicted, truth).ravel()
    if target.kind in ("binary", "multiclass"):
        labels = np.array(names, dtype=object)[truth]
        frame = predictions_table(rows, labels, predicted, names, baseline_probabilities=baseline)
        return frame.assign(loss=losses)
    each = np.repeat(rows, len(names))
    column = np.tile(np.array(names, dtype=object), len(rows))
    if target.kind == "multilabel":
        labels = np.where(truth.ravel() > 0, YES, NO).astype(object)
        frame = predictions_table(
            each,
            labels,
            _both(predicted),
            (NO, YES),
            baseline_probabilities=None if baseline is None else _both(baseline),
        )
        frame.insert(1, "column", column.astype("str"))
        return frame.assign(loss=losses)
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
    return frame.assign(loss=losses)


def most_wrong(predictions: pd.DataFrame, table: pa.Table, k: int = 15) -> pd.DataFrame:
    """Put the rows with the highest loss beside what the model saw.

    Args:
        predictions: From `table_predictions`.
        table: Raw rows, the whole table.
        k: So many rows, fewer where there are not as many.

    Returns:
        One row for each, worst first: ``row``; truth (``label`` or ``target``), ``predicted`` and
        ``loss``, and where there are several target columns these three of each,
        ``<column> predicted`` and so on, after ``loss``, the mean; then the table's columns, under
        the name ``<name> (input)`` where one is called like the others.
    """
    mean = predictions.groupby("row", sort=False)["loss"].mean()
    worst = mean.sort_values(ascending=False, kind="stable").head(k)
    names = [name for name in ("label", "target", "predicted", "loss") if name in predictions]
    if "column" in predictions and len(predictions["column"].unique()) > 1:
        left = pd.DataFrame({"loss": worst})
        for column, own in predictions.groupby("column", sort=False):
            own = own.set_index("row").loc[worst.index, names]
            left = left.join(own.add_prefix(f"{column} "))
    else:
        left = predictions.set_index("row").loc[worst.index, names]
    left = left.rename_axis("row").reset_index()
    return left.join(table.take(worst.index.to_numpy()).to_pandas(), rsuffix=" (input)")


def _both(yes: np.ndarray) -> np.ndarray:
    """``(n, columns)`` probabilities of a yes to ``(n · columns, 2)`` of no and yes."""
    flat = np.asarray(yes, np.float64).ravel()
    return np.stack([1 - flat, flat], axis=1)
