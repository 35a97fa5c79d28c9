"""One score of one model: its value, how much each row moved it, and how sure it is.

Every score here is a smooth function of means over rows, or an area under a ROC curve. To first
order it is then itself a mean over rows, of the rows' influences on it (Hampel 1974, "The influence
curve and its role in robust estimation"; for an area those are DeLong's placement values). So one
form serves intervals, differences of two models on the same rows, and rows that belong together.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from scipy.special import expit, logit
from scipy.stats import binomtest, norm, rankdata, t

Scale = Literal["share", "positive", "up_to_one", "any"]
"""Where a score can lie: in [0, 1], in [0, ∞), in (-∞, 1], anywhere."""
How = Literal["wilson", "delong", "resample", "none"]
"""How the interval of one model's score is made; see `interval`."""

RESAMPLES = 1000
_MOST_UNITS = 4000  # more are drawn in so many random groups: the spread is the same
_STEP = 1e-4


@dataclass(frozen=True)
class Score:
    """A score on some rows.

    Attributes:
        value: The score.
        influence: ``(units,)`` of mean 0: how each unit (row, or user) moves the score.
        statistics: ``(units, k)`` sums that the score is made of, with `sizes` and `combine`; None
            where it is not made of means.
        sizes: ``(units,)`` rows of each unit.
        combine: Means ``(samples, k)`` to scores ``(samples,)``.
        seed_variance: Variance of the mean over seeds; 0 for one seed.
        seeds: How many seeds the score is a mean over.
    """

    value: float
    influence: np.ndarray
    statistics: np.ndarray | None = None
    sizes: np.ndarray | None = None
    combine: Callable[[np.ndarray], np.ndarray] | None = None
    seed_variance: float = 0.0
    seeds: int = 1

    @property
    def row_variance(self) -> float:
        """Variance of the score over draws of units."""
        n = len(self.influence)
        return float(np.square(self.influence).sum()) / (n * max(n - 1, 1))

    @property
    def of_rows(self) -> bool:
        """Whether each unit is one row."""
        return self.sizes is not None and len(self.influence) == self.sizes.sum()

    @property
    def deviation(self) -> float:
        """Standard error over units and seeds."""
        return math.sqrt(self.row_variance + self.seed_variance)

    @property
    def freedom(self) -> float:
        """Degrees of freedom of `deviation` (Welch 1947, Satterthwaite 1946)."""
        rows, seeds = self.row_variance, self.seed_variance
        units = max(len(self.influence) - 1, 1)
        if seeds == 0:
            return float(units)
        return (rows + seeds) ** 2 / (rows**2 / units + seeds**2 / (self.seeds - 1))


def of_means(
    statistics: np.ndarray, combine: Callable[[np.ndarray], np.ndarray] | None = None
) -> Score:
    """A score that is a function of means over rows.

    Args:
        statistics: ``(n,)`` or ``(n, k)``, each row's share in the means.
        combine: Means ``(samples, k)`` to scores ``(samples,)``; by default the first mean itself.
    """
    rows = np.asarray(statistics, np.float64)
    rows = rows[:, None] if rows.ndim == 1 else rows
    combine = combine or _first
    mean = rows.mean(axis=0, keepdims=True)
    value = float(combine(mean)[0])
    # The infinitesimal jackknife: the score where a row weighs a little more (Efron 1982, ch. 6).
    moved = combine(mean + _STEP * (rows - mean))
    influence = (moved - value) / _STEP
    influence = np.nan_to_num(influence - influence.mean())
    return Score(value, influence, rows, np.ones(len(rows)), combine)


def _first(means: np.ndarray) -> np.ndarray:
    return means[:, 0]


def area_under_roc(positive: np.ndarray, scores: np.ndarray) -> Score | None:
    """The area under the ROC curve, with DeLong's placement values as influences.

    DeLong, DeLong and Clarke-Pearson 1988; placements from ranks (Sun and Xu 2014). The influences'
    variance is DeLong's, with n - 1 on either side.

    Args:
        positive: ``(n,)`` bool.
        scores: ``(n,)``, higher for positives; ties count one half.

    Returns:
        The score, or None where only one side occurs.
    """
    n, yes = len(positive), int(positive.sum())
    no = n - yes
    if not yes or not no:
        return None
    ranks = rankdata(scores)
    above = (ranks[positive] - rankdata(scores[positive])) / no
    below = 1 - (ranks[~positive] - rankdata(scores[~positive])) / yes
    area = float(above.mean())
    influence = np.empty(n)
    for side, values in ((positive, above), (~positive, below)):
        m = len(values)
        small = math.sqrt(m / max(m - 1, 1) * (n - 1) / n)
        influence[side] = (values - area) * n / m * small
    return Score(area, influence, sizes=np.array([float(min(yes, no))]))


