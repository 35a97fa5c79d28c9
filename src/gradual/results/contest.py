"""Several models on the same rows: scores with intervals over rows and seeds, and who won.

Every score here is, to first order, a mean over rows: of the rows' influences on it (Hampel 1974,
"The influence curve and its role in robust estimation"). For an area under the ROC curve those are
DeLong's placement values. So the same few lines give an interval for each score, and one for the
difference of two models on the same rows, which is far narrower than two intervals side by side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from gradual.results.classification import auc_interval, normal_quantile, wilson_interval

Kind = Literal["binary", "multiclass", "multilabel", "regression"]
LOWER_IS_BETTER = frozenset({"log_loss", "rmse", "mae"})
_METRICS: dict[str, tuple[str, ...]] = {
    "binary": ("roc_auc", "accuracy", "log_loss"),
    "multiclass": ("log_loss", "accuracy", "roc_auc"),
    "multilabel": ("roc_auc", "accuracy", "log_loss"),
    "regression": ("rmse", "mae", "r2"),
}


class Run(Protocol):
    """One trained model's answers."""

    @property
    def model(self) -> str:
        """Its name, the same for all seeds."""

    @property
    def seed(self) -> int:
        """What it was trained with."""

    @property
    def prediction(self) -> np.ndarray:
        """`(n, outputs)` probabilities, or values of the target."""

    @property
    def fit_seconds(self) -> float:
        """What training took."""

    @property
    def predict_seconds(self) -> float:
        """What predicting all rows took."""


@dataclass(frozen=True)
class Contest:
    """What came out.

    Attributes:
        table: One row for each model, seed and metric: ``model``, ``seed`` (null for the mean over
            seeds), ``metric``, ``value``, ``low``, ``high``, ``rows``, ``seeds``, ``fit_seconds``,
            ``predict_seconds``. Models in the order of the first metric, the best first.
        verdict: What JSON can hold: ``metric``, ``winner``, ``sentence`` and ``against``: for each
            other model its ``difference`` (how much better the winner is), ``low``, ``high`` and
            whether the interval leaves out 0 (``clear``).
    """

    table: pd.DataFrame
    verdict: dict[str, Any]


def metrics_of(kind: Kind) -> tuple[str, ...]:
    """Return the metrics for a kind of target; the first decides who wins."""
    return _METRICS[kind]


def compare(
    runs: Sequence[Run],
    truth: np.ndarray,
    kind: Kind,
    *,
    metric: str | None = None,
    confidence: float = 0.95,
) -> Contest:
    """Score models on the same rows, and say which won and by how much.

    Args:
        runs: Each model with one or more seeds.
        truth: Class numbers `(n,)` (1 is the positive one of two), 0 and 1 `(n, labels)`, or
            values `(n, columns)`.
        kind: Of the target.
        metric: Decides who wins; the kind's first by default.
        confidence: Coverage of the intervals. A seed's interval is of the rows only; that of the
            mean is of rows and, with several seeds, of seeds.

    Raises:
        ValueError: There is nothing to score, or predictions and truth do not fit.
    """
    names = metrics_of(kind)
    metric = metric or names[0]
    if metric not in names:
        raise ValueError(f"metric is {metric!r}: for {kind} use one of {', '.join(names)}")
    _check(runs, truth)
    z = normal_quantile(confidence)
    scored: dict[str, dict[str, list[_Score]]] = {}
    rows: list[dict[str, Any]] = []
    for run in runs:
        for name in names:
            score = _score(name, kind, truth, np.asarray(run.prediction, np.float64))
            if score is None:  # e.g. an area where only one class occurs
                continue
            scored.setdefault(run.model, {}).setdefault(name, []).append(score)
            low, high = _interval(name, kind, score, truth, run, z, confidence)
            rows.append(_row(run.model, run.seed, name, score.value, low, high, len(truth), [run]))
    if metric not in next(iter(scored.values())):
        raise ValueError(
            f"metric {metric!r} cannot be measured on these {len(truth)} rows, in which only one "
            "class occurs: choose another, or more rows"
        )
    for model, of_model in scored.items():
        own = [run for run in runs if run.model == model]
        for name, scores in of_model.items():
            mean = _mean(scores)
            half = z * mean.deviation
            low, high = mean.value - half, mean.value + half
            rows.append(_row(model, None, name, mean.value, low, high, len(truth), own))
    means = {model: _mean(of_model[metric]) for model, of_model in scored.items()}
    sign = -1.0 if metric in LOWER_IS_BETTER else 1.0
    order = sorted(means, key=lambda model: -sign * means[model].value)
    table = pd.DataFrame(rows).astype({"seed": "Int64"})
    table["model"] = pd.Categorical(table["model"], order, ordered=True)
    table = table.sort_values(["model", "seed"], na_position="first", kind="stable")
    table["model"] = table["model"].astype(str)
    return Contest(table.reset_index(drop=True), _verdict(metric, order, means, sign, z, scored))


