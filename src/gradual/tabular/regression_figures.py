"""Plotly figures of how a regression does on rows that it has not seen.

A table of predictions has ``target`` and ``predicted``, one row a test row, and, where a baseline
was beside it, ``baseline_predicted``.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from gradual.reports.figures import GREY, MODEL, OTHER, finish

POINTS = 5000
"""A scatter of more rows is drawn with so many of them, evenly chosen."""
SHOWN_SHARE = 0.98
"""The curve of tolerances ends where so many rows of the model are within them."""


def truth_figure(predictions: pd.DataFrame, target: str, *, log: bool = False) -> go.Figure:
    """Draw predictions against the truth.

    Args:
        predictions: See the module.
        target: What is predicted.
        log: Logarithmic axes, for a target that was learned as a logarithm.
    """
    shown = predictions.iloc[_evenly(len(predictions))]
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
            go.Scatter(
                x=ends, y=ends, mode="lines", line={"color": GREY, "dash": "dot"}, name="perfect"
            ),
        ]
    )
    kind = "log" if log and ends[0] > 0 else "linear"
    figure.update_xaxes(title=f"predicted {target}", type=kind)
    figure.update_yaxes(title=f"true {target}", type=kind)
    return finish(figure, "Predicted and true", _rows(len(shown), len(predictions)))


def residual_figure(predictions: pd.DataFrame, target: str) -> go.Figure:
    """Draw the errors against the predictions, and how they are spread.

    Args:
        predictions: See the module.
        target: What is predicted.
    """
    shown = predictions.iloc[_evenly(len(predictions))]
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
    figure.update_xaxes(title=f"predicted {target}", row=1, col=1)
    figure.update_xaxes(title="rows", row=1, col=2)
    figure.update_yaxes(title="true minus predicted", row=1, col=1)
    return finish(figure, "Errors", _rows(len(shown), len(predictions)))


def calibration_figure(predictions: pd.DataFrame, target: str, bins: int = 10) -> go.Figure:
    """Draw the mean truth against the mean prediction, in bins of equally many rows.

    Args:
        predictions: See the module.
        target: What is predicted.
        bins: So many bins, fewer where there are few rows.
    """
    figure = go.Figure()
    ends: list[float] = []
    for name, column, colour in (
        ("model", "predicted", MODEL),
        ("baseline", "baseline_predicted", OTHER),
    ):
        if column not in predictions:
            continue
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
                name=name,
                hovertemplate="predicted %{x:,.4g}, true mean %{y:,.4g}",
            )
        )
    line = [min(ends), max(ends)]
    figure.add_trace(
        go.Scatter(
            x=line, y=line, mode="lines", line={"color": GREY, "dash": "dot"}, name="perfect"
        )
    )
    figure.update_xaxes(title=f"mean predicted {target}")
    figure.update_yaxes(title=f"mean true {target}")
    subtitle = f"{len(predictions):,} test rows in {bins} equal parts, with 95 % intervals"
    return finish(figure, "Calibration", subtitle)


def tolerance_figure(predictions: pd.DataFrame, target: str) -> go.Figure:
    """Draw which share of the rows has an error within each tolerance.

    The curve that Bi & Bennett (2003, "Regression error characteristic curves") set beside the
    ROC curve: the higher the better.

    Args:
        predictions: See the module.
        target: What is predicted.
    """
    figure = go.Figure()
    shares = np.linspace(0, 1, 201)
    limit = 0.0
    for name, column, colour in (
        ("model", "predicted", MODEL),
        ("baseline", "baseline_predicted", OTHER),
    ):
        if column not in predictions:
            continue
        errors = (predictions["target"] - predictions[column]).abs()
        limit = limit or float(errors.quantile(SHOWN_SHARE))
        figure.add_trace(
            go.Scatter(
                x=errors.quantile(shares),
                y=shares,
                mode="lines",
                line={"color": colour, "width": 2.5},
                name=f"{name}, half within {errors.median():,.4g}",
                hovertemplate="%{y:.0%} within %{x:,.4g}",
            )
        )
    figure.update_xaxes(title=f"error of {target}, at most", range=[0, limit or 1.0])
    figure.update_yaxes(title="share of the rows", tickformat=".0%", range=[-0.02, 1.02])
    return finish(figure, "How often within how much", f"{len(predictions):,} test rows")


def _evenly(n: int) -> np.ndarray:
    """Numbers of at most `POINTS` rows out of n."""
    return np.unique(np.linspace(0, n - 1, min(n, POINTS)).astype(int))


def _rows(shown: int, n: int) -> str:
    return f"{n:,} test rows" if shown == n else f"{shown:,} of {n:,} test rows"