def mean_of(scores: list[Score]) -> Score:
    """The mean of one score of several classes, columns or labels of the same rows.

    Where each is made of means, so is their mean.
    """
    if len(scores) == 1:
        return scores[0]
    value = float(np.mean([score.value for score in scores]))
    influence = np.mean([score.influence for score in scores], axis=0)
    return Score(value, influence, sizes=scores[0].sizes)


def over_seeds(scores: list[Score]) -> Score:
    """The mean over seeds, all on the same rows."""
    if len(scores) == 1:
        return scores[0]
    values = np.array([score.value for score in scores])
    return Score(
        float(values.mean()),
        np.mean([score.influence for score in scores], axis=0),
        seed_variance=float(values.var(ddof=1)) / len(values),
        seeds=len(values),
    )


def by_unit(score: Score, units: np.ndarray | None) -> Score:
    """The same score where rows of one unit (a user's, say) are drawn together.

    Args:
        score: With one influence a row.
        units: ``(n,)`` number of each row's unit, from 0 without holes; None leaves the rows.
    """
    if units is None:
        return score
    count = int(units.max()) + 1
    influence = np.bincount(units, score.influence, count) * count / len(units)
    if score.statistics is None:
        return Score(score.value, influence, sizes=score.sizes)
    sums = np.stack([np.bincount(units, one, count) for one in score.statistics.T], axis=1)
    sizes = np.bincount(units, minlength=count).astype(np.float64)
    return Score(score.value, influence, sums, sizes, score.combine)


# ------------------------------------------------------------------------------------ intervals


def interval(
    score: Score, how: How, scale: Scale, confidence: float = 0.95
) -> tuple[float, float] | None:
    """The interval of one model's score on its rows; it never leaves the score's range.

    * ``wilson``: of a share of rows (Wilson 1927), which has an interval at 0 and 1 too;
    * ``delong``: of an area, symmetric on the logit scale; an area of 0 or 1 has Wilson's interval
      for as many rows as its smaller side has, which is wide enough for either;
    * ``resample``: percentiles of `RESAMPLES` draws of the units (Efron 1979);
    * ``none``: the score has none.

    The mean over several seeds has Student's t on the scale of its range, whatever `how` says.

    Returns:
        Lowest and highest value, or None where there is none: draws that all give one value, or
        too few rows, say nothing.
    """
    if how == "none" or not math.isfinite(score.value):
        return None
    if score.seeds > 1:
        return on_scale(score, scale, confidence)
    if how == "wilson" and score.of_rows:
        return wilson(score.value * len(score.influence), len(score.influence), confidence)
    if how == "delong":
        if score.value in (0.0, 1.0) and score.sizes is not None:
            smaller = int(score.sizes[0])
            return wilson(score.value * smaller, smaller, confidence)
        return on_scale(score, scale, confidence)
    if score.statistics is None:
        return on_scale(score, scale, confidence)
    drawn = resampled(score)
    drawn = drawn[np.isfinite(drawn)]
    if not len(drawn) or drawn.min() == drawn.max():
        return None
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2]).tolist()
    return min(low, score.value), max(high, score.value)


