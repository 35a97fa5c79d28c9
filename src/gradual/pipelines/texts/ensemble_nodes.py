"""Nodes that make one answer of a forward and a backward classifier's."""

import dataclasses
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from pydantic import RootModel

from gradual import tracking
from gradual.reports.page import Material, write
from gradual.text import report
from gradual.text.classifier import ClassifierConfig
from gradual.text.ensemble import ensemble_bundle
from gradual.text.metrics import score_predictions, summarise
from gradual.text.predictions import average_predictions, rows_fingerprint, served_model
from gradual.text.stacking import serve, served_bundle
from gradual.tracking.run import current_namespace
from gradual.training.bundle import Bundle


def average(
    forward_predictions: pd.DataFrame,
    backward_predictions: pd.DataFrame,
    forward_valid_predictions: pd.DataFrame,
    backward_valid_predictions: pd.DataFrame,
    config: RootModel[ClassifierConfig],
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Average the probabilities that both classifiers gave, and choose what is served.

    Returns:
        One row a test document, and one a validation document, with the answers of ensemble, both
        members, n-grams and their stack with the ensemble; and the choice.
    """
    on_test, on_valid, choice = serve(
        average_predictions(forward_predictions, backward_predictions),
        average_predictions(forward_valid_predictions, backward_valid_predictions),
        config.root,
        net="ensemble",
    )
    return on_test, on_valid, dataclasses.asdict(choice)


def evaluate(
    predictions: pd.DataFrame, valid_predictions: pd.DataFrame, choice: dict[str, Any]
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Score ensemble, forward, backward, n-grams and stack on the same rows.

    Returns:
        Result rows, and the result in words.
    """
    source, model = current_namespace(), served_model(predictions, "ensemble")
    scored, test = score_predictions(predictions, source=source, part="test", model=model)
    on_valid, valid = score_predictions(valid_predictions, source=source, part="valid", model=model)
    scores = pd.concat([test, valid], ignore_index=True)
    looks = tracking.count_looks(rows_fingerprint(predictions))
    summary = summarise(
        scored,
        scores,
        model=model,
        on_valid=on_valid,
        choice=choice,
        reads_test_texts=True,
        looks=looks,
    )
    tracking.log_results(scores, summary)
    return scores, summary


def write_report(
    summary: dict[str, Any],
    scores: pd.DataFrame,
    review_examples: pd.DataFrame,
    **figures: go.Figure,
) -> str:
    """Write one HTML page that says what reading in both directions is worth."""
    tables = {"review_examples": review_examples}
    material = Material(summary, scores, figures, tables)
    return write("Texts read in both directions", report.ENSEMBLE, material)


def join(
    forward_classifier: Bundle, backward_classifier: Bundle, ngrams: Bundle, choice: dict[str, Any]
) -> tuple[Bundle, Bundle]:
    """Make one model of both classifiers, and one of what is served: that, n-grams, or all."""
    both = ensemble_bundle([forward_classifier, backward_classifier])
    return both, served_bundle(both, ngrams, choice)
