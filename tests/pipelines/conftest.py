import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


def copy_project(project: Path, folder: Path) -> Path:
    """Copy what a run reads, as a fresh clone would hold it, so that runs leave no trace here."""
    for name in ("conf", "src"):
        shutil.copytree(
            project / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
        )
    shutil.copytree(project / "data/01_raw/imdb_sample", folder / "data/01_raw/imdb_sample")
    shutil.copy(project / "pyproject.toml", folder)
    shutil.copy(project / ".telemetry", folder)
    return folder


def kedro(workspace: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Type a kedro command in `workspace`; its log is in stdout."""
    return subprocess.run(
        [sys.executable, "-m", "kedro", *arguments],
        cwd=workspace,
        env={**os.environ, "COLUMNS": "200", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="session")
def tiny(project: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A copy of the project in which `kedro run --pipeline=imdb --env=tiny` has ended, and its log."""
    workspace = copy_project(project, tmp_path_factory.mktemp("project") / "gradual")
    result = kedro(workspace, "run", "--pipeline=imdb", "--env=tiny")
    assert result.returncode == 0, result.stdout
    return workspace, result.stdout
