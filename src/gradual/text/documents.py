"""Rows of a source to one table of documents, and the rows that are held out."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gradual.sources.content import check_columns
from gradual.sources.errors import SourceError
from gradual.sources.reader import Openable, SourceRows, open_source
from gradual.sources.splits import Split, validation_mask
from gradual.text.label_columns import LABELS, flagged_labels, label_lists, separated_labels
from gradual.text.labels import as_array, label_texts

logger = logging.getLogger(__name__)

Part = Literal["train", "valid", "test", "unlabelled"]
PARTS: tuple[Part, ...] = ("train", "valid", "test", "unlabelled")


@dataclass(frozen=True)
class DocumentsConfig:
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

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012

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
        documents = _draw_test(documents, config.test)
    _check_parts(documents, rows.name, config)
    logger.info("%s: %s", rows.name.rsplit("/", 1)[-1], _summary(documents))
    return documents


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
    more = _documents(_read(test, config, "test"), config, "test")
    return pa.concat_tables([documents, more], promote_options="permissive")


def split_documents(
    documents: pa.Table, language_model: Split | None, classifier: Split
) -> pa.Table:
    """Choose the rows that the language model and the classifier are validated on.

    The language model learns from all texts, test and unlabelled ones included, without their
    labels (Howard & Ruder 2018, section 3.2); the classifier from the labelled training rows,
    and its validation rows come out of those. A classifier split by `rows` counts those only.
    Documents of the part `test` that never had a label can only be there to test the language
    model: it neither learns from them nor is validated on them. Documents that the source itself
    calls `valid` are training documents that a split may name
    (`{method: column, column: part, values: [valid]}`).

    Args:
        documents: The table of `read_documents`.
        language_model: How to choose among all documents; None if no language model is trained on
            them.
        classifier: How to choose among the labelled documents of the part `train`.

    Returns:
        One row a document: `language_model` (if there is a split for it), `train`, `valid` or
        `test`; `classifier`, `train`, `valid`, `test`, or null where there is no label.

    Raises:
        SourceError: A split leaves one side empty, or the classifier without two labels.
    """
    frame = _frame(documents)
    columns = {}
    if language_model is not None:
        held_out = _mask(frame, language_model, "language model")
        for_language_model = np.where(held_out, "valid", "train").astype(object)
        for_language_model[((frame["part"] == "test") & frame["label"].isna()).to_numpy()] = "test"
        columns["language_model"] = pa.array(for_language_model, pa.string())
    labelled = (frame["label"].notna() & frame["part"].isin(["train", "valid"])).to_numpy()
    for_classifier = np.full(len(frame), None, object)
    if labelled.any():
        valid = _mask(frame[labelled].reset_index(drop=True), classifier, "classifier")
        for_classifier[labelled] = np.where(valid, "valid", "train")
        if not _multi_label(documents):
            _check_split(frame["label"], for_classifier)
    for_classifier[(frame["label"].notna() & (frame["part"] == "test")).to_numpy()] = "test"
    return pa.table({**columns, "classifier": pa.array(for_classifier, pa.string())})


def _check_split(labels: Any, parts: np.ndarray) -> None:
    """Raise SourceError now where the classifier could not be trained after the language model."""
    trained = set(labels[parts == "train"])
    if len(trained) < 2:
        raise SourceError(
            f"the classifier's split leaves {len(trained)} label in the training rows: choose the "
            "split so that at least two are left, for example with `stratify: label`"
        )
    if lost := set(labels[parts == "valid"]) - trained:
        rows = int((labels == min(lost)).sum())
        raise SourceError(
            f"the classifier's split takes every training row of the label {min(lost)!r} for "
            f"validation (there are {rows} rows of it in all): set `stratify: label` in "
            "classifier_split, give more rows of it, or leave them out"
        )


def _frame(documents: pa.Table) -> Any:
    """The documents as a data frame, several labels as one text, so that splits may go by them."""
    frame = documents.to_pandas()
    if _multi_label(documents):
        frame["label"] = label_texts(as_array(documents["label"].to_pylist()))
    return frame


def _multi_label(documents: pa.Table) -> bool:
    return bool(pa.types.is_list(documents["label"].type))


def _mask(frame: Any, split: Split, whose: str) -> np.ndarray:
    try:
        return validation_mask(frame, split)
    except ValueError as error:
        raise SourceError(f"the {whose}'s split: {error}") from error


# Parts and labels


def _documents(texts: _Texts, config: DocumentsConfig, part: Part) -> pa.Table:
    """The documents with their labels and parts; `part` is that of all where no folder says it."""
    _check_texts(texts, config)
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


def _check_texts(texts: _Texts, config: DocumentsConfig) -> None:
    blank = np.ones(len(texts.sources), bool)
    for name in config.text_columns:
        trimmed = pc.utf8_trim_whitespace(texts.columns[name])
        blank &= pc.equal(pc.binary_length(trimmed), 0).to_numpy(zero_copy_only=False)
    if blank.any():
        row = int(np.flatnonzero(blank)[0])
        count = int(blank.sum())
        more = f" (and {count - 1:,} more)" if count > 1 else ""
        raise SourceError(
            f"{texts.place}{texts.sources[row]}{more} has no text, or only blanks, in "
            f"{', '.join(config.text_columns)}: remove it from the source, or fill it in"
        )


def _check_parts(documents: pa.Table, source: str, config: DocumentsConfig) -> None:
    parts, labels = documents["part"], documents["label"]
    training = pc.equal(parts, "train")
    if not pc.any(training).as_py():
        raise SourceError(
            f"{source} gives no training rows, only {_summary(documents)}: correct the setting "
            "'parts' or the source"
        )
    if not config.has_labels:
        return
    if config.multi_label:
        _check_label_lists(documents, source, config)
        return
    trained = set(labels.filter(training).unique().to_pylist())
    if len(trained) < 2:
        raise SourceError(
            f"{source} has {len(trained)} label among its training rows, {sorted(trained)}: a "
            "classifier needs two, correct the settings 'labels' and 'parts' or the source"
        )
    tested = set(labels.filter(pc.equal(parts, "test")).unique().to_pylist())
    if not tested:
        raise SourceError(
            f"{source} gives no labelled test rows to score a classifier on, only "
            f"{_summary(documents)}: name them with 'split_column' and 'parts', or draw some from "
            "the training rows, for example with `test: {method: random, fraction: 0.2}`"
        )
    if tested - trained:
        raise SourceError(
            f"{source} has the label {min(tested - trained)!r} in the test rows but in no training "
            "row: correct the source"
        )


def _check_label_lists(documents: pa.Table, source: str, config: DocumentsConfig) -> None:
    frame = documents.select(["label", "part"]).to_pandas()
    pairs = frame[frame["label"].notna()].explode("label")
    trained = set(pairs["label"][pairs["part"] == "train"].dropna())
    test = pairs[pairs["part"] == "test"]
    wanted = set(config.labels.values() if isinstance(config.labels, Mapping) else config.labels)
    if not isinstance(config.labels, Mapping):
        wanted |= set(config.label_columns)
    if not trained:
        raise SourceError(
            f"{source} has no label among its training rows: correct the settings of the labels "
            "and 'parts', or the source"
        )
    if never := sorted(wanted - trained):
        raise SourceError(
            f"{source} has the label {never[0]!r} in no training row, so nothing can be learnt of "
            "it: take it out of the settings, or correct the source"
        )
    if test.empty:
        raise SourceError(
            f"{source} gives no labelled test rows to score a classifier on, only "
            f"{_summary(documents)}: name them with 'split_column' and 'parts', or draw some from "
            "the training rows, for example with `test: {method: random, fraction: 0.2}`"
        )
    if unseen := sorted(set(test["label"].dropna()) - trained):
        raise SourceError(
            f"{source} has the label {unseen[0]!r} in the test rows but in no training row: "
            "correct the source, or draw other test rows"
        )


def _draw_test(documents: pa.Table, split: Split) -> pa.Table:
    frame = _frame(documents)
    if (frame["part"] == "test").any():
        raise SourceError(
            "the source has a test part of its own: leave the setting 'test' out of the documents"
        )
    training = (frame["part"] == "train").to_numpy()
    parts = frame["part"].to_numpy(object).copy()
    drawn = _mask(frame[training].reset_index(drop=True), split, "documents' test")
    parts[training] = np.where(drawn, "test", "train")
    place = documents.schema.get_field_index("part")
    return documents.set_column(place, "part", pa.array(parts, pa.string()))


def _summary(documents: pa.Table) -> str:
    if _multi_label(documents):
        return _summary_of_lists(documents)
    counts = documents.group_by(["part", "label"]).aggregate([([], "count_all")]).to_pylist()
    counts.sort(key=lambda row: (PARTS.index(row["part"]), row["label"] or ""))
    return ", ".join(
        f"{row['count_all']:,} {' '.join(filter(None, (row['part'], row['label'])))}"
        for row in counts
    )


def _summary_of_lists(documents: pa.Table) -> str:
    frame = documents.select(["label", "part"]).to_pandas()
    parts = []
    for part in (name for name in PARTS if (frame["part"] == name).any()):
        labels = frame["label"][frame["part"] == part]
        text = f"{len(labels):,} {part}"
        if part != "unlabelled":
            counts = labels.explode().value_counts()
            named = [f"{count:,} {label}" for label, count in sorted(counts.items())]
            named.append(f"{int((labels.map(len) == 0).sum()):,} without a label")
            text += f" ({', '.join(named)})"
        parts.append(text)
    return ", ".join(parts)


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
            f"the label column of {name} holds no plain values ({error}): if it holds lists of "
            "labels, set label_separator"
        ) from error
    except ValueError as error:
        raise SourceError(f"{name} {error}") from error


def _words(table: pa.Table, column: str | None) -> pa.ChunkedArray | None:
    return None if column is None else pc.fill_null(table[column].cast(pa.string()), "")
