"""One definition of validation rows for every data source."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from gradual.training.settings import Settings

_SETTINGS = {
    "random": {"stratify", "group"},
    "column": {"column", "values"},
    "rows": {"rows"},
    "last": {"column", "group"},
    "last_of_group": {"column", "group", "count"},
    "folds": {"folds", "fold", "stratify", "group"},
}


@dataclass(frozen=True)
class Split(Settings):
    """Which rows are held out for validation.

    Attributes:
        method: `random`: a seeded random `fraction`; `column`: the rows whose `column` holds one
            of `values`; `rows`: a range of row numbers; `last`: the last `fraction` by the time
            in `column`, cut between two different times; `last_of_group`: the last `count` rows
            of each `group` by the time in `column`, or as they stand without one, where a group
            of no more rows than that keeps all of them (leave-last-out); `folds`: the `fold`-th
            of `folds` random parts of equal size (k-fold cross-validation).
        fraction: Share of the rows that are held out, strictly between 0 and 1 (`random`,
            `last`); share of the groups where there is a `group`.
        seed: Chooses among the random splits, 0 or more (`random`, `folds`).
        stratify: Column whose values keep their shares on both sides, to within one row
            (`random`, `folds`); a group counts with its first row's value.
        column: The flag (`column`) or the time (`last`, `last_of_group`).
        values: Values of the flag that mean validation (`column`); `True` if not given.
        rows: First row and the row after the last, counted from 0, like a Python slice (`rows`).
        group: Column whose values are the groups, e.g. the customer. `random`, `last` and `folds`
            keep each group's rows on one side; `last` puts a group where its last row is, so that
            no training row is later than the end of any group held out.
        count: Rows held out of each group, 1 if not given (`last_of_group`).
        folds: How many folds there are, 2 or more (`folds`).
        fold: Which of them is held out, counted from 1 (`folds`).
    """

    method: Literal["random", "column", "rows", "last", "last_of_group", "folds"] = "random"
    fraction: float = 0.1
    seed: int = 42
    stratify: str | None = None
    column: str | None = None
    values: tuple[str | bool | int, ...] | None = None
    rows: tuple[int, int] | None = None
    group: str | None = None
    count: int | None = None
    folds: int | None = None
    fold: int | None = None

    def __post_init__(self) -> None:
        if self.method not in _SETTINGS:
            raise ValueError(f"method is {self.method!r}: set it to one of {', '.join(_SETTINGS)}")
        if not 0 < self.fraction < 1:
            raise ValueError(
                f"fraction is {self.fraction}: set it to a share strictly between 0 and 1"
            )
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}: set it to 0 or more")
        for name in ("stratify", "column", "values", "rows", "group", "count", "folds", "fold"):
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
        if self.method == "folds":
            if self.folds is None or self.folds < 2:
                raise ValueError(f"folds is {self.folds}: give the number of folds, 2 or more")
            if self.fold is None or not 1 <= self.fold <= self.folds:
                raise ValueError(
                    f"fold is {self.fold}: say which fold is held out, 1 to {self.folds}"
                )

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the rows are split by."""
        named = (self.stratify, self.column, self.group)
        return tuple(dict.fromkeys(name for name in named if name is not None))


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


def test_mask(given: np.ndarray, test: Split | None, setting: str) -> np.ndarray | None:
    """Which rows an official test file gives for the test; None if there is no such file.

    Args:
        given: `(rows,)`, bool: the rows of the test file.
        test: How test rows would be drawn.
        setting: The name of that setting, for the message.

    Raises:
        ValueError: There is a test file, and test rows are to be drawn too.
    """
    if not given.any():
        return None
    if test is not None:
        raise ValueError(
            f"{setting} draws test rows by the method {test.method}, and the catalog names a "
            f"test_source too: set {setting} to null, or leave the test_source out"
        )
    return given


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
    choose = {
        "random": _random,
        "column": _flagged,
        "rows": _range,
        "last": _last,
        "last_of_group": _last_of_group,
        "folds": _fold,
    }[split.method]
    if split.group is not None and split.method != "last_of_group":
        mask = _whole_groups(frame, split, choose)
    else:
        mask = choose(frame, split)
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
    if split.method == "folds":
        return f"lower folds, which is {split.folds}, or give more rows or groups"
    if split.method == "last":
        return f"the column {split.column!r} must hold two different times or more"
    if split.group is not None:
        return f"change fraction, which is {split.fraction}, or give more groups"
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


def _whole_groups(
    frame: pd.DataFrame, split: Split, choose: Callable[[pd.DataFrame, Split], np.ndarray]
) -> np.ndarray:
    """Choose among the groups, each of which one row stands for: its first, or its latest."""
    groups, _ = pd.factorize(_whole_column(frame, split.group or ""))
    order = np.arange(len(frame))
    if split.method == "last":  # backwards, so that a group's first row is its latest
        order = _in_time(frame, split.column or "")[1][::-1]
    numbers, firsts = np.unique(groups[order], return_index=True)
    return choose(frame.iloc[order[firsts]].reset_index(drop=True), split)[
        np.searchsorted(numbers, groups)
    ]


def _shuffled(frame: pd.DataFrame, split: Split) -> np.ndarray:
    """Row numbers in a seeded random order, rows of one stratum beside each other."""
    keys = np.random.Philox(split.seed).random_raw(len(frame))
    strata = np.zeros(len(frame), np.int64)
    if split.stratify is not None:
        strata, _ = pd.factorize(_column(frame, split.stratify), use_na_sentinel=False)
    return np.lexsort((keys, strata))


def _random(frame: pd.DataFrame, split: Split) -> np.ndarray:
    # The i-th row is taken where the count of rows to take so far, rounded, goes up.
    due = np.floor(np.arange(len(frame) + 1) * split.fraction + 0.5)
    mask = np.zeros(len(frame), bool)
    mask[_shuffled(frame, split)[np.diff(due) > 0]] = True
    return mask


def _fold(frame: pd.DataFrame, split: Split) -> np.ndarray:
    mask = np.zeros(len(frame), bool)
    mask[_shuffled(frame, split)[(split.fold or 1) - 1 :: split.folds or 1]] = True
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
    times, order = _in_time(frame, split.column or "")
    mask = np.zeros(len(frame), bool)
    ordered = times[order]
    cuts = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1  # where a later time begins
    if len(cuts):
        wanted = len(frame) * (1 - split.fraction)
        mask[order[cuts[np.abs(cuts - wanted).argmin()] :]] = True
    return mask


def _last_of_group(frame: pd.DataFrame, split: Split) -> np.ndarray:
    groups, _ = pd.factorize(_whole_column(frame, split.group or ""))
    order = np.arange(len(frame)) if split.column is None else _in_time(frame, split.column)[1]
    order = order[np.argsort(groups[order], kind="stable")]
    sizes = np.bincount(groups)
    count = split.count or 1
    after = np.repeat(np.cumsum(sizes), sizes) - np.arange(len(frame))  # rows to the group's end
    mask = np.zeros(len(frame), bool)
    mask[order] = (after <= count) & (np.repeat(sizes, sizes) > count)
    return mask


def _in_time(frame: pd.DataFrame, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The times, and the row numbers from earliest to latest; of equal times, later rows later."""
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
    times = column.to_numpy()
    return times, np.argsort(times, kind="stable")
