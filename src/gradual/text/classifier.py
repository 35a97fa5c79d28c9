"""Train and apply a text classifier on a language model's encoder: the third step of ULMFiT."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from gradual.results import decisions
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
    tokenizer_of,
    vocabulary_of,
)
from gradual.text.classifier_batches import ClassifierBatches
from gradual.text.classifier_model import (
    ClassifierConfig,
    ClassifierModel,
    classification_loss,
    new_classifier,
)
from gradual.text.corpus import Corpus, numericalize
from gradual.text.labels import Targets, class_weights, encode_labels
from gradual.text.rules import SPECIAL_TOKENS, UNK
from gradual.text.vocabulary import Vocabulary
from gradual.training.bundle import Bundle
from gradual.training.config import Precision
from gradual.training.device import resolve_device, to_device
from gradual.training.engine import CheckpointStore, fit
from gradual.training.files import fingerprint
from gradual.training.history import History
from gradual.training.task import BatchStream, Task

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    from gradual.text.tokenizer import KeptEncoder

__all__ = [
    "KIND",
    "ClassifierConfig",
    "ClassifierTask",
    "Seen",
    "TextClassifier",
    "answer_decision",
    "classifier_from_bundle",
    "classifier_task",
    "label_answers",
    "predict_probabilities",
    "refit_classifier",
    "text_fields",
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
        targets: Classes of every document.
        train: Numbers of the training documents.
        valid: Numbers of the validation documents.
    """

    def __init__(
        self,
        model: ClassifierModel,
        corpus: Corpus,
        targets: Targets,
        train: np.ndarray,
        valid: np.ndarray,
    ) -> None:
        self.model: ClassifierModel = model
        self._ids = resident_ids(corpus)
        self._offsets = np.asarray(corpus.offsets)
        self._lengths = np.asarray(corpus.lengths)
        self._targets = torch.from_numpy(targets.values)
        weights = class_weights(targets, train, model.config.class_weights)
        self._weights = None if weights is None else torch.from_numpy(weights)
        self._train, self._valid = train, valid

    def layer_groups(self) -> list[list[nn.Module]]:
        """Return embedding, each LSTM layer, head."""
        return self.model.layer_groups()

    def to(self, device: torch.device) -> None:
        """Move model, ids and targets to a device."""
        self.model.to(device)
        self._ids, self._targets = self._ids.to(device), self._targets.to(device)
        self._weights = None if self._weights is None else self._weights.to(device)

    def batches(self, epoch: int, seed: int) -> BatchStream:
        """Return the batches of an epoch; see `ClassifierBatches`."""
        lengths = self.model.config.read(self._lengths)
        return ClassifierBatches(lengths, self._train, self.model.config, epoch, seed)

    def loss(self, batch: np.ndarray) -> Tensor:
        """Return the loss of a batch of documents, the longest first.

        Where the configuration asks for adversarial training, the gradients of the loss where the
        documents stand are left in the parameters, and what is returned is the loss where they are
        moved to: moved by d in the direction of the loss' gradient there (Miyato et al. 2017,
        equation 6), d standard deviations of the vectors of the batch's words.
        """
        config = self.model.config
        if not config.adversarial_distance:
            return self._loss(batch)
        embedding = self.model.encoder.embedding.weight
        read = config.read(self._lengths[batch])
        shape = (int(read[0]), len(batch), embedding.shape[1])
        shift = torch.zeros(shape, device=embedding.device, requires_grad=True)
        self._loss(batch, shift).backward()
        gradient = shift.grad
        assert gradient is not None
        words = np.concatenate(
            [np.arange(end - n, end) for end, n in zip(self._offsets[batch + 1], read, strict=True)]
        )
        ids = self._ids[to_device(words, self._ids.device)]
        distance = config.adversarial_distance * F.embedding(ids, embedding.detach()).std()
        norm = gradient.norm(dim=(0, 2), keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)
        return self._loss(batch, gradient * (distance / norm))

    def _loss(self, batch: np.ndarray, shift: Tensor | None = None) -> Tensor:
        logits = self.model(self._ids, self._offsets[batch], self._lengths[batch], shift)
        return classification_loss(
            logits, self._targets_of(batch), self._weights, self.model.config.label_smoothing
        )

    def validate(self) -> dict[str, float]:
        """Return figures on the validation documents, whatever weights and smoothing the loss has.

        Loss (nats) and accuracy; with several labels a document, the micro F1 of all that are more
        probable than not.
        """
        if not len(self._valid):  # refitted on all labelled rows but the test rows
            return {}
        logits, targets = self.logits(self._valid), self._targets_of(self._valid)
        loss = float(classification_loss(logits, targets))
        if targets.ndim == 1:
            accuracy = float((logits.argmax(1) == targets).float().mean())
            return {"valid_loss": loss, "valid_accuracy": accuracy}
        predicted = logits > 0
        found, all_there = (predicted & targets).sum(), predicted.sum() + targets.sum()
        return {"valid_loss": loss, "valid_micro_f1": float(2 * found / all_there.clamp(min=1))}

    def logits(self, documents: np.ndarray) -> Tensor:
        """Return logits (n, classes) in the order given; the model must be in evaluation mode."""
        return _logits(
            self.model, self._ids, self._offsets, documents, self.model.config.batch_size
        )

    def _targets_of(self, documents: np.ndarray) -> Tensor:
        return self._targets[to_device(documents, self._targets.device)]


