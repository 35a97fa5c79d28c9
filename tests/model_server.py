"""`mlflow models serve` in a process of its own, for tests and for the benchmark of serving."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests


@dataclass(frozen=True)
class Server:
    """A server that answers.

    Attributes:
        url: Where.
        pid: Its process, the leader of a group of its own.
        log: What it prints.
    """

    url: str
    pid: int
    log: Path


def environment(tracking_uri: str) -> dict[str, str]:
    """Where to find the model and `mlflow`'s own python; no Kedro project."""
    bin_folder = str(Path(sys.executable).parent)
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return kept | {
        "MLFLOW_TRACKING_URI": tracking_uri,
        "PATH": os.pathsep.join((bin_folder, os.environ["PATH"])),
    }


@contextmanager
def serve(
    model: str, tracking_uri: str, folder: Path, *, more: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Serve a model while in the context.

    Args:
        model: Its address, `models:/…`.
        tracking_uri: Of the registry that knows it.
        folder: Where to run it, and to put its log.
        more: Further variables of its environment.

    Raises:
        RuntimeError: It does not answer within two minutes; the message is what it printed.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder / f"server_{port}.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [
                str(Path(sys.executable).with_name("mlflow")), "models", "serve",
                "-m", model, "--env-manager", "local", "-p", str(port),
            ],
            cwd=folder, env=environment(tracking_uri) | dict(more or {}), start_new_session=True,
            stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 120
        while not _answers(url):
            if time.monotonic() > deadline or process.poll() is not None:
                raise RuntimeError(f"{model} is not served:\n{log.read_text()}")
            time.sleep(0.2)
        yield Server(url, process.pid, log)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/ping", timeout=1).ok
    except requests.ConnectionError:
        return False
