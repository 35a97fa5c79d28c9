import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from gradual.results.scores import (
    area_under_roc,
    by_unit,
    difference,
    interval,
    of_means,
    over_seeds,
    simultaneous_quantile,
    wilson,
)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_one_wrong_of_twenty_has_wilsons_interval_and_stays_below_one():
    right = np.ones(20)
    right[3] = 0
    low, high = interval(of_means(right), "wilson", "share")
    assert (low, high) == pytest.approx((0.7639, 0.9911), abs=1e-4)


def test_a_perfect_share_is_not_certain():
    low, high = interval(of_means(np.ones(20)), "wilson", "share")
    assert high == 1
    assert low == pytest.approx(0.8389, abs=1e-4)


def test_the_influences_variance_is_delongs(rng):
    """Compared with the definition, pair by pair (DeLong et al. 1988, equations 4 to 6)."""
    positive = rng.random(40) < 0.4
    scores = np.round(rng.normal(size=40) + positive, 1)  # with ties
    pairs = scores[positive][:, None] - scores[~positive][None, :]
    kernel = (pairs > 0) + 0.5 * (pairs == 0)
    m, n = kernel.shape
    variance = kernel.mean(axis=1).var(ddof=1) / m + kernel.mean(axis=0).var(ddof=1) / n
    area = area_under_roc(positive, scores)
    assert area.value == pytest.approx(kernel.mean())
    assert area.row_variance == pytest.approx(variance)


def test_an_areas_interval_covers_the_true_one_as_often_as_it_says(rng):
    positive = np.arange(120) < 50
    truth = 0.5 * (1 + math.erf(1 / 2))  # N(1, 1) against N(0, 1)
    hits = 0
    for _ in range(400):
        score = area_under_roc(positive, rng.normal(size=120) + positive)
        low, high = interval(score, "delong", "share")
        hits += low <= truth <= high
    assert 0.92 <= hits / 400 <= 0.98


@pytest.mark.parametrize(
    ("successes", "n", "expected"),
    [(0, 10, (0.0, 0.2775)), (10, 10, (0.7225, 1.0)), (81, 263, (0.2553, 0.3662))],
)
def test_wilsons_interval_has_the_published_values(
    successes: int, n: int, expected: tuple[float, float]
) -> None:
    """81 of 263 is the example of Newcombe 1998, table I."""
    assert wilson(successes, n) == pytest.approx(expected, abs=1e-4)


@given(n=st.integers(1, 10_000), share=st.floats(0, 1), confidence=st.floats(0.5, 0.999))
def test_wilsons_interval_holds_the_share_and_stays_in_range(
    n: int, share: float, confidence: float
) -> None:
    successes = round(share * n)
    low, high = wilson(successes, n, confidence)
    assert 0 <= low <= successes / n <= high <= 1


@pytest.mark.parametrize("certain", [0.0, 1.0])
def test_an_area_at_its_end_has_an_interval_of_its_smaller_side(certain):
    positive = np.arange(12) >= 8
    scores = positive.astype(float) if certain else -positive.astype(float)
    area = area_under_roc(positive, scores)
    assert area.value == certain
    assert interval(area, "delong", "share") == wilson(4 * certain, 4)


def test_one_class_has_no_area():
    assert area_under_roc(np.ones(5, bool), np.arange(5.0)) is None


def test_resampling_draws_users_whole(rng):
    users = np.repeat(np.arange(40), 25)
    errors = np.square(rng.normal(size=40)[users] + 0.1 * rng.normal(size=1000))
    root = of_means(errors, lambda means: np.sqrt(means[:, 0]))
    low, high = interval(root, "resample", "positive")
    wide = interval(by_unit(root, users), "resample", "positive")
    assert wide[1] - wide[0] > 3 * (high - low)
    assert by_unit(root, users).value == root.value == pytest.approx(math.sqrt(errors.mean()))


def test_percentiles_hold_the_truth_about_as_often_as_they_say(rng):
    held = 0
    for _ in range(100):
        errors = np.square(rng.normal(size=200))
        root = of_means(errors, lambda means: np.sqrt(means[:, 0]))
        low, high = interval(root, "resample", "positive")
        held += low < 1 < high
    assert 0.88 < held / 100 <= 0.99


def test_seeds_take_students_t_not_the_normal_one():
    scores = [of_means(np.full(10_000, value)) for value in (0.5, 0.52, 0.54)]
    mean = over_seeds(scores)
    low, high = interval(mean, "wilson", "share")
    # 4.303 is t's quantile for two degrees of freedom; the normal one's is 1.96.
    half = 4.303 * 0.02 / math.sqrt(3)
    assert high - low == pytest.approx(2 * half, rel=0.02)


@pytest.mark.parametrize(
    ("value", "scale"),
    [(0.999, "share"), (0.001, "share"), (0.01, "positive"), (0.99, "up_to_one")],
)
def test_no_interval_over_seeds_leaves_its_range(value, scale):
    noise = np.random.default_rng(0).normal(size=50)
    noise -= noise.mean()
    scores = [of_means(value + step + 0.01 * noise) for step in (-1e-4, 1e-4)]
    low, high = interval(over_seeds(scores), "resample", scale)
    assert low < value < high
    assert low > 0
    assert scale == "positive" or high < 1


def test_a_score_that_never_changes_has_no_interval():
    assert interval(of_means(np.zeros(30)), "resample", "positive") is None


def test_one_pair_is_not_corrected_and_many_are(rng):
    scores = [of_means(rng.normal(size=2000)) for _ in range(6)]
    assert simultaneous_quantile(scores[:2]) == pytest.approx(1.96, abs=0.01)
    # Tukey's studentised range for six groups: 4.03 / sqrt(2)
    assert simultaneous_quantile(scores) == pytest.approx(2.85, abs=0.06)


def test_six_equal_models_are_seldom_told_apart(rng):
    clear = 0
    for _ in range(60):
        scores = [of_means(rng.normal(size=300)) for _ in range(6)]
        scores.sort(key=lambda score: -score.value)
        quantile = simultaneous_quantile(scores)
        clear += difference(scores[0], scores[-1], shares=False, quantile=quantile)[1] > 0
    assert clear <= 8


def test_shares_of_the_same_rows_differ_by_the_adjusted_wald_interval():
    first, second = np.ones(100, bool), np.ones(100, bool)
    first[:2], second[:12] = False, False
    value, low, high = difference(
        of_means(first), of_means(second), shares=True, quantile=float(norm.ppf(0.975))
    )
    assert value == pytest.approx(0.10)
    assert (low, high) == pytest.approx((0.0372, 0.1589), abs=1e-4)
