"""Source files: from a public URL, from a mirror, or from the disk, always verified."""

import errno
import hashlib
import json
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

import fsspec
from kedro.io.core import DatasetError
from tqdm.auto import tqdm

from gradual.training.files import atomic_path, sha256_file

logger = logging.getLogger(__name__)

MIRROR_VARIABLE = "GRADUAL_MIRROR"
CHECKSUMS = "SHA256SUMS"
DEFAULT_CACHE = Path("data/01_raw")
_BLOCK = 1 << 20
_FIRST_BYTES = {
    ".gz": b"\x1f\x8b",
    ".tgz": b"\x1f\x8b",
    ".zip": b"PK",
    ".bz2": b"BZh",
    ".xz": b"\xfd7zXZ\x00",
    ".parquet": b"PAR1",
}


@dataclass(frozen=True)
class _Origin:
    """Where the bytes come from and what they have to be."""

    url: str
    sha256: str | None
    authority: str  # who says what the checksum is, for messages
    options: dict[str, Any]


class SourceFile:
    """A file that a catalog names, on the disk or at a URL, verified before it is used.

    The file comes from the first of these that applies:

    1. No `url` (or one without `://`): the local file or folder, used where it is.
    2. The environment variable `GRADUAL_MIRROR` is set, to a folder or any location that fsspec
       reads: `$GRADUAL_MIRROR/<file name in the URL>`, with its checksum from the mirror's own
       `SHA256SUMS`. A mirror on the disk is used in place, without a copy.
    3. `url`, read through fsspec (https, s3, gs, …), with the checksum `sha256`. Without one, the
       computed checksum is logged as a warning, to be written into the catalog.

    What is downloaded is kept at `filepath`. Each use hashes that file again (about 1 s for
    2 GB), and fetches it anew if it is not what the origin calls for; so a change between mirror
    and URL never yields the wrong file. A download reaches `filepath` by a rename after its size,
    kind and checksum are verified: nothing partial is left to be taken for a file.

    Args:
        url: Where the file is published, without `://` a local path; None if it is local.
        sha256: Its checksum there, 64 hexadecimal digits.
        filepath: Where the file lies, or is kept after the download; by default
            `data/01_raw/<file name in the URL>`.
        credentials: Options of the URL's fsspec filesystem, e.g. `{key: …, secret: …}`.

    Raises:
        ValueError: `sha256` is none, or `url` names no file.
    """

    def __init__(
        self,
        *,
        url: str | None = None,
        sha256: str | None = None,
        filepath: str | os.PathLike[str] | None = None,
        credentials: dict[str, Any] | None = None,
    ) -> None:
        if sha256 is not None and not re.fullmatch("[0-9a-fA-F]{64}", sha256):
            raise ValueError(
                f"sha256 is {sha256!r}: give the 64 hexadecimal digits that sha256sum prints"
            )
        if url is not None and "://" not in url:
            if filepath is not None:
                raise ValueError(f"url is {url!r}, a local path: give it as filepath, without url")
            url, filepath = None, url
        if url is not None and not _file_name(url):
            raise ValueError(f"url is {_shown(url)}: it must end in the name of a file")
        if url is not None and filepath is None:
            filepath = DEFAULT_CACHE / _file_name(url)
        self._url = url
        self._sha256 = sha256.lower() if sha256 else None
        self._filepath = None if filepath is None else Path(filepath)
        self._credentials = credentials or {}

    def path(self) -> Path | None:
        """Verify the file, fetching it first where that is needed.

        Returns:
            The path of the verified file (or the folder), or None where no file is named.

        Raises:
            DatasetError: There is no such file, it cannot be fetched, or it is not what it has to
                be; the message says which, and the remedy.
        """
        path = self._filepath
        if path is None:
            return None
        if self._url is None:
            if not path.is_dir():
                _verify_in_place(path, self._sha256, "the catalog's sha256")
            return path
        mirror = os.environ.get(MIRROR_VARIABLE)
        if mirror and _local(mirror) is not None:
            return _in_local_mirror(_local(mirror) or Path(), _file_name(self._url))
        origin = _in_remote_mirror(mirror, _file_name(self._url)) if mirror else self._published()
        if path.exists():
            fault = _fault(path, origin)
            if fault is None:
                return path
            logger.warning("%s %s: fetching it again from %s", path, fault, _shown(origin.url))
        _fetch(origin, path)
        return path

    def _published(self) -> _Origin:
        return _Origin(self._url or "", self._sha256, "the catalog's sha256", self._credentials)

    def exists(self) -> bool:
        """Whether a file is on this machine; its host is not asked."""
        mirror = os.environ.get(MIRROR_VARIABLE)
        folder = _local(mirror) if mirror else None
        if self._url is not None and folder is not None:
            return (folder / _file_name(self._url)).is_file()
        return self._filepath is None or self._filepath.exists()

    def describe(self) -> dict[str, Any]:
        """What to show of it: nothing that may be secret."""
        url = None if self._url is None else _shown(self._url)
        return {"filepath": self._filepath, "url": url, "sha256": self._sha256}


