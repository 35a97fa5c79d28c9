"""New users with a few ratings, and what to ask them: no training, one small regression each.

A new user's row p is the most probable one given the ratings r_i and a normal prior N(m, S) over
the rows of the training users:

    p = argmin  sum_i (r_i - rating(p . x_i))^2 / noise + (p - m)' S^-1 (p - m),   x_i = [q_i, 1]

with the items' rows fixed; the sigmoid range is taken in by Gauss-Newton steps, each a ridge
regression in closed form.
"""

import logging
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from torch import Tensor

from gradual.collab.models import RatedItems
from gradual.collab.recommender import Recommender

logger = logging.getLogger(__name__)

LIST_COLUMNS = ("user", "rank", "item", "title", "score", "ratings")
_STEPS = 8
_USERS = 256
"""Users that are folded in at a time."""

Strategy = Literal["information", "entropy", "popularity"]
STRATEGIES: tuple[Strategy, ...] = ("information", "entropy", "popularity")


@dataclass(frozen=True)
class Prior:
    """How users' rows are spread before anything is known of one.

    Attributes:
        mean: ``(width,)`` float64.
        covariance: ``(width, width)`` float64, positive definite.
        noise: Variance of a rating about its prediction.
    """

    mean: Tensor
    covariance: Tensor
    noise: float

    @classmethod
    def of(cls, model: Recommender) -> "Prior":
        """Estimate it from the training users' rows.

        Raises:
            ValueError: The model is none to fold users into.
        """
        if not model.folds_in:
            what = "the loss bpr or softmax" if model.ranks else "the interaction mlp"
            raise ValueError(
                f"a model with {what} cannot take in new users without training: use dot_bias and "
                "mse, or give the users the most rated items"
            )
        rows = model.users[1:].double()
        covariance = torch.atleast_2d(torch.cov(rows.T)) if len(rows) > 1 else torch.zeros(())
        # Fewer users than factors leave directions without spread: a tenth of the mean goes there.
        spread = covariance.diagonal().mean() if covariance.ndim else torch.tensor(1.0).double()
        eye = torch.eye(rows.shape[1], dtype=torch.float64)
        return cls(rows.mean(0), 0.9 * covariance + (0.1 * spread + 1e-9) * eye, model.noise)


@dataclass(frozen=True)
class NewUsers:
    """Users that were folded in.

    Attributes:
        ids: Their ids, in order of appearance.
        rows: ``(users, width)`` float32.
        rated: What they have rated, of what the model knows.
        unknown: Ratings of items that the model does not know; they were left out.
    """

    ids: np.ndarray
    rows: Tensor
    rated: RatedItems
    unknown: int


def fold_in(model: Recommender, ratings: pa.Table, prior: Prior | None = None) -> NewUsers:
    """Find the rows of new users from a few ratings each.

    Args:
        model: Of the interaction `dot_bias` that learned ratings.
        ratings: `user`, `item`, `rating` as of `read_ratings`, or just these columns. Ids may be
            those of known users, whose rows are not looked at.
        prior: Of the users' rows; estimated from the model if not given.

    Returns:
        One row for each user; a user whose items are all unknown has the prior's mean.

    Raises:
        ValueError: A rating is not finite, or the model is none to fold users into.
    """
    prior = prior or Prior.of(model)
    values = np.asarray(ratings["rating"], np.float64)
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values))[0])
        raise ValueError(f"ratings: row {row} has {values[row]} for a rating: give a finite number")
    codes, ids = pd.factorize(ratings["user"].to_numpy(zero_copy_only=False))
    items = model.item_ids.encode(ratings["item"])
    known = items > 0
    order = np.flatnonzero(known)[np.argsort(codes[known], kind="stable")]
    user, item, value = (torch.from_numpy(a[order]) for a in (codes, items, values))
    counts = torch.bincount(user, minlength=len(ids))
    offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    rows = torch.empty(len(ids), model.config.width)
    for first in range(0, len(ids), _USERS):
        last = min(first + _USERS, len(ids))
        part = slice(int(offsets[first]), int(offsets[last]))
        rows[first:last] = _most_probable(
            model, prior, user[part] - first, item[part], value[part], last - first
        )
    unknown = int((~known).sum())
    logger.info(
        "%s new users are folded in by %s ratings; %s ratings of unknown items are left out.",
        f"{len(ids):,}",
        f"{len(item):,}",
        f"{unknown:,}",
    )
    return NewUsers(ids, rows, RatedItems(item, offsets), unknown)


def _most_probable(
    model: Recommender, prior: Prior, user: Tensor, item: Tensor, value: Tensor, users: int
) -> Tensor:
    inputs = model.items[item].double()
    base = inputs[:, -1] + model.offset
    if model.item_times is not None:
        base = base + model.item_times[item, -1]
    inputs = torch.cat([inputs[:, :-1], torch.ones(len(item), 1).double()], 1)  # (n, width)
    precision = torch.linalg.inv(prior.covariance)
    rows = prior.mean.repeat(users, 1)
    for _ in range(_STEPS):
        scores = (rows[user] * inputs).sum(1) + base
        rating, slope = _rating_and_slope(scores, model.config.y_range)
        # Linear about the present row: what the rating would be as a function of the row.
        weighted = inputs * slope[:, None]
        target = value - rating + (rows[user] * weighted).sum(1)
        gram = precision.repeat(users, 1, 1)
        for start in range(0, len(user), 4096):  # outer products of some ratings at a time
            part = slice(start, start + 4096)
            outer = weighted[part, :, None] * weighted[part, None, :] / prior.noise
            gram.index_add_(0, user[part], outer)
        right = (precision @ prior.mean).repeat(users, 1)
        right.index_add_(0, user, weighted * target[:, None] / prior.noise)
        step = torch.linalg.solve(gram, right)
        done = float((step - rows).abs().max()) < 1e-6
        rows = step
        if done:
            break
    return rows.float()


