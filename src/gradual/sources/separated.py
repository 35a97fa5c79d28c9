"""Text files with a separator between the values: CSV, TSV and their relatives.

Arrow reads them. What it would let pass in silence, a quote in the wrong place, is looked for on
the way; and where something is wrong, Python's strict `csv` reader goes through the file once more
to say in which row.
"""

import codecs
import csv
import io
import logging
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from gradual.sources.content import Content, check_columns
from gradual.sources.errors import SourceError

logger = logging.getLogger(__name__)

WHITESPACE = "whitespace"
CHUNK_ROWS = 1 << 20
# A file up to this size is read at once, so that all of it says what types its columns have.
_WHOLE_BYTES = 128 << 20
_BLOCK_BYTES = 16 << 20
_SAMPLE_BYTES = 1 << 16
_SAMPLE_ROWS = 20
_MOST_LEVELS = 1000  # in a block; texts of more are read as they are
_LEVELS = pa.dictionary(pa.int32(), pa.string())
_SEPARATORS = (",", "\t", ";", "|")
_UNIT = "\x1f"  # ASCII's own separator: stands for one of several characters
_SEPARATOR_NAMES = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "bar"}


@dataclass(frozen=True)
class SeparatedFile:
    """One file.

    Its types, where they are not given, are those of all its values if it is not above 128 MiB. A
    larger one is streamed: its first block says the types, whole numbers are read as floating ones
    in case that a later block has others, and a column without any value there is read as text.

    Attributes:
        content: Its bytes.
        separator: Between two values: one or more characters, or `whitespace` for any number of
            blanks and tabs; None finds out.
        columns: Names of the columns of a file without a header line.
        encoding: Python's name of the encoding; None is UTF-8, or UTF-16 where a byte order mark
            says so.
        decimal: The decimal point of numbers.
        types: Types of columns that are not to be found out.
    """

    content: Content
    separator: str | None = None
    columns: tuple[str, ...] = ()
    encoding: str | None = None
    decimal: str = "."
    types: tuple[tuple[str, pa.DataType], ...] = ()

    @property
    def name(self) -> str:
        """The file's name."""
        return self.content.name

    def chunks(
        self, columns: Sequence[str] | None = None, *, as_text: bool = False
    ) -> Iterator[pa.Table]:
        """Its rows, in order.

        Args:
            columns: The columns to read; None for all.
            as_text: Leave every value as it is written.

        Raises:
            SourceError: A row has more or fewer values than there are columns, a quote stands in
                the wrong place, a byte does not fit the encoding, or a column is missing.
        """
        layout = self._layout()
        check_columns(self.name, columns, layout.names)
        if self.content.data is not None or self.content.size <= _WHOLE_BYTES:
            with self._refusing(layout), self._stream(layout) as stream:
                table = pacsv.read_csv(
                    pa.PythonFile(stream, mode="r"), **self._options(layout, columns, as_text)
                )
                self._check_quotes(layout, stream)
            for start in range(0, max(1, table.num_rows), CHUNK_ROWS):
                yield without_empty_texts(table.slice(start, CHUNK_ROWS))
            return
        options = self._options(layout, columns, as_text)
        with self._refusing(layout):
            if not as_text:
                with (
                    self._stream(layout) as stream,
                    pacsv.open_csv(pa.PythonFile(stream, mode="r"), **options) as reader,
                ):
                    found = {f.name: _streamed_type(f.type) for f in reader.schema}
                found |= dict(self.types)
                options["convert_options"].auto_dict_encode = False
                options["convert_options"].column_types = found
            with self._stream(layout) as stream:
                with pacsv.open_csv(pa.PythonFile(stream, mode="r"), **options) as reader:
                    for batch in reader:
                        self._check_quotes(layout, stream)
                        yield without_empty_texts(pa.Table.from_batches([batch]))
                self._check_quotes(layout, stream)

    def _options(
        self, layout: "_Layout", columns: Sequence[str] | None, as_text: bool
    ) -> dict[str, Any]:
        convert: dict[str, Any] = {"column_types": dict(self.types)}
        if as_text:
            texts = dict.fromkeys(layout.names, pa.string())
            convert = {"column_types": texts | dict(self.types), "null_values": [""]}
            convert["strings_can_be_null"] = True
        else:
            convert |= {"auto_dict_encode": True, "auto_dict_max_cardinality": _MOST_LEVELS}
        if columns is not None:
            convert["include_columns"] = list(dict.fromkeys(columns))
        return {
            "read_options": pacsv.ReadOptions(
                block_size=_BLOCK_BYTES, column_names=list(self.columns) or None
            ),
            "parse_options": pacsv.ParseOptions(
                delimiter=layout.delimiter,
                quote_char='"' if layout.quoted else False,
                newlines_in_values=layout.quoted,
            ),
            "convert_options": pacsv.ConvertOptions(
                decimal_point=self.decimal,
                check_utf8=False,  # the stream has done it
                **convert,
            ),
        }

    def _layout(self) -> "_Layout":
        with self.content.open() as stream:
            sample = stream.read(_SAMPLE_BYTES)
        encoding = self.encoding or "utf-8"
        if self.encoding is None and sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            encoding = "utf-16"
        text = codecs.getincrementaldecoder(encoding)("replace").decode(sample)
        text = text.removeprefix("\ufeff")
        if not text.strip():
            raise SourceError(f"{self.name} is empty: it needs a header and rows")
        cut = len(sample) == _SAMPLE_BYTES
        separator = self.separator or self._guess(text, cut)
        names = list(self.columns) or next(_sample_rows(text, separator), [])
        return _Layout(separator, encoding, tuple(names))

    def _guess(self, text: str, cut: bool) -> str:
        """The separator that gives the first rows the same number of values, two or more."""
        suffixes = self.name.lower().rsplit("/", 1)[-1].split(".")
        usual = "\t" if {"tsv", "tab", "data", "item"} & set(suffixes) else ","
        if "tsv" in suffixes:
            return usual
        for separator in dict.fromkeys((usual, *_SEPARATORS, "::", WHITESPACE)):
            rows = list(_sample_rows(text, separator))
            if cut and 1 < len(rows) < _SAMPLE_ROWS:
                rows.pop()  # the sample ends somewhere in this one
            widths = {len(row) for row in rows}
            fits = widths == {len(self.columns)} if self.columns else separator != WHITESPACE
            if len(widths) == 1 and max(widths) > 1 and fits:
                if separator != usual:
                    logger.info(
                        "%s: taking the %s for the separator; `separator` in the catalog says it.",
                        self.name,
                        _SEPARATOR_NAMES.get(separator, repr(separator)),
                    )
                return separator
        return usual

    @contextmanager
    def _stream(self, layout: "_Layout") -> Iterator["_Stream"]:
        with self.content.open() as file:
            yield _Stream(file, layout)

    def _check_quotes(self, layout: "_Layout", stream: "_Stream") -> None:
        if stream.quotes is not None and not stream.quotes.clean:
            self._refuse(layout)
            stream.quotes = None  # quotes inside of texts that are not quoted are what they are

    @contextmanager
    def _refusing(self, layout: "_Layout") -> Iterator[None]:
        """Turn the reader's errors into ones that say the row."""
        try:
            yield
        except (pa.ArrowInvalid, UnicodeError) as error:
            self._refuse(layout)
            message = str(error)
            match = re.search(r"CSV column #(\d+)", message)
            if match and int(match[1]) < len(layout.names):
                message += f" (the column {layout.names[int(match[1])]!r})"
            raise SourceError(
                f"{self.name} cannot be read as CSV ({message}): correct the file, or set the "
                "column's type in `types`"
            ) from error

    def _refuse(self, layout: "_Layout") -> None:
        """Raise for the first row that is wrong; return if none is."""
        row = 0 if self.columns else -1
        with self.content.open() as stream, _long_fields():
            lines = _Lines(stream, layout)
            reader = csv.reader(
                lines,
                delimiter=layout.delimiter,
                strict=True,
                quoting=csv.QUOTE_MINIMAL if layout.quoted else csv.QUOTE_NONE,
            )
            try:
                for cells in reader:
                    if not cells:  # an empty line is no row
                        continue
                    row += 1
                    if len(cells) != len(layout.names):
                        self._raise_ragged(row, reader.line_num, len(cells), layout)
            except csv.Error as error:
                raise SourceError(
                    f"{self.name} row {row + 1} does not parse (line {reader.line_num}: {error}): "
                    "check its double quotes; one inside a quoted text is written twice"
                ) from error
            except UnicodeError as error:
                place = ""
                if isinstance(error, UnicodeDecodeError):
                    place = (
                        f": byte {lines.offset + error.start} of the file is "
                        f"0x{error.object[error.start]:02x}"
                    )
                shown = {"utf-8": "UTF-8", "utf-16": "UTF-16"}.get(layout.encoding, layout.encoding)
                raise SourceError(
                    f"{self.name} row {row + 1} (line {lines.count + 1}) is not {shown}{place}; "
                    "set `encoding` in the catalog, for example to latin-1 or cp1252, or convert "
                    "the file"
                ) from error

    def _raise_ragged(self, row: int, line: int, cells: int, layout: "_Layout") -> NoReturn:
        whose = "`columns` names" if self.columns else "the header has"
        separator = _SEPARATOR_NAMES.get(layout.separator, repr(layout.separator))
        raise SourceError(
            f"{self.name} row {row} (line {line}) has {cells} fields, {whose} "
            f"{len(layout.names)}: put a text with a {separator} or line breaks in double quotes, "
            "or set `separator` in the catalog"
        )


