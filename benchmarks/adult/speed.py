"""Training rows a second beside fastai, in turns on the same machine; and one row's prediction.

    python benchmarks/adult/speed.py MIRROR/adult_sample.tgz benchmarks/adult/speed.md \
        --fastai-python /tmp/fastai-venv/bin/python

Both train the lesson's net (6 categorical and 3 continuous columns, layers [200, 100], batches of
64, one cycle of one epoch at 1e-2), validation included, first with one thread each, then with two.
fastai runs in an environment of its own and waits while it is not its turn.
"""

import argparse
import dataclasses
import json
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import torch

from gradual.tabular.examples import Examples
from gradual.tabular.model import TabularModelConfig
from gradual.tabular.predict import TabularModel
from gradual.tabular.preprocessing import ColumnsConfig, PreprocessingConfig, fit
from gradual.tabular.targets import TargetConfig
from gradual.tabular.train import tabular_task, train_tabular
from gradual.training import engine

sys.path.append(str(Path(__file__).parents[1]))
from common import machine

COLUMNS = ColumnsConfig(
    categorical=(
        "workclass",
        "education",
        "marital-status",
        "occupation",
        "relationship",
        "race",
    ),
    continuous=("age", "fnlwgt", "education-num"),
)
TARGET = TargetConfig("binary", ("salary",))


def main() -> None:
    """Measure both, write the results."""
    parser = argparse.ArgumentParser()
    parser.add_argument("archive", type=Path)
    parser.add_argument("results", type=Path)
    parser.add_argument("--fastai-python", required=True)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--turns", type=int, default=5)
    arguments = parser.parse_args()
    lines = [
        f"Written by `speed.py` on {machine()}; {arguments.turns} turns of each side after one to "
        "warm up. Training rows a second, medians; all turns in brackets.",
        "",
        "| | wall time | processor time |",
        "| --- | --- | --- |",
    ]
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(arguments.archive) as tar:
            tar.extractall(folder, filter="data")
        csv = Path(folder, "adult_sample", "adult.csv")
        for threads in arguments.threads:
            lines += _training(csv, arguments, threads)
        torch.set_num_threads(arguments.threads[0])
        lines += _one_row(csv, arguments.threads[0])
    arguments.results.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def _training(csv: Path, arguments: argparse.Namespace, threads: int) -> list[str]:
    torch.set_num_threads(threads)
    frame = pd.read_csv(csv)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    rows = np.arange(len(frame))
    valid = (rows >= 800) & (rows < 1000)
    preprocessor = fit(table.take(rows[~valid]), PreprocessingConfig(COLUMNS))
    encoded = preprocessor.transform(table)
    examples = Examples(encoded, table, ~valid, valid, preprocessor, TARGET)
    config = TabularModelConfig()
    training = dataclasses.replace(config.training, device="cpu")
    theirs = subprocess.Popen(
        [
            arguments.fastai_python,
            str(Path(__file__).with_name("theirs.py")),
            str(csv),
            str(threads),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert theirs.stdin is not None
    assert theirs.stdout is not None
    found: dict[str, list[dict[str, float]]] = {"gradual": [], "fastai": []}
    for turn in range(arguments.turns + 1):  # the first is to warm up
        task = tabular_task(examples, config)
        started = time.perf_counter(), time.process_time()
        history = engine.fit(task, training, name="the lesson's net")
        ended = time.perf_counter(), time.process_time()
        wall, cpu = (end - start for start, end in zip(started, ended, strict=True))
        shown = 64 * history.epochs[0]["steps"]
        theirs.stdin.write("go\n")
        theirs.stdin.flush()
        other = json.loads(theirs.stdout.readline())
        if turn:
            found["gradual"].append({"rows": shown, "wall": wall, "cpu": cpu})
            found["fastai"].append(other)
    theirs.stdin.close()
    theirs.wait()
    lines, medians = [], {}
    for name, turns in found.items():
        wall = [turn["rows"] / turn["wall"] for turn in turns]
        cpu = [turn["rows"] / turn["cpu"] for turn in turns]
        medians[name] = float(np.median(wall)), float(np.median(cpu))
        each = ", ".join(f"{value:,.0f}" for value in wall)
        lines.append(
            f"| {name}, {threads} thread(s) | {np.median(wall):,.0f} ({each}) "
            f"| {np.median(cpu):,.0f} |"
        )
    ratios = [a / b for a, b in zip(medians["gradual"], medians["fastai"], strict=True)]
    return [*lines, f"| ratio, {threads} thread(s) | {ratios[0]:.1f} | {ratios[1]:.1f} |"]


def _one_row(csv: Path, threads: int) -> list[str]:
    frame = pd.read_csv(csv)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    rows = np.arange(2_000)
    lines = [
        "",
        f"| one raw row, pandas in and out, {threads} thread(s) | p50, ms | p99, ms "
        "| processor time, ms |",
        "| --- | --- | --- | --- |",
    ]
    preprocessor = fit(table.take(rows), PreprocessingConfig(COLUMNS))
    encoded = preprocessor.transform(table.take(rows))
    for net in ("mlp", "tabm"):
        config = TabularModelConfig(net=net)
        phases = (dataclasses.replace(config.training.phases[0], epochs=1),)
        config = dataclasses.replace(
            config, training=dataclasses.replace(config.training, phases=phases, device="cpu")
        )
        bundle, _ = train_tabular(
            Examples(encoded, table.take(rows), rows[:1_600], rows[1_600:], preprocessor, TARGET),
            config,
        )
        model = TabularModel.from_bundle(bundle, device="cpu")
        ones = [frame.iloc[[row]] for row in range(1_000)]
        for one in ones[:50]:
            model.predict(one)
        walls = []
        before = time.process_time()
        for one in ones:
            started = time.perf_counter()
            model.predict(one)
            walls.append(1e3 * (time.perf_counter() - started))
        cpu = time.process_time() - before
        p50, p99 = np.percentile(walls, [50, 99])
        lines.append(f"| `net: {net}` | {p50:.2f} | {p99:.2f} | {cpu:.2f} |")
    return lines


if __name__ == "__main__":
    sys.exit(main())
