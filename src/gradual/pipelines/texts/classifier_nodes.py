"""Nodes that train, score, report and apply classifiers: each calls one named thing."""

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
from gradual.reports.figures import draw_all, range_test_figure, training_figure
from gradual.reports.page import Material, write
from gradual.sources.reader import SourceRows
from gradual.text import new_texts, report
from gradual.text.classifier import (
    ClassifierConfig,
    classifier_task,
    predict_probabilities,
    refit_classifier,
    train_classifier,
)
from gradual.text.corpus import Corpus
from gradual.text.document_splits import learns_from_test_texts
from gradual.text.documents import DocumentsConfig
from gradual.text.figures import FIGURES
from gradual.text.labels import as_array, class_shares
from gradual.text.metrics import score_predictions, summarise
from gradual.text.ngrams import ngram_answers
from gradual.text.predictions import predict_parts, rows_fingerprint, served_model
from gradual.text.stacking import reader_of, serve, served_bundle
from gradual.text.tokenizer import TokenizerConfig
from gradual.text.vocabulary import Vocabulary
from gradual.tracking.run import current_namespace
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
    return training_figure(history, "Training of the classifier")


def fit_baseline(
    documents: pa.Table,
    document_splits: pa.Table,
    rivals: BundleStore,
    documents_config: RootModel[DocumentsConfig],
    config: RootModel[ClassifierConfig],
) -> tuple[pd.DataFrame, Bundle]:
    """Fit n-grams on the rows that the classifier learns from, unless nothing has changed.

    Returns:
        One row a validation or test document: `row`, `part` and the probability of each class; and
        the n-grams that answered the test documents.
    """
    return ngram_answers(
        texts_of(documents, documents_config.root),
        labels_of(documents),
        parts_of(document_splits),
        text_columns=documents_config.root.text_columns,
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
    documents_config: RootModel[DocumentsConfig],
    config: RootModel[ClassifierConfig],
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Predict the test documents, and choose on the validation documents what is served.

    Returns:
        One row a test document and one row a validation document, in the order of the documents,
        with the answers of classifier, n-grams and their stack; and the choice.
    """
    test = np.flatnonzero(part(document_splits, "test"))
    valid = valid_probabilities[classifier.metadata["labels"]].to_numpy()
    tables = predict_parts(
        classifier,
        {
            "test": (test, predict_probabilities(classifier, corpus, test)),
            "valid": (valid_probabilities["row"].to_numpy(), valid),
        },
        baseline_probabilities,
        labels=labels_of(documents),
        sources=documents["source"].to_numpy(),
        texts=np.array(texts_of(documents, documents_config.root), dtype=object),
    )
    on_test, on_valid, choice = serve(
        tables["test"], tables["valid"], config.root, decision=classifier.metadata["decision"]
    )
    return on_test, on_valid, dataclasses.asdict(choice)


def join(classifier: Bundle, ngrams: Bundle, choice: dict[str, Any]) -> Bundle:
    """Return the model that answers new texts: classifier, n-grams or both as one."""
    return served_bundle(classifier, ngrams, choice)


def evaluate(
    predictions: pd.DataFrame,
    valid_predictions: pd.DataFrame,
    documents: pa.Table,
    document_splits: pa.Table,
    classifier: Bundle,
    choice: dict[str, Any],
    language_model_scores: pd.DataFrame | None = None,
    language_model_summary: dict[str, Any] | None = None,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Score classifier, n-grams, stack and a constant answer on test and validation rows.

    Returns:
        Result rows, those of the language model among them where it was trained here; and the
        result in words.
    """
    shares = class_shares(labels_of(documents)[part(document_splits, "train")])
    source, model = current_namespace(), served_model(predictions)
    score = partial(score_predictions, source=source, model=model, shares=shares)
    scored, test = score(predictions, part="test")
    on_valid, valid = score(valid_predictions, part="valid")
    scores = pd.concat([test, valid], ignore_index=True)
    summary = summarise(
        scored,
        scores,
        model=model,
        on_valid=on_valid,
        choice=choice,
        metadata=classifier.metadata,
        reads_test_texts=learns_from_test_texts(document_splits),
        looks=tracking.count_looks(rows_fingerprint(predictions)),
    )
    tracking.log_results(scores, summary)
    if language_model_scores is not None:
        scores = pd.concat([scores, language_model_scores], ignore_index=True)
    return scores, summary | {"language_model": language_model_summary}


def draw(predictions: pd.DataFrame, scores: pd.DataFrame) -> dict[str, go.Figure]:
    """Draw the set of figures about the predictions."""
    return draw_all(FIGURES, predictions, scores)


def write_report(
    summary: dict[str, Any],
    scores: pd.DataFrame,
    review_examples: pd.DataFrame,
    config: RootModel[ClassifierConfig],
    sample_texts: dict[str, str] | None = None,
    **figures: go.Figure,
) -> str:
    """Write one HTML page that says how good the models are and what they do."""
    return write(
        "Texts: language model and classifier" if sample_texts else "Texts: a second classifier",
        report.CLASSIFIER,
        Material(
            summary | {"sample_texts": sample_texts},
            scores,
            figures,
            {"review_examples": review_examples},
            {"classifier": dataclasses.asdict(config.root)},
        ),
    )


def log_model(
    served: Bundle,
    documents: pa.Table,
    config: RootModel[DocumentsConfig],
    tokenizer: RootModel[TokenizerConfig],
    registration: RootModel[tracking.Registration],
) -> dict[str, str | None]:
    """Log what is served as an MLflow model that takes raw texts, its text columns by name."""
    example = documents.select(config.root.text_columns).slice(0, 3).to_pandas()
    uri = tracking.log_model(
        served,
        input_example=example,
        registration=registration.root,
        name="classifier",
        allowed_rules=tokenizer.root.all_rules,
    )
    return {"model_uri": uri}


def predict_new_rows(
    new_rows: SourceRows,
    tokenizer: RootModel[TokenizerConfig],
    served: Bundle,
    logged_model: dict[str, Any] | None,  # noqa: ARG001 - puts the training first
) -> tuple[pa.RecordBatchReader, dict[str, Any], str]:
    """Classify texts that have no label with what a stored run chose to serve.

    Args:
        new_rows: A table with the model's text columns.
        tokenizer: Of the source: what rules of its own a model may name.
        served: A classifier, an ensemble, n-grams or a stack.
        logged_model: Of the run that trains it, which comes first where both are run at once.

    Returns:
        Label and probabilities of each row; counts; and a page with both.
    """
    reader = reader_of(served, allowed_rules=tokenizer.root.all_rules)
    answers, counts, page = new_texts.classify(new_rows.chunks(as_text=True), reader)
    return answers, {"model": served.origin, **counts}, page


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
    return result.suggestions, range_test_figure(result.frame, result.suggestions)


def labels_of(documents: pa.Table) -> np.ndarray:
    """Return each document's label, or list of labels (object array), None where none is known."""
    return as_array(documents["label"].to_pylist())


def texts_of(documents: pa.Table, config: DocumentsConfig) -> list[str]:
    """Return each document's text; several text columns are joined by a line break."""
    columns = [documents[name].to_pylist() for name in config.text_columns]
    return ["\n".join(fields) for fields in zip(*columns, strict=True)]


def parts_of(document_splits: pa.Table) -> np.ndarray:
    """Return the part of each document for the classifier, None where it has none."""
    return np.array(document_splits["classifier"].to_pylist(), dtype=object)


def part(document_splits: pa.Table, name: str) -> np.ndarray:
    """Return the boolean mask of the classifier's documents of one part."""
    return parts_of(document_splits) == name
