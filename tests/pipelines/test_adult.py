"""The pipelines on tables as a user runs them: in a copy of the project, by kedro commands."""

import json
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter

from gradual.configuration.loader import ConfigLoader
from gradual.settings import CONFIG_LOADER_ARGS
from gradual.tabular.baselines import BASELINES
from gradual.tabular.contest import ContestConfig
from gradual.tabular.engine import EngineConfig
from gradual.tabular.interpretation import InterpretationConfig
from gradual.tabular.model import TabularModelConfig
from gradual.tabular.preprocessing import PreprocessingConfig
from gradual.tabular.rows import RowsConfig
from gradual.tabular.serving import ServingConfig, model_from_bundle
from gradual.tabular.targets import TargetConfig
from gradual.training.bundle import load_bundle

Kedro = Callable[..., CompletedProcess[str]]
DATA = "data/tiny"


@pytest.fixture(scope="module")
def adult(trial: Callable[[str], Path]) -> Path:
    """A clone of the project in which `kedro run --pipeline=adult --env=tiny` has ended well."""
    return trial("adult")


@pytest.fixture(scope="module")
def shop_sales(trial: Callable[[str], Path]) -> Path:
    return trial("shop_sales")


def read(workspace: Path, name: str) -> pd.DataFrame:
    (path,) = (workspace / DATA).glob(f"0*/*/{name}.parquet")
    return pd.read_parquet(path)


def test_every_artifact_of_the_catalog_is_there(adult: Path) -> None:
    reporting = adult / DATA / "08_reporting/adult"
    assert {path.name for path in reporting.iterdir()} == {
        "column_summary.parquet", "dependence.parquet", "figures", "importance.parquet",
        "logged_model.json", "report.html", "scores.parquet", "summary.json", "worst_rows.parquet",
    }  # fmt: skip
    assert {path.stem for path in (reporting / "figures").iterdir()} == {
        "calibration", "comparison", "dependence", "embeddings", "importance", "net_training",
        "separation", "spread", "truth",
    }  # fmt: skip
    assert not list(adult.rglob("*.tmp"))
    rivals = adult / DATA / "06_models/adult/rivals"
    assert {path.stem.removesuffix("_42") for path in rivals.iterdir()} == set(BASELINES)


def test_test_rows_are_scored_once_and_validation_comes_out_of_the_others(adult: Path) -> None:
    part = read(adult, "row_splits")["part"]
    predictions = read(adult, "predictions")
    table = read(adult, "table")
    assert predictions["row"].tolist() == part.index[part == "test"].tolist()
    assert predictions["row"].tolist() == list(range(3200, 4000))
    assert predictions["label"].tolist() == table["salary"][3200:].str.strip().tolist()
    assert (part == "valid").sum() == 640
    scores = read(adult, "scores")
    assert set(scores[scores["part"] == "test"]["rows"]) == {800}
    assert set(scores[scores["part"] == "valid"]["rows"]) == {640}
    assert {"net", "constant", "linear", "forest", "boosting"} < set(scores["model"])


def test_the_model_is_chosen_by_validation_rows_and_predicts_what_was_compared(
    adult: Path,
) -> None:
    facts = json.loads((adult / DATA / "08_reporting/adult/summary.json").read_text())["facts"]
    scores = read(adult, "scores").query("part == 'valid' and metric == 'roc_auc'")
    assert facts["model"] == scores.set_index("model")["value"].idxmax()
    assert facts["by"] == "roc_auc"
    bundle = load_bundle(adult / DATA / "06_models/adult/model.safetensors")
    found = model_from_bundle(bundle).predict(read(adult, "table")[3200:])
    expected = read(adult, "predictions")["probability_>=50k"]
    np.testing.assert_allclose(found["probability_>=50k"], expected, atol=1e-6)


def test_unseen_levels_and_gaps_of_test_rows_are_counted(adult: Path) -> None:
    summary = read(adult, "column_summary").set_index("column")
    countries = read(adult, "table")["native-country"][3200:].str.strip()
    assert (
        summary.loc["native-country", "unseen"] >= countries.isin(["Iceland", "New-Zealand"]).sum()
    )
    assert summary.loc["native-country", "gaps"] == (countries == "?").sum()
    assert summary.loc["hours-per-week", "training_gaps"] == 0
    assert summary.loc["hours-per-week", "gaps"] > 0
    assert summary.loc["education-num", "fill"] == 10


def test_embeddings_are_exported_with_a_vector_for_each_level(adult: Path) -> None:
    embeddings = read(adult, "embeddings")
    countries = embeddings[embeddings["column"] == "native-country"]
    assert countries["level"].iloc[0] == "#na#"
    summary = read(adult, "column_summary").set_index("column")
    assert countries["rows"].iloc[0] == summary.loc["native-country", "training_gaps"]
    assert "United-States" in set(countries["level"])
    assert len({len(vector) for vector in countries["vector"]}) == 1
    assert "education-num_na" in set(embeddings["column"])


