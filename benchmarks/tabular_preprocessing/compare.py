"""Compare our preprocessing with fastai's on the same tables, by turns; writes results.md.

python compare.py MIRROR --fastai-python PATH [--rows 10000000] [--turns 2]

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
CATEGORICAL = ["workclass", "education", "marital-status", "occupation", "relationship", "race"]
CONTINUOUS = ["age", "fnlwgt", "education-num"]
TARGET = "salary"


def large(lesson: pa.Table, rows: int) -> pa.Table:
    """The lesson's rows at random, and a column of distinct numbers."""
    draw = np.random.default_rng(0)
    table = lesson.take(pa.array(draw.integers(0, lesson.num_rows, rows)))
    amount = pa.array(draw.lognormal(5, 1, rows), mask=draw.random(rows) < 0.1)
    return table.append_column("amount", amount)


def measured(python: str, side: str, table: Path, continuous: list[str], turns: int) -> Any:
    """Run one side in a process of its own."""
    command = [python, str(HERE / f"{side}.py"), str(table), "--target", TARGET]
    command += ["--categorical", *CATEGORICAL, "--continuous", *continuous]
    command += ["--valid", "800", "1000", "--turns", str(turns)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


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
    options = parser.parse_args()
    lesson = open_source(options.mirror / "adult_sample.tgz").read()
    lines = [
        "# Results",
        "",
        f"Written by `compare.py`, Python {platform.python_version()}, {os.cpu_count()} cores; "
        "both sides by turns, the best of each.",
        "",
        "| table | | seconds, fit and encode | rows/s | processor seconds | reading the CSV | "
        "peak memory |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    verdicts = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        for name, rows, continuous, turns in (
            ("the lesson's", lesson.num_rows, CONTINUOUS, 5),
            ("drawn from it", options.rows, [*CONTINUOUS, "amount"], 1),
        ):
            pacsv.write_csv(lesson if turns > 1 else large(lesson, rows), path)
            ours, theirs = [], []
            for _ in range(options.turns):
                theirs.append(measured(options.fastai_python, "theirs", path, continuous, turns))
                ours.append(measured(sys.executable, "ours", path, continuous, turns))
            best = [min(runs, key=lambda run: run["seconds"]) for runs in (theirs, ours)]
            for side, run in zip((f"fastai {theirs[0]['fastai']}", "gradual"), best, strict=True):
                lines.append(
                    f"| {name}, {rows:,} rows | {side} | {run['seconds']:.3f} | "
                    f"{rows / run['seconds']:,.0f} | {run['cpu_seconds']:.3f} | "
                    f"{run['seconds_read']:.2f} s | "
                    f"{run['peak_gb']:.2f} GB |"
                )
            ratio = best[0]["seconds"] / best[1]["seconds"]
            work = best[0]["cpu_seconds"] / best[1]["cpu_seconds"]
            same = "the same" if agrees(best[1], best[0]) else "DIFFERENT"
            verdicts.append(
                f"- {name}: **{ratio:.1f} × fastai's rate** ({work:.1f} × a processor second); "
                f"levels, means and medians are {same} (documented error of a median: "
                f"{max(best[1]['errors'].values()):.1e})"
            )
    text = "\n".join([*lines, "", *verdicts, ""])
    print(text)
    (HERE / "results.md").write_text(text)


if __name__ == "__main__":
    main()
