import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gradual.results.predictions import predictions_table

Kedro = Callable[..., subprocess.CompletedProcess[str]]
PROJECT = Path(__file__).resolve().parents[1]

sys.path.insert(0, str(Path(__file__).parent))  # for model_bundles


@pytest.fixture(scope="session")
def project() -> Path:
    """The project's root folder."""
    return PROJECT


@pytest.fixture(scope="session")
def mirror() -> Path:
    """The folder of real archives; tests that need it skip where there is none."""
    folder = Path(os.environ.get("GRADUAL_MIRROR", PROJECT.parent / "shared" / "mirror"))
    if not folder.is_dir():
        pytest.skip("needs the mirror of real archives: set GRADUAL_MIRROR")
    return folder.resolve()


@pytest.fixture
def predictions() -> pd.DataFrame:
    """Six rows: two wrong, one undecided, and a text that would like to run."""
    p = np.array([0.9, 0.8, 0.1, 0.45, 0.97, 0.02])
    q = np.array([0.6, 0.3, 0.6, 0.20, 0.70, 0.40])
    texts = ["fine", "a" * 30, "<script>alert('x')</script> & co", "so so", "lovely", "dreadful"]
    return predictions_table(
        np.array([10, 11, 12, 13, 14, 15]),
        ["positive", "negative", "positive", "negative", "positive", "negative"],
        np.c_[1 - p, p],
        ["negative", "positive"],
        baseline_probabilities=np.c_[1 - q, q],
        sources=[f"test/{i}.txt" for i in range(6)],
        texts=texts,
    )


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
