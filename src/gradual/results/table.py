"""Result rows: the scores of all models of a source in one long table, and who is ahead.

    answers = [Answers("net", probabilities), Answers("constant", shares)]
    scored = score_models(answers, truth, "binary", source="adult")
    scored.frame            # one row a model, seed and metric
    scored.verdict()        # who is ahead on these rows, by how much, and how sure that is

Reports, MLflow, the choice of a model and benchmarks read nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from gradual.results.metrics import Metric, metric_named, metrics_of, show
from gradual.results.scores import (
    Score,
    by_unit,
    difference,
    interval,
    over_seeds,
    simultaneous_quantile,
)

COLUMNS = (
    "source", "model", "seed", "part", "slice", "rows", "metric", "value", "low", "high",
)  # fmt: skip
TEST, VALID = "test", "valid"


@dataclass(frozen=True)
class Answers:
    """What one model with one seed said about the rows.

    Attributes:
        model: Its name, the same for all seeds.
        found: What the kind's metrics take; see `score_models`.
        seed: What it was trained with.
        seconds: What fitting and predicting took: ``fit_seconds``, ``predict_seconds``.
    """

    model: str
    found: Any
    seed: int = 0
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """Who is ahead on some rows; JSON can hold it (`dataclasses.asdict`).

    Attributes:
        metric: What decides.
        winner: The model ahead.
        value: Its score.
        against: For each other model, the next best first: ``difference`` (how much better the
            winner is, never negative), ``low``, ``high`` and ``clear`` (the interval leaves out 0).
            The intervals hold for all pairs at once, since the winner was picked by these rows.
    """

    metric: str
    winner: str
    value: float
    against: dict[str, dict[str, Any]]


def said(gap: Mapping[str, Any]) -> str:
    """The verb of a comparison."""
    return "is clearly better than" if gap["clear"] else "is ahead of, but not clearly better than,"


def gap_text(metric: Metric, gap: Mapping[str, Any]) -> str:
    """A difference with its interval, in points where the metric is a share."""
    if metric.unit == "share":
        low, value, high = (100 * gap[name] for name in ("low", "difference", "high"))
        return f"{value:+.1f} points of {metric.title.lower()} [{low:+.1f}, {high:+.1f}]"
    texts = [metric.show(gap[name], signed=True) for name in ("difference", "low", "high")]
    return f"{texts[0]} in {metric.title} [{texts[1]}, {texts[2]}]"


@dataclass(frozen=True)
class Scored:
    """Models scored on the same rows.

    Attributes:
        frame: Result rows, `COLUMNS`; a row whose ``seed`` is missing is the mean over seeds.
            Models in the order of the deciding metric, the best first.
        by: Name of the deciding metric.
        scores: By model and metric, the mean over seeds.
        confidence: Coverage of the intervals.
    """

    frame: pd.DataFrame
    by: str
    scores: Mapping[str, Mapping[str, Score]]
    confidence: float = 0.95

    @property
    def order(self) -> list[str]:
        """The models that the deciding metric could score, the best first."""
        metric = metric_named(self.by)
        values = {m: own[self.by].value for m, own in self.scores.items() if self.by in own}
        return sorted(values, key=lambda model: -metric.sign * values[model])

    def verdict(self, ahead: str | None = None) -> Verdict:
        """Compare the models with the one ahead.

        Args:
            ahead: The model to compare the others with, whoever is ahead; a difference may be
                negative then.
        """
        name, order = self.by, self.order
        chosen = metric_named(name)
        scores = {model: self.scores[model][name] for model in order}
        winner = ahead or order[0]
        quantile = simultaneous_quantile(list(scores.values()), self.confidence)
        against = {}
        for other in (model for model in order if model != winner):
            shares = chosen.interval == "wilson"
            value, low, high = difference(
                scores[winner], scores[other], shares=shares, quantile=quantile
            )
            if chosen.sign < 0:
                value, low, high = -value, -high, -low
            against[other] = {
                "difference": value, "low": low, "high": high, "clear": bool(low > 0 or high < 0),
            }  # fmt: skip
        return Verdict(name, winner, scores[winner].value, against)


def score_models(
    answers: Sequence[Answers],
    truth: Any,
    kind: str,
    *,
    source: str,
    part: str = TEST,
    slice: str = "",
    by: str | None = None,
    metrics: Sequence[Metric] | None = None,
    units: np.ndarray | None = None,
    rows: int | None = None,
    confidence: float = 0.95,
) -> Scored:
    """Score models on the same rows.

    Args:
        answers: Each model with one or more seeds.
        truth: `binary` and `multiclass`: class numbers ``(n,)`` (1 is the positive one of two),
            answers ``(n, classes)`` probabilities. `multilabel`: ``(n, labels)`` bool, answers
            `MultiLabelAnswers`. `regression`, `regression_log`, `rating`: ``(n,)`` or
            ``(n, columns)``, answers alike. Kinds that a method registers: as its metrics say.
        kind: Of the target.
        source: The source's name, for the rows.
        part: `test` or `valid`.
        slice: Which of the part's rows; "" for all.
        by: Name of the metric that decides; the kind's first by default.
        metrics: Those to measure; all of the kind by default.
        units: ``(n,)`` what the rows are drawn by, any values: a user, whose rows are alike.
        rows: Number of rows, where `truth` is no array of rows.
        confidence: Coverage of the intervals. That of a seed is of the rows alone; that of the
            mean is of rows and seeds.

    Raises:
        ValueError: There is nothing to score, shapes differ, a value is not finite, or the deciding
            metric cannot be measured on these rows.
    """
    metrics = tuple(metrics or metrics_of(kind))
    by = by or metrics[0].name
    n = len(truth) if rows is None else rows
    _check(answers, n, check_rows=rows is None)
    codes = None if units is None else np.unique(np.asarray(units), return_inverse=True)[1]
    table: list[dict[str, Any]] = []
    scores: dict[str, dict[str, Score]] = {}
    where = {"source": source, "part": part, "slice": slice, "rows": n}

    def write(model: str, seed: int | None, metric: Metric, score: Score) -> None:
        low, high = interval(score, metric.interval, metric.scale, confidence) or (None, None)
        found = {"metric": metric.name, "value": score.value, "low": low, "high": high}
        table.append(where | {"model": model, "seed": seed} | found)

    for model in dict.fromkeys(one.model for one in answers):
        own = [one for one in answers if one.model == model]
        scores[model] = {}
        for metric in metrics:
            if metric.score is None:
                continue
            found = [metric.score(truth, one.found) for one in own]
            known = [by_unit(score, codes) for score in found if score is not None]
            if len(known) < len(own):
                continue
            if len(own) > 1:
                for one, score in zip(own, known, strict=True):
                    write(model, one.seed, metric, score)
            scores[model][metric.name] = over_seeds(known)
            write(model, None, metric, scores[model][metric.name])
        for name in dict.fromkeys(name for one in own for name in one.seconds):
            mean = float(np.mean([one.seconds[name] for one in own if name in one.seconds]))
            table.append(where | {"model": model, "seed": None, "metric": name, "value": mean})
    if not any(by in own for own in scores.values()):
        raise ValueError(
            f"{metric_named(by).title} cannot be measured on these {n:,} {part} rows, in which "
            "only one value of the target occurs: choose another metric, or more rows"
        )
    scored = Scored(pd.DataFrame(), by, scores, confidence)
    frame = result_rows(table)
    rank = {model: place for place, model in enumerate(scored.order)}
    place = frame["model"].map(rank).fillna(len(rank))
    frame = frame.iloc[np.argsort(place.to_numpy(), kind="stable")].reset_index(drop=True)
    return Scored(frame, by, scores, confidence)


def _check(answers: Sequence[Answers], n: int, *, check_rows: bool) -> None:
    if not answers:
        raise ValueError("answers: there is no model to score")
    if n == 0:
        raise ValueError("truth: no rows to score; check the split that chose them")
    seen: set[tuple[str, int]] = set()
    for one in answers:
        if (one.model, one.seed) in seen:
            raise ValueError(f"{one.model} has seed {one.seed} twice: name the models differently")
        seen.add((one.model, one.seed))
        if not check_rows or not isinstance(one.found, np.ndarray):
            continue
        if len(one.found) != n:
            raise ValueError(
                f"{one.model}, seed {one.seed}: answers of shape {one.found.shape} for {n:,} rows: "
                "give one row each"
            )
        wrong = ~np.isfinite(one.found.reshape(n, -1)).all(axis=1)
        if wrong.any():
            raise ValueError(
                f"{one.model}, seed {one.seed}: the answer for row {np.flatnonzero(wrong)[0]} is "
                "not finite: look for bad input values"
            )


def result_rows(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Put rows into the one form of result tables: `COLUMNS` with their types, no more."""
    frame = pd.DataFrame(list(rows), columns=list(COLUMNS))
    texts = dict.fromkeys(("source", "model", "part", "slice", "metric"), "str")
    numbers = dict.fromkeys(("value", "low", "high"), "float64")
    frame["slice"] = frame["slice"].fillna("")
    return frame.astype({**texts, **numbers, "seed": "Int64", "rows": "int64"})


