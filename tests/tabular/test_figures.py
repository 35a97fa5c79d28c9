import numpy as np
import pandas as pd
import pytest

from gradual.tabular import figures
from gradual.tabular.figures import Findings
from gradual.tabular.targets import Target, TargetConfig

BINARY = Target(TargetConfig("binary", ("rich",)), ("no", "yes"))
SALES = Target(TargetConfig("regression", ("sales",), log=True), ("sales",))


def findings(target: Target = BINARY, **more: object) -> Findings:
    """Findings that hold nothing but what a test gives."""
    nothing = dict.fromkeys(
        ("scores", "predictions", "importance", "dependence", "embeddings", "history"),
        pd.DataFrame(),
    )
    return Findings(**{**nothing, "facts": {}, "target": target, **more})  # type: ignore[arg-type]


def importance(n: int = 3) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "column": [f"column {i}" for i in range(n)],
            "importance": np.linspace(1, 0, n),
            "low": np.linspace(0.9, -0.1, n),
            "high": np.linspace(1.3, 0.1, n),
            "loss": 0.5,
            "rows": 800,
            "repeats": 5,
        }
    )


def dependence(outputs: tuple[str, ...] = ("yes",)) -> pd.DataFrame:
    kinds = {"age": (True, ["20.0", "30.0"]), "job": (False, ["smith", "a name far too long"])}
    return pd.DataFrame(
        [
            {
                "column": column,
                "numeric": numeric,
                "value": value,
                "number": float(value) if numeric else np.nan,
                "rows": 5,
                "output": output,
                "mean": 0.5,
                "low": 0.25,
                "high": 0.75,
            }
            for column, (numeric, values) in kinds.items()
            for output in outputs
            for value in values
        ]
    )


def test_the_most_important_column_is_drawn_on_top_with_its_spread() -> None:
    figure = figures.importance(findings(importance=importance()))
    (bars,) = figure.data
    assert bars.y[-1] == "column 0"
    assert bars.error_x.array[-1] == pytest.approx(0.3)
    assert bars.error_x.arrayminus[-1] == pytest.approx(0.1)
    assert "800 rows" in figure.layout.title.subtitle.text
    assert len(figures.importance(findings(importance=importance(90))).data[0].y) == 25


def test_dependence_has_one_small_figure_a_column_on_one_scale() -> None:
    figure = figures.dependence(findings(dependence=dependence()))
    assert figure is not None
    titles = [note.text for note in figure.layout.annotations]
    assert titles == ["age", "job"]
    assert figure.layout.yaxis.range == figure.layout.yaxis2.range
    names = next(trace for trace in figure.data if trace.xaxis == "x2").x
    assert list(names) == ["smith", "a name far too lo…"]


def test_dependence_of_several_outputs_names_each_once() -> None:
    figure = figures.dependence(findings(dependence=dependence(("a", "b", "c"))))
    assert figure is not None
    assert [trace.name for trace in figure.data if trace.showlegend] == ["a", "b", "c"]


def test_embeddings_name_the_frequent_levels() -> None:
    n = 40
    frame = pd.DataFrame(
        {
            "column": "town",
            "level": [f"town {i}" for i in range(n)],
            "rows": np.arange(n)[::-1],
            "x": np.zeros(n),
            "y": np.ones(n),
            "x_share": 0.5,
            "y_share": 0.2,
            "target": np.r_[np.nan, np.ones(n - 1)],
        }
    )
    figure = figures.embeddings(findings(embeddings=frame))
    assert figure is not None
    (trace,) = figure.data
    assert [text for text in trace.text if text] == [f"town {i}" for i in range(24)]
    assert len(trace.x) == n


def test_what_there_is_nothing_to_draw_of_is_not_drawn() -> None:
    assert figures.embeddings(findings()) is None, "no column has levels"
    assert figures.dependence(findings()) is None, "all columns are dates"


def sales(predictions: pd.DataFrame) -> Findings:
    return findings(SALES, predictions=predictions)


def test_figures_of_a_regression_thin_out_many_rows_and_say_so() -> None:
    predictions = pd.DataFrame({"target": np.arange(1.0, 20_001), "predicted": 2.0})
    figure = figures.truth(sales(predictions))
    assert len(figure.data[0].x) == 5000
    assert figure.layout.title.subtitle.text == "5,000 of 20,000 test rows"
    assert figure.layout.xaxis.type == "log"
    negative = predictions.assign(target=predictions["target"] - 5)
    assert figures.truth(sales(negative)).layout.xaxis.type == "linear"
    assert figures.spread(sales(predictions)).data[0].y[0] == -1


@pytest.fixture
def predictions() -> pd.DataFrame:
    truth = np.arange(1.0, 101)
    return pd.DataFrame(
        {"target": truth, "predicted": truth + 2, "baseline_predicted": 50.0}, index=truth
    )


def test_calibration_is_the_mean_truth_of_equally_many_rows(predictions: pd.DataFrame) -> None:
    model, baseline, _ = figures.calibration(sales(predictions)).data
    np.testing.assert_allclose(np.array(model.x) - np.array(model.y), 2)
    assert len(model.x) == 10
    assert set(baseline.x) == {50.0}, "equal predictions still fill their bins"
    assert len(figures.calibration(sales(predictions.head(3))).data[0].x) == 3


def test_tolerance_is_the_share_of_rows_within_an_error(predictions: pd.DataFrame) -> None:
    model, baseline = figures.separation(sales(predictions)).data
    assert set(model.x) == {2.0}
    assert "half within 25" in baseline.name
    alone = sales(predictions.drop(columns="baseline_predicted"))
    assert len(figures.separation(alone).data) == 1
    assert len(figures.calibration(alone).data) == 2
