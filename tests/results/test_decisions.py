import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradual.results.decisions import above, coverage_curve, f1_thresholds, threshold_for_accuracy

ROWS = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.4, 0.5, 0.75, 1.0]), st.booleans()),
    min_size=1,
    max_size=30,
)


def arrays(rows: list[tuple[float, bool]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([p for p, _ in rows], np.float32), np.array([y for _, y in rows])


def f1(truth: np.ndarray, predicted: np.ndarray) -> float:
    return 2 * (truth & predicted).sum() / (truth.sum() + predicted.sum())


@given(ROWS)
def test_no_threshold_gives_a_higher_f1(rows: list[tuple[float, bool]]) -> None:
    values, truth = arrays(rows)
    (threshold,) = f1_thresholds(truth[:, None], values[:, None])
    if not truth.any():
        assert threshold == 0.5
        return
    best = max(f1(truth, values >= tried) for tried in values)
    assert f1(truth, above(values, threshold)) == pytest.approx(best)
    assert 0 <= threshold <= 1


def test_labels_get_thresholds_of_their_own_and_unseen_ones_are_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    truth = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 0]], bool)
    values = np.array([[0.9, 0.01, 0.3], [0.7, 0.3, 0.2], [0.5, 0.2, 0.9], [0.1, 0.1, 0.2]])
    with caplog.at_level(logging.WARNING):
        thresholds = f1_thresholds(truth, values, ["a", "b", "c"])
    assert thresholds == pytest.approx([0.6, 0.15, 0.5])
    assert "No validation row has ['c']" in caplog.text
    with pytest.raises(ValueError, match=r"\(4, 3\) and \(3, 3\)"):
        f1_thresholds(truth, values[:3])


def test_neighbours_in_single_precision_stay_apart() -> None:
    low = np.float32(0.3)
    values = np.array([np.nextafter(low, np.float32(1)), low], np.float32)
    threshold = f1_thresholds(np.array([[True], [False]]), values[:, None])
    assert above(values[:, None], threshold).tolist() == [[True], [False]]


@given(ROWS)
def test_the_coverage_curve_is_what_counting_gives(rows: list[tuple[float, bool]]) -> None:
    confidence, correct = arrays(rows)
    curve = coverage_curve(confidence, correct)
    assert curve["threshold"].tolist() == sorted(set(confidence.astype(float)), reverse=True)
    assert (np.diff(curve["coverage"]) > 0).all()
    assert curve["coverage"].iloc[-1] == 1
    assert curve["accuracy"].iloc[-1] == pytest.approx(correct.mean())
    for threshold, count, coverage, accuracy in curve.itertuples(index=False):
        answered = above(confidence, threshold)
        assert (count, coverage) == (answered.sum(), answered.mean())
        assert accuracy == pytest.approx(correct[answered].mean())


@given(ROWS, st.sampled_from([0.3, 0.5, 0.8, 1.0]))
def test_the_wanted_accuracy_is_reached_with_most_answers(
    rows: list[tuple[float, bool]], wanted: float
) -> None:
    confidence, correct = arrays(rows)
    threshold = threshold_for_accuracy(confidence, correct, wanted)
    curve = coverage_curve(confidence, correct)
    reached = curve[curve["accuracy"] >= wanted]
    if threshold is None:
        assert reached.empty
    else:
        answered = above(confidence, threshold)
        assert correct[answered].mean() >= wanted
        assert answered.mean() == reached["coverage"].max()
