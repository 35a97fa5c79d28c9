"""One writer at a time: a locked file for each namespace that a run writes to."""

import json
import os
import platform
import shlex
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from filelock import FileLock, Timeout

from gradual.retraining.errors import ExitCode, Stop


class OneWriter:
    """The locks of one run.

    The operating system holds them (flock), and frees them when the process ends, however it ends;
    the processes that it has forked do not keep them. The content of the files says who has them,
    and stays when nobody has.

    Args:
        folder: Where the files are; it is made if need be.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._locks: list[FileLock] = []

    def acquire(self, names: Iterable[str]) -> None:
        """Lock all of these namespaces, or none.

        Raises:
            Stop: Another run has one of them; the message says which and how to end it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in sorted(names):
            path = self.folder / f"{name}.lock"
            lock = FileLock(path)
            try:
                lock.acquire(blocking=False)
            except Timeout:
                self.release()
                raise Stop(
                    f"{name} is being written by another run{_holder(path)}: wait until it ends, "
                    f"or end it ({path} is locked)",
                    exit_code=ExitCode.LOCKED,
                    decision="locked",
                ) from None
            self._locks.append(lock)
            content = {
                "host": platform.node(),
                "process": os.getpid(),
                "since": time.strftime("%Y-%m-%d %H:%M:%S %z"),
                "command": shlex.join([Path(sys.orig_argv[0]).name, *sys.orig_argv[1:]]),
            }
            path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    def release(self) -> None:
        """Free what is locked."""
        while self._locks:
            self._locks.pop().release()


def _holder(path: Path) -> str:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        where = f"process {said['process']} on {said['host']}, since {said['since']}"
        return f", `{said['command']}` ({where})"
    except (OSError, ValueError, KeyError, TypeError):  # it has begun just now
        return ""
