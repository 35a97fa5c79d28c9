"""Which rows of a table train, which validate and which are held out for the scores."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from gradual.sources.errors import SourceError
from gradual.sources.reader import open_source
from gradual.sources.splits import Split, part_rows, test_mask, validation_mask
from gradual.tabular.columns import TextConfig, as_levels, column
from gradual.tabular.engine import EngineConfig, fit_source
from gradual.tabular.preprocessing import PartialFit, PreprocessingConfig, Preprocessor
from gradual.tabular.targets import TargetConfig, fit_target
from gradual.training.modules import array_hash
from gradual.training.settings import Settings

Part = Literal["train", "valid", "test"]


@dataclass(frozen=True)
class RowsConfig(Settings):
    """The parts of a table.

    Attributes:
        test: Rows that give the scores; None for none, then validation rows are all there is to
            score, and the report says so.
        valid: Out of the other rows, those that training is watched and models are chosen with.
        missing_target: What to do where a target column has no value: `refuse` the table, or
            `leave_out` those rows of every part.
    """

    test: Split | None = field(default_factory=lambda: Split(fraction=0.2))
    valid: Split = field(default_factory=lambda: Split(fraction=0.2))
    missing_target: Literal["refuse", "leave_out"] = "refuse"


def split_rows(
    table: pa.Table,
    targets: Sequence[str],
    config: RowsConfig,
    given_parts: pa.Table | None = None,
) -> pa.Table:
    """Give every row its part.

    Args:
        table: The raw rows.
        targets: Names of the target columns.
        config: How to choose. Row numbers of `rows` count all rows of the table for `test`, and
            those that are left for `valid`.
        given_parts: ``part`` of the rows that an official test file gives, `test`; null elsewhere.

    Returns:
        For each row of the table its ``part``: `train`, `valid` or `test`, or null where the target
        is missing and is to be left out.

    Raises:
        ValueError: The table is empty, a column is missing, a target has gaps, or a part would be
            empty.
    """
    if table.num_rows == 0:
        raise ValueError("the table has no rows: check the source and what selects its rows")
    missing = [name for name in targets if name not in table.column_names]
    if missing:
        raise ValueError(
            f"there is no target column {missing[0]!r}, only "
            f"{', '.join(map(repr, table.column_names))}: correct target.columns"
        )
    known = _known(table, targets, config)
    part = np.full(table.num_rows, None, dtype=object)
    rows = np.flatnonzero(known)
    held_out = None
    if given_parts is not None:
        given = pc.is_in(given_parts["part"], pa.array(["test"])).to_numpy()
        held_out = test_mask(given[rows], config.test, "rows.test")
    if held_out is None and config.test is not None:
        held_out = _choose(table, rows, config.test, "test")
    if held_out is not None:
        part[rows[held_out]] = "test"
        rows = rows[~held_out]
    held_out = _choose(table, rows, config.valid, "valid")
    part[rows[held_out]] = "valid"
    part[rows[~held_out]] = "train"
    return pa.table({"part": pa.array(part, pa.string())})


def split_table(
    table: pa.Table,
    target: TargetConfig,
    config: RowsConfig,
    given_parts: pa.Table | None = None,
) -> pa.Table:
    """Give every row its part, and refuse a target that cannot be used in one of them.

    Args:
        table: The raw rows.
        target: What is predicted.
        config: How to choose.
        given_parts: See `split_rows`.

    Returns:
        See `split_rows`.

    Raises:
        ValueError: As `split_rows`, `fit_target` and `Target.encode`, before anything is trained.
    """
    row_splits = split_rows(table, target.columns, config, given_parts)
    fitted = fit_target(table, part_rows(row_splits, "train"), target)
    fitted.encode(table, np.flatnonzero(row_splits["part"].is_valid().to_numpy()))
    return row_splits


def rows_hash(table: pa.Table) -> str:
    """SHA-256 (hex) of raw rows, whatever is made of them: to know test rows again."""
    return array_hash(pd.util.hash_pandas_object(table.to_pandas(), index=False).to_numpy())


def _known(table: pa.Table, targets: Sequence[str], config: RowsConfig) -> np.ndarray:
    """Which rows have a value in every target column."""
    known = np.ones(table.num_rows, bool)
    for name in targets:
        levels = as_levels(column(table, name), name, TextConfig())
        # One entry more at the end, for the index -1 of a missing value.
        missing = np.append(levels.texts.is_null().to_numpy(zero_copy_only=False), True)
        gaps = missing[levels.indices]
        if gaps.any() and config.missing_target == "refuse":
            raise ValueError(
                f"row {int(gaps.argmax())} (the first is 0) and {int(gaps.sum()) - 1:,} others "
                f"have nothing in the target column {name!r}: fill them in, remove the rows, or "
                "set rows.missing_target to leave_out"
            )
        known &= ~gaps
    if not known.any():
        raise ValueError(f"no row has a value in {', '.join(map(repr, targets))}: give labels")
    return known


def _choose(table: pa.Table, rows: np.ndarray, split: Split, part: Part) -> np.ndarray:
    """Which of the rows a split holds out; its errors say which split it is."""
    frame = table.select([name for name in table.column_names if name in split.columns])
    chosen = pd.DataFrame(index=range(len(rows)))
    if split.columns:
        chosen = frame.take(pa.array(rows)).to_pandas()
    try:
        return validation_mask(chosen, split)
    except ValueError as error:
        raise ValueError(f"rows.{part}: {error}") from error


def fit_rows(
    table: pa.Table, rows: np.ndarray, config: PreprocessingConfig, engine: EngineConfig
) -> Preprocessor:
    """Fit a preprocessor on some rows of a table.

    Args:
        table: Raw rows.
        rows: Numbers of the training rows.
        config: What to do with which columns.
        engine: Where to do it.

    Raises:
        SourceError: As `gradual.tabular.preprocessing.fit`; rows are counted in the whole table.
    """
    try:
        return fit_source(open_source(table.take(rows)), config, engine)
    except SourceError:
        PartialFit.of(table, config)  # finds the same fault, or an earlier one, by its row here
        raise
