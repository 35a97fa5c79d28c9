"""What the bundles of text models share: checks that parts fit, and a context to apply models."""

from __future__ import annotations

import dataclasses
import reprlib
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from gradual.text.corpus import Corpus
from gradual.text.rules import RULES, TOKEN_RULES
from gradual.text.vocabulary import Vocabulary
from gradual.training.bundle import Bundle
from gradual.training.files import from_json_types
from gradual.training.modules import array_hash as array_hash
from gradual.training.modules import check_kind as check_kind
from gradual.training.modules import cpu_state as cpu_state
from gradual.training.modules import inference as inference
from gradual.training.modules import load_state as load_state
from gradual.training.modules import parameters_hash as parameters_hash

if TYPE_CHECKING:
    from gradual.text.subwords import Unit
    from gradual.text.tokenizer import TokenizerConfig


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


def unit_of(bundle: Bundle) -> Unit:
    """Return what a model's tokens are: words, characters, …."""
    unit: Unit = (bundle.metadata.get("tokenizer") or {}).get("unit", "word")
    return unit


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
                f"tokenizer.{name} is {reprlib.repr(value)}, but {whose} was trained with "
                f"{reprlib.repr(theirs[name])}: "
                "its words would stand for other pieces of text; set it to the same"
            )


def vocabulary_of(bundle: Bundle) -> Vocabulary:
    """Return the vocabulary a bundle holds; its counts are not kept and come as zeros."""
    words = tuple(bundle.metadata["vocabulary"])
    return Vocabulary(words, (0,) * len(words))


def tokenizer_config(data: Mapping[str, Any]) -> TokenizerConfig:
    """Return the tokenizer's configuration from a bundle's metadata, where tuples became lists."""
    from gradual.text.tokenizer import TokenizerConfig

    config: TokenizerConfig = from_json_types(TokenizerConfig, data)
    return config


def tokenizer_of(bundle: Bundle, allowed_rules: Collection[str] = ()) -> TokenizerConfig:
    """Return how a model's texts are cut, so that others can be cut in the same way.

    A bundle may come from anywhere, and a rule is a function that is imported and called: without
    the check whoever wrote the bundle would choose what runs here.

    Args:
        bundle: The model.
        allowed_rules: What it may name beside the built-in rules: those that the reader's own
            configuration names, as `package.module:function`.

    Raises:
        ValueError: The bundle says nothing of a tokenizer, or names another rule.
    """
    stored = bundle.metadata.get("tokenizer")
    whose = f"the {bundle.kind} bundle {bundle.origin}".rstrip()
    if stored is None:
        raise ValueError(
            f"{whose} holds no tokenizer configuration, so it cannot read raw text: train it with "
            "tokenizer=…"
        )
    for kind, built_in in (("rules", RULES), ("token_rules", TOKEN_RULES)):
        for name in stored.get(kind, ()):
            if name not in built_in and name not in allowed_rules:
                raise ValueError(
                    f"{whose} names {name!r} among its tokenizer's {kind}, which would be imported "
                    f"and run: that is no built-in rule ({', '.join(built_in)}). If it is yours, "
                    f"name it under {kind} of your own tokenizer's parameters, or in allowed_rules"
                )
    return tokenizer_config(stored)


def joined(
    kind: str,
    members: Sequence[Bundle],
    config: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Bundle:
    """Store models as one bundle; `members_of` gives them back.

    Args:
        kind: Of the whole.
        members: The models, any of which may itself be of several.
        config: What else the whole is rebuilt from.
        metadata: What else is known of it.
    """
    parts = list(enumerate(members))
    return Bundle(
        kind=kind,
        config={
            "kinds": [member.kind for member in members],
            "members": [member.config for member in members],
            **(config or {}),
        },
        state={f"{i}.{name}": t for i, member in parts for name, t in member.state.items()},
        metadata={"members": [member.metadata for member in members], **(metadata or {})},
        dependencies={f"{i}": member.hash for i, member in parts}
        | {f"{i}.{name}": h for i, member in parts for name, h in member.dependencies.items()},
    )


def members_of(bundle: Bundle, kind: str) -> list[Bundle]:
    """Return the models that `joined` stored.

    Raises:
        ValueError: The bundle is not of that kind.
    """
    check_kind(bundle, kind)

    def of(number: int, items: Mapping[str, Any]) -> dict[str, Any]:
        start = f"{number}."
        return {n.removeprefix(start): v for n, v in items.items() if n.startswith(start)}

    configs, metadata = bundle.config["members"], bundle.metadata["members"]
    kinds = bundle.config.get("kinds") or ["text_classifier"] * len(configs)  # none in older files
    return [
        Bundle(kinds[i], configs[i], of(i, bundle.state), metadata[i], of(i, bundle.dependencies))
        for i in range(len(configs))
    ]


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
