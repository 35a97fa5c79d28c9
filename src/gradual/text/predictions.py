"""What was said of each document: one row a document, of one label or any number of them.

A table of one label a document is `gradual.results.predictions.predictions_table`. One of several
has, for each label, ``true_<label>``, ``predicted_<label>``, ``probability_<label>`` and, of the
n-grams, ``baseline_predicted_<label>`` and ``baseline_probability_<label>``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from gradual.results import predictions as single
from gradual.results.decisions import above, f1_thresholds
from gradual.results.predictions import (
    BASELINE,
    MOST_RIGHT,
    MOST_UNCERTAIN,
    MOST_WRONG,
    PROBABILITY,
    excerpt,
)
from gradual.text.labels import indicators, joined
from gradual.training.bundle import Bundle

TRUE, PREDICTED, BASELINE_PREDICTED = "true_", "predicted_", "baseline_predicted_"
FORWARD, BACKWARD = "forward_probability_", "backward_probability_"
MEMBERS = {
    "classifier": "classifier_probability_",
    "ensemble": "ensemble_probability_",
    "stack": "stack_probability_",
    "forward": FORWARD,
    "backward": BACKWARD,
    "ngrams": BASELINE,
}
"""The prefix of the probabilities of each model; those without one are the served model's."""


def predict_parts(
    classifier: Bundle,
    found: Mapping[str, tuple[np.ndarray, np.ndarray]],
    baseline: pd.DataFrame,
    *,
    labels: np.ndarray,
    sources: np.ndarray,
    texts: np.ndarray,
) -> dict[str, pd.DataFrame]:
    """Put what classifier and n-grams said of the rows of each part into a table.

    Where a document may have several labels, the n-grams' thresholds are chosen as the
    classifier's were: for the highest F1 on the validation rows.

    Args:
        classifier: Has the labels and the `decision`.
        found: By part, "valid" among them: numbers of the documents, and the classifier's
            probabilities ``(rows, labels)``.
        baseline: From `gradual.text.ngrams.ngram_answers`.
        labels: Of every document.
        sources: Where each document came from.
        texts: Of every document.

    Returns:
        A table by part.
    """
    names, decision = classifier.metadata["labels"], classifier.metadata["decision"]
    of_baseline = {part: baseline.loc[baseline["part"] == part, names].to_numpy() for part in found}
    if not classifier.metadata["multi_label"]:
        return {
            part: single.predictions_table(
                *(rows, labels[rows], probabilities, names),
                baseline_probabilities=of_baseline[part],
                abstain_below=decision["abstain_below"],
                sources=sources[rows],
                texts=texts[rows],
            )
            for part, (rows, probabilities) in found.items()
        }
    truth = indicators(labels, names)
    chosen = f1_thresholds(truth[found["valid"][0]], of_baseline["valid"], names)
    return {
        part: labels_table(
            *(rows, truth[rows], probabilities, names),
            np.array([decision["thresholds"][name] for name in names]),
            baseline_probabilities=of_baseline[part],
            baseline_thresholds=chosen,
            sources=sources[rows],
            texts=texts[rows],
        )
        for part, (rows, probabilities) in found.items()
    }


def labels_table(
    rows: np.ndarray,
    truth: np.ndarray,
    probabilities: np.ndarray,
    labels: Sequence[str],
    thresholds: np.ndarray,
    *,
    baseline_probabilities: np.ndarray | None = None,
    baseline_thresholds: np.ndarray | None = None,
    sources: Sequence[str] | np.ndarray | None = None,
    texts: Sequence[str] | np.ndarray | None = None,
) -> pd.DataFrame:
    """Put everything about each scored row, which may have several labels, into one table.

    Args:
        rows: ``(n,)`` ids of the rows in the documents table.
        truth: ``(n, labels)`` bool.
        probabilities: ``(n, labels)`` of the model.
        labels: Names, in the order of the columns.
        thresholds: ``(labels,)``: a label is predicted where its probability reaches its threshold.
        baseline_probabilities: ``(n, labels)`` of the baseline on the same rows.
        baseline_thresholds: ``(labels,)`` of the baseline.
        sources: ``(n,)`` where each text came from.
        texts: ``(n,)`` the texts themselves.

    Returns:
        ``row``, ``source``, ``label`` and ``predicted`` (all labels as one text), ``correct``
        (whether all are right), ``margin`` (distance of the label nearest to its threshold), then
        the columns of each label; ``text``.

    Raises:
        ValueError: If shapes do not fit, there are no rows, or a value is no probability.
    """
    truth, values = np.asarray(truth), _checked(probabilities, truth, labels)
    predicted, names = above(values, thresholds), np.array(labels, dtype=object)
    columns: dict[str, Any] = {"row": np.asarray(rows, dtype=np.int64)}
    if sources is not None:
        columns["source"] = list(sources)
    columns |= {
        "label": _joined(names, truth.astype(bool)),
        "predicted": _joined(names, predicted),
        "correct": (truth == predicted).all(axis=1),
        "margin": np.abs(values - thresholds).min(axis=1),
    }
    sets = {TRUE: truth, PREDICTED: predicted, PROBABILITY: values}
    if baseline_probabilities is not None and baseline_thresholds is not None:
        other = _checked(baseline_probabilities, truth, labels)
        sets |= {BASELINE_PREDICTED: above(other, baseline_thresholds), BASELINE: other}
    for prefix, of_set in sets.items():
        columns |= {f"{prefix}{label}": of_set[:, k] for k, label in enumerate(labels)}
    if texts is not None:
        columns["text"] = list(texts)
    return pd.DataFrame(columns)


