"""The sampled softmax beside the full one: words a second, and perplexity after equal steps.

    kedro run --pipeline=imdb --env=cpu --to-nodes=imdb.numericalize   # the reviews as word ids
    python benchmarks/reviews_on_cpu/softmax.py

Both train the model of the recipe `cpu` from the same random weights on the same windows, with the
same rates; both are judged by the full softmax on the same held-out reviews. Results go to
softmax.json beside this file. Nothing else may run meanwhile.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch

from gradual.io.corpus import CorpusDataset
from gradual.text.awd_lstm import AWDLSTMConfig
from gradual.text.corpus import Corpus
from gradual.text.language_model import LanguageModelConfig, train_language_model
from gradual.text.vocabulary import Vocabulary
from gradual.training.config import Phase, TrainingConfig

HELD_OUT = 300
SAMPLED = {"full": None, "sampled": 512}


def config_of(sampled_words: int | None, seed: int) -> LanguageModelConfig:
    """Return the language model of the recipe `cpu`."""
    phase = Phase(epochs=1, lr=8e-3, momentum=(0.9, 0.9))
    return LanguageModelConfig(
        model=AWDLSTMConfig(256, 400, 1, True),
        training=TrainingConfig(phases=(phase,), seed=seed, eps=1e-8, gradient_clip=1.0),
        alpha=0.0,
        beta=0.0,
        drop_mult=0.1,
        sampled_words=sampled_words,
    )


def gemm_peak() -> float:
    """Return the rate of a large float32 matrix product, in billions of operations a second."""
    a, b = torch.randn(4096, 1024), torch.randn(1024, 4096)
    best = 0.0
    for _ in range(10):
        start = time.perf_counter()
        a @ b
        best = max(best, 2 * 4096 * 1024 * 4096 / (time.perf_counter() - start) / 1e9)
    return best


def operations(config: LanguageModelConfig, candidates: int) -> float:
    """Return the operations that the matrix products of a training step need for a word."""
    model = config.model
    layers = sum(4 * o * (i + o) for i, o in model.layer_sizes())
    decoder = model.output_size * model.embedding_size + candidates * model.embedding_size
    return 6.0 * (layers + decoder)  # a product and a sum each; forwards once, backwards twice


def main() -> None:
    """Train both, print and store the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("data/cpu"), help="of the environment")
    parser.add_argument("--words", type=int, default=600_000, help="to train on")
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    corpus: Corpus = CorpusDataset(
        filepath=str(options.data / "05_model_input/imdb/corpus.arrow")
    ).load()
    vocabulary = Vocabulary.from_json(
        json.loads((options.data / "04_feature/imdb/vocabulary.json").read_text())
    )
    splits = pq.read_table(options.data / "02_intermediate/imdb/document_splits.parquet")
    part = np.array(splits["language_model"].to_pylist(), dtype=object)
    random = np.random.default_rng(0)
    valid = np.zeros(len(corpus), bool)
    valid[random.permutation(np.flatnonzero(part == "valid"))[:HELD_OUT]] = True
    order = random.permutation(np.flatnonzero(part == "train"))
    train = np.zeros(len(corpus), bool)
    train[order[: int(np.searchsorted(np.cumsum(corpus.lengths[order]), options.words))]] = True

    peak = gemm_peak()
    rows: list[dict[str, Any]] = []
    for seed in range(options.seeds):
        for name, sampled_words in SAMPLED.items():
            config = config_of(sampled_words, seed)
            _, history = train_language_model(corpus, vocabulary, valid, config, train_rows=train)
            figures = history.epochs[-1]
            speed = float(corpus.lengths[train].sum() / figures["train_seconds"])
            rows.append(
                {
                    "softmax": name,
                    "seed": seed,
                    "steps": figures["steps"],
                    "words_per_second": speed,
                    "valid_loss": figures["valid_loss"],
                    "valid_perplexity": figures["valid_perplexity"],
                }
            )
            print(rows[-1], flush=True)
    window = config_of(None, 0)
    ids = torch.from_numpy(corpus.ids[: window.batch_size * window.bptt].astype(np.int64))
    candidates = {"full": len(vocabulary), "sampled": len(ids.unique()) + (SAMPLED["sampled"] or 0)}
    mean = {
        name: {
            key: float(np.mean([row[key] for row in rows if row["softmax"] == name]))
            for key in ("words_per_second", "valid_loss", "valid_perplexity")
        }
        for name in SAMPLED
    }
    for name, figures in mean.items():
        rate = figures["words_per_second"] * operations(window, candidates[name]) / 1e9
        figures["share_of_gemm_peak"] = rate / peak
    results = {
        "config": dataclasses.asdict(window.model),
        "vocabulary": len(vocabulary),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "gemm_peak_gflops": peak,
        "runs": rows,
        "mean": mean,
        "words_per_second_sampled_to_full": mean["sampled"]["words_per_second"]
        / mean["full"]["words_per_second"],
        "perplexity_sampled_to_full": mean["sampled"]["valid_perplexity"]
        / mean["full"]["valid_perplexity"],
    }
    print(json.dumps(results, indent=1))
    target = Path(__file__).with_suffix(".json")
    target.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
