"""The schedules of `deploy/`, run as cron, systemd and Airflow run them."""

import configparser
import json
import os
import re
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

Kedro = Callable[..., CompletedProcess[str]]
AIRFLOW = "apache-airflow~=3.3.0"
PLUGIN = ("kedro-airflow==0.11.0", "python-slugify", "text-unidecode", "semver")
# A pipeline that is there without any retrain before it, and as far as takes seconds.
SHORT = "--pipeline=adult --env=tiny --to-nodes=adult.split_rows"
MADE = "data/tiny/02_intermediate/adult/row_splits.parquet"


@pytest.fixture
def installed(clone: Path) -> Path:
    """A clone of the project with its environment, as `make install` leaves it in /srv/gradual."""
    programs = clone / ".venv/bin"
    programs.mkdir(parents=True)
    for name, module in (("kedro", "kedro"), ("python", "")):
        program = programs / name
        module = f"-m {module}" if module else ""
        program.write_text(
            f"#!/bin/sh\nexport PYTHONPATH='{clone}/src'\nexec '{sys.executable}' {module} \"$@\"\n"
        )
        program.chmod(0o755)
    return clone


def _here(text: str, clone: Path) -> str:
    return re.sub(r"--pipeline=\S+", SHORT, text.replace("/srv/gradual", str(clone)))


def _run_as_a_service(
    command: str | list[str], folder: Path, shell: bool = False
) -> CompletedProcess[str]:
    """Run it with as little environment as cron and systemd leave."""
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(folder)}
    return subprocess.run(
        command, cwd=folder, env=environment, shell=shell, text=True, timeout=600, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def test_the_line_for_cron_runs(project: Path, installed: Path) -> None:
    lines = (project / "deploy/crontab").read_text().splitlines()
    (line,) = [each for each in lines if each[:1].isdigit()]
    when, command = line.split(maxsplit=5)[:5], line.split(maxsplit=5)[5]
    assert when == ["15", "3", "*", "*", "*"]
    assert "%" not in command  # which cron reads as the end of the line
    result = _run_as_a_service(_here(command, installed), installed.parent, shell=True)
    log = (installed / "logs/adult_retrain.log").read_text()
    assert result.returncode == 0, log
    assert "Pipeline execution completed successfully" in log
    assert (installed / MADE).exists()


def test_the_service_runs(project: Path, installed: Path) -> None:
    text = (project / "deploy/systemd/gradual-retrain@.service").read_text()
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(_here(text.replace("%i", "adult"), installed))
    service = unit["Service"]
    result = _run_as_a_service(shlex.split(service["ExecStart"]), Path(service["WorkingDirectory"]))
    assert result.returncode == 0, result.stdout
    assert (installed / MADE).exists()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd")
def test_systemd_accepts_the_units(project: Path, installed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "units"
    folder.mkdir()
    for path in (project / "deploy/systemd").iterdir():
        text = path.read_text().replace("/srv/gradual", str(installed))
        (folder / path.name).write_text(text.replace("User=gradual\n", ""))
    units = [str(folder / f"gradual-retrain@adult.{each}") for each in ("service", "timer")]
    result = subprocess.run(
        ["systemd-analyze", "verify", *units], text=True, capture_output=True, check=False
    )
    said = [line for line in result.stderr.splitlines() if "gradual-retrain" in line]
    assert (result.returncode, said) == (0, []), result.stderr


def _tasks(log: str) -> list[str]:
    return re.findall(r"--nodes=adult_retrain\.(\w+)'\]", log)


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with Airflow and nothing of the project, or the one that you have by hand."""
    if given := os.environ.get("GRADUAL_TEST_AIRFLOW"):
        return Path(given)
    folder = tmp_path_factory.mktemp("airflow")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    subprocess.run([folder / "bin/pip", "install", "-q", AIRFLOW], check=True, timeout=3000)
    return folder


@pytest.fixture
def scheduled(project: Path, installed: Path, airflow: Path, tmp_path: Path) -> list[str]:
    """The command that runs the DAG of `adult_retrain`, which `kedro airflow create` has made."""
    plugin = tmp_path / "plugin"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(plugin)]
    subprocess.run([*pip, *PLUGIN], check=True, timeout=600)
    template = project / "deploy/airflow/dag.py.j2"
    made = subprocess.run(
        [
            *(sys.executable, "-m", "kedro", "airflow", "create", "--pipelines=adult_retrain"),
            *("--env=tiny", "--group-by=memory", f"--jinja-file={template}"),
            "--params=retry_delay=0",
        ],
        cwd=installed,
        env=os.environ | {"PYTHONPATH": f"{plugin}:{installed / 'src'}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout
    home = tmp_path / "airflow"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(installed / "airflow_dags"),
    }
    assigned = [f"{name}={value}" for name, value in environment.items()]
    command = ["env", "-i", *assigned, str(airflow / "bin/airflow")]
    subprocess.run([*command, "db", "migrate"], check=True, capture_output=True)
    return [*command, "dags", "test", "adult_retrain_tiny"]


@pytest.mark.slow
def test_airflow_runs_the_dag_to_success_and_goes_on_after_a_kill(
    scheduled: list[str], installed: Path, tmp_path: Path
) -> None:
    log = tmp_path / "dag.log"
    with log.open("w") as output:
        process = subprocess.Popen(scheduled, stdout=output, stderr=subprocess.STDOUT)
        victim = _process_with("--nodes=adult_retrain.train_net", lambda: process.poll() is None)
        time.sleep(2)
        os.kill(victim, signal.SIGKILL)
        assert process.wait(timeout=1800) == 0, log.read_text()
    text = log.read_text()
    ran = _tasks(text)
    assert ran.count("train_net") == 2  # killed, and tried again
    assert ran[0] == "take_in"
    assert ran[-1] == "record"
    assert "ended with status -9" in text
    record = json.loads(
        (installed / "data/tiny/08_reporting/adult_retrain/record.json").read_text()
    )
    assert record["decision"] in ("promoted", "kept")
    _is_one_run(installed)

    again = subprocess.run(scheduled, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert again.returncode == 0, again.stdout
    assert _tasks(again.stdout) == ["take_in"]  # nothing new: the rest is skipped


def _is_one_run(folder: Path) -> None:
    with sqlite3.connect(folder / "mlflow.db") as database:
        runs = database.execute("SELECT run_uuid, status FROM runs").fetchall()
        names = {name for (name,) in database.execute("SELECT key FROM metrics")}
        parameters = {name for (name,) in database.execute("SELECT key FROM params")}
    assert [status for _, status in runs] == ["FINISHED"]
    assert any(name.startswith("adult_retrain.net") for name in names)  # of one task …
    assert any(name.startswith("adult_retrain.test.") for name in names)  # … and of another
    assert any(name.startswith("adult_retrain.preprocessing.") for name in parameters)


def _process_with(argument: str, waiting: Callable[[], bool]) -> int:
    """The id of the process that has this argument, once there is one."""
    while waiting():
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                arguments = path.read_text().split("\0")
            except OSError:
                continue
            if argument in arguments and "gradual" in arguments:
                return int(path.parent.name)
        time.sleep(0.1)
    raise AssertionError(f"no process with {argument} has ever run")
