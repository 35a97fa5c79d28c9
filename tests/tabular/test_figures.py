import numpy as np
import pandas as pd
import pytest

from gradual.tabular import figures as table_figures


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
    figure = table_figures.importance_figure(importance(), "log loss (nats)")
    (bars,) = figure.data
    assert bars.y[-1] == "column 0"
    assert bars.error_x.array[-1] == pytest.approx(0.3)
    assert bars.error_x.arrayminus[-1] == pytest.approx(0.1)
    assert "800 rows" in figure.layout.title.subtitle.text
    assert len(table_figures.importance_figure(importance(90), "loss").data[0].y) == 25


def test_dependence_has_one_small_figure_a_column_on_one_scale() -> None:
    figure = table_figures.dependence_figure(dependence(), "probability of yes")
    titles = [note.text for note in figure.layout.annotations]
    assert titles == ["age", "job"]
    assert figure.layout.yaxis.range == figure.layout.yaxis2.range
    names = next(trace for trace in figure.data if trace.xaxis == "x2").x
    assert list(names) == ["smith", "a name far too lo…"]


def test_dependence_of_several_outputs_names_each_once() -> None:
    figure = table_figures.dependence_figure(dependence(("a", "b", "c")), "probability")
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
    (trace,) = table_figures.embedding_figure(frame, "share").data
    assert [text for text in trace.text if text] == [f"town {i}" for i in range(24)]
    assert len(trace.x) == n


def test_comparison_draws_every_model_in_every_score() -> None:
    scores = pd.DataFrame(
        [
            {"model": model, "score": score, "better": "higher", "value": 0.8}
            | {"low": 0.7, "high": 0.85}
            for score in ("accuracy", "ROC AUC")
            for model in ("net", "forest")
        ]
    )
    figure = table_figures.comparison_figure(scores, "net", "10 rows")
    assert len(figure.data) == 2
    assert list(figure.data[0].y) == ["net", "forest"]
    assert len(set(figure.data[0].marker.color)) == 2
    assert figure.layout.annotations[1].text == "ROC AUC (higher is better)"