def means(frame: pd.DataFrame, part: str | None = None, slice: str | None = "") -> pd.DataFrame:
    """The rows that are means over seeds, of one part and slice (None: of all)."""
    kept = frame["seed"].isna()
    if part is not None:
        kept &= frame["part"] == part
    if slice is not None:
        kept &= frame["slice"] == slice
    return frame[kept].reset_index(drop=True)


def value_of(frame: pd.DataFrame, model: str, metric: str, part: str = TEST) -> dict[str, Any]:
    """One mean score: ``value``, ``low``, ``high`` (None where there is none), ``rows``.

    Raises:
        KeyError: There is no such row.
    """
    rows = means(frame, part)
    rows = rows[(rows["model"] == model) & (rows["metric"] == metric)]
    if rows.empty:
        raise KeyError(f"no {part} score {metric!r} of {model!r}")
    row = rows.iloc[0]
    bounds = {name: None if pd.isna(row[name]) else float(row[name]) for name in ("low", "high")}
    return {"value": float(row["value"]), **bounds, "rows": int(row["rows"])}


def score_text(
    metric: str | Metric, value: float, low: float | None = None, high: float | None = None
) -> str:
    """A score with its interval, if it has one: ``90.0 % [85.1, 93.4]``."""
    metric = metric_named(metric) if isinstance(metric, str) else metric
    text = metric.show(value)
    if low is None or high is None or pd.isna(low) or pd.isna(high):
        return text
    if metric.unit == "share":
        return f"{text} [{100 * low:.1f}, {100 * high:.1f}]"
    return f"{text} [{show(low)}, {show(high)}]"


