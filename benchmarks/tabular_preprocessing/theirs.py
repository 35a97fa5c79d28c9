"""fastai's side of the comparison, for its own virtual environment. Prints one JSON line.

theirs.py TABLE.csv --categorical A B --continuous C D --target T --valid FIRST STOP
    [--engine pyarrow]
"""

import argparse
import json
import resource
import time
from pathlib import Path

import fastai
import pandas as pd
import pyarrow
from fastai.tabular.core import Categorify, FillMissing, Normalize, TabularPandas


def main() -> None:
    """Do what the lesson does before its data loaders."""
    parser = argparse.ArgumentParser()
    parser.add_argument("table", type=Path)
    parser.add_argument("--categorical", nargs="+", required=True)
    parser.add_argument("--continuous", nargs="+", required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--valid", nargs=2, type=int, required=True)
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--engine", help="of read_csv; pandas' own choice if left out")
    options = parser.parse_args()
    start, started = time.perf_counter(), time.process_time()
    frame = pd.read_csv(options.table, engine=options.engine)
    read, read_cpu = time.perf_counter() - start, time.process_time() - started
    columns = [*options.categorical, *options.continuous, options.target]
    frame = frame[columns]
    valid = list(range(*options.valid))
    train = [*range(options.valid[0]), *range(options.valid[1], len(frame))]
    seconds, cpu = [], []
    for _ in range(options.turns):
        start, started = time.perf_counter(), time.process_time()
        tabular = TabularPandas(
            frame,
            procs=[Categorify, FillMissing, Normalize],
            cat_names=list(options.categorical),
            cont_names=list(options.continuous),
            y_names=options.target,
            splits=(train, valid),
        )
        seconds.append(time.perf_counter() - start)
        cpu.append(time.process_time() - started)
    procs = {type(proc).__name__: proc for proc in tabular.procs}
    figures = {
        "fastai": fastai.__version__,
        "pandas": pd.__version__,
        "arrow": pyarrow.__version__,  # with it, pandas keeps texts in Arrow's form
        "rows": len(frame),
        "seconds_read": read,
        "cpu_seconds_read": read_cpu,
        "seconds": min(seconds),
        "cpu_seconds": min(cpu),
        "means": {k: float(v) for k, v in procs["Normalize"].means.items()},
        "medians": {k: float(v) for k, v in procs["FillMissing"].na_dict.items()},
        "levels": {k: len(v) for k, v in tabular.classes.items()},
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
