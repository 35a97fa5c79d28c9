"""Other languages, scripts and units than English words."""

import dataclasses
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradual.text import tokenizer as tokenizers
from gradual.text.awd_lstm import AWDLSTMConfig
from gradual.text.batch_view import show_batch
from gradual.text.bundles import tokenizer_config
from gradual.text.classifier import (
    ClassifierConfig,
    TextClassifier,
    predict_probabilities,
    train_classifier,
)
from gradual.text.corpus import numericalize
from gradual.text.detokenize import detokenize
from gradual.text.fitting import fit_tokenizer
from gradual.text.generation import generate
from gradual.text.language_model import LanguageModelConfig, train_language_model
from gradual.text.rules import SPECIAL_TOKENS
from gradual.text.subwords import SubwordConfig, learn_pieces, piece_cutter
from gradual.text.tokenizer import TokenizerConfig, tokenize
from gradual.text.vocabulary import VocabularyConfig, build_vocabulary
from gradual.training.bundle import Bundle, load_bundle, save_bundle
from gradual.training.config import Phase, TrainingConfig
from gradual.training.files import to_json_types
from gradual.training.history import History

FAMILY, FLAG, THUMB = "👩‍👩‍👧", "🇫🇷", "👍🏽"


def words(text: str, **config: Any) -> list[str]:
    return tokenize([[text]], TokenizerConfig(**config))["tokens"][0].as_py()[1:]


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("zh", "我爱 NLP，iPhone 15很好！", "我 爱 nlp ， iphone 15 很 好 ！"),
        ("ja", "私はNLPが大好きです。", "私 は nlp が 大好き です 。"),
        ("hi", "यह फ़िल्म बहुत अच्छी थी।", "यह फ़िल्म बहुत अच्छी थी ।"),
        ("hi", "Yaar, movie bahut ACHHI thi!!! Must watch 😂😂😂",
         "xxmaj yaar , movie bahut xxup achhi thi xxrep 3 ! xxmaj must watch xxrep 3 😂"),
        ("en", "Kya film hai, loved it", "xxmaj kya film hai , loved it"),
        ("ar", "هذا الفيلم رائع، أليس كذلك؟", "هذا الفيلم رائع ، أليس كذلك ؟"),
        ("he", "הסרט הזה נהדר, לא?", "הסרט הזה נהדר , לא ?"),
        ("xx", "Dobrý den, světe.", "xxmaj dobrý den , světe ."),
    ],
)  # fmt: skip
def test_languages_of_spacy(language: str, text: str, expected: str) -> None:
    tokens = words(text, language=language)
    assert tokens == expected.split(" ")
    if language != "en":
        shown = detokenize(tokens)
        assert shown.replace(" ", "").lower() == text.replace(" ", "").lower()


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("zh", "我爱这部电影，真的很好！"),
        ("ja", "私は映画が大好きです。とても良い！"),
        ("ar", "هذا الفيلم رائع، أليس كذلك؟"),
        ("hi", "यह फ़िल्म बहुत अच्छी थी। सच में?"),
    ],
)
def test_scripts_come_back_as_they_are_written(language: str, text: str) -> None:
    assert detokenize(words(text, language=language)) == text


def test_a_long_japanese_text_is_cut_in_bits_it_can_take() -> None:
    text = "とても良い映画です。" * 3_000  # 90,000 bytes: Sudachi takes 49,149
    tokens = words(text, language="ja", rules=())
    assert "".join(tokens) == text
    assert tokens[:5] == words("とても良い映画です。", language="ja", rules=())
    whole = "良" * 20_000 + "\n\n" + "い" * 9_000  # no end of a sentence anywhere
    assert "".join(words(whole, language="ja", rules=())) == whole


def test_missing_extras_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sudachipy", None)
    with pytest.raises(ValueError, match=r"pip install gradual\[ja\]$"):
        words("私", language="ja")
    with pytest.raises(ValueError, match=r"language 'th' .*PyThaiNLP"):
        words("ส", language="th")


def test_characters_keep_marks_and_what_belongs_together() -> None:
    text = f"The END!!!\n{FAMILY}{FLAG} {THUMB}{THUMB}{THUMB} नमस्ते cafe\u0301"
    tokens = words(text, unit="character")
    assert tokens == [
        "xxmaj", "▁", *"the", "xxup", "▁", *"end", "xxrep", "▁", "3", "▁", "!", "\n",
        "▁", FAMILY, FLAG, "▁", THUMB, THUMB, THUMB, "▁", "न", "म", "स्ते", "▁", *"caf", "e\u0301",
    ]  # fmt: skip
    assert detokenize(tokens, "character") == text
    # of 👍👍👍👍🏽 the last one has another colour and must keep it
    assert words("👍👍👍👍🏽", unit="character")[-1] == THUMB
    assert words("我爱你。", unit="character") == ["▁", *"我爱你。"]


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="▁"), max_size=40))
def test_characters_lose_nothing(text: str) -> None:
    tokens = words(text, unit="character", rules=())
    text = " ".join(text.split())
    pieces = "".join(tokens).replace("▁", " ")
    assert "".join(pieces.split()) == "".join(text.split())


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([*SPECIAL_TOKENS, "▁", "▁a", "b", "3", "\n", "", "我", "\u200d"])))
def test_whatever_a_small_model_writes_can_be_read(tokens: list[str]) -> None:
    for unit in ("character", "subword"):
        assert "▁" not in detokenize(tokens, unit)  # type: ignore[arg-type]


