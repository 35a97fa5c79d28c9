import numpy as np
import pandas as pd
import pytest

from gradual.tabular import regression_figures as figures


def test_regression_figures_thin_out_many_rows_and_say_so() -> None:
    predictions = pd.DataFrame({"target": np.arange(1.0, 20_001), "predicted": 2.0})
    figure = figures.truth_figure(predictions, "sales", log=True)
    assert len(figure.data[0].x) == 5000
    assert figure.layout.title.subtitle.text == "5,000 of 20,000 test rows"
    assert figure.layout.xaxis.type == "log"
    negative = predictions.assign(target=predictions["target"] - 5)
    assert figures.truth_figure(negative, "sales", log=True).layout.xaxis.type == "linear"
    errors = figures.residual_figure(predictions, "sales").data[0]
    assert errors.y[0] == -1


@pytest.fixture
def predictions() -> pd.DataFrame:
    truth = np.arange(1.0, 101)
    return pd.DataFrame(
        {"target": truth, "predicted": truth + 2, "baseline_predicted": 50.0}, index=truth
    )


def test_calibration_is_the_mean_truth_of_equally_many_rows(predictions: pd.DataFrame) -> None:
    model, baseline, _ = figures.calibration_figure(predictions, "sales").data
    np.testing.assert_allclose(np.array(model.x) - np.array(model.y), 2)
    assert len(model.x) == 10
    assert set(baseline.x) == {50.0}, "equal predictions still fill their bins"
    few = figures.calibration_figure(predictions.head(3), "sales").data[0]
    assert len(few.x) == 3


def test_tolerance_is_the_share_of_rows_within_an_error(predictions: pd.DataFrame) -> None:
    model, baseline = figures.tolerance_figure(predictions, "sales").data
    assert set(model.x) == {2.0}
    assert "half within 25" in baseline.name
    alone = predictions.drop(columns="baseline_predicted")
    assert len(figures.tolerance_figure(alone, "sales").data) == 1
    assert len(figures.calibration_figure(alone, "sales").data) == 2