# ------------------------------------------------------------------------------------ training


def _check_lengths(corpus: Corpus, documents: np.ndarray) -> None:
    empty = documents[np.asarray(corpus.lengths)[documents] == 0]
    if len(empty):
        raise ValueError(
            f"document {empty[0]} (and {len(empty) - 1} more) has no words: leave such rows out"
        )


def _check_decision(config: ClassifierConfig, multi_label: bool) -> None:
    for name in ("abstain_below", "answer_accuracy"):
        if multi_label and getattr(config, name) is not None:
            raise ValueError(
                f"{name} is {getattr(config, name)}, but documents may have several labels, each "
                "with a threshold of its own that is chosen on the validation rows: leave it out"
            )
    if multi_label and config.serve in ("ngrams", "stack"):
        raise ValueError(
            f"serve is {config.serve}, but documents may have several labels, for which the "
            "classifier alone can be served: give auto or net"
        )


def classifier_task(
    corpus: Corpus,
    vocabulary: Vocabulary,
    labels: np.ndarray,
    train_rows: np.ndarray,
    valid_rows: np.ndarray,
    config: ClassifierConfig,
    *,
    language_model: Bundle | None = None,
) -> tuple[ClassifierTask, Targets]:
    """Build what the engine trains (or range-tests); arguments as for `train_classifier`.

    Returns:
        The task, and what it is to learn of each document.
    """
    check_vocabulary(corpus.vocabulary_hash, "the corpus", vocabulary.hash, "the vocabulary given")
    if len(labels) != len(corpus):
        raise ValueError(
            f"there are {len(labels)} labels for {len(corpus)} documents: give one per document, "
            "None where there is none"
        )
    train = row_numbers(train_rows, corpus, "train_rows")
    valid = row_numbers(valid_rows, corpus, "valid_rows")
    targets = encode_labels(labels, train, valid)
    _check_decision(config, targets.multi_label)
    _check_lengths(corpus, np.concatenate([train, valid]))
    model = _start(corpus, vocabulary, targets, config, language_model)
    return ClassifierTask(model, corpus, targets, train, valid), targets


