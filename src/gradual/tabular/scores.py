"""Score the models of a contest, choose one by the validation rows, and say the result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import pandas as pd
import pyarrow as pa

from gradual.results.metrics import metric_named
from gradual.results.table import (
    TEST,
    VALID,
    Answers,
    Verdict,
    gap_text,
    parts_differ,
    said,
    score_models,
    score_text,
    value_of,
)
from gradual.tabular.baselines import BASELINES
from gradual.tabular.contest import ContestConfig, ModelRun, refit
from gradual.tabular.examples import Examples
from gradual.tabular.metrics import DECIDES, HEADLINE, scored_answers, scored_kind
from gradual.tabular.model import TabularModelConfig
from gradual.tabular.predictions import table_predictions
from gradual.tabular.serving import BEST, model_from_bundle
from gradual.tabular.targets import Target
from gradual.training.bundle import Bundle, BundleStore

REFIT = "_refit"
MODELS = {"net": "Net", **{name: kind.title for name, kind in BASELINES.items()}}
MODELS |= {f"{name}{REFIT}": f"{title}, refitted" for name, title in MODELS.items()}


@dataclass(frozen=True)
class Comparison:
    """Models side by side, and the one that is kept.

    Attributes:
        scores: Result rows of the validation and the test rows; see `gradual.results.table`.
        facts: What JSON can hold: ``kind`` (of the metrics), ``part`` (that the scores to read
            come from), ``rows``, ``seeds``, ``model`` (kept), ``rival`` (the next best on the
            validation rows, None if alone), ``by`` (the metric that chose, or `configuration`),
            ``refit`` (None, or how many rows of which part the kept model has learned from) and
            ``verdict`` of those rows.
        predictions: Of the kept model and the rival for the scored rows; see `table_predictions`.
        model: The kept model.
    """

    scores: pd.DataFrame
    facts: dict[str, Any]
    predictions: pd.DataFrame
    model: Bundle


def compare_models(
    examples: Examples,
    table: pa.Table,
    runs: Sequence[ModelRun],
    net_config: TabularModelConfig,
    config: ContestConfig,
    wanted: str = "best",
    *,
    source: str = "",
    store: BundleStore | None = None,
    start: Bundle | None = None,
) -> Comparison:
    """Score models, and choose one by its validation rows.

    Args:
        examples: What they learned from, of a table that `encode_table` made.
        table: The raw rows.
        runs: Every model's answers for the validation rows, then the test rows.
        net_config: The net's settings; `refit` says whether the chosen model trains once more.
        config: The other models' settings.
        wanted: `best`, or the name of the model that configuration asks for.
        source: Name of the source, for the result rows.
        store: Keeps the model that is refitted.
        start: What nets start from.

    Raises:
        ValueError: The wanted model does not take part.
    """
    target, held_out = examples.fitted, examples.held_out
    kind, tested = scored_kind(target), bool(len(examples.test))
    on_valid = score_models(
        _answers(runs, slice(0, len(examples.valid)), target),
        examples.truth(examples.valid),
        kind,
        source=source,
        part=VALID,
        by=DECIDES[kind],
    )
    model, rival = choose(on_valid.order, wanted)
    first = {run.model: run for run in reversed(runs)}
    chosen, frames = first[model], [on_valid.frame]
    scored = slice(len(examples.valid) if tested else 0, None)
    kept, shown, prediction = chosen.bundle, model, chosen.prediction[scored]
    if net_config.refit:
        net = first["net"].bundle
        kept = refit(examples, table, chosen, net, net_config, config, store, start)
        if tested:  # without test rows it has learned from all that there are
            shown, refitted = f"{model}{REFIT}", model_from_bundle(kept)
            raw = table.take(held_out)
            prediction = refitted.predict_encoded(refitted.preprocessor.transform(raw))
            runs = [run for run in runs if run.model != model]
            chosen = replace(chosen, model=shown)
    truth, verdict = examples.truth(held_out), on_valid.verdict()
    if tested:
        answers = _answers(runs, scored, target)
        if shown != model:
            answers.append(Answers(shown, scored_answers(target, prediction), chosen.seed))
        on_test = score_models(answers, truth, kind, source=source, part=TEST, by=DECIDES[kind])
        frames.insert(0, on_test.frame)
        verdict = on_test.verdict()
    baseline = None if rival is None else first[rival].prediction[scored]
    facts = {
        "kind": kind,
        "part": TEST if tested else VALID,
        "rows": len(held_out),
        "seeds": len(config.seeds),
        "model": shown,
        "rival": rival,
        "by": on_valid.by if wanted == BEST else "configuration",
        "refit": kept.metadata.get("refit"),
        "verdict": asdict(verdict),
    }
    predictions = table_predictions(target, held_out, truth, prediction, baseline)
    return Comparison(pd.concat(frames, ignore_index=True), facts, predictions, kept)


def choose(order: Sequence[str], wanted: str) -> tuple[str, str | None]:
    """Choose a model, and name its rival.

    Args:
        order: All models, the best on the validation rows first.
        wanted: `best`, or the name of the model that configuration asks for.

    Returns:
        The model, and the best of the others there; None if there are none.

    Raises:
        ValueError: The wanted model does not take part.
    """
    if wanted not in (BEST, *order):
        raise ValueError(
            f"serving.model is {wanted!r}, which does not take part: choose among "
            f"{', '.join(order)}, or add it to comparison.baselines.models"
        )
    model = order[0] if wanted == BEST else wanted
    return model, next((name for name in order if name != model), None)


def summarise(scores: pd.DataFrame, facts: Mapping[str, Any], looks: int) -> dict[str, Any]:
    """Say the result in words.

    Args:
        scores: Result rows.
        facts: See `Comparison`.
        looks: How many runs have scored these rows, this one included.

    Returns:
        What JSON can hold: ``headline``, ``notes``, ``warnings`` and ``facts``.
    """
    model, part, rows = facts["model"], facts["part"], facts["rows"]
    own = {
        name: value_of(scores, model, name, part)
        for name in HEADLINE[facts["kind"]]
        if ((scores["model"] == model) & (scores["metric"] == name)).any()
    }
    found = ", ".join(
        f"{metric_named(name).title} {score_text(name, one['value'], one['low'], one['high'])}"
        for name, one in own.items()
    )
    headline = f"{MODELS[model]}: {found} on {rows:,} {part} rows (95 % intervals)."
    headline = " ".join([headline, *verdict_sentences(Verdict(**facts["verdict"]))])
    kept = MODELS[model.removesuffix(REFIT)]
    why = (
        "is the model that the configuration names"
        if facts["by"] == "configuration"
        else f"has the best {metric_named(facts['by']).title} on the validation rows"
    )
    notes = [
        f"{kept} {why} and is kept. All models learned from the same training rows and columns.",
        *refit_notes(facts),
    ]
    alike = scores.replace({"model": {model: model.removesuffix(REFIT)}})
    warnings = parts_differ(alike, model.removesuffix(REFIT), list(own), MODELS)
    if part == VALID:
        warnings.append(
            "There are no test rows: these scores are of the validation rows, by which training "
            "was watched and the model chosen, and are too good."
        )
    elif looks > 1:
        notes.append(
            f"{looks} runs have scored these test rows, this one included. Settings that were "
            "changed after looking at the scores make them too good."
        )
    seeds = facts["seeds"]
    notes.append(
        "Intervals: 95 %, over rows"
        + (f" and {seeds} seeds;" if seeds > 1 else ", of one seed;")
        + " those of differences hold for all models at once. Seconds: to fit, and to predict all "
        "validation and test rows."
    )
    return {"headline": headline, "notes": notes, "warnings": warnings, "facts": dict(facts)}


def refit_notes(facts: Mapping[str, Any]) -> list[str]:
    """Say what the kept model has learned from, if it was trained once more."""
    rows = facts["refit"]
    if rows is None:
        return []
    note = (
        f"It was then trained once more, on {rows['training_rows']:,} training and "
        f"{rows['validation_rows']:,} validation rows, with the settings found"
        + "".join(f" ({rows[name]:,} {name})" for name in ("epochs", "rounds") if name in rows)
    )
    if facts["part"] == VALID:
        return [
            f"{note}. The scores are of the model before that, and what it has learned is asked "
            "on rows that it was trained on."
        ]
    return [f"{note}: the test scores, and what it has learned, are of that model."]


def verdict_sentences(verdict: Verdict) -> list[str]:
    """Say who is ahead on the scored rows and by how much; against the net, too."""
    metric, winner = metric_named(verdict.metric), MODELS[verdict.winner]
    shown = [n for i, n in enumerate(verdict.against) if i == 0 or n in ("net", f"net{REFIT}")]
    return [
        f"{winner} {said(gap)} {MODELS[name]}: {gap_text(metric, gap)}."
        for name, gap in ((name, verdict.against[name]) for name in shown)
    ]


def _answers(runs: Sequence[ModelRun], places: slice, target: Target) -> list[Answers]:
    """Each run's answers for some of the rows that it has predicted."""
    return [
        Answers(
            run.model,
            scored_answers(target, run.prediction[places]),
            run.seed,
            {"fit_seconds": run.fit_seconds, "predict_seconds": run.predict_seconds},
        )
        for run in runs
    ]
