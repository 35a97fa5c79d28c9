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
from gradual.sources.tables import Source
from gradual.text import multilabel, multilabel_figures, multilabel_report, new_texts, report
from gradual.text.classifier import (
    ClassifierConfig,
    TextClassifier,
    classifier_task,
    predict_probabilities,
    refit_classifier,
    train_classifier,
)
from gradual.text.corpus import Corpus
from gradual.text.documents import DocumentsConfig
from gradual.text.ensemble import TextEnsemble
from gradual.text.labels import as_array, indicators
from gradual.text.ngrams import ngram_answers
from gradual.text.tokenizer import TokenizerConfig
from gradual.text.vocabulary import Vocabulary
from gradual.training.bundle import Bundle, BundleStore
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
) -> tuple[Bundle, pd.DataFrame, pd.DataFrame]:
    """Train the classifier on the language model's encoder by gradual unfreezing.

    Returns:
        The trained classifier; its history, one row an epoch; and what it answered on the
        validation rows, before it was trained on them too if `refit` is set.
    """
    valid = part(document_splits, "valid")
    given = (corpus, vocabulary, labels_of(documents), part(document_splits, "train"), valid)
    bundle, history = train_classifier(
        *given,
        config.root,
        language_model=language_model,
        tokenizer=tokenizer,
        text_columns=documents_config.root.text_columns,
        store=checkpoints,
        on_epoch=partial(tracking.log_metrics, prefix="classifier"),
    )
    answers = pd.DataFrame(
        predict_probabilities(bundle, corpus, valid), columns=bundle.metadata["labels"]
    )
    answers.insert(0, "row", np.flatnonzero(valid))
    if config.root.refit:
        bundle = refit_classifier(
            bundle, history, *given, config.root, language_model=language_model, store=checkpoints
        )
    return bundle, history.to_frame(), answers


def plot_training(history: pd.DataFrame) -> go.Figure:
    """Draw loss and accuracy by epoch."""
    return figures.training_figure(history, "Training of the classifier")


def fit_baseline(
    documents: pa.Table,
    document_splits: pa.Table,
    rivals: BundleStore,
    documents_config: RootModel[DocumentsConfig],
    config: RootModel[ClassifierConfig],
) -> pd.DataFrame:
    """Fit n-grams on the rows that the classifier learns from, unless nothing has changed.

    Returns:
        One row a validation or test document: `row`, `part` and the probability of each class.
    """
    return ngram_answers(
        texts_of(documents, documents_config.root),
        labels_of(documents),
        np.array(document_splits["classifier"].to_pylist(), dtype=object),
        refit=config.root.refit,
        store=rivals,
    )


def predict(
    classifier: Bundle,
    corpus: Corpus,
    documents: pa.Table,
    document_splits: pa.Table,
    valid_probabilities: pd.DataFrame,
    baseline_probabilities: pd.DataFrame,
    config: RootModel[DocumentsConfig],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predict the test documents, and put both models' answers into one table a part.

    Returns:
        One row a test document and one row a validation document, in the order of the documents.
    """
    names = classifier.metadata["labels"]
    test = np.flatnonzero(part(document_splits, "test"))
    found = {
        "test": (test, predict_probabilities(classifier, corpus, test)),
        "valid": (valid_probabilities["row"].to_numpy(), valid_probabilities[names].to_numpy()),
    }
    of_baseline = {
        name: baseline_probabilities.loc[baseline_probabilities["part"] == name, names].to_numpy()
        for name in found
    }
    labels, texts = labels_of(documents), np.array(texts_of(documents, config.root), dtype=object)
    sources = documents["source"].to_numpy()
    decision, tables = classifier.metadata["decision"], []
    for name, (rows, probabilities) in found.items():
        common = {"sources": sources[rows], "texts": texts[rows]}
        if not classifier.metadata["multi_label"]:
            tables.append(
                examples.predictions_table(
                    *(rows, labels[rows], probabilities, names),
                    baseline_probabilities=of_baseline[name],
                    abstain_below=decision["abstain_below"],
                    **common,
                )
            )
            continue
        truth = indicators(labels, names)
        valid_rows = found["valid"][0]
        tables.append(
            multilabel.predictions_table(
                *(rows, truth[rows], probabilities, names),
                by_label(decision["thresholds"], names),
                baseline_probabilities=of_baseline[name],
                baseline_thresholds=f1_thresholds(truth[valid_rows], of_baseline["valid"], names),
                **common,
            )
        )
    return tables[0], tables[1]


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


def predict_new_rows(
    new_rows: Source, tokenizer: RootModel[TokenizerConfig], *classifiers: Bundle
) -> tuple[pd.DataFrame, dict[str, Any], str]:
    """Classify texts that have no label with a stored classifier, or several that answer as one.

    Args:
        new_rows: A table with the classifier's text columns.
        tokenizer: Of the source: what rules of its own a classifier may name.
        classifiers: One, or the members of an ensemble.

    Returns:
        Label and probabilities, one row a row; counts; and a page with both.
    """
    allowed = tokenizer.root.all_rules
    classifier = (
        TextEnsemble.from_bundles(classifiers, allowed_rules=allowed)
        if len(classifiers) > 1
        else TextClassifier.from_bundle(classifiers[0], allowed_rules=allowed)
    )
    return new_texts.classify(new_rows.chunks(), classifier)


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
