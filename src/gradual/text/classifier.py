"""Train and apply a text classifier on a language model's encoder: the third step of ULMFiT.

Source: Howard and Ruder 2018, "Universal Language Model Fine-tuning for Text Classification", arXiv
1801.06146: concat pooling and BPT3C (section 3.3), discriminative rates (3.2), gradual unfreezing.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from gradual.text import language_model as lm
from gradual.text.awd_lstm import AWDLSTM, AWDLSTMConfig
from gradual.text.bundles import (
    array_hash,
    check_kind,
    check_vocabulary,
    cpu_state,
    inference,
    load_state,
    parameters_hash,
    resident_ids,
    row_numbers,
    tokenizer_config,
    vocabulary_of,
)
from gradual.text.corpus import Corpus, numericalize
from gradual.text.vocabulary import Vocabulary
from gradual.training.bundle import Bundle
from gradual.training.config import Phase, Precision, TrainingConfig
from gradual.training.device import resolve_device
from gradual.training.engine import CheckpointStore, fit
from gradual.training.files import fingerprint
from gradual.training.history import History
from gradual.training.task import BatchStream, Task

logger = logging.getLogger(__name__)

KIND = "text_classifier"

#: From the first to the last of five layer groups, each 2.6 times the rate of the one before.
_SPAN = 2.6**4
#: The head alone, then one layer group more at a time, at falling rates.
DEFAULT_CLASSIFIER_PHASES = (
    Phase(epochs=1, lr=2e-2, groups=1, momentum=(0.8, 0.7)),
    Phase(epochs=1, lr=(1e-2 / _SPAN, 1e-2), groups=2, momentum=(0.8, 0.7)),
    Phase(epochs=1, lr=(5e-3 / _SPAN, 5e-3), groups=3, momentum=(0.8, 0.7)),
    Phase(epochs=2, lr=(1e-3 / _SPAN, 1e-3), momentum=(0.8, 0.7)),
)
#: The encoder's sizes with the classifier's dropout rates, which are stronger.
DEFAULT_CLASSIFIER_MODEL = AWDLSTMConfig(
    output_dropout=0.4,
    hidden_dropout=0.3,
    input_dropout=0.4,
    embedding_dropout=0.05,
    weight_dropout=0.5,
)


@dataclass(frozen=True)
class ClassifierConfig:
    """How a classifier is built and trained.

    Attributes:
        model: Sizes (those of the language model) and dropout rates of the encoder; its output
            dropout is that of the head's first layer.
        training: Phases and what they share.
        batch_size: Most documents B in a batch.
        tokens_per_batch: Most words in a batch whose activations are kept for the backward pass,
            padding included; bounds memory. A batch holds at least one document.
        bptt: Words that the encoder reads a step, and over which gradients flow back.
        pool_tokens: Words at a document's end that are pooled; those before are only read.
        head_size: Features between the head's two linear layers.
        head_dropout: Rate before the last layer; not scaled by `drop_mult`.
        batch_norm_eps: What the head's normalisations add to a feature's variance. A small model's
            pooled features can be the same for nearly all training documents; the larger this is,
            the less a document that differs there (a very short one, say) is thrown off.
        drop_mult: Factor on every dropout rate of `model`.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012

    model: AWDLSTMConfig = DEFAULT_CLASSIFIER_MODEL
    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(phases=DEFAULT_CLASSIFIER_PHASES)
    )
    batch_size: int = 128
    tokens_per_batch: int = 65_536
    bptt: int = 70
    pool_tokens: int = 1_400
    head_size: int = 50
    head_dropout: float = 0.1
    batch_norm_eps: float = 1e-5
    drop_mult: float = 0.5

    def __post_init__(self) -> None:
        for name in ("batch_size", "tokens_per_batch", "bptt", "pool_tokens", "head_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: give a number of at least 1")
        if not 0 <= self.head_dropout < 1:
            raise ValueError(
                f"head_dropout is {self.head_dropout}: give a share from 0 up to below 1"
            )
        if self.batch_norm_eps <= 0:
            raise ValueError(f"batch_norm_eps is {self.batch_norm_eps}: give more than 0")
        if self.drop_mult < 0:
            raise ValueError(f"drop_mult is {self.drop_mult}: give 0 (no dropout) or more")
        self.model.scaled(self.drop_mult)  # refuses rates that reach 1


# --------------------------------------------------------------------------------------- model


