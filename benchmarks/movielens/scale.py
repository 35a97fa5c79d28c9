"""How training grows from 1 to 25 million ratings: time, memory.

    python benchmarks/movielens/scale.py

Synthetic ratings of 60,000 items by 200,000 users whatever their number, so that the tables are
equally large in each run; one epoch in batches of 8,192, each run in a process of its own.
"""

import json
import resource
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import torch

from gradual.collab.train import CollabConfig, train_collab
from gradual.training.config import Phase, TrainingConfig

USERS, ITEMS = 200_000, 60_000


def run(count: int) -> dict[str, float]:
    """Train one epoch on so many ratings; return seconds and memory."""
    rng = np.random.default_rng(0)
    user = rng.integers(0, USERS, count)
    item = (ITEMS * rng.random(count) ** 3).astype(np.int64)  # a few are rated by many
    rating = (rng.integers(1, 11, count) / 2).astype(np.float32)
    ratings = pa.table({"user": user, "item": item, "rating": rating})
    part = np.where(rng.random(count) < 0.01, "valid", "train")
    parts = pa.table({"part": pa.array(part)})
    del user, item, rating, part
    training = TrainingConfig(phases=(Phase(1, 5e-3),), precision="float32", device="cpu")
    start = time.perf_counter(), time.process_time()
    _, history = train_collab(
        ratings,
        parts,
        CollabConfig(training=training, batch_size=8192),
    )
    epoch = history.epochs[0]
    return {
        "steps": epoch["steps"],
        "all_seconds": time.perf_counter() - start[0],
        "processor_seconds": time.process_time() - start[1],
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def main() -> None:
    """Print a table, to be put into docs/benchmarks.md."""
    if len(sys.argv) > 1:
        torch.set_num_threads(1)
        print(json.dumps(run(int(sys.argv[1]))))
        return
    print("| ratings | steps | processor time | of it a million ratings | wall | peak memory |")
    print("| --- | --- | --- | --- | --- | --- |")
    for millions in (1, 5, 25):
        done = subprocess.run(
            [sys.executable, __file__, str(millions * 1_000_000)],
            check=True,
            capture_output=True,
            text=True,
        )
        found = json.loads(done.stdout.strip().splitlines()[-1])
        seconds = found["processor_seconds"]
        print(
            f"| {millions} M | {found['steps']:,} | {seconds:.0f} s | {seconds / millions:.2f} s | "
            f"{found['all_seconds']:.0f} s | {found['peak_gb']:.2f} GB |",
            flush=True,
        )


if __name__ == "__main__":
    main()
