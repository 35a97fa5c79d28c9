"""Both directions and their mean as a user runs them, beside an imdb run that has ended."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import mlflow
import pandas as pd
import pytest

import gradual
from gradual.results.predictions import probabilities_of
from gradual.results.table import value_of
from gradual.text.ensemble import TextEnsemble
from gradual.training.bundle import load_bundle

Kedro = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="module")
def both(tiny: Path, kedro: Kedro, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A copy of the finished project in which the ensemble has run, and what that printed."""
    workspace = shutil.copytree(tiny, tmp_path_factory.mktemp("ensemble") / "gradual")
    result = kedro(workspace, "run", "--pipeline=imdb_ensemble", "--env=tiny")
    assert result.returncode == 0, result.stdout
    return workspace, result.stdout


def test_one_command_trains_what_is_missing_and_nothing_else(both: tuple[Path, str]) -> None:
    workspace, log = both
    assert log.count("language model: is finished already") == 1
    assert log.count("classifier: is finished already") == 1
    models = workspace / "data/tiny/06_models"
    ahead = load_bundle(models / "imdb/language_model.safetensors")
    back = load_bundle(models / "imdb_backwards/language_model.safetensors")
    assert ahead.dependencies["vocabulary"] == back.dependencies["vocabulary"]
    assert ahead.dependencies["corpus"] != back.dependencies["corpus"]
    assert back.metadata["tokenizer"]["backwards"] is True
    assert "contain '.' characters" not in log


def test_three_scores_on_the_same_rows(both: tuple[Path, str]) -> None:
    workspace, log = both
    data = workspace / "data/tiny"
    table = pd.read_parquet(data / "07_model_output/imdb_ensemble/predictions.parquet")
    members = [
        pd.read_parquet(data / f"07_model_output/{name}/predictions.parquet")
        for name in ("imdb", "imdb_backwards")
    ]
    net = "classifier_probability_"
    mean = sum(probabilities_of(member, net) for member in members) / 2
    assert abs(probabilities_of(table, "ensemble_probability_") - mean).max() < 1e-6
    reporting = data / "08_reporting/imdb_ensemble"
    scores = pd.read_parquet(reporting / "scores.parquet")
    for name, member in zip(("forward", "backward"), members, strict=True):
        predicted = probabilities_of(member, net).argmax(axis=1)
        right = predicted == (member["label"] == "positive")
        assert value_of(scores, name, "accuracy")["value"] == right.mean()
        assert value_of(scores, name, "accuracy", "valid")["rows"] == 80
    summary = json.loads((reporting / "summary.json").read_text())
    page = (reporting / "report.html").read_text().replace("\u00a0", " ")
    assert summary["headline"] in page
    assert summary["headline"] in log


def test_a_file_of_new_texts_is_answered_by_both(both: tuple[Path, str], kedro: Kedro) -> None:
    workspace, _ = both
    result = kedro(workspace, "run", "--pipeline=imdb_ensemble_predict", "--env=tiny")
    assert result.returncode == 0, result.stdout
    models = workspace / "data/tiny/06_models"
    names = ("imdb", "imdb_backwards")
    bundles = [load_bundle(models / f"{name}/classifier.safetensors") for name in names]
    texts = pd.read_csv(workspace / "data/01_raw/imdb_sample/new.csv")["text"].dropna()
    both = TextEnsemble.from_bundles(bundles).predict(texts.tolist())
    stored = gradual.load(models / "imdb_ensemble/ensemble.safetensors").predict(texts.tolist())
    pd.testing.assert_frame_equal(stored, both)
    served = gradual.load(models / "imdb_ensemble/served.safetensors").predict(texts.tolist())
    output = workspace / "data/tiny/07_model_output/imdb_ensemble"
    answers = pd.read_parquet(output / "new_predictions.parquet")
    assert len(answers) == 60
    difference = answers["probability_positive"][:59] - served["probability_positive"]
    assert difference.abs().max() < 1e-5


def test_the_logged_model_of_both_reads_raw_text(both: tuple[Path, str]) -> None:
    workspace, _ = both
    reporting = workspace / "data/tiny/08_reporting/imdb_ensemble"
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{workspace}/mlflow.db")
    try:
        uri = json.loads((reporting / "logged_model.json").read_text())["model_uri"]
        model = mlflow.pyfunc.load_model(uri)
        answer = model.predict(pd.DataFrame({"text": ["Dull.", "What a joy!"]}))
        assert list(answer) == ["label", "probability_negative", "probability_positive"]
        assert ((answer.iloc[:, 1] + answer.iloc[:, 2]) - 1).abs().max() < 1e-5
        with pytest.raises(mlflow.MlflowException, match="row 1 is blank"):
            model.predict(pd.DataFrame({"text": ["fine", " "]}))
    finally:
        mlflow.set_tracking_uri(before)
