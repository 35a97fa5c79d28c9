"""What is WikiText worth to the lesson's 1,000 reviews? Both arms of each seed, step for step.

For each seed the lesson's language model is trained twice on the same batches for the same number
of steps, once from a pretrained model and once from random weights, with one vocabulary; then the
lesson's classifier on either one's encoder, scored on the 200 test reviews. What is done is kept in
`results.json`, so that a run that was stopped goes on; `results.md` is written after each part.

    export GRADUAL_MIRROR=…      # where the public hosts cannot be reached
    kedro run --pipeline=wikitext --env=lesson
    kedro run --pipeline=imdb --env=lesson --to-nodes=imdb.fit_baseline,imdb.numericalize
    python benchmarks/wikitext_transfer/run.py --seeds 0 1 2
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import torch
from pydantic import TypeAdapter

from gradual.configuration.loader import ConfigLoader
from gradual.io import BundleDataset, CorpusDataset, VocabularyDataset
from gradual.results.scores import wilson
from gradual.settings import CONFIG_LOADER_ARGS
from gradual.text.classifier import ClassifierConfig, predict_probabilities, train_classifier
from gradual.text.language_model import LanguageModelConfig, train_language_model
from gradual.training.bundle import Bundle
from gradual.training.config import Phase
from gradual.training.files import atomic_path

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent))
from common import half_width, machine  # noqa: E402

PROJECT = HERE.parents[1]
ARMS = ("wikitext", "random")


class Lesson:
    """The lesson's reviews and recipes, as the pipeline has stored and configured them."""

    def __init__(self, project: Path, epochs: int) -> None:
        conf = ConfigLoader(str(project / "conf"), env="lesson", **CONFIG_LOADER_ARGS)
        imdb = conf["parameters"]["imdb"]
        data = project / conf["globals"]["data"]
        language_model = TypeAdapter(LanguageModelConfig).validate_python(imdb["language_model"])
        phase = replace(language_model.training.phases[-1], epochs=epochs)
        self.language_model = with_phases(language_model, (phase,))
        self.classifier = TypeAdapter(ClassifierConfig).validate_python(imdb["classifier"])
        self.tokenizer = imdb["tokenizer"]
        self.corpus = CorpusDataset(filepath=data / "05_model_input/imdb/corpus.arrow").load()
        self.vocabulary = VocabularyDataset(
            filepath=data / "04_feature/imdb/vocabulary.json"
        ).load()
        documents = pq.read_table(data / "02_intermediate/imdb/documents.parquet")
        splits = pd.read_parquet(data / "02_intermediate/imdb/document_splits.parquet")
        baseline = pd.read_parquet(data / "07_model_output/imdb/baseline_probabilities.parquet")
        self.labels = np.array(documents["label"].to_pylist(), dtype=object)
        self.splits = {name: splits[name].to_numpy(object) for name in splits}
        self.truth = self.labels[self.splits["classifier"] == "test"]
        self.baseline = int((baseline.idxmax(axis=1).to_numpy() == self.truth).sum())

    def train_language_model(self, seed: int, start: Bundle | None) -> tuple[Bundle, list[float]]:
        """Return the model and its validation loss after each epoch."""
        config = self.language_model
        bundle, history = train_language_model(
            self.corpus,
            self.vocabulary,
            self.splits["language_model"] == "valid",
            replace(config, training=replace(config.training, seed=seed)),
            pretrained=start,
            tokenizer=self.tokenizer,
        )
        return bundle, [epoch["valid_loss"] for epoch in history.epochs]

    def classify(self, seed: int, language_model: Bundle) -> int:
        """Return how many of the test reviews the classifier gets right."""
        config = self.classifier
        parts = self.splits["classifier"]
        bundle, _ = train_classifier(
            self.corpus,
            self.vocabulary,
            self.labels,
            parts == "train",
            parts == "valid",
            replace(config, training=replace(config.training, seed=seed)),
            language_model=language_model,
        )
        probabilities = predict_probabilities(bundle, self.corpus, parts == "test")
        answers = np.array(bundle.metadata["labels"], dtype=object)[probabilities.argmax(axis=1)]
        return int((answers == self.truth).sum())


def with_phases(config: LanguageModelConfig, phases: tuple[Phase, ...]) -> LanguageModelConfig:
    """Return the configuration with other phases."""
    return replace(config, training=replace(config.training, phases=phases))


