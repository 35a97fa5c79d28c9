"""A forward and a backward classifier, and their mean, on the same test rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from gradual.reports.figures import MODEL, OTHER, finish
from gradual.results.classification import classification_report
from gradual.results.comparison import compare_accuracy
from gradual.results.predictions import BASELINE, classes_of, predictions_table, probabilities_of
from gradual.text.report import scores_table

FORWARD, BACKWARD = "forward_probability_", "backward_probability_"
NAMES = {
    "ensemble": "Ensemble",
    "forward": "Forward",
    "backward": "Backward",
    "baseline": "N-gram baseline",
}


def average_predictions(forward: pd.DataFrame, backward: pd.DataFrame) -> pd.DataFrame:
    """Average the probabilities of two classifiers on the same rows.

    Args:
        forward: From `examples.predictions_table`, with sources; its baseline is kept.
        backward: The same of the other classifier; row `i` of both is the same document.

    Returns:
        The ensemble's predictions table, with ``forward_predicted``, ``forward_correct`` and
        ``forward_probability_<class>``, and the same of ``backward``.

    Raises:
        ValueError: The tables differ in rows, sources, labels or classes.
    """
    check_same_rows(forward, backward)
    classes = classes_of(forward)
    own, other = probabilities_of(forward), probabilities_of(backward)
    assert own is not None
    assert other is not None
    table = predictions_table(
        forward["row"].to_numpy(),
        forward["label"].to_numpy(object),
        (own + other) / 2,
        classes,
        baseline_probabilities=probabilities_of(forward, BASELINE),
        sources=forward["source"].tolist(),
        texts=forward["text"].tolist() if "text" in forward else None,
    )
    members = {
        f"{name}_{column}": predictions[column].to_numpy()
        for name, predictions in (("forward", forward), ("backward", backward))
        for column in ("predicted", "correct", *(f"probability_{label}" for label in classes))
    }
    return table.assign(**members)


def check_same_rows(forward: pd.DataFrame, backward: pd.DataFrame) -> None:
    """Raise ValueError unless two predictions tables are of the same documents."""
    remedy = (
        "run both pipelines with the same data source and the same settings of documents and "
        "classifier_split"
    )
    if classes_of(forward) != classes_of(backward):
        raise ValueError(
            f"the forward predictions are of the classes {list(classes_of(forward))}, the backward "
            f"ones of {list(classes_of(backward))}: {remedy}"
        )
    if len(forward) != len(backward):
        raise ValueError(
            f"there are forward predictions of {len(forward):,} rows and backward ones of "
            f"{len(backward):,}: {remedy}"
        )
    for column in ("source", "label"):
        for name, table in (("forward", forward), ("backward", backward)):
            if column not in table:
                raise ValueError(f"the {name} predictions have no column {column!r}: {remedy}")
        ours, theirs = forward[column].to_numpy(object), backward[column].to_numpy(object)
        if (ours != theirs).any():
            row = int(np.flatnonzero(ours != theirs)[0])
            raise ValueError(
                f"row {row} of the forward predictions ({forward['source'].iloc[row]}) has the "
                f"{column} {ours[row]!r}, of the backward ones {theirs[row]!r}: {remedy}"
            )


def ensemble_summary(predictions: pd.DataFrame, *, confidence: float = 0.95) -> dict[str, Any]:
    """Score ensemble, forward and backward classifier and n-gram baseline on the same rows.

    Args:
        predictions: From `average_predictions`, of the test rows.
        confidence: Coverage of all intervals.

    Returns:
        What JSON can hold: ``headline``, ``rows``, a `metrics.classification_report` each under
        ``ensemble``, ``forward``, ``backward`` and ``baseline`` (None if the table has none), and
        ``differences``: `comparison.compare_accuracy` of the ensemble minus each of the others.
    """
    classes = classes_of(predictions)
    labels = predictions["label"].to_numpy(object)
    prefixes = {
        "ensemble": "probability_",
        "forward": FORWARD,
        "backward": BACKWARD,
        "baseline": BASELINE,
    }
    summary: dict[str, Any] = {"rows": len(predictions)}
    for name, prefix in prefixes.items():
        probabilities = probabilities_of(predictions, prefix)
        summary[name] = (
            None
            if probabilities is None
            else classification_report(labels, probabilities, classes, confidence=confidence)
        )
    summary["differences"] = {
        name: compare_accuracy(
            predictions["correct"].to_numpy(bool),
            predictions[f"{name}_correct"].to_numpy(bool),
            confidence,
        )
        for name in ("forward", "backward", "baseline")
        if summary[name]
    }
    return {"headline": _headline(summary), **summary}


def _headline(summary: Mapping[str, Any]) -> str:
    def share(name: str) -> str:
        report = summary[name]
        low, high = report["accuracy_interval"]
        return f"{report['accuracy']:.1%} [{low:.1%}, {high:.1%}]"

    difference = summary["differences"]["forward"]
    low, high = (100 * value for value in difference["interval"])
    text = (
        f"Accuracy on {summary['rows']:,} test rows ({difference['confidence']:.0%} intervals): "
        f"forward {share('forward')}, backward {share('backward')}, ensemble {share('ensemble')}; "
        f"ensemble minus forward {100 * difference['difference']:+.1f} points "
        f"[{low:+.1f}, {high:+.1f}]"
    )
    if summary["baseline"]:
        text += f"; n-gram baseline {share('baseline')}"
    return text + "."


def ensemble_scores_table(summary: Mapping[str, Any]) -> pd.DataFrame:
    """Return the scores of all models as texts, a row for each score.

    Args:
        summary: From `ensemble_summary`.
    """
    tables = {
        title: scores_table({"model": summary[name]})
        for name, title in NAMES.items()
        if summary[name]
    }
    first = next(iter(tables.values()))
    columns = {title: table["Model"] for title, table in tables.items()}
    return pd.DataFrame({"Score": first["Score"], **columns, "Better": first["Better"]})


def differences_table(summary: Mapping[str, Any]) -> pd.DataFrame:
    """Return how the ensemble differs from each of the others, in points of accuracy.

    Args:
        summary: From `ensemble_summary`.
    """
    rows = []
    for name, difference in summary["differences"].items():
        low, high = (100 * value for value in difference["interval"])
        rows.append(
            {
                "Ensemble minus": NAMES[name],
                "Points": f"{100 * difference['difference']:+.1f} [{low:+.1f}, {high:+.1f}]",
                "Only ensemble right": f"{difference['only_first_right']:,}",
                "Only the other right": f"{difference['only_other_right']:,}",
                "McNemar p": f"{difference['p_value']:.2g}",
            }
        )
    return pd.DataFrame(rows)


def accuracy_figure(summary: Mapping[str, Any]) -> go.Figure:
    """Draw each model's accuracy with its interval.

    Args:
        summary: From `ensemble_summary`.
    """
    names = [name for name in reversed(NAMES) if summary[name]]
    shares = np.array([summary[name]["accuracy"] for name in names])
    intervals = np.array([summary[name]["accuracy_interval"] for name in names])
    figure = go.Figure(
        go.Scatter(
            x=shares,
            y=[NAMES[name] for name in names],
            mode="markers+text",
            text=[f"{share:.1%}" for share in shares],
            textposition="top center",
            marker={
                "size": 12,
                "color": [OTHER if name == "baseline" else MODEL for name in names],
                "symbol": ["diamond" if name == "ensemble" else "circle" for name in names],
            },
            error_x={
                "type": "data",
                "symmetric": False,
                "array": intervals[:, 1] - shares,
                "arrayminus": shares - intervals[:, 0],
                "thickness": 1.5,
            },
            hovertemplate="%{y}: %{x:.2%}<extra></extra>",
        )
    )
    figure.update_xaxes(title="accuracy", tickformat=".0%")
    figure.update_yaxes(range=[-0.6, len(names) - 0.3])
    confidence = summary["ensemble"]["confidence"]
    subtitle = f"{summary['rows']:,} test rows, {confidence:.0%} intervals (Wilson)"
    return finish(figure, "Accuracy of each model", subtitle)
