"""Facts about code, machine and process that a run is tagged with."""

from __future__ import annotations

import os
import platform
import re
import socket
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path


def environment_tags(project: Path) -> dict[str, str]:
    """What the run was made with: commit, versions, device, cores.

    Args:
        project: A folder in the git repository; outside of one, or without git, the git tags
            are missing.
    """
    tags = {
        "python.version": platform.python_version(),
        "torch.version": version("torch"),
        "host.cores": str(os.cpu_count()),
        "host.platform": platform.platform(),
        "device": _device(),
    }
    commit = _git(project, "rev-parse", "HEAD")
    if commit:
        tags["git.commit"] = commit
        tags["git.dirty"] = str(bool(_git(project, "status", "--porcelain"))).lower()
    return tags


def without_passwords(text: str) -> str:
    """The text with `***` for the password of each address in it (`https://user:password@host`).

    Examples:
        >>> without_passwords("postgresql://mlflow:pa:ss@db:5432/mlflow cannot be reached")
        'postgresql://mlflow:***@db:5432/mlflow cannot be reached'
    """
    return re.sub(r"(\w://[^:/@\s]*):\S*@", r"\1:***@", text)


def process_tags() -> dict[str, str]:
    """Which process the run belongs to, so that another can tell whether it was killed."""
    pid = os.getpid()
    return {
        "process.host": socket.gethostname(),
        "process.id": str(pid),
        "process.started": process_start(pid) or "",
    }


def process_is_alive(pid: str, started: str) -> bool:
    """Whether the process of a run still runs; True where that cannot be known.

    Args:
        pid: The process id, as in the run's tags.
        started: When it started, as `process_start` says; the system gives a pid to a new
            process one day, which has another start.
    """
    if not pid.isdecimal() or not started:
        return True
    return process_start(int(pid)) == started


def process_start(pid: int) -> str | None:
    """When process ``pid`` started, in the words of the system; None if there is no such process.

    Linux tells the clock ticks since boot, so the boot's id belongs to it; elsewhere `ps` tells
    the date.
    """
    if Path("/proc/self/stat").exists():
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
            boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        except OSError:
            return None
        # The second field, the program's name in parentheses, may hold blanks and parentheses.
        fields = stat.rpartition(")")[2].split()
        if fields[0] in "ZX":  # a zombie is dead, only nobody has asked for its exit status yet
            return None
        return f"{boot} {fields[19]}"
    return _output("ps", "-o", "lstart=", "-p", str(pid)) or None


@cache
def _device() -> str:
    import torch

    if torch.cuda.is_available():
        return str(torch.cuda.get_device_name())
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _git(project: Path, *arguments: str) -> str:
    return _output("git", "-C", str(project), *arguments)


def _output(*command: str) -> str:
    """What a command prints; "" if it fails, is missing or hangs."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
