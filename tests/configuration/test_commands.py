"""Commands as a user types them: what the last lines say."""

import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import yaml

from gradual.configuration.commands import reported
from gradual.retraining.errors import ExitCode, Stop

Kedro = Callable[..., CompletedProcess[str]]


def test_an_error_for_the_reader_ends_the_log_and_its_traceback_is_in_a_file(
    project_clone: Path, kedro: Kedro
) -> None:
    bad = "--params=adult.target.positive=rich"
    result = kedro(project_clone, "run", "--pipeline=adult", "--env=tiny", bad)
    assert result.returncode == 1
    *_, message, place = result.stdout.splitlines()
    assert "positive is 'rich', but the column 'salary' has" in message
    assert result.stdout.count("positive is 'rich'") == 1
    assert "Traceback" not in result.stdout
    (path,) = re.findall(r"\(traceback: (.*)\)", place)
    assert "in split_rows" in (project_clone / path).read_text()


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("imbd", "there is no pipeline imbd. Did you mean `imdb`?"),
        ("tikets", "a line in conf/base/sources.yml, `tikets: tables`"),
    ],
)
def test_an_unknown_pipeline_is_answered_with_what_to_write(
    project_clone: Path, kedro: Kedro, asked: str, answer: str
) -> None:
    result = kedro(project_clone, "run", f"--pipeline={asked}")
    assert result.returncode == 1
    assert answer in result.stdout.splitlines()[-1]
    assert "register_pipelines" not in result.stdout


def test_show_prints_what_becomes_of_a_source(project_clone: Path, kedro: Kedro) -> None:
    result = kedro(project_clone, "gradual", "show", "imdb_backwards", "--env=tiny")
    assert result.returncode == 0, result.stdout
    said = yaml.safe_load(result.stdout)
    assert said["pipelines"] == [
        "imdb_backwards", "imdb_backwards_range_test", "imdb_backwards_generate",
        "imdb_backwards_predict", "imdb_ensemble",
    ]  # fmt: skip
    parameters = said["parameters"]["imdb_backwards"]
    assert parameters["tokenizer"] == {"language": "en", "backwards": True}
    assert parameters["vocabulary"]["max_size"] == 500
    model = "data/tiny/06_models/imdb_backwards/classifier.safetensors"
    assert said["files"]["imdb_backwards.classifier"] == model
    result = kedro(project_clone, "gradual", "show", "adlt")
    assert result.returncode == 1
    assert "Did you mean `adult`?" in result.stdout


def test_sources_of_an_environment_are_known_without_a_session_too(
    project_clone: Path, kedro: Kedro
) -> None:
    (project_clone / "conf/tiny/sources.yml").write_text("mine: tables\nmovielens: null\n")
    try:
        listed = kedro(project_clone, "registry", "list", KEDRO_ENV="tiny").stdout
        assert "- mine_predict" in listed
        assert "movielens" not in listed
        assert "mine" not in kedro(project_clone, "registry", "list").stdout
        shown = kedro(project_clone, "gradual", "show", "mine", "--env=tiny").stdout
        assert "pipelines:\n- mine\n" in shown, shown
    finally:
        (project_clone / "conf/tiny/sources.yml").unlink()


@pytest.mark.parametrize("code", [ExitCode.DONE, ExitCode.BROKEN_CONTRACT])
def test_a_stop_ends_with_one_line_and_a_status_of_its_own(
    code: ExitCode, caplog: pytest.LogCaptureFixture
) -> None:
    @reported
    def retrain() -> None:
        raise Stop("Nothing new.", code, "nothing_new")

    caplog.set_level("INFO")
    with pytest.raises(SystemExit) as ended:
        retrain()
    assert ended.value.code == int(code)
    assert [(r.getMessage(), r.levelname == "ERROR") for r in caplog.records] == [
        ("Nothing new.", code > 0)
    ]
