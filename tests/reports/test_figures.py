import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from gradual.reports import figures
from gradual.results.predictions import predictions_table


def traces(figure: go.Figure) -> dict[str, go.Scatter]:
    return {trace.name.split(",")[0]: trace for trace in figure.data if trace.name}


@pytest.fixture
def three_classes() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet([1, 1, 1], size=50)
    labels = np.array(["a", "b", "c"], dtype=object)[rng.integers(3, size=50)]
    return predictions_table(np.arange(50), labels, probabilities, ["a", "b", "c"])


def test_confusion_matrix_counts(predictions: pd.DataFrame) -> None:
    figure = figures.confusion_matrix_figure(predictions)
    np.testing.assert_array_equal(figure.data[0].customdata, [[2, 1], [1, 2]])
    np.testing.assert_allclose(figure.data[0].z, [[2 / 3, 1 / 3], [1 / 3, 2 / 3]])
    assert "4 of 6 test rows" in figure.layout.title.subtitle.text


def test_confusion_matrix_of_a_class_that_never_occurs(predictions: pd.DataFrame) -> None:
    only = predictions[predictions["label"] == "positive"]
    figure = figures.confusion_matrix_figure(only)
    np.testing.assert_array_equal(figure.data[0].customdata, [[0, 0], [1, 2]])


def test_roc_curves_of_model_and_baseline(predictions: pd.DataFrame) -> None:
    by_name = traces(figures.roc_figure(predictions))
    assert set(by_name) == {"chance", "model", "baseline"}
    assert "area 0.778" in by_name["model"].name  # 7 of 9 pairs in order
    assert "area 1.000" in by_name["baseline"].name
    assert by_name["model"].x[0] == 0
    assert by_name["model"].y[-1] == 1


def test_roc_without_both_classes_draws_only_chance(predictions: pd.DataFrame) -> None:
    only = predictions[predictions["label"] == "positive"]
    assert set(traces(figures.roc_figure(only))) == {"chance"}


def test_long_curves_are_thinned(three_classes: pd.DataFrame) -> None:
    rng = np.random.default_rng(0)
    p = rng.random(5000)
    labels = np.where(rng.random(5000) < p, "yes", "no").astype(object)
    table = predictions_table(np.arange(5000), labels, np.c_[1 - p, p], ["no", "yes"])
    assert len(traces(figures.roc_figure(table))["model"].x) <= figures.CURVE_POINTS


def test_reliability_counts_every_row_once(predictions: pd.DataFrame) -> None:
    figure = figures.reliability_figure(predictions)
    bars = [trace for trace in figure.data if trace.type == "bar"]
    assert [sum(bar.y) for bar in bars] == [6, 6]
    assert "calibration error" in figure.data[1].name


def test_probabilities_are_drawn_by_true_class(predictions: pd.DataFrame) -> None:
    figure = figures.probability_figure(predictions)
    assert [trace.name for trace in figure.data] == ["truly negative (3)", "truly positive (3)"]
    assert sum(sum(trace.y) for trace in figure.data) == 6


def test_more_than_two_classes(three_classes: pd.DataFrame) -> None:
    assert set(traces(figures.roc_figure(three_classes))) == {"chance", "a", "b", "c"}
    bars = [t for t in figures.reliability_figure(three_classes).data if t.type == "bar"]
    assert [sum(bar.y) for bar in bars] == [50]
    right = int(three_classes["correct"].sum())
    drawn = {trace.name for trace in figures.probability_figure(three_classes).data}
    assert drawn == {f"wrong ({50 - right})", f"right ({right})"}


def test_training_curves_by_epoch_with_phases_shaded() -> None:
    history = pd.DataFrame(
        {
            "phase": [1, 2, 2],
            "epoch": [1, 2, 3],
            "train_loss": [3.0, 2.0, 1.0],
            "valid_loss": [2.5, 2.1, 1.9],
            "valid_perplexity": [12.0, 8.0, 6.7],
            "valid_accuracy": [0.1, 0.2, 0.3],
            "seconds": [1.0, 2.0, 2.0],
        }
    )
    figure = figures.training_figure(history, "Language model")
    assert [(t.name, tuple(t.x), tuple(t.y)) for t in figure.data] == [
        ("training", (1, 2, 3), (3.0, 2.0, 1.0)),
        ("validation", (1, 2, 3), (2.5, 2.1, 1.9)),
        ("valid_accuracy", (1, 2, 3), (0.1, 0.2, 0.3)),
    ]
    edges = {(shape.x0, shape.x1) for shape in figure.layout.shapes}
    assert edges == {(0.5, 1.5), (1.5, 3.5)}
    assert "3 epochs" in figure.layout.title.subtitle.text


def test_training_curves_need_an_epoch() -> None:
    with pytest.raises(ValueError, match="train_loss"):
        figures.training_figure(pd.DataFrame({"train_loss": []}))


def test_range_test_marks_suggestions_on_the_curve() -> None:
    rates = np.geomspace(1e-5, 1, 51)
    frame = pd.DataFrame({"lr": rates, "loss": 1.0, "smoothed_loss": np.linspace(2, 1, 51)})
    figure = figures.range_test_figure(frame, {"valley": 1e-3, "minimum/10": 1e-1})
    marks = {trace.name: trace for trace in figure.data if trace.mode == "markers"}
    assert list(marks) == ["valley: 1.0e-03", "minimum/10: 1.0e-01"]
    assert marks["valley: 1.0e-03"].y[0] == pytest.approx(1.6)
    assert figure.layout.xaxis.type == "log"


def test_range_test_that_diverged_is_drawn() -> None:
    frame = pd.DataFrame({"lr": [1e-3, 1e-2, 1e-1], "loss": [2.0, 1.5, np.nan]})
    low, high = figures.range_test_figure(frame, {}).layout.yaxis.range
    assert low < 1.5 < 2.0 < high
