"""Texts that are files of their own, in folders or archives: one row a file."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import ClassVar

import pyarrow as pa

from gradual.sources.archives import folder_members, path_pattern, read_members
from gradual.sources.content import check_columns
from gradual.sources.errors import SourceError
from gradual.sources.wikitext import read_articles

_WIKITEXT_PARTS = ("train", "valid", "test")


@dataclass(frozen=True)
class TextFiles:
    """A folder or archive of text files, whose paths say more of them.

    Attributes:
        path: The folder, or a tar (compressed or not) or zip.
        pattern: Paths of the text files, with `*` for any name, and `{part}` and `{label}` for the
            folders that say so; other files are left out. A folder's paths begin with its own
            name, as in an archive of it.
        encoding: Python's name of the texts' encoding; None is UTF-8.
    """

    path: str
    pattern: str
    encoding: str | None = None
    names_rows: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """The path."""
        return self.path

    def chunks(
        self,
        columns: Sequence[str] | None = None,
        *,
        as_text: bool = False,  # noqa: ARG002 - all are texts
    ) -> Iterator[pa.Table]:
        """Columns `source` (the file's path), `text`, and one for each `{name}` in the pattern.

        In the order of the paths, numbers in them by their value; so tar, zip and folder, packed in
        any order, give the same rows.
        """
        files = sorted(self._files(), key=lambda file: natural_order(file[0]))
        yield self._table(files, columns)

    def head(self, count: int) -> pa.Table:
        """Some of the rows, as the archive has them; the rest is not read."""
        return self._table(list(islice(self._files(), count)), None)

    def _files(self) -> Iterator[tuple[str, bytes]]:
        path, regex = Path(self.path), path_pattern(self.pattern)
        read = folder_members if path.is_dir() else read_members
        for name, content in read(path, lambda name: bool(regex.fullmatch(name))):
            try:
                text = content.decode(self.encoding or "utf-8")
            except UnicodeDecodeError as error:
                shown = self.encoding or "UTF-8"
                raise SourceError(
                    f"{path}, {name} is not {shown}: byte {error.start} of the file is "
                    f"0x{content[error.start]:02x}; convert it, or set `encoding` in the catalog"
                ) from error
            yield name, text.encode() if self.encoding else content.removeprefix(b"\xef\xbb\xbf")

    def _table(self, files: list[tuple[str, bytes]], columns: Sequence[str] | None) -> pa.Table:
        if not files:
            raise SourceError(
                f"{self.path} holds no file like {self.pattern}: correct `pattern` in the catalog"
            )
        regex = path_pattern(self.pattern)
        found = [match for name, _ in files if (match := regex.fullmatch(name))]
        named = {
            "source": strings([name for name, _ in files]),
            "text": strings([content for _, content in files]),
        } | {group: strings([match[group] for match in found]) for group in regex.groupindex}
        check_columns(self.path, columns, list(named))
        table = pa.table(named)
        return table if columns is None else table.select(list(dict.fromkeys(columns)))


@dataclass(frozen=True)
class WikiText:
    """An archive laid out like WikiText: one row an article."""

    path: str
    names_rows: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """The path."""
        return self.path

    def chunks(
        self,
        columns: Sequence[str] | None = None,
        *,
        as_text: bool = False,  # noqa: ARG002 - all are texts
    ) -> Iterator[pa.Table]:
        """Columns `source`, `text` and `part`: `train`, `valid` or `test`, in this order."""
        articles = list(read_articles(Path(self.path)))
        articles.sort(key=lambda article: _WIKITEXT_PARTS.index(article.part))
        table = pa.table(
            {
                "source": strings([article.source for article in articles]),
                "text": strings([article.text for article in articles]),
                "part": strings([article.part for article in articles]),
            }
        )
        check_columns(self.path, columns, table.column_names)
        yield table if columns is None else table.select(list(dict.fromkeys(columns)))


def natural_order(path: str) -> tuple[list[str | int], str]:
    """What to sort paths by so that numbers in them count by their value."""
    pieces = re.split(r"(\d+)", path)  # texts and numbers by turns, text first
    return [int(piece) if i % 2 else piece for i, piece in enumerate(pieces)], path


def strings(values: Sequence[str] | Sequence[bytes]) -> pa.ChunkedArray:
    """Texts as Arrow keeps them, in several chunks above 2 GB."""
    array = pa.array(values, pa.string())
    return array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])
