"""What the bundles of text models share: checks that parts fit, and a context to apply models."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from gradual.text.corpus import Corpus
from gradual.text.vocabulary import Vocabulary
from gradual.training.bundle import Bundle
from gradual.training.config import Precision
from gradual.training.device import resolve_precision
from gradual.training.files import fingerprint, plain

if TYPE_CHECKING:
    from gradual.text.tokenizer import TokenizerConfig


def check_kind(bundle: Bundle, kind: str) -> None:
    """Raise ValueError unless the bundle is of that kind."""
    if bundle.kind != kind:
        raise ValueError(
            f"the bundle is a {bundle.kind!r}, where a {kind!r} is needed: give the right bundle"
        )


def check_vocabulary(found: str, found_in: str, expected: str, expected_by: str) -> None:
    """Raise ValueError unless two vocabulary hashes are equal; the message names both owners."""
    if found != expected:
        raise ValueError(
            f"{found_in} was made with vocabulary {found[:12]}…, but {expected_by} has vocabulary "
            f"{expected[:12]}…: the same id would mean different words. Make both with one "
            "vocabulary (rerun the pipeline from its vocabulary on)"
        )


def reads_backwards(bundle: Bundle) -> bool:
    """Return whether a model reads and writes from the end of a text to its beginning."""
    return bool((bundle.metadata.get("tokenizer") or {}).get("backwards", False))


def check_direction(found: bool, found_in: str, expected: bool, expected_by: str) -> None:
    """Raise ValueError unless two directions are the same; the message names both owners.

    Vocabularies cannot show it: the same words, counted in either direction, make the same one.
    """
    if found != expected:
        way = {True: "backwards", False: "forwards"}
        raise ValueError(
            f"{found_in} reads texts {way[found]}, but {expected_by} {way[expected]}: make both "
            f"with `backwards: {str(expected).lower()}` in the tokenizer's parameters, or give one "
            "of the other direction"
        )


def check_tokenizer(found: Mapping[str, Any] | None, bundle: Bundle, whose: str) -> None:
    """Raise ValueError unless texts are cut into tokens as a model's texts were.

    Args:
        found: The tokenizer's configuration as a mapping; None checks nothing, since nothing is
            known of it. `workers` may differ: the result does not depend on it.
        bundle: The model.
        whose: What to call the model.
    """
    stored = bundle.metadata.get("tokenizer")
    if found is None or stored is None:
        return
    ours = dataclasses.asdict(tokenizer_config(found))
    theirs = dataclasses.asdict(tokenizer_config(stored))
    for name, value in ours.items():
        if name != "workers" and value != theirs[name]:
            raise ValueError(
                f"tokenizer.{name} is {value!r}, but {whose} was trained with {theirs[name]!r}: "
                "its words would stand for other pieces of text; set it to the same"
            )


def vocabulary_of(bundle: Bundle) -> Vocabulary:
    """Return the vocabulary a bundle holds; its counts are not kept and come as zeros."""
    words = tuple(bundle.metadata["vocabulary"])
    return Vocabulary(words, (0,) * len(words))


def tokenizer_config(data: Mapping[str, Any]) -> TokenizerConfig:
    """Return the tokenizer's configuration from a bundle's metadata, where tuples became lists."""
    from gradual.text.tokenizer import TokenizerConfig

    settings: dict[str, Any] = dict(data)
    for name, value in settings.items():
        settings[name] = tuple(value) if isinstance(value, list) else value
    return TokenizerConfig(**settings)


def row_numbers(rows: np.ndarray, corpus: Corpus, name: str) -> np.ndarray:
    """Return chosen documents as int64 numbers, in the order given.

    Args:
        rows: Boolean mask (n_documents,), or document numbers.
        corpus: What they choose from.
        name: What to call the argument in messages.

    Raises:
        ValueError: The mask's length or a number does not fit the corpus.
    """
    rows = np.asarray(rows)
    if rows.dtype == bool:
        if rows.shape != (len(corpus),):
            raise ValueError(
                f"{name} has shape {rows.shape} but the corpus has {len(corpus)} documents: "
                "give one bool per document"
            )
        return np.flatnonzero(rows)
    numbers = rows.astype(np.int64)
    wrong = np.flatnonzero((numbers < 0) | (numbers >= len(corpus)))
    if len(wrong):
        raise ValueError(
            f"{name}[{wrong[0]}] is {numbers[wrong[0]]}, but the corpus has documents 0 to "
            f"{len(corpus) - 1}: choose among those"
        )
    return numbers


def resident_ids(corpus: Corpus) -> Tensor:
    """Return all ids as one int32 tensor (n_tokens,): half of int64, and embeddings accept it."""
    return torch.from_numpy(corpus.ids.astype(np.int32))


def parameters_hash(config: Any) -> str:
    """Return the hash of a configuration, but for what changes no result (device, intervals)."""
    return fingerprint(plain(config, identity=True))


def array_hash(array: np.ndarray) -> str:
    """Return the SHA-256 (hex) of an array's type, shape and content."""
    digest = hashlib.sha256(f"{array.dtype} {array.shape} ".encode())
    digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def cpu_state(module: nn.Module) -> dict[str, Tensor]:
    """Return a module's state as CPU tensors of their own."""
    return {
        name: tensor.detach().to("cpu", copy=True).contiguous()
        for name, tensor in module.state_dict().items()
    }


def load_state(module: nn.Module, state: dict[str, Tensor], source: str) -> None:
    """Fill a module from a bundle's state.

    Raises:
        ValueError: Names or shapes differ; the message lists them and names `source`.
    """
    own = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    stored = {name: tuple(tensor.shape) for name, tensor in state.items()}
    if own != stored:
        differing = sorted(n for n in own.keys() | stored.keys() if own.get(n) != stored.get(n))
        listed = ", ".join(
            f"{n}: stored {stored.get(n, 'nothing')}, expected {own.get(n, 'nothing')}"
            for n in differing[:5]
        )
        raise ValueError(
            f"the weights of {source} do not fit its model ({len(differing)} differ: {listed}): "
            "it was made by another architecture; train it anew"
        )
    module.load_state_dict(state)


@contextlib.contextmanager
def inference(module: nn.Module, precision: Precision = "auto") -> Iterator[torch.device]:
    """Apply a module: evaluation mode, no gradients, the precision asked for; yields its device."""
    device = next(module.parameters()).device
    dtype = resolve_precision(precision, device)
    was_training = module.training
    module.eval()
    try:
        with (
            torch.inference_mode(),
            torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32),
        ):
            yield device
    finally:
        module.train(was_training)
