"""Our side of the comparison. Prints one JSON line.

ours.py TABLE.csv --categorical A B --continuous C D --target T --valid FIRST STOP
"""

import argparse
import json
import resource
import time
from pathlib import Path

import pyarrow as pa

from gradual.sources.reader import open_source
from gradual.tabular.columns import TextConfig
from gradual.tabular.preprocessing import ColumnsConfig, PreprocessingConfig, fit


def main() -> None:
    """Fit on the training rows, encode all rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("table", type=Path)
    parser.add_argument("--categorical", nargs="+", required=True)
    parser.add_argument("--continuous", nargs="+", required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--valid", nargs=2, type=int, required=True)
    parser.add_argument("--turns", type=int, default=1)
    options = parser.parse_args()
    start, started = time.perf_counter(), time.process_time()
    table = pa.concat_tables(open_source(options.table).chunks()).combine_chunks()
    read, read_cpu = time.perf_counter() - start, time.process_time() - started
    columns = ColumnsConfig((*options.categorical, options.target), tuple(options.continuous))
    table = table.select(columns.names)
    config = PreprocessingConfig(columns, TextConfig(missing=("",)))
    first, stop = options.valid
    seconds, cpu = [], []
    for _ in range(options.turns):
        start, started = time.perf_counter(), time.process_time()
        preprocessor = fit([table.slice(0, first), table.slice(stop)], config)
        preprocessor.transform(table)
        seconds.append(time.perf_counter() - start)
        cpu.append(time.process_time() - started)
    numbers = {column.name: column for column in preprocessor.continuous_columns}
    figures = {
        "rows": table.num_rows,
        "seconds_read": read,
        "cpu_seconds_read": read_cpu,
        "seconds": min(seconds),
        "cpu_seconds": min(cpu),
        "means": {name: column.scale.center for name, column in numbers.items()},
        "medians": {name: column.fill for name, column in numbers.items() if column.gaps},
        "errors": {name: column.relative_error for name, column in numbers.items()},
        "levels": preprocessor.cardinalities,
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
