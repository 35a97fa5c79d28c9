import importlib.util
import io
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "scripts" / "make_imdb_sample.py"
SAMPLE = ROOT / "data" / "01_raw" / "imdb_sample"


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_imdb_sample", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def labelled() -> pd.DataFrame:
    return pd.read_csv(SAMPLE / "texts.csv")


@pytest.fixture(scope="module")
def unlabelled() -> pd.DataFrame:
    return pd.read_csv(SAMPLE / "unsupervised.csv")


def test_script_reproduces_the_committed_files_byte_by_byte(tmp_path: Path) -> None:
    subprocess.run([sys.executable, SCRIPT, "--output", tmp_path], check=True, capture_output=True)
    for name in ("texts.csv", "unsupervised.csv", "new.csv"):
        assert (tmp_path / name).read_bytes() == (SAMPLE / name).read_bytes()


def test_another_seed_gives_other_reviews(generator: ModuleType) -> None:
    files, _ = generator.make_sample(7)
    assert files["texts.csv"].encode() != (SAMPLE / "texts.csv").read_bytes()


def test_labelled_file_has_the_schema_of_the_lesson(labelled: pd.DataFrame) -> None:
    assert list(labelled.columns) == ["label", "text", "is_valid", "magazine"]
    assert labelled["is_valid"].dtype == bool
    counts = labelled.groupby(["is_valid", "label"]).size().to_dict()
    assert counts == {
        (False, "negative"): 400,
        (False, "positive"): 400,
        (True, "negative"): 100,
        (True, "positive"): 100,
    }


def test_magazines_are_a_second_target_that_tells_little_of_the_first(
    labelled: pd.DataFrame,
) -> None:
    shares = labelled.groupby("is_valid")["magazine"].value_counts(normalize=True)
    assert set(labelled["magazine"]) == {"lantern", "matinee", "reel"}
    assert shares.between(0.25, 0.42).all()
    praised = labelled.groupby("magazine")["label"].value_counts(normalize=True)
    assert praised.between(0.45, 0.55).all()


def test_reviews_are_distinct_of_sane_length_and_small_on_disk(
    labelled: pd.DataFrame, unlabelled: pd.DataFrame
) -> None:
    assert list(unlabelled.columns) == ["text"]
    assert len(unlabelled) == 3000
    texts = pd.concat([labelled["text"], unlabelled["text"]])
    assert texts.is_unique
    assert texts.str.split().str.len().between(30, 120).all()
    assert sum((SAMPLE / name).stat().st_size for name in ("texts.csv", "unsupervised.csv")) < 2.5e6


@pytest.mark.parametrize(
    ("pattern", "least", "most"),
    [
        (r"<br /><br />", 0.2, 0.4),
        (r"\bnot at all\b|\banything but\b|\bneither\b", 0.1, 0.5),
        (r"\bbut\b|\balthough\b", 0.2, 0.8),
        (r"\b[A-Z]{4,}\b", 0.05, 0.5),
        (r"(\w)\1\1", 0.01, 0.2),
        (r'", and I could not', 0.01, 0.2),
        (r"\d/10", 0.02, 0.1),
        (r"[\U0001F300-\U0001FAFF]", 0.02, 0.1),
    ],
)
@pytest.mark.filterwarnings("ignore:This pattern:UserWarning")
def test_what_makes_reviews_hard_to_read_is_there(
    unlabelled: pd.DataFrame, pattern: str, least: float, most: float
) -> None:
    assert least < unlabelled["text"].str.contains(pattern, regex=True).mean() < most


def test_a_few_labels_are_wrong(generator: ModuleType) -> None:
    files, sides = generator.make_sample(42)
    labels = pd.read_csv(io.StringIO(files["texts.csv"]))["label"]
    opinions = pd.Series(sides["texts.csv"]).map({-1: "negative", 1: "positive"})
    assert (labels != opinions).sum() == 40


def test_polarities_share_no_word(generator: ModuleType) -> None:
    for lexicon in generator.LEXICON.values():
        assert not set(lexicon[1]) & set(lexicon[-1])


def test_most_adjectives_are_rare_in_the_training_reviews(
    generator: ModuleType, labelled: pd.DataFrame, unlabelled: pd.DataFrame
) -> None:
    """Unlabelled reviews must have something to teach."""
    adjectives = [*generator.ADJECTIVES[1], *generator.ADJECTIVES[-1]]

    def counts(texts: pd.Series) -> pd.Series:
        joined = " ".join(texts.str.lower())
        return pd.Series([joined.count(word) for word in adjectives])

    training = counts(labelled.loc[~labelled["is_valid"], "text"])
    assert (training <= 12).mean() > 0.5  # in at most 1.5 % of the reviews
    assert (counts(unlabelled["text"]) >= 2 * training).mean() > 0.9
