"""The project's pipelines by name: what ``kedro run --pipeline=NAME`` can run.

They are made from `sources.yml`, see `gradual.configuration.sources`.
"""

import os
import warnings
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

from kedro.framework.project import settings
from kedro.pipeline import Pipeline
from kedro.utils import find_kedro_project

from gradual.configuration.builds import builds_of
from gradual.configuration.errors import ConfigurationError
from gradual.configuration.loader import ConfigLoader
from gradual.configuration.sources import Source
from gradual.pipelines import Build

# Where a pipeline reads another namespace's data Kedro warns of a mistake.
warnings.filterwarnings("ignore", "One or more dataset names contain '.'", UserWarning)

_loader: ConfigLoader | None = None  # of the session that has been created last


class LazyPipeline(Pipeline):
    """A pipeline that is built when it is first looked into.

    The names of all pipelines are known from `sources.yml` alone; their nodes import the methods
    with what they need, which takes seconds.
    """

    def __init__(self, build: Build) -> None:
        """Keep what builds it."""
        self._build = build

    def __getattr__(self, name: str) -> Any:
        """Build the pipeline: only called for attributes that are not there yet."""
        if name.startswith("__") or "_build" not in vars(self):
            raise AttributeError(name)
        build = self._build
        del self._build
        vars(self).update(vars(build()))
        return getattr(self, name)


def use(loader: ConfigLoader) -> None:
    """Make the pipelines from what this loader reads, from now on."""
    global _loader
    _loader = loader


def register_pipelines() -> dict[str, Pipeline]:
    """Return every pipeline by the name that ``kedro run --pipeline=`` takes.

    Raises:
        ConfigurationError: `sources.yml` cannot be used; the message says what to write.
    """
    loader = _default_loader() if _loader is None else _loader  # an empty mapping is false
    sources = loader.sources
    pipelines: dict[str, Pipeline] = {}
    owners: dict[str, Source] = {}
    for source in sources.values():
        for name, build in builds_of(source, loader.entries).items():
            if name in pipelines:
                raise ConfigurationError(
                    f"sources.yml: {owners[name].name} and {source.name} both make the pipeline "
                    f"{name}: give one of the two another name"
                )
            pipelines[name], owners[name] = LazyPipeline(build), source
    chosen = [name for name, source in sources.items() if source.default] or list(sources)
    pipelines["__default__"] = LazyPipeline(
        lambda: reduce(add, (pipelines[name] for name in chosen), Pipeline([]))
    )
    return pipelines


def _default_loader() -> ConfigLoader:
    """Return what reads the project's `conf/` where there is no session: `kedro registry list`."""
    project = find_kedro_project(Path.cwd()) or Path.cwd()
    conf = project / settings.CONF_SOURCE
    return ConfigLoader(str(conf), env=os.environ.get("KEDRO_ENV"), **settings.CONFIG_LOADER_ARGS)
