"""The project's hook and settings, in real `kedro run` processes of a small project."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlflow
import pytest
from kedro.pipeline import Node, Pipeline

from gradual.hooks import written_namespaces
from gradual.tracking.kedro_hook import anchor

REGISTRY = """
import os
import time
from dataclasses import dataclass

from kedro.pipeline import Node, Pipeline
from pydantic import BaseModel, ConfigDict

from gradual import tracking


@dataclass(frozen=True)
class Phase:
    __pydantic_config__ = {"extra": "forbid"}
    epochs: int
    lr: float | tuple[float, float]


class Config(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    phases: tuple[Phase, ...]
    note: str = ""


def train(config: Config, seed: int) -> dict:
    for step in range(2):
        tracking.log_metrics({"valid_loss": 2.0 - step}, step=step, prefix="model")
    if "TOUCH" in os.environ:
        open(os.environ["TOUCH"], "w").close()
        time.sleep(120)
    if "FAIL" in os.environ:
        raise ValueError("the loss is not finite")
    return {"valid_loss": 1.0}


def report(config: Config, metrics: dict) -> str:
    return f"loss {metrics['valid_loss']}"


def register_pipelines() -> dict:
    nodes = [
        Node(train, ["params:model", "params:seed"], "metrics"),
        Node(report, ["params:model", "metrics"], "report"),
    ]
    pipeline = Pipeline(nodes, namespace="imdb")
    given = {f"params:{name}": f"params:imdb.{name}" for name in ("model", "seed")}
    other = Pipeline(nodes, namespace="other", parameters=given)
    return {"imdb": pipeline, "other": other, "__default__": pipeline}
"""

CATALOG = """
imdb.metrics:
  type: json.JSONDataset
  filepath: data/imdb/metrics.json
imdb.report:
  type: text.TextDataset
  filepath: data/imdb/report.txt
  metadata:
    mlflow: {artifact_path: reports}
"""

PARAMETERS = """
imdb:
  seed: 42
  model:
    phases:
      - {epochs: 1, lr: 0.01}
      - {epochs: 2, lr: [0.0001, 0.001]}
"""


@pytest.fixture(scope="module")
def toy(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small Kedro project with gradual's settings and configuration."""
    root = tmp_path_factory.mktemp("toy")
    files = {
        "pyproject.toml": """
            [tool.kedro]
            package_name = "toy"
            project_name = "toy"
            kedro_init_version = "1.7.0"
            source_dir = "src"
        """,
        "src/toy/__init__.py": "",
        "src/toy/settings.py": "from gradual.settings import *",
        "src/toy/pipeline_registry.py": REGISTRY,
        "conf/base/catalog.yml": CATALOG,
        "conf/base/parameters.yml": PARAMETERS,
        "conf/base/mlflow.yml": (project / "conf/base/mlflow.yml").read_text(),
        "conf/logging.yml": (project / "conf/logging.yml").read_text(),
        "conf/local/parameters.yml": f"imdb: {{model: {{note: {'long ' * 2000}}}}}",
        ".telemetry": "consent: false",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(textwrap.dedent(text))
    mlflow.MlflowClient(f"sqlite:///{root / 'mlflow.db'}").search_experiments()  # creates it
    return root


def clean_environment() -> dict[str, str]:
    """The environment without what would decide where runs are tracked."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "KEDRO_"))}


def start(folder: Path, pipeline: str = "imdb", **environ: str) -> subprocess.Popen[str]:
    """Start `kedro run --pipeline=…` in ``folder``."""
    return subprocess.Popen(
        [sys.executable, "-m", "kedro", "run", f"--pipeline={pipeline}"],
        cwd=folder,
        env=clean_environment() | environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A suite that runs in the background of a shell would hand on that Ctrl-C is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def start_and_wait_for_node(root: Path, name: str) -> subprocess.Popen[str]:
    """Start a run whose first node sleeps, and wait until it does."""
    process = start(root, TOUCH=str(root / name))
    deadline = time.monotonic() + 60
    while not (root / name).exists():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "the node did not start in a minute"
        time.sleep(0.05)
    return process


def runs(root: Path, database: str = "mlflow.db") -> list[Any]:
    """All MLflow runs, the oldest first."""
    client = mlflow.MlflowClient(f"sqlite:///{root / database}")
    experiment = client.get_experiment_by_name("gradual")
    if experiment is None:
        return []
    found = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"])
    return list(found)


def test_a_run_is_tracked_once_readably_and_in_the_project_wherever_it_was_started(
    toy: Path,
) -> None:
    before = len(runs(toy))
    subfolder = toy / "conf" / "base"
    process = start(subfolder, KEDRO_LOGGING_CONFIG=str(toy / "conf" / "logging.yml"))
    log = process.communicate()[0]
    assert process.returncode == 0, log

    lines = log.splitlines()  # a quiet log: what runs and where it is tracked
    assert len([line for line in lines if "Running node" in line]) == 2
    assert len([line for line in lines if "MLflow run" in line]) == 1
    assert "arning" not in log.replace("WARNING", "Warning"), log
    assert len(lines) < 15, log

    assert {path.name for path in subfolder.iterdir()} == {
        "catalog.yml", "parameters.yml", "mlflow.yml",
    }  # fmt: skip
    run = runs(toy)[-1]
    assert len(runs(toy)) == before + 1
    assert run.info.status == "FINISHED"
    note = run.data.params.pop("imdb.model.note")
    assert note.startswith("long long")
    assert len(note) == 500
    assert run.data.params == {
        "imdb.seed": "42",
        "imdb.model.phases.0.epochs": "1",
        "imdb.model.phases.0.lr": "0.01",
        "imdb.model.phases.1.epochs": "2",
        "imdb.model.phases.1.lr": "[0.0001, 0.001]",
    }
    assert run.data.metrics == {"imdb.model.valid_loss": 1.0}
    artifacts = Path(run.info.artifact_uri.removeprefix("file://"))
    assert artifacts.is_relative_to(toy / "mlartifacts")
    assert (artifacts / "imdb/reports/report.txt").read_text() == "loss 1.0"
    assert run.data.tags["kedro.env"] == "local"
    assert run.data.tags["device"]
    assert run.data.tags["torch.version"]


def test_a_killed_run_ends_as_killed_when_the_next_starts_and_a_living_one_goes_on(
    toy: Path,
) -> None:
    before = len(runs(toy))
    killed = start_and_wait_for_node(toy, "killed")
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert [run.info.status for run in runs(toy)[before:]] == ["RUNNING"]

    living = start_and_wait_for_node(toy, "living")  # the killed one does not hold its lock
    refused = start(toy)
    log = refused.communicate()[0]
    assert refused.returncode != 0
    assert "imdb is being written by another run" in log
    assert f"process {living.pid} " in log
    failing = start(toy, "other", FAIL="1")
    log = failing.communicate()[0]
    assert failing.returncode != 0
    statuses = [run.info.status for run in runs(toy)[before:]]
    assert statuses == ["KILLED", "RUNNING", "FAILED"], log
    assert runs(toy)[-1].data.tags["error"] == "ValueError: the loss is not finite"

    living.send_signal(signal.SIGINT)  # Ctrl-C
    log = living.communicate()[0]
    assert [run.info.status for run in runs(toy)[before:]] == ["KILLED", "KILLED", "FAILED"], log


def test_two_first_runs_at_once_both_find_their_tables(toy: Path) -> None:
    code = """
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from pathlib import Path

bootstrap_project(Path.cwd())
with KedroSession.create(project_path=Path.cwd()) as session:
    session.load_context()
"""
    environ = clean_environment() | {"MLFLOW_TRACKING_URI": "sqlite:///first.db"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code], cwd=toy, env=environ, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.wait() == 0, process.communicate()[1]
    client = mlflow.MlflowClient(f"sqlite:///{toy / 'first.db'}")
    assert client.get_experiment_by_name("gradual") is not None


def test_what_a_pipeline_writes_to_is_locked() -> None:
    nodes = [
        Node(len, "new.rows", "imdb.score", name="a"),
        Node(len, "imdb.model", "imdb.answers", tags="predict", name="b"),
        Node(len, "imdb.score", "adult.score", name="c"),
        Node(len, "params:x", "local", name="d"),
    ]
    assert written_namespaces(Pipeline(nodes)) == {"imdb", "imdb_predict", "adult"}


@pytest.mark.parametrize(
    ("config", "environ", "uri", "artifacts"),
    [
        ({"server": {"mlflow_tracking_uri": "sqlite:///a.db"}}, {}, "sqlite:////p/a.db", "m"),
        ({"server": {"mlflow_tracking_uri": "sqlite:////x/a.db"}}, {}, "sqlite:////x/a.db", "m"),
        ({"server": {"mlflow_tracking_uri": "http://h:1"}}, {}, "http://h:1", None),
        (
            {"server": {"mlflow_tracking_uri": "sqlite:///a.db"}},
            {"MLFLOW_TRACKING_URI": "http://h:1"},
            "http://h:1",
            None,
        ),
    ],
)
def test_locations_are_anchored_at_the_project_and_the_environment_wins(
    config: dict[str, Any], environ: Mapping[str, str], uri: str, artifacts: str | None
) -> None:
    create = {"create_experiment_kwargs": {"artifact_location": "m"}}
    config = config | {"tracking": {"experiment": {"name": "gradual"} | create}}
    before = json.dumps(config)
    anchored = anchor(config, Path("/p"), environ)
    assert anchored["server"]["mlflow_tracking_uri"] == uri
    experiment = anchored["tracking"]["experiment"]
    assert experiment["name"] == "gradual"
    assert experiment["create_experiment_kwargs"]["artifact_location"] == artifacts
    assert json.dumps(config) == before


def test_runs_in_one_process_leave_nothing_active_and_follow_the_configuration(toy: Path) -> None:
    code = """
import mlflow
from pathlib import Path
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from gradual.tracking.run import current_namespace

root = Path.cwd()
bootstrap_project(root)
local = root / "conf" / "local" / "mlflow.yml"
for uri in ("sqlite:///mlflow.db", "sqlite:///other.db"):
    local.write_text("server: {mlflow_tracking_uri: '" + uri + "'}")
    with KedroSession.create(project_path=root) as session:
        session.run(pipeline_names=["imdb"])
    assert mlflow.active_run() is None
    assert current_namespace() == ""
    assert mlflow.get_tracking_uri().endswith(uri.removeprefix("sqlite:///"))
local.unlink()
"""
    before = len(runs(toy))
    shutil.copy(toy / "mlflow.db", toy / "other.db")  # to create its tables takes seconds
    command = [sys.executable, "-c", code]
    subprocess.run(command, cwd=toy, env=clean_environment(), check=True)
    assert [run.info.status for run in runs(toy)[before:]] == ["FINISHED"]
    assert [run.info.status for run in runs(toy, "other.db")[before:]] == ["FINISHED"]


def test_the_tasks_of_a_schedulers_run_share_one_mlflow_run(toy: Path) -> None:
    before = {run.info.run_id for run in runs(toy)}
    failed = start(toy, GRADUAL_RUN="nightly it's 1", FAIL="1")
    assert failed.wait(300) == 1, failed.communicate()[0]
    (first,) = [run for run in runs(toy) if run.info.run_id not in before]
    assert first.info.status == "FAILED"
    for name in ("nightly it's 1", "nightly 2"):  # tried again; the next night
        process = start(toy, GRADUAL_RUN=name)
        assert process.wait(300) == 0, process.communicate()[0]
    shared, other = [run for run in runs(toy) if run.info.run_id not in before]
    assert shared.info.run_id == first.info.run_id
    assert [run.info.status for run in (shared, other)] == ["FINISHED", "FINISHED"]
    assert shared.data.tags["scheduler.run"] == "nightly it_s 1"
