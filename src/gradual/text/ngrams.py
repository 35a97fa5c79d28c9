"""What any text classifier has to beat: words and word pairs with logistic regression."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd
import sklearn
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from gradual.text.labels import Targets, encode_labels
from gradual.training.bundle import Bundle, BundleStore
from gradual.training.modules import array_hash

logger = logging.getLogger(__name__)

KIND = "ngram_answers"
REGULARISATION = 10.0
"""Inverse strength C that suits TF-IDF features on texts of a few hundred to 25,000 rows."""
MAX_FEATURES = 500_000


def ngram_answers(
    texts: Sequence[str],
    labels: np.ndarray,
    parts: np.ndarray,
    *,
    refit: bool = False,
    store: BundleStore | None = None,
) -> pd.DataFrame:
    """Fit n-grams on the training documents and answer those of the validation and test parts.

    Args:
        texts: ``(n,)`` one text a document; join several columns before.
        labels: ``(n,)`` objects: a label a document, or a list of labels; None where unknown.
        parts: ``(n,)`` objects: "train", "valid", "test", or None for none of them.
        refit: Whether the test documents are answered by a second fit, on training and validation
            documents, as those of a classifier with `refit` are.
        store: Keeps the answers; as long as texts, labels, parts and settings stay the same,
            nothing is fitted again.

    Returns:
        One row a document in their order: ``row`` (its number), ``part``, and the probability of
        each class in a column of its name.

    Raises:
        ValueError: See `gradual.text.labels.encode_labels`.
    """
    train, valid, test = (np.flatnonzero(parts == name) for name in ("train", "valid", "test"))
    targets = encode_labels(labels, train, valid)
    if refit:
        fits = {"ngrams": (train, valid), "ngrams_refit": (np.sort(np.append(train, valid)), test)}
    else:
        fits = {"ngrams": (train, np.append(valid, test))}
    frames = []
    for name, (learnt, asked) in fits.items():
        found = _kept(name, texts, targets, learnt, asked, store)
        frames.append(pd.DataFrame(found, columns=list(targets.labels)).assign(row=asked))
    answers = pd.concat(frames, ignore_index=True).sort_values("row", ignore_index=True)
    answers.insert(0, "row", answers.pop("row"))
    answers.insert(1, "part", parts[answers["row"]])
    return answers


def fit_predict(
    texts: Sequence[str],
    targets: Targets,
    train: np.ndarray,
    asked: np.ndarray,
    *,
    regularisation: float = REGULARISATION,
    max_features: int | None = MAX_FEATURES,
) -> np.ndarray:
    """Fit TF-IDF of words and word pairs with logistic regression, and predict.

    A strong and cheap rival for sentiment (Wang & Manning 2012). Words keep their apostrophes
    ("don't"); emoji, "!" and "?" count as words, HTML breaks as blanks. Pairs that occur once are
    dropped; term counts are damped (1 + log). Where a document may have several labels, there is
    one regression a label, each against its absence. Deterministic.

    Args:
        texts: One text a document.
        targets: Of all documents.
        train: Numbers of the documents to learn from: words, weights, everything.
        asked: Numbers of the documents to predict.
        regularisation: C of the logistic regression.
        max_features: At most so many words and pairs, the most frequent ones.

    Returns:
        ``(asked, classes)`` probabilities, float64. A class that all training documents have, or
        none, has its share of them everywhere.
    """
    vectorizer = TfidfVectorizer(
        ngram_range=(1, 2),
        min_df=2 if len(train) < 10_000 else 3,
        sublinear_tf=True,
        max_features=max_features,
        token_pattern=r"\b\w+(?:'\w+)?\b|[!?]|[^\w\s.,;:'\"()<>/-]",
        dtype=np.float32,
    )
    constant = np.tile(_shares(targets, train), (len(asked), 1))
    try:
        features = vectorizer.fit_transform(_select(texts, train))
    except ValueError as error:  # what scikit-learn raises where no word occurs often enough
        logger.warning("n-grams: the baseline is constant, no word is frequent enough (%s)", error)
        return constant
    wanted, values = vectorizer.transform(_select(texts, asked)), targets.values[train]
    if not targets.multi_label:
        model = _fit(features, values, regularisation)
        probabilities = np.zeros_like(constant)
        probabilities[:, model.classes_] = model.predict_proba(wanted).astype(np.float64)
        return probabilities / probabilities.sum(axis=1, keepdims=True)
    for k in np.flatnonzero(values.any(axis=0) & ~values.all(axis=0)):
        model = _fit(features, values[:, k], regularisation)
        constant[:, k] = model.predict_proba(wanted)[:, 1]
    return constant


def _shares(targets: Targets, rows: np.ndarray) -> np.ndarray:
    """Return the share of each class, or label, among some documents, (classes,)."""
    values = targets.values[rows]
    if targets.multi_label:
        return np.asarray(values.mean(axis=0))
    return np.bincount(values, minlength=len(targets.labels)) / len(rows)


def _fit(features: object, values: np.ndarray, regularisation: float) -> LogisticRegression:
    return LogisticRegression(C=regularisation, max_iter=500).fit(features, values)


def _kept(
    name: str,
    texts: Sequence[str],
    targets: Targets,
    train: np.ndarray,
    asked: np.ndarray,
    store: BundleStore | None,
) -> np.ndarray:
    """The answers, from the store if nothing that they depend on has changed."""

    def make() -> Bundle:
        found = torch.from_numpy(fit_predict(texts, targets, train, asked))
        return Bundle(KIND, {}, {"probabilities": found}, {"labels": list(targets.labels)}, {})

    if store is None:
        bundle = make()
    else:
        both = np.append(train, asked)
        made_from = {
            "texts": hashlib.sha256("\0".join(texts[i] for i in both).encode()).hexdigest(),
            "labels": [*targets.labels, targets.multi_label, array_hash(targets.values[train])],
            "rows": [array_hash(train), array_hash(asked)],
            "settings": [REGULARISATION, MAX_FEATURES, f"scikit-learn {sklearn.__version__}"],
        }
        bundle = store.kept(name, made_from, make)
    probabilities: np.ndarray = bundle.state["probabilities"].numpy()
    return probabilities


def _select(texts: Sequence[str], rows: np.ndarray) -> list[str]:
    return [texts[row].replace("<br />", " ") for row in rows.tolist()]
