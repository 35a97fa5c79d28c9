"""Source files to one table of documents, and the rows that are held out.

Three layouts are read: a table (CSV, TSV or Parquet, plain or inside an archive) with named
columns; an archive (tar, compressed or not, or zip) of one text file a document, whose folders say
part and label; and an archive laid out like WikiText. Archives are streamed in one pass and never
extracted.
"""

import csv
import io
import logging
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gradual.sources.archives import path_pattern, read_members
from gradual.sources.splits import Split, validation_mask
from gradual.text.label_columns import LABELS, flagged_labels, label_lists, separated_labels
from gradual.text.labels import as_array, label_texts
from gradual.text.wikitext import WikiTextError, read_articles

logger = logging.getLogger(__name__)

Part = Literal["train", "test", "unlabelled"]
PARTS: tuple[Part, ...] = ("train", "test", "unlabelled")
VALID = "valid"
"""A part that only WikiText's files name; elsewhere validation rows are split off."""
_TABLES = (".csv", ".tsv", ".parquet")
_WIKITEXT = ("train", VALID, "test")


class DocumentsError(ValueError):
    """Texts cannot be used; the message names file, row or member, and the remedy."""


@dataclass(frozen=True)
class DocumentsConfig:
    """Where text, label and part of each document stand.

    Attributes:
        format: `table` for CSV, TSV or Parquet, `archive` for a tar or zip of text files,
            `wikitext` for an archive with `wiki.train.tokens`, `wiki.valid.tokens` and
            `wiki.test.tokens`.
        text_columns: Columns of the table that hold text, kept under their names. An archive's
            texts go into the first, and only, one.
        labels: The labels there are, or a mapping from how a label is written in the source to its
            name. Empty: whatever is found is a label.
        unlabelled: How "no label" is written: such documents belong to the part `unlabelled`.
        parts: Part of each value of the split column, or of each folder at `{part}`; upper and
            lower case are the same, and the parts' own names stand for themselves.
        label_column: Column with the label; None if no text has one (table).
        label_separator: What stands between the labels in that column if a document may have
            several, or none: an empty cell says that it has none of them (table).
        label_columns: One column a label, in place of `label_column`, if a document may have
            several: 1 or true where it has the label, 0 or false where not, empty in all of them
            where nothing is known (table).
        split_column: Column that says the part; None makes all labelled rows `train` (table).
        keep_columns: Further columns to keep, e.g. a time to split by (table).
        member: The table's path inside an archive, `*` standing for any name; None if there is
            only one table in it (table).
        pattern: Paths of the text files, with `*` for any name, and `{part}` and `{label}` for the
            folders that say so; other members are ignored (archive).
        test: Test rows to draw from the training rows, for a source that has no test part.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012

    format: Literal["table", "archive", "wikitext"] = "table"
    text_columns: tuple[str, ...] = ("text",)
    labels: tuple[str, ...] | dict[str | int, str] = ()
    unlabelled: tuple[str, ...] = ()
    parts: dict[str | bool | int, Part] = field(default_factory=dict)
    label_column: str | None = "label"
    label_separator: str | None = None
    label_columns: tuple[str, ...] = ()
    split_column: str | None = None
    keep_columns: tuple[str, ...] = ()
    member: str | None = None
    pattern: str = "*/{part}/{label}/*.txt"
    test: Split | None = None

    def __post_init__(self) -> None:
        if self.format not in ("table", "archive", "wikitext"):
            raise ValueError(f"format is {self.format!r}: set it to table, archive or wikitext")
        if not self.text_columns:
            raise ValueError("text_columns is empty: name at least one column")
        if self.format != "table" and len(self.text_columns) > 1:
            raise ValueError(
                f"text_columns is {list(self.text_columns)}: an archive gives one text a document, "
                "name one column"
            )
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
        if (placeholders := re.findall(r"\{(.*?)\}", self.pattern)) and (
            set(placeholders) - {"part", "label"} or len(set(placeholders)) < len(placeholders)
        ):
            raise ValueError(
                f"pattern is {self.pattern!r}: it may hold {{part}} and {{label}}, each once"
            )

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
        if self.multi_label and self.format != "table":
            raise ValueError(
                "label_separator and label_columns are for tables: an archive's folder is one "
                "label, leave them out"
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
        if self.format == "table":
            return self.label_column is not None or self.multi_label
        return self.format == "archive" and "{label}" in self.pattern


@dataclass(frozen=True)
class _Texts:
    """Documents as a file gives them; `labels` and `parts` as they are written there."""

    place: str  # a document for messages is this and its source
    sources: pa.ChunkedArray
    columns: dict[str, pa.ChunkedArray]
    labels: pa.ChunkedArray | None
    parts: pa.ChunkedArray | None


def read_documents(
    source: Path, config: DocumentsConfig, unlabelled_source: Path | None = None
) -> pa.Table:
    """Read a source into one table of documents.

    A table's rows keep their order. An archive's documents are sorted by part (train, test,
    unlabelled) and then by path, with numbers in it by their value; so tar and zip, packed in any
    order, give the same table. Documents of `unlabelled_source` come last.

    Args:
        source: The table or archive.
        config: Where text, label and part stand in it.
        unlabelled_source: A table with the same text columns whose texts have no label.

    Returns:
        One row a document: `source` (member, or table and row; rows are counted from 1, without
        the header), the text columns, those kept, `label` (null in the part unlabelled; a sorted
        list if a document may have several) and `part`: `train`, `test` or `unlabelled`, in
        WikiText also `valid`. All other columns but those kept are strings.

    Raises:
        DocumentsError: Something in the file cannot be used.
    """
    if config.format == "table":
        documents = _documents(_read_table(Path(source), config, labelled=True), config, "train")
    elif config.format == "wikitext":
        documents = _read_wikitext(Path(source), config)
    else:
        documents = _documents(_read_archive(Path(source), config), config, "train")
        documents = _sorted(documents)
    if unlabelled_source is not None:
        texts = _read_table(Path(unlabelled_source), config, labelled=False)
        more = _documents(texts, config, "unlabelled")
        documents = pa.concat_tables([documents, more], promote_options="default")
    if config.test is not None:
        documents = _draw_test(documents, config.test)
    _check_parts(documents, source, config)
    logger.info("%s: %s", Path(source).name, _summary(documents))
    return documents


def split_documents(
    documents: pa.Table, language_model: Split | None, classifier: Split
) -> pa.Table:
    """Choose the rows that the language model and the classifier are validated on.

    The language model learns from all texts, test and unlabelled ones included, without their
    labels (Howard & Ruder 2018, section 3.2); the classifier from the labelled training rows,
    and its validation rows come out of those. A classifier split by `rows` counts those only.
    Documents of the part `test` that never had a label can only be there to test the language
    model: it neither learns from them nor is validated on them.

    Args:
        documents: The table of `read_documents`.
        language_model: How to choose among all documents; None if no language model is trained on
            them.
        classifier: How to choose among the labelled documents of the part `train`.

    Returns:
        One row a document: `language_model` (if there is a split for it), `train`, `valid` or
        `test`; `classifier`, `train`, `valid`, `test`, or null where there is no label.

    Raises:
        DocumentsError: A split leaves one side empty, or the classifier without two labels.
    """
    frame = _frame(documents)
    columns = {}
    if language_model is not None:
        held_out = _mask(frame, language_model, "language model")
        for_language_model = np.where(held_out, "valid", "train").astype(object)
        for_language_model[((frame["part"] == "test") & frame["label"].isna()).to_numpy()] = "test"
        columns["language_model"] = pa.array(for_language_model, pa.string())
    labelled = (frame["label"].notna() & (frame["part"] == "train")).to_numpy()
    for_classifier = np.full(len(frame), None, object)
    if labelled.any():
        valid = _mask(frame[labelled].reset_index(drop=True), classifier, "classifier")
        for_classifier[labelled] = np.where(valid, "valid", "train")
        found = frame["label"][for_classifier == "train"].nunique()
        if found < 2 and not _multi_label(documents):
            raise DocumentsError(
                f"the classifier's split leaves {found} label in the training rows: choose the "
                "split so that at least two are left, for example with `stratify: label`"
            )
    for_classifier[(frame["label"].notna() & (frame["part"] == "test")).to_numpy()] = "test"
    return pa.table({**columns, "classifier": pa.array(for_classifier, pa.string())})


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
        raise DocumentsError(f"the {whose}'s split: {error}") from error


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
        labels[rest] = _named(texts.labels.take(pa.array(rest)), names, texts, "labels", rest)
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
        raise DocumentsError(
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
        raise DocumentsError(
            f"{texts.place}{texts.sources[row]}{more} has no text, or only blanks, in "
            f"{', '.join(config.text_columns)}: remove it from the source, or fill it in"
        )


def _check_parts(documents: pa.Table, source: Path, config: DocumentsConfig) -> None:
    parts, labels = documents["part"], documents["label"]
    training = pc.equal(parts, "train")
    if not pc.any(training).as_py():
        raise DocumentsError(
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
        raise DocumentsError(
            f"{source} has {len(trained)} label among its training rows, {sorted(trained)}: a "
            "classifier needs two, correct the settings 'labels' and 'parts' or the source"
        )
    tested = set(labels.filter(pc.equal(parts, "test")).unique().to_pylist())
    if not tested:
        raise DocumentsError(
            f"{source} gives no labelled test rows to score a classifier on, only "
            f"{_summary(documents)}: name them with 'split_column' and 'parts', or draw some from "
            "the training rows, for example with `test: {method: random, fraction: 0.2}`"
        )
    if tested - trained:
        raise DocumentsError(
            f"{source} has the label {min(tested - trained)!r} in the test rows but in no training "
            "row: correct the source"
        )


def _check_label_lists(documents: pa.Table, source: Path, config: DocumentsConfig) -> None:
    frame = documents.select(["label", "part"]).to_pandas()
    pairs = frame[frame["label"].notna()].explode("label")
    trained = set(pairs["label"][pairs["part"] == "train"].dropna())
    test = pairs[pairs["part"] == "test"]
    wanted = set(config.labels.values() if isinstance(config.labels, Mapping) else config.labels)
    if not isinstance(config.labels, Mapping):
        wanted |= set(config.label_columns)
    if not trained:
        raise DocumentsError(
            f"{source} has no label among its training rows: correct the settings of the labels "
            "and 'parts', or the source"
        )
    if never := sorted(wanted - trained):
        raise DocumentsError(
            f"{source} has the label {never[0]!r} in no training row, so nothing can be learnt of "
            "it: take it out of the settings, or correct the source"
        )
    if test.empty:
        raise DocumentsError(
            f"{source} gives no labelled test rows to score a classifier on, only "
            f"{_summary(documents)}: name them with 'split_column' and 'parts', or draw some from "
            "the training rows, for example with `test: {method: random, fraction: 0.2}`"
        )
    if unseen := sorted(set(test["label"].dropna()) - trained):
        raise DocumentsError(
            f"{source} has the label {unseen[0]!r} in the test rows but in no training row: "
            "correct the source, or draw other test rows"
        )


def _draw_test(documents: pa.Table, split: Split) -> pa.Table:
    frame = _frame(documents)
    if (frame["part"] == "test").any():
        raise DocumentsError(
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
    order = (*PARTS, VALID)
    counts.sort(key=lambda row: (order.index(row["part"]), row["label"] or ""))
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


# Tables


def _read_table(path: Path, config: DocumentsConfig, *, labelled: bool) -> _Texts:
    content, name = _table_content(path, config)
    wanted = list(config.text_columns)
    if labelled:
        wanted += config.keep_columns
        wanted += config.label_columns or [c for c in (config.label_column,) if c is not None]
        wanted += [c for c in (config.split_column,) if c is not None]
    if name.lower().endswith(".parquet"):
        table = _parquet(content, name, wanted)
    else:
        table = _csv(content, name, wanted, "\t" if name.lower().endswith(".tsv") else ",")
    if not table.num_rows:
        raise DocumentsError(f"{name} holds no rows: give it at least one")
    rows = pc.cast(pa.array(np.arange(1, table.num_rows + 1)), pa.string())
    sources = pc.binary_join_element_wise(f"{Path(name).name} row", rows, " ")
    kept = config.keep_columns if labelled else ()
    columns = {c: _text_column(table[c], c, name) for c in config.text_columns}
    return _Texts(
        place=f"{Path(name).parent}/",
        sources=pa.chunked_array([sources]),
        columns={**columns, **{c: table[c] for c in kept}},
        labels=_written_labels(table, config, name) if labelled else None,
        parts=_words(table, config.split_column) if labelled else None,
    )


def _table_content(path: Path, config: DocumentsConfig) -> tuple[bytes, str]:
    """The bytes of the table and its name (with the archive's, where it is in one)."""
    if path.suffix.lower() in _TABLES:
        try:
            return path.read_bytes(), str(path)
        except OSError as error:
            raise DocumentsError(
                f"{path} cannot be read ({error}): correct the path in the catalog"
            ) from error
    pattern = path_pattern(config.member) if config.member else None

    def wanted(name: str) -> bool:
        if pattern is not None:
            return bool(pattern.fullmatch(name))
        return name.lower().endswith(_TABLES) and not name.rsplit("/", 1)[-1].startswith(".")

    tables = list(read_members(path, wanted))
    if len(tables) != 1:
        names = ", ".join(name for name, _ in tables) or "none"
        raise DocumentsError(
            f"{path} must hold one table named {config.member or ' or '.join(_TABLES)}, but the "
            f"ones found are: {names}; set 'member' to the path of the right one"
        )
    name, content = tables[0]
    return content, f"{path}/{name}"


def _missing(name: str, wanted: Sequence[str], columns: Sequence[str]) -> None:
    for column in wanted:
        if (count := list(columns).count(column)) != 1:
            raise DocumentsError(
                f"{name} has {'no column' if not count else f'{count} columns'} {column!r}; its "
                f"columns are {', '.join(map(repr, columns))}: name the right ones in "
                "text_columns, label_column or label_columns, split_column and keep_columns"
            )


def _parquet(content: bytes, name: str, wanted: Sequence[str]) -> pa.Table:
    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        _missing(name, wanted, file.schema_arrow.names)
        return file.read(columns=list(dict.fromkeys(wanted)))
    except (pa.ArrowInvalid, OSError) as error:
        raise DocumentsError(
            f"{name} cannot be read as Parquet ({error}): replace it by a good copy"
        ) from error


def _csv(content: bytes, name: str, wanted: Sequence[str], delimiter: str) -> pa.Table:
    """Parse strictly (RFC 4180): pandas and Arrow take a stray quote for text and merge rows."""
    try:
        text = content.decode().removeprefix("\ufeff")  # the byte order mark
    except UnicodeDecodeError as error:
        before = content[: error.start].decode()
        row = sum(1 for _ in _csv_rows(before, delimiter, strict=False)) - 1
        raise DocumentsError(
            f"{name} row {row} (line {before.count(chr(10)) + 1}) is not UTF-8: byte "
            f"{error.start} of the file is 0x{content[error.start]:02x}; convert the file to UTF-8"
        ) from error
    row, rows = 0, _csv_rows(text, delimiter, strict=True)
    try:
        _, header = next(rows, (0, []))
        if not header:
            raise DocumentsError(f"{name} is empty: it needs a header and rows")
        _missing(name, wanted, header)
        places = {column: header.index(column) for column in wanted}
        values: dict[str, list[str]] = {column: [] for column in wanted}
        for row, (line, cells) in enumerate(rows, start=1):
            if len(cells) != len(header):
                raise DocumentsError(
                    f"{name} row {row} (line {line}) has {len(cells)} fields, the header has "
                    f"{len(header)}: put a text with commas or line breaks in double quotes"
                )
            for column, place in places.items():
                values[column].append(cells[place])
    except csv.Error as error:
        raise DocumentsError(
            f"{name} row {row + 1} does not parse ({error}): check its double quotes; one inside "
            "a quoted text is written twice"
        ) from error
    return pa.table({column: pa.array(cells, pa.string()) for column, cells in values.items()})


def _csv_rows(text: str, delimiter: str, *, strict: bool) -> Iterator[tuple[int, list[str]]]:
    """Line on which each row ends, and its cells; empty lines are no rows."""
    limit = csv.field_size_limit(sys.maxsize)  # 131,072 by default: a long document has more
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=strict)
        for cells in reader:
            if cells:
                yield reader.line_num, cells
    except csv.Error as error:
        raise csv.Error(f"line {reader.line_num}: {error}") from error
    finally:
        csv.field_size_limit(limit)