def _start(
    corpus: Corpus,
    vocabulary: Vocabulary,
    targets: Targets,
    config: ClassifierConfig,
    language_model: Bundle | None,
) -> ClassifierModel:
    """Return the model to train from: a new head on the language model's encoder."""
    model = new_classifier(len(vocabulary), len(targets.labels), config, config.training.seed)
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
    return model


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
    text_columns: Sequence[str] = ("text",),
    store: CheckpointStore | None = None,
    on_epoch: Callable[[dict[str, float], int], None] | None = None,
) -> tuple[Bundle, History]:
    """Train a classifier; `refit_classifier` then does what `config.refit` asks for.

    Args:
        corpus: All documents.
        vocabulary: What the corpus was numericalised with.
        labels: Label of every document (n_documents,), or list of its labels, which may be empty;
            None where none is known.
        train_rows: Documents to train on, mask or numbers.
        valid_rows: Documents to judge every epoch on, mask or numbers.
        config: Model, batches, phases.
        language_model: Its encoder is where the classifier's starts; None starts from random
            weights, for comparison.
        tokenizer: The tokenizer's configuration as a mapping, kept so that the classifier can read
            raw text; None leaves it out (a backwards corpus needs it: the model's direction stands
            there).
        text_columns: Names of the columns whose texts make up a document, in order.
        store: Where to keep checkpoints.
        on_epoch: Gets every epoch's figures and number.

    Returns:
        The bundle and the figures by epoch. `bundle.metadata` holds labels (sorted), whether a
        document may have several (`multi_label`), the vocabulary's words, the tokenizer's
        configuration, the text columns, where the encoder came from, and the `decision`: how
        probabilities become answers. That is `thresholds` by label where a document may have
        several, which give the highest F1 on the validation rows; else `abstain_below` (None:
        every document is answered) and, if it was chosen there, `coverage` and `accuracy` on the
        validation rows.

    Raises:
        ValueError: Vocabularies, tokenizers, directions or sizes differ, a row has no label or an
            unknown one, or the configuration names one or does not suit the labels.
    """
    check_direction(
        bool((tokenizer or {}).get("backwards")), "the tokenizer", corpus.backwards, "the corpus"
    )
    if language_model is not None:
        check_tokenizer(tokenizer, language_model, "the language model")
    task, targets = classifier_task(
        corpus, vocabulary, labels, train_rows, valid_rows, config, language_model=language_model
    )
    train = row_numbers(train_rows, corpus, "train_rows")
    valid = row_numbers(valid_rows, corpus, "valid_rows")
    dependencies = {
        "corpus": corpus.hash,
        "vocabulary": vocabulary.hash,
        "labels": fingerprint(
            [targets.labels, array_hash(targets.values[np.append(train, valid)])]
        ),
        "train_rows": array_hash(train),
        "valid_rows": array_hash(valid),
        "language_model": "none" if language_model is None else language_model.hash,
    }
    settings = dataclasses.asdict(config)
    del settings["training"]  # how it came about, which the engine adds to the key itself
    key = {name: value for name, value in settings.items() if name not in _NO_WEIGHTS}
    history = fit(
        task,
        config.training,
        name="classifier",
        store=store,
        key={"classifier": key, **dependencies},
        on_epoch=on_epoch,
    )
    bundle = Bundle(
        kind=KIND,
        config=settings,
        state=cpu_state(task.model),
        metadata={
            "labels": list(targets.labels),
            "multi_label": targets.multi_label,
            "decision": _decision(task, targets, valid, config),
            "text_columns": list(text_columns),
            "vocabulary": list(vocabulary.words),
            "tokenizer": None if tokenizer is None else dict(tokenizer),
            "start": {"from": "random" if language_model is None else "language_model"},
        },
        dependencies={**dependencies, "parameters": parameters_hash(config)},
    )
    return bundle, history