@dataclass(frozen=True)
class _Layout:
    """What is known of a file before its rows are read."""

    separator: str
    encoding: str
    names: tuple[str, ...]

    @property
    def delimiter(self) -> str:
        """What stands between two values in the stream that is parsed."""
        return self.separator if len(self.separator) == 1 else _UNIT

    @property
    def quoted(self) -> bool:
        """Whether a double quote is more than a character."""
        return len(self.separator) == 1 or self.separator == WHITESPACE


class _Stream(io.RawIOBase):
    """A file's bytes in UTF-8 with a separator of one character, the quotes looked at."""

    def __init__(self, file: IO[bytes], layout: _Layout) -> None:
        self.quotes = _Quotes(layout.delimiter) if layout.quoted else None
        self._blocks = self._read_blocks(file, layout)
        self._block, self._place = b"", 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            return b"".join(iter(lambda: self.read(_BLOCK_BYTES), b""))
        if self._place == len(self._block):
            self._block, self._place = next(self._blocks, b""), 0
        piece = self._block[self._place : self._place + size]
        self._place += len(piece)
        return piece

    def _read_blocks(self, file: IO[bytes], layout: _Layout) -> Iterator[bytes]:
        decoder = codecs.getincrementaldecoder(layout.encoding)()
        utf8 = codecs.lookup(layout.encoding).name in ("utf-8", "ascii")
        first, rest = True, b""
        while True:
            raw = file.read(_BLOCK_BYTES)
            text = decoder.decode(raw, not raw)
            block = raw if utf8 else text.encode()
            if first:
                block, first = block.removeprefix(codecs.BOM_UTF8), False
            if len(layout.separator) > 1:  # whole lines, so that no separator is cut in two
                block = rest + block
                end = block.rfind(b"\n") + 1 if raw else len(block)
                block, rest = _one_character(block[:end], layout.separator), block[end:]
            if self.quotes is not None:
                self.quotes.look(block, last=not raw)
            if block:
                yield block
            if not raw:
                return


