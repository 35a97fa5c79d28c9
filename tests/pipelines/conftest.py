import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Kedro = Callable[..., subprocess.CompletedProcess[str]]


def _kedro(
    workspace: Path, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    # MLflow leaves the address that a test has set in this process's environment.
    own = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    return subprocess.run(
        [sys.executable, "-m", "kedro", *arguments],
        cwd=workspace,
        env={**own, "COLUMNS": "200", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )


def _clone(project: Path, folder: Path) -> Path:
    for name in ("conf", "src"):
        shutil.copytree(
            project / name,
            folder / name,
            ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"),
        )
    shutil.rmtree(folder / "conf/local")
    (folder / "conf/local").mkdir()
    for sample in (project / "data/01_raw").glob("*_sample"):
        shutil.copytree(sample, folder / "data/01_raw" / sample.name)
    shutil.copy(project / "pyproject.toml", folder)
    shutil.copy(project / ".telemetry", folder)
    return folder


@pytest.fixture(scope="session")
def kedro() -> Kedro:
    """Types a kedro command in a folder; its log is in stdout."""
    return _kedro


@pytest.fixture
def clone(project: Path, tmp_path: Path) -> Path:
    """What a run reads, as a fresh clone would hold it; runs leave no trace in the project."""
    return _clone(project, tmp_path / "gradual")


@pytest.fixture(scope="module")
def project_clone(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone that the tests of one module share."""
    return _clone(project, tmp_path_factory.mktemp("shared") / "gradual")


def _add_source(workspace: Path, line: str, files: dict[str, str]) -> None:
    with (workspace / "conf/base/sources.yml").open("a") as listed:
        listed.write(line.rstrip() + "\n")
    for name, content in files.items():
        (workspace / name).parent.mkdir(parents=True, exist_ok=True)
        (workspace / name).write_text(content)


@pytest.fixture(scope="session")
def add_source() -> Callable[[Path, str, dict[str, str]], None]:
    """Adds a source to a clone: its line of sources.yml, and its files by name."""
    return _add_source


@pytest.fixture(scope="session")
def trial(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Gives a clone of the project in which `kedro run --env=tiny` of a pipeline has ended well."""

    def run(pipeline: str) -> Path:
        workspace = _clone(project, tmp_path_factory.mktemp("project") / "gradual")
        result = _kedro(workspace, "run", f"--pipeline={pipeline}", "--env=tiny")
        assert result.returncode == 0, result.stdout
        return workspace

    return run


@pytest.fixture(scope="session")
def tiny(trial: Callable[[str], Path]) -> Path:
    """A clone of the project in which `kedro run --pipeline=imdb --env=tiny` has ended well."""
    return trial("imdb")
