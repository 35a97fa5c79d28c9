"""Language models that fastai has stored, read as bundles; nothing in their files is run.

fastai publishes its AWD-LSTM as an archive of two files: `*.pth`, a state dictionary as torch
writes it, and `*.pkl`, the pickled list of words that the rows of the embedding stand for
(https://s3.amazonaws.com/fast-ai-modelzoo/wt103-fwd.tgz and wt103-bwd.tgz; read by
`language_model_learner` of fastai 2.8.12, whose modules give the parameters their names). Both are
pickles, and whoever unpickles a file runs what its author wrote there. So tensors are read by
torch's reader of weights alone, and words by one that knows strings and lists of them.

The network is the same (`gradual.text.awd_lstm`): torch's LSTM with its gates i, f, g, o and two
biases, its hidden-to-hidden matrix kept as it is before DropConnect (`weight_hh_l0_raw`), and a
decoder that shares the embedding's matrix. What differs is how things are called:

==================================================  =================================
fastai (`0.` is absent in an encoder stored alone)  here
==================================================  =================================
`0.encoder.weight`                                  `encoder.embedding.weight`
`0.rnns.{i}.weight_hh_l0_raw`                       `encoder.layers.{i}.weight_hh`
`0.rnns.{i}.module.weight_ih_l0`                    `encoder.layers.{i}.weight_ih`
`0.rnns.{i}.module.bias_ih_l0`, `.bias_hh_l0`       `encoder.layers.{i}.bias_ih`, `.bias_hh`
`1.decoder.bias`                                    `decoder.bias`
`0.encoder_dp.emb.weight`, `1.decoder.weight`,      nothing: further names of matrices above
`0.rnns.{i}.module.weight_hh_l0`
==================================================  =================================
"""

from __future__ import annotations

import dataclasses
import io
import logging
import pickletools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from torch import Tensor

from gradual.sources.archives import folder_members, read_members
from gradual.text.awd_lstm import AWDLSTMConfig
from gradual.text.language_model import KIND, transfer_vocabulary
from gradual.text.rules import SPECIAL_TOKENS, UNK
from gradual.text.tokenizer import TokenizerConfig
from gradual.text.vocabulary import Vocabulary
from gradual.training.bundle import Bundle, BundleError
from gradual.training.files import to_json_types

logger = logging.getLogger(__name__)

#: What fastai fills a vocabulary up with to a multiple of eight: rows that stand for no word.
_FILLER = "xxfake"
_SUFFIXES = (".pth", ".pkl")

_EMBEDDING = "encoder.embedding.weight"
_BIAS = "decoder.bias"
# fastai's name of a tensor, and ours; of two that fit one name here the later line wins.
_NAMES = (
    (r"(0\.)?encoder\.weight", _EMBEDDING),
    (r"(0\.)?rnns\.(?P<i>\d{1,3})\.(module\.)?(?P<p>weight_ih|weight_hh|bias_ih|bias_hh)_l0", ""),
    (r"(0\.)?rnns\.(?P<i>\d{1,3})\.(module\.)?(?P<p>weight_hh)_l0_raw", ""),
    (r"1\.decoder\.bias", _BIAS),
)
_DECODER = "1.decoder.weight"
# The embedding's matrix once more, by the names of fastai 1 and 2, and of what came before.
_COPIES = re.compile(
    r"1\.decoder\.weight|(0\.)?(encoder_dp\.emb|encoder_with_dropout\.embed)\.weight"
)
_SAYS_DIRECTION = re.compile(r"(?<![a-z])(fwd|forwards?|bwd|backwards?)(?![a-z])")

# Opcodes of pickle that a list of strings is made of; see `pickletools.opcodes`.
_STRINGS = frozenset({"UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"})
_REMEMBER = frozenset({"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"})
_RECALL = frozenset({"GET", "BINGET", "LONG_BINGET"})
_LISTS = frozenset({"EMPTY_LIST", "LIST"})
_APPEND = frozenset({"APPEND", "APPENDS"})
_NOTHING = frozenset({"PROTO", "FRAME", "MARK", "STOP"})


