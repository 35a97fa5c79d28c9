"""Champion and challenger on the same held-out rows: which of them answers from now on.

    truth = Truth("binary", values=labels)
    judgement = judge(truth, challenger.predict(rows), {"champion": champion.predict(rows)}, config)
    judgement.sentence      # "Promoted: …", or "Kept: …", with the figures that decided

Both answer raw rows as a server would, and the same ones: those that neither was trained on. What
decides is the paired interval of their difference on these rows (`gradual.results.scores`).
"""

from __future__ import annotations

import difflib
import math
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from gradual.results.metrics import Metric, MultiLabelAnswers, metric_named, metrics_of
from gradual.results.predictions import PROBABILITY
from gradual.results.table import Answers, Scored, gap_text, score_models, score_text
from gradual.retraining.config import RetrainConfig
from gradual.training.bundle import Bundle
from gradual.training.files import canonical_json

CHALLENGER = "challenger"
LEAST_UNITS = 30
"""Fewer held-out rows (users, where rows are theirs) decide nothing: Student's t is no guide."""
DECIDES = {
    "binary": "log_loss",
    "multiclass": "log_loss",
    "multilabel": "label_log_loss",
    "regression": "rmse",
    "regression_log": "rmse",
    "rating": "rmse",
}
"""By kind of target, the metric that decides unless the configuration names another."""
_CLASSES = ("binary", "multiclass")
_PREDICTED = "predicted_"
_MEGABYTE = 1e6


@dataclass(frozen=True)
class Truth:
    """What the held-out rows say themselves.

    Attributes:
        kind: Of the target, as `gradual.results.metrics` has it.
        values: `binary`, `multiclass`: ``(n,)`` names of classes, the positive one of two wherever
            the challenger has it. `multilabel`: ``(n,)`` lists of labels. `regression`,
            `regression_log`: ``(n, columns)`` numbers. `rating`: ``(n,)`` numbers. Of any other
            kind what its metrics take.
        columns: Names of the columns of a regression.
        units: ``(n,)`` what rows are drawn by for intervals, such as their users; None for rows.
        slices: ``(n,)`` bool by name: rows that are also looked at by themselves; none where
            answers are read in a way of their own.
        read: Answers of `gradual.models.Model.predict` to what the metrics of a kind of its own
            take.
        metrics: Those of such a kind, the one that decides first; otherwise all of the kind.
    """

    kind: str
    values: Any
    columns: tuple[str, ...] = ()
    units: np.ndarray | None = None
    slices: Mapping[str, np.ndarray] = field(default_factory=dict)
    read: Callable[[pd.DataFrame], Any] | None = None
    metrics: tuple[Metric, ...] = ()

    def __len__(self) -> int:
        return len(self.units) if self.read and self.units is not None else len(self.values)


@dataclass(frozen=True)
class Costs:
    """What a model costs whoever serves it.

    Attributes:
        megabytes: Of its bundle, 10^6 bytes each.
        milliseconds: For the answer to one row, the median of several.
    """

    megabytes: float
    milliseconds: float


@dataclass(frozen=True)
class Judgement:
    """Who answers from now on, by what rule, with the figures; JSON can hold it.

    Attributes:
        decision: `promote` the challenger, or `keep` what there is.
        sentence: The decision with its reasons, for people.
        rule: What the challenger had to show, for people.
        metric: What decided.
        against: Whom the challenger was compared with: `champion`, or the name of a baseline.
        first: There was no champion yet.
        rows: `judged`, `left_out` (some model was trained on them), `units` (what intervals are
            drawn over).
        figures: For each metric `metric`, `title`, `better` (higher or lower), for
            `challenger` and `against` each ``value``, ``low``, ``high``, and `gap`: how much
            better the challenger is, ``difference``, ``low``, ``high``, ``clear`` (the interval
            leaves out 0). A bound may be None.
        slices: For each class and slice `name`, `metric`, `rows`, `challenger`, `against`, and
            where there is one its `floor` and whether it is `met`.
        limits: For each limit `name`, `limit`, `value`, `met`.
        costs: `megabytes` and `milliseconds` by model.
        warnings: What to know about the figures.
    """

    decision: Literal["promote", "keep"]
    sentence: str
    rule: str
    metric: str
    against: str
    first: bool
    rows: dict[str, int]
    figures: list[dict[str, Any]]
    slices: list[dict[str, Any]]
    limits: list[dict[str, Any]]
    costs: dict[str, dict[str, float]]
    warnings: list[str]


