"""What `sources.yml` says: which sources there are, of what kind, and the runs made of each."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gradual.configuration.errors import ConfigurationError, nearest


@dataclass(frozen=True)
class Kind:
    """A kind of source.

    Attributes:
        module: The package whose function `pipelines` makes the pipelines of a source.
        test_split: Where its parameters say which rows are held out.
        options: Names of that function's own settings.
        titles: Where it stands what people call the models, `module:name`; "" if as they are named.
    """

    module: str
    test_split: tuple[str, ...]
    options: tuple[str, ...] = ()
    titles: str = ""


KINDS = {
    "texts": Kind(
        "gradual.pipelines.texts",
        ("documents", "test"),
        ("task", "backwards", "language_model"),
        titles="gradual.text.metrics:NAMES",
    ),
    "tables": Kind(
        "gradual.pipelines.tables", ("rows", "test"), titles="gradual.tabular.scores:MODELS"
    ),
    "ratings": Kind("gradual.pipelines.ratings", ("split", "test")),
}


@dataclass(frozen=True)
class Source:
    """One entry of `sources.yml`.

    Attributes:
        name: Name of the source, of its pipeline and of its folders.
        kind: A name in `KINDS`.
        folds: Number of runs of `<name>_folds`; 0 if there is no such pipeline.
        default: Whether `kedro run` without a name runs it.
        options: The settings of that kind.
    """

    name: str
    kind: str
    folds: int = 0
    default: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z]\w*", self.name):
            raise ConfigurationError(
                f"sources.yml: {self.name!r} is no name for a source: write letters, digits and _"
            )
        if not isinstance(self.folds, int) or self.folds < 0 or self.folds == 1:
            raise ConfigurationError(
                f"sources.yml: {self.name}: folds is {self.folds!r}: write their number, from 2 on"
            )

    @property
    def backwards(self) -> bool:
        """Whether its texts are also read from their ends."""
        return bool(self.options.get("backwards"))

    @property
    def answers(self) -> bool:
        """Whether its models answer rows, which is what a retrain judges them by."""
        return self.options.get("task") != "language_model"

    @property
    def language_model(self) -> str | None:
        """The other source whose language model its classifier is built on."""
        return self.options.get("language_model")


@dataclass(frozen=True)
class Run:
    """One namespace: a source as it is, or a variant of it, with parameters and files of its own.

    Attributes:
        name: Its name: of the namespace, the group of parameters, the folders.
        source: The source that it is a variant of.
        variant: "", "backwards", "ensemble", "fold", "folds": what these are put together in, or
            "retrain".
        fold: Number of the fold, from 1.
    """

    name: str
    source: Source
    variant: str = ""
    fold: int = 0


def read_sources(config: Mapping[str, Any]) -> dict[str, Source]:
    """Return the sources that `sources.yml` lists.

    Args:
        config: Kind, or mapping of `kind` and settings, by name; None switches a source off.

    Raises:
        ConfigurationError: A kind or a setting is unknown, or refers to no source.
    """
    sources = {name: _read(name, entry) for name, entry in config.items() if entry is not None}
    for source in sources.values():
        other = source.language_model
        if other is not None and (other not in sources or sources[other].kind != "texts"):
            raise ConfigurationError(
                f"sources.yml: {source.name}: language_model is {other!r}, which is no source of "
                f"texts.{nearest(str(other), sources)}"
            )
    runs_of(sources)
    return sources


def runs_of(sources: Mapping[str, Source]) -> dict[str, Run]:
    """Return every namespace that the sources make, by name.

    Raises:
        ConfigurationError: Two of them have one name.
    """
    runs: dict[str, Run] = {}
    for source in sources.values():
        for run in _runs(source):
            if run.name in runs:
                raise ConfigurationError(
                    f"sources.yml: {runs[run.name].source.name} and {source.name} both make "
                    f"{run.name}: give one of the two another name"
                )
            runs[run.name] = run
    return runs


def _runs(source: Source) -> list[Run]:
    runs = [Run(source.name, source)]
    if source.backwards:
        runs.append(Run(f"{source.name}_backwards", source, "backwards"))
        if source.answers:
            runs.append(Run(f"{source.name}_ensemble", source, "ensemble"))
    if source.folds:
        numbers = range(1, source.folds + 1)
        runs += [Run(f"{source.name}_fold_{i}", source, "fold", i) for i in numbers]
        runs.append(Run(f"{source.name}_folds", source, "folds"))
    if source.answers:
        runs.append(Run(f"{source.name}_retrain", source, "retrain"))
    return runs


def _read(name: str, entry: Any) -> Source:
    settings = {"kind": entry} if isinstance(entry, str) else entry
    if not isinstance(settings, Mapping) or "kind" not in settings:
        raise ConfigurationError(
            f"sources.yml: {name} has no kind: write `{name}: tables`, or `{name}: {{kind: texts, "
            f"backwards: true}}`; kinds are {', '.join(KINDS)}"
        )
    kind = settings["kind"]
    if kind not in KINDS:
        raise ConfigurationError(
            f"sources.yml: {name} is of kind {kind!r}: kinds are {', '.join(KINDS)}."
            f"{nearest(str(kind), KINDS)}"
        )
    known = ("kind", "folds", "default", *KINDS[kind].options)
    for key in settings:
        if key not in known:
            raise ConfigurationError(
                f"sources.yml: {name}: {key!r} is no setting of {kind}: there are "
                f"{', '.join(known)}.{nearest(key, known)}"
            )
    options = {key: value for key, value in settings.items() if key in KINDS[kind].options}
    folds: Any = settings.get("folds", 0)
    default = bool(settings.get("default"))
    return Source(name, kind, folds=folds, default=default, options=options)
