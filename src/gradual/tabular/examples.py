"""What models on a table learn from: encoded rows, their truth, and which of them train."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from gradual.sources.splits import part_rows
from gradual.tabular.engine import EngineConfig
from gradual.tabular.preprocessing import Preprocessor
from gradual.tabular.rows import fit_rows
from gradual.tabular.targets import Target, TargetConfig, fit_target
from gradual.tabular.task import codes_of, numbers_of
from gradual.training.files import fingerprint
from gradual.training.modules import array_hash

PART = "#part"
"""Column of a stored encoded table that says what each row is for; see `encode_table`."""


def encode_table(
    table: pa.Table, row_splits: pa.Table, preprocessor: Preprocessor, target: TargetConfig
) -> pa.Table:
    """Encode all rows of a table, and keep with them what training needs besides.

    Args:
        table: Raw rows.
        row_splits: Their parts; see `gradual.tabular.rows.split_rows`.
        preprocessor: Fitted on the training rows.
        target: What to predict.

    Returns:
        What `Preprocessor.transform` gives, the target's raw columns, and `PART`.

    Raises:
        SourceError: A value cannot be used.
        ValueError: A column of the target is also one that the models are given.
    """
    if given := set(target.columns) & set(preprocessor.config.columns.names):
        raise ValueError(
            f"the target column {min(given)!r} is also in preprocessing.columns, so that the "
            "models would be given the answer: take it out there"
        )
    encoded = preprocessor.transform(table, keep=target.columns)
    return encoded.append_column(PART, row_splits["part"])


@dataclass(frozen=True)
class Examples:
    """Rows to train with and rows to watch the training with.

    Attributes:
        encoded: What `Preprocessor.transform` gave, all rows; further columns are not looked at.
        targets: Raw values of the target's columns, the same rows.
        train: Rows to learn from, mask or numbers; kept as numbers.
        valid: Rows to judge every epoch on, to stop boosting by and to choose with, likewise; may
            be none where nothing stops early.
        preprocessor: Fitted on the training rows.
        target: What to predict.

    Raises:
        ValueError: The tables do not have the same rows, or a chosen row is not among them.
    """

    encoded: pa.Table
    targets: pa.Table
    train: np.ndarray
    valid: np.ndarray
    preprocessor: Preprocessor
    target: TargetConfig

    def __post_init__(self) -> None:
        object.__setattr__(self, "targets", as_table(self.targets))
        count = self.encoded.num_rows
        if self.targets.num_rows != count:
            raise ValueError(
                f"there are {self.targets.num_rows} rows of targets for {count} encoded rows: give "
                "both of the same table"
            )
        for name in ("train", "valid"):
            object.__setattr__(self, name, row_numbers(getattr(self, name), count, name))

    @classmethod
    def stored(
        cls, encoded: pa.Table, preprocessor: dict[str, Any], target: TargetConfig
    ) -> Examples:
        """The examples of a table that `encode_table` made, and a preprocessor's stored form."""
        fitted = Preprocessor.from_dict(preprocessor)
        splits = pa.table({"part": encoded[PART]})
        train, valid = part_rows(splits, "train"), part_rows(splits, "valid")
        return cls(encoded, encoded.select(target.columns), train, valid, fitted, target)

    @cached_property
    def test(self) -> np.ndarray:
        """Numbers of the test rows, in a table that `encode_table` made."""
        return part_rows(pa.table({"part": self.encoded[PART]}), "test")

    @property
    def held_out(self) -> np.ndarray:
        """Numbers of the rows that are scored: test rows, or validation rows if there are none."""
        return self.test if len(self.test) else self.valid

    @property
    def predicted(self) -> np.ndarray:
        """Numbers of the rows that every model predicts: validation rows, then test rows."""
        return np.concatenate([self.valid, self.test])

    @cached_property
    def fitted(self) -> Target:
        """The target, fitted on the training rows."""
        return fit_target(self.targets, self.train, self.target)

    def truth(self, rows: np.ndarray) -> np.ndarray:
        """The truth of some rows; see `Target.encode`."""
        return self.fitted.encode(self.targets, rows)

    def with_validation(self, table: pa.Table) -> Examples:
        """Return examples in which the validation rows train too, and none validate.

        Args:
            table: All raw rows; the preprocessor is fitted anew.
        """
        rows = np.sort(np.concatenate([self.train, self.valid]))
        preprocessor = fit_rows(table, rows, self.preprocessor.config, EngineConfig())
        encoded = preprocessor.transform(table)
        return Examples(encoded, self.targets, rows, rows[:0], preprocessor, self.target)

    @cached_property
    def hash(self) -> str:
        """SHA-256 (hex) over what is learned from: encoded rows, truth, parts, preprocessor."""
        rows = np.concatenate([self.train, self.valid])
        arrays = (
            codes_of(self.encoded, self.preprocessor.cardinalities).numpy()[rows],
            numbers_of(self.encoded, self.preprocessor.continuous).numpy()[rows],
            self.truth(rows),
            self.train,
            self.valid,
        )
        parts = [array_hash(array) for array in arrays]
        return fingerprint([self.preprocessor.hash, self.fitted.to_dict(), parts])


def row_numbers(rows: np.ndarray, count: int, name: str) -> np.ndarray:
    """Return chosen rows as int64 numbers.

    Args:
        rows: Boolean mask `(count,)`, or row numbers.
        count: Rows of the table.
        name: What to call the argument in messages.

    Raises:
        ValueError: The mask's length or a number does not fit the table.
    """
    rows = np.asarray(rows)
    if rows.dtype == bool:
        if rows.shape != (count,):
            raise ValueError(
                f"{name} has shape {rows.shape} but the table has {count} rows: give one bool per "
                "row"
            )
        return np.flatnonzero(rows)
    numbers = rows.astype(np.int64)
    wrong = np.flatnonzero((numbers < 0) | (numbers >= count))
    if len(wrong):
        raise ValueError(
            f"{name}[{wrong[0]}] is {numbers[wrong[0]]}, but the table has rows 0 to {count - 1}: "
            "choose among those"
        )
    return numbers


def as_table(frame: pa.Table | pd.DataFrame) -> pa.Table:
    """A pandas or Arrow table as an Arrow table, without an index.

    A pandas column that mixes types is read as texts, so that the preprocessor can name the row
    that does not fit.
    """
    if isinstance(frame, pa.Table):
        return frame
    try:
        return pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):  # whole numbers beyond 64 bits
        texts = frame.copy()
        for name in [name for name, kind in frame.dtypes.items() if kind.kind == "O"]:
            texts[name] = frame[name].map(str, na_action="ignore")
        return pa.Table.from_pandas(texts, preserve_index=False)
