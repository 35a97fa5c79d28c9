"""The text classifier, n-grams, or both as one: what answers is chosen on validation rows.

The stack is a weighted product of the two models' probabilities (a logarithmic opinion pool;
Genest & Zidek 1986, "Combining probability distributions", section 3). Its two weights are fitted
on rows that neither model has learnt from (stacked generalisation, Wolpert 1992), and it is judged
there too, but no row by weights that it helped to fit.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from gradual.results.predictions import BASELINE, PROBABILITY, predictions_table
from gradual.text import classifier, ensemble, ngrams
from gradual.text.bundles import joined, members_of
from gradual.text.classifier import (
    ClassifierConfig,
    Seen,
    TextClassifier,
    answer_decision,
    label_answers,
)
from gradual.text.ensemble import TextEnsemble
from gradual.text.ngrams import TextNgrams
from gradual.text.predictions import MEMBERS, is_multi_label, labels_of, values_of
from gradual.training.bundle import Bundle
from gradual.training.config import Precision

logger = logging.getLogger(__name__)

KIND = "text_stack"
Served = Literal["net", "ngrams", "stack"]
FOLDS = 10
_LEAST = 1e-6  # a smaller probability counts as this one: in float32 a sure model says 0
_PRIOR = 0.5  # without rows to learn from, both count half: their geometric mean

# ------------------------------------------------------------------------------------- weights


@dataclass(frozen=True)
class Weights:
    """How much each model counts: p is proportional to ``p_net ** net * p_ngrams ** ngrams``."""

    net: float
    ngrams: float

    def stacked(self, net: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Return the stack's probabilities.

        Args:
            net: ``(n, classes)`` of the net.
            other: ``(n, classes)`` of the n-grams, in the same order.
        """
        found: np.ndarray = softmax(self.net * _logs(net) + self.ngrams * _logs(other), axis=1)
        return found


def fit_weights(net: np.ndarray, other: np.ndarray, truth: np.ndarray) -> Weights:
    """Fit a stack's weights, neither below 0, by maximum likelihood.

    A prior worth about one row (normal, mean one half, deviation one) keeps them finite where the
    models are right on all rows. The problem is convex, the result deterministic.

    Args:
        net: ``(n, classes)`` probabilities of the net; rows that neither model has learnt from.
        other: The same of the n-grams.
        truth: ``(n,)`` number of each row's class.
    """
    logs = np.stack([_logs(net), _logs(other)])
    rows = np.arange(len(truth))
    own = logs[:, rows, truth]

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        mixed = log_softmax(np.tensordot(weights, logs, 1), axis=1)
        slope = (np.exp(mixed) * logs).sum(axis=(1, 2)) - own.sum(axis=1)
        away = weights - _PRIOR
        return float(away @ away / 2 - mixed[rows, truth].sum()), slope + away

    start = np.full(2, _PRIOR)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * 2)
    return Weights(float(found.x[0]), float(found.x[1]))


def cross_fitted(
    net: np.ndarray, other: np.ndarray, truth: np.ndarray, *, folds: int = FOLDS
) -> np.ndarray:
    """Return the stack's probabilities, each row's by weights that were fitted without it.

    Args:
        net: As for `fit_weights`.
        other: As there.
        truth: As there.
        folds: Into how many parts the rows are dealt, at random with a fixed seed.
    """
    fold = np.random.default_rng(0).permutation(len(truth)) % folds
    found = np.empty(net.shape)
    for one in np.unique(fold):
        out, rest = fold == one, fold != one
        found[out] = fit_weights(net[rest], other[rest], truth[rest]).stacked(net[out], other[out])
    return found


def _logs(probabilities: np.ndarray) -> np.ndarray:
    logs: np.ndarray = np.log(np.maximum(probabilities.astype(np.float64), _LEAST))
    return logs


# -------------------------------------------------------------------------------------- choice