def _text_column(column: pa.ChunkedArray, name: str, file: str) -> pa.ChunkedArray:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise DocumentsError(
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
        return _words(table, config.label_column)
    except pa.ArrowNotImplementedError as error:
        raise DocumentsError(
            f"the label column of {name} holds no plain values ({error}): if it holds lists of "
            "labels, set label_separator"
        ) from error
    except ValueError as error:
        raise DocumentsError(f"{name} {error}") from error


def _words(table: pa.Table, column: str | None) -> pa.ChunkedArray | None:
    return None if column is None else pc.fill_null(table[column].cast(pa.string()), "")


# Archives


def _read_archive(path: Path, config: DocumentsConfig) -> _Texts:
    pattern = path_pattern(config.pattern)
    names: list[str] = []
    contents: list[bytes] = []
    for name, content in read_members(path, lambda name: bool(pattern.fullmatch(name))):
        try:
            content.decode()
        except UnicodeDecodeError as error:
            raise DocumentsError(
                f"{path}, {name} is not UTF-8: byte {error.start} of the member is "
                f"0x{content[error.start]:02x}; convert it and pack the archive anew"
            ) from error
        names.append(name)
        contents.append(content.removeprefix(b"\xef\xbb\xbf"))
    if not names:
        raise DocumentsError(
            f"{path} holds no file like {config.pattern}: correct the setting 'pattern'"
        )
    found = [pattern.fullmatch(name) for name in names]

    def folder(group: str) -> pa.ChunkedArray | None:
        if f"{{{group}}}" not in config.pattern:
            return None
        return _strings([match[group] for match in found if match])

    return _Texts(
        place=f"{path}, ",
        sources=_strings(names),
        columns={config.text_columns[0]: _strings(contents)},
        labels=folder("label"),
        parts=folder("part"),
    )


# WikiText


def _read_wikitext(path: Path, config: DocumentsConfig) -> pa.Table:
    try:
        articles = sorted(read_articles(path), key=lambda article: _WIKITEXT.index(article.part))
    except WikiTextError as error:
        raise DocumentsError(str(error)) from error
    return pa.table(
        {
            "source": _strings([article.source for article in articles]),
            config.text_columns[0]: _strings([article.text for article in articles]),
            "label": pa.nulls(len(articles), pa.string()),
            "part": _strings([article.part for article in articles]),
        }
    )


def _strings(values: Sequence[str] | Sequence[bytes]) -> pa.ChunkedArray:
    array = pa.array(values, pa.string())  # in several chunks above 2 GB
    return array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])


def _sorted(documents: pa.Table) -> pa.Table:
    sources, parts = documents["source"].to_pylist(), documents["part"].to_pylist()

    def place(row: int) -> tuple[int, list[str | int], str]:
        pieces = re.split(r"(\d+)", sources[row])  # texts and numbers by turns, text first
        numbered = [int(piece) if i % 2 else piece for i, piece in enumerate(pieces)]
        return PARTS.index(parts[row]), numbered, sources[row]

    return documents.take(pa.array(sorted(range(len(sources)), key=place), pa.int64()))