def unseen(held_out: np.ndarray, *trained: np.ndarray) -> np.ndarray:
    """Which held-out rows no model was trained on.

    Args:
        held_out: ``(n,)`` uint64, the rows' hashes (`gradual.retraining.row_hash`).
        trained: ``(m,)`` uint64, hashes of each model's training rows.

    Returns:
        ``(n,)`` bool.
    """
    known = np.zeros(len(held_out), bool)
    for rows in trained:
        known |= np.isin(held_out, rows)
    return ~known


def megabytes(bundle: Bundle) -> float:
    """The size of a bundle's file in 10^6 bytes, but for some bytes of layout."""
    text = canonical_json({"config": bundle.config, "metadata": bundle.metadata})
    return (sum(t.nbytes for t in bundle.state.values()) + len(text.encode())) / _MEGABYTE


def milliseconds(
    predict: Callable[[pd.DataFrame], pd.DataFrame], rows: pd.DataFrame, most: int = 20
) -> float:
    """The time a model takes to answer one row alone: the median of some, after one to warm up.

    Args:
        predict: The model's.
        rows: At least one row.
        most: How many are asked.
    """
    seconds = []
    for place in range(min(most, len(rows)) + 1):
        row = rows.iloc[[place % len(rows)]]
        started = time.perf_counter()
        predict(row)
        seconds.append(time.perf_counter() - started)
    return 1000 * statistics.median(seconds[1:])


def slices_of(rows: pd.DataFrame, floors: Iterable[str]) -> dict[str, np.ndarray]:
    """The rows of each slice that a floor is set for, written `column=value`.

    Args:
        rows: The held-out rows.
        floors: Names of slices and classes; one without a column of the rows is a class.

    Returns:
        ``(n,)`` bool by name.
    """
    found = {}
    for name in floors:
        column, equals, value = name.partition("=")
        if equals and column in rows:
            found[name] = (rows[column].astype("str") == value).fillna(False).to_numpy(bool)
    return found


def constant_answers(training: Truth, rows: int) -> pd.DataFrame:
    """What the simplest of all models answers: shares of classes or labels, or the mean.

    Args:
        training: What the training rows say.
        rows: How many answers.

    Returns:
        Answers in the form of `gradual.models.Model.predict`.
    """
    if training.kind in _CLASSES:
        shares = pd.Series(training.values).astype("str").value_counts(normalize=True).sort_index()
        given: dict[str, Any] = {f"{PROBABILITY}{name}": p for name, p in shares.items()}
        given = {"label": shares.idxmax(), **given}
    elif training.kind == "multilabel":
        counts = pd.Series(training.values).explode().dropna().value_counts().sort_index()
        shares = counts / len(training)
        given = {f"{PROBABILITY}{name}": p for name, p in shares.items()}
        label = [str(name) for name, share in shares.items() if share > 0.5]
        return pd.DataFrame({"label": [label] * rows, **given})
    elif training.kind == "rating":
        given = {"score": float(np.mean(training.values))}
    else:
        means = np.asarray(training.values, np.float64).reshape(len(training), -1).mean(axis=0)
        given = dict(zip((f"{_PREDICTED}{name}" for name in training.columns), means, strict=True))
    return pd.DataFrame(given, index=range(rows))