def wide(
    frame: pd.DataFrame,
    part: str = TEST,
    slice: str = "",
    names: Mapping[str, str] | None = None,
    metrics: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Lay scores out for reading: a row a model, a column a metric, with intervals.

    Args:
        frame: Result rows.
        part: `test` or `valid`.
        slice: Which slice.
        names: What people call the models.
        metrics: Those to show, all by default.

    Returns:
        ``Model`` and a text column for each metric's title.
    """
    rows = means(frame, part, slice)
    shown = list(metrics) if metrics else list(dict.fromkeys(rows["metric"]))
    table: dict[str, dict[str, str]] = {}
    columns = [rows[name].tolist() for name in ("model", "metric", "value", "low", "high")]
    for model, name, value, low, high in zip(*columns, strict=True):
        if name in shown:
            text = score_text(name, value, low, high)
            table.setdefault(model, {})[metric_named(name).title] = text
    titles = [metric_named(name).title for name in shown]
    named = dict(names or {})
    lines = [
        {"Model": named.get(model, model)} | {title: own.get(title, "–") for title in titles}
        for model, own in table.items()
    ]
    return pd.DataFrame(lines, columns=["Model", *titles])


def parts_differ(
    frame: pd.DataFrame, model: str, metrics: Sequence[str], names: Mapping[str, str] | None = None
) -> list[str]:
    """Warn where a model's validation and test scores part: their intervals do not meet.

    Args:
        frame: Result rows of both parts.
        model: The model that is kept.
        metrics: Those to look at.
        names: What people call the models.

    Returns:
        A sentence for each metric; none where all is well or a part is missing.
    """
    warnings = []
    for name in metrics:
        try:
            test, valid = (value_of(frame, model, name, part) for part in (TEST, VALID))
        except KeyError:
            continue
        if test["low"] is None or valid["low"] is None:
            continue
        if test["low"] > valid["high"] or valid["low"] > test["high"]:
            texts = [
                score_text(name, one["value"], one["low"], one["high"]) for one in (valid, test)
            ]
            warnings.append(
                f"{dict(names or {}).get(model, model)}: {metric_named(name).title} is {texts[0]} "
                f"on the validation rows, but {texts[1]} on the test rows. These rows are not "
                "alike: look at how they were chosen, and at columns that shift between them."
            )
    return warnings
