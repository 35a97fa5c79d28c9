"""How often drift is seen where there is none, and where there is some by construction.

Rows are drawn at random from one table, so that nothing has drifted; then one thing is done to the
new ones. Needs the public data: ``GRADUAL_MIRROR=… python benchmarks/drift/run.py [draws]``.
Writes ``results.json``, of which nothing is done again, and the table ``results.md`` beside itself.
"""

import json
import os
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from gradual.results.scores import wilson
from gradual.retraining.columns import ColumnKind
from gradual.retraining.config import RetrainConfig
from gradual.retraining.drift import drift

HERE = Path(__file__).parent
MIRROR = Path(os.environ["GRADUAL_MIRROR"])
SIZES = (100, 1_000, 5_000)
Change = Callable[[pa.Table, np.random.Generator], pa.Table]


def adult() -> tuple[pa.Table, dict[str, ColumnKind]]:
    """People and what they earn."""
    with tarfile.open(MIRROR / "adult_sample.tgz") as archive:
        table = csv.read_csv(archive.extractfile("adult_sample/adult.csv"))
    kinds: dict[str, ColumnKind] = {
        name: "level" if pa.types.is_string(table.schema.field(name).type) else "number"
        for name in table.column_names
    }
    return table, {**kinds, "salary": "target"}


def reviews() -> tuple[pa.Table, dict[str, ColumnKind]]:
    """Films, praised and panned."""
    texts, labels = [], []
    with tarfile.open(MIRROR / "aclImdb_v1.tar.gz") as archive:
        for member in archive:
            parts = member.name.split("/")
            if len(parts) == 4 and parts[1] == "train" and parts[2] in ("pos", "neg"):
                texts.append(archive.extractfile(member).read().decode())
                labels.append(parts[2])
    return pa.table({"text": texts, "label": labels}), {"text": "text", "label": "target"}


def ratings() -> tuple[pa.Table, dict[str, ColumnKind]]:
    """Films, rated."""
    with zipfile.ZipFile(MIRROR / "ml-latest-small.zip") as archive:
        table = csv.read_csv(archive.open("ml-latest-small/ratings.csv"))
    return table, {"userId": "user", "movieId": "item", "rating": "target", "timestamp": "date"}


def replaced(name: str, share: float, make: Callable[[int, np.ndarray], list]) -> Change:
    """A share of the values of a column are others."""

    def change(table: pa.Table, generator: np.random.Generator) -> pa.Table:
        values = np.array(table[name].to_pylist(), object)
        chosen = np.flatnonzero(generator.random(len(values)) < share)
        values[chosen] = make(len(chosen), values[chosen])
        place = table.column_names.index(name)
        return table.set_column(place, name, pa.array(values.tolist()))

    return change


def shifted(name: str, deviations: float) -> Change:
    """A number is larger."""

    def change(table: pa.Table, _: np.random.Generator) -> pa.Table:
        by = round(deviations * pc.stddev(table[name]).as_py())
        return table.set_column(table.column_names.index(name), name, pc.add(table[name], by))

    return change


CHANGES: Mapping[str, tuple[Callable, dict[str, Change]]] = {
    "tables (adult)": (
        adult,
        {
            "age + 0.5 sd": shifted("age", 0.5),
            "age + 2 sd": shifted("age", 2),
            "a new level in 10 % of rows": replaced("workclass", 0.1, lambda n, _: ["Gig"] * n),
            "a new level in 70 % of rows": replaced("workclass", 0.7, lambda n, _: ["Gig"] * n),
            "70 % of ages missing": replaced("age", 0.7, lambda n, _: [None] * n),
        },
    ),
    "ratings (movielens)": (
        ratings,
        {
            "20 % of rows by new users": replaced(
                "userId", 0.2, lambda n, _: [10**6 + k // 20 for k in range(n)]
            ),
            "80 % of rows by new users": replaced(
                "userId", 0.8, lambda n, _: [10**6 + k // 4 for k in range(n)]
            ),
            "80 % of rows of new items": replaced(
                "movieId", 0.8, lambda n, _: [10**6 + k % 40 for k in range(n)]
            ),
        },
    ),
    "texts (imdb)": (
        reviews,
        {
            "a new word in 20 % of texts": replaced(
                "text", 0.2, lambda _, old: [f"{text} Streamed on Flimbox." for text in old]
            ),
            "a new word in 80 % of texts": replaced(
                "text", 0.8, lambda _, old: [f"{text} Streamed on Flimbox." for text in old]
            ),
            "texts cut to 40 words": replaced(
                "text", 1.0, lambda _, old: [" ".join(text.split()[:40]) for text in old]
            ),
        },
    ),
}


def share(found: list[bool]) -> str:
    """How many of how many, with Wilson's interval."""
    low, high = wilson(sum(found), len(found))
    return f"{sum(found)} of {len(found)} ({low:.0%} to {high:.0%})"


def main(draws: int) -> None:
    """Draw, look and write."""
    stored = HERE / "results.json"
    rows = json.loads(stored.read_text()) if stored.exists() else []
    done = {(row["rows of"], row["change"], row["new rows"]) for row in rows}
    for kind, (read, changes) in CHANGES.items():
        table, columns = read()
        for name, change in {"none": None, **changes}.items():
            for size in SIZES:
                if (kind, name, size) in done:
                    continue
                seeds = range(draws if change is None else max(draws // 4, 1))
                found = [look(table, columns, change, size, seed) for seed in seeds]
                rows.append({"rows of": kind, "change": name, "new rows": size, "draws": found})
                print(*line(rows[-1]), sep=" | ", flush=True)
                stored.write_text(json.dumps(rows, indent=1) + "\n")
    margin = RetrainConfig().max_drift_auc
    head = ["Rows of", "Change", "New rows", "AUC, mean (lowest to highest)", "Interval above 0.5"]
    head += [f"`drifted`: above {margin}", "A column notable", "Seconds"]
    lines = [head, ["---"] * len(head), *map(line, rows)]
    text = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    (HERE / "results.md").write_text(f"# Drift: false alarms and finds\n\n{text}\n")


def look(
    table: pa.Table,
    columns: dict[str, ColumnKind],
    change: Change | None,
    size: int,
    seed: int,
) -> dict[str, Any]:
    """Draw new rows and old ones, change the new, and look for drift."""
    generator = np.random.default_rng(seed)
    order = generator.permutation(table.num_rows)
    new, old = table.take(order[:size]), table.take(np.sort(order[size:]))
    if change is not None:
        new = change(new, generator)
    start = time.perf_counter()
    seen = drift(new, old, columns, RetrainConfig(), seed)
    return {
        "auc": seen.auc,
        "low": seen.low,
        "drifted": seen.drifted,
        "notable": [shift.column for shift in seen.shifts if shift.notable],
        "seconds": time.perf_counter() - start,
    }


def line(row: dict) -> list[str]:
    """A line of the table."""
    draws = row["draws"]
    areas = [draw["auc"] for draw in draws]
    return [
        row["rows of"],
        row["change"],
        f"{row['new rows']:,}",
        f"{np.mean(areas):.3f} ({min(areas):.3f} to {max(areas):.3f})",
        share([draw["low"] > 0.5 for draw in draws]),
        share([draw["drifted"] for draw in draws]),
        share([bool(draw["notable"]) for draw in draws]),
        f"{np.mean([draw['seconds'] for draw in draws]):.1f}",
    ]


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
