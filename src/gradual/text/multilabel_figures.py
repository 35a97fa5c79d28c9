"""Figures about predictions of any number of labels a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from gradual.reports import figures
from gradual.reports.figures import GREY, MODEL, OTHER
from gradual.results.predictions import BASELINE, PROBABILITY
from gradual.text.multilabel import PREDICTED, TRUE, labels_of, pooled, values_of

_ROW = 28  # pixels that a label takes


def found_and_missed_figure(predictions: pd.DataFrame) -> go.Figure:
    """Draw for each label how many rows had it and got it, missed it, or got it wrongly.

    Args:
        predictions: From `multilabel.predictions_table`.
    """
    truth, predicted = _flags(predictions, TRUE), _flags(predictions, PREDICTED)
    order = np.argsort(truth.sum(0), kind="stable")  # the most frequent at the top
    labels = np.array(labels_of(predictions), dtype=object)[order]
    figure = go.Figure()
    for name, counts, colour in (
        ("found", (truth & predicted).sum(0), figures.PALETTE[2]),
        ("missed", (truth & ~predicted).sum(0), GREY),
        ("wrongly given", (~truth & predicted).sum(0), figures.PALETTE[4]),
    ):
        figure.add_trace(
            go.Bar(
                y=labels,
                x=counts[order],
                name=f"{name} ({int(counts.sum()):,})",
                orientation="h",
                marker={"color": colour},
                hovertemplate=f"%{{y}}: %{{x:,}} rows {name}<extra></extra>",
            )
        )
    figure.update_layout(barmode="stack", bargap=0.25)
    figure.update_xaxes(title="test rows")
    figure.update_yaxes(type="category", automargin=True, dtick=1)
    exact = int(predictions["correct"].sum())
    subtitle = f"all labels right in {exact:,} of {len(predictions):,} test rows"
    return figures.finish(figure, "Labels found, missed, wrongly given", subtitle, _height(labels))


def f1_figure(predictions: pd.DataFrame, summary: Mapping[str, Any]) -> go.Figure:
    """Draw each label's F1 with its interval, of model and baseline.

    Args:
        predictions: From `multilabel.predictions_table`.
        summary: From `multilabel_report.multilabel_summary` of the same predictions.
    """
    truth = _flags(predictions, TRUE)
    order = np.argsort(truth.sum(0), kind="stable")
    labels = [labels_of(predictions)[k] for k in order]
    figure = go.Figure()
    for name, colour, shift in (("baseline", OTHER, -0.16), ("model", MODEL, 0.16)):
        report = summary[name]
        if report is None:
            continue
        scores = pd.DataFrame([report["labels"][label] for label in labels])
        f1 = scores["f1"].astype(float)
        low, high = (
            np.array([np.nan if interval is None else interval[end] for interval in column])
            for end, column in ((0, scores["f1_interval"]), (1, scores["f1_interval"]))
        )
        figure.add_trace(
            go.Scatter(
                x=f1,
                y=np.arange(len(labels)) + shift,
                error_x={
                    "type": "data",
                    "symmetric": False,
                    "array": np.maximum(high - f1, 0),
                    "arrayminus": np.maximum(f1 - low, 0),
                    "thickness": 1.5,
                },
                mode="markers",
                marker={"color": colour, "size": 9},
                name=f"{name}, macro {report['macro_f1']:.3f}",
                customdata=np.stack([labels, scores["rows"]], axis=1),
                hovertemplate="%{customdata[0]}: F1 %{x:.3f}, %{customdata[1]} rows",
            )
        )
    counts = truth.sum(0)[order]
    names = [f"{label} ({count:,})" for label, count in zip(labels, counts, strict=True)]
    figure.update_xaxes(title="F1", range=[-0.02, 1.02])
    figure.update_yaxes(
        tickvals=np.arange(len(labels)),
        ticktext=names,
        range=[-0.6, len(labels) - 0.4],
        automargin=True,
    )
    subtitle = f"{len(predictions):,} test rows, with 95 % intervals; how many have it in brackets"
    return figures.finish(figure, "F1 by label", subtitle, _height(labels))


def roc_figure(predictions: pd.DataFrame) -> go.Figure:
    """Draw a ROC curve for each label, and one for all pairs of row and label together.

    Args:
        predictions: From `multilabel.predictions_table`.
    """
    truth, values = _flags(predictions, TRUE), values_of(predictions, PROBABILITY)
    baseline = values_of(predictions, BASELINE)
    assert values is not None
    labels = labels_of(predictions)
    figure = go.Figure(figures.chance())
    figures.add_roc_curves(
        figure, {label: (truth[:, k], values[:, k]) for k, label in enumerate(labels)}
    )
    both = [("baseline", baseline, OTHER), ("model", values, MODEL)]
    for name, probabilities, colour in both:
        if probabilities is not None:
            curve = figures.roc_line(truth.ravel(), probabilities.ravel(), f"{name}, all pairs")
            if curve is not None:
                figure.add_trace(curve.update(line={"color": colour, "width": 4}))
    figures.name_rates(figure)
    subtitle = f"{len(predictions):,} test rows · each label against its absence"
    return figures.finish(figure, "ROC curve", subtitle, figures.with_legend(figure))


def reliability_figure(predictions: pd.DataFrame) -> go.Figure:
    """Draw predicted probabilities against observed shares, over all pairs of row and label.

    Args:
        predictions: From `multilabel.predictions_table`.
    """
    figure = figures.reliability_figure(pooled(predictions), positive="yes")
    figure.update_xaxes(title="predicted probability of a label", row=2, col=1)
    figure.update_yaxes(title="observed share", row=1, col=1)
    figure.update_yaxes(title="pairs", row=2, col=1)
    return _of_pairs(figure, predictions)


def probability_figure(predictions: pd.DataFrame) -> go.Figure:
    """Draw how probabilities are spread over the pairs that have the label and that lack it.

    Args:
        predictions: From `multilabel.predictions_table`.
    """
    figure = figures.probability_figure(pooled(predictions), positive="yes")
    for trace, name in zip(figure.data, ("label absent", "label present"), strict=True):
        count = trace.name.rpartition(" ")[2]
        trace.update(name=f"{name} {count}", hovertemplate="%{y:,} pairs near %{x:.2f}")
    figure.update_xaxes(title="probability of a label")
    most = np.log10(max(max(trace.y.max() for trace in figure.data), 1))
    figure.update_yaxes(title="pairs (log scale)", type="log", range=[-0.1, most + 0.1])
    figure.update_layout(barmode="group", bargap=0.05)
    return _of_pairs(figure, predictions)


def _of_pairs(figure: go.Figure, predictions: pd.DataFrame) -> go.Figure:
    labels = len(labels_of(predictions))
    text = f"{len(predictions) * labels:,} pairs: {len(predictions):,} test rows × {labels} labels"
    return figure.update_layout(title={"subtitle": {"text": text}})


def _flags(predictions: pd.DataFrame, prefix: str) -> np.ndarray:
    values = values_of(predictions, prefix)
    assert values is not None
    return values.astype(bool)


def _height(labels: Any) -> int:
    return max(figures.HEIGHT, _ROW * len(labels) + 190)
