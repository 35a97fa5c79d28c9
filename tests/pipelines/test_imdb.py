"""The imdb pipeline as a user runs it: in a copy of the project, by typing kedro commands."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pandas as pd
import pyarrow.parquet as pq
import yaml

import gradual
from gradual.results.predictions import probabilities_of
from gradual.results.table import value_of
from gradual.text.figures import FIGURES
from gradual.training.bundle import load_bundle
from gradual.training.files import sha256_file

Kedro = Callable[..., CompletedProcess[str]]


def test_every_artifact_of_the_catalog_is_there(tiny: Path) -> None:
    reporting = tiny / "data/tiny/08_reporting/imdb"
    assert {path.name for path in reporting.iterdir()} == {
        "batch.html", "batch.parquet", "figures", "language_model_scores.parquet",
        "language_model_summary.json", "logged_language_model.json", "logged_model.json",
        "report.html",
        "review_examples.parquet", "sample_texts.json", "scores.parquet", "summary.json",
    }  # fmt: skip
    assert {path.stem for path in (reporting / "figures").iterdir()} == {
        "classifier_training", "language_model_training", *FIGURES,
    }  # fmt: skip
    assert not list(tiny.rglob("*.tmp"))


def test_rows_stay_aligned_from_documents_to_predictions(tiny: Path) -> None:
    data = tiny / "data/tiny"
    documents = pd.read_parquet(data / "02_intermediate/imdb/documents.parquet")
    splits = pd.read_parquet(data / "02_intermediate/imdb/document_splits.parquet")
    tokens = pq.read_metadata(data / "03_primary/imdb/tokens.parquet")
    predictions = pd.read_parquet(data / "07_model_output/imdb/predictions.parquet")
    assert len(documents) == len(splits) == tokens.num_rows == 4000
    test = documents[documents["part"] == "test"]
    assert predictions["row"].tolist() == test.index.tolist()
    assert predictions["label"].tolist() == test["label"].tolist()
    assert predictions["text"].tolist() == test["text"].tolist()
    assert set(splits.loc[splits["classifier"] == "valid"].index) <= set(
        documents[documents["part"] == "train"].index
    )


def test_metrics_name_rows_interval_and_baseline(tiny: Path) -> None:
    folder = tiny / "data/tiny/08_reporting/imdb"
    scores = pd.read_parquet(folder / "scores.parquet")
    assert set(scores["source"]) == {"imdb"}
    for part, rows in (("test", 200), ("valid", 80)):
        own = value_of(scores, "classifier", "accuracy", part)
        assert own["rows"] == rows
        assert own["low"] < own["value"] < own["high"]
    ngrams = value_of(scores, "ngrams", "accuracy")
    assert ngrams["value"] > 0.7, "the sample is learnable from n-grams"
    perplexity = value_of(scores, "language_model", "perplexity", "valid")
    assert perplexity["value"] < 500, "better than guessing among the 500 words"
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["looks"] == 1
    assert summary["language_model"]["start"] == {"from": "random"}


def test_what_validation_rows_choose_is_served(tiny: Path) -> None:
    data = tiny / "data/tiny"
    choice = json.loads((data / "07_model_output/imdb/choice.json").read_text())
    assert choice["rows"] == 80
    losses = choice["log_loss"]
    assert losses[choice["served"]] == min(losses.values())
    scores = pd.read_parquet(data / "08_reporting/imdb/scores.parquet")
    for name, model in (("net", "classifier"), ("ngrams", "ngrams"), ("stack", "stack")):
        assert abs(value_of(scores, model, "log_loss", "valid")["value"] - losses[name]) < 1e-6
        assert value_of(scores, model, "accuracy")["rows"] == 200
    predictions = pd.read_parquet(data / "07_model_output/imdb/predictions.parquet")
    model = gradual.load(data / "06_models/imdb/served.safetensors")
    answers = model.predict(predictions["text"].tolist())
    scored = probabilities_of(predictions)
    assert abs(answers["probability_positive"] - scored[:, 1]).max() < 1e-5
    report = (data / "08_reporting/imdb/report.html").read_text()
    assert "on the 80 validation rows" in report


def test_the_run_is_in_mlflow_with_parameters_epochs_and_model(tiny: Path) -> None:
    with sqlite3.connect(tiny / "mlflow.db") as database:
        statuses = database.execute("select status from runs").fetchall()
        params = dict(database.execute("select key, value from params"))
        metrics = database.execute("select key, step, value from metrics").fetchall()
    assert statuses == [("FINISHED",)]
    assert params["imdb.language_model.training.phases.0.lr"] == "0.01"
    assert params["imdb.language_model.start.from"] == "random"
    steps = [step for name, step, _ in metrics if name == "imdb.classifier.valid_accuracy"]
    assert sorted(steps) == [0, 1] or sorted(steps) == [1, 2]
    names = {name for name, _, _ in metrics}
    assert {"imdb.valid.language_model.perplexity", "imdb.test.classifier.accuracy"} <= names
    model = json.loads((tiny / "data/tiny/08_reporting/imdb/logged_model.json").read_text())
    assert model["model_uri"].startswith("models:/")
    assert not list((tiny / "mlartifacts").rglob("*.pkl"))


def test_a_second_run_loads_what_is_finished_and_changes_nothing(tiny: Path, kedro: Kedro) -> None:
    models = tiny / "data/tiny/06_models/imdb"
    names = ("language_model.safetensors", "classifier.safetensors")
    before = {name: sha256_file(models / name) for name in names}
    result = kedro(tiny, "run", "--pipeline=imdb", "--env=tiny")
    assert result.returncode == 0, result.stdout
    assert "language model: is finished already" in result.stdout
    assert "classifier: is finished already" in result.stdout
    assert "ngrams: nothing has changed" in result.stdout
    summary = json.loads((tiny / "data/tiny/08_reporting/imdb/summary.json").read_text())
    assert summary["looks"] == 2
    assert {name: sha256_file(models / name) for name in names} == before


def test_a_changed_recipe_trains_anew_and_the_log_says_why(
    tiny: Path, kedro: Kedro, tmp_path: Path
) -> None:
    workspace = shutil.copytree(tiny, tmp_path / "gradual")
    recipes = workspace / "conf/base/recipes/texts.yml"
    changed = yaml.safe_load(recipes.read_text())
    changed["tiny"]["classifier"]["training"]["phases"][0]["lr"] = 0.02
    recipes.write_text(yaml.safe_dump(changed))
    result = kedro(
        workspace, "run", "--pipeline=imdb", "--env=tiny", "--nodes=imdb.train_classifier"
    )
    assert result.returncode == 0, result.stdout
    assert "0.01 → 0.02" in result.stdout or "0.01 -> 0.02" in result.stdout, result.stdout
    bundle = load_bundle(workspace / "data/tiny/06_models/imdb/classifier.safetensors")
    assert bundle.metadata["labels"] == ["negative", "positive"]


def test_a_misspelt_parameter_is_refused_before_any_node_runs(clone: Path, kedro: Kedro) -> None:
    result = kedro(
        *(clone, "run", "--pipeline=imdb", "--env=tiny"), "--params=imdb.vocabulary.max_sizes=9"
    )
    assert result.returncode != 0
    assert "max_sizes" in result.stdout
    assert "Running node" not in result.stdout


def test_a_file_of_new_texts_is_answered(tiny: Path, kedro: Kedro) -> None:
    result = kedro(tiny, "run", "--pipeline=imdb_predict", "--env=tiny")
    assert result.returncode == 0, result.stdout
    assert "59 of 60 rows classified; 1 blank" in result.stdout
    data = tiny / "data/tiny"
    answers = pd.read_parquet(data / "07_model_output/imdb/new_predictions.parquet")
    assert answers["row"].tolist() == list(range(1, 61))
    assert set(answers["label"].dropna()) <= {"negative", "positive"}
    assert answers.isna().any(axis=1).tolist() == [False] * 59 + [True]
    texts = pd.read_csv(tiny / "data/01_raw/imdb_sample/new.csv")["text"].dropna()
    model = gradual.load(data / "06_models/imdb/served.safetensors")
    served = model.predict(texts.tolist())
    assert answers["label"].dropna().tolist() == served["label"].tolist()
    assert "Classified texts" in (data / "08_reporting/imdb/new_rows_report.html").read_text()


def test_the_range_test_suggests_rates_and_draws_them(tiny: Path, kedro: Kedro) -> None:
    result = kedro(tiny, "run", "--pipeline=imdb_range_test", "--env=tiny")
    assert result.returncode == 0, result.stdout
    reporting = tiny / "data/tiny/08_reporting/imdb"
    for stage in ("language_model", "classifier"):
        suggestions = json.loads((reporting / f"{stage}_range_test.json").read_text())
        assert set(suggestions) == {"valley", "steepest", "minimum/10"}
        lowest = suggestions.pop("minimum/10")
        assert 1e-8 <= lowest <= 1
        assert all(1e-7 <= rate <= 10 for rate in suggestions.values())
        figure = json.loads((reporting / f"figures/{stage}_range_test.json").read_text())
        assert figure["layout"]["xaxis"]["type"] == "log"
