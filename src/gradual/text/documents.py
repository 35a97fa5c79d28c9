"""Rows of a source to one table of documents, and the rows that are held out."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gradual.sources.content import check_columns
from gradual.sources.errors import SourceError
from gradual.sources.reader import Openable, SourceRows, open_source
from gradual.sources.splits import Split
from gradual.text.document_checks import PARTS, Part, check_parts, check_texts, summary
from gradual.text.document_splits import draw_test
from gradual.text.label_columns import LABELS, flagged_labels, label_lists, separated_labels
from gradual.training.settings import Settings

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DocumentsConfig(Settings):
    """Where text, label and part of each document stand.

    Attributes:
        text_columns: Columns that hold text, kept under their names; `text` for text files.
        labels: The labels there are, or a mapping from how a label is written in the source to its
            name. Empty: whatever is found is a label.
        strip: Take blanks around labels off before they are compared.
        unlabelled: How "no label" is written: such documents belong to the part `unlabelled`.
        parts: Part of each value of the split column; upper and lower case are the same, and the
            parts' own names stand for themselves.
        label_column: Column with the label; None if no text has one.
        label_separator: What stands between the labels in that column if a document may have
            several, or none: an empty cell says that it has none of them.
        label_columns: One column a label, in place of `label_column`, if a document may have
            several: 1 or true where it has the label, 0 or false where not, empty in all of them
            where nothing is known.
        split_column: Column that says the part; None makes all labelled rows `train`, but takes
            what the paths of text files say.
        keep_columns: Further columns to keep, e.g. a time to split by.
        test: Test rows to draw from the training rows, for a source that has no test part.
    """

    text_columns: tuple[str, ...] = ("text",)
    labels: tuple[str, ...] | dict[str | int, str] = ()
    strip: bool = True
    unlabelled: tuple[str, ...] = ()
    parts: dict[str | bool | int, Part] = field(default_factory=dict)
    label_column: str | None = "label"
    label_separator: str | None = None
    label_columns: tuple[str, ...] = ()
    split_column: str | None = None
    keep_columns: tuple[str, ...] = ()
    test: Split | None = None

    def __post_init__(self) -> None:
        if not self.text_columns:
            raise ValueError("text_columns is empty: name at least one column")
        columns = [*self.text_columns, *self.keep_columns]
        taken = {"source", "label", "part"} & set(columns)
        if taken or len(set(columns)) < len(columns):
            raise ValueError(
                f"text_columns and keep_columns name {columns}: each column may stand there once, "
                "and source, label and part are columns that the documents get anyway"
            )
        self._check_labels()
        if wrong := [part for part in self.parts.values() if part not in PARTS]:
            raise ValueError(f"parts has the value {wrong[0]!r}: set it to one of {list(PARTS)}")

    def _check_labels(self) -> None:
        if self.label_columns and self.label_separator is not None:
            raise ValueError(
                f"label_columns is {list(self.label_columns)} and label_separator "
                f"{self.label_separator!r}: give the one or the other"
            )
        if self.label_columns and self.label_column not in ("label", None):
            raise ValueError(
                f"label_columns is {list(self.label_columns)} and label_column "
                f"{self.label_column!r}: give the one or the other"
            )
        if len(set(self.label_columns)) < len(self.label_columns) or set(self.label_columns) & set(
            self.text_columns
        ):
            raise ValueError(
                f"label_columns is {list(self.label_columns)}: each may stand there once, and not "
                "in text_columns too"
            )
        if self.label_separator == "":
            raise ValueError(
                f"label_separator is {self.label_separator!r}: name a character such as ';'"
            )
        if self.label_separator is not None and self.label_column is None:
            raise ValueError("label_separator needs a label_column: name it")

    @property
    def multi_label(self) -> bool:
        """Whether a document may have any number of labels."""
        return bool(self.label_columns) or self.label_separator is not None

    @property
    def has_labels(self) -> bool:
        """Whether the source labels documents at all."""
        return self.label_column is not None or self.multi_label


@dataclass(frozen=True)
class _Texts:
    """Documents as a file gives them; `labels` and `parts` as they are written there."""

    place: str  # a document for messages is this and its source
    sources: pa.ChunkedArray
    columns: dict[str, pa.ChunkedArray]
    labels: pa.ChunkedArray | None
    parts: pa.ChunkedArray | None


def read_documents(
    source: Openable,
    config: DocumentsConfig,
    unlabelled_source: Openable | None = None,
    test_source: Openable | None = None,
) -> pa.Table:
    """Read a source into one table of documents.

    A table's rows keep their order. Texts that are files of their own are sorted by part (train,
    valid, test, unlabelled) and then by path, with numbers in it by their value. Rows of
    `test_source` come behind those of the source, those of `unlabelled_source` last.

    Args:
        source: Where the rows are.
        config: Where text, label and part stand in them.
        unlabelled_source: Rows with the same text columns whose texts have no label.
        test_source: Rows like those of the source, all of which belong to the part `test`.

    Returns:
        One row a document: `source` (path of the text, or table and row; rows are counted from 1,
        without the header), the text columns, those kept, `label` (null in the part unlabelled; a
        sorted list if a document may have several) and `part`: `train`, `valid`, `test` or
        `unlabelled`. All other columns but those kept are strings.

    Raises:
        SourceError: Something in the rows cannot be used.
    """
    rows = open_source(source)
    documents = _documents(_read(rows, config, "train"), config, "train")
    if rows.names_rows:
        order = pc.index_in(documents["part"], pa.array(PARTS))
        documents = documents.take(pa.array(np.argsort(order.to_numpy(), kind="stable")))
    if test_source is not None:
        documents = _with_test(documents, open_source(test_source), rows, config)
    if unlabelled_source is not None:
        texts = _read(open_source(unlabelled_source), config, "unlabelled")
        more = _documents(texts, config, "unlabelled")
        documents = pa.concat_tables([documents, more], promote_options="default")
    if config.test is not None:
        documents = draw_test(documents, config.test)
    check_parts(documents, rows.name, config)
    logger.info("%s: %s", rows.name.rsplit("/", 1)[-1], summary(documents))
    return documents


def read_test_documents(source: Openable, config: DocumentsConfig) -> pa.Table:
    """Read rows that all are for the test, whatever their column of parts says.

    Returns:
        As `read_documents`, in the rows' order; `part` is `test`, or `unlabelled`.

    Raises:
        SourceError: Something in the rows cannot be used.
    """
    return _documents(_read(open_source(source), config, "test"), config, "test")


def _with_test(
    documents: pa.Table, test: SourceRows, source: SourceRows, config: DocumentsConfig
) -> pa.Table:
    if config.test is not None:
        raise SourceError(
            "test is set in the documents' parameters, and there is a test_source too: leave one "
            "of the two out"
        )
    if (pc.equal(documents["part"], "test")).to_pylist().count(True):
        raise SourceError(
            f"{source.name} has test rows of its own, and there is a test_source too: leave the "
            "test_source out of the catalog, or make those rows train in the setting 'parts'"
        )
    more = read_test_documents(test, config)
    return pa.concat_tables([documents, more], promote_options="permissive")


# Parts and labels


def _documents(texts: _Texts, config: DocumentsConfig, part: Part) -> pa.Table:
    """The documents with their labels and parts; `part` is that of all where no folder says it."""
    check_texts(texts, config)
    rows = np.arange(len(texts.sources))
    parts = np.full(len(rows), part, object)
    if texts.parts is not None:
        part_names: dict[str, str] = {part: part for part in PARTS}
        part_names |= {str(written).lower(): name for written, name in config.parts.items()}
        lowered = pc.utf8_lower(pc.utf8_trim_whitespace(texts.parts))
        parts = _named(lowered, part_names, texts, "parts", rows)
    labels = np.full(len(rows), None, object)
    if config.multi_label:
        lists, parts = _label_lists(texts, config, parts)
        return _table(texts, lists, parts)
    if texts.labels is not None:
        names = {**dict.fromkeys(config.unlabelled, ""), **_label_names(texts.labels, config)}
        rest = rows[parts != "unlabelled"]  # elsewhere, whatever is written is no label
        written = texts.labels.take(pa.array(rest))
        labels[rest] = _named(written, names, texts, "labels", rest)
        parts[labels == ""] = "unlabelled"
        labels[labels == ""] = None
    return _table(texts, pa.array(labels, pa.string()), parts)


def _table(texts: _Texts, labels: pa.Array, parts: np.ndarray) -> pa.Table:
    part = pa.array(parts, pa.string())
    return pa.table({"source": texts.sources, **texts.columns, "label": labels, "part": part})


def _label_lists(
    texts: _Texts, config: DocumentsConfig, parts: np.ndarray
) -> tuple[pa.Array, np.ndarray]:
    """The names of each document's labels, and the parts, where no label is known unlabelled."""
    if texts.labels is None:
        return pa.nulls(len(parts), LABELS), parts
    lists = texts.labels.combine_chunks()
    known = lists.is_valid().to_numpy(zero_copy_only=False) & (parts != "unlabelled")
    rows, written = pc.list_parent_indices(lists).to_numpy(), pc.list_flatten(lists)
    inside = known[rows]  # elsewhere, whatever is written is no label
    written, rows = pa.chunked_array([written.filter(pa.array(inside))]), rows[inside]
    names = _named(written, _label_names(written, config), texts, "labels", rows)
    return label_lists(rows, names, len(parts), known), np.where(known, parts, "unlabelled")


