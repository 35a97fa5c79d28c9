"""Ratings a second of the lesson's model, beside fastai, at its batch size of 64, on the CPU.

    GRADUAL_MIRROR=… python benchmarks/movielens/speed.py PYTHON_WITH_FASTAI

Both train with one thread, in turns, and validate after each epoch as the lesson does. The first
epoch of each training, in which everything is cold, counts on neither side. Writes `speed.md`.
"""

import dataclasses
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import torch

from gradual.collab.ratings import RatingsConfig, RatingsSplit, read_ratings, split_ratings
from gradual.collab.train import LESSON, CollabConfig, train_collab
from gradual.sources.archives import read_members
from gradual.sources.splits import Split
from gradual.training.config import Phase

sys.path.append(str(Path(__file__).parents[1]))
from common import machine

MIRROR = Path(os.environ["GRADUAL_MIRROR"])
ROUNDS = 3
SOURCES = {
    "the lesson's sample": ("movie_lens_sample.tgz", 8),
    "latest-small": ("ml-latest-small.zip", 2),
}


def ours(ratings: pa.Table, epochs: int) -> tuple[int, list[list[float]]]:
    """Train; return the rows, and wall and processor seconds of each epoch but the first."""
    parts = split_ratings(ratings, RatingsSplit(valid=Split(fraction=0.2)))
    training = dataclasses.replace(LESSON, phases=(Phase(epochs + 1, 5e-3),), device="cpu")
    marks = []

    def mark(*_: object) -> None:
        marks.append((time.perf_counter(), time.process_time()))

    config = CollabConfig(training=training)
    bundle, _ = train_collab(ratings, parts, config, on_epoch=mark)
    spans = [[b[0] - a[0], b[1] - a[1]] for a, b in itertools.pairwise(marks)]
    return bundle.metadata["ratings"], spans


def main() -> None:
    """Measure, print and write speed.md."""
    torch.set_num_threads(1)
    lines = [
        "# Training speed on MovieLens",
        "",
        f"`python benchmarks/movielens/speed.py` on {machine()}: one thread each, in turns, "
        f"{ROUNDS} rounds, medians over the epochs of all rounds, the first epoch of each training "
        "left out.",
        "",
        "| | epochs timed, each side | fastai, ratings/s (slowest to fastest) "
        "| gradual, ratings/s (slowest to fastest) | ratio (wall) | ratio (processor time) |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, (archive, epochs) in SOURCES.items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "ratings.csv"
            wanted = lambda member: member.endswith("/ratings.csv")  # noqa: E731
            path.write_bytes(next(iter(list(read_members(MIRROR / archive, wanted))))[1])
            ratings = read_ratings(path, RatingsConfig())
            rates: dict[str, list[tuple[float, float]]] = {"theirs": [], "ours": []}
            for _ in range(ROUNDS):
                command = [sys.argv[1], str(Path(__file__).with_name("theirs.py"))]
                done = subprocess.run(
                    [*command, str(path), str(epochs)],
                    env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": ""},
                    check=True,
                    capture_output=True,
                    text=True,
                )
                theirs = json.loads(done.stdout.strip().splitlines()[-1])
                rows, spans = ours(ratings, epochs)
                rates["theirs"] += [
                    (theirs["rows"] / w, theirs["rows"] / c) for w, c in theirs["seconds"]
                ]
                rates["ours"] += [(rows / w, rows / c) for w, c in spans]
        wall, cpu = (
            {side: [one[k] for one in values] for side, values in rates.items()} for k in (0, 1)
        )
        ratios = [
            statistics.median(rate["ours"]) / statistics.median(rate["theirs"])
            for rate in (wall, cpu)
        ]
        lines.append(
            f"| {name} | {len(wall['ours'])} | {shown(wall['theirs'])} | {shown(wall['ours'])} | "
            f"{ratios[0]:.1f} | {ratios[1]:.1f} |"
        )
    text = "\n".join([*lines, ""])
    print(text)
    Path(__file__).with_name("speed.md").write_text(text)


def shown(rates: list[float]) -> str:
    """The median, and the range."""
    return f"{statistics.median(rates):,.0f} ({min(rates):,.0f} to {max(rates):,.0f})"


if __name__ == "__main__":
    main()
