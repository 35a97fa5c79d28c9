"""Compare our preprocessing with fastai's on the same tables, by turns; writes results.md.

python compare.py MIRROR --fastai-python PATH [--rows 10000000] [--turns 2] [--cores 1]

From the CSV file to codes and numbers, with one core on either side unless told otherwise.
fastai's side has pyarrow installed, and reads once as pandas does by itself and once by Arrow.
The large table is the lesson's, drawn with replacement, with one more column of numbers that are
all different (log-normal, a tenth of them missing).
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from gradual.sources.reader import open_source

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent))
from common import machine  # noqa: E402

CATEGORICAL = ["workclass", "education", "marital-status", "occupation", "relationship", "race"]
CONTINUOUS = ["age", "fnlwgt", "education-num"]
TARGET = "salary"


def large(lesson: pa.Table, rows: int) -> pa.Table:
    """The lesson's rows at random, and a column of distinct numbers."""
    draw = np.random.default_rng(0)
    table = lesson.take(pa.array(draw.integers(0, lesson.num_rows, rows)))
    amount = pa.array(draw.lognormal(5, 1, rows), mask=draw.random(rows) < 0.1)
    return table.append_column("amount", amount)


def measured(command: list[str], table: Path, continuous: list[str], options: Any) -> Any:
    """Run one side in a process of its own; seconds and processor seconds with the reading."""
    command = [*command, str(table), "--target", TARGET]
    command += ["--categorical", *CATEGORICAL, "--continuous", *continuous]
    command += ["--valid", "800", "1000", "--turns", str(options.repeats)]
    command = ["taskset", "--cpu-list", f"0-{options.cores - 1}", *command]
    env = {**os.environ, "OMP_NUM_THREADS": str(options.cores)}  # Arrow's threads go by it, too
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=env)
    run = json.loads(done.stdout.strip().splitlines()[-1])
    for kind in ("seconds", "cpu_seconds"):
        run[f"{kind}_all"] = run[kind] + run[f"{kind}_read"]
    return run


def agrees(ours: Any, theirs: Any) -> bool:
    """Whether levels, means and medians are the same, but for the documented error."""
    error = max(ours["errors"].values())
    close = [
        abs(ours[kind][name] - value) <= abs(value) * (error + 1e-4)  # fastai's means are float32
        for kind in ("means", "medians")
        for name, value in theirs[kind].items()
    ]
    return all(close) and all(ours["levels"][name] == n for name, n in theirs["levels"].items())


def main() -> None:
    """Measure, print and write results.md."""
    parser = argparse.ArgumentParser()
    parser.add_argument("mirror", type=Path, help="folder with adult_sample.tgz")
    parser.add_argument("--fastai-python", required=True, help="python with fastai installed")
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--cores", type=int, default=1)
    options = parser.parse_args()
    lesson = open_source(options.mirror / "adult_sample.tgz").read()
    ours, theirs = (
        [python, str(HERE / f"{side}.py")]
        for python, side in ((sys.executable, "ours"), (options.fastai_python, "theirs"))
    )
    sides = {
        "fastai": theirs,
        "fastai, the CSV read by Arrow": [*theirs, "--engine", "pyarrow"],
        "gradual": ours,
    }
    rows, verdicts, found = [], [], {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        for name, continuous, options.repeats in (
            ("the lesson's", CONTINUOUS, 5),
            ("drawn from it", [*CONTINUOUS, "amount"], 1),
        ):
            table = lesson if options.repeats > 1 else large(lesson, options.rows)
            pacsv.write_csv(table, path)
            runs: dict[str, list[Any]] = {side: [] for side in sides}
            for _ in range(options.turns):
                for side, command in sides.items():
                    runs[side].append(measured(command, path, continuous, options))
            best = {
                side: min(own, key=lambda run: run["seconds_all"]) for side, own in runs.items()
            }
            for side, run in best.items():
                rows.append(
                    f"| {name}, {table.num_rows:,} rows | {side} | {run['seconds_all']:.3f} "
                    f"({run['cpu_seconds_all']:.3f}) | {run['seconds_read']:.3f} | "
                    f"{run['seconds']:.3f} ({run['cpu_seconds']:.3f}) | {run['peak_gb']:.2f} GB |"
                )
            found, own = best["fastai"], best["gradual"]
            same = "the same" if agrees(own, found) else "DIFFERENT"
            verdicts += [
                f"- {name}, beside {side}: **{ratio(run, own, 'seconds_all')}** times its rate "
                f"with the reading ({ratio(run, own, 'cpu_seconds_all')} a processor second), "
                f"{ratio(run, own, 'seconds')} ({ratio(run, own, 'cpu_seconds')}) without"
                for side, run in best.items()
                if run is not own
            ]
            verdicts.append(
                f"- {name}: levels, means and medians are {same} (documented error of a median: "
                f"{max(own['errors'].values()):.1e})"
            )
    lines = [
        "# Results",
        "",
        f"Written by `compare.py` on {machine()}; Python {platform.python_version()}, on the other "
        f"side fastai {found['fastai']} with pandas {found['pandas']} and pyarrow "
        f"{found['arrow']}; {options.cores} core(s) each, {options.turns} runs of each "
        "side by turns, the one that took least in all.",
        "",
        "| table | | from CSV to codes, s (processor s) | of it reading, s "
        "| of it fit and encode, s (processor s) | peak memory |",
        "| --- | --- | --- | --- | --- | --- |",
        *rows,
    ]
    text = "\n".join([*lines, "", *verdicts, ""])
    print(text)
    (HERE / "results.md").write_text(text)


def ratio(theirs: Any, ours: Any, kind: str) -> str:
    """How many times faster."""
    return f"{theirs[kind] / ours[kind]:.1f}"


if __name__ == "__main__":
    main()
