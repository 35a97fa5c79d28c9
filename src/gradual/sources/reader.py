"""The one reader of rows: files of all kinds, folders, archives, databases, and tables in memory.

    rows = open_source(Path("sales.csv"))
    for chunk in rows.chunks():
        ...
    table = rows.read()

Rows say where they are; nothing is read before it is asked for. They come in chunks, so that a
table may be larger than memory; `read` takes all of them. They can be read as often as wanted, and
sent to another process.

The same rules hold for every kind of file: an empty field is a gap; numbers, dates and truth values
are found out, or left as they are written (`as_text`), or of the type that `types` says.
"""

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol, TypeAlias, get_args

import pandas as pd
import pyarrow as pa

from gradual.sources.archives import is_archive, path_pattern, read_members
from gradual.sources.content import Content
from gradual.sources.errors import SourceError
from gradual.sources.separated import WHITESPACE, SeparatedFile
from gradual.sources.table_files import ExcelFile, InMemory, JsonFile, ParquetFile, Types
from gradual.sources.text_files import TextFiles, WikiText

logger = logging.getLogger(__name__)

Format = Literal["csv", "json", "parquet", "excel", "texts", "wikitext"]

_FORMATS: dict[str, Format] = {
    **dict.fromkeys((".csv", ".tsv", ".tab", ".data", ".item", ".user"), "csv"),
    **dict.fromkeys((".jsonl", ".ndjson"), "json"),
    **dict.fromkeys((".parquet", ".pq"), "parquet"),
    **dict.fromkeys((".xlsx", ".xls", ".xlsm", ".xlsb", ".ods"), "excel"),
}
# Suffixes that a table may have, but other files of an archive, too.
_OTHERS: dict[str, Format] = {".txt": "csv", ".dat": "csv", ".json": "json"}
_COMPRESSED = (".gz", ".bz2", ".xz")
_ARCHIVES = (".zip", ".tar", ".tgz", ".tbz2", ".txz")
_SUFFIXES = ".csv, .tsv, .txt, .data, .json, .jsonl, .parquet, .xlsx"


class Part(Protocol):
    """A piece of a source that can be read by itself, by any process that sees its storage."""

    @property
    def name(self) -> str:
        """What to call it in messages."""

    def chunks(
        self, columns: Sequence[str] | None = None, *, as_text: bool = False
    ) -> Iterator[pa.Table]:
        """Its rows, in order."""


