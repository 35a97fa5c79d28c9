"""How often each number of a column occurs: exact for any order of the rows, and mergeable.

A number is kept as the 64 bits of its double, in an order-preserving form. As long as a column has
at most `MOST` distinct values they are counted one by one, and every median, quantile and mean is
that of the whole column. Beyond it the last bits are dropped, as few as bring the distinct values
down to `MOST`: a quantile is then right in its rank and off in its value by less than the width of
one bin, a relative error below `Histogram.relative_error` (2^-(53 - bits dropped)). Sums and sums
of squares stay exact all the same: they are whole numbers, in units of the smallest double.

Nothing depends on the order of the rows or on how they were cut into chunks: how many bits are
dropped is a property of the set of values, and whole numbers add up in any order.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

MOST = 1 << 17
_MANTISSA = 52
_SAMPLE = 4096
_BLOCK = 1 << 15  # what fits in a processor's cache
_UNIT = 1074  # the smallest double is 2^-1074
_FLIP = np.int64(0x7FFF_FFFF_FFFF_FFFF)


@dataclass(frozen=True, eq=False)
class Histogram:
    """Distinct values with their counts.

    Attributes:
        keys: Distinct values in rising order, `(n,)`, int64: see `_keys_of`.
        counts: Occurrences of each, `(n,)`, int64.
        dropped: How many of the last bits of each value are dropped; 0 for exact.
        sums: Exact sum and sum of squares in units of 2^-1074 and 2^-2148; None as long as
            nothing is dropped, since they follow from the counts.
    """

    keys: np.ndarray
    counts: np.ndarray
    dropped: int = 0
    sums: tuple[int, int] | None = None

    @classmethod
    def of(cls, numbers: np.ndarray, dropped: int = 0) -> "Histogram":
        """Count numbers, `(rows,)`, float64 and finite; drop at least `dropped` bits."""
        if len(np.unique(numbers[:_SAMPLE])) < _SAMPLE // 8:  # few values: hashing beats sorting
            counted = pc.value_counts(pa.array(numbers))
            keys = _keys_of(counted.field(0).to_numpy())
            order = np.argsort(keys)
            keys, counts = _counted(keys[order], counted.field(1).to_numpy()[order])
        else:
            keys, counts = _counted(np.sort(_keys_of(numbers)))
        return cls(keys, counts)._coarser(dropped)._bounded()

    @property
    def n(self) -> int:
        """How many numbers were counted."""
        return int(self.counts.sum())

    @property
    def relative_error(self) -> float:
        """Bound of the error of a quantile in parts of its value; 0 where it is exact."""
        return 2.0 ** -(_MANTISSA + 1 - self.dropped) if self.dropped else 0.0

    @cached_property
    def values(self) -> np.ndarray:
        """The value of each key; in the middle of its bin where bits were dropped."""
        middle = (1 << self.dropped) >> 1
        return _numbers_of(self.keys + middle)

    @property
    def most_frequent(self) -> float:
        """The value that occurs most often, the smallest of several."""
        return float(self.values[int(np.argmax(self.counts))])

    def quantile(self, q: float) -> float:
        """As `numpy.quantile`: linear between the two values around it."""
        place = (self.n - 1) * q
        below, above = self._at(math.floor(place)), self._at(math.ceil(place))
        return below + (above - below) * (place - math.floor(place))

    def _at(self, rank: int) -> float:
        return float(self.values[np.searchsorted(np.cumsum(self.counts), rank, side="right")])

    def mean_and_deviation(self) -> tuple[float, float]:
        """Mean and population standard deviation, each rounded once."""
        total, squares = self.sums or _exact_sums(self.keys, self.counts)
        n = self.n
        variance = Fraction(n * squares - total * total, n * n << 2 * _UNIT)
        return float(Fraction(total, n << _UNIT)), math.sqrt(variance)

    def with_value(self, value: float, count: int) -> "Histogram":
        """The histogram with `count` more of `value`."""
        if not count:
            return self
        return merge(Histogram(_keys_of(np.array([value])), np.array([count])), self)

    def _coarser(self, dropped: int) -> "Histogram":
        if dropped <= self.dropped:
            return self
        sums = self.sums or _exact_sums(self.keys, self.counts)
        shift = np.int64(dropped)
        keys, counts = _counted(self.keys >> shift << shift, self.counts)
        return Histogram(keys, counts, dropped, sums)

    def _bounded(self) -> "Histogram":
        """With as few bits dropped as leave at most `MOST` keys."""
        if len(self.keys) <= MOST:
            return self
        # Neighbours fall together when all bits in which they differ are dropped.
        differ = (self.keys[1:] ^ self.keys[:-1]).view(np.uint64)
        last_to_join = np.partition(differ, len(differ) - MOST)[len(differ) - MOST]
        return self._coarser(int(last_to_join).bit_length())


def merge(a: Histogram, b: Histogram) -> Histogram:
    """The histogram of both columns' rows."""
    dropped = max(a.dropped, b.dropped)
    a, b = a._coarser(dropped), b._coarser(dropped)
    keys = np.concatenate([a.keys, b.keys])
    order = np.argsort(keys, kind="stable")  # two rising runs: one pass
    keys, counts = _counted(keys[order], np.concatenate([a.counts, b.counts])[order])
    sums = (a.sums[0] + b.sums[0], a.sums[1] + b.sums[1]) if a.sums and b.sums else None
    return Histogram(keys, counts, dropped, sums)._bounded()


