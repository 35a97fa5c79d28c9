"""How good lists of recommendations are, judged by what users took that was held out."""

from __future__ import annotations

import numpy as np
import pandas as pd


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


def list_figures(
    top: np.ndarray, popularity: np.ndarray, held_items: np.ndarray, catalogue: int
) -> dict[str, float]:
    """Return how much of the catalogue the lists show, and how popular what they show is.

    Args:
        top: ``(users, k)`` item numbers; negative where a list is shorter.
        popularity: ``(items,)`` number of training ratings by item number.
        held_items: ``(n,)`` items of the held-out pairs.
        catalogue: How many items could be recommended.

    Returns:
        `coverage`: share of the catalogue in at least one list. `popularity`: mean number of
        training ratings of what is recommended (Abdollahpouri et al. 2019, average recommendation
        popularity). `popularity_lift`: the same over that of what users took themselves, the
        held-out items; above 1 the lists are more mainstream than their readers.
    """
    shown = top[top >= 0]
    took = float(popularity[held_items].mean()) if len(held_items) else float("nan")
    mean = float(popularity[shown].mean()) if len(shown) else 0.0
    return {
        "coverage": len(np.unique(shown)) / max(catalogue, 1),
        "popularity": mean,
        "popularity_lift": mean / took if took else float("nan"),
    }


def bootstrap_interval(
    values: np.ndarray,
    groups: np.ndarray | None = None,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
    root: bool = False,
) -> tuple[float, float]:
    """Return the percentile interval of a mean by resampling groups (Efron 1979).

    Args:
        values: ``(n,)``.
        groups: ``(n,)`` what to resample by, e.g. the user, since a user's errors are alike; None
            resamples the values.
        confidence: Coverage, between 0 and 1.
        resamples: How often.
        seed: Of the resampling.
        root: Take the root of each mean: RMSE from squared errors.

    Raises:
        ValueError: There are no values.
    """
    values = np.asarray(values, np.float64)
    if not len(values):
        raise ValueError("values: nothing to resample; check the split that chose the rows.")
    codes = np.arange(len(values)) if groups is None else pd.factorize(np.asarray(groups))[0]
    sums, sizes = np.bincount(codes, values), np.bincount(codes).astype(np.float64)
    rng = np.random.default_rng(seed)
    means = np.empty(resamples)
    for index in range(resamples):  # one draw at a time: the memory of one resample
        drawn = np.bincount(rng.integers(0, len(sums), len(sums)), minlength=len(sums))
        means[index] = (drawn @ sums) / (drawn @ sizes)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return (float(low**0.5), float(high**0.5)) if root else (float(low), float(high))
