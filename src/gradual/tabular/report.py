"""The page about models on a table, and the page about rows that one of them predicted."""

from __future__ import annotations

import pandas as pd

from gradual.reports.page import Block, Material, Note, Section, Table, Warning, html_page, write
from gradual.results.metrics import show
from gradual.results.table import VALID, wide
from gradual.tabular.scores import MODELS

COLUMN_HEADINGS = {
    "column": "Column",
    "kind": "Kind",
    "codes": "Codes",
    "fill": "Gaps filled with",
    "training_gaps": "Gaps in training",
    "gaps": "Gaps in held-out rows",
    "unseen": "Unseen levels in held-out rows",
}

UNUSUAL_HEADINGS = {
    "column": "Column",
    "gaps": "Gaps filled",
    "unseen": "Levels unseen in training",
    "share": "Share of rows",
}


def scores(m: Material) -> Section:
    """All models on the scored rows, and on the validation rows that chose."""
    part = m.summary["facts"]["part"]
    blocks: list[Block] = [Warning(text) for text in m.summary["warnings"]]
    blocks += [_scores(m, part), *(Note(note) for note in m.summary["notes"])]
    blocks += m.drawn("comparison")
    if part != VALID:
        blocks += ["On the validation rows, by which the model was chosen:", _scores(m, VALID)]
    return Section("", blocks)


def predictions(m: Material) -> Section:
    """How the kept model does, row by row."""
    facts = m.summary["facts"]
    rival = "" if facts["rival"] is None else f" Baseline: {MODELS[facts['rival']]}, the next best."
    note = Note(f"Model: {MODELS[facts['model']]}, which is kept.{rival}")
    return Section("Predictions", [note, m.drawn("truth", "separation", "calibration", "spread")])


def insight(m: Material) -> Section:
    """What the kept model, and the net's embeddings, have learned."""
    drawn = m.drawn("importance", "dependence", "embeddings")
    return Section("Interpretation", drawn)


def worst_rows(m: Material) -> Section:
    """The rows with the highest loss."""
    words = (
        "The rows with the highest loss, with all that the model saw of them. An error in the data "
        "often shows here first."
    )
    return Section("Rows with the highest loss", [words, Table(m.tables["worst_rows"])])


def training(m: Material) -> Section:
    """How the net was trained."""
    return Section("Training of the net", m.drawn("net_training"))


def columns(m: Material) -> Section:
    """What became of each column."""
    return Section("Columns", [Table(m.tables["columns"], titles=COLUMN_HEADINGS)])


def settings(m: Material) -> Section:
    """What was run."""
    return Section("The run", [m.settings])


SECTIONS = (scores, predictions, insight, worst_rows, training, columns, settings)


def model_page(material: Material) -> str:
    """Write the page that says how good the models are, and what the kept one has learned."""
    return write("Table: models side by side", SECTIONS, material)


def new_rows_page(rows: int, counts: pd.DataFrame, answers: pd.DataFrame) -> str:
    """Write the page about predictions for new rows.

    Args:
        rows: How many there were.
        counts: From `gradual.tabular.column_summary.unusual`.
        answers: The first predictions.
    """
    unusual: list[Block] = ["No gap, and no level that training has not seen."]
    if len(counts):
        shown = counts.assign(share=[show(share, "share") for share in counts["share"]])
        unusual = [
            "Gaps were filled as in training, and levels that training has not seen count as "
            "missing. Where many rows are concerned, train anew.",
            Table(shown, ["share"], UNUSUAL_HEADINGS),
        ]
    headline = f"{rows:,} rows predicted; " + (
        f"gaps or unseen levels in {len(counts)} columns." if len(counts) else "no gaps."
    )
    sections = [Section("Unusual values", unusual), Section("First predictions", [Table(answers)])]
    return html_page("Predictions for new rows", headline, sections)


def _scores(m: Material, part: str) -> Table:
    table = wide(m.scores, part, names=MODELS)
    return Table(table, numbers=list(table.columns[1:]))