def _rating_and_slope(scores: Tensor, y_range: tuple[float, float] | None) -> tuple[Tensor, Tensor]:
    if y_range is None:
        return scores, torch.ones_like(scores)
    low, high = y_range
    share = torch.sigmoid(scores)
    return low + (high - low) * share, (high - low) * share * (1 - share)


def recommend_new(
    model: Recommender, users: NewUsers, n: int | None = None, *, min_ratings: int | None = None
) -> pd.DataFrame:
    """Return the best items for folded-in users, without those they rated.

    Args:
        model: The recommender.
        users: Of `fold_in`.
        n: Items for each; None takes the model's own setting.
        min_ratings: List only items with at least so many training ratings; None likewise.

    Returns:
        `user`, `rank`, `item`, `title`, `score`, `ratings`.
    """
    n = model.lists.n if n is None else n
    min_ratings = model.lists.min_ratings if min_ratings is None else min_ratings
    allowed = model.counts >= min_ratings if min_ratings else None
    numbers, scores = model.top(users.rows, n, seen=users.rated, allowed=allowed)
    who, place = np.nonzero(numbers >= 0)
    found = numbers[who, place]
    return pd.DataFrame(
        {
            "user": users.ids[who],
            "rank": place + 1,
            "item": model.item_ids.decode(found).to_pandas().to_numpy(),
            "title": model.titles[found],
            "score": scores[who, place],
            "ratings": model.counts[found],
        }
    )


def onboarding(
    model: Recommender,
    n: int = 10,
    *,
    strategy: Strategy = "information",
    ratings: pa.Table | None = None,
    prior: Prior | None = None,
) -> pd.DataFrame:
    """Choose the items to ask a new user about.

    `information` is greedy: the next item is the one whose rating is expected to take most off the
    variance of the predictions for all items, weighted by their ratings, times the chance that the
    user knows the item (Rubens et al. 2015, "Active learning in recommender systems", on the
    Bayesian linear model of `fold_in`). `entropy` orders by log(ratings) x entropy of the ratings
    (Rashid et al. 2002, "Getting to know you"), `popularity` by the number of ratings.

    Args:
        model: Of the interaction `dot_bias` that learned ratings.
        n: Length of the list.
        strategy: How to choose.
        ratings: Training ratings, for `entropy`.
        prior: Of the users' rows; estimated from the model if not given.

    Returns:
        `rank`, `item`, `title`, `ratings` (training ratings of the item).

    Raises:
        ValueError: `strategy` is none of the three, or `entropy` has no ratings.
    """
    n = min(n, len(model.items) - 1)
    if strategy == "information":
        chosen = _greedy(model, prior or Prior.of(model), n)
    elif strategy == "entropy":
        if ratings is None:
            raise ValueError("the strategy entropy needs the training ratings: give them")
        chosen = np.argsort(-_entropy(model, ratings)[1:], kind="stable")[:n] + 1
    elif strategy == "popularity":
        chosen = model.popular()[:n]
    else:
        raise ValueError(f"strategy is {strategy!r}: use information, entropy or popularity")
    return pd.DataFrame(
        {
            "rank": np.arange(1, len(chosen) + 1),
            "item": model.item_ids.decode(chosen).to_pandas().to_numpy(),
            "title": model.titles[chosen],
            "ratings": model.counts[chosen],
        }
    )


def onboarding_by_each(model: Recommender, n: int, ratings: pa.Table) -> pd.DataFrame:
    """Return the lists of all strategies, one below the other, with a column `strategy`."""
    prior = Prior.of(model)
    lists = [
        onboarding(model, n, strategy=one, ratings=ratings, prior=prior).assign(strategy=one)
        for one in STRATEGIES
    ]
    return pd.concat(lists, ignore_index=True)


def _greedy(model: Recommender, prior: Prior, n: int) -> np.ndarray:
    items = model.items.double()
    inputs = torch.cat([items[:, :-1], torch.ones(len(items), 1).double()], 1)
    scores = inputs @ prior.mean + items[:, -1] + model.offset
    inputs = inputs * _rating_and_slope(scores, model.config.y_range)[1][:, None]
    counts = torch.from_numpy(model.counts).double()
    weight = counts / counts.sum()
    known = counts / (len(model.users) - 1)
    moments = inputs.T @ (inputs * weight[:, None])  # of what is to be predicted
    covariance = prior.covariance.clone()
    chosen: list[int] = []
    for _ in range(n):
        spread = inputs @ covariance  # (items, width)
        variance = (spread * inputs).sum(1) + prior.noise
        gain = known * ((spread @ moments) * spread).sum(1) / variance
        gain[0] = -torch.inf
        gain[chosen] = -torch.inf
        best = int(gain.argmax())
        chosen.append(best)
        # Only some users know it: on the average the variance shrinks by so much.
        covariance -= known[best] * torch.outer(spread[best], spread[best]) / variance[best]
    return np.array(chosen)


def _entropy(model: Recommender, ratings: pa.Table) -> np.ndarray:
    items = model.item_ids.encode(ratings["item"])
    levels, codes = np.unique(np.asarray(ratings["rating"]), return_inverse=True)
    table = np.zeros((len(model.items), len(levels)))
    np.add.at(table, (items, codes), 1.0)
    total = table.sum(1)
    share = table / np.maximum(total, 1)[:, None]
    entropy = -(share * np.log(np.maximum(share, 1e-12))).sum(1)
    result = np.log(np.maximum(total, 1)) * entropy
    result[0] = -np.inf
    return result
