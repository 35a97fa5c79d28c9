"""Baselines of a net on a table: a constant, a linear model, a forest, boosted trees.

All of them read the table that the net reads: codes of the levels and scaled numbers, so that a
difference is one of the methods, not of the columns. Trees are scikit-learn's.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from scipy import sparse
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge

from gradual.tabular.examples import Examples
from gradual.tabular.predict import TableModel, TabularModel
from gradual.tabular.preprocessing import Preprocessor
from gradual.tabular.targets import Target
from gradual.tabular.task import codes_of, numbers_of
from gradual.training.settings import Settings


@dataclass(frozen=True)
class BaselineKind:
    """What there is to know of a baseline beside its estimator, which `_estimator` makes.

    Attributes:
        title: What people call it.
        form: How it is stored; see `gradual.tabular.serving.baseline_bundle`.
        settings: What of `BaselinesConfig` it depends on: it is fitted again when that changes.
    """

    title: str
    form: Literal["lines", "forest", "boosting"]
    settings: tuple[str, ...] = ()


_BOOSTING = ("rounds", "rate", "patience")
BASELINES = {
    "constant": BaselineKind("Constant", "lines"),
    "linear": BaselineKind("Linear model", "lines", ("strength",)),
    "forest": BaselineKind("Random forest", "forest", ("trees", "min_leaf")),
    "boosting": BaselineKind("Gradient boosting", "boosting", _BOOSTING),
    "boosting_on_embeddings": BaselineKind(
        "Gradient boosting on the net's embeddings", "boosting", _BOOSTING
    ),
}
"""All baselines by name. A new one is a line here and its estimator below."""
_MOST_CODES = 255  # that scikit-learn's boosting takes as levels without order


@dataclass(frozen=True)
class BaselinesConfig(Settings):
    """What is fitted beside the net.

    Attributes:
        models: `constant` (the training rows' shares or mean), `linear` (logistic or ridge
            regression on one-hot levels and scaled numbers), `forest`, `boosting` (histogram
            gradient boosting, levels without order) and `boosting_on_embeddings` (the same, on the
            vectors that the net has learned for the levels).
        strength: Of the logistic regression, C; the ridge has 1 / C.
        trees: In the forest.
        min_leaf: Rows in a leaf of the forest, at least.
        rounds: Of boosting, at most.
        rate: Of boosting.
        patience: Rounds without a better loss on the validation rows after which boosting stops.
    """

    models: tuple[str, ...] = tuple(BASELINES)
    strength: float = 1.0
    trees: int = 200
    min_leaf: int = 5
    rounds: int = 500
    rate: float = 0.1
    patience: int = 15

    def __post_init__(self) -> None:
        if unknown := [name for name in self.models if name not in BASELINES]:
            raise ValueError(f"models names {unknown[0]!r}: choose from {', '.join(BASELINES)}")
        for name in ("trees", "min_leaf", "rounds", "patience"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: give a number of at least 1")
        for name in ("strength", "rate"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}: give more than 0")


class Baseline(TableModel):
    """A fitted baseline.

    Attributes:
        name: Which one.
        estimators: scikit-learn's, one; or one for each column of `multilabel` and of a regression
            of several columns. None for the constant.
        seconds: What fitting took.
    """

    def __init__(
        self,
        name: str,
        preprocessor: Preprocessor,
        target: Target,
        features: Features,
        estimators: list[Any],
        constant: np.ndarray,
        seconds: float,
    ) -> None:
        super().__init__(preprocessor, target)
        self.name, self.estimators, self.seconds = name, estimators, seconds
        self.features, self.constant = features, constant

    @property
    def rounds(self) -> int | None:
        """After how many rounds boosting was best on the validation rows; None for the others."""
        if BASELINES[self.name].form != "boosting":
            return None
        return max(int(model.n_iter_) for model in self.estimators)

    def predict_encoded(self, encoded: pa.Table) -> np.ndarray:
        """See `TableModel.predict_encoded`."""
        if not self.estimators:
            return np.tile(self.constant, (encoded.num_rows, 1))
        matrix = self.features(encoded)
        if self.target.kind == "regression":
            values = np.stack([model.predict(matrix) for model in self.estimators], 1)
            return self.target.from_model(values)
        found = [model.predict_proba(matrix) for model in self.estimators]
        if self.target.kind == "multilabel":
            return np.stack([one[:, 1] for one in found], 1)
        return np.asarray(found[0])


def fit_baseline(
    name: str,
    examples: Examples,
    config: BaselinesConfig,
    *,
    seed: int = 42,
    net: TabularModel | None = None,
) -> Baseline:
    """Fit one baseline.

    Args:
        name: Which one.
        examples: The rows, their truth and their parts; without validation rows boosting runs all
            its rounds.
        config: Sizes and rates.
        seed: Of the forest.
        net: Trained on the same encoded table; needed by `boosting_on_embeddings`.

    Raises:
        ValueError: Rows or targets do not fit, or the net is missing.
    """
    started = time.perf_counter()
    encoded, valid, target = examples.encoded, examples.valid, examples.fitted
    truth = examples.truth(examples.train)
    estimators: list[Any] = []
    vectors: list[np.ndarray] = []
    if name == "boosting_on_embeddings":
        if net is None:
            raise ValueError("boosting_on_embeddings needs the net whose embeddings it reads")
        vectors = list(net.embeddings().values())
    features = Features(name, examples.preprocessor, vectors)
    if name != "constant":
        x, held_out = features(encoded.take(examples.train)), None
        if BASELINES[name].form == "boosting" and len(valid):
            held_out = features(encoded.take(valid))
        for y, weights, y_valid in _problems(target, truth, examples.truth(valid)):
            model = _estimator(name, target, features.unordered, config, seed, held_out is not None)
            if held_out is None:
                model.fit(x, y, weights)
            else:
                model.fit(x, y, weights, X_val=held_out, y_val=y_valid)
            estimators.append(model)
    constant = _constant(target, truth)
    seconds = time.perf_counter() - started
    return Baseline(name, examples.preprocessor, target, features, estimators, constant, seconds)


def _constant(target: Target, truth: np.ndarray) -> np.ndarray:
    if target.kind in ("binary", "multiclass"):
        return np.bincount(truth, minlength=target.outputs) / len(truth)
    return np.asarray(truth.mean(0), np.float64)


def _problems(
    target: Target, truth: np.ndarray, held_out: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray | None, np.ndarray]]:
    """What each estimator learns: truth, weight of each row, truth of the validation rows."""
    weights = target.weights
    if target.kind in ("binary", "multiclass"):
        return [(truth, None if weights is None else np.array(weights)[truth], held_out)]
    learned, watched = target.to_model(truth).T, target.to_model(held_out).T
    if target.kind == "regression" or weights is None:
        return [(y, None, y_valid) for y, y_valid in zip(learned, watched, strict=True)]
    each = zip(learned, weights, watched, strict=True)
    return [(y, np.where(y > 0, weight, 1.0), y_valid) for y, weight, y_valid in each]


def _estimator(
    name: str,
    target: Target,
    unordered: np.ndarray,
    config: BaselinesConfig,
    seed: int,
    watched: bool,
) -> Any:
    classifies = target.kind != "regression"
    if name == "linear":
        if classifies:
            return LogisticRegression(C=config.strength, max_iter=1_000)
        return Ridge(alpha=1 / config.strength)
    if name == "forest":
        forest = RandomForestClassifier if classifies else RandomForestRegressor
        return forest(config.trees, min_samples_leaf=config.min_leaf, random_state=seed, n_jobs=-1)
    boosting = HistGradientBoostingClassifier if classifies else HistGradientBoostingRegressor
    return boosting(
        max_iter=config.rounds,
        learning_rate=config.rate,
        categorical_features=unordered if unordered.any() else None,
        early_stopping=watched,
        n_iter_no_change=config.patience,
        random_state=seed,
    )


class Features:
    """What a baseline reads of an encoded table.

    Attributes:
        vectors: Of the levels of each column, which stand for its codes; none for the codes.
        unordered: For each column of the matrix, whether it holds codes without order.
    """

    def __init__(
        self, name: str, preprocessor: Preprocessor, vectors: Sequence[np.ndarray] = ()
    ) -> None:
        self._one_hot, self._preprocessor = BASELINES[name].form == "lines", preprocessor
        self.vectors = vectors
        widths = [one.shape[1] for one in vectors]
        counts = list(preprocessor.cardinalities.values())
        levels = [False] * sum(widths) if widths else [n <= _MOST_CODES for n in counts]
        self.unordered = np.array([*levels, *([False] * len(preprocessor.continuous))])

    def __call__(self, encoded: pa.Table) -> Any:
        """The matrix `(n, columns)`: dense, or sparse one-hot codes for lines."""
        codes = codes_of(encoded, self._preprocessor.cardinalities).numpy()
        numbers = numbers_of(encoded, self._preprocessor.continuous).numpy()
        if self._one_hot:
            return _one_hot(codes, numbers, list(self._preprocessor.cardinalities.values()))
        if self.vectors:
            parts = [vectors[code] for vectors, code in zip(self.vectors, codes.T, strict=True)]
            return np.concatenate([*parts, numbers], 1)
        return np.concatenate([codes, numbers], 1, dtype=np.float64)


def _one_hot(codes: np.ndarray, numbers: np.ndarray, counts: list[int]) -> sparse.csr_array:
    """One column for each code of each column, then the numbers."""
    rows, columns = codes.shape
    width = sum(counts)
    places = codes + np.cumsum([0, *counts])[:-1] if columns else codes
    levels = sparse.csr_array(
        (np.ones(codes.size), places.ravel(), np.arange(rows + 1) * columns), shape=(rows, width)
    )
    return sparse.hstack([levels, sparse.csr_array(numbers.astype(np.float64))], format="csr")