def refit_classifier(
    trained: Bundle,
    history: History,
    corpus: Corpus,
    vocabulary: Vocabulary,
    labels: np.ndarray,
    train_rows: np.ndarray,
    valid_rows: np.ndarray,
    config: ClassifierConfig,
    *,
    language_model: Bundle | None,
    store: CheckpointStore | None = None,
) -> Bundle:
    """Train once more from the start, on training and validation rows, for the epochs found best.

    Nothing is held out any more, so nothing is chosen any more: the epochs are those after which
    the weights of the first training were kept, and its thresholds stay.

    Args:
        trained: From `train_classifier` with the other arguments.
        history: Of that training.
        corpus: As there, like all that follow.
        vocabulary: What the corpus was numericalised with.
        labels: Of every document.
        train_rows: The first training's rows.
        valid_rows: The rows that it was judged on.
        config: Model, batches, phases.
        language_model: Where the encoder starts.
        store: Of the first training; checkpoints of this one are kept in a folder inside.

    Returns:
        The bundle with the new weights; `metadata["refit"]` holds `epochs` and `rows`.
    """
    train = row_numbers(train_rows, corpus, "train_rows")
    valid = row_numbers(valid_rows, corpus, "valid_rows")
    targets, both = encode_labels(labels, train, valid), np.sort(np.append(train, valid))
    epochs = history.best_epoch or len(history.epochs)
    model = _start(corpus, vocabulary, targets, config, language_model)
    task = ClassifierTask(model, corpus, targets, both, both[:0])
    settings = dataclasses.asdict(config)
    del settings["training"]
    key = {name: value for name, value in settings.items() if name not in _NO_WEIGHTS}
    fit(
        task,
        config.training.shortened(epochs),
        name="classifier on training and validation rows",
        store=None if store is None else CheckpointStore(store.path / "refit"),
        key={"classifier": key, **_without(trained.dependencies, "parameters")},
    )
    return dataclasses.replace(
        trained,
        state=cpu_state(task.model),
        metadata={**trained.metadata, "refit": {"epochs": epochs, "rows": len(both)}},
    )


#: Settings that change no weight, and so ask for no training.
_NO_WEIGHTS = ("abstain_below", "answer_accuracy", "refit", "serve")


def _without(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != name}


def _decision(
    task: ClassifierTask, targets: Targets, valid: np.ndarray, config: ClassifierConfig
) -> dict[str, Any]:
    """Return how probabilities become answers; what is chosen is chosen on validation rows."""
    if not targets.multi_label and config.answer_accuracy is None:
        return {"abstain_below": config.abstain_below}
    with inference(task.model, config.training.precision):
        probabilities = _to_probabilities(task.logits(valid), targets.multi_label)
    truth = targets.values[valid]
    if targets.multi_label:
        chosen = decisions.f1_thresholds(truth, probabilities, targets.labels)
        return {"thresholds": dict(zip(targets.labels, chosen.tolist(), strict=True))}
    return answer_decision(probabilities, truth, config)


def answer_decision(
    probabilities: np.ndarray, truth: np.ndarray, config: ClassifierConfig
) -> dict[str, Any]:
    """Return when a model of one label a document answers; see `train_classifier`.

    Args:
        probabilities: ``(n, classes)`` of the validation rows.
        truth: ``(n,)`` number of each one's class.
        config: Says from which probability on, or for which share of right answers.
    """
    if config.answer_accuracy is None:
        return {"abstain_below": config.abstain_below}
    wanted, confidence = config.answer_accuracy, probabilities.max(1)
    correct = probabilities.argmax(1) == truth
    threshold = decisions.threshold_for_accuracy(confidence, correct, wanted)
    if threshold is None:
        logger.warning(
            "no threshold gives answers of which %.1f %% are right on the %d validation rows, so "
            "every answer is `cannot tell`: lower answer_accuracy (now %s)",
            100 * wanted,
            len(truth),
            wanted,
        )
        return {"abstain_below": 1.0, "coverage": 0.0, "accuracy": None}
    answered = decisions.above(confidence, threshold)
    decision = {
        "abstain_below": threshold,
        "coverage": float(answered.mean()),
        "accuracy": float(correct[answered].mean()),
    }
    logger.info(
        "answers where a class reaches %.3f: %.1f %% of the validation rows, %.1f %% of those "
        "rightly",
        threshold,
        100 * decision["coverage"],
        100 * decision["accuracy"],
    )
    return decision


