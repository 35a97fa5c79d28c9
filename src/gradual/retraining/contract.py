"""The contract of the rows: what new ones must be like to be trained on.

    contract = infer(training_rows, {"age": "continuous", "salary": "label"})
    Path("contract.yml").write_text(contract.to_yaml())  # people edit it
    contract = Contract.from_yaml(Path("contract.yml").read_text(), "contract.yml")
    broken = contract.check(new_rows)

Ranges are inferred with slack and new levels, users and items are welcome, so that ordinary new
rows pass; what is closed are the labels and the scale of the ratings. Pandera checks what is asked
of a value; shares (of gaps, of unknown levels) and counts are of all rows of a partition. The YAML
is the project's own: Pandera's has no shares, nor a limit that moves with the date.
"""

import difflib
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeAlias, get_args

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import yaml

from gradual.results.scores import wilson
from gradual.retraining.column_types import WORDS, ColumnType, level_type, plain, time_type, typed
from gradual.sources.errors import SourceError

if TYPE_CHECKING:
    from pandera.pandas import DataFrameSchema

#: What a column is: a label (closed), a number to predict, a rating (closed scale), levels, a
#: number, a text, a date or time, the id of a user, the id of an item.
ColumnKind: TypeAlias = Literal[
    "label", "target", "rating", "categorical", "continuous", "text", "date", "user", "item"
]
Level: TypeAlias = str | int | float | bool
MISSING = ("", "?")

_NEEDED = ("label", "target", "rating", "user", "item", "date", "text")  # no row without one
_MOST_KNOWN = 200  # levels that are listed; a column of more has no rule about them
_SLACK = 0.5  # of the spread, on both sides of a range
_DAYS_AHEAD = 2  # time zones, and clocks that are wrong
_SURE = 0.999  # that a share is above its limit: many are looked at, night after night
_FEWEST = 30  # values that a median is taken of
_SHOWN = 60  # characters of a value in a message
# UTF-8 that was read as Latin-1 or Windows-1252 (of Western letters, quotes, Cyrillic), and what
# stands for bytes that could not be decoded.
_SECOND = "[\u0080-\u00bf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]"
_GARBLED = f"\ufffd|[ÂÃ]{_SECOND}|â[€\u0080]|(?:[ÐÑ]{_SECOND}){{2}}"
_ENCODING = "signs of a wrong encoding"

_HEADER = """\
# What new rows must be like to be trained on. Edit it: nothing overwrites it. Take a rule or a
# column out, and nothing is asked there; delete the file, and it is inferred anew.
# A row that breaks a rule is left out and kept with the reason. Rules marked * are about all rows
# of a partition, which is refused if it breaks one.
#   rows             * least and most rows
#   missing          texts that mean that there is no value
#   type             number, integer, boolean, text, date; seconds or milliseconds since 1970
#   lowest, highest  smallest and largest number or date
#   days_ahead       how many days a date may lie in the future
#   longest          most characters of a text
#   known            the labels or levels that there are
#   gaps             rows without a value \\  at 0 such a row is broken; above,
#   unseen           .. with another level  > * it is the largest share of the rows;
#   garbled          .. in a wrong encoding /  without it they are not looked for
#   least_median     * smallest median of the numbers: finds metres that have become kilometres
"""


