import dataclasses

import numpy as np
import pytest
import torch

from gradual.text import generation
from gradual.text.awd_lstm import AWDLSTM, AWDLSTMConfig
from gradual.text.corpus import Corpus
from gradual.text.generation import generate, generate_words, sample
from gradual.text.language_model import LanguageModelConfig, train_language_model
from gradual.text.rules import SPECIAL_TOKENS
from gradual.text.vocabulary import Vocabulary
from gradual.training.bundle import Bundle
from gradual.training.config import Phase, TrainingConfig

WORDS = (*SPECIAL_TOKENS, "one", "two", "three", "four")
VOCABULARY = Vocabulary(WORDS, (1,) * len(WORDS))


@pytest.fixture(scope="module")
def counting() -> Bundle:
    """A model that has read nothing but one two three four one two …"""
    document = [2] + [9, 10, 11, 12] * 10
    ids = np.array(document * 30, np.uint16)
    offsets = np.arange(31) * len(document)
    config = LanguageModelConfig(
        model=AWDLSTMConfig(embedding_size=8, hidden_size=16, layers=1),
        training=TrainingConfig(
            phases=(Phase(epochs=12, lr=3e-2),), device="cpu", precision="float32"
        ),
        batch_size=4,
        bptt=20,
        drop_mult=0.0,
    )
    corpus = Corpus(ids, offsets.astype(np.int64), VOCABULARY.hash)
    bundle, _ = train_language_model(corpus, VOCABULARY, np.arange(30) < 3, config)
    return bundle


def test_it_continues_a_text(counting):
    words = generate_words(counting, "one two three", 6, temperature=0)
    assert words == ["xxbos", *["one", "two", "three", "four"] * 2, "one"]


def test_the_prompt_is_read_once_and_then_one_step_a_word(counting, monkeypatch):
    lengths = []
    forward = AWDLSTM.forward

    def counted(self, ids, *rest):
        lengths.append(len(ids))
        return forward(self, ids, *rest)

    monkeypatch.setattr(AWDLSTM, "forward", counted)
    generate_words(counting, "one two three", 5)
    assert lengths == [4, 1, 1, 1, 1, 1]


def test_same_seed_same_text_and_torchs_generator_is_left_alone(counting):
    state = torch.get_rng_state()
    options = {"temperature": 3.0}
    first = generate_words(counting, "one", 40, seed=1, **options)
    assert first == generate_words(counting, "one", 40, seed=1, **options)
    assert first != generate_words(counting, "one", 40, seed=2, **options)
    assert torch.equal(torch.get_rng_state(), state)


def test_unknown_and_padding_are_never_written(counting):
    bias = counting.state["decoder.bias"].clone()
    bias[:2] = 50.0  # the likeliest words by far
    state = counting.state | {"decoder.bias": bias}
    words = generate_words(
        dataclasses.replace(counting, state=state), "one", 60, temperature=2.0, min_p=0.0
    )
    assert not {"xxunk", "xxpad"} & set(words)


def test_an_empty_prompt_starts_a_document(counting):
    assert generate_words(counting, "", 2, temperature=0)[0] == "xxbos"


def test_readable_text_comes_out(counting, monkeypatch):
    text = generate(counting, "One two", 2, temperature=0)
    assert text.lower() == "one two three four"


def test_min_p_leaves_out_what_is_unlikely_beside_the_best():
    logits = torch.log(torch.tensor([0.5, 0.3, 0.15, 0.05]))
    random = torch.Generator().manual_seed(0)

    def drawn(temperature: float, min_p: float) -> set[int]:
        return {sample(logits, temperature, min_p, random) for _ in range(400)}

    assert drawn(1.0, 0.0) == {0, 1, 2, 3}
    assert drawn(1.0, 0.2) == {0, 1, 2}
    assert drawn(5.0, 0.5) == {0, 1}  # decided before temperature flattens
    assert drawn(1.0, 1.0) == {0}
    assert drawn(0.0, 0.0) == {0}


def test_temperature_scales_the_odds():
    logits = torch.log(torch.tensor([0.8, 0.2]))
    random = torch.Generator().manual_seed(0)
    share = np.mean([sample(logits, 2.0, 0.0, random) for _ in range(4000)])
    assert share == pytest.approx(1 / (1 + 2), abs=0.03)  # odds 4 become 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"words": -1}, "words is -1"),
        ({"temperature": -0.5}, r"temperature is -0\.5"),
        ({"min_p": 1.5}, r"min_p is 1\.5"),
    ],
)
def test_arguments_out_of_range_are_errors(counting, options, message):
    with pytest.raises(ValueError, match=message):
        generation.generate_words(counting, "one", **({"words": 3} | options))
