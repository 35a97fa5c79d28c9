import numpy as np
import pytest

from gradual.results.calibration import calibration_table, expected_calibration_error

BINARY = ["negative", "positive"]


def test_calibration_error_by_hand() -> None:
    labels = ["positive", "negative", "positive", "positive"]
    p = np.array([0.15, 0.12, 0.9, 1.0])
    table = calibration_table(labels, np.c_[1 - p, p], BINARY)
    assert table["rows"].tolist() == [2, 2]
    np.testing.assert_allclose(table["predicted"], [0.135, 0.95])
    np.testing.assert_allclose(table["observed"], [0.5, 1.0])
    assert expected_calibration_error(table) == pytest.approx((0.365 + 0.05) / 2)


def test_calibration_of_more_classes_is_about_the_predicted_one() -> None:
    probabilities = np.array([[0.6, 0.3, 0.1], [0.1, 0.65, 0.25]])
    table = calibration_table(["a", "c"], probabilities, ["a", "b", "c"])
    assert table["rows"].tolist() == [2]
    assert table["observed"].tolist() == [0.5]
    assert table["predicted"].tolist() == [pytest.approx(0.625)]


def test_unknown_positive_class_is_refused() -> None:
    with pytest.raises(ValueError, match="'good' is not among"):
        calibration_table(BINARY, np.full((2, 2), 0.5), BINARY, positive="good")
