"""Parquet, JSON and Excel files, and tables that are in memory already."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.json as pajson
import pyarrow.parquet as pq

from gradual.sources.content import Content, check_columns
from gradual.sources.errors import SourceError
from gradual.sources.separated import CHUNK_ROWS, without_empty_texts

_WHOLE_BYTES = 128 << 20
_JSON_BLOCK_BYTES = 64 << 20  # a row must fit into it
# What Arrow takes for a gap among the numbers of a CSV file.
_NO_NUMBERS = frozenset({"", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "#N/A", "<NA>"})

Types = tuple[tuple[str, pa.DataType], ...]


@dataclass(frozen=True, eq=False)
class InMemory:
    """A table that is in memory already."""

    table: pa.Table
    name: str = "the table"

    def chunks(
        self,
        columns: Sequence[str] | None = None,
        *,
        as_text: bool = False,  # noqa: ARG002 - these have types of their own
    ) -> Iterator[pa.Table]:
        """Slices of the table."""
        check_columns(self.name, columns, self.table.column_names)
        table = self.table if columns is None else self.table.select(list(columns))
        for start in range(0, max(1, table.num_rows), CHUNK_ROWS):
            yield table.slice(start, CHUNK_ROWS)


@dataclass(frozen=True)
class ParquetFile:
    """One Parquet file, read by row groups or less; a compressed or packed one at once."""

    content: Content
    types: Types = ()

    @property
    def name(self) -> str:
        """The file's name."""
        return self.content.name

    def chunks(
        self,
        columns: Sequence[str] | None = None,
        *,
        as_text: bool = False,
    ) -> Iterator[pa.Table]:
        """Its rows, at most `CHUNK_ROWS` at a time; levels of texts come as dictionaries."""
        path = self.content.path
        try:
            where: Any = path if path else pa.BufferReader(self.content.read())
            schema = pq.read_schema(where)
            check_columns(self.name, columns, schema.names)
            texts = [] if as_text else [f.name for f in schema if pa.types.is_string(f.type)]
            wanted = None if columns is None else list(dict.fromkeys(columns))
            where = path if path else pa.BufferReader(self.content.read())
            with pq.ParquetFile(where, read_dictionary=texts) as file:
                if not file.metadata.num_rows:
                    empty = file.schema_arrow.empty_table()
                    yield empty if wanted is None else empty.select(wanted)
                for batch in file.iter_batches(CHUNK_ROWS, columns=wanted):
                    chunk = pa.Table.from_batches([batch])
                    yield with_types(without_empty_texts(chunk), self.types, self.name)
        except FileNotFoundError as error:
            raise SourceError(f"{self.name} does not exist: correct the path") from error
        except (pa.ArrowInvalid, OSError) as error:
            raise SourceError(
                f"{self.name} cannot be read as Parquet ({error}): replace it by a good copy"
            ) from error


@dataclass(frozen=True)
class JsonFile:
    """JSON lines, one object a row, or one array of such objects."""

    content: Content
    encoding: str | None = None
    types: Types = ()

    @property
    def name(self) -> str:
        """The file's name."""
        return self.content.name

    def chunks(
        self,
        columns: Sequence[str] | None = None,
        *,
        as_text: bool = False,  # noqa: ARG002 - these have types of their own
    ) -> Iterator[pa.Table]:
        """Its rows; a key that an object lacks is a gap. Lines above 128 MiB are streamed."""
        for table in self._tables():
            check_columns(self.name, columns, table.column_names)
            chosen = table if columns is None else table.select(list(dict.fromkeys(columns)))
            chosen = with_types(without_empty_texts(chosen), self.types, self.name)
            for start in range(0, max(1, table.num_rows), CHUNK_ROWS):
                yield chosen.slice(start, CHUNK_ROWS)

    def _tables(self) -> Iterator[pa.Table]:
        options = {
            "read_options": pajson.ReadOptions(block_size=_JSON_BLOCK_BYTES),
            "parse_options": pajson.ParseOptions(
                explicit_schema=pa.schema(list(self.types)) if self.types else None
            ),
        }
        utf8 = (self.encoding or "utf-8").lower().replace("_", "-") in ("utf-8", "utf8", "ascii")
        try:
            with self.content.open() as stream:
                start = stream.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
            if self.content.path and self.content.size > _WHOLE_BYTES and utf8 and start == b"{":
                with (
                    self.content.open() as stream,
                    pajson.open_json(pa.PythonFile(stream, mode="r"), **options) as reader,
                ):
                    for batch in reader:
                        yield pa.Table.from_batches([batch])
                return
            text = self.content.read().decode(self.encoding or "utf-8").removeprefix("\ufeff")
            if not text.strip():
                raise SourceError(f"{self.name} is empty: it needs rows")
            if text.lstrip().startswith("["):
                yield self._array(json.loads(text))
            else:
                yield pajson.read_json(pa.BufferReader(text.encode()), **options)
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            raise SourceError(
                f"{self.name} line {line} is not {error.encoding}: byte {error.start} of the file "
                f"is 0x{error.object[error.start]:02x}; set `encoding` in the catalog"
            ) from error
        except (pa.ArrowInvalid, json.JSONDecodeError) as error:
            counted = re.sub(  # Arrow's rows begin with 0
                r"in row (\d+)", lambda found: f"in row {int(found[1]) + 1}", str(error)
            )
            raise SourceError(
                f"{self.name} cannot be read as JSON, one object a line or an array of objects "
                f"({counted}): correct the file, or set the column's type in `types`"
            ) from error

    def _array(self, rows: list[Any]) -> pa.Table:
        for row, value in enumerate(rows, start=1):
            if not isinstance(value, dict):
                raise SourceError(
                    f"{self.name} row {row} is {type(value).__name__}, no object: give an array of "
                    'objects such as {"text": "…"}'
                )
        names = dict.fromkeys(key for row in rows for key in row)
        return pa.table({name: pa.array([row.get(name) for row in rows]) for name in names})