def _file_name(url: str) -> str:
    return unquote(urlsplit(url).path).rsplit("/", 1)[-1]


def _shown(url: str) -> str:
    """The URL without what may be secret: user, password, query."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rsplit("@", 1)[-1], query="", fragment="").geturl()


def _local(location: str) -> Path | None:
    """The folder that a mirror's location names, None if it is on another filesystem."""
    if "://" not in location:
        return Path(location).expanduser()
    parts = urlsplit(location)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def _verify_in_place(path: Path, sha256: str | None, authority: str) -> None:
    if not path.is_file():
        raise DatasetError(f"{path} does not exist: place the file there, or correct the catalog")
    with path.open("rb") as file:
        _check_kind(path.name, file.read(16), str(path))
    if sha256 is not None and (found := sha256_file(path)) != sha256:
        raise DatasetError(
            f"{path} has the sha256 {found}, but {authority} says {sha256}: the file was altered "
            "or cut short, replace it by a good copy (or correct the checksum)"
        )


def _in_local_mirror(folder: Path, name: str) -> Path:
    sums = folder / CHECKSUMS
    try:
        text = sums.read_text(encoding="utf-8")
    except OSError as error:
        raise _no_checksums(str(sums), error) from error
    path = folder / name
    sha256 = _checksum(text, name, str(sums))
    if not path.is_file():
        raise DatasetError(
            f"{path} does not exist, though {MIRROR_VARIABLE} points to its folder: place the file "
            f"there, or unset {MIRROR_VARIABLE} to read the public URL"
        )
    _verify_in_place(path, sha256, str(sums))
    return path


def _in_remote_mirror(mirror: str, name: str) -> _Origin:
    base = mirror.rstrip("/")
    sums = f"{base}/{CHECKSUMS}"
    try:
        with _opened(sums, {}) as (file, _):
            text = file.read().decode()
    except Exception as error:  # each filesystem has errors of its own
        raise _no_checksums(_shown(sums), error) from error
    return _Origin(f"{base}/{name}", _checksum(text, name, _shown(sums)), _shown(sums), {})


def _no_checksums(sums: str, error: Exception) -> DatasetError:
    return DatasetError(
        f"{sums} cannot be read ({_reason(error)}), and a mirror's files are verified against it: "
        f"make it with `sha256sum * > {CHECKSUMS}` in the mirror, or unset {MIRROR_VARIABLE}"
    )


def _checksum(text: str, name: str, sums: str) -> str:
    for line in text.splitlines():
        match = re.fullmatch(r"([0-9a-fA-F]{64}) [ *](?:\./)?(.+)", line.strip())
        if match and match[2] == name:
            return match[1].lower()
    raise DatasetError(
        f"{sums} has no line for {name}: add what `sha256sum {name}` prints, or unset "
        f"{MIRROR_VARIABLE} to read the public URL"
    )


def _record_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.origin.json")