class _Quotes:
    """Whether each double quote of a file opens or closes a value, or is one of two within one."""

    def __init__(self, delimiter: str) -> None:
        self.clean = True
        self._around = np.zeros(256, bool)
        self._around[[ord("\n"), ord("\r"), *delimiter.encode()]] = True
        self._inside, self._before, self._rest = False, ord("\n"), b""

    def look(self, block: bytes, *, last: bool) -> None:
        """Look at the next bytes."""
        if not self.clean or (b'"' not in block and not self._rest):
            if block:
                self._before = block[-1]
            self.clean &= not (last and self._inside)
            return
        block = self._rest + block
        whole = block if last else block.rstrip(b'"')  # what follows a quote must be known
        self._rest = block[len(whole) :]
        if whole:
            codes = np.frombuffer(bytes([self._before]) + whole + b"\n", np.uint8)
            self._look(codes)
            self._before = whole[-1]
        self.clean &= not (last and self._inside)

    def _look(self, codes: np.ndarray) -> None:
        quote = ord('"')
        places = np.flatnonzero(codes[1:-1] == quote) + 1
        opening = (np.arange(len(places)) + self._inside) % 2 == 0
        before, after = codes[places - 1], codes[places + 1]
        fine = np.where(
            opening,
            self._around[before] | ((before == quote) & (places > 1)),
            self._around[after] | (after == quote),
        )
        self.clean = bool(fine.all())
        self._inside ^= bool(len(places) % 2)


