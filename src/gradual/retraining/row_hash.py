"""A number for each row, the same wherever the row stands: what says that it is held out for ever.

A value's hash is that of what it means, and not of how it is stored: 7, 7.0 and the text "7" are
one value, as are a date, its midnight and its ISO text, `true` and 1. Gaps (null, not-a-number, an
empty text) count for nothing, so that a column that comes later leaves the hashes of older rows as
they are. Columns are told apart by their names, and their order does not matter.

Texts are hashed by pandas (SipHash with a fixed key), numbers by the finalizer of SplitMix64
(Steele, Lea & Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014), which also
joins columns: a row's hash is the mixed sum of those of its values.
"""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from gradual.sources.content import check_columns

_CHUNK_ROWS = 1 << 17
# Longer whole numbers are names, which must not be rounded to floating ones.
_WHOLE = r"^\d{1,19}$"
_NEGATIVE_WHOLE = r"^-\d{1,18}$"
_NUMBER = r"^-?((\d+\.\d*|\.\d+)([eE][+-]?\d{1,3})?|\d+[eE][+-]?\d{1,3})$"
_MOMENT = r"^\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d(:?\d\d)?)?)?$"
_TRUTH = r"(?i)^(true|false)$"
# Added to the bits of a kind of values, so that 1 and the first microsecond of 1970 differ.
_NEGATIVE, _FRACTION, _TIME = (np.uint64(kind << 56) for kind in (1, 2, 3))


def row_hashes(table: pa.Table, key: Sequence[str] = (), name: str = "the table") -> np.ndarray:
    """The hash of each row.

    Args:
        table: Rows, as any file or database gives them.
        key: Columns that say which row it is; none: all columns.
        name: What to call the table in messages.

    Returns:
        (rows,) uint64, evenly spread.

    Raises:
        SourceError: A column of the key is missing.
    """
    names = list(dict.fromkeys(key)) or table.column_names
    check_columns(name, names, table.column_names)
    hashes = [np.zeros(0, np.uint64)]
    for start in range(0, table.num_rows, _CHUNK_ROWS):  # bounds what is decoded at a time
        rows = table.slice(start, _CHUNK_ROWS)
        total = np.zeros(rows.num_rows, np.uint64)
        for column in names:
            values, there = _values(_whole(rows.column(column)))
            total += np.where(there, _mixed(values ^ _text_hashes([column])[0]), np.uint64(0))
        hashes.append(_mixed(total))
    return np.concatenate(hashes)


def held_out(hashes: np.ndarray, share: float) -> np.ndarray:
    """Which rows are held out: those whose hash is below that share of all numbers.

    Args:
        hashes: (rows,) uint64, see `row_hashes`.
        share: From 0 to 1. Rows that are held out at one share also are at a larger one.

    Returns:
        (rows,) bool.
    """
    # Of 53 bits, which floating numbers hold exactly.
    return (hashes >> np.uint64(11)) < np.uint64(round(share * 2**53))


def is_text(kind: pa.DataType) -> bool:
    """Whether values are texts, however Arrow lays them out."""
    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(is_kind(kind) for is_kind in texts)


def _mixed(bits: np.ndarray) -> np.ndarray:
    """SplitMix64's step and finalizer."""
    bits = bits + np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def _whole(column: pa.ChunkedArray) -> pa.Array:
    column = column.unify_dictionaries()
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)


def _values(array: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of a column's values, and which of them are no gaps."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        return _of_levels(array, *_values(array.dictionary))
    if is_text(kind):
        levels = array.cast(pa.large_string()).dictionary_encode()
        return _of_levels(levels, *_texts(levels.dictionary))
    there = array.is_valid().to_numpy(zero_copy_only=False)
    if pa.types.is_decimal(kind):
        return _values(array.cast(pa.string()))
    if pa.types.is_boolean(kind):
        array = array.cast(pa.uint8())
    if pa.types.is_floating(kind) and kind != pa.float64():  # 0.1, as it is written in a text
        array = array.cast(pa.float32()).cast(pa.string()).cast(pa.float64())
    if pa.types.is_integer(array.type) or pa.types.is_floating(array.type):
        numbers = array.fill_null(0).to_numpy(zero_copy_only=False)
        return _numbers(numbers), there & ~np.isnan(numbers)
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        zone = kind.tz if pa.types.is_timestamp(kind) else None
        moments = array.cast(pa.timestamp("us", zone), safe=False).cast(pa.int64())
        return _moments(moments.fill_null(0).to_numpy(zero_copy_only=False)), there
    if pa.types.is_time(kind):
        times = array.cast(pa.time64("us")).cast(pa.string())
        return _values(pc.replace_substring_regex(times, r"\.000000$", ""))
    if pa.types.is_null(kind):
        return np.zeros(len(array), np.uint64), there
    values = array.to_pylist()
    if pa.types.is_nested(kind):
        values = [json.dumps(value, default=str, sort_keys=True) for value in values]
    return _text_hashes([str(value) for value in values]), there


def _of_levels(
    array: pa.Array, values: np.ndarray, there: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What `_values` says of a dictionary column, from what it says of its levels."""
    # A level more than there are, for gaps.
    places = array.indices.cast(pa.int64()).fill_null(len(values)).to_numpy(zero_copy_only=False)
    return np.append(values, np.uint64(0))[places], np.append(there, False)[places]


def _texts(levels: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """The same of texts without gaps; some of them spell numbers or times."""
    texts = levels.to_numpy(zero_copy_only=False)
    hashes = _text_hashes(texts)
    for pattern, hashed in (
        (_WHOLE, lambda found: _numbers(found.astype(np.uint64))),
        (_NEGATIVE_WHOLE, lambda found: _numbers(found.astype(np.int64))),
        (_NUMBER, lambda found: _numbers(found.astype(np.float64))),
        (_TRUTH, lambda found: _numbers((np.char.lower(found) == "true").astype(np.int64))),
    ):
        spelled = pc.match_substring_regex(levels, pattern).to_numpy(zero_copy_only=False)
        if spelled.any():
            hashes[spelled] = hashed(texts[spelled].astype(str))
    spelled = pc.match_substring_regex(levels, _MOMENT).to_numpy(zero_copy_only=False)
    if spelled.any():
        moments = pd.to_datetime(texts[spelled], format="ISO8601", utc=True, errors="coerce")
        real = ~moments.isna()  # 2026-02-30 is a text
        hashes[np.flatnonzero(spelled)[real]] = _moments(moments[real].as_unit("us").asi8)
    return hashes, texts != ""


def _text_hashes(texts: Any) -> np.ndarray:
    values = np.empty(len(texts), object)
    values[:] = texts
    return pd.util.hash_array(values, categorize=False)


def _numbers(values: np.ndarray) -> np.ndarray:
    """Hashes of numbers: a floating one that is whole has that of the whole one."""
    if values.dtype.kind != "f":
        bits = values.astype(np.uint64)
        return _mixed(np.where(values < 0, bits + _NEGATIVE, bits))
    whole = (values == np.floor(values)) & (values >= -(2.0**63)) & (values < 2.0**64)
    negative = whole & (values < 0)
    bits = values.astype(np.float64).view(np.uint64) + _FRACTION
    bits[negative] = values[negative].astype(np.int64).astype(np.uint64) + _NEGATIVE
    positive = whole & ~negative
    bits[positive] = values[positive].astype(np.uint64)
    return _mixed(bits)


def _moments(microseconds: np.ndarray) -> np.ndarray:
    """Hashes of moments, by their microseconds since 1970 (UTC, or none said)."""
    return _mixed(microseconds.astype(np.uint64) + _TIME)
