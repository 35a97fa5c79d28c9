"""What was predicted beside what happened."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from gradual.results.predictions import check_scored
from gradual.results.scores import wilson


def calibration_table(
    labels: Sequence[str] | np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    *,
    positive: str | None = None,
    bins: int = 10,
) -> pd.DataFrame:
    """Compare what was predicted with what happened, in bins of equal width over [0, 1].

    With two classes the prediction is the positive class's probability, and what happened is
    whether the row is positive; with more it is the top class's probability and whether that
    class was right (Guo et al. 2017, arXiv 1706.04599, section 2).

    Args:
        labels: ``(n,)`` class name of each row.
        probabilities: ``(n, classes)``.
        classes: Class names, in the order of the columns.
        positive: The positive class of two; the last one by default.
        bins: How many bins; a value on a border belongs to the bin above it.

    Returns:
        One row per bin that is not empty: ``low``, ``high``, ``rows``, ``predicted`` (mean),
        ``observed`` (share), ``observed_low``, ``observed_high`` (Wilson, 95 %).

    Raises:
        ValueError: If labels and probabilities do not fit, or bins is not positive.
    """
    if bins < 1:
        raise ValueError(f"bins: {bins} is not a positive number of bins; use 10.")
    scored = check_scored(labels, probabilities, classes)
    if len(scored.classes) == 2:
        k = _positive_index(scored.classes, positive)
        predicted, happened = scored.probabilities[:, k], scored.truth == k
    else:
        predicted, happened = scored.probabilities.max(axis=1), scored.correct
    place = np.minimum((predicted * bins).astype(np.int64), bins - 1)
    table = []
    for i in np.unique(place):
        inside = place == i
        rows, hits = int(inside.sum()), int(happened[inside].sum())
        low, high = wilson(hits, rows)
        table.append(
            {
                "low": i / bins,
                "high": (i + 1) / bins,
                "rows": rows,
                "predicted": float(predicted[inside].mean()),
                "observed": hits / rows,
                "observed_low": low,
                "observed_high": high,
            }
        )
    return pd.DataFrame(table)


def expected_calibration_error(table: pd.DataFrame) -> float:
    """Return the mean distance of predicted from observed, weighted by rows.

    Args:
        table: From `calibration_table`.
    """
    distance = (table["predicted"] - table["observed"]).abs()
    return float((distance * table["rows"]).sum() / table["rows"].sum())


def _positive_index(classes: Sequence[str], positive: str | None) -> int:
    """Return the column of the positive class: the named one, or the last."""
    if positive is None:
        return len(classes) - 1
    if positive not in classes:
        raise ValueError(f"positive: {positive!r} is not among the classes {list(classes)}.")
    return list(classes).index(positive)
