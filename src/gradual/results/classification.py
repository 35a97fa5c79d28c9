"""Scores of a classifier on rows it has not seen, with their uncertainty."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit, logit, ndtri
from scipy.stats import rankdata

AUC_RESAMPLES = 200
"""Bootstrap resamples behind the interval of a multi-class AUC."""


@dataclass(frozen=True)
class Scored:
    """Labels and probabilities that fit together.

    Attributes:
        truth: ``(n,)`` index of each row's class.
        probabilities: ``(n, classes)`` float64, every row sums to 1.
        classes: Names of the columns.
    """

    truth: np.ndarray
    probabilities: np.ndarray
    classes: tuple[str, ...]

    @property
    def predicted(self) -> np.ndarray:
        """``(n,)`` index of the most probable class; the first one where several are."""
        return self.probabilities.argmax(axis=1)

    @property
    def correct(self) -> np.ndarray:
        """``(n,)`` whether the most probable class is the row's own."""
        return self.predicted == self.truth


def check_scored(
    labels: Sequence[str] | np.ndarray, probabilities: np.ndarray, classes: Sequence[str]
) -> Scored:
    """Check that labels and probabilities fit together.

    Args:
        labels: ``(n,)`` class name of each row.
        probabilities: ``(n, classes)`` probabilities, one row per label.
        classes: Class names, in the order of the columns.

    Returns:
        Indices and renormalised probabilities in double precision.

    Raises:
        ValueError: For no rows, wrong shapes, labels that are not among the classes,
            probabilities that are not finite, negative or do not sum to one.
    """
    names = tuple(str(name) for name in classes)
    if len(names) < 2 or len(set(names)) != len(names):
        raise ValueError(f"classes: need at least two different names, got {list(names)}.")
    values = np.asarray(probabilities, dtype=np.float64)
    truth_names = np.asarray(labels, dtype=object)
    expected = (len(truth_names), len(names))
    if truth_names.ndim != 1 or values.shape != expected:
        raise ValueError(
            f"probabilities: shape {values.shape} does not fit {truth_names.shape} labels and "
            f"{len(names)} classes; expected {expected}."
        )
    if len(values) == 0:
        raise ValueError("labels: no rows to score; check the split that chose them.")
    index = {name: position for position, name in enumerate(names)}
    for row, label in enumerate(truth_names):
        if label not in index:
            raise ValueError(
                f"labels: row {row} has {label!r}, which is not among the classes {list(names)}."
            )
    finite = np.isfinite(values).all(axis=1)
    totals = values.sum(axis=1)
    for problem, good in (
        ("a value that is not finite", finite),
        ("a negative value", ~finite | (values >= 0).all(axis=1)),
        ("a sum that is not 1", ~finite | (np.abs(totals - 1) < 1e-2)),
    ):
        if not good.all():
            row = int(np.flatnonzero(~good)[0])
            raise ValueError(
                f"probabilities: row {row} has {problem}: {values[row].tolist()}; give the output "
                "of a softmax over the classes."
            )
    truth = np.array([index[label] for label in truth_names], dtype=np.int64)
    return Scored(truth, values / totals[:, None], names)


def wilson_interval(successes: float, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the score interval of a proportion (Wilson 1927), which never leaves [0, 1].

    Args:
        successes: How many of the rows count, between 0 and n.
        n: Number of rows, at least 1.
        confidence: Coverage, between 0 and 1.

    Raises:
        ValueError: If an argument is out of range.
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"wilson_interval: {successes} successes of {n} rows is not a proportion.")
    z = normal_quantile(confidence)
    share = successes / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return min(share, max(0.0, centre - half)), max(share, min(1.0, centre + half))


def normal_quantile(confidence: float) -> float:
    """Return z with P(|Z| < z) = confidence for a standard normal Z."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence: {confidence} is not between 0 and 1, such as 0.95.")
    return float(ndtri((1 + confidence) / 2))


def auc_interval(
    positive: np.ndarray, scores: np.ndarray, confidence: float = 0.95
) -> tuple[float, tuple[float, float] | None]:
    """Return the area under the ROC curve with its interval by DeLong's variance.

    DeLong, DeLong & Clarke-Pearson 1988, with the placement values from ranks (Sun & Xu 2014);
    the interval is symmetric on the logit scale so that it stays within (0, 1).

    Args:
        positive: ``(n,)`` bool, both values present.
        scores: ``(n,)``, higher for positives; ties count one half.
        confidence: Coverage, between 0 and 1.

    Returns:
        The area, and its interval, or None where the variance cannot be estimated: an area of
        exactly 0 or 1, or a single row on one side.
    """
    n_positive = int(positive.sum())
    n_negative = len(positive) - n_positive
    ranks = rankdata(scores)
    above = (ranks[positive] - rankdata(scores[positive])) / n_negative
    below = 1 - (ranks[~positive] - rankdata(scores[~positive])) / n_positive
    area = float(above.mean())
    if min(n_positive, n_negative) < 2 or not 0 < area < 1:
        return area, None
    variance = above.var(ddof=1) / n_positive + below.var(ddof=1) / n_negative
    half = normal_quantile(confidence) * math.sqrt(variance) / (area * (1 - area))
    return area, (float(expit(logit(area) - half)), float(expit(logit(area) + half)))


def _macro_auc(truth: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Return the mean one-against-the-rest area over the classes that can be told apart."""
    areas = [
        auc_interval(truth == k, probabilities[:, k])[0]
        for k in range(probabilities.shape[1])
        if 0 < (truth == k).sum() < len(truth)
    ]
    return float(np.mean(areas)) if areas else None


