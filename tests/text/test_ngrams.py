import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gradual.text import ngrams
from gradual.text.labels import as_array
from gradual.text.ngrams import ngram_answers
from gradual.training.bundle import BundleStore

N = 120
PARTS = np.array(["train"] * 80 + ["valid"] * 20 + ["test"] * 19 + [None], dtype=object)
WORDS = {"negative": ["awful", "dull", "bad"], "positive": ["superb", "fresh", "good"]}


@pytest.fixture
def reviews() -> tuple[list[str], np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.array(list(WORDS), dtype=object)[rng.integers(2, size=N)]
    texts = [f"the film is {WORDS[str(label)][rng.integers(3)]} and long" for label in labels]
    return texts, labels


def test_it_learns_what_words_say(reviews: tuple[list[str], np.ndarray]) -> None:
    texts, labels = reviews
    answers, _ = ngram_answers(texts, labels, PARTS)
    assert answers["row"].tolist() == list(range(80, 119))
    assert answers["part"].tolist() == PARTS[80:119].tolist()
    found = answers[["negative", "positive"]]
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert (found.idxmax(axis=1).to_numpy() == labels[80:119]).all()


def test_it_sees_nothing_but_the_training_rows(reviews: tuple[list[str], np.ndarray]) -> None:
    texts, labels = reviews
    answers, _ = ngram_answers(texts, labels, PARTS)
    others = [*texts[:81], *["something else entirely"] * 39]
    hidden = np.array([*labels[:81], *["negative"] * 39], dtype=object)
    pd.testing.assert_frame_equal(ngram_answers(others, hidden, PARTS)[0].head(1), answers.head(1))


def test_each_label_is_learnt_and_constants_have_their_share() -> None:
    texts = [f"{'red' if i % 2 else 'blue'} {'sun' if i % 3 else 'moon'} here" for i in range(N)]
    names = ("red", "sun", "always")
    flags = np.array([[i % 2 == 1, i % 3 > 0, True] for i in range(N)])
    labels = as_array([[n for n, has in zip(names, row, strict=True) if has] for row in flags])
    answers, _ = ngram_answers(texts, labels, PARTS)
    assert ((answers[["red", "sun"]].to_numpy() > 0.5) == flags[80:119, :2]).all()
    assert (answers["always"] == 1).all()


def test_nothing_is_fitted_again_while_nothing_changes(
    reviews: tuple[list[str], np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts, labels = reviews
    store, fits = BundleStore(tmp_path / "rivals"), []
    fit = ngrams.fit_terms
    monkeypatch.setattr(
        ngrams, "fit_terms", lambda *args, **settings: fits.append(1) or fit(*args, **settings)
    )
    first, bundle = ngram_answers(texts, labels, PARTS, store=store)
    answers, again = ngram_answers(texts, labels, PARTS, store=store)
    pd.testing.assert_frame_equal(answers, first)
    assert again.hash == bundle.hash
    assert len(fits) == 1
    changed_texts = [texts[0] + " indeed", *texts[1:]]
    changed_labels = labels.copy()
    changed_labels[0] = "positive" if labels[0] == "negative" else "negative"
    changed_parts = PARTS.copy()
    changed_parts[0] = None
    inputs = [
        (changed_texts, labels, PARTS),
        (texts, changed_labels, PARTS),
        (texts, labels, changed_parts),
    ]
    for number, changed in enumerate(inputs):
        ngram_answers(*changed, store=store)
        assert len(fits) == number + 2


def test_refitting_answers_the_test_rows_from_all_others(
    reviews: tuple[list[str], np.ndarray],
) -> None:
    texts, labels = reviews
    once, twice = (ngram_answers(texts, labels, PARTS, refit=refit)[0] for refit in (False, True))
    valid = once["part"] == "valid"
    pd.testing.assert_frame_equal(once[valid], twice[valid])
    assert not np.allclose(once.loc[~valid, "positive"], twice.loc[~valid, "positive"])


def test_texts_without_a_frequent_word_give_a_constant(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    texts, labels = [f"w{i}" for i in range(N)], np.array(["a", "b", "b"] * 40, dtype=object)
    answers, _ = ngram_answers(texts, labels, PARTS)
    np.testing.assert_allclose(answers["b"], np.mean(labels[:80] == "b"))
    assert "no word is frequent enough" in caplog.text
