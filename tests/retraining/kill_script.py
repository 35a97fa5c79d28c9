"""Take in partitions again and again, killed at one more touch of the folder each time.

Prints the names of the folders in the one that is its argument, one for each process that was
killed, as JSON.
"""

import itertools
import json
import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from gradual.retraining.kept_rows import KeptRows, Partition
from gradual.sources.reader import open_source


def part(name: str, version: str, first: int) -> Partition:
    table = pa.table({"id": range(first, first + 10)})
    return Partition(name, version, partial(open_source, table))


def work(folder: Path, events: int) -> None:
    kept = KeptRows(folder)
    kept.take_in([part("day 1", "1", 10)])
    kept.accept(kept.to_check("rules")[0], [], "rules")
    left = itertools.count(events, -1)

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        changes = event in ("os.mkdir", "os.rename", "os.remove", "os.rmdir") or (
            event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        )
        # What is removed may be named in a folder that is open already.
        if changes and (event == "os.rmdir" or str(folder) in str(arguments)) and not next(left):
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(audit)
    kept.take_in([part("day 1", "2", 30), part("day 2", "1", 20)])
    for version in kept.to_check("rules"):
        kept.accept(version, [0], "rules")


killed = []
for events in itertools.count():
    folder = Path(sys.argv[1]) / str(events)
    child = os.fork()
    if not child:
        try:
            work(folder, events)
        except BaseException:
            os._exit(1)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        killed.append(folder.name)
        continue
    assert status == 0, status
    break
sys.stdout.write(json.dumps(killed))
