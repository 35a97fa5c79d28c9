"""The pages about text models, section by section."""

from __future__ import annotations

import pandas as pd

from gradual.reports.page import (
    Block,
    Heading,
    Material,
    Note,
    Quote,
    Section,
    Table,
    Warning,
)
from gradual.results.metrics import metric_named
from gradual.results.table import gap_text, means, score_text, wide
from gradual.text.figures import FIGURES
from gradual.text.metrics import ANSWERED, LABEL, NAMES

TRAINING = ("language_model_training", "classifier_training")
"""Names of the figures about training."""


def scores(m: Material) -> Section:
    """What stands first: warnings, the scores of all models, and how they were made."""
    of_words = m.scores["model"].isin(_OF_WORDS)
    rows = m.scores if of_words.all() else m.scores[~of_words]
    blocks: list[Block] = [Warning(text) for text in m.summary["warnings"]]
    blocks += _scores(rows, "test" if (rows["part"] == "test").any() else "valid")
    blocks += [
        f"{NAMES[verdict['winner']]} against {NAMES[other]}: "
        f"{gap_text(metric_named(verdict['metric']), gap)}."
        for verdict in (m.summary.get("verdict"), m.summary.get("net"))
        if verdict is not None
        for other, gap in verdict["against"].items()
    ]
    if {"test", "valid"} <= set(rows["part"]):
        blocks += [Heading("On the validation rows"), *_scores(rows, "valid")]
    return Section("", [*blocks, *(Note(text) for text in m.summary["notes"])])


def answered(m: Material) -> Section | None:
    """How many rows are answered, and how many of those rightly."""
    blocks = _scores(m.scores, "test", ANSWERED)
    if not blocks:
        return None
    note = (
        "The scores above take the classifier's guess everywhere; here are the rows whose most "
        "probable class reaches the threshold, which was set or chosen before the test rows were "
        "looked at."
    )
    return Section("When it cannot tell", [*blocks, Note(note)])


def labels(m: Material) -> Section | None:
    """The scores of each label, the one with most rows first."""
    rows = means(m.scores, "test", None)
    rows = rows[rows["slice"].str.startswith(LABEL)]
    if rows.empty:
        return None
    texts, columns = [], []
    for model, *one in rows[["model", "metric", "value", "low", "high"]].itertuples(index=False):
        texts.append(score_text(*one))
        title = metric_named(one[0]).title
        columns.append(title if model == "classifier" else f"{title}, {NAMES[model]}")
    rows = rows.assign(label=rows["slice"].str.removeprefix(LABEL), text=texts, column=columns)
    shown = rows[(rows["model"] == "classifier") | (rows["metric"] == "label_f1")]
    table = shown.pivot_table(index="label", columns="column", values="text", aggfunc="first")
    table = table[list(dict.fromkeys(shown["column"]))].fillna("–")
    thresholds = m.summary["decision"]["thresholds"]
    table.insert(0, "Threshold", [f"{thresholds[label]:.3f}" for label in table.index])
    frame = table.reset_index(names="Label").rename_axis(columns=None)
    return Section("Label by label", [Table(frame, numbers=tuple(frame.columns[1:]))])


def predictions(m: Material) -> Section:
    """Figures about the predictions; the one that compares models needs the page's width."""
    others = [name for name in FIGURES if name != "comparison"]
    return Section("Predictions", [*m.drawn("comparison"), m.drawn(*others)])


def examples(m: Material) -> Section | None:
    """Texts worth reading, a table of each kind."""
    chosen = m.tables["review_examples"]
    blocks: list[Block] = []
    for kind in chosen["kind"].unique():
        rows = chosen[chosen["kind"] == kind].drop(columns="kind")
        titles = {name: str(name).replace("_", " ") for name in rows}
        blocks += [Heading(str(kind).capitalize()), Table(rows, ("row",), titles)]
    return Section("Texts worth reading", blocks) if blocks else None


def training(m: Material) -> Section | None:
    """How the models were trained."""
    drawn = m.drawn(*TRAINING)
    return Section("Training", [drawn]) if drawn else None


def language_model(m: Material) -> Section | None:
    """How good the language model is, where it started from, and what it writes."""
    start, texts = m.summary.get("language_model"), m.summary.get("sample_texts") or {}
    rows = m.scores[m.scores["model"].isin(_OF_WORDS)]
    if start is None or rows.empty:
        return None
    blocks: list[Block] = []
    if len(rows) < len(m.scores):
        blocks += _scores(rows, "valid")
    blocks.append(start)
    if texts:
        blocks += [Heading("What it writes"), *(Quote(text, told) for told, text in texts.items())]
    return Section("Language model", blocks)


def run(m: Material) -> Section:
    """The settings."""
    return Section("The run", [m.settings])


CLASSIFIER = (
    scores, answered, labels, predictions, examples, training, language_model, run,
)  # fmt: skip
ENSEMBLE = (scores, predictions, examples)
LANGUAGE_MODEL = (scores, training, language_model, run)

_OF_WORDS = ("language_model", "unigrams")


def _scores(rows: pd.DataFrame, part: str, slice: str = "") -> list[Block]:
    """A table of the models' scores on the rows of a part; none if there are none."""
    table = wide(rows, part, slice, NAMES)
    if table.empty:
        return []
    found = means(rows, part, slice)
    note = f"{found['rows'].max():,} {_PARTS[part]}; intervals of 95 %, each metric's own."
    return [Table(table, numbers=tuple(table.columns[1:])), Note(note)]


_PARTS = {"test": "test rows", "valid": "validation rows"}
