"""Nodes of the classifier pipeline: each calls one named thing of `gradual.text`."""

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
from gradual.reports import figures
from gradual.results import predictions as examples
from gradual.results.decisions import f1_thresholds
from gradual.text import multilabel, multilabel_figures, multilabel_report, report
from gradual.text import ngrams as baselines
from gradual.text.classifier import (
    ClassifierConfig,
    classifier_task,
    predict_probabilities,
    train_classifier,
)
from gradual.text.corpus import Corpus
from gradual.text.documents import DocumentsConfig
from gradual.text.labels import as_array, indicators, is_multi_label
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
    documents_config: RootModel[DocumentsConfig],
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
        text_columns=documents_config.root.text_columns,
        store=checkpoints,
        on_epoch=partial(tracking.log_metrics, prefix="classifier"),
    )
    return bundle, history.to_frame()


def plot_training(history: pd.DataFrame) -> go.Figure:
    """Draw loss and accuracy by epoch."""
    return figures.training_figure(history, "Training of the classifier")


def fit_baseline(
    documents: pa.Table, document_splits: pa.Table, config: RootModel[DocumentsConfig]
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Fit TF-IDF with logistic regression on the training rows; predict the test rows.

    Returns:
        One row a test document, one column a class; and the threshold of each label, chosen on the
        validation rows, where a document may have several (empty where it has one).
    """
    labels, train_rows = labels_of(documents), part(document_splits, "train")
    if is_multi_label(labels):
        return _fit_multilabel_baseline(documents, document_splits, config.root)
    classes = sorted(set(labels[train_rows]))
    probabilities = baselines.fit_predict_baseline(
        texts_of(documents, config.root),
        labels,
        train_rows,
        classes=classes,
        predict_rows=part(document_splits, "test"),
    )
    return pd.DataFrame(probabilities, columns=classes), {}


def _fit_multilabel_baseline(
    documents: pa.Table, document_splits: pa.Table, config: DocumentsConfig
) -> tuple[pd.DataFrame, dict[str, float]]:
    labels, train_rows = labels_of(documents), part(document_splits, "train")
    valid, test = part(document_splits, "valid"), part(document_splits, "test")
    classes = sorted(set().union(*labels[train_rows]))
    truth = indicators(labels, classes)
    probabilities = baselines.fit_predict_multilabel_baseline(
        texts_of(documents, config), truth, train_rows, predict_rows=valid | test
    )
    tested = test[valid | test]
    thresholds = f1_thresholds(truth[valid], probabilities[~tested], classes)
    frame = pd.DataFrame(probabilities[tested], columns=classes)
    return frame, dict(zip(classes, thresholds.tolist(), strict=True))


def predict(
    classifier: Bundle,
    corpus: Corpus,
    documents: pa.Table,
    document_splits: pa.Table,
    baseline_probabilities: pd.DataFrame,
    baseline_thresholds: dict[str, float],
    config: RootModel[DocumentsConfig],
) -> pd.DataFrame:
    """Predict the test documents, once, and put both models' answers into one table.

    Returns:
        One row a test document, in the order of the documents.
    """
    rows = np.flatnonzero(part(document_splits, "test"))
    labels, names = labels_of(documents)[rows], classifier.metadata["labels"]
    probabilities = predict_probabilities(classifier, corpus, rows)
    baseline = baseline_probabilities[names].to_numpy()
    sources = documents["source"].take(rows).to_pylist()
    texts = texts_of(documents.take(rows), config.root)
    decision = classifier.metadata["decision"]
    if not classifier.metadata["multi_label"]:
        return examples.predictions_table(
            rows, labels, probabilities, names, baseline_probabilities=baseline,
            sources=sources, texts=texts, abstain_below=decision["abstain_below"],
        )  # fmt: skip
    thresholds = by_label(decision["thresholds"], names)
    return multilabel.predictions_table(
        rows, indicators(labels, names), probabilities, names, thresholds,
        baseline_probabilities=baseline, baseline_thresholds=by_label(baseline_thresholds, names),
        sources=sources, texts=texts,
    )  # fmt: skip


def evaluate(
    predictions: pd.DataFrame,
    documents: pa.Table,
    document_splits: pa.Table,
    classifier: Bundle,
) -> dict[str, Any]:
    """Score classifier, n-gram baseline and a constant answer on the same rows."""
    decision = classifier.metadata["decision"]
    if multilabel.is_multi_label(predictions):
        summary = multilabel_report.multilabel_summary(predictions, decision["thresholds"])
    else:
        train_labels = pd.Series(labels_of(documents)[part(document_splits, "train")])
        summary = report.classifier_summary(
            predictions,
            majority_class=train_labels.value_counts().index[0],
            abstain_below=decision["abstain_below"],
        )
    tracking.log_metrics(
        {
            f"{model}.{name}": value
            for model in ("model", "baseline", "answers")
            for name, value in (summary.get(model) or {}).items()
            if isinstance(value, float) and name != "confidence"
        },
        prefix="classifier",
    )
    logger.info(summary["headline"])
    return summary


def draw(predictions: pd.DataFrame) -> tuple[go.Figure, go.Figure, go.Figure, go.Figure]:
    """Draw confusion matrix, ROC curve, reliability diagram and the spread of probabilities.

    Where a document may have several labels, the first is of labels found, missed, wrongly given.
    """
    if multilabel.is_multi_label(predictions):
        return (
            multilabel_figures.found_and_missed_figure(predictions),
            multilabel_figures.roc_figure(predictions),
            multilabel_figures.reliability_figure(predictions),
            multilabel_figures.probability_figure(predictions),
        )
    return (
        figures.confusion_matrix_figure(predictions),
        figures.roc_figure(predictions),
        figures.reliability_figure(predictions),
        figures.probability_figure(predictions),
    )


def draw_decisions(predictions: pd.DataFrame, classifier_metrics: dict[str, Any]) -> go.Figure:
    """Draw how accurate the surest answers are, or F1 label by label where there may be several."""
    if multilabel.is_multi_label(predictions):
        return multilabel_figures.f1_figure(predictions, classifier_metrics)
    abstain_below = (classifier_metrics["answers"] or {}).get("abstain_below")
    return figures.coverage_figure(predictions, abstain_below)


def choose_examples(predictions: pd.DataFrame) -> pd.DataFrame:
    """Choose the reviews that the classifier got most wrong, most right or was least sure of."""
    if multilabel.is_multi_label(predictions):
        return multilabel.choose_examples(predictions)
    return examples.choose_examples(predictions)


def write_report(
    classifier_metrics: dict[str, Any],
    classifier_training_plot: go.Figure,
    confusion_matrix: go.Figure,
    roc_curve: go.Figure,
    reliability_diagram: go.Figure,
    probability_histogram: go.Figure,
    decisions_plot: go.Figure,
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
        figures=[
            confusion_matrix,
            decisions_plot,
            roc_curve,
            reliability_diagram,
            probability_histogram,
        ],
        examples=review_examples,
        training_figures=[figure for figure in trained if figure is not None],
        language_model=language_model_metrics,
        sample_texts=sample_texts,
        run={"classifier": dataclasses.asdict(config.root)},
    )


def log_model(
    classifier: Bundle, documents: pa.Table, config: RootModel[DocumentsConfig]
) -> dict[str, str | None]:
    """Log the classifier as an MLflow model that takes raw texts, its text columns by name."""
    example = documents.select(config.root.text_columns).slice(0, 3).to_pandas()
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
    """Return each document's label, or list of labels (object array), None where none is known."""
    return as_array(documents["label"].to_pylist())


def by_label(thresholds: dict[str, float], labels: list[str]) -> np.ndarray:
    """Return thresholds (labels,) in the order of some labels."""
    return np.array([thresholds[label] for label in labels])


def texts_of(documents: pa.Table, config: DocumentsConfig) -> list[str]:
    """Return each document's text; several text columns are joined by a line break."""
    columns = [documents[name].to_pylist() for name in config.text_columns]
    return ["\n".join(fields) for fields in zip(*columns, strict=True)]


def part(document_splits: pa.Table, name: str) -> np.ndarray:
    """Return the boolean mask of the classifier's documents of one part."""
    return np.array(document_splits["classifier"].to_pylist(), dtype=object) == name
