"""Labels to targets: one class a document, or any number of labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Targets:
    """What a classifier learns to say about each document.

    Attributes:
        labels: Names of the classes, sorted.
        multi_label: Whether a document may have any number of them, none included.
        values: One class a document: ``(n,)`` int64, its number, -1 where none is known. Several:
            ``(n, classes)`` bool; a row without known labels is False throughout.
    """

    labels: tuple[str, ...]
    multi_label: bool
    values: np.ndarray


def as_array(labels: Sequence[Any]) -> np.ndarray:
    """Return labels, or lists of labels, as an object array with one element a document."""
    return np.fromiter(labels, dtype=object, count=len(labels))


def is_multi_label(labels: np.ndarray) -> bool:
    """Return whether the known labels are lists of labels.

    Raises:
        ValueError: If some are lists and some are not.
    """
    known = np.flatnonzero(~_missing(labels))
    lists = np.array([isinstance(labels[row], list | tuple | np.ndarray) for row in known], bool)
    if lists.any() and not lists.all():
        row = int(known[~lists][0])
        raise ValueError(
            f"row {row} has the label {labels[row]!r}, others have lists of labels: give every "
            "document a list (an empty one for no label), or every document one label"
        )
    return bool(lists.any())


def encode_labels(labels: np.ndarray, train: np.ndarray, valid: np.ndarray) -> Targets:
    """Number the labels that occur in the training rows.

    Args:
        labels: ``(n,)`` objects: a label a document, or a list of labels; None where not known.
        train: Numbers of the training documents.
        valid: Numbers of the validation documents.

    Returns:
        The targets of all documents; a label that only other rows have counts for nothing there.

    Raises:
        ValueError: If there are no training or validation rows, one of them is not labelled, there
            is nothing to tell apart, or a validation row has a label that no training row has. The
            message names the row.
    """
    labels = np.asarray(labels, dtype=object)
    missing = _missing(labels)
    for name, rows in (("training", train), ("validation", valid)):
        if not len(rows):
            raise ValueError(f"there are no {name} documents: check the split's parameters")
        if missing[rows].any():
            row = rows[missing[rows]][0]
            raise ValueError(
                f"row {row} is a {name} document without label: give it one or leave it out"
            )
    multi_label = is_multi_label(labels)
    documents, written = _pairs(labels, missing, multi_label)
    trained = np.isin(documents, train)
    names = sorted(set(written[trained]))
    if not names:
        raise ValueError(
            f"none of the {len(train)} training documents has a label: check label column and split"
        )
    if len(names) < 2 and not multi_label:
        raise ValueError(
            f"all {len(train)} training documents have the label {names[0]!r}: a classifier needs "
            "at least two labels; check label column and split"
        )
    codes = pd.Index(names).get_indexer(pd.Index(written))
    unseen = np.flatnonzero((codes < 0) & np.isin(documents, valid))
    if len(unseen):
        raise ValueError(
            f"row {documents[unseen[0]]} of the validation documents has label "
            f"{written[unseen[0]]!r}, which no training document has (those have "
            f"{', '.join(names)}): correct it, or split so that every label is trained on"
        )
    if multi_label:
        return Targets(tuple(names), True, indicators(labels, names))
    known = codes >= 0
    one = np.full(len(labels), -1, np.int64)
    one[documents[known]] = codes[known]
    return Targets(tuple(names), False, one)


def indicators(labels: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Return which documents have which labels.

    Args:
        labels: ``(n,)`` objects: a list of labels a document; None where not known.
        names: The labels that count; others are left out.

    Returns:
        ``(n, names)`` bool.
    """
    documents, written = _pairs(labels, _missing(labels), multi_label=True)
    codes = pd.Index(list(names)).get_indexer(pd.Index(written))
    flags = np.zeros((len(labels), len(names)), bool)
    flags[documents[codes >= 0], codes[codes >= 0]] = True
    return flags


def class_shares(labels: np.ndarray) -> dict[str, float]:
    """Return the share of each label, a label a document or a list of them, the largest first."""
    written = _pairs(labels, _missing(labels), is_multi_label(labels))[1]
    counts = pd.Series(written, dtype=object).value_counts() / max(len(labels), 1)
    return {str(name): float(share) for name, share in counts.items()}


def class_weights(
    targets: Targets, train: np.ndarray, wanted: str | Mapping[str, float]
) -> np.ndarray | None:
    """Return how much each class counts in the loss.

    Balanced weights give every class the same total: with one class a document n / (classes x
    count), which is 1 on average over the rows (King & Zeng 2001); with several labels the weight
    of a label where it is present, (n - count) / count.

    Args:
        targets: Of all documents.
        train: Numbers of the training documents, the only ones that are counted.
        wanted: "none", "balanced", or a weight by label; labels not named weigh 1.

    Returns:
        ``(classes,)`` float32, or None for "none".

    Raises:
        ValueError: If a label is named that no training document has.
    """
    if wanted == "none":
        return None
    if isinstance(wanted, Mapping):
        if unknown := sorted(set(wanted) - set(targets.labels)):
            raise ValueError(
                f"class_weights names {', '.join(map(repr, unknown))}, which no training document "
                f"has (those have {', '.join(targets.labels)}): correct the name or leave it out"
            )
        return np.array([wanted.get(label, 1.0) for label in targets.labels], np.float32)
    values = targets.values[train]
    if targets.multi_label:
        counts = values.sum(axis=0)
        # A label that every row has needs no weight; 0 would leave it out of the loss.
        balanced = np.where(counts < len(train), (len(train) - counts) / counts, 1.0)
    else:
        counts = np.bincount(values, minlength=len(targets.labels))
        balanced = len(train) / (len(counts) * counts)
    return balanced.astype(np.float32)


def label_texts(labels: np.ndarray) -> list[str | None]:
    """Return labels as people read them: a list of labels becomes one text; None stays None."""
    texts: list[str | None] = []
    for label, missing in zip(labels, _missing(labels), strict=True):
        several = isinstance(label, list | tuple | np.ndarray)
        text = joined([str(name) for name in label]) if several else str(label)
        texts.append(None if missing else text)
    return texts


def joined(labels: Sequence[str]) -> str:
    """Return the labels of one document as one text."""
    return "; ".join(labels) or "no label"


def _missing(labels: np.ndarray) -> np.ndarray:
    """Return where no label is known; an empty list is known."""
    return np.fromiter((x is None or x is pd.NA or x != x for x in _scalars(labels)), bool)


def _scalars(labels: np.ndarray) -> list[Any]:
    return ["" if isinstance(x, list | tuple | np.ndarray) else x for x in labels]


def _pairs(
    labels: np.ndarray, missing: np.ndarray, multi_label: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return every label that occurs, (pairs,), with the number of its document."""
    rows = np.flatnonzero(~missing)
    if multi_label:
        counts = np.fromiter(map(len, labels[rows]), np.int64, len(rows))
        found: list[Any] = list(chain.from_iterable(labels[rows]))
        rows = np.repeat(rows, counts)
    else:
        found = list(labels[rows])
    return rows, np.fromiter(map(str, found), dtype=object, count=len(found))