# --------------------------------------------------------------------------------------- subwords

FILM, BOOK = "film films filming filmed", "book books booking booked"
TEXTS = [f"The {FILM} was great {FAMILY}\n\nno. {i}" for i in range(40)]
TEXTS += [f"A {BOOK} is BAD!!! no. {i}" for i in range(40)]
COLUMN = pa.chunked_array([TEXTS])
EVERY = np.ones(len(TEXTS), bool)


def subword(**settings: Any) -> TokenizerConfig:
    return TokenizerConfig(unit="subword", subwords=SubwordConfig(size=60, **settings))


@pytest.fixture(scope="module")
def fitted() -> TokenizerConfig:
    return fit_tokenizer([COLUMN], EVERY, subword())


@pytest.mark.parametrize("method", ["unigram", "bpe"])
def test_pieces_are_shared_by_words_and_marks_stay_whole(method: Any) -> None:
    config = fit_tokenizer([COLUMN], EVERY, subword(method=method))
    tokens = tokenize([["The films!!! BOOKED it"]], config)["tokens"][0].as_py()
    assert tokens[:2] == ["xxbos", "xxmaj"]
    assert "xxup" in tokens
    assert "xxrep" in tokens
    assert len(tokens) > 9
    assert detokenize(tokens, "subword") == "The films!!! BOOKED it"


def test_pieces_are_learnt_from_the_given_rows_only(fitted: TokenizerConfig) -> None:
    films = np.array([i < 40 for i in range(80)])
    model = fit_tokenizer([COLUMN], films, subword()).subword_model
    alone = fit_tokenizer([COLUMN.slice(0, 40)], EVERY[:40], subword()).subword_model
    assert model == alone != fitted.subword_model
    assert "▁book" not in piece_cutter(model or "")("book")
    with pytest.raises(ValueError, match="no words to learn pieces from"):
        fit_tokenizer([COLUMN], ~EVERY, subword())


def test_pieces_do_not_depend_on_processes(
    fitted: TokenizerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenizers, "_BATCH", 7)
    monkeypatch.setattr(tokenizers, "_WORTH_A_POOL", 0)
    two = fit_tokenizer([COLUMN], EVERY, dataclasses.replace(subword(), workers=2))
    assert two.subword_model == fitted.subword_model
    one = tokenize([COLUMN], dataclasses.replace(fitted, workers=1))
    assert tokenize([COLUMN], two).equals(one)


def test_words_and_characters_need_no_fitting(fitted: TokenizerConfig) -> None:
    for config in (TokenizerConfig(), TokenizerConfig(unit="character"), fitted):
        assert fit_tokenizer([COLUMN], EVERY, config) is config
    assert tokenizer_config(to_json_types(fitted)) == fitted


def test_bad_subwords_say_what_to_do() -> None:
    with pytest.raises(ValueError, match="pieces are not learnt yet"):
        words("a", unit="subword")
    with pytest.raises(ValueError, match="no sentencepiece model in base64"):
        words("a", unit="subword", subword_model="bm9uZQ==")
    with pytest.raises(ValueError, match="no sentencepiece model in base64"):
        words("a", unit="subword", subword_model="ü")
    with pytest.raises(ValueError, match="unit is 'letter': use word, character"):
        TokenizerConfig(unit="letter")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="method is 'wordpiece'"):
        SubwordConfig(method="wordpiece")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="size is 3"):
        SubwordConfig(size=3)
    with pytest.raises(ValueError, match="character_coverage is 2"):
        SubwordConfig(character_coverage=2)
    with pytest.raises(ValueError, match=r"cannot learn 16 pieces .* subwords\.size"):
        learn_pieces([chr(0x4E00 + i) for i in range(99)], [1] * 99, SubwordConfig(size=16))


# ----------------------------------------------------------------------------------------- models

MODEL = AWDLSTMConfig(embedding_size=24, hidden_size=32, layers=2)


def language_model(
    texts: list[str],
    tokenizer: TokenizerConfig,
    phases: tuple[Phase, ...],
    pretrained: Bundle | None = None,
    **options: Any,
) -> tuple[Bundle, History]:
    tokens = tokenize([texts], tokenizer)
    vocabulary = build_vocabulary(tokens, np.ones(len(texts), bool), VocabularyConfig())
    config = LanguageModelConfig(
        model=MODEL, batch_size=8, bptt=20, drop_mult=0.1, alpha=0, beta=0,
        training=TrainingConfig(phases=phases, precision="float32", eps=1e-8), **options,
    )  # fmt: skip
    valid = np.arange(len(texts)) % 10 == 0
    return train_language_model(
        numericalize(tokens, vocabulary), vocabulary, valid, config, pretrained=pretrained,
        tokenizer=dataclasses.asdict(tokenizer),
    )  # fmt: skip