# ----------------------------------------------------------------------------------- predicting


def _to_probabilities(logits: Tensor, multi_label: bool) -> np.ndarray:
    """Return (n, classes), float32: shares of one, or one probability for each label."""
    probabilities = logits.sigmoid() if multi_label else logits.softmax(1)
    return probabilities.cpu().numpy()


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
    multi_label: bool,
) -> np.ndarray:
    if not len(documents):
        return np.zeros((0, model.classes), np.float32)
    with inference(model, precision) as device:
        ids = resident_ids(corpus).to(device)
        logits = _logits(model, ids, np.asarray(corpus.offsets), documents, batch_size)
        return _to_probabilities(logits, multi_label)


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
        `bundle.metadata["labels"]`. Each row sums to 1, unless a document may have several labels.

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
    several = bool(bundle.metadata.get("multi_label", False))
    return _probabilities(model, corpus, documents, batch_size, precision, several)


@dataclass
class Seen:
    """Counts what has been read, text by text.

    Attributes:
        tokens: How many.
        unknown: How many of those the vocabulary does not know.
    """

    tokens: int = 0
    unknown: int = 0

    def add(self, corpus: Corpus) -> None:
        """Count some documents."""
        self.tokens += len(corpus.ids)
        self.unknown += int(np.count_nonzero(corpus.ids == SPECIAL_TOKENS.index(UNK)))


class TextClassifier:
    """A trained classifier that reads raw text.

    Args:
        model: In any mode, on the device to use.
        bundle: What the model was rebuilt from.
        precision: "auto", "float32" or "bfloat16".
        allowed_rules: Rules beside the built-in ones that the bundle's tokenizer may name.

    Attributes:
        labels: In the order of the classes.
        multi_label: Whether a document may have any number of labels.
        text_columns: Names of the columns that make up a document.
    """

    def __init__(
        self,
        model: ClassifierModel,
        bundle: Bundle,
        precision: Precision = "auto",
        allowed_rules: Collection[str] = (),
    ) -> None:
        metadata = bundle.metadata
        self.model, self.vocabulary = model, vocabulary_of(bundle)
        self.labels = tuple(metadata["labels"])
        self.multi_label = bool(metadata.get("multi_label", False))
        self.text_columns = tuple(metadata.get("text_columns", ("text",)))
        self._decision = metadata.get("decision", {})
        self._tokenizer, self._precision = tokenizer_of(bundle, allowed_rules), precision
        self._kept: KeptEncoder | None = None

    @classmethod
    def from_bundle(
        cls,
        bundle: Bundle,
        *,
        device: str = "auto",
        precision: Precision = "auto",
        allowed_rules: Collection[str] = (),
    ) -> TextClassifier:
        """Rebuild a classifier.

        Args:
            bundle: The stored classifier.
            device: "auto" or a torch device.
            precision: "auto", "float32" or "bfloat16".
            allowed_rules: Rules of your own that the bundle's tokenizer may import and call.

        Raises:
            ValueError: The bundle is no classifier, does not say how texts are tokenized, or names
                a rule that is neither built in nor allowed.
        """
        model = classifier_from_bundle(bundle).to(resolve_device(device))
        return cls(model, bundle, precision, allowed_rules)

    def predict(
        self,
        texts: Sequence[str] | pd.DataFrame,
        *,
        batch_size: int = 64,
        seen: Seen | None = None,
    ) -> pd.DataFrame:
        """Classify texts.

        Args:
            texts: Raw texts, none of them blank; or a frame that has the text columns, in any
                order and among others. A classifier of several text columns needs a frame; there a
                text may be blank or missing, but not all those of a row.
            batch_size: Documents read side by side.
            seen: Counts the tokens.

        Returns:
            One row a text, in order: `label`, and `probability_<label>` for every label. `label`
            is null where the classifier cannot tell: no class reaches the threshold it was trained
            with. Where a document may have several, `label` is the list of those that reach their
            thresholds, and it may be empty.

        Raises:
            ValueError: A column is missing, or a text is no string or blank; the message names its
                row.
        """
        from gradual.text.tokenizer import KeptEncoder, tokenize  # with it comes spaCy

        columns = text_fields(texts, self.text_columns)
        probabilities = np.zeros((0, len(self.labels)), np.float32)
        if len(columns[0]):
            self._kept = kept = self._kept or KeptEncoder(self._tokenizer)
            tokens = tokenize(columns, self._tokenizer, names=self.text_columns, kept=kept)
            corpus = numericalize(tokens, self.vocabulary)
            if seen is not None:
                seen.add(corpus)
            everything = np.arange(len(corpus))
            _check_lengths(corpus, everything)
            probabilities = _probabilities(
                self.model, corpus, everything, batch_size, self._precision, self.multi_label
            )
        return label_answers(probabilities, self.labels, self._decision)


