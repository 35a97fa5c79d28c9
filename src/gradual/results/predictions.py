"""Predictions row by row, and the rows worth reading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from gradual.results.decisions import above

PROBABILITY = "probability_"
BASELINE = "baseline_probability_"
MOST_WRONG, MOST_RIGHT, MOST_UNCERTAIN = "most wrong", "most right", "most uncertain"


@dataclass(frozen=True)
class Labelled:
    """Labels and probabilities that fit together.

    Attributes:
        truth: ``(n,)`` index of each row's class.
        probabilities: ``(n, classes)`` float64, every row sums to 1.
        classes: Names of the columns.
    """

    truth: np.ndarray
    probabilities: np.ndarray
    classes: tuple[str, ...]

    @property
    def predicted(self) -> np.ndarray:
        """``(n,)`` index of the most probable class; the first one where several are."""
        return self.probabilities.argmax(axis=1)

    @property
    def correct(self) -> np.ndarray:
        """``(n,)`` whether the most probable class is the row's own."""
        return self.predicted == self.truth


def check_scored(
    labels: Sequence[str] | np.ndarray, probabilities: np.ndarray, classes: Sequence[str]
) -> Labelled:
    """Check that labels and probabilities fit together.

    Args:
        labels: ``(n,)`` class name of each row.
        probabilities: ``(n, classes)`` probabilities, one row per label.
        classes: Class names, in the order of the columns.

    Returns:
        Indices and renormalised probabilities in double precision.

    Raises:
        ValueError: For no rows, wrong shapes, labels that are not among the classes,
            probabilities that are not finite, negative or do not sum to one.
    """
    names = tuple(str(name) for name in classes)
    if len(names) < 2 or len(set(names)) != len(names):
        raise ValueError(f"classes: need at least two different names, got {list(names)}.")
    values = np.asarray(probabilities, dtype=np.float64)
    truth_names = np.asarray(labels, dtype=object)
    expected = (len(truth_names), len(names))
    if truth_names.ndim != 1 or values.shape != expected:
        raise ValueError(
            f"probabilities: shape {values.shape} does not fit {truth_names.shape} labels and "
            f"{len(names)} classes; expected {expected}."
        )
    if len(values) == 0:
        raise ValueError("labels: no rows to score; check the split that chose them.")
    index = {name: position for position, name in enumerate(names)}
    for row, label in enumerate(truth_names):
        if label not in index:
            raise ValueError(
                f"labels: row {row} has {label!r}, which is not among the classes {list(names)}."
            )
    finite = np.isfinite(values).all(axis=1)
    totals = values.sum(axis=1)
    for problem, good in (
        ("a value that is not finite", finite),
        ("a negative value", ~finite | (values >= 0).all(axis=1)),
        ("a sum that is not 1", ~finite | (np.abs(totals - 1) < 1e-2)),
    ):
        if not good.all():
            row = int(np.flatnonzero(~good)[0])
            raise ValueError(
                f"probabilities: row {row} has {problem}: {values[row].tolist()}; give the output "
                "of a softmax over the classes."
            )
    truth = np.array([index[label] for label in truth_names], dtype=np.int64)
    return Labelled(truth, values / totals[:, None], names)


def predictions_table(
    rows: np.ndarray,
    labels: Sequence[str] | np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    *,
    baseline_probabilities: np.ndarray | None = None,
    sources: Sequence[str] | None = None,
    texts: Sequence[str] | None = None,
    abstain_below: float | None = None,
) -> pd.DataFrame:
    """Put everything about each scored row into one table.

    Args:
        rows: ``(n,)`` ids of the rows in the documents table.
        labels: ``(n,)`` true class names.
        probabilities: ``(n, classes)`` of the model.
        classes: Class names, in the order of the columns.
        baseline_probabilities: ``(n, classes)`` of the baseline on the same rows.
        sources: ``(n,)`` where each text came from.
        texts: ``(n,)`` the texts themselves.
        abstain_below: The model cannot tell where its most probable class is less probable.

    Returns:
        ``row``, ``source``, ``label``, ``predicted``, ``correct``, ``answered`` (false where the
        model cannot tell; ``predicted`` is its guess there), ``probability_<class>`` …,
        ``baseline_predicted``, ``baseline_correct``, ``baseline_probability_<class>`` …, ``text``;
        what was not given is not there.

    Raises:
        ValueError: If lengths, labels or probabilities do not fit together.
    """
    scored = check_scored(labels, probabilities, classes)
    names = np.array(scored.classes, dtype=object)
    for name, values in (("rows", rows), ("sources", sources), ("texts", texts)):
        if values is not None and len(values) != len(scored.truth):
            raise ValueError(f"{name}: {len(values)} values for {len(scored.truth)} labels.")
    columns: dict[str, object] = {"row": np.asarray(rows, dtype=np.int64)}
    if sources is not None:
        columns["source"] = np.asarray(sources, dtype=object)
    columns["label"] = names[scored.truth]
    columns["predicted"] = names[scored.predicted]
    columns["correct"] = scored.correct
    if abstain_below is not None:
        # The model's own numbers: renormalised ones may fall on the other side.
        columns["answered"] = above(np.asarray(probabilities).max(axis=1), abstain_below)
    for k, name in enumerate(scored.classes):
        columns[f"{PROBABILITY}{name}"] = scored.probabilities[:, k]
    if baseline_probabilities is not None:
        other = check_scored(labels, baseline_probabilities, classes)
        columns["baseline_predicted"] = names[other.predicted]
        columns["baseline_correct"] = other.correct
        for k, name in enumerate(scored.classes):
            columns[f"{BASELINE}{name}"] = other.probabilities[:, k]
    if texts is not None:
        columns["text"] = np.asarray(texts, dtype=object)
    frame = pd.DataFrame(columns)
    return frame.astype({name: "str" for name in frame if frame[name].dtype == object})