@dataclass(frozen=True)
class ColumnRules:
    """What is asked of a column; a rule that is None asks nothing.

    Attributes:
        type: Of its values.
        lowest: Smallest number, or first day.
        highest: Largest number, or last day.
        days_ahead: How far a date may be ahead of the day on which it is checked.
        longest: Most characters of a text, blanks around it not counted.
        known: The levels that there are.
        gaps: Largest share of a partition's rows without a value; 0: each such row is broken.
        unseen: Likewise, of rows with a level that is not known; None only counts them.
        garbled: Likewise, of rows with signs of a wrong encoding.
        least_median: Smallest median of a partition.
    """

    type: ColumnType
    lowest: float | date | None = None
    highest: float | date | None = None
    days_ahead: int | None = None
    longest: int | None = None
    least_median: float | None = None
    gaps: float | None = None
    unseen: float | None = None
    garbled: float | None = None
    known: tuple[Level, ...] | None = None

    def __post_init__(self) -> None:
        if self.type not in get_args(ColumnType):
            raise ValueError(f"type is {self.type!r}: choose among {', '.join(WORDS)}")
        for name in ("gaps", "unseen", "garbled"):
            share = getattr(self, name)
            if share is not None and not (_is_number(share) and 0 <= share <= 1):
                raise ValueError(f"{name} is {share!r}: give a share of the rows, from 0 to 1")
        for name in ("days_ahead", "longest"):
            count = getattr(self, name)
            if count is not None and not (type(count) is int and count >= 0):
                raise ValueError(f"{name} is {count!r}: give a whole number, 0 or more")
        for name, types in _RULES_OF_TYPES.items():
            if getattr(self, name) is not None and self.type not in types:
                raise ValueError(f"{name} is for the types {', '.join(types)}, not for {self.type}")
        for name in ("lowest", "highest", "least_median"):
            limit, days = getattr(self, name), self.type in _TIMES
            if limit is not None and not (type(limit) is date if days else _is_number(limit)):
                form = "a day such as 2020-12-31" if days else "a number"
                raise ValueError(f"{name} is {limit!r}: give {form}")
        if self.lowest is not None and self.highest is not None and self.lowest > self.highest:  # type: ignore[operator]
            raise ValueError(f"lowest is {self.lowest}, which is above highest, {self.highest}")
        if self.unseen is not None and self.known is None:
            raise ValueError("unseen needs known, the list of levels that there are")
        if self.known is not None:
            if not isinstance(self.known, tuple) or not self.known:
                raise ValueError(f"known is {self.known!r}: give a list of levels")
            for level in self.known:
                if type(level) not in _LEVELS[self.type]:
                    hint = "put it in quotes" if self.type == "text" else "correct it, or the type"
                    raise ValueError(f"known has {level!r}, {WORDS[self.type]}: {hint}")
            if len(set(self.known)) < len(self.known):
                raise ValueError(f"known is {list(self.known)}: name each level once")


_NUMBERS = ("number", "integer")
_TIMES = ("date", "seconds", "milliseconds")
_LEVELS: dict[str, tuple[type, ...]] = {
    "text": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}
_RULES_OF_TYPES: dict[str, Sequence[str]] = {
    "lowest": (*_NUMBERS, *_TIMES),
    "highest": (*_NUMBERS, *_TIMES),
    "days_ahead": _TIMES,
    "longest": ("text",),
    "garbled": ("text",),
    "least_median": _NUMBERS,
    "known": tuple(_LEVELS),
}