def _auc_report(scored: Scored, positive: int, confidence: float, seed: int) -> dict[str, Any]:
    """Return area, interval and how the interval was made."""
    truth, probabilities = scored.truth, scored.probabilities
    if len(scored.classes) == 2:
        is_positive = truth == positive
        if is_positive.all() or not is_positive.any():
            return {"roc_auc": None, "roc_auc_interval": None, "roc_auc_method": "one class only"}
        area, interval = auc_interval(is_positive, probabilities[:, positive], confidence)
        return {
            "roc_auc": area,
            "roc_auc_interval": list(interval) if interval else None,
            "roc_auc_method": "DeLong, logit scale",
        }
    macro = _macro_auc(truth, probabilities)
    rng = np.random.default_rng(seed)
    resampled = []
    for _ in range(AUC_RESAMPLES if macro is not None else 0):
        rows = rng.integers(len(truth), size=len(truth))
        value = _macro_auc(truth[rows], probabilities[rows])
        if value is not None:
            resampled.append(value)
    tail = (1 - confidence) / 2
    interval = np.quantile(resampled, [tail, 1 - tail]).tolist() if resampled else None
    return {
        "roc_auc": macro,
        "roc_auc_interval": interval,
        "roc_auc_method": f"macro one against the rest, bootstrap of {AUC_RESAMPLES}",
    }


def calibration_table(
    labels: Sequence[str] | np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    *,
    positive: str | None = None,
    bins: int = 10,
    confidence: float = 0.95,
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
        confidence: Coverage of the interval of the observed share (Wilson).

    Returns:
        One row per bin that is not empty: ``low``, ``high``, ``rows``, ``predicted`` (mean),
        ``observed`` (share), ``observed_low``, ``observed_high``.

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
        low, high = wilson_interval(hits, rows, confidence)
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


def classification_report(
    labels: Sequence[str] | np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    *,
    positive: str | None = None,
    bins: int = 10,
    confidence: float = 0.95,
    seed: int = 0,
) -> dict[str, Any]:
    """Score a classifier.

    Args:
        labels: ``(n,)`` class name of each row.
        probabilities: ``(n, classes)`` probabilities.
        classes: Class names, in the order of the columns.
        positive: The positive class of two, for ``f1`` and ``roc_auc``; the last by default.
        bins: Bins of the calibration error, of equal width (see `calibration_table`).
        confidence: Coverage of all intervals.
        seed: Of the bootstrap behind the interval of a multi-class AUC.

    Returns:
        What JSON can hold: ``rows``, ``classes``, ``class_counts``, ``positive`` (None with more
        than two classes), ``accuracy`` and ``accuracy_interval`` (Wilson), ``balanced_accuracy``
        (mean recall of the classes that occur), ``f1`` (of the positive class, or the mean over
        the classes that occur or were predicted; ``f1_average`` says which), ``roc_auc``,
        ``roc_auc_interval``, ``roc_auc_method`` (None where only one class occurs), ``log_loss``
        (nats), ``calibration_error``, ``calibration_bins``, ``confusion_matrix`` (rows are true
        classes), ``confidence``.

    Raises:
        ValueError: If labels and probabilities do not fit together; see `check_scored`.
    """
    scored = check_scored(labels, probabilities, classes)
    n, k = scored.probabilities.shape
    binary = k == 2
    positive_index = _positive_index(scored.classes, positive if binary else None)
    confusion = np.bincount(scored.truth * k + scored.predicted, minlength=k * k).reshape(k, k)
    hits, per_class = confusion.diagonal(), confusion.sum(axis=1)
    occurs = per_class > 0
    seen = 2 * hits + (per_class - hits) + (confusion.sum(axis=0) - hits)
    f1 = np.divide(2 * hits, seen, out=np.zeros(k), where=seen > 0)
    own = scored.probabilities[np.arange(n), scored.truth]
    calibration = calibration_table(
        labels, probabilities, scored.classes, positive=scored.classes[positive_index], bins=bins
    )
    return {
        "rows": n,
        "classes": list(scored.classes),
        "class_counts": dict(zip(scored.classes, per_class.tolist(), strict=True)),
        "positive": scored.classes[positive_index] if binary else None,
        "confidence": confidence,
        "accuracy": float(hits.sum() / n),
        "accuracy_interval": list(wilson_interval(int(hits.sum()), n, confidence)),
        "balanced_accuracy": float((hits[occurs] / per_class[occurs]).mean()),
        "f1": float(f1[positive_index] if binary else f1[seen > 0].mean()),
        "f1_average": "positive class" if binary else "macro",
        **_auc_report(scored, positive_index, confidence, seed),
        # A certain and wrong prediction costs 34.5 nats, not infinity.
        "log_loss": float(-np.log(np.maximum(own, 1e-15)).mean()),
        "calibration_error": expected_calibration_error(calibration),
        "calibration_bins": bins,
        "confusion_matrix": confusion.tolist(),
    }
