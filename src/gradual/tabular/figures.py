"""Plotly figures of models on a table: how they compare, how one does, and what it has learned.

`FIGURES` names all of them. Each takes `Findings` and returns None where there is nothing to draw
for the kind of target. Predictions of a regression have ``target`` and ``predicted``, and where a
baseline stands beside the model ``baseline_predicted``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from gradual.reports import figures as kit
from gradual.reports.figures import GREY, HEIGHT, MODEL, OTHER, PALETTE, finish
from gradual.tabular.interpretation import embedding_target
from gradual.tabular.metrics import loss_name
from gradual.tabular.scores import MODELS
from gradual.tabular.targets import Target

ACROSS = 3
"""Small figures in a row of the grids."""
TRIVIAL = 3
"""Codes of a column with two levels and the missing one: how they lie says nothing."""
POINTS = 5000
"""A scatter of more rows is drawn with so many of them, evenly chosen."""
SHOWN_SHARE = 0.98
"""The curve of tolerances ends where so many rows of the model are within them."""


@dataclass(frozen=True)
class Findings:
    """What there is to draw.

    Attributes:
        scores: Result rows.
        facts: From `gradual.tabular.scores.Comparison`.
        predictions: From `gradual.tabular.predictions.table_predictions`.
        target: What is predicted.
        importance: From `gradual.tabular.interpretation.permutation_importance`.
        dependence: From `gradual.tabular.interpretation.partial_dependence`.
        embeddings: From `gradual.tabular.interpretation.embedding_table`.
        history: The net's epochs, from `History.to_frame`.
    """

    scores: pd.DataFrame
    facts: dict[str, Any]
    predictions: pd.DataFrame
    target: Target
    importance: pd.DataFrame
    dependence: pd.DataFrame
    embeddings: pd.DataFrame
    history: pd.DataFrame

    @property
    def regression(self) -> str | None:
        """What a regression predicts; None for other targets."""
        return " and ".join(self.target.classes) if self.target.kind == "regression" else None


def comparison(found: Findings) -> go.Figure | None:
    """The scores of all models with their intervals, one small figure a score."""
    facts = found.facts
    return kit.comparison_figure(
        found.scores,
        facts["model"],
        names=MODELS,
        metrics=SHOWN[facts["kind"]],
        part=facts["part"],
    )


def truth(found: Findings) -> go.Figure:
    """Which class was taken for which, or predictions against the truth."""
    name = found.regression
    if name is None:
        return kit.confusion_matrix_figure(found.predictions)
    predictions, log = found.predictions, found.target.config.log
    shown = predictions.iloc[kit.evenly(len(predictions), POINTS)]
    both = pd.concat([shown["target"], shown["predicted"]])
    ends = [float(both.min()), float(both.max())]
    figure = go.Figure(
        [
            go.Scattergl(
                x=shown["predicted"],
                y=shown["target"],
                mode="markers",
                marker={"color": MODEL, "size": 5, "opacity": 0.45},
                hovertemplate="predicted %{x:,.4g}, true %{y:,.4g}<extra></extra>",
                showlegend=False,
            ),
            kit.diagonal("perfect", ends),
        ]
    )
    kind = "log" if log and ends[0] > 0 else "linear"
    figure.update_xaxes(title=f"predicted {name}", type=kind)
    figure.update_yaxes(title=f"true {name}", type=kind)
    return finish(figure, "Predicted and true", _rows(len(shown), len(predictions)))


def separation(found: Findings) -> go.Figure:
    """ROC curves, or which share of the rows has an error within each tolerance.

    The latter is the curve that Bi & Bennett (2003, "Regression error characteristic curves") set
    beside the ROC curve: the higher the better.
    """
    name, predictions = found.regression, found.predictions
    if name is None:
        return kit.roc_figure(predictions)
    figure = go.Figure()
    shares = np.linspace(0, 1, 201)
    limit = 0.0
    for who, column, colour in _predicted(predictions):
        errors = (predictions["target"] - predictions[column]).abs()
        limit = limit or float(errors.quantile(SHOWN_SHARE))
        figure.add_trace(
            go.Scatter(
                x=errors.quantile(shares),
                y=shares,
                mode="lines",
                line={"color": colour, "width": 2.5},
                name=f"{who}, half within {errors.median():,.4g}",
                hovertemplate="%{y:.0%} within %{x:,.4g}",
            )
        )
    figure.update_xaxes(title=f"error of {name}, at most", range=[0, limit or 1.0])
    figure.update_yaxes(title="share of the rows", tickformat=".0%", range=[-0.02, 1.02])
    return finish(figure, "Error tolerance (REC curve)", f"{len(predictions):,} test rows")


def calibration(found: Findings, bins: int = 10) -> go.Figure:
    """Predicted against observed: shares in bins, or means in bins of equally many rows."""
    name, predictions = found.regression, found.predictions
    if name is None:
        return kit.reliability_figure(predictions)
    figure = go.Figure()
    ends: list[float] = []
    for who, column, colour in _predicted(predictions):
        groups = pd.qcut(predictions[column].rank(method="first"), min(bins, len(predictions)))
        by = predictions.groupby(groups, observed=True)
        x, y = by[column].mean(), by["target"].mean()
        half: pd.Series = 1.96 * by["target"].std().fillna(0) / np.sqrt(by.size())
        ends += [float(x.min()), float(x.max())]
        figure.add_trace(
            go.Scatter(
                x=x,
                y=y,
                error_y={"type": "data", "array": half, "thickness": 1},
                mode="lines+markers",
                marker={"color": colour, "size": 8},
                line={"color": colour},
                name=who,
                hovertemplate="predicted %{x:,.4g}, true mean %{y:,.4g}",
            )
        )
    figure.add_trace(kit.diagonal("perfect", [min(ends), max(ends)]))
    figure.update_xaxes(title=f"mean predicted {name}")
    figure.update_yaxes(title=f"mean true {name}")
    subtitle = f"{len(predictions):,} test rows in {bins} equal parts, with 95 % intervals"
    return finish(figure, "Calibration", subtitle)


def spread(found: Findings) -> go.Figure:
    """Probabilities of right and wrong rows, or errors against its predictions."""
    name, predictions = found.regression, found.predictions
    if name is None:
        return kit.probability_figure(predictions)
    shown = predictions.iloc[kit.evenly(len(predictions), POINTS)]
    errors = shown["target"] - shown["predicted"]
    figure = make_subplots(
        rows=1, cols=2, shared_yaxes=True, column_widths=[0.78, 0.22], horizontal_spacing=0.02
    )
    figure.add_trace(
        go.Scattergl(
            x=shown["predicted"],
            y=errors,
            mode="markers",
            marker={"color": MODEL, "size": 5, "opacity": 0.45},
            hovertemplate="predicted %{x:,.4g}, error %{y:+,.4g}<extra></extra>",
        ),
        row=1,
        col=1,
    )
    counts, edges = np.histogram(errors, 40)
    figure.add_trace(
        go.Bar(
            x=counts,
            y=(edges[:-1] + edges[1:]) / 2,
            orientation="h",
            marker={"color": OTHER},
            hovertemplate="%{x:,} rows near %{y:+,.4g}<extra></extra>",
        ),
        row=1,
        col=2,
    )
    figure.add_hline(y=0, line={"color": GREY, "dash": "dot"})
    figure.update_layout(showlegend=False, bargap=0.05)
    figure.update_xaxes(title=f"predicted {name}", row=1, col=1)
    figure.update_xaxes(title="rows", row=1, col=2)
    figure.update_yaxes(title="true minus predicted", row=1, col=1)
    return finish(figure, "Errors", _rows(len(shown), len(predictions)))


def importance(found: Findings, columns: int = 25) -> go.Figure:
    """How much the loss rises when a column's values change places; the most important columns."""
    importance, loss = found.importance, loss_name(found.target)
    shown = importance.head(columns)[::-1]
    figure = go.Figure(
        go.Bar(
            x=shown["importance"],
            y=shown["column"].astype(str),
            orientation="h",
            marker={"color": MODEL},
            error_x=kit.bars(shown, "importance", color=GREY),
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
    return finish(figure, "Permutation importance", subtitle, height)


def dependence(found: Findings) -> go.Figure | None:
    """Partial dependence, one small figure a column, all on the same vertical axis."""
    dependence, target = found.dependence, found.target
    if dependence.empty:  # all important columns are dates
        return None
    asked = target.classes[1:] if target.kind == "binary" else target.classes
    what = asked[0] if len(asked) == 1 else "each of " + ", ".join(asked)
    what = what if target.kind == "regression" else f"probability of {what}"
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
                    else kit.bars(part, "mean", color=colour, thickness=1, width=0),
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
    return _finish_grid(figure, "Partial dependence", subtitle)


def embeddings(found: Findings) -> go.Figure | None:
    """Each column's levels in the plane in which their vectors differ most.

    Columns of two levels are left out, unless there are no others.
    """
    embeddings, target = found.embeddings, embedding_target(found.target)
    if embeddings.empty:  # no column has levels
        return None
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


def net_training(found: Findings) -> go.Figure:
    """Loss and scores of the net by epoch."""
    return kit.training_figure(found.history, "Training of the net")


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


def _predicted(predictions: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Whose predictions of a regression there are: name, column, colour."""
    both = [("model", "predicted", MODEL), ("baseline", "baseline_predicted", OTHER)]
    return [one for one in both if one[1] in predictions]


def _rows(shown: int, n: int) -> str:
    return f"{n:,} test rows" if shown == n else f"{shown:,} of {n:,} test rows"


SHOWN = {
    "binary": ("roc_auc", "accuracy", "log_loss"),
    "multiclass": ("log_loss", "accuracy", "roc_auc"),
    "multilabel": ("macro_auc", "micro_f1", "label_log_loss"),
    "regression": ("rmse", "mae", "r2"),
    "regression_log": ("rmse", "rmspe", "r2"),
}
"""By kind of target, the metrics that are compared in a figure."""
FIGURES: dict[str, Callable[[Findings], go.Figure | None]] = {
    "comparison": comparison,
    "truth": truth,
    "separation": separation,
    "calibration": calibration,
    "spread": spread,
    "importance": importance,
    "dependence": dependence,
    "embeddings": embeddings,
    "net_training": net_training,
}
"""All figures by name. A new one is a function and a line here."""
