import gzip
import hashlib
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import pytest
from kedro.io.core import DatasetError

import gradual.io.download
from gradual.io.download import SourceFile

CONTENT = gzip.compress(b"reviews" * 100_000, mtime=0)
OTHER = gzip.compress(b"other reviews", mtime=0)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class _Host(BaseHTTPRequestHandler):
    requests: list[str]

    def do_GET(self) -> None:
        type(self).requests.append(self.path)
        name = self.path.split("?")[0]
        if name == "/missing/a.tgz":
            self.send_error(404)
            return
        if name == "/broken/a.tgz":
            self.send_error(500)
            return
        body = b"<html>Please log in</html>" if name == "/page/a.tgz" else CONTENT
        if name == "/empty/a.tgz":
            body = b""
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        if name == "/encoded/a.tgz":  # as some hosts say of a .tgz; clients then unpack it
            self.send_header("Content-Encoding", "x-gzip")
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if name == "/cut/a.tgz" else body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def host() -> Iterator[str]:
    _Host.requests = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Host)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def no_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRADUAL_MIRROR", raising=False)


@pytest.fixture
def memory() -> Iterator[Any]:
    filesystem = fsspec.filesystem("memory")
    yield filesystem
    filesystem.store.clear()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "data" / "a.tgz"


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_downloads_once_and_verifies_each_time(host: str, cache: Path) -> None:
    url = f"{host}/good/a.tgz?signature=secret"
    dataset = SourceFile(url=url, filepath=str(cache), sha256=_sha256(CONTENT).upper())
    assert not dataset.exists()
    assert dataset.path() == cache
    assert cache.read_bytes() == CONTENT
    assert dataset.exists()
    assert dataset.path() == cache
    assert _Host.requests == ["/good/a.tgz?signature=secret"]
    assert _names(cache.parent) == [".a.tgz.origin.json", "a.tgz"]
    assert "secret" not in str(dataset.describe())
    cache.write_bytes(CONTENT[:-1] + b"!")
    assert dataset.path().read_bytes() == CONTENT
    assert len(_Host.requests) == 2


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing", "does not exist: correct the URL"),
        ("broken", "was refused by its host .*500"),
        ("cut", "broke off after .* bytes"),
        ("page", r"no \.tgz file, it begins with b'<html>"),
        ("empty", "is empty"),
    ],
)
def test_a_bad_answer_leaves_nothing(host: str, name: str, message: str, cache: Path) -> None:
    dataset = SourceFile(url=f"{host}/{name}/a.tgz", filepath=cache)
    with pytest.raises(DatasetError, match=message) as raised:
        dataset.path()
    assert name == "page" or "GRADUAL_MIRROR" in str(raised.value)
    assert name == "page" or str(cache) in str(raised.value)
    assert f"/{name}/a.tgz" in str(raised.value)
    assert _names(cache.parent) == []


def test_a_host_that_declares_an_encoding_is_taken_literally(host: str, cache: Path) -> None:
    url = f"{host}/encoded/a.tgz"
    dataset = SourceFile(url=url, filepath=cache, sha256=_sha256(CONTENT))
    assert dataset.path().read_bytes() == CONTENT


def test_no_network(cache: Path) -> None:
    dataset = SourceFile(url="http://127.0.0.1:9/a.tgz", filepath=cache)
    with pytest.raises(DatasetError, match=r"cannot be reached .*GRADUAL_MIRROR"):
        dataset.path()
    assert _names(cache.parent) == []


