"""What any text classifier has to beat: word counts, and always saying the same."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

logger = logging.getLogger(__name__)

REGULARISATION = 10.0
"""Inverse strength C that suits TF-IDF features on texts of a few hundred to 25,000 rows."""


def fit_predict_baseline(
    texts: Sequence[str],
    labels: Sequence[str | None] | np.ndarray,
    train_rows: np.ndarray,
    *,
    classes: Sequence[str],
    predict_rows: np.ndarray | None = None,
    valid_rows: np.ndarray | None = None,
    regularisation: float | Sequence[float] = REGULARISATION,
    max_features: int | None = 500_000,
) -> np.ndarray:
    """Fit TF-IDF of words and word pairs with logistic regression, and predict.

    A strong and cheap rival for sentiment (Wang & Manning 2012). Words keep their apostrophes
    ("don't"); emoji, "!" and "?" count as words, HTML breaks as blanks. Pairs that occur once are
    dropped; term counts are damped (1 + log). Deterministic.

    Args:
        texts: One text per row; join several columns before.
        labels: One class name per row; None where unknown.
        train_rows: ``(n,)`` bool, the rows to learn from: words, weights, everything.
        classes: Class names, in the order of the returned columns.
        predict_rows: ``(n,)`` bool, the rows to predict; all by default.
        valid_rows: ``(n,)`` bool, rows on which to choose the regularisation if several are given.
        regularisation: C of the logistic regression, or several to choose from by accuracy.
        max_features: At most so many words and pairs, the most frequent ones.

    Returns:
        ``(predicted rows, classes)`` probabilities, float64, in row order.

    Raises:
        ValueError: If masks do not fit, or overlap, a training label is not among the classes,
            or there is nothing to choose the regularisation on.
    """
    names = [str(name) for name in classes]
    truth = np.asarray(labels, dtype=object)
    n = len(texts)
    train = _mask("train_rows", train_rows, n)
    predict = np.ones(n, bool) if predict_rows is None else _mask("predict_rows", predict_rows, n)
    if len(truth) != n:
        raise ValueError(f"labels: {len(truth)} labels for {n} texts.")
    if not train.any():
        raise ValueError("train_rows: no rows to fit the baseline on.")
    unknown = sorted({str(label) for label in truth[train]} - set(names))
    if unknown:
        raise ValueError(f"labels: {unknown} in the training rows are not among {names}.")
    occurring = set(truth[train])
    if len(occurring) == 1:
        logger.warning("Only %r occurs in the training rows: the baseline is constant.", *occurring)
        return majority_baseline(truth, train, classes=names, n=int(predict.sum()))
    strengths = [regularisation] if isinstance(regularisation, (int, float)) else [*regularisation]

    vectorizer = _vectorizer(int(train.sum()), max_features)
    features = vectorizer.fit_transform(_select(texts, train))
    strength = strengths[0]
    if len(strengths) > 1:
        if valid_rows is None:
            raise ValueError("regularisation: give valid_rows to choose among several values.")
        valid = _mask("valid_rows", valid_rows, n)
        if (valid & train).any() or not valid.any():
            raise ValueError("valid_rows: need rows, and none that is also a training row.")
        held_out = vectorizer.transform(_select(texts, valid))
        scores = [
            _fit(features, truth[train], value).score(held_out, truth[valid].astype(str))
            for value in strengths
        ]
        strength = strengths[int(np.argmax(scores))]
        logger.info("Baseline: C = %g has the best validation accuracy of %s.", strength, strengths)
    model = _fit(features, truth[train], strength)
    found = model.predict_proba(vectorizer.transform(_select(texts, predict))).astype(np.float64)
    probabilities = np.zeros((len(found), len(names)))
    probabilities[:, [names.index(name) for name in model.classes_]] = found
    return probabilities / probabilities.sum(axis=1, keepdims=True)


def fit_predict_multilabel_baseline(
    texts: Sequence[str],
    truth: np.ndarray,
    train_rows: np.ndarray,
    *,
    predict_rows: np.ndarray | None = None,
    regularisation: float = REGULARISATION,
    max_features: int | None = 500_000,
) -> np.ndarray:
    """Fit TF-IDF with one logistic regression a label, each against its absence, and predict.

    Args:
        texts: One text per row; join several columns before.
        truth: ``(n, labels)`` bool.
        train_rows: ``(n,)`` bool, the rows to learn from.
        predict_rows: ``(n,)`` bool, the rows to predict; all by default.
        regularisation: C of the logistic regressions.
        max_features: At most so many words and pairs, the most frequent ones.

    Returns:
        ``(predicted rows, labels)`` probabilities, float64, in row order; a label that all training
        rows have, or none, has its share of them everywhere.

    Raises:
        ValueError: If masks or truth do not fit, or there is nothing to learn from.
    """
    n = len(texts)
    train = _mask("train_rows", train_rows, n)
    predict = np.ones(n, bool) if predict_rows is None else _mask("predict_rows", predict_rows, n)
    if truth.ndim != 2 or len(truth) != n or not train.any():
        raise ValueError(
            f"truth: shape {truth.shape} and {int(train.sum())} training rows for {n} texts; give "
            "a column for each label, and rows to fit the baseline on."
        )
    vectorizer = _vectorizer(int(train.sum()), max_features)
    features = vectorizer.fit_transform(_select(texts, train))
    wanted = vectorizer.transform(_select(texts, predict))
    probabilities = np.tile(truth[train].mean(axis=0), (int(predict.sum()), 1))
    for k in np.flatnonzero(truth[train].any(axis=0) & ~truth[train].all(axis=0)):
        model = LogisticRegression(C=regularisation, max_iter=500).fit(features, truth[train, k])
        probabilities[:, k] = model.predict_proba(wanted)[:, 1]
    return probabilities


def majority_baseline(
    labels: Sequence[str | None] | np.ndarray,
    train_rows: np.ndarray,
    *,
    classes: Sequence[str],
    n: int,
) -> np.ndarray:
    """Predict the training rows' class shares for every row, hence always the most frequent.

    Args:
        labels: One class name per row.
        train_rows: Bool mask over the labels.
        classes: Class names, in the order of the returned columns.
        n: How many rows to predict.

    Returns:
        ``(n, classes)`` probabilities, all rows the same.

    Raises:
        ValueError: If no training row has one of the classes.
    """
    truth = np.asarray(labels, dtype=object)
    train = _mask("train_rows", train_rows, len(truth))
    counts = np.array([(truth[train] == name).sum() for name in classes], dtype=np.float64)
    if counts.sum() == 0:
        raise ValueError(f"labels: no training row has one of the classes {list(classes)}.")
    return np.tile(counts / counts.sum(), (n, 1))


def _fit(features: object, labels: np.ndarray, regularisation: float) -> LogisticRegression:
    return LogisticRegression(C=regularisation, max_iter=500).fit(features, labels.astype(str))


def _mask(name: str, rows: np.ndarray, n: int) -> np.ndarray:
    mask = np.asarray(rows)
    if mask.dtype != bool or mask.shape != (n,):
        raise ValueError(
            f"{name}: need {n} booleans, one per row; got {mask.dtype} of shape {mask.shape}."
        )
    return mask


def _select(texts: Sequence[str], rows: np.ndarray) -> list[str]:
    return [str(texts[int(row)]).replace("<br />", " ") for row in np.flatnonzero(rows)]


def _vectorizer(rows: int, max_features: int | None) -> TfidfVectorizer:
    return TfidfVectorizer(
        ngram_range=(1, 2),
        min_df=2 if rows < 10_000 else 3,
        sublinear_tf=True,
        max_features=max_features,
        token_pattern=r"\b\w+(?:'\w+)?\b|[!?]|[^\w\s.,;:'\"()<>/-]",
        dtype=np.float32,
    )
