import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from gradual.text import ngrams
from gradual.text.classifier import Seen
from gradual.text.labels import as_array, encode_labels
from gradual.text.ngrams import KIND, NgramsConfig, TextNgrams, fit_ngrams, ngram_answers
from gradual.training.bundle import BundleStore, load_bundle, save_bundle

N = 120
PARTS = np.array(["train"] * 80 + ["valid"] * 20 + ["test"] * 19 + [None], dtype=object)
SHARES = np.array([8, 4, 2, 1, 1, 1, 1, 1, 1]) / 20
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


@pytest.mark.parametrize("classes", [2, 3])
def test_answers_are_scikit_learns(classes: int, tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    labels = random.integers(classes, size=300).astype(str).astype(object)
    words = np.array(["one", "two", "three", "and", "the", "of", "don't", "!", "naïve"])
    shifted = [random.choice(np.roll(words, int(label)), 12, p=SHARES) for label in labels]
    texts = [" ".join(chosen) for chosen in shifted]
    rows = np.arange(300)
    learnt, asked = rows[:200], texts[200:]
    targets = encode_labels(labels, learnt, learnt)
    bundle = fit_ngrams(texts, targets, learnt, config=NgramsConfig(regularisation=10.0))
    save_bundle(bundle, tmp_path / "ngrams.safetensors")
    own = TextNgrams.from_bundle(load_bundle(tmp_path / "ngrams.safetensors", KIND))

    vectorizer = TfidfVectorizer(
        ngram_range=(1, 2), min_df=2, sublinear_tf=True,
        token_pattern=r"\b\w+(?:'\w+)?\b|[!?]|[^\w\s.,;:'\"()<>/-]",
    )  # fmt: skip
    features = vectorizer.fit_transform(texts[:200])
    theirs = LogisticRegression(C=10.0, max_iter=500).fit(features, labels[:200].astype(str))
    expected = theirs.predict_proba(vectorizer.transform(asked))
    np.testing.assert_allclose(own.probabilities(asked), expected, atol=2e-3)
    # The fits end within their tolerance of each other; of the same weights, answers are equal.
    columns = [vectorizer.vocabulary_[name] for name in own.terms]
    theirs.coef_[:, columns] = bundle.state["coefficients"].numpy().T
    theirs.intercept_ = bundle.state["intercepts"].numpy()
    expected = theirs.predict_proba(vectorizer.transform(asked))
    np.testing.assert_allclose(own.probabilities(asked), expected, atol=1e-6)
    answer = own.predict(asked)
    assert answer["label"].tolist() == [str(k) for k in expected.argmax(axis=1)]


def test_naive_bayes_weights_are_part_of_the_coefficients() -> None:
    texts = ["good film", "good fun", "bad film", "bad fun", "good good fun", "bad bad film"] * 5
    labels = np.array(["p", "p", "n", "n", "p", "n"] * 5, dtype=object)
    rows = np.arange(30)
    targets = encode_labels(labels, rows, rows)
    config = NgramsConfig("naive_bayes", regularisation=2.0, longest=1)
    own = TextNgrams.from_bundle(fit_ngrams(texts, targets, rows, config=config))
    features = own.features(texts).toarray()
    there = features > 0
    positive = labels == "p"
    shares = [1 + there[side].sum(axis=0) for side in (positive, ~positive)]
    ratio = np.log(shares[0] / shares[0].sum()) - np.log(shares[1] / shares[1].sum())
    weighted = features * ratio
    theirs = LogisticRegression(C=2.0, max_iter=500).fit(weighted, positive)
    np.testing.assert_allclose(
        own.probabilities(texts)[:, 1], theirs.predict_proba(weighted)[:, 1], atol=1e-3
    )


def test_how_it_is_fitted_is_chosen_on_training_rows(
    reviews: tuple[list[str], np.ndarray], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    texts, labels = reviews
    _, first = ngram_answers(texts, labels, PARTS)
    assert "by 3-fold log loss on 80 training rows (tf_idf 3: " in caplog.text
    assert f"n-grams: {first.config['weighting']} with C " in caplog.text
    hidden = [*texts[:80], *["something else"] * 40]
    _, second = ngram_answers(hidden, labels, PARTS)
    assert second.hash == first.hash
    _, refitted = ngram_answers(texts, labels, PARTS, refit=True)
    assert refitted.config == first.config
    assert refitted.hash != first.hash


def test_raw_rows_are_read_by_column_and_unknown_words_counted() -> None:
    texts = ["red\nsun", "blue\nmoon"] * 10
    labels = np.array(["day", "night"] * 10, dtype=object)
    rows = np.arange(20)
    bundle = fit_ngrams(
        texts, encode_labels(labels, rows, rows), rows, text_columns=("title", "body")
    )
    model, seen = TextNgrams.from_bundle(bundle), Seen()
    frame = pd.DataFrame({"body": ["sun", None], "title": ["red", "a blue"], "id": [1, 2]})
    answer = model.predict(frame, seen=seen)
    assert answer["label"].tolist() == ["day", "night"]
    np.testing.assert_allclose(
        answer[["probability_day", "probability_night"]],
        model.probabilities(["red\nsun", "a blue\n"]),
    )
    assert (seen.tokens, seen.unknown) == (4, 1)
    assert model.predict(frame.head(0)).empty
    with pytest.raises(ValueError, match="row 1 is blank"):
        model.predict(frame.assign(title=["a", " "]))


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
    answers, bundle = ngram_answers(texts, labels, PARTS)
    assert ((answers[["red", "sun"]].to_numpy() > 0.5) == flags[80:119, :2]).all()
    assert (answers["always"] == 1).all()
    served = TextNgrams.from_bundle(bundle).predict(["a red moon here", "a blue sun here"])
    assert served["label"].tolist() == [["always", "red"], ["always", "sun"]]


def test_nothing_is_fitted_again_while_nothing_changes(
    reviews: tuple[list[str], np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts, labels = reviews
    store, fits = BundleStore(tmp_path / "rivals"), []
    fit = ngrams.fit_ngrams
    monkeypatch.setattr(
        ngrams, "fit_ngrams", lambda *args, **settings: fits.append(1) or fit(*args, **settings)
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