def test_a_file_placed_by_hand_needs_no_network(
    cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache.parent.mkdir()
    cache.write_bytes(CONTENT)
    url = "http://127.0.0.1:9/a.tgz"
    assert SourceFile(url=url, filepath=cache, sha256=_sha256(CONTENT)).path() == cache
    assert caplog.text == ""
    assert SourceFile(url=url, filepath=cache).path() == cache
    assert f"add `sha256: {_sha256(CONTENT)}`" in caplog.text


def test_a_wrong_checksum_leaves_the_old_file(host: str, cache: Path) -> None:
    cache.parent.mkdir()
    cache.write_bytes(OTHER)
    dataset = SourceFile(url=f"{host}/good/a.tgz", filepath=cache, sha256="0" * 64)
    with pytest.raises(DatasetError, match=f"{_sha256(CONTENT)}, but .* says {'0' * 64}"):
        dataset.path()
    assert cache.read_bytes() == OTHER
    assert _names(cache.parent) == ["a.tgz"]
    with pytest.raises(DatasetError):  # and no rerun takes it
        dataset.path()


def test_without_a_checksum_the_computed_one_is_logged(
    host: str, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = SourceFile(url=f"{host}/good/a.tgz", filepath=cache)
    dataset.path()
    assert f"add `sha256: {_sha256(CONTENT)}`" in caplog.text
    dataset.path()
    assert len(_Host.requests) == 1
    cache.write_bytes(OTHER)  # altered: refetched all the same
    assert dataset.path().read_bytes() == CONTENT
    moved = SourceFile(url=f"{host}/moved/a.tgz", filepath=cache)
    moved.path()
    assert "came from" in caplog.text
    assert len(_Host.requests) == 3


def test_a_full_disk(host: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(target: Any, block: bytes) -> None:
        raise gradual.io.download._WriteError(28, "No space left on device")

    monkeypatch.setattr(gradual.io.download, "_write", full)
    dataset = SourceFile(url=f"{host}/good/a.tgz", filepath=cache)
    with pytest.raises(DatasetError, match=r"a\.tgz: the disk is full"):
        dataset.path()
    assert _names(cache.parent) == []


def test_a_place_that_cannot_be_written(host: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    place = tmp_path / "file" / "a.tgz"
    dataset = SourceFile(url=f"{host}/good/a.tgz", filepath=place)
    with pytest.raises(DatasetError, match="cannot be written"):
        dataset.path()


def _mirror(folder: Path, content: bytes, sums: str | None = None) -> Path:
    folder.mkdir()
    (folder / "a.tgz").write_bytes(content)
    line = f"{_sha256(content)}  a.tgz\n" if sums is None else sums
    (folder / "SHA256SUMS").write_text(f"{'0' * 64} *b.tgz\n{line}")
    return folder


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_a_mirror_on_the_disk_is_used_in_place(
    form: str, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _mirror(tmp_path / "mir ror", OTHER)
    monkeypatch.setenv("GRADUAL_MIRROR", form.format(folder))
    url = "http://127.0.0.1:9/x/a.tgz"
    dataset = SourceFile(url=url, sha256="0" * 64, filepath=cache)
    assert dataset.exists()
    assert dataset.path() == folder / "a.tgz"
    assert _names(cache.parent) == []
    (folder / "a.tgz").write_bytes(OTHER[:-2])
    with pytest.raises(DatasetError, match="altered or cut short"):
        dataset.path()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "SHA256SUMS").unlink(), "SHA256SUMS cannot be read"),
        (lambda folder: (folder / "SHA256SUMS").write_text(""), r"no line for a\.tgz"),
        (lambda folder: (folder / "a.tgz").unlink(), r"a\.tgz does not exist, though"),
    ],
)
def test_an_incomplete_mirror_says_what_is_missing(
    change: Any, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _mirror(tmp_path / "mirror", CONTENT)
    change(folder)
    monkeypatch.setenv("GRADUAL_MIRROR", str(folder))
    with pytest.raises(DatasetError, match=message):
        SourceFile(url="https://127.0.0.1/a.tgz").path()


def test_a_remote_mirror_and_the_public_url_do_not_mix(
    host: str, memory: Any, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.pipe("/mirror/a.tgz", OTHER)
    memory.pipe("/mirror/SHA256SUMS", f"{_sha256(OTHER)}  ./a.tgz\n".encode())
    verified = {"url": f"{host}/good/a.tgz", "filepath": cache, "sha256": _sha256(CONTENT)}
    unverified = {"url": f"{host}/good/a.tgz", "filepath": cache}
    for arguments in (verified, unverified):
        monkeypatch.setenv("GRADUAL_MIRROR", "memory://mirror/")
        assert SourceFile(**arguments).path().read_bytes() == OTHER
        monkeypatch.delenv("GRADUAL_MIRROR")
        assert SourceFile(**arguments).path().read_bytes() == CONTENT
    monkeypatch.setenv("GRADUAL_MIRROR", "memory://elsewhere")
    with pytest.raises(DatasetError, match="elsewhere/SHA256SUMS cannot be read"):
        SourceFile(**verified).path()


def test_other_filesystems(memory: Any, cache: Path) -> None:
    memory.pipe("/bucket/a.tgz", CONTENT)
    dataset = SourceFile(url="memory://bucket/a.tgz", filepath=cache)
    assert dataset.path().read_bytes() == CONTENT
    missing = SourceFile(url="memory://bucket/b.tgz", filepath=cache.with_name("b.tgz"))
    with pytest.raises(DatasetError, match="does not exist"):
        missing.path()


@pytest.mark.parametrize("argument", ["filepath", "url"])
def test_a_local_file(argument: str, tmp_path: Path) -> None:
    path = tmp_path / "texts.csv"
    dataset = SourceFile(**{argument: str(path)})
    assert not dataset.exists()
    with pytest.raises(DatasetError, match=r"texts\.csv does not exist: place the file there"):
        dataset.path()
    path.write_text("label,text\n")
    assert dataset.path() == path
    right = _sha256(path.read_bytes())
    assert SourceFile(filepath=path, sha256=right).path() == path
    with pytest.raises(DatasetError, match="altered or cut short"):
        SourceFile(filepath=path, sha256="0" * 64).path()


def test_a_local_file_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_text("no zip")
    with pytest.raises(DatasetError, match=r"no \.zip file"):
        SourceFile(filepath=tmp_path / "a.zip").path()


def test_no_file_is_none() -> None:
    assert SourceFile(filepath=None).path() is None
    assert SourceFile(filepath=None).exists()


def test_the_cache_is_the_raw_folder_unless_said_otherwise() -> None:
    dataset = SourceFile(url="https://host/x/a%20b.tgz?x=1")
    assert dataset.describe()["filepath"] == Path("data/01_raw/a b.tgz")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"url": "https://host/a.tgz", "sha256": "abc"}, "64 hexadecimal digits"),
        ({"url": "https://host/"}, "must end in the name of a file"),
        ({"url": "a.csv", "filepath": "b.csv"}, "give it as filepath"),
    ],
)
def test_a_bad_entry(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SourceFile(**arguments)


def test_the_mirror_of_real_archives(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADUAL_MIRROR", str(mirror))
    dataset = SourceFile(url="https://host/imdb_sample.tgz", sha256="0" * 64)
    assert dataset.path() == mirror / "imdb_sample.tgz"


def test_progress_is_quiet_without_a_terminal(
    host: str, cache: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        SourceFile(url=f"{host}/good/a.tgz", filepath=cache).path()
    assert "Downloading" in caplog.text
    assert "it/s" not in capfd.readouterr().err
