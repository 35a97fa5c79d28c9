import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradual.results.comparison import compare_accuracy


def pairs(both: int, first: int, other: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    counts = [both, first, other, neither]
    return np.repeat([True, True, False, False], counts), np.repeat([1, 0, 1, 0], counts) > 0


def test_interval_and_p_value_by_hand() -> None:
    result = compare_accuracy(*pairs(60, 25, 10, 5))
    assert result["difference"] == pytest.approx(0.15)
    # Half a row in each cell: 25.5 and 10.5 of 102.
    half = 1.959964 * np.sqrt(36 - 15**2 / 102) / 102
    assert result["interval"] == pytest.approx([15 / 102 - half, 15 / 102 + half])
    # Exact two-sided binomial test of 25 in 35.
    assert result["p_value"] == pytest.approx(0.01673, abs=1e-4)


@given(st.tuples(*[st.integers(0, 30)] * 4).filter(any))
def test_swapping_turns_the_sign(counts: tuple[int, int, int, int]) -> None:
    first, other = pairs(*counts)
    one, two = compare_accuracy(first, other), compare_accuracy(other, first)
    assert one["difference"] == -two["difference"]
    assert one["interval"] == pytest.approx([-value for value in reversed(two["interval"])])
    assert one["p_value"] == two["p_value"]
    assert one["interval"][0] <= one["interval"][1]
    assert one["interval"][0] >= -1
    assert one["interval"][1] <= 1


def test_interval_covers_the_true_difference_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    cells = rng.multinomial(200, [0.75, 0.12, 0.05, 0.08], size=1000)
    hits = 0
    for counts in cells:
        low, high = compare_accuracy(*pairs(*counts))["interval"]
        hits += low <= 0.07 <= high
    assert 0.93 <= hits / 1000 <= 0.97


@pytest.mark.parametrize(
    ("first", "other"),
    [
        (np.array([True]), np.array([True, False])),
        (np.array([], bool), np.array([], bool)),
        (np.array([0.5]), np.array([True])),
    ],
)
def test_rows_that_do_not_pair_are_refused(first: np.ndarray, other: np.ndarray) -> None:
    with pytest.raises(ValueError, match="correct"):
        compare_accuracy(first, other)
