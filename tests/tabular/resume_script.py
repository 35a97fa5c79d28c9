"""Trains a net whose process is ended by kill -9 at random checkpoints, until it gets to the end.

Usage: resume_script.py FOLDER NET
Writes whole.safetensors (never killed) and pieces.safetensors; prints how often it was killed.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import torch
from tables import examples, people

from gradual.tabular.model import TabularModelConfig
from gradual.tabular.targets import TargetConfig
from gradual.tabular.train import train_tabular
from gradual.training.bundle import save_bundle
from gradual.training.checkpoint import FILE_NAME, CheckpointStore
from gradual.training.config import EarlyStopping, Phase, TrainingConfig


def train(folder: Path, name: str, net: str) -> None:
    rows = examples(people(400), TargetConfig("binary", ("rich",)))
    config = TabularModelConfig(
        net=net,
        layers=(16, 16),
        dropout=0.2,
        batch_size=64,
        members=4,
        training=TrainingConfig(
            (Phase(6, 3e-2),),
            device="cpu",
            precision="float32",
            early_stopping=EarlyStopping(patience=4),
            checkpoint_seconds=0.0,
        ),
    )
    store = CheckpointStore(folder / "store") if name == "pieces" else None
    bundle, _ = train_tabular(rows, config, store=store)
    save_bundle(bundle, folder / f"{name}.safetensors")


def wait_for_checkpoints(file: Path, count: int) -> None:
    """Wait until the training has stored its position so many times from now on."""
    last, end = stamp(file), time.monotonic() + 60
    while count:
        if (now := stamp(file)) != last:
            last, count = now, count - 1
        if time.monotonic() > end:
            sys.exit("the training stores nothing")
        time.sleep(0.0005)


def stamp(file: Path) -> int:
    return file.stat().st_mtime_ns if file.exists() else 0


def main() -> None:
    torch.set_num_threads(1)
    torch.optim.AdamW([torch.zeros(1)])  # imports a second's worth of modules
    folder, net = Path(sys.argv[1]), sys.argv[2]
    chance, killed = random.Random(5), 0
    if os.fork() == 0:
        train(folder, "whole", net)
        os._exit(0)
    os.wait()
    while True:
        child = os.fork()
        if child == 0:
            train(folder, "pieces", net)
            os._exit(0)
        if killed < 3:
            wait_for_checkpoints(folder / "store" / FILE_NAME, chance.randint(1, 4))
            os.kill(child, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code == 0:
            break
        if code != -signal.SIGKILL:
            sys.exit(f"the child ended with {code}")
        killed += 1
    sys.stdout.write(str(killed))


if __name__ == "__main__":
    main()