def _joined(names: np.ndarray, flags: np.ndarray) -> list[str]:
    return [joined(names[row].tolist()) for row in flags]


def _checked(probabilities: np.ndarray, truth: np.ndarray, labels: Sequence[str]) -> np.ndarray:
    values = np.asarray(probabilities, np.float64)
    if values.shape != truth.shape or values.shape != (len(truth), len(labels)):
        raise ValueError(
            f"probabilities: shape {values.shape} does not fit truth of shape {truth.shape} and "
            f"{len(labels)} labels"
        )
    if not len(values):
        raise ValueError("truth: no rows to score; check the split that chose them")
    wrong = np.flatnonzero(~((values >= 0) & (values <= 1)).all(axis=1))
    if len(wrong):
        raise ValueError(
            f"probabilities: row {wrong[0]} has {values[wrong[0]].tolist()}; give the output of a "
            "sigmoid for each label"
        )
    return values


# ------------------------------------------------------------------------------------- reading


def is_multi_label(predictions: pd.DataFrame) -> bool:
    """Return whether a table of predictions is one of several labels a row."""
    return any(str(name).startswith(TRUE) for name in predictions.columns)


def labels_of(predictions: pd.DataFrame) -> tuple[str, ...]:
    """Return the labels of a predictions table, in the order of its columns."""
    return single.classes_of(predictions)


def values_of(predictions: pd.DataFrame, prefix: str) -> np.ndarray:
    """Return the ``(n, labels)`` values of the columns with a prefix.

    Raises:
        KeyError: There are none.
    """
    return predictions[[f"{prefix}{label}" for label in labels_of(predictions)]].to_numpy()


def probabilities_by(predictions: pd.DataFrame, model: str) -> dict[str, np.ndarray]:
    """Return the ``(n, labels)`` probabilities of each model of a table, by its name.

    Args:
        predictions: A table.
        model: What the model of the table's own columns is called.
    """
    prefixes, first = {**MEMBERS, model: PROBABILITY}, labels_of(predictions)[0]
    return {
        name: values_of(predictions, prefix).astype(np.float64)
        for name, prefix in prefixes.items()
        if f"{prefix}{first}" in predictions
    }


def served_model(predictions: pd.DataFrame, net: str = "classifier") -> str:
    """Return the name of the model that the table's own columns, without a prefix, are of.

    Args:
        predictions: A table.
        net: What it is called where the table does not say.
    """
    first = labels_of(predictions)[0]
    own = predictions[f"{PROBABILITY}{first}"]
    columns = {name: f"{MEMBERS[name]}{first}" for name in (net, *MEMBERS)}
    for name, column in columns.items():
        if column in predictions and np.allclose(predictions[column], own, rtol=0, atol=1e-12):
            return name
    return net


