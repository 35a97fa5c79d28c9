"""The vocabulary: which words a model knows, with their ids and counts."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from gradual.text.rules import SPECIAL_TOKENS
from gradual.training.settings import Settings

_FORMAT = "gradual-vocabulary-1"


@dataclass(frozen=True)
class VocabularyConfig(Settings):
    """How a vocabulary is chosen.

    Attributes:
        max_size: Most words it may hold, special tokens included.
        min_frequency: Occurrences that a word needs to get in; special tokens always do.
    """

    max_size: int = 60_000
    min_frequency: int = 3

    def __post_init__(self) -> None:
        if self.max_size <= len(SPECIAL_TOKENS):
            raise ValueError(
                f"max_size is {self.max_size}: the {len(SPECIAL_TOKENS)} special tokens alone "
                f"take that; set max_size to at least {len(SPECIAL_TOKENS) + 1}"
            )
        if self.min_frequency < 1:
            raise ValueError(
                f"min_frequency is {self.min_frequency}: set it to 1 (every word) or more"
            )


@dataclass(frozen=True)
class Vocabulary:
    """Words in id order, with how often each occurred in the rows they were counted on.

    Attributes:
        words: Word of each id; special tokens first, then most frequent first.
        counts: Occurrences of each word, same order.
    """

    words: tuple[str, ...]
    counts: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.words) != len(self.counts):
            raise ValueError(
                f"a vocabulary of {len(self.words)} words has {len(self.counts)} counts: "
                "give one count a word"
            )
        if self.words[: len(SPECIAL_TOKENS)] != SPECIAL_TOKENS:
            start = " ".join(self.words[: len(SPECIAL_TOKENS)])
            raise ValueError(
                f"a vocabulary starts with the special tokens {' '.join(SPECIAL_TOKENS)}, this one "
                f"with {start}: build it with build_vocabulary"
            )
        if len(self._ids) != len(self.words):
            twice = next(word for i, word in enumerate(self.words) if self._ids[word] != i)
            raise ValueError(f"the word {twice!r} stands twice in the vocabulary: remove one")

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {word: i for i, word in enumerate(self.words)}

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self._ids

    def index(self, word: str) -> int:
        """Id of `word`; of `xxunk` (0) where the vocabulary does not know it."""
        return self._ids.get(word, 0)

    @cached_property
    def hash(self) -> str:
        """Sha256 (hex) of the words in order: equal hashes give equal ids to every text.

        Counts stay out of it: they change no id.
        """
        return hashlib.sha256(json.dumps(self.words).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """A JSON-able form for people and for `from_json`: `[word, count]` pairs in id order."""
        pairs = [list(pair) for pair in zip(self.words, self.counts, strict=True)]
        return {"format": _FORMAT, "hash": self.hash, "size": len(self), "words": pairs}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Vocabulary":
        """The vocabulary that `to_json` wrote.

        Raises:
            ValueError: `data` is something else, or its words no longer match their hash.
        """
        if data.get("format") != _FORMAT:
            raise ValueError(
                f"this is no vocabulary: its format is {data.get('format')!r}, not {_FORMAT!r}; "
                "build the vocabulary anew"
            )
        words = tuple(str(word) for word, _ in data["words"])
        vocabulary = cls(words, tuple(int(count) for _, count in data["words"]))
        if vocabulary.hash != data["hash"]:
            raise ValueError(
                "the vocabulary's words do not match its hash: it was edited or damaged, and its "
                "ids would not fit the models and corpora made with it; build it anew"
            )
        return vocabulary


def flat_tokens(tokens: pa.Table) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """The token table as flat arrays.

    Args:
        tokens: A table with a column `tokens: list<dictionary<…, string>>`, one document a row.

    Returns:
        Codes `(n_tokens,)` into the words; document offsets `(n_documents + 1,)`, int64; the words.

    Raises:
        ValueError: There is no such column, or a document is null.
    """
    if "tokens" not in tokens.column_names:
        raise ValueError(
            f"the token table has no column 'tokens' but {tokens.column_names}: "
            "make it with gradual.text.tokenizer.tokenize"
        )
    column = tokens["tokens"]
    kind = column.type
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)) or not (
        pa.types.is_dictionary(kind.value_type) or pa.types.is_string(kind.value_type)
    ):
        raise ValueError(f"the column 'tokens' is {kind}: it must be list<dictionary<string>>")
    if column.null_count:
        row = column.is_null().to_pylist().index(True)
        raise ValueError(f"row {row} of the column 'tokens' is null: tokenize the documents anew")
    lengths = [np.diff(chunk.offsets.to_numpy()) for chunk in column.chunks]
    offsets = np.zeros(len(column) + 1, np.int64)
    if lengths:
        np.cumsum(np.concatenate(lengths), out=offsets[1:])
    if not offsets[-1]:
        return np.zeros(0, np.int32), offsets, []
    values = pa.chunked_array([chunk.flatten() for chunk in column.chunks])
    if not pa.types.is_dictionary(values.type):
        values = values.dictionary_encode()
    values = values.unify_dictionaries()  # Parquet gives each row group a dictionary of its own
    codes = [chunk.indices.to_numpy() for chunk in values.chunks]
    words = values.chunk(0).dictionary.to_pylist()
    return codes[0] if len(codes) == 1 else np.concatenate(codes), offsets, words


def build_vocabulary(
    tokens: pa.Table, rows: np.ndarray, config: VocabularyConfig | None = None
) -> Vocabulary:
    """Choose the words that a model will know.

    Special tokens come first, in id order; then the most frequent words, ties in alphabetical
    (code point) order.

    Args:
        tokens: The token table (see `flat_tokens`).
        rows: Boolean mask `(n_documents,)` of the documents to count: the training rows.
        config: Size and least frequency; the defaults if None.

    Raises:
        ValueError: No row is chosen, the mask does not fit, or no word is frequent enough.
    """
    config = config or VocabularyConfig()
    rows = np.asarray(rows)
    codes, offsets, words = flat_tokens(tokens)
    if rows.dtype != bool or rows.shape != (len(offsets) - 1,):
        raise ValueError(
            f"rows has dtype {rows.dtype} and shape {rows.shape}: give one bool for each of the "
            f"{len(offsets) - 1} documents"
        )
    if not rows.any():
        raise ValueError(
            "no row is chosen to count words on: the split leaves no training rows; check the "
            "split's parameters"
        )
    chosen = codes if rows.all() else codes[np.repeat(rows, np.diff(offsets))]
    counts = np.bincount(chosen, minlength=len(words)).tolist()
    counted = dict(zip(words, counts, strict=True))
    special = [(word, counted.pop(word, 0)) for word in SPECIAL_TOKENS]
    frequent = [pair for pair in counted.items() if pair[1] >= config.min_frequency]
    if not frequent:
        raise ValueError(
            f"none of the {len(counted):,} words in {int(rows.sum()):,} documents occurs "
            f"min_frequency = {config.min_frequency} times, so the vocabulary would hold nothing "
            "but special tokens: lower min_frequency or give more text"
        )
    frequent.sort(key=lambda pair: (-pair[1], pair[0]))
    pairs = special + frequent[: config.max_size - len(special)]
    return Vocabulary(tuple(word for word, _ in pairs), tuple(count for _, count in pairs))
