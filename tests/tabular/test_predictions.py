import numpy as np
import pytest

from gradual.results.predictions import classes_of, probabilities_of
from gradual.tabular.predictions import table_predictions

ROWS = np.array([7, 9])


def test_classes_are_named() -> None:
    frame = table_predictions(
        "binary",
        ROWS,
        np.array([1, 0]),
        np.array([[0.2, 0.8], [0.4, 0.6]]),
        ["<50k", ">=50k"],
        baseline=np.array([[0.5, 0.5], [0.9, 0.1]]),
    )
    assert frame["label"].tolist() == [">=50k", "<50k"]
    assert frame["correct"].tolist() == [True, False]
    assert frame["baseline_correct"].tolist() == [False, True]
    assert classes_of(frame) == ("<50k", ">=50k")


def test_each_yes_or_no_column_has_a_row_of_its_own() -> None:
    truth = np.array([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]], np.float32)
    yes = np.array([[0.9, 0.2, 0.4], [0.1, 0.7, 0.8]])
    frame = table_predictions("multilabel", ROWS, truth, yes, ["a", "b", "c"])
    assert frame["row"].tolist() == [7, 7, 7, 9, 9, 9]
    assert frame["column"].tolist() == ["a", "b", "c"] * 2
    assert frame["label"].tolist() == ["yes", "no", "yes", "no", "no", "yes"]
    assert frame["correct"].tolist() == [True, True, False, True, False, True]
    probabilities = probabilities_of(frame)
    assert probabilities is not None
    np.testing.assert_allclose(probabilities[:, 1], yes.ravel())


def test_values_have_errors() -> None:
    truth, predicted = np.array([[1.0, 10], [2, 20]]), np.array([[1.5, 10], [1, 25]])
    frame = table_predictions("regression", ROWS, truth, predicted, ["sales", "guests"], predicted)
    assert frame["error"].tolist() == pytest.approx([-0.5, 0, 1, -5])
    assert frame["column"].tolist() == ["sales", "guests"] * 2
    assert frame["baseline_predicted"].tolist() == frame["predicted"].tolist()
