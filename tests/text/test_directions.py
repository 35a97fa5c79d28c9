"""Backwards models: one setting of the tokenizer, which every later step follows or refuses."""

import dataclasses
import functools
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import gradual.io
from gradual.text.awd_lstm import AWDLSTMConfig
from gradual.text.batch_view import show_batch
from gradual.text.classifier import (
    ClassifierConfig,
    TextClassifier,
    predict_probabilities,
    train_classifier,
)
from gradual.text.corpus import Corpus, numericalize
from gradual.text.ensemble import TextEnsemble
from gradual.text.generation import GenerationConfig, generate, generate_words
from gradual.text.language_model import (
    LanguageModelConfig,
    evaluate_language_model,
    language_model_task,
    train_language_model,
)
from gradual.text.tokenizer import TokenizerConfig, tokenize
from gradual.text.vocabulary import Vocabulary, VocabularyConfig, build_vocabulary
from gradual.training.bundle import Bundle
from gradual.training.config import Phase, TrainingConfig

MODEL = AWDLSTMConfig(embedding_size=8, hidden_size=16, layers=1)
CPU = {"device": "cpu", "precision": "float32"}
BACKWARDS = TokenizerConfig(backwards=True, workers=1)
FORWARDS = TokenizerConfig(workers=1)
# What comes next is certain forwards, but not backwards, and the other way round.
TEXTS = ["One two three four five six seven."] * 40
LABELS = np.array(["a", "b"] * 20, dtype=object)
HELD_OUT = np.arange(40) < 4


@functools.cache
def corpus_of(config: TokenizerConfig) -> tuple[Corpus, Vocabulary]:
    tokens = tokenize([TEXTS], config)
    vocabulary = build_vocabulary(tokens, np.ones(len(TEXTS), bool), VocabularyConfig())
    return numericalize(tokens, vocabulary), vocabulary


def language_model(config: TokenizerConfig, epochs: int = 1, **options) -> Bundle:
    training = TrainingConfig(phases=(Phase(epochs=epochs, lr=5e-2),), **CPU)
    settings = LanguageModelConfig(
        model=MODEL, training=training, batch_size=4, bptt=20, drop_mult=0.0, alpha=0, beta=0
    )
    bundle, _ = train_language_model(
        *corpus_of(config), HELD_OUT, settings, tokenizer=dataclasses.asdict(config), **options
    )
    return bundle


def classifier(config: TokenizerConfig, start: Bundle, **options) -> Bundle:
    training = TrainingConfig(phases=(Phase(epochs=1, lr=1e-2),), **CPU)
    settings = ClassifierConfig(model=MODEL, training=training, batch_size=8)
    bundle, _ = train_classifier(
        *corpus_of(config), LABELS, ~HELD_OUT, HELD_OUT, settings,
        language_model=start, **({"tokenizer": dataclasses.asdict(config)} | options),
    )  # fmt: skip
    return bundle


@pytest.fixture(scope="module")
def backwards() -> Bundle:
    return language_model(BACKWARDS, epochs=40)


@pytest.fixture(scope="module")
def forwards() -> Bundle:
    return language_model(FORWARDS)


def test_a_backwards_document_is_the_document_turned_round() -> None:
    texts = [*TEXTS[:1], "", "WOW!!! a a a a", "\n\n x", "xxmaj"]
    config = dataclasses.replace(FORWARDS, add_eos=True)
    ahead = tokenize([texts], config)["tokens"].to_pylist()
    back = tokenize([texts], dataclasses.replace(config, backwards=True))["tokens"].to_pylist()
    assert back == [document[::-1] for document in ahead]
    assert back[1] == ["xxeos", "xxbos"]


def test_the_direction_travels_with_tables_and_files(tmp_path: Path) -> None:
    tokens = tokenize([TEXTS], BACKWARDS)
    stored = gradual.io.ParquetDataset(filepath=tmp_path / "tokens.parquet")
    stored.save(tokens)
    corpus, vocabulary = corpus_of(BACKWARDS)
    assert numericalize(stored.load(), vocabulary).backwards
    file = gradual.io.CorpusDataset(filepath=tmp_path / "corpus.arrow")
    file.save(corpus)
    assert file.load().backwards
    assert file.load().hash == corpus.hash
    assert corpus.select(np.array([1])).backwards
    assert not corpus_of(FORWARDS)[0].backwards
    assert not tokenize([TEXTS], FORWARDS).schema.metadata


def test_only_the_corpus_tells_the_directions_apart() -> None:
    (ahead, words), (back, same_words) = corpus_of(FORWARDS), corpus_of(BACKWARDS)
    assert words.hash == same_words.hash
    one_word = Corpus(ahead.ids[:1], np.array([0, 1]), words.hash)
    assert one_word.hash != dataclasses.replace(one_word, backwards=True).hash
    assert (
        back.ids.tolist() == np.concatenate([ahead.document(i)[::-1] for i in range(40)]).tolist()
    )


def test_the_page_says_that_lines_run_backwards() -> None:
    _, page = show_batch(*corpus_of(BACKWARDS), rows=1)
    assert "read backwards" in page
    assert "read backwards" not in show_batch(*corpus_of(FORWARDS), rows=1)[1]