def classes_of(predictions: pd.DataFrame) -> tuple[str, ...]:
    """Return the class names of a predictions table, in the order of its probabilities.

    Raises:
        ValueError: If it has no column of probabilities.
    """
    columns = [str(name) for name in predictions.columns]
    found = tuple(
        name.removeprefix(PROBABILITY) for name in columns if name.startswith(PROBABILITY)
    )
    if not found:
        raise ValueError(f"predictions: no column starts with {PROBABILITY!r}, only {columns}.")
    return found


def probabilities_of(predictions: pd.DataFrame, prefix: str = PROBABILITY) -> np.ndarray | None:
    """Return ``(n, classes)`` probabilities of a predictions table.

    Args:
        predictions: From `predictions_table`.
        prefix: `PROBABILITY` for the model's, `BASELINE` for the baseline's.

    Returns:
        The probabilities, or None if the table has none with this prefix.
    """
    columns = [f"{prefix}{name}" for name in classes_of(predictions)]
    if not set(columns) <= set(predictions):
        return None
    return predictions[columns].to_numpy(np.float64)


def choose_examples(
    predictions: pd.DataFrame, k: int = 10, excerpt_length: int = 400
) -> pd.DataFrame:
    """Choose the rows that the model was most wrong, most right and most uncertain about.

    Wrong and right are ordered by the probability of the predicted class; uncertain by how little
    the two most probable classes differ. Ties keep the row order.

    Args:
        predictions: From `predictions_table`, with texts for an excerpt.
        k: Rows of each kind, fewer where there are not as many.
        excerpt_length: Longer texts lose their middle: an opinion often stands at the end.

    Returns:
        ``kind``, ``row``, ``label``, ``predicted``, ``probability`` (of the predicted class),
        ``baseline_predicted`` and ``text`` where known.
    """
    probabilities = probabilities_of(predictions)
    assert probabilities is not None
    ordered = np.sort(probabilities, axis=1)
    top, margin = ordered[:, -1], ordered[:, -1] - ordered[:, -2]
    correct = predictions["correct"].to_numpy(bool)
    chosen = {
        MOST_WRONG: _first(-top, ~correct, k),
        MOST_RIGHT: _first(-top, correct, k),
        MOST_UNCERTAIN: _first(margin, np.ones(len(top), bool), k),
    }
    known = [name for name in ("baseline_predicted", "text") if name in predictions]
    parts = []
    for kind, places in chosen.items():
        part = predictions.iloc[places][["row", "label", "predicted", *known]].copy()
        part.insert(0, "kind", kind)
        part.insert(4, "probability", top[places])
        parts.append(part)
    table = pd.concat(parts, ignore_index=True)
    if "text" in table:
        table["text"] = [excerpt(text, excerpt_length) for text in table["text"]]
    return table


def _first(order: np.ndarray, allowed: np.ndarray, k: int) -> np.ndarray:
    """Return the places of the k smallest values among those allowed."""
    places = np.flatnonzero(allowed)
    return places[np.argsort(order[places], kind="stable")[:k]]


def excerpt(text: str, length: int) -> str:
    """Shorten a text to about so many characters by cutting words out of its middle."""
    text = " ".join(text.replace("<br />", " ").split())
    if len(text) <= length:
        return text
    half = max(1, (length - 3) // 2)
    head, tail = text[:half], text[-half:]
    return f"{head.rsplit(' ', 1)[0]} … {tail.split(' ', 1)[-1]}"
