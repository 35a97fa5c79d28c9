"""What can be run of a source: its kind's pipelines, its folds, and its retrain."""

import importlib
from collections.abc import Container
from typing import Any

from kedro.pipeline import Pipeline

from gradual.configuration.sources import KINDS, Source
from gradual.pipelines import Build, under


def builds_of(source: Source, catalog: Container[str] = ()) -> dict[str, Build]:
    """Return what builds each pipeline of a source, by the name that ``kedro run`` takes.

    Args:
        source: The source.
        catalog: Names of the catalog's own entries: a fold may have files of its own there.
    """
    made: dict[str, Build] = importlib.import_module(KINDS[source.kind].module).pipelines(
        source.name, **source.options
    )
    if source.folds:
        made = {**made, f"{source.name}_folds": _folds(source, catalog)}
    if source.answers:
        made = {**made, f"{source.name}_retrain": _retrain(source, catalog)}
    return made


def _folds(source: Source, catalog: Container[str]) -> Build:
    kind = importlib.import_module(KINDS[source.kind].module)
    names = [f"{source.name}_fold_{number}" for number in range(1, source.folds + 1)]
    runs = [kind.pipelines(name, **_ahead(source))[name] for name in names]
    together = under(
        f"{source.name}_folds",
        "gradual.pipelines.folds:create_pipeline",
        {f"fold_{number}": f"{name}.scores" for number, name in enumerate(names, start=1)},
        folds=source.folds,
        name=f"{source.name}_folds",
        titles=KINDS[source.kind].titles,
    )

    def build() -> Pipeline:
        folds = Pipeline([])
        for name, run in zip(names, runs, strict=True):
            pipeline = run()
            folds += Pipeline(pipeline, inputs=_shared(pipeline, name, source, catalog))
        return folds + together()

    return build


def _retrain(source: Source, catalog: Container[str]) -> Build:
    """Return the kind's own pipeline on rows that a retrain holds ready, and what judges it."""
    kind, name = importlib.import_module(KINDS[source.kind].module), f"{source.name}_retrain"
    train = kind.pipelines(name, **_ahead(source))[name]
    arrivals = f"{source.name}.arrivals"
    around = under(
        name,
        "gradual.pipelines.retraining.pipeline:create_pipeline",
        {"arrivals": arrivals if arrivals in catalog else f"{source.name}.source"},
        kind=source.kind,
    )

    def build() -> Pipeline:
        pipeline = train()
        shared = _shared(pipeline, name, source, catalog)
        shared |= {f"{name}.source": f"{name}.training_rows"}
        shared |= {f"{name}.test_source": f"{name}.held_out_rows"}
        return Pipeline(pipeline, inputs=shared) + around()

    return build


def _ahead(source: Source) -> dict[str, Any]:
    """Return the settings of its kind for a variant that reads in one direction."""
    return {**source.options, **({"backwards": False} if source.backwards else {})}


def _shared(
    pipeline: Pipeline, name: str, source: Source, catalog: Container[str]
) -> dict[str, str]:
    """Return the files that a variant reads and has no entry of its own for: its source's."""
    files = [
        each
        for each in pipeline.inputs()
        if each.startswith(f"{name}.") and each.endswith("source") and each not in catalog
    ]
    return {each: f"{source.name}.{each.removeprefix(f'{name}.')}" for each in files}
