"""The rows that a source has been sent so far, each partition kept once, as Parquet, in a folder.

    kept = KeptRows(Path("data/02_intermediate/orders_retrain/kept_rows"))
    arrived = kept.take_in(partitions)
    for version in kept.to_check(rules):
        kept.accept(version, broken, rules)  # or kept.refuse(version, reason, rules)
    training, held_out = kept.split(config)

`ledger.json` says what is kept; a file that it does not name does not count. So whatever is done
takes effect when the ledger is replaced, in one step, and a process that is killed before leaves
files that the next `take_in` clears away. Only one process may write at a time.
"""

import datetime
import hashlib
import json
import logging
import re
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gradual.retraining.config import RetrainConfig
from gradual.retraining.row_hash import held_out, is_text, row_hashes
from gradual.sources.content import check_columns
from gradual.sources.errors import SourceError
from gradual.sources.reader import SourceRows, decoded, open_source
from gradual.training.files import atomic_path, fingerprint, from_json_types, to_json_types

logger = logging.getLogger(__name__)

LEDGER = "ledger.json"
FORMAT_VERSION = 1
_MARKS: dict[str, Callable[[str], Any]] = {
    "int": int,
    "float": float,
    "str": str,
    "Decimal": Decimal,
    "date": datetime.date.fromisoformat,
    "datetime": datetime.datetime.fromisoformat,
}


@dataclass(frozen=True)
class Partition:
    """Rows that arrive together.

    Attributes:
        name: What it is called whenever it comes; partitions are kept in the order of their names.
        hash: Of its content, and of how it is read.
        open: Says how to read it.
        watermark: Highest value of the column that says how far a table has been read.
    """

    name: str
    hash: str
    open: Callable[[], SourceRows]
    watermark: Any = None


@dataclass(frozen=True)
class Beyond:
    """A table that grows, of which the rows that were not there yet are the next partition.

    Attributes:
        name: What to call the table.
        column: Its column that never falls, such as the time of a row's last change.
        read: The rows whose value there is at least so much; all that have one, for None.
    """

    name: str
    column: str
    read: Callable[[Any], SourceRows]


#: What `KeptRows.take_in` takes.
Arrivals: TypeAlias = Iterable[Partition] | Beyond | SourceRows | None


@dataclass(frozen=True)
class Version:
    """A partition as it came once.

    Attributes:
        name: The partition's name.
        hash: The hash that it came with.
        taken_in: When, in ISO's form, UTC.
        state: `waiting` to be checked, `accepted`, or `refused`.
        rows: How many it has.
        file: Where they are, in the folder; None if they could not be read.
        reason: Why it was refused.
        rules: Hash of the rules that it was checked by.
        broken: File with the numbers of the rows that break them; None if none does.
        broken_hash: Hash of these numbers.
        watermark: See `Partition`, as a text with its type in front.
    """

    name: str
    hash: str
    taken_in: str
    state: Literal["waiting", "accepted", "refused"] = "waiting"
    rows: int = 0
    file: str | None = None
    reason: str | None = None
    rules: str | None = None
    broken: str | None = None
    broken_hash: str | None = None
    watermark: tuple[str, str] | None = None


@dataclass(frozen=True)
class Arrived:
    """What `take_in` found.

    Attributes:
        taken_in: Names of the partitions that are new, or come again with another content.
        corrected: Those of them that come again.
        late: Those of them that belong before some that came earlier.
        unreadable: Those that are there and cannot be read, with the reason, found this time.
        refused: Partitions that were refused earlier and have not changed, with the reason.
        unchanged: How many others came as they are kept.
        rows: How many rows were taken in.
    """

    taken_in: tuple[str, ...] = ()
    corrected: tuple[str, ...] = ()
    late: tuple[str, ...] = ()
    unreadable: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    unchanged: int = 0
    rows: int = 0


