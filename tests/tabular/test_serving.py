import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from gradual.sources.errors import SourceError
from gradual.sources.reader import open_source
from gradual.tabular import serving
from gradual.tabular.baselines import BASELINES, BaselinesConfig, fit_baseline
from gradual.tabular.examples import Examples
from gradual.tabular.metrics import loss_name, row_losses
from gradual.tabular.model import TabularModelConfig
from gradual.tabular.predict import TabularModel
from gradual.tabular.preprocessing import ColumnsConfig, PreprocessingConfig, fit
from gradual.tabular.serving import (
    BASELINE,
    ServingConfig,
    baseline_bundle,
    json_like,
    model_from_bundle,
    predict_source,
)
from gradual.tabular.targets import TargetConfig, fit_target
from gradual.tabular.train import train_tabular
from gradual.training.bundle import Bundle, load_bundle, save_bundle
from gradual.training.config import Phase, TrainingConfig

TARGETS = {
    "binary": TargetConfig("binary", ("rich",)),
    "multiclass": TargetConfig("multiclass", ("kind",)),
    "multilabel": TargetConfig("multilabel", ("a", "b")),
    "regression": TargetConfig("regression", ("sales",), log=True),
}
TRAIN, VALID = np.arange(300), np.arange(300, 360)
CONFIG = BaselinesConfig(trees=8, rounds=10)
SHORT = TrainingConfig(phases=(Phase(epochs=1, lr=1e-2),))


@pytest.fixture(scope="module")
def table() -> pa.Table:
    generator = np.random.default_rng(0)
    n = 400
    job = generator.choice(["smith", "baker", "cook", "judge"], n)
    age = generator.normal(40, 10, n)
    score = (job == "judge") * 2 + (age - 40) / 10 + generator.normal(size=n)
    return pa.table(
        {
            "job": job,
            "town": generator.choice(["x", "y"], n),
            "age": np.where(generator.random(n) < 0.1, np.nan, age),
            "rich": np.where(score > 0.5, "yes", "no"),
            "kind": np.digitize(score, [0, 1]),
            "a": (score > 0).astype(int),
            "b": (score > 1).astype(int),
            "sales": np.exp(score),
        }
    )


COLUMNS = PreprocessingConfig(ColumnsConfig(categorical=("job", "town"), continuous=("age",)))


def examples(table: pa.Table, kind: str) -> Examples:
    preprocessor = fit(table.take(TRAIN), COLUMNS)
    encoded = preprocessor.transform(table)
    return Examples(encoded, table, TRAIN, VALID, preprocessor, TARGETS[kind])


@pytest.mark.parametrize("kind", TARGETS)
def test_every_baseline_answers_out_of_its_bundle_as_before(
    table: pa.Table, kind: str, tmp_path
) -> None:
    rows_ = examples(table, kind)
    net, _ = train_tabular(rows_, TabularModelConfig(layers=(8,), batch_size=32, training=SHORT))
    for name in BASELINES:
        fitted = fit_baseline(name, rows_, CONFIG, net=TabularModel.from_bundle(net))
        save_bundle(baseline_bundle(fitted), tmp_path / "model.safetensors")
        stored = model_from_bundle(load_bundle(tmp_path / "model.safetensors", BASELINE))
        rows = table.slice(350).append_column("spare", pa.nulls(50))
        expected = fitted.predict_encoded(rows_.encoded.slice(350))
        found = stored.predict_encoded(stored.preprocessor.transform(rows))
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9, err_msg=name)
        pd.testing.assert_frame_equal(stored.predict(rows), fitted.predict(rows), rtol=1e-6)


@pytest.fixture(scope="module")
def forest(table: pa.Table) -> Bundle:
    return baseline_bundle(fit_baseline("forest", examples(table, "binary"), CONFIG))