@dataclass(frozen=True)
class Choice:
    """Which model answers, and why; JSON can hold it.

    Attributes:
        served: `net`, `ngrams` or `stack`.
        asked: What the settings said: one of these, or `auto`.
        rows: How many validation rows there were.
        log_loss: Of each model on those rows, in nats; the stack's by cross-fitting.
        weights: Of the stack, fitted on all of those rows; empty where there is none.
        decision: How the served model's probabilities become answers; see
            `gradual.text.classifier.train_classifier`.
    """

    served: Served
    asked: str
    rows: int
    log_loss: dict[str, float] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)
    decision: dict[str, Any] = field(default_factory=dict)


def choose(
    net: np.ndarray, other: np.ndarray, truth: np.ndarray, asked: str = "auto"
) -> tuple[Choice, dict[str, np.ndarray]]:
    """Choose between net, n-grams and their stack on validation rows.

    The log loss decides, since it uses all that a probability says, where accuracy on a few hundred
    rows ties or turns on three of them. The lowest one wins; of equal ones the simpler model.

    Args:
        net: ``(n, classes)`` probabilities of the net.
        other: The same of the n-grams.
        truth: ``(n,)`` number of each row's class.
        asked: `auto`, or the model to serve, whatever the rows say.

    Returns:
        The choice, and the probabilities of each model on these rows.
    """
    found = {"ngrams": other, "net": net, "stack": cross_fitted(net, other, truth)}
    rows = np.arange(len(truth))
    losses = {
        name: float(-np.log(np.maximum(p[rows, truth], 1e-15)).mean()) for name, p in found.items()
    }
    best: Any = min(losses, key=losses.__getitem__)
    weights = fit_weights(net, other, truth)
    choice = Choice(
        served=best if asked == "auto" else asked,  # type: ignore[arg-type]
        asked=asked,
        rows=len(truth),
        log_loss=losses,
        weights=dataclasses.asdict(weights),
    )
    logger.info(
        "served: %s (%s); log loss on %s validation rows: %s; weights of the stack: net %.2f, "
        "n-grams %.2f",
        choice.served,
        "the lowest log loss" if asked == "auto" else "as `serve` says",
        f"{len(truth):,}",
        ", ".join(f"{name} {loss:.4f}" for name, loss in losses.items()),
        weights.net,
        weights.ngrams,
    )
    return choice, found


def serve(
    predictions: pd.DataFrame,
    valid_predictions: pd.DataFrame,
    config: ClassifierConfig,
    *,
    net: str = "classifier",
    decision: Mapping[str, Any] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame, Choice]:
    """Choose what is served, and make it the model of two predictions tables.

    Args:
        predictions: Of the test rows: the net's, beside n-grams.
        valid_predictions: Of the validation rows, from which alone the choice comes.
        config: Its `serve`, and when a model says that it cannot tell.
        net: What the net is called.
        decision: The net's own; None where the models always answer.

    Returns:
        Both tables, whose columns without prefix are now the served model's, with the columns of
        net and stack (`gradual.text.predictions.MEMBERS`); and the choice. Tables of several labels
        a row stay as they are.
    """
    if is_multi_label(valid_predictions):
        only = Choice("net", config.serve, len(valid_predictions), decision=dict(decision or {}))
        return predictions, valid_predictions, only
    classes = labels_of(valid_predictions)
    truth = pd.Index(classes).get_indexer(pd.Index(valid_predictions["label"]))
    models = [_members(table) for table in (predictions, valid_predictions)]
    choice, on_valid = choose(*models[1], truth, config.serve)
    if decision is not None and choice.served != "net":
        decision = answer_decision(on_valid[choice.served], truth, config)
    choice = dataclasses.replace(choice, decision=dict(decision or {}))
    own, other = models[0]
    on_test = {"net": own, "ngrams": other, "stack": Weights(**choice.weights).stacked(own, other)}
    tables = (
        _served(table, found, choice, net)
        for table, found in ((predictions, on_test), (valid_predictions, on_valid))
    )
    return next(tables), next(tables), choice


