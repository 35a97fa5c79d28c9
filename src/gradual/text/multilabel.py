"""Scores where a row may have any number of labels, and the rows worth reading."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit, logit
from scipy.stats import rankdata

from gradual.results.classification import auc_interval, normal_quantile, wilson_interval
from gradual.results.decisions import above
from gradual.results.predictions import (
    BASELINE,
    MOST_RIGHT,
    MOST_UNCERTAIN,
    MOST_WRONG,
    PROBABILITY,
    excerpt,
)

TRUE, PREDICTED, BASELINE_PREDICTED = "true_", "predicted_", "baseline_predicted_"
RESAMPLES = 1_000
"""Bootstrap resamples behind the intervals of F1."""


def predictions_table(
    rows: np.ndarray,
    truth: np.ndarray,
    probabilities: np.ndarray,
    labels: Sequence[str],
    thresholds: np.ndarray,
    *,
    baseline_probabilities: np.ndarray | None = None,
    baseline_thresholds: np.ndarray | None = None,
    sources: Sequence[str] | None = None,
    texts: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Put everything about each scored row into one table.

    Args:
        rows: ``(n,)`` ids of the rows in the documents table.
        truth: ``(n, labels)`` bool.
        probabilities: ``(n, labels)`` of the model.
        labels: Names, in the order of the columns.
        thresholds: ``(labels,)``: a label is predicted where its probability reaches its threshold.
        baseline_probabilities: ``(n, labels)`` of the baseline on the same rows.
        baseline_thresholds: ``(labels,)`` of the baseline.
        sources: ``(n,)`` where each text came from.
        texts: ``(n,)`` the texts themselves.

    Returns:
        ``row``, ``source``, ``label`` and ``predicted`` (all labels as one text), ``correct``
        (whether all are right), ``margin`` (distance of the label nearest to its threshold), then
        for each label ``true_<label>``, ``predicted_<label>``, ``probability_<label>`` and, for
        the baseline, ``baseline_predicted_<label>`` and ``baseline_probability_<label>``; ``text``.

    Raises:
        ValueError: If shapes do not fit, there are no rows, or a value is no probability.
    """
    truth, values = np.asarray(truth), _checked(probabilities, truth, labels)
    predicted = above(values, thresholds)
    columns: dict[str, Any] = {"row": np.asarray(rows, dtype=np.int64)}
    if sources is not None:
        columns["source"] = list(sources)
    columns |= {
        "label": _texts(truth, labels),
        "predicted": _texts(predicted, labels),
        "correct": (truth == predicted).all(axis=1),
        "margin": np.abs(values - thresholds).min(axis=1),
    }
    columns |= _named(TRUE, truth, labels)
    columns |= _named(PREDICTED, predicted, labels)
    columns |= _named(PROBABILITY, values, labels)
    if baseline_probabilities is not None and baseline_thresholds is not None:
        other = _checked(baseline_probabilities, truth, labels)
        columns |= _named(BASELINE_PREDICTED, above(other, baseline_thresholds), labels)
        columns |= _named(BASELINE, other, labels)
    if texts is not None:
        columns["text"] = list(texts)
    return pd.DataFrame(columns)


def is_multi_label(predictions: pd.DataFrame) -> bool:
    """Return whether a table of predictions is one of several labels a row."""
    return any(str(name).startswith(TRUE) for name in predictions.columns)


def labels_of(predictions: pd.DataFrame) -> tuple[str, ...]:
    """Return the labels of a predictions table, in the order of its columns."""
    names = [str(name) for name in predictions.columns]
    return tuple(name.removeprefix(TRUE) for name in names if name.startswith(TRUE))


def values_of(predictions: pd.DataFrame, prefix: str) -> np.ndarray | None:
    """Return the ``(n, labels)`` values of the columns with a prefix; None if there are none."""
    columns = [f"{prefix}{label}" for label in labels_of(predictions)]
    return predictions[columns].to_numpy() if set(columns) <= set(predictions) else None