class _BatchNorm(nn.BatchNorm1d):
    """Batch normalisation that takes its running statistics for a batch of one document.

    One value has no variance; torch refuses it.
    """

    def forward(self, input: Tensor) -> Tensor:
        if self.training and len(input) == 1:
            return F.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(input)


class _ConcatPool:
    """[last, maximum, mean] over the last words of each document, word by word as they come.

    Holds three vectors a document, so that a document's length costs nothing. Documents stand in
    order of falling length; those that have ended leave at the back.

    Args:
        lengths: Words of each document (B,), falling.
        pool_tokens: How many at the end count.
        size: E.
        device: Of the encoder's output.
    """

    def __init__(
        self, lengths: np.ndarray, pool_tokens: int, size: int, device: torch.device
    ) -> None:
        self._first = np.maximum(lengths - pool_tokens, 0)
        self._ends = torch.from_numpy(lengths).to(device)
        self._starts = torch.from_numpy(self._first).to(device)
        shape = (len(lengths), size)
        self._last = torch.zeros(shape, device=device)
        self._top = torch.full(shape, -torch.inf, device=device)
        self._total = torch.zeros(shape, device=device)
        self._done: list[Tensor] = []

    def wants(self, active: int, end: int) -> bool:
        """Return whether any of the first `active` documents pools a word before position `end`."""
        return bool((self._first[:active] < end).any())

    def keep(self, active: int) -> None:
        """Let all but the first `active` documents leave."""
        if active < len(self._last):
            self._done.append(self._result(slice(active, None)))
            self._last, self._top = self._last[:active], self._top[:active]
            self._total = self._total[:active]

    def add(self, output: Tensor, start: int) -> None:
        """Take the encoder's output (T, active, E) for the positions from `start` on."""
        output = output.float()
        active = output.shape[1]
        ends, starts = self._ends[:active], self._starts[:active]
        position = torch.arange(start, start + len(output), device=output.device).unsqueeze(1)
        pooled = (position >= starts) & (position < ends)
        self._total = self._total + torch.einsum("tb,tbe->be", pooled.float(), output)
        highest = output.masked_fill(~pooled.unsqueeze(2), -torch.inf).amax(0)
        self._top = torch.maximum(self._top, highest)
        last = ends - 1 - start
        here = (last >= 0) & (last < len(output))
        row = torch.arange(active, device=output.device)
        candidate = output[last.clamp(0, len(output) - 1), row]
        self._last = torch.where(here.unsqueeze(1), candidate, self._last)

    def result(self) -> Tensor:
        """Return the features (B, 3E) of all documents in order, once all are read."""
        self.keep(0)
        return torch.cat(self._done[::-1])

    def _result(self, rows: slice) -> Tensor:
        active = len(self._last)
        counts = (self._ends - self._starts)[:active][rows].unsqueeze(1)
        return torch.cat([self._last[rows], self._top[rows], self._total[rows] / counts], 1)


class ClassifierModel(nn.Module):
    """AWD-LSTM encoder, concat pooling and a small head.

    Args:
        vocabulary_size: V.
        classes: Number of classes.
        config: Sizes and rates; the dropout rates of `config.model` are scaled here.
    """

    def __init__(self, vocabulary_size: int, classes: int, config: ClassifierConfig) -> None:
        super().__init__()
        self.config, self.classes = config, classes
        model = config.model.scaled(config.drop_mult)
        self.encoder = AWDLSTM(vocabulary_size, model)
        features = 3 * model.embedding_size
        self.head = nn.Sequential(
            _BatchNorm(features, eps=config.batch_norm_eps),
            nn.Dropout(model.output_dropout),
            nn.Linear(features, config.head_size),
            nn.ReLU(),
            _BatchNorm(config.head_size, eps=config.batch_norm_eps),
            nn.Dropout(config.head_dropout),
            nn.Linear(config.head_size, classes),
        )

    def layer_groups(self) -> list[list[nn.Module]]:
        """Return embedding, each LSTM layer, head."""
        encoder = self.encoder
        return [[encoder.embedding], *([layer] for layer in encoder.layers), [self.head]]

    def forward(self, ids: Tensor, starts: np.ndarray, lengths: np.ndarray) -> Tensor:
        """Classify documents of any length.

        The encoder walks the documents side by side in steps of bptt words; the state goes from
        step to step without gradient. Every document begins at position 0 of its row and the LSTM
        reads forwards, so what stands behind its end never reaches it; a document that has ended
        leaves.
        Steps in which nobody pools keep no activations: memory is bounded by the pooled words,
        not by the length.

        Args:
            ids: All ids (n_tokens,), on the model's device.
            starts: Where each document starts in `ids` (B,).
            lengths: Its words (B,), falling, each at least 1.

        Returns:
            Logits (B, classes), float32.
        """
        config, encoder, device = self.config, self.encoder, ids.device
        pool = _ConcatPool(lengths, config.pool_tokens, config.model.embedding_size, device)
        first = torch.from_numpy(starts).to(device)
        draw = encoder.draw(len(lengths))
        hidden = encoder.zero_state(len(lengths))
        for start in range(0, int(lengths[0]), config.bptt):
            end = min(start + config.bptt, int(lengths[0]))
            active = int((lengths > start).sum())
            pool.keep(active)
            hidden = tuple((h[:, :active], c[:, :active]) for h, c in hidden)
            index = first[:active] + torch.arange(start, end, device=device).unsqueeze(1)
            words = ids[index.clamp_(max=len(ids) - 1)]
            wanted = pool.wants(active, end)
            with torch.set_grad_enabled(wanted and torch.is_grad_enabled()):
                output, hidden = encoder(words, hidden, draw.first(active))
            if wanted:
                with torch.autocast(device.type, enabled=False):
                    pool.add(output, start)
        with torch.autocast(device.type, enabled=False):
            logits: Tensor = self.head(pool.result())
        return logits


