"""A made-up table that nets, trees and lines can learn, and its rows."""

import numpy as np
import pyarrow as pa

from gradual.tabular.examples import Examples
from gradual.tabular.preprocessing import ColumnsConfig, PreprocessingConfig, fit
from gradual.tabular.targets import TargetConfig

COLUMNS = ColumnsConfig(categorical=("job",), continuous=("age", "hours"))


def people(rows: int = 600, seed: int = 0) -> pa.Table:
    """Three levels, two numbers, some gaps, and targets of all kinds that depend on them."""
    random = np.random.default_rng(seed)
    job = random.choice(["cook", "clerk", "pilot"], rows)
    age, hours = random.uniform(20, 60, rows), random.normal(40, 8, rows)
    pay = (
        100 + 4 * age + 80 * (job == "pilot") - 1.5 * np.abs(hours - 40) + random.normal(0, 9, rows)
    )
    shown = np.where(random.random(rows) < 0.05, np.nan, age)
    return pa.table(
        {
            "job": job,
            "age": pa.array(shown, from_pandas=True),
            "hours": hours,
            "pay": pay,
            "rich": np.where(pay > 270, " yes", " no"),
            "band": np.digitize(pay, [220, 300]),
            "old": age > 45,
            "flies": (job == "pilot").astype(int),
        }
    )


def examples(table: pa.Table, target: TargetConfig) -> Examples:
    """All rows encoded; every fourth is a validation row."""
    rows = np.arange(table.num_rows)
    train, valid = rows[rows % 4 != 0], rows[rows % 4 == 0]
    preprocessor = fit(table.take(train), PreprocessingConfig(COLUMNS))
    return Examples(preprocessor.transform(table), table, train, valid, preprocessor, target)