def label_answers(
    probabilities: np.ndarray, labels: Sequence[str], decision: Mapping[str, Any]
) -> pd.DataFrame:
    """Return the labels that probabilities stand for, and these.

    Args:
        probabilities: ``(n, labels)``.
        labels: Their names.
        decision: ``thresholds`` by label, where a text may have several; else ``abstain_below``, or
            nothing: the most probable label is always given.

    Returns:
        What `TextClassifier.predict` does.
    """
    names = np.array(labels, dtype=object)
    if "thresholds" in decision:
        thresholds = np.array([decision["thresholds"][name] for name in labels])
        chosen = decisions.above(probabilities, thresholds)
        answers = pd.Series([names[row].tolist() for row in chosen], dtype=object)
    else:
        answers = pd.Series(names[probabilities.argmax(1)], dtype="str")
        if (least := decision.get("abstain_below")) is not None:
            answers = answers.where(decisions.above(probabilities.max(1), least))
    table = {f"probability_{name}": probabilities[:, i] for i, name in enumerate(labels)}
    return pd.DataFrame({"label": answers, **table})


def text_fields(texts: Sequence[str] | pd.DataFrame, names: Sequence[str]) -> list[list[str]]:
    """Return the texts column by column, checked.

    Args:
        texts: Texts, or a frame with the columns `names`; needs be a frame if there are several.
        names: The text columns.

    Raises:
        ValueError: See `TextClassifier.predict`.
    """
    if not isinstance(texts, pd.DataFrame):
        if len(names) > 1 or isinstance(texts, str):
            raise ValueError(
                f"the classifier reads the columns {', '.join(map(repr, names))}: give a DataFrame "
                "that has them" + (", or a list of texts" if len(names) == 1 else "")
            )
        texts = pd.DataFrame({names[0]: pd.Series(list(texts), dtype=object)})
    if absent := [name for name in names if name not in texts]:
        raise ValueError(
            f"there is no column {absent[0]!r}, only {', '.join(map(repr, texts.columns))}: the "
            f"classifier reads {', '.join(map(repr, names))}"
        )
    fields = [texts[name].astype(object) for name in names]
    if len(names) > 1:
        fields = [field.where(field.notna(), "") for field in fields]
    for name, field in zip(names, fields, strict=True):
        wrong = np.flatnonzero([not isinstance(text, str) for text in field])
        if len(wrong):
            where = f" in the column {name!r}" if len(names) > 1 else ""
            raise ValueError(
                f"row {wrong[0]} is {field.iloc[wrong[0]]!r}{where}, no text: give a string"
            )
    filled = np.any([field.str.strip().astype(bool) for field in fields], axis=0)
    if not filled.all():
        row = int(np.flatnonzero(~filled)[0])
        raise ValueError(f"row {row} is blank: there is nothing to classify, leave it out")
    return [field.tolist() for field in fields]
