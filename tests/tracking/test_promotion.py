import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path

import mlflow
import numpy as np
import pytest
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from model_bundles import bundle_of

import gradual
from gradual import tracking
from gradual.retraining.errors import ExitCode, Stop
from gradual.tracking.promotion import (
    CHAMPION,
    PREVIOUS,
    Champion,
    champion,
    champion_version,
    promote,
    prune,
    register,
    rollback,
)
from gradual.tracking.run import current_namespace
from gradual.training.bundle import BundleError

Experiment = Callable[[Path], AbstractContextManager[mlflow.MlflowClient]]
ROWS = np.array([7, 3, 2**63 + 5, 3], np.uint64)

# Kills itself before the n-th call that writes to the registry, for each n, and ends well once
# there is none left; each time with a model of its own.
KILLED = """
import os, signal, sys
from pathlib import Path
import mlflow
from gradual.tracking import promotion

uri, lock, steps, action = sys.argv[1:]

def counted(kind, name, at):
    real = getattr(kind, name)
    def call(*args, **options):
        calls.append(name)
        if len(calls) == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **options)
    setattr(kind, name, call)

for step in range(1, int(steps) + 1):
    if (pid := os.fork()) == 0:
        mlflow.set_tracking_uri(uri)
        calls = []
        for name in ("set_registered_model_alias", "set_model_version_tag",
                     ):
            counted(mlflow.MlflowClient, name, step)
        eval(action, {**vars(promotion), "name": f"killed_{step}", "lock": Path(lock)})
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
RACE = """
import os, sys, time
from pathlib import Path
import mlflow
from gradual.retraining.errors import Stop
from gradual.tracking import promotion

uri, lock = sys.argv[1:]
start = time.time() + 3
for version in "2345":
    if os.fork() == 0:
        mlflow.set_tracking_uri(uri)
        promotion.champion_version("race")
        time.sleep(max(0, start - time.time()))
        try:
            promotion.promote("race", version, "1", lock=Path(lock))
            print(f"{version} won\\n", end="", flush=True)
        except Stop as stop:
            print(f"{stop}\\n", end="", flush=True)
        os._exit(0)
for _ in "2345":
    os.wait()
