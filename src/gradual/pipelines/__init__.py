"""The pipelines: wiring and thin nodes. The methods they call know nothing of Kedro.

Each kind of source has a package, whose function `pipelines` says what can be run of one source.
"""

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from kedro.pipeline import Pipeline

Build = Callable[[], Pipeline]


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
        module, function = create.split(":")
        pipeline = getattr(importlib.import_module(module), function)(**options)
        others = {name: full for name, full in (inputs or {}).items() if name in pipeline.inputs()}
        return Pipeline(pipeline, namespace=namespace, inputs=others)

    return build
