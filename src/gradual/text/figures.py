"""Figures about predictions, one label a row or several: `FIGURES` is the whole set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from gradual.reports import figures as kit
from gradual.reports.figures import GREY, MODEL, OTHER
from gradual.results.predictions import PROBABILITY
from gradual.results.table import means
from gradual.text.metrics import LABEL, NAMES
from gradual.text.predictions import (
    PREDICTED,
    TRUE,
    is_multi_label,
    labels_of,
    pooled,
    probabilities_by,
    served_model,
    values_of,
)

_ROW = 28  # pixels that a label takes


def confusion_matrix(predictions: pd.DataFrame, _: pd.DataFrame) -> go.Figure:
    """Draw what was predicted as what, or which labels were found, missed and wrongly given."""
    if is_multi_label(predictions):
        return _found_and_missed(predictions)
    return kit.confusion_matrix_figure(predictions)


def comparison(predictions: pd.DataFrame, scores: pd.DataFrame) -> go.Figure | None:
    """Draw the scores of all models with their intervals."""
    both = (scores["model"] == "ensemble").any()
    chosen = served_model(predictions, "ensemble" if both else "classifier")
    metrics = ["accuracy", "roc_auc", "micro_f1", "macro_f1"]
    found = [name for name in metrics if (scores["metric"] == name).any()]
    models = scores[scores["metric"].isin(found)]
    return kit.comparison_figure(models, chosen, names=NAMES, metrics=found)


def roc(predictions: pd.DataFrame, _: pd.DataFrame) -> go.Figure:
    """Draw ROC curves of model and baseline, by label where a row may have several."""
    if not is_multi_label(predictions):
        return kit.roc_figure(predictions)
    truth = values_of(predictions, TRUE).astype(bool)
    figure = go.Figure(kit.diagonal("chance"))
    values = values_of(predictions, PROBABILITY)
    curves = {name: (truth[:, k], values[:, k]) for k, name in enumerate(labels_of(predictions))}
    kit.add_roc_curves(figure, curves)
    colours = {"ngrams": OTHER, "classifier": MODEL}
    found = probabilities_by(predictions, "classifier")
    for name in (name for name in colours if name in found):
        curve = kit.roc_line(truth.ravel(), found[name].ravel(), f"{NAMES[name]}, all pairs")
        if curve is not None:
            figure.add_trace(curve.update(line={"color": colours[name], "width": 4}))
    kit.name_rates(figure)
    subtitle = f"{len(predictions):,} test rows · each label against its absence"
    return kit.finish(figure, "ROC curve", subtitle, kit.with_legend(figure))


def reliability(predictions: pd.DataFrame, _: pd.DataFrame) -> go.Figure:
    """Draw predicted probabilities against observed shares, over all pairs of row and label."""
    if not is_multi_label(predictions):
        return kit.reliability_figure(predictions)
    figure = kit.reliability_figure(pooled(predictions), positive="yes")
    figure.update_xaxes(title="predicted probability of a label", row=2, col=1)
    figure.update_yaxes(title="observed share", row=1, col=1)
    figure.update_yaxes(title="pairs", row=2, col=1)
    return _of_pairs(figure, predictions)


def probabilities(predictions: pd.DataFrame, _: pd.DataFrame) -> go.Figure:
    """Draw how probabilities are spread over the rows of each class."""
    if not is_multi_label(predictions):
        return kit.probability_figure(predictions)
    figure = kit.probability_figure(pooled(predictions), positive="yes")
    for trace, name in zip(figure.data, ("label absent", "label present"), strict=True):
        count = trace.name.rpartition(" ")[2]
        hover = "%{y:,} pairs near %{x:.2f}"
        trace.update(name=f"{name} {count}", width=None, hovertemplate=hover)
    figure.update_xaxes(title="probability of a label")
    most = np.log10(max(max(trace.y.max() for trace in figure.data), 1))
    figure.update_yaxes(title="pairs (log scale)", type="log", range=[-0.1, most + 0.1], dtick=1)
    figure.update_layout(barmode="group", bargap=0.05)
    return _of_pairs(figure, predictions)


def decisions(predictions: pd.DataFrame, scores: pd.DataFrame) -> go.Figure:
    """Draw how accurate the surest answers are, or F1 label by label where there are several."""
    if is_multi_label(predictions):
        return _label_f1(predictions, scores)
    answered = predictions.get("answered")
    threshold = None
    if answered is not None:
        sure = values_of(predictions, PROBABILITY).max(axis=1)[answered.to_numpy(bool)]
        threshold = float(sure.min()) if len(sure) else 1.0
    return kit.coverage_figure(predictions, threshold)


FIGURES: dict[str, Callable[[pd.DataFrame, pd.DataFrame], go.Figure | None]] = {
    "comparison": comparison,
    "confusion_matrix": confusion_matrix,
    "decisions": decisions,
    "roc": roc,
    "reliability": reliability,
    "probabilities": probabilities,
}
"""By name, what is drawn of predictions and result rows; None where there is nothing to draw."""


def _found_and_missed(predictions: pd.DataFrame) -> go.Figure:
    """Draw for each label how many rows had it and got it, missed it, or got it wrongly."""
    truth, predicted = (values_of(predictions, p).astype(bool) for p in (TRUE, PREDICTED))
    order = np.argsort(truth.sum(0), kind="stable")  # the most frequent at the top
    labels = np.array(labels_of(predictions), dtype=object)[order]
    figure = go.Figure()
    for name, counts, colour in (
        ("found", (truth & predicted).sum(0), kit.PALETTE[2]),
        ("missed", (truth & ~predicted).sum(0), GREY),
        ("wrongly given", (~truth & predicted).sum(0), kit.PALETTE[4]),
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
    return kit.finish(figure, "Labels found, missed, wrongly given", subtitle, _height(labels))


def _label_f1(predictions: pd.DataFrame, scores: pd.DataFrame) -> go.Figure:
    """Draw each label's F1 with its interval, of classifier and n-grams."""
    counts = values_of(predictions, TRUE).sum(axis=0)
    order = np.argsort(counts, kind="stable")
    labels = [labels_of(predictions)[k] for k in order]
    rows = means(scores, "test", None)
    rows = rows[rows["metric"] == "label_f1"].set_index(["model", "slice"])
    figure = go.Figure()
    for name, colour, shift in (("ngrams", OTHER, -0.16), ("classifier", MODEL, 0.16)):
        own = rows.reindex([(name, LABEL + label) for label in labels])
        figure.add_trace(
            go.Scatter(
                x=own["value"],
                y=np.arange(len(labels)) + shift,
                error_x=kit.bars(own, thickness=1.5),
                mode="markers",
                marker={"color": colour, "size": 9},
                name=NAMES[name],
                customdata=labels,
                hovertemplate="%{customdata}: F1 %{x:.3f}",
            )
        )
    names = [f"{label} ({counts[k]:,})" for label, k in zip(labels, order, strict=True)]
    figure.update_xaxes(title="F1", range=[-0.02, 1.02])
    figure.update_yaxes(
        tickvals=np.arange(len(labels)),
        ticktext=names,
        range=[-0.6, len(labels) - 0.4],
        automargin=True,
    )
    subtitle = f"{len(predictions):,} test rows, with 95 % intervals; how many have it in brackets"
    return kit.finish(figure, "F1 by label", subtitle, _height(labels))


def _of_pairs(figure: go.Figure, predictions: pd.DataFrame) -> go.Figure:
    labels = len(labels_of(predictions))
    text = f"{len(predictions) * labels:,} pairs: {len(predictions):,} test rows × {labels} labels"
    return figure.update_layout(title={"subtitle": {"text": text}})


def _height(labels: Any) -> int:
    return max(kit.HEIGHT, _ROW * len(labels) + 190)
