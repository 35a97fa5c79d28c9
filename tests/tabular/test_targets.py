import json

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tables import people
from torch.nn import functional

from gradual.tabular.targets import Target, TargetConfig, fit_target

TABLE = people(200)
ROWS = np.arange(100)


def test_classes_are_in_order_and_the_positive_one_last():
    assert fit_target(TABLE, ROWS, TargetConfig("binary", ("rich",))).classes == ("no", "yes")
    config = TargetConfig("binary", ("rich",), positive="no")
    assert fit_target(TABLE, ROWS, config).classes == ("yes", "no")
    numbers = pa.table({"n": [10, 9, 100, 9]})
    config = TargetConfig("multiclass", ("n",))
    assert fit_target(numbers, np.arange(4), config).classes == ("9", "10", "100")


@pytest.mark.parametrize(
    "config",
    [
        TargetConfig("binary", ("rich",), class_weights="balanced"),
        TargetConfig("multiclass", ("band",), class_weights={"1": 2.0}),
        TargetConfig("multilabel", ("old", "flies")),
        TargetConfig("regression", ("pay", "hours"), log=True, y_range=(0, 900)),
    ],
)
def test_a_target_survives_json(config):
    target = fit_target(TABLE, ROWS, config)
    assert Target.from_dict(json.loads(json.dumps(target.to_dict()))) == target


def test_balanced_weights_make_classes_count_the_same():
    table = pa.table({"y": ["a"] * 90 + ["b"] * 10})
    config = TargetConfig("binary", ("y",), class_weights="balanced")
    target = fit_target(table, np.arange(100), config)
    assert target.weights == pytest.approx((100 / 180, 5.0))
    outputs = torch.randn(100, 1, 2)
    truth = torch.from_numpy(target.encode(table, np.arange(100)))
    each = functional.cross_entropy(outputs[:, 0], truth, reduction="none")
    expected = (each[:90].mean() + each[90:].mean()) / 2
    assert float(target.loss(outputs, truth)) == pytest.approx(float(expected), rel=1e-5)


def test_each_member_learns_on_its_own_and_all_answer_together():
    target = fit_target(TABLE, ROWS, TargetConfig("binary", ("rich",)))
    truth = torch.from_numpy(target.encode(TABLE, ROWS))
    outputs = torch.randn(100, 4, 2)
    losses = [functional.cross_entropy(outputs[:, m], truth) for m in range(4)]
    assert float(target.loss(outputs, truth)) == pytest.approx(float(sum(losses) / 4), rel=1e-5)
    assert torch.allclose(target.predictions(outputs), outputs.softmax(2).mean(1))


@given(st.lists(st.floats(0, 1e6), min_size=3, max_size=30), st.booleans())
def test_a_regression_comes_back_from_the_nets_scale(values, log):
    table = pa.table({"y": values})
    if np.std(np.log1p(values) if log else values) < 1e-6:
        return
    target = fit_target(table, np.arange(len(values)), TargetConfig("regression", ("y",), log=log))
    truth = target.encode(table, np.arange(len(values)))
    back = target.from_model(target.to_model(truth))
    assert np.allclose(back, truth, rtol=1e-4, atol=1e-5 * (1 + np.max(values)))


@pytest.mark.parametrize(
    ("config", "table", "message"),
    [
        (TargetConfig("binary", ("x",)), {"x": ["a", "b", "c"]}, "3 classes.*'x'.*exactly 2"),
        (TargetConfig("binary", ("x",)), {"x": ["a", "a", "a"]}, "1 classes"),
        (TargetConfig("binary", ("y",)), {"x": ["a"]}, "no column 'y'"),
        (TargetConfig("binary", ("x",)), {"x": ["a", None, "b"]}, r"row 1 .*nothing.*'x'"),
        (TargetConfig("binary", ("x",), positive="z"), {"x": ["a", "b"]}, "positive is 'z'"),
        (
            TargetConfig("binary", ("x",), class_weights={"z": 1.0}),
            {"x": ["a", "b"]},
            "class_weights names 'z'",
        ),
        (TargetConfig("multilabel", ("x",)), {"x": ["yes", "no", "maybe"]}, "row 2 .*'maybe'"),
        (TargetConfig("multilabel", ("x",)), {"x": [True, True]}, "same 'x'"),
        (TargetConfig("regression", ("x",)), {"x": [1.0, None]}, r"row 1 .*nothing"),
        (TargetConfig("regression", ("x",)), {"x": [2.0, 2.0]}, "same 'x'"),
        (TargetConfig("regression", ("x",)), {"x": [1.0, float("inf")]}, "row 1.*infinite"),
        (TargetConfig("regression", ("x",), log=True), {"x": [1.0, -1.0]}, "row 1 .*log"),
        (TargetConfig("regression", ("x",), y_range=(0, 5)), {"x": [1.0, 6.0]}, "row 1 .*y_range"),
    ],
)
def test_bad_values_are_named(config, table, message):
    table = pa.table(table)
    with pytest.raises(ValueError, match=message):
        fit_target(table, np.arange(table.num_rows), config)


def test_a_class_that_no_training_row_has_is_named_and_rows_without_truth_do_no_harm():
    table = pa.table({"y": ["a", "b", "c", None]})
    target = fit_target(table, np.arange(2), TargetConfig("binary", ("y",)))
    assert target.encode(table, np.array([1, 0])).tolist() == [1, 0]
    with pytest.raises(ValueError, match=r"row 2 .*'c'.*no training row"):
        target.encode(table, np.array([0, 2]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "ranking"}, "kind is 'ranking'"),
        ({"columns": ()}, "columns is"),
        ({"columns": ("a", "b")}, "binary target is one column"),
        ({"log": True}, "for regression"),
        ({"kind": "regression", "class_weights": "balanced"}, "no classes"),
        ({"class_weights": {"a": 0.0}}, "'a' 0.0"),
        ({"kind": "regression", "y_range": (5, 0)}, "y_range is"),
        ({"kind": "multiclass", "positive": "a"}, "only a binary"),
    ],
)
def test_bad_settings_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        TargetConfig(**{"kind": "binary", "columns": ("a",), **changes})