def judge(
    truth: Truth,
    challenger: pd.DataFrame,
    rivals: Mapping[str, pd.DataFrame],
    config: RetrainConfig,
    *,
    first: bool = False,
    left_out: int = 0,
    costs: Mapping[str, Costs] | None = None,
) -> Judgement:
    """Decide whether the challenger replaces what there is.

    It does if it is better by more than the margin on the rows that are judged (`better`), or not
    worse by more than the margin (`fresh`), with the lower end of the paired 95 % interval of the
    difference; if no class or slice is below its floor; and if it is not too large or too slow. In
    the first run it has to be better than the best of some simple baselines, whatever the policy
    (the intervals hold for all of them at once; see `gradual.results.table.Scored.verdict`).

    Args:
        truth: What the rows say themselves.
        challenger: Its answers, in the form of `gradual.models.Model.predict`: one a row.
        rivals: The champion's answers to the same rows; of a first run those of each baseline.
        config: Metric, policy, margin, floors and limits.
        first: There is no champion: the rivals are baselines.
        left_out: How many held-out rows are not judged, since some model was trained on them.
        costs: By model, `challenger` and the rivals'; without the challenger's, limits cannot be
            met.

    Raises:
        ValueError: Answers do not fit the rows, or the configuration names a metric, class or slice
            that there is not.
    """
    decides, fresh = _metric(truth, config.metric), config.policy == "fresh" and not first
    units = len(truth) if truth.units is None else len(np.unique(np.asarray(truth.units)))
    rows = {"judged": len(truth), "left_out": left_out, "units": units}
    against = champion = next(iter(rivals))
    figures: list[dict[str, Any]] = []
    slices: list[dict[str, Any]] = []
    warnings: list[str] = []
    reasons: list[str] = []
    if units < LEAST_UNITS:
        what = "held-out rows" if units == len(truth) else "users with held-out rows"
        reasons.append(
            f"only {units:,} {what} can be judged by ({left_out:,} left out because a model was "
            f"trained on them), where {LEAST_UNITS} are the least: wait for more rows, or raise "
            "held_out"
        )
    else:
        found = _converted(truth, {CHALLENGER: challenger, **rivals})
        scored = _score(found, decides)
        against = next(name for name in scored.order if name != CHALLENGER)
        figures = _figures(scored, against)
        deciding = next(figure for figure in figures if figure["metric"] == decides.name)
        low = deciding["gap"]["low"]
        if not (low >= -config.margin if fresh else low > config.margin):
            reasons.append(_said(deciding, decides, against, config.margin, fresh=fresh))
        slices = _slices(found, decides, against, config.floors)
        reasons += [_below_floor(one) for one in slices if one.get("met") is False]
        warnings = found.warnings
    limits = _limits(config, (costs or {}).get(CHALLENGER))
    reasons += [
        f"it takes {_number(one['value'])} {one['unit']}, where {_number(one['limit'])} is the most"
        for one in limits
        if not one["met"]
    ]
    decision: Literal["promote", "keep"] = "keep" if reasons else "promote"
    if reasons:
        kept = "nothing is promoted yet" if first else f"the {champion} stays"
        sentence = f"Kept, {kept}: {'; '.join(reasons)}."
    else:
        said = _said(deciding, decides, against, config.margin, fresh=fresh, enough=True)
        of = "" if units == len(truth) else f" of {units:,} users"
        sentence = f"Promoted: {said}, on {len(truth):,} held-out rows{of}."
    return Judgement(
        decision=decision,
        sentence=sentence,
        rule=_rule(config, decides, first=first),
        metric=decides.name,
        against=against,
        first=first,
        rows=rows,
        figures=figures,
        slices=slices,
        limits=[{name: one[name] for name in ("name", "limit", "value", "met")} for one in limits],
        costs={name: vars(one).copy() for name, one in (costs or {}).items()},
        warnings=warnings,
    )


@dataclass(frozen=True)
class _Found:
    """Truth and answers as the metrics take them."""

    truth: Truth
    kind: str
    values: Any
    answers: dict[str, Any]
    names: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def rows(self, mask: np.ndarray) -> _Found:
        """Some of the rows."""

        def some(found: Any) -> Any:
            if isinstance(found, MultiLabelAnswers):
                return MultiLabelAnswers(found.probabilities[mask], found.predicted[mask])
            return found[mask]

        units = None if self.truth.units is None else np.asarray(self.truth.units)[mask]
        return replace(
            self,
            truth=replace(self.truth, units=units),
            values=self.values[mask],
            answers={model: some(found) for model, found in self.answers.items()},
        )


def _metric(truth: Truth, wanted: str | None) -> Metric:
    """The metric that decides."""
    offered = truth.metrics or metrics_of(truth.kind)
    able = {one.name: one for one in offered if one.score is not None and one.better != "none"}
    name = wanted or (DECIDES.get(truth.kind) or offered[0].name)
    if name not in able:
        near = difflib.get_close_matches(name, able, n=1)
        raise ValueError(
            f"retrain: metric is {name!r}, which does not decide on a {truth.kind} target: use "
            + (f"{near[0]}, or another of " if near else "one of ")
            + ", ".join(able)
        )
    return able[name]


def _converted(truth: Truth, answers: Mapping[str, pd.DataFrame]) -> _Found:
    if truth.read is not None:
        found = {model: truth.read(frame) for model, frame in answers.items()}
        return _Found(truth, truth.kind, truth.values, found)
    for model, frame in answers.items():
        if len(frame) != len(truth):
            raise ValueError(
                f"the {model} has {len(frame):,} answers for {len(truth):,} held-out rows: ask it "
                "for one each"
            )
    if truth.kind == "rating":
        given = {model: frame["score"].to_numpy(np.float64) for model, frame in answers.items()}
        return _Found(truth, truth.kind, np.asarray(truth.values, np.float64), given)
    if truth.kind in ("regression", "regression_log"):
        columns = [f"{_PREDICTED}{name}" for name in truth.columns]
        given = {model: _columns(frame, columns, model) for model, frame in answers.items()}
        values = np.asarray(truth.values, np.float64).reshape(len(truth), -1)
        return _Found(truth, truth.kind, values, given)
    return _labelled(truth, answers)


