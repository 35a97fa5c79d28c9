"""How many labelled reviews a text classifier needs (ULMFiT's figure 3), beside n-grams.

    kedro run --pipeline=imdb --env=cpu        # the language model, and the reviews as word ids
    python benchmarks/few_labels/run.py        # goes on where it was stopped

For each number of labelled reviews and each seed, that many training reviews are drawn, half of
each label. On them learn: the classifier on the language model's encoder; the same net from random
weights; n-grams, tuned by cross-validation on the same reviews; the stack of the first and the
last. All are scored on the same test reviews, drawn once. The recipes of the nets (`RECIPES`) were
chosen on training reviews that were not drawn with these seeds. The language model has read the
texts of all reviews without their labels. Results go to results.json beside this file.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch

from gradual.io.corpus import CorpusDataset
from gradual.text.awd_lstm import AWDLSTMConfig
from gradual.text.classifier import ClassifierConfig, predict_probabilities, train_classifier
from gradual.text.classifier_model import DEFAULT_CLASSIFIER_MODEL
from gradual.text.labels import encode_labels
from gradual.text.ngrams import TextNgrams, fit_ngrams
from gradual.text.stacking import fit_weights
from gradual.text.vocabulary import Vocabulary
from gradual.training.bundle import Bundle, load_bundle
from gradual.training.config import Phase, TrainingConfig
from gradual.training.files import atomic_path

HERE = Path(__file__).parent
LABELS = (100, 500, 1_000, 5_000, 22_500)
#: By at most how many labelled reviews: epochs and documents a batch.
RECIPES = ((200, 20, 8), (700, 12, 16), (2_000, 8, 32), (10_000, 4, 64), (100_000, 3, 64))
RATE = 3e-3
HELD_OUT = 0.2  # of the labelled reviews, for the weights of the stack
JUDGED = (
    100  # reviews that are not drawn, for the loss of each epoch in the log; they choose nothing
)


@dataclasses.dataclass(frozen=True)
class Reviews:
    """The reviews and what was learnt from them, as `kedro run` has stored them."""

    corpus: Any
    vocabulary: Vocabulary
    texts: list[str]
    labels: np.ndarray
    train: np.ndarray
    test: np.ndarray
    language_model: Bundle


def read(data: Path, tested: int) -> Reviews:
    """Read the artifacts of the environment `cpu`."""
    documents = pq.read_table(data / "02_intermediate/imdb/documents.parquet")
    splits = pq.read_table(data / "02_intermediate/imdb/document_splits.parquet")
    part = np.array(splits["classifier"].to_pylist(), dtype=object)
    test = np.random.default_rng(0).permutation(np.flatnonzero(part == "test"))[:tested]
    vocabulary = json.loads((data / "04_feature/imdb/vocabulary.json").read_text())
    return Reviews(
        corpus=CorpusDataset(filepath=str(data / "05_model_input/imdb/corpus.arrow")).load(),
        vocabulary=Vocabulary.from_json(vocabulary),
        texts=documents["text"].to_pylist(),
        labels=np.array(documents["label"].to_pylist(), dtype=object),
        train=np.flatnonzero((part == "train") | (part == "valid")),
        test=np.sort(test),
        language_model=load_bundle(data / "06_models/imdb/language_model.safetensors"),
    )


def draw(reviews: Reviews, count: int, seed: int) -> np.ndarray:
    """Return the numbers of so many training reviews, as many of each label."""
    random = np.random.default_rng(seed)
    order = random.permutation(reviews.train)
    names = np.unique(reviews.labels[reviews.train].astype(str))
    chosen = [order[reviews.labels[order] == name][: count // len(names)] for name in names]
    return random.permutation(np.concatenate(chosen))


def config_of(reviews: Reviews, count: int, seed: int) -> ClassifierConfig:
    """Return the classifier's recipe for so many labelled reviews."""
    _, epochs, batch_size = next(one for one in RECIPES if count <= one[0])
    sizes = reviews.language_model.config["model"]
    rates = {
        field.name: getattr(DEFAULT_CLASSIFIER_MODEL, field.name)
        for field in dataclasses.fields(AWDLSTMConfig)
        if field.name.endswith("_dropout")
    }
    phase = Phase(epochs=epochs, lr=RATE, momentum=(0.9, 0.9))
    return ClassifierConfig(
        model=AWDLSTMConfig(**{**sizes, **rates}),
        training=TrainingConfig(phases=(phase,), seed=seed, eps=1e-8, gradient_clip=1.0),
        batch_size=batch_size,
        read_tokens=400,
        drop_mult=0.3,
        adversarial_distance=5.0,
    )


