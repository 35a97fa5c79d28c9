"""The bytes of one file of rows: on the disk, or out of an archive; unpacked where compressed."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from gradual.sources.archives import DAMAGE, decompressed
from gradual.sources.errors import SourceError


@dataclass(frozen=True)
class Content:
    """A file's bytes, to be read as often as wanted, in any process.

    Attributes:
        name: What to call the file in messages.
        path: Where it lies on the disk; None if `data` holds it.
        data: All of its bytes; None if they are on the disk.
    """

    name: str
    path: str | None = None
    data: bytes | None = field(default=None, repr=False)

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The bytes as a stream.

        Raises:
            SourceError: The file cannot be read, or is compressed and damaged.
        """
        try:
            with self._file() as file:
                start = file.read(6)
                file.seek(0)
                with decompressed(file, start) as stream:
                    yield stream
        except FileNotFoundError as error:
            raise SourceError(
                f"{self.name} does not exist: correct the path in the catalog"
            ) from error
        except DAMAGE as error:
            raise SourceError(
                f"{self.name} cannot be read, or is truncated or altered "
                f"({type(error).__name__}: {error}): replace it by a good copy"
            ) from error

    def _file(self) -> IO[bytes]:
        return io.BytesIO(self.data or b"") if self.path is None else Path(self.path).open("rb")

    def read(self) -> bytes:
        """All of the bytes."""
        with self.open() as stream:
            return stream.read()

    @property
    def size(self) -> int:
        """Bytes before unpacking."""
        return len(self.data or b"") if self.path is None else Path(self.path).stat().st_size


def check_columns(name: str, wanted: Sequence[str] | None, present: Sequence[str]) -> None:
    """Make sure that each wanted column (None: every column) is there once.

    Raises:
        SourceError: It is not; names file and column, and which columns there are.
    """
    for column in dict.fromkeys(present) if wanted is None else wanted:
        if (count := list(present).count(column)) != 1:
            remedy = "name the right ones in the parameters"
            if count:
                remedy = "rename one, or name all of them with `columns` in the catalog"
            raise SourceError(
                f"{name} has {'no column' if not count else f'{count} columns'} {column!r}; its "
                f"columns are {', '.join(map(repr, present))}: {remedy}"
            )
