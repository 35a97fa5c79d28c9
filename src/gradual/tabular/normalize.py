"""Continuous columns to comparable scales; the statistics are those of the filled training rows."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import ndtri

from gradual.tabular.columns import LARGEST
from gradual.tabular.histogram import Histogram
from gradual.training.settings import Settings

Method = Literal["mean", "robust", "quantile", "none"]
_METHODS = ("mean", "robust", "quantile", "none")


@dataclass(frozen=True)
class NormalizeConfig(Settings):
    """How continuous columns are scaled.

    Attributes:
        method: `mean`: less the mean, by the (population) standard deviation. `robust`: less the
            median, by the distance of the quartiles. `quantile`: each number to the standard normal
            number of its rank. `none`: left as it is. A zero deviation or distance divides by 1.
        quantiles: Most points that `quantile` keeps of a column; between them it is linear.
    """

    method: Method = "mean"
    quantiles: int = 256

    def __post_init__(self) -> None:
        if self.method not in _METHODS:
            raise ValueError(f"method is {self.method!r}: set it to {', '.join(_METHODS)}")
        if self.quantiles < 2:
            raise ValueError(f"quantiles is {self.quantiles}: set it to 2 or more")


@dataclass(frozen=True)
class Scale:
    """What is done to the numbers of one column: `(x - center) / spread`, or a curve.

    Attributes:
        center: Subtracted first.
        spread: Divided by, never 0.
        points: Values of the curve, rising; empty where there is none.
        scores: Standard normal number of each point.
    """

    center: float = 0.0
    spread: float = 1.0
    points: tuple[float, ...] = ()
    scores: tuple[float, ...] = ()

    def apply(self, numbers: np.ndarray) -> np.ndarray:
        """Scale numbers, `(rows,)`, float64 and finite, to finite float32."""
        if self.points:
            return np.interp(numbers, self.points, self.scores).astype(np.float32)
        scaled = numbers - self.center
        with np.errstate(over="ignore"):
            scaled /= self.spread
            small = scaled.astype(np.float32)
        # A number far outside the training rows' by a tiny spread may be beyond float32.
        return np.clip(small, -LARGEST, LARGEST, out=small)


def fit_scale(values: Histogram, config: NormalizeConfig) -> Scale:
    """The scale of one column from its training rows, gaps filled; without rows, none."""
    if config.method == "none" or not values.n:
        return Scale()
    if config.method == "mean":
        mean, deviation = values.mean_and_deviation()
        return Scale(mean, deviation or 1.0)
    if config.method == "robust":
        low, median, high = (values.quantile(q) for q in (0.25, 0.5, 0.75))
        return Scale(median, (high - low) or 1.0)
    return _curve(values, config.quantiles)


def _curve(values: Histogram, most: int) -> Scale:
    """Each distinct value at the middle of the ranks it takes, thinned to `most` points."""
    points = values.values
    ends = np.cumsum(values.counts)
    ranks = (ends - values.counts / 2) / ends[-1]
    if len(points) > most:
        wanted = np.linspace(ranks[0], ranks[-1], most)
        kept = np.unique(np.searchsorted(ranks, wanted).clip(max=len(ranks) - 1))
        points, ranks = points[kept], ranks[kept]
    return Scale(points=tuple(points.tolist()), scores=tuple(ndtri(ranks).tolist()))