def wilson(successes: float, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """The score interval of a proportion (Wilson 1927).

    Args:
        successes: How many of the rows count; rounded to a whole number.
        n: Number of rows, at least 1.
        confidence: Coverage.
    """
    found = binomtest(round(successes), n).proportion_ci(confidence, method="wilson")
    return float(found.low), float(found.high)


_TO: dict[Scale, Callable[[float], float]] = {
    "share": lambda x: float(logit(x)),
    "positive": math.log,
    "up_to_one": lambda x: -math.log(1 - x),
    "any": lambda x: x,
}
_FROM: dict[Scale, Callable[[float], float]] = {
    "share": lambda x: float(expit(x)),
    "positive": math.exp,
    "up_to_one": lambda x: 1 - math.exp(-x),
    "any": lambda x: x,
}
_SLOPE: dict[Scale, Callable[[float], float]] = {
    "share": lambda x: 1 / (x * (1 - x)),
    "positive": lambda x: 1 / x,
    "up_to_one": lambda x: 1 / (1 - x),
    "any": lambda _: 1.0,
}


def on_scale(score: Score, scale: Scale, confidence: float = 0.95) -> tuple[float, float] | None:
    """Student's t interval, made where the score has no bounds and taken back (delta method)."""
    x = score.value
    inside = {"share": 0 < x < 1, "positive": x > 0, "up_to_one": x < 1, "any": True}[scale]
    if not inside or score.deviation == 0:
        return None
    q = float(t.ppf((1 + confidence) / 2, score.freedom))
    centre, half = _TO[scale](x), q * score.deviation * _SLOPE[scale](x)
    return _FROM[scale](centre - half), _FROM[scale](centre + half)


def resampled(score: Score) -> np.ndarray:
    """The score of `RESAMPLES` draws of the units, ``(RESAMPLES,)``; equal units, equal draws."""
    assert score.statistics is not None
    assert score.sizes is not None
    assert score.combine is not None
    sums, sizes = score.statistics, score.sizes
    if len(sums) > _MOST_UNITS:
        group = np.random.default_rng(1).integers(_MOST_UNITS, size=len(sums))
        sums = np.stack([np.bincount(group, one, _MOST_UNITS) for one in sums.T], axis=1)
        sizes = np.bincount(group, sizes, _MOST_UNITS)
    weights = _weights(len(sums))
    return score.combine((weights @ sums) / (weights @ sizes)[:, None])


@lru_cache(maxsize=2)
def _weights(units: int) -> np.ndarray:
    """How often each unit is drawn, ``(RESAMPLES, units)``."""
    generator = np.random.default_rng(0)
    return generator.multinomial(units, np.full(units, 1 / units), RESAMPLES).astype(np.float64)


# ---------------------------------------------------------------------------------- differences


def difference(
    first: Score, second: Score, *, shares: bool, quantile: float
) -> tuple[float, float, float]:
    """First minus second on the same units: the difference, and its lowest and highest value.

    Args:
        first: The one.
        second: The other, on the same units.
        shares: Both are shares of rows: adjusted Wald for matched pairs (Agresti and Min 2005: half
            a row is added to each of the four cells).
        quantile: Half the interval in standard errors; see `simultaneous_quantile`.
    """
    value = first.value - second.value
    if shares and first.of_rows and first.seeds == second.seeds == 1:
        right, other = (one.influence + one.value > 0.5 for one in (first, second))
        n = len(right) + 2
        b, c = float((right & ~other).sum()) + 0.5, float((~right & other).sum()) + 0.5
        half = quantile * math.sqrt(b + c - (b - c) ** 2 / n) / n
        return value, max(-1.0, (b - c) / n - half), min(1.0, (b - c) / n + half)
    gap = Score(
        value,
        first.influence - second.influence,
        seed_variance=first.seed_variance + second.seed_variance,
        seeds=max(first.seeds, second.seeds),
    )
    return value, value - quantile * gap.deviation, value + quantile * gap.deviation


def simultaneous_quantile(scores: list[Score], confidence: float = 0.95) -> float:
    """Standard errors that cover all differences between models at once.

    Whoever is ahead was picked for being ahead, on the rows that are to show it; an interval for
    one pair chosen beforehand is too narrow then. This is the quantile of the largest of all pairs'
    differences in standard errors, the models' covariance as measured (max-t; Hothorn, Bretz and
    Westfall 2008, "Simultaneous inference in general parametric models"). Of two models it is
    Student's.

    Args:
        scores: Of each model, on the same units.
        confidence: That all intervals cover.
    """
    freedom = min(score.freedom for score in scores)
    single = float(t.ppf((1 + confidence) / 2, freedom))
    if len(scores) < 3:
        return single
    influences = np.stack([score.influence for score in scores])
    n = influences.shape[1]
    covariance = influences @ influences.T / (n * max(n - 1, 1))
    covariance += np.diag([score.seed_variance for score in scores])
    generator = np.random.default_rng(0)
    drawn = generator.multivariate_normal(np.zeros(len(scores)), covariance, 20_000, method="eigh")
    one, two = np.triu_indices(len(scores), 1)
    variance = covariance[one, one] + covariance[two, two] - 2 * covariance[one, two]
    told_apart = variance > 1e-12 * covariance.max(initial=0.0)
    if not told_apart.any():
        return single
    one, two, variance = one[told_apart], two[told_apart], variance[told_apart]
    largest = (np.abs(drawn[:, one] - drawn[:, two]) / np.sqrt(variance)).max(axis=1)
    normal = float(norm.ppf((1 + confidence) / 2))
    return max(single, float(np.quantile(largest, confidence)) * single / normal)
