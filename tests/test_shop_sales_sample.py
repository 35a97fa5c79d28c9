import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "data/01_raw/shop_sales_sample/sales.csv"


@pytest.fixture(scope="module")
def sales() -> pd.DataFrame:
    return pd.read_csv(SAMPLE, parse_dates=["date"])


def test_script_reproduces_the_committed_file_byte_by_byte(tmp_path: Path) -> None:
    script = ROOT / "scripts/make_shop_sales_sample.py"
    subprocess.run([sys.executable, script, "--output", tmp_path], check=True)
    assert (tmp_path / "sales.csv").read_bytes() == SAMPLE.read_bytes()
    subprocess.run([sys.executable, script, "--output", tmp_path, "--seed", "7"], check=True)
    assert (tmp_path / "sales.csv").read_bytes() != SAMPLE.read_bytes()


def test_one_row_a_shop_and_open_day_in_order(sales: pd.DataFrame) -> None:
    assert not sales.duplicated(["date", "store"]).any()
    assert sales["date"].is_monotonic_increasing
    assert (sales["date"].dt.dayofweek < 6).all()
    assert (sales["sales"] > 0).all()


def test_a_shop_opens_late_and_gaps_are_there(sales: pd.DataFrame) -> None:
    first = sales.groupby("store")["date"].min()
    assert first["harbour"] > first.drop("harbour").max() + pd.Timedelta(days=500)
    assert sales["competition_km"].isna().any()
    assert sales["temperature"].isna().any()


def test_a_promotion_sells_more_in_city_shops_than_in_the_country(sales: pd.DataFrame) -> None:
    week = sales[sales["date"].dt.dayofweek < 5]
    logs = week.assign(log=np.log(week["sales"])).pivot_table("log", "store", "promotion")
    gain = logs[1] - logs[0]
    assert gain["station"] > gain["airport"] > gain["lake view"] > 0.05
