"""A column in the type that a contract says, whatever type a file or a database gave it."""

from typing import Literal, TypeAlias

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

ColumnType: TypeAlias = Literal[
    "number", "integer", "boolean", "text", "date", "seconds", "milliseconds"
]
#: What a value is not that has another type.
WORDS: dict[ColumnType, str] = {
    "number": "not a number",
    "integer": "not a whole number",
    "boolean": "neither true nor false",
    "text": "not a text",
    "date": "not a date",
    "seconds": "not seconds since 1970",
    "milliseconds": "not milliseconds since 1970",
}
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_DIGITS = r"^-?[0-9]{1,18}$"  # surely an int64
_TIMES = pa.timestamp("us")
_LATEST = 9e12  # seconds since 1970 (in the year 287,000) that still fit into microseconds


def typed(
    values: pa.ChunkedArray, kind: ColumnType, missing: pa.Array
) -> tuple[pa.Array, pa.Array]:
    """A column in another type.

    Blanks around texts are dropped. Whole numbers are the same texts with and without `.0`. Times
    are those of UTC.

    Args:
        values: The column, of any type; a dictionary is what its values are.
        kind: The type it should have.
        missing: Texts that mean that there is no value.

    Returns:
        Its values, null where there is none or one that is no `kind`: float64, int64 (or the
        integers that it had), bool, string, or timestamps in microseconds; and which values are
        there but no `kind`.
    """
    array = plain(values)
    if pa.types.is_string(array.type):
        array = pc.utf8_trim_whitespace(array)
        array = pc.if_else(pc.is_in(array, value_set=missing), None, array)
    elif pa.types.is_floating(array.type):
        array = pc.if_else(pc.is_nan(array), None, array)
    found = _CASTS[kind](array)
    return found, pc.and_(array.is_valid(), found.is_null())


def plain(values: pa.ChunkedArray) -> pa.Array:
    """A column in one piece: dictionaries decoded, texts as strings, decimals as floats."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind) or pa.types.is_null(kind):
        kind = pa.string()
    elif pa.types.is_decimal(kind):
        kind = pa.float64()
    elif not (pa.types.is_primitive(kind) or pa.types.is_string(kind)):  # lists, binary data
        texts = [None if value is None else str(value) for value in values.to_pylist()]
        return pa.array(texts, pa.string())
    values = values if values.type == kind else values.cast(kind)
    return values.chunk(0) if values.num_chunks == 1 else values.combine_chunks()


def _numbers(array: pa.Array) -> pa.Array:
    if pa.types.is_string(array.type):
        written = pc.if_else(pc.match_substring_regex(array, _NUMBER), array, None)
        array = pc.utf8_ltrim(written, "+").cast(pa.float64())
    elif pa.types.is_temporal(array.type):
        return pa.nulls(len(array), pa.float64())
    elif pa.types.is_boolean(array.type):
        array = array.cast(pa.int8())
    numbers = array.cast(pa.float64(), safe=False)
    return pc.if_else(pc.is_finite(numbers), numbers, None)


def _integers(array: pa.Array) -> pa.Array:
    if pa.types.is_integer(array.type):
        return array
    numbers = _numbers(array)
    whole = pc.and_(pc.equal(numbers, pc.floor(numbers)), pc.less(pc.abs(numbers), 2.0**63))
    integers = pc.if_else(whole, numbers, None).cast(pa.int64())
    if pa.types.is_string(array.type):  # long ones are no floats
        digits = pc.if_else(pc.match_substring_regex(array, _DIGITS), array, None)
        integers = pc.coalesce(digits.cast(pa.int64()), integers)
    return integers


def _booleans(array: pa.Array) -> pa.Array:
    if pa.types.is_boolean(array.type):
        return array
    if pa.types.is_string(array.type):
        words = pc.utf8_lower(array)
        there = pc.is_in(words, value_set=pa.array(["true", "false"]))
        return pc.if_else(there, pc.equal(words, "true"), None)
    numbers = _numbers(array)
    there = pc.is_in(numbers, value_set=pa.array([0.0, 1.0]))
    return pc.if_else(there, pc.equal(numbers, 1.0), None)


def _texts(array: pa.Array) -> pa.Array:
    if pa.types.is_floating(array.type):
        return pc.coalesce(_integers(array).cast(pa.string()), array.cast(pa.string()))
    return array.cast(pa.string())


def _dates(array: pa.Array) -> pa.Array:
    if pa.types.is_timestamp(array.type) or pa.types.is_date(array.type):
        return array.cast(_TIMES, safe=False)
    if not pa.types.is_string(array.type):
        return pa.nulls(len(array), _TIMES)
    try:
        return array.cast(_TIMES)
    except pa.ArrowInvalid:  # offsets, or no dates
        times = pd.to_datetime(array.to_pandas(), format="ISO8601", utc=True, errors="coerce")
        return pa.array(times.dt.tz_localize(None).astype("datetime64[us]"), from_pandas=True)


def _since_1970(array: pa.Array, per_second: int) -> pa.Array:
    if pa.types.is_temporal(array.type):
        return _dates(array)
    seconds = pc.divide(_numbers(array), per_second)
    clipped = pc.min_element_wise(pc.max_element_wise(seconds, -_LATEST), _LATEST)
    clipped = pc.if_else(seconds.is_valid(), clipped, None)  # element-wise extremes skip nulls
    return pc.multiply(clipped, 1e6).cast(pa.int64(), safe=False).cast(_TIMES)


_CASTS = {
    "number": _numbers,
    "integer": _integers,
    "boolean": _booleans,
    "text": _texts,
    "date": _dates,
    "seconds": lambda array: _since_1970(array, 1),
    "milliseconds": lambda array: _since_1970(array, 1000),
}


def time_type(values: pa.ChunkedArray) -> ColumnType:
    """What a column of times is: numbers about 1e9 are seconds, about 1e12 milliseconds."""
    array = plain(values)
    if not (pa.types.is_integer(array.type) or pa.types.is_floating(array.type)):
        return "date"
    middle = abs(pc.quantile(_numbers(array))[0].as_py() or 0)
    return (
        "seconds" if 1e8 < middle < 1e11 else "milliseconds" if 1e11 < middle < 1e14 else "number"
    )


def level_type(values: pa.ChunkedArray, missing: pa.Array) -> ColumnType:
    """What a column of levels or ids is: the narrowest type that all of its values fit."""
    kind = plain(values).type
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_integer(kind):
        return "integer"
    if pa.types.is_floating(kind):
        whole = not pc.any(typed(values, "integer", missing)[1]).as_py()
        return "integer" if whole else "number"
    return "text"
