"""From probabilities to answers: thresholds, chosen on validation rows, never on test rows."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd

logger = logging.getLogger(__name__)


def above(probabilities: np.ndarray, thresholds: np.ndarray | float) -> np.ndarray:
    """Return where a probability reaches its threshold.

    Both are compared in double precision: a threshold lies between two probabilities that may be
    neighbours in single precision.

    Args:
        probabilities: ``(n,)`` or ``(n, labels)``.
        thresholds: One, or ``(labels,)``.
    """
    reached: np.ndarray = probabilities.astype(np.float64) >= np.asarray(thresholds, np.float64)
    return reached


def f1_thresholds(
    truth: np.ndarray, probabilities: np.ndarray, labels: Sequence[str] | None = None
) -> np.ndarray:
    """Choose for each label the threshold that gives the highest F1.

    F1 counts no row that rightly lacks the label, so 0.5 is seldom best: the best threshold is
    half the F1 it gives (Lipton, Elkan & Naryanaswamy 2014, arXiv 1402.1892, theorem 1), low for a
    label that is rare or hard. Of equally good ones the highest is taken; it lies half way to the
    next probability that occurs.

    Args:
        truth: ``(n, labels)`` bool.
        probabilities: ``(n, labels)``.
        labels: Their names, for the log.

    Returns:
        ``(labels,)`` float64; 0.5 for a label that no row has, since nothing can be chosen there.

    Raises:
        ValueError: If the shapes differ or there are no rows.
    """
    truth, values = np.asarray(truth, bool), np.asarray(probabilities, np.float64)
    if truth.ndim != 2 or truth.shape != values.shape or not len(truth):
        raise ValueError(
            f"truth and probabilities have shapes {truth.shape} and {values.shape}: give both as "
            "(rows, labels), with at least one row"
        )
    order = np.argsort(-values, axis=0, kind="stable")
    ordered = np.take_along_axis(values, order, axis=0)
    hits = np.cumsum(np.take_along_axis(truth, order, axis=0), axis=0)
    taken, positives = np.arange(1, len(values) + 1)[:, None], truth.sum(axis=0)
    f1 = 2 * hits / (taken + positives)
    f1[:-1][ordered[:-1] == ordered[1:]] = -1  # rows with the same probability go together
    best = f1.argmax(axis=0)
    every = np.arange(values.shape[1])
    following = ordered[np.minimum(best + 1, len(values) - 1), every]
    thresholds = (ordered[best, every] + following) / 2
    if (unseen := np.flatnonzero(positives == 0)).size:
        names = [labels[i] if labels is not None else str(i) for i in unseen.tolist()]
        logger.warning("No validation row has %s: their threshold stays at 0.5.", names)
    return np.where(positives > 0, thresholds, 0.5)


def coverage_curve(confidence: np.ndarray, correct: np.ndarray) -> pd.DataFrame:
    """Return how many rows are answered, and how many of those rightly, at every threshold.

    The curve of selective classification (El-Yaniv & Wiener 2010, JMLR 11, section 2).

    Args:
        confidence: ``(n,)``, the probability of each row's most probable class.
        correct: ``(n,)`` bool, whether that class is the row's own.

    Returns:
        One row for each value that occurs in `confidence`, falling: ``threshold`` (answer where
        the confidence reaches it), ``rows`` answered, ``coverage`` (their share) and ``accuracy``
        among them. The last row answers everything.

    Raises:
        ValueError: If the shapes differ or there are no rows.
    """
    values, right = np.asarray(confidence, np.float64), np.asarray(correct, bool)
    if values.ndim != 1 or values.shape != right.shape or not len(values):
        raise ValueError(
            f"confidence and correct have shapes {values.shape} and {right.shape}: give both as "
            "(rows,), with at least one row"
        )
    order = np.argsort(-values, kind="stable")
    ordered = values[order]
    last = np.append(ordered[1:] != ordered[:-1], True)  # rows of one confidence go together
    rows = np.flatnonzero(last) + 1
    return pd.DataFrame(
        {
            "threshold": ordered[last],
            "rows": rows,
            "coverage": rows / len(values),
            "accuracy": np.cumsum(right[order])[last] / rows,
        }
    )


def threshold_for_accuracy(
    confidence: np.ndarray, correct: np.ndarray, accuracy: float
) -> float | None:
    """Choose the confidence below which no answer is given, for a wanted accuracy of the others.

    Args:
        confidence: ``(n,)``, the probability of each row's most probable class.
        correct: ``(n,)`` bool, whether that class is the row's own.
        accuracy: Wanted share of right answers.

    Returns:
        The threshold that answers most rows of all that reach the accuracy, half way to the next
        confidence that occurs; 0 where everything may be answered, None where none reaches it.

    Raises:
        ValueError: If the shapes differ or there are no rows.
    """
    curve = coverage_curve(confidence, correct)
    reached = np.flatnonzero(curve["accuracy"] >= accuracy)
    if not len(reached):
        return None
    place = int(reached[-1])
    if place == len(curve) - 1:
        return 0.0
    thresholds = curve["threshold"].to_numpy()
    return float((thresholds[place] + thresholds[place + 1]) / 2)