@dataclass(frozen=True)
class Broken:
    """What of some rows breaks the contract.

    Attributes:
        checked: How many rows were looked at.
        reasons: A line for each value that breaks a rule: `row` (0 is the first), `column`, `value`
            (as text, None where there is none), `reason` ("age is 214: more than 130"), `rule`
            ("more than 130"); in order of rows.
        table_wide: What is wrong with all of them: missing columns, too many gaps, too few rows.
            Rows of which this is not empty are of no use.
        remarks: What is new, but breaks nothing: levels, columns.
    """

    checked: int
    reasons: pd.DataFrame
    table_wide: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def rows(self) -> np.ndarray:
        """Numbers of the rows that break it, ascending, int64."""
        return np.unique(self.reasons["row"].to_numpy(np.int64))

    @property
    def share(self) -> float:
        """Share of the rows that break it."""
        return len(self.rows) / self.checked if self.checked else 0.0

    def by_rule(self) -> pd.DataFrame:
        """How often each rule was broken, most often first.

        Returns:
            `column`, `rule`, `rows`, `share` (of all rows), `example` (a reason).
        """
        groups = self.reasons.groupby(["column", "rule"], sort=False, observed=True)
        counted = groups.agg(rows=("row", "size"), example=("reason", "first")).reset_index()
        counted = counted.sort_values("rows", ascending=False, kind="stable", ignore_index=True)
        counted.insert(3, "share", counted["rows"] / max(1, self.checked))
        return counted

    def summary(self, most: int = 3) -> str:
        """What is wrong, in a line: for the log, and for whoever is told that a run was stopped."""
        said = list(self.table_wide)
        if len(self.rows):
            rules = [
                f"{r.example} ({r.rows:,} rows)" for r in self.by_rule().head(most).itertuples()
            ]
            others = len(self.by_rule()) - most
            rules += [f"{others} more rules"] if others > 0 else []
            said.append(
                f"{len(self.rows):,} of {self.checked:,} rows ({self.share:.2%}) break the "
                f"contract: {'; '.join(rules)}"
            )
        return "; ".join(said) or f"all {self.checked:,} rows keep the contract"

    def frame(self, partition: str) -> pd.DataFrame:
        """The broken rows of a partition: `partition`, `row`, `column`, `value`, `reason`."""
        found = self.reasons.drop(columns="rule")
        found.insert(0, "partition", partition)
        return found


@dataclass(frozen=True)
class Contract:
    """What is asked of a partition and of its rows.

    Attributes:
        columns: The rules of each column; other columns are nobody's concern.
        least_rows: Fewest rows of a partition.
        most_rows: Most rows of a partition; None for any number.
        missing: Texts that mean that there is no value, compared without blanks around them.
    """

    columns: Mapping[str, ColumnRules]
    least_rows: int = 1
    most_rows: int | None = None
    missing: tuple[str, ...] = MISSING

    def to_yaml(self) -> str:
        """The contract as people read and edit it."""
        rules = {
            name: {
                rule: list(value) if isinstance(value, tuple) else value
                for rule, value in asdict(asked).items()
                if value is not None
            }
            for name, asked in self.columns.items()
        }
        rows = {"least": self.least_rows, "most": self.most_rows}
        content = {"rows": rows, "missing": list(self.missing), "columns": rules}
        written = yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
        return f"{_HEADER}\n{written}"

    @classmethod
    def from_yaml(cls, text: str, where: str) -> "Contract":
        """Read a contract that people may have edited.

        Args:
            text: YAML as `to_yaml` writes it.
            where: Name of the file, for messages.

        Raises:
            SourceError: It is no YAML, or something in it makes no sense; names line and key.
        """
        return _Edited(text, where).contract()

    def check(self, rows: pa.Table | Iterable[pa.Table], *, now: datetime | None = None) -> Broken:
        """Look at each row of a partition, and at all of them together.

        Args:
            rows: The partition, whole or in chunks, of which one at a time is held.
            now: What dates in the future are measured by; None is the present.
        """
        now = now or datetime.now(UTC)
        check = _Check(self, now)
        for chunk in [rows] if isinstance(rows, pa.Table) else rows:
            check.look(chunk)
        return check.broken()

    def cast(self, table: pa.Table) -> pa.Table:
        """The rows with the contract's types, so that partitions go together.

        A file in which one number is misspelt has a column of texts; without its broken rows it is
        one of numbers again. Texts stay as they are written, dates too if they are texts.
        """
        for name, rules in self.columns.items():
            place = table.schema.get_field_index(name)
            if place < 0 or rules.type in _TIMES:
                continue
            values = table.column(place)
            if rules.type != "text":
                values, _ = typed(values, rules.type, self._missing)
            elif not pa.types.is_string(plain(values).type):
                values, _ = typed(values, "text", self._missing)
            table = table.set_column(place, name, values)
        return table

    @property
    def _missing(self) -> pa.Array:
        return pa.array(self.missing, pa.string())


