"""What every trained model answers to, whatever its kind, and the one table of kinds."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from importlib import import_module
from textwrap import shorten
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from gradual.training.bundle import Bundle, BundleError

#: The class of each kind of bundle. Only these names are ever imported for a bundle.
KINDS = {
    "text_classifier": "gradual.models.texts:ClassifierModel",
    "text_ensemble": "gradual.models.texts:ClassifierModel",
    "text_ngrams": "gradual.models.texts:ClassifierModel",
    "text_stack": "gradual.models.texts:ClassifierModel",
    "language_model": "gradual.models.texts:WriterModel",
    "tabular": "gradual.models.tables:NetModel",
    "tabular_baseline": "gradual.models.tables:BaselineModel",
    "collab": "gradual.models.ratings:RecommenderModel",
}

_NESTED = (list, tuple, set, dict, np.ndarray)

#: Where a bundle's metadata keep the defaults of what a caller may set.
SETTINGS = "settings"


class Model(ABC):
    """A trained model that answers a frame with a frame, and says why.

    A subclass is all that a new kind needs here: it names what it needs and how it answers.

    Args:
        bundle: What the model is rebuilt from.
        device: "auto" or a torch device.
        allowed_rules: Rules of your own (`package.module:function`) that a text model's tokenizer
            may import and call; a bundle that names others is refused.

    Attributes:
        bundle: The same.
        settings: What a caller of `predict` may set, with the value taken otherwise: that of the
            bundle, or of the kind.
        explain_settings: The same for `explain`.
    """

    #: What `predict` takes, by name, and its defaults.
    defaults: ClassVar[Mapping[str, Any]] = {}
    #: The same for `explain`.
    explain_defaults: ClassVar[Mapping[str, Any]] = {}
    #: Whether MLflow shall check the types of columns, or leaves it to the model, whose messages
    #: name the row.
    typed: ClassVar[bool] = True
    #: Characters of one text that a served model reads at most; None for any number.
    max_characters: ClassVar[int | None] = None

    def __init__(
        self, bundle: Bundle, *, device: str = "auto", allowed_rules: Collection[str] = ()
    ) -> None:
        self.bundle, self._device, self._allowed = bundle, device, tuple(allowed_rules)
        stored = dict(bundle.metadata.get(SETTINGS) or {})
        self.settings: dict[str, Any] = self._checked(stored, self.defaults)
        self.explain_settings = dict(self.explain_defaults)
        self._build()

    @classmethod
    def requirements(cls, bundle: Bundle) -> set[str]:  # noqa: ARG003
        """Return the packages that the model imports only when it is used, as distributions."""
        return set()

    @property
    @abstractmethod
    def example(self) -> pd.DataFrame:
        """A frame that shows how to ask."""

    def predict(self, frame: pd.DataFrame | Sequence[str], **settings: Any) -> pd.DataFrame:
        """Answer.

        Args:
            frame: A row for each question, with the columns of `example`; a model that can be asked
                by one column takes a list of its values, too.
            settings: Some of `settings`, for this time.

        Returns:
            The answers, in the questions' order.

        Raises:
            ValueError: There is no row, a column is missing, a value cannot be used (the message
                names column and row), or a setting is unknown or out of range.
        """
        chosen = self._checked(settings, self.settings)
        return self._predict(self._frame(frame), **chosen)

    def explain(self, frame: pd.DataFrame | Sequence[str], **settings: Any) -> pd.DataFrame:
        """Say why the model answers as it does.

        Args:
            frame: As for `predict`.
            settings: Some of `explain_settings`, for this time.

        Returns:
            One row for each thing that speaks for or against an answer; the column `row` is the
            question's position in `frame`, from 0. The other columns are those of the kind: see
            the subclasses in `gradual.models`.

        Raises:
            ValueError: As `predict`.
        """
        chosen = self._checked(settings, self.explain_settings)
        return self._explain(self._frame(frame), **chosen)

    @abstractmethod
    def _build(self) -> None:
        """Rebuild the model of `self.bundle`."""

    @property
    @abstractmethod
    def _column(self) -> str | None:
        """The column that a list gives the values of; None where a frame is needed."""

    @abstractmethod
    def _predict(self, frame: pd.DataFrame, **settings: Any) -> pd.DataFrame: ...

    @abstractmethod
    def _explain(self, frame: pd.DataFrame, **settings: Any) -> pd.DataFrame: ...

    def _frame(self, given: pd.DataFrame | Sequence[str]) -> pd.DataFrame:
        if not isinstance(given, pd.DataFrame):
            column = self._column
            if column is None or isinstance(given, str):
                raise ValueError(
                    f"give a DataFrame with the columns {', '.join(map(repr, self.example))}"
                    + ("" if column is None else f", or a list of values of {column!r}")
                )
            given = pd.DataFrame({column: pd.Series(list(given), dtype=object)})
        if given.empty:
            raise ValueError(
                "there is no row: send at least one, with the columns "
                f"{', '.join(map(repr, self.example))}"
            )
        _refuse_nested(given)
        return given.reset_index(drop=True)

    def _checked(self, given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
        if unknown := sorted(given.keys() - defaults.keys()):
            raise ValueError(
                f"there is no setting {unknown[0]!r}: a {self.bundle.kind} model has "
                f"{', '.join(defaults) or 'none'} here"
            )
        return {**defaults, **given}


def _refuse_nested(frame: pd.DataFrame) -> None:
    """Raise ValueError where a name stands twice, or a cell holds a list or a mapping."""
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise ValueError(f"there are several columns {twice[0]!r}: give each a name of its own")
    for name in frame.select_dtypes("object"):
        for row, value in enumerate(frame[name]):
            if isinstance(value, _NESTED):
                raise ValueError(
                    f"row {row} (the first is 0) holds {shorten(repr(value), 40)} in the column "
                    f"{name!r}: give one value, not several"
                )


def class_of(kind: str) -> type[Model]:
    """Return the class of a kind of bundle.

    Raises:
        BundleError: No model is of this kind.
    """
    if kind not in KINDS:
        raise BundleError(
            f"a {kind!r} bundle is no model that can be asked: those are {', '.join(KINDS)}"
        )
    module, _, name = KINDS[kind].partition(":")
    found: type[Model] = getattr(import_module(module), name)
    return found


def model_of(bundle: Bundle, *, device: str = "auto", allowed_rules: Collection[str] = ()) -> Model:
    """Rebuild the model of a bundle; arguments as for `Model`.

    Raises:
        BundleError: No model is of the bundle's kind.
        ValueError: Its parts do not fit each other, or it names a rule that is not allowed.
    """
    return class_of(bundle.kind)(bundle, device=device, allowed_rules=allowed_rules)


def with_settings(bundle: Bundle, settings: Mapping[str, Any]) -> Bundle:
    """Return the bundle with defaults for what a caller may set; its hash stays the same."""
    merged = {**(bundle.metadata.get(SETTINGS) or {}), **settings}
    return dataclasses.replace(bundle, metadata={**bundle.metadata, SETTINGS: merged})
