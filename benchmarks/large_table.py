"""Fit and encode a table larger than memory should hold; report time, memory and the floor.

python benchmarks/large_table.py [--rows 50000000] [--shards 20] [--folder /tmp/large_table]

Makes Parquet shards (about 32 bytes a row), then, each in a process of its own: fits them, encodes
them into shards, and, for the floor, reads the same input and writes the same output through Arrow
without doing anything. At last a median is compared with that of the whole column.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gradual.sources.reader import open_source
from gradual.tabular.engine import fit_source, transform_source
from gradual.tabular.preprocessing import ColumnsConfig, PreprocessingConfig, Preprocessor

COLUMNS = ColumnsConfig(
    categorical=("product", "shop", "online"), continuous=("price", "age", "weight", "amount")
)


def shard(rows: int, seed: int) -> pa.Table:
    """Rows of both kinds, most columns with gaps."""
    draw = np.random.default_rng(seed)

    def gaps(share: float) -> np.ndarray:
        return draw.random(rows) < share

    products = pa.array([f"product {i}" for i in range(2000)])
    codes = pa.array((2000 * draw.random(rows) ** 4).astype(np.int32), mask=gaps(0.05))
    columns = {
        "product": pa.DictionaryArray.from_arrays(codes, products).cast(pa.string()),
        "shop": pa.array(draw.integers(0, 300, rows), mask=gaps(0.01)),
        "online": pa.array(draw.random(rows) < 0.3, mask=gaps(0.1)),
        "price": pa.array(np.round(draw.lognormal(3, 1, rows), 2), mask=gaps(0.02)),
        "age": pa.array(draw.integers(18, 90, rows), mask=gaps(0.2)),
        "weight": pa.array(draw.normal(70, 15, rows)),
        "amount": pa.array(draw.lognormal(5, 2, rows), mask=gaps(0.05)),
    }
    return pa.table(columns)


def make(folder: Path, rows: int, shards: int) -> None:
    """Write the input."""
    (folder / "in").mkdir(parents=True)
    for i in range(shards):
        path = folder / "in" / f"part-{i:03}.parquet"
        pq.write_table(shard(rows // shards, i), path, compression="snappy")


def fit(folder: Path) -> None:
    """Fit all shards."""
    fitted = fit_source(open_source(folder / "in"), PreprocessingConfig(COLUMNS))
    (folder / "preprocessor.json").write_text(json.dumps(fitted.to_dict()))


def transform(folder: Path) -> None:
    """Encode all shards."""
    fitted = Preprocessor.from_dict(json.loads((folder / "preprocessor.json").read_text()))
    transform_source(open_source(folder / "in"), fitted, folder / "out")


def read(folder: Path) -> None:
    """Read the input through Arrow and do nothing."""
    for _ in open_source(folder / "in").chunks():
        pass


def write(folder: Path) -> None:
    """Read one shard of the output and write it as often as there are shards."""
    shards = sorted((folder / "out").iterdir())
    table = pq.read_table(shards[0])
    (folder / "copies").mkdir()
    for path in shards:
        pq.write_table(table, folder / "copies" / path.name, compression="zstd")


def median(folder: Path) -> None:
    """Compare the medians of two columns with those of the whole columns."""
    fitted = json.loads((folder / "preprocessor.json").read_text())
    for column in fitted["continuous"]:
        if column["name"] in ("price", "amount"):
            whole = pq.read_table(folder / "in", columns=[column["name"]])[0]
            exact = float(np.median(whole.drop_null().to_numpy()))
            print(
                f"median of {column['name']}: {column['fill']!r}, of the whole column {exact!r}; "
                f"off by {abs(column['fill'] / exact - 1):.1e}, documented bound "
                f"{column['relative_error']:.1e}"
            )


STEPS = {"fit": fit, "transform": transform, "read": read, "write": write, "median": median}


def main() -> None:
    """Make the input, run each step in a process of its own, print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=50_000_000)
    parser.add_argument("--shards", type=int, default=20)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/large_table"))
    parser.add_argument("--step", choices=STEPS)
    options = parser.parse_args()
    folder: Path = options.folder
    if options.step:
        start, started = time.perf_counter(), time.process_time()
        STEPS[options.step](folder)
        seconds, cpu = time.perf_counter() - start, time.process_time() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(
            f"{options.step}: {seconds:.1f} s, {options.rows / seconds:,.0f} rows/s, "
            f"{cpu:.1f} processor seconds, peak memory {peak:.2f} GB",
            flush=True,
        )
        return
    try:
        make(folder, options.rows, options.shards)
        for step in STEPS:
            command = [sys.executable, __file__, "--step", step, "--folder", str(folder)]
            subprocess.run([*command, "--rows", str(options.rows)], check=True)
        for name in ("in", "out"):
            size = sum(path.stat().st_size for path in (folder / name).iterdir())
            print(f"{name}: {size / 1e9:.2f} GB")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
