"""Trains the toy in children that are killed at random, until one gets to the end.

Forks from a process that has only imported torch, so that a start costs milliseconds.

Usage: resume_script.py FOLDER PRECISION CHECKPOINT_SECONDS SEED
Prints one JSON object: how many children were killed, and how many of them while writing.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch
import torch.profiler
from safetensors.torch import save_file
from toy_task import Toy

from gradual.training.checkpoint import CheckpointStore
from gradual.training.config import Phase, TrainingConfig
from gradual.training.engine import fit
from gradual.training.files import atomic_path


def train(folder: Path, precision: str, seconds: float) -> None:
    config = TrainingConfig(
        phases=(Phase(1, 1e-2, groups=1), Phase(2, (1e-3, 1e-2), max_steps=30)),
        device="cpu",
        precision=precision,
        gradient_clip=1.0,
        checkpoint_seconds=seconds,
    )
    task = Toy(rows=320)
    store = CheckpointStore(folder / "store") if seconds < 1e6 else None
    fit(task, config, name="toy", store=store, key={"rows": 320})
    with atomic_path(folder / "weights.safetensors") as path:
        save_file(task.model.state_dict(), path)


def main() -> None:
    torch.set_num_threads(1)
    torch.optim.AdamW([torch.zeros(1)])  # imports a second's worth of modules
    folder, precision, seconds = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    chance = random.Random(int(sys.argv[4]))
    killed = writing = 0
    while True:
        child = os.fork()
        if child == 0:
            train(folder, precision, seconds)
            os._exit(0)
        if seconds < 1e6 and killed < 15:
            time.sleep(chance.uniform(0.01, 0.15))
            deadline = time.monotonic() + 1
            while killed % 2 and time.monotonic() < deadline:  # every other one while it writes
                if any((folder / "store").glob(".*.tmp")):
                    break
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        if code == 0:
            break
        if code != -signal.SIGKILL:
            sys.exit(f"the child ended with {code}")
        killed += 1
        writing += any((folder / "store").glob(".*.tmp"))
    left = [path.name for path in folder.rglob("*") if path.is_file()]
    sys.stdout.write(json.dumps({"killed": killed, "writing": writing, "left": sorted(left)}))


if __name__ == "__main__":
    main()
