"""Exercise the full-size recipe on a CPU for some hundred steps: does it learn, and how fast?

    kedro run --pipeline=imdb --env=full --to-outputs=imdb.corpus
    python benchmarks/full_on_cpu.py --steps 300

Model sizes, dropouts, vocabulary and data are those of ``--env=full``; the batch is smaller, the
steps are few, and 100 documents are held out instead of a tenth. The rates are the full recipe's.
"""

import argparse
import dataclasses
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from pydantic import RootModel

from gradual.text.classifier import ClassifierConfig, predict_probabilities, train_classifier
from gradual.text.language_model import (
    LanguageModelConfig,
    evaluate_language_model,
    train_language_model,
)
from gradual.training.config import Phase

PROJECT = Path(__file__).resolve().parents[1]


def cut_short(config: Any, steps: list[int], **changes: Any) -> Any:
    """Return the recipe with one epoch a phase, of at most so many steps."""
    phases: list[Phase] = [
        dataclasses.replace(phase, epochs=1, max_steps=n)
        for phase, n in zip(config.training.phases, steps, strict=True)
    ]
    training = dataclasses.replace(config.training, phases=tuple(phases), checkpoint_seconds=1e9)
    return dataclasses.replace(config, training=training, **changes)


def main() -> None:
    """Train both models for some steps and write what came of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=300, help="language model steps in all")
    parser.add_argument("--batch-size", type=int, default=32, help="rows of the language model")
    parser.add_argument("--documents", type=int, default=640, help="classifier training documents")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    bootstrap_project(PROJECT)
    with KedroSession.create(PROJECT, env="full") as session:
        context = session.load_context()
        catalog = context.catalog
        params = context.params["imdb"]
        corpus, vocabulary = catalog.load("imdb.corpus"), catalog.load("imdb.vocabulary")
        labels = np.array(catalog.load("imdb.documents")["label"].to_pylist(), dtype=object)
        parts = np.array(catalog.load("imdb.documents")["part"].to_pylist(), dtype=object)
    generator = np.random.default_rng(42)
    held_out = np.zeros(len(corpus), dtype=bool)
    held_out[generator.choice(len(corpus), 100, replace=False)] = True

    recipe = RootModel[LanguageModelConfig].model_validate(params["language_model"]).root
    first = options.steps // 6
    recipe = cut_short(recipe, [first, options.steps - first], batch_size=options.batch_size)
    model, history = train_language_model(corpus, vocabulary, held_out, recipe)
    figures = evaluate_language_model(model, corpus, held_out, batch_size=options.batch_size)
    epochs = history.to_frame()
    words = epochs["steps"].sum() * recipe.batch_size * recipe.bptt
    results: dict[str, Any] = {
        "language_model": {
            "steps": int(epochs["steps"].sum()),
            "words": int(words),
            "words_per_second": words / epochs["train_seconds"].sum(),
            "train_loss": epochs["train_loss"].tolist(),
            **figures,
        }
    }

    rows = [np.flatnonzero((parts == part) & (labels == name)) for part in ("train", "test")
            for name in ("negative", "positive")]  # fmt: skip
    half = options.documents // 2
    chosen = [
        generator.choice(r, half if i < 2 else 100, replace=False) for i, r in enumerate(rows)
    ]
    train, test = np.concatenate(chosen[:2]), np.concatenate(chosen[2:])
    valid = generator.choice(np.setdiff1d(np.concatenate(rows[:2]), train), 100, replace=False)
    head = RootModel[ClassifierConfig].model_validate(params["classifier"]).root
    head = cut_short(head, [1000] * len(head.training.phases), batch_size=16)
    classifier, history = train_classifier(
        corpus, vocabulary, labels, train, valid, head, language_model=model
    )
    predicted = np.array(classifier.metadata["labels"])[
        predict_probabilities(classifier, corpus, test, batch_size=16).argmax(axis=1)
    ]
    epochs = history.to_frame()
    results["classifier"] = {
        "steps": int(epochs["steps"].sum()),
        "training_documents": len(train),
        "train_seconds": epochs["train_seconds"].sum(),
        "train_loss": epochs["train_loss"].tolist(),
        "valid_accuracy": epochs["valid_accuracy"].tolist(),
        "test_accuracy": float((predicted == labels[test]).mean()),
        "test_documents": len(test),
    }
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