class _Lines:
    """The lines of a file as texts, and how far they have been read."""

    def __init__(self, stream: IO[bytes], layout: _Layout) -> None:
        self.count = self.offset = 0
        self._layout = layout
        wide = codecs.lookup(layout.encoding).name.startswith(("utf-16", "utf-32"))
        self._lines: Iterator[Any] = iter(stream)
        if wide:
            self._lines = iter(io.TextIOWrapper(stream, layout.encoding, newline=""))

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        raw = next(self._lines)
        text = raw if isinstance(raw, str) else raw.decode(self._layout.encoding)
        if not self.count:
            text = text.removeprefix("\ufeff")
        if len(self._layout.separator) > 1:
            text = _one_character(text.encode(), self._layout.separator).decode()
        self.count += 1
        self.offset += len(raw)
        return text


def _one_character(lines: bytes, separator: str) -> bytes:
    """The lines with the unit separator for a separator of several characters."""
    if separator != WHITESPACE:
        return lines.replace(separator.encode(), _UNIT.encode())
    lines = re.sub(rb"(?m)^[ \t]+|[ \t]+(?=\r?$)", b"", lines)
    return re.sub(rb'("[^"\n]*")|[ \t]+', lambda found: found[1] or _UNIT.encode(), lines)


def _sample_rows(text: str, separator: str) -> Iterator[list[str]]:
    """The values of the first rows."""
    layout = _Layout(separator, "utf-8", ())
    if len(separator) > 1:
        text = _one_character(text.encode(), separator).decode()
    lines = io.StringIO(text, newline="")
    with _long_fields():
        reader = csv.reader(
            lines,
            delimiter=layout.delimiter,
            quoting=csv.QUOTE_MINIMAL if layout.quoted else csv.QUOTE_NONE,
        )
        for count, row in enumerate(filter(None, reader)):
            if count == _SAMPLE_ROWS:
                return
            yield row


@contextmanager
def _long_fields() -> Iterator[None]:
    limit = csv.field_size_limit(sys.maxsize)  # 131,072 by default: a long document has more
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def _streamed_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_integer(kind):
        return pa.float64()
    return kind if pa.types.is_floating(kind) or pa.types.is_boolean(kind) else _LEVELS


def without_empty_texts(table: pa.Table) -> pa.Table:
    """The table with gaps in place of empty texts: an empty field is a gap in every column."""
    for place, kind in enumerate(table.schema.types):
        column = table.column(place)
        if pa.types.is_string(kind):
            empty = pc.equal(column, "")
            if pc.any(empty).as_py():
                gaps = pa.scalar(None, kind)
                table = table.set_column(place, table.field(place), pc.if_else(empty, gaps, column))
        elif pa.types.is_dictionary(kind) and pa.types.is_string(kind.value_type):
            chunks = [_without_empty_level(chunk) for chunk in column.chunks]
            table = table.set_column(place, table.field(place), pa.chunked_array(chunks, type=kind))
    return table


def _without_empty_level(column: pa.DictionaryArray) -> pa.DictionaryArray:
    empty = pc.index(column.dictionary, "").as_py()
    if empty < 0:
        return column
    indices = pc.if_else(pc.equal(column.indices, empty), None, column.indices)
    return pa.DictionaryArray.from_arrays(indices, column.dictionary)
