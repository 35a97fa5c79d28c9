"""Terms and their counts, beside scikit-learn's."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from gradual.text.terms import Terms, fit_terms, inverse_frequencies, tf_idf, words_of

PATTERN = r"\b\w+(?:'\w+)?\b|[!?]|[^\w\s.,;:'\"()<>/-]"
WORDS = ["Don't", "good", "bad", "film", "a", "the", "naïve", "!", "?!", "😀", "3.5", "<b>", "中文"]


def texts(n: int, seed: int = 0) -> list[str]:
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS, random.integers(1, 20))) for _ in range(n)]


def strings(terms: Terms) -> list[str]:
    """Each column's term as scikit-learn writes it."""
    found = []
    for length, codes in enumerate(terms.codes, start=1):
        for code in codes.tolist():
            numbers = [code // len(terms.words) ** k % len(terms.words) for k in range(length)]
            found.append(" ".join(terms.words[number] for number in reversed(numbers)))
    return found


@pytest.mark.parametrize(("longest", "min_documents"), [(1, 1), (2, 2), (3, 3)])
def test_features_are_scikit_learns(longest: int, min_documents: int) -> None:
    learnt, asked = texts(60), [*texts(30, 1), "", "nothing known"]
    vectorizer = TfidfVectorizer(
        ngram_range=(1, longest), min_df=min_documents, sublinear_tf=True, token_pattern=PATTERN
    ).fit(learnt)
    terms, counts = fit_terms(learnt, longest=longest, min_documents=min_documents, most=10**6)
    names = strings(terms)
    assert sorted(names) == sorted(vectorizer.get_feature_names_out())
    columns = [vectorizer.vocabulary_[name] for name in names]
    idf = inverse_frequencies(counts)
    for own, of in ((counts, learnt), (terms.count(asked), asked)):
        theirs = vectorizer.transform(of).toarray()[:, columns]
        np.testing.assert_allclose(tf_idf(own, idf).toarray(), theirs, atol=1e-6)


def test_the_most_frequent_terms_are_kept() -> None:
    learnt = ["a b a b c", "a b d", "a d e"]
    terms, counts = fit_terms(learnt, longest=2, min_documents=1, most=3)
    assert sorted(strings(terms)) == ["a", "a b", "b"]
    assert counts.toarray().sum() == 4 + 3 + 3
    np.testing.assert_array_equal(terms.count(learnt).toarray(), counts.toarray())


def test_no_run_crosses_from_a_text_to_the_next() -> None:
    terms, _ = fit_terms(["x y", "y x"], longest=2, min_documents=1, most=9)
    assert sorted(strings(terms)) == ["x", "x y", "y", "y x"]
    assert terms.count(["x", "y"]).sum() == 2


def test_texts_without_terms_are_rows_of_nothing() -> None:
    terms, counts = fit_terms(["one", "two"], longest=2, min_documents=2, most=9)
    assert (len(terms), counts.shape) == (0, (2, 0))
    assert terms.count(["one", ""]).shape == (2, 0)
    assert words_of("It's<br />ME!") == ["it's", "me", "!"]
