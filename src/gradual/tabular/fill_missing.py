"""Gaps of continuous columns to numbers, each noted in a column `<column>_na`.

The fill is known for every column, also for one without a gap in the training rows: a gap that
comes later is filled and counted. Such a column has no `_na` column, since a model could have
learned nothing from it.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from gradual.sources.errors import SourceError
from gradual.tabular.columns import LARGEST
from gradual.tabular.histogram import Histogram
from gradual.training.settings import Settings

SUFFIX = "_na"


@dataclass(frozen=True)
class FillMissingConfig(Settings):
    """What is put into the gaps of continuous columns.

    Attributes:
        strategy: The `median` of the training rows, a `constant`, or their `most_frequent` value
            (the smallest of several).
        constant: The constant.
    """

    strategy: Literal["median", "constant", "most_frequent"] = "median"
    constant: float = 0.0

    def __post_init__(self) -> None:
        strategies = ("median", "constant", "most_frequent")
        if self.strategy not in strategies:
            raise ValueError(f"strategy is {self.strategy!r}: set it to {', '.join(strategies)}")
        if not abs(self.constant) <= LARGEST:
            raise ValueError(f"constant is {self.constant}: set it to a number")


def fit_fill(name: str, values: Histogram, config: FillMissingConfig) -> float:
    """The number for the gaps of one column.

    Args:
        name: The column, for the message.
        values: The numbers of its training rows.
        config: How to choose.

    Raises:
        SourceError: There are none to choose from.
    """
    if config.strategy == "constant":
        return float(config.constant)
    if not values.n:
        raise SourceError(
            f"the column {name!r} has no number in any training row, so it has no "
            f"{config.strategy.replace('_', ' ')}: take it out of the continuous columns, or set "
            "the strategy of fill_missing to constant"
        )
    return values.quantile(0.5) if config.strategy == "median" else values.most_frequent


def fill(numbers: np.ndarray, value: float) -> tuple[np.ndarray, np.ndarray | None]:
    """Fill the gaps of a column.

    Args:
        numbers: `(rows,)`; NaN is a gap.
        value: What to put there.

    Returns:
        The numbers without gaps, and where those were, `(rows,)`; None if there were none.
    """
    gaps = np.isnan(numbers)
    return (np.where(gaps, value, numbers), gaps) if gaps.any() else (numbers, None)