def _label_names(labels: pa.ChunkedArray, config: DocumentsConfig) -> dict[str, str]:
    if isinstance(config.labels, Mapping):
        return {str(written): name for written, name in config.labels.items()}
    known = config.labels or [label for label in labels.unique().to_pylist() if label]
    return {label: label for label in known if label not in config.unlabelled}


def _named(
    written: pa.ChunkedArray,
    names: Mapping[str, str],
    texts: _Texts,
    setting: Literal["labels", "parts"],
    rows: np.ndarray,
) -> np.ndarray:
    """The name of each value; `rows` says which rows of `texts` the values are from."""
    codes, values = _encoded(written)
    named = [names.get(value) for value in values]
    if None in named:
        bad = named.index(None)
        source = texts.sources[int(rows[np.flatnonzero(codes == bad)[0]])]
        known = ", ".join(map(repr, names)) or "nothing"
        raise SourceError(
            f"{texts.place}{source} has the {setting.removesuffix('s')} {values[bad]!r}, but the "
            f"settings know {known}: correct the source, or add it to the setting {setting!r}"
            + (" (or 'unlabelled')" if setting == "labels" else "")
        )
    return np.array(named, object)[codes]


def _encoded(column: pa.ChunkedArray) -> tuple[np.ndarray, list[str]]:
    """Codes and the values that they stand for, in order of appearance."""
    encoded = column.dictionary_encode()
    codes = [chunk.indices.to_numpy() for chunk in encoded.chunks]
    values = encoded.chunk(0).dictionary.to_pylist() if codes else []
    return (np.concatenate(codes) if codes else np.zeros(0, np.int32)), values