def _members(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    return values_of(table, PROBABILITY), values_of(table, BASELINE)


def _served(
    table: pd.DataFrame, found: Mapping[str, np.ndarray], choice: Choice, net: str
) -> pd.DataFrame:
    classes = labels_of(table)
    found = {name: values / values.sum(axis=1, keepdims=True) for name, values in found.items()}
    made = predictions_table(
        table["row"].to_numpy(),
        table["label"].to_numpy(object),
        found[choice.served],
        classes,
        baseline_probabilities=found["ngrams"],
        sources=table["source"].tolist() if "source" in table else None,
        texts=table["text"].tolist() if "text" in table else None,
        abstain_below=choice.decision.get("abstain_below"),
    )
    columns = {
        f"{MEMBERS[name]}{label}": found[which][:, k]
        for name, which in ((net, "net"), ("stack", "stack"))
        for k, label in enumerate(classes)
    }
    kept = {str(name): table[name] for name in table if name not in made and name != "answered"}
    return made.assign(**kept, **columns)


# ------------------------------------------------------------------------------------- serving


def served_bundle(net: Bundle, other: Bundle, choice: Mapping[str, Any]) -> Bundle:
    """Return the bundle of the chosen model: one of the two, or both as one ``text_stack``.

    Args:
        net: A text classifier, or an ensemble of them.
        other: The n-grams.
        choice: A `Choice` as a mapping.

    Raises:
        ValueError: Both are to be served, and their labels or text columns differ.
    """
    if choice["served"] == "net":
        return net
    decision = {"decision": dict(choice["decision"])}
    if choice["served"] == "ngrams":
        return dataclasses.replace(other, metadata={**other.metadata, **decision})
    first = net
    while "members" in first.metadata:
        first = members_of(first, first.kind)[0]
    ensemble.check_members([first, other])
    return joined(KIND, [net, other], {"weights": dict(choice["weights"])}, decision)


def reader_of(
    bundle: Bundle,
    *,
    device: str = "auto",
    precision: Precision = "auto",
    allowed_rules: Collection[str] = (),
) -> Reader:
    """Rebuild whatever gives texts labels, by the kind of its bundle.

    Args:
        bundle: Of a text classifier, an ensemble, n-grams or a stack.
        device: "auto" or a torch device.
        precision: "auto", "float32" or "bfloat16".
        allowed_rules: As for `TextClassifier.from_bundle`.

    Raises:
        ValueError: The bundle is of another kind, its parts do not fit each other, or it names a
            rule that is not allowed.
    """
    settings: Any = {"device": device, "precision": precision, "allowed_rules": allowed_rules}
    if bundle.kind == classifier.KIND:
        return TextClassifier.from_bundle(bundle, **settings)
    if bundle.kind == ensemble.KIND:
        return TextEnsemble.from_bundles(members_of(bundle, ensemble.KIND), **settings)
    if bundle.kind == ngrams.KIND:
        return TextNgrams.from_bundle(bundle)
    net, other = members_of(bundle, KIND)
    return TextStack(
        reader_of(net, **settings),  # type: ignore[arg-type]
        TextNgrams.from_bundle(other),
        Weights(**bundle.config["weights"]),
        bundle.metadata["decision"],
    )


class TextStack:
    """A net and n-grams that read raw text and answer as one.

    Args:
        net: A classifier or an ensemble.
        other: The n-grams; same labels and text columns.
        weights: How much each counts.
        decision: How probabilities become answers.
    """

    def __init__(
        self,
        net: TextClassifier | TextEnsemble,
        other: TextNgrams,
        weights: Weights,
        decision: Mapping[str, Any],
    ) -> None:
        self.net, self.ngrams, self.weights, self._decision = net, other, weights, decision
        self.labels, self.text_columns = net.labels, net.text_columns

    def predict(
        self,
        texts: Sequence[str] | pd.DataFrame,
        *,
        batch_size: int = 64,
        seen: Seen | None = None,
    ) -> pd.DataFrame:
        """Classify texts; arguments, answers and errors are those of `TextClassifier.predict`."""
        names = [f"probability_{label}" for label in self.labels]
        own = self.net.predict(texts, batch_size=batch_size, seen=seen)[names]
        found = self.weights.stacked(own.to_numpy(), self.ngrams.predict(texts)[names].to_numpy())
        return label_answers(found, self.labels, self._decision)


Reader = TextClassifier | TextEnsemble | TextNgrams | TextStack
"""What gives raw texts labels."""