def test_a_source_is_predicted_in_chunks_with_its_counts(
    table: pa.Table, forest: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = model_from_bundle(forest)
    new = table.select(["job", "town", "age"])
    new = new.set_column(0, "job", pa.array(["pilot", None, *new["job"].to_pylist()[2:]]))
    monkeypatch.setattr(serving, "_ROWS", 150)
    reader, first, report = predict_source(model, open_source(new))
    whole = reader.read_pandas()
    pd.testing.assert_frame_equal(first, whole.head(20))
    assert whole["row"].tolist() == list(range(400))
    assert (report.rows, report.unseen["job"], report.gaps["job"]) == (400, 1, 1)
    pd.testing.assert_frame_equal(whole.drop(columns="row"), model.predict(new))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop_columns(["job"]), "no column 'job'"),
        (
            lambda t: t.set_column(2, "age", pa.array(["12"] * 399 + ["old"])),
            r"row 399 .*'old'.*'age'",
        ),
        (
            lambda t: t.set_column(2, "age", pa.array([1.0, np.inf] * 200)),
            r"row 1 .*inf.*'age'",
        ),
        (lambda t: t.slice(0, 0), "no rows to predict"),
    ],
)
def test_rows_that_cannot_be_used_are_refused_by_column_and_row(
    table: pa.Table, forest: Bundle, change, message: str
) -> None:
    with pytest.raises(SourceError, match=message):
        predict_source(model_from_bundle(forest), open_source(change(table)))


def test_mixed_values_of_a_pandas_column_are_named_too(table: pa.Table, forest: Bundle) -> None:
    frame = table.select(["job", "town", "age"]).slice(0, 3).to_pandas()
    frame["age"] = pd.Series([31, "old", 2.5], dtype=object)
    with pytest.raises(ValueError, match=r"row 1 .*'old'.*'age'"):
        model_from_bundle(forest).predict(frame)
    frame["age"] = pd.Series([31, "44", None], dtype=object)
    assert len(model_from_bundle(forest).predict(frame)) == 3


def test_another_bundle_is_refused() -> None:
    other = Bundle("text_classifier", {}, {}, {}, {})
    with pytest.raises(ValueError, match="'text_classifier' bundle, not a model on a table"):
        model_from_bundle(other)


def test_losses_are_those_of_the_rows(table: pa.Table) -> None:
    rows = np.arange(3)
    binary = fit_target(table, TRAIN, TARGETS["binary"])
    truth = np.array([0, 1, 1])
    found = np.array([[0.9, 0.1], [0.5, 0.5], [1.0, 0.0]])
    losses = row_losses(binary, found, truth)
    np.testing.assert_allclose(losses[:2], -np.log([0.9, 0.5]))
    assert 10 < losses[2] < 20, "certain and wrong is not infinite"
    assert loss_name(binary) == "log loss (nats)"
    sales = fit_target(table, TRAIN, TARGETS["regression"])
    truth = sales.encode(table, rows)
    np.testing.assert_allclose(row_losses(sales, 2 * truth + 1, truth), np.log(2))
    labels = fit_target(table, TRAIN, TARGETS["multilabel"])
    found = np.array([[0.5, 0.5]])
    np.testing.assert_allclose(row_losses(labels, found, np.array([[1.0, 0]])), np.log(2))


def test_serving_settings_are_checked() -> None:
    with pytest.raises(ValueError, match="model is 'forrest'"):
        ServingConfig(model="forrest")


def test_examples_have_the_types_of_json() -> None:
    frame = json_like(
        pa.table(
            {
                "n": pa.array([1, None], pa.int16()),
                "day": pa.array([None, 0], pa.date32()),
                "flag": [True, False],
                "level": pa.array(["a", None]).dictionary_encode(),
            }
        )
    )
    assert frame["n"].dtype == np.float64
    assert frame["day"].tolist()[1] == "1970-01-01"
    assert frame["flag"].dtype == bool
    assert frame["level"].tolist()[0] == "a"