def _keys_of(numbers: np.ndarray) -> np.ndarray:
    """Doubles as integers of the same order: sign and magnitude to two's complement."""
    bits = (numbers + 0.0).view(np.int64)  # -0.0 + 0.0 is 0.0
    return bits ^ ((bits >> np.int64(63)) & _FLIP)


def _numbers_of(keys: np.ndarray) -> np.ndarray:
    return (keys ^ ((keys >> np.int64(63)) & _FLIP)).view(np.float64)


def _counted(keys: np.ndarray, counts: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The distinct ones of sorted keys, with how often they occur."""
    if not len(keys):
        return keys, np.zeros(0, np.int64)
    first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    if counts is None:
        return keys[first], np.diff(np.append(first, len(keys)))
    return keys[first], np.add.reduceat(counts, first)


def _exact_sums(keys: np.ndarray, counts: np.ndarray) -> tuple[int, int]:
    """Sum and sum of squares of doubles as whole numbers, without any rounding.

    A double is m·2^e with a whole m < 2^53. Among equal e the m are added in two halves of at most
    27 bits, so that an int64 holds the sum of 2^36 rows; Python's integers do the rest.
    """
    total = squares = 0
    for start in range(0, len(keys), _BLOCK):
        block = slice(start, start + _BLOCK)
        sums = _block_sums(keys[block], counts[block])
        total, squares = total + sums[0], squares + sums[1]
    return total, squares


def _block_sums(keys: np.ndarray, counts: np.ndarray) -> tuple[int, int]:
    magnitude = keys ^ (keys >> np.int64(63))
    exponent = magnitude >> np.int64(_MANTISSA)
    m = magnitude & np.int64((1 << _MANTISSA) - 1)
    m |= (exponent > 0).astype(np.int64) << np.int64(_MANTISSA)  # a denormal has no leading 1
    of_key = keys >> np.int64(_MANTISSA)  # sign and exponent
    starts = np.flatnonzero(np.concatenate([[True], of_key[1:] != of_key[:-1]]))
    weights = None if counts.max() == 1 else counts
    high, low = m >> np.int64(26), m & np.int64((1 << 26) - 1)
    total = squares = 0
    parts = zip(
        keys[starts] < 0,
        np.maximum(exponent[starts], 1) - 1,
        _sums(high, weights, starts),
        _sums(low, weights, starts),
        _sums(high * high, weights, starts),
        _sums(high * low, weights, starts),
        _sums(low * low, weights, starts),
        strict=True,
    )
    for negative, shift, h, l, hh, hl, ll in parts:  # noqa: E741
        whole = ((h << 26) + l) << int(shift)
        total += -whole if negative else whole
        squares += ((hh << 52) + (hl << 27) + ll) << 2 * int(shift)
    return total, squares


def _sums(terms: np.ndarray, counts: np.ndarray | None, starts: np.ndarray) -> list[int]:
    """Exact sums of `terms` (below 2^54) times `counts` between `starts`."""
    high, low = terms >> np.int64(27), terms & np.int64((1 << 27) - 1)
    if counts is not None:
        high, low = high * counts, low * counts
    sums = np.add.reduceat(high, starts), np.add.reduceat(low, starts)
    return [(int(hi) << 27) + int(lo) for hi, lo in zip(*sums, strict=True)]
