"""One column of any type as numbers or as levels, and the error that names column and row.

Levels are compared by their text: the bool `true`, the whole numbers `3` and `3.0` and the string
`"3"` have one text each, whatever type a file, a database or pandas gives the column. A dictionary
(categorical) column is what its values are; its own codes mean nothing here.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gradual.sources.errors import SourceError
from gradual.training.settings import Settings

LARGEST = float(np.finfo(np.float32).max)
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"


@dataclass(frozen=True)
class TextConfig(Settings):
    """How the text values of a table are read, in training and later.

    Attributes:
        strip: Drop the blanks around a text.
        missing: Texts that mean that the value is missing, compared after stripping.
    """

    strip: bool = True
    missing: tuple[str, ...] = ("", "?")


@dataclass(frozen=True)
class EncodedColumn:
    """A column as small integers, the texts that they stand for, and what those were.

    Attributes:
        indices: `(rows,)`, integers; -1 where there is no value.
        texts: Text of each index, null where the value is missing.
        kind: `null` (no values), `boolean`, `integer`, `number` or `string`.
    """

    indices: np.ndarray
    texts: pa.Array
    kind: str


def column(table: pa.Table, name: str) -> pa.Array:
    """The column in one piece.

    Raises:
        SourceError: There is none of that name, or more than one.
    """
    count = table.column_names.count(name)
    if count != 1:
        raise SourceError(
            f"the table has {'no column' if not count else f'{count} columns'} {name!r}; its "
            f"columns are {', '.join(map(repr, table.column_names))}: give it the column, or "
            "correct the columns in the parameters"
        )
    return one_piece(table.column(name))


def one_piece(values: pa.ChunkedArray) -> pa.Array:
    """A chunked array as one array, dictionaries unified."""
    if pa.types.is_dictionary(values.type):
        values = values.unify_dictionaries()
    if values.num_chunks == 1:
        return values.chunk(0)
    values = values.combine_chunks()
    return values if isinstance(values, pa.Array) else pa.array([], values.type)


def count_levels(values: pa.Array, name: str, text: TextConfig) -> tuple[pa.Array, np.ndarray, str]:
    """The distinct values of a column and how often each occurs.

    Only the distinct values are turned into texts, stripped and compared, never all rows.

    Returns:
        Their texts, without nulls but some perhaps twice (`"a"` and `" a"`); their counts,
        int64; and what they are, as in `EncodedColumn`.

    Raises:
        SourceError: The column's type has no levels (lists, binary data).
    """
    values = _with_levels(values, name)
    if pa.types.is_dictionary(values.type):
        indices = values.indices.drop_null().to_numpy()
        counts = np.bincount(indices.astype(np.int64), minlength=len(values.dictionary))
        used = pa.array(counts > 0)  # a dictionary may have more than the rows do
        distinct, occurrences = values.dictionary.filter(used), pa.array(counts).filter(used)
    else:
        distinct, occurrences = pc.value_counts(values).flatten()
    texts, kind = _texts(distinct, text)
    there = texts.is_valid()
    return texts.filter(there), occurrences.filter(there).to_numpy(), kind


def as_levels(values: pa.Array, name: str, text: TextConfig) -> EncodedColumn:
    """Encode a column by its values, of which only the distinct ones are turned into texts.

    Raises:
        SourceError: The column's type has no levels (lists, binary data).
    """
    values = _with_levels(values, name)
    if not pa.types.is_dictionary(values.type):
        values = values.dictionary_encode()
    indices = values.indices
    if indices.null_count:
        indices = pc.fill_null(indices.cast(pa.int32()), -1)
    return EncodedColumn(indices.to_numpy(), *_texts(values.dictionary, text))


def _with_levels(values: pa.Array, name: str) -> pa.Array:
    if pa.types.is_null(values.type):
        return values.cast(pa.string())
    if pa.types.is_nested(values.type) or _is_binary(values.type):
        raise SourceError(
            f"the column {name!r} holds {values.type}, which has no levels: take it out of the "
            "columns, or turn it into texts or numbers"
        )
    return values


def level_texts(levels: list[bool] | list[int] | list[float] | list[str]) -> pa.Array:
    """The texts of levels as `as_levels` gives them."""
    if all(type(level) is int for level in levels):
        return pa.array([str(level) for level in levels], pa.string())  # of any size
    return _texts(pa.array(levels), TextConfig(strip=False, missing=()))[0]


def _is_binary(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
    )


def _texts(values: pa.Array, text: TextConfig) -> tuple[pa.Array, str]:
    kind = values.type
    if values.null_count == len(values):
        return pa.nulls(len(values), pa.string()), "null"
    if pa.types.is_boolean(kind):
        return values.cast(pa.string()), "boolean"
    if pa.types.is_integer(kind):
        return values.cast(pa.string()), "integer"
    if pa.types.is_floating(kind):
        return _number_texts(values)
    texts = _cleaned(values.cast(pa.string()), text)
    return texts, "null" if texts.null_count == len(texts) else "string"


def _number_texts(values: pa.Array) -> tuple[pa.Array, str]:
    """Numbers as texts: a whole one as an integer is written, not-a-number as missing."""
    numbers = values.to_numpy(zero_copy_only=False).astype(np.float64)
    texts = pc.if_else(pa.array(np.isnan(numbers)), None, values.cast(pa.string()))
    whole = (numbers == np.floor(numbers)) & (np.abs(numbers) < 2.0**63)
    integers = pa.array(np.where(whole, numbers, 0).astype(np.int64)).cast(pa.string())
    texts = pc.if_else(pa.array(whole), integers, texts)
    if texts.null_count == len(texts):
        return texts, "null"
    return texts, "integer" if (whole | np.isnan(numbers)).all() else "number"


def _cleaned(texts: pa.Array, text: TextConfig) -> pa.Array:
    if text.strip:
        texts = pc.utf8_trim_whitespace(texts)
    missing = pc.is_in(texts, value_set=pa.array(text.missing, pa.string()))
    return pc.if_else(missing, None, texts)


def as_numbers(values: pa.Array, name: str, text: TextConfig, first_row: int = 0) -> np.ndarray:
    """A column as numbers, `(rows,)`, float64, NaN where there is none.

    Texts that are numbers are read as such; bools count 0 and 1.

    Args:
        values: The column.
        name: Its name, for messages.
        text: How texts are read.
        first_row: Number of the first row, for messages.

    Raises:
        SourceError: A text is no number, or a number is infinite or beyond float32.
    """
    return as_number_array(values, name, text, first_row).to_numpy(zero_copy_only=False)


def as_number_array(values: pa.Array, name: str, text: TextConfig, first_row: int = 0) -> pa.Array:
    """As `as_numbers`, in Arrow: null or NaN where there is no number."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    kind = values.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        values = _parsed(values.cast(pa.string()), name, text, first_row)
    elif pa.types.is_boolean(kind):
        return values.cast(pa.int8()).cast(pa.float64())
    elif pa.types.is_integer(kind) or pa.types.is_null(kind):
        return values.cast(pa.float64(), safe=False)
    elif not (pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        raise SourceError(
            f"the column {name!r} holds {kind}, but it is a continuous one: list it under dates or "
            "categorical, or turn it into numbers"
        )
    numbers = values.cast(pa.float64())
    extremes = pc.min_max(numbers).as_py()  # of NaN and numbers, those of the numbers
    if any(abs(number) > LARGEST for number in extremes.values() if number is not None):
        dense = numbers.to_numpy(zero_copy_only=False)
        row = int(np.flatnonzero(np.abs(dense) > LARGEST)[0])
        what = "an infinite number" if np.isinf(dense[row]) else "a number beyond float32"
        raise SourceError(
            f"row {first_row + row} (the first is 0) has {dense[row]} in the column {name!r}, "
            f"{what}: replace it, or leave the value out"
        )
    return numbers


def _parsed(values: pa.Array, name: str, text: TextConfig, first_row: int) -> pa.Array:
    values = _cleaned(pc.utf8_trim_whitespace(values), text)
    wrong = pc.invert(pc.match_substring_regex(values, _NUMBER))
    if pc.any(wrong).as_py():
        row = pc.index(wrong, True).as_py()
        raise SourceError(
            f"row {first_row + row} (the first is 0) has the text {values[row].as_py()!r} in the "
            f"column {name!r}, which holds numbers: correct it, list the text under `text: "
            "{missing: …}` if it means that the value is missing, or list the column under "
            "categorical"
        )
    return pc.utf8_ltrim(values, "+").cast(pa.float64())