def run(lesson: Lesson, start: Bundle, seeds: list[int], output: Path, models: Path) -> None:
    """Train what is not in `output` yet: all language models first, then the classifiers."""
    results = json.loads(output.read_text()) if output.exists() else {}
    for seed in seeds:
        for arm in ARMS:
            row = results.setdefault(f"{seed} {arm}", {})
            if "losses" not in row:
                begun = time.perf_counter()
                bundle, row["losses"] = lesson.train_language_model(
                    seed, start if arm == "wikitext" else None
                )
                BundleDataset(filepath=models / f"{seed}_{arm}.safetensors").save(bundle)
                row["start"] = bundle.metadata["start"]
                row["language_model_seconds"] = time.perf_counter() - begun
                write(lesson, results, output)
    for seed in seeds:
        for arm in ARMS:
            row = results[f"{seed} {arm}"]
            if "right" not in row:
                begun = time.perf_counter()
                bundle = BundleDataset(filepath=models / f"{seed}_{arm}.safetensors").load()
                row["right"] = lesson.classify(seed, bundle)
                row["classifier_seconds"] = time.perf_counter() - begun
                write(lesson, results, output)


def write(lesson: Lesson, results: dict[str, dict[str, Any]], output: Path) -> None:
    """Store the figures, and the page that shows them."""
    with atomic_path(output) as path:
        path.write_text(json.dumps(results, indent=1) + "\n")
    output.with_suffix(".md").write_text(to_markdown(lesson, results))


def to_markdown(lesson: Lesson, results: dict[str, dict[str, Any]]) -> str:
    """Write the tables of results."""
    rows = {name: row for name, row in results.items() if "losses" in row}
    epochs = max(len(row["losses"]) for row in rows.values())
    words = int(lesson.corpus.lengths[lesson.splits["language_model"] == "train"].sum())
    config = lesson.language_model
    steps = -(-((words - 1) // config.batch_size) // config.bptt)
    tests = len(lesson.truth)

    def accuracy(right: float, n: int) -> str:
        low, high = wilson(right, n)
        return f"{100 * right / n:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"

    lines = [
        "# What WikiText-2 is worth to the lesson's reviews",
        "",
        "Made by `benchmarks/wikitext_transfer/run.py` from the lesson's own recipes "
        "(`conf/lesson`), the language",
        f"model's phase cut to {epochs} × {steps} steps. Validation loss in nats a word on "
        "the same held-out reviews;",
        f"accuracy on the {tests} test reviews, 95 % intervals (Wilson).",
        "",
        "| seed, start | "
        + " | ".join(f"loss after {(e + 1) * steps} steps" for e in range(epochs))
        + " | classifier |",
        "| --- | " + "--- | " * epochs + "--- |",
    ]
    for name, row in rows.items():
        seed, arm = name.split()
        losses = " | ".join(f"{loss:.3f}" for loss in row["losses"])
        score = accuracy(row["right"], tests) if "right" in row else "not run"
        lines.append(f"| {seed}, {arm} | {losses} | {score} |")
    for arm in ARMS:
        arms = [row for name, row in rows.items() if name.endswith(arm)]
        if not arms:
            continue
        means = " | ".join(
            f"{np.mean([row['losses'][epoch] for row in arms]):.3f}" for epoch in range(epochs)
        )
        right = [row["right"] for row in arms if "right" in row]
        score = f"{100 * np.mean(right) / tests:.1f} %, {len(right)} seeds" if right else "not run"
        lines.append(f"| mean, {arm} | {means} | {score} |")
    starts = [row["start"] for name, row in rows.items() if name.endswith(ARMS[0])]
    pairs = [
        np.subtract(rows[f"{seed} random"]["losses"], rows[f"{seed} wikitext"]["losses"])
        for seed in sorted({name.split()[0] for name in rows})
        if all(f"{seed} {arm}" in rows for arm in ARMS)
    ]
    if len(pairs) > 1:
        gaps = " | ".join(
            f"{np.mean(gap):.3f} ± {half_width(gap):.3f}" for gap in zip(*pairs, strict=True)
        )
        lines.append(f"| random minus wikitext (Student's t, {len(pairs)} seeds) | {gaps} | |")
    lines += [
        "",
        f"The start knows {starts[0]['words_found']:,} of {len(lesson.vocabulary):,} words "
        f"({100 * starts[0]['words_found_share']:.1f} %), "
        f"{100 * starts[0]['tokens_found_share']:.1f} % of all tokens. TF-IDF and logistic "
        f"regression on the same rows: {accuracy(lesson.baseline, tests)}.",
        f"Language model and vocabulary read all {len(lesson.corpus):,} reviews but those held out "
        f"for the loss, those of the test part without their labels. {machine()}, "
        f"{torch.get_num_threads()} thread(s), shared with other work.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run and write the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=3, help="of the language model")
    parser.add_argument("--start", help="bundle or registered model (default: the lesson's bundle)")
    parser.add_argument("--project", type=Path, default=PROJECT, help="where the pipelines ran")
    parser.add_argument("--output", type=Path, default=HERE / "results.json")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    lesson = Lesson(arguments.project, arguments.epochs)
    models = arguments.project / "data/lesson/06_models"
    start = BundleDataset(
        filepath=arguments.start or str(models / "wikitext/language_model.safetensors"),
        kind="language_model",
    ).load()
    run(lesson, start, arguments.seeds, arguments.output, models / "wikitext_transfer")


if __name__ == "__main__":
    main()
