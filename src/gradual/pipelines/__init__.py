"""The pipelines: wiring and thin nodes. The methods they call know nothing of Kedro.

Each kind of source has a package, whose function `pipelines` says what can be run of one source.
"""

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from kedro.pipeline import Node, Pipeline

Build = Callable[[], Pipeline]


def imported(place: str) -> Any:
    """Return what is named `module:name`, imported now."""
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def under(
    namespace: str, create: str, inputs: Mapping[str, str] | None = None, **options: Any
) -> Build:
    """Return what imports a kind's methods and builds one of its pipelines, when it is called.

    Args:
        namespace: Name of the source; its catalog entries and parameters begin with it.
        create: The function that makes the pipeline, `module:function`.
        inputs: Full names of datasets that are another source's, by the name that they have in the
            pipeline; those that it does not read may stand there too.
        options: Arguments of that function.
    """

    def build() -> Pipeline:
        pipeline = imported(create)(**options)
        others = {name: full for name, full in (inputs or {}).items() if name in pipeline.inputs()}
        return Pipeline(pipeline, namespace=namespace, inputs=others)

    return build


def step(
    func: Callable[..., Any],
    inputs: str,
    outputs: str | Mapping[str, str],
    *,
    more: Mapping[str, str] | None = None,
    name: str | None = None,
) -> Node:
    """Return a node that is called what its function is called.

    Args:
        func: Its function.
        inputs: Names of the datasets that are its arguments, in order, with blanks between them.
        outputs: Likewise; a mapping where the function returns one.
        more: Datasets of keyword arguments.
        name: Another name, where one function serves twice.
    """
    arguments = dict(zip(inspect.signature(func).parameters, inputs.split(), strict=False))
    made: Any = outputs
    if isinstance(outputs, str) and len(outputs.split()) > 1:
        made = outputs.split()
    return Node(func, {**arguments, **(more or {})}, made, name=name or func.__name__)
