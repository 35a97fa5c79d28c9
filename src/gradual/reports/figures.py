"""Plotly figures of how a model was trained and how well it does.

All figures share one look. The colours are of Okabe & Ito's palette, which colour-blind readers can
tell apart: the model is blue and the baseline orange everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots
from sklearn.metrics import roc_curve

from gradual.results.calibration import calibration_table, expected_calibration_error
from gradual.results.decisions import above, coverage_curve
from gradual.results.metrics import metric_named
from gradual.results.predictions import BASELINE, PROBABILITY, classes_of, probabilities_of
from gradual.results.table import means

MODEL, OTHER = "#0072B2", "#E69F00"
PALETTE = (MODEL, OTHER, "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
GREY = "#7F7F7F"
HEIGHT = 440
_NAMED_CURVES = 6
_DASHES = ("solid", "dash", "dot", "dashdot")
_NOTHING = "nothing to draw"
CURVE_POINTS = 500
"""A curve over 25,000 rows is drawn with so many of its points; nobody sees the others."""


def finish(figure: go.Figure, title: str, subtitle: str, height: int = HEIGHT) -> go.Figure:
    """Give a figure the common look.

    Args:
        figure: Is changed.
        title: Its title.
        subtitle: What it was made of: rows, units, intervals.
        height: In pixels.

    Returns:
        The same figure.
    """
    figure.update_layout(
        template="plotly_white",
        title={"text": title, "subtitle": {"text": subtitle}, "x": 0.02, "xanchor": "left"},
        height=height,
        margin={"l": 70, "r": 30, "t": 80, "b": 95},
        font={"family": "system-ui, sans-serif", "size": 14, "color": "#222"},
        legend={"orientation": "h", "yref": "container", "y": 0.01, "yanchor": "bottom"}
        | {"x": 0.5, "xanchor": "center"},
        colorway=PALETTE,
    )
    return figure


def empty_figure(title: str) -> go.Figure:
    """Return a figure that says that there is nothing to draw; pages leave it out."""
    figure = finish(go.Figure(), title, "there is nothing to draw for this kind of target")
    return figure.update_layout(meta=_NOTHING)


def is_drawn(figure: go.Figure) -> bool:
    """Return whether a figure shows something."""
    return bool(figure.layout.meta != _NOTHING)


def draw_all(
    figures: Mapping[str, Callable[..., go.Figure | None]], *given: Any, **named: Any
) -> dict[str, go.Figure]:
    """Draw a method's figures as one named set.

    Args:
        figures: A method's ``FIGURES``: by name, a function of what is given, which returns None
            where there is nothing to draw.
        given: What each function takes.
        named: Likewise by name.

    Returns:
        A figure for each name.
    """
    drawn = {name: draw(*given, **named) for name, draw in figures.items()}
    return {
        name: figure if figure is not None else empty_figure(name.replace("_", " ").capitalize())
        for name, figure in drawn.items()
    }


def with_legend(figure: go.Figure) -> int:
    """Return the height that leaves room for a legend below the plot, one entry a line."""
    entries = sum(trace.showlegend is not False for trace in figure.data)
    return HEIGHT + 19 * max(0, entries - 4)


def confusion_matrix_figure(predictions: pd.DataFrame) -> go.Figure:
    """Draw how many rows of each class were predicted as what.

    Args:
        predictions: From `examples.predictions_table`.
    """
    classes = list(classes_of(predictions))
    counts = (
        pd.crosstab(predictions["label"], predictions["predicted"])
        .reindex(index=classes, columns=classes, fill_value=0)
        .to_numpy()
    )
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    text = [
        [f"<b>{count:,}</b><br>{100 * share:.1f} %" for count, share in zip(*both, strict=True)]
        for both in zip(counts, shares, strict=True)
    ]
    figure = go.Figure(
        go.Heatmap(
            z=shares,
            x=classes,
            y=classes,
            customdata=counts,
            text=text if len(classes) <= 6 else counts,
            texttemplate="%{text}" if len(classes) <= 20 else None,
            hovertemplate="%{y} predicted as %{x}: %{customdata:,} rows (%{z:.1%})<extra></extra>",
            colorscale=[[0, "#F4F8FB"], [1, MODEL]],
            zmin=0,
            zmax=1,
            xgap=2,
            ygap=2,
            colorbar={"title": {"text": "share of<br>true class"}, "tickformat": ".0%"},
        )
    )
    figure.update_xaxes(title="predicted", showgrid=False)
    figure.update_yaxes(title="true", autorange="reversed", showgrid=False)
    right = int(counts.diagonal().sum())
    subtitle = f"{right:,} of {counts.sum():,} test rows right"
    return finish(figure, "Confusion matrix", subtitle, max(HEIGHT, 26 * len(classes) + 160))


def reliability_figure(
    predictions: pd.DataFrame, positive: str | None = None, bins: int = 10
) -> go.Figure:
    """Draw predicted probabilities against observed shares, with the number of rows below.

    Args:
        predictions: From `examples.predictions_table`.
        positive: The positive class of two; the last by default.
        bins: Bins of equal width.
    """
    classes = classes_of(predictions)
    binary = len(classes) == 2
    labels = predictions["label"].to_numpy(object)
    figure = make_subplots(
        rows=2, cols=1, shared_xaxes=True, row_heights=[0.72, 0.28], vertical_spacing=0.06
    )
    figure.add_trace(diagonal("perfect"), row=1, col=1)
    for name, prefix, colour in (("model", PROBABILITY, MODEL), ("baseline", BASELINE, OTHER)):
        probabilities = probabilities_of(predictions, prefix)
        if probabilities is None:
            continue
        table = calibration_table(labels, probabilities, classes, positive=positive, bins=bins)
        legend = f"{name}, calibration error {expected_calibration_error(table):.3f}"
        figure.add_trace(
            go.Scatter(
                x=table["predicted"],
                y=table["observed"],
                error_y=bars(table, "observed", "observed_", thickness=1),
                customdata=table["rows"],
                hovertemplate="predicted %{x:.2f}, observed %{y:.2f}, %{customdata:,} rows",
                mode="lines+markers",
                marker={"color": colour, "size": 8},
                line={"color": colour},
                name=legend,
            ),
            row=1,
            col=1,
        )
        figure.add_trace(
            go.Bar(
                x=(table["low"] + table["high"]) / 2,
                y=table["rows"],
                marker={"color": colour},
                name=name,
                showlegend=False,
                hovertemplate="%{y:,} rows<extra></extra>",
            ),
            row=2,
            col=1,
        )
    figure.update_layout(barmode="group", bargap=0.15)
    shown = (positive or classes[-1]) if binary else ""
    wanted = f"probability of {shown}" if binary else "probability of the predicted class"
    happened = f"share of {shown}" if binary else "share that was right"
    figure.update_xaxes(range=[-0.02, 1.02])
    figure.update_xaxes(title=f"predicted {wanted}", row=2, col=1)
    figure.update_yaxes(title=f"observed {happened}", range=[-0.04, 1.04], row=1, col=1)
    figure.update_yaxes(title="rows", row=2, col=1)
    subtitle = f"{len(predictions):,} test rows in {bins} bins, with 95 % intervals"
    return finish(figure, "Reliability", subtitle, 600)


def roc_figure(predictions: pd.DataFrame, positive: str | None = None) -> go.Figure:
    """Draw the ROC curve of the model and of the baseline.

    With more than two classes there is one curve per class of the model, against the rest.

    Args:
        predictions: From `examples.predictions_table`.
        positive: The positive class of two; the last by default.
    """
    classes = classes_of(predictions)
    labels = predictions["label"].to_numpy(object)
    binary = len(classes) == 2
    shown = [positive or classes[-1]] if binary else list(classes)
    curves = {}
    for who, prefix in (("model", PROBABILITY), ("baseline", BASELINE)):
        probabilities = probabilities_of(predictions, prefix)
        if probabilities is not None and (binary or prefix == PROBABILITY):
            for name in shown:
                curve = (labels == name, probabilities[:, classes.index(name)])
                curves[who if binary else name] = curve
    figure = go.Figure(diagonal("chance"))
    add_roc_curves(figure, curves)
    name_rates(figure)
    against = f"{shown[0]} against {next(c for c in classes if c != shown[0])}" if binary else ""
    subtitle = f"{len(predictions):,} test rows · {against or 'each class against the rest'}"
    return finish(figure, "ROC curve", subtitle, with_legend(figure))


def diagonal(name: str, ends: Sequence[float] = (0, 1)) -> go.Scatter:
    """Return the line on which both axes are equal, from end to end."""
    line = {"color": GREY, "dash": "dot"}
    return go.Scatter(x=ends, y=ends, mode="lines", line=line, name=name)


def bars(rows: pd.DataFrame, value: str = "value", prefix: str = "", **look: Any) -> dict[str, Any]:
    """Return error bars from the columns ``<prefix>low`` to ``<prefix>high`` about a value."""
    high, low = rows[f"{prefix}high"] - rows[value], rows[value] - rows[f"{prefix}low"]
    return {"type": "data", "symmetric": False, "array": high, "arrayminus": low, **look}


def evenly(n: int, most: int) -> np.ndarray:
    """Return the places of at most so many of n rows, evenly chosen."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(int))


