"""Columns that follow from others: months between dates, days since and until, values before."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from gradual.sources.content import check_columns
from gradual.sources.errors import SourceError
from gradual.sources.joins import rows_with
from gradual.sources.reader import SourceRows
from gradual.sources.separated import CHUNK_ROWS

_KINDS = ("months_between", "days_since", "days_until", "lag")
_NO = ("", "0", "0.0", "false", "no")


@dataclass(frozen=True)
class Derive:
    """One derived column; give exactly one of `months_between`, `days_since`, `days_until`, `lag`.

    Attributes:
        name: Its name.
        months_between: Two columns of dates: whole months from the first to the second, negative
            if the second is earlier.
        days_since: A flag: days since it was last set in the group, 0 on such a day, a gap before
            the first. It looks at the row's own day and the past.
        days_until: A flag: days until it is set next in the group, 0 on such a day, a gap after
            the last. It looks into the future: for flags that are known ahead, such as holidays.
        lag: A column: its value in the same group `days` days before, a gap where there is none.
            What is predicted for the next weeks cannot know values of these weeks: take no fewer
            days than that.
        days: How many days before, 1 or more (`lag`).
        date: Column with the day (`days_since`, `days_until`, `lag`).
        group: Columns that together name the group, e.g. the shop; empty: all rows are one.
    """

    name: str
    months_between: tuple[str, str] | None = None
    days_since: str | None = None
    days_until: str | None = None
    lag: str | None = None
    days: int | None = None
    date: str | None = None
    group: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        given = [kind for kind in _KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(
                f"derive: {self.name!r} has {' and '.join(given) or 'none of them'}: give exactly "
                f"one of {', '.join(_KINDS)}"
            )
        if self.months_between is not None and len(self.months_between) != 2:
            raise ValueError(f"derive: {self.name!r}: months_between names two columns of dates")
        if (self.date is None) != (self.months_between is not None):
            raise ValueError(
                f"derive: {self.name!r}: date is {self.date!r}: name the column with the day for "
                "days_since, days_until and lag, and only for these"
            )
        if (self.lag is None) != (self.days is None) or (self.days is not None and self.days < 1):
            raise ValueError(
                f"derive: {self.name!r}: days is {self.days}: for a lag give how many days before, "
                "1 or more; later days are the future"
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it is made from."""
        named = (*(self.months_between or ()), self.days_since, self.days_until, self.lag)
        return tuple(name for name in (*named, self.date, *self.group) if name is not None)

    def values(self, table: pa.Table, name: str) -> pa.Array | pa.ChunkedArray:
        """The column for a whole table.

        Raises:
            SourceError: A column is missing, holds no dates, or a group has two values of one day.
        """
        check_columns(name, self.columns, table.column_names)
        if self.months_between is not None:
            return _months(*(_dates(table, column, name) for column in self.months_between))
        days = _days(_dates(table, self.date or "", name))
        groups = np.zeros(len(days), np.int64)
        if self.group:
            keys = table.select(list(self.group)).to_pandas()
            groups = keys.groupby(list(self.group), dropna=False, sort=False).ngroup().to_numpy()
        if self.lag is not None:
            return self._lag(table, groups, days, name)
        flag = _flags(table[self.days_since or self.days_until or ""])
        return _distance(groups, days, flag & ~np.isnan(days), ahead=self.days_until is not None)

    def _lag(
        self, table: pa.Table, groups: np.ndarray, days: np.ndarray, name: str
    ) -> pa.ChunkedArray:
        values = table[self.lag or ""]
        there = values.is_valid().to_numpy() & ~np.isnan(days)
        known = pd.DataFrame({"group": groups, "day": np.where(there, days, np.nan)})
        if (again := known[there].duplicated()).any():
            row = int(np.flatnonzero(there)[np.flatnonzero(again)[0]])
            raise SourceError(
                f"{name} row {row + 1}: its group has a second value of {self.lag!r} on that day: "
                f"name more columns in `group` of {self.name!r}"
            )
        wanted = pd.DataFrame({"group": groups.astype(float), "day": days - (self.days or 0)})
        found = rows_with(wanted, known.astype(float))
        return values.take(pa.array(found, mask=found < 0))


