"""Dates to columns that a model can use: calendar parts as levels, elapsed seconds as a number."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from gradual.sources.errors import SourceError
from gradual.tabular.columns import TextConfig
from gradual.training.settings import Settings

ELAPSED = "elapsed"
HOLIDAY = "holiday"
NO_HOLIDAY = "no holiday"
_OFFSET = r"[T ].*(Z|[+-][0-9]{2}(:?[0-9]{2})?)$"


def _edge(unit: str, *, end: bool) -> Callable[[pa.Array], pa.Array]:
    """Whether a day is the first (or last) of its month, quarter or year."""
    day = pa.scalar(86_400, pa.int64()).cast(pa.duration("s"))

    def part(days: pa.Array) -> pa.Array:
        days = days.cast(pa.timestamp("s"))
        if not end:
            return pc.equal(pc.floor_temporal(days, unit=unit), days)
        after = pc.add(days, day)
        return pc.equal(pc.floor_temporal(after, unit=unit), after)

    return part


_PARTS: dict[str, Callable[[pa.Array], pa.Array]] = {
    "year": pc.year,
    "month": pc.month,
    "week": pc.iso_week,
    "day": pc.day,
    "day_of_week": pc.day_of_week,  # Monday is 0
    "day_of_year": pc.day_of_year,
    "is_month_start": _edge("month", end=False),
    "is_month_end": _edge("month", end=True),
    "is_quarter_start": _edge("quarter", end=False),
    "is_quarter_end": _edge("quarter", end=True),
    "is_year_start": _edge("year", end=False),
    "is_year_end": _edge("year", end=True),
}


@dataclass(frozen=True)
class DatePartsConfig(Settings):
    """What becomes of a date column; each part is a column `<column>_<part>`.

    Attributes:
        parts: Categorical columns: year, month, week (ISO), day, day_of_week (Monday is 0),
            day_of_year, is_month_start, is_month_end, is_quarter_start, …, is_year_end.
        elapsed: A continuous column, seconds since 1970.
        holidays: Country (and part of it) whose public holidays are the levels of another
            categorical column, such as `DE` or `US-CA`; None for none.
    """

    parts: tuple[str, ...] = tuple(_PARTS)
    elapsed: bool = True
    holidays: str | None = None

    def __post_init__(self) -> None:
        if unknown := [part for part in self.parts if part not in _PARTS]:
            raise ValueError(f"parts has {unknown[0]!r}: choose among {', '.join(_PARTS)}")
        if len(set(self.parts)) < len(self.parts):
            raise ValueError(f"parts is {list(self.parts)}: name each part once")
        if self.holidays is not None:
            _country(self.holidays, (2000,))

    def categorical(self, column: str) -> list[str]:
        """Names of the categorical columns made of a date column."""
        parts = [*self.parts, *([HOLIDAY] if self.holidays else [])]
        return [f"{column}_{part}" for part in parts]

    def continuous(self, column: str) -> list[str]:
        """Names of the continuous columns made of a date column."""
        return [f"{column}_{ELAPSED}"] if self.elapsed else []


def date_columns(
    values: pa.Array, name: str, config: DatePartsConfig, text: TextConfig, first_row: int = 0
) -> dict[str, pa.Array]:
    """The columns made of a date column, by name.

    Each part is computed for the distinct days only. Times with a zone are read on its clocks,
    texts with an offset on those of UTC.

    Args:
        values: Dates, times, or ISO 8601 texts of such.
        name: The column's name.
        config: Which columns to make.
        text: How texts are read.
        first_row: Number of the first row, for messages.

    Raises:
        SourceError: A text is no date, or the column holds something else.
    """
    times = _times(values, name, text, first_row)
    made = {}
    if config.elapsed:
        made[f"{name}_{ELAPSED}"] = pc.divide(
            times.cast(pa.timestamp("us"), safe=False)
            .cast(pa.int64())
            .cast(pa.float64(), safe=False),
            1e6,
        )
    if getattr(times.type, "tz", None):
        times = pc.local_timestamp(times)
    encoded = times.cast(pa.date32(), safe=False).dictionary_encode()
    days = encoded.dictionary
    for part in config.parts:
        parts = _PARTS[part](days)
        made[f"{name}_{part}"] = pa.DictionaryArray.from_arrays(encoded.indices, parts)
    if config.holidays:
        made[f"{name}_{HOLIDAY}"] = pa.DictionaryArray.from_arrays(
            encoded.indices, _holidays(days, config.holidays)
        )
    return made


def _times(values: pa.Array, name: str, text: TextConfig, first_row: int) -> pa.Array:
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    kind = values.type
    if pa.types.is_timestamp(kind):
        return values
    if pa.types.is_date(kind) or pa.types.is_null(kind):
        return values.cast(pa.timestamp("s"))
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise SourceError(
            f"the column {name!r} holds {kind}, but it is listed under dates: give it dates or ISO "
            "8601 texts such as 2020-12-31, or list it elsewhere"
        )
    trimmed = pc.utf8_trim_whitespace(values)
    missing = pc.is_in(trimmed, value_set=pa.array(text.missing, trimmed.type))
    trimmed = pc.if_else(missing, None, trimmed)
    kind = pa.timestamp("us")
    first = pc.index(trimmed.is_valid(), True).as_py()
    if first >= 0 and re.search(_OFFSET, trimmed[first].as_py()):
        kind = pa.timestamp("us", "UTC")
    try:
        return trimmed.cast(kind)
    except pa.ArrowInvalid:
        row = next(i for i, value in enumerate(trimmed) if not _is_time(value, kind))
    raise SourceError(
        f"row {first_row + row} (the first is 0) has {values[row].as_py()!r} in the column "
        f"{name!r}, which is no date: write dates as 2020-12-31 or 2020-12-31 23:59:00, and an "
        "offset such as Z or +01:00 after all times or after none"
    )


def _is_time(value: pa.Scalar, kind: pa.DataType) -> bool:
    try:
        value.cast(kind)
    except pa.ArrowInvalid:
        return False
    return True


def _holidays(days: pa.Array, country: str) -> pa.Array:
    """Name of the holiday of each day, `NO_HOLIDAY` where there is none, null where no day is."""
    years = [year for year in pc.unique(pc.year(days)).to_pylist() if year is not None]
    calendar = _country(country, years) if years else {}
    dates, names = pa.array(list(calendar), pa.date32()), pa.array(list(calendar.values()))
    found = pc.index_in(days, value_set=dates)
    named = names.take(found) if len(names) else pa.nulls(len(days), pa.string())
    return pc.if_else(days.is_valid(), pc.fill_null(named, NO_HOLIDAY), None)


def _country(country: str, years: Iterable[int]) -> dict[date, str]:
    from holidays import country_holidays

    code, _, part = country.partition("-")
    try:
        # Without a language the names, which become levels, would be in that of the machine.
        days = country_holidays(code, subdiv=part or None, years=years, language="en_US")
        return dict(days.items())
    except NotImplementedError as error:
        raise ValueError(
            f"holidays is {country!r}, which the package holidays does not know ({error}): give an "
            "ISO 3166 code such as DE or US-CA, or leave it out"
        ) from error
