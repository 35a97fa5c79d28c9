"""Figures of a recommender: how it was trained and compares, and what it knows of items."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from gradual.collab import scores as models
from gradual.reports import figures as kit
from gradual.reports.figures import GREY, MODEL, OTHER, finish


def components_figure(components: pd.DataFrame, named: int = 40) -> go.Figure | None:
    """Draw items by the first two principal components of their vectors.

    Args:
        components: From `Recommender.components`: `title`, `component_1`, `component_2`,
            `ratings`.
        named: So many titles are written out: of the items with most ratings whose title hides no
            other; the rest show theirs under the mouse.
    """
    if components.empty:
        return None
    points = components.reset_index(drop=True)
    shown = _apart(points, named)
    text = np.where(shown, points["title"].str.slice(0, 28), "")
    sizes = 5 + 11 * np.sqrt(points["ratings"] / max(points["ratings"].max(), 1))
    figure = go.Figure(
        go.Scatter(
            x=points["component_1"],
            y=points["component_2"],
            mode="markers+text",
            text=text,
            textposition="top center",
            textfont={"size": 10},
            customdata=points[["title", "ratings"]].to_numpy(object),
            hovertemplate="%{customdata[0]}<br>%{customdata[1]} ratings<extra></extra>",
            marker={"size": sizes, "color": MODEL, "opacity": 0.55},
        )
    )
    figure.update_xaxes(title="first principal component")
    figure.update_yaxes(title="second principal component")
    return finish(
        figure,
        "Items by the principal components of their vectors",
        f"{len(points):,} items by their vectors; the larger, the more ratings",
        height=720,
    )


def _apart(points: pd.DataFrame, named: int) -> np.ndarray:
    """Choose the most rated items whose titles do not lie on one another."""
    x, y = (points[f"component_{k}"].to_numpy(float) for k in (1, 2))
    width, height = max(np.ptp(x), 1e-9), max(np.ptp(y), 1e-9)
    chosen: list[int] = []
    for row in np.argsort(-points["ratings"].to_numpy(), kind="stable"):
        near = [r for r in chosen if abs(x[r] - x[row]) < 0.2 * width]
        if all(abs(y[r] - y[row]) > 0.04 * height for r in near):
            chosen.append(int(row))
        if len(chosen) == named:
            break
    mask = np.zeros(len(points), bool)
    mask[chosen] = True
    return mask


def biases_figure(biases: pd.DataFrame, each: int = 12) -> go.Figure | None:
    """Draw the items liked most and least beyond what their vectors explain.

    Args:
        biases: From `Recommender.biases`, best first: `title`, `bias`, `ratings`.
        each: So many of either end.
    """
    if biases.empty:
        return None
    each = min(each, len(biases) // 2)
    ends = pd.concat([biases.head(each), biases.tail(each)]).iloc[::-1]
    figure = go.Figure(
        go.Bar(
            x=ends["bias"],
            y=[f"{title[:40]}  " for title in ends["title"]],
            orientation="h",
            marker={"color": np.where(ends["bias"] > 0, MODEL, OTHER)},
            customdata=ends["ratings"],
            hovertemplate="%{y}: %{x:.2f}, %{customdata} ratings<extra></extra>",
        )
    )
    figure.update_yaxes(automargin=True, type="category")
    figure.update_xaxes(title="item bias, before the sigmoid", zerolinecolor=GREY)
    return finish(
        figure,
        "Items with the highest and the lowest bias",
        f"of {len(biases):,} items",
        height=150 + 24 * len(ends),
    )


def _compared(
    scores: pd.DataFrame, metrics: tuple[str, ...], title: str, unit: str
) -> go.Figure | None:
    rows = scores[scores["metric"].str.startswith(metrics) & (scores["slice"] == "")]
    if rows.empty:
        return None
    part = "test" if (rows["part"] == "test").any() else "valid"
    names = list(dict.fromkeys(rows["metric"]))
    return kit.comparison_figure(rows, models.MODEL, title, metrics=names, part=part, unit=unit)


FIGURES: dict[str, Callable[[Mapping[str, pd.DataFrame]], go.Figure | None]] = {
    "training": lambda t: kit.training_figure(t["history"], "Training of the recommender"),
    "rating_scores": lambda t: _compared(
        t["scores"], ("rmse", "mae"), "Ratings: all models on the same rows", "ratings"
    ),
    "list_scores": lambda t: _compared(
        t["scores"], ("ndcg", "recall", "hit_rate"), "Lists: all models, the same users", "users"
    ),
    "components": lambda t: components_figure(t["item_components"]),
    "biases": lambda t: biases_figure(t["item_biases"]),
}
"""Each draws from `history`, `scores`, `item_components` and `item_biases`, or has nothing to."""