def _row(
    model: str,
    seed: int | None,
    metric: str,
    value: float,
    low: float,
    high: float,
    rows: int,
    runs: Sequence[Run],
) -> dict[str, Any]:
    return {
        "model": model,
        "seed": seed,
        "metric": metric,
        "value": value,
        "low": low,
        "high": high,
        "rows": rows,
        "seeds": len(runs),
        "fit_seconds": float(np.mean([run.fit_seconds for run in runs])),
        "predict_seconds": float(np.mean([run.predict_seconds for run in runs])),
    }


def _verdict(
    metric: str,
    order: list[str],
    means: dict[str, _Score],
    sign: float,
    z: float,
    scored: dict[str, dict[str, list[_Score]]],
) -> dict[str, Any]:
    winner = order[0]
    against = {}
    for other in order[1:]:
        gain = _difference(scored[winner][metric], scored[other][metric])
        difference, half = sign * gain.value, z * gain.deviation
        against[other] = {
            "difference": difference,
            "low": difference - half,
            "high": difference + half,
            "clear": bool(difference > half),
        }
    sentence = f"{winner} is the only model: {metric} {means[winner].value:.4f}."
    if against:
        second = order[1]
        gap = against[second]
        how = "beats" if gap["clear"] else "is ahead of, but not clearly better than,"
        sentence = (
            f"{winner} {how} {second} by {gap['difference']:.4f} {metric} "
            f"[{gap['low']:+.4f}, {gap['high']:+.4f}]: {means[winner].value:.4f} against "
            f"{means[second].value:.4f}."
        )
    return {"metric": metric, "winner": winner, "sentence": sentence, "against": against}


# ------------------------------------------------------------------------------- scores by row


@dataclass(frozen=True)
class _Score:
    """A score and each row's influence on it, `(n,)`, of mean 0."""

    value: float
    influence: np.ndarray
    seed_variance: float = 0.0  # of the mean over seeds

    @property
    def deviation(self) -> float:
        """Standard error over rows and seeds."""
        n = len(self.influence)
        rows = float(np.square(self.influence).sum()) / (n * max(n - 1, 1))
        return math.sqrt(rows + self.seed_variance)


def _mean(scores: Sequence[_Score]) -> _Score:
    """The mean over seeds, all on the same rows."""
    values = np.array([score.value for score in scores])
    spread = float(values.var(ddof=1)) / len(values) if len(values) > 1 else 0.0
    influence = np.mean([score.influence for score in scores], axis=0)
    return _Score(float(values.mean()), influence, spread)


def _difference(first: Sequence[_Score], second: Sequence[_Score]) -> _Score:
    a, b = _mean(first), _mean(second)
    return _Score(a.value - b.value, a.influence - b.influence, a.seed_variance + b.seed_variance)


