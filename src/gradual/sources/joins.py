"""Columns of other tables beside the rows that have their key, as in SQL's left join."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from gradual.sources.content import check_columns
from gradual.sources.errors import SourceError
from gradual.sources.reader import Part, SourceRows, decoded

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Join:
    """Another table, of which each row gets the one with its key.

    Attributes:
        right: The other table, which is read whole.
        on: Names of the key's columns, in both tables.
        take: Columns to take over; None for all.
        unmatched: What to do where the other table has no such key: `allow` (its columns are gaps)
            or `refuse`. Either way they are counted in the log.
    """

    right: SourceRows
    on: tuple[str, ...]
    take: tuple[str, ...] | None = None
    unmatched: Literal["allow", "refuse"] = "allow"

    def __post_init__(self) -> None:
        if not self.on:
            raise ValueError("joins: on is empty: name the columns that both tables have")
        if self.unmatched not in ("allow", "refuse"):
            raise ValueError(f"joins: unmatched is {self.unmatched!r}: set it to allow or refuse")

    def read(self, *, as_text: bool) -> pa.Table:
        """The key and the columns to take over.

        Raises:
            SourceError: A column is missing, or a key stands there twice.
        """
        wanted = None if self.take is None else [*self.on, *self.take]
        right = self.right.read(as_text=as_text)
        check_columns(self.right.name, [*self.on, *(self.take or ())], right.column_names)
        right = right if wanted is None else right.select(list(dict.fromkeys(wanted)))
        keys = right.select(list(self.on)).to_pandas()
        again = keys.duplicated() & keys.notna().all(axis=1)
        if again.any():
            second = int(np.flatnonzero(again)[0])
            first = int(np.flatnonzero((keys == keys.iloc[second]).all(axis=1))[0])
            raise SourceError(
                f"{self.right.name}, rows {first + 1} and {second + 1} both have "
                f"{_shown(keys, second)}: each key may stand there once; remove one, or name more "
                "columns in `on`"
            )
        return right


@dataclass(frozen=True)
class Joined:
    """A part of a source, other tables joined to it.

    Attributes:
        part: The rows.
        joins: What is joined, in order; a key may come from an earlier join.
    """

    part: Part
    joins: tuple[Join, ...]

    @property
    def name(self) -> str:
        """The part's name."""
        return self.part.name

    @property
    def names_rows(self) -> bool:
        """Whether each row is a text with a name of its own."""
        return getattr(self.part, "names_rows", False)

    def chunks(
        self, columns: Sequence[str] | None = None, *, as_text: bool = False
    ) -> Iterator[pa.Table]:
        """The rows in order, none more and none less, with the joined columns behind."""
        rights = [join.read(as_text=as_text) for join in self.joins]
        rows, unmatched = 0, [0] * len(rights)
        for chunk in self.part.chunks(as_text=as_text):
            for place, (join, right) in enumerate(zip(self.joins, rights, strict=True)):
                chunk, missing = self._joined(chunk, join, right, rows)
                unmatched[place] += missing
            rows += chunk.num_rows
            check_columns(self.name, columns, chunk.column_names)
            yield chunk if columns is None else chunk.select(list(dict.fromkeys(columns)))
        for join, missing in zip(self.joins, unmatched, strict=True):
            logger.info(
                "%s: %s of %s rows have no row in %s.",
                self.name,
                f"{missing:,}",
                f"{rows:,}",
                join.right.name,
            )

    def _joined(
        self, chunk: pa.Table, join: Join, right: pa.Table, first: int
    ) -> tuple[pa.Table, int]:
        check_columns(self.name, join.on, chunk.column_names)
        taken = [name for name in right.column_names if name not in join.on]
        if clash := [name for name in taken if name in chunk.column_names]:
            raise SourceError(
                f"{self.name} and {join.right.name} both have the column {clash[0]!r}: list the "
                "columns that are to be joined in `take`"
            )
        keys = decoded(chunk.select(list(join.on))).to_pandas()
        found = rows_with(keys, right.select(list(join.on)).to_pandas())
        missing = np.flatnonzero(found < 0)
        if len(missing) and join.unmatched == "refuse":
            row = int(missing[0])
            raise SourceError(
                f"{self.name} row {first + row + 1} has {_shown(keys, row)}, which "
                f"{join.right.name} has not: add it there, or set `unmatched` to allow"
            )
        places = pa.array(found, mask=found < 0)
        for name in taken:
            chunk = chunk.append_column(name, right[name].take(places))
        return chunk, len(missing)


def rows_with(keys: pd.DataFrame, among: pd.DataFrame) -> np.ndarray:
    """For each key the number of the row that has it, -1 where none has; gaps equal nothing.

    Args:
        keys: One row a key.
        among: The same columns, in which no whole key stands twice.
    """
    keys, among = keys.copy(), among.copy()
    for name in keys:
        if keys[name].dtype != among[name].dtype:
            numbers = [pd.api.types.is_numeric_dtype(frame[name]) for frame in (keys, among)]
            if not all(numbers):  # 007 and 7 are one key only where both files write numbers
                keys[name] = keys[name].astype("string")
                among[name] = among[name].astype("string")
    whole = keys.notna().all(axis=1).to_numpy()
    known = among[among.notna().all(axis=1)]
    numbered = known.assign(**{"": np.flatnonzero(among.notna().all(axis=1))})
    found = keys.merge(numbered, how="left", on=list(keys.columns))[""]
    return np.where(whole, found.fillna(-1).to_numpy(), -1).astype(np.int64)


def _shown(keys: pd.DataFrame, row: int) -> str:
    values = keys.iloc[[row]].astype(object).to_dict("records")[0]
    return ", ".join(
        f"{name} {'missing' if pd.isna(value) else repr(value)}" for name, value in values.items()
    )
