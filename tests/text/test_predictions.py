"""One row a document: what was said of it, by one model or by two directions of reading."""

import numpy as np
import pandas as pd
import pytest
from text_tables import ROWS, labels_predictions, predictions

from gradual.results.predictions import MOST_RIGHT, MOST_WRONG
from gradual.text.classifier import ClassifierConfig
from gradual.text.labels import as_array
from gradual.text.predictions import (
    average_predictions,
    choose_examples,
    is_multi_label,
    labels_of,
    labels_table,
    predict_parts,
    rows_fingerprint,
    served_model,
)
from gradual.text.stacking import serve
from gradual.training.bundle import Bundle


def test_the_table_says_what_was_predicted_and_how_near_it_was() -> None:
    truth = np.array([[True, False], [False, False]])
    values = np.array([[0.9, 0.55], [0.2, 0.3]])
    found = labels_table(np.array([7, 9]), truth, values, ["a", "b"], np.array([0.5, 0.5]))
    assert found["label"].tolist() == ["a", "no label"]
    assert found["predicted"].tolist() == ["a; b", "no label"]
    assert found["correct"].tolist() == [False, True]
    assert found["margin"].tolist() == pytest.approx([0.05, 0.2])
    assert labels_of(found) == ("a", "b")
    assert is_multi_label(found)
    assert not is_multi_label(predictions(0))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.full((2, 3), 0.5), "shape"),
        (np.array([[0.5, 1.5], [0, 0]]), "row 0"),
        (np.array([[0, 0], [0.5, np.nan]]), "row 1"),
        (np.zeros((0, 2)), "no rows"),
    ],
)
def test_probabilities_that_are_none_are_errors(values: np.ndarray, message: str) -> None:
    truth = np.zeros((len(values), 2), bool)
    with pytest.raises(ValueError, match=message):
        labels_table(np.arange(len(truth)), truth, values, ["a", "b"], np.ones(2))


@pytest.mark.parametrize("several", [False, True])
def test_each_part_gets_its_rows_and_thresholds_come_from_validation_rows(several: bool) -> None:
    random = np.random.default_rng(0)
    labels = as_array([["a"], ["b"], ["a", "b"], []] * 10) if several else as_array(["a", "b"] * 20)
    decision = {"thresholds": {"a": 0.3, "b": 0.6}} if several else {"abstain_below": 0.7}
    metadata = {"labels": ["a", "b"], "multi_label": several, "decision": decision}
    values = random.random((40, 2))
    values = values if several else values / values.sum(axis=1, keepdims=True)
    baseline = pd.DataFrame(values[::-1], columns=["a", "b"]).assign(
        row=np.arange(40), part=["valid"] * 10 + ["test"] * 30
    )
    tables = predict_parts(
        Bundle("text_classifier", {}, {}, metadata, {}),
        {"test": (np.arange(10, 40), values[10:]), "valid": (np.arange(10), values[:10])},
        baseline,
        labels=labels,
        sources=np.array([f"s{i}" for i in range(40)]),
        texts=np.array(["t"] * 40),
    )
    assert tables["valid"]["source"].tolist() == [f"s{i}" for i in range(10)]
    np.testing.assert_allclose(tables["test"]["probability_a"], values[10:, 0])
    np.testing.assert_allclose(tables["test"]["baseline_probability_a"], values[::-1][10:, 0])
    if several:
        assert (tables["test"]["predicted_b"] == (values[10:, 1] >= 0.6)).all()
    else:
        assert (tables["test"]["answered"] == (values[10:].max(axis=1) >= 0.7)).all()


def test_examples_are_wrong_right_and_near_a_threshold() -> None:
    table = labels_predictions()
    chosen = choose_examples(table, k=4)
    wrong, right = (chosen[chosen["kind"] == kind] for kind in (MOST_WRONG, MOST_RIGHT))
    assert not table.loc[wrong["row"], "correct"].any()
    assert table.loc[right["row"], "correct"].all()
    assert wrong["loss"].is_monotonic_decreasing
    assert chosen["row"].iloc[-4] == table["margin"].idxmin()


def test_rows_have_a_fingerprint_that_predictions_do_not_change() -> None:
    one, other = predictions(0), predictions(1)
    assert rows_fingerprint(one) == rows_fingerprint(other)
    changed = one.assign(text=one["text"].str.replace("text 3", "text three"))
    assert rows_fingerprint(changed) != rows_fingerprint(one)
    assert rows_fingerprint(labels_predictions()) != rows_fingerprint(one)


# ------------------------------------------------------------------------------- two directions


def test_probabilities_are_averaged_and_members_kept() -> None:
    forward, backward = predictions(0), predictions(1)
    averaged = average_predictions(forward, backward)
    mean = (forward["probability_yes"] + backward["probability_yes"]) / 2
    np.testing.assert_allclose(averaged["probability_yes"], mean)
    assert averaged["predicted"].tolist() == ["yes" if p > 0.5 else "no" for p in mean]
    assert averaged["forward_probability_no"].equals(forward["probability_no"])
    assert averaged["backward_probability_yes"].equals(backward["probability_yes"])
    for column in ("row", "source", "label", "text", "baseline_probability_yes"):
        assert averaged[column].equals(forward[column]), column


def test_classifiers_are_averaged_whatever_was_served() -> None:
    config = ClassifierConfig(serve="ngrams")
    tables = [serve(predictions(seed), predictions(9), config)[0] for seed in (0, 1)]
    assert [served_model(table) for table in tables] == ["ngrams", "ngrams"]
    averaged = average_predictions(*tables)
    expected = average_predictions(predictions(0), predictions(1))
    pd.testing.assert_frame_equal(averaged, expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.iloc[:30], f"forward predictions of {ROWS} rows and backward ones of 30"),
        (
            lambda t: t.iloc[::-1],
            r"row 0 of the forward predictions \(texts\.csv row 0\) has the source "
            r"'texts\.csv row 0', of the backward ones 'texts\.csv row 39': run both pipelines",
        ),
        (lambda t: t.assign(label="yes"), "has the label 'no', of the backward ones 'yes'"),
        (lambda t: t.drop(columns="source"), "backward predictions have no column 'source'"),
        (
            lambda t: t.rename(columns={"probability_no": "probability_nein"}),
            r"of the classes \['no', 'yes'\], the backward ones of \['nein', 'yes'\]",
        ),
    ],
)
def test_other_rows_are_refused(change, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        average_predictions(predictions(0), change(predictions(1)))