# Rows


def _read(rows: SourceRows, config: DocumentsConfig, part: Part) -> _Texts:
    """Read what is needed of the rows; those of a part that has no labels have no label column."""
    labelled, wanted = part != "unlabelled", list(config.text_columns)
    if labelled:
        wanted += config.keep_columns
        wanted += config.label_columns or [c for c in (config.label_column,) if c is not None]
    split_column = config.split_column if part == "train" else None
    if split_column is not None:
        wanted.append(split_column)
    table = rows.read(None if rows.names_rows else wanted, as_text=True)
    check_columns(rows.name, list(dict.fromkeys(wanted)), table.column_names)
    if rows.names_rows:
        place, sources = f"{rows.name}, ", table["source"]
        if part == "train" and "part" in table.column_names:
            split_column = split_column or "part"
    else:
        folder, slash, name = rows.name.rpartition("/")
        place = folder + slash
        numbers = pc.cast(pa.array(np.arange(1, table.num_rows + 1)), pa.string())
        sources = pa.chunked_array([pc.binary_join_element_wise(f"{name} row", numbers, " ")])
    kept = config.keep_columns if labelled else ()
    columns = {c: _text_column(table[c], c, rows.name) for c in config.text_columns}
    return _Texts(
        place=place,
        sources=sources,
        columns={**columns, **{c: table[c] for c in kept}},
        labels=_written_labels(table, config, rows.name) if labelled else None,
        parts=_words(table, split_column),
    )


def _text_column(column: pa.ChunkedArray, name: str, file: str) -> pa.ChunkedArray:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise SourceError(
            f"the column {name!r} of {file} is {kind}, no text: name another in text_columns"
        )
    return pc.fill_null(column.cast(pa.string()), "")


def _written_labels(table: pa.Table, config: DocumentsConfig, name: str) -> pa.ChunkedArray | None:
    """Labels as they are written: strings, or lists of strings where there may be several."""
    try:
        if config.label_columns:
            return pa.chunked_array(
                [flagged_labels(table, config.label_columns, config.unlabelled)]
            )
        if config.label_separator is not None and config.label_column is not None:
            column = table[config.label_column]
            lists = separated_labels(column, config.label_separator, config.unlabelled)
            return pa.chunked_array([lists])
        labels = _words(table, config.label_column)
        return pc.utf8_trim_whitespace(labels) if labels is not None and config.strip else labels
    except pa.ArrowNotImplementedError as error:
        raise SourceError(
            f"the label column of {name} holds no single values ({error}): if it holds lists of "
            "labels, set label_separator"
        ) from error
    except ValueError as error:
        raise SourceError(f"{name} {error}") from error


def _words(table: pa.Table, column: str | None) -> pa.ChunkedArray | None:
    return None if column is None else pc.fill_null(table[column].cast(pa.string()), "")
