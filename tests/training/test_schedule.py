import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradual.training.config import Phase
from gradual.training.schedule import schedule_at

CYCLE = Phase(1, 1e-2, momentum=(0.8, 0.7))


@pytest.mark.parametrize(
    ("progress", "factor", "momentum"),
    [
        (0.0, 1 / 25, 0.8),
        (0.125, (1 + 1 / 25) / 2, 0.75),
        (0.25, 1.0, 0.7),
        (0.5, 1e-5 + (1 - 1e-5) * 0.75, 0.725),  # a third of the way down: cos 60° = 1/2
        (0.625, (1 + 1e-5) / 2, 0.75),
        (1.0, 1e-5, 0.8),
    ],
)
def test_one_cycle(progress, factor, momentum):
    assert schedule_at(CYCLE, progress) == pytest.approx((factor, momentum), rel=1e-12)


def test_cosine_with_restarts_is_sgdr_equation_5():
    phase = Phase(1, 1.0, schedule="cosine_restarts", cycles=3, end_div=100, momentum=(0.9, 0.8))
    for step in range(300):
        current = step % 100  # T_cur of T_i = 100 steps
        expected = 0.01 + 0.5 * (1 - 0.01) * (1 + math.cos(math.pi * current / 100))
        assert schedule_at(phase, step / 300)[0] == pytest.approx(expected, abs=1e-9)
    assert schedule_at(phase, 1.0) == pytest.approx((0.01, 0.9))
    assert schedule_at(phase, 0.0) == pytest.approx((1.0, 0.8))


def test_slanted_triangle_is_ulmfit_equation_3():
    phase = Phase(1, 1.0, schedule="slanted_triangular", warmup=0.1, start_div=32)
    steps, fraction, ratio = 1000, 0.1, 32
    cut = math.floor(steps * fraction)
    for t in range(steps):
        p = t / cut if t < cut else 1 - (t - cut) / (cut * (1 / fraction - 1))
        expected = (1 + p * (ratio - 1)) / ratio
        assert schedule_at(phase, t / steps)[0] == pytest.approx(expected, rel=1e-9)
    assert schedule_at(phase, 0.1) == pytest.approx((1.0, 0.85))
    assert schedule_at(phase, 0.0) == pytest.approx((1 / 32, 0.95))


@given(
    progress=st.floats(0, 1),
    schedule=st.sampled_from(["one_cycle", "cosine_restarts", "slanted_triangular"]),
    warmup=st.floats(0.01, 0.99),
    cycles=st.integers(1, 7),
)
def test_rates_stay_between_their_ends_and_momentum_mirrors_them(
    progress, schedule, warmup, cycles
):
    phase = Phase(1, 1.0, schedule=schedule, warmup=warmup, cycles=cycles)
    factor, momentum = schedule_at(phase, progress)
    assert 0 < factor <= 1 + 1e-12
    assert 0.85 - 1e-12 <= momentum <= 0.95 + 1e-12
