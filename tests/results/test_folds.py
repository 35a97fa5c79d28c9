"""Scores of folds: mean, spread and an interval that is Student's t."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from gradual.results.folds import by_fold, over_folds, summarise
from gradual.results.table import COLUMNS, means, result_rows, value_of

RMSE = {"net": [1.0, 1.2, 1.1], "mean": [2.0, 2.1, 1.9]}


def fold(i: int) -> pd.DataFrame:
    rows = [
        {"source": f"x_fold_{i}", "model": model, "seed": None, "part": "test", "slice": "",
         "rows": 10, "metric": "rmse", "value": values[i], "low": 0.5, "high": 3.0}
        for model, values in RMSE.items()
    ]  # fmt: skip
    return result_rows([*rows, {**rows[0], "seed": 7, "value": 99.0}])


@pytest.fixture
def together() -> pd.DataFrame:
    return over_folds([fold(i) for i in range(3)], "x_folds")


def test_means_have_students_t_over_folds_on_the_scale_of_the_metric(
    together: pd.DataFrame,
) -> None:
    assert list(together.columns) == list(COLUMNS)
    assert set(together["source"]) == {"x_folds"}
    found, values = value_of(together, "net", "rmse"), np.array(RMSE["net"])
    half = t.ppf(0.975, 2) * values.std(ddof=1) / np.sqrt(3) / values.mean()  # of the logarithm
    assert found["value"] == pytest.approx(1.1)
    assert found["low"] == pytest.approx(1.1 * np.exp(-half))
    assert found["high"] == pytest.approx(1.1 * np.exp(half))
    assert found["rows"] == 30
    folds = together[together["seed"].notna() & (together["model"] == "net")]
    assert folds.set_index("seed")["value"].to_dict() == {1: 1.0, 2: 1.2, 3: 1.1}, "seeds left out"


def test_folds_are_laid_out_and_told_with_the_best_model_first(together: pd.DataFrame) -> None:
    table = by_fold(together, "rmse")
    assert table["Model"].tolist() == ["net", "mean"]
    assert table.loc[0, ["Fold 1", "Fold 3"]].tolist() == ["1.000", "1.100"]
    assert summarise(together, 3)["headline"].startswith("RMSE, mean of 3 folds: net 1.100 [")


def test_equal_folds_and_a_slice_of_one_fold_have_no_interval() -> None:
    last = fold(2).assign(slice="rare")
    rows = over_folds([fold(0), fold(0), pd.concat([fold(0), last])], "x")
    assert means(rows)["low"].isna().all()
    assert means(rows, slice="rare")["value"].tolist() == [1.1, 1.9]