@dataclass(frozen=True)
class SourceFormat:
    r"""How rows are written.

    Attributes:
        format: `csv` (any text file with a separator), `json` (one object a line, or an array of
            objects), `parquet`, `excel`; `texts`: text files, one a row, in folders or an archive;
            `wikitext`: an archive laid out like WikiText. None goes by the suffix, before which
            `.gz`, `.bz2` and `.xz` may stand after it.
        member: Path of the table inside an archive, `*` standing for any name; None if the archive
            holds only one.
        sheet: Name of the workbook's sheet; None if there is only one (excel).
        separator: Between two values: one or more characters, such as `;` or `::`, or `whitespace`
            for any number of blanks and tabs; None finds out (csv).
        columns: Names of the columns of a file without a header line (csv, excel).
        encoding: Python's name of the encoding, such as `latin-1`; None is UTF-8, or UTF-16 where
            a byte order mark says so.
        decimal: The decimal point of numbers (csv).
        types: Arrow's names of types of columns that are not to be found out, such as `string`.
        pattern: Paths of the text files, with `*` for any name, and `{part}` and `{label}` for
            folders that say so and become columns (texts).
    """

    format: Format | None = None
    member: str | None = None
    sheet: str | None = None
    separator: str | None = None
    columns: tuple[str, ...] = ()
    encoding: str | None = None
    decimal: str = "."
    types: Mapping[str, str] = field(default_factory=dict)
    pattern: str | None = None

    def __post_init__(self) -> None:
        if self.format not in (None, *get_args(Format)):
            raise ValueError(
                f"format is {self.format!r}: set it to one of {', '.join(get_args(Format))}"
            )
        if self.separator == "":
            raise ValueError("separator is empty: give a character such as ';', or leave it out")
        if len(set(self.columns)) < len(self.columns):
            raise ValueError(f"columns is {list(self.columns)}: name each column once")
        several = self.separator != WHITESPACE and len(self.separator or "") > 1
        if several and (self.encoding or "").lower().startswith(("utf-16", "utf-32")):
            raise ValueError(
                f"separator is {self.separator!r}, which {self.encoding} files cannot have: "
                "convert the file to UTF-8"
            )
        if self.encoding is not None:
            try:
                "".encode(self.encoding)
            except LookupError as error:
                raise ValueError(
                    f"encoding is {self.encoding!r}: give a name that Python knows, such as utf-8, "
                    "latin-1 or cp1252"
                ) from error
        if self.pattern is not None:
            if self.format not in (None, "texts"):
                raise ValueError(
                    f"pattern is for texts, but format is {self.format!r}: leave it out"
                )
            named = re.findall(r"\{(.*?)\}", self.pattern)
            if len(set(named)) < len(named) or not all(name.isidentifier() for name in named):
                raise ValueError(
                    f"pattern is {self.pattern!r}: it may hold {{part}}, {{label}} and other names "
                    "of columns, each once"
                )
            if {"source", "text"} & set(named):
                raise ValueError(
                    f"pattern is {self.pattern!r}: source and text are columns that the rows get "
                    "anyway"
                )
        elif self.format == "texts":
            raise ValueError(
                'pattern is not given: the format texts needs one, such as "*/{part}/{label}/*.txt"'
            )
        self.arrow_types()

    def arrow_types(self) -> Types:
        """The types that are given, as Arrow's.

        Raises:
            ValueError: Arrow has no type of such a name.
        """
        try:
            return tuple((name, pa.type_for_alias(alias)) for name, alias in self.types.items())
        except ValueError as error:
            raise ValueError(
                f"types: {error}; use Arrow's names, such as string or double"
            ) from error


@dataclass(frozen=True)
class SourceRows:
    """Rows in parts, read chunk by chunk.

    Attributes:
        parts: Where the rows are, in order.
        name: What to call them in messages: a path, or a table or query.
        steps: What is done to each chunk when it is read (see `map`).
    """

    parts: tuple[Part, ...]
    name: str = "the table"
    steps: tuple[Callable[[pa.Table], pa.Table], ...] = ()

    def chunks(
        self, columns: Sequence[str] | None = None, *, as_text: bool = False
    ) -> Iterator[pa.Table]:
        """All rows in order, a chunk at a time; reads anew at each call.

        Args:
            columns: The columns to read; None for all.
            as_text: Leave the values of text files as they are written.

        Raises:
            SourceError: Something cannot be read; names file, row or column, and the remedy.
        """
        for part in self.parts:
            yield from self.chunks_of(part, columns, as_text=as_text)

    def chunks_of(
        self, part: Part, columns: Sequence[str] | None = None, *, as_text: bool = False
    ) -> Iterator[pa.Table]:
        """The chunks of one part, the steps done; columns of texts may be dictionaries."""
        for chunk in part.chunks(columns, as_text=as_text):
            for step in self.steps:
                chunk = step(chunk)
            yield chunk

    def map(self, step: Callable[[pa.Table], pa.Table]) -> "SourceRows":
        """The rows whose chunks are what `step` makes of these, e.g. the training rows alone."""
        return replace(self, steps=(*self.steps, step))

    def read(self, columns: Sequence[str] | None = None, *, as_text: bool = False) -> pa.Table:
        """All rows in memory; texts are decoded, types that differ between chunks widened.

        Args:
            columns: The columns to read; None for all.
            as_text: Leave the values of text files as they are written.

        Raises:
            SourceError: There are no rows, or they cannot be read, or the chunks do not have the
                same columns, or have types that cannot be widened.
        """
        chunks = [decoded(chunk) for chunk in self.chunks(columns, as_text=as_text)]
        for chunk in chunks[1:]:
            if set(chunk.column_names) != set(chunks[0].column_names):
                raise SourceError(
                    f"{self.name}: some rows have the columns {chunks[0].column_names}, others "
                    f"{chunk.column_names}: give all files the same columns"
                )
        try:
            table = pa.concat_tables(chunks, promote_options="permissive")
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
            raise SourceError(
                f"{self.name}: the files' columns have types that do not go together ({error}): "
                "set the column's type in `types`"
            ) from error
        if not table.num_rows:
            raise SourceError(f"{self.name} holds no rows: give it at least one")
        return table

    @property
    def names_rows(self) -> bool:
        """Whether each row is a text with a name of its own, in the column `source`."""
        return all(getattr(part, "names_rows", False) for part in self.parts)

    def head(self, count: int) -> pa.Table:
        """Some rows to look at, read as cheaply as possible."""
        part = self.parts[0]
        if isinstance(part, TextFiles) and not self.steps:
            return part.head(count)
        return decoded(next(self.chunks_of(part)).slice(0, count))


