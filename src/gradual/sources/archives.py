"""Files in archives, streamed in one pass and never extracted."""

import bz2
import gzip
import lzma
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, Any

from gradual.sources.errors import SourceError

DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,  # also gzip's and bz2's errors
    NotImplementedError,  # a zip compressed in a way that zipfile does not know
)


def path_pattern(pattern: str) -> re.Pattern[str]:
    """A pattern of paths in an archive, to be used with `fullmatch`.

    Args:
        pattern: A path in which `*` stands for any name or piece of one (but not for one that
            begins with a dot), and `{word}` for a whole name, which becomes the group `word`.
    """
    regex = ""
    for piece in re.split(r"(\*|\{\w+\})", pattern):
        if piece == "*":
            regex += r"[^/]*" if regex and not regex.endswith("/") else r"(?!\.)[^/]*"
        elif piece.startswith("{"):
            regex += f"(?P<{piece[1:-1]}>[^/]+)"
        else:
            regex += re.escape(piece)
    return re.compile(regex, re.DOTALL)


def is_archive(path: Path) -> bool:
    """Whether a file's first bytes are those of a tar (also compressed) or zip."""
    with path.open("rb") as file:
        start = file.read(6)
        if start.startswith(b"PK"):
            return True
        file.seek(0)
        try:
            with decompressed(file, start) as stream:
                return bool(stream.read(512)[257:262] == b"ustar")
        except DAMAGE:
            return False


def folder_members(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """Read the wanted files of a folder, named as an archive of that folder would name them."""
    for file in sorted(path.rglob("*")):
        name = file.relative_to(path.parent).as_posix()
        if wanted(name) and file.is_file():
            yield name, file.read_bytes()


def read_members(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """Read the wanted files of a tar (also gzip, bzip2 or xz) or zip.

    The iterator ends well only if the archive is whole: its checksums and its end mark are
    verified, also behind the last wanted file.

    Args:
        path: The archive; its first bytes, not its name, say of which kind it is.
        wanted: Says of a file's path in the archive whether to read it.

    Yields:
        Path in the archive and content of each wanted file, in the archive's order.

    Raises:
        SourceError: There is no such file, it is no archive, it is truncated or altered, it holds
            a wanted file twice, a member that would escape the folder it is extracted to
            (absolute, `..`), or a link or device.
    """
    seen: set[str] = set()
    try:
        with path.open("rb") as file:
            start = file.read(6)
            file.seek(0)
            read = _zip_members if start.startswith(b"PK") else _tar_members
            for name, content in read(path, file, start, wanted):
                if name in seen:
                    raise SourceError(
                        f"{path} holds {name} twice: remove one and pack the archive anew"
                    )
                seen.add(name)
                yield name, content
    except FileNotFoundError as error:
        raise SourceError(f"{path} does not exist: correct the path in the catalog") from error
    except DAMAGE as error:
        raise SourceError(
            f"{path} is no archive, or truncated or altered ({type(error).__name__}: {error}): "
            "replace it by a good copy; a download is fetched again once the file is deleted"
        ) from error


def _checked_name(path: Path, name: str, *, regular: bool) -> str:
    """The member's path, if it is one that an unpacking tool could trust."""
    climbs = ".." in re.split(r"[/\\]", name)
    if climbs or name.startswith(("/", "\\")) or re.match("[A-Za-z]:", name):
        raise SourceError(
            f"{path} holds the member {name!r}, which would escape its folder: such an archive is "
            "not to be trusted, replace it by a good copy"
        )
    if not regular:
        raise SourceError(
            f"{path} holds the member {name!r}, a link or device, which may lead out of its "
            "folder: such an archive is not to be trusted, replace it by a good copy"
        )
    return name.removeprefix("./")


# fromtarfile's argument has the module's name
_TarEnd = tarfile.EOFHeaderError  # type: ignore[attr-defined]
_TarHeaderError = tarfile.HeaderError
_TarReadError = tarfile.ReadError


class _StrictTarInfo(tarfile.TarInfo):
    """tarfile takes a damaged or missing header for the end of the archive; this does not."""

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> "_StrictTarInfo":
        try:
            return super().fromtarfile(tarfile)
        except _TarEnd:
            raise
        except _TarHeaderError as error:
            raise _TarReadError(str(error)) from error


def decompressed(file: IO[bytes], start: bytes) -> AbstractContextManager[Any]:
    """The file, unpacked where its first bytes say that it is gzip, bzip2 or xz."""
    # tarfile decompresses too, but without a look at gzip's checksum.
    if start.startswith(b"\x1f\x8b"):
        return gzip.open(file)
    if start.startswith(b"BZh"):
        return bz2.open(file)
    if start.startswith(b"\xfd7zXZ\x00"):
        return lzma.open(file)
    return nullcontext(file)


def _tar_members(
    path: Path, file: IO[bytes], start: bytes, wanted: Callable[[str], bool]
) -> Iterator[tuple[str, bytes]]:
    with (
        decompressed(file, start) as stream,
        tarfile.open(fileobj=stream, mode="r|", tarinfo=_StrictTarInfo) as archive,
    ):
        while (member := archive.next()) is not None:
            archive.members.clear()  # type: ignore[attr-defined]  # it would keep them all
            name = _checked_name(path, member.name, regular=member.isfile() or member.isdir())
            if member.isfile() and wanted(name):
                content = archive.extractfile(member)
                yield name, content.read() if content else b""
        while stream.read(1 << 20):  # to the end, where the checksum stands
            pass


def _zip_members(
    path: Path,
    file: IO[bytes],
    start: bytes,  # noqa: ARG001
    wanted: Callable[[str], bool],
) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            kind = stat.S_IFMT(member.external_attr >> 16)
            regular = kind in (0, stat.S_IFREG, stat.S_IFDIR)
            name = _checked_name(path, member.filename, regular=regular)
            if member.is_dir() or not wanted(name):
                continue
            if member.flag_bits & 1:
                raise SourceError(f"{path}, {name} is encrypted: pack it without a password")
            yield name, archive.read(member)
