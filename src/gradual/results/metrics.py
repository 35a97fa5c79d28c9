"""What is measured: each metric once, with its direction, range, interval and function.

`score_models` in `gradual.results.table` takes all metrics of a kind of target. What only one
method measures, that method registers here from its own ``metrics.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from gradual.results.scores import How, Scale, Score, area_under_roc, mean_of, of_means

Unit = Literal["share", "number", "seconds"]
CALIBRATION_BINS = 10


@dataclass(frozen=True)
class Metric:
    """A way to score answers.

    Attributes:
        name: As in result rows: ``accuracy``. A length may follow: ``ndcg@10``.
        title: As people read it: ``Accuracy``.
        kinds: Of targets that it is for.
        score: Truth and answers to a score, or None where there is none (an area where only one
            class occurs). What both are depends on the kind; see `score_models`. None for what is
            only written down, such as seconds.
        better: Whether higher or lower is better; `none` for what only describes.
        unit: A ``share`` is written in per cent.
        scale: Its range.
        interval: How its interval is made.
    """

    name: str
    title: str
    kinds: tuple[str, ...]
    score: Callable[[Any, Any], Score | None] | None
    better: Literal["higher", "lower", "none"] = "higher"
    unit: Unit = "number"
    scale: Scale = "share"
    interval: How = "resample"

    @property
    def sign(self) -> float:
        """-1 where lower is better, otherwise 1."""
        return -1.0 if self.better == "lower" else 1.0

    def show(self, value: float | None, *, signed: bool = False) -> str:
        """Write a value as people read it: ``90.0 %``, ``0.9254``, ``1,204``."""
        return show(value, self.unit, signed=signed)


@dataclass(frozen=True)
class MultiLabelAnswers:
    """Answers of any number of labels a row.

    Attributes:
        probabilities: ``(n, labels)``.
        predicted: ``(n, labels)`` bool: the labels given, by whatever thresholds.
    """

    probabilities: np.ndarray
    predicted: np.ndarray


def show(value: float | None, unit: Unit = "number", *, signed: bool = False) -> str:
    """Write a value of a unit: shares in per cent, numbers with four digits that matter."""
    if value is None or not np.isfinite(value):
        return "–"
    sign = "+" if signed else ""
    if unit == "share":
        return f"{100 * value:{sign}.1f} %"
    if unit == "seconds":
        return f"{value:{sign}.2f} s"
    if abs(value) >= 1000:
        return f"{value:{sign},.0f}"
    return f"{value:{sign}#.4g}".rstrip(".") if abs(value) >= 1 else f"{value:{sign}.4f}"


METRICS: dict[str, Metric] = {}
"""All metrics by name, in the order in which they are shown."""


def register(*metrics: Metric) -> None:
    """Add metrics of a method.

    Raises:
        ValueError: One of that name is there already, and is another.
    """
    for metric in metrics:
        if METRICS.get(metric.name, metric) != metric:
            raise ValueError(
                f"there is a metric {metric.name!r} already: name this one differently"
            )
        METRICS[metric.name] = metric


def metrics_of(kind: str) -> tuple[Metric, ...]:
    """The metrics of a kind of target.

    Raises:
        ValueError: There are none.
    """
    found = tuple(metric for metric in METRICS.values() if kind in metric.kinds)
    if not found:
        kinds = sorted({kind for metric in METRICS.values() for kind in metric.kinds})
        raise ValueError(f"kind is {kind!r}: use one of {', '.join(kinds)}")
    return found


def metric_named(name: str) -> Metric:
    """The metric of a result row; ``ndcg@10`` is ``ndcg`` with the length in its title.

    Raises:
        ValueError: There is none of that name.
    """
    base, at, length = name.partition("@")
    if base not in METRICS:
        raise ValueError(f"there is no metric {base!r}, only {', '.join(METRICS)}")
    metric = METRICS[base]
    return replace(metric, name=name, title=f"{metric.title}@{length}") if at else metric


# --------------------------------------------------------------- one class of several: (n,), (n, k)

_CLASSES = ("binary", "multiclass")


def _accuracy(truth: np.ndarray, found: np.ndarray) -> Score:
    return of_means(found.argmax(axis=1) == truth)


def _log_loss(truth: np.ndarray, found: np.ndarray) -> Score:
    # A certain and wrong answer costs 34.5 nats, not infinity.
    return of_means(-np.log(np.maximum(found[np.arange(len(truth)), truth], 1e-15)))


def _roc_auc(truth: np.ndarray, found: np.ndarray) -> Score | None:
    """Of the positive class, number 1, or the mean over the classes against the rest."""
    classes = [1] if found.shape[1] == 2 else range(found.shape[1])
    areas = [area_under_roc(truth == k, found[:, k]) for k in classes]
    known = [area for area in areas if area is not None]
    return mean_of(known) if known else None


def _counts(truth: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Of each row and class whether it was hit, given, there: ``(n, 3 · classes)``."""
    classes = np.arange(found.shape[1])
    there, given = truth[:, None] == classes, found.argmax(axis=1)[:, None] == classes
    return np.concatenate([there & given, given, there], axis=1).astype(np.float64)