#: A file, a folder, an archive, a table in memory, or rows that were opened already.
Openable: TypeAlias = Path | str | pa.Table | pd.DataFrame | SourceRows


def open_source(source: Openable, form: SourceFormat | None = None) -> SourceRows:
    """Say how rows are read; none is read yet, but an archive with a table in it is.

    Args:
        source: A file; a folder of files of one kind, read in the order of their names; a tar or
            zip with one table, which is read into memory; a folder or archive of text files; or a
            table in memory.
        form: How it is written.

    Raises:
        SourceError: There is no such file, or it is of no known kind.
    """
    form = form or SourceFormat()
    if isinstance(source, SourceRows):
        return source
    if isinstance(source, pd.DataFrame):
        source = pa.Table.from_pandas(source, preserve_index=False)
    if isinstance(source, pa.Table):
        return SourceRows((InMemory(source),))
    if source is None:
        raise SourceError(
            "no rows are named: set filepath, url, table or query of the source in the catalog"
        )
    if not isinstance(source, Path | str):
        raise SourceError(f"{type(source).__name__} is no source: give a file, a frame or Arrow")
    path = Path(source)
    if not path.exists():
        raise SourceError(f"{path} does not exist: correct the path in the catalog")
    if form.format == "texts" or form.pattern is not None:
        return SourceRows((TextFiles(str(path), form.pattern or "", form.encoding),), str(path))
    if form.format == "wikitext":
        return SourceRows((WikiText(str(path)),), str(path))
    if path.is_dir():
        return SourceRows(_folder(path, form), str(path))
    name = _without_compression(path.name)
    if _archived(path, name, form):
        content = _member(path, form)
        return SourceRows((_part(content, form),), content.name)
    return SourceRows((_part(Content(str(path), str(path)), form),), str(path))


