"""Tables of ratings, items and users out of files, archives and frames."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from gradual.sources.archives import path_pattern, read_members

_TABLES = (".csv", ".tsv", ".data", ".item", ".user", ".parquet")

#: A file, an archive, or a table in memory.
Source: TypeAlias = Path | str | pa.Table | pd.DataFrame


class RatingsError(ValueError):
    """Ratings, items or users cannot be used; names file, row or column, and the remedy."""


@dataclass(frozen=True)
class TableFile:
    r"""How a table is written.

    Attributes:
        member: Path of the table inside an archive, `*` standing for any name; None if the
            archive holds only one table.
        delimiter: Between two values; None takes a tab for names ending in `.tsv` or `.data`, and
            a comma otherwise.
        column_names: For a file without a header, e.g. `u.data` of ml-100k.
        encoding: Of the text, e.g. `latin-1`.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012

    member: str | None = None
    delimiter: str | None = None
    column_names: tuple[str, ...] = ()
    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        if self.delimiter is not None and len(self.delimiter) != 1:
            raise ValueError(f"delimiter is {self.delimiter!r}: give one character")
        if len(set(self.column_names)) < len(self.column_names):
            raise ValueError(f"column_names is {list(self.column_names)}: name each column once")


def read_table(source: Source, file: TableFile, wanted: Sequence[str]) -> tuple[pa.Table, str]:
    """Read the wanted columns of a table.

    Args:
        source: CSV, TSV or Parquet, an archive with one inside, a frame or an Arrow table.
        file: How it is written.
        wanted: Names of its columns.

    Returns:
        The columns, those of a text file as strings (an empty field is null), and the table's
        name for messages.

    Raises:
        RatingsError: The file cannot be read, holds no rows, or lacks a column.
    """
    columns = list(dict.fromkeys(wanted))
    if isinstance(source, pa.Table | pd.DataFrame):
        name = "the table"
        table: pa.Table = source
        if isinstance(source, pd.DataFrame):
            table = pa.Table.from_pandas(source, preserve_index=False)
        _check_columns(name, columns, table.column_names)
        table = table.select(columns)
    elif isinstance(source, Path | str):
        table, name = _read_file(Path(source), file, columns)
    else:
        raise RatingsError(f"{type(source).__name__} is no table: give a file, a frame or Arrow")
    if not table.num_rows:
        raise RatingsError(f"{name} holds no rows: give it at least one")
    return table, name


def _read_file(path: Path, file: TableFile, columns: list[str]) -> tuple[pa.Table, str]:
    if path.suffix.lower() in _TABLES:
        if not path.is_file():
            raise RatingsError(f"{path} does not exist: correct the path in the catalog")
        content: pa.NativeFile = pa.memory_map(str(path))
        name = str(path)
    else:
        member, data = _member(path, file)
        content, name = pa.BufferReader(data), f"{path}/{member}"
    if name.lower().endswith(".parquet"):
        try:
            parquet = pq.ParquetFile(content)
            _check_columns(name, columns, parquet.schema_arrow.names)
            return parquet.read(columns=columns), name
        except (pa.ArrowInvalid, OSError) as error:
            raise RatingsError(
                f"{name} cannot be read as Parquet ({error}): replace it by a good copy"
            ) from error
    return _read_text(content, name, file, columns), name


def _member(path: Path, file: TableFile) -> tuple[str, bytes]:
    pattern = path_pattern(file.member) if file.member else None

    def wanted(name: str) -> bool:
        if pattern is not None:
            return bool(pattern.fullmatch(name))
        return name.lower().endswith(_TABLES) and not name.rsplit("/", 1)[-1].startswith(".")

    tables = list(read_members(path, wanted))
    if len(tables) != 1:
        names = ", ".join(name for name, _ in tables) or "none"
        raise RatingsError(
            f"{path} must hold one table named {file.member or ' or '.join(_TABLES)}, but the "
            f"ones found are: {names}; set 'member' to the path of the right one"
        )
    return tables[0]


def _read_text(content: pa.NativeFile, name: str, file: TableFile, columns: list[str]) -> pa.Table:
    delimiter = file.delimiter or ("\t" if name.lower().endswith((".tsv", ".data")) else ",")
    try:
        present = list(file.column_names)
        if not present:
            text = content.read(1 << 16).decode(file.encoding, "replace").removeprefix("\ufeff")
            present = next(csv.reader(io.StringIO(text), delimiter=delimiter), [])
            content.seek(0)
        _check_columns(name, columns, present)
        table = pyarrow.csv.read_csv(
            content,
            read_options=pyarrow.csv.ReadOptions(
                column_names=list(file.column_names) or None, encoding=file.encoding
            ),
            parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(columns, pa.string()),
                include_columns=columns,
                strings_can_be_null=True,
                null_values=[""],
            ),
        )
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise RatingsError(
            f"{name} cannot be read as a table with {delimiter!r} between the values ({error}): "
            "correct the file, its delimiter, column_names or encoding"
        ) from error
    return table


def _check_columns(name: str, wanted: Sequence[str], present: Sequence[str]) -> None:
    for column in wanted:
        if (count := list(present).count(column)) != 1:
            raise RatingsError(
                f"{name} has {'no column' if not count else f'{count} columns'} {column!r}; its "
                f"columns are {', '.join(map(repr, present))}: name the right ones in the "
                "configuration"
            )
