"""A recommender beside what it has to beat, on the same held-out ratings."""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import pyarrow as pa
import torch

from gradual.collab.models import History
from gradual.collab.ranking import bootstrap_interval, list_figures, per_user_scores
from gradual.collab.recommender import Recommender
from gradual.collab.simple_models import fit_biases, fit_neighbours
from gradual.sources.splits import part_rows, scored_part

MODEL, MEAN, BIASES, NEIGHBOURS = "recommender", "global mean", "biases", "item neighbours"
POPULARITY = "popularity"
_BLOCK = 256
"""Users whose scores of all items are held at a time."""


def _training(recommender: Recommender, ratings: pa.Table, parts: pa.Table) -> tuple:
    """Return the training ratings as numbers, and how many users and items there are."""
    train = ratings.take(part_rows(parts, "train"))
    users, items = (
        recommender.user_ids.encode(train["user"]),
        recommender.item_ids.encode(train["item"]),
    )
    shape = len(recommender.user_ids), len(recommender.item_ids)
    return users, items, train["rating"].to_numpy(), shape


def score_ratings(
    recommender: Recommender, ratings: pa.Table, parts: pa.Table
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predict the held-out ratings with the model and with simpler ones.

    Args:
        recommender: The trained model.
        ratings: Table of `gradual.collab.ratings.read_ratings`.
        parts: Table of `split_ratings`; the baselines are fitted on `train`, too.

    Returns:
        One row a held-out rating: `user`, `item`, `rating`, `score`, `fallback`, and the baselines'
        `global mean`, `biases`, `item neighbours`. And one row a model and score: `model`, `score`
        (RMSE, MAE), `better`, `value`, `low`, `high` (95 % interval by resampling users), `rows`.
        The scores are empty for a model that ranks and predicts no ratings.
    """
    held = ratings.take(part_rows(parts, scored_part(parts)))
    times = held["time"].to_numpy() if "time" in held.column_names else None
    table = recommender.predict(held["user"].to_pandas(), held["item"].to_pandas(), times).assign(
        rating=held["rating"].to_numpy()
    )
    table = table[["user", "item", "rating", "score", "fallback"]]
    columns = ["model", "score", "better", "value", "low", "high", "rows"]
    if recommender.ranks:
        return table, pd.DataFrame(columns=columns)
    users, items, values, shape = _training(recommender, ratings, parts)
    asked = recommender.user_ids.encode(held["user"]), recommender.item_ids.encode(held["item"])
    table[MEAN] = recommender.mean
    table[BIASES] = fit_biases(users, items, values, shape).predict(*asked)
    table[NEIGHBOURS] = fit_neighbours(users, items, values, shape).predict(*asked)
    rows = []
    for model, column in ((MODEL, "score"), *((name, name) for name in (NEIGHBOURS, BIASES, MEAN))):
        error = table[column].to_numpy(float) - table["rating"].to_numpy(float)
        for score, losses, root in (("RMSE", error**2, True), ("MAE", np.abs(error), False)):
            low, high = bootstrap_interval(losses, table["user"].to_numpy(), root=root)
            value = float(losses.mean() ** 0.5 if root else losses.mean())
            rows.append((model, score, "lower", value, low, high, len(table)))
    return table, pd.DataFrame(rows, columns=columns)


def compare_ratings(predictions: pd.DataFrame, baseline: str = BIASES) -> dict[str, float]:
    """Return the model's mean squared error less a baseline's on the same ratings.

    Returns:
        `difference` (below 0 the model is better), `low` and `high`: 95 % by resampling users.
    """
    truth = predictions["rating"].to_numpy(float)
    difference = (predictions["score"].to_numpy(float) - truth) ** 2
    difference -= (predictions[baseline].to_numpy(float) - truth) ** 2
    low, high = bootstrap_interval(difference, predictions["user"].to_numpy())
    return {"difference": float(difference.mean()), "low": low, "high": high}


def score_lists(
    recommender: Recommender,
    ratings: pa.Table,
    parts: pa.Table,
    *,
    n: int = 10,
    min_ratings: int = 0,
    relevant_from: float | None = None,
    most_users: int = 5000,
) -> pd.DataFrame:
    """Judge lists of n items by what their users took that was held out; seen items are excluded.

    Args:
        recommender: The trained model.
        ratings: Table of `read_ratings`.
        parts: Table of `split_ratings`.
        n: Length of the lists.
        min_ratings: Only items with at least so many training ratings are listed, by every model.
        relevant_from: A held-out item counts from this rating on; None counts all.
        most_users: Judge the lists of so many users at most, spread evenly over their ids.

    Returns:
        One row a model and score: `model`, `score`, `better`, `value`, `low`, `high` (95 % by
        resampling users; none for figures of all lists together), `rows` (users).

    Raises:
        ValueError: No known user has a held-out item that counts.
    """
    users, items, values, shape = _training(recommender, ratings, parts)
    held = ratings.take(part_rows(parts, scored_part(parts)))
    held_users = recommender.user_ids.encode(held["user"])
    held_items = recommender.item_ids.encode(held["item"])
    counts = (held_users > 0) & (held_items > 0)
    if relevant_from is not None:
        counts &= held["rating"].to_numpy() >= relevant_from
    held_users, held_items = held_users[counts], held_items[counts]
    judged = np.unique(held_users)
    if not len(judged):
        raise ValueError(
            f"no known user has a held-out item rated {relevant_from} or more: lower "
            "relevant_from, or hold out more"
        )
    if len(judged) > most_users:
        judged = judged[np.linspace(0, len(judged) - 1, most_users).astype(int)]
    inside = np.isin(held_users, judged)
    held_users, held_items = held_users[inside], held_items[inside]

    biases = fit_biases(users, items, values, shape)
    neighbours = fit_neighbours(users, items, values, shape)
    allowed = recommender.counts >= max(min_ratings, 1)
    scorers: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        NEIGHBOURS: neighbours.scores,
        BIASES: lambda who: np.broadcast_to(biases.items, (len(who), shape[1])),
        POPULARITY: lambda who: np.broadcast_to(recommender.counts, (len(who), shape[1])),
    }
    model, _ = recommender.top_numbers(judged, n, min_ratings=max(min_ratings, 1))
    lists = {MODEL: model} | {
        name: _top(scorer, judged, recommender.rated, allowed, n)
        for name, scorer in scorers.items()
    }
    rows: list[tuple] = []
    for name, top in lists.items():
        frame = per_user_scores(top, judged, held_users, held_items)
        for column, label in (
            ("ndcg", f"NDCG@{n}"),
            ("recall", f"recall@{n}"),
            ("hit_rate", f"hit rate@{n}"),
        ):
            scores = frame[column].to_numpy()
            low, high = bootstrap_interval(scores)
            rows.append((name, label, "higher", float(scores.mean()), low, high, len(judged)))
        figures = list_figures(top, recommender.counts, held_items, int(allowed[1:].sum()))
        coverage, lift = figures["coverage"], figures["popularity_lift"]
        rows.append((name, "coverage", "higher", coverage, np.nan, np.nan, len(judged)))
        rows.append((name, "popularity lift", "lower", lift, np.nan, np.nan, len(judged)))
    return pd.DataFrame(rows, columns=["model", "score", "better", "value", "low", "high", "rows"])


def _top(
    scorer: Callable[[np.ndarray], np.ndarray],
    users: np.ndarray,
    seen: History,
    allowed: np.ndarray,
    n: int,
) -> np.ndarray:
    """Return the best allowed items that each user has not seen, ``(users, n)``, -1 for none."""
    return np.concatenate(list(_blocks(scorer, users, seen, allowed, n)))


def _blocks(
    scorer: Callable[[np.ndarray], np.ndarray],
    users: np.ndarray,
    seen: History,
    allowed: np.ndarray,
    n: int,
) -> Iterator[np.ndarray]:
    barred = ~allowed
    barred[0] = True
    k = min(n, len(allowed) - 1)
    for first in range(0, len(users), _BLOCK):
        part = users[first : first + _BLOCK]
        scores = np.array(scorer(part), np.float64)
        scores[:, barred] = -np.inf
        items, _, counts = seen.of(torch.from_numpy(part))
        scores[np.repeat(np.arange(len(part)), counts.numpy()), items.numpy()] = -np.inf
        best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        found = np.take_along_axis(scores, best, 1)
        order = np.argsort(-found, axis=1, kind="stable")
        best = np.take_along_axis(best, order, 1)
        empty = np.isneginf(np.take_along_axis(found, order, 1))
        full = np.full((len(part), n), -1, np.int64)
        full[:, :k] = np.where(empty, -1, best)
        yield full
