"""Make a tokenizer ready: learn what it must know of the texts before it can cut them."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from gradual.text.rules import SPECIAL_TOKENS
from gradual.text.subwords import SubwordConfig, learn_pieces
from gradual.text.tokenizer import TokenizerConfig, tokenize
from gradual.text.vocabulary import flat_tokens

if TYPE_CHECKING:
    from gradual.training.bundle import Bundle

logger = logging.getLogger(__name__)


def fit_tokenizer(
    columns: Sequence[pa.ChunkedArray],
    rows: np.ndarray,
    config: TokenizerConfig,
    *,
    names: Sequence[str] | None = None,
    pretrained: Bundle | None = None,
) -> TokenizerConfig:
    """Return a configuration that is ready for `tokenize`.

    Words and characters need nothing: the configuration comes back as it is. Pieces of words are
    learnt from the words of the chosen rows after the rules; where a pretrained language model of
    the same language has pieces, those are taken instead, since its vectors belong to them.

    Args:
        columns: The text columns, as for `tokenize`.
        rows: Boolean mask (n_documents,): the language model's training rows.
        config: The tokenizer's configuration.
        names: The columns' names, for messages.
        pretrained: The language model that training will start from, or None.

    Raises:
        ValueError: No row is chosen, or the texts are too few for the pieces asked for.
    """
    if config.unit != "subword" or config.subword_model is not None:
        return config
    stored: dict[str, Any] = {}
    if pretrained is not None:
        stored = pretrained.metadata.get("tokenizer") or {}
    if stored.get("unit") == "subword" and stored["language"] == config.language:
        logger.info("Subwords: those of the pretrained language model are used.")
        return dataclasses.replace(
            config,
            subwords=SubwordConfig(**stored["subwords"]),
            subword_model=stored["subword_model"],
        )
    chunks, counts = _chunk_counts(columns, rows, config, names)
    learnt = learn_pieces(chunks, counts, config.subwords)
    logger.info(
        "Subwords: learnt from %s distinct words of %s training documents.",
        f"{len(chunks):,}",
        f"{int(np.count_nonzero(rows)):,}",
    )
    return dataclasses.replace(config, subword_model=learnt)


def _chunk_counts(
    columns: Sequence[pa.ChunkedArray],
    rows: np.ndarray,
    config: TokenizerConfig,
    names: Sequence[str] | None,
) -> tuple[list[str], list[int]]:
    """Distinct chunks of the chosen rows after the rules, and how often each occurs."""
    chosen = [column.filter(pa.array(np.asarray(rows, bool))) for column in columns]
    whole = dataclasses.replace(config, unit="chunk", backwards=False)
    codes, _, chunks = flat_tokens(tokenize(chosen, whole, names=names))
    counts = np.bincount(codes, minlength=len(chunks)).tolist()
    special = frozenset(SPECIAL_TOKENS)
    pairs = [
        pair
        for pair in zip(chunks, counts, strict=True)
        if pair[0] not in special and not pair[0].isspace()
    ]
    return [chunk for chunk, _ in pairs], [count for _, count in pairs]