class KeptRows:
    """A folder of partitions and its ledger.

    Args:
        folder: It need not exist before the first partition is taken in.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def __repr__(self) -> str:
        return f"KeptRows({str(self.folder)!r})"

    @property
    def versions(self) -> tuple[Version, ...]:
        """All that the ledger names, by name, and of one name in the order in which they came.

        Raises:
            SourceError: The ledger cannot be read.
        """
        path = self.folder / LEDGER
        if not path.exists():
            return ()
        with _readable(path):
            ledger = json.loads(path.read_text(encoding="utf-8"))
            if ledger["format"] != FORMAT_VERSION:
                raise ValueError(f"its format is {ledger['format']}, not {FORMAT_VERSION}")
            return tuple(from_json_types(Version, entry) for entry in ledger["versions"])

    @property
    def accepted(self) -> tuple[Version, ...]:
        """The versions that count, by name."""
        return tuple(version for version in self.versions if version.state == "accepted")

    @property
    def watermark(self) -> Any:
        """Highest value of the watermark's column among accepted rows; None without any."""
        marks = [version.watermark for version in self.accepted if version.watermark]
        return max(map(_mark, marks), default=None)

    @property
    def hash(self) -> str:
        """Hash of all that counts: it changes with any row, and with which of them are broken."""
        return fingerprint([[v.name, v.hash, v.broken_hash] for v in self.accepted])

    def take_in(self, arrivals: Arrivals) -> Arrived:
        """Read and keep each partition that is not kept yet.

        A partition that comes again with another content is kept beside the old one until it is
        accepted. One that cannot be read is refused at once. What was taken in before an error, or
        before the process was killed, stays.

        Args:
            arrivals: The partitions; a table, of which the new rows are one; rows that are one
                partition; or None.

        Raises:
            OSError: A partition cannot be written; those before it are kept.
            SourceError: The ledger cannot be read, or a table.
        """
        self._tidy()
        before = self.versions
        taken_in: list[Version] = []
        corrected: list[str] = []
        late: list[str] = []
        unreadable: dict[str, str] = {}
        refused: dict[str, str] = {}
        last = max((version.name for version in before), default="")
        unchanged = 0
        for partition in sorted(self._partitions(arrivals), key=lambda each: each.name):
            came = [version for version in before if version.name == partition.name]
            known = next((each for each in came if each.hash == partition.hash), None)
            if known is not None:
                self._drop(came[came.index(known) + 1 :])  # it is again as it was
                if known.state == "refused":
                    refused[known.name] = known.reason or ""
                unchanged += known.state != "refused"
                continue
            version = self._read(partition)
            self._replace(partition.name, [v for v in came if v.state == "accepted"] + [version])
            if version.file is None:
                unreadable[version.name] = version.reason or ""
                continue
            taken_in.append(version)
            if came:
                corrected.append(version.name)
            elif version.name < last:
                late.append(version.name)
        self._tidy()
        return Arrived(
            tuple(version.name for version in taken_in),
            tuple(corrected),
            tuple(late),
            unreadable,
            refused,
            unchanged,
            sum(version.rows for version in taken_in),
        )

    def to_check(self, rules: str) -> tuple[Version, ...]:
        """The versions that have not been checked by these rules.

        Args:
            rules: Hash of the rules; when they change all partitions are checked anew, also those
                that were refused.
        """
        return tuple(v for v in self.versions if v.file is not None and v.rules != rules)

    def accept(self, version: Version, broken: Sequence[int] | np.ndarray, rules: str) -> None:
        """Let a version count, in the place of an earlier one.

        Args:
            version: One of `to_check`.
            broken: Numbers of the rows that break the rules, which are left out.
            rules: Hash of the rules.
        """
        numbers = np.unique(np.asarray(broken, np.int64))
        checked = replace(
            version, state="accepted", reason=None, rules=rules, broken=None, broken_hash=None
        )
        if len(numbers):
            digest = fingerprint(numbers.tolist())
            checked = replace(
                checked, broken=f"{version.file}.{digest[:16]}.npy", broken_hash=digest
            )
            with atomic_path(self.folder / str(checked.broken)) as temporary:
                np.save(temporary, numbers, allow_pickle=False)
        same = [each for each in self.versions if each.name == version.name]
        later = same[[each.hash for each in same].index(version.hash) + 1 :]
        self._replace(version.name, [checked, *later])
        self._tidy()

    def refuse(self, version: Version, reason: str, rules: str) -> None:
        """Let a version not count; an earlier one of the same name, if there is one, goes on to.

        It is checked again when the rules have changed, and replaced when it comes corrected.
        """
        checked = replace(
            version, state="refused", reason=reason, rules=rules, broken=None, broken_hash=None
        )
        same = [each for each in self.versions if each.name == version.name]
        self._replace(version.name, [checked if v.hash == version.hash else v for v in same])
        self._tidy()

    def rows(self, version: Version) -> pa.Table:
        """All rows of a version, in its own types.

        Raises:
            SourceError: Its file is missing or damaged.
        """
        path = self.folder / str(version.file)
        with _readable(path), pq.ParquetFile(path, page_checksum_verification=True) as file:
            return file.read()

    def sound_rows(self, version: Version) -> pa.Table:
        """The rows of a version that do not break the rules.

        Raises:
            SourceError: A file is missing or damaged.
        """
        table = self.rows(version)
        if version.broken is None:
            return table
        path = self.folder / version.broken
        sound = np.ones(table.num_rows, bool)
        with _readable(path):
            sound[np.load(path, allow_pickle=False)] = False
        return table.filter(pa.array(sound))

    def split(self, config: RetrainConfig) -> tuple[pa.Table, pa.Table]:
        """The rows to train on and those held out, partition by partition, in the same types.

        Of a table's rows that have the same `key` the one that came last counts.

        Raises:
            SourceError: A file cannot be read, or a column of the key is missing.
        """
        parts: tuple[list[pa.Table], list[pa.Table]] = ([], [])
        again = np.zeros(0, np.uint64)
        for version in reversed(self.accepted):
            table = self.sound_rows(version)
            hashes = row_hashes(table, config.key, version.name)
            if version.watermark and config.key:
                newest = len(hashes) - 1 - np.unique(hashes[::-1], return_index=True)[1]
                keep = np.zeros(len(hashes), bool)
                keep[newest] = True
                keep &= ~np.isin(hashes, again)
                again = np.union1d(again, hashes)
                table, hashes = table.filter(pa.array(keep)), hashes[keep]
            out = pa.array(held_out(hashes, config.held_out))
            parts[0].insert(0, table.filter(pc.invert(out)))
            parts[1].insert(0, table.filter(out))
        types = _common_types([*parts[0], *parts[1]])
        return _joined(parts[0], types), _joined(parts[1], types)

    def training_rows(self, config: RetrainConfig) -> pa.Table:
        """The rows to train on, see `split`."""
        return self.split(config)[0]

    def held_out_rows(self, config: RetrainConfig) -> pa.Table:
        """The rows held out, see `split`."""
        return self.split(config)[1]

    def new_rows(self, known: Collection[str] = ()) -> pa.Table:
        """The rows of partitions that are not known yet, held out or not.

        Args:
            known: Hashes of versions, such as those accepted when the champion was trained.
        """
        return unified([self.sound_rows(v) for v in self.accepted if v.hash not in known])

    def _partitions(self, arrivals: Arrivals) -> list[Partition]:
        if isinstance(arrivals, Beyond):
            return self._beyond(arrivals)
        if isinstance(arrivals, SourceRows):
            table = _read_all(arrivals)
            return [Partition("source", _content_hash(table), lambda: open_source(table))]
        return list(arrivals or ())

    def _beyond(self, arrivals: Beyond) -> list[Partition]:
        """The rows of a table that are not among those accepted; none if there are none."""
        mark, column = self.watermark, arrivals.column
        table = _read_all(arrivals.read(mark))
        check_columns(arrivals.name, [column], table.column_names)
        parts = [version for version in self.versions if version.watermark]
        if mark is not None:
            # Rows of the very same value may have come since the table was read: to be read again.
            seen = [
                row_hashes(self.rows(v))
                for v in parts
                if v.state == "accepted" and v.watermark and _mark(v.watermark) == mark
            ]
            table = table.filter(pa.array(~np.isin(row_hashes(table), np.concatenate(seen))))
        if not table.num_rows:
            return []
        highest = pc.max(table[column]).as_py()
        if type(highest).__name__ not in _MARKS:
            raise SourceError(
                f"{arrivals.name}: the watermark's column {column!r} holds {table[column].type}: "
                "name one of numbers, dates, times or texts"
            )
        # Rows that were not accepted come again with those behind them, as the same partition.
        named = {version.name: version.state for version in parts}
        number = len(named) + (not named or named[max(named)] == "accepted")
        name = f"{arrivals.name} {number:06}"
        return [Partition(name, _content_hash(table), lambda: open_source(table), highest)]

    def _read(self, partition: Partition) -> Version:
        """Write a partition's rows to a file of their own."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        version = Version(partition.name, partition.hash, now)
        if partition.watermark is not None:
            mark = partition.watermark
            text = mark.isoformat() if isinstance(mark, datetime.date) else str(mark)
            version = replace(version, watermark=(type(mark).__name__, text))
        try:
            table = _read_all(partition.open())
        except SourceError as error:
            return replace(version, state="refused", reason=str(error))
        safe = re.sub(r"[^\w.-]+", "_", partition.name)[:80]
        file = f"{safe}-{fingerprint([partition.name, partition.hash])[:16]}.parquet"
        with atomic_path(self.folder / file) as temporary:
            pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)
        return replace(version, rows=table.num_rows, file=file)

    def _replace(self, name: str, versions: Sequence[Version]) -> None:
        """Write the ledger anew with these versions of one partition."""
        others = [version for version in self.versions if version.name != name]
        content = {
            "format": FORMAT_VERSION,
            "versions": sorted([*others, *versions], key=lambda version: version.name),
        }
        text = json.dumps(to_json_types(content), indent=1, ensure_ascii=False)
        with atomic_path(self.folder / LEDGER) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")

    def _drop(self, versions: Sequence[Version]) -> None:
        for gone in versions:
            same = [v for v in self.versions if v.name == gone.name and v.hash != gone.hash]
            self._replace(gone.name, same)

    def _tidy(self) -> None:
        """Remove files that the ledger does not name."""
        if not self.folder.is_dir():
            return
        named = {name for v in self.versions for name in (v.file, v.broken)} | {LEDGER}
        for path in self.folder.iterdir():
            if path.name not in named and path.suffix in (".parquet", ".npy"):
                path.unlink()
            elif path.is_dir() and path.suffix == ".tmp":
                shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, ValueError, KeyError, TypeError, IndexError) as error:
        raise SourceError(
            f"{path} cannot be read ({error}): restore it from a copy, or delete its folder to "
            "take in all partitions anew"
        ) from error


def unified(tables: Sequence[pa.Table]) -> pa.Table:
    """The rows of several tables, columns matched by name.

    A column that a table lacks is a gap there. One that has several types gets one that holds all
    of their values: whole and floating numbers become floating ones, dates and times times, texts
    what others are if all of them can be read so, and whatever else differs becomes texts.

    Raises:
        SourceError: Types do not go together, such as lists and numbers.
    """
    return _joined(tables, _common_types(tables))


def _joined(tables: Sequence[pa.Table], types: Mapping[str, pa.DataType]) -> pa.Table:
    def column(table: pa.Table, name: str, kind: pa.DataType) -> Any:
        there = name in table.column_names
        return table[name].cast(kind) if there else pa.nulls(table.num_rows, kind)

    parts = [pa.table({n: column(table, n, k) for n, k in types.items()}) for table in tables]
    return pa.concat_tables(parts) if parts else pa.table({})


def _common_types(tables: Sequence[pa.Table]) -> dict[str, pa.DataType]:
    columns: dict[str, list[pa.ChunkedArray]] = {}
    for table in tables:
        for name in table.column_names:
            columns.setdefault(name, []).append(table[name])
    return {name: _common(name, found) for name, found in columns.items()}


def _common(name: str, columns: Sequence[pa.ChunkedArray]) -> pa.DataType:
    kinds = list(dict.fromkeys(c.type for c in columns if not pa.types.is_null(c.type)))
    if len(kinds) < 2:
        return kinds[0] if kinds else pa.null()
    others = [column for column in columns if not is_text(column.type)]
    try:
        if all(pa.types.is_date(k) or (pa.types.is_timestamp(k) and k.tz is None) for k in kinds):
            common = pa.timestamp("us")
        elif len(others) == len(columns) or all(map(is_text, kinds)):
            schemas = [pa.schema([("", kind)]) for kind in kinds]
            common = pa.unify_schemas(schemas, promote_options="permissive").field(0).type
        else:  # texts are what the rest is, where only a row that was broken was not
            common = _common(name, others)
        for column in columns:
            column.cast(common)  # refuses what it cannot hold, such as large whole numbers
        return common
    except pa.ArrowException:
        if any(pa.types.is_nested(kind) for kind in kinds):
            raise SourceError(
                f"the column {name!r} is {' and '.join(map(str, kinds))} in different partitions, "
                "which do not go together: set its type in `types`"
            ) from None
        logger.warning(
            "The column %r is %s in different partitions: it is read as text.",
            name,
            " and ".join(map(str, kinds)),
        )
        return pa.string()


def _read_all(rows: SourceRows) -> pa.Table:
    """All rows, of which there may be none."""
    return unified([decoded(chunk) for chunk in rows.chunks()])


def _content_hash(table: pa.Table) -> str:
    """Hash of rows, whatever their order."""
    return hashlib.sha256(np.sort(row_hashes(table)).tobytes()).hexdigest()


def _mark(watermark: tuple[str, str]) -> Any:
    kind, text = watermark
    return _MARKS[kind](text)
