"""Answer a million rows by `kedro run --pipeline=adult_predict`: time, memory, the floor.

python benchmarks/serving/batch.py [--rows 100000 1000000] [--project .]

Trains `adult` as embedded (recipe `small`) in a copy of the project, makes CSV files by drawing
rows of the embedded sample again, and answers each in a process of its own. The floor is to read
the same file through Arrow, and to do nothing.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

sys.path.insert(0, str(Path(__file__).parents[1]))
from common import machine

FLOOR = "import sys, pyarrow.csv as c; [None for _ in c.open_csv(sys.argv[1])]"


def copy_of(project: Path, folder: Path) -> Path:
    """Copy what a run reads."""
    for name in ("conf", "src"):
        shutil.copytree(project / name, folder / name)
    shutil.copytree(project / "data/01_raw/adult_sample", folder / "data/01_raw/adult_sample")
    for name in ("pyproject.toml", ".telemetry"):
        shutil.copy(project / name, folder)
    return folder


def measured(command: list[str], folder: Path) -> tuple[float, float, float]:
    """Run a command; seconds, processor seconds, and the highest resident memory in MB."""
    own = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    start = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        env=own | {"PYTHONPATH": str(folder / "src")},
    )
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{' '.join(command)} failed")
    seconds = time.perf_counter() - start
    return seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1e3


def main() -> None:
    """Train, make the files, answer them, print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 300_000, 1_000_000])
    parser.add_argument("--project", type=Path, default=Path(__file__).parents[2])
    options = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as temporary:
        folder = copy_of(options.project.resolve(), Path(temporary))
        kedro = [sys.executable, "-m", "kedro", "run"]
        measured([*kedro, "--pipeline=adult"], folder)
        new = folder / "data/01_raw/adult_sample/new_people.csv"
        sample = pacsv.read_csv(folder / "data/01_raw/adult_sample/adult.csv").drop_columns(
            "salary"
        )
        base = None
        for rows in [1000, *options.rows]:
            drawn = np.random.default_rng(0).integers(0, sample.num_rows, rows)
            pacsv.write_csv(sample.take(pa.array(drawn)), new)
            size = new.stat().st_size / 1e6
            seconds, cpu, peak = measured([*kedro, "--pipeline=adult_predict"], folder)
            if base is None:  # what the start alone takes
                base = cpu
                print(f"{rows:,} rows: {cpu:.1f} processor seconds, peak {peak:.0f} MB", flush=True)
                continue
            floor = measured([sys.executable, "-c", FLOOR, str(new)], folder)
            answers = folder / "data/07_model_output/adult/new_predictions.parquet"
            print(
                f"{rows:,} rows, {size:.1f} MB read: {seconds:.1f} s, {cpu:.1f} processor seconds, "
                f"{rows / (cpu - base):,.0f} rows a processor second beyond the start, "
                f"peak {peak:.0f} MB; floor {floor[1]:.1f} processor seconds, {floor[2]:.0f} MB; "
                f"{answers.stat().st_size / 1e6:.1f} MB written",
                flush=True,
            )


if __name__ == "__main__":
    main()
