"""What is looked at before the first node runs: everything that can be known from `conf/` alone."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args, get_origin, get_type_hints

from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from gradual.configuration.builds import builds_of
from gradual.configuration.errors import ConfigurationError, nearest
from gradual.configuration.loader import CHAMPION, RESERVED, ConfigLoader
from gradual.configuration.sources import Run

Pipelines = Mapping[str, Pipeline]


def pipelines_of(run: Run) -> list[str]:
    """Return the names of all pipelines that the run's source makes."""
    return list(builds_of(run.source))


def groups_of(pipelines: Iterable[Pipeline]) -> dict[str, dict[str, str]]:
    """Return the groups of parameters that nodes take: a node's name, by run and group."""
    groups: dict[str, dict[str, str]] = {}
    for pipeline in pipelines:
        for node in pipeline.nodes:
            for name in node.inputs:
                if name.startswith("params:"):
                    run, _, group = name.removeprefix("params:").partition(".")
                    groups.setdefault(run, {})[group.partition(".")[0]] = node.name
    return groups


def check_parameters(loader: ConfigLoader, pipelines: Pipelines, chosen: Iterable[str]) -> None:
    """Check that pipelines find their parameters, and that all that is written is used.

    Args:
        loader: What reads `conf/`.
        pipelines: All pipelines by name.
        chosen: Names of those that are to run.

    Raises:
        ConfigurationError: Groups or settings are missing or unknown, or have bad values; the
            message has a line for each, with the nearest right name.
    """
    wanted = [pipelines[name] for name in chosen]
    parameters, runs = loader["parameters"], loader.runs
    needed = {run: groups for run, groups in groups_of(wanted).items() if run in runs}
    problems: list[str] = []
    for name, groups in needed.items():
        problems += _unknown_groups(loader, pipelines, runs[name])
        problems += [
            f"{name} has no {group}, which {node} needs: write `{name}: {{{group}: …}}` in "
            f"conf/base/{runs[name].source.name}/parameters.yml"
            for group, node in groups.items()
            if group not in parameters[name]
        ]
    if not problems:  # a misspelt group is one problem, not two
        problems += _bad_values(wanted, parameters)
    if problems:
        raise ConfigurationError("\n".join(dict.fromkeys(problems)))


def check_inputs(
    loader: ConfigLoader, pipelines: Pipelines, pipeline: Pipeline, catalog: CatalogProtocol
) -> None:
    """Check that what a pipeline reads is there: rows in the catalog, models on the disk.

    Args:
        loader: What reads `conf/`.
        pipelines: All pipelines by name.
        pipeline: The one that is about to run, or the part of it.
        catalog: Where its nodes will look.

    Raises:
        ConfigurationError: Something is not there; the message says what to write or to run.
    """
    problems = []
    for name in sorted(pipeline.inputs()):
        run = loader.runs.get(name.partition(".")[0])
        if run is None or name.startswith(("params:", "parameters")):
            continue
        if name not in catalog:
            problems.append(
                f"{name} is not in the catalog: write in conf/base/{run.source.name}/catalog.yml\n"
                f"\n{name}:\n  type: gradual.io.SourceDataset\n  filepath: data/01_raw/…\n"
            )
            continue
        stored = name.removesuffix(f"_{CHAMPION}")
        if stored not in pipeline.all_outputs() and not catalog.exists(name):
            makers = [each for each in pipelines_of(run) if stored in pipelines[each].all_outputs()]
            if makers:
                problems.append(
                    f"{stored} is not there yet: `kedro run --pipeline={makers[0]}` makes it, in "
                    "the same environment"
                )
    if problems:
        raise ConfigurationError("\n".join(problems))


def _unknown_groups(loader: ConfigLoader, pipelines: Pipelines, run: Run) -> Iterator[str]:
    """Tell of what is written at the top of a source, or of a block for a variant, in vain."""
    used = groups_of(pipelines[name] for name in pipelines_of(run))
    known = {group for groups in used.values() for group in groups}
    known |= loader.recipe_of(run.source, loader["parameters"][run.name].get("recipe")).keys()
    blocks = {name: loader.written.get(name) or {} for name in {run.name, run.source.name}}
    own = blocks[run.source.name]
    for variant in ("backwards", "ensemble"):
        blocks[f"{run.source.name}.{variant}"] = own.get(variant) or {}
    for number, override in enumerate(own.get("folds") or [], start=1):
        blocks[f"{run.source.name}.folds.{number}"] = override
    for place, block in blocks.items():
        allowed = known | set(RESERVED) if place in loader.runs else known | {"start"}
        for group in block:
            if group not in allowed:
                groups = ", ".join(sorted(known))
                yield (
                    f"{loader.file_of(place.partition('.')[0], group)}: {place}: {group} is no "
                    f"group of parameters.{nearest(group, allowed)} There are {groups}"
                )


def _bad_values(pipelines: Iterable[Pipeline], parameters: Mapping[str, Any]) -> Iterator[str]:
    """Tell of settings that the types of the nodes' arguments refuse."""
    from kedro.validation.type_extractor import TypeExtractor
    from pydantic import TypeAdapter, ValidationError

    types = TypeExtractor(
        {str(i): each for i, each in enumerate(pipelines)}
    ).extract_types_from_pipelines()
    for key, annotation in types.items():
        value: Any = parameters
        for part in key.split("."):
            value = value[part]
        try:
            TypeAdapter(annotation).validate_python(value)
        except ValidationError as error:
            for each in error.errors():
                yield _problem(key, annotation, each)


def _problem(key: str, annotation: Any, error: Mapping[str, Any]) -> str:
    place = ".".join([key, *map(str, error["loc"])])
    if error["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        fields = _fields(annotation, error["loc"][:-1])
        name = str(error["loc"][-1])
        there = f" There are {', '.join(fields)}" if fields else ""
        return f"{place}: there is no such setting.{nearest(name, fields)}{there}"
    if error["type"] in ("missing", "missing_argument"):
        return f"{place} is missing: write it"
    said = str(error["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return f"{place}: {said}" + ("" if said != error["msg"] else f" (it is {error['input']!r})")


def _fields(annotation: Any, place: Iterable[Any]) -> list[str]:
    """Return the names of the settings at a place inside a configuration's type."""
    kinds = _dataclasses_in(annotation)
    for part in place:
        hints = [get_type_hints(kind) for kind in kinds]
        inner = [each[str(part)] for each in hints if str(part) in each]
        if inner:  # else an index of a list, or the member of a union that was tried
            kinds = [found for each in inner for found in _dataclasses_in(each)]
    return [field.name for kind in kinds for field in dataclasses.fields(kind)]


def _dataclasses_in(annotation: Any) -> list[Any]:
    """Return the dataclasses that a type names: itself, or members of a union, list or mapping."""
    root = getattr(annotation, "model_fields", {}).get("root")
    if root is not None:  # pydantic's RootModel
        return _dataclasses_in(root.annotation)
    if dataclasses.is_dataclass(annotation):
        return [annotation]
    if get_origin(annotation) is None:
        return []
    return [found for each in get_args(annotation) for found in _dataclasses_in(each)]
