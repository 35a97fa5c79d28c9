"""Several labels a document, as tables write them: parted by a separator, or a 0/1 column each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

LABELS = pa.list_(pa.string())
_YES, _NO = ("1", "1.0", "true"), ("0", "0.0", "false")


def separated_labels(
    column: pa.ChunkedArray, separator: str, unlabelled: Sequence[str] = ()
) -> pa.Array:
    """Split what is written in each cell.

    Args:
        column: Strings, or lists of strings, which are taken as they are.
        separator: What stands between two labels; blanks around it do not count.
        unlabelled: Cells that say that no label is known.

    Returns:
        ``(n,)`` lists of strings, null where no label is known. An empty cell is an empty list:
        that the document has none of the labels is known.
    """
    column = column.combine_chunks()
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        return column.cast(LABELS)
    trimmed = pc.utf8_trim_whitespace(pc.fill_null(column.cast(pa.string()), ""))
    known = pc.invert(pc.is_in(trimmed, pa.array(unlabelled, pa.string())))
    pieces = pc.split_pattern(trimmed, separator)
    words = pc.utf8_trim_whitespace(pc.list_flatten(pieces))
    filled = pc.not_equal(words, "").to_numpy(zero_copy_only=False)
    documents = pc.list_parent_indices(pieces).to_numpy()[filled]
    return label_lists(
        documents, words.filter(pa.array(filled)), len(trimmed), known.to_numpy(False)
    )


def flagged_labels(table: pa.Table, columns: Sequence[str], unlabelled: Sequence[str]) -> pa.Array:
    """Gather the columns that say yes.

    Args:
        table: Holds the columns, each 1 or true where a document has its label, 0 or false where
            not.
        columns: Their names, which are the labels.
        unlabelled: Besides the empty cell, what says that it is not known.

    Returns:
        ``(n,)`` lists of column names, null where nothing is known of any of them.

    Raises:
        ValueError: If a cell holds something else, or only some of a row's are known; the message
            begins with the row, counted from 1.
    """
    flags = np.zeros((table.num_rows, len(columns)), bool)
    unknown = np.zeros_like(flags)
    for place, name in enumerate(columns):
        text = pc.fill_null(table[name].cast(pa.string()), "")
        text = pc.utf8_lower(pc.utf8_trim_whitespace(text)).combine_chunks()
        yes, no, none = (
            pc.is_in(text, pa.array(values, pa.string())).to_numpy(zero_copy_only=False)
            for values in (_YES, _NO, ["", *(value.lower() for value in unlabelled)])
        )
        if len(wrong := np.flatnonzero(~(yes | no | none))):
            row = int(wrong[0])
            raise ValueError(
                f"row {row + 1} has {table[name][row].as_py()!r} in the label column {name!r}: "
                "write 1 where the document has the label and 0 where not; if the column holds no "
                "label, take it out of label_columns"
            )
        flags[:, place], unknown[:, place] = yes, none & ~yes & ~no
    some = unknown.any(axis=1) & ~unknown.all(axis=1)
    if some.any():
        row = int(np.flatnonzero(some)[0])
        name = columns[int(np.flatnonzero(unknown[row])[0])]
        raise ValueError(
            f"row {row + 1} has nothing in the label column {name!r} but something in others: "
            "fill it in, or leave all of them empty where no label is known"
        )
    documents, labels = np.nonzero(flags)
    names = np.array(columns, dtype=object)[labels]
    return label_lists(
        documents, pa.array(names, pa.string()), len(flags), ~np.all(unknown, axis=1)
    )


def label_lists(
    documents: np.ndarray, labels: pa.Array | np.ndarray, n: int, known: np.ndarray
) -> pa.Array:
    """Return lists of labels, each label once and sorted, from pairs of document and label.

    Args:
        documents: ``(pairs,)`` number of the document.
        labels: ``(pairs,)`` strings.
        n: How many documents there are.
        known: ``(n,)`` bool; the others' lists become null.
    """
    pairs = pd.DataFrame({"document": documents, "label": pa.array(labels).to_pylist()})
    pairs = pairs[known[documents]].drop_duplicates().sort_values(["document", "label"])
    counts = np.bincount(pairs["document"], minlength=n)
    return pa.ListArray.from_arrays(
        pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32()),
        pa.array(pairs["label"].tolist(), pa.string()),
        mask=pa.array(~known),
    )
