"""Raw tables to codes and numbers: fitted once on the training rows, applied unchanged to any rows.

    preprocessor = fit(chunks, PreprocessingConfig(ColumnsConfig(("job",), ("age",))))
    encoded = preprocessor.transform(table, keep=("salary",))

A fit is made of partial fits, one for each chunk, that can be merged in any order and grouping:
the outcome is the same to the last bit, so shards, processes and clusters share one contract.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from gradual.sources.errors import SourceError
from gradual.sources.spooled import sliced
from gradual.tabular import categorify, histogram
from gradual.tabular.categorify import CategorifyConfig, Level, LevelCounts, Levels, fit_levels
from gradual.tabular.columns import TextConfig, as_levels, as_number_array, as_numbers, column
from gradual.tabular.date_parts import DatePartsConfig, date_columns
from gradual.tabular.fill_missing import SUFFIX, FillMissingConfig, fill, fit_fill
from gradual.tabular.histogram import Histogram
from gradual.tabular.normalize import NormalizeConfig, Scale, fit_scale
from gradual.training.files import canonical_json, from_json_types, to_json_types
from gradual.training.settings import Settings

_FORMAT = "gradual-preprocessor-1"
# Rows that are worked on at a time: enough to be fast, few enough to be small in memory.
_SLICE = 1 << 21
_FEW = 1 << 13
_ENCODED_ROWS = 1 << 18  # what is in the making fits in a processor's cache


@dataclass(frozen=True)
class ColumnsConfig(Settings):
    """Which columns of a table a model gets, and as what; each is named once.

    Attributes:
        categorical: Columns of levels.
        continuous: Columns of numbers.
        ordinal: Columns of levels that have an order, with all their levels, lowest first.
        dates: Columns of dates or times, to be taken apart.
    """

    categorical: tuple[str, ...] = ()
    continuous: tuple[str, ...] = ()
    ordinal: dict[str, tuple[bool | int | float | str, ...]] = field(default_factory=dict)
    dates: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.names:
            raise ValueError("columns names no column at all: name those that the model gets")
        if twice := [name for name, count in Counter(self.names).items() if count > 1]:
            raise ValueError(
                f"columns names {twice[0]!r} more than once: let it stand in one place, "
                "categorical, continuous, ordinal or dates"
            )
        for name, order in self.ordinal.items():
            if len(set(map(str, order))) < len(order):
                raise ValueError(f"ordinal gives {name!r} a level twice: {list(order)}")
            if len({type(level) for level in order}) > 1:
                raise ValueError(
                    f"ordinal gives {name!r} levels of several types, {list(order)}: quote them all"
                )

    @property
    def names(self) -> list[str]:
        """All columns that a table must have."""
        return [*self.categorical, *self.ordinal, *self.continuous, *self.dates]


@dataclass(frozen=True)
class PreprocessingConfig(Settings):
    """How a raw table becomes codes and numbers.

    Attributes:
        columns: Which columns, and as what.
        text: How text values are read.
        fill_missing: What is put into the gaps of continuous columns.
        categorify: Which levels get a code.
        normalize: How continuous columns are scaled.
        date_parts: What becomes of date columns.
    """

    columns: ColumnsConfig
    text: TextConfig = field(default_factory=TextConfig)
    fill_missing: FillMissingConfig = field(default_factory=FillMissingConfig)
    categorify: CategorifyConfig = field(default_factory=CategorifyConfig)
    normalize: NormalizeConfig = field(default_factory=NormalizeConfig)
    date_parts: DatePartsConfig = field(default_factory=DatePartsConfig)

    def __post_init__(self) -> None:
        names = [*self.columns.names, *self.made_of_dates]
        if twice := [name for name, count in Counter(names).items() if count > 1]:
            raise ValueError(
                f"{twice[0]!r} is a column of its own and is made of a date, too: take it out of "
                "columns, or leave the part out of date_parts"
            )

    @property
    def made_of_dates(self) -> list[str]:
        """Columns that are made of date columns."""
        parts = self.date_parts
        return [
            name
            for date in self.columns.dates
            for name in [*parts.categorical(date), *parts.continuous(date)]
        ]

    @property
    def categorical(self) -> list[str]:
        """Columns of levels, those made of dates included."""
        made = [n for date in self.columns.dates for n in self.date_parts.categorical(date)]
        return [*self.columns.categorical, *self.columns.ordinal, *made]

    @property
    def continuous(self) -> list[str]:
        """Columns of numbers, those made of dates included."""
        made = [n for date in self.columns.dates for n in self.date_parts.continuous(date)]
        return [*self.columns.continuous, *made]


@dataclass(frozen=True, eq=False)
class PartialFit:
    """What some rows say about the columns; two of them merge to what all their rows say.

    Attributes:
        config: The configuration that it was made with.
        rows: How many rows there were.
        levels: Counts of levels by categorical column.
        numbers: Counts of numbers by continuous column.
    """

    config: PreprocessingConfig
    rows: int
    levels: dict[str, LevelCounts]
    numbers: dict[str, Histogram]

    @classmethod
    def of(
        cls,
        table: pa.Table,
        config: PreprocessingConfig,
        *,
        first_row: int = 0,
        coarseness: Mapping[str, int] | None = None,
    ) -> "PartialFit":
        """Count the values of some rows.

        Args:
            table: The rows; columns that the configuration does not name are ignored.
            config: Which columns to count, and as what.
            first_row: Number of the first row, for messages.
            coarseness: Bits already dropped by column, where the outcome will be merged with what
                dropped them anyway; saves time and changes nothing.

        Raises:
            SourceError: A column is missing, or holds what it must not.
        """
        columns = _Columns(table, config, first_row)

        def levels_of(name: str) -> LevelCounts:
            return LevelCounts.of(columns[name], name, config.text)

        def numbers_of(name: str) -> Histogram:
            numbers = as_number_array(columns[name], name, config.text, first_row)
            known = numbers.drop_null().to_numpy()
            gaps = np.isnan(known)
            if gaps.any():
                known = known[~gaps]
            return Histogram.of(known, (coarseness or {}).get(name, 0))

        with _mapping(table.num_rows) as each:
            levels = each(levels_of, config.categorical)
            numbers = each(numbers_of, config.continuous)
            return cls(
                config,
                table.num_rows,
                dict(zip(config.categorical, levels, strict=True)),
                dict(zip(config.continuous, numbers, strict=True)),
            )

    def finish(self) -> "Preprocessor":
        """The preprocessor that these rows make.

        Raises:
            SourceError: There are no rows, or a column cannot be fitted.
        """
        if not self.rows:
            raise SourceError("there are no training rows to fit the columns on: give some")
        config = self.config
        taken = {*config.categorical, *config.continuous}
        levels = [
            fit_levels(
                name, counted, self.rows, config.categorify, config.columns.ordinal.get(name)
            )
            for name, counted in self.levels.items()
        ]
        numbers = []
        for name, values in self.numbers.items():
            value = fit_fill(name, values, config.fill_missing)
            gaps = self.rows - values.n
            indicator = None
            if gaps:
                indicator = name + SUFFIX
                while indicator in taken:  # a column of that name is there already
                    indicator += SUFFIX
                taken.add(indicator)
                levels.append(Levels(indicator, (False, True), (values.n, gaps)))
            scale = fit_scale(values.with_value(value, gaps), config.normalize)
            numbers.append(Numbers(name, value, gaps, indicator, values.relative_error, scale))
        return Preprocessor(config, self.rows, tuple(levels), tuple(numbers))


def merge(a: PartialFit, b: PartialFit) -> PartialFit:
    """What the rows of both say; neither order nor grouping of merges changes the outcome.

    Raises:
        ValueError: They were made with different configurations.
    """
    if a.config != b.config:
        raise ValueError("these partial fits were made with different configurations: fit anew")
    return PartialFit(
        a.config,
        a.rows + b.rows,
        {name: categorify.merge(a.levels[name], b.levels[name], name) for name in a.levels},
        {name: histogram.merge(a.numbers[name], b.numbers[name]) for name in a.numbers},
    )


def partial_fit(chunks: Iterable[pa.Table], config: PreprocessingConfig) -> PartialFit:
    """What all rows of the chunks say, read one chunk at a time.

    Args:
        chunks: Tables; their column types need not be the same.
        config: Which columns to count, and as what.

    Raises:
        SourceError: As `PartialFit.of`.
    """
    whole: PartialFit | None = None
    first_row = 0
    for chunk in sliced(chunks, _SLICE):
        dropped = {} if whole is None else {n: h.dropped for n, h in whole.numbers.items()}
        part = PartialFit.of(chunk, config, first_row=first_row, coarseness=dropped)
        first_row += chunk.num_rows
        whole = part if whole is None else merge(whole, part)
    if whole is None:
        empty = pa.table({name: pa.nulls(0) for name in config.columns.names})
        whole = PartialFit.of(empty, config)
    return whole


def fit(chunks: Iterable[pa.Table] | pa.Table, config: PreprocessingConfig) -> "Preprocessor":
    """Learn levels, fills and scales from the training rows.

    Args:
        chunks: The training rows, in one table or several; read once, one chunk at a time.
        config: What to do with which columns.

    Raises:
        SourceError: There are no rows, a column is missing, or holds what it must not; the message
            names the column and the row.
    """
    return partial_fit([chunks] if isinstance(chunks, pa.Table) else chunks, config).finish()


@contextmanager
def _mapping(rows: int) -> Iterator[Callable[..., Iterator[Any]]]:
    """A `map` over columns; of two threads where it is worth it: Arrow and NumPy share the time."""
    if rows < _FEW:
        yield map
        return
    with ThreadPoolExecutor(2) as pool:
        yield pool.map


class _Columns:
    """The columns of a table by name, those made of its dates included."""

    def __init__(self, table: pa.Table, config: PreprocessingConfig, first_row: int) -> None:
        self._table = table
        self.first_row = first_row
        self._made: dict[str, pa.Array] = {}
        for name in config.columns.dates:
            values = column(table, name)
            self._made |= date_columns(values, name, config.date_parts, config.text, first_row)
        for name in config.columns.names:
            column(table.slice(0, 0), name)  # all columns are there before any is worked on

    def __getitem__(self, name: str) -> pa.Array:
        return self._made[name] if name in self._made else column(self._table, name)


@dataclass(frozen=True)
class Numbers:
    """One continuous column, fitted.

    Attributes:
        name: The column.
        fill: What is put into its gaps.
        gaps: Training rows without a number.
        indicator: The categorical column that notes the gaps, None if there were none.
        relative_error: Bound of the error of medians and quantiles in parts of their value; 0
            where they are exact.
        scale: What is done to its numbers.
    """

    name: str
    fill: float
    gaps: int
    indicator: str | None
    relative_error: float
    scale: Scale


@dataclass
class TransformReport:
    """What was unusual in transformed rows; several transforms may count in one report.

    Attributes:
        rows: Rows transformed.
        gaps: Values missing, by column; continuous ones were filled.
        unseen: Values whose level the training rows do not have often enough, by column.
    """

    rows: int = 0
    gaps: Counter[str] = field(default_factory=Counter)
    unseen: Counter[str] = field(default_factory=Counter)

    def add(self, other: "TransformReport") -> None:
        """Count what another report counted."""
        self.rows += other.rows
        self.gaps += other.gaps
        self.unseen += other.unseen


@dataclass(frozen=True)
class Preprocessor:
    """Levels, fills and scales of all columns, fitted.

    Attributes:
        config: What it was fitted with.
        rows: How many training rows there were.
        categorical_columns: The columns of levels; those that note gaps come last.
        continuous_columns: The columns of numbers.
    """

    config: PreprocessingConfig
    rows: int
    categorical_columns: tuple[Levels, ...]
    continuous_columns: tuple[Numbers, ...]

    @property
    def categorical(self) -> list[str]:
        """Names of the encoded categorical columns, `_na` columns included."""
        return [levels.name for levels in self.categorical_columns]

    @property
    def continuous(self) -> list[str]:
        """Names of the encoded continuous columns."""
        return [numbers.name for numbers in self.continuous_columns]

    @property
    def cardinalities(self) -> dict[str, int]:
        """Number of codes of each categorical column, 0 for `#na#` included."""
        return {levels.name: levels.cardinality for levels in self.categorical_columns}

    def levels(self, name: str) -> list[Level]:
        """Levels of a categorical column; the level of code i stands at i - 1."""
        return next(list(c.levels) for c in self.categorical_columns if c.name == name)

    def transform(
        self,
        table: pa.Table,
        *,
        keep: Iterable[str] = (),
        report: TransformReport | None = None,
        first_row: int = 0,
    ) -> pa.Table:
        """Encode rows; their order stays.

        Args:
            table: Raw rows with the columns of the configuration; others are ignored.
            keep: Columns to hand through as they are, after the encoded ones.
            report: Where gaps and unseen levels are counted.
            first_row: Number of the first row, for messages.

        Returns:
            One int32 column of codes for each of `categorical`, below its cardinality, then one
            finite float32 column for each of `continuous`, then the columns kept.

        Raises:
            SourceError: A column is missing, or holds what it must not.
        """
        keep = list(keep)
        if clash := {*self.categorical, *self.continuous} & set(keep):
            raise SourceError(
                f"keep names {min(clash)!r}, which is an encoded column: rename it in the table"
            )
        kept = {name: column(table, name) for name in keep}
        made = {name: np.empty(table.num_rows, np.int32) for name in self.categorical}
        made |= {name: np.empty(table.num_rows, np.float32) for name in self.continuous}
        counted = TransformReport(table.num_rows)
        with _mapping(table.num_rows) as each:
            for start in range(0, max(1, table.num_rows), _ENCODED_ROWS):
                rows = slice(start, start + _ENCODED_ROWS)
                part = table.slice(start, _ENCODED_ROWS)
                self._encode(
                    _Columns(part, self.config, first_row + start),
                    {name: values[rows] for name, values in made.items()},
                    counted,
                    each,
                )
        if report is not None:
            report.add(counted)
        return pa.table({**made, **kept})

    def _encode(
        self,
        columns: "_Columns",
        made: Mapping[str, np.ndarray],
        report: TransformReport,
        each: Callable[..., Iterator[Any]],
    ) -> None:
        """Encode some rows into the arrays `made`, one for each column."""
        text = self.config.text

        def encode(levels: Levels) -> tuple[int, int]:
            encoded = as_levels(columns[levels.name], levels.name, text)
            made[levels.name][:], gaps, unseen = levels.encode(encoded)
            return gaps, unseen

        def scale(fitted: Numbers) -> int:
            numbers = as_numbers(columns[fitted.name], fitted.name, text, columns.first_row)
            filled, gaps = fill(numbers, fitted.fill)
            made[fitted.name][:] = fitted.scale.apply(filled)
            if fitted.indicator is not None:  # False is code 1, True 2
                made[fitted.indicator][:] = 1 if gaps is None else gaps + np.int32(1)
            return 0 if gaps is None else int(np.count_nonzero(gaps))

        indicators = {numbers.indicator for numbers in self.continuous_columns}
        levels = [c for c in self.categorical_columns if c.name not in indicators]
        counts, gaps = each(encode, levels), each(scale, self.continuous_columns)
        for fitted, (missing, unseen) in zip(levels, counts, strict=True):
            report.gaps[fitted.name] += missing
            report.unseen[fitted.name] += unseen
        for column_, missing in zip(self.continuous_columns, gaps, strict=True):
            report.gaps[column_.name] += missing

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able form for people and for `from_dict`."""
        return {
            "format": _FORMAT,
            "rows": self.rows,
            "categorical": [to_json_types(levels) for levels in self.categorical_columns],
            "continuous": [to_json_types(numbers) for numbers in self.continuous_columns],
            "config": to_json_types(self.config),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Preprocessor":
        """The preprocessor that `to_dict` wrote.

        Raises:
            ValueError: `data` is something else.
        """
        if data.get("format") != _FORMAT:
            raise ValueError(
                f"this is no preprocessor: its format is {data.get('format')!r}, not {_FORMAT!r}; "
                "fit it anew"
            )
        return cls(
            from_json_types(PreprocessingConfig, data["config"]),
            data["rows"],
            from_json_types(tuple[Levels, ...], data["categorical"]),
            from_json_types(tuple[Numbers, ...], data["continuous"]),
        )

    @cached_property
    def hash(self) -> str:
        """Sha256 (hex) of all that decides how rows are encoded."""
        return hashlib.sha256(canonical_json(self.to_dict()).encode()).hexdigest()