def read_with_test(
    source: SourceRows, test_source: SourceRows | None, columns: Sequence[str] | None = None
) -> tuple[pa.Table, pa.Table]:
    """Read the rows of a source and behind them those of its official test file.

    Args:
        source: The rows to learn from (or all of them).
        test_source: Rows that are all for the test; None if there are none.
        columns: The columns to read; None for all. One that only one of the two has is a gap in
            the other's rows.

    Returns:
        The rows, and their `given_parts`: `part` is `test`, or null where a split chooses.

    Raises:
        SourceError: As `SourceRows.read`, or a column has types that do not go together.
    """
    table = open_source(source).read(columns)
    if test_source is None:
        return table, given_parts(table.num_rows)
    test = test_source.read(columns)
    for one, other, where in ((table, test, test_source.name), (test, table, source.name)):
        if lacking := [name for name in one.column_names if name not in other.column_names]:
            logger.warning(
                "%s has no column %s: it is empty there.", where, ", ".join(map(repr, lacking))
            )
    try:
        both = pa.concat_tables([table, test], promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise SourceError(
            f"{source.name} and {test_source.name} have columns of types that do not go together "
            f"({error}): set the column's type in `types`"
        ) from error
    return both, given_parts(table.num_rows, test.num_rows)


def given_parts(rows: int, test_rows: int = 0) -> pa.Table:
    """The column `part`: null for so many rows, then `test` for so many."""
    return pa.table({"part": pa.array([None] * rows + ["test"] * test_rows, pa.string())})


def _without_compression(name: str) -> str:
    name = name.lower()
    return next((name.removesuffix(s) for s in _COMPRESSED if name.endswith(s)), name)


def _format_of(name: str) -> Format | None:
    suffix = Path(_without_compression(name)).suffix
    return _FORMATS.get(suffix) or _OTHERS.get(suffix)


def _archived(path: Path, name: str, form: SourceFormat) -> bool:
    """Whether the table is a member of the file: by its suffix, or else by its first bytes."""
    if form.member is not None or name.endswith(_ARCHIVES):
        return True
    return _format_of(name) is None and form.format is None and is_archive(path)


def _folder(path: Path, form: SourceFormat) -> tuple[Part, ...]:
    files = sorted(f for f in path.iterdir() if not f.name.startswith((".", "_")))
    kinds = {Path(_without_compression(file.name)).suffix for file in files}
    if len(kinds) != 1 or not (form.format or _format_of(files[0].name)):
        raise SourceError(
            f"{path} holds {', '.join(sorted(kinds)) or 'no'} files: a folder of tables holds "
            f"files of one kind, such as {_SUFFIXES}; for texts that are files of their own, set "
            "`pattern`"
        )
    return tuple(_part(Content(str(file), str(file)), form) for file in files)


def _part(content: Content, form: SourceFormat) -> Part:
    kind = form.format or _format_of(Path(content.name).name)
    types = form.arrow_types()
    if kind == "csv":
        return SeparatedFile(
            content, form.separator, form.columns, form.encoding, form.decimal, types
        )
    if kind == "json":
        return JsonFile(content, form.encoding, types)
    if kind == "parquet":
        return ParquetFile(content, types)
    if kind == "excel":
        return ExcelFile(content, form.sheet, form.columns, types)
    raise SourceError(
        f"{content.name} has no suffix that says its format, such as {_SUFFIXES}: set `format` in "
        f"the catalog to one of {', '.join(get_args(Format))}"
    )


def _member(path: Path, form: SourceFormat) -> Content:
    pattern = path_pattern(form.member) if form.member else None

    def wanted(name: str) -> bool:
        if pattern is not None:
            return bool(pattern.fullmatch(name))
        return _format_of(name) is not None and not name.rsplit("/", 1)[-1].startswith(".")

    tables = list(read_members(path, wanted))
    if pattern is None:  # a README.txt stands beside a table
        sure = [t for t in tables if Path(_without_compression(t[0])).suffix in _FORMATS]
        tables = sure or tables
    if len(tables) != 1:
        names = [name for name, _ in tables]
        found = ", ".join(names[:10]) + (" …" if len(names) > 10 else "") or "none"
        raise SourceError(
            f"{path} must hold one table named {form.member or ' or '.join(_FORMATS)}, but the "
            f"ones found are: {found}; set `member` in the catalog to the path of the right one, "
            "or `pattern` if the files are texts"
        )
    name, data = tables[0]
    return Content(f"{path}/{name}", data=data)


def decoded(chunk: pa.Table) -> pa.Table:
    """The chunk with texts instead of dictionaries of them."""
    for place, column in enumerate(chunk.schema):
        if pa.types.is_dictionary(column.type):
            values = chunk.column(place).cast(column.type.value_type)
            chunk = chunk.set_column(place, column.name, values)
    return chunk
