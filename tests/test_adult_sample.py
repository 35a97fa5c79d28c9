import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "data/01_raw/adult_sample/adult.csv"
TEST_ROWS = 800


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    return pd.read_csv(SAMPLE)


def test_script_reproduces_the_committed_files_byte_by_byte(tmp_path: Path) -> None:
    script = ROOT / "scripts/make_adult_sample.py"
    subprocess.run([sys.executable, script, "--output", tmp_path], check=True)
    for name in ("adult.csv", "new_people.csv"):
        assert (tmp_path / name).read_bytes() == SAMPLE.with_name(name).read_bytes()
    subprocess.run([sys.executable, script, "--output", tmp_path, "--seed", "7"], check=True)
    assert (tmp_path / "adult.csv").read_bytes() != SAMPLE.read_bytes()


def test_new_people_have_no_pay_but_levels_and_gaps_of_their_own(people: pd.DataFrame) -> None:
    new = pd.read_csv(SAMPLE.with_name("new_people.csv"))
    assert list(new.columns) == list(people.columns[:-1])
    assert set(new["native-country"]) - set(people["native-country"][:-TEST_ROWS])
    assert new["hours-per-week"].isna().any()


def test_schema_and_manner_of_values_are_the_lessons(people: pd.DataFrame) -> None:
    assert len(people) == 4000
    assert len(people.columns) == 15
    texts = people.select_dtypes("str").columns.difference(["salary"])
    assert len(texts) == 8
    for name in texts:
        assert people[name].dropna().str.startswith(" ").all(), name
    assert set(people["salary"]) == {"<50k", ">=50k"}
    assert 0.15 < (people["salary"] == ">=50k").mean() < 0.35


def test_test_rows_hold_what_the_others_never_showed(people: pd.DataFrame) -> None:
    train, test = people[:-TEST_ROWS], people[-TEST_ROWS:]
    assert set(test["native-country"]) - set(train["native-country"]) == {
        " Iceland",
        " New-Zealand",
    }
    assert train.columns[train.isna().any()].tolist() == ["education-num", "occupation"]
    assert test["hours-per-week"].isna().any()


def test_there_are_rare_levels(people: pd.DataFrame) -> None:
    assert people["native-country"].value_counts().min() < 5
    assert people["workclass"].value_counts().min() < 5