"""


@pytest.fixture(scope="module")
def client(
    experiment: Experiment, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[mlflow.MlflowClient]:
    """One experiment for all tests of the module."""
    with experiment(tmp_path_factory.mktemp("promotion")) as found:
        yield found


@pytest.fixture(scope="module")
def logged(client: mlflow.MlflowClient) -> str:
    """The URI of a real model."""
    with mlflow.start_run():
        uri = tracking.log_model(bundle_of("tabular_baseline"), name="model")
    assert uri is not None
    return uri


@pytest.fixture(scope="module")
def another(
    client: mlflow.MlflowClient, logged: str, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], str]:
    """Logs the same files as a new model, without the seconds that it takes to try it."""
    files = mlflow.artifacts.download_artifacts(logged, dst_path=str(tmp_path_factory.mktemp("m")))
    found = mlflow.get_logged_model(logged.removeprefix("models:/"))

    def log() -> str:
        with mlflow.start_run() as run:
            made = client.create_logged_model(
                found.experiment_id,
                "model",
                run.info.run_id,
                tags={"namespace": current_namespace()},
            )
            client.log_model_artifacts(made.model_id, files)
            client.finalize_logged_model(made.model_id, "READY")
        return f"models:/{made.model_id}"

    return log


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "history" / "champion.lock"


def aliases(client: mlflow.MlflowClient, name: str) -> dict[str, str]:
    return {k: str(v) for k, v in client.get_registered_model(name).aliases.items()}


def place_of(uri: str) -> Path:
    return Path(mlflow.get_logged_model(uri.removeprefix("models:/")).artifact_location[7:])


def script(code: str, *arguments: object) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "PYTHONPATH": str(Path(gradual.__file__).parents[1])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_challenger_becomes_champion_and_goes_back(
    client: mlflow.MlflowClient, another: Callable[[], str], lock: Path
) -> None:
    assert champion("week") is None
    uris = [another() for _ in range(3)]
    versions = [register("week", uri, ROWS) for uri in uris]
    assert versions == ["1", "2", "3"]
    assert register("week", uris[1], ROWS) == "2"  # a run that goes on registers once
    assert champion("week") is None  # registered is not promoted

    first = promote("week", "1", None, lock=lock)
    assert aliases(client, "week") == {CHAMPION: "1"}
    move = promote("week", "2", "1", lock=lock)
    assert (first.before, move.before, move.version) == (None, "1", "2")
    assert aliases(client, "week") == {CHAMPION: "2", PREVIOUS: "1"}
    assert promote("week", "2", "1", lock=lock) == move  # goes on after a kill

    found = champion("week")
    assert isinstance(found, Champion)
    assert (found.version, found.bundle.kind) == ("2", "tabular_baseline")
    assert found.training_rows.tolist() == [3, 7, 2**63 + 5]

    back = rollback("week", lock=lock)
    assert aliases(client, "week") == {CHAMPION: "1", PREVIOUS: "2"}
    assert (back.version, back.before) == ("1", "2")
    assert asdict(back)["by"].startswith(f"process {os.getpid()} on ")


def test_whoever_was_judged_against_an_earlier_champion_is_told_who_is_it_now(
    client: mlflow.MlflowClient, another: Callable[[], str], lock: Path
) -> None:
    for _ in range(3):
        register("late", another(), ROWS)
    promote("late", "1", None, lock=lock)
    promote("late", "2", "1", lock=lock)
    with pytest.raises(Stop) as stop:
        promote("late", "3", "1", lock=lock)
    assert (stop.value.exit_code, stop.value.decision) == (ExitCode.LOCKED, "overtaken")
    assert f"version 2 is the champion of late now, made so by process {os.getpid()}" in str(
        stop.value
    )
    assert "version 3 was judged against version 1" in str(stop.value)
    client.delete_registered_model_alias("late", CHAMPION)
    with pytest.raises(Stop, match="late has no champion any more"):
        promote("late", "3", "2", lock=lock)


def test_of_two_threads_one_wins(another: Callable[[], str], lock: Path) -> None:
    for _ in range(3):
        register("threads", another(), ROWS)
    promote("threads", "1", None, lock=lock)
    ends: dict[str, object] = {}

    def run(version: str) -> None:
        try:
            ends[version] = promote("threads", version, "1", lock=lock)
        except Stop as stop:
            ends[version] = stop

    threads = [threading.Thread(target=run, args=(version,)) for version in "23"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lost = [version for version, end in ends.items() if isinstance(end, Stop)]
    assert len(lost) == 1
    assert champion_version("threads") == {"2": "3", "3": "2"}[lost[0]]


@pytest.mark.slow
def test_of_four_processes_one_wins_and_the_others_say_who(
    client: mlflow.MlflowClient, another: Callable[[], str], lock: Path
) -> None:
    for _ in range(5):
        register("race", another(), ROWS)
    promote("race", "1", None, lock=lock)
    said = script(RACE, mlflow.get_tracking_uri(), lock)
    won = [line[0] for line in said if line.endswith(" won")]
    assert len(said) == 4
    assert won == [champion_version("race")]
    told = [line for line in said if line.startswith(f"version {won[0]} is the champion of race")]
    assert len(told) == 3
    assert aliases(client, "race")[PREVIOUS] == "1"


def killed(another: Callable[[], str], lock: Path, steps: int, action: str) -> list[int]:
    """Run what kills itself, at each step with a model of two versions, the first the champion."""
    uris = [another() for _ in range(2)]
    for step in range(1, steps + 1):
        for uri in uris:
            register(f"killed_{step}", uri, ROWS)
        promote(f"killed_{step}", "1", None, lock=lock)
    ends = script(KILLED, mlflow.get_tracking_uri(), lock, steps, action)
    return [int(end) for end in ends]


@pytest.fixture
def clean(client: mlflow.MlflowClient) -> Iterator[None]:
    yield
    for model in client.search_registered_models("name LIKE 'killed_%'"):
        client.delete_registered_model(model.name)


class Killed(BaseException):
    pass


@pytest.mark.parametrize("step", range(1, 6))  # three tags, two aliases
def test_whatever_ends_a_promotion_leaves_a_champion(
    client: mlflow.MlflowClient,
    another: Callable[[], str],
    lock: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: int,
) -> None:
    name, calls = f"ended_{step}", []
    for _ in range(2):
        register(name, another(), ROWS)
    promote(name, "1", None, lock=lock)

    def counted(real: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **options: object) -> object:
            calls.append(real)
            if len(calls) == step:
                raise Killed
            return real(*args, **options)

        return call

    with monkeypatch.context() as patched:
        for each in ("set_registered_model_alias", "set_model_version_tag"):
            patched.setattr(mlflow.MlflowClient, each, counted(getattr(mlflow.MlflowClient, each)))
        with pytest.raises(Killed):
            promote(name, "2", "1", lock=lock)
    assert champion_version(name) == "1"
    promote(name, "2", "1", lock=lock)  # the run goes on
    assert aliases(client, name) == {CHAMPION: "2", PREVIOUS: "1"}


@pytest.mark.slow
@pytest.mark.usefixtures("clean")
def test_a_kill_at_any_step_of_a_promotion_leaves_a_champion_that_loads(
    client: mlflow.MlflowClient, another: Callable[[], str], lock: Path
) -> None:
    ends = killed(another, lock, 6, 'promote(name, "2", "1", lock=lock)')
    assert ends == [-9] * 5 + [0]  # three tags, two aliases, and not killed
    for step in range(1, 7):
        found = champion(f"killed_{step}")
        assert found is not None
        assert found.version == ("2" if step == 6 else "1")
        promote(f"killed_{step}", "2", "1", lock=lock)  # the run goes on
        assert aliases(client, f"killed_{step}") == {CHAMPION: "2", PREVIOUS: "1"}


@pytest.mark.slow
@pytest.mark.usefixtures("clean")
def test_a_kill_at_any_step_of_a_rollback_leaves_a_champion_that_loads(
    client: mlflow.MlflowClient, another: Callable[[], str], lock: Path
) -> None:
    action = '(promote(name, "2", "1", lock=lock), rollback(name, lock=lock))'
    ends = killed(another, lock, 11, action)
    assert ends == [-9] * 10 + [0]
    for step in range(6, 12):  # five calls promote, five go back
        name = f"killed_{step}"
        found = champion(name)
        assert found is not None
        assert found.version == ("2" if step <= 9 else "1")
    rollback("killed_9", lock=lock)
    assert aliases(client, "killed_9") == {CHAMPION: "1", PREVIOUS: "2"}


def test_a_promotion_that_was_killed_between_its_aliases_can_still_be_rolled_back_from(
    client: mlflow.MlflowClient, another: Callable[[], str], lock: Path
) -> None:
    for _ in range(3):
        register("between", another(), ROWS)
    promote("between", "1", None, lock=lock)
    promote("between", "2", "1", lock=lock)
    client.set_registered_model_alias("between", PREVIOUS, "2")  # 3 was killed here
    assert rollback("between", lock=lock).version == "1"


def test_rolling_back_needs_a_version_that_loads(
    client: mlflow.MlflowClient, another: Callable[[], str], lock: Path
) -> None:
    uris = [another() for _ in range(2)]
    for uri in uris:
        register("broken", uri, ROWS)
    promote("broken", "1", None, lock=lock)
    with pytest.raises(BundleError, match=r"no version before its champion \(1\)"):
        rollback("broken", lock=lock)
    promote("broken", "2", "1", lock=lock)
    shutil.rmtree(place_of(uris[0]))
    with pytest.raises(BundleError, match="holds no bundle"):
        rollback("broken", lock=lock)
    assert aliases(client, "broken") == {CHAMPION: "2", PREVIOUS: "1"}


def test_old_versions_go_with_their_files_but_none_with_an_alias(
    client: mlflow.MlflowClient, another: Callable[[], str], lock: Path
) -> None:
    with tracking.namespace("old_retrain"):
        uris = [another() for _ in range(7)]
        for uri in uris:
            register("old", uri, ROWS)
        register("other", uris[3], ROWS)  # somebody else shows the same files
        promote("old", "1", None, lock=lock)
        promote("old", "2", "1", lock=lock)
        client.set_registered_model_alias("old", "liked", "3")
        places = [place_of(uri) for uri in uris]
        assert prune("old", 2, lock=lock) == ["4", "5"]
        assert [place.exists() for place in places] == [True] * 4 + [False] + [True] * 2
        assert {int(v.version) for v in client.search_model_versions("name = 'old'")} == {
            1, 2, 3, 6, 7,
        }  # fmt: skip
        assert prune("old", 2, lock=lock) == []
        found = champion("old")
        assert found is not None
        assert found.version == "2"
        assert prune("never", 7, lock=lock) == []


def test_challengers_that_were_not_promoted_go_and_those_of_other_pipelines_stay(
    another: Callable[[], str], lock: Path
) -> None:
    with tracking.namespace("other"):
        foreign = another()
    with tracking.namespace("lost_retrain"):
        uris = [another() for _ in range(4)]
        register("lost", uris[0], ROWS)
        promote("lost", "1", None, lock=lock)
        prune("lost", 2, lock=lock)
    exists = [place_of(uri).exists() for uri in (foreign, uris[0], *uris[2:])]
    assert exists == [True] * 4
    with pytest.raises(mlflow.MlflowException, match="not found"):
        mlflow.get_logged_model(uris[1].removeprefix("models:/"))


def test_files_that_an_ended_pruning_left_are_deleted_by_the_next(
    another: Callable[[], str], lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tracking.namespace("left_retrain"):
        uris = [another() for _ in range(3)]
        for uri in uris:
            register("left", uri, ROWS)
        promote("left", "3", None, lock=lock)
        places = [place_of(uri) for uri in uris]
        with monkeypatch.context() as patched:
            patched.setattr(LocalArtifactRepository, "delete_artifacts", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                prune("left", 1, lock=lock)
        assert [place.exists() for place in places] == [True, True, True]
        assert prune("left", 1, lock=lock) == []
        assert [place.exists() for place in places] == [False, False, True]


def test_a_champion_that_no_retrain_has_made_is_refused(logged: str) -> None:
    version = mlflow.register_model(logged, "by_hand").version
    mlflow.MlflowClient().set_registered_model_alias("by_hand", CHAMPION, version)
    with pytest.raises(BundleError, match=r"no training_rows.npy .*Take its alias 'champion' away"):
        champion("by_hand")


def test_a_champion_whose_files_are_gone_says_how_to_go_on(
    another: Callable[[], str], lock: Path
) -> None:
    uris = [another() for _ in range(2)]
    for uri in uris:
        register("gone", uri, ROWS)
    promote("gone", "1", None, lock=lock)
    promote("gone", "2", "1", lock=lock)
    shutil.rmtree(place_of(uris[1]))
    with pytest.raises(BundleError, match=r"holds no bundle.*kedro gradual rollback gone"):
        champion("gone")
    rollback("gone", lock=lock)
    assert champion("gone") is not None


def test_a_champion_whose_version_was_deleted_says_how_to_go_on(
    tracking_uri: str, another: Callable[[], str], lock: Path
) -> None:
    for _ in range(2):
        register("deleted", another(), ROWS)
    promote("deleted", "1", None, lock=lock)
    promote("deleted", "2", "1", lock=lock)
    with sqlite3.connect(tracking_uri.removeprefix("sqlite:///")) as database:
        database.execute(
            "UPDATE model_versions SET current_stage = 'Deleted_Internal' "
            "WHERE name = 'deleted' AND version = 2"
        )
    with pytest.raises(BundleError, match=r"no version 2, only 1.*kedro gradual rollback deleted"):
        champion("deleted")
    assert rollback("deleted", lock=lock).version == "1"
    assert champion("deleted") is not None
