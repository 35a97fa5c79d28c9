"""Plotly figures of models on a table: how they compare, and what one of them has learned."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from gradual.reports.figures import GREY, HEIGHT, MODEL, OTHER, PALETTE, finish

ACROSS = 3
"""Small figures in a row of the grids."""
TRIVIAL = 3
"""Codes of a column with two levels and the missing one: how they lie says nothing."""


def comparison_figure(scores: pd.DataFrame, chosen: str, subtitle: str) -> go.Figure:
    """Draw the scores of several models with their intervals, one small figure a score.

    Args:
        scores: One row a model and score: ``model``, ``score`` (its name, with its unit),
            ``better`` (`higher` or `lower`), ``value``, ``low`` and ``high``.
        chosen: Name of the model that is drawn in the model's colour.
        subtitle: Which rows, and what the intervals are.
    """
    names = list(scores["score"].unique())
    titles = {row.score: f"{row.score} ({row.better} is better)" for row in scores.itertuples()}
    models = list(scores["model"].unique())
    figure = make_subplots(
        rows=1,
        cols=len(names),
        shared_yaxes=True,
        subplot_titles=list(titles.values()),
        horizontal_spacing=0.05,
    )
    for col, name in enumerate(names, start=1):
        part = scores[scores["score"] == name]
        figure.add_trace(
            go.Scatter(
                x=part["value"],
                y=part["model"],
                mode="markers",
                marker={
                    "size": 11,
                    "color": [MODEL if model == chosen else OTHER for model in part["model"]],
                },
                error_x={
                    "type": "data",
                    "symmetric": False,
                    "array": part["high"] - part["value"],
                    "arrayminus": part["value"] - part["low"],
                    "color": GREY,
                },
                hovertemplate="%{y}: %{x:.4f}<extra></extra>",
                showlegend=False,
            ),
            row=1,
            col=col,
        )
    figure.update_yaxes(categoryorder="array", categoryarray=models[::-1], automargin=True)
    finish(
        figure, "All models on the same rows", subtitle, max(HEIGHT - 80, 30 * len(models) + 190)
    )
    return figure.update_layout(margin={"t": 125, "b": 50})


def importance_figure(importance: pd.DataFrame, loss: str, columns: int = 25) -> go.Figure:
    """Draw how much the loss rises when a column's values change places.

    Args:
        importance: From `interpretation.permutation_importance`.
        loss: Name of the loss, with its unit.
        columns: Draw so many, the most important.
    """
    shown = importance.head(columns)[::-1]
    figure = go.Figure(
        go.Bar(
            x=shown["importance"],
            y=shown["column"].astype(str),
            orientation="h",
            marker={"color": MODEL},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": shown["high"] - shown["importance"],
                "arrayminus": shown["importance"] - shown["low"],
                "color": GREY,
            },
            hovertemplate="%{y}: %{x:.4f}<extra></extra>",
        )
    )
    figure.update_xaxes(title=f"rise of the {loss} when the column is shuffled")
    figure.update_yaxes(automargin=True, type="category")
    first = importance.iloc[0]
    subtitle = (
        f"{first['rows']:,} rows · {loss} {first['loss']:.4f} as it is · bars: lowest and highest "
        f"of {first['repeats']} shuffles"
    )
    height = max(HEIGHT - 60, 24 * len(shown) + 190)
    return finish(figure, "Which columns the model needs", subtitle, height)


def dependence_figure(dependence: pd.DataFrame, what: str) -> go.Figure:
    """Draw partial dependence, one small figure a column, all on the same vertical axis.

    Args:
        dependence: From `interpretation.partial_dependence`.
        what: What is predicted, with its unit.
    """
    names = list(dependence["column"].unique())
    outputs = list(dependence["output"].unique())
    figure, places = _grid(names)
    for name, (row, col) in zip(names, places, strict=True):
        for number, output in enumerate(outputs):
            part = dependence[(dependence["column"] == name) & (dependence["output"] == output)]
            colour = PALETTE[number % len(PALETTE)]
            x = part["number"] if part["numeric"].iloc[0] else _short(part["value"])
            numeric = bool(part["numeric"].iloc[0])
            if numeric and len(outputs) == 1:
                band = go.Scatter(
                    x=[*x, *x[::-1]],
                    y=[*part["high"], *part["low"][::-1]],
                    fill="toself",
                    fillcolor=colour,
                    opacity=0.15,
                    line={"width": 0},
                    hoverinfo="skip",
                    showlegend=False,
                )
                figure.add_trace(band, row=row, col=col)
            figure.add_trace(
                go.Scatter(
                    x=x,
                    y=part["mean"],
                    mode="lines+markers" if numeric else "markers",
                    marker={"color": colour, "size": 6 if numeric else 9},
                    line={"color": colour, "width": 2.5},
                    error_y=None
                    if numeric or len(outputs) > 1
                    else {
                        "type": "data",
                        "symmetric": False,
                        "array": part["high"] - part["mean"],
                        "arrayminus": part["mean"] - part["low"],
                        "color": colour,
                        "thickness": 1,
                        "width": 0,
                    },
                    customdata=part["rows"],
                    hovertemplate="%{x}: %{y:.3f} (%{customdata:,} rows)<extra></extra>",
                    name=str(output),
                    legendgroup=str(output),
                    showlegend=len(outputs) > 1 and name == names[0],
                ),
                row=row,
                col=col,
            )
        if not numeric:
            figure.update_xaxes(
                type="category", tickangle=-45, tickfont={"size": 10}, row=row, col=col
            )
    spread = pd.concat([dependence["mean"], dependence["low"], dependence["high"]])
    margin = 0.05 * (spread.max() - spread.min() or 1.0)
    figure.update_yaxes(range=[spread.min() - margin, spread.max() + margin])
    subtitle = f"mean prediction: {what} · shade and bars: quartiles of the rows"
    return _finish_grid(figure, "What the values do (partial dependence)", subtitle)


def embedding_figure(embeddings: pd.DataFrame, target: str | None = None) -> go.Figure:
    """Draw each column's levels in the plane in which their vectors differ most.

    Args:
        embeddings: One row a level: ``column``, ``level``, ``rows`` (training rows), ``x``, ``y``,
            ``x_share`` and ``y_share`` of the variance, and ``target``, the mean target of the
            level's training rows, or NaN.
        target: What the mean target is called; None draws all levels in one colour.

    Columns of two levels are left out, unless there are no others.
    """
    sizes = embeddings["column"].value_counts()
    worth = embeddings[embeddings["column"].map(sizes) > TRIVIAL]
    embeddings = worth if len(worth) else embeddings
    names = list(embeddings["column"].unique())
    figure, places = _grid(
        [
            f"{name} ({len(part)} levels, {part['x_share'].iloc[0] + part['y_share'].iloc[0]:.0%})"
            for name, part in embeddings.groupby("column", sort=False)
        ],
        across=2,
        height=430,
    )
    for name, (row, col) in zip(names, places, strict=True):
        part = embeddings[embeddings["column"] == name]
        labels = np.array(_short(part["level"]), dtype=object)
        # Of many levels, only the frequent ones are named: the others' names would cover all.
        labels[np.argsort(np.argsort(-part["rows"].to_numpy(), kind="stable")) >= 24] = ""
        marker: dict[str, object] = {
            "size": 7 + 15 * np.sqrt(part["rows"] / max(part["rows"].max(), 1)),
            "line": {"width": 1, "color": "white"},
            "color": MODEL,
        }
        if target is not None:
            marker |= {"color": part["target"], "coloraxis": "coloraxis"}
        figure.add_trace(
            go.Scatter(
                x=part["x"],
                y=part["y"],
                mode="markers+text",
                text=labels,
                textposition="top center",
                textfont={"size": 11},
                marker=marker,
                customdata=np.stack([part["level"].astype(str), part["rows"]], axis=1),
                hovertemplate="%{customdata[0]}: %{customdata[1]:,} rows<extra></extra>",
                showlegend=False,
                cliponaxis=False,
            ),
            row=row,
            col=col,
        )
    figure.update_xaxes(showticklabels=False, zeroline=False)
    figure.update_yaxes(showticklabels=False, zeroline=False)
    figure.update_layout(
        coloraxis={
            "colorscale": [[0, "#56B4E9"], [0.5, "#F0E442"], [1, "#D55E00"]],
            "colorbar": {"title": {"text": target, "side": "right"}, "thickness": 14},
        }
    )
    subtitle = (
        "learned vectors in their first two principal components, which hold that share of the "
        "variance · size: training rows"
    )
    return _finish_grid(figure, "Embeddings of the categories", subtitle)


def _grid(
    titles: list[str], across: int = ACROSS, height: int = 330
) -> tuple[go.Figure, list[tuple[int, int]]]:
    """Return a figure of small figures, and the place (row, column) of each, from 1."""
    across = min(across, len(titles))
    rows = math.ceil(len(titles) / across)
    figure = make_subplots(
        rows=rows,
        cols=across,
        subplot_titles=titles,
        horizontal_spacing=0.06,
        # Room for slanted names of levels below each row, whatever the number of rows.
        vertical_spacing=140 / (rows * height) if rows > 1 else None,
    )
    figure.update_layout(height=175 + rows * height)
    return figure, [(place // across + 1, place % across + 1) for place in range(len(titles))]


def _finish_grid(figure: go.Figure, title: str, subtitle: str) -> go.Figure:
    """Give a grid the common look, and the small figures' titles room below its own."""
    finish(figure, title, subtitle, figure.layout.height)
    return figure.update_layout(margin={"t": 120})


def _short(names: pd.Series, length: int = 18) -> list[str]:
    """Shorten long names so that they fit below an axis."""
    texts = [str(name).strip() for name in names]
    return [text if len(text) <= length else f"{text[: length - 1]}…" for text in texts]
