"""Let a language model write: read a beginning once, then one step of the network a word.

A model that was trained backwards writes from the end of a text to its beginning: a prompt is then
how the text ends, and what is written stands before it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from gradual.text.awd_lstm import LanguageModel
from gradual.text.bundles import (
    inference,
    reads_backwards,
    tokenizer_of,
    unit_of,
    vocabulary_of,
)
from gradual.text.corpus import numericalize
from gradual.text.language_model import language_model_from_bundle
from gradual.text.rules import BOS, EOS, PAD, UNK
from gradual.training.bundle import Bundle
from gradual.training.config import Precision
from gradual.training.device import resolve_device
from gradual.training.settings import Settings


@dataclass(frozen=True)
class GenerationConfig(Settings):
    """What a language model shall write.

    Attributes:
        prompts: Beginnings of texts, raw (a backwards model: ends); "" lets it begin by itself.
        words: Tokens to add to each.
        temperature: Below 1 likelier words, above 1 more surprising ones, 0 always the likeliest.
        min_p: Leaves out words less likely than this share of the likeliest; 0 none.
        top_k: Chooses among so many of the likeliest words only; None among all.
        texts: How many texts to write for each prompt, with seeds `seed`, `seed` + 1, …
        seed: Same seed, same text.
    """

    prompts: tuple[str, ...] = ("",)
    words: int = 50
    temperature: float = 0.75
    min_p: float = 0.05
    top_k: int | None = None
    texts: int = 1
    seed: int = 42

    def __post_init__(self) -> None:
        if isinstance(self.prompts, str) or not self.prompts:
            raise ValueError(
                f'prompts is {self.prompts!r}: give a list of at least one text, such as [""]'
            )
        for name, least in (("words", 0), ("temperature", 0), ("texts", 1)):
            if not getattr(self, name) >= least:
                raise ValueError(f"{name} is {getattr(self, name)}: give {least} or more")
        if not 0 <= self.min_p <= 1:
            raise ValueError(f"min_p is {self.min_p}: give a share from 0 to 1")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(
                f"top_k is {self.top_k}: give 1 (the likeliest word only) or more, or null for all"
            )


def sample(
    logits: Tensor,
    generators: Sequence[torch.Generator],
    temperature: float = 1.0,
    min_p: float = 0.0,
    top_k: int | None = None,
) -> Tensor:
    """Draw the next word of every text.

    All but the `top_k` likeliest words are left out, and words less likely than `min_p` times the
    likeliest (min-p sampling, Nguyen et al. 2024, arXiv 2407.01082): a share of the best, so that a
    sure model stays strict and an unsure one free, and something is always left. Temperature then
    sharpens (< 1) or flattens (> 1) the rest; 0 takes the likeliest.

    Args:
        logits: (B, V), float32, on the CPU.
        generators: Source of chance of each text.
        temperature: 0 or more.
        min_p: From 0 (all words) to 1 (the likeliest only).
        top_k: At least 1; None for all words.

    Returns:
        Word ids (B,).
    """
    if temperature == 0:
        return logits.argmax(1)
    logits = logits - logits.amax(1, keepdim=True)  # log of the share of the best
    if top_k is not None and top_k < logits.shape[1]:
        best = logits.topk(top_k, dim=1)
        logits = torch.full_like(logits, -torch.inf).scatter(1, best.indices, best.values)
    if min_p > 0:
        logits = logits.masked_fill(logits.exp() < min_p, -torch.inf)
    probabilities = torch.softmax(logits / temperature, 1)
    drawn = [
        torch.multinomial(row, 1, generator=generator)
        for row, generator in zip(probabilities, generators, strict=True)
    ]
    return torch.cat(drawn)


def generate_words(
    bundle: Bundle,
    config: GenerationConfig,
    *,
    device: str = "auto",
    precision: Precision = "auto",
    allowed_rules: Collection[str] = (),
) -> list[list[str]]:
    """Continue texts; returns their tokens, special ones included, in the order of reading.

    Each prompt is read once, then all texts are written side by side, a step of the network a
    word; so time grows linearly with words. The model never writes xxunk or xxpad.

    Args: as for `write_texts`.

    Returns:
        One list a text: `config.texts` for the first prompt, then for the second, …
    """
    model = language_model_from_bundle(bundle).to(resolve_device(device))
    vocabulary = vocabulary_of(bundle)
    prompts = _prompt_ids(bundle, config.prompts, allowed_rules)
    starts = [ids for ids in prompts for _ in range(config.texts)]
    generators = [
        torch.Generator().manual_seed(config.seed + text)
        for _ in config.prompts
        for text in range(config.texts)
    ]
    never = torch.tensor([vocabulary.index(word) for word in (UNK, PAD)])
    columns: list[Tensor] = []
    with inference(model, precision) as used:
        draw = model.encoder.draw(1)
        output, hidden = _read(model, starts, draw, used)
        for position in range(config.words):
            logits = model.logits(output).float().cpu()
            logits[:, never] = -torch.inf
            chosen = sample(logits, generators, config.temperature, config.min_p, config.top_k)
            columns.append(chosen)
            if position + 1 < config.words:
                _, last, hidden = model(chosen.to(used).unsqueeze(0), hidden, draw)
                output = last[0]
    written = torch.stack(columns, 1).tolist() if columns else [[] for _ in starts]
    texts = []
    for start, ids in zip(starts, written, strict=True):
        words = [vocabulary.words[i] for i in (*start, *ids)]
        texts.append(words[::-1] if reads_backwards(bundle) else words)
    return texts


def next_words(
    bundle: Bundle,
    prompts: Sequence[str],
    n: int = 10,
    *,
    device: str = "auto",
    precision: Precision = "auto",
    allowed_rules: Collection[str] = (),
) -> pd.DataFrame:
    """Return the most probable next words of each prompt, of a backwards model the words before it.

    Args:
        bundle: The language model.
        prompts: Raw texts; "" lets the model begin.
        n: Words for each.
        device: "auto" or a torch device.
        precision: "auto", "float32" or "bfloat16".
        allowed_rules: Rules of your own that the model's tokenizer may import and call.

    Returns:
        `row` (of the prompt, from 0), `prompt`, `rank` (from 1), `word` and `probability`, which is
        that among all words of the vocabulary.

    Raises:
        ValueError: The bundle is no language model, or `n` is below 1.
    """
    if n < 1:
        raise ValueError(f"n is {n}: ask for at least 1 word")
    model = language_model_from_bundle(bundle).to(resolve_device(device))
    vocabulary, starts = vocabulary_of(bundle), _prompt_ids(bundle, prompts, allowed_rules)
    with inference(model, precision) as used:
        output, _ = _read(model, starts, model.encoder.draw(1), used)
        best = model.logits(output).float().softmax(1).topk(min(n, len(vocabulary)))
    rows, ranks = np.indices(best.indices.shape)
    return pd.DataFrame(
        {
            "row": rows.ravel(),
            "prompt": [prompts[row] for row in rows.ravel()],
            "rank": ranks.ravel() + 1,
            "word": [vocabulary.words[i] for i in best.indices.ravel().tolist()],
            "probability": best.values.ravel().cpu().numpy().astype(np.float64),
        }
    )


def _prompt_ids(
    bundle: Bundle, prompts: Sequence[str], allowed_rules: Collection[str]
) -> list[list[int]]:
    """The ids that a model shall go on from, in the order in which it reads."""
    from gradual.text.tokenizer import tokenize  # with it comes spaCy

    config = tokenizer_of(bundle, allowed_rules)
    # A prompt is no whole document: it has a beginning or an end, never both. A backwards model
    # meets the end of a document after the beginning (xxbos) of the one before.
    inner = dataclasses.replace(config, add_bos=False, add_eos=False)
    vocabulary = vocabulary_of(bundle)
    corpus = numericalize(tokenize([list(prompts)], inner), vocabulary)
    begin = [vocabulary.index(BOS)] if config.add_bos else []
    if config.backwards and config.add_eos:
        begin.append(vocabulary.index(EOS))
    starts = [begin + corpus.document(i).tolist() for i in range(len(corpus))]
    if not all(starts):
        raise ValueError(
            "the prompt is empty and the tokenizer adds no xxbos: give the text a beginning"
        )
    return starts


def _read(
    model: LanguageModel, starts: Sequence[Sequence[int]], draw: Any, device: torch.device
) -> tuple[Tensor, Any]:
    """Read each beginning; the last output of all (B, E), and their states side by side."""
    outputs, states = [], []
    for ids in starts:
        _, output, hidden = model(torch.tensor(ids, device=device).unsqueeze(1), None, draw)
        outputs.append(output[-1])
        states.append(hidden)
    hidden = tuple(
        (torch.cat([h for h, _ in layer], 1), torch.cat([c for _, c in layer], 1))
        for layer in zip(*states, strict=True)
    )
    return torch.cat(outputs), hidden


def generate(
    bundle: Bundle,
    prompt: str,
    words: int = 50,
    *,
    device: str = "auto",
    precision: Precision = "auto",
    allowed_rules: Collection[str] = (),
    **settings: Any,
) -> str:
    """Continue one text with a language model; see `write_texts`.

    Args:
        bundle: The language model.
        prompt: The beginning (a backwards model: the end), raw text; may be empty.
        words: Tokens to write.
        device: "auto" or a torch device.
        precision: "auto", "float32" or "bfloat16".
        allowed_rules: Rules of your own that the model's tokenizer may import and call.
        settings: Of `GenerationConfig`: temperature, min_p, top_k, seed.
    """
    config = GenerationConfig(prompts=(prompt,), words=words, **settings)
    texts = write_texts(
        bundle, config, device=device, precision=precision, allowed_rules=allowed_rules
    )
    return texts[0]["text"]


def write_texts(
    bundle: Bundle,
    config: GenerationConfig,
    *,
    device: str = "auto",
    precision: Precision = "auto",
    allowed_rules: Collection[str] = (),
) -> list[dict[str, str]]:
    """Continue each prompt with a language model.

    Args:
        bundle: The language model.
        config: Prompts, length and how to choose words.
        device: "auto" or a torch device.
        precision: "auto", "float32" or "bfloat16".
        allowed_rules: Rules of your own that the model's tokenizer may import and call.

    Returns:
        `prompt` and `text` (both together, readable, special tokens applied), in the order of the
        prompts.

    Raises:
        ValueError: The bundle is no language model, or a prompt is empty and nothing begins a text.
    """
    from gradual.text.detokenize import detokenize

    unit = unit_of(bundle)
    texts = generate_words(
        bundle, config, device=device, precision=precision, allowed_rules=allowed_rules
    )
    prompts = [prompt for prompt in config.prompts for _ in range(config.texts)]
    return [
        {"prompt": prompt, "text": detokenize(words, unit)}
        for prompt, words in zip(prompts, texts, strict=True)
    ]
