import dataclasses

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from tables import examples, people

from gradual.tabular.interpretation import (
    InterpretationConfig,
    embedding_table,
    partial_dependence,
    permutation_importance,
    principal_plane,
)
from gradual.tabular.model import TabularModelConfig
from gradual.tabular.predict import TabularModel
from gradual.tabular.targets import TargetConfig
from gradual.tabular.train import train_tabular
from gradual.training.config import Phase, TrainingConfig


@pytest.fixture
def table() -> pa.Table:
    generator = np.random.default_rng(0)
    n = 400
    frame = pd.DataFrame(
        {
            "x": generator.normal(size=n),
            "idle": generator.normal(size=n),
            "kind": generator.choice(["a", "b", "c"], n, p=[0.6, 0.3, 0.1]),
            "day": pd.date_range("2020-01-01", periods=n),
        }
    )
    return pa.Table.from_pandas(frame, preserve_index=False)


def predict(table: pa.Table) -> np.ndarray:
    """2·x + 1 where kind is b; gaps count as 0."""
    x = table["x"].fill_null(0).to_numpy()
    kind = np.array(table["kind"].to_pylist())
    return (2 * x + (kind == "b")).reshape(-1, 1)


def test_importance_is_the_rise_of_the_loss(table: pa.Table) -> None:
    truth = predict(table)[:, 0]

    def loss(predictions: np.ndarray) -> float:
        return float(((predictions[:, 0] - truth) ** 2).mean())

    frame = permutation_importance(table, ["idle", "kind", "x"], predict, loss, repeats=8)
    assert frame["column"].tolist() == ["x", "kind", "idle"]
    assert frame["loss"].eq(0).all()
    by = frame.set_index("column")
    # Permuting x makes its error the difference of two draws: 2 · var(2x); likewise for kind.
    expected = 2 * np.var(2 * table["x"].to_numpy())
    assert by.loc["x", "importance"] == pytest.approx(expected, rel=0.15)
    share = np.mean(np.array(table["kind"].to_pylist()) == "b")
    assert by.loc["kind", "importance"] == pytest.approx(2 * share * (1 - share), rel=0.15)
    assert by.loc["idle", "importance"] == 0
    assert by.loc["x", "low"] < by.loc["x", "importance"] < by.loc["x", "high"]
    again = permutation_importance(table, ["idle", "kind", "x"], predict, loss, repeats=8)
    pd.testing.assert_frame_equal(frame, again)


def test_a_column_that_only_fills_gaps_is_asked_with_its_gaps(table: pa.Table) -> None:
    gaps = pa.array([None if i % 2 else 5.0 for i in range(table.num_rows)])
    holed = table.set_column(0, "x", gaps)
    truth = predict(holed)[:, 0]
    frame = permutation_importance(
        holed, ["x"], predict, lambda p: float(np.abs(p[:, 0] - truth).mean())
    )
    assert frame["importance"][0] == pytest.approx(5, rel=0.15)


def test_nothing_to_permute_is_refused(table: pa.Table) -> None:
    with pytest.raises(ValueError, match="no rows"):
        permutation_importance(table.slice(0, 0), ["x"], predict, lambda p: 0.0)
    with pytest.raises(ValueError, match="repeats is 0"):
        permutation_importance(table, ["x"], predict, lambda p: 0.0, repeats=0)


def test_partial_dependence_draws_the_rule(table: pa.Table) -> None:
    frame = partial_dependence(table, ["x", "kind", "day"], predict, {"y": 0})
    assert set(frame["column"]) == {"x", "kind"}, "times are left out"
    numbers = frame[frame["column"] == "x"]
    slopes = np.diff(numbers["mean"]) / np.diff(numbers["number"])
    np.testing.assert_allclose(slopes, 2)
    assert numbers["rows"].sum() == table.num_rows
    kinds = frame[frame["column"] == "kind"].set_index("value")
    assert kinds.index.tolist() == ["a", "b", "c"], "most frequent first"
    assert kinds.loc["b", "mean"] - kinds.loc["a", "mean"] == pytest.approx(1)
    assert kinds["rows"].sum() == table.num_rows
    low = 2 * np.quantile(table["x"].to_numpy(), 0.25)
    assert kinds.loc["a", "low"] == pytest.approx(low)


def test_partial_dependence_of_odd_columns(table: pa.Table) -> None:
    n = table.num_rows
    odd = (
        table.append_column("none", pa.nulls(n, pa.float64()))
        .append_column("flag", pa.array([True, False] * (n // 2)))
        .append_column("coded", pa.array(["u", "v"] * (n // 2)).dictionary_encode())
        .append_column("whole", pa.array([1, None] * (n // 2), pa.int16()))
    )
    columns = ["none", "flag", "coded", "whole"]
    frame = partial_dependence(odd, columns, predict, {"y": 0}, levels=["whole"])
    assert not frame["numeric"].any()
    assert frame.groupby("column", sort=False)["value"].agg(list).to_dict() == {
        "flag": ["True", "False"],
        "coded": ["u", "v"],
        "whole": ["1"],
    }


def test_the_plane_keeps_distances_of_flat_vectors_and_says_what_it_keeps() -> None:
    generator = np.random.default_rng(1)
    flat = generator.normal(size=(20, 2)) @ generator.normal(size=(2, 7)) + 3
    plane, shares = principal_plane(flat)
    between = np.linalg.norm(flat[:, None] - flat[None], axis=2)
    np.testing.assert_allclose(np.linalg.norm(plane[:, None] - plane[None], axis=2), between)
    assert shares.sum() == pytest.approx(1)
    assert shares[0] >= shares[1]
    np.testing.assert_array_equal(principal_plane(flat)[0], plane)


def test_the_plane_of_one_dimension_or_one_vector() -> None:
    plane, shares = principal_plane(np.array([[1.0], [3.0], [2.0]]))
    np.testing.assert_allclose(np.abs(plane), [[1, 0], [1, 0], [0, 0]], atol=1e-12)
    assert shares.tolist() == [1, 0]
    plane, shares = principal_plane(np.array([[1.0, 2.0, 3.0]]))
    assert plane.tolist() == [[0, 0]]
    assert shares.tolist() == [0, 0]


def test_embeddings_become_a_table_with_rows_and_targets() -> None:
    training = TrainingConfig((Phase(1, 1e-2),), device="cpu", precision="float32")
    rows = examples(people(80), TargetConfig("binary", ("rich",)))
    bundle, _ = train_tabular(rows, TabularModelConfig(layers=(4,), training=training))
    frame = embedding_table(TabularModel.from_bundle(bundle), rows)
    jobs = frame[frame["column"] == "job"]
    assert jobs["level"].tolist() == ["#na#", "clerk", "cook", "pilot"]
    table = people(80).take(rows.train).to_pandas()
    by_job = table.assign(rich=table["rich"] == " yes").groupby("job")["rich"]
    assert jobs["rows"].tolist() == [0, *by_job.size()]
    assert jobs["target"].tolist()[1:] == pytest.approx(by_job.mean().tolist())
    assert np.isnan(jobs["target"].iloc[0])
    labels = dataclasses.replace(rows, target=TargetConfig("multilabel", ("old", "flies")))
    bundle, _ = train_tabular(labels, TabularModelConfig(layers=(4,), training=training))
    assert embedding_table(TabularModel.from_bundle(bundle), labels)["target"].isna().all()


def test_settings_below_one_are_refused() -> None:
    with pytest.raises(ValueError, match="repeats is 0"):
        InterpretationConfig(repeats=0)
