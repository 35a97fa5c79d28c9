import numpy as np
import pandas as pd
import pytest

from gradual.results.predictions import (
    BASELINE,
    check_scored,
    choose_examples,
    classes_of,
    excerpt,
    predictions_table,
    probabilities_of,
)


def test_predictions_have_one_row_per_review(predictions: pd.DataFrame) -> None:
    assert list(predictions.columns) == [
        "row",
        "source",
        "label",
        "predicted",
        "correct",
        "probability_negative",
        "probability_positive",
        "baseline_predicted",
        "baseline_correct",
        "baseline_probability_negative",
        "baseline_probability_positive",
        "text",
    ]
    assert predictions["correct"].tolist() == [True, False, False, True, True, True]
    assert predictions["baseline_correct"].tolist() == [True, True, True, True, True, True]
    assert predictions["row"].tolist() == [10, 11, 12, 13, 14, 15]


def test_predictions_survive_parquet(predictions: pd.DataFrame, tmp_path: object) -> None:
    path = f"{tmp_path}/predictions.parquet"
    predictions.to_parquet(path)
    pd.testing.assert_frame_equal(pd.read_parquet(path), predictions)


def test_probabilities_come_back(predictions: pd.DataFrame) -> None:
    assert classes_of(predictions) == ("negative", "positive")
    probabilities = probabilities_of(predictions)
    assert probabilities is not None
    np.testing.assert_allclose(probabilities[:, 1], [0.9, 0.8, 0.1, 0.45, 0.97, 0.02])
    without = predictions.drop(columns=[c for c in predictions if c.startswith(BASELINE)])
    assert probabilities_of(without, BASELINE) is None
    with pytest.raises(ValueError, match="no column starts with"):
        classes_of(predictions[["row"]])


def test_examples_are_those_worth_reading(predictions: pd.DataFrame) -> None:
    examples = choose_examples(predictions, k=2)
    rows = examples.groupby("kind", sort=False)["row"].apply(list).to_dict()
    assert rows == {
        "most wrong": [12, 11],
        "most right": [15, 14],
        "most uncertain": [13, 11],
    }
    assert examples["probability"].tolist() == pytest.approx([0.9, 0.8, 0.98, 0.97, 0.55, 0.8])


def test_fewer_examples_where_there_are_not_as_many(predictions: pd.DataFrame) -> None:
    counts = choose_examples(predictions, k=100)["kind"].value_counts().to_dict()
    assert counts == {"most wrong": 2, "most right": 4, "most uncertain": 6}


def test_excerpt_keeps_both_ends() -> None:
    text = "It begins well. " + "word " * 200 + "It ends<br /><br />badly."
    short = excerpt(text, 60)
    assert len(short) <= 62
    assert short.startswith("It begins")
    assert short.endswith("It ends badly.")
    assert excerpt("a  short\none", 60) == "a short one"


def test_lengths_must_fit() -> None:
    with pytest.raises(ValueError, match="texts: 1 values for 2"):
        predictions_table(np.arange(2), ["a", "b"], np.full((2, 2), 0.5), ["a", "b"], texts=["one"])


BINARY = ["negative", "positive"]
GOOD = np.array([[0.5, 0.5], [0.2, 0.8]])


@pytest.mark.parametrize(
    ("labels", "probabilities", "classes", "message"),
    [
        (["negative", "neutral"], GOOD, BINARY, "row 1 has 'neutral'"),
        (["negative", None], GOOD, BINARY, "row 1 has None"),
        (["negative"], GOOD, BINARY, "shape"),
        (["negative", "positive"], GOOD[:, :1], BINARY, "shape"),
        ([], np.empty((0, 2)), BINARY, "no rows"),
        (["negative", "positive"], [[0.5, 0.5], [np.nan, 1]], BINARY, "row 1 .* not finite"),
        (["negative", "positive"], [[0.5, 0.5], [-0.5, 1.5]], BINARY, "row 1 has a negative"),
        (["negative", "positive"], [[0.5, 0.9], [0.5, 0.5]], BINARY, "row 0 has a sum"),
        (["a", "a"], GOOD, ["a", "a"], "two different names"),
    ],
)
def test_input_that_does_not_fit_is_refused(
    labels: list[str], probabilities: object, classes: list[str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        check_scored(labels, np.asarray(probabilities), classes)
