import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field

import pytest

from gradual.training.files import (
    atomic_path,
    canonical_json,
    fingerprint,
    from_json_types,
    sha256_file,
    to_json_types,
)


@dataclass(frozen=True)
class Settings:
    rate: float = 0.1
    device: str = field(default="auto", metadata={"identity": False})


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_atomic_path_writes_into_a_folder_that_did_not_exist(tmp_path):
    target = tmp_path / "a" / "b" / "file.txt"
    with atomic_path(target) as temporary:
        assert temporary.parent.parent == target.parent
        assert temporary.parent.name.startswith(".")
        assert temporary.parent.name.endswith(".tmp")
        temporary.write_text("new")
        temporary.with_name("what a library puts beside it").write_text("half")
        assert not target.exists()
    assert target.read_text() == "new"
    assert names(target.parent) == ["file.txt"]


def test_an_error_in_the_body_leaves_the_old_file_and_no_temporary(tmp_path):
    target = tmp_path / "file.txt"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_path(target) as temporary:
        temporary.write_text(f"half {1 // 0}" if temporary.write_text("half") else "")
    assert target.read_text() == "old"
    assert names(tmp_path) == ["file.txt"]


def test_a_body_that_writes_nothing_is_an_error(tmp_path):
    target = tmp_path / "file.txt"
    target.write_text("old")
    with pytest.raises(FileNotFoundError), atomic_path(target):
        pass
    assert target.read_text() == "old"


def test_what_a_killed_process_left_is_removed_by_the_next_writer(tmp_path):
    target = tmp_path / "file[1].txt"
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from gradual.training.files import atomic_path\n"
        "with atomic_path(Path(sys.argv[1])) as t:\n"
        "    t.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(target)], check=False)
    assert killed.returncode == -9
    assert len(names(tmp_path)) == 1
    mine = target.with_name(f".{target.name}.{os.getpid()}-abc.tmp")  # that process is alive
    other = target.with_name(f".other.txt.{2**22 + 1}-abc.tmp")
    mine.mkdir()
    other.mkdir()
    with atomic_path(target) as temporary:
        temporary.write_text("new")
    assert names(tmp_path) == sorted([target.name, mine.name, other.name])


def test_sha256_file_is_that_of_the_bytes(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"abc" * 700_000)
    assert sha256_file(file) == hashlib.sha256(b"abc" * 700_000).hexdigest()


def test_canonical_json_does_not_depend_on_order_and_takes_dataclasses():
    one = canonical_json({"b": (1, 2), "a": Settings()})
    two = canonical_json({"a": {"device": "auto", "rate": 0.1}, "b": [1, 2]})
    assert one == two == '{"a":{"device":"auto","rate":0.1},"b":[1,2]}'
    assert fingerprint({"b": 1, "a": 2}) == fingerprint({"a": 2, "b": 1}) != fingerprint({"a": 2})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_canonical_json_refuses_numbers_that_json_cannot_say(value):
    with pytest.raises(ValueError, match="JSON"):
        canonical_json({"a": value})


@dataclass(frozen=True)
class Run:
    settings: Settings
    best: Settings | None
    steps: tuple[Settings, ...]
    names: dict[str, tuple[str, ...]]


@pytest.mark.parametrize("best", [None, Settings(0.3)])
def test_what_json_holds_becomes_the_dataclasses_that_it_was(best):
    run = Run(Settings(0.2), best, (Settings(), Settings(0.5)), {"a": ("b", "c")})
    assert from_json_types(Run, json.loads(canonical_json(run))) == run
    assert from_json_types(tuple[Settings, ...], [{"rate": 0.5}]) == (Settings(0.5),)


def test_plain_refuses_what_json_would_change():
    with pytest.raises(TypeError, match="1 is not a string"):
        to_json_types({1: "a"})
    with pytest.raises(TypeError, match="set is not JSON"):
        to_json_types({"a": {1}})


def test_plain_for_identity_leaves_out_where_things_run():
    assert to_json_types({"s": [Settings()]}, identity=True) == {"s": [{"rate": 0.1}]}
