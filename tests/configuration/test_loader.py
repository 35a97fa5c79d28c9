"""`conf/` as the pipelines see it: recipes, sources, environments, --params, variants."""

from pathlib import Path
from typing import Any

import pytest

from gradual.configuration.errors import ConfigurationError
from gradual.configuration.loader import RESERVED, ConfigLoader
from gradual.settings import CONFIG_LOADER_ARGS

FILES = {
    "base/globals.yml": "{data: data, seed: 42, recipes: {tables: small}}",
    "base/recipes/tables.yml": """
        small: {net: {layers: [200, 100], seed: "${globals:seed}"}, rows: {test: {method: random}}}
        tiny: {recipe: small, net: {layers: [16]}}
    """,
    "base/recipes/texts.yml": "small: {tokenizer: {language: en}, generation: {prompts: [a]}}",
    "base/artifacts.yml": """
        forms: {bundle: {type: gradual.io.BundleDataset, suffix: .safetensors}}
        01_raw: {bundle: [pretrained_language_model: {kind: language_model}]}
    """,
    "base/sources.yml": "{x: tables, t: {kind: texts, backwards: true}}",
    "base/x/parameters.yml": "x: {net: {dropout: 0.1}}",
    "base/t/parameters.yml": """
        t: {start: a.safetensors, documents: {label: team}, backwards: {generation: {words: 3}}}
    """,
    "base/t/catalog.yml": "t.source: {type: gradual.io.HTMLDataset, filepath: t.txt}",
    "other/globals.yml": "{data: data/other, recipes: {tables: tiny}}",
    "other/parameters.yml": "x: {net: {dropout: 0.2}}",
    "local/.gitkeep": "",
}


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        write(tmp_path / name, content)
    return tmp_path


def write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def loader(conf: Path, env: str | None = None, **params: Any) -> ConfigLoader:
    return ConfigLoader(str(conf), env=env, runtime_params=params, **CONFIG_LOADER_ARGS)


def test_recipe_source_environment_and_command_line_merge_in_this_order(conf: Path) -> None:
    assert loader(conf)["parameters"]["x"] == {
        "net": {"layers": [200, 100], "seed": 42, "dropout": 0.1},
        "rows": {"test": {"method": "random"}},
    }
    changed = loader(conf, "other", x={"net": {"seed": 7}})["parameters"]["x"]
    assert changed["net"] == {"layers": [16], "seed": 7, "dropout": 0.2}
    by_name = loader(conf, x={"recipe": "tiny"})["parameters"]["x"]
    assert by_name["net"]["layers"] == [16], "a source may name its recipe"


def test_variants_take_what_is_not_their_own_from_their_source(conf: Path) -> None:
    found = loader(conf, t_backwards={"tokenizer": {"language": "de"}})["parameters"]
    ahead = {name: value for name, value in found["t"].items() if name not in RESERVED}
    assert found["t_backwards"] == ahead | {
        "tokenizer": {"language": "de", "backwards": True},
        "generation": {"prompts": ["a"], "words": 3},
    }
    assert found["t_ensemble"] == ahead


def test_folds_are_numbered_and_may_have_overrides(conf: Path) -> None:
    write(conf / "local/sources.yml", "x: {kind: tables, folds: 2}")
    write(
        conf / "local/parameters.yml",
        "x: {rows: {test: {method: folds, seed: 1}}, folds: [{}, {net: {dropout: 0}}]}",
    )
    found = loader(conf)["parameters"]
    first, second = found["x_fold_1"], found["x_fold_2"]
    assert first["rows"]["test"] == {"method": "folds", "folds": 2, "seed": 1, "fold": 1}
    assert second["rows"]["test"]["fold"] == 2
    assert (first["net"]["dropout"], second["net"]["dropout"]) == (0.1, 0)
    assert found["x"]["rows"]["test"]["fold"] == 1, "the source alone holds out the first"


def test_artifacts_are_entries_of_every_source_and_what_is_written_wins(conf: Path) -> None:
    catalog = loader(conf, "other")["catalog"]
    assert set(catalog) == {
        "t.source", "x.pretrained_language_model", "t.pretrained_language_model",
        "t_backwards.pretrained_language_model", "t_ensemble.pretrained_language_model",
        "x_retrain.pretrained_language_model", "t_retrain.pretrained_language_model",
    }  # fmt: skip
    assert catalog["t.pretrained_language_model"]["filepath"] == "a.safetensors"
    assert "t_backwards/pre" in catalog["t_backwards.pretrained_language_model"]["filepath"]
    write(conf / "other/catalog.yml", "x.pretrained_language_model: {type: MemoryDataset}")
    found = loader(conf, "other")["catalog"]["x.pretrained_language_model"]
    assert found == {"type": "MemoryDataset"}


def test_the_registered_champion_answers_new_rows_unless_another_is_named(conf: Path) -> None:
    artifacts = (
        FILES["base/artifacts.yml"] + "    06_models: {bundle: [served_champion: {file: served}]}\n"
    )
    write(conf / "base/artifacts.yml", artifacts)

    def answering(**t: Any) -> dict[str, Any]:
        entry = dict(loader(conf, t=t)["catalog"]["t.served_champion"])
        entry.pop("metadata"), entry.pop("type")
        return entry

    stored = {"filepath": "data/06_models/t/served.safetensors"}
    assert answering() == stored | {"champion": "t"}
    registration = {"registered_name": "team", "alias": None}
    assert answering(registration=registration) == stored | {"champion": "team"}
    assert answering(predict_with="stored") == stored
    assert answering(predict_with="models:/team/3") == {"filepath": "models:/team/3"}
    with pytest.raises(ConfigurationError, match=r"t\.predict_with is 'newest': write champion"):
        answering(predict_with="newest")


