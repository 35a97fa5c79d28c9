"""Nodes of the classifier pipeline: each calls one named thing of the methods or the evaluation."""

import dataclasses
import logging
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pyarrow as pa
from pydantic import RootModel

from gradual import tracking
from gradual.evaluation import baselines, examples, figures, report
from gradual.text.classifier import (
    ClassifierConfig,
    classifier_task,
    predict_probabilities,
    train_classifier,
)
from gradual.text.corpus import Corpus
from gradual.text.documents import DocumentsConfig
from gradual.text.vocabulary import Vocabulary
from gradual.training.bundle import Bundle
from gradual.training.checkpoint import CheckpointStore
from gradual.training.range_test import range_test

logger = logging.getLogger(__name__)


def train(
    corpus: Corpus,
    vocabulary: Vocabulary,
    documents: pa.Table,
    document_splits: pa.Table,
    language_model: Bundle,
    checkpoints: CheckpointStore,
    tokenizer: dict[str, Any],
    config: RootModel[ClassifierConfig],
) -> tuple[Bundle, pd.DataFrame]:
    """Train the classifier on the language model's encoder by gradual unfreezing.

    Returns:
        The trained classifier and its history, one row an epoch.
    """
    bundle, history = train_classifier(
        corpus,
        vocabulary,
        labels_of(documents),
        part(document_splits, "train"),
        part(document_splits, "valid"),
        config.root,
        language_model=language_model,
        tokenizer=tokenizer,
        store=checkpoints,
        on_epoch=partial(tracking.log_metrics, prefix="classifier"),
    )
    return bundle, history.to_frame()


def plot_training(history: pd.DataFrame) -> go.Figure:
    """Draw loss and accuracy by epoch."""
    return figures.training_figure(history, "Training of the classifier")


def fit_baseline(
    documents: pa.Table, document_splits: pa.Table, config: RootModel[DocumentsConfig]
) -> pd.DataFrame:
    """Fit TF-IDF with logistic regression on the training rows; predict the test rows.

    Returns:
        One row a test document, one column a class.
    """
    labels, train_rows = labels_of(documents), part(document_splits, "train")
    classes = sorted(set(labels[train_rows]))
    probabilities = baselines.fit_predict_baseline(
        texts_of(documents, config.root),
        labels,
        train_rows,
        classes=classes,
        predict_rows=part(document_splits, "test"),
    )
    return pd.DataFrame(probabilities, columns=classes)


def predict(
    classifier: Bundle,
    corpus: Corpus,
    documents: pa.Table,
    document_splits: pa.Table,
    baseline_probabilities: pd.DataFrame,
    config: RootModel[DocumentsConfig],
) -> pd.DataFrame:
    """Predict the test documents, once, and put both models' answers into one table.

    Returns:
        One row a test document, in the order of the documents.
    """
    rows = np.flatnonzero(part(document_splits, "test"))
    return examples.predictions_table(
        rows,
        labels_of(documents)[rows],
        predict_probabilities(classifier, corpus, rows),
        classifier.metadata["labels"],
        baseline_probabilities=baseline_probabilities[classifier.metadata["labels"]].to_numpy(),
        sources=documents["source"].take(rows).to_pylist(),
        texts=texts_of(documents.take(rows), config.root),
    )


def evaluate(
    predictions: pd.DataFrame, documents: pa.Table, document_splits: pa.Table
) -> dict[str, Any]:
    """Score classifier, n-gram baseline and majority class on the same rows."""
    train_labels = pd.Series(labels_of(documents)[part(document_splits, "train")])
    summary = report.classifier_summary(
        predictions, majority_class=train_labels.value_counts().index[0]
    )
    tracking.log_metrics(
        {
            f"{model}.{name}": value
            for model in ("model", "baseline")
            for name, value in summary[model].items()
            if isinstance(value, float) and name != "confidence"
        },
        prefix="classifier",
    )
    logger.info(summary["headline"])
    return summary


def draw(predictions: pd.DataFrame) -> tuple[go.Figure, go.Figure, go.Figure, go.Figure]:
    """Draw confusion matrix, ROC curve, reliability diagram and the spread of probabilities."""
    return (
        figures.confusion_matrix_figure(predictions),
        figures.roc_figure(predictions),
        figures.reliability_figure(predictions),
        figures.probability_figure(predictions),
    )


def choose_examples(predictions: pd.DataFrame) -> pd.DataFrame:
    """Choose the reviews that the classifier got most wrong, most right or was least sure of."""
    return examples.choose_examples(predictions)


def write_report(
    classifier_metrics: dict[str, Any],
    classifier_training_plot: go.Figure,
    confusion_matrix: go.Figure,
    roc_curve: go.Figure,
    reliability_diagram: go.Figure,
    probability_histogram: go.Figure,
    review_examples: pd.DataFrame,
    config: RootModel[ClassifierConfig],
    language_model_metrics: dict[str, Any] | None = None,
    sample_texts: dict[str, str] | None = None,
    language_model_training_plot: go.Figure | None = None,
) -> str:
    """Write one HTML page that says how good the models are and what they do.

    What is said of the language model is left out where it was trained elsewhere.
    """
    trained = [language_model_training_plot, classifier_training_plot]
    return report.html_report(
        classifier_metrics,
        title="Texts: language model and classifier"
        if language_model_metrics
        else "Texts: a classifier on a language model that was there already",
        figures=[confusion_matrix, roc_curve, reliability_diagram, probability_histogram],
        examples=review_examples,
        training_figures=[figure for figure in trained if figure is not None],
        language_model=language_model_metrics,
        sample_texts=sample_texts,
        run={"classifier": dataclasses.asdict(config.root)},
    )


def log_model(
    classifier: Bundle, documents: pa.Table, config: RootModel[DocumentsConfig]
) -> dict[str, str | None]:
    """Log the classifier as an MLflow model that takes raw texts."""
    example = texts_of(documents.slice(0, 3), config.root)
    return {"model_uri": tracking.log_text_classifier(classifier, input_example=example)}


def find_learning_rate(
    corpus: Corpus,
    vocabulary: Vocabulary,
    documents: pa.Table,
    document_splits: pa.Table,
    language_model: Bundle,
    config: RootModel[ClassifierConfig],
) -> tuple[dict[str, float], go.Figure]:
    """Raise the learning rate until the loss explodes, and suggest one from the curve."""
    task, _ = classifier_task(
        corpus,
        vocabulary,
        labels_of(documents),
        part(document_splits, "train"),
        part(document_splits, "valid"),
        config.root,
        language_model=language_model,
    )
    result = range_test(task, config.root.training)
    logger.info("Suggested learning rates for the classifier's head: %s", result.suggestions)
    return result.suggestions, figures.range_test_figure(result.frame, result.suggestions)


def labels_of(documents: pa.Table) -> np.ndarray:
    """Return each document's label (object array), None where there is none."""
    return np.array(documents["label"].to_pylist(), dtype=object)


def texts_of(documents: pa.Table, config: DocumentsConfig) -> list[str]:
    """Return each document's text; several text columns are joined by a line break."""
    columns = [documents[name].to_pylist() for name in config.text_columns]
    return ["\n".join(fields) for fields in zip(*columns, strict=True)]


def part(document_splits: pa.Table, name: str) -> np.ndarray:
    """Return the boolean mask of the classifier's documents of one part."""
    return np.array(document_splits["classifier"].to_pylist(), dtype=object) == name
