"""Train and judge a language model: the first two steps of ULMFiT.

Source: Howard and Ruder 2018, "Universal Language Model Fine-tuning for Text Classification", arXiv
1801.06146; regularisation as in Merity et al. 2017, arXiv 1708.02182.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gradual.text.awd_lstm import AWDLSTMConfig, Hidden, LanguageModel
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
    vocabulary_of,
)
from gradual.text.corpus import Corpus
from gradual.text.rules import SPECIAL_TOKENS, UNK
from gradual.text.softmax import linear_cross_entropy, linear_scores, sampled_cross_entropy
from gradual.text.vocabulary import Vocabulary
from gradual.training.bundle import Bundle
from gradual.training.config import Phase, Precision, TrainingConfig
from gradual.training.device import resolve_device
from gradual.training.engine import CheckpointStore, fit
from gradual.training.history import History
from gradual.training.settings import Settings
from gradual.training.task import BatchStream, Task

logger = logging.getLogger(__name__)

KIND = "language_model"


@dataclass(frozen=True)
class WordAnswers:
    """How well the words of some documents were predicted, summed by document.

    Attributes:
        loss: ``(documents,)`` nats.
        hits: ``(documents,)`` words that were thought the likeliest.
        words: ``(documents,)`` words predicted.
    """

    loss: np.ndarray
    hits: np.ndarray
    words: np.ndarray


#: A start that knows a smaller share of the tokens than this is warned of.
LITTLE_KNOWN = 0.5

#: One epoch for embedding and decoder alone, whose new words know nothing yet; then everything.
DEFAULT_LANGUAGE_MODEL_PHASES = (
    Phase(epochs=1, lr=1e-2, groups=1, momentum=(0.8, 0.7)),
    Phase(epochs=10, lr=1e-3, momentum=(0.8, 0.7)),
)


@dataclass(frozen=True)
class LanguageModelConfig(Settings):
    """How a language model is built and trained.

    Attributes:
        model: Sizes and dropout rates.
        training: Phases and what they share.
        batch_size: Rows B that the joined text is cut into.
        bptt: Words that a row advances a step, and over which gradients flow back; at most.
        alpha: Weight of activation regularisation, on the dropped output (Merity et al. 4.6).
        beta: Weight of temporal activation regularisation, on the raw output (4.6).
        ramp_epochs: Epochs in which alpha and beta rise from 0 to these values where the model
            starts from random weights, which they would keep from learning; may be a fraction.
        sampled_words: Train with a softmax over the batch's own words and so many drawn ones (see
            `softmax.sampled_cross_entropy`); None: over all words. Scores are always over all.
        drop_mult: Factor on every dropout rate of `model`.
        other_language: Let a pretrained model be of another language or cut its texts differently:
            only words that both know keep their vectors.
    """

    model: AWDLSTMConfig = field(default_factory=AWDLSTMConfig)
    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(phases=DEFAULT_LANGUAGE_MODEL_PHASES)
    )
    batch_size: int = 64
    bptt: int = 70
    alpha: float = 2.0
    beta: float = 1.0
    ramp_epochs: float = 1.0
    sampled_words: int | None = None
    drop_mult: float = 0.3
    other_language: bool = False

    def __post_init__(self) -> None:
        for name in ("batch_size", "bptt"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: give a number of at least 1")
        for name in ("alpha", "beta", "ramp_epochs", "drop_mult"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}: give 0 (off) or more")
        if self.sampled_words is not None and self.sampled_words < 1:
            raise ValueError(
                f"sampled_words is {self.sampled_words}: give at least 1, or null for all words"
            )
        self.model.scaled(self.drop_mult)  # refuses rates that reach 1


# ------------------------------------------------------------------------------------- batches

#: Inputs and targets of a step, each (T, B), and the share of alpha and beta that holds.
Window = tuple[Tensor, Tensor, float]


def joined(ids: Tensor, offsets: np.ndarray, documents: np.ndarray) -> Tensor:
    """Return some documents, one after the other, as one flat tensor.

    Args:
        ids: All ids (n_tokens,), on the device of the result.
        offsets: Where documents start, (n_documents + 1,).
        documents: Document numbers, in the order wanted.
    """
    starts, lengths = offsets[documents], offsets[documents + 1] - offsets[documents]
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    result = torch.empty(total, dtype=ids.dtype, device=ids.device)
    # Position p of the result comes from ids[p + shift of its document]. The int64 index is made
    # for some million tokens at a time, so that it costs little beside the ids themselves.
    shifts = starts - (ends - lengths)
    blocks = np.searchsorted(ends, np.arange(0, total, 2**23), side="right")
    edges = np.unique(np.append(blocks, [0, len(documents)]))
    for first, last in itertools.pairwise(edges.tolist()):
        begin, end = int(ends[first] - lengths[first]), int(ends[last - 1])
        shift = torch.repeat_interleave(
            torch.from_numpy(shifts[first:last]).to(ids.device),
            torch.from_numpy(lengths[first:last]).to(ids.device),
            output_size=end - begin,
        )
        index = torch.arange(begin, end, device=ids.device).add_(shift)
        torch.index_select(ids, 0, index, out=result[begin:end])
    return result


@dataclass(frozen=True)
class LanguageModelBatches:
    """One epoch of windows over shuffled, joined documents.

    The documents, shuffled, are joined into one text and cut into B equal rows. A window is the
    next few words of every row, the targets are the words one further on, and window follows
    window, so that the state after one is the state before the next. Windows are as equal as
    can be: none is longer than bptt, none is a leftover of a few words.

    Attributes:
        ids: All ids (n_tokens,).
        offsets: Where documents start.
        documents: Numbers of those to use.
        batch_size: B.
        bptt: Longest window.
        epoch: Counted from 0; with the seed it decides the order of the documents.
        seed: Of the run.
        ramp_epochs: Epochs in which the third item of a batch rises from 0 to 1.
    """

    ids: Tensor
    offsets: np.ndarray
    documents: np.ndarray
    batch_size: int
    bptt: int
    epoch: int
    seed: int
    ramp_epochs: float = 0.0

    @property
    def _row_length(self) -> int:
        lengths = self.offsets[self.documents + 1] - self.offsets[self.documents]
        return (int(lengths.sum()) - 1) // self.batch_size

    def __len__(self) -> int:
        return -(-self._row_length // self.bptt)

    def iterate(self, start: int) -> Iterator[Window]:
        """Yield inputs and targets, each (T, B), and the ramp's value, from window `start` on."""
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.documents)
        text = joined(self.ids, self.offsets, order)
        rows, length = self.batch_size, self._row_length
        inputs = text[: rows * length].view(rows, length).t().contiguous()
        targets = text[1 : rows * length + 1].view(rows, length).t().contiguous()
        del text
        edges = [length * i // len(self) for i in range(len(self) + 1)]
        for i in range(start, len(self)):
            done = self.epoch + i / len(self)
            ramp = min(1.0, done / self.ramp_epochs) if self.ramp_epochs else 1.0
            yield inputs[edges[i] : edges[i + 1]], targets[edges[i] : edges[i + 1]], ramp


# ---------------------------------------------------------------------------------------- task


class LanguageModelTask(Task):
    """Next-word prediction for the training engine.

    Args:
        model: The language model.
        corpus: All documents; ids stay resident on the device.
        valid_rows: Boolean mask of the held-out documents.
        config: Batches, softmax and regularisation.
        train_rows: Boolean mask of those to learn from; None: all that are not held out.
        ramp_epochs: Epochs in which the regularisation of activations sets in.
        frequencies: Of the words (V,), see `word_frequencies`; needed with `config.sampled_words`.
    """

    def __init__(
        self,
        model: LanguageModel,
        corpus: Corpus,
        valid_rows: np.ndarray,
        config: LanguageModelConfig,
        train_rows: np.ndarray | None = None,
        ramp_epochs: float = 0.0,
        frequencies: Tensor | None = None,
    ) -> None:
        self.model: LanguageModel = model
        self.config = config
        self._ramp_epochs = ramp_epochs
        self._ids = resident_ids(corpus)
        self._offsets = np.asarray(corpus.offsets)
        self._train = np.flatnonzero(~valid_rows if train_rows is None else train_rows)
        self._valid = np.flatnonzero(valid_rows)
        self._frequencies = frequencies
        self._hidden: Hidden | None = None

    def layer_groups(self) -> list[list[nn.Module]]:
        """Return the LSTM layers, then embedding and decoder as the last group."""
        return self.model.layer_groups()

    def to(self, device: torch.device) -> None:
        """Move model, ids and state to a device."""
        self.model.to(device)
        self._ids = self._ids.to(device)
        if self._frequencies is not None:
            self._frequencies = self._frequencies.to(device)
        if self._hidden is not None:
            self._hidden = tuple((h.to(device), c.to(device)) for h, c in self._hidden)

    def batches(self, epoch: int, seed: int) -> BatchStream:
        """Return the windows of an epoch; see `LanguageModelBatches`."""
        config = self.config
        return LanguageModelBatches(
            self._ids,
            self._offsets,
            self._train,
            config.batch_size,
            config.bptt,
            epoch,
            seed,
            self._ramp_epochs,
        )

    def start_epoch(self) -> None:
        """Forget the state: the rows of an epoch begin in other documents."""
        self._hidden = None

    def loss(self, batch: Window) -> Tensor:
        """Return cross-entropy + AR + TAR of a window (Merity et al. 2017, section 4.6).

        AR, alpha · mean(dropped output²), keeps activations small; TAR, beta · mean((raw output at
        t+1 − raw output at t)²), keeps them from jumping between words.
        """
        inputs, targets, ramp = batch
        config, words = self.config, targets.flatten().long()
        raw, output, self._hidden = self.model(inputs, self._hidden)
        if config.sampled_words is None:
            loss = linear_cross_entropy(*self.model.decoded(output), words)
        else:
            assert self._frequencies is not None  # see Args
            loss = sampled_cross_entropy(
                *self.model.decoded(output), words, self._frequencies, config.sampled_words
            )
        if config.alpha and ramp:
            loss = loss + ramp * config.alpha * output.float().square().mean()
        if config.beta and ramp and len(raw) > 1:
            raw = raw.float()
            loss = loss + ramp * config.beta * (raw[1:] - raw[:-1]).square().mean()
        return loss

    def validate(self) -> dict[str, float]:
        """Return loss (nats), perplexity and accuracy of the next word on held-out documents."""
        text = joined(self._ids, self._offsets, self._valid)
        scores = score(self.model, text, self.config.batch_size, self.config.bptt)
        return {
            "valid_loss": scores["loss"],
            "valid_perplexity": scores["perplexity"],
            "valid_accuracy": scores["accuracy"],
        }

    def state(self) -> dict[str, Tensor]:
        """Return the hidden state carried from window to window."""
        return {
            f"{name}.{layer}": tensor
            for layer, pair in enumerate(self._hidden or ())
            for name, tensor in zip("hc", pair, strict=True)
        }

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `state` returned."""
        device = self._ids.device
        self._hidden = (
            tuple(
                (state[f"h.{layer}"].to(device), state[f"c.{layer}"].to(device))
                for layer in range(len(state) // 2)
            )
            or None
        )


def score(model: LanguageModel, text: Tensor, batch_size: int, bptt: int) -> dict[str, float]:
    """Judge next-word prediction on every word of a text but the first; arguments as there.

    Returns:
        loss (mean, nats), perplexity (its exponential), accuracy, tokens (number predicted).
    """
    loss, hits = word_scores(model, text, batch_size, bptt)
    return _figures(float(loss.sum()), int(hits.sum()), len(loss))


def word_scores(
    model: LanguageModel, text: Tensor, batch_size: int, bptt: int
) -> tuple[np.ndarray, np.ndarray]:
    """Predict every word of a text but the first from those before it.

    The text is cut into rows as in training, the last one filled up with words that do not count;
    short texts get fewer rows, so that the beginnings without context stay few.

    Args:
        model: In evaluation mode, under no_grad and autocast.
        text: Word ids (n,), n >= 2, on the model's device.
        batch_size: Most rows.
        bptt: Words a row advances a step; bounds memory, changes no figure.

    Returns:
        Each word's loss in nats, (n - 1,) float64, and whether it was thought the likeliest.
    """
    count = len(text) - 1
    rows = max(1, min(batch_size, count // bptt))
    length = -(-count // rows)
    padding = text.new_zeros(rows * length - count)
    inputs = torch.cat([text[:-1], padding]).view(rows, length).t()
    targets = torch.cat([text[1:], padding]).view(rows, length).t()
    draw = model.encoder.draw(rows)
    hidden: Hidden | None = None
    losses = torch.empty((length, rows), device=text.device)
    hits = torch.empty((length, rows), device=text.device, dtype=torch.bool)
    for start in range(0, length, bptt):
        window = slice(start, start + bptt)
        _, output, hidden = model(inputs[window], hidden, draw)
        loss, hit = linear_scores(*model.decoded(output), targets[window].flatten().long())
        losses[window], hits[window] = loss.view(-1, rows), hit.view(-1, rows)
    return (
        losses.t().flatten()[:count].double().cpu().numpy(),
        hits.t().flatten()[:count].cpu().numpy(),
    )


def _figures(loss: float, hits: int, count: int) -> dict[str, float]:
    mean = loss / count
    return {
        "loss": mean,
        "perplexity": math.exp(min(mean, 700.0)),  # beyond that a float overflows
        "accuracy": hits / count,
        "tokens": float(count),
    }


# ------------------------------------------------------------------------------------ training


def word_frequencies(corpus: Corpus, documents: np.ndarray, vocabulary_size: int) -> Tensor:
    """Return each word's share of some documents (V,), float32, with one added to every count."""
    text = joined(resident_ids(corpus), np.asarray(corpus.offsets), documents)
    counts = np.bincount(text.numpy(), minlength=vocabulary_size) + 1.0
    return torch.from_numpy((counts / counts.sum()).astype(np.float32))


def new_language_model(vocabulary_size: int, config: AWDLSTMConfig, seed: int) -> LanguageModel:
    """Build a model with random weights that depend on the seed only."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LanguageModel(vocabulary_size, config)


def transfer_vocabulary(
    state: Mapping[str, Tensor], old: tuple[str, ...], new: tuple[str, ...]
) -> tuple[dict[str, Tensor], np.ndarray]:
    """Rewrite a language model's state for another vocabulary, word by word.

    A word that both vocabularies know keeps its row; a new one starts at the mean of the embedding
    and of the decoder bias (Howard and Ruder 2018), a better guess than random.

    Returns:
        The state for the new vocabulary, and which of its words the old one knew, (V,), bool.
    """
    old_id = {word: i for i, word in enumerate(old)}
    source = torch.tensor([old_id.get(word, -1) for word in new])
    known = source >= 0
    result = dict(state)
    for name in ("encoder.embedding.weight", "decoder.bias"):
        rows = state[name]
        moved = rows.mean(0, keepdim=True).expand(len(new), *rows.shape[1:]).clone()
        moved[known] = rows[source[known]]
        result[name] = moved
    return result, known.numpy()


def language_model_from_bundle(bundle: Bundle) -> LanguageModel:
    """Rebuild the model of a bundle, on the CPU.

    Raises:
        ValueError: The bundle is no language model, or its parts do not fit each other.
    """
    check_kind(bundle, KIND)
    model = new_language_model(
        len(bundle.metadata["vocabulary"]), AWDLSTMConfig(**bundle.config["model"]), seed=0
    )
    load_state(model, bundle.state, "the language model bundle")
    return model


def _start(
    corpus: Corpus,
    vocabulary: Vocabulary,
    config: LanguageModelConfig,
    frequencies: Tensor | None,
    pretrained: Bundle | None,
    tokenizer: Mapping[str, Any] | None,
) -> tuple[LanguageModel, dict[str, Any]]:
    """Return the model to train from, and what to say about it.

    From random weights the decoder's bias starts at the words' frequencies, so that what is learnt
    from the first step on is what the words before say.
    """
    model = new_language_model(
        len(vocabulary), config.model.scaled(config.drop_mult), config.training.seed
    )
    if pretrained is None:
        logger.info("language model: starts from random weights")
        assert frequencies is not None
        with torch.no_grad():
            model.decoder.bias.copy_(frequencies.log())
        return model, {"from": "random"}
    source = f"the pretrained language model {pretrained.origin}".rstrip()
    check_kind(pretrained, KIND)
    config.model.check_same_sizes(AWDLSTMConfig(**pretrained.config["model"]), source)
    check_direction(reads_backwards(pretrained), source, corpus.backwards, "the corpus")
    if not config.other_language:
        check_tokenizer(tokenizer, pretrained, source)
    old = vocabulary_of(pretrained)
    check_vocabulary(
        old.hash, f"{source}, by its words,", pretrained.dependencies["vocabulary"], "its record"
    )
    state, known = transfer_vocabulary(pretrained.state, old.words, vocabulary.words)
    load_state(model, state, source)
    words, tokens = int(known.sum()), _share_of_tokens(corpus, known)
    share = words / len(vocabulary)
    start = {
        "from": "pretrained",
        "bundle": pretrained.hash,
        "vocabulary": old.hash,
        "words_found": words,
        "words_found_share": share,
        "tokens_found_share": tokens,
    }
    logger.info(
        "language model: starts from %s (%s…, vocabulary %s…), which knows %s of %s words (%.1f %%)"
        ", %.1f %% of all tokens",
        source.removeprefix("the "),
        pretrained.hash[:12],
        old.hash[:12],
        f"{words:,}",
        f"{len(vocabulary):,}",
        100 * share,
        100 * tokens,
    )
    if tokens < LITTLE_KNOWN:
        logger.warning(
            "%s knows only %.1f %% of the texts' tokens, so little of it carries over: is it of "
            "the same language, and tokenized in the same way?",
            source.capitalize(),
            100 * tokens,
        )
    return model, start


def _share_of_tokens(corpus: Corpus, known: np.ndarray) -> float:
    """The share of a corpus' tokens whose words are known; xxunk stands for no known word."""
    counts = np.bincount(corpus.ids, minlength=len(known))
    known = known.copy()
    known[SPECIAL_TOKENS.index(UNK)] = False
    return float(counts[known].sum() / counts.sum())


def _check_inputs(
    corpus: Corpus,
    vocabulary: Vocabulary,
    train_rows: np.ndarray,
    valid_rows: np.ndarray,
    config: LanguageModelConfig,
) -> None:
    check_vocabulary(corpus.vocabulary_hash, "the corpus", vocabulary.hash, "the vocabulary given")
    for name, rows in (("valid_rows", valid_rows), ("train_rows", train_rows)):
        if rows.dtype != bool or rows.shape != (len(corpus),):
            raise ValueError(
                f"{name} has dtype {rows.dtype} and shape {rows.shape}: give one bool "
                f"for each of the {len(corpus)} documents"
            )
    if (train_rows & valid_rows).any():
        row = int(np.flatnonzero(train_rows & valid_rows)[0])
        raise ValueError(
            f"document {row} is in train_rows and in valid_rows: hold it out, or learn from it"
        )
    lengths = corpus.lengths
    train, valid = int(lengths[train_rows].sum()), int(lengths[valid_rows].sum())
    if train < 2 * config.batch_size:
        raise ValueError(
            f"the {int(train_rows.sum())} training documents hold {train} words, too few for "
            f"batch_size = {config.batch_size} rows: lower batch_size or give more text"
        )
    if valid < 2:
        raise ValueError(
            f"the {int(valid_rows.sum())} validation documents hold {valid} words, so nothing can "
            "be predicted on them: hold out more documents (the split's parameters)"
        )


def language_model_task(
    corpus: Corpus,
    vocabulary: Vocabulary,
    valid_rows: np.ndarray,
    config: LanguageModelConfig,
    *,
    train_rows: np.ndarray | None = None,
    pretrained: Bundle | None = None,
    tokenizer: Mapping[str, Any] | None = None,
) -> tuple[LanguageModelTask, dict[str, Any]]:
    """Build what the engine trains (or range-tests); arguments as for `train_language_model`.

    Returns:
        The task, and where its weights start from (see `train_language_model`).
    """
    rows = _train_rows(train_rows, valid_rows)
    _check_inputs(corpus, vocabulary, rows, valid_rows, config)
    frequencies = None
    if pretrained is None or config.sampled_words is not None:
        frequencies = word_frequencies(corpus, np.flatnonzero(rows), len(vocabulary))
    model, start = _start(corpus, vocabulary, config, frequencies, pretrained, tokenizer)
    ramp_epochs = config.ramp_epochs if pretrained is None else 0.0
    task = LanguageModelTask(model, corpus, valid_rows, config, rows, ramp_epochs, frequencies)
    return task, start


def training_from(training: TrainingConfig, start: Mapping[str, Any]) -> TrainingConfig:
    """Return the phases that suit a start: from random weights, those that train everything.

    A phase that trains the last layer groups only is for a pretrained model, whose new words know
    nothing yet; over frozen random layers embedding and decoder would learn to read noise.
    """
    whole = tuple(phase for phase in training.phases if phase.groups is None)
    if start["from"] != "random" or len(whole) in (0, len(training.phases)):
        return training
    logger.info(
        "language model: leaves out %d of %d phases, which train some layer groups only: the "
        "weights are random",
        len(training.phases) - len(whole),
        len(training.phases),
    )
    return dataclasses.replace(training, phases=whole)


def _train_rows(train_rows: np.ndarray | None, valid_rows: np.ndarray) -> np.ndarray:
    return ~valid_rows if train_rows is None else np.asarray(train_rows)


def train_language_model(
    corpus: Corpus,
    vocabulary: Vocabulary,
    valid_rows: np.ndarray,
    config: LanguageModelConfig,
    *,
    train_rows: np.ndarray | None = None,
    pretrained: Bundle | None = None,
    tokenizer: Mapping[str, Any] | None = None,
    store: CheckpointStore | None = None,
    on_epoch: Callable[[dict[str, float], int], None] | None = None,
) -> tuple[Bundle, History]:
    """Train a language model.

    Args:
        corpus: All documents.
        vocabulary: What the corpus was numericalised with.
        valid_rows: Boolean mask (n_documents,) of the held-out documents.
        config: Model, batches, regularisation, phases.
        train_rows: Boolean mask (n_documents,) of those to learn from; None: all others.
        pretrained: Language model to start from; its words are carried over one by one. None
            starts from random weights.
        tokenizer: The tokenizer's configuration as a mapping, kept so that the model can read
            prompts; None leaves it out (a backwards corpus needs it: the model's direction stands
            there).
        store: Where to keep checkpoints.
        on_epoch: Gets every epoch's figures and number.

    Returns:
        The bundle and the figures by epoch. `bundle.metadata` holds the vocabulary's words, the
        tokenizer's configuration and `start`: `from` ("random" or "pretrained") and for the latter
        the hashes `bundle` and `vocabulary`, `words_found` of the new vocabulary,
        `words_found_share` and `tokens_found_share` (of the corpus).

    Raises:
        ValueError: Corpus, vocabulary, tokenizer, rows and pretrained model do not fit each other.
    """
    valid_rows = np.asarray(valid_rows)
    check_direction(
        bool((tokenizer or {}).get("backwards")), "the tokenizer", corpus.backwards, "the corpus"
    )
    task, start = language_model_task(
        corpus, vocabulary, valid_rows, config,
        train_rows=train_rows, pretrained=pretrained, tokenizer=tokenizer,
    )  # fmt: skip
    dependencies = {
        "corpus": corpus.hash,
        "vocabulary": vocabulary.hash,
        "train_rows": array_hash(_train_rows(train_rows, valid_rows)),
        "valid_rows": array_hash(valid_rows),
        "pretrained": start.get("bundle", "none"),
    }
    settings = dataclasses.asdict(config)
    del settings["training"]  # the engine adds it to the key itself
    history = fit(
        task,
        training_from(config.training, start),
        name="language model",
        store=store,
        key={"language_model": settings, **dependencies},
        on_epoch=on_epoch,
    )
    bundle = Bundle(
        kind=KIND,
        config={"model": dataclasses.asdict(config.model)},
        state=cpu_state(task.model),
        metadata={
            "vocabulary": list(vocabulary.words),
            "tokenizer": None if tokenizer is None else dict(tokenizer),
            "start": start,
        },
        dependencies={**dependencies, "parameters": parameters_hash(config)},
    )
    return bundle, history


def evaluate_language_model(
    bundle: Bundle,
    corpus: Corpus,
    rows: np.ndarray,
    *,
    train_rows: np.ndarray | None = None,
    batch_size: int = 64,
    bptt: int = 70,
    device: str = "auto",
    precision: Precision = "auto",
) -> dict[str, float]:
    """Judge a language model on held-out documents; arguments as for `answer_words`.

    Returns:
        loss (nats a word), perplexity, accuracy, tokens; the same of word frequencies, but for
        tokens, as unigram_loss, unigram_perplexity and unigram_accuracy.
    """
    model, unigrams = (
        _figures(float(found.loss.sum()), int(found.hits.sum()), int(found.words.sum()))
        for found in answer_words(
            bundle, corpus, rows, train_rows=train_rows, batch_size=batch_size, bptt=bptt,
            device=device, precision=precision,
        ).values()
    )  # fmt: skip
    del unigrams["tokens"]
    return model | {f"unigram_{name}": value for name, value in unigrams.items()}


def answer_words(
    bundle: Bundle,
    corpus: Corpus,
    rows: np.ndarray,
    *,
    train_rows: np.ndarray | None = None,
    batch_size: int = 64,
    bptt: int = 70,
    device: str = "auto",
    precision: Precision = "auto",
) -> dict[str, WordAnswers]:
    """Predict the words of held-out documents, beside the best that word counts can do.

    Args:
        bundle: The language model.
        corpus: Numericalised with the model's vocabulary.
        rows: The held-out documents, mask or numbers.
        train_rows: Mask or numbers of those it has learnt from; None: all others.
        batch_size: Rows read side by side.
        bptt: Words read a step.
        device: "auto" or a torch device.
        precision: "auto", "float32" or "bfloat16".

    Returns:
        ``language_model`` and ``unigrams``, which predicts every word by its frequency in the
        training documents (one added to every count). The first word of all is not predicted.

    Raises:
        ValueError: The corpus has another vocabulary, or there is nothing to judge on.
    """
    model = language_model_from_bundle(bundle)
    check_vocabulary(
        corpus.vocabulary_hash, "the corpus", bundle.dependencies["vocabulary"], "the model"
    )
    check_direction(reads_backwards(bundle), "the model", corpus.backwards, "the corpus")
    documents = row_numbers(rows, corpus, "rows")
    offsets = np.asarray(corpus.offsets)
    text = joined(resident_ids(corpus), offsets, documents)
    if len(text) < 2:
        raise ValueError(
            f"rows choose {len(documents)} documents with {len(text)} words: give at least 2 words"
        )
    model.to(resolve_device(device))
    with inference(model, precision) as used:
        loss, hits = word_scores(model, text.to(used), batch_size, bptt)

    if train_rows is None:
        train_rows = np.setdiff1d(np.arange(len(corpus)), documents)
    learnt = row_numbers(train_rows, corpus, "train_rows")
    frequencies = word_frequencies(corpus, learnt, len(bundle.metadata["vocabulary"])).double()
    targets, expected = text[1:].numpy(), -frequencies.log().numpy()
    document = np.repeat(np.arange(len(documents)), corpus.lengths[documents])[1:]

    def by_document(loss: np.ndarray, hits: np.ndarray) -> WordAnswers:
        return WordAnswers(
            loss=np.bincount(document, loss, len(documents)),
            hits=np.bincount(document, hits, len(documents)),
            words=np.bincount(document, minlength=len(documents)),
        )

    return {
        "language_model": by_document(loss, hits),
        "unigrams": by_document(expected[targets], targets == expected.argmin()),
    }