def test_a_retrain_starts_from_the_champion_where_that_is_asked_for(conf: Path) -> None:
    write(
        conf / "base/artifacts.yml",
        """
        forms: {absent: {type: gradual.io.BundleDataset, filepath: null}}
        01_raw: {absent: [pretrained_language_model, champion]}
        """,
    )
    asked: Any = {"start": "champion"}
    for name, registered in (("x", None), ("x_retrain", "x")):
        found = loader(conf, x={"retrain": asked})["catalog"][f"{name}.champion"]
        assert (found["filepath"], found.get("champion")) == (None, registered)
    assert "champion" not in loader(conf)["catalog"]["x_retrain.champion"]
    with pytest.raises(ConfigurationError, match=r"retrain\.start is champion, which nets on"):
        loader(conf, t={"retrain": asked})["catalog"]


def test_a_start_from_fastais_files_reads_in_the_direction_of_its_source(conf: Path) -> None:
    def entry(name: str, start: str) -> dict[str, Any]:
        found = loader(conf, **{name: {"start": start}})["catalog"]
        entry: dict[str, Any] = found[f"{name}.pretrained_language_model"]
        return entry

    for name, backwards in (("t", False), ("t_backwards", True)):
        assert entry(name, "fastai:wt103.tgz")["filepath"] == "fastai:wt103.tgz"
        assert entry(name, "fastai:wt103.tgz")["backwards"] is backwards
        assert "backwards" not in entry(name, "models:/a@b"), "a bundle says it itself"
    found = loader(conf, t={"start": "fastai:wt103-fwd.tgz"})["catalog"]
    other = found["t_backwards.pretrained_language_model"]
    assert not other["filepath"].startswith("fastai:"), "a variant names its own"


@pytest.mark.parametrize(
    ("params", "answer"),
    [
        ({"xx": {}}, r"--params: xx is no source. Did you mean `x`\?"),
        ({"x": {"recipe": "smal"}}, "x: there is no recipe 'smal' in .*Did you mean `small`"),
        ({"x": 3}, "--params: x is 3: write a mapping"),
    ],
)
def test_what_names_nothing_is_refused_with_the_nearest_name(
    conf: Path, params: dict[str, Any], answer: str
) -> None:
    with pytest.raises(ConfigurationError, match=answer):
        loader(conf, **params)["parameters"]


def test_a_source_that_is_switched_off_may_keep_its_files(conf: Path) -> None:
    write(conf / "local/sources.yml", "x: null")
    found = loader(conf)
    assert set(found["parameters"]) == {"t", "t_backwards", "t_ensemble", "t_retrain"}
    assert not any(name.startswith("x.") for name in found["catalog"])


def test_an_unknown_source_is_refused_with_its_file(conf: Path) -> None:
    write(conf / "local/y/parameters.yml", "y: {}")
    with pytest.raises(ConfigurationError, match=r"local/y/parameters.yml: y is no source"):
        loader(conf)["parameters"]


@pytest.mark.parametrize("env", ["local", "lesson", "full", "tiny"])
@pytest.mark.parametrize("source", ["imdb", "wikitext"])
def test_backwards_is_one_setting_in_every_environment(
    project: Path, env: str, source: str
) -> None:
    found = loader(project / "conf", env)["parameters"]
    ahead = {name: value for name, value in found[source].items() if name not in RESERVED}
    back = found[f"{source}_backwards"]
    assert back.pop("tokenizer") == ahead.pop("tokenizer") | {"backwards": True}
    assert back.pop("generation")["prompts"] != ahead.pop("generation")["prompts"]
    names = [side.pop("registration", {}).get("registered_name") for side in (ahead, back)]
    assert names == [None, None] or names[0] != names[1]
    assert back == ahead


def test_no_variant_takes_the_registered_name_of_its_source(conf: Path) -> None:
    named = {"registration": {"registered_name": "t", "alias": "champion"}}
    found = loader(conf, t=named)["parameters"]
    assert found["t"]["registration"] == named["registration"]
    for variant in ("t_backwards", "t_ensemble"):
        assert found[variant]["registration"] == {"registered_name": None, "alias": None}


@pytest.mark.parametrize("env", ["local", "lesson", "full", "tiny"])
def test_one_seed_stands_in_one_place(project: Path, env: str) -> None:
    changed = loader(project / "conf", env)
    assert changed["globals"]["seed"] == 42
    said = [path for path in (project / "conf").rglob("globals.yml") if "seed" in path.read_text()]
    assert said == [project / "conf/base/globals.yml"]


def test_a_retrain_tests_on_the_rows_held_out_and_makes_versions_of_its_source(conf: Path) -> None:
    found = loader(
        conf,
        x={"retrain": {"held_out": 0.3}, "rows": {"valid": {"method": "last"}}},
        t={"registration": {"registered_name": "teams", "alias": "newest"}},
        t_retrain={"documents": {"test": None, "label": "group"}},
    )["parameters"]
    assert found["x_retrain"]["rows"] == {"test": None, "valid": {"method": "last"}}
    assert found["x_retrain"]["retrain"] == {"held_out": 0.3, "registered_name": "x"}
    assert found["t_retrain"]["retrain"] == {"registered_name": "teams"}
    assert found["t_retrain"]["registration"] == {"registered_name": None, "alias": None}
    documents = {"label": "group", "split_column": None, "test": None}
    assert found["t_retrain"]["documents"] == documents
