"""Levels of categorical columns to codes: 0 is `#na#`, then 1, 2, … in the order of the levels.

`#na#` stands for a missing value and for a level that the training rows do not have (or have less
than `min_frequency` times). Levels are in the order of their values, False before True; those of an
ordinal column in the order that the parameters give.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gradual.sources.errors import SourceError
from gradual.tabular.columns import EncodedColumn, TextConfig, count_levels, level_texts, one_piece
from gradual.training.settings import Settings

MISSING = "#na#"
Level = bool | int | float | str
# More than this is no category but a name for each row, and its counts would not fit in memory.
MOST_LEVELS = 1 << 22


@dataclass(frozen=True)
class CategorifyConfig(Settings):
    """Which levels get a code of their own.

    Attributes:
        min_frequency: Training rows that a level needs; others share the code 0.
    """

    min_frequency: int = 1

    def __post_init__(self) -> None:
        if self.min_frequency < 1:
            raise ValueError(
                f"min_frequency is {self.min_frequency}: set it to 1 (every level) or more"
            )


@dataclass(frozen=True, eq=False)
class LevelCounts:
    """How often each level of a column occurs in some rows; mergeable.

    Attributes:
        texts: Distinct texts, strings without nulls.
        counts: Occurrences of each, `(n,)`, int64.
        kind: What they are: see `gradual.tabular.columns.count_levels`.
    """

    texts: pa.Array
    counts: np.ndarray
    kind: str

    @classmethod
    def of(cls, values: pa.Array, name: str, text: TextConfig) -> "LevelCounts":
        """Count the levels of a column.

        Raises:
            SourceError: The column's type has no levels.
        """
        texts, counts, kind = count_levels(values, name, text)
        return cls(*_added(texts, counts), kind)


def merge(a: LevelCounts, b: LevelCounts, name: str) -> LevelCounts:
    """The counts of both parts' rows.

    Raises:
        SourceError: The column has more than `MOST_LEVELS` levels.
    """
    texts = pa.concat_arrays([a.texts, b.texts])
    texts, counts = _added(texts, np.concatenate([a.counts, b.counts]))
    if len(texts) > MOST_LEVELS:
        raise SourceError(
            f"the column {name!r} has more than {MOST_LEVELS:,} levels, nearly one for each row: "
            "take it out of the categorical columns"
        )
    kinds = {a.kind, b.kind} - {"null"}
    if kinds == {"integer", "number"}:
        kind = "number"
    else:
        kind = "string" if len(kinds) > 1 else (kinds or {"null"}).pop()
    return LevelCounts(texts, counts, kind)


def _added(texts: pa.Array, counts: np.ndarray) -> tuple[pa.Array, np.ndarray]:
    """The distinct texts in code point order, with the sums of their counts."""
    table = pa.table({"text": texts, "count": counts})
    table = table.group_by("text").aggregate([("count", "sum")]).sort_by("text")
    return one_piece(table["text"]), table["count_sum"].to_numpy()


@dataclass(frozen=True)
class Levels:
    """The levels of one categorical column, fitted.

    Attributes:
        name: The column.
        levels: Level of code 1, 2, …
        counts: How often each occurs in the training rows.
        gaps: Training rows without a value.
        rare: Training rows whose level is not frequent enough.
    """

    name: str
    levels: tuple[Level, ...]
    counts: tuple[int, ...]
    gaps: int = 0
    rare: int = 0

    @property
    def cardinality(self) -> int:
        """Number of codes, 0 for `#na#` included."""
        return len(self.levels) + 1

    @cached_property
    def _texts(self) -> pa.Array:
        return level_texts(list(self.levels))  # type: ignore[arg-type]

    def encode(self, column: EncodedColumn) -> tuple[np.ndarray, int, int]:
        """Codes of a column's rows.

        Returns:
            Codes `(rows,)`, int32, below `cardinality`; rows without a value; rows whose level is
            not among these.
        """
        found = pc.index_in(column.texts, value_set=self._texts)
        codes = np.zeros(len(column.texts) + 1, np.int32)  # the last place is for index -1
        codes[:-1] = pc.fill_null(found, -1).to_numpy(zero_copy_only=False) + 1
        encoded = codes[column.indices]
        if encoded.all():
            return encoded, 0, 0
        # Some values are missing or unseen: count them by index, that of -1 at place 0.
        counts = np.bincount(column.indices.astype(np.int64) + 1, minlength=len(codes))
        missing = np.append(True, column.texts.is_null().to_numpy(zero_copy_only=False))
        unseen = ~missing & np.append(False, codes[:-1] == 0)
        return encoded, int(counts[missing].sum()), int(counts[unseen].sum())


def fit_levels(
    name: str,
    counted: LevelCounts,
    rows: int,
    config: CategorifyConfig,
    order: Sequence[Level] | None = None,
) -> Levels:
    """Number the levels of one column.

    Args:
        name: The column.
        counted: Its levels in the training rows.
        rows: How many training rows there are.
        config: Which levels get a code.
        order: All levels of an ordinal column, lowest first; None sorts them by value.

    Raises:
        SourceError: A training row has a level that `order` lacks, or an infinite number.
    """
    texts: list[str] = counted.texts.to_pylist()
    count_of = dict(zip(texts, counted.counts.tolist(), strict=True))
    if order is None:
        level_of = {text: _level(text, counted.kind) for text in texts}
        if endless := {math.inf, -math.inf} & set(level_of.values()):
            raise SourceError(
                f"the column {name!r} holds {endless.pop()}, an infinite number, in the training "
                "rows: replace it, or leave the value out"
            )
        ordered = sorted(texts, key=lambda text: (level_of[text], text))
    else:
        ordered = level_texts(list(order)).to_pylist()  # type: ignore[arg-type]
        level_of = dict(zip(ordered, order, strict=True))
        if unknown := [text for text in texts if text not in level_of]:
            raise SourceError(
                f"the column {name!r} has the level {unknown[0]!r} in {count_of[unknown[0]]:,} "
                f"training rows, but its order has only {list(order)}: add it to the order under "
                "ordinal"
            )
    kept = [text for text in ordered if count_of.get(text, 0) >= config.min_frequency]
    return Levels(
        name,
        tuple(level_of[text] for text in kept),
        tuple(count_of[text] for text in kept),
        gaps=rows - sum(count_of.values()),
        rare=sum(count_of.values()) - sum(count_of[text] for text in kept),
    )


def _level(text: str, kind: str) -> Level:
    if kind == "boolean":
        return text == "true"
    if kind == "integer":
        return int(text)
    return float(text) if kind == "number" else text