def infer(
    table: pa.Table,
    columns: Mapping[str, ColumnKind],
    *,
    missing: Sequence[str] = MISSING,
    partition_rows: Sequence[int] = (),
    now: datetime | None = None,
) -> Contract:
    """Find a contract that the rows keep, and that others like them will keep too.

    Args:
        table: Rows to train on.
        columns: The columns that are used, and what they are.
        missing: Texts that mean that there is no value.
        partition_rows: How many rows the partitions had so far; none: the table is one. Of fewer
            than three, which may be all of the past at once, nothing follows for the least.
        now: What dates in the future are measured by; None is the present.

    Raises:
        SourceError: A column is missing, or most of its values are not what it is listed as.
    """
    absent = pa.array(missing, pa.string())
    rules = {}
    for name, kind in columns.items():
        if table.column_names.count(name) != 1:
            raise SourceError(
                f"the training rows have no column {name!r}, or more than one; they have "
                f"{', '.join(map(repr, table.column_names))}: correct the columns"
            )
        rules[name] = _inferred(table.column(name), name, kind, absent, now or datetime.now(UTC))
    sizes = partition_rows or (table.num_rows,)
    return Contract(
        rules,
        least_rows=max(1, min(sizes) // 10) if len(sizes) > 2 else 1,
        most_rows=10 * max(sizes),
        missing=tuple(missing),
    )


def _inferred(
    column: pa.ChunkedArray, name: str, kind: ColumnKind, missing: pa.Array, now: datetime
) -> ColumnRules:
    """The rules of a column of some kind."""
    if kind not in get_args(ColumnKind):
        raise ValueError(f"{name} is {kind!r}: choose among {', '.join(get_args(ColumnKind))}")
    if kind == "date":
        found = time_type(column)
    elif kind == "text":
        found = "text"
    elif kind in ("target", "rating", "continuous"):
        found = "number"
    else:
        found = level_type(column, missing)
    values, wrong = typed(column, found, missing)
    there = values.drop_null()
    if (bad := pc.sum(wrong).as_py() or 0) > 0.01 * len(there):
        example = plain(column).filter(wrong)[0].as_py()
        raise SourceError(
            f"the column {name!r} is listed under {kind}, but {bad:,} of its values are "
            f"{WORDS[found]}, such as {example!r}: correct the parameters, or the rows"
        )
    share = (len(values) - len(there)) / max(1, len(values))
    rules: dict[str, Any] = {"gaps": _share_limit(share)}
    if kind in _NEEDED and share == 0:
        rules["gaps"] = 0.0
    if not len(there):
        return ColumnRules(found)
    if found == "text":
        garbled = pc.mean(_garbled(there)).as_py()
        rules["garbled"] = 0.0 if garbled <= 0.001 else _share_limit(garbled)
    if kind == "text":
        longest = pc.max(pc.utf8_length(there)).as_py()
        rules["longest"] = max(1000, int(_rounded(5 * longest, math.ceil)))
    elif kind == "rating":
        rules |= {"lowest": pc.min(there).as_py(), "highest": pc.max(there).as_py()}
    elif found in _TIMES:
        rules |= _time_limits(there, now)
    elif kind in ("continuous", "target", "date"):
        rules |= _number_limits(there)
    elif kind in ("user", "item"):
        if found != "text" and pc.min(there).as_py() >= 0:
            rules["lowest"] = 0
    else:
        rules |= _level_limits(there, closed=kind == "label")
    return ColumnRules(found, **{key: _whole(value) for key, value in rules.items()})


def _share_limit(share: float) -> float | None:
    """A share that a partition may well have if another had this one; None is any."""
    limit = round(0.05 + 2 * share, 2)
    return limit if limit < 1 else None


def _number_limits(there: pa.Array) -> dict[str, float]:
    """The range of numbers, widened on both sides; what is not negative stays so."""
    smallest, largest = pc.min(there).as_py(), pc.max(there).as_py()
    limits = {}
    if smallest >= 0:
        limits["lowest"] = 0.0
        low = pc.quantile(there, 0.05)[0].as_py()
        if low > 0:
            limits["least_median"] = _rounded(low / 3, math.floor)
    if smallest < largest:
        slack = _SLACK * (largest - smallest)
        limits["lowest"] = max(
            _rounded(smallest - slack, math.floor), limits.get("lowest", -math.inf)
        )
        limits["highest"] = _rounded(largest + slack, math.ceil)
    return limits


def _time_limits(there: pa.Array, now: datetime) -> dict[str, Any]:
    first, last = pc.min(there).as_py(), pc.max(there).as_py()
    ahead = (last - now.astimezone(UTC).replace(tzinfo=None)) / timedelta(days=1)
    slack = max(last - first, timedelta(days=365))
    limits: dict[str, Any] = {"days_ahead": max(_DAYS_AHEAD, math.ceil(1.5 * ahead))}
    if first - datetime.min > slack:
        limits["lowest"] = (first - slack).date()
    return limits


def _level_limits(there: pa.Array, *, closed: bool) -> dict[str, Any]:
    """The levels; that most rows have new ones is a fault where hardly one occurs only once."""
    levels, counts = pc.value_counts(there).flatten()
    if closed:
        return {"known": tuple(sorted(levels.to_pylist())), "unseen": 0.0}
    if len(levels) > _MOST_KNOWN:
        return {}
    limits: dict[str, Any] = {"known": tuple(sorted(levels.to_pylist()))}
    # The share of rows with levels that are yet to be seen is about that of levels seen once
    # (Good 1953). Of numbers (months, weeks, flags) the next ones may all be new.
    rare = pc.sum(pc.equal(counts, 1)).as_py() <= 0.05 * len(there)
    if rare and len(levels) > 1 and pa.types.is_string(there.type):
        limits["unseen"] = 0.5
    return limits


def _rounded(value: float, towards: Callable[[float], float]) -> float:
    """Two digits of a number, rounded up or down."""
    if value == 0:
        return 0.0
    digits = 1 - math.floor(math.log10(abs(value)))
    scaled = towards(float(f"{value * 10.0**digits:.6f}"))
    return float(scaled / 10**digits if digits >= 0 else scaled * 10 ** (-digits))


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]


