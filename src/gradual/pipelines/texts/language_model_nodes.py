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
from gradual.reports.figures import range_test_figure, training_figure
from gradual.reports.page import Material, write
from gradual.text import generation, report
from gradual.text.corpus import Corpus
from gradual.text.generation import GenerationConfig
from gradual.text.language_model import (
    LanguageModelConfig,
    answer_words,
    language_model_task,
    train_language_model,
)
from gradual.text.metrics import WORDS_NOTE, score_words, words_headline
from gradual.text.tokenizer import TokenizerConfig
from gradual.text.vocabulary import Vocabulary
from gradual.tracking.run import current_namespace
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


def evaluate(
    language_model: Bundle, corpus: Corpus, document_splits: pa.Table
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Measure the language model on its held-out documents, beside word frequencies.

    Returns:
        Result rows of the validation documents, and of the test documents where the source has
        some that the language model did not learn from; and what it started from.
    """
    frames = []
    for name in ("valid", "test"):
        rows = part(document_splits, name)
        if not rows.any():
            continue
        answers = answer_words(
            language_model, corpus, rows, train_rows=part(document_splits, "train")
        )
        frames.append(score_words(answers, source=current_namespace(), part=name))
    scores = pd.concat(frames, ignore_index=True)
    found = {"headline": words_headline(scores), "start": language_model.metadata["start"]}
    tracking.log_results(scores, found)
    return scores, found


def write_report(
    language_model_scores: pd.DataFrame,
    language_model_summary: dict[str, Any],
    sample_texts: dict[str, str],
    config: RootModel[LanguageModelConfig],
    **figures: go.Figure,
) -> tuple[pd.DataFrame, dict[str, Any], str]:
    """Write one HTML page about a language model that other sources start from.

    Returns:
        Its result rows and summary as the source's own, and the page.
    """
    summary = {
        "headline": language_model_summary["headline"],
        "warnings": [],
        "notes": [WORDS_NOTE],
        "language_model": {"start": language_model_summary["start"]},
    }
    settings = {"language_model": dataclasses.asdict(config.root)}
    material = Material(
        summary | {"sample_texts": sample_texts},
        language_model_scores,
        figures,
        settings=settings,
    )
    page = write("Texts: a language model to start from", report.LANGUAGE_MODEL, material)
    return language_model_scores, summary, page


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
    language_model: Bundle,
    config: RootModel[tracking.Registration],
    writing: RootModel[GenerationConfig],
    tokenizer: RootModel[TokenizerConfig],
) -> dict[str, str | None]:
    """Log the language model as an MLflow model that takes prompts, and register it."""
    chosen = writing.root
    uri = tracking.log_model(
        language_model,
        input_example=pd.DataFrame({"prompt": list(chosen.prompts)}),
        registration=config.root,
        name="language_model",
        allowed_rules=tokenizer.root.all_rules,
        settings={
            "words": chosen.words,
            "temperature": chosen.temperature,
            "min_p": chosen.min_p,
            "top_k": chosen.top_k or 0,
            "seed": chosen.seed,
        },
    )
    return {"model_uri": uri, **dataclasses.asdict(config.root)}


def register_for_others(
    language_model: Bundle,
    config: RootModel[tracking.Registration],
    writing: RootModel[GenerationConfig],
    tokenizer: RootModel[TokenizerConfig],
) -> dict[str, str | None]:
    """Register the language model that a classifier is built on, if it has a name to go by."""
    if config.root.registered_name is None:
        return {"model_uri": None, **dataclasses.asdict(config.root)}
    return register(language_model, config, writing, tokenizer)


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
