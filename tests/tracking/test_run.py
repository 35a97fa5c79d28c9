import dataclasses
import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, RootModel

from gradual import tracking
from gradual.tracking.run import MAX_VALUE


@dataclasses.dataclass(frozen=True)
class Phase:
    epochs: int
    lr: float | tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Training:
    phases: tuple[Phase, ...]
    seed: int = 42


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    training: Training
    prompts: tuple[str, ...] = ()
    sizes: dict[str, int] = {}


def artifacts(run: Any) -> dict[str, Path]:
    root = Path(run.info.artifact_uri.removeprefix("file://"))
    return {str(p.relative_to(root)): p for p in root.rglob("*") if p.is_file()}


def test_nothing_happens_and_mlflow_is_not_imported_where_no_run_is_active() -> None:
    code = """
import sys
from pathlib import Path
from types import SimpleNamespace
from gradual import tracking
tracking.log_metrics({"loss": "not even a number"})
tracking.log_params({"a": 1})
tracking.set_tags({"a": 1})
tracking.log_artifact(Path("missing"))
tracking.log_artifact("text", "a.txt")
assert tracking.log_model(SimpleNamespace(kind="tabular")) is None
assert not {"mlflow", "kedro", "torch", "plotly"} & set(sys.modules), set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_metrics_are_put_under_the_namespace_and_prefix_by_step(store: mlflow.MlflowClient) -> None:
    with mlflow.start_run() as run, tracking.namespace("imdb"):
        for step, loss in enumerate((3.0, 2.0)):
            tracking.log_metrics({"valid_loss": loss}, step=step, prefix="language_model")
        tracking.log_metrics({"accuracy": 0.5})

    history = store.get_metric_history(run.info.run_id, "imdb.language_model.valid_loss")
    assert [(metric.step, metric.value) for metric in history] == [(0, 3.0), (1, 2.0)]
    assert store.get_run(run.info.run_id).data.metrics["imdb.accuracy"] == 0.5


def test_metrics_are_sent_in_one_call(
    store: mlflow.MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    log_batch = mlflow.MlflowClient.log_batch
    monkeypatch.setattr(
        mlflow.MlflowClient,
        "log_batch",
        lambda *args, **kwargs: (calls.append(1), log_batch(*args, **kwargs)),
    )
    with mlflow.start_run() as run:
        tracking.log_metrics({f"m{i}": i for i in range(300)}, step=1)
    assert len(calls) == 1
    assert len(store.get_run(run.info.run_id).data.metrics) == 300


def test_metrics_that_are_missing_or_not_finite_are_left_out_with_a_warning(
    store: mlflow.MlflowClient, caplog: pytest.LogCaptureFixture
) -> None:
    values = {"a": None, "b": float("nan"), "c": float("inf"), "d": 1}
    with mlflow.start_run() as run:
        tracking.log_metrics(values, step=7)
    assert store.get_run(run.info.run_id).data.metrics == {"d": 1.0}
    assert "Metric 'b' at step 7 is nan" in caplog.text
    assert "Metric 'c' at step 7 is inf" in caplog.text
    assert "'a'" not in caplog.text


def test_a_metric_that_is_no_number_is_an_error_that_names_it(store: mlflow.MlflowClient) -> None:
    message = r"'imdb\.loss' must be a number.*'x'"
    with mlflow.start_run(), tracking.namespace("imdb"), pytest.raises(TypeError, match=message):
        tracking.log_metrics({"loss": "x"})


def test_result_rows_of_all_seeds_and_rows_become_metrics(store: mlflow.MlflowClient) -> None:
    columns = ["seed", "part", "slice", "model", "metric", "value", "low", "high"]
    rows = [
        [None, "test", "", "dot bias", "rmse", 0.9, 0.8, 1.0],
        [None, "valid", "", "net", "seconds", 3.0, np.nan, np.nan],
        [1, "test", "", "dot bias", "rmse", 0.7, 0.6, 0.8],
        [None, "test", "age < 30", "dot bias", "rmse", 0.5, 0.4, 0.6],
    ]
    with mlflow.start_run() as run, tracking.namespace("movielens"):
        tracking.log_results(pd.DataFrame(rows, columns=columns))
    assert store.get_run(run.info.run_id).data.metrics == {
        "movielens.test.dot_bias.rmse": 0.9,
        "movielens.test.dot_bias.rmse.low": 0.8,
        "movielens.test.dot_bias.rmse.high": 1.0,
        "movielens.valid.net.seconds": 3.0,
    }


def test_every_run_that_scored_the_same_test_rows_counts_once(
    store: mlflow.MlflowClient, tmp_path: Path
) -> None:
    rows, others = (f"{tmp_path.name}-{name}" for name in ("rows", "others"))
    assert tracking.count_looks(rows) == 1, "without a run nobody can count"
    with mlflow.start_run() as first, tracking.namespace("imdb"):
        assert [tracking.count_looks(rows) for _ in range(2)] == [1, 1]
        assert tracking.count_looks(others) == 1
    with mlflow.start_run():
        pass  # failed before it scored
    with mlflow.start_run() as failed:
        assert tracking.count_looks(rows) == 2
    store.set_terminated(failed.info.run_id, "FAILED")  # after it scored
    with mlflow.start_run(run_id=first.info.run_id):
        assert tracking.count_looks(rows) == 2, "a resumed run is the same run"
    store.delete_run(failed.info.run_id)
    store.create_experiment(f"{tmp_path.name}-other")
    mlflow.set_experiment(f"{tmp_path.name}-other")
    with mlflow.start_run():
        assert tracking.count_looks(rows) == 3, "a deleted run of another experiment has looked"
        assert tracking.count_looks(others) == 2


def test_nested_parameters_are_flattened_to_readable_names() -> None:
    model = Model(
        training=Training(phases=(Phase(1, 1e-2), Phase(2, (1e-4, 1e-3)))),
        prompts=("I liked", "This [film]"),
        sizes={"embedding": 40},
    )
    assert tracking.flatten({"imdb.language_model": model, "empty": {}, "none": None}) == {
        "imdb.language_model.training.phases.0.epochs": "1",
        "imdb.language_model.training.phases.0.lr": "0.01",
        "imdb.language_model.training.phases.1.epochs": "2",
        "imdb.language_model.training.phases.1.lr": "[0.0001, 0.001]",
        "imdb.language_model.training.seed": "42",
        "imdb.language_model.prompts": "['I liked', 'This [film]']",
        "imdb.language_model.sizes.embedding": "40",
        "empty": "{}",
        "none": "None",
    }


def test_a_root_model_adds_no_level_to_the_names() -> None:
    config = RootModel[Training](Training(phases=(Phase(1, 0.1),), seed=3))
    assert tracking.flatten({"a": config, "b": [RootModel[int](1)]}) == {
        "a.phases.0.epochs": "1",
        "a.phases.0.lr": "0.1",
        "a.seed": "3",
        "b.0": "1",
    }


_leaf = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=2000)
_tree = st.recursive(
    _leaf,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=400), _tree))
def test_any_nested_parameters_become_names_and_values_that_mlflow_takes(params: Any) -> None:
    from mlflow.utils.validation import _validate_param

    before = repr(params)
    for name, value in tracking.flatten(params).items():
        _validate_param(name, value)
        assert len(value) <= MAX_VALUE
    assert repr(params) == before


def test_many_and_long_parameters_are_logged(store: mlflow.MlflowClient) -> None:
    with mlflow.start_run() as run:
        tracking.log_params({"many": {str(i): i for i in range(250)}, "long": "x" * 100_000})
    params = store.get_run(run.info.run_id).data.params
    assert len(params) == 251
    assert params["long"] == "x" * (MAX_VALUE - 1) + "…"


def test_a_parameter_keeps_its_first_value_and_the_log_says_so(
    store: mlflow.MlflowClient, caplog: pytest.LogCaptureFixture
) -> None:
    with mlflow.start_run() as run:
        tracking.log_params({"a": 1, "b": 1})
    with mlflow.start_run(run_id=run.info.run_id):
        tracking.log_params({"a": 1, "b": 2, "c": 3})
    assert store.get_run(run.info.run_id).data.params == {"a": "1", "b": "1", "c": "3"}
    assert [record.getMessage() for record in caplog.records if record.levelno >= 30] == [
        "Parameter 'b' of the MLflow run is 1 already and cannot become 2."
    ]


def test_files_texts_and_json_become_artifacts_under_the_namespace(
    store: mlflow.MlflowClient, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    file = folder / "words.txt"
    file.write_text("xxunk")
    with mlflow.start_run() as run, tracking.namespace("imdb"):
        tracking.log_artifact(file, "reports")
        tracking.log_artifact(folder, "all")
        tracking.log_artifact("once upon", "samples/one.txt")
        tracking.log_artifact({"accuracy": 0.9}, "metrics.json")
        with pytest.raises(FileNotFoundError, match="missing does not exist"):
            tracking.log_artifact(tmp_path / "missing")
    logged = artifacts(run)
    assert set(logged) == {
        "imdb/reports/words.txt",
        "imdb/all/words.txt",
        "imdb/samples/one.txt",
        "imdb/metrics.json",
    }
    assert logged["imdb/samples/one.txt"].read_text() == "once upon"
    assert json.loads(logged["imdb/metrics.json"].read_text()) == {"accuracy": 0.9}


def test_tags_describe_the_run_without_a_namespace(store: mlflow.MlflowClient) -> None:
    with mlflow.start_run() as run, tracking.namespace("imdb"):
        tracking.set_tags({"device": "cpu", "commit": None})
    tags = store.get_run(run.info.run_id).data.tags
    assert tags["device"] == "cpu"
    assert "commit" not in tags


def test_without_a_run_the_debug_log_says_what_was_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.DEBUG, logger="gradual.tracking"):
        tracking.log_metrics({"loss": 1.0})
    assert "metrics ['loss'] are not logged" in caplog.text
