"""One language model, several classifiers: configuration alone, and it is not trained again."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pandas as pd
import pytest
import yaml
from pydantic import RootModel

from gradual.pipelines.texts.data_nodes import take_language
from gradual.results.table import value_of
from gradual.text.tokenizer import TokenizerConfig
from gradual.training.bundle import Bundle, load_bundle
from gradual.training.files import sha256_file

Kedro = Callable[..., CompletedProcess[str]]
MAGAZINES = ["lantern", "matinee", "reel"]


@pytest.fixture(scope="module")
def workspace(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which imdb has run."""
    return shutil.copytree(tiny, tmp_path_factory.mktemp("second") / "gradual")


@pytest.fixture(scope="module")
def language_model(workspace: Path) -> Bundle:
    return load_bundle(workspace / "data/tiny/06_models/imdb/language_model.safetensors")


def test_another_source_starts_from_the_stored_language_model(
    workspace: Path, kedro: Kedro, language_model: Bundle
) -> None:
    file = workspace / "data/tiny/06_models/imdb/language_model.safetensors"
    before = sha256_file(file)
    result = kedro(workspace, "run", "--pipeline=imdb_magazine", "--env=tiny")
    assert result.returncode == 0, result.stdout
    assert "train_language_model" not in result.stdout
    assert sha256_file(file) == before
    models = workspace / "data/tiny/06_models/imdb_magazine"
    assert {path.stem for path in models.glob("*.safetensors")} == {
        "classifier",
        "ngrams",
        "served",
    }
    classifier = load_bundle(models / "classifier.safetensors")
    assert classifier.dependencies["language_model"] == language_model.hash
    assert classifier.dependencies["vocabulary"] == language_model.dependencies["vocabulary"]
    assert classifier.metadata["labels"] == MAGAZINES
    reporting = workspace / "data/tiny/08_reporting/imdb_magazine"
    scores = pd.read_parquet(reporting / "scores.parquet")
    ngrams = value_of(scores, "ngrams", "accuracy")
    assert ngrams["rows"] == 200
    assert ngrams["value"] > 0.8, "house styles can be told by their words"
    assert "language_model" not in set(scores["model"])
    assert "What it writes" not in (reporting / "report.html").read_text()
    assert "<h2>Language model" not in (reporting / "batch.html").read_text()


def test_another_label_column_retrains_the_classifier_only(workspace: Path, kedro: Kedro) -> None:
    parameters = workspace / "conf/base/imdb/parameters.yml"
    changed = yaml.safe_load(parameters.read_text())
    changed["imdb"]["documents"] |= {"label_column": "magazine", "labels": MAGAZINES}
    parameters.write_text(yaml.safe_dump(changed))
    result = kedro(
        *(workspace, "run", "--pipeline=imdb", "--env=tiny", "--to-nodes=imdb.evaluate_classifier")
    )
    assert result.returncode == 0, result.stdout
    assert "language model: is finished already" in result.stdout
    assert "classifier: is finished already" not in result.stdout
    table = pd.read_parquet(workspace / "data/tiny/07_model_output/imdb/predictions.parquet")
    assert set(table["label"]) == set(MAGAZINES)


def test_a_language_model_that_is_missing_or_cannot_read_is_an_error(
    language_model: Bundle,
) -> None:
    with pytest.raises(ValueError, match=r"`filepath` of the catalog entry `<source>\.language_mo"):
        take_language(None, RootModel(TokenizerConfig()))
    mute = dataclasses.replace(
        language_model, metadata={**language_model.metadata} | {"tokenizer": None}
    )
    with pytest.raises(ValueError, match="holds no tokenizer configuration"):
        take_language(mute, RootModel(TokenizerConfig()))
