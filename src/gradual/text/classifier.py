"""Train and apply a text classifier on a language model's encoder: the third step of ULMFiT."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from gradual.text import language_model as lm
from gradual.text.awd_lstm import AWDLSTMConfig
from gradual.text.bundles import (
    array_hash,
    check_direction,
    check_kind,
    check_tokenizer,
    check_vocabulary,
    cpu_state,
    inference,
    load_state,
    parameters_hash,
    reads_backwards,
    resident_ids,
    row_numbers,
    tokenizer_config,
    vocabulary_of,
)
from gradual.text.classifier_batches import ClassifierBatches
from gradual.text.classifier_model import ClassifierConfig, ClassifierModel, new_classifier
from gradual.text.corpus import Corpus, numericalize
from gradual.text.vocabulary import Vocabulary
from gradual.training.bundle import Bundle
from gradual.training.config import Precision
from gradual.training.device import resolve_device
from gradual.training.engine import CheckpointStore, fit
from gradual.training.files import fingerprint
from gradual.training.history import History
from gradual.training.task import BatchStream, Task

logger = logging.getLogger(__name__)

__all__ = [
    "KIND",
    "ClassifierConfig",
    "ClassifierTask",
    "TextClassifier",
    "classifier_from_bundle",
    "classifier_task",
    "predict_probabilities",
    "train_classifier",
]

KIND = "text_classifier"


# ---------------------------------------------------------------------------------------- task


def _logits(
    model: ClassifierModel,
    ids: Tensor,
    offsets: np.ndarray,
    documents: np.ndarray,
    batch_size: int,
) -> Tensor:
    """Return logits (n, classes) in the order of `documents`; the model in evaluation mode."""
    lengths = offsets[1:] - offsets[:-1]
    order = np.argsort(-lengths[documents], kind="stable")
    parts = []
    for start in range(0, len(order), batch_size):
        batch = documents[order[start : start + batch_size]]
        parts.append(model(ids, offsets[batch], lengths[batch]))
    logits = torch.cat(parts)
    result = torch.empty_like(logits)
    result[torch.from_numpy(order).to(logits.device)] = logits
    return result


class ClassifierTask(Task):
    """Document classification for the training engine.

    Args:
        model: The classifier.
        corpus: All documents; ids stay resident on the device.
        classes: Class number of every document (n_documents,), -1 where it has none.
        train: Numbers of the training documents.
        valid: Numbers of the validation documents.
    """

    def __init__(
        self,
        model: ClassifierModel,
        corpus: Corpus,
        classes: np.ndarray,
        train: np.ndarray,
        valid: np.ndarray,
    ) -> None:
        self.model: ClassifierModel = model
        self._ids = resident_ids(corpus)
        self._offsets = np.asarray(corpus.offsets)
        self._lengths = np.asarray(corpus.lengths)
        self._classes = torch.from_numpy(classes.astype(np.int64))
        self._train, self._valid = train, valid

    def layer_groups(self) -> list[list[nn.Module]]:
        """Return embedding, each LSTM layer, head."""
        return self.model.layer_groups()

    def to(self, device: torch.device) -> None:
        """Move model, ids and classes to a device."""
        self.model.to(device)
        self._ids, self._classes = self._ids.to(device), self._classes.to(device)

    def batches(self, epoch: int, seed: int) -> BatchStream:
        """Return the batches of an epoch; see `ClassifierBatches`."""
        return ClassifierBatches(self._lengths, self._train, self.model.config, epoch, seed)

    def loss(self, batch: np.ndarray) -> Tensor:
        """Return the cross-entropy of a batch of documents, the longest first."""
        logits = self.model(self._ids, self._offsets[batch], self._lengths[batch])
        return F.cross_entropy(logits, self._classes[torch.from_numpy(batch).to(logits.device)])

    def validate(self) -> dict[str, float]:
        """Return loss (nats a document) and accuracy on the validation documents."""
        logits = _logits(
            self.model, self._ids, self._offsets, self._valid, self.model.config.batch_size
        )
        targets = self._classes[torch.from_numpy(self._valid).to(logits.device)]
        return {
            "valid_loss": float(F.cross_entropy(logits, targets)),
            "valid_accuracy": float((logits.argmax(1) == targets).float().mean()),
        }


# ------------------------------------------------------------------------------------ training


def _check_lengths(corpus: Corpus, documents: np.ndarray) -> None:
    empty = documents[np.asarray(corpus.lengths)[documents] == 0]
    if len(empty):
        raise ValueError(
            f"document {empty[0]} (and {len(empty) - 1} more) has no words: leave such rows out"
        )


def _encode_labels(
    labels: np.ndarray, train: np.ndarray, valid: np.ndarray
) -> tuple[list[str], np.ndarray]:
    """Return the sorted labels of the training rows and every row's class number (-1: none)."""
    labels = np.asarray(labels, dtype=object)
    missing = pd.isna(labels)
    for name, rows in (("training", train), ("validation", valid)):
        if not len(rows):
            raise ValueError(f"there are no {name} documents: check the split's parameters")
        if missing[rows].any():
            row = rows[missing[rows]][0]
            raise ValueError(
                f"row {row} is a {name} document without label: give it one or leave it out"
            )
    names = sorted({str(label) for label in labels[train]})
    if len(names) < 2:
        raise ValueError(
            f"all {len(train)} training documents have the label {names[0]!r}: a classifier needs "
            "at least two labels; check label column and split"
        )
    number = {name: i for i, name in enumerate(names)}
    classes = np.array(
        [-1 if m else number.get(str(x), -1) for x, m in zip(labels, missing, strict=True)]
    )
    unseen = valid[classes[valid] < 0]
    if len(unseen):
        raise ValueError(
            f"row {unseen[0]} of the validation documents has label {str(labels[unseen[0]])!r}, "
            f"which no training document has (those have {', '.join(names)}): correct it, or split "
            "so that every label is trained on"
        )
    return names, classes