def _schema(contract: Contract, now: datetime) -> tuple["DataFrameSchema", dict[str, list[str]]]:
    """What Pandera asks of the values, and what to say of those that fail each column's checks."""
    from pandera.pandas import Check, Column, DataFrameSchema  # a second to import

    columns, words = {}, {}
    for name, rules in contract.columns.items():
        checks = []
        days = rules.type in _TIMES
        for limit, check, said in (
            (rules.lowest, Check.ge, "before" if days else "less than"),
            (rules.highest, Check.le, "after" if days else "more than"),
        ):
            if limit is not None:
                bound = limit
                if isinstance(limit, date):  # all of the last day
                    last = timedelta(days=1, microseconds=-1) if said == "after" else timedelta()
                    bound = pd.Timestamp(limit) + last
                checks.append((check(bound), f"{said} {_number(limit)}"))
        if rules.days_ahead is not None:
            latest = pd.Timestamp(now).tz_convert("UTC").tz_localize(None).as_unit("us")
            latest += timedelta(days=rules.days_ahead)
            said = f"in the future (more than {rules.days_ahead} days)"
            checks.append((Check.le(latest), said))
        if rules.longest is not None:
            said = f"longer than {rules.longest:,} characters"
            checks.append((Check.str_length(max_value=rules.longest), said))
        if rules.unseen == 0 and rules.known is not None:
            shown = ", ".join(map(repr, rules.known[:10]))
            more = "" if len(rules.known) <= 10 else f" or {len(rules.known) - 10} more"
            checks.append((Check.isin(rules.known), f"not one of {shown}{more}"))
        if rules.garbled == 0:
            checks.append((Check(_is_clean), _ENCODING))
        nullable = rules.gaps != 0
        if checks or not nullable:
            columns[name] = Column(checks=[c for c, _ in checks], nullable=nullable, required=False)
            words[name] = [said for _, said in checks]
    return DataFrameSchema(columns), words