def fastai_language_model(path: Path, *, backwards: bool = False) -> Bundle:
    """Read a language model of fastai.

    Args:
        path: An archive (tar, also compressed, or zip) or a folder that holds one `.pth` and one
            `.pkl`, in any folder. The first may be fastai's published model, or what
            `learn.save` (`with_opt=False`) or `save_encoder` wrote; an encoder gets a decoder bias
            of zeros.
        backwards: Whether the model reads texts from their ends; its files do not say.

    Returns:
        A language-model bundle: sizes and layers read off the shapes; fastai's words in fastai's
        order, special tokens first, fillers left out; fastai's default tokenizer, which is also
        the one here. A special token that fastai's list lacks gets the mean of all words.

    Raises:
        BundleError: A file is missing, damaged or holds anything but tensors or strings, the
            tensors are those of another network, words and rows are not as many, or a name says
            that the model reads in the other direction.
        SourceError: The archive is damaged, or holds what would escape its folder.
    """
    files = _files(path)
    (weights, tensors), (list_name, words) = files[".pth"], files[".pkl"]
    _check_direction(path, weights, backwards)
    state, config = _renamed(_tensors(tensors, f"{path}, {weights}"), f"{path}, {weights}")
    old = pickled_words(words, f"{path}, {list_name}")
    rows = len(state[_EMBEDDING])
    if len(old) != rows:
        raise BundleError(
            f"{path}: {list_name} has {len(old):,} words, the embedding in {weights} {rows:,} "
            "rows: they belong to different models, put the two of one model together"
        )
    if UNK not in old:
        raise BundleError(
            f"{path}: {list_name} does not hold {UNK}, as every list of fastai 1 and 2 does: it "
            "belongs to another kind of model"
        )
    vocabulary = _vocabulary(old, f"{path}, {list_name}")
    state, _ = transfer_vocabulary(state, tuple(old), vocabulary.words)
    return Bundle(
        kind=KIND,
        config={"model": dataclasses.asdict(config)},
        state=state,
        metadata={
            "vocabulary": list(vocabulary.words),
            "tokenizer": to_json_types(TokenizerConfig(backwards=backwards)),
            "start": {"from": "fastai"},
        },
        dependencies={"vocabulary": vocabulary.hash},
        origin=str(path),
    )


def pickled_words(content: bytes, whose: str) -> list[str]:
    """Read a pickled list of strings, and nothing else, without unpickling it.

    A pickle is a program. This one is never run: its opcodes are looked at one by one, those that
    make strings and put them into one list are followed, and any other ends the reading.

    Args:
        content: The file.
        whose: What to call it in messages.

    Raises:
        BundleError: It holds another opcode, is damaged, or is something else than one flat list.
    """
    words: list[str] = []
    waiting: list[str] = []  # strings made and not yet in the list
    memo: dict[int, str | None] = {}  # None stands for the list
    lists = 0
    argument: Any  # what an opcode takes: here a string, or a number of the memo
    try:
        for opcode, argument, position in pickletools.genops(content):
            if opcode.name in _STRINGS:
                waiting.append(argument)
            elif opcode.name in _REMEMBER:
                place = len(memo) if argument is None else argument
                memo[place] = waiting[-1] if waiting else None
            elif opcode.name in _RECALL and memo.get(argument) is not None:
                waiting.append(memo[argument] or "")
            elif opcode.name in _LISTS:
                lists += 1
            elif opcode.name in _APPEND:
                words += waiting
                waiting.clear()
            elif opcode.name not in _NOTHING:
                raise BundleError(
                    f"{whose} holds the pickle opcode {opcode.name} at byte {position}, and a list "
                    "of words has none: it may be made to run code, and is not read further. If "
                    "you trust it, write its words anew: pickle.dump([str(w) for w in words], file)"
                )
    except BundleError:
        raise
    except ValueError as error:  # also what cannot be decoded
        raise BundleError(
            f"{whose} is no pickle, or truncated or altered ({error}): replace it by a good copy"
        ) from error
    if lists != 1 or waiting:
        raise BundleError(f"{whose} holds something else than one list of words: replace it")
    return words


def _files(path: Path) -> dict[str, tuple[str, bytes]]:
    """Name and content of the two files, by suffix."""
    read = folder_members if path.is_dir() else read_members
    found: dict[str, tuple[str, bytes]] = {}
    for name, content in read(path, _is_wanted):
        suffix = PurePosixPath(name).suffix
        if suffix in found:
            raise BundleError(
                f"{path} holds {found[suffix][0]} and {name}: leave only the files of one model"
            )
        found[suffix] = name, content
    missing = [f"*{suffix}" for suffix in _SUFFIXES if suffix not in found]
    if missing:
        raise BundleError(
            f"{path} holds no {' and no '.join(missing)}: a language model of fastai is its "
            "weights (*.pth) and its list of words (*.pkl), together in one archive or folder"
        )
    return found


def _is_wanted(name: str) -> bool:
    file = PurePosixPath(name)
    return file.suffix in _SUFFIXES and not file.name.startswith(".")


def _check_direction(path: Path, weights: str, backwards: bool) -> None:
    for name in (path.name, PurePosixPath(weights).name):
        said = {match[0] == "b" for match in _SAYS_DIRECTION.findall(name.lower())}
        if said == {not backwards}:
            way = {True: "backwards", False: "forwards"}
            raise BundleError(
                f"{path}: {name} is by its name a model that reads {way[not backwards]}, but is to "
                f"start one that reads {way[backwards]}: name fastai's archive of that direction "
                "(wt103-fwd, wt103-bwd), or rename the file if it is misnamed"
            )