def measure(reviews: Reviews, count: int, seed: int, start: str) -> dict[str, Any]:
    """Train one net and n-grams on the reviews drawn, and score them."""
    began = time.monotonic()
    rows = draw(reviews, count, seed)
    judged = np.sort(np.setdiff1d(draw(reviews, count + 2 * JUDGED, seed), rows)[:JUDGED])
    truth = reviews.labels[reviews.test]
    config = config_of(reviews, count, seed)
    language_model = reviews.language_model if start == "language model" else None

    def net(learnt: np.ndarray) -> Bundle:
        return train_classifier(
            *(reviews.corpus, reviews.vocabulary, reviews.labels),
            *(np.sort(learnt), judged, config),
            language_model=language_model,
            tokenizer=reviews.language_model.metadata["tokenizer"],
        )[0]

    def ngrams(learnt: np.ndarray) -> TextNgrams:
        targets = encode_labels(reviews.labels, learnt, judged)
        return TextNgrams.from_bundle(fit_ngrams(reviews.texts, targets, np.sort(learnt)))

    def chosen(numbers: np.ndarray) -> list[str]:
        return [reviews.texts[number] for number in numbers.tolist()]

    whole = net(rows)
    labels = np.array(whole.metadata["labels"], dtype=object)
    found = {"net": predict_probabilities(whole, reviews.corpus, reviews.test)}
    if language_model is not None:
        found["ngrams"] = ngrams(rows).probabilities(chosen(reviews.test))
        held, rest = np.split(rows, [round(HELD_OUT * len(rows))])
        held = np.sort(held)
        weights = fit_weights(
            predict_probabilities(net(rest), reviews.corpus, held),
            ngrams(rest).probabilities(chosen(held)),
            np.searchsorted(labels, reviews.labels[held]),
        )
        found["stack"] = weights.stacked(found["net"], found["ngrams"])
    return {
        "labels": count,
        "seed": seed,
        "start": start,
        "test_rows": len(truth),
        "accuracy": {
            name: float((labels[p.argmax(1)] == truth).mean()) for name, p in found.items()
        },
        "seconds": time.monotonic() - began,
    }


def main() -> None:
    """Measure what is not measured yet, and store it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("data/cpu"), help="of the environment")
    parser.add_argument("--labels", type=int, nargs="+", default=list(LABELS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--test", type=int, default=5_000, help="test reviews to score on")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    reviews = read(options.data, options.test)
    path = HERE / "results.json"
    stored: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"runs": []}
    identity = {"language_model": reviews.language_model.hash, "test_rows": options.test}
    if stored.get("identity") != identity:
        stored = {"identity": identity, "threads": torch.get_num_threads(), "runs": []}
    done = {(run["labels"], run["seed"], run["start"]) for run in stored["runs"]}
    for count in options.labels:
        for seed in range(1, options.seeds + 1):
            for start in ("language model", "random weights"):
                if (count, seed, start) in done:
                    continue
                stored["runs"].append(measure(reviews, count, seed, start))
                print(stored["runs"][-1], flush=True)
                with atomic_path(path) as target:
                    target.write_text(json.dumps(stored, indent=1) + "\n")


if __name__ == "__main__":
    main()
