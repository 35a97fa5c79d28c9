"""Tables that are read in chunks: Parquet and CSV files, folders of shards, SQL tables and queries.

    for chunk in open_table(Path("sales")).chunks():
        ...

A source says where the rows are; nothing is read before its chunks are asked for, and never more
than one chunk is kept. It can be read as often as wanted, and sent to another process. Columns of
texts come as Arrow dictionaries in chunks, which are smaller and spare the preprocessing most of
its work, and as plain texts from `read`.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from gradual.sources.archives import path_pattern, read_members
from gradual.sources.errors import TableError

CHUNK_ROWS = 1 << 20
SUFFIXES = (".parquet", ".csv", ".tsv")
# A CSV file up to this size is read at once, so that all of it says what types its columns have.
_WHOLE_CSV_BYTES = 128 << 20
_CSV_BLOCK_BYTES = 16 << 20
_MOST_CSV_LEVELS = 1000  # in a block; texts of more are read as they are
_TEXTS = pa.dictionary(pa.int32(), pa.string())


class Part(Protocol):
    """A piece of a table that can be read by itself, by any process that sees its storage."""

    @property
    def name(self) -> str:
        """What to call it in messages."""

    def chunks(self) -> Iterator[pa.Table]:
        """Its rows, in order."""


@dataclass(frozen=True)
class Source:
    """A table in parts, read chunk by chunk.

    Attributes:
        parts: Where the rows are, in order.
        steps: What is done to each chunk when it is read (see `map`).
    """

    parts: tuple[Part, ...]
    steps: tuple[Callable[[pa.Table], pa.Table], ...] = ()

    def chunks(self) -> Iterator[pa.Table]:
        """All rows in order, a chunk at a time; reads anew at each call."""
        for part in self.parts:
            yield from self.chunks_of(part)

    def chunks_of(self, part: Part) -> Iterator[pa.Table]:
        """The chunks of one part, the steps done."""
        for chunk in part.chunks():
            for step in self.steps:
                chunk = step(chunk)
            yield chunk

    def map(self, step: Callable[[pa.Table], pa.Table]) -> "Source":
        """The source whose chunks are what `step` makes of these, e.g. the training rows alone."""
        return replace(self, steps=(*self.steps, step))

    def read(self) -> pa.Table:
        """The whole table in memory; texts are plain, types that differ between chunks widened.

        Raises:
            TableError: The chunks do not have the same columns, or types that cannot be widened.
        """
        chunks = [_plain(chunk) for chunk in self.chunks()]
        if not chunks:
            raise TableError(f"{_names(self.parts)}: there are no rows to read")
        for chunk in chunks[1:]:
            if set(chunk.column_names) != set(chunks[0].column_names):
                raise TableError(
                    f"{_names(self.parts)}: some rows have the columns {chunks[0].column_names}, "
                    f"others {chunk.column_names}: give all shards the same columns"
                )
        try:
            return pa.concat_tables(chunks, promote_options="permissive")
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
            raise TableError(
                f"{_names(self.parts)}: the shards' columns have types that do not go together "
                f"({error}): set the column's type in `types`"
            ) from error


@dataclass(frozen=True, eq=False)
class InMemory:
    """A table that is in memory already."""

    table: pa.Table
    name: str = "the table"

    def chunks(self) -> Iterator[pa.Table]:
        """Slices of the table."""
        for start in range(0, max(1, self.table.num_rows), CHUNK_ROWS):
            yield self.table.slice(start, CHUNK_ROWS)


@dataclass(frozen=True)
class ParquetShard:
    """One Parquet file, read by row groups or less."""

    path: str

    @property
    def name(self) -> str:
        """The path."""
        return self.path

    def chunks(self) -> Iterator[pa.Table]:
        """Its rows, at most `CHUNK_ROWS` at a time."""
        try:
            texts = [f.name for f in pq.read_schema(self.path) if pa.types.is_string(f.type)]
            with pq.ParquetFile(self.path, read_dictionary=texts) as file:
                if not file.metadata.num_rows:
                    yield file.schema_arrow.empty_table()
                for batch in file.iter_batches(CHUNK_ROWS):
                    yield pa.Table.from_batches([batch])
        except (pa.ArrowInvalid, OSError) as error:
            raise TableError(
                f"{self.path} cannot be read as Parquet ({error}): replace it by a good copy"
            ) from error


@dataclass(frozen=True)
class CsvShard:
    """One CSV or TSV file with a header, UTF-8.

    The types of a file up to 128 MiB are those of all its values. A larger one is streamed: its
    first block says the types, whole numbers are read as floating ones in case that a later block
    has others, and a column without any value there is read as text.

    Attributes:
        path: The file.
        types: Arrow's names of column types that are not to be found out, such as `string`.
        header: Names of the columns of a file that has no header line.
    """

    path: str
    types: Mapping[str, str] = field(default_factory=dict)
    header: tuple[str, ...] | None = None

    @property
    def name(self) -> str:
        """The path."""
        return self.path

    def chunks(self) -> Iterator[pa.Table]:
        """Its rows, some 16 MiB of text at a time."""
        try:
            if Path(self.path).stat().st_size <= _WHOLE_CSV_BYTES:
                yield from InMemory(
                    read_csv(self.path, self.path, self.types, self.header)
                ).chunks()
                return
            options = _csv_options(self.path, self.header)
            with pacsv.open_csv(self.path, **options) as reader:
                found = {f.name: _streamed_type(f.type) for f in reader.schema}
            found |= _types(self.types)
            options["convert_options"] = pacsv.ConvertOptions(column_types=found)
            with pacsv.open_csv(self.path, **options) as reader:
                names = reader.schema.names
                for batch in reader:
                    yield pa.Table.from_batches([batch])
        except pa.ArrowInvalid as error:
            raise _csv_error(self.path, error, locals().get("names", ())) from error
        except OSError as error:
            raise TableError(
                f"{self.path} cannot be read ({error}): correct the path in the catalog"
            ) from error


@dataclass(frozen=True)
class SqlRows:
    """The rows of one query.

    Attributes:
        connection: SQLAlchemy's URL of the database.
        query: What to select, in the database's SQL.
        name: What to call it in messages.
        rows: Rows fetched at a time.
    """

    connection: str = field(repr=False)  # it may hold a password
    query: str
    name: str
    rows: int = 1 << 16

    def chunks(self) -> Iterator[pa.Table]:
        """Its rows in the order that the database gives them; without ORDER BY, that may differ."""
        import sqlalchemy
        from sqlalchemy.exc import SQLAlchemyError

        try:
            engine = sqlalchemy.create_engine(self.connection)
            try:
                streaming = {"stream_results": True, "max_row_buffer": self.rows}
                with engine.connect().execution_options(**streaming) as connection:
                    result = connection.exec_driver_sql(self.query)
                    names = list(result.keys())
                    none = True
                    for rows in result.partitions(self.rows):
                        none = False
                        yield self._table(names, list(zip(*rows, strict=True)))
                    if none:
                        yield pa.table({name: pa.nulls(0) for name in names})
            finally:
                engine.dispose()
        except SQLAlchemyError as error:
            raise TableError(
                f"{self.name} cannot be read ({getattr(error, 'orig', None) or error}): correct "
                "the connection, the table or the query in the catalog"
            ) from error

    def _table(self, names: list[str], columns: list[tuple[Any, ...]]) -> pa.Table:
        arrays = []
        for name, values in zip(names, columns, strict=True):
            try:
                arrays.append(pa.array(values))
            except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
                kinds = sorted({type(value).__name__ for value in values if value is not None})
                raise TableError(
                    f"{self.name}: the column {name!r} mixes {' and '.join(kinds)} ({error}): CAST "
                    "it to one type in the query"
                ) from error
        return pa.Table.from_arrays(arrays, names)


def open_table(
    path: Path,
    *,
    member: str | None = None,
    types: Mapping[str, str] | None = None,
    header: tuple[str, ...] | None = None,
) -> Source:
    """A table in a file, in a folder of shards, or in an archive.

    Args:
        path: A `.parquet`, `.csv` or `.tsv` file; a folder of such files of one kind, read in the
            order of their names; or a tar or zip with one table, which is read into memory.
        member: The table's path inside an archive, `*` standing for any name.
        types: Arrow's names of types of CSV columns that are not to be found out.
        header: Names of the columns of CSV files without a header line.

    Raises:
        TableError: There is no such file, or it is of another kind.
    """
    path, types = Path(path), dict(types or {})
    _types(types)
    if path.is_dir():
        files = sorted(f for f in path.iterdir() if not f.name.startswith((".", "_")))
        kinds = {file.suffix.lower() for file in files}
        if len(kinds) != 1 or not kinds <= set(SUFFIXES):
            raise TableError(
                f"{path} holds {', '.join(sorted(kinds)) or 'no'} files: a folder of shards holds "
                f"files of one kind, {', '.join(SUFFIXES)}"
            )
        return Source(tuple(_shard(file, types, header) for file in files))
    if not path.is_file():
        raise TableError(f"{path} does not exist: correct the path in the catalog")
    if path.suffix.lower() in SUFFIXES:
        return Source((_shard(path, types, header),))
    return Source((InMemory(*_from_archive(path, member, types, header)),))


def read_csv(
    content: str | bytes,
    name: str,
    types: Mapping[str, str] | None = None,
    header: tuple[str, ...] | None = None,
) -> pa.Table:
    """Read a whole CSV or TSV file.

    Args:
        content: Its path or its bytes.
        name: Its name, which ends in `.csv` or `.tsv`.
        types: Arrow's names of types of columns that are not to be found out.
        header: Names of the columns if there is no header line.

    Raises:
        TableError: It cannot be parsed.
    """
    file = content if isinstance(content, str) else pa.BufferReader(content)
    options = _csv_options(name, header)
    options["convert_options"].column_types = _types(types or {})
    try:
        return pacsv.read_csv(file, **options)
    except pa.ArrowInvalid as error:
        raise _csv_error(name, error, header or ()) from error


def _shard(path: Path, types: Mapping[str, str], header: tuple[str, ...] | None) -> Part:
    if path.suffix.lower() == ".parquet":
        return ParquetShard(str(path))
    return CsvShard(str(path), types, header)


def _csv_options(name: str, header: tuple[str, ...] | None) -> dict[str, Any]:
    delimiter = "\t" if name.lower().endswith(".tsv") else ","
    return {
        "read_options": pacsv.ReadOptions(block_size=_CSV_BLOCK_BYTES, column_names=header),
        "parse_options": pacsv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        "convert_options": pacsv.ConvertOptions(
            auto_dict_encode=True, auto_dict_max_cardinality=_MOST_CSV_LEVELS
        ),
    }


def _types(types: Mapping[str, str]) -> dict[str, pa.DataType]:
    try:
        return {name: pa.type_for_alias(alias) for name, alias in types.items()}
    except ValueError as error:
        raise TableError(f"types: {error}; use Arrow's names, such as string or double") from error


def _streamed_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_integer(kind):
        return pa.float64()
    return kind if pa.types.is_floating(kind) or pa.types.is_boolean(kind) else _TEXTS


def _plain(chunk: pa.Table) -> pa.Table:
    """The chunk with texts instead of dictionaries of them."""
    for i, field_ in enumerate(chunk.schema):
        if pa.types.is_dictionary(field_.type):
            chunk = chunk.set_column(i, field_.name, chunk.column(i).cast(field_.type.value_type))
    return chunk


def _csv_error(name: str, error: pa.ArrowInvalid, names: Any) -> TableError:
    message = str(error)
    if (match := re.search(r"CSV column #(\d+)", message)) and int(match[1]) < len(names):
        message += f" (the column {names[int(match[1])]!r})"
    return TableError(
        f"{name} cannot be read as CSV ({message}): correct the file, or set the column's type in "
        "`types`"
    )


def _from_archive(
    path: Path, member: str | None, types: Mapping[str, str], header: tuple[str, ...] | None
) -> tuple[pa.Table, str]:
    pattern = path_pattern(member) if member else None

    def wanted(name: str) -> bool:
        if pattern is not None:
            return bool(pattern.fullmatch(name))
        return name.lower().endswith(SUFFIXES) and not name.rsplit("/", 1)[-1].startswith(".")

    tables = list(read_members(path, wanted))
    if len(tables) != 1:
        raise TableError(
            f"{path} must hold one table named {member or ' or '.join(SUFFIXES)}, but the ones "
            f"found are: {', '.join(name for name, _ in tables) or 'none'}; set 'member' to the "
            "path of the right one"
        )
    name, content = tables[0]
    if name.lower().endswith(".parquet"):
        return pq.read_table(pa.BufferReader(content)), f"{path}/{name}"
    return read_csv(content, name, types, header), f"{path}/{name}"


def of_table(table: pa.Table | pd.DataFrame) -> Source:
    """A source of a table that is in memory already."""
    if isinstance(table, pd.DataFrame):
        table = pa.Table.from_pandas(table, preserve_index=False)
    return Source((InMemory(table),))


def _names(parts: tuple[Part, ...]) -> str:
    return parts[0].name if len(parts) == 1 else f"{parts[0].name} … {parts[-1].name}"
