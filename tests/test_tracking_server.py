"""Runs tracked by an MLflow server on PostgreSQL with a folder of artifacts, which really run."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow
import pytest

PASSWORD = "s3cret"  # of the database, and of the server
RUN = (sys.executable, "-m", "kedro", "run", "--env=tiny")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait_for(ready: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + 600
    while not ready():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)


@contextmanager
def _running(command: list[str], log: Path, **environment: str) -> Iterator[None]:
    with log.open("w") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env=os.environ | environment
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(60)


@pytest.fixture(scope="module")
def address(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The server's address, with a password in it."""
    folder, database, port = tmp_path_factory.mktemp("server"), _free_port(), _free_port()
    drivers = folder / "drivers"  # nothing of the project needs one
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(drivers)]
    subprocess.run([*pip, "psycopg2-binary"], check=True, timeout=600)
    # PostgreSQL is another user, who may not look into pytest's folders.
    cluster, log = Path(tempfile.mkdtemp(prefix="postgres")), folder / "postgres.log"
    cluster.chmod(0o755)
    script = [str(project / "tests/postgres.sh"), str(cluster), str(database), "mlflow", PASSWORD]

    def answers() -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", database)) == 0

    def is_healthy() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                return True
        except OSError:
            return False

    uri = f"postgresql+psycopg2://mlflow:{PASSWORD}@127.0.0.1:{database}/mlflow"
    server = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
    server += ["--backend-store-uri", uri, "--artifacts-destination", str(folder / "artifacts")]
    with _running(script, log):
        _wait_for(answers, log)
        with _running(server, folder / "mlflow.log", PYTHONPATH=str(drivers)):
            _wait_for(is_healthy, folder / "mlflow.log")
            yield f"http://me:{PASSWORD}@127.0.0.1:{port}"
    shutil.rmtree(cluster)


def _start(folder: Path, address: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*RUN, *arguments],
        cwd=folder,
        env=os.environ | {"MLFLOW_TRACKING_URI": address, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.slow
def test_two_runs_at_once_and_a_killed_one_on_a_server(project_clone: Path, address: str) -> None:
    names = ("adult", "movielens")
    processes = [_start(project_clone, address, f"--pipeline={name}") for name in names]
    logs = [process.communicate(timeout=1800)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], logs
    client = mlflow.MlflowClient(address)
    experiment = client.get_experiment_by_name("gradual").experiment_id
    found = {run.info.run_name: run for run in client.search_runs([experiment])}
    assert {name: run.info.status for name, run in found.items()} == dict.fromkeys(
        names, "FINISHED"
    )
    assert "process.heartbeat" in found["adult"].data.tags

    # The model comes back from the server, in another process and another folder.
    reports = project_clone / "data/tiny/08_reporting"
    uri = json.loads((reports / "adult/logged_model.json").read_text())["model_uri"]
    asked = f"import gradual; m = gradual.load({uri!r}); print(len(m.predict(m.example)))"
    answered = subprocess.run(
        [sys.executable, "-c", asked],
        env=os.environ | {"MLFLOW_TRACKING_URI": address},
        text=True,
        capture_output=True,
        check=False,
    )
    assert answered.returncode == 0, answered.stderr

    # Another machine's, whose process was killed long ago as far as can be told from here.
    killed = _start(project_clone, address, "--pipeline=adult")
    running = "attributes.status = 'RUNNING'"
    while not client.search_runs([experiment], running):
        assert killed.poll() is None
        time.sleep(0.2)
    killed.kill()
    logs.append(killed.communicate()[0])
    (run,) = client.search_runs([experiment], running)
    client.set_tag(run.info.run_id, "process.host", "another")
    client.set_tag(run.info.run_id, "process.heartbeat", "1")
    last = _start(project_clone, address, "--pipeline=adult", "--to-nodes=adult.split_rows")
    logs.append(last.communicate(timeout=600)[0])
    assert last.returncode == 0, logs[-1]
    assert client.get_run(run.info.run_id).info.status == "KILLED"

    nowhere = address.rpartition(":")[0] + f":{_free_port()}"
    refused = _start(project_clone, nowhere, "--pipeline=adult")
    logs.append(refused.communicate(timeout=600)[0])
    assert refused.returncode == 1

    written = [path.read_text() for path in project_clone.glob("logs/*")]
    stored = [json.dumps(run.to_dictionary()) for run in client.search_runs([experiment])]
    assert len(stored) == 4
    assert [text for text in (*logs, *written, *stored) if PASSWORD in text] == []
