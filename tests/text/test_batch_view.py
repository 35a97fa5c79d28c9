import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradual.text.batch_view import show_batch
from gradual.text.corpus import Corpus, numericalize
from gradual.text.detokenize import detokenize
from gradual.text.rules import SPECIAL_TOKENS
from gradual.text.tokenizer import tokenize
from gradual.text.vocabulary import Vocabulary, VocabularyConfig, build_vocabulary


@pytest.mark.parametrize(
    "text",
    [
        "The movie, which I LOVED (a lot), wasn't bad!",
        'He said: "no way." Then he left; it\'s over.',
        "An 'odd' film of the actors' union: 9/10, $5 or 50%.",
        "First.\n\nSecond: well-known, Mr. Smith's U.S. tour…",
        "Wow!!! It was very very very good.",
        "“curly” ones don’t matter, I can't and cannot say. I'm gonna go.",
    ],
)
def test_text_comes_back_readable(text: str) -> None:
    assert detokenize(tokenize([[text]])["tokens"][0].as_py()) == text


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("xxbos xxfld 1 xxmaj a xxfld 2 b xxeos xxpad", "A\nb"),
        ("xxwrep 3 xxup no !", "NO NO NO!"),
        ("xxrep 4 !", "!!!!"),
        ("xxrep xxmaj the", "The"),
        ("a xxmaj xxup", "a"),
        ("xxrep", ""),
        ("xxrep 99999999999 a", "a" * 1000),
        ("xxunk of", "xxunk of"),
        ("a \n▁ b", "a\n b"),
        ("the end . xxbos xxmaj the next", "the end.\n\nThe next"),
        ("a xxrep 4 xxbos b xxbos", "a\n\nb"),
    ],
)
def test_marks_are_undone(words: str, text: str) -> None:
    assert detokenize(words.split(" ")) == text


@given(st.lists(st.sampled_from([*SPECIAL_TOKENS, "a", "3", "'", '"', "\n", ".", "(", "n't", ""])))
def test_whatever_a_model_writes_can_be_read(words: list[str]) -> None:
    assert not re.search("xx(bos|pad|eos|fld|rep|wrep|up|maj)", detokenize(words))


TEXTS = [f"A film <b>No. {i}</b>\n\nwas GOOD" for i in range(20)]


@pytest.fixture(scope="module")
def data() -> tuple[Corpus, Vocabulary]:
    tokens = tokenize([TEXTS])
    vocabulary = build_vocabulary(tokens, np.ones(20, bool), VocabularyConfig(min_frequency=10))
    return numericalize(tokens, vocabulary), vocabulary


def test_the_target_is_the_text_one_step_later(data: tuple[Corpus, Vocabulary]) -> None:
    corpus, vocabulary = data
    table, page = show_batch(corpus, vocabulary, batch_size=4, rows=3, words=25)
    assert list(table.columns) == ["model", "label", "text", "target"]
    assert len(table) == 3
    for text, target in zip(table["text"], table["target"], strict=True):
        assert len(text.split(" ")) == 25
        assert text.split(" ")[1:] == target.split(" ")[:-1]
    assert "Classifier" not in page
    assert show_batch(corpus, vocabulary, batch_size=4, rows=3, words=25)[1] == page


def test_the_page_marks_and_escapes(data: tuple[Corpus, Vocabulary]) -> None:
    corpus, vocabulary = data
    labels = [None, *["pos<", "neg"] * 9, float("nan")]
    table, page = show_batch(corpus, vocabulary, labels, rows=4)
    assert set(table["label"].dropna()) <= {"pos<", "neg"}
    assert (table["model"] == "classifier").sum() == 4
    assert "<td>pos&lt;</td>" in page
    assert '<mark class="special" dir="ltr">xxup</mark>' in page
    assert '<mark class="unknown" dir="ltr">xxunk</mark>' in page
    assert '<mark class="blank" dir="ltr">↵↵</mark>' in page
    assert "&lt;" in page
    assert "<b>" not in page
    assert "http" not in page
    few, _ = show_batch(corpus, vocabulary, pa.chunked_array([["a"] * 20]).to_pylist(), rows=1)
    assert len(few) == 2


def test_a_classifiers_documents_can_be_shown_alone(data: tuple[Corpus, Vocabulary]) -> None:
    table, page = show_batch(*data, ["pos"] * 20, rows=2, language_model=False)
    assert table["model"].tolist() == ["classifier"] * 2
    assert "<h2>Language model" not in page
    assert "<h2>Classifier" in page


def test_several_labels_are_shown_as_one_text(data: tuple[Corpus, Vocabulary]) -> None:
    labels = [["a", "b"], *[None] * 18, []]
    table, _ = show_batch(*data, labels, language_model=False)
    assert set(table["label"]) == {"a; b", "no label"}


def test_a_tiny_corpus_can_be_shown(data: tuple[Corpus, Vocabulary]) -> None:
    _, vocabulary = data
    corpus = Corpus(np.array([2, 9], np.uint16), np.array([0, 2]), vocabulary.hash)
    table, _ = show_batch(corpus, vocabulary)
    assert table["text"].tolist() == ["xxbos"]
    assert table["target"].tolist() == [vocabulary.words[9]]


def test_errors_name_what_does_not_fit(data: tuple[Corpus, Vocabulary]) -> None:
    corpus, vocabulary = data
    with pytest.raises(ValueError, match="numericalize anew"):
        show_batch(corpus, Vocabulary(SPECIAL_TOKENS, (0,) * 9))
    with pytest.raises(ValueError, match="2 labels for 20 documents"):
        show_batch(corpus, vocabulary, ["a", "b"])
    with pytest.raises(ValueError, match="fewer than two tokens"):
        show_batch(corpus.select(np.zeros(20, bool)), vocabulary)