def classifier_task(
    corpus: Corpus,
    vocabulary: Vocabulary,
    labels: np.ndarray,
    train_rows: np.ndarray,
    valid_rows: np.ndarray,
    config: ClassifierConfig,
    *,
    language_model: Bundle | None = None,
) -> tuple[ClassifierTask, list[str]]:
    """Build what the engine trains (or range-tests); arguments as for `train_classifier`.

    Returns:
        The task, and the labels in the order of the classes.
    """
    check_vocabulary(corpus.vocabulary_hash, "the corpus", vocabulary.hash, "the vocabulary given")
    if len(labels) != len(corpus):
        raise ValueError(
            f"there are {len(labels)} labels for {len(corpus)} documents: give one per document, "
            "None where there is none"
        )
    train = row_numbers(train_rows, corpus, "train_rows")
    valid = row_numbers(valid_rows, corpus, "valid_rows")
    names, classes = _encode_labels(labels, train, valid)
    _check_lengths(corpus, np.concatenate([train, valid]))
    model = new_classifier(len(vocabulary), len(names), config, config.training.seed)
    if language_model is None:
        logger.info("classifier: the encoder starts from random weights")
    else:
        check_kind(language_model, lm.KIND)
        check_vocabulary(
            language_model.dependencies["vocabulary"],
            "the language model",
            vocabulary.hash,
            "the corpus",
        )
        check_direction(
            reads_backwards(language_model), "the language model", corpus.backwards, "the corpus"
        )
        config.model.check_same_sizes(
            AWDLSTMConfig(**language_model.config["model"]), "the language model"
        )
        encoder = {
            name.removeprefix("encoder."): tensor
            for name, tensor in language_model.state.items()
            if name.startswith("encoder.")
        }
        load_state(model.encoder, encoder, "the language model's encoder")
        logger.info(
            "classifier: the encoder starts from language model %s…", language_model.hash[:12]
        )
    return ClassifierTask(model, corpus, classes, train, valid), names


