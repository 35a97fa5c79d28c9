"""Nodes of the language model pipeline: each calls one named thing of `gradual.text`."""

import dataclasses
import logging
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import RootModel

from gradual import tracking
from gradual.evaluation.figures import range_test_figure, training_figure
from gradual.text import generation
from gradual.text.corpus import Corpus
from gradual.text.generation import GenerationConfig
from gradual.text.language_model import (
    LanguageModelConfig,
    evaluate_language_model,
    language_model_task,
    train_language_model,
)
from gradual.text.tokenizer import TokenizerConfig
from gradual.text.vocabulary import Vocabulary
from gradual.training.bundle import Bundle
from gradual.training.checkpoint import CheckpointStore
from gradual.training.range_test import range_test

logger = logging.getLogger(__name__)


def train(
    corpus: Corpus,
    vocabulary: Vocabulary,
    document_splits: pa.Table,
    pretrained: Bundle | None,
    checkpoints: CheckpointStore,
    tokenizer: RootModel[TokenizerConfig],
    config: RootModel[LanguageModelConfig],
) -> tuple[Bundle, pd.DataFrame]:
    """Train the language model, from a pretrained one or from random weights.

    Returns:
        The trained model and its history, one row an epoch.
    """
    bundle, history = train_language_model(
        corpus,
        vocabulary,
        held_out(document_splits),
        config.root,
        pretrained=pretrained,
        tokenizer=dataclasses.asdict(tokenizer.root),
        store=checkpoints,
        on_epoch=partial(tracking.log_metrics, prefix="language_model"),
    )
    tracking.log_params({"language_model.start": bundle.metadata["start"]})
    return bundle, history.to_frame()


def plot_training(history: pd.DataFrame) -> go.Figure:
    """Draw loss and accuracy by epoch."""
    return training_figure(history, "Training of the language model")


def evaluate(language_model: Bundle, corpus: Corpus, document_splits: pa.Table) -> dict[str, Any]:
    """Measure the language model on its held-out documents, beside a unigram model."""
    rows = held_out(document_splits)
    metrics = evaluate_language_model(language_model, corpus, rows)
    tracking.log_metrics(metrics, prefix="language_model")
    logger.info(
        "Language model on %s held-out documents: perplexity %.1f (unigrams %.1f), "
        "next word right %.1f %% (unigrams %.1f %%).",
        f"{rows.sum():,}",
        metrics["perplexity"],
        metrics["unigram_perplexity"],
        100 * metrics["accuracy"],
        100 * metrics["unigram_accuracy"],
    )
    return {"documents": int(rows.sum()), "start": language_model.metadata["start"], **metrics}


def write_samples(language_model: Bundle, config: RootModel[GenerationConfig]) -> dict[str, str]:
    """Let the language model go on from each configured prompt.

    Returns:
        What it wrote by prompt; several texts of one prompt are parted by an empty line.
    """
    samples: dict[str, str] = {}
    for entry in write_texts(language_model, config):
        before = samples.get(entry["prompt"])
        samples[entry["prompt"]] = f"{before}\n\n{entry['text']}" if before else entry["text"]
    return samples


def write_texts(
    language_model: Bundle, config: RootModel[GenerationConfig]
) -> list[dict[str, str]]:
    """Write texts with the stored language model.

    Returns:
        `prompt` and `text` of each.
    """
    texts = generation.write_texts(language_model, config.root)
    for entry in texts:
        logger.info("The language model writes: %s", entry["text"])
    return texts


def find_learning_rate(
    corpus: Corpus,
    vocabulary: Vocabulary,
    document_splits: pa.Table,
    pretrained: Bundle | None,
    config: RootModel[LanguageModelConfig],
) -> tuple[dict[str, float], go.Figure]:
    """Raise the learning rate until the loss explodes, and suggest one from the curve."""
    task, _ = language_model_task(
        corpus, vocabulary, held_out(document_splits), config.root, pretrained=pretrained
    )
    result = range_test(task, config.root.training)
    logger.info("Suggested learning rates for the language model: %s", result.suggestions)
    return result.suggestions, range_test_figure(result.frame, result.suggestions)


def held_out(document_splits: pa.Table) -> np.ndarray:
    """Return the boolean mask of the documents that the language model does not train on."""
    return pc.equal(document_splits["language_model"], "valid").to_numpy()