def _labelled(truth: Truth, answers: Mapping[str, pd.DataFrame]) -> _Found:
    """Classes or labels of all models and rows in one order, the challenger's first.

    A model gives a class that it does not know probability 0, so that old ones pay for new classes.
    """
    known = {model: _known(frame, model) for model, frame in answers.items()}
    several = truth.kind == "multilabel"
    given = pd.Series(list(truth.values), dtype=object)
    there = (given.explode().dropna() if several else given).astype("str")
    names = list(
        dict.fromkeys([name for own in known.values() for name in own] + sorted(set(there)))
    )
    warnings = []
    for model, own in known.items():
        missing = there[~there.isin(own)]
        if len(missing):
            warnings.append(
                f"the {model} does not know {', '.join(map(repr, sorted(set(missing))[:5]))}, "
                f"which {missing.index.nunique():,} of the held-out rows have"
            )
    columns = [f"{PROBABILITY}{name}" for name in names]
    found: dict[str, Any] = {}
    for model, frame in answers.items():
        probabilities = frame.reindex(columns=columns, fill_value=0.0).to_numpy(np.float64)
        found[model] = probabilities
        if several:
            found[model] = MultiLabelAnswers(probabilities, _given(frame, names))
    if several:
        return _Found(truth, truth.kind, _flags(given, names), found, names, warnings)
    kind = "binary" if len(names) == 2 else "multiclass"
    numbers = pd.Index(names).get_indexer(pd.Index(there))
    return _Found(truth, kind, numbers, found, names, warnings)


def _known(frame: pd.DataFrame, model: str) -> list[str]:
    names = [c.removeprefix(PROBABILITY) for c in map(str, frame) if c.startswith(PROBABILITY)]
    if not names:
        raise ValueError(f"the {model} answers with {list(frame)}, where probabilities are needed")
    return names


def _given(frame: pd.DataFrame, names: Sequence[str]) -> np.ndarray:
    """Which labels were given: a list a row, or a column of yes and no for each label."""
    if "label" in frame:
        return _flags(frame["label"], names)
    return frame.reindex(columns=list(names), fill_value=False).to_numpy(bool)


def _flags(lists: pd.Series, names: Sequence[str]) -> np.ndarray:
    given = [{str(label) for label in row} for row in lists]
    return np.array([[name in row for name in names] for row in given], bool)


def _columns(frame: pd.DataFrame, columns: Sequence[str], model: str) -> np.ndarray:
    if missing := [name for name in columns if name not in frame]:
        raise ValueError(
            f"the {model} answers with {list(frame)}, without {missing[0]!r}: it was trained for "
            "another target; take its alias away, or train it anew"
        )
    return frame[list(columns)].to_numpy(np.float64)


def _score(found: _Found, decides: Metric, metrics: Sequence[Metric] | None = None) -> Scored:
    return score_models(
        [Answers(model, one) for model, one in found.answers.items()],
        found.values,
        found.kind,
        source="",
        by=decides.name,
        metrics=metrics or found.truth.metrics or None,
        units=None if found.truth.read else found.truth.units,
        rows=len(found.truth) if found.truth.read else None,
    )


def _figures(scored: Scored, against: str) -> list[dict[str, Any]]:
    """Each metric that both models have, with the paired difference."""
    frame = scored.frame[scored.frame["seed"].isna()].set_index(["model", "metric"])
    figures = []
    for name in scored.scores[CHALLENGER]:
        metric = metric_named(name)
        if name not in scored.scores[against] or metric.better == "none":
            continue
        one: dict[str, Any] = {"metric": name, "title": metric.title, "better": metric.better}
        for model, key in ((CHALLENGER, CHALLENGER), (against, "against")):
            row = frame.loc[(model, name), ["value", "low", "high"]].to_dict()
            one[key] = {bound: _finite(value) for bound, value in row.items()}
        one["gap"] = replace(scored, by=name).verdict(ahead=CHALLENGER).against[against]
        figures.append(one)
    return figures


