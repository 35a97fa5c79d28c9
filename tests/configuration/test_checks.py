"""What `conf/` gets wrong is told before the first node, each with the nearest right name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kedro.io import DataCatalog

from gradual import pipeline_registry
from gradual.configuration.checks import check_inputs, check_parameters
from gradual.configuration.errors import ConfigurationError
from gradual.configuration.loader import ConfigLoader
from gradual.settings import CONFIG_LOADER_ARGS

Checked = Callable[..., None]


@pytest.fixture
def checked(project: Path, monkeypatch: pytest.MonkeyPatch) -> Checked:
    """Checks the parameters of a pipeline of this project, with --params."""

    def check(pipeline: str, **params: Any) -> None:
        loader = ConfigLoader(
            str(project / "conf"), env="tiny", runtime_params=params, **CONFIG_LOADER_ARGS
        )
        monkeypatch.setattr(pipeline_registry, "_loader", loader)
        check_parameters(loader, pipeline_registry.register_pipelines(), [pipeline])

    return check


@pytest.mark.parametrize(
    "pipeline", ["wikitext", "imdb", "imdb_ensemble", "imdb_magazine", "adult", "movielens"]
)
def test_what_is_shipped_passes(checked: Checked, pipeline: str) -> None:
    checked(pipeline)


@pytest.mark.parametrize(
    ("pipeline", "params", "answers"),
    [
        (
            "imdb",
            {"imdb": {"classifer": {}, "langauge_model": {}}},
            [
                "--params: imdb: classifer is no group of parameters. Did you mean `classifier`",
                "langauge_model is no group of parameters. Did you mean `language_model`",
            ],
        ),
        (
            "imdb_backwards",
            {"imdb": {"backwards": {"generatoin": {}}}},
            ["imdb.backwards: generatoin is no group of parameters. Did you mean `generation`"],
        ),
        (
            "adult",
            {"adult": {"net": {"traning": {}, "training": {"phasis": 3}}}},
            [
                "adult.net.traning: there is no such setting. Did you mean `training`",
                "adult.net.training.phasis: there is no such setting. Did you mean `phases`",
            ],
        ),
        (
            "adult",
            {"adult": {"target": {"kind": "foo"}}},
            ["adult.target.kind: Input should be 'binary'", "(it is 'foo')"],
        ),
    ],
)
def test_misspelt_groups_and_settings_are_refused_with_the_nearest_name(
    checked: Checked, pipeline: str, params: dict[str, Any], answers: list[str]
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        checked(pipeline, **params)
    for answer in answers:
        assert answer in str(raised.value)


def test_a_group_that_is_missing_is_told_with_the_node_that_needs_it(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("base/recipes", "local"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("globals.yml", "artifacts.yml", "recipes/tables.yml"):
        (tmp_path / "base" / name).write_text((project / "conf/base" / name).read_text())
    (tmp_path / "base/sources.yml").write_text("x: tables")
    (tmp_path / "base/parameters.yml").write_text("x: {preprocessing: {columns: {}}}")
    loader = ConfigLoader(str(tmp_path), **CONFIG_LOADER_ARGS)
    monkeypatch.setattr(pipeline_registry, "_loader", loader)
    with pytest.raises(ConfigurationError, match=r"x has no target, which x\.\w+ needs: write `x:"):
        check_parameters(loader, pipeline_registry.register_pipelines(), ["x"])


def test_what_a_pipeline_reads_is_there_or_the_answer_says_what_makes_it(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loader = ConfigLoader(str(project / "conf"), env="tiny", **CONFIG_LOADER_ARGS)
    monkeypatch.setattr(pipeline_registry, "_loader", loader)
    monkeypatch.chdir(tmp_path)  # where nothing has run
    pipelines = pipeline_registry.register_pipelines()
    config = loader["catalog"]
    del config["adult.new_rows"]
    catalog = DataCatalog.from_config(config)
    with pytest.raises(ConfigurationError) as raised:
        check_inputs(loader, pipelines, pipelines["adult_predict"], catalog)
    assert "adult.model is not there yet: `kedro run --pipeline=adult` makes it" in str(
        raised.value
    )
    assert "adult.new_rows is not in the catalog: write in conf/base/adult/cat" in str(raised.value)
    with pytest.raises(ConfigurationError, match=r"imdb\.language_model is not there yet"):
        check_inputs(loader, pipelines, pipelines["imdb_magazine"], catalog)
    check_inputs(loader, pipelines, pipelines["adult"], catalog)
