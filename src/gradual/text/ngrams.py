"""What any text classifier has to beat: words and runs of words with logistic regression.

Source: Wang & Manning 2012, "Baselines and Bigrams: Simple, Good Sentiment and Topic
Classification": features weighted by how much likelier naive Bayes finds a term in one class.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import torch
from scipy import sparse
from scipy.special import expit, softmax

from gradual.results.decisions import f1_thresholds
from gradual.text.classifier import Seen, label_answers, text_fields
from gradual.text.labels import Targets, encode_labels
from gradual.training.bundle import Bundle, BundleStore
from gradual.training.modules import array_hash, check_kind

if TYPE_CHECKING:  # scikit-learn takes seconds to import
    from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer

logger = logging.getLogger(__name__)

KIND = "text_ngrams"
MAX_FEATURES = 500_000
FOLDS = 3
_LEAST = 1e-6
# Words keep their apostrophes ("don't"); emoji, "!" and "?" count as words.
_WORD = r"\b\w+(?:'\w+)?\b|[!?]|[^\w\s.,;:'\"()<>/-]"


@dataclass(frozen=True)
class NgramsConfig:
    """How n-grams are fitted.

    Attributes:
        weighting: `tf_idf`, or `naive_bayes`: TF-IDF times each term's naive Bayes log-count ratio,
            where a model tells two classes apart.
        regularisation: Inverse strength C of the logistic regression.
        longest: Most words in a term.
        max_features: At most so many terms, the most frequent ones.
    """

    weighting: Literal["tf_idf", "naive_bayes"] = "tf_idf"
    regularisation: float = 30.0
    longest: int = 2
    max_features: int = MAX_FEATURES


_TF_IDF = tuple(NgramsConfig("tf_idf", c) for c in (3.0, 10.0, 30.0, 100.0, 300.0))
_NAIVE_BAYES = tuple(NgramsConfig("naive_bayes", c) for c in (10.0, 30.0, 100.0, 300.0))


def ngram_answers(
    texts: Sequence[str],
    labels: np.ndarray,
    parts: np.ndarray,
    *,
    text_columns: Sequence[str] = ("text",),
    refit: bool = False,
    store: BundleStore | None = None,
) -> tuple[pd.DataFrame, Bundle]:
    """Fit n-grams on the training documents and answer those of the validation and test parts.

    Args:
        texts: ``(n,)`` one text a document; join several columns before, by a line break.
        labels: ``(n,)`` objects: a label a document, or a list of labels; None where unknown.
        parts: ``(n,)`` objects: "train", "valid", "test", or None for none of them.
        text_columns: Names of the columns that make up a document.
        refit: Whether the test documents are answered by a second fit, on training and validation
            documents, as those of a classifier with `refit` are.
        store: Keeps the models; as long as texts, labels, parts and settings stay the same, nothing
            is fitted again.

    Returns:
        One row a document in their order: ``row`` (its number), ``part``, and the probability of
        each class in a column of its name; and the model that answered the test documents.

    Raises:
        ValueError: See `gradual.text.labels.encode_labels`.
    """
    train, valid, test = (np.flatnonzero(parts == name) for name in ("train", "valid", "test"))
    targets = encode_labels(labels, train, valid)
    first = _kept("ngrams", texts, targets, train, text_columns, store)
    found = TextNgrams.from_bundle(first).probabilities(_select(texts, valid))
    last = first
    if refit:
        both = np.sort(np.append(train, valid))
        config = NgramsConfig(**first.config)
        last = _kept("ngrams_refit", texts, targets, both, text_columns, store, config)
    if targets.multi_label:
        chosen = f1_thresholds(targets.values[valid], found, targets.labels)
        thresholds = dict(zip(targets.labels, chosen.tolist(), strict=True))
        metadata = {**last.metadata, "decision": {"thresholds": thresholds}}
        last = replace(last, metadata=metadata)
    asked = TextNgrams.from_bundle(last).probabilities(_select(texts, test))
    rows = np.append(valid, test)
    answers = pd.DataFrame(np.concatenate([found, asked]), columns=list(targets.labels))
    answers.insert(0, "row", rows)
    answers.insert(1, "part", parts[rows])
    return answers.sort_values("row", ignore_index=True), last


def fit_ngrams(
    texts: Sequence[str],
    targets: Targets,
    rows: np.ndarray,
    *,
    text_columns: Sequence[str] = ("text",),
    config: NgramsConfig | None = None,
) -> Bundle:
    """Fit TF-IDF of words and runs of words with logistic regression.

    A strong and cheap rival for sentiment. Terms that only one document has (or two, from 10,000
    documents on) are dropped; term counts are damped (1 + log). Where a document may have several
    labels, there is one regression a label, each against its absence. Deterministic.

    Args:
        texts: One text a document.
        targets: Of all documents.
        rows: Numbers of the documents to learn from: words, weights, everything.
        text_columns: Names of the columns that make up a document.
        config: How; by default what cross-validation on these documents finds best.

    Returns:
        A bundle of kind ``text_ngrams``. A class that all documents have, or none, has its share of
        them everywhere; so have all where no word is frequent enough.
    """
    chosen, values = _select(texts, rows), targets.values[rows]
    given = config or NgramsConfig()
    counter = _counter(
        given.longest,
        min_df=2 if len(rows) < 10_000 else 3,
        max_features=given.max_features,
    )
    try:
        counts = counter.fit_transform(chosen)
        terms = counter.get_feature_names_out().tolist()
    except ValueError as error:  # what scikit-learn raises where no term is frequent enough
        logger.warning("n-grams: the baseline is constant, no word is frequent enough (%s)", error)
        counts, terms, config = sparse.csr_matrix((len(rows), 0), dtype=np.float32), [], given
    config = config or _tuned(counts, values, targets.multi_label)
    weights = _weights(counts) if terms else None
    coefficients, intercepts = _fit(counts, weights, values, len(targets.labels), config)
    joined_terms = "\n".join(terms).encode("utf-8", "surrogatepass")
    return Bundle(
        kind=KIND,
        config=asdict(config),
        state={
            "terms": torch.from_numpy(np.frombuffer(joined_terms, np.uint8).copy()),
            "idf": torch.from_numpy(np.asarray(weights.idf_ if weights else [], np.float32)),
            "coefficients": torch.from_numpy(coefficients),
            "intercepts": torch.from_numpy(intercepts),
        },
        metadata={
            "labels": list(targets.labels),
            "multi_label": targets.multi_label,
            "text_columns": list(text_columns),
            "decision": {},
        },
        dependencies={
            "texts": _hash(chosen),
            "labels": array_hash(values),
        },
    )


class TextNgrams:
    """N-grams that read raw text.

    Args:
        terms: Words and runs of words, the columns of the features.
        longest: Most words in one.
        idf: ``(terms,)`` float32.
        coefficients: ``(terms, outputs)`` float32: a column a class, a label, or one for the second
            of two classes.
        intercepts: ``(outputs,)``.
        metadata: Of the bundle.

    Attributes:
        terms: As given.
        labels: In the order of the classes.
        multi_label: Whether a document may have any number of labels.
        text_columns: Names of the columns that make up a document.
    """

    def __init__(
        self,
        terms: Sequence[str],
        longest: int,
        idf: np.ndarray,
        coefficients: np.ndarray,
        intercepts: np.ndarray,
        metadata: Mapping[str, Any],
    ) -> None:
        self.terms, self._idf = terms, idf
        self._counter = _counter(longest, vocabulary=terms or None)
        self._words = self._counter.build_tokenizer()
        self._known = frozenset(terms)
        self._coefficients, self._intercepts = coefficients, intercepts
        self.labels = tuple(metadata["labels"])
        self.multi_label = bool(metadata["multi_label"])
        self.text_columns = tuple(metadata["text_columns"])
        self._decision = metadata["decision"]

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> TextNgrams:
        """Rebuild the model.

        Raises:
            ValueError: The bundle holds no n-grams.
        """
        check_kind(bundle, KIND)
        state = {name: tensor.numpy() for name, tensor in bundle.state.items()}
        text = state["terms"].tobytes().decode("utf-8", "surrogatepass")
        terms = text.split("\n") if text else []
        weights = (state["idf"], state["coefficients"], state["intercepts"])
        return cls(terms, bundle.config["longest"], *weights, bundle.metadata)

    def features(self, texts: Sequence[str]) -> sparse.csr_matrix:
        """Return what the regression reads, ``(texts, terms)`` float32, each row of length one."""
        if not self.terms or not len(texts):
            return sparse.csr_matrix((len(texts), len(self.terms)), dtype=np.float32)
        return _weights(idf=self._idf).transform(self._counter.transform(texts), copy=False)

    def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        """Return ``(texts, labels)`` probabilities, float64."""
        logits = self.features(texts) @ self._coefficients
        return _to_probabilities(logits + self._intercepts, self.multi_label)

    def predict(
        self,
        texts: Sequence[str] | pd.DataFrame,
        *,
        batch_size: int = 64,  # noqa: ARG002
        seen: Seen | None = None,
    ) -> pd.DataFrame:
        """Classify texts; arguments, answers and errors are those of `TextClassifier.predict`.

        `batch_size` changes nothing; `seen` counts words and signs, known if they are terms.
        """
        fields = text_fields(texts, self.text_columns)
        joined = ["\n".join(row) for row in zip(*fields, strict=True)]
        if seen is not None:
            for text in joined:
                words = self._words(_cleaned(text))
                seen.tokens += len(words)
                seen.unknown += sum(word not in self._known for word in words)
        return label_answers(self.probabilities(joined), self.labels, self._decision)


# ------------------------------------------------------------------------------------ features


def _cleaned(text: str) -> str:
    return text.replace("<br />", " ").lower()


def _counter(longest: int, **settings: Any) -> CountVectorizer:
    """What counts terms; `settings` are scikit-learn's."""
    from sklearn.feature_extraction.text import CountVectorizer

    return CountVectorizer(
        ngram_range=(1, longest),
        token_pattern=_WORD,
        preprocessor=_cleaned,
        dtype=np.float32,
        **settings,
    )


