"""What a recommender has to beat: means, biases, neighbouring items, popularity."""

import logging
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

logger = logging.getLogger(__name__)

SHRINKAGE = 5.0
"""Ratings' worth of evidence for a bias of 0."""
_BLOCK = 512
"""Items that are compared with all others at a time."""


@dataclass(frozen=True)
class Biases:
    """mean + b_u + b_i: what a user's and an item's habits alone say.

    Attributes:
        mean: Of the training ratings.
        users: ``(users,)``, 0 for number 0.
        items: ``(items,)``, 0 for number 0.
    """

    mean: float
    users: np.ndarray
    items: np.ndarray

    def predict(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Return the rating of each pair of numbers, ``(n,)``."""
        return self.mean + self.users[users] + self.items[items]


def fit_biases(
    users: np.ndarray,
    items: np.ndarray,
    ratings: np.ndarray,
    shape: tuple[int, int],
    rounds: int = 10,
) -> Biases:
    """Fit biases by alternating ridge regression, each step in closed form.

    Koren 2010, "Factor in the neighbors", section 2.1: b_i = sum(r - mean - b_u) / (shrinkage + n).

    Args:
        users: ``(n,)`` user numbers, from 1.
        items: ``(n,)`` item numbers, from 1.
        ratings: ``(n,)``.
        shape: Numbers of users and of items, 0 included.
        rounds: Passes over both sides.

    Raises:
        ValueError: There are no ratings.
    """
    if not len(ratings):
        raise ValueError("ratings: no rows to fit biases on; check the split.")
    mean = float(np.mean(ratings, dtype=np.float64))
    residual = np.asarray(ratings, np.float64) - mean
    by_user, by_item = np.zeros(shape[0]), np.zeros(shape[1])
    user_weight = np.bincount(users, minlength=shape[0]) + SHRINKAGE
    item_weight = np.bincount(items, minlength=shape[1]) + SHRINKAGE
    for _ in range(rounds):
        by_item = np.bincount(items, residual - by_user[users], shape[1]) / item_weight
        by_user = np.bincount(users, residual - by_item[items], shape[0]) / user_weight
    return Biases(mean, by_user, by_item)


@dataclass(frozen=True)
class ItemNeighbours:
    """Ratings from what the same user gave to similar items.

    r(u, i) = b(u, i) + sum_j s_ij (r_uj - b(u, j)) / (damping + sum_j s_ij) over the neighbours j
    of i that u has rated (Koren 2010, "Factor in the neighbors", equation 2 on biases).

    Attributes:
        biases: What ratings are compared with.
        residuals: ``(users, items)`` sparse, training ratings less their biases.
        similar: ``(items, items)`` sparse, each row an item's most similar items.
        damping: Similarity's worth of evidence for no difference.
    """

    biases: Biases
    residuals: sp.csr_matrix
    similar: sp.csr_matrix
    damping: float

    def predict(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Return the rating of each pair of numbers, ``(n,)``."""
        adjusted = np.zeros(len(items))
        order = np.argsort(items, kind="stable")
        for rows in np.split(order, np.searchsorted(items[order], _edges(self.similar.shape[0]))):
            if not len(rows):
                continue
            first = int(items[rows[0]]) // _BLOCK * _BLOCK
            block = self._adjustments(users[rows], first)
            adjusted[rows] = block[np.arange(len(rows)), items[rows] - first]
        return self.biases.predict(users, items) + adjusted

    def _adjustments(self, users: np.ndarray, first: int) -> np.ndarray:
        """Return what neighbours add for each row's user and all items of a block."""
        who, place = np.unique(users, return_inverse=True)
        similar = self.similar[first : first + _BLOCK].T
        rated = self.residuals[who]
        has = rated.copy()
        has.data = np.ones_like(has.data)
        total, weight = (rated @ similar).toarray(), (has @ similar).toarray()
        return (total / (weight + self.damping))[place]

    def scores(self, users: np.ndarray) -> np.ndarray:
        """Return the ratings of all items, ``(n, items)``, for user numbers."""
        starts = range(0, self.similar.shape[0], _BLOCK)
        added = np.concatenate([self._adjustments(users, first) for first in starts], axis=1)
        return self.biases.mean + self.biases.users[users, None] + self.biases.items + added


def _edges(count: int) -> np.ndarray:
    return np.arange(_BLOCK, count, _BLOCK)


def fit_neighbours(
    users: np.ndarray,
    items: np.ndarray,
    ratings: np.ndarray,
    shape: tuple[int, int],
    *,
    neighbours: int = 60,
    shrinkage: float = 20.0,
    damping: float = 0.5,
) -> ItemNeighbours:
    """Find each item's most similar items.

    Similarity is the correlation of residuals over the users who rated both, shrunk by their
    number n: n / (n + shrinkage) (Koren 2010, equation 3). Only positive ones count.

    Args:
        users: ``(n,)`` user numbers, from 1.
        items: ``(n,)`` item numbers, from 1.
        ratings: ``(n,)``.
        shape: Numbers of users and of items, 0 included.
        neighbours: Most similar items kept of each.
        shrinkage: Users' worth of evidence for no similarity.
        damping: Similarity's worth of evidence for no difference, at prediction.
    """
    biases = fit_biases(users, items, ratings, shape)
    residual = (ratings - biases.predict(users, items)).astype(np.float32)
    matrix = sp.csr_matrix((residual, (users, items)), shape)
    ones = sp.csr_matrix((np.ones_like(residual), (users, items)), shape)
    squares = matrix.multiply(matrix).tocsr()
    rows, columns, values = [], [], []
    for first in range(0, shape[1], _BLOCK):
        block = slice(first, min(first + _BLOCK, shape[1]))
        product = (matrix[:, block].T @ matrix).toarray()
        own = (squares[:, block].T @ ones).toarray()
        other = (ones[:, block].T @ squares).toarray()
        both = (ones[:, block].T @ ones).toarray()
        similarity = product / np.sqrt(np.maximum(own * other, 1e-12)) * both / (both + shrinkage)
        here = np.arange(block.start, block.stop)
        similarity[here - first, here] = 0
        kept = min(neighbours, shape[1] - 1)
        best = np.argpartition(-similarity, kept - 1, axis=1)[:, :kept]
        found = np.take_along_axis(similarity, best, 1)
        row, place = np.nonzero(found > 0)
        rows.append(here[row])
        columns.append(best[row, place])
        values.append(found[row, place])
    pairs = (np.concatenate(rows), np.concatenate(columns))
    similar = sp.csr_matrix((np.concatenate(values), pairs), (shape[1], shape[1]))
    return ItemNeighbours(biases, matrix, similar, damping)