def _slices(
    found: _Found, decides: Metric, against: str, floors: Mapping[str, float]
) -> list[dict[str, Any]]:
    """The score of each class (the share of its rows that are found) and slice, and its floor."""
    parts: dict[str, tuple[np.ndarray, str]] = {}
    if found.kind in _CLASSES:
        parts = {n: (found.values == k, "accuracy") for k, n in enumerate(found.names)}
    elif found.kind == "multilabel":
        parts = {n: (found.values[:, k], "") for k, n in enumerate(found.names)}
    if found.truth.read is None:
        parts |= {name: (mask, decides.name) for name, mask in found.truth.slices.items()}
    if unknown := sorted(floors.keys() - parts.keys()):
        raise ValueError(
            f"retrain: floors names {unknown[0]!r}, which is neither a class nor, written "
            f"column=value, a slice of the held-out rows: these are {', '.join(parts) or 'none'}"
        )
    result = []
    for place, (name, (mask, metric)) in enumerate(parts.items()):
        values: dict[str, float | None] = dict.fromkeys((CHALLENGER, against))
        for model in values if mask.any() else ():
            values[model] = _value(found, mask, model, metric, place, decides)
        one: dict[str, Any] = {"name": name, "metric": metric or "recall", "rows": int(mask.sum())}
        one |= {CHALLENGER: values[CHALLENGER], "against": values[against]}
        if name in floors:
            sign = metric_named(metric).sign if metric else 1.0
            value, floor = values[CHALLENGER], float(floors[name])
            one |= {"floor": floor, "met": value is not None and sign * value >= sign * floor}
        result.append(one)
    return result


def _value(
    found: _Found, mask: np.ndarray, model: str, metric: str, place: int, decides: Metric
) -> float | None:
    """A model's score on some rows; None where it has none."""
    if not metric:  # of a label: the share of its rows that are given it
        return float(found.answers[model].predicted[mask, place].mean())
    part = replace(found.rows(mask), answers={model: found.rows(mask).answers[model]})
    chosen = decides if metric == decides.name else metric_named(metric)
    assert chosen.score is not None
    score = chosen.score(part.values, part.answers[model])
    return None if score is None else _finite(score.value)


def _limits(config: RetrainConfig, own: Costs | None) -> list[dict[str, Any]]:
    limits = []
    for name, unit in (("megabytes", "MB"), ("milliseconds", "ms a row")):
        limit = getattr(config, f"max_{name}")
        if limit is not None:
            value = None if own is None else getattr(own, name)
            met = value is not None and value <= limit
            limits.append(
                {"name": f"max_{name}", "limit": limit, "value": value, "met": met, "unit": unit}
            )
    return limits


def _rule(config: RetrainConfig, decides: Metric, *, first: bool) -> str:
    by = f" by more than {_number(config.margin)}" if config.margin else ""
    if first:
        words = f"better than the best simple baseline{by}, since there is no champion yet"
    elif config.policy == "fresh":
        words = f"not worse than the champion{by}, since newer data are preferred"
    else:
        words = f"better than the champion{by}"
    rule = f"{decides.title} of the challenger has to be {words}, by the paired 95 % interval"
    if config.floors:
        floors = (f"{name} {_number(floor)}" for name, floor in config.floors.items())
        rule += f"; floors: {', '.join(floors)}"
    limits = [f"{_number(o['limit'])} {o['unit']}" for o in _limits(config, None)]
    return rule + (f"; at most {' and '.join(limits)}" if limits else "")


def _said(
    figure: Mapping[str, Any],
    metric: Metric,
    against: str,
    margin: float,
    *,
    fresh: bool,
    enough: bool = False,
) -> str:
    """How the challenger does beside the other, in words and figures."""
    gap, by = figure["gap"], f" by more than {_number(margin)}" if margin else ""
    if gap["low"] > (0 if fresh else margin):
        words = f"it is clearly better{'' if fresh else by}"
    elif gap["high"] < 0 and not enough:
        words = "it is clearly worse"
    elif fresh:
        words = f"it is not worse{by}" if enough else f"it may be worse{by}"
    else:
        words = f"it is not clearly better{by}"
    values = [score_text(metric, figure[one]["value"]) for one in (CHALLENGER, "against")]
    return (
        f"{words} ({metric.title} {values[0]} of the challenger, {values[1]} of the {against}: "
        f"{gap_text(metric, gap)} in its favour)"
    )


def _below_floor(one: Mapping[str, Any]) -> str:
    if one[CHALLENGER] is None:
        return f"no held-out row shows whether {one['name']} meets its floor {one['floor']:g}"
    return (
        f"{one['name']} has {one['metric']} {_number(one[CHALLENGER])}, "
        f"where {one['floor']:g} is its floor"
    )


def _number(value: float | None) -> str:
    return "an unknown number of" if value is None else f"{value:.4g}"


def _finite(value: Any) -> float | None:
    return None if value is None or pd.isna(value) or not math.isfinite(value) else float(value)
