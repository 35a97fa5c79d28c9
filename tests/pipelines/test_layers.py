"""kedro-viz draws a pipeline in layers only where they do not go round in a circle."""

from collections import defaultdict
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import pytest
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from parse import parse

OWN, TOGETHER = ("adult", "movielens", "imdb"), ("imdb_ensemble", "__default__")


@pytest.fixture(scope="module")
def catalog(project_clone: Path) -> Iterator[dict[str, Any]]:
    bootstrap_project(project_clone)
    with KedroSession.create(project_clone) as session:
        yield session.load_context().config_loader["catalog"]


@pytest.mark.parametrize("name", [*OWN, *(f"{name}_retrain" for name in OWN), *TOGETHER])
def test_layers_follow_each_other(name: str, catalog: dict[str, Any]) -> None:
    def layer(dataset: str) -> str | None:
        pattern = next((p for p in catalog if "{" in p and parse(p, dataset)), "")
        entry = catalog.get(dataset) or catalog.get(pattern) or {}
        return entry.get("metadata", {}).get("kedro-viz", {}).get("layer")

    before: dict[str, set[str]] = defaultdict(set)
    for node in pipelines[name].nodes:
        for made in filter(None, map(layer, node.outputs)):
            before[made] |= {used for used in map(layer, node.inputs) if used} - {made}
    order = list(TopologicalSorter(before).static_order())
    assert len(order) >= 5
