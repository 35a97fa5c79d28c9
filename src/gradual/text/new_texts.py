"""Texts that nobody has labelled: answers row by row, and what is unusual about them."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from gradual.reports.page import Block, Note, Section, Table, html_page
from gradual.results.metrics import show
from gradual.results.predictions import PROBABILITY, classes_of, excerpt
from gradual.sources.spooled import sliced, spooled
from gradual.text.classifier import Seen
from gradual.text.labels import label_texts
from gradual.text.stacking import Reader

logger = logging.getLogger(__name__)

MANY_UNKNOWN = 0.1
"""From this share of unknown words on the texts are hardly of the kind that was trained on."""
SHOWN, EXCERPT = 20, 300
ROWS = 1 << 13
"""Texts that are classified at a time."""


def classify(
    chunks: Iterable[pa.Table], classifier: Reader
) -> tuple[pa.RecordBatchReader, dict[str, Any], str]:
    """Classify rows that need no label, some at a time, so that memory does not grow with them.

    Args:
        chunks: Tables with the classifier's text columns, in any order and among others.
        classifier: What answers.

    Returns:
        The answers in the order of the rows: ``row`` (counted from 1, as in the file without its
        header), ``label`` and ``probability_<label>`` of each, null where a text is blank, to be
        read once; the counts: ``rows``, ``blank``, ``cannot_tell``, ``labels`` (rows by label),
        ``tokens`` and ``unknown_token_share``; and an HTML page with both.

    Raises:
        ValueError: A text column is missing, holds no texts, or there is no row.
    """
    seen, first = Seen(), list[pd.DataFrame]()
    counts: dict[str, Any] = {"rows": 0, "blank": 0, "cannot_tell": 0, "labels": {}}

    def answered() -> Iterator[pa.Table]:
        schema = None
        for chunk in sliced(chunks, ROWS):
            frame = _texts(chunk, classifier.text_columns)
            answers = _answers(frame, classifier, seen)
            answers.insert(0, "row", np.arange(len(frame)) + counts["rows"] + 1)
            _count(counts, answers)
            if not first:
                first.extend([frame.head(SHOWN), answers.head(SHOWN)])
            schema = schema or _schema(answers, getattr(classifier, "multi_label", False))
            yield pa.Table.from_pandas(answers, schema, preserve_index=False)
        if not counts["rows"]:
            raise ValueError("new_rows holds no row: give at least one text")

    found = spooled(answered())
    counts |= {"tokens": seen.tokens, "unknown_token_share": seen.unknown / max(seen.tokens, 1)}
    _log(counts)
    return found, counts, _page(counts, first[1], first[0])


def _texts(chunk: pa.Table, names: Sequence[str]) -> pd.DataFrame:
    """The text columns, "" where there is none."""
    if absent := [name for name in names if name not in chunk.column_names]:
        raise ValueError(
            f"new_rows has no column {absent[0]!r}, only {', '.join(map(repr, chunk.column_names))}"
            f": the classifier reads {', '.join(map(repr, names))}"
        )
    fields = {}
    for name in names:
        column = chunk[name]
        if pa.types.is_null(column.type) or pa.types.is_dictionary(column.type):
            column = column.cast(getattr(column.type, "value_type", pa.string()))
        if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
            raise ValueError(
                f"the column {name!r} of new_rows holds {column.type}, no texts: name the right "
                f"one, or set `types: {{{name}: string}}` in the catalog entry"
            )
        fields[name] = column.to_pandas().astype(object).fillna("")
    return pd.DataFrame(fields)


def _answers(frame: pd.DataFrame, classifier: Reader, seen: Seen) -> pd.DataFrame:
    """Answers in the order of the rows; null where there is nothing to read."""
    written = np.logical_or.reduce([frame[name].str.strip() != "" for name in frame])
    found = classifier.predict(frame[written], seen=seen)
    return found.set_axis(np.flatnonzero(written)).reindex(range(len(frame)))


def _schema(answers: pd.DataFrame, several: bool) -> pa.Schema:
    """The types of the answers, also where the first texts are all blank or without a label."""
    label = pa.list_(pa.string()) if several else pa.string()
    numbers = [(name, pa.float64()) for name in answers if str(name).startswith(PROBABILITY)]
    return pa.schema([("row", pa.int64()), ("label", label), *numbers])


def _count(counts: dict[str, Any], answers: pd.DataFrame) -> None:
    """Add some rows to the counts."""
    blank = answers.iloc[:, -1].isna()
    labels = answers.loc[~blank, "label"]
    several = labels.map(lambda label: isinstance(label, list)).any()
    found = Counter(labels.explode().dropna() if several else labels.dropna())
    counts["rows"] += len(answers)
    counts["blank"] += int(blank.sum())
    counts["cannot_tell"] += 0 if several else int(labels.isna().sum())
    for name in classes_of(answers):
        counts["labels"][name] = counts["labels"].get(name, 0) + int(found[name])


def _headline(counts: dict[str, Any]) -> str:
    text = f"{counts['rows'] - counts['blank']:,} of {counts['rows']:,} rows classified"
    for key, words in (("blank", "blank"), ("cannot_tell", "without an answer: not sure enough")):
        if counts[key]:
            text += f"; {counts[key]:,} {words}"
    unknown = show(counts["unknown_token_share"], "share")
    return f"{text}. {unknown} of the tokens are unknown to the model."


def _log(counts: dict[str, Any]) -> None:
    logger.info(_headline(counts))
    if counts["unknown_token_share"] >= MANY_UNKNOWN:
        logger.warning(
            "%.0f %% of the tokens are unknown to the model: are these texts of the language and "
            "kind that it was trained on?",
            100 * counts["unknown_token_share"],
        )


def _page(counts: dict[str, Any], answers: pd.DataFrame, texts: pd.DataFrame) -> str:
    rows = max(counts["rows"], 1)
    labels = pd.DataFrame(
        [(name, f"{n:,}", show(n / rows, "share")) for name, n in counts["labels"].items()],
        columns=["Label", "Rows", "Share"],
    )
    first = answers.head(len(texts))
    probabilities = first.filter(like=PROBABILITY).max(axis=1)
    shown = pd.DataFrame(
        {
            "row": first["row"].astype(str),
            "label": [text or "–" for text in label_texts(first["label"].to_numpy(object))],
            "highest probability": ["–" if p != p else f"{p:.3f}" for p in probabilities],
            "text": [excerpt("\n".join(fields), EXCERPT) for fields in texts.to_numpy(object)],
        }
    )
    blocks: list[Block] = [Table(labels, numbers=("Rows", "Share"))]
    if counts["blank"]:
        blocks.append(Note(f"Rows without text, and so without label: {counts['blank']:,}."))
    if counts["cannot_tell"]:
        blocks.append(
            Note(
                "Rows in which no label reaches the probability from which on the classifier "
                f"answers: {counts['cannot_tell']:,}."
            )
        )
    first_rows: list[Block] = [Table(shown, numbers=("row", "highest probability"))]
    sections = [Section("Answers", blocks), Section("First rows", first_rows)]
    return html_page("Classified texts", _headline(counts), sections)
