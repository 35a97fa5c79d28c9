"""Put `mlflow models serve` under load: throughput, latency, errors, memory over time.

python benchmarks/serving/run.py [--requests 20000] [--minutes 10] [--clients 8] [--rows 1]

Trains a tiny model of each kind, registers it, and serves `models:/<kind>@champion` in a process of
its own. Clients, each a thread with a connection that it keeps, ask for raw rows over HTTP without
a pause; requests and minutes are those of all kinds together. Clients and server share the
machine's cores, so that what one client costs is in the figures.
"""

import argparse
import json
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import psutil
import requests

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "tests")]
from common import machine  # noqa: E402
from model_bundles import bundle_of, people, rated, reviews  # noqa: E402
from model_server import Server, serve  # noqa: E402

from gradual import tracking  # noqa: E402
from gradual.tracking import Registration  # noqa: E402

WARM_UP = 200
"""Requests before the clock starts: threads, caches and pools of the server come to be."""


def questions(kind: str, rows: int, count: int = 200) -> list[str]:
    """Bodies of requests, each with so many raw rows."""
    draw = np.random.default_rng(0)
    if kind == "tabular":
        known = people().drop_columns("rich").to_pylist()
    elif kind == "collab":
        known = [{"user": str(user)} for user in rated()["user"].unique().to_pylist()]
    else:
        known = [{"text": f"{text} {text.lower()}, really."} for text in reviews()[0]]
    chosen = draw.integers(0, len(known), (count, rows))
    return [json.dumps({"dataframe_records": [known[i] for i in row]}) for row in chosen]


class Load:
    """What clients have asked of a server, and what came back."""

    def __init__(self, server: Server, bodies: list[str], most: int, until: float) -> None:
        self._url, self._bodies, self._most, self._until = server.url, bodies, most, until
        self._lock, self._given = threading.Lock(), 0
        self.seconds: list[float] = []
        self.errors: dict[str, int] = {}

    def client(self) -> None:
        """Ask until there is nothing more to ask, over one connection."""
        with requests.Session() as session:
            session.headers["Content-Type"] = "application/json"
            while True:
                with self._lock:
                    number, self._given = self._given, self._given + 1
                if number >= self._most or time.monotonic() > self._until:
                    return
                body = self._bodies[number % len(self._bodies)]
                start = time.perf_counter()
                try:
                    answer = session.post(f"{self._url}/invocations", body, timeout=70)
                    wrong = "" if answer.ok and answer.json()["predictions"] else answer.text[:200]
                except (requests.RequestException, KeyError, ValueError) as error:
                    wrong = repr(error)[:200]
                with self._lock:
                    self.seconds.append(time.perf_counter() - start)
                    if wrong:
                        self.errors[wrong] = self.errors.get(wrong, 0) + 1

    def run(self, clients: int, memory: list[tuple[int, float]], pid: int) -> float:
        """Let the clients ask, and watch the server's memory; returns the seconds it took."""
        threads = [threading.Thread(target=self.client) for _ in range(clients)]
        start = time.monotonic()
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            memory.append((len(self.seconds), resident(pid)))
            time.sleep(0.5)
        memory.append((len(self.seconds), resident(pid)))
        return time.monotonic() - start


def resident(pid: int) -> float:
    """Resident memory of a process and all that it started, in MB."""
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return sum(each.memory_info().rss for each in family) / 1e6


def measure(kind: str, server: Server, options: argparse.Namespace, share: float) -> dict[str, Any]:
    """Warm a server up, ask it, and put what was seen into a row."""
    bodies, ages = questions(kind, options.rows), list[tuple[int, float]]()
    Load(server, bodies, WARM_UP, time.monotonic() + 120).run(options.clients, [], server.pid)
    until = time.monotonic() + options.minutes * 60 * share
    load = Load(server, bodies, round(options.requests * share), until)
    seconds = load.run(options.clients, ages, server.pid)
    asked, megabytes = np.array(ages).T
    slope = np.polyfit(asked / 1000, megabytes, 1)[0] if asked[-1] else float("nan")
    for error, count in load.errors.items():
        print(f"{kind}: {count} times {error}", file=sys.stderr)
    return {
        "model": kind,
        "requests": len(load.seconds),
        "a second": f"{len(load.seconds) / seconds:.0f}",
        "p50, ms": f"{1000 * np.quantile(load.seconds, 0.5):.0f}",
        "p99, ms": f"{1000 * np.quantile(load.seconds, 0.99):.0f}",
        "errors": sum(load.errors.values()),
        "memory, MB": " → ".join(f"{each:.0f}" for each in (megabytes[0], megabytes[-1])),
        "MB per 1,000 requests": f"{slope:+.2f}",
    }


def main() -> None:
    """Register, serve and ask each kind; print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--rows", type=int, default=1)
    parser.add_argument("--kinds", nargs="+", default=["text_stack", "tabular", "collab"])
    options = parser.parse_args()
    print(f"{machine()}; {options.clients} clients, {options.rows} rows a request\n")
    found = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        uri = f"sqlite:///{folder / 'mlflow.db'}"
        mlflow.set_tracking_uri(uri)
        mlflow.create_experiment("load", artifact_location=(folder / "artifacts").as_uri())
        mlflow.set_experiment("load")
        with mlflow.start_run():
            for kind in options.kinds:
                tracking.log_model(bundle_of(kind), registration=Registration(kind, "champion"))
        for kind in options.kinds:
            with serve(f"models:/{kind}@champion", uri, folder) as server:
                found.append(measure(kind, server, options, 1 / len(options.kinds)))
    print(" | ".join(["", *found[0], ""]).strip())
    print("|" + " --- |" * len(found[0]))
    for row in found:
        print(" | ".join(["", *map(str, row.values()), ""]).strip())


if __name__ == "__main__":
    main()
