import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from gradual.results.classification import (
    auc_interval,
    calibration_table,
    classification_report,
    expected_calibration_error,
    wilson_interval,
)

BINARY = ["negative", "positive"]


def random_scores(n: int, k: int, seed: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Labels and probabilities that lean towards them."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(k, size=n)
    logits = rng.normal(size=(n, k)) + 1.0 * np.eye(k)[truth]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    classes = [f"class {i}" for i in range(k)]
    return np.array(classes, dtype=object)[truth], probabilities, classes


@pytest.mark.parametrize("k", [2, 4])
def test_scores_agree_with_scikit_learn(k: int) -> None:
    labels, probabilities, classes = random_scores(300, k, seed=3)
    report = classification_report(labels, probabilities, classes)
    predicted = np.array(classes, dtype=object)[probabilities.argmax(axis=1)]
    assert report["accuracy"] == pytest.approx(sk.accuracy_score(labels, predicted))
    assert report["balanced_accuracy"] == pytest.approx(
        sk.balanced_accuracy_score(labels, predicted)
    )
    assert report["log_loss"] == pytest.approx(sk.log_loss(labels, probabilities, labels=classes))
    np.testing.assert_array_equal(
        report["confusion_matrix"], sk.confusion_matrix(labels, predicted, labels=classes)
    )
    if k == 2:
        f1 = sk.f1_score(labels, predicted, pos_label="class 1")
        auc = sk.roc_auc_score(labels == "class 1", probabilities[:, 1])
    else:
        f1 = sk.f1_score(labels, predicted, average="macro")
        auc = sk.roc_auc_score(labels, probabilities, multi_class="ovr", labels=classes)
    assert report["f1"] == pytest.approx(f1)
    assert report["roc_auc"] == pytest.approx(auc)
    low, high = report["roc_auc_interval"]
    assert low < report["roc_auc"] < high
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_positive_class_can_be_chosen() -> None:
    labels, probabilities, classes = random_scores(200, 2, seed=5)
    report = classification_report(labels, probabilities, classes, positive="class 0")
    predicted = np.array(classes, dtype=object)[probabilities.argmax(axis=1)]
    assert report["f1"] == pytest.approx(sk.f1_score(labels, predicted, pos_label="class 0"))


@pytest.mark.parametrize(
    ("successes", "n", "expected"),
    [(0, 10, (0.0, 0.2775)), (10, 10, (0.7225, 1.0)), (81, 263, (0.2553, 0.3662))],
)
def test_wilson_interval_has_the_published_values(
    successes: int, n: int, expected: tuple[float, float]
) -> None:
    """81 of 263 is the example of Newcombe 1998, table I."""
    assert wilson_interval(successes, n) == pytest.approx(expected, abs=1e-4)


@given(n=st.integers(1, 10_000), share=st.floats(0, 1), confidence=st.floats(0.5, 0.999))
def test_wilson_interval_contains_the_share_and_stays_in_range(
    n: int, share: float, confidence: float
) -> None:
    successes = round(share * n)
    low, high = wilson_interval(successes, n, confidence)
    assert 0 <= low <= successes / n <= high <= 1


def test_auc_interval_covers_the_true_area_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    positive = np.arange(120) < 50
    true_area = 0.5 * (1 + math.erf(1 / 2))  # N(1, 1) against N(0, 1)
    hits = 0
    for _ in range(400):
        _, interval = auc_interval(positive, rng.normal(size=120) + positive)
        assert interval is not None
        hits += interval[0] <= true_area <= interval[1]
    assert 0.92 <= hits / 400 <= 0.98


def test_auc_variance_is_delongs() -> None:
    """Compared with the definition, pair by pair (DeLong et al. 1988, equations 4 to 6)."""
    rng = np.random.default_rng(1)
    positive = rng.random(40) < 0.4
    scores = np.round(rng.normal(size=40) + positive, 1)  # with ties
    pairs = scores[positive][:, None] - scores[~positive][None, :]
    kernel = (pairs > 0) + 0.5 * (pairs == 0)
    m, n = kernel.shape
    variance = kernel.mean(axis=1).var(ddof=1) / m + kernel.mean(axis=0).var(ddof=1) / n
    area, interval = auc_interval(positive, scores)
    assert area == pytest.approx(kernel.mean())
    assert interval is not None
    half = (math.log(interval[1] / (1 - interval[1])) - math.log(area / (1 - area))) / 1.959964
    assert half == pytest.approx(math.sqrt(variance) / (area * (1 - area)), rel=1e-5)


def test_perfect_ranking_has_an_area_but_no_interval() -> None:
    assert auc_interval(np.array([True, True, False, False]), np.array([4, 3, 2, 1])) == (1.0, None)


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


def test_well_calibrated_probabilities_have_a_small_error() -> None:
    rng = np.random.default_rng(2)
    p = rng.random(20_000)
    labels = np.array(BINARY, dtype=object)[(rng.random(20_000) < p).astype(int)]
    report = classification_report(labels, np.c_[1 - p, p], BINARY)
    assert report["calibration_error"] < 0.015


def test_a_class_that_does_not_occur_is_left_out_of_the_means() -> None:
    probabilities = np.array([[0.8, 0.2, 0.0], [0.3, 0.7, 0.0], [0.6, 0.4, 0.0]])
    report = classification_report(["a", "b", "b"], probabilities, ["a", "b", "c"])
    assert report["class_counts"] == {"a": 1, "b": 2, "c": 0}
    assert report["balanced_accuracy"] == pytest.approx((1 + 0.5) / 2)
    assert report["f1"] == pytest.approx((2 / 3 + 2 / 3) / 2)
    assert report["roc_auc"] is not None


def test_only_one_class_gives_no_area() -> None:
    report = classification_report(["positive"] * 3, np.full((3, 2), 0.5), BINARY)
    assert report["roc_auc"] is None
    assert report["roc_auc_interval"] is None


def test_certain_and_wrong_costs_a_finite_loss() -> None:
    report = classification_report(["negative"], np.array([[0.0, 1.0]]), BINARY)
    assert 30 < report["log_loss"] < 40


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), n=st.integers(1, 60), k=st.integers(2, 5))
def test_scores_stay_in_range_and_do_not_depend_on_row_order(seed: int, n: int, k: int) -> None:
    labels, probabilities, classes = random_scores(n, k, seed)
    report = classification_report(labels, probabilities, classes)
    for name in ("accuracy", "balanced_accuracy", "f1", "calibration_error"):
        assert 0 <= report[name] <= 1
    order = np.random.default_rng(seed).permutation(n)
    again = classification_report(labels[order], probabilities[order], classes)
    assert again["confusion_matrix"] == report["confusion_matrix"]
    for name in ("log_loss", "calibration_error", "roc_auc"):
        assert again[name] == (
            None if report[name] is None else pytest.approx(report[name], abs=1e-12)
        )


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
        classification_report(labels, np.asarray(probabilities), classes)


def test_unknown_positive_class_is_refused() -> None:
    with pytest.raises(ValueError, match="'good' is not among"):
        classification_report(["negative", "positive"], GOOD, BINARY, positive="good")


def test_input_is_not_changed() -> None:
    labels, probabilities, classes = random_scores(20, 3, seed=0)
    before = probabilities.copy()
    classification_report(labels, probabilities, classes)
    np.testing.assert_array_equal(probabilities, before)
