"""Runs of other machines: alive while they give signs, killed when they have stopped to."""

import time

import mlflow
import pytest

from gradual.tracking import heartbeat
from gradual.tracking.kedro_hook import end_killed_runs


def _run_of_another_machine(store: mlflow.MlflowClient, **tags: str) -> str:
    (experiment,) = {mlflow.get_experiment_by_name(e.name) for e in _current(store)}
    tags |= {"process.host": "another", "process.id": "1", "process.started": "long ago"}
    return str(store.create_run(experiment.experiment_id, tags=tags).info.run_id)


def _current(store: mlflow.MlflowClient) -> list[mlflow.entities.Experiment]:
    newest = sorted(store.search_experiments(), key=lambda each: int(each.experiment_id))
    return newest[-1:]


def _end_killed(store: mlflow.MlflowClient) -> list[str]:
    return end_killed_runs(_current(store)[0].experiment_id)


def test_a_run_of_another_machine_is_killed_when_it_gives_no_more_signs(
    store: mlflow.MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = _run_of_another_machine(store)  # of a version that gave none
    living = _run_of_another_machine(store)
    signs = heartbeat.Heartbeat(store, living, seconds=0.05)
    deadline = time.monotonic() + 30
    while heartbeat.TAG not in store.get_run(living).data.tags:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    signs.end()
    assert _end_killed(store) == []
    later = time.time() + heartbeat.DEAD_AFTER + 60
    monkeypatch.setattr(heartbeat.time, "time", lambda: later)
    assert _end_killed(store) == [living]
    assert store.get_run(living).info.status == "KILLED"
    assert store.get_run(silent).info.status == "RUNNING"


def test_signs_go_on_after_a_server_did_not_answer() -> None:
    class Client:
        given = 0

        def set_tag(self, run_id: str, key: str, value: str) -> None:
            self.given += 1
            if self.given < 3:
                raise ConnectionError("no route")

    client = Client()
    signs = heartbeat.Heartbeat(client, "run", seconds=0.01)  # type: ignore[arg-type]
    deadline = time.monotonic() + 30
    while client.given < 4:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    signs.end()
    time.sleep(0.2)
    ended = client.given
    time.sleep(0.2)
    assert client.given == ended
