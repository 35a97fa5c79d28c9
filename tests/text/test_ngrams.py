import numpy as np
import pytest

from gradual.text.ngrams import fit_predict_baseline, majority_baseline

CLASSES = ["negative", "positive"]


@pytest.fixture
def reviews() -> tuple[list[str], np.ndarray]:
    rng = np.random.default_rng(0)
    words = {"negative": ["awful", "dull", "bad"], "positive": ["superb", "fresh", "good"]}
    labels = np.array(CLASSES, dtype=object)[rng.integers(2, size=120)]
    texts = [f"the film is {words[str(label)][rng.integers(3)]} and long" for label in labels]
    return texts, labels


def test_learns_what_words_say(reviews: tuple[list[str], np.ndarray]) -> None:
    texts, labels = reviews
    train = np.arange(120) < 80
    probabilities = fit_predict_baseline(texts, labels, train, classes=CLASSES, predict_rows=~train)
    assert probabilities.shape == (40, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert (np.array(CLASSES)[probabilities.argmax(axis=1)] == labels[~train]).all()


def test_is_deterministic(reviews: tuple[list[str], np.ndarray]) -> None:
    texts, labels = reviews
    train = np.arange(120) < 80
    one, two = (fit_predict_baseline(texts, labels, train, classes=CLASSES) for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_columns_follow_the_classes(reviews: tuple[list[str], np.ndarray]) -> None:
    texts, labels = reviews
    train = np.arange(120) < 80
    one = fit_predict_baseline(texts, labels, train, classes=CLASSES)
    two = fit_predict_baseline(texts, labels, train, classes=["positive", "unused", "negative"])
    np.testing.assert_allclose(one, two[:, [2, 0]])
    assert (two[:, 1] == 0).all()


def test_sees_nothing_but_the_training_rows(reviews: tuple[list[str], np.ndarray]) -> None:
    texts, labels = reviews
    train, first = np.arange(120) < 80, np.arange(120) == 80
    one = fit_predict_baseline(texts, labels, train, classes=CLASSES, predict_rows=first)
    others = [*texts[:81], *["something else entirely"] * 39]
    hidden = np.array([*labels[:80], *[None] * 40], dtype=object)
    two = fit_predict_baseline(others, hidden, train, classes=CLASSES, predict_rows=first)
    np.testing.assert_array_equal(one, two)


def test_regularisation_is_chosen_on_validation_rows(
    reviews: tuple[list[str], np.ndarray],
) -> None:
    texts, labels = reviews
    train, valid = np.arange(120) < 60, (np.arange(120) >= 60) & (np.arange(120) < 90)
    chosen = fit_predict_baseline(
        texts, labels, train, classes=CLASSES, valid_rows=valid, regularisation=[1e-9, 10]
    )
    fixed = fit_predict_baseline(texts, labels, train, classes=CLASSES, regularisation=10)
    np.testing.assert_array_equal(chosen, fixed)  # 1e-9 always says the more frequent class
    with pytest.raises(ValueError, match="valid_rows"):
        fit_predict_baseline(texts, labels, train, classes=CLASSES, regularisation=[1, 10])
    with pytest.raises(ValueError, match="also a training row"):
        fit_predict_baseline(
            texts, labels, train, classes=CLASSES, valid_rows=train, regularisation=[1, 10]
        )


def test_one_class_in_the_training_rows_gives_a_constant(
    reviews: tuple[list[str], np.ndarray],
) -> None:
    texts, labels = reviews
    only = np.asarray(labels == "positive")
    probabilities = fit_predict_baseline(texts, labels, only, classes=CLASSES)
    assert (probabilities == [0, 1]).all()


def test_majority_predicts_the_training_shares() -> None:
    labels = np.array(["negative", "positive", "positive", "negative"], dtype=object)
    train = np.array([True, True, True, False])
    probabilities = majority_baseline(labels, train, classes=CLASSES, n=5)
    np.testing.assert_allclose(probabilities, np.tile([1 / 3, 2 / 3], (5, 1)))


def test_bad_rows_and_labels_are_refused(reviews: tuple[list[str], np.ndarray]) -> None:
    texts, labels = reviews
    with pytest.raises(ValueError, match="booleans"):
        fit_predict_baseline(texts, labels, np.arange(120), classes=CLASSES)
    with pytest.raises(ValueError, match="no rows"):
        fit_predict_baseline(texts, labels, np.zeros(120, bool), classes=CLASSES)
    with pytest.raises(ValueError, match=r"\['positive'\] in the training rows"):
        fit_predict_baseline(texts, labels, np.ones(120, bool), classes=["negative", "neutral"])
    with pytest.raises(ValueError, match="None"):
        fit_predict_baseline(texts, [None] * 120, np.ones(120, bool), classes=CLASSES)
