import dataclasses

import numpy as np
import pytest
import torch

from gradual.text.awd_lstm import AWDLSTM, AWDLSTMConfig
from gradual.text.corpus import Corpus
from gradual.text.generation import (
    GenerationConfig,
    generate,
    generate_words,
    sample,
    write_texts,
)
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
    bundle, _ = train_language_model(
        corpus, VOCABULARY, np.arange(30) < 3, config, tokenizer={"language": "en"}
    )
    return bundle


def written(bundle: Bundle, prompt: str, words: int, **options) -> list[str]:
    config = GenerationConfig(prompts=(prompt,), words=words, **({"min_p": 0.0} | options))
    return generate_words(bundle, config)[0]


def test_it_continues_a_text(counting):
    words = written(counting, "one two three", 6, temperature=0)
    assert words == ["xxbos", *["one", "two", "three", "four"] * 2, "one"]


def test_the_prompt_is_read_once_and_then_one_step_a_word(counting, monkeypatch):
    lengths = []
    forward = AWDLSTM.forward

    def counted(self, ids, *rest):
        lengths.append(len(ids))
        return forward(self, ids, *rest)

    monkeypatch.setattr(AWDLSTM, "forward", counted)
    written(counting, "one two three", 5)
    assert lengths == [4, 1, 1, 1, 1]
    lengths.clear()
    written(counting, "one two three", 500)
    assert lengths == [4] + [1] * 499  # twice the words, twice the steps


def test_prompts_are_read_alone_and_continued_side_by_side(counting, monkeypatch):
    shapes = []
    forward = AWDLSTM.forward

    def counted(self, ids, *rest):
        shapes.append(tuple(ids.shape))
        return forward(self, ids, *rest)

    monkeypatch.setattr(AWDLSTM, "forward", counted)
    config = GenerationConfig(prompts=("one two three", "two"), words=3, texts=2, temperature=0)
    texts = write_texts(counting, config)
    assert shapes == [(4, 1), (4, 1), (2, 1), (2, 1), (1, 4), (1, 4)]
    assert (
        texts
        == [{"prompt": "one two three", "text": "one two three four one two"}] * 2
        + [{"prompt": "two", "text": "two three four one"}] * 2
    )


def test_the_texts_of_a_prompt_differ_and_other_prompts_do_not_change_them(counting):
    options = {"words": 30, "temperature": 3.0, "min_p": 0.0, "texts": 2}
    both = generate_words(
        counting, GenerationConfig(prompts=("one", "two"), **options), precision="float32"
    )
    alone = generate_words(
        counting, GenerationConfig(prompts=("two",), **options), precision="float32"
    )
    assert both[2:] == alone
    assert both[0] != both[1]
    assert (
        both[1]
        == generate_words(
            counting,
            GenerationConfig(prompts=("one",), seed=43, **(options | {"texts": 1})),
            precision="float32",
        )[0]
    )


def test_same_seed_same_text_and_torchs_generator_is_left_alone(counting):
    state = torch.get_rng_state()
    options = {"temperature": 3.0}
    first = written(counting, "one", 40, seed=1, **options)
    assert first == written(counting, "one", 40, seed=1, **options)
    assert first != written(counting, "one", 40, seed=2, **options)
    assert torch.equal(torch.get_rng_state(), state)


def test_unknown_and_padding_are_never_written(counting):
    bias = counting.state["decoder.bias"].clone()
    bias[:2] = 50.0  # the likeliest words by far
    state = counting.state | {"decoder.bias": bias}
    words = written(dataclasses.replace(counting, state=state), "one", 60, temperature=2.0)
    assert not {"xxunk", "xxpad"} & set(words)


def test_an_empty_prompt_starts_a_document(counting):
    assert written(counting, "", 2, temperature=0)[0] == "xxbos"


def test_readable_text_comes_out(counting, monkeypatch):
    text = generate(counting, "One two", 2, temperature=0)
    assert text.lower() == "one two three four"


def drawn(logits: torch.Tensor, times: int, *options) -> list[int]:
    random = [torch.Generator().manual_seed(0)]
    return [int(sample(logits[None], random, *options)) for _ in range(times)]


@pytest.mark.parametrize(
    ("temperature", "min_p", "top_k", "chosen"),
    [
        (1.0, 0.0, None, {0, 1, 2, 3}),
        (1.0, 0.2, None, {0, 1, 2}),
        (5.0, 0.5, None, {0, 1}),  # decided before temperature flattens
        (1.0, 1.0, None, {0}),
        (0.0, 0.0, None, {0}),
        (1.0, 0.0, 2, {0, 1}),
        (9.0, 0.0, 3, {0, 1, 2}),
        (1.0, 0.0, 1, {0}),
        (1.0, 0.0, 99, {0, 1, 2, 3}),  # more than there are words
        (5.0, 0.5, 3, {0, 1}),  # the stricter of the two decides
        (0.0, 0.0, 3, {0}),
    ],
)
def test_unlikely_words_are_left_out(temperature, min_p, top_k, chosen):
    logits = torch.log(torch.tensor([0.5, 0.3, 0.15, 0.05]))
    assert set(drawn(logits, 400, temperature, min_p, top_k)) == chosen


def test_top_k_keeps_no_more_where_words_are_equally_likely():
    assert len(set(drawn(torch.zeros(6), 200, 1.0, 0.0, 2))) == 2


def test_temperature_scales_the_odds():
    share = np.mean(drawn(torch.log(torch.tensor([0.8, 0.2])), 4000, 2.0))
    assert share == pytest.approx(1 / (1 + 2), abs=0.03)  # odds 4 become 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"words": -1}, "words is -1"),
        ({"temperature": -0.5}, r"temperature is -0\.5"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"min_p": 1.5}, r"min_p is 1\.5"),
        ({"top_k": 0}, r"top_k is 0: give 1 \(the likeliest word only\) or more"),
    ],
)
def test_arguments_out_of_range_are_errors(counting, options, message):
    with pytest.raises(ValueError, match=message):
        generate(counting, "one", **({"words": 3} | options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prompts": ()}, r"prompts is \(\): give a list"),
        ({"prompts": "one"}, "prompts is 'one': give a list"),
        ({"texts": 0}, "texts is 0: give 1 or more"),
    ],
)
def test_configurations_that_write_nothing_are_errors(options, message):
    with pytest.raises(ValueError, match=message):
        GenerationConfig(**options)


def test_an_empty_prompt_needs_something_to_begin_with(counting):
    metadata = {**counting.metadata, "tokenizer": {"add_bos": False}}
    with pytest.raises(ValueError, match="give the text a beginning"):
        generate(dataclasses.replace(counting, metadata=metadata), "", 3)
