"""The config loader: `conf/` read as sources, recipes and artifacts."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from kedro.config import MissingConfigException, OmegaConfigLoader
from omegaconf import OmegaConf

from gradual.configuration.artifacts import catalog_entries
from gradual.configuration.errors import ConfigurationError, nearest
from gradual.configuration.merge import merge
from gradual.configuration.sources import KINDS, Run, Source, read_sources, runs_of
from gradual.io.bundle import FASTAI

DEFAULT_RECIPE = "small"
# What a source's parameters may hold beside the groups that its nodes take.
RESERVED = ("recipe", "start", "predict_with", "backwards", "ensemble", "folds")
# What answers new rows: the registered champion, if there is one, or what the last run has stored.
CHAMPION, STORED = "champion", "stored"


class ConfigLoader(OmegaConfigLoader):
    """Kedro's loader, for which a source writes only what differs from the recipe of its kind.

    - `sources`: `sources.yml`, see `gradual.configuration.sources`.
    - `parameters`: for each source and each variant of it, the recipe of its kind (by the source's
      `recipe`, else by `recipes` in `globals.yml`), under what the source's files say, in base and
      in the environment, under `--params`.
    - `catalog`: what `artifacts.yml` lists, for each source and variant; entries of catalog files
      win.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """As Kedro's; it reads three more kinds of files."""
        files = {"sources": "sources.yml", "artifacts": "artifacts.yml"}
        files |= {_recipes_key(kind): f"recipes/{kind}.yml" for kind in KINDS}
        patterns = {key: [name] for key, name in files.items()}
        kwargs["config_patterns"] = patterns | (kwargs.get("config_patterns") or {})
        soft = dict.fromkeys(files, "soft")
        kwargs["merge_strategy"] = soft | (kwargs.get("merge_strategy") or {})
        self._read: dict[str, dict[str, Any]] = {}  # each file is parsed once
        super().__init__(*args, **kwargs)

    def __getitem__(self, key: str) -> dict[str, Any]:
        """Return one kind of configuration, with sources, recipes and artifacts worked in.

        Raises:
            ConfigurationError: Something there cannot be used; the message says what to write.
        """
        if key in self.data or key not in ("parameters", "catalog"):
            config: dict[str, Any] = super().__getitem__(key)
            return config
        if key not in self._read:
            if key == "parameters":
                config = self._parameters(self.written) if self.sources else self.written
            else:
                config = super().__getitem__(key)
                config = self._catalog(config) if self.sources else config
            self._read[key] = config
        return deepcopy(self._read[key])

    @cached_property
    def sources(self) -> dict[str, Source]:
        """The sources by name; empty where there is no `sources.yml`."""
        return read_sources(self._optional("sources"))

    @cached_property
    def runs(self) -> dict[str, Run]:
        """Sources and their variants by name."""
        return runs_of(self.sources)

    @property
    def data_folder(self) -> str:
        """The folder of all that runs make in this environment, relative to the project's."""
        return str(self._globals.get("data", "data"))

    @cached_property
    def written(self) -> dict[str, Any]:
        """What the files and ``--params`` say of each source or variant, without its recipe."""
        return merge(super().__getitem__("parameters"), self.runtime_params or {})

    @cached_property
    def entries(self) -> frozenset[str]:
        """Names of the datasets that catalog files describe themselves."""
        try:
            return frozenset(super().__getitem__("catalog"))
        except MissingConfigException:
            return frozenset()

    def recipe_of(self, source: Source, name: str | None = None) -> dict[str, Any]:
        """Return the parameters of a recipe for that source's kind.

        Args:
            source: The source.
            name: Name of the recipe; None takes the environment's.
        """
        recipes = self._optional(_recipes_key(source.kind))
        chosen = name or self._globals.get("recipes", {}).get(source.kind, DEFAULT_RECIPE)
        if chosen not in recipes:
            raise ConfigurationError(
                f"{source.name}: there is no recipe {chosen!r} in conf/base/recipes/"
                f"{source.kind}.yml, only {', '.join(recipes)}.{nearest(str(chosen), recipes)}"
            )
        recipe = dict(recipes[chosen])
        below = recipe.pop("recipe", None)
        return merge(self.recipe_of(source, below), recipe) if below else recipe

    def _optional(self, key: str) -> dict[str, Any]:
        if key not in self._read:
            try:
                self._read[key] = super().__getitem__(key)
            except MissingConfigException:
                self._read[key] = {}
        return self._read[key]

    def _catalog(self, config: dict[str, Any]) -> dict[str, Any]:
        parameters = self["parameters"]
        entries = catalog_entries(self._optional("artifacts"), self.runs, self.data_folder)
        for name, run in self.runs.items():
            if run.variant == "retrain" and parameters[name]["retrain"].get("start") == CHAMPION:
                if run.source.kind == "texts":
                    where = self.file_of(run.source.name, "retrain", "start")
                    raise ConfigurationError(
                        f"{where}: {run.source.name}.retrain.start is {CHAMPION}, which nets on "
                        "tables and recommenders know: leave it out; the language model of texts "
                        "starts from what the source's `start` names"
                    )
                registered_name = parameters[name]["retrain"]["registered_name"]
                entries[f"{name}.{CHAMPION}"][CHAMPION] = registered_name
            start = parameters[name].get("start")
            if start is not None:  # what its language model starts from, instead of random weights
                entry = entries[f"{name}.pretrained_language_model"]
                several = isinstance(start, list)
                if several:  # the first that is there
                    entry["type"] = "gradual.io.FirstBundleDataset"
                    entry["filepaths"] = start
                    del entry["filepath"]
                else:
                    entry["filepath"] = start
                if any(str(one).startswith(FASTAI) for one in (start if several else [start])):
                    # whose files do not say in which direction
                    entry["backwards"] = bool(
                        (parameters[name].get("tokenizer") or {}).get("backwards")
                    )
            registered = (parameters[name].get("registration") or {}).get("registered_name")
            chosen = self._predict_with(name, parameters[name])
            for each, entry in entries.items():
                if each.startswith(f"{name}.") and each.endswith(f"_{CHAMPION}"):
                    if chosen == CHAMPION:
                        entry["champion"] = registered or name
                    elif chosen != STORED:
                        entry["filepath"] = chosen
        return entries | config

    def _predict_with(self, name: str, parameters: Mapping[str, Any]) -> str:
        chosen = str(parameters.get("predict_with", CHAMPION))
        if chosen in (CHAMPION, STORED) or chosen.startswith("models:/"):
            return chosen
        raise ConfigurationError(
            f"{self.file_of(name, 'predict_with')}: {name}.predict_with is {chosen!r}: write "
            f"{CHAMPION} (the registered model, where there is one), {STORED} (what the last run "
            "has stored), or models:/<name>/<version>"
        )

    def _parameters(self, written: dict[str, Any]) -> dict[str, Any]:
        runs = self.runs
        listed = self._optional("sources")  # with those that this environment switches off
        for name in written:
            if name not in runs and name not in listed and not name.startswith("_"):
                raise ConfigurationError(
                    f"{self.file_of(name)}: {name} is no source.{nearest(name, runs)} Sources are "
                    f"listed in conf/base/sources.yml, each with its kind: `{name}: tables`"
                )
        merged: dict[str, Any] = {}
        for name, run in runs.items():
            own = written.get(name) or {}
            if run.variant:
                merged[name] = merge(_variant(merged[run.source.name], run), own)
            else:  # alone it holds out the first fold
                merged[name] = _numbered(self._of_source(run.source, own), run)
                self._check_folds(run.source, merged[name])
        return merged

    def _of_source(self, source: Source, written: Mapping[str, Any]) -> dict[str, Any]:
        if not isinstance(written, Mapping):
            raise ConfigurationError(
                f"{self.file_of(source.name)}: {source.name} is {written!r}: write a mapping of "
                "groups of parameters"
            )
        return merge(self.recipe_of(source, written.get("recipe")), written)

    def _check_folds(self, source: Source, parameters: Mapping[str, Any]) -> None:
        if not source.folds:
            return
        overrides = parameters.get("folds")
        if overrides is not None and len(overrides) != source.folds:
            raise ConfigurationError(
                f"{self.file_of(source.name, 'folds')}: {source.name}: folds has "
                f"{len(overrides)} entries, but sources.yml says `folds: {source.folds}`"
            )
        files = any(name.startswith(f"{source.name}_fold_") for name in self.entries)
        if overrides is None and not files and not _has_folds(parameters):
            place = ".".join(KINDS[source.kind].test_split)
            raise ConfigurationError(
                f"{source.name}: sources.yml says `folds: {source.folds}`, but all would hold out "
                f"the same rows: write {place}: {{method: folds, seed: 42}} in "
                f"conf/base/{source.name}/parameters.yml"
            )

    def file_of(self, *keys: str) -> str:
        """Return the file that says something of these keys, one in another, or `--params`."""
        if _holds(self.runtime_params or {}, keys):
            return "--params"
        base, env, root, *_ = self._read_raw_config("parameters")
        for path, config in [*env.items(), *base.items()]:
            if _holds(config, keys):
                return str(path.relative_to(Path(root).parents[1]))
        return f"conf/base/{keys[0]}/parameters.yml"

    @property
    def packaged_logging(self) -> dict[str, Any] | None:
        """What `logging.yml` of an archive says, where Kedro does not look for it; else None."""
        if self._protocol == "file":
            return None
        path = Path(self._get_conf_env_path(self.base_env)).parent / "logging.yml"
        text = self._fs.cat_file(path.as_posix()) if self._fs.exists(path.as_posix()) else "null"
        config: dict[str, Any] | None = yaml.safe_load(text)
        return config

    # Kedro merges --params into the files of each environment before it merges environments;
    # here they come last, and environments merge by the rule that recipes and sources do.

    def _merge_and_resolve(self, key: str, config_per_file: dict[Path, Any]) -> Any:
        if key != "parameters" or not config_per_file:
            return super()._merge_and_resolve(key, config_per_file)
        files = OmegaConf.unsafe_merge(*config_per_file.values())
        return OmegaConf.to_container(files, resolve=True)

    def _merge_configs(
        self, config: dict[str, Any], env_config: dict[str, Any], key: str, env_path: str
    ) -> Any:
        if key == "parameters":
            return merge(config, env_config)
        return super()._merge_configs(config, env_config, key, env_path)


