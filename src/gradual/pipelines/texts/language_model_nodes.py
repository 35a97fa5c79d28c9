"""Nodes of the language model pipeline: each calls one named thing of `gradual.text`."""

import logging
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, RootModel

from gradual import tracking
from gradual.reports.figures import range_test_figure, training_figure
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


class Registration(BaseModel, extra="forbid", frozen=True):
    """Under which names a model is registered.

    Attributes:
        registered_name: Name in MLflow's model registry; None logs the model without registering.
        alias: Points to the version registered last; None for no alias.
    """

    registered_name: str | None = None
    alias: str | None = None


def train(
    corpus: Corpus,
    vocabulary: Vocabulary,
    document_splits: pa.Table,
    pretrained: Bundle | None,
    checkpoints: CheckpointStore,
    tokenizer: dict[str, Any],
    config: RootModel[LanguageModelConfig],
) -> tuple[Bundle, pd.DataFrame]:
    """Train the language model, from a pretrained one or from random weights.

    Returns:
        The trained model and its history, one row an epoch.
    """
    bundle, history = train_language_model(
        corpus,
        vocabulary,
        part(document_splits, "valid"),
        config.root,
        train_rows=part(document_splits, "train"),
        pretrained=pretrained,
        tokenizer=tokenizer,
        store=checkpoints,
        on_epoch=partial(tracking.log_metrics, prefix="language_model"),
    )
    start = bundle.metadata["start"]
    tracking.log_params(
        {
            "language_model.start": start
            if pretrained is None
            else start | {"source": pretrained.origin}
        }
    )
    return bundle, history.to_frame()


def plot_training(history: pd.DataFrame) -> go.Figure:
    """Draw loss and accuracy by epoch."""
    return training_figure(history, "Training of the language model")


def evaluate(language_model: Bundle, corpus: Corpus, document_splits: pa.Table) -> dict[str, Any]:
    """Measure the language model on its held-out documents, beside a unigram model.

    Returns:
        Figures of the validation documents; those of the test documents, where the source has
        some for the language model, under `test`.
    """
    metrics = {"documents": 0, "start": language_model.metadata["start"]}
    for name in ("valid", "test"):
        rows = part(document_splits, name)
        if not rows.any():
            continue
        figures = evaluate_language_model(
            language_model, corpus, rows, train_rows=part(document_splits, "train")
        )
        prefix = "language_model" if name == "valid" else f"language_model.{name}"
        tracking.log_metrics(figures, prefix=prefix)
        logger.info(
            "Language model on %s %s documents: perplexity %.1f (unigrams %.1f), "
            "next word right %.1f %% (unigrams %.1f %%).",
            f"{rows.sum():,}",
            "held-out" if name == "valid" else name,
            figures["perplexity"],
            figures["unigram_perplexity"],
            100 * figures["accuracy"],
            100 * figures["unigram_accuracy"],
        )
        figures = {"documents": int(rows.sum()), **figures}
        metrics |= figures if name == "valid" else {name: figures}
    return metrics


def write_samples(
    language_model: Bundle,
    config: RootModel[GenerationConfig],
    tokenizer: RootModel[TokenizerConfig],
) -> dict[str, str]:
    """Let the language model go on from each configured prompt.

    Returns:
        What it wrote by prompt; several texts of one prompt are parted by an empty line.
    """
    samples: dict[str, str] = {}
    for entry in write_texts(language_model, config, tokenizer):
        before = samples.get(entry["prompt"])
        samples[entry["prompt"]] = f"{before}\n\n{entry['text']}" if before else entry["text"]
    return samples


def write_texts(
    language_model: Bundle,
    config: RootModel[GenerationConfig],
    tokenizer: RootModel[TokenizerConfig],
) -> list[dict[str, str]]:
    """Write texts with the stored language model.

    Args:
        language_model: The stored model.
        config: What to write.
        tokenizer: Of the source: what rules of its own the model may name.

    Returns:
        `prompt` and `text` of each.
    """
    texts = generation.write_texts(
        language_model, config.root, allowed_rules=tokenizer.root.all_rules
    )
    for entry in texts:
        logger.info("The language model writes: %s", entry["text"])
    return texts


def register(
    language_model: Bundle, config: Registration, writing: RootModel[GenerationConfig]
) -> dict[str, str | None]:
    """Log the language model as an MLflow model that takes prompts, and register it."""
    uri = tracking.log_language_model(
        language_model,
        writing.root,
        registered_name=config.registered_name,
        alias=config.alias,
    )
    return {"model_uri": uri, **config.model_dump()}


def find_learning_rate(
    corpus: Corpus,
    vocabulary: Vocabulary,
    document_splits: pa.Table,
    pretrained: Bundle | None,
    config: RootModel[LanguageModelConfig],
) -> tuple[dict[str, float], go.Figure]:
    """Raise the learning rate until the loss explodes, and suggest one from the curve."""
    task, _ = language_model_task(
        corpus,
        vocabulary,
        part(document_splits, "valid"),
        config.root,
        train_rows=part(document_splits, "train"),
        pretrained=pretrained,
    )
    result = range_test(task, config.root.training)
    logger.info("Suggested learning rates for the language model: %s", result.suggestions)
    return result.suggestions, range_test_figure(result.frame, result.suggestions)


def part(document_splits: pa.Table, name: str) -> np.ndarray:
    """Return the boolean mask of the language model's documents of one part."""
    return pc.equal(document_splits["language_model"], name).to_numpy()
