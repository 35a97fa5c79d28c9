"""What a model on a table predicts: classes, several yes-or-no answers, or numbers.

    target = fit_target(table, train_rows, TargetConfig(kind="binary", columns=("salary",)))
    y = target.encode(table, rows)

Class names, means and weights come from the training rows and travel with the model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from gradual.sources.errors import SourceError
from gradual.tabular.columns import TextConfig, as_levels, as_numbers, column
from gradual.training.files import from_json_types, to_json_types
from gradual.training.settings import Settings

TargetKind = Literal["binary", "multiclass", "multilabel", "regression"]
_YES, _NO = ("1", "true", "yes"), ("0", "false", "no")


@dataclass(frozen=True)
class TargetConfig(Settings):
    """What to predict.

    Attributes:
        kind: `binary` (one column of two classes), `multiclass` (one column), `multilabel` (a
            column of yes or no for each label) or `regression` (one or more columns of numbers).
        columns: The target's columns.
        positive: The positive class of two; by default the last in order.
        class_weights: Weight of each class in the loss, by name; for `multilabel` the weight of a
            yes, by column. `balanced` makes all classes count the same; None counts rows.
        log: Learn log(1 + value), so that errors count in proportion (`regression`).
        y_range: Lowest and highest prediction, in the target's own unit (`regression`).
    """

    kind: TargetKind
    columns: tuple[str, ...]
    positive: str | None = None
    class_weights: Literal["balanced"] | dict[str, float] | None = None
    log: bool = False
    y_range: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        kinds = ("binary", "multiclass", "multilabel", "regression")
        if self.kind not in kinds:
            raise ValueError(f"kind is {self.kind!r}: use one of {', '.join(kinds)}")
        if not self.columns or len(set(self.columns)) != len(self.columns):
            raise ValueError(f"columns is {list(self.columns)}: name each target column once")
        if self.kind in ("binary", "multiclass") and len(self.columns) > 1:
            raise ValueError(
                f"columns is {list(self.columns)}, but a {self.kind} target is one column: name "
                "one, or use multilabel"
            )
        if self.positive is not None and self.kind != "binary":
            raise ValueError(f"positive is {self.positive!r}: only a binary target has one")
        if self.kind == "regression":
            if self.class_weights is not None:
                raise ValueError("class_weights: a regression has no classes, leave them out")
        elif self.log or self.y_range is not None:
            raise ValueError(f"log and y_range are for regression, not for {self.kind}")
        if isinstance(self.class_weights, dict):
            for name, weight in self.class_weights.items():
                if not weight > 0:
                    raise ValueError(f"class_weights gives {name!r} {weight}: use more than 0")
        elif self.class_weights not in (None, "balanced"):
            raise ValueError(
                f"class_weights is {self.class_weights!r}: use balanced, or a weight for each class"
            )
        if self.y_range is not None:
            low, high = self.y_range
            if not low < high or (self.log and low <= -1):
                raise ValueError(
                    f"y_range is [{low}, {high}]: give [lowest, highest], with lowest above -1 "
                    "if log is on"
                )


@dataclass(frozen=True)
class Target:
    """A target, fitted on training rows.

    Attributes:
        config: What it is.
        classes: Names in the order of the outputs: classes, or the columns of `multilabel` and
            `regression`.
        weights: Weight of each class (or of each column's yes), None for equal ones.
        means: Of each regression column, after the logarithm if there is one.
        deviations: Standard deviations, likewise.
    """

    config: TargetConfig
    classes: tuple[str, ...]
    weights: tuple[float, ...] | None = None
    means: tuple[float, ...] = ()
    deviations: tuple[float, ...] = ()

    @property
    def kind(self) -> TargetKind:
        """`binary`, `multiclass`, `multilabel` or `regression`."""
        return self.config.kind

    @property
    def outputs(self) -> int:
        """Numbers that a model gives for a row: one for each class or column."""
        return len(self.classes)

    def encode(self, table: pa.Table, rows: np.ndarray) -> np.ndarray:
        """The truth of some rows.

        Args:
            table: Raw values of the target's columns, all rows.
            rows: Numbers of the rows that have a truth.

        Returns:
            Class numbers `(n,)`, int64; 0 and 1 `(n, columns)`, float32 (`multilabel`); values
            `(n, columns)`, float64, in the target's unit (`regression`).

        Raises:
            SourceError: A value is missing, no number, or a class that no training row has.
        """
        if self.kind in ("binary", "multiclass"):
            return _class_numbers(table, self.config.columns[0], self.classes, rows)
        if self.kind == "multilabel":
            return np.stack([_yes_no(table, name, rows) for name in self.config.columns], 1)
        return _values(table, self.config, rows)

    def to_model(self, truth: np.ndarray) -> np.ndarray:
        """What a net learns of `encode`'s output: regression on a scale of mean 0, deviation 1."""
        if self.kind != "regression":
            return truth
        values = np.log1p(truth) if self.config.log else truth
        return ((values - np.array(self.means)) / np.array(self.deviations)).astype(np.float32)

    def from_model(self, scaled: np.ndarray) -> np.ndarray:
        """The inverse of `to_model` for regression, float64."""
        values = np.asarray(scaled, np.float64) * np.array(self.deviations) + np.array(self.means)
        values = np.expm1(values) if self.config.log else values
        return values if self.config.y_range is None else values.clip(*self.config.y_range)

    def model_range(self) -> tuple[Tensor, Tensor] | None:
        """Lowest and highest value of each output on the net's scale, `(columns,)` each."""
        if self.config.y_range is None:
            return None
        ends = np.repeat(np.array([self.config.y_range]).T, len(self.classes), axis=1)
        low, high = torch.from_numpy(self.to_model(ends))
        return low, high

    def loss(self, outputs: Tensor, truth: Tensor) -> Tensor:
        """Mean loss over rows and members; each member of an ensemble learns on its own.

        Args:
            outputs: `(B, members, outputs)`, float32.
            truth: `(B,)` or `(B, outputs)`: what `to_model` gave.

        Returns:
            Cross-entropy, or squared error on the net's scale: a scalar.
        """
        batch, members, size = outputs.shape
        weight = None
        if self.weights is not None:
            weight = torch.tensor(self.weights, device=outputs.device)
        if self.kind in ("binary", "multiclass"):
            if members > 1:
                truth = truth.unsqueeze(1).expand(batch, members)
            return F.cross_entropy(outputs.reshape(-1, size), truth.reshape(-1), weight)
        each = truth.unsqueeze(1).expand_as(outputs)
        if self.kind == "multilabel":
            return F.binary_cross_entropy_with_logits(outputs, each, pos_weight=weight)
        return F.mse_loss(outputs, each)

    def predictions(self, outputs: Tensor) -> Tensor:
        """One answer for each row: the mean over the members.

        Args:
            outputs: `(B, members, outputs)`, float32.

        Returns:
            `(B, outputs)`: probabilities, or values on the net's scale.
        """
        if self.kind in ("binary", "multiclass"):
            outputs = outputs.softmax(2)
        elif self.kind == "multilabel":
            outputs = outputs.sigmoid()
        return outputs.mean(1)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able form for `from_dict`."""
        result: dict[str, Any] = to_json_types(self)
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Target:
        """The target that `to_dict` wrote."""
        target: Target = from_json_types(cls, data)
        return target


def fit_target(table: pa.Table, train_rows: np.ndarray, config: TargetConfig) -> Target:
    """Learn classes, scales and weights of a target.

    Args:
        table: Raw values of the target's columns, all rows.
        train_rows: Numbers of the training rows, int64.
        config: What the target is.

    Raises:
        SourceError: A training row has no value or a wrong one, or all have the same.
    """
    if not len(train_rows):
        raise SourceError("there are no training rows: check the split's parameters")
    if config.kind == "regression":
        values = _values(table, config, train_rows)
        _check_range(values, config, train_rows)
        values = np.log1p(values) if config.log else values
        deviations = values.std(0)
        for name, deviation in zip(config.columns, deviations, strict=True):
            if deviation == 0:
                raise SourceError(
                    f"all {len(train_rows):,} training rows have the same {name!r}: there is "
                    "nothing to learn, check column and split"
                )
        means = tuple(values.mean(0).tolist())
        return Target(config, config.columns, None, means, tuple(deviations.tolist()))
    if config.kind == "multilabel":
        classes = config.columns
        truth = Target(config, classes).encode(table, train_rows)
        yes = truth.sum(0)
        for name, count in zip(classes, yes, strict=True):
            if count in (0, len(truth)):
                raise SourceError(
                    f"all {len(truth):,} training rows have the same {name!r}: there is nothing "
                    "to learn, leave the column out or check the split"
                )
        return Target(config, classes, _weights(config, classes, (len(truth) - yes) / yes))
    classes = _classes(table, train_rows, config)
    numbers = _class_numbers(table, config.columns[0], classes, train_rows)
    counts = np.bincount(numbers, minlength=len(classes))
    return Target(config, classes, _weights(config, classes, len(numbers) / counts / len(classes)))


def _weights(
    config: TargetConfig, classes: tuple[str, ...], balanced: np.ndarray
) -> tuple[float, ...] | None:
    given = config.class_weights
    if given is None:
        return None
    if given == "balanced":
        return tuple(balanced.tolist())
    assert isinstance(given, dict)
    if unknown := sorted(set(given) - set(classes)):
        raise SourceError(
            f"class_weights names {unknown[0]!r}, but the classes are "
            f"{', '.join(map(repr, classes))}: correct the name"
        )
    return tuple(float(given.get(name, 1.0)) for name in classes)


def _classes(table: pa.Table, rows: np.ndarray, config: TargetConfig) -> tuple[str, ...]:
    name = config.columns[0]
    levels = as_levels(column(table, name), name, TextConfig())
    texts = levels.texts.to_pylist()
    found = {texts[i] for i in np.unique(levels.indices[rows]) if i >= 0} - {None}
    numeric = levels.kind in ("integer", "number")
    classes = sorted(found, key=float) if numeric else sorted(found)
    expected = "exactly 2" if config.kind == "binary" else "at least 2"
    if len(classes) < 2 or (config.kind == "binary" and len(classes) > 2):
        shown = ", ".join(map(repr, classes[:10]))
        raise SourceError(
            f"the training rows have {len(classes)} classes in the column {name!r} ({shown}), but "
            f"a {config.kind} target needs {expected}: correct kind, column or split"
        )
    if config.positive is not None:
        if config.positive not in classes:
            raise SourceError(
                f"positive is {config.positive!r}, but the column {name!r} has "
                f"{', '.join(map(repr, classes))}: name one of these"
            )
        classes = [*(c for c in classes if c != config.positive), config.positive]
    return tuple(classes)


def _class_numbers(
    table: pa.Table, name: str, classes: tuple[str, ...], rows: np.ndarray
) -> np.ndarray:
    number = {text: i for i, text in enumerate(classes)}
    return _looked_up(
        table,
        name,
        rows,
        lambda text: number.get(text, -1),
        f"no training row has (those have {', '.join(map(repr, classes))}): correct it, leave "
        "the row out, or split so that every class is trained on",
    ).astype(np.int64)


def _yes_no(table: pa.Table, name: str, rows: np.ndarray) -> np.ndarray:
    is_neither = f"is neither a yes ({', '.join(_YES)}) nor a no ({', '.join(_NO)}): correct it"
    return _looked_up(table, name, rows, _answer, is_neither).astype(np.float32)


def _looked_up(
    table: pa.Table, name: str, rows: np.ndarray, number: Callable[[str], int], otherwise: str
) -> np.ndarray:
    """The numbers of a column's texts; one of -1 is refused, for the reason `otherwise`."""
    levels = as_levels(column(table, name), name, TextConfig())
    texts = levels.texts.to_pylist()
    # One entry more at the end, for the index -1 of a missing value.
    numbers = np.array([*(-1 if text is None else number(text) for text in texts), -1])
    chosen = numbers[levels.indices[rows]]
    if (chosen < 0).any():
        row = rows[np.flatnonzero(chosen < 0)[0]]
        index = levels.indices[row]
        if index < 0 or texts[index] is None:
            raise _missing(row, name)
        raise SourceError(
            f"row {row} (the first is 0) has {texts[index]!r} in the target column {name!r}, which "
            f"{otherwise}"
        )
    return chosen


def _answer(text: str) -> int:
    text = text.lower()
    return 1 if text in _YES else 0 if text in _NO else -1


def _values(table: pa.Table, config: TargetConfig, rows: np.ndarray) -> np.ndarray:
    names = config.columns
    values = np.stack([as_numbers(column(table, n), n, TextConfig())[rows] for n in names], 1)
    for name, one in zip(names, values.T, strict=True):
        if np.isnan(one).any():
            raise _missing(rows[np.flatnonzero(np.isnan(one))[0]], name)
        if config.log and (one <= -1).any():
            row = np.flatnonzero(one <= -1)[0]
            raise SourceError(
                f"row {rows[row]} (the first is 0) has {one[row]} in the target column {name!r}, "
                "which has no log(1 + value): correct it, or set log to false"
            )
    return values


def _check_range(values: np.ndarray, config: TargetConfig, rows: np.ndarray) -> None:
    low, high = config.y_range or (-np.inf, np.inf)
    outside = (values < low) | (values > high)
    if outside.any():
        row, place = np.argwhere(outside)[0]
        raise SourceError(
            f"row {rows[row]} (the first is 0) has {values[row, place]} in the target column "
            f"{config.columns[place]!r}, outside of y_range [{low}, {high}], so that no training "
            "could reach it: correct it, or widen y_range"
        )


def _missing(row: int, name: str) -> SourceError:
    return SourceError(
        f"row {row} (the first is 0) has nothing in the target column {name!r}: fill it in, or "
        "leave the row out of training and evaluation"
    )
