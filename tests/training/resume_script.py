"""Trains the toy in children that kill -9 ends at random points, until one gets to the end.

The first ones die while they write a checkpoint, at a random one and a random place in it; the
next ones at a random time.

Forks from a process that has only imported torch, so that a start costs milliseconds.

Trains once without a disturbance into FOLDER/whole, then so into FOLDER/pieces.

Usage: resume_script.py FOLDER PRECISION CHECKPOINT_SECONDS SEED [early]
With "early" there are more epochs, of which early stopping leaves some out.
Prints one JSON object: how many children were killed, how many left a half-written file, and
what is left in the end.
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

from gradual.training import sealed
from gradual.training.checkpoint import CheckpointStore
from gradual.training.config import EarlyStopping, Phase, TrainingConfig
from gradual.training.engine import fit
from gradual.training.files import atomic_path

NEVER = 1e9


def train(folder: Path, precision: str, seconds: float, *, early: bool) -> None:
    last = Phase(8, 3e-1, max_steps=8) if early else Phase(2, (1e-3, 1e-2), max_steps=30)
    config = TrainingConfig(
        phases=(Phase(1, 1e-2, groups=1), last),
        device="cpu",
        precision=precision,
        gradient_clip=1.0,
        checkpoint_seconds=seconds,
        early_stopping=EarlyStopping(patience=2) if early else None,
    )
    task = Toy(rows=320)
    store = CheckpointStore(folder / "store") if seconds < NEVER else None
    fit(task, config, name="toy", store=store, key={"rows": 320})
    with atomic_path(folder / "weights.safetensors") as path:
        save_file(task.model.state_dict(), path)


def die_while_writing(chance: random.Random, last: int) -> None:
    """Let this process die in one of its next saves: file empty, half written, or whole."""
    real, after, part = sealed.safetensors.torch.save_file, chance.randint(1, last), chance.random()
    saves = 0

    def save(tensors: dict[str, torch.Tensor], path: Path, metadata: dict[str, str]) -> None:
        nonlocal saves
        saves += 1
        real(tensors, path, metadata)
        if saves == after:
            os.truncate(path, int(path.stat().st_size * min(1.0, 1.2 * part)))
            os.kill(os.getpid(), signal.SIGKILL)

    sealed.safetensors.torch.save_file = save


def main() -> None:
    torch.set_num_threads(1)
    torch.optim.AdamW([torch.zeros(1)])  # imports a second's worth of modules
    folder, precision, seconds = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    seed, early = int(sys.argv[4]), sys.argv[5:] == ["early"]
    chance = random.Random(seed)
    killed = writing = 0
    if os.fork() == 0:
        train(folder / "whole", precision, seconds=NEVER, early=early)
        os._exit(0)
    os.wait()
    while True:
        at_first = killed < 6
        child = os.fork()
        if child == 0:
            if at_first:
                # Where the clock decides, there may not be a second save.
                die_while_writing(random.Random(seed + killed), last=1 if seconds else 5)
            train(folder / "pieces", precision, seconds, early=early)
            os._exit(0)
        wait = chance.uniform(0.02, 0.25)
        if not at_first and killed < 10:
            time.sleep(wait)
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        if code == 0:
            break
        if code != -signal.SIGKILL:
            sys.exit(f"the child ended with {code}")
        killed += 1
        writing += any((folder / "pieces" / "store").glob(".*.tmp"))
    left = [path.name for path in (folder / "pieces").rglob("*") if path.is_file()]
    sys.stdout.write(json.dumps({"killed": killed, "writing": writing, "left": sorted(left)}))


if __name__ == "__main__":
    main()