def _has_folds(parameters: Mapping[str, Any]) -> bool:
    inner = [value for value in parameters.values() if isinstance(value, Mapping)]
    return parameters.get("method") == "folds" or any(_has_folds(value) for value in inner)


def _holds(config: Any, keys: Sequence[str]) -> bool:
    """Whether there is something under these keys, one in another."""
    for key in keys:
        if not isinstance(config, Mapping) or key not in config:
            return False
        config = config[key]
    return True


def _recipes_key(kind: str) -> str:
    return f"recipes/{kind}"


def _variant(source: Mapping[str, Any], run: Run) -> dict[str, Any]:
    """Return the parameters of a variant, made from those of its source."""
    own = {name: value for name, value in source.items() if name not in RESERVED}
    for group in ("registration", "language_model_registration"):
        if group in own:  # a registered name is one model's: a variant has its own, or none
            own[group] = {"registered_name": None, "alias": None}
    if run.variant == "backwards":
        return merge(own, {"tokenizer": {"backwards": True}}, source.get("backwards") or {})
    if run.variant == "ensemble":
        return merge(own, source.get("ensemble") or {})
    if run.variant == "folds":
        return {}
    if "start" in source:
        own["start"] = source["start"]
    if run.variant == "retrain":
        return merge(_numbered(own, run), _retrained(source, run))
    overrides = source.get("folds") or []
    override = overrides[run.fold - 1] if run.fold <= len(overrides) else {}
    return merge(_numbered(own, run), override)


def _retrained(source: Mapping[str, Any], run: Run) -> dict[str, Any]:
    """Return what a retrain sets: rows are held out by it, and its models are its source's."""
    group, test = KINDS[run.source.kind].test_split
    name = (source.get("registration") or {}).get("registered_name") or run.source.name
    rows = {test: None} | ({"split_column": None} if run.source.kind == "texts" else {})
    return {group: rows, "retrain": {"registered_name": name}}


def _numbered(parameters: Mapping[str, Any], run: Run) -> dict[str, Any]:
    """Return the parameters with the number of the fold in each split by `method: folds`."""
    numbered = {
        name: _numbered(value, run) if isinstance(value, Mapping) else value
        for name, value in parameters.items()
    }
    if numbered.get("method") == "folds":
        numbered["fold"] = run.fold or numbered.get("fold", 1)
        numbered.setdefault("folds", run.source.folds)
    return numbered
