"""What each kind of source says of its rows; a kind's package has a module `retraining` for it."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, ClassVar, Protocol

import pandas as pd
import pyarrow as pa
from pydantic import RootModel

from gradual.pipelines import imported
from gradual.retraining.contract import ColumnKind
from gradual.retraining.judging import Truth


class Subject(Protocol):
    """The rows of a kind of source. A dataclass, whose fields are its groups of parameters.

    Attributes:
        model: The dataset that holds the kind's model.
        as_text: Whether its pipeline reads values as they are written.
        allowed_rules: Rules of its own that a model may import, see `gradual.models.Model`.
        columns: What each column that is used is.
        key: Columns that say which row it is, where `retrain.key` does not; none: all.
        missing: Texts that mean that there is no value.
    """

    model: ClassVar[str]
    as_text: ClassVar[bool]

    @property
    def allowed_rules(self) -> tuple[str, ...]:
        """See the class."""

    @property
    def columns(self) -> dict[str, ColumnKind]:
        """See the class."""

    @property
    def key(self) -> tuple[str, ...]:
        """See the class."""

    @property
    def missing(self) -> tuple[str, ...]:
        """See the class."""

    def asked(self, rows: pa.Table) -> tuple[pd.DataFrame, Truth]:
        """What the rows with a label ask, as models take it, and what they say themselves."""

    def baselines(self, training: pa.Table, asked: pd.DataFrame) -> dict[str, pd.DataFrame]:
        """What needs no model answers, by name."""


# The group of parameters by which each kind is known.
_KINDS = {"target": "tables", "documents": "texts", "ratings": "ratings"}


def subject_class(kind: str) -> type[Subject]:
    """Return what says it for a kind of source: `texts`, `tables` or `ratings`."""
    found: type[Subject] = imported(f"gradual.pipelines.{kind}.retraining:Subject")
    return found


def groups_of(kind: str) -> dict[str, str]:
    """Return the groups of parameters that it is made of, as further inputs of a node."""
    return {each.name: f"params:{each.name}" for each in fields(subject_class(kind))}  # type: ignore[arg-type]


def subject_of(groups: Mapping[str, RootModel[Any]]) -> Subject:
    """Return what says it for the source whose groups of parameters these are."""
    kind = next(kind for group, kind in _KINDS.items() if group in groups)
    return subject_class(kind)(**{name: group.root for name, group in groups.items()})
