"""Words and runs of words as columns of a sparse matrix: what n-gram models read.

Words are numbered once; a run of them is one integer, so that counting millions of runs is sorting
integers. The matrix is that of scikit-learn's `TfidfVectorizer` with `sublinear_tf`, up to the
order of its columns.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

# Words keep their apostrophes ("don't"); emoji, "!" and "?" count as words.
_WORD = re.compile(r"\b\w+(?:'\w+)?\b|[!?]|[^\w\s.,;:'\"()<>/-]")
_MOST_WORDS = 2_000_000  # three of them still fit into one 64-bit integer


@dataclass(frozen=True)
class Terms:
    """The terms that count: words and runs of words.

    Attributes:
        words: All words that terms are made of.
        codes: For each length of run, from 1 on, the terms' codes, rising, int64: the numbers of
            the words as digits to the base ``len(words)``. A term's column is its place in all of
            these, one after the other.
    """

    words: tuple[str, ...]
    codes: tuple[np.ndarray, ...]

    def __len__(self) -> int:
        return sum(map(len, self.codes))

    @cached_property
    def numbers(self) -> Mapping[str, int]:
        """The number of each word."""
        return {word: number for number, word in enumerate(self.words)}

    def count(self, texts: Sequence[str]) -> sparse.csr_matrix:
        """Return how often each text has each term, ``(texts, terms)`` float32."""
        numbers = self.numbers
        ids, rows = _flat([numbers.get(word, -1) for word in words_of(text)] for text in texts)
        found, first = [], 0
        for length, known in enumerate(self.codes, start=1):
            codes, of = _runs(ids, rows, len(self.words), length)
            place = np.minimum(np.searchsorted(known, codes), max(len(known) - 1, 0))
            hit = known[place] == codes if len(known) else np.zeros(len(codes), bool)
            found.append((of[hit], place[hit] + first))
            first += len(known)
        return _matrix(found, (len(texts), len(self)))


def fit_terms(
    texts: Sequence[str], *, longest: int, min_documents: int, most: int
) -> tuple[Terms, sparse.csr_matrix]:
    """Find the terms of some texts.

    Args:
        texts: To learn from.
        longest: Most words in a term.
        min_documents: A term that fewer texts have is left out.
        most: At most so many terms, those that occur most often.

    Returns:
        The terms, and how often each text has each, ``(texts, terms)`` float32.
    """
    numbers: dict[str, int] = {}
    ids, rows = _flat(
        [numbers.setdefault(word, len(numbers)) for word in words_of(text)] for text in texts
    )
    # A word that few texts have, or that is not among the `most` itself, is part of no term.
    own = _matrix([(rows, ids)], (len(texts), len(numbers)))
    chosen = _frequent(own, min_documents, min(most, _MOST_WORDS))
    new = np.full(len(numbers), -1, np.int64)
    new[chosen] = np.arange(len(chosen))
    ids = new[ids]
    every, found, first = [], [], 0
    for length in range(1, longest + 1):
        codes, of = _runs(ids, rows, len(chosen), length)
        known, place, times = np.unique(codes, return_inverse=True, return_counts=True)
        often = times >= min_documents
        column = np.cumsum(often) - 1
        hit = often[place]
        every.append(known[often])
        found.append((of[hit], column[place[hit]] + first))
        first += len(every[-1])
    counts = _matrix(found, (len(texts), first))
    kept = _frequent(counts, min_documents, most)
    bounds = np.searchsorted(kept, np.cumsum([0, *map(len, every)]))
    starts = np.cumsum([0, *map(len, every[:-1])])
    chosen_codes = tuple(
        known[kept[low:high] - start]
        for known, start, low, high in zip(every, starts, bounds[:-1], bounds[1:], strict=True)
    )
    words = np.array(list(numbers), dtype=object)[chosen]
    return Terms(tuple(words.tolist()), chosen_codes), counts[:, kept]


def words_of(text: str) -> list[str]:
    """Return a text's words in lower case; HTML breaks are blanks."""
    return _WORD.findall(text.replace("<br />", " ").lower())


def inverse_frequencies(counts: sparse.csr_matrix) -> np.ndarray:
    """Return how much each term weighs, ``(terms,)`` float32: ``1 + log((1+n) / (1+texts))``."""
    n, documents = counts.shape[0], np.bincount(counts.indices, minlength=counts.shape[1])
    return (1 + np.log((1 + n) / (1 + documents))).astype(np.float32)


def tf_idf(counts: sparse.csr_matrix, idf: np.ndarray) -> sparse.csr_matrix:
    """Return features of length one a text: damped counts, ``1 + log``, times the terms' weight."""
    values = (1 + np.log(counts.data)) * idf[counts.indices]
    made = sparse.csr_matrix((values, counts.indices, counts.indptr), shape=counts.shape)
    length = np.sqrt(np.asarray(made.multiply(made).sum(axis=1)).ravel())
    made.data /= np.repeat(np.maximum(length, 1e-12), np.diff(made.indptr))
    return made.astype(np.float32)


def _flat(numbers: Iterable[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Word numbers one after the other, int64, and the row of each."""
    flat, lengths = array("q"), array("q")
    for row in numbers:
        flat.extend(row)
        lengths.append(len(row))
    rows = np.repeat(np.arange(len(lengths)), np.frombuffer(lengths, np.int64))
    return np.frombuffer(flat, np.int64), rows


def _runs(
    ids: np.ndarray, rows: np.ndarray, base: int, length: int
) -> tuple[np.ndarray, np.ndarray]:
    """The codes of all runs of so many known words of one row, and their rows."""
    n = max(len(ids) - length + 1, 0)
    codes, whole = np.zeros(n, np.int64), np.ones(n, bool)
    for k in range(length):
        part = ids[k : k + n]
        codes = codes * base + part
        whole &= (part >= 0) & (rows[k : k + n] == rows[:n])
    return codes[whole], rows[:n][whole]


def _matrix(
    found: Sequence[tuple[np.ndarray, np.ndarray]], shape: tuple[int, int]
) -> sparse.csr_matrix:
    rows, columns = (np.concatenate(parts) for parts in zip(*found, strict=True))
    ones = np.ones(len(rows), np.float32)
    return sparse.coo_matrix((ones, (rows, columns)), shape=shape).tocsr()


def _frequent(counts: sparse.csr_matrix, min_documents: int, most: int) -> np.ndarray:
    """The columns that enough rows have, the most frequent ones if there are too many; rising."""
    kept = np.flatnonzero(np.bincount(counts.indices, minlength=counts.shape[1]) >= min_documents)
    if len(kept) > most:
        times = np.asarray(counts.sum(axis=0)).ravel()[kept]
        kept = np.sort(kept[np.argsort(-times, kind="stable")[:most]])
    return kept