ONCE = (Phase(epochs=1, lr=1e-2),)


def test_the_pieces_travel_with_the_models(fitted: TokenizerConfig, tmp_path: Any) -> None:
    bundle, _ = language_model(TEXTS, fitted, (Phase(epochs=8, lr=2e-2),))
    save_bundle(bundle, tmp_path / "model.safetensors")
    bundle = load_bundle(tmp_path / "model.safetensors")
    assert generate(bundle, "The film", 60, temperature=0.2).startswith("The film")
    other = TokenizerConfig(unit="subword", subwords=SubwordConfig(size=40))
    few = COLUMN.slice(0, 9)
    assert fit_tokenizer([few], EVERY[:9], other, pretrained=bundle) == fitted
    foreign = dataclasses.replace(other, language="hi")
    learnt = fit_tokenizer([few], EVERY[:9], foreign, pretrained=bundle)
    assert learnt.subword_model != fitted.subword_model

    tokens = tokenize([COLUMN], fitted)
    vocabulary = build_vocabulary(tokens, EVERY, VocabularyConfig())
    corpus = numericalize(tokens, vocabulary)
    labels = np.array(["film"] * 40 + ["book"] * 40, object)
    config = ClassifierConfig(
        model=MODEL,
        batch_size=16,
        training=TrainingConfig(phases=(Phase(epochs=10, lr=1e-2),), eps=1e-8),
    )
    valid = np.arange(80) % 10 == 0
    classifier, _ = train_classifier(
        corpus, vocabulary, labels, ~valid, valid, config, language_model=bundle,
        tokenizer=dataclasses.asdict(fitted),
    )  # fmt: skip
    answers = TextClassifier.from_bundle(classifier, device="cpu").predict(TEXTS)
    probabilities = predict_probabilities(classifier, corpus, EVERY, device="cpu")
    np.testing.assert_allclose(answers["probability_film"], probabilities[:, 1], atol=1e-2)


def test_a_character_model_writes_readable_text() -> None:
    bundle, _ = language_model(
        TEXTS, TokenizerConfig(unit="character"), (Phase(epochs=6, lr=2e-2),)
    )
    text = generate(bundle, "The film", 60, temperature=0.3)
    assert text.startswith("The film")
    assert "▁" not in text
    assert {"film", "great", "book"} & set(text.replace("\n", " ").split()[1:])


def test_batch_view_shows_scripts_as_they_are_written(fitted: TokenizerConfig) -> None:
    for config, texts, shown in (
        (TokenizerConfig(language="zh"), ["我爱这部电影"] * 20, "xxbos 我爱这部电影"),
        (TokenizerConfig(unit="character"), ["the film"] * 20, "xxbos ▁the ▁film"),
        (TokenizerConfig(language="ar"), ["فيلم رائع"] * 20, "xxbos فيلم رائع"),
    ):
        tokens = tokenize([texts], config)
        vocabulary = build_vocabulary(tokens, np.ones(20, bool))
        table, page = show_batch(
            numericalize(tokens, vocabulary), vocabulary, batch_size=1, words=20, unit=config.unit
        )
        assert table["text"][0].startswith(shown)
        assert '<td class="text"><mark class="special" dir="ltr">xxbos</mark>' in page


def test_a_model_is_remapped_to_a_new_script() -> None:
    """Embedding and decoder alone first: they know nothing of the new words; then everything."""
    english = [f"the film number {i % 7} was very good and i liked it" for i in range(200)]
    hindi = [f"फिल्म नंबर {i % 7} बहुत अच्छी थी और मुझे पसंद आई" for i in range(200)]
    config = TokenizerConfig(language="hi")
    before, _ = language_model(english, TokenizerConfig(), (Phase(epochs=20, lr=2e-2),))
    first = Phase(epochs=20, lr=3e-2, groups=1)
    remapped, history = language_model(hindi, config, (first,), before, other_language=True)
    with pytest.raises(ValueError, match=r"tokenizer\.language is 'hi'"):
        language_model(hindi, config, (first,), before)
    for name, tensor in before.state.items():
        if "layers" in name:
            assert remapped.state[name].equal(tensor), name
    losses = history.to_frame()["valid_loss"]
    assert losses.iloc[-1] < losses.iloc[0] - 0.5
    both, history = language_model(
        hindi, config, (first, Phase(epochs=20, lr=1e-2)), before, other_language=True
    )
    assert history.to_frame()["valid_loss"].iloc[-1] < losses.iloc[-1]
    assert not both.state["encoder.layers.0.weight_hh"].equal(
        before.state["encoder.layers.0.weight_hh"]
    )
    text = generate(both, "फिल्म नंबर", 8, temperature=0)
    assert "बहुत अच्छी थी और मुझे" in text