def _garbled(texts: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Which texts have signs of a wrong encoding; ASCII has none, and is quickly told."""
    ascii_only = pc.string_is_ascii(texts)
    if pc.all(ascii_only).as_py() is not False:
        return pc.invert(ascii_only)
    return pc.match_substring_regex(texts, _GARBLED)


def _is_clean(values: pd.Series) -> pd.Series:
    clean = pc.invert(_garbled(pa.chunked_array(pa.array(values))))
    return pd.Series(pd.arrays.ArrowExtensionArray(clean), index=values.index)


@dataclass
class _Tally:
    """What is counted of a column over the chunks of a partition."""

    rows: int = 0
    gaps: int = 0
    garbled: int = 0
    unseen: Counter[Level] = field(default_factory=Counter)
    numbers: list[np.ndarray] = field(default_factory=list)


class _Check:
    """The check of one partition, chunk by chunk."""

    def __init__(self, contract: Contract, now: datetime) -> None:
        self.contract = contract
        self.schema, self.words = _schema(contract, now)
        self.rows = 0
        self.tallies = {name: _Tally() for name in contract.columns}
        self.unusable: dict[str, tuple[str, list[str]]] = {}
        self.found: list[pd.DataFrame] = []

    def look(self, chunk: pa.Table) -> None:
        """Check some rows, and count what is asked of all."""
        missing = pa.array(self.contract.missing, pa.string())
        frame, wrongs = {}, {}
        for name, rules in self.contract.columns.items():
            if chunk.column_names.count(name) != 1:
                what = "twice" if name in chunk.column_names else "missing"
                others = [c for c in chunk.column_names if c not in self.contract.columns]
                self.unusable.setdefault(name, (what, others))
                continue
            values, wrong = typed(chunk.column(name), rules.type, missing)
            wrongs[name] = wrong.to_numpy(zero_copy_only=False)
            self._note(chunk, name, np.flatnonzero(wrongs[name]), WORDS[rules.type])
            self._count(name, values, wrong)
            if name in self.words:
                frame[name] = pd.Series(pd.arrays.ArrowExtensionArray(values))
        for name, rule, places in self._failures(pd.DataFrame(frame)):
            if rule == "empty":  # a value of another type is broken, but no gap
                places = places[~wrongs[name][places]]
            self._note(chunk, name, places, rule)
        self.rows += chunk.num_rows

    def _failures(self, frame: pd.DataFrame) -> Iterator[tuple[str, str, np.ndarray]]:
        """Column, rule and rows of what Pandera refuses."""
        from pandera.errors import SchemaErrors

        try:
            self.schema.validate(frame, lazy=True, inplace=True)
        except SchemaErrors as errors:
            for error in errors.schema_errors:
                name = error.schema.name
                rule = "empty" if error.check_index is None else self.words[name][error.check_index]
                yield name, rule, np.sort(error.failure_cases["index"].to_numpy(np.int64))

    def _count(self, name: str, values: pa.Array, wrong: pa.Array) -> None:
        rules, tally = self.contract.columns[name], self.tallies[name]
        tally.rows += len(values)
        tally.gaps += values.null_count - pc.sum(wrong).as_py()
        if rules.garbled:
            tally.garbled += pc.sum(_garbled(values)).as_py() or 0
        if rules.known is not None and rules.unseen != 0:
            known = pc.is_in(values, value_set=pa.array(rules.known, values.type))
            new = values.filter(pc.invert(known)).drop_null()
            for pair in pc.value_counts(new).to_pylist():
                tally.unseen[pair["values"]] += pair["counts"]
        if rules.least_median is not None:
            tally.numbers.append(values.drop_null().to_numpy(zero_copy_only=False))

    def _note(self, chunk: pa.Table, name: str, places: np.ndarray, rule: str) -> None:
        if not len(places):
            return
        values = plain(chunk.column(name)).take(pa.array(places)).dictionary_encode()
        raw = values.dictionary.to_pylist()
        said = [*(f"{name} is {_shown(v, rule)}: {rule}" for v in raw), f"{name} is {rule}"]
        texts = [*(None if v is None else str(_whole(v)) for v in raw), None]
        codes = pc.fill_null(values.indices, len(raw)).to_numpy(zero_copy_only=False)
        self.found.append(
            pd.DataFrame(
                {
                    "row": self.rows + places,
                    "column": name,
                    "value": np.array(texts, object)[codes],
                    "reason": np.array(said, object)[codes],
                    "rule": rule,
                }
            )
        )

    def broken(self) -> Broken:
        """What was found."""
        reasons = pd.concat([_NOTHING, *self.found], ignore_index=True)
        return Broken(
            self.rows,
            reasons.sort_values("row", kind="stable", ignore_index=True),
            tuple(self._table_wide()),
            tuple(self._remarks()),
        )

    def _table_wide(self) -> Iterator[str]:
        contract = self.contract
        for name, (what, others) in self.unusable.items():
            if what == "twice":
                yield f"the column {name!r} is there twice: name each column once"
            else:
                close = difflib.get_close_matches(name, others, n=1, cutoff=0.6)
                hint = f" (renamed to {close[0]!r}?)" if close else ""
                listed = f"; columns that the contract does not know: {others}" if others else ""
                yield f"the column {name!r} is missing{hint}{listed}"
        if self.rows < contract.least_rows:
            yield f"{self.rows:,} rows: fewer than {contract.least_rows:,}"
        if contract.most_rows is not None and self.rows > contract.most_rows:
            yield f"{self.rows:,} rows: more than {contract.most_rows:,}"
        for name, tally in self.tallies.items():
            rules, unseen = contract.columns[name], sum(tally.unseen.values())
            common = ", ".join(repr(level) for level, _ in tally.unseen.most_common(3))
            for count, limit, what in (
                (tally.gaps, rules.gaps, "has no value"),
                (unseen, rules.unseen, f"has levels that are not known, such as {common},"),
                (tally.garbled, rules.garbled, f"has {_ENCODING}"),
            ):
                # Of few rows a share may be above the limit by chance: it has to be so for sure.
                if limit and count and wilson(count, tally.rows, _SURE)[0] > limit:
                    share = count / tally.rows
                    yield f"{name} {what} in {share:.1%} of the rows: more than {limit:.1%}"
            if rules.least_median is not None:
                numbers = np.concatenate([*tally.numbers, []])
                if len(numbers) >= _FEWEST and np.median(numbers) < rules.least_median:
                    median = f"{np.median(numbers):.4g}"
                    yield f"the median of {name} is {median}: less than {rules.least_median:,}"

    def _remarks(self) -> Iterator[str]:
        for name, tally in self.tallies.items():
            if tally.unseen:
                common = ", ".join(repr(level) for level, _ in tally.unseen.most_common(5))
                more = ", …" if len(tally.unseen) > 5 else ""
                yield (
                    f"{name} has {_counted(len(tally.unseen), 'new level')} in "
                    f"{_counted(sum(tally.unseen.values()), 'row')}: {common}{more}"
                )


_NOTHING = pd.DataFrame(
    {
        "row": pd.Series(dtype=np.int64),
        **{name: pd.Series(dtype="str") for name in ("column", "value", "reason", "rule")},
    }
)


def _shown(value: object, rule: str) -> str:
    """A value in a message: of a long text the beginning, or where its encoding is wrong."""
    if not isinstance(value, str):
        return str(_whole(value))
    wrong = re.search(_GARBLED, value) if rule == _ENCODING else None
    start = max(0, wrong.start() - _SHOWN // 2) if wrong else 0
    piece = value[start : start + _SHOWN]
    return repr("…" * (start > 0) + piece + "…" * (start + _SHOWN < len(value)))


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _number(limit: float | date) -> str:
    return f"{limit:,}" if isinstance(limit, int) and abs(limit) >= 10_000 else str(limit)


class _Dumper(yaml.SafeDumper):
    """Lists in a line, mappings in lines of their own."""


_Dumper.add_representer(
    list, lambda dumper, value: dumper.represent_sequence("tag:yaml.org,2002:seq", value, True)
)


class _Edited:
    """A contract that people may have edited, and where each of its keys stands."""

    def __init__(self, text: str, where: str) -> None:
        self.where = where
        self.lines: dict[tuple[str, ...], int] = {}
        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
            self._find_lines(node, ())
            self.content = yaml.safe_load(text)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise SourceError(
                f"{where} line {line} is no YAML ({error.problem}): correct it"
            ) from error
        except (yaml.YAMLError, ValueError) as error:  # a day such as 2020-02-31
            raise SourceError(f"{where} is no YAML ({error}): correct it") from error

    def _find_lines(self, node: yaml.Node | None, path: tuple[str, ...]) -> None:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                place = (*path, str(key.value))
                line = key.start_mark.line + 1
                if place in self.lines:
                    self._refuse(place, f"stands in line {self.lines[place]} too: keep one", line)
                self.lines[place] = line
                self._find_lines(value, place)

    def _refuse(self, path: tuple[str, ...], message: str, line: int | None = None) -> NoReturn:
        while not line and path and path not in self.lines:
            path = path[:-1]
        line = line or self.lines.get(path)
        at = f" line {line}" if line else ""
        raise SourceError(f"{self.where}{at}: {'.'.join(path) or 'the contract'} {message}")

    def _mapping(
        self, value: object, path: tuple[str, ...], known: Sequence[str]
    ) -> dict[str, Any]:
        if not isinstance(value, dict):
            self._refuse(
                path, f"is {value!r}: give it lines such as `{known[0] if known else 'x'}: …`"
            )
        for key in value:
            if known and key not in known:
                close = difflib.get_close_matches(str(key), known, n=1)
                hint = f"did you mean {close[0]}?" if close else f"choose among {', '.join(known)}"
                self._refuse((*path, str(key)), f"is no rule: {hint}")
        return value

    def contract(self) -> Contract:
        """The contract, every rule of it checked."""
        content = self._mapping(self.content, (), ("rows", "missing", "columns"))
        rows = self._mapping(content.get("rows") or {}, ("rows",), ("least", "most"))
        least, most = rows.get("least") or 0, rows.get("most")
        for name, count in (("least", least), ("most", math.inf if most is None else most)):
            if count != math.inf and not (type(count) is int and count >= 0):
                self._refuse(("rows", name), f"is {count!r}: give a number of rows")
        if most is not None and least > most:
            self._refuse(("rows", "least"), f"is {least}, which is above most, {most}")
        missing = content.get("missing") or []
        if not isinstance(missing, list) or not all(isinstance(text, str) for text in missing):
            self._refuse(("missing",), f"is {missing!r}: give a list of texts, in quotes")
        columns = {}
        names = tuple(rule.name for rule in fields(ColumnRules))
        for name, asked in self._mapping(content.get("columns"), ("columns",), ()).items():
            path = ("columns", str(name))
            rules = dict(self._mapping(asked, path, names))
            if "type" not in rules:
                self._refuse(path, f"has no type: choose among {', '.join(WORDS)}")
            if isinstance(rules.get("known"), list):
                rules["known"] = tuple(rules["known"])
            try:
                columns[str(name)] = ColumnRules(**rules)
            except ValueError as error:
                rule, _, problem = str(error).partition(" ")
                self._refuse((*path, rule), problem)
        return Contract(columns, least, most, tuple(missing))
