"""Items of which nothing but properties are known.

A learner that is handed in (a net on tables, say) learns the rows [vector, bias] of well-known
items from their properties; a new one's row is then predicted, and scored like any other.
This is the attribute-to-feature mapping of Gantner et al. 2010, "Learning attribute-to-feature
mappings for cold-start recommendations".
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from torch import Tensor

from gradual.collab.features import SideFeatures
from gradual.collab.recommender import Recommender
from gradual.sources.errors import SourceError

logger = logging.getLogger(__name__)

NEW_ITEM_COLUMNS = ("item", "title", "expected", "rank", "user", "score")


class RowLearner(Protocol):
    """Learns rows of numbers from properties."""

    def __call__(self, inputs: pa.Table, rows: np.ndarray) -> Callable[[pa.Table], np.ndarray]:
        """Return what predicts rows ``(n, width)`` of a table with the same columns.

        Args:
            inputs: Columns of float32 without gaps; see `SideFeatures`.
            rows: ``(inputs.num_rows, width)`` float32.
        """


@dataclass(frozen=True)
class RowsByProperties:
    """What was learned of how properties make rows.

    Attributes:
        features: Turns properties into numbers.
        predict: From `RowLearner`.
    """

    features: SideFeatures
    predict: Callable[[pa.Table], np.ndarray]

    def rows(self, side: pa.Table) -> Tensor:
        """Return the rows ``(n, width)`` that properties lead to, in the table's order."""
        return torch.tensor(self.predict(self.features.table(side)).astype(np.float32))


def learn_rows(
    model: Recommender,
    side: pa.Table,
    learner: RowLearner,
    *,
    min_ratings: int = 5,
) -> RowsByProperties:
    """Learn the rows of items from their properties.

    Args:
        model: Whose rows to learn.
        side: What is known of items, of `read_side`; those that the model does not know are not
            looked at.
        learner: Does it.
        min_ratings: Learn from those with at least so many training ratings: the rows of others
            say little.

    Raises:
        SourceError: Too few have enough ratings, or the table has no properties.
    """
    numbers = model.item_ids.encode(side["id"])
    usable = (numbers > 0) & (model.counts[numbers] >= min_ratings)
    if usable.sum() < 10:
        raise SourceError(
            f"only {usable.sum()} items with properties have {min_ratings} ratings or more: "
            "lower min_ratings"
        )
    chosen = side.filter(pa.array(usable))
    features = SideFeatures.fit(chosen, model.item_ids)
    if not features.names:
        raise SourceError("the table of items has no properties to learn from: name some columns")
    rows = model.items.numpy()[numbers[usable]]
    return RowsByProperties(features, learner(features.table(chosen), rows))


def place_new_items(
    model: Recommender, items: pa.Table, learner: RowLearner, *, min_ratings: int = 5
) -> pd.DataFrame:
    """Say how items without training ratings will be liked, and by whom, from properties alone.

    Args:
        model: The recommender.
        items: Of `read_side`, known items and new ones.
        learner: Learns the rows of the known ones.
        min_ratings: Of the items that are learned from.

    Returns:
        As `best_users`; no rows where there are no new items, no properties, or too few items to
        learn from (with a warning).
    """
    new = items.filter(model.item_ids.encode(items["id"]) == 0)
    if new.num_rows and len(items.column_names) > 2:
        try:
            return best_users(
                model, learn_rows(model, items, learner, min_ratings=min_ratings), new
            )
        except SourceError as error:
            logger.warning("New items are not placed: %s.", error)
    return pd.DataFrame(columns=list(NEW_ITEM_COLUMNS))


def best_users(
    model: Recommender, learned: RowsByProperties, side: pa.Table, n: int = 10
) -> pd.DataFrame:
    """Say how items that are known by their properties only will be liked, and by whom.

    Args:
        model: The recommender.
        learned: Of `learn_rows`, of the same model's items.
        side: The new items, of `read_side`.
        n: Users for each item.

    Returns:
        `item`, `title` (the id where there is none), `expected` (mean score over all users),
        `rank`, `user`, `score`; the item of the highest expectation first.
    """
    rows = learned.rows(side)
    known = model.users[1:]
    totals = np.zeros(side.num_rows)
    scores = np.full((side.num_rows, 0), -np.inf, np.float32)
    users = np.zeros((side.num_rows, 0), np.int64)
    for block in torch.arange(len(known)).split(4096):  # all scores at once would not fit for many
        found = model.all_row_scores(known[block], rows).T
        totals += found.sum(1, dtype=np.float64)
        scores = np.concatenate([scores, found], axis=1)
        users = np.concatenate([users, np.broadcast_to(block.numpy() + 1, found.shape)], axis=1)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :n]
        scores, users = (np.take_along_axis(a, best, 1) for a in (scores, users))
    item, place = np.indices(scores.shape)
    ids = side["id"].to_pandas().to_numpy()
    titles = side["title"].to_pandas().to_numpy() if "title" in side.column_names else ids
    frame = pd.DataFrame(
        {
            "item": ids[item.ravel()],
            "title": titles[item.ravel()],
            "expected": (totals / len(known))[item.ravel()],
            "rank": place.ravel() + 1,
            "user": model.user_ids.decode(users.ravel()).to_pandas().to_numpy(),
            "score": scores.ravel(),
        }
    )
    return frame.sort_values(
        ["expected", "item", "rank"], ascending=[False, True, True]
    ).reset_index(drop=True)