@dataclass(frozen=True)
class Derived:
    """Rows with derived columns behind; they are read whole, since rows look at each other.

    Attributes:
        rows: The rows.
        derive: The columns, in order; one may be made from those before.
        history: Rows that came before, such as those that a model was trained on: they are looked
            at, and not handed on.
    """

    rows: SourceRows
    derive: tuple[Derive, ...]
    history: SourceRows | None = None

    @property
    def name(self) -> str:
        """The rows' name."""
        return self.rows.name

    @property
    def names_rows(self) -> bool:
        """Whether each row is a text with a name of its own."""
        return self.rows.names_rows

    def chunks(
        self, columns: Sequence[str] | None = None, *, as_text: bool = False
    ) -> Iterator[pa.Table]:
        """The rows in order."""
        table = self.rows.read(as_text=as_text)
        own, before = table.column_names, 0
        if self.history is not None:
            past = self.history.read(as_text=as_text)
            before = past.num_rows
            try:
                table = pa.concat_tables([past, table], promote_options="permissive")
            except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
                raise SourceError(
                    f"{self.name} and its history {self.history.name} have columns of types that "
                    f"do not go together ({error}): set the column's type in `types`"
                ) from error
        for column in self.derive:
            if column.name in table.column_names:
                raise SourceError(
                    f"{self.name} has a column {column.name!r} already: give the derived one "
                    "another name"
                )
            table = table.append_column(column.name, column.values(table, self.name))
        table = table.slice(before).select([*own, *(column.name for column in self.derive)])
        check_columns(self.name, columns, table.column_names)
        table = table if columns is None else table.select(list(dict.fromkeys(columns)))
        for start in range(0, table.num_rows, CHUNK_ROWS):
            yield table.slice(start, CHUNK_ROWS)


def _dates(table: pa.Table, column: str, name: str) -> pd.Series:
    raw = table[column].to_pandas()
    dates = raw
    if not pd.api.types.is_datetime64_any_dtype(raw):
        dates = pd.to_datetime(raw.astype("string"), format="ISO8601", errors="coerce", utc=True)
    wrong = np.flatnonzero((dates.isna() & raw.notna()).to_numpy())
    if len(wrong):
        raise SourceError(
            f"{name} row {wrong[0] + 1} has {raw.iloc[wrong[0]]!r} in the column {column!r}, which "
            "is no date such as 2020-12-31: correct it, or leave it empty"
        )
    return dates.dt.tz_localize(None)


def _days(dates: pd.Series) -> np.ndarray:
    """Days since 1970, float64, not a number where there is no date."""
    days = dates.to_numpy().astype("datetime64[D]")
    return np.where(np.isnat(days), np.nan, days.astype(np.int64)).astype(np.float64)


def _months(first: pd.Series, second: pd.Series) -> pa.Array:
    months = 12 * (second.dt.year - first.dt.year) + second.dt.month - first.dt.month
    short = (months > 0) & (second.dt.day < first.dt.day)
    over = (months < 0) & (second.dt.day > first.dt.day)
    return _whole((months - short + over).to_numpy(np.float64, na_value=np.nan))


def _flags(column: pa.ChunkedArray) -> np.ndarray:
    words = column.to_pandas().astype("string").str.strip().str.lower().fillna("")
    return ~words.isin(_NO).to_numpy(bool)


def _distance(groups: np.ndarray, days: np.ndarray, flag: np.ndarray, *, ahead: bool) -> pa.Array:
    """Days to the nearest flagged day of the group, among the days so far or the days to come."""
    sign = -1.0 if ahead else 1.0  # the days to come are the past of a time that runs backwards
    frame = pd.DataFrame(
        {"group": groups, "day": sign * days, "last": np.where(flag, sign * days, -np.inf)}
    )
    # All rows of one day know what is flagged on that day.
    by_day = frame.groupby(["group", "day"], sort=True)["last"].max()
    last = by_day.groupby(level="group").cummax().rename("last").reset_index()
    found = frame[["group", "day"]].merge(last, how="left", on=["group", "day"])["last"]
    return _whole((frame["day"] - found).to_numpy())


def _whole(values: np.ndarray) -> pa.Array:
    """Whole numbers, gaps where there is no finite one."""
    finite = np.isfinite(values)
    return pa.array(np.where(finite, values, 0).astype(np.int64), mask=~finite)