def test_the_report_says_it_all(adult: Path) -> None:
    report = (adult / DATA / "08_reporting/adult/report.html").read_text()
    for text in (
        "on 800 test rows", "95 % intervals", "Gradient boosting", "Random forest",
        "Linear model", "Constant", "On the validation rows, by which the model was chosen",
        "Permutation importance", "Partial dependence", "Embeddings of the categories",
        "Rows with the highest loss", "Confusion matrix", "ROC curve", "Reliability",
        "Training of the net", "Unseen levels", "native-country",
    ):  # fmt: skip
        assert text in report, text


def test_the_run_is_in_mlflow_with_scores_and_model(adult: Path) -> None:
    with sqlite3.connect(adult / "mlflow.db") as database:
        statuses = database.execute("select status from runs").fetchall()
        params = dict(database.execute("select key, value from params"))
        metrics = {name for (name,) in database.execute("select key from metrics")}
    assert statuses == [("FINISHED",)]
    assert params["adult.net.training.phases.0.lr"] == "0.005"
    assert params["adult.target.kind"] == "binary"
    assert {"adult.net.valid_loss", "adult.test.boosting.roc_auc"} <= metrics
    logged = json.loads((adult / DATA / "08_reporting/adult/logged_model.json").read_text())
    assert logged["model_uri"].startswith("models:/")
    assert not list((adult / "mlartifacts").rglob("*.pkl"))


def test_new_rows_are_predicted_and_what_is_unusual_is_counted(adult: Path, kedro: Kedro) -> None:
    result = kedro(adult, "run", "--pipeline=adult_predict", "--env=tiny")
    assert result.returncode == 0, result.stdout
    assert re.search(r"Column 'native-country': \d+ gaps filled, \d+ levels unseen", result.stdout)
    predictions = read(adult, "new_predictions")
    assert list(predictions.columns) == [
        "row", "label", "probability_<50k", "probability_>=50k",
    ]  # fmt: skip
    assert len(predictions) == 200
    metrics = adult / DATA / "08_reporting/adult/new_rows_metrics.json"
    counts = json.loads(metrics.read_text())
    assert counts["unseen"]["native-country"] > 0
    assert counts["gaps"]["hours-per-week"] > 0
    page = (adult / DATA / "08_reporting/adult/new_rows_report.html").read_text()
    assert "200 rows predicted" in page
    assert "native-country" in page


def test_a_regression_by_time_with_dates(shop_sales: Path) -> None:
    table, part = read(shop_sales, "table"), read(shop_sales, "row_splits")["part"]
    assert table["date"][part == "test"].min() >= table["date"][part == "valid"].max()
    assert table["date"][part == "valid"].min() >= table["date"][part == "train"].max()
    predictions = read(shop_sales, "predictions")
    assert predictions["target"].tolist() == table["sales"][part == "test"].tolist()
    report = (shop_sales / DATA / "08_reporting/shop_sales/report.html").read_text()
    for text in ("RMSE", "Predicted and true", "Errors", "Calibration",
                 "Error tolerance (REC curve)", "date_day_of_week", "harbour"):  # fmt: skip
        assert text in report, text
    summary = read(shop_sales, "column_summary").set_index("column")
    assert summary.loc["store", "unseen"] > 0, "a shop that opened after the training rows"


@pytest.mark.parametrize("page_name", ["README.md", "docs/tables.md"])
def test_another_table_is_what_the_page_shows(project: Path, page_name: str) -> None:
    """`shop_sales` runs in the tests: the pages that explain it have to show the same files."""
    page = (project / page_name).read_text()
    for name in ("conf/base/shop_sales/catalog.yml", "conf/base/shop_sales/parameters.yml"):
        (shown,) = re.findall(rf"`{name}`.*?```yaml\n(.*?)```", page, re.DOTALL)
        assert shown == (project / name).read_text()
    (line,) = re.findall(r"```yaml\n(shop_sales: .*\n)```", page)
    assert line in (project / "conf/base/sources.yml").read_text()


@pytest.mark.parametrize("environment", ["base", "lesson", "full", "tiny"])
@pytest.mark.parametrize("source", ["adult", "shop_sales"])
def test_the_parameters_of_every_environment_are_valid(
    project: Path, environment: str, source: str
) -> None:
    loader = ConfigLoader(str(project / "conf"), env=environment, **CONFIG_LOADER_ARGS)
    parameters = loader["parameters"][source]
    for name, config in {
        "preprocessing": PreprocessingConfig, "target": TargetConfig, "rows": RowsConfig,
        "engine": EngineConfig, "net": TabularModelConfig, "comparison": ContestConfig,
        "serving": ServingConfig, "interpretation": InterpretationConfig,
    }.items():  # fmt: skip
        TypeAdapter(config).validate_python(parameters[name])