def train_classifier(
    corpus: Corpus,
    vocabulary: Vocabulary,
    labels: np.ndarray,
    train_rows: np.ndarray,
    valid_rows: np.ndarray,
    config: ClassifierConfig,
    *,
    language_model: Bundle | None,
    tokenizer: Mapping[str, Any] | None = None,
    store: CheckpointStore | None = None,
    on_epoch: Callable[[dict[str, float], int], None] | None = None,
) -> tuple[Bundle, History]:
    """Train a classifier.

    Args:
        corpus: All documents.
        vocabulary: What the corpus was numericalised with.
        labels: Label of every document, None where it has none (n_documents,).
        train_rows: Documents to train on, mask or numbers.
        valid_rows: Documents to judge every epoch on, mask or numbers.
        config: Model, batches, phases.
        language_model: Its encoder is where the classifier's starts; None starts from random
            weights, for comparison.
        tokenizer: The tokenizer's configuration as a mapping, kept so that the classifier can read
            raw text; None leaves it out (a backwards corpus needs it: the model's direction stands
            there).
        store: Where to keep checkpoints.
        on_epoch: Gets every epoch's figures and number.

    Returns:
        The bundle and the figures by epoch. `bundle.metadata` holds labels (sorted), the
        vocabulary's words, the tokenizer's configuration and where the encoder came from.

    Raises:
        ValueError: Vocabularies, tokenizers, directions or sizes differ, or a row has no label or
            an unknown one.
    """
    check_direction(
        bool((tokenizer or {}).get("backwards")), "the tokenizer", corpus.backwards, "the corpus"
    )
    if language_model is not None:
        check_tokenizer(tokenizer, language_model, "the language model")
    task, names = classifier_task(
        corpus, vocabulary, labels, train_rows, valid_rows, config, language_model=language_model
    )
    train = row_numbers(train_rows, corpus, "train_rows")
    valid = row_numbers(valid_rows, corpus, "valid_rows")
    dependencies = {
        "corpus": corpus.hash,
        "vocabulary": vocabulary.hash,
        "labels": fingerprint([str(labels[row]) for row in np.append(train, valid)]),
        "train_rows": array_hash(train),
        "valid_rows": array_hash(valid),
        "language_model": "none" if language_model is None else language_model.hash,
    }
    settings = dataclasses.asdict(config)
    del settings["training"]  # how it came about, which the engine adds to the key itself
    history = fit(
        task,
        config.training,
        name="classifier",
        store=store,
        key={"classifier": settings, **dependencies},
        on_epoch=on_epoch,
    )
    bundle = Bundle(
        kind=KIND,
        config=settings,
        state=cpu_state(task.model),
        metadata={
            "labels": names,
            "vocabulary": list(vocabulary.words),
            "tokenizer": None if tokenizer is None else dict(tokenizer),
            "start": {"from": "random" if language_model is None else "language_model"},
        },
        dependencies={**dependencies, "parameters": parameters_hash(config)},
    )
    return bundle, history


# ----------------------------------------------------------------------------------- predicting


def classifier_from_bundle(bundle: Bundle) -> ClassifierModel:
    """Rebuild the model of a bundle, on the CPU.

    Raises:
        ValueError: The bundle is no classifier, or its parts do not fit each other.
    """
    check_kind(bundle, KIND)
    settings = bundle.config | {"model": AWDLSTMConfig(**bundle.config["model"])}
    model = new_classifier(
        len(bundle.metadata["vocabulary"]),
        len(bundle.metadata["labels"]),
        ClassifierConfig(**settings),
        seed=0,
    )
    load_state(model, bundle.state, "the classifier bundle")
    return model


def _probabilities(
    model: ClassifierModel,
    corpus: Corpus,
    documents: np.ndarray,
    batch_size: int,
    precision: Precision,
) -> np.ndarray:
    if not len(documents):
        return np.zeros((0, model.classes), np.float32)
    with inference(model, precision) as device:
        ids = resident_ids(corpus).to(device)
        logits = _logits(model, ids, np.asarray(corpus.offsets), documents, batch_size)
        return logits.softmax(1).cpu().numpy()