# ------------------------------------------------------------------------------------- batches


def _cut(
    documents: np.ndarray, lengths: np.ndarray, batch_size: int, tokens: int, most: int
) -> list[np.ndarray]:
    """Cut ordered documents into batches of at most `batch_size` and, padded, `tokens` words.

    A document counts as at most `most` words. Inside a batch the longest comes first.
    """
    batches: list[np.ndarray] = []
    start, longest = 0, 0
    for i, length in enumerate(np.minimum(lengths[documents], most).tolist()):
        longest = max(longest, length)
        if i > start and (i - start == batch_size or (i + 1 - start) * longest > tokens):
            batches.append(documents[start:i])
            start, longest = i, length
    batches.append(documents[start:])
    return [batch[np.argsort(-lengths[batch], kind="stable")] for batch in batches]


@dataclass(frozen=True)
class ClassifierBatches:
    """One epoch of batches of documents of similar length, in random order.

    The documents are shuffled, then sorted by length within stretches of 50 batches, with a tenth
    of noise, so that small collections too meet in new batches every epoch. The batch with the
    longest document comes first: if memory does not suffice, that shows at once.

    Attributes:
        lengths: Words of every document of the corpus.
        documents: Numbers of those to use.
        config: Batch sizes.
        epoch: Counted from 0; with the seed it decides the order.
        seed: Of the run.
    """

    lengths: np.ndarray
    documents: np.ndarray
    config: ClassifierConfig
    epoch: int
    seed: int

    def _batches(self) -> list[np.ndarray]:
        config = self.config
        random = np.random.default_rng([self.seed, self.epoch])
        order = random.permutation(self.documents)
        noisy = self.lengths * random.uniform(0.9, 1.1, len(self.lengths))
        batches: list[np.ndarray] = []
        for start in range(0, len(order), 50 * config.batch_size):
            stretch = order[start : start + 50 * config.batch_size]
            batches += _cut(
                stretch[np.argsort(-noisy[stretch], kind="stable")],
                self.lengths,
                config.batch_size,
                config.tokens_per_batch,
                config.pool_tokens + config.bptt,
            )
        batches = [batches[i] for i in random.permutation(len(batches))]
        longest = int(np.argmax([self.lengths[batch[0]] for batch in batches]))
        batches[0], batches[longest] = batches[longest], batches[0]
        return batches

    def __len__(self) -> int:
        return len(self._batches())

    def iterate(self, start: int) -> Iterator[np.ndarray]:
        """Yield document numbers, longest document first, from batch `start` on."""
        yield from self._batches()[start:]


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


def new_classifier(
    vocabulary_size: int, classes: int, config: ClassifierConfig, seed: int
) -> ClassifierModel:
    """Build a model with random weights that depend on the seed only."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ClassifierModel(vocabulary_size, classes, config)


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
            raw text; None leaves it out.
        store: Where to keep checkpoints.
        on_epoch: Gets every epoch's figures and number.

    Returns:
        The bundle and the figures by epoch. `bundle.metadata` holds labels (sorted), the
        vocabulary's words, the tokenizer's configuration and where the encoder came from.

    Raises:
        ValueError: The vocabularies or sizes differ, a row has no label or an unknown one.
    """
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
