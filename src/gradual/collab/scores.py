"""A recommender beside what it has to beat, on the same held-out ratings."""

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import torch

from gradual.collab.metrics import HeldOut, list_metrics, relevant_level
from gradual.collab.models import RatedItems
from gradual.collab.recommender import ListsConfig, Recommender
from gradual.collab.simple_models import ItemNeighbours, fit_neighbours
from gradual.results.table import TEST, VALID, Answers, Scored, result_rows, score_models
from gradual.sources.splits import part_rows, scored_part

logger = logging.getLogger(__name__)

MODEL, MEAN, BIASES, NEIGHBOURS = "recommender", "global mean", "biases", "item neighbours"
POPULARITY = "popularity"
_BLOCK = 256
"""Users whose scores of all items are held at a time."""


@dataclass(frozen=True)
class Evaluation:
    """What held-out ratings say.

    Attributes:
        predictions: One row for each rating of the scored part: `user`, `item`, `rating`, `score`,
            `fallback`, and what the simple models say.
        scores: Result rows of test and validation ratings.
        verdicts: `ratings` and `lists`: the recommender against each simple model
            (`gradual.results.table.Verdict`); None where there is nothing to compare.
    """

    predictions: pd.DataFrame
    scores: pd.DataFrame
    verdicts: dict[str, Any]


def evaluate(
    recommender: Recommender,
    ratings: pa.Table,
    parts: pa.Table,
    lists: ListsConfig,
    *,
    source: str = "",
    most_users: int = 5000,
) -> Evaluation:
    """Score a recommender and simple models on the held-out ratings that it has not learned from.

    Ratings are scored by RMSE and MAE with intervals by resampling users, whose errors are alike;
    lists by what their users took that was held out.

    Args:
        recommender: The trained model.
        ratings: Table of `gradual.collab.ratings.read_ratings`.
        parts: Table of `split_ratings`; the simple models learn from the same parts.
        lists: What lists hold; all models' lists leave out the same items.
        source: Name of the source, for the result rows.
        most_users: Judge the lists of so many users at most, spread evenly over their ids.
    """
    learned = ratings.take(part_rows(parts, *recommender.learned_from))
    values = learned["rating"].to_numpy()
    shape = len(recommender.user_ids), len(recommender.item_ids)
    simple = fit_neighbours(*_numbers(recommender, learned), values, shape)
    level = relevant_level(values, lists.relevant_from)
    main = scored_part(parts)
    predictions, tables = pd.DataFrame(), []
    verdicts: dict[str, Any] = {"ratings": None, "lists": None}
    for part in (TEST, VALID):
        held = ratings.take(part_rows(parts, part))
        if part in recommender.learned_from or not held.num_rows:
            continue
        frame = predict_held_out(recommender, simple, held)
        scored = {
            "ratings": score_ratings(recommender, frame, source=source, part=part),
            "lists": score_lists(
                recommender, simple, held, lists, level, most_users, source=source, part=part
            ),
        }
        tables += [one.frame for one in scored.values() if one is not None]
        if part == main:
            predictions = frame
            verdicts = {
                name: None if one is None else asdict(one.verdict(ahead=MODEL))
                for name, one in scored.items()
            }
    scores = pd.concat(tables, ignore_index=True) if tables else result_rows([])
    return Evaluation(predictions, scores, verdicts)


