"""Ids of users and items of any type, and the numbers that models know them by."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from gradual.training.files import fingerprint

#: A whole number as it is written in full: neither 007 nor +7 nor 7.0.
_WHOLE = r"^(0|-?[1-9][0-9]{0,17})$"


def as_ids(values: pa.Array | pa.ChunkedArray | np.ndarray | pd.Series | Sequence[Any]) -> pa.Array:
    """Return ids as they are given: whole numbers as int64, all else as strings.

    Texts become numbers only if every one of them is a whole number written in full, so that
    nothing is lost: `007` and `7` stay two ids. Floats that are whole (pandas' columns with gaps)
    become numbers. A gap stays null.

    Raises:
        ValueError: A number is not whole, or the type is neither numbers nor texts.
    """
    try:
        given = isinstance(values, pa.Array | pa.ChunkedArray)
        array: Any = values if given else pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # numbers and texts mixed
        array = pa.array([None if pd.isna(v) else str(v) for v in values], pa.string())
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_null(array.type) or pa.types.is_integer(array.type):
        return array.cast(pa.int64())
    if pa.types.is_floating(array.type):
        try:
            return array.cast(pa.int64())
        except pa.ArrowInvalid as error:
            raise ValueError(f"ids must be whole numbers or texts: {error}") from error
    if not (pa.types.is_string(array.type) or pa.types.is_large_string(array.type)):
        array = array.cast(pa.string())
    whole = pc.all(pc.match_substring_regex(array, _WHOLE), min_count=1).as_py()
    return array.cast(pa.int64() if whole else pa.string())


@dataclass(frozen=True)
class IdMap:
    """The number of each id; 0 stands for every id that is not there.

    Attributes:
        ids: ``(n,)`` int64 or string, each once; the id at position k has the number k + 1.
    """

    ids: pa.Array

    @classmethod
    def fit(cls, values: Any) -> "IdMap":
        """Number the ids that occur, in ascending order."""
        unique = as_ids(values).unique().drop_null()
        return cls(unique.take(pc.array_sort_indices(unique)))

    def __len__(self) -> int:
        """Number of ids, the unknown one included: one more than the greatest number."""
        return len(self.ids) + 1

    def encode(self, values: Any) -> np.ndarray:
        """Return the number of each id, ``(n,)`` int64; 0 for one that is not known.

        Numbers find ids that are whole numbers written as texts, and the other way round.
        """
        array = as_ids(values)
        if array.type != self.ids.type:
            if pa.types.is_string(self.ids.type):
                array = array.cast(pa.string())
            else:  # texts, some of which may be whole numbers
                whole = pc.match_substring_regex(array, _WHOLE)
                array = pc.if_else(whole, array, None).cast(pa.int64())
        found = pc.index_in(array, value_set=self.ids, skip_nulls=True)
        return pc.fill_null(found, -1).to_numpy(zero_copy_only=False).astype(np.int64) + 1

    def decode(self, numbers: np.ndarray) -> pa.Array:
        """Return the id of each number; null for 0."""
        numbers = np.asarray(numbers, np.int64)
        return self.ids.take(pa.array(numbers - 1, mask=numbers == 0))

    def to_table(self) -> pa.Table:
        """Return the columns `number` (from 0) and `id` (null for 0)."""
        null = pa.nulls(1, self.ids.type)
        return pa.table({"number": np.arange(len(self)), "id": pa.concat_arrays([null, self.ids])})

    def to_list(self) -> list[int] | list[str]:
        """Return the ids in order, for JSON."""
        return self.ids.to_pylist()

    @classmethod
    def from_list(cls, ids: Sequence[int] | Sequence[str]) -> "IdMap":
        """Read what `to_list` returned; the type is that of the values."""
        kind = pa.string() if len(ids) and isinstance(ids[0], str) else pa.int64()
        return cls(pa.array(ids, kind))

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the ids in order (hexadecimal)."""
        return fingerprint(json.dumps(self.to_list(), ensure_ascii=False))