def multilabel_report(
    truth: np.ndarray,
    predicted: np.ndarray,
    probabilities: np.ndarray,
    labels: Sequence[str],
    *,
    confidence: float = 0.95,
    seed: int = 0,
) -> dict[str, Any]:
    """Score answers of any number of labels a row.

    Micro scores count every pair of row and label alike; macro scores are means over the labels
    that occur (or were predicted), so that a rare one counts as much as a frequent one. Intervals
    of F1 and of micro scores are percentiles of a bootstrap over rows; of a label's precision and
    recall and of the exact match Wilson's; of AUC DeLong's.

    Args:
        truth: ``(n, labels)`` bool.
        predicted: ``(n, labels)`` bool.
        probabilities: ``(n, labels)``.
        labels: Names, in the order of the columns.
        confidence: Coverage of all intervals.
        seed: Of the bootstrap.

    Returns:
        What JSON can hold: ``rows``, ``confidence``, ``micro_precision``, ``micro_recall``,
        ``micro_f1``, ``macro_f1``, ``macro_auc``, ``exact_match`` (share of rows whose labels are
        all right), each with ``<name>_interval``, ``log_loss`` (nats a pair of row and label), and
        ``labels``: a mapping from each label to ``rows`` (that have it), ``predicted`` (rows),
        ``precision``, ``recall``, ``f1`` and ``roc_auc`` with their intervals; None where a score
        has no meaning.
    """
    truth, predicted = np.asarray(truth, bool), np.asarray(predicted, bool)
    values = _checked(probabilities, truth, labels)
    n, tail = len(truth), (1 - confidence) / 2
    hits, given, there = (truth & predicted).sum(0), predicted.sum(0), truth.sum(0)
    point, spread = _weighted(np.ones((1, n)), truth, predicted), _resampled(truth, predicted, seed)
    own = np.where(truth, values, 1 - values)
    exact = int((truth == predicted).all(axis=1).sum())
    areas = [
        auc_interval(truth[:, k], values[:, k], confidence) if 0 < there[k] < n else (None, None)
        for k in range(len(labels))
    ]
    macro_auc, macro_auc_interval = _macro_auc(truth, values, confidence)
    per_label = {}
    for k, label in enumerate(labels):
        f1 = point["labels"][0, k]
        per_label[label] = {
            "rows": int(there[k]),
            "predicted": int(given[k]),
            **_share("precision", int(hits[k]), int(given[k]), confidence),
            **_share("recall", int(hits[k]), int(there[k]), confidence),
            "f1": None if np.isnan(f1) else float(f1),
            "f1_interval": _percentiles(spread["labels"][:, k], tail),
            "roc_auc": areas[k][0],
            "roc_auc_interval": None if areas[k][1] is None else list(areas[k][1] or ()),
        }
    return {
        "rows": n,
        "confidence": confidence,
        **_averages(point, spread, tail),
        "macro_auc": macro_auc,
        "macro_auc_interval": macro_auc_interval,
        **_share("exact_match", exact, n, confidence),
        # A certain and wrong answer costs 34.5 nats, not infinity.
        "log_loss": float(-np.log(np.maximum(own, 1e-15)).mean()),
        "labels": per_label,
    }


def compare_f1(
    truth: np.ndarray,
    predicted: np.ndarray,
    other: np.ndarray,
    *,
    confidence: float = 0.95,
    seed: int = 0,
) -> dict[str, Any]:
    """Compare two classifiers' F1 on the same rows, by a bootstrap of the rows of both at once.

    Args:
        truth: ``(n, labels)`` bool.
        predicted: ``(n, labels)`` bool, of the one.
        other: ``(n, labels)`` bool, of the other.
        confidence: Coverage of the intervals.
        seed: Of the bootstrap.

    Returns:
        ``micro_f1``, ``macro_f1``: first minus other; ``<name>_interval`` of each.
    """
    tail = (1 - confidence) / 2
    ones = np.ones((1, len(truth)))
    points = [_weighted(ones, truth, answers) for answers in (predicted, other)]
    spreads = [_resampled(truth, answers, seed) for answers in (predicted, other)]
    result: dict[str, Any] = {}
    for name in ("micro_f1", "macro_f1"):
        result[name] = _number(points[0][name][0] - points[1][name][0])
        result[f"{name}_interval"] = _percentiles(spreads[0][name] - spreads[1][name], tail)
    return result