def _numbers(recommender: Recommender, ratings: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    users, items = recommender.user_ids, recommender.item_ids
    return users.encode(ratings["user"]), items.encode(ratings["item"])


def predict_held_out(
    recommender: Recommender, simple: ItemNeighbours, held: pa.Table
) -> pd.DataFrame:
    """Predict held-out ratings with all models; see `Evaluation.predictions`."""
    times = held["time"].to_numpy() if "time" in held.column_names else None
    table = recommender.predict(held["user"].to_pandas(), held["item"].to_pandas(), times)
    table.insert(2, "rating", held["rating"].to_numpy())
    if recommender.ranks:
        return table
    asked = _numbers(recommender, held)
    table[NEIGHBOURS] = simple.predict(*asked)
    table[BIASES] = simple.biases.predict(*asked)
    table[MEAN] = recommender.mean
    return table


def score_ratings(
    recommender: Recommender, predictions: pd.DataFrame, *, source: str, part: str
) -> Scored | None:
    """Score predicted ratings; None for a model that ranks and predicts none."""
    if recommender.ranks:
        return None
    columns = {MODEL: "score", **{name: name for name in (NEIGHBOURS, BIASES, MEAN)}}
    answers = [
        Answers(model, predictions[column].to_numpy(np.float64))
        for model, column in columns.items()
    ]
    return score_models(
        answers,
        predictions["rating"].to_numpy(np.float64),
        "rating",
        source=source,
        part=part,
        units=predictions["user"].to_numpy(),
    )


def score_lists(
    recommender: Recommender,
    simple: ItemNeighbours,
    held: pa.Table,
    lists: ListsConfig,
    level: float,
    most_users: int,
    *,
    source: str,
    part: str,
) -> Scored | None:
    """Judge lists by what their users took; None where no known user took what counts.

    Args:
        recommender: The trained model.
        simple: Neighbours, and biases.
        held: Held-out ratings.
        lists: Length, and what is left out.
        level: A held-out item counts from this rating on.
        most_users: See `evaluate`.
        source: For the result rows.
        part: The same.
    """
    users, items = _numbers(recommender, held)
    counts = (users > 0) & (items > 0) & (held["rating"].to_numpy() >= level)
    users, items = users[counts], items[counts]
    judged = np.unique(users)
    if not len(judged):
        logger.warning(
            "No known user has a held-out item (%s) rated %g or more: lists are not scored. Lower "
            "relevant_from, or hold out more.",
            part,
            level,
        )
        return None
    if len(judged) > most_users:
        judged = judged[np.linspace(0, len(judged) - 1, most_users).astype(int)]
        inside = np.isin(users, judged)
        users, items = users[inside], items[inside]
    allowed = recommender.counts >= lists.min_ratings
    shape = len(judged), len(recommender.counts)
    scorers: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        NEIGHBOURS: simple.scores,
        BIASES: lambda who: np.broadcast_to(simple.biases.items, (len(who), shape[1])),
        POPULARITY: lambda who: np.broadcast_to(recommender.counts, (len(who), shape[1])),
    }
    seen = recommender.rated if lists.exclude_seen else None
    answers = [Answers(MODEL, recommender.top_numbers(judged, **lists.settings)[0])]
    answers += [
        Answers(name, _top(scorer, judged, seen, allowed, lists.n))
        for name, scorer in scorers.items()
    ]
    truth = HeldOut(judged, users, items, recommender.counts, int(allowed[1:].sum()))
    return score_models(
        answers,
        truth,
        "list",
        metrics=list_metrics(lists.n),
        by=f"ndcg@{lists.n}",
        source=source,
        part=part,
        rows=len(judged),
    )


def _top(
    scorer: Callable[[np.ndarray], np.ndarray],
    users: np.ndarray,
    seen: RatedItems | None,
    allowed: np.ndarray,
    n: int,
) -> np.ndarray:
    """Return the best allowed items that each user has not seen, ``(users, n)``, -1 for none."""
    barred = ~allowed
    barred[0] = True
    k = min(n, len(allowed) - 1)
    result = np.full((len(users), n), -1, np.int64)
    for first in range(0, len(users), _BLOCK):
        part = users[first : first + _BLOCK]
        scores = np.array(scorer(part), np.float64)
        scores[:, barred] = -np.inf
        if seen is not None:
            items, _, counts = seen.of(torch.from_numpy(part))
            scores[np.repeat(np.arange(len(part)), counts.numpy()), items.numpy()] = -np.inf
        best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        found = np.take_along_axis(scores, best, 1)
        order = np.argsort(-found, axis=1, kind="stable")
        best = np.take_along_axis(best, order, 1)
        empty = np.isneginf(np.take_along_axis(found, order, 1))
        result[first : first + _BLOCK, :k] = np.where(empty, -1, best)
    return result