def _fault(path: Path, origin: _Origin) -> str | None:
    """What is wrong with the cached file, None if nothing is."""
    found = sha256_file(path)
    if origin.sha256 is not None:
        expected = f"not {origin.sha256} as {origin.authority} says"
        return None if found == origin.sha256 else f"has the sha256 {found}, {expected}"
    try:
        record = json.loads(_record_path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        record = None  # the user placed the file
    if record is not None and record["url"] != _shown(origin.url):
        return f"came from {record['url']}"
    if record is not None and record["sha256"] != found:
        return "was altered since it was downloaded"
    _warn_unverified(path, found)
    return None


def _warn_unverified(path: Path, found: str) -> None:
    logger.warning(
        "%s is not verified, since no checksum is named for it: if you trust this file, "
        "add `sha256: %s` to its entry in the catalog (to a `start`: #sha256=%s)",
        path,
        found,
        found,
    )


def _fetch(origin: _Origin, path: Path) -> None:
    """Download to `path`, which appears only when all of it is there and verified."""
    url = _shown(origin.url)
    remedy = (
        f"try again, set {MIRROR_VARIABLE} to a folder or location with {path.name} and "
        f"{CHECKSUMS}, or place the file at {path}"
    )
    try:
        with atomic_path(path) as temporary:
            found = _download(origin, temporary, remedy)
            if origin.sha256 is not None and found != origin.sha256:
                raise DatasetError(
                    f"{url} has the sha256 {found}, but {origin.authority} says {origin.sha256}: "
                    "the file was altered on its way or replaced by its publisher; "
                    f"{remedy}, or correct the checksum if the new file is the right one"
                )
            # Before the rename: a record of a file that is not there yet calls for a download,
            # while a file without its record would pass for one that the user placed.
            with atomic_path(_record_path(path)) as record:
                record.write_text(json.dumps({"url": url, "sha256": found}), encoding="utf-8")
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            what = "the disk is full"
        else:
            what = f"it cannot be written ({_reason(error)})"
        raise DatasetError(
            f"{path}: {what}, so {url} is not stored; free some space, or name another place as "
            f"filepath, or set {MIRROR_VARIABLE} to a folder that has the file"
        ) from error
    if origin.sha256 is None:
        _warn_unverified(path, found)


def _download(origin: _Origin, temporary: Path, remedy: str) -> str:
    """Stream the file to `temporary`; return its sha256, computed on the way."""
    url = _shown(origin.url)
    digest = hashlib.sha256()
    received, size, opened = 0, None, False
    with temporary.open("wb") as target:
        try:
            with _opened(origin.url, origin.options) as (source, size):
                opened = True
                logger.info("Downloading %s", url)
                name = _file_name(origin.url)
                with tqdm(
                    total=size, unit="B", unit_scale=True, desc=name, disable=None
                ) as progress:
                    for block in iter(lambda: source.read(_BLOCK), b""):
                        if not received:
                            _check_kind(name, block[:16], url)
                        digest.update(block)
                        _write(target, block)
                        received += len(block)
                        progress.update(len(block))
        except (DatasetError, _WriteError):
            raise
        except FileNotFoundError as error:
            raise DatasetError(f"{url} does not exist: correct the URL, or {remedy}") from error
        except Exception as error:  # each filesystem has errors of its own
            if opened:
                what = f"broke off after {received:,} of {size or 'unknown'} bytes"
            elif getattr(error, "status", None):
                what = "was refused by its host"
            else:
                what = "cannot be reached"
            raise DatasetError(f"{url} {what} ({_reason(error)}): {remedy}") from error
    if size is not None and received != size:
        raise DatasetError(f"{url} broke off after {received:,} of {size:,} bytes: {remedy}")
    if not received:
        raise DatasetError(f"{url} is empty: {remedy}")
    return digest.hexdigest()


class _WriteError(OSError):
    """The local disk's error, told apart from those of the connection."""


def _write(target: BinaryIO, block: bytes) -> None:
    try:
        target.write(block)
    except OSError as error:
        raise _WriteError(error.errno, error.strerror) from error


@contextmanager
def _opened(url: str, options: dict[str, Any]) -> Iterator[tuple[BinaryIO, int | None]]:
    """The file behind a URL as a stream, and its size where that is known."""
    if not url.startswith(("http://", "https://")):
        filesystem, path = fsspec.core.url_to_fs(url, **options)
        with filesystem.open(path, "rb") as file:
            yield file, filesystem.size(path)
        return
    import aiohttp

    # A large file takes longer than aiohttp's five minutes in all; what must not last is silence.
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=60)
    filesystem = fsspec.filesystem(
        "http",
        client_kwargs={"timeout": timeout, "trust_env": True},  # the usual proxy variables
        headers={"Accept-Encoding": "identity"},  # else a .tar.gz may be unpacked on its way
        **options,
    )
    # With a block size of 0, one request streams the file. Any size spares the request for it,
    # which would report a host that cannot be reached as a file that does not exist.
    with filesystem.open(url, "rb", block_size=0, size=1) as file:
        length = file.r.headers.get("Content-Length")
        yield file, None if length is None else int(length)


def _check_kind(name: str, first_bytes: bytes, shown: str) -> None:
    """Refuse a file whose first bytes do not fit its name, such as a login page."""
    suffix = Path(name).suffix.lower()
    expected = _FIRST_BYTES.get(suffix)
    if expected is not None and not first_bytes.startswith(expected):
        raise DatasetError(
            f"{shown} is no {suffix} file, it begins with {first_bytes!r}: the host may have sent "
            "a web page instead, or the file was altered; replace it by a good copy"
        )


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
