"""The page about a model on a table, and the page about rows that it predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from gradual.reports.page import Block, Note, Section, Table, html_page
from gradual.tabular.scores import MODELS, figure, scores_table

COLUMN_HEADINGS = {
    "column": "Column",
    "kind": "Kind",
    "codes": "Codes",
    "fill": "Gaps filled with",
    "training_gaps": "Gaps in training",
    "gaps": "Gaps in held-out rows",
    "unseen": "Unseen levels in held-out rows",
}


def model_page(
    metrics: Mapping[str, Any],
    scores: pd.DataFrame,
    *,
    comparison_figure: go.Figure,
    prediction_figures: Sequence[go.Figure],
    insight_figures: Sequence[go.Figure],
    training_figure: go.Figure,
    worst_rows: pd.DataFrame,
    columns: pd.DataFrame,
    run: Mapping[str, Any],
) -> str:
    """Write the page that says how good the models are, and what the chosen one has learned.

    Args:
        metrics: From `table_scores.summarise`.
        scores: `Contest.table` of the held-out rows.
        comparison_figure: All models' scores.
        prediction_figures: About the chosen model's predictions.
        insight_figures: What it has learned, each as wide as the page.
        training_figure: How the net was trained.
        worst_rows: From `interpretation.most_wrong`.
        columns: What became of each column; see `COLUMN_HEADINGS`.
        run: What was run, nested or flat.

    Returns:
        The HTML; it needs no other file and no network.
    """
    table = scores_table(scores)
    first: list[Block] = [
        Table(table, numbers=list(table.columns[1:])),
        *(Note(note) for note in metrics["notes"]),
        comparison_figure,
    ]
    worst: list[Block] = [
        "The rows with the highest loss, with all that the model saw of them. An error in the data "
        "often shows here first.",
        Table(readable(worst_rows), numbers=_numeric(worst_rows)),
    ]
    return html_page(
        "Table: models side by side",
        metrics["headline"],
        [
            Section("", first),
            Section("Predictions", [*_who_is_drawn(metrics), prediction_figures]),
            Section("What the model has learned", insight_figures),
            Section("Most wrong rows", worst),
            Section("Training of the net", [training_figure]),
            Section("Columns", [columns_block(columns)]),
            Section("The run", [run]),
        ],
    )


def _who_is_drawn(metrics: Mapping[str, Any]) -> list[Block]:
    """Say whose predictions the figures call the model's and the baseline's."""
    if metrics["rival"] is None:
        return []
    model, rival = (MODELS[metrics[who]] for who in ("model", "rival"))
    return [Note(f"Model: {model}, which is kept. Baseline: {rival}, the next on validation rows.")]


def new_rows_page(rows: int, counts: pd.DataFrame, answers: pd.DataFrame) -> str:
    """Write the page about predictions for new rows.

    Args:
        rows: How many there were.
        counts: One row a column with anything unusual: ``column``, ``gaps``, ``unseen``,
            ``share``.
        answers: The first predictions.
    """
    unusual: list[Block] = ["No gap, and no level that training has not seen."]
    if len(counts):
        shown = counts.assign(share=[f"{share:.1%}" for share in counts["share"]])
        shown.columns = pd.Index(["Column", "Gaps filled", "Levels unseen in training", "Rows"])
        unusual = [
            "Gaps were filled as in training, and levels that training has not seen count as "
            "missing. Where many rows are concerned, train anew.",
            Table(shown, numbers=list(shown.columns[1:])),
        ]
    first = Table(readable(answers), numbers=_numeric(answers))
    headline = f"{rows:,} rows predicted; " + (
        f"unusual values in {len(counts)} columns." if len(counts) else "nothing unusual."
    )
    sections = [Section("Unusual values", unusual), Section("First rows", [first])]
    return html_page("Predictions for new rows", headline, sections)


def columns_block(columns: pd.DataFrame) -> Table:
    """What became of each column, as a table for reading."""
    shown = readable(columns).rename(columns=COLUMN_HEADINGS)
    return Table(shown, numbers=list(shown.columns[2:]))


def readable(frame: pd.DataFrame) -> pd.DataFrame:
    """Round numbers and name columns for people."""
    shown = {str(name): [_cell(value) for value in frame[name].tolist()] for name in frame.columns}
    return pd.DataFrame(shown)


def _cell(value: Any) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return "–"
    return figure(value) if isinstance(value, float) else str(value)


def _numeric(frame: pd.DataFrame) -> list[str]:
    """Columns that are set to the right."""
    return [
        str(name)
        for name in frame.columns
        if pd.api.types.is_numeric_dtype(frame[name]) and frame[name].dtype != bool
    ]