def _weights(
    counts: sparse.csr_matrix | None = None, idf: np.ndarray | None = None
) -> TfidfTransformer:
    """What turns counts into damped, weighted rows of length one: fitted, or with a given idf."""
    from sklearn.feature_extraction.text import TfidfTransformer

    transformer = TfidfTransformer(sublinear_tf=True)
    if idf is None:
        return transformer.fit(counts)
    transformer.idf_ = idf
    return transformer


# ------------------------------------------------------------------------------------- fitting


def _tuned(counts: sparse.csr_matrix, values: np.ndarray, multi_label: bool) -> NgramsConfig:
    """Choose how to fit by cross-validation on some of the rows: the lowest log loss."""
    classes = values.shape[1] if multi_label else int(values.max()) + 1
    outputs = classes if multi_label or classes > 2 else 1
    rows = np.random.default_rng(0).permutation(len(values))[: max(1_000, 12_000 // outputs)]
    counts, values = counts[rows], values[rows]
    fold = _folds(values, multi_label)
    candidates = _TF_IDF + (_NAIVE_BAYES if multi_label or classes == 2 else ())
    losses = np.zeros(len(candidates))
    for one in range(FOLDS):
        out, rest = np.flatnonzero(fold == one), np.flatnonzero(fold != one)
        weights = _weights(counts[rest])
        asked = weights.transform(counts[out])
        for place, config in enumerate(candidates):
            coefficients, intercepts = _fit(counts[rest], weights, values[rest], classes, config)
            found = _to_probabilities(asked @ coefficients + intercepts, multi_label)
            losses[place] += _loss(found, values[out])
    losses /= len(rows)
    best = candidates[int(losses.argmin())]
    logger.info(
        "n-grams: %s with C %g, by %d-fold log loss on %s training rows (%s)",
        best.weighting,
        best.regularisation,
        FOLDS,
        f"{len(rows):,}",
        ", ".join(
            f"{config.weighting} {config.regularisation:g}: {loss:.4f}"
            for config, loss in zip(candidates, losses, strict=True)
        ),
    )
    return best


def _folds(values: np.ndarray, multi_label: bool) -> np.ndarray:
    """A fold for each row, the rows of each class dealt out evenly."""
    order = np.arange(len(values)) if multi_label else np.argsort(values, kind="stable")
    fold = np.empty(len(values), np.int64)
    fold[order] = np.arange(len(values)) % FOLDS
    return fold


def _fit(
    counts: sparse.csr_matrix,
    weights: TfidfTransformer | None,
    values: np.ndarray,
    classes: int,
    config: NgramsConfig,
) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients ``(terms, outputs)`` and intercepts ``(outputs,)`` on TF-IDF features."""
    features = counts if weights is None else weights.transform(counts)
    if values.ndim == 1 and classes > 2:
        return _regression(features, values, classes, config)
    columns = values if values.ndim == 2 else values[:, None] == 1
    fits = []
    for k in range(columns.shape[1]):
        ratio = np.ones(counts.shape[1], np.float32)
        if config.weighting == "naive_bayes":
            ratio = _log_ratio(counts, columns[:, k])
        weighted = features @ sparse.diags(ratio, dtype=np.float32)
        own, intercept = _regression(weighted, columns[:, k].astype(np.int64), 2, config)
        fits.append((own * ratio[:, None], intercept))
    coefficients, intercepts = zip(*fits, strict=True)
    return np.concatenate(coefficients, axis=1), np.concatenate(intercepts)


def _regression(
    features: sparse.csr_matrix, values: np.ndarray, classes: int, config: NgramsConfig
) -> tuple[np.ndarray, np.ndarray]:
    """A column a class, or one for the second of two; what does not occur is impossible."""
    from sklearn.linear_model import LogisticRegression

    known = np.unique(values)
    outputs = classes if classes > 2 else 1
    coefficients = np.zeros((features.shape[1], outputs), np.float32)
    if len(known) == 1 or not features.shape[1]:
        shares = np.bincount(values, minlength=classes) / len(values)
        with np.errstate(divide="ignore"):
            logs = np.log(shares)
            return coefficients, logs if classes > 2 else np.array([logs[1] - logs[0]])
    model = LogisticRegression(C=config.regularisation, max_iter=500).fit(features, values)
    if classes == 2:
        return model.coef_.T.astype(np.float32), model.intercept_.astype(np.float64)
    if len(known) == 2:  # one regression for two of several classes: the second against the first
        coefficients[:, known[1]] = model.coef_[0]
        intercepts = np.full(classes, -np.inf)
        intercepts[known] = 0.0, model.intercept_[0]
        return coefficients, intercepts
    coefficients[:, known] = model.coef_.T
    intercepts = np.full(classes, -np.inf)
    intercepts[known] = model.intercept_
    return coefficients, intercepts


def _log_ratio(counts: sparse.csr_matrix, positive: np.ndarray) -> np.ndarray:
    """Naive Bayes' log ratio of each term: in how many texts of either class it is, plus one."""
    size = counts.shape[1]
    logs = []
    for side in (positive, ~positive):
        documents = 1.0 + np.bincount(counts[np.flatnonzero(side)].indices, minlength=size)
        logs.append(np.log(documents / documents.sum()))
    ratio: np.ndarray = (logs[0] - logs[1]).astype(np.float32)
    return ratio


def _to_probabilities(logits: np.ndarray, multi_label: bool) -> np.ndarray:
    """``(n, labels)``: a probability for each label, or shares of one."""
    logits = logits.astype(np.float64)
    if not multi_label and logits.shape[1] == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
    found: np.ndarray = expit(logits) if multi_label else softmax(logits, axis=1)
    return found


def _loss(probabilities: np.ndarray, values: np.ndarray) -> float:
    """Log loss, nats, summed over rows (mean over labels where there may be several)."""
    if values.ndim == 2:
        own = np.where(values, probabilities, 1 - probabilities)
        return float(-np.log(np.maximum(own, _LEAST)).mean(axis=1).sum())
    own = probabilities[np.arange(len(values)), values]
    return float(-np.log(np.maximum(own, _LEAST)).sum())


def _kept(
    name: str,
    texts: Sequence[str],
    targets: Targets,
    rows: np.ndarray,
    text_columns: Sequence[str],
    store: BundleStore | None,
    config: NgramsConfig | None = None,
) -> Bundle:
    """The model, from the store if nothing that it depends on has changed."""

    def make() -> Bundle:
        return fit_ngrams(texts, targets, rows, text_columns=text_columns, config=config)

    if store is None:
        return make()
    import sklearn

    made_from = {
        "kind": [KIND, "terms as text"],  # and how they are kept: other files are fitted anew
        "texts": _hash(_select(texts, rows)),
        "labels": [*targets.labels, targets.multi_label, array_hash(targets.values[rows])],
        "text_columns": list(text_columns),
        "settings": asdict(config) if config else [*map(asdict, (*_TF_IDF, *_NAIVE_BAYES))],
        "version": f"scikit-learn {sklearn.__version__}",
    }
    return store.kept(name, made_from, make)


def _select(texts: Sequence[str], rows: np.ndarray) -> list[str]:
    return [texts[row] for row in rows.tolist()]


def _hash(texts: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()
