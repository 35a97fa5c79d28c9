"""How good lists of recommendations are, judged by what users took that was held out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from gradual.results.metrics import Metric, metric_named, metrics_of, register
from gradual.results.scores import Score, of_means

logger = logging.getLogger(__name__)


def per_user_scores(
    top: np.ndarray, users: np.ndarray, held_users: np.ndarray, held_items: np.ndarray
) -> pd.DataFrame:
    """Score each user's list against the items held out.

    NDCG has gains of 0 and 1 and the best list of the same length for its ideal (Jarvelin &
    Kekalainen 2002).

    Args:
        top: ``(users, k)`` item numbers, best first; negative where a list is shorter.
        users: ``(users,)`` number of each list's user.
        held_users: ``(n,)`` users of the held-out pairs.
        held_items: ``(n,)`` items of the held-out pairs, each pair once. Pairs of other users
            do not count.

    Returns:
        One row for each user with held-out items, in the order of `users`: `user`, `ndcg`,
        `recall` (share of the held-out items in the list), `precision` (share of the list that was
        held out), `hit_rate` (1 if any was), `held_out` (their number).
    """
    top, users = np.asarray(top), np.asarray(users)
    span = int(max(top.max(initial=0), np.max(held_items, initial=0))) + 1
    keys = np.unique(np.asarray(held_users, np.int64) * span + held_items)
    asked = np.where(top >= 0, users[:, None].astype(np.int64) * span + top, -1)
    place = np.minimum(np.searchsorted(keys, asked), max(len(keys) - 1, 0))
    hits = (keys[place] == asked) if len(keys) else np.zeros(top.shape, bool)
    order = np.sort(keys // span)
    held = np.searchsorted(order, users, "right") - np.searchsorted(order, users, "left")
    k = top.shape[1]
    discounts = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.r_[0, np.cumsum(discounts)][np.minimum(held, k)]
    found = hits.sum(1)
    judged = held > 0
    frame = pd.DataFrame(
        {
            "user": users,
            "ndcg": (hits * discounts).sum(1) / np.maximum(ideal, 1e-12),
            "recall": found / np.maximum(held, 1),
            "precision": found / k,
            "hit_rate": (found > 0).astype(float),
            "held_out": held,
        }
    )
    return frame[judged].reset_index(drop=True)


def ranking_scores(
    top: np.ndarray, users: np.ndarray, held_users: np.ndarray, held_items: np.ndarray
) -> dict[str, float]:
    """Return the means over users of `per_user_scores`: `ndcg`, `recall`, `precision`, `hit_rate`.

    Raises:
        ValueError: No user has a held-out item.
    """
    frame = per_user_scores(top, users, held_users, held_items)
    if frame.empty:
        raise ValueError("no user with a list has a held-out item: check the split.")
    return {n: float(frame[n].mean()) for n in ("ndcg", "recall", "precision", "hit_rate")}


@dataclass(frozen=True)
class HeldOut:
    """What lists are judged by: the truth of `list` metrics, whose answers are item numbers.

    Attributes:
        users: ``(users,)`` number of each list's user; each has a held-out item.
        held_users: ``(n,)`` users of the held-out pairs.
        held_items: ``(n,)`` items of the held-out pairs, each pair once.
        counts: ``(items,)`` number of training ratings by item number.
        catalogue: How many items could be recommended.
    """

    users: np.ndarray
    held_users: np.ndarray
    held_items: np.ndarray
    counts: np.ndarray
    catalogue: int


def _by_user(name: str) -> Callable[[HeldOut, np.ndarray], Score]:
    def score(truth: HeldOut, top: np.ndarray) -> Score:
        frame = per_user_scores(top, truth.users, truth.held_users, truth.held_items)
        return of_means(frame[name].to_numpy())

    return score


def _coverage(truth: HeldOut, top: np.ndarray) -> Score:
    """Share of the catalogue that is in at least one list."""
    return _of_all(len(np.unique(top[top >= 0])) / max(truth.catalogue, 1), top)


def _popularity_lift(truth: HeldOut, top: np.ndarray) -> Score | None:
    """Mean number of training ratings of what is listed over that of what users took themselves.

    Above 1 the lists are more mainstream than their readers (Abdollahpouri et al. 2019).
    """
    took, shown = float(truth.counts[truth.held_items].mean()), top[top >= 0]
    return _of_all(float(truth.counts[shown].mean()) / took, top) if took and len(shown) else None


def _of_all(value: float, top: np.ndarray) -> Score:
    return Score(value, np.zeros(len(top)))  # of all lists together: no user has a share in it


_LIST = ("list",)
register(
    Metric("ndcg", "NDCG", _LIST, _by_user("ndcg")),
    Metric("recall", "Recall", _LIST, _by_user("recall"), unit="share"),
    Metric("hit_rate", "Hit rate", _LIST, _by_user("hit_rate"), unit="share", interval="wilson"),
    Metric("coverage", "Coverage", _LIST, _coverage, unit="share", interval="none"),
    Metric(
        "popularity_lift", "Popularity lift", _LIST, _popularity_lift,
        better="none", scale="positive", interval="none",
    ),
    Metric("answered", "Ratings given", (), None, better="none", interval="none"),
)  # fmt: skip


def list_metrics(n: int) -> tuple[Metric, ...]:
    """The metrics of lists of n items, those that a user has a share in named by the length."""
    by_user = {"ndcg", "recall", "hit_rate"}
    return tuple(
        metric_named(f"{metric.name}@{n}") if metric.name in by_user else metric
        for metric in metrics_of("list")
    )


def relevant_level(ratings: np.ndarray, wanted: float | None) -> float:
    """Return the rating from which on an item is something to recommend.

    Args:
        ratings: ``(n,)`` training ratings, at least one.
        wanted: From the configuration. None, or one that no rating reaches, takes the better half:
            the rating at or above which the share of ratings is nearest to one half.
    """
    levels, counts = np.unique(np.asarray(ratings, np.float64), return_counts=True)
    if wanted is not None and wanted <= levels[-1]:
        return wanted
    above = counts[::-1].cumsum()[::-1] / counts.sum()
    level = float(levels[np.abs(above - 0.5).argmin()])
    if wanted is not None:
        logger.warning(
            "relevant_from is %g, but no training rating is above %g: ratings from %g on count as "
            "hits. Lower relevant_from, or set it to null for the better half of the ratings.",
            wanted,
            levels[-1],
            level,
        )
    return level
