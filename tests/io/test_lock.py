import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import gradual
from gradual.io.lock import OneWriter
from gradual.retraining.errors import ExitCode, Stop

HOLD = """
import os, sys, time
from pathlib import Path
from gradual.io.lock import OneWriter
writer = OneWriter(Path(sys.argv[1]))
writer.acquire(["imdb"])
if sys.argv[2] == "fork" and not os.fork():
    time.sleep(60)  # a worker that outlives the run
print(os.getpid(), flush=True)
time.sleep(60)
"""


def hold(folder: Path, how: str = "") -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, folder, how],
        stdout=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(Path(gradual.__file__).parents[1])},
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline().strip() == str(process.pid)
    return process


def test_a_second_run_is_refused_at_once_and_told_who_writes(tmp_path: Path) -> None:
    holder = hold(tmp_path)
    began = time.monotonic()
    with pytest.raises(Stop) as stopped:
        OneWriter(tmp_path).acquire(["adult", "imdb"])
    assert time.monotonic() - began < 5
    assert (stopped.value.exit_code, stopped.value.decision) == (ExitCode.LOCKED, "locked")
    said = json.loads((tmp_path / "imdb.lock").read_text())
    assert said["process"] == holder.pid
    for part in ("imdb is being written", f"process {holder.pid} on {said['host']}", said["since"]):
        assert part in str(stopped.value)
    assert str(said["command"]) in str(stopped.value)
    # What it did get is free again.
    OneWriter(tmp_path).acquire(["adult"])
    holder.kill()
    holder.wait()


@pytest.mark.parametrize("how", ["", "fork"])
def test_a_killed_holder_leaves_nothing_that_blocks(tmp_path: Path, how: str) -> None:
    holder = hold(tmp_path, how)
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    OneWriter(tmp_path).acquire(["imdb"])
    if how:
        os.killpg(holder.pid, signal.SIGKILL)


def test_what_is_released_can_be_locked_again_and_others_are_free(tmp_path: Path) -> None:
    one, other = OneWriter(tmp_path), OneWriter(tmp_path)
    one.acquire(["imdb"])
    other.acquire(["imdb_backwards"])
    one.release()
    one.release()
    other.acquire(["imdb"])
    with pytest.raises(Stop, match="imdb_backwards is being written"):
        one.acquire(["imdb_backwards"])


def test_a_holder_that_has_not_said_who_it_is_holds_all_the_same(tmp_path: Path) -> None:
    one = OneWriter(tmp_path)
    one.acquire(["imdb"])
    (tmp_path / "imdb.lock").write_text("")
    with pytest.raises(Stop, match="by another run: wait"):
        OneWriter(tmp_path).acquire(["imdb"])