def f1_of(means: np.ndarray) -> np.ndarray:
    """F1 by class, ``(samples, classes)``, from means of hit, given and there; NaN for neither."""
    hits, given, there = np.split(means, 3, axis=1)
    seen = given + there
    return np.divide(2 * hits, seen, out=np.full(seen.shape, np.nan), where=seen > 0)


def mean_of_known(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis without NaN; NaN where there is nothing else."""
    known = np.isfinite(values)
    count = known.sum(axis=-1)
    total = np.where(known, values, 0.0).sum(axis=-1)
    return np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)


def _f1(truth: np.ndarray, found: np.ndarray) -> Score:
    """Of the positive class of two, or the mean over the classes that occur or were predicted."""
    if found.shape[1] == 2:
        return of_means(_counts(truth, found), lambda means: np.nan_to_num(f1_of(means)[:, 1]))
    return of_means(_counts(truth, found), lambda means: mean_of_known(f1_of(means)))


def _balanced_accuracy(truth: np.ndarray, found: np.ndarray) -> Score:
    """Mean recall of the classes that occur."""

    def combine(means: np.ndarray) -> np.ndarray:
        hits, _, there = np.split(means, 3, axis=1)
        return mean_of_known(
            np.divide(hits, there, out=np.full(there.shape, np.nan), where=there > 0)
        )

    return of_means(_counts(truth, found), combine)


def _calibration_error(truth: np.ndarray, found: np.ndarray) -> Score:
    """Mean distance of predicted from observed over bins of equal width (Guo et al. 2017)."""
    if found.shape[1] == 2:
        predicted, happened = found[:, 1], truth == 1
    else:
        predicted, happened = found.max(axis=1), found.argmax(axis=1) == truth
    bins = np.minimum((predicted * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    gaps = np.zeros((len(truth), CALIBRATION_BINS))
    gaps[np.arange(len(truth)), bins] = predicted - happened
    return of_means(gaps, lambda means: np.abs(means).sum(axis=1))


register(
    Metric("accuracy", "Accuracy", _CLASSES, _accuracy, unit="share", interval="wilson"),
    Metric("balanced_accuracy", "Balanced accuracy", _CLASSES, _balanced_accuracy, unit="share"),
    Metric("f1", "F1", _CLASSES, _f1),
    Metric("roc_auc", "ROC AUC", _CLASSES, _roc_auc, interval="delong"),
    Metric("log_loss", "Log loss (nats)", _CLASSES, _log_loss, better="lower", scale="positive"),
    Metric(
        "calibration_error", "Calibration error", _CLASSES, _calibration_error,
        better="lower", interval="none",
    ),
)  # fmt: skip


# ------------------------------------------ any number of labels: (n, l) bool, MultiLabelAnswers

_LABELS = ("multilabel",)


def _pairs(truth: np.ndarray, found: MultiLabelAnswers) -> np.ndarray:
    yes, given = truth.astype(bool), found.predicted.astype(bool)
    return np.concatenate([yes & given, given, yes], axis=1).astype(np.float64)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)


def _micro(numerator: int, *denominators: int) -> Callable[[Any, Any], Score]:
    """A share of sums over all pairs: 0 is hit, 1 given, 2 there."""

    def score(truth: np.ndarray, found: MultiLabelAnswers) -> Score:
        sums = np.stack([part.sum(axis=1) for part in np.split(_pairs(truth, found), 3, axis=1)], 1)
        scale = len(denominators)
        return of_means(
            sums,
            lambda means: _ratio(scale * means[:, numerator], means[:, list(denominators)].sum(1)),
        )

    return score


def _macro_f1(truth: np.ndarray, found: MultiLabelAnswers) -> Score:
    return of_means(_pairs(truth, found), lambda means: mean_of_known(f1_of(means)))


def _exact_match(truth: np.ndarray, found: MultiLabelAnswers) -> Score:
    return of_means((truth.astype(bool) == found.predicted).all(axis=1))


def _macro_auc(truth: np.ndarray, found: MultiLabelAnswers) -> Score | None:
    columns = zip(truth.T.astype(bool), found.probabilities.T, strict=True)
    areas = [area_under_roc(yes, values) for yes, values in columns]
    known = [area for area in areas if area is not None]
    return mean_of(known) if known else None


def _label_log_loss(truth: np.ndarray, found: MultiLabelAnswers) -> Score:
    own = np.where(truth > 0, found.probabilities, 1 - found.probabilities)
    return of_means(-np.log(np.maximum(own, 1e-15)).mean(axis=1))


register(
    Metric("micro_f1", "Micro F1", _LABELS, _micro(0, 1, 2)),
    Metric("macro_f1", "Macro F1", _LABELS, _macro_f1),
    Metric("micro_precision", "Micro precision", _LABELS, _micro(0, 1), unit="share"),
    Metric("micro_recall", "Micro recall", _LABELS, _micro(0, 2), unit="share"),
    Metric("macro_auc", "Macro ROC AUC", _LABELS, _macro_auc, interval="delong"),
    Metric(
        "exact_match", "All labels right", _LABELS, _exact_match, unit="share", interval="wilson"
    ),
    Metric(
        "label_log_loss", "Log loss (nats a label)", _LABELS, _label_log_loss,
        better="lower", scale="positive",
    ),
)  # fmt: skip


# ------------------------------------------------------------- numbers: (n,) or (n, columns), same

_NUMBERS = ("regression", "regression_log", "rating")
_LOGS = ("regression_log",)


def _columns(truth: np.ndarray, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    both = (np.asarray(one, np.float64) for one in (truth, found))
    truth, found = (one[:, None] if one.ndim == 1 else one for one in both)
    return truth, found


def _root_mean(squares: np.ndarray) -> Score:
    """Mean over columns of the root of each column's mean."""
    return of_means(squares, lambda means: np.sqrt(np.maximum(means, 0)).mean(axis=1))


def _rmse(truth: np.ndarray, found: np.ndarray) -> Score:
    truth, found = _columns(truth, found)
    return _root_mean(np.square(found - truth))


def _mae(truth: np.ndarray, found: np.ndarray) -> Score:
    truth, found = _columns(truth, found)
    return of_means(np.abs(found - truth).mean(axis=1))


def _bias(truth: np.ndarray, found: np.ndarray) -> Score:
    truth, found = _columns(truth, found)
    return of_means((found - truth).mean(axis=1))


def _r2(truth: np.ndarray, found: np.ndarray) -> Score | None:
    truth, found = _columns(truth, found)
    if (truth == truth[0]).all():
        return None
    centred = truth - truth.mean(axis=0)  # of one size: squares of far numbers lose their digits
    parts = np.concatenate([np.square(found - truth), np.square(centred), centred], axis=1)

    def combine(means: np.ndarray) -> np.ndarray:
        errors, squares, shift = np.split(means, 3, axis=1)
        spread = squares - np.square(shift)
        return mean_of_known(1 - _ratio(errors, spread))

    return of_means(parts, combine)


def _rmsle(truth: np.ndarray, found: np.ndarray) -> Score:
    truth, found = _columns(truth, found)
    return _root_mean(np.square(np.log1p(np.maximum(found, 0)) - np.log1p(truth)))


def _rmspe(truth: np.ndarray, found: np.ndarray) -> Score | None:
    """Rows whose truth is 0 are left out: no error is a share of nothing."""
    truth, found = _columns(truth, found)
    whole = np.where(truth == 0, np.nan, truth)
    errors = np.square((found - truth) / whole)
    known = np.isfinite(errors)
    if not known.any():
        return None
    parts = np.concatenate([np.where(known, errors, 0.0), known], axis=1)

    def combine(means: np.ndarray) -> np.ndarray:
        squares, share = np.split(means, 2, axis=1)
        return mean_of_known(np.sqrt(np.maximum(_ratio(squares, share), 0)))

    return of_means(parts, combine)


register(
    Metric("rmse", "RMSE", _NUMBERS, _rmse, better="lower", scale="positive"),
    Metric("mae", "MAE", _NUMBERS, _mae, better="lower", scale="positive"),
    Metric("rmspe", "RMSPE", _LOGS, _rmspe, better="lower", unit="share", scale="positive"),
    Metric("rmsle", "RMSLE", _LOGS, _rmsle, better="lower", scale="positive"),
    Metric("r2", "R²", ("regression", "regression_log"), _r2, scale="up_to_one"),
    Metric(
        "bias", "Mean error", ("regression", "regression_log"), _bias, better="lower", scale="any"
    ),
)

# ------------------------------------------------------------------------------- written down only

register(
    Metric("fit_seconds", "Fit", (), None, better="lower", unit="seconds", interval="none"),
    Metric("predict_seconds", "Predict", (), None, better="lower", unit="seconds", interval="none"),
)
