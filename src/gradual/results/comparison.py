"""The difference between two classifiers on the same rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.stats import binomtest

from gradual.results.classification import normal_quantile


def compare_accuracy(
    correct: np.ndarray, other_correct: np.ndarray, confidence: float = 0.95
) -> dict[str, Any]:
    """Compare two accuracies measured on the same rows.

    The interval is the adjusted Wald interval for matched pairs (Agresti & Min 2005: half a row
    is added to each of the four cells); the p-value is the exact McNemar test's, two-sided.

    Args:
        correct: ``(n,)`` bool, whether the classifier was right on each row.
        other_correct: ``(n,)`` bool, the same for the one it is compared with.
        confidence: Coverage of the interval.

    Returns:
        What JSON can hold: ``rows``, ``difference`` (first minus other), ``interval``,
        ``only_first_right`` and ``only_other_right`` (rows), ``p_value``, ``confidence``,
        ``method``.

    Raises:
        ValueError: If the shapes differ, or there are no rows.
    """
    first, other = np.asarray(correct), np.asarray(other_correct)
    if first.dtype != bool or other.dtype != bool:
        raise ValueError(f"correct: need booleans, got {first.dtype} and {other.dtype}.")
    if first.ndim != 1 or first.shape != other.shape or len(first) == 0:
        raise ValueError(
            f"correct: shapes {first.shape} and {other.shape} are not the same rows, at least one."
        )
    n = len(first)
    gains, losses = int((first & ~other).sum()), int((~first & other).sum())
    b, c, total = gains + 0.5, losses + 0.5, n + 2
    centre = (b - c) / total
    half = normal_quantile(confidence) * math.sqrt((b + c) - (b - c) ** 2 / total) / total
    discordant = gains + losses
    return {
        "rows": n,
        "difference": (gains - losses) / n,
        "interval": [max(-1.0, centre - half), min(1.0, centre + half)],
        "only_first_right": gains,
        "only_other_right": losses,
        "p_value": float(binomtest(gains, discordant).pvalue) if discordant else 1.0,
        "confidence": confidence,
        "method": "adjusted Wald for matched pairs (Agresti & Min 2005); exact McNemar test",
    }
