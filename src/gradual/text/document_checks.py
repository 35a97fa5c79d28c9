"""What is wrong with a source's texts, parts and labels, and what there is of them in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gradual.sources.errors import SourceError

if TYPE_CHECKING:
    from gradual.text.documents import DocumentsConfig, _Texts

Part = Literal["train", "valid", "test", "unlabelled"]
PARTS: tuple[Part, ...] = ("train", "valid", "test", "unlabelled")


def has_lists(documents: pa.Table) -> bool:
    """Return whether a document may have several labels."""
    return bool(pa.types.is_list(documents["label"].type))


def check_texts(texts: _Texts, config: DocumentsConfig) -> None:
    """Raise SourceError where a document has no text, or only blanks."""
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


def check_parts(documents: pa.Table, source: str, config: DocumentsConfig) -> None:
    """Raise SourceError unless parts and labels are enough to train and to test on."""
    if not pc.any(pc.equal(documents["part"], "train")).as_py():
        raise SourceError(
            f"{source} gives no training rows, only {summary(documents)}: correct the setting "
            "'parts' or the source"
        )
    if not config.has_labels:
        return
    frame = documents.select(["label", "part"]).to_pandas()
    pairs = frame[frame["label"].notna()].explode("label")
    trained = set(pairs["label"][pairs["part"] == "train"].dropna())
    if config.multi_label:
        _check_wanted(trained, source, config)
    elif len(trained) < 2:
        raise SourceError(
            f"{source} has {len(trained)} label among its training rows, {sorted(trained)}: a "
            "classifier needs two, correct the settings 'labels' and 'parts' or the source"
        )
    test = pairs[pairs["part"] == "test"]
    if test.empty:
        raise SourceError(
            f"{source} gives no labelled test rows to score a classifier on, only "
            f"{summary(documents)}: name them with 'split_column' and 'parts', or draw some from "
            "the training rows, for example with `test: {method: random, fraction: 0.2}`"
        )
    if unseen := sorted(set(test["label"].dropna()) - trained):
        raise SourceError(
            f"{source} has the label {unseen[0]!r} in the test rows but in no training row: "
            "correct the source, or draw other test rows"
        )


def _check_wanted(trained: set[str], source: str, config: DocumentsConfig) -> None:
    """Raise SourceError unless the training rows have all labels that are named."""
    named = isinstance(config.labels, Mapping)
    wanted = set(config.labels.values() if isinstance(config.labels, Mapping) else config.labels)
    if not trained:
        raise SourceError(
            f"{source} has no label among its training rows: correct the settings of the labels "
            "and 'parts', or the source"
        )
    if never := sorted((wanted if named else wanted | set(config.label_columns)) - trained):
        raise SourceError(
            f"{source} has the label {never[0]!r} in no training row, so nothing can be learnt of "
            "it: take it out of the settings, or correct the source"
        )


def summary(documents: pa.Table) -> str:
    """Say in words how many documents there are of each part and label."""
    if has_lists(documents):
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