def test_it_writes_what_comes_before_the_prompt(backwards: Bundle) -> None:
    options = {"temperature": 0, "precision": "float32"}
    assert generate(backwards, "six seven.", 3, **options) == "three four five six seven."
    assert generate(backwards, "six seven.", 6, **options) == TEXTS[0]  # xxmaj is a word, too
    words = generate_words(
        backwards, GenerationConfig(prompts=("seven.",), words=2, temperature=0), device="cpu"
    )
    assert words == [["five", "six", "seven", ".", "xxbos"]]
    # Past the beginning stands the end of another text.
    two = generate(backwards, "six seven.", 11, **options)
    assert two == f"five six seven.\n\n{TEXTS[0]}"


def test_raw_texts_are_read_as_the_corpus_was(backwards: Bundle) -> None:
    bundle = classifier(BACKWARDS, backwards)
    texts = ["One two.", "Seven six five four three!"]
    _, vocabulary = corpus_of(BACKWARDS)
    corpus = numericalize(tokenize([texts], BACKWARDS), vocabulary)
    expected = predict_probabilities(bundle, corpus, np.arange(2), **CPU)
    found = TextClassifier.from_bundle(bundle, **CPU).predict(texts)
    np.testing.assert_allclose(found[["probability_a", "probability_b"]], expected, rtol=1e-5)
    with pytest.raises(ValueError, match="the classifier reads texts backwards, but the corpus f"):
        predict_probabilities(bundle, dataclasses.replace(corpus, backwards=False), np.arange(2))


def test_directions_are_not_mixed(backwards: Bundle, forwards: Bundle) -> None:
    with pytest.raises(ValueError, match="pretrained language model reads texts forwards, but the"):
        language_model(BACKWARDS, pretrained=forwards)
    with pytest.raises(ValueError, match="pretrained language model reads texts backwards"):
        language_model(FORWARDS, pretrained=backwards)
    with pytest.raises(ValueError, match="language model reads texts backwards, but the corpus"):
        classifier(FORWARDS, backwards, tokenizer=None)
    with pytest.raises(ValueError, match="the tokenizer reads texts forwards, but the corpus back"):
        classifier(BACKWARDS, backwards, tokenizer=None)
    with pytest.raises(ValueError, match="make both with `backwards: true`"):
        evaluate_language_model(forwards, corpus_of(BACKWARDS)[0], HELD_OUT)
    with pytest.raises(ValueError, match="pretrained language model reads texts forwards"):
        language_model_task(
            *corpus_of(BACKWARDS), HELD_OUT, LanguageModelConfig(model=MODEL, batch_size=4),
            pretrained=forwards,
        )  # fmt: skip


def test_a_classifier_cuts_texts_as_its_language_model_did(forwards: Bundle) -> None:
    german = dataclasses.asdict(dataclasses.replace(FORWARDS, language="de"))
    with pytest.raises(
        ValueError, match=r"tokenizer\.language is 'de', but the language model was t"
    ):
        classifier(FORWARDS, forwards, tokenizer=german)
    more_workers = dataclasses.asdict(dataclasses.replace(FORWARDS, workers=2))
    assert classifier(FORWARDS, forwards, tokenizer=more_workers).kind == "text_classifier"


def test_tables_without_metadata_run_forwards() -> None:
    kind = pa.list_(pa.dictionary(pa.int32(), pa.string()))
    _, vocabulary = corpus_of(FORWARDS)
    assert not numericalize(pa.table({"tokens": pa.array([["one"]], kind)}), vocabulary).backwards


def test_an_ensemble_answers_with_the_mean_of_both_directions(
    backwards: Bundle, forwards: Bundle
) -> None:
    bundles = [classifier(FORWARDS, forwards), classifier(BACKWARDS, backwards)]
    texts = ["One two three.", "Seven six five!"]
    answer = TextEnsemble.from_bundles(bundles, **CPU).predict(texts)
    alone = [TextClassifier.from_bundle(bundle, **CPU).predict(texts) for bundle in bundles]
    for column in ("probability_a", "probability_b"):
        mean = (alone[0][column].astype(float) + alone[1][column]) / 2
        np.testing.assert_allclose(answer[column], mean, rtol=1e-6)
    expected = np.where(answer["probability_a"] > answer["probability_b"], "a", "b")
    assert answer["label"].tolist() == expected.tolist()
    assert TextEnsemble.from_bundles(bundles).predict([]).empty
    with pytest.raises(ValueError, match="row 1 is blank"):
        TextEnsemble.from_bundles(bundles).predict(["One", " "])
    other = dataclasses.replace(bundles[1], metadata={**bundles[1].metadata, "labels": ["a", "c"]})
    with pytest.raises(ValueError, match=r"labels \['a', 'b'\], classifier 2 has \['a', 'c'\]"):
        TextEnsemble.from_bundles([bundles[0], other])
    with pytest.raises(ValueError, match="an ensemble of no classifiers"):
        TextEnsemble.from_bundles([])


def test_the_members_of_an_ensemble_read_the_same_columns(
    backwards: Bundle, forwards: Bundle
) -> None:
    bundles = [
        dataclasses.replace(b, metadata={**b.metadata, "text_columns": ["title", "body"]})
        for b in (classifier(FORWARDS, forwards), classifier(BACKWARDS, backwards))
    ]
    frame = pd.DataFrame({"body": ["One two three."], "title": ["Seven"]})
    answer = TextEnsemble.from_bundles(bundles, **CPU).predict(frame)
    assert answer["probability_a"].between(0, 1).all()
    other = dataclasses.replace(
        bundles[1], metadata={**bundles[1].metadata, "text_columns": ["text"]}
    )
    with pytest.raises(ValueError, match=r"reads the columns \['title', 'body'\], classifier 2"):
        TextEnsemble.from_bundles([bundles[0], other])