@dataclass(frozen=True)
class ExcelFile:
    """One sheet of an Excel or OpenDocument workbook, whose first row names the columns."""

    content: Content
    sheet: str | None = None
    columns: tuple[str, ...] = ()
    types: Types = ()

    @property
    def name(self) -> str:
        """The file's name, with the sheet's if one is named."""
        return f"{self.content.name}, sheet {self.sheet}" if self.sheet else self.content.name

    def chunks(
        self,
        columns: Sequence[str] | None = None,
        *,
        as_text: bool = False,  # noqa: ARG002 - these have types of their own
    ) -> Iterator[pa.Table]:
        """Its rows."""
        import io

        data = self.content.read()
        try:
            with pd.ExcelFile(io.BytesIO(data), engine="calamine") as book:
                sheet = self._choose([str(name) for name in book.sheet_names])
                header = list(self.columns)
                if not header:
                    first = book.parse(sheet, header=None, nrows=1)
                    header = [str(value).strip() for value in first.iloc[0]] if len(first) else []
                frame = book.parse(
                    sheet,
                    header=None,
                    skiprows=0 if self.columns else 1,
                    keep_default_na=False,
                    na_values=[""],
                )
        except SourceError:
            raise
        except Exception as error:  # calamine has errors of its own
            raise SourceError(
                f"{self.name} cannot be read as Excel ({error}): replace it by a good copy"
            ) from error
        if not header:
            raise SourceError(f"{self.name} is empty: it needs a header and rows")
        if len(frame.columns) > len(header):
            raise SourceError(
                f"{self.name} has {len(frame.columns)} columns, but {len(header)} names: correct "
                "the header, or `columns` in the catalog"
            )
        frame = frame.reindex(columns=range(len(header)))
        check_columns(self.name, columns, header)
        arrays = {
            name: _cells(frame[place])
            for place, name in enumerate(header)
            if columns is None or name in columns
        }
        table = pa.table(arrays)
        yield with_types(without_empty_texts(table), self.types, self.name)

    def _choose(self, sheets: list[str]) -> str:
        if self.sheet in sheets:
            return self.sheet or ""
        if self.sheet is None and len(sheets) == 1:
            return sheets[0]
        raise SourceError(
            f"{self.content.name} has the sheets {', '.join(map(repr, sheets))}: set `sheet` to "
            "the right one"
        )


def _cells(column: pd.Series) -> pa.Array:
    """A column of cells: of one type, or numbers with words for gaps, or else all as texts."""
    if column.dtype != object:
        return pa.array(column, from_pandas=True)
    values = column.to_numpy()
    texts = np.array([isinstance(value, str) for value in values], bool)
    there = ~pd.isna(values)
    if texts.any() and (there & ~texts).any():
        if {value.strip() for value in values[texts]} <= _NO_NUMBERS:
            column = column.mask(texts, None)
        else:
            column = column.map(_as_written, na_action="ignore")
    return pa.array(column.infer_objects(), from_pandas=True)


def _as_written(value: object) -> str:
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if whole else str(value)  # type: ignore[call-overload]


def with_types(table: pa.Table, types: Types, name: str) -> pa.Table:
    """The table with some of its columns turned into other types."""
    for column, kind in types:
        place = table.schema.get_field_index(column)
        if place < 0 or table.schema.field(place).type == kind:
            continue
        try:
            table = table.set_column(place, column, table.column(place).cast(kind))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise SourceError(
                f"{name}, column {column!r}: {error}; correct the file, or the column's type in "
                "`types`"
            ) from error
    return table
