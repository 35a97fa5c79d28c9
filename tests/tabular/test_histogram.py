from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradual.tabular import histogram
from gradual.tabular.histogram import Histogram, merge

ANY = st.floats(-3.4e38, 3.4e38, allow_subnormal=True)
NUMBERS = st.lists(
    st.one_of(ANY, st.sampled_from([0.0, -0.0, 1.0, 5e-324, -1e-310])), min_size=1, max_size=50
)


@settings(max_examples=80, deadline=None)
@given(NUMBERS)
def test_quantiles_are_numpys_and_sums_are_exact(numbers: list[float]) -> None:
    counted = Histogram.of(np.array(numbers))
    assert counted.n == len(numbers)
    for q in (0, 0.1, 0.5, 1):
        expected = np.quantile(np.array(numbers), q)
        assert counted.quantile(q) == pytest.approx(expected, rel=1e-12, abs=1e-320)
    exact = [Fraction(number) for number in numbers]
    mean = sum(exact) / len(exact)
    assert counted.mean_and_deviation()[0] == float(mean)
    variance = sum((number - mean) ** 2 for number in exact) / len(exact)
    assert counted.mean_and_deviation()[1] == pytest.approx(float(variance) ** 0.5, rel=1e-15)


@settings(max_examples=40, deadline=None)
@given(st.lists(NUMBERS, min_size=2, max_size=4), st.integers(2, 12))
def test_dropping_bits_commutes_with_merging(parts: list[list[float]], most: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(histogram, "MOST", most)
        whole = Histogram.of(np.concatenate(parts))
        merged = Histogram.of(np.array(parts[-1]))
        for part in parts[-2::-1]:
            merged = merge(Histogram.of(np.array(part)), merged)
        assert len(whole.keys) <= most
        assert merged.dropped == whole.dropped
        np.testing.assert_array_equal(merged.keys, whole.keys)
        np.testing.assert_array_equal(merged.counts, whole.counts)
        assert merged.sums == whole.sums
        exact = np.sort(np.concatenate(parts))
        if whole.dropped <= 50:
            found = np.repeat(whole.values, whole.counts)
            room = np.abs(exact) * whole.relative_error + 5e-324 * 2.0**whole.dropped
            assert (np.abs(found - exact) <= room).all()


def test_a_million_distinct_numbers_are_kept_closely() -> None:
    numbers = np.random.default_rng(0).normal(1e6, 1, 1_000_000)
    counted = Histogram.of(numbers)
    assert len(counted.keys) <= histogram.MOST
    assert counted.quantile(0.5) == pytest.approx(np.median(numbers), abs=1e-4)
    mean, deviation = counted.mean_and_deviation()
    assert mean == pytest.approx(numbers.mean(), rel=1e-14)
    assert deviation == pytest.approx(numbers.std(), rel=1e-9)