def predict_probabilities(
    bundle: Bundle,
    corpus: Corpus,
    rows: np.ndarray,
    *,
    batch_size: int = 128,
    device: str = "auto",
    precision: Precision = "auto",
) -> np.ndarray:
    """Return the probability of every label for some documents.

    Args:
        bundle: The classifier.
        corpus: Numericalised with the classifier's vocabulary.
        rows: Which documents, mask or numbers.
        batch_size: Documents read side by side.
        device: "auto" or a torch device.
        precision: "auto", "float32" or "bfloat16".

    Returns:
        (n, classes), float32, rows in the order of `rows`, columns in that of
        `bundle.metadata["labels"]`.

    Raises:
        ValueError: The corpus has another vocabulary, or a document is empty.
    """
    model = classifier_from_bundle(bundle)
    check_vocabulary(
        corpus.vocabulary_hash, "the corpus", bundle.dependencies["vocabulary"], "the classifier"
    )
    check_direction(reads_backwards(bundle), "the classifier", corpus.backwards, "the corpus")
    documents = row_numbers(rows, corpus, "rows")
    _check_lengths(corpus, documents)
    model.to(resolve_device(device))
    return _probabilities(model, corpus, documents, batch_size, precision)


class TextClassifier:
    """A trained classifier that reads raw text.

    Args:
        model: In any mode, on the device to use.
        vocabulary: What its word ids mean.
        labels: In the order of its classes.
        tokenizer: The configuration of the tokenizer it was trained with, as a mapping.
        precision: "auto", "float32" or "bfloat16".
    """

    def __init__(
        self,
        model: ClassifierModel,
        vocabulary: Vocabulary,
        labels: Sequence[str],
        tokenizer: Mapping[str, Any],
        precision: Precision = "auto",
    ) -> None:
        self.model, self.vocabulary, self.labels = model, vocabulary, tuple(labels)
        self._tokenizer, self._precision = tokenizer, precision

    @classmethod
    def from_bundle(
        cls, bundle: Bundle, *, device: str = "auto", precision: Precision = "auto"
    ) -> TextClassifier:
        """Rebuild a classifier.

        Raises:
            ValueError: The bundle is no classifier, or does not say how texts are tokenized.
        """
        model = classifier_from_bundle(bundle).to(resolve_device(device))
        tokenizer = bundle.metadata.get("tokenizer")
        if tokenizer is None:
            raise ValueError(
                "the classifier bundle holds no tokenizer configuration, so it cannot read raw "
                "text: train it with tokenizer=…, or use predict_probabilities on a corpus"
            )
        return cls(model, vocabulary_of(bundle), bundle.metadata["labels"], tokenizer, precision)

    def predict(self, texts: Sequence[str], *, batch_size: int = 64) -> pd.DataFrame:
        """Classify texts.

        Args:
            texts: Raw texts, none of them blank.
            batch_size: Documents read side by side.

        Returns:
            One row a text, in order: `label`, and `probability_<label>` for every label.

        Raises:
            ValueError: A text is no string or blank; the message names its row.
        """
        from gradual.text.tokenizer import tokenize  # with it comes spaCy

        texts = list(texts)
        for row, text in enumerate(texts):
            if not isinstance(text, str):
                raise ValueError(f"row {row} is {text!r}, no text: give a string")
            if not text.strip():
                raise ValueError(f"row {row} is blank: there is nothing to classify, leave it out")
        probabilities = np.zeros((0, len(self.labels)), np.float32)
        if texts:
            tokens = tokenize([texts], tokenizer_config(self._tokenizer))
            corpus = numericalize(tokens, self.vocabulary)
            everything = np.arange(len(corpus))
            _check_lengths(corpus, everything)
            probabilities = _probabilities(
                self.model, corpus, everything, batch_size, self._precision
            )
        table = {f"probability_{label}": probabilities[:, i] for i, label in enumerate(self.labels)}
        chosen = np.array(self.labels, dtype=object)[probabilities.argmax(1)]
        return pd.DataFrame({"label": pd.Series(chosen, dtype="str"), **table})