def choose_examples(
    predictions: pd.DataFrame, k: int = 10, excerpt_length: int = 400
) -> pd.DataFrame:
    """Choose the rows that the model was most wrong, most right and most uncertain about.

    Wrong (a label missing or too many) and right (all as they should be) are ordered by the loss;
    uncertain by how near a label came to its threshold. Ties keep the row order.

    Args:
        predictions: From `predictions_table`, with texts for an excerpt.
        k: Rows of each kind, fewer where there are not as many.
        excerpt_length: Longer texts lose their middle.

    Returns:
        ``kind``, ``row``, ``label``, ``predicted``, ``loss`` (nats, over all labels) and ``text``.
    """
    truth, values = values_of(predictions, TRUE), values_of(predictions, PROBABILITY)
    assert truth is not None
    assert values is not None
    own = np.maximum(np.where(truth, values, 1 - values), 1e-15)
    table = predictions[["row", "label", "predicted"]].assign(loss=-np.log(own).sum(axis=1))
    if "text" in predictions:
        table["text"] = [excerpt(text, excerpt_length) for text in predictions["text"]]
    right = predictions["correct"].to_numpy(bool)
    chosen = {
        MOST_WRONG: table[~right].sort_values("loss", ascending=False, kind="stable"),
        MOST_RIGHT: table[right].sort_values("loss", kind="stable"),
        MOST_UNCERTAIN: table.iloc[np.argsort(predictions["margin"].to_numpy(), kind="stable")],
    }
    parts = [part.head(k).assign(kind=kind) for kind, part in chosen.items()]
    result = pd.concat(parts, ignore_index=True)
    return result[["kind", *(name for name in result if name != "kind")]]


