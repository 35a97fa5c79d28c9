import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gradual.tracking.environment import (
    environment_tags,
    process_is_alive,
    process_start,
    process_tags,
    without_passwords,
)


def test_own_process_is_alive() -> None:
    tags = process_tags()
    assert process_is_alive(tags["process.id"], tags["process.started"])


def test_a_killed_process_is_not_alive_even_as_a_zombie() -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    started = process_start(process.pid)
    assert started
    assert process_is_alive(str(process.pid), started)
    os.kill(process.pid, signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, its pid still taken
    assert not process_is_alive(str(process.pid), started)
    process.wait()
    assert not process_is_alive(str(process.pid), started)


def test_another_process_with_the_same_pid_is_not_taken_for_it() -> None:
    assert not process_is_alive(str(os.getpid()), "another boot 12345")


def test_a_process_that_left_no_trace_counts_as_alive() -> None:
    assert process_is_alive("", "")
    assert process_is_alive("not a pid", "x")


def test_tags_tell_the_commit_and_whether_files_differ_from_it(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        command = ["git", "-C", str(tmp_path), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    assert "git.commit" not in environment_tags(tmp_path)
    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "first")
    tags = environment_tags(tmp_path)
    assert tags["git.commit"] == git("rev-parse", "HEAD")
    assert tags["git.dirty"] == "false"
    (tmp_path / "file").touch()
    assert environment_tags(tmp_path)["git.dirty"] == "true"
    assert tags["torch.version"]
    assert tags["device"]


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("sqlite:////srv/gradual/mlflow.db", "sqlite:////srv/gradual/mlflow.db"),
        ("at http://host:5000/api: 500", "at http://host:5000/api: 500"),
        ("to https://me:s3:c@ret@host/api failed", "to https://me:***@host/api failed"),
        ("postgresql+psycopg2://me:s3cret@db/mlflow", "postgresql+psycopg2://me:***@db/mlflow"),
        ("https://me@host/ and mail@host", "https://me@host/ and mail@host"),
    ],
)  # fmt: skip
def test_passwords_of_addresses_are_not_shown(text: str, hidden: str) -> None:
    assert without_passwords(text) == hidden