def _tensors(content: bytes, whose: str) -> dict[str, Tensor]:
    """The tensors of a file of torch by name, on the CPU."""
    try:
        loaded = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # what a damaged file ends in depends on where the damage is
        named = re.search(r"(?:GLOBAL|Unsupported (?:operand|class)) (\S+)", str(error))
        what = f"it names {named[1]}" if named else f"{type(error).__name__}"
        raise BundleError(
            f"{whose} is damaged or holds more than tensors ({what}), and what else it holds is "
            "not loaded, since that may run code: replace it by a good copy; a model of your own "
            "store with `learn.save(name, with_opt=False)`"
        ) from error
    if isinstance(loaded, Mapping) and isinstance(loaded.get("model"), Mapping):
        loaded = loaded["model"]  # stored with its optimiser
    if not isinstance(loaded, Mapping) or not all(map(_is_matrix, loaded.values())):
        raise BundleError(f"{whose} is no mapping of names to tensors: give fastai's `state_dict`")
    return {str(name): tensor for name, tensor in loaded.items()}


def _is_matrix(value: object) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and not value.is_sparse


def _renamed(theirs: Mapping[str, Tensor], whose: str) -> tuple[dict[str, Tensor], AWDLSTMConfig]:
    """The tensors by the names here, as float32, and the network that they belong to."""
    state: dict[str, Tensor] = {}
    read: set[str] = set()
    for pattern, ours in _NAMES:
        for name, tensor in theirs.items():
            if match := re.fullmatch(pattern, name):
                name_here = ours or f"encoder.layers.{int(match['i'])}.{match['p']}"
                # A copy: what comes from a GPU may be one stretch of memory in several views.
                state[name_here] = tensor.detach().to(torch.float32, copy=True).contiguous()
                read.add(name)
    unknown = [name for name in theirs if name not in read and not _COPIES.fullmatch(name)]
    if unknown:
        raise BundleError(
            f"{whose} is no AWD-LSTM of fastai's (one direction, LSTM layers): it also holds "
            f"{_few(unknown)}"
        )
    embedding = state.get(_EMBEDDING)
    if embedding is None or embedding.ndim != 2 or not embedding.numel():
        raise BundleError(f"{whose} holds no matrix 0.encoder.weight: is it a model of fastai's?")
    if _BIAS not in state:
        logger.info("%s has no decoder bias: it starts at 0", whose)
        state[_BIAS] = torch.zeros(len(embedding))
    config = _config(state)
    expected = dict(_shapes(len(embedding), config))
    missing = [name for name in expected if name not in state]
    if missing:
        raise BundleError(
            f"{whose} lacks weights of an AWD-LSTM of fastai's with {config.layers} layers, "
            f"those that are called {_few(missing)} here: is it all of a language model?"
        )
    wrong = [n for n, shape in expected.items() if tuple(state[n].shape) != shape]
    if wrong or len(state) != len(expected):
        listed = [f"{n} {tuple(state[n].shape)} where {expected[n]} is needed" for n in wrong]
        listed += [f"{n} beside {config.layers} layers" for n in state if n not in expected]
        raise BundleError(f"{whose}: the shapes are none of an AWD-LSTM's: {_few(listed)}")
    decoder = theirs.get(_DECODER)
    if decoder is not None and not torch.equal(decoder.float(), embedding):
        logger.warning(
            "%s: the decoder's matrix is not the embedding's; the embedding's is used for both, as "
            "fastai does when it takes over a pretrained model",
            whose,
        )
    return state, config


def _config(state: Mapping[str, Tensor]) -> AWDLSTMConfig:
    """The sizes that a state is likely to have; whether it has, its shapes will tell."""
    layers = 0
    while any(f"encoder.layers.{layers}.{p}" in state for p in ("weight_ih", "weight_hh")):
        layers += 1
    size = state[_EMBEDDING].shape[1]
    first = state.get("encoder.layers.0.weight_hh")
    hidden = size if first is None else first.shape[-1:].numel()
    return AWDLSTMConfig(embedding_size=size, hidden_size=max(1, hidden), layers=max(1, layers))


def _shapes(rows: int, config: AWDLSTMConfig) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield _EMBEDDING, (rows, config.embedding_size)
    yield _BIAS, (rows,)
    for i, (before, after) in enumerate(config.layer_sizes()):
        yield f"encoder.layers.{i}.weight_ih", (4 * after, before)
        yield f"encoder.layers.{i}.weight_hh", (4 * after, after)
        yield f"encoder.layers.{i}.bias_ih", (4 * after,)
        yield f"encoder.layers.{i}.bias_hh", (4 * after,)


def _vocabulary(words: list[str], whose: str) -> Vocabulary:
    """The words in our order: special tokens first, each word once, no fillers."""
    missing = [word for word in SPECIAL_TOKENS if word not in words]
    if missing:
        logger.info("%s lacks %s: each starts at the mean of all words", whose, ", ".join(missing))
    known = dict.fromkeys((*SPECIAL_TOKENS, *words))
    known.pop(_FILLER, None)
    twice = len(words) - words.count(_FILLER) - (len(known) - len(missing))
    if twice:
        logger.info("%s names %s words twice: the later row counts", whose, f"{twice:,}")
    return Vocabulary(tuple(known), (0,) * len(known))


def _few(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