def _score(metric: str, kind: Kind, truth: np.ndarray, found: np.ndarray) -> _Score | None:
    if kind == "regression":
        return _regression_score(metric, truth, found)
    if metric == "roc_auc":
        if kind == "binary":
            return _area(truth == 1, found[:, 1])
        yes = truth > 0.5 if kind == "multilabel" else truth[:, None] == np.arange(found.shape[1])
        areas = [_area(t, p) for t, p in zip(yes.T, found.T, strict=True)]
        known = [area for area in areas if area is not None]
        if not known:
            return None
        value = float(np.mean([area.value for area in known]))
        return _Score(value, np.mean([area.influence for area in known], axis=0))
    sure = found.clip(1e-15, 1 - 1e-15)
    if kind == "multilabel":
        right = ((found > 0.5) == (truth > 0.5)).mean(1)
        loss = -np.where(truth > 0.5, np.log(sure), np.log1p(-sure)).mean(1)
    else:
        right = (found.argmax(1) == truth).astype(np.float64)
        loss = -np.log(sure[np.arange(len(truth)), truth])
    return _of_rows(right if metric == "accuracy" else loss)


def _of_rows(values: np.ndarray) -> _Score:
    mean = float(values.mean())
    return _Score(mean, values - mean)


def _area(positive: np.ndarray, score: np.ndarray) -> _Score | None:
    """The area under the ROC curve; influences are DeLong's placement values."""
    n, yes = len(positive), int(positive.sum())
    no = n - yes
    if not yes or not no:
        return None
    ranks = rankdata(score)
    above = (ranks[positive] - rankdata(score[positive])) / no
    below = 1 - (ranks[~positive] - rankdata(score[~positive])) / yes
    area = float(above.mean())
    influence = np.empty(n)
    influence[positive] = (above - area) * n / yes
    influence[~positive] = (below - area) * n / no
    return _Score(area, influence)


def _regression_score(metric: str, truth: np.ndarray, found: np.ndarray) -> _Score:
    """Errors in the target's unit, averaged over its columns."""
    error = found - truth
    if metric == "mae":
        return _of_rows(np.abs(error).mean(1))
    squares = np.square(error)
    if metric == "rmse":
        roots = np.sqrt(squares.mean(0))
        slope = np.divide(0.5, roots, out=np.zeros_like(roots), where=roots > 0)
        return _Score(float(roots.mean()), ((squares - squares.mean(0)) * slope).mean(1))
    spread = np.square(truth - truth.mean(0))
    total = np.where(spread.mean(0) > 0, spread.mean(0), np.nan)
    ratio = squares.mean(0) / total
    return _Score(float((1 - ratio).mean()), ((ratio * spread - squares) / total).mean(1))


def _interval(
    metric: str,
    kind: Kind,
    score: _Score,
    truth: np.ndarray,
    run: Run,
    z: float,
    confidence: float,
) -> tuple[float, float]:
    """The rows' interval of one run: the score's own method where there is one."""
    if metric == "accuracy" and kind != "multilabel":
        right = round(score.value * len(truth))
        return wilson_interval(right, len(truth), confidence)
    if metric == "roc_auc" and kind == "binary":
        interval = auc_interval(truth == 1, np.asarray(run.prediction)[:, 1], confidence)[1]
        if interval is not None:
            return interval
    half = z * score.deviation
    return score.value - half, score.value + half


def _check(runs: Sequence[Run], truth: np.ndarray) -> None:
    if not runs:
        raise ValueError("runs: there is no model to score")
    if len(truth) == 0:
        raise ValueError("truth: no rows to score; check the split that chose them")
    seen: set[tuple[str, int]] = set()
    for run in runs:
        found = np.asarray(run.prediction)
        if found.ndim != 2 or len(found) != len(truth):
            raise ValueError(
                f"{run.model}, seed {run.seed}: predictions of shape {found.shape} for "
                f"{len(truth)} rows: give one row each"
            )
        wrong = ~np.isfinite(found).all(1)
        if wrong.any():
            raise ValueError(
                f"{run.model}, seed {run.seed}: the prediction for row "
                f"{np.flatnonzero(wrong)[0]} is not finite: look for bad input values"
            )
        if (run.model, run.seed) in seen:
            raise ValueError(f"{run.model} has seed {run.seed} twice: name the models differently")
        seen.add((run.model, run.seed))
