"""How each column of new rows differs from the same column of old ones, in figures and in words.

With enough rows every column differs. `Shift.notable` asks for a small p-value, divided among the
columns (Bonferroni), and for a difference that is worth a look.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from scipy.stats import binomtest, chi2_contingency, ks_2samp, spearmanr, wasserstein_distance

from gradual.retraining.columns import ColumnKind
from gradual.sources.content import check_columns

SIGNIFICANT = 0.001
LEAST = {"sd": 0.1, "total variation": 0.05, "unseen": 0.02}
_LEAST_GAPS = 0.02
_SAMPLE = 10_000
_GROWS = 0.9
_SHOWN = 3
_DAY = 86_400

Measure = Literal["sd", "total variation", "unseen"]


@dataclass(frozen=True)
class Column:
    """One column of both tables, in one form.

    Attributes:
        name: Its name.
        kind: What it is.
        new: ``(new rows,)``: float64 of numbers and dates (seconds since 1970), NaN for a gap;
            numbers of `levels` of levels and ids, -1 for a gap; the texts themselves, "" for a gap.
        old: ``(old rows,)``, likewise.
        levels: The texts of levels and ids, those of the old rows first.
        lacking: The rows that do not have the column at all: `new`, `old` or "".
    """

    name: str
    kind: ColumnKind
    new: np.ndarray
    old: np.ndarray
    levels: list[str] = field(default_factory=list)
    lacking: str = ""

    @property
    def numeric(self) -> bool:
        """Whether values are numbers, and not levels, ids or texts."""
        return self.new.dtype.kind == "f"

    def counts(self) -> tuple[np.ndarray, np.ndarray]:
        """How many new and old rows have each level, ``(levels,)`` each."""
        size = len(self.levels)
        new, old = (np.bincount(rows[rows >= 0], minlength=size) for rows in (self.new, self.old))
        return new, old


@dataclass(frozen=True)
class Shift:
    """How the new rows of a column differ from the old ones.

    Attributes:
        column: Its name.
        kind: What it is.
        measure: What `shift` is: Wasserstein's distance in standard deviations of the old values
            (`sd`), half the sum of the differences between the shares of levels (`total
            variation`), the share of new rows with an id, or of new words, that no old row has,
            beyond what is expected (`unseen`); None where nothing is measured.
        shift: How much, from 0.
        p_value: Of Kolmogorov and Smirnov's test, of chi-squared, or of the binomial test of what
            is unseen; the smallest of them and of the one for gaps.
        notable: Whether it is both sure and large enough to be mentioned.
        old: The old values in words.
        new: The new ones.
        old_gaps: Share of old rows without a value.
        new_gaps: Of new rows.
        new_levels: Levels that no old row has, the most frequent first.
        unseen: Share of new rows with those.
        left_out: Why the column tells no new row from an old one; "" where it may.
    """

    column: str
    kind: ColumnKind
    measure: Measure | None
    shift: float
    p_value: float
    notable: bool
    old: str
    new: str
    old_gaps: float = 0.0
    new_gaps: float = 0.0
    new_levels: tuple[str, ...] = ()
    unseen: float = 0.0
    left_out: str = ""

    @property
    def said(self) -> str:
        """The shift in a line."""
        return f"{self.column}: {self.old} → {self.new}" + (
            f" ({self.left_out})" if self.left_out else ""
        )


def read_columns(
    new: pa.Table, old: pa.Table, columns: Mapping[str, ColumnKind]
) -> dict[str, Column]:
    """Bring columns into one form, whatever types the two tables give them.

    Raises:
        SourceError: A column is in neither table.
    """
    both = [*old.column_names, *new.column_names]
    check_columns("neither the new nor the old rows", list(columns), list(dict.fromkeys(both)))
    return {name: _read(name, kind, new, old) for name, kind in columns.items()}


def _read(name: str, kind: ColumnKind, new: pa.Table, old: pa.Table) -> Column:
    lacking = next(
        (who for who, table in (("new", new), ("old", old)) if name not in table.column_names), ""
    )
    tables = [
        table.column(name) if name in table.column_names else pa.nulls(table.num_rows)
        for table in (new, old)
    ]

    def column(read: Callable[[Any], np.ndarray]) -> Column:
        return Column(name, kind, read(tables[0]), read(tables[1]), lacking=lacking)

    if kind == "text":
        return column(_texts)
    if kind == "date":
        return column(_moments)
    is_number = all(
        pa.types.is_null(values.type)
        or pa.types.is_floating(values.type)
        or pa.types.is_integer(values.type)
        or pa.types.is_decimal(values.type)
        for values in tables
    )
    if kind in ("number", "weight") or (kind == "target" and is_number):
        return column(_numbers)
    (new_codes, new_levels), (old_codes, old_levels) = (_levels(values) for values in tables)
    codes, levels = pd.factorize(np.array([*old_levels, *new_levels], object))
    places = np.append(np.where(pd.isna(levels[codes]), -1, codes) if len(codes) else codes, -1)
    old_codes = places[old_codes]  # -1 takes the last
    new_codes = places[np.where(new_codes >= 0, new_codes + len(old_levels), -1)]
    return Column(name, kind, new_codes, old_codes, [str(level) for level in levels], lacking)


def _texts(values: Any) -> np.ndarray:
    return np.asarray(values.cast(pa.large_string()).fill_null("").to_pylist(), object)


def _numbers(values: Any) -> np.ndarray:
    if pa.types.is_date(values.type) or pa.types.is_timestamp(values.type):
        return _moments(values)
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        found = pd.to_numeric(pd.Series(values.to_pylist(), dtype=object), errors="coerce")
    elif pa.types.is_boolean(values.type):
        found = values.cast(pa.int8()).cast(pa.float64()).to_pandas()
    else:
        found = values.cast(pa.float64(), safe=False).to_pandas()
    numbers = found.to_numpy(np.float64, na_value=np.nan)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _moments(values: Any) -> np.ndarray:
    kind = values.type
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        values = values.cast(pa.timestamp("us", getattr(kind, "tz", None)), safe=False)
        return _numbers(values.cast(pa.int64())) / 1e6
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return _numbers(values)
    found = pd.to_datetime(
        pd.Series(values.to_pylist(), dtype=object), errors="coerce", utc=True, format="mixed"
    )
    return np.where(found.isna(), np.nan, found.astype("datetime64[us, UTC]").astype("int64") / 1e6)


def _levels(values: Any) -> tuple[np.ndarray, list[str | None]]:
    """Places in a list of texts, -1 for gaps; whole numbers are written as such."""
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if pa.types.is_nested(values.type):
        values = pa.array([None if v is None else str(v) for v in values.to_pylist()], pa.string())
    if not pa.types.is_dictionary(values.type):
        values = values.dictionary_encode()
    codes = pc.fill_null(values.indices.cast(pa.int64()), -1).to_numpy(zero_copy_only=False)

    def text(level: Any) -> str | None:
        if isinstance(level, float) and level.is_integer():
            return str(int(level))
        return None if level is None or level != level else str(level).strip() or None

    return codes, [text(level) for level in values.dictionary.to_pylist()]


# ------------------------------------------------------------------------------ what only grows


def growth(column: Column) -> str:
    """Why a column of dates, or one that only grows, says nothing about a drift; "" if it may.

    A date is never the same again, and neither are a running number, a batch's name or a date
    written as a text. A column counts as one that only grows if its values rise with the old rows'
    order (Spearman) and the new ones lie close together in that order; or if it is a whole number
    that names a row each, all of the new ones beyond the old.
    """
    if column.kind == "date":
        return "a date"
    if column.kind not in ("number", "level"):
        return ""
    new, old = column.new, column.old
    if not column.numeric:
        rank = np.append(np.argsort(np.argsort(column.levels)).astype(np.float64), np.nan)
        new, old = rank[new], rank[old]  # -1 takes the last
    new, old = new[~np.isnan(new)], old[~np.isnan(old)]
    if min(len(new), len(old)) < 2 or old.min() == old.max():
        return ""
    ordered = np.sort(old)
    if column.numeric and new.min() > ordered[-1] and (ordered[1:] > ordered[:-1]).all():
        named = np.array_equal(old, np.floor(old)) and len(np.unique(new)) == len(new)
        if named:
            return "a number that names each row and only grows"
    some = np.linspace(0, len(old) - 1, min(len(old), _SAMPLE)).astype(np.int64)
    if spearmanr(some, old[some]).statistic < _GROWS:
        return ""
    low, high = np.searchsorted(ordered, np.quantile(new, [0.05, 0.95])) / len(ordered)
    return "grows with the rows" if high - low <= 0.5 else ""


# --------------------------------------------------------------------------------------- shifts


class _Found(NamedTuple):
    old: str
    new: str
    measure: Measure | None = None
    shift: float = 0.0
    p_value: float = 1.0
    new_levels: tuple[str, ...] = ()
    unseen: float = 0.0


def measure(column: Column, generator: np.random.Generator, columns: int = 1) -> Shift:
    """Say how a column has shifted.

    Args:
        column: Of both tables.
        generator: Draws the values that numbers are compared by.
        columns: How many columns are looked at, which the p-value answers for.
    """
    left_out = growth(column) or ("a weight" if column.kind == "weight" else "")
    if column.lacking:
        left_out = f"the {column.lacking} rows do not have it"
    sides = (column.old, column.new)
    gaps = np.array([_gaps(rows) for rows in sides])
    sizes = np.array([len(rows) for rows in sides])
    found = (
        _look(column, generator)
        if (gaps < sizes).all()
        else _Found(_brief(sides[0]), _brief(sides[1]))
    )
    old_gaps, new_gaps = (gaps / np.maximum(sizes, 1)).tolist()
    p_gaps = _p_of_table(np.array([gaps, sizes - gaps]))
    sure = SIGNIFICANT / columns
    notable = bool(
        column.lacking
        or (p_gaps < sure and abs(new_gaps - old_gaps) >= _LEAST_GAPS)
        or (
            found.measure is not None
            and found.p_value < sure
            and found.shift >= LEAST[found.measure]
        )
    )
    old, new = found.old, found.new
    if gaps.any():
        old, new = f"{old}, gaps {old_gaps:.1%}", f"{new}, gaps {new_gaps:.1%}"
    return Shift(
        column=column.name,
        kind=column.kind,
        measure=found.measure,
        shift=found.shift,
        p_value=min(found.p_value, p_gaps),
        notable=notable,
        old=old,
        new=new,
        old_gaps=old_gaps,
        new_gaps=new_gaps,
        new_levels=found.new_levels,
        unseen=found.unseen,
        left_out=left_out,
    )


def _look(column: Column, generator: np.random.Generator) -> _Found:
    if column.kind == "date":
        return _Found(_span(column.old), _span(column.new))
    if column.numeric:
        return _number_shift(column, generator)
    if column.kind == "text":
        return _Found(_text_words(column.old), _text_words(column.new))
    return _id_shift(column) if column.kind in ("user", "item") else _level_shift(column)


def _gaps(rows: np.ndarray) -> int:
    if rows.dtype.kind == "f":
        return int(np.isnan(rows).sum())
    return int((rows == "").sum() if rows.dtype == object else (rows < 0).sum())


def _number_shift(column: Column, generator: np.random.Generator) -> _Found:
    new, old = (rows[~np.isnan(rows)] for rows in (column.new, column.old))
    words = _number_words(old), _number_words(new)
    new, old = (generator.choice(r, _SAMPLE, False) if len(r) > _SAMPLE else r for r in (new, old))
    spread = float(old.std() or new.std()) or 1.0
    p_value = float(ks_2samp(new, old, method="asymp").pvalue)
    return _Found(*words, "sd", float(wasserstein_distance(new, old)) / spread, p_value)


def _level_shift(column: Column) -> _Found:
    new, old = column.counts()
    total = float(np.abs(new / new.sum() - old / old.sum()).sum() / 2)
    # Levels too rare for the test count as one.
    rare = (new + old) * new.sum() / (new.sum() + old.sum()) < 5
    table = np.array([np.append(side[~rare], side[rare].sum()) for side in (new, old)])
    fresh = _fresh(column)
    p_value = min(_p_of_table(table), fresh.p_value)
    return _Found(
        *_level_words(column), "total variation", total, p_value, fresh.levels, fresh.share
    )


def _id_shift(column: Column) -> _Found:
    fresh = _fresh(column)
    words = _id_words(column, fresh.share)
    return _Found(*words, "unseen", fresh.more, fresh.p_value, fresh.levels, fresh.share)


def _p_of_table(table: np.ndarray) -> float:
    table = table[:, table.sum(axis=0) > 0]
    table = table[table.sum(axis=1) > 0]
    return float(chi2_contingency(table).pvalue) if min(table.shape) > 1 else 1.0


class _Fresh(NamedTuple):
    levels: tuple[str, ...]
    share: float
    more: float
    p_value: float


def _fresh(column: Column) -> _Fresh:
    """New levels, and the share of rows with such beyond what Good and Turing's formula expects.

    That is the share of old rows whose level occurs once (Good 1953, "The population frequencies of
    species and the estimation of population parameters").
    """
    new, old = column.counts()
    fresh = np.flatnonzero((old == 0) & (new > 0))
    fresh = fresh[np.argsort(-new[fresh], kind="stable")]
    found, rows = int(new[fresh].sum()), int(new.sum())
    expected = min(max(int((old == 1).sum()), 1) / int(old.sum()), 1.0)
    levels = tuple(column.levels[place] for place in fresh[:10])
    p_value = float(binomtest(found, rows, expected, "greater").pvalue)
    return _Fresh(levels, found / rows, max(found / rows - expected, 0.0), p_value)


# ---------------------------------------------------------------------------------------- words


def _brief(rows: np.ndarray) -> str:
    return "no values" if _gaps(rows) == len(rows) else f"{len(rows) - _gaps(rows):,} values"


def _number_words(rows: np.ndarray) -> str:
    low, high = np.nanquantile(rows, [0.05, 0.95])
    return f"mean {figure(np.nanmean(rows))}, mostly {figure(low)} to {figure(high)}"


def figure(value: Any) -> str:
    """A number with the digits that matter."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _span(rows: np.ndarray) -> str:
    ends = pd.to_datetime([np.nanmin(rows), np.nanmax(rows)], unit="s")
    whole = all(end % _DAY == 0 for end in (np.nanmin(rows), np.nanmax(rows)))
    first, last = (end.strftime("%Y-%m-%d" if whole else "%Y-%m-%d %H:%M") for end in ends)
    return first if first == last else f"{first} to {last}"


def _text_words(rows: np.ndarray) -> str:
    some = rows[np.linspace(0, len(rows) - 1, min(len(rows), 1000)).astype(np.int64)]
    return f"median {np.median([len(text.split()) for text in some]):,.0f} words"


def _level_words(column: Column) -> tuple[str, str]:
    new, old = column.counts()
    shares = np.array([old / old.sum(), new / new.sum()])
    moved = np.argsort(-np.abs(shares[1] - shares[0]), kind="stable")[:_SHOWN]
    first, second = (
        ", ".join(f"{column.levels[place]} {share[place]:.1%}" for place in moved)
        for share in shares
    )
    fresh = int(((old == 0) & (new > 0)).sum())
    return first, f"{second}, {fresh:,} new level{'s' * (fresh != 1)}" if fresh else second


def _id_words(column: Column, unseen: float) -> tuple[str, str]:
    new, old = column.counts()
    who = f"{column.kind}s"
    known = old[(new > 0) & (old > 0)]
    usual = np.median(np.repeat(old, old)) if old.sum() else 0
    active = np.median(np.repeat(old, new)[np.repeat(old, new) > 0]) if len(known) else 0
    return (
        f"{(old > 0).sum():,} {who}, a row's has {usual:,.0f} rows, "
        f"{(old == 1).sum() / old.sum():.1%} of rows are by one with no other",
        f"{(new > 0).sum():,} {who}, a known one's has {active:,.0f} rows, "
        f"{unseen:.1%} of rows are by {((old == 0) & (new > 0)).sum():,} never seen",
    )