def roc_line(truth: np.ndarray, scores: np.ndarray, name: str) -> go.Scatter | None:
    """Return a ROC curve as a line whose name says the area; None where there is only one side.

    Args:
        truth: ``(n,)`` bool.
        scores: ``(n,)``, higher for what is true.
        name: What the curve is of.
    """
    if truth.all() or not truth.any():
        return None
    false_rate, true_rate, _ = roc_curve(truth, scores)
    area = float(np.trapezoid(true_rate, false_rate))
    keep = evenly(len(false_rate), CURVE_POINTS)
    return go.Scatter(
        x=false_rate[keep],
        y=true_rate[keep],
        mode="lines",
        line={"shape": "hv"},
        name=f"{name}, area {area:.3f}",
    )


def add_roc_curves(figure: go.Figure, curves: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Draw ROC curves, told apart by colour, and dashed once the colours are used up.

    Where there are many, only those with the smallest areas stand in the legend.

    Args:
        figure: Is changed.
        curves: Truth and scores, see `roc_line`, by name.
    """
    drawn = {name: roc_line(*curve, name) for name, curve in curves.items()}
    areas = {name: float(np.trapezoid(c.y, c.x)) for name, c in drawn.items() if c is not None}
    worst = sorted(areas, key=lambda name: areas[name])[:_NAMED_CURVES]
    for place, (name, curve) in enumerate(drawn.items()):
        if curve is not None:
            colour, dash = PALETTE[place % len(PALETTE)], _DASHES[place // len(PALETTE) % 4]
            line = {"color": colour, "dash": dash, "width": 2.5 if len(curves) < 5 else 1.5}
            named = len(curves) <= 2 * _NAMED_CURVES or name in worst
            figure.add_trace(curve.update(line=line, showlegend=named))


def name_rates(figure: go.Figure) -> None:
    """Name the axes of ROC curves."""
    figure.update_xaxes(title="false positive rate", range=[-0.01, 1.01])
    figure.update_yaxes(title="true positive rate", range=[-0.01, 1.01])


def coverage_figure(predictions: pd.DataFrame, abstain_below: float | None = None) -> go.Figure:
    """Draw how accurate the answers are when only the surest rows are answered.

    Args:
        predictions: From `examples.predictions_table`.
        abstain_below: The model's threshold, to be marked.
    """
    classes = list(classes_of(predictions))
    figure = go.Figure()
    for name, prefix, colour in (("model", PROBABILITY, MODEL), ("baseline", BASELINE, OTHER)):
        probabilities = probabilities_of(predictions, prefix)
        if probabilities is None:
            continue
        truth = pd.Index(classes).get_indexer(pd.Index(predictions["label"]))
        curve = coverage_curve(probabilities.max(1), probabilities.argmax(1) == truth)
        drawn = curve.iloc[evenly(len(curve), CURVE_POINTS)]
        figure.add_trace(
            go.Scatter(
                x=drawn["coverage"],
                y=drawn["accuracy"],
                customdata=drawn["threshold"],
                mode="lines",
                line={"color": colour, "width": 2.5},
                name=name,
                hovertemplate="%{x:.1%} answered, %{y:.1%} right (from %{customdata:.3f} on)",
            )
        )
        answered = above(probabilities.max(1), abstain_below or 0)
        if prefix == PROBABILITY and abstain_below is not None and answered.any():
            figure.add_trace(
                go.Scatter(
                    x=[answered.mean()],
                    y=[(probabilities.argmax(1) == truth)[answered].mean()],
                    mode="markers",
                    marker={"color": colour, "size": 12, "symbol": "diamond"},
                    name=f"answers from {abstain_below:.3f} on",
                )
            )
    figure.update_xaxes(title="share of the rows that are answered", range=[0, 1.02])
    figure.update_xaxes(tickformat=".0%")
    figure.update_yaxes(title="accuracy of the answers", tickformat=".0%")
    subtitle = f"{len(predictions):,} test rows, the surest first"
    return finish(figure, "Accuracy by coverage", subtitle)


def probability_figure(predictions: pd.DataFrame, positive: str | None = None) -> go.Figure:
    """Draw how the model's probabilities are spread over right and wrong rows.

    Args:
        predictions: From `examples.predictions_table`.
        positive: With two classes, the one whose probability is drawn; the last by default. With
            more it is the predicted class's.
    """
    classes = classes_of(predictions)
    probabilities = probabilities_of(predictions)
    assert probabilities is not None
    edges = np.linspace(0, 1, 41)
    figure = go.Figure()
    if len(classes) == 2:
        name = positive or classes[-1]
        values, what = probabilities[:, classes.index(name)], f"probability of {name}"
        groups = {f"truly {label}": predictions["label"] == label for label in classes}
    else:
        values, what = probabilities.max(axis=1), "probability of the predicted class"
        groups = {"wrong": ~predictions["correct"], "right": predictions["correct"]}
    for (name, mask), colour in zip(groups.items(), PALETTE[2:4], strict=True):
        inside = values[mask.to_numpy(bool)]
        counts, _ = np.histogram(inside, edges)
        figure.add_trace(
            go.Bar(
                x=(edges[:-1] + edges[1:]) / 2,
                y=counts,
                width=np.diff(edges),
                name=f"{name} ({len(inside):,})",
                marker={"color": colour, "line": {"width": 0}},
                hovertemplate="%{y:,} rows near %{x:.2f}",
            )
        )
    figure.update_layout(barmode="stack", bargap=0.02)
    figure.update_xaxes(title=what, range=[0, 1])
    figure.update_yaxes(title="rows")
    return finish(figure, "Predicted probabilities", f"{len(predictions):,} test rows")


def comparison_figure(
    scores: pd.DataFrame,
    chosen: str,
    title: str = "All models on the same rows",
    *,
    names: Mapping[str, str] | None = None,
    metrics: Sequence[str] | None = None,
    part: str = "test",
    unit: str = "rows",
) -> go.Figure | None:
    """Draw the scores of several models with their intervals, one small figure a metric.

    Args:
        scores: Result rows.
        chosen: The model that is drawn in the model's colour.
        title: Of the figure.
        names: What people call the models.
        metrics: Those to draw; by default all that have intervals.
        part: Which rows.
        unit: What they are.

    Returns:
        The figure, or None where there is nothing to compare.
    """
    rows = means(scores, part)
    wanted = list(metrics or dict.fromkeys(rows["metric"][rows["low"].notna()]))
    rows = rows[rows["metric"].isin(wanted)]
    if rows.empty:
        return None
    named = dict(names or {})
    models = [named.get(model, model) for model in dict.fromkeys(rows["model"])]
    defined = [metric_named(name) for name in wanted]
    figure = make_subplots(
        rows=1,
        cols=len(defined),
        shared_yaxes=True,
        subplot_titles=[
            metric.title + ("" if metric.better == "none" else f" ({metric.better} is better)")
            for metric in defined
        ],
        horizontal_spacing=0.05,
    )
    for col, metric in enumerate(defined, start=1):
        own = rows[rows["metric"] == metric.name]
        colours = [MODEL if model == chosen else OTHER for model in own["model"]]
        figure.add_trace(
            go.Scatter(
                x=own["value"],
                y=[named.get(model, model) for model in own["model"]],
                mode="markers",
                marker={"size": 11, "color": colours},
                error_x=bars(own, color=GREY),
                hovertemplate="%{y}: %{x:.4f}<extra></extra>",
                showlegend=False,
            ),
            row=1,
            col=col,
        )
        if metric.unit == "share":
            figure.update_xaxes(tickformat=".1%", row=1, col=col)
    figure.update_yaxes(categoryorder="array", categoryarray=models[::-1], automargin=True)
    figure.update_xaxes(nticks=5, tickangle=0)
    figure.update_annotations(font_size=14)  # the metrics' names, which stand close together
    subtitle = (
        f"{int(rows['rows'].iloc[0]):,} {part} {unit}, 95 % intervals · blue: "
        f"{named.get(chosen, chosen)}"
    )
    finish(figure, title, subtitle, max(HEIGHT - 80, 30 * len(models) + 190))
    return figure.update_layout(margin={"t": 125, "b": 50})


def training_figure(history: pd.DataFrame, title: str = "Training") -> go.Figure:
    """Draw losses, and each other validation figure, epoch by epoch.

    Args:
        history: One row per epoch: ``phase`` (number or name), ``train_loss``, ``valid_loss`` and
            other ``valid_…`` columns; from `History.to_frame`.
        title: What was trained.

    Raises:
        ValueError: If there is no epoch or no ``train_loss``.
    """
    if "train_loss" not in history or history.empty:
        raise ValueError(f"history: need train_loss and one epoch, got {list(history.columns)}.")
    others = [
        str(name)
        for name in history.columns
        if str(name).startswith("valid_")
        and name not in ("valid_loss", "valid_perplexity", "valid_seconds")
    ]
    epochs = np.arange(1, len(history) + 1)
    rows = 1 + len(others)
    figure = make_subplots(rows=rows, cols=1, shared_xaxes=True, vertical_spacing=0.08)
    for column, name, colour, dash in (
        ("train_loss", "training", OTHER, "solid"),
        ("valid_loss", "validation", MODEL, "solid"),
    ):
        if column in history:
            _line(figure, epochs, history[column], name, colour, dash, row=1)
    figure.update_yaxes(title="loss", row=1, col=1)
    for place, column in enumerate(others, start=2):
        _line(figure, epochs, history[column], column, MODEL, "solid", row=place, legend=False)
        label = column.removeprefix("valid_").replace("_", " ")
        figure.update_yaxes(title=label, row=place, col=1)
        if "accuracy" in column:
            low, high = history[column].min(), history[column].max()
            room = max(0.02, 0.1 * (high - low))  # a flat line has no range of its own
            limits = [max(0, low - room), min(1, high + room)]
            figure.update_yaxes(tickformat=".1%", range=limits, row=place, col=1)
    _shade_phases(figure, history)
    figure.update_xaxes(dtick=max(1, len(history) // 12), range=[0.5, len(history) + 0.5])
    phases = set(history.get("phase", ()))
    title_below = "epoch (shaded: phases)" if len(phases) > 1 else "epoch"
    figure.update_xaxes(title=title_below, row=rows, col=1)
    best = history["valid_loss"].min() if "valid_loss" in history else history["train_loss"].min()
    epochs_run = "1 epoch" if len(history) == 1 else f"{len(history)} epochs"
    subtitle = f"{epochs_run} · lowest loss {best:.4f}"
    if "seconds" in history:
        subtitle += f" · {history['seconds'].sum():,.0f} s"
    return finish(figure, title, subtitle, 240 + 180 * rows)


def _line(
    figure: go.Figure,
    x: np.ndarray,
    y: pd.Series,
    name: str,
    colour: str,
    dash: str,
    *,
    row: int,
    legend: bool = True,
) -> None:
    figure.add_trace(
        go.Scatter(
            x=x,
            y=y,
            name=name,
            mode="lines+markers",
            line={"color": colour, "dash": dash, "width": 2.5},
            marker={"size": 7},
            showlegend=legend,
        ),
        row=row,
        col=1,
    )


def _shade_phases(figure: go.Figure, history: pd.DataFrame) -> None:
    """Shade every other phase, and name them all where there are few."""
    if "phase" not in history:
        return
    phases = history["phase"].to_numpy()
    starts = [0, *(np.flatnonzero(phases[1:] != phases[:-1]) + 1).tolist(), len(phases)]
    for number, (start, stop) in enumerate(pairwise(starts)):
        figure.add_vrect(
            x0=start + 0.5,
            x1=stop + 0.5,
            fillcolor=GREY if number % 2 else "white",
            opacity=0.12,
            line_width=0,
            layer="below",
        )


def range_test_figure(frame: pd.DataFrame, suggestions: Mapping[str, float]) -> go.Figure:
    """Draw the loss against the learning rate, with the suggested rates.

    Args:
        frame: ``lr``, ``loss`` and, if there, ``smoothed_loss``; one row per step.
        suggestions: Rate by name.
    """
    figure = go.Figure()
    smoothed = "smoothed_loss" if "smoothed_loss" in frame else "loss"
    if smoothed != "loss":
        figure.add_trace(
            go.Scatter(
                x=frame["lr"],
                y=frame["loss"],
                mode="lines",
                line={"color": GREY, "width": 1},
                opacity=0.5,
                name="loss",
            )
        )
    figure.add_trace(
        go.Scatter(
            x=frame["lr"],
            y=frame[smoothed],
            mode="lines",
            line={"color": MODEL, "width": 2.5},
            name=smoothed.replace("_", " "),
        )
    )
    log_rates = np.log(frame["lr"].to_numpy(np.float64))
    for place, (name, rate) in enumerate(suggestions.items(), start=1):
        figure.add_trace(
            go.Scatter(
                x=[rate],
                y=[float(np.interp(np.log(rate), log_rates, frame[smoothed]))],
                mode="markers",
                marker={"size": 13, "color": PALETTE[place % len(PALETTE)], "symbol": place},
                name=f"{name.replace('_', ' ')}: {rate:.1e}",
            )
        )
    finite = frame[smoothed].to_numpy(np.float64)
    finite = finite[np.isfinite(finite)]
    spread = finite[0] - finite.min() or 1.0
    figure.update_xaxes(type="log", title="learning rate", exponentformat="power", dtick=1)
    figure.update_yaxes(
        title="loss", range=[finite.min() - 0.15 * spread, finite[0] + 0.8 * spread]
    )
    return finish(figure, "Learning-rate range test", f"{len(frame)} steps")
