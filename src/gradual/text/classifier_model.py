"""The classifier's recipe and its network: encoder, concat pooling, head.

Source: Howard and Ruder 2018, "Universal Language Model Fine-tuning for Text Classification", arXiv
1801.06146: concat pooling and BPT3C (section 3.3), discriminative rates (3.2), gradual unfreezing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from gradual.text.awd_lstm import AWDLSTM, AWDLSTMConfig
from gradual.training.config import Phase, TrainingConfig
from gradual.training.device import to_device
from gradual.training.settings import Settings

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
class ClassifierConfig(Settings):
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
        read_tokens: Words at a document's end that are read at all; None: all of them.
        head_size: Features between the head's two linear layers.
        head_dropout: Rate before the last layer; not scaled by `drop_mult`.
        batch_norm_eps: What the head's normalisations add to a feature's variance. A small model's
            pooled features can be the same for nearly all training documents; the larger this is,
            the less a document that differs there (a very short one, say) is thrown off.
        drop_mult: Factor on every dropout rate of `model`.
        class_weights: How much each class counts in the loss: `none` (all the same), `balanced`
            (rare ones more, see `labels.class_weights`), or a weight by label, 1 where not named.
            With several labels a document, the weight is that of a label where it is present.
        label_smoothing: Share of the target that is spread evenly over all classes (Szegedy et al.
            2016, arXiv 1512.00567, section 7); with several labels a document, over yes and no.
        adversarial_distance: How far a document's words are moved, all together, to where its loss
            rises most; the model then learns it there as well (adversarial training, Miyato et al.
            2017, arXiv 1605.07725, who move them by 5). In standard deviations of the words'
            vectors; 0 leaves that out, which halves the work.
        abstain_below: Answer `cannot tell` where the most probable class is less probable than
            this; None always answers. It changes no weight of the model. One label a document.
        answer_accuracy: Choose that threshold on the validation rows, the lowest at which this
            share of the answers is right; instead of `abstain_below`.
        refit: Once the validation rows have said how many epochs are best, train once more from
            the start for so many, on training and validation rows; that model is kept.
        serve: Which model answers new texts: `net` (this classifier), `ngrams`, `stack` (both, with
            weights from the validation rows), or `auto`: the one with the lowest log loss there.
            Where documents may have several labels, it is the net.
    """

    model: AWDLSTMConfig = DEFAULT_CLASSIFIER_MODEL
    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(phases=DEFAULT_CLASSIFIER_PHASES)
    )
    batch_size: int = 128
    tokens_per_batch: int = 65_536
    bptt: int = 70
    pool_tokens: int = 1_400
    read_tokens: int | None = None
    head_size: int = 50
    head_dropout: float = 0.1
    batch_norm_eps: float = 1e-5
    drop_mult: float = 0.5
    class_weights: Literal["none", "balanced"] | dict[str, float] = "none"
    label_smoothing: float = 0.0
    adversarial_distance: float = 0.0
    abstain_below: float | None = None
    answer_accuracy: float | None = None
    refit: bool = False
    serve: Literal["auto", "net", "ngrams", "stack"] = "auto"

    def __post_init__(self) -> None:
        for name in ("batch_size", "tokens_per_batch", "bptt", "pool_tokens", "head_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: give a number of at least 1")
        if self.read_tokens is not None and self.read_tokens < 1:
            raise ValueError(f"read_tokens is {self.read_tokens}: give at least 1, or null for all")
        if not 0 <= self.head_dropout < 1:
            raise ValueError(
                f"head_dropout is {self.head_dropout}: give a share from 0 up to below 1"
            )
        if self.batch_norm_eps <= 0:
            raise ValueError(f"batch_norm_eps is {self.batch_norm_eps}: give more than 0")
        if self.drop_mult < 0:
            raise ValueError(f"drop_mult is {self.drop_mult}: give 0 (no dropout) or more")
        self.model.scaled(self.drop_mult)  # refuses rates that reach 1
        if not (self.adversarial_distance >= 0 and math.isfinite(self.adversarial_distance)):
            raise ValueError(
                f"adversarial_distance is {self.adversarial_distance}: give 0 (none) or more"
            )
        self._check_answers()

    def read(self, lengths: np.ndarray) -> np.ndarray:
        """Return how many words are read of documents of these lengths."""
        return lengths if self.read_tokens is None else np.minimum(lengths, self.read_tokens)

    def _check_answers(self) -> None:
        if isinstance(self.class_weights, Mapping):
            for label, weight in self.class_weights.items():
                if not (weight > 0 and math.isfinite(weight)):
                    raise ValueError(
                        f"class_weights gives {label!r} the weight {weight}: give a number above 0"
                    )
        elif self.class_weights not in ("none", "balanced"):
            raise ValueError(
                f"class_weights is {self.class_weights!r}: give none, balanced, or a weight by "
                "label"
            )
        if self.serve not in ("auto", "net", "ngrams", "stack"):
            raise ValueError(f"serve is {self.serve!r}: give auto, net, ngrams or stack")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(
                f"label_smoothing is {self.label_smoothing}: give a share from 0 up to below 1"
            )
        for name in ("abstain_below", "answer_accuracy"):
            value = getattr(self, name)
            if value is not None and not 0 < value < 1:
                raise ValueError(f"{name} is {value}: give a share between 0 and 1, or null")
        if self.abstain_below is not None and self.answer_accuracy is not None:
            raise ValueError(
                f"abstain_below is {self.abstain_below} and answer_accuracy "
                f"{self.answer_accuracy}: give one of them, since each sets the threshold"
            )


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
        self._ends = to_device(lengths, device)
        self._starts = to_device(self._first, device)
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
        features = 3 * model.output_size
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

    def forward(
        self, ids: Tensor, starts: np.ndarray, lengths: np.ndarray, shift: Tensor | None = None
    ) -> Tensor:
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
            shift: What is added to the vectors of the words that are read, (most words read, B, E);
                None adds nothing.

        Returns:
            Logits (B, classes), float32.
        """
        config, encoder, device = self.config, self.encoder, ids.device
        starts, lengths = starts + lengths - config.read(lengths), config.read(lengths)
        pool = _ConcatPool(lengths, config.pool_tokens, config.model.output_size, device)
        first = to_device(starts, device)
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
            moved = None if shift is None else shift[start:end, :active]
            with torch.set_grad_enabled(wanted and torch.is_grad_enabled()):
                output, hidden = encoder(words, hidden, draw.first(active), moved)
            if wanted:
                with torch.autocast(device.type, enabled=False):
                    pool.add(output, start)
        with torch.autocast(device.type, enabled=False):
            logits: Tensor = self.head(pool.result())
        return logits


def new_classifier(
    vocabulary_size: int, classes: int, config: ClassifierConfig, seed: int
) -> ClassifierModel:
    """Build a model with random weights that depend on the seed only."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ClassifierModel(vocabulary_size, classes, config)


def classification_loss(
    logits: Tensor, targets: Tensor, weights: Tensor | None = None, smoothing: float = 0.0
) -> Tensor:
    """Return the mean loss of a batch, in nats.

    Args:
        logits: (B, classes).
        targets: (B,) int64, one class a document: cross-entropy, weighted rows divided by the sum
            of their weights; or (B, classes), 0 or 1 for each label: binary cross-entropy, mean
            over documents and labels.
        weights: (classes,), see `labels.class_weights`.
        smoothing: Share of the target that is spread evenly.
    """
    if targets.ndim == 1:
        return F.cross_entropy(logits, targets, weights, label_smoothing=smoothing)
    smoothed = targets.to(logits.dtype) * (1 - smoothing) + smoothing / 2
    return F.binary_cross_entropy_with_logits(logits, smoothed, pos_weight=weights)
