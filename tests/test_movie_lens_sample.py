import importlib.util
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "scripts" / "make_movie_lens_sample.py"
SAMPLE = ROOT / "data" / "01_raw" / "movie_lens_sample"


@pytest.fixture(scope="module")
def ratings() -> pd.DataFrame:
    return pd.read_csv(SAMPLE / "ratings.csv")


@pytest.fixture(scope="module")
def movies() -> pd.DataFrame:
    return pd.read_csv(SAMPLE / "movies.csv")


def test_script_reproduces_the_committed_files_byte_by_byte(tmp_path: Path) -> None:
    subprocess.run([sys.executable, SCRIPT, "--output", tmp_path], check=True, capture_output=True)
    for name in ("ratings.csv", "movies.csv", "questions.csv", "new_users.csv"):
        assert (tmp_path / name).read_bytes() == (SAMPLE / name).read_bytes()


def test_another_seed_gives_other_ratings() -> None:
    spec = importlib.util.spec_from_file_location("make_movie_lens_sample", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.make_sample(7)["ratings.csv"].encode() != (SAMPLE / "ratings.csv").read_bytes()


def test_files_have_the_schema_of_the_lesson(ratings: pd.DataFrame, movies: pd.DataFrame) -> None:
    assert list(ratings.columns) == ["userId", "movieId", "rating", "timestamp"]
    assert len(ratings) == 8000
    assert not ratings.duplicated(["userId", "movieId"]).any()
    assert set(ratings["rating"]) == {k / 2 for k in range(1, 11)}
    assert list(movies.columns) == ["movieId", "title", "genres"]
    assert movies["title"].is_unique
    assert movies["title"].str.fullmatch(r".+ \((19|20)\d\d\)").all()
    assert set(ratings["movieId"]) <= set(movies["movieId"])


def test_items_are_rated_as_unevenly_as_real_ones(ratings: pd.DataFrame) -> None:
    counts = ratings["movieId"].value_counts()
    assert counts.head(len(counts) // 10).sum() > 0.25 * len(ratings)
    assert counts.min() < 5
