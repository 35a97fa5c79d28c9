"""Nodes of the ensemble pipeline: each calls one named thing of `gradual.text`."""

import logging
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import pyarrow as pa

from gradual import tracking
from gradual.reports import page as report
from gradual.text import ensemble_scores as ensemble
from gradual.text import report as text_report
from gradual.training.bundle import Bundle

logger = logging.getLogger(__name__)


def average(forward_predictions: pd.DataFrame, backward_predictions: pd.DataFrame) -> pd.DataFrame:
    """Average the probabilities that both classifiers gave the test documents.

    Returns:
        One row a test document, with the ensemble's, both members' and the baseline's answers.
    """
    return ensemble.average_predictions(forward_predictions, backward_predictions)


def evaluate(predictions: pd.DataFrame) -> tuple[dict[str, Any], go.Figure]:
    """Score ensemble, forward, backward and n-gram baseline on the same rows; draw accuracies."""
    summary = ensemble.ensemble_summary(predictions)
    tracking.log_metrics(
        {
            f"{model}.{name}": value
            for model in ensemble.NAMES
            for name, value in (summary[model] or {}).items()
            if isinstance(value, float) and name != "confidence"
        }
    )
    tracking.log_metrics(
        {name: value["difference"] for name, value in summary["differences"].items()},
        prefix="accuracy_above",
    )
    logger.info(summary["headline"])
    return summary, ensemble.accuracy_figure(summary)


def write_report(
    ensemble_metrics: dict[str, Any],
    accuracy_plot: go.Figure,
    confusion_matrix: go.Figure,
    roc_curve: go.Figure,
    reliability_diagram: go.Figure,
    probability_histogram: go.Figure,
    review_examples: pd.DataFrame,
) -> str:
    """Write one HTML page that says what reading in both directions is worth."""
    return report.html_page(
        "Texts read in both directions",
        ensemble_metrics["headline"],
        [
            report.Section(
                "",
                [
                    report.Table(
                        ensemble.ensemble_scores_table(ensemble_metrics),
                        numbers=tuple(ensemble.NAMES.values()),
                    ),
                    report.Note(
                        "All on the same test rows. Their labels were used for nothing else; "
                        "their texts were also read by the language models, without labels. The "
                        "ensemble's probability is the mean of forward and backward."
                    ),
                    report.Table(ensemble.differences_table(ensemble_metrics)),
                    report.Note(
                        "Points of accuracy; intervals for matched pairs (adjusted Wald), exact "
                        "McNemar test."
                    ),
                ],
            ),
            report.Section(
                "The ensemble's predictions",
                [
                    [
                        accuracy_plot,
                        confusion_matrix,
                        roc_curve,
                        reliability_diagram,
                        probability_histogram,
                    ]
                ],
            ),
            *text_report.example_sections(review_examples),
        ],
    )


def log_model(
    forward_classifier: Bundle, backward_classifier: Bundle, documents: pa.Table
) -> dict[str, str | None]:
    """Log both classifiers as one MLflow model that takes raw texts, text columns by name."""
    columns = forward_classifier.metadata["text_columns"]
    uri = tracking.log_text_ensemble(
        {"forward": forward_classifier, "backward": backward_classifier},
        input_example=documents.select(columns).slice(0, 3).to_pandas(),
    )
    return {"model_uri": uri}