def pooled(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return every pair of row and label as a row of its own, of the classes "no" and "yes"."""
    yes = values_of(predictions, TRUE).ravel().astype(bool)
    table: dict[str, Any] = {"label": np.where(yes, "yes", "no")}
    for name, found in probabilities_by(predictions, "model").items():
        prefix = MEMBERS.get(name, PROBABILITY)
        table |= {f"{prefix}no": 1 - found.ravel(), f"{prefix}yes": found.ravel()}
    return pd.DataFrame(table)


def choose_examples(
    predictions: pd.DataFrame, k: int = 10, excerpt_length: int = 400
) -> pd.DataFrame:
    """Choose the rows that the model was most wrong, most right and most uncertain about.

    Where a row may have several labels, wrong (a label missing or too many) and right (all as they
    should be) are ordered by the loss; uncertain by how near a label came to its threshold. Ties
    keep the row order.

    Args:
        predictions: A table with texts.
        k: Rows of each kind, fewer where there are not as many.
        excerpt_length: Longer texts lose their middle.

    Returns:
        ``kind``, ``row``, ``label``, ``predicted``, ``text`` and ``probability`` (of the predicted
        class), or ``loss`` (nats, over all labels) where there may be several.
    """
    if not is_multi_label(predictions):
        return single.choose_examples(predictions, k, excerpt_length)
    truth, values = values_of(predictions, TRUE), values_of(predictions, PROBABILITY)
    own = np.maximum(np.where(truth, values, 1 - values), 1e-15)
    table = predictions[["row", "label", "predicted"]].assign(loss=-np.log(own).sum(axis=1))
    if "text" in predictions:
        table["text"] = [excerpt(text, excerpt_length) for text in predictions["text"]]
    right = predictions["correct"].to_numpy(bool)
    chosen = {
        MOST_WRONG: table[~right].sort_values("loss", ascending=False, kind="stable"),
        MOST_RIGHT: table[right].sort_values("loss", kind="stable"),
        MOST_UNCERTAIN: table.iloc[np.argsort(predictions["margin"].to_numpy(), kind="stable")],
    }
    parts = [part.head(k).assign(kind=kind) for kind, part in chosen.items()]
    result = pd.concat(parts, ignore_index=True)
    return result[["kind", *(name for name in result if name != "kind")]]


def rows_fingerprint(predictions: pd.DataFrame) -> str:
    """Return a hash of the rows of a table: where they stand, their texts and labels."""
    columns = [name for name in ("source", "text", "label") if name in predictions]
    return hashlib.sha256(
        "\0".join("\0".join(predictions[name].astype(str)) for name in columns).encode()
    ).hexdigest()


# ------------------------------------------------------------------------------- two directions


def average_predictions(forward: pd.DataFrame, backward: pd.DataFrame) -> pd.DataFrame:
    """Average the probabilities of two classifiers on the same rows.

    Args:
        forward: A table of one label a row, with sources; its baseline is kept. Where it says what
            the classifier itself answered, that counts, whatever is served.
        backward: The same of the other classifier; row `i` of both is the same document.

    Returns:
        The ensemble's predictions table, with ``forward_probability_<class>`` and
        ``backward_probability_<class>``.

    Raises:
        ValueError: The tables differ in rows, sources, labels or classes.
    """
    check_same_rows(forward, backward)
    classes = labels_of(forward)
    found = [probabilities_by(table, "served") for table in (forward, backward)]
    own, other = (by.get("classifier", by["served"]) for by in found)
    table = single.predictions_table(
        forward["row"].to_numpy(),
        forward["label"].to_numpy(object),
        (own + other) / 2,
        classes,
        baseline_probabilities=single.probabilities_of(forward, BASELINE),
        sources=forward["source"].tolist(),
        texts=forward["text"].tolist() if "text" in forward else None,
    )
    members = {
        f"{prefix}{label}": values[:, k]
        for prefix, values in ((FORWARD, own), (BACKWARD, other))
        for k, label in enumerate(classes)
    }
    return table.assign(**members)


def check_same_rows(forward: pd.DataFrame, backward: pd.DataFrame) -> None:
    """Raise ValueError unless two predictions tables are of the same documents."""
    remedy = (
        "run both pipelines with the same data source and the same settings of documents and "
        "classifier_split"
    )
    if labels_of(forward) != labels_of(backward):
        raise ValueError(
            f"the forward predictions are of the classes {list(labels_of(forward))}, the backward "
            f"ones of {list(labels_of(backward))}: {remedy}"
        )
    if len(forward) != len(backward):
        raise ValueError(
            f"there are forward predictions of {len(forward):,} rows and backward ones of "
            f"{len(backward):,}: {remedy}"
        )
    for column in ("source", "label"):
        for name, table in (("forward", forward), ("backward", backward)):
            if column not in table:
                raise ValueError(f"the {name} predictions have no column {column!r}: {remedy}")
        ours, theirs = forward[column].to_numpy(object), backward[column].to_numpy(object)
        if (ours != theirs).any():
            row = int(np.flatnonzero(ours != theirs)[0])
            raise ValueError(
                f"row {row} of the forward predictions ({forward['source'].iloc[row]}) has the "
                f"{column} {ours[row]!r}, of the backward ones {theirs[row]!r}: {remedy}"
            )
