import numpy as np
import pyarrow as pa
import pytest

from gradual.results.predictions import classes_of, probabilities_of
from gradual.tabular.predictions import most_wrong, table_predictions
from gradual.tabular.targets import Target, TargetConfig

ROWS = np.array([7, 9])
BINARY = Target(TargetConfig("binary", ("salary",)), ("<50k", ">=50k"))
LABELS = Target(TargetConfig("multilabel", ("a", "b", "c")), ("a", "b", "c"))
VALUES = Target(TargetConfig("regression", ("sales", "guests")), ("sales", "guests"))


def test_classes_are_named() -> None:
    frame = table_predictions(
        BINARY,
        ROWS,
        np.array([1, 0]),
        np.array([[0.2, 0.8], [0.4, 0.6]]),
        baseline=np.array([[0.5, 0.5], [0.9, 0.1]]),
    )
    assert frame["label"].tolist() == [">=50k", "<50k"]
    assert frame["correct"].tolist() == [True, False]
    assert frame["baseline_correct"].tolist() == [False, True]
    assert frame["loss"].tolist() == pytest.approx([-np.log(0.8), -np.log(0.4)])
    assert classes_of(frame) == ("<50k", ">=50k")


def test_each_yes_or_no_column_has_a_row_of_its_own() -> None:
    truth = np.array([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]], np.float32)
    yes = np.array([[0.9, 0.2, 0.4], [0.1, 0.7, 0.8]])
    frame = table_predictions(LABELS, ROWS, truth, yes)
    assert frame["row"].tolist() == [7, 7, 7, 9, 9, 9]
    assert frame["column"].tolist() == ["a", "b", "c"] * 2
    assert frame["label"].tolist() == ["yes", "no", "yes", "no", "no", "yes"]
    assert frame["correct"].tolist() == [True, True, False, True, False, True]
    probabilities = probabilities_of(frame)
    assert probabilities is not None
    np.testing.assert_allclose(probabilities[:, 1], yes.ravel())


def test_values_have_errors() -> None:
    truth, predicted = np.array([[1.0, 10], [2, 20]]), np.array([[1.5, 10], [1, 25]])
    frame = table_predictions(VALUES, ROWS, truth, predicted, predicted)
    assert frame["error"].tolist() == pytest.approx([-0.5, 0, 1, -5])
    assert frame["loss"].tolist() == pytest.approx([0.5, 0, 1, 5])
    assert frame["column"].tolist() == ["sales", "guests"] * 2
    assert frame["baseline_predicted"].tolist() == frame["predicted"].tolist()


def test_most_wrong_rows_keep_their_inputs() -> None:
    truth, table = np.array([1, 0]), pa.table({"x": np.arange(10), "label": ["?"] * 10})
    frame = table_predictions(BINARY, ROWS, truth, np.array([[0.2, 0.8], [0.4, 0.6]]))
    worst = most_wrong(frame, table)
    assert worst["row"].tolist() == [9, 7]
    assert worst["x"].tolist() == [9, 7]
    assert worst["label (input)"].tolist() == ["?", "?"]
    assert worst["predicted"].tolist() == [">=50k", ">=50k"]
    assert len(most_wrong(frame, table, 1)) == 1


def test_most_wrong_rows_of_several_targets_show_every_target() -> None:
    table = pa.table({"x": np.arange(10)})
    truth, predicted = np.array([[1.0, 10], [2, 20]]), np.array([[1.5, 10], [1, 25]])
    (worst, other) = most_wrong(table_predictions(VALUES, ROWS, truth, predicted), table).to_dict(
        "records"
    )
    assert worst == {
        "row": 9, "loss": 3, "sales target": 2, "sales predicted": 1, "sales loss": 1,
        "guests target": 20, "guests predicted": 25, "guests loss": 5, "x": 9,
    }  # fmt: skip
    assert (other["row"], other["loss"], other["guests predicted"]) == (7, 0.25, 10)
    yes = np.array([[0.9, 0.2, 0.4], [0.1, 0.7, 0.8]])
    labels = most_wrong(table_predictions(LABELS, ROWS, np.eye(3)[:2], yes), table)
    assert {"a label", "b predicted", "c loss"} < set(labels)
