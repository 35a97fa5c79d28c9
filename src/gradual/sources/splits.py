"""One definition of validation rows for every data source."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

_SETTINGS = {
    "random": {"stratify"},
    "column": {"column", "values"},
    "rows": {"rows"},
    "last": {"column"},
    "last_of_group": {"column", "group", "count"},
}


@dataclass(frozen=True)
class Split:
    """Which rows are held out for validation.

    Attributes:
        method: `random`: a seeded random `fraction`; `column`: the rows whose `column` holds one
            of `values`; `rows`: a range of row numbers; `last`: the last `fraction` by the time
            in `column`; `last_of_group`: the last `count` rows of each `group` by the time in
            `column`, or as they stand without one. A group of no more rows than that keeps all
            of them (leave-last-out).
        fraction: Share of the rows that are held out, strictly between 0 and 1 (`random`, `last`).
        seed: Chooses among the random splits, 0 or more (`random`).
        stratify: Column whose values keep their shares on both sides, to within one row
            (`random`).
        column: The flag (`column`) or the time (`last`, `last_of_group`).
        values: Values of the flag that mean validation (`column`); `True` if not given.
        rows: First row and the row after the last, counted from 0, like a Python slice (`rows`).
        group: Column whose values are the groups, e.g. the user (`last_of_group`).
        count: Rows held out of each group, 1 if not given (`last_of_group`).
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012

    method: Literal["random", "column", "rows", "last", "last_of_group"] = "random"
    fraction: float = 0.1
    seed: int = 42
    stratify: str | None = None
    column: str | None = None
    values: tuple[str | bool | int, ...] | None = None
    rows: tuple[int, int] | None = None
    group: str | None = None
    count: int | None = None

    def __post_init__(self) -> None:
        if self.method not in _SETTINGS:
            raise ValueError(f"method is {self.method!r}: set it to one of {', '.join(_SETTINGS)}")
        if not 0 < self.fraction < 1:
            raise ValueError(
                f"fraction is {self.fraction}: set it to a share strictly between 0 and 1"
            )
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}: set it to 0 or more")
        for name in ("stratify", "column", "values", "rows", "group", "count"):
            if getattr(self, name) is not None and name not in _SETTINGS[self.method]:
                methods = [method for method, names in _SETTINGS.items() if name in names]
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}, which the method {self.method} does not "
                    f"use: leave {name} out, or set method to {' or '.join(methods)}"
                )
        if self.method in ("column", "last") and self.column is None:
            raise ValueError(f"column is not given: the method {self.method} needs one")
        if self.method == "last_of_group" and self.group is None:
            raise ValueError("group is not given: the method last_of_group needs one")
        if self.count is not None and self.count < 1:
            raise ValueError(f"count is {self.count}: hold out 1 row of each group or more")
        if self.method == "rows" and self.rows is None:
            raise ValueError("rows is not given: the method rows needs [first, after the last]")
        if self.rows is not None and not 0 <= self.rows[0] < self.rows[1]:
            raise ValueError(
                f"rows is {list(self.rows)}: give the first row, counted from 0, and the row after "
                "the last"
            )


def part_rows(parts: pa.Table, *names: str) -> np.ndarray:
    """Return the numbers of the rows of some parts, ascending.

    Args:
        parts: A column `part`, one row for each row of the source; null for a row left out.
        names: Of `train`, `valid` and `test`.
    """
    chosen = pc.is_in(parts["part"], value_set=pa.array(names, pa.string()))
    return np.flatnonzero(chosen.to_numpy())


def scored_part(parts: pa.Table) -> Literal["test", "valid"]:
    """Return the part that scores come from: `test`, or `valid` where there are no test rows."""
    return "test" if len(part_rows(parts, "test")) else "valid"


def validation_mask(frame: pd.DataFrame, split: Split) -> np.ndarray:
    """Which rows of `frame` are held out.

    A pure function of its arguments. `random` orders the rows by the raw 64-bit output of the
    counter-based generator Philox (Salmon et al. 2011, "Parallel random numbers: as easy as
    1, 2, 3"), keyed by the seed and drawn in row order: numpy keeps raw streams the same in all
    its versions, as it does not for `permutation`. With `stratify`, the rows are put in order of
    group first; either way, every 1/fraction-th row of that order is taken (systematic sampling).

    Args:
        frame: The rows to choose from, in their order.
        split: How to choose.

    Returns:
        `(len(frame),)`, bool: True for validation.

    Raises:
        ValueError: A column is missing or has gaps, or either side would be empty.
    """
    choose = {"random": _random, "column": _flagged, "rows": _range, "last": _last}
    choose["last_of_group"] = _last_of_group
    mask = choose[split.method](frame, split)
    if not mask.any() or mask.all():
        side = "validation" if not mask.any() else "training"
        raise ValueError(
            f"the {split.method} split of {len(frame):,} rows leaves no {side} rows: "
            f"{_remedy(split)}"
        )
    return mask