def pooled(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return every pair of row and label as a row of its own, of the classes "no" and "yes"."""
    truth, values = values_of(predictions, TRUE), values_of(predictions, PROBABILITY)
    assert truth is not None
    assert values is not None
    yes = truth.ravel().astype(bool)
    table = {"label": np.where(yes, "yes", "no")}
    for prefix in (PROBABILITY, BASELINE):
        found = values_of(predictions, prefix)
        if found is not None:
            table |= {f"{prefix}no": 1 - found.ravel(), f"{prefix}yes": found.ravel()}
    return pd.DataFrame(table)


def _checked(probabilities: np.ndarray, truth: np.ndarray, labels: Sequence[str]) -> np.ndarray:
    values = np.asarray(probabilities, np.float64)
    if values.shape != truth.shape or values.shape != (len(truth), len(labels)):
        raise ValueError(
            f"probabilities: shape {values.shape} does not fit truth of shape {truth.shape} and "
            f"{len(labels)} labels."
        )
    if not len(values):
        raise ValueError("truth: no rows to score; check the split that chose them.")
    wrong = np.flatnonzero(~((values >= 0) & (values <= 1)).all(axis=1))
    if len(wrong):
        raise ValueError(
            f"probabilities: row {wrong[0]} has {values[wrong[0]].tolist()}; give the output of a "
            "sigmoid for each label."
        )
    return values


def _texts(flags: np.ndarray, labels: Sequence[str]) -> list[str]:
    names = np.array(labels, dtype=object)
    return ["; ".join(names[row]) or "no label" for row in flags]


def _named(prefix: str, values: np.ndarray, labels: Sequence[str]) -> dict[str, np.ndarray]:
    return {f"{prefix}{label}": values[:, k] for k, label in enumerate(labels)}


def _weighted(
    weights: np.ndarray, truth: np.ndarray, predicted: np.ndarray
) -> dict[str, np.ndarray]:
    """Return scores of weighted rows: F1 by label (samples, labels), and averages (samples,).

    NaN where there is neither such a label nor a prediction of it.
    """
    hits = weights @ (truth & predicted)
    there, given = weights @ truth.astype(np.float64), weights @ predicted.astype(np.float64)
    seen = there + given
    labels = np.divide(2 * hits, seen, out=np.full(seen.shape, np.nan), where=seen > 0)
    counted = (seen > 0).sum(1)

    def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
        return np.divide(part, whole, out=np.full(len(weights), np.nan), where=whole > 0)

    return {
        "labels": labels,
        "macro_f1": ratio(np.nansum(labels, 1), counted),
        "micro_f1": ratio(2 * hits.sum(1), seen.sum(1)),
        "micro_precision": ratio(hits.sum(1), given.sum(1)),
        "micro_recall": ratio(hits.sum(1), there.sum(1)),
    }


def _averages(
    point: dict[str, np.ndarray], spread: dict[str, np.ndarray], tail: float
) -> dict[str, Any]:
    averages: dict[str, Any] = {}
    for name in ("micro_precision", "micro_recall", "micro_f1", "macro_f1"):
        averages[name] = _number(point[name][0])
        averages[f"{name}_interval"] = _percentiles(spread[name], tail)
    return averages


def _resampled(truth: np.ndarray, predicted: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Return `_weighted` of bootstrap samples of the rows; equal seeds draw equal rows."""
    n, random = len(truth), np.random.default_rng(seed)
    parts = []
    for start in range(0, RESAMPLES, 100):  # a hundred samples at a time bound the memory
        drawn = random.integers(n, size=(min(100, RESAMPLES - start), n))
        weights = np.stack([np.bincount(rows, minlength=n) for rows in drawn]).astype(np.float64)
        parts.append(_weighted(weights, truth, predicted))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _percentiles(values: np.ndarray, tail: float) -> list[float] | None:
    """An interval, or None where no resample differs: a perfect score has no bootstrap interval."""
    values = values[np.isfinite(values)]
    if not len(values) or values.min() == values.max():
        return None
    low, high = np.quantile(values, [tail, 1 - tail]).tolist()
    return [low, high]


def _share(name: str, count: int, total: int, confidence: float) -> dict[str, Any]:
    """A share and its interval, or None where there is nothing to have a share of."""
    if not total:
        return {name: None, f"{name}_interval": None}
    interval = list(wilson_interval(count, total, confidence))
    return {name: count / total, f"{name}_interval": interval}


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _macro_auc(
    truth: np.ndarray, values: np.ndarray, confidence: float
) -> tuple[float | None, list[float] | None]:
    """Mean area over the labels that some rows have and some lack, with its interval.

    DeLong's placement values, averaged over labels before the variance over rows is taken: labels
    of the same row are not independent.
    """
    use = np.flatnonzero((truth.any(axis=0)) & (~truth).any(axis=0))
    if not len(use):
        return None, None
    areas, influence = [], np.zeros(len(truth))
    for k in use:
        positive, scores = truth[:, k], values[:, k]
        there, absent = int(positive.sum()), int((~positive).sum())
        ranks = rankdata(scores)
        higher = (ranks[positive] - rankdata(scores[positive])) / absent
        lower = 1 - (ranks[~positive] - rankdata(scores[~positive])) / there
        area = float(higher.mean())
        areas.append(area)
        influence[positive] += (higher - area) / max(1, there - 1) / len(use)
        influence[~positive] += (lower - area) / max(1, absent - 1) / len(use)
    macro = float(np.mean(areas))
    deviation = float(np.sqrt((influence**2).sum()))
    if not 0 < macro < 1 or deviation == 0:
        return macro, None
    half = normal_quantile(confidence) * deviation / (macro * (1 - macro))
    return macro, [float(expit(logit(macro) - half)), float(expit(logit(macro) + half))]
