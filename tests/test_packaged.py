"""The packaged project: a wheel, the archive of its configuration and that of the samples."""

import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest


def _python(
    interpreter: Path | str, folder: Path, *arguments: str, **environment: str
) -> CompletedProcess[str]:
    """Run it as a machine would that knows nothing of this one's environment."""
    own = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [str(interpreter), *arguments],
        cwd=folder,
        env=own | {"OMP_NUM_THREADS": "1"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1800,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(project_clone: Path, kedro: Callable[..., CompletedProcess[str]], project: Path) -> Path:
    """Another folder, with what `kedro package` has made and nothing of the project."""
    (project_clone / "README.md").write_text("what a wheel says of itself\n")
    (project_clone / "conf/local/credentials.yml").write_text("shop: {password: s3cret}\n")
    result = kedro(project_clone, "package")
    assert result.returncode == 0, result.stdout
    other = project_clone.parent / "elsewhere"
    other.mkdir()
    for made in (project_clone / "dist").iterdir():
        made.rename(other / made.name)
    with tarfile.open(other / "data-gradual.tar.gz") as archive:
        archive.extractall(other, filter="data")
    return other


def test_the_archives_hold_configuration_and_samples_and_no_secrets(folder: Path) -> None:
    with tarfile.open(folder / "conf-gradual.tar.gz") as archive:
        names = archive.getnames()
    assert {"conf/base/sources.yml", "conf/base/recipes/tables.yml", "conf/logging.yml"} < {*names}
    assert not [name for name in names if "credentials" in name]
    assert (folder / "data/01_raw/adult_sample/adult.csv").exists()


@pytest.fixture(scope="module")
def program(folder: Path) -> Callable[..., CompletedProcess[str]]:
    """The program of the wheel, with the packages of this environment; slow tests install them."""
    (wheel,) = folder.glob("gradual-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "wheel")
    path = str(folder / "wheel")
    return lambda *arguments: _python(
        sys.executable, folder, "-m", "gradual", *arguments, PYTHONPATH=path
    )


def test_the_program_reads_the_archive_and_says_what_is_wrong_there(
    folder: Path, program: Callable[..., CompletedProcess[str]]
) -> None:
    conf = "--conf-source=conf-gradual.tar.gz"
    result = program("--pipeline=adult", "--env=tiny", conf, "--to-nodes=adult.split_rows")
    assert result.returncode == 0, result.stdout
    assert "Rows: 2,560 train, 640 valid, 800 test." in result.stdout
    assert all(line[:8].count(":") == 2 for line in result.stdout.splitlines()[-5:])  # logging.yml
    assert "Kedro is sending" not in result.stdout
    assert (folder / "data/tiny/02_intermediate/adult/row_splits.parquet").exists()
    assert (folder / "mlflow.db").exists()
    result = program("--pipeline=adlt", conf)
    assert result.returncode == 1
    assert "Did you mean `adult`?" in result.stdout.splitlines()[-1]


def test_the_program_has_the_commands_of_the_project(
    folder: Path, program: Callable[..., CompletedProcess[str]]
) -> None:
    with tarfile.open(folder / "conf-gradual.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    result = program("show", "adult")
    assert result.returncode == 0, result.stdout
    assert "source: adult\n" in result.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pipeline", "page", "model"),
    [
        ("imdb", "imdb/report.html", "data/06_models/imdb/served.safetensors"),
        ("adult_retrain", "adult_retrain/judgement_report.html", "models:/adult@champion"),
    ],
)
def test_an_empty_environment_runs_the_samples(
    folder: Path, empty_environment: Path, pipeline: str, page: str, model: str
) -> None:
    conf = "--conf-source=conf-gradual.tar.gz"
    result = _python(empty_environment, folder, "-m", "gradual", f"--pipeline={pipeline}", conf)
    assert result.returncode == 0, result.stdout
    assert (folder / "data/08_reporting" / page).exists()
    asked = f"import gradual; m = gradual.load({model!r}); print(len(m.predict(m.example)))"
    tracking = f"sqlite:///{folder}/mlflow.db"
    result = _python(empty_environment, folder, "-c", asked, MLFLOW_TRACKING_URI=tracking)
    assert result.returncode == 0, result.stdout


@pytest.fixture(scope="module")
def empty_environment(folder: Path, project: Path) -> Path:
    """The interpreter of an environment that has the wheel, at the versions of the lock file."""
    environment = folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    python = environment / "bin/python"
    (wheel,) = folder.glob("gradual-*.whl")
    lock = project / "requirements.lock"
    done = _python(python, folder, "-m", "pip", "install", "-q", "-c", str(lock), str(wheel))
    assert done.returncode == 0, done.stdout
    return python
