"""Let a language model write: read a beginning once, then one step of the network a word."""

from __future__ import annotations

import torch
from torch import Tensor

from gradual.text.bundles import inference, tokenizer_config, vocabulary_of
from gradual.text.corpus import numericalize
from gradual.text.language_model import language_model_from_bundle
from gradual.text.rules import PAD, UNK
from gradual.training.bundle import Bundle
from gradual.training.config import Precision
from gradual.training.device import resolve_device


def sample(
    logits: Tensor, temperature: float, min_p: float, generator: torch.Generator | None
) -> int:
    """Draw a word.

    Words less likely than `min_p` times the likeliest are left out first (min-p sampling, Nguyen
    et al. 2024, arXiv 2407.01082): a share of the best, so that a sure model stays strict and an
    unsure one free, and something is always left. Temperature then sharpens (< 1) or flattens (> 1)
    the rest; 0 takes the likeliest.

    Args:
        logits: (V,), float32, on the CPU.
        temperature: 0 or more.
        min_p: From 0 (all words) to 1 (the likeliest only).
        generator: Source of chance.
    """
    if temperature == 0:
        return int(logits.argmax())
    logits = logits - logits.max()  # log of the share of the best
    if min_p > 0:
        logits = logits.masked_fill(logits.exp() < min_p, -torch.inf)
    probabilities = torch.softmax(logits / temperature, 0)
    return int(torch.multinomial(probabilities, 1, generator=generator))


def generate_words(
    bundle: Bundle,
    prompt: str,
    words: int,
    *,
    temperature: float = 0.75,
    min_p: float = 0.0,
    seed: int = 42,
    device: str = "auto",
    precision: Precision = "auto",
) -> list[str]:
    """Continue a text; returns its tokens, special ones included, prompt first.

    Args: as for `generate`.
    """
    from gradual.text.tokenizer import TokenizerConfig, tokenize  # with it comes spaCy

    for name, value, least in (("words", words, 0), ("temperature", temperature, 0)):
        if value < least:
            raise ValueError(f"{name} is {value}: give {least} or more")
    if not 0 <= min_p <= 1:
        raise ValueError(f"min_p is {min_p}: give a share from 0 to 1")
    model = language_model_from_bundle(bundle).to(resolve_device(device))
    vocabulary = vocabulary_of(bundle)
    stored = bundle.metadata.get("tokenizer")
    config = TokenizerConfig() if stored is None else tokenizer_config(stored)
    ids = numericalize(tokenize([[prompt]], config), vocabulary).ids.astype("int64").tolist()
    if not ids:
        raise ValueError(
            "the prompt is empty and the tokenizer adds no xxbos: give the text a beginning"
        )
    never = torch.tensor([vocabulary.index(word) for word in (UNK, PAD)])
    generator = torch.Generator().manual_seed(seed)
    with inference(model, precision) as used:
        draw = model.encoder.draw(1)
        _, output, hidden = model(torch.tensor(ids, device=used).unsqueeze(1), None, draw)
        for _ in range(words):
            logits = model.logits(output[-1, 0]).float().cpu()
            logits[never] = -torch.inf
            ids.append(sample(logits, temperature, min_p, generator))
            word = torch.tensor([[ids[-1]]], device=used)
            _, output, hidden = model(word, hidden, draw)
    return [vocabulary.words[i] for i in ids]


def generate(
    bundle: Bundle,
    prompt: str,
    words: int = 50,
    *,
    temperature: float = 0.75,
    min_p: float = 0.0,
    seed: int = 42,
    device: str = "auto",
    precision: Precision = "auto",
) -> str:
    """Continue a text with a language model.

    The prompt is read once; each word then costs one step, so time grows linearly with words. The
    model never writes xxunk or xxpad.

    Args:
        bundle: The language model.
        prompt: The beginning, raw text; may be empty.
        words: Tokens to write.
        temperature: Below 1 likelier words, above 1 more surprising ones, 0 always the likeliest.
        min_p: Leaves out words less likely than this share of the likeliest.
        seed: Same seed, same text.
        device: "auto" or a torch device.
        precision: "auto", "float32" or "bfloat16".

    Returns:
        Prompt and continuation as readable text, special tokens applied.

    Raises:
        ValueError: An argument is out of range, or the bundle is no language model.
    """
    from gradual.text.batch_view import detokenize

    return detokenize(
        generate_words(
            bundle,
            prompt,
            words,
            temperature=temperature,
            min_p=min_p,
            seed=seed,
            device=device,
            precision=precision,
        )
    )
