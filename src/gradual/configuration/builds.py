"""What can be run of a source: its kind's pipelines, and its folds."""

import importlib
from collections.abc import Container

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
    return made


def _folds(source: Source, catalog: Container[str]) -> Build:
    kind = importlib.import_module(KINDS[source.kind].module)
    names = [f"{source.name}_fold_{number}" for number in range(1, source.folds + 1)]
    options = {**source.options, **({"backwards": False} if source.backwards else {})}
    runs = [kind.pipelines(name, **options)[name] for name in names]
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
            files = [
                each
                for each in pipeline.inputs()
                if each.startswith(f"{name}.") and each.endswith("source") and each not in catalog
            ]
            shared = {each: f"{source.name}.{each.removeprefix(f'{name}.')}" for each in files}
            folds += Pipeline(pipeline, inputs=shared)
        return folds + together()

    return build