def _remedy(split: Split) -> str:
    if split.method == "column":
        values = list(split.values or (True,))
        return f"the column {split.column!r} must hold some of {values} and something else"
    if split.method == "rows":
        return f"correct rows, which are {list(split.rows or ())}"
    if split.method == "last_of_group":
        return f"no {split.group!r} has more than {split.count or 1} rows, lower count"
    return f"change fraction, which is {split.fraction}, or give more rows"


def _column(frame: pd.DataFrame, name: str) -> pd.Series:
    if name not in frame.columns:
        raise ValueError(
            f"there is no column {name!r} to split by, only {', '.join(map(str, frame.columns))}: "
            "correct the split's parameters"
        )
    return frame[name]


def _whole_column(frame: pd.DataFrame, name: str) -> pd.Series:
    column = _column(frame, name)
    gaps = np.flatnonzero(column.isna())
    if len(gaps):
        raise ValueError(
            f"row {gaps[0]} has nothing in the column {name!r}, which the split goes by: "
            "fill the gap, or split by another column"
        )
    return column


def _random(frame: pd.DataFrame, split: Split) -> np.ndarray:
    keys = np.random.Philox(split.seed).random_raw(len(frame))
    groups = np.zeros(len(frame), np.int64)
    if split.stratify is not None:
        groups, _ = pd.factorize(_column(frame, split.stratify), use_na_sentinel=False)
    order = np.lexsort((keys, groups))
    # The i-th row is taken where the count of rows to take so far, rounded, goes up.
    due = np.floor(np.arange(len(frame) + 1) * split.fraction + 0.5)
    mask = np.zeros(len(frame), bool)
    mask[order[np.diff(due) > 0]] = True
    return mask


def _flagged(frame: pd.DataFrame, split: Split) -> np.ndarray:
    column = _whole_column(frame, split.column or "")
    # A flag is a bool in one file and the word for it in another.
    flags = {_flag(value) for value in column.unique()}
    wanted = {_flag(value) for value in split.values or (True,)}
    if not flags & wanted:
        raise ValueError(
            f"the column {split.column!r} never holds any of {list(split.values or (True,))}, "
            f"only {sorted(flags)[:10]}: correct the split's values"
        )
    return column.map(lambda value: _flag(value) in wanted).to_numpy(bool)


def _flag(value: object) -> str:
    if isinstance(value, float | np.floating) and float(value).is_integer():
        value = int(value)
    return str(value).strip().lower()


def _range(frame: pd.DataFrame, split: Split) -> np.ndarray:
    first, stop = split.rows or (0, 0)
    if stop > len(frame):
        raise ValueError(
            f"rows is [{first}, {stop}], but there are only {len(frame):,} rows: correct rows"
        )
    mask = np.zeros(len(frame), bool)
    mask[first:stop] = True
    return mask


def _last(frame: pd.DataFrame, split: Split) -> np.ndarray:
    order = _in_time(frame, split.column or "")
    mask = np.zeros(len(frame), bool)
    mask[order[len(frame) - math.floor(len(frame) * split.fraction + 0.5) :]] = True
    return mask


def _last_of_group(frame: pd.DataFrame, split: Split) -> np.ndarray:
    groups, _ = pd.factorize(_whole_column(frame, split.group or ""))
    order = np.arange(len(frame)) if split.column is None else _in_time(frame, split.column)
    order = order[np.argsort(groups[order], kind="stable")]
    sizes = np.bincount(groups)
    count = split.count or 1
    after = np.repeat(np.cumsum(sizes), sizes) - np.arange(len(frame))  # rows to the group's end
    mask = np.zeros(len(frame), bool)
    mask[order] = (after <= count) & (np.repeat(sizes, sizes) > count)
    return mask


def _in_time(frame: pd.DataFrame, name: str) -> np.ndarray:
    """Row numbers from the earliest to the latest; of equal times, later rows are later."""
    column = _whole_column(frame, name)
    if pd.api.types.is_string_dtype(column) or column.dtype == object:
        try:  # text sorts by its first digits, which is no order in time
            column = pd.to_numeric(column)
        except (ValueError, TypeError):
            try:
                column = pd.to_datetime(column, format="ISO8601", utc=True)
            except (ValueError, TypeError) as error:
                raise ValueError(
                    f"the column {name!r} holds no times: {error}; give numbers or dates "
                    "such as 2020-12-31 or 2020-12-31 23:59:00"
                ) from error
    return np.argsort(column.to_numpy(), kind="stable")
