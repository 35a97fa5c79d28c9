"""How well users and items are served that the model has not seen, on some that are held out.

A second model is trained without some users and some items. The held-out users then come with a
few of their ratings, chosen at random or by asking them an onboarding list; the held-out items come
with their properties only. Each case is scored beside what needs no model.
"""

import dataclasses
import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from gradual.collab.fold_in import STRATEGIES, Prior, fold_in, onboarding
from gradual.collab.metadata import RowLearner, RowsByProperties, learn_rows
from gradual.collab.metrics import HeldOut, relevant_level
from gradual.collab.ratings import RatingsSplit, split_ratings
from gradual.collab.recommender import ListsConfig, Recommender
from gradual.collab.scores import BIASES, MEAN, MODEL, POPULARITY
from gradual.collab.simple_models import SHRINKAGE, Biases, fit_biases
from gradual.collab.train import CollabConfig, train_collab
from gradual.results.metrics import metric_named
from gradual.results.table import VALID, Answers, result_rows, score_models
from gradual.sources.errors import SourceError
from gradual.sources.splits import Split
from gradual.training.settings import Settings

logger = logging.getLogger(__name__)

_LEAST = 100
"""Ratings that a second model needs."""


@dataclass(frozen=True)
class ColdStartConfig(Settings):
    """What is held out, and how little is known of it.

    Attributes:
        share: Of the users, and of the items, that the second model does not see.
        given: Numbers of ratings that a new user comes with.
        asked: Lengths of the onboarding lists.
        min_ratings: The rows of items with at least so many training ratings are learned from.
        seed: Chooses users, items and ratings.
    """

    share: float = 0.2
    given: tuple[int, ...] = (0, 1, 3, 5, 10)
    asked: tuple[int, ...] = (10, 30)
    min_ratings: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise ValueError(f"share is {self.share}: give a share strictly between 0 and 1")
        if any(number < 0 for number in self.given) or any(n < 1 for n in self.asked):
            raise ValueError(
                f"given is {list(self.given)} and asked {list(self.asked)}: give numbers of 0 or "
                "more, and lengths of 1 or more"
            )
        if self.min_ratings < 1 or self.seed < 0:
            raise ValueError(
                f"min_ratings is {self.min_ratings} and seed {self.seed}: give 1 or more, and 0 or "
                "more"
            )


def score_cold_start(
    ratings: pa.Table,
    parts: pa.Table,
    config: CollabConfig,
    cold: ColdStartConfig,
    lists: ListsConfig,
    *,
    items: pa.Table | None = None,
    users: pa.Table | None = None,
    learner: RowLearner | None = None,
    source: str = "",
) -> pd.DataFrame:
    """Train without some users and items, and score what they get.

    Args:
        ratings: Table of `read_ratings`.
        parts: Table of `split_ratings`; ratings for the test are not looked at.
        config: Of the model, as for `train_collab`: interaction `dot_bias`, loss `mse`.
        cold: What is held out.
        lists: Length of the lists, and what counts as a hit.
        items: Titles and properties of items.
        users: Properties of users.
        learner: Learns items' rows from their properties; None leaves new items out.
        source: Name of the source, for the result rows.

    Returns:
        Result rows of the part `valid`. The slices of new users are `new users, 3 ratings given`
        and `new users, 10 items asked by information`, where `answered` is the mean number of
        ratings that a user really had; the models are the recommender, biases (the items', and
        the users' own from the ratings given) and popularity. In the slice `new items` the
        recommender goes by properties, biases are the users' alone, and popularity, which new
        items have none of, is a random order. What too little is left for has no rows, with a
        warning.

    Raises:
        ValueError: The model is none to fold users into.
    """
    used = ratings.filter(np.asarray(parts["part"].to_numpy(zero_copy_only=False) != "test"))
    rng = np.random.default_rng(cold.seed)
    new_users = _draw(rng, used["user"], cold.share)
    new_items = _draw(rng, used["item"], cold.share)
    cold_user = _is_in(used["user"], new_users)
    cold_item = _is_in(used["item"], new_items)
    known = used.filter(~cold_user & ~cold_item)
    if known.num_rows < _LEAST:
        logger.warning(
            "Cold start is not scored: only %d ratings are left without the new users and items. "
            "Lower cold_start.share, or set cold_start to null.",
            known.num_rows,
        )
        return result_rows([])
    inner = split_ratings(known, RatingsSplit(valid=Split(fraction=0.1, seed=cold.seed)))
    config = dataclasses.replace(config, refit=False)
    bundle, _ = train_collab(known, inner, config, items=items, users=users)
    model = Recommender.from_bundle(bundle)
    level = relevant_level(known["rating"].to_numpy(), lists.relevant_from)
    judge = _Judge(level, lists.n, source)
    tables = _score_users(model, known, used.filter(cold_user & ~cold_item), cold, judge)
    if learner is not None and items is not None and len(items.column_names) > 2:
        try:
            learned = learn_rows(model, items, learner, min_ratings=cold.min_ratings)
        except SourceError as error:
            logger.warning("New items are not scored: %s.", error)
        else:
            new = used.filter(cold_item & ~cold_user)
            tables += _score_items(model, known, new, items, learned, cold.seed, judge)
    return pd.concat(tables, ignore_index=True) if tables else result_rows([])


@dataclass(frozen=True)
class _Judge:
    """What makes result rows of guesses and lists.

    Attributes:
        level: A rating from which on an item counts as a hit.
        n: Length of the lists.
        source: For the result rows.
    """

    level: float
    n: int
    source: str

    def ratings(
        self, slice: str, truth: np.ndarray, users: np.ndarray, guesses: dict[str, np.ndarray]
    ) -> pd.DataFrame:
        answers = [Answers(model, np.asarray(g, np.float64)) for model, g in guesses.items()]
        where: dict[str, Any] = {"source": self.source, "part": VALID, "slice": slice}
        return score_models(answers, truth, "rating", units=users, **where).frame

    def lists(
        self,
        slice: str,
        users: np.ndarray,
        items: np.ndarray,
        ratings: np.ndarray,
        scores: dict[str, np.ndarray],
        counts: np.ndarray,
    ) -> list[pd.DataFrame]:
        """Rank all items for each user; `users` and `items` are positions in the scores."""
        good = (ratings >= self.level) & (items >= 0)
        judged = np.unique(users[good])
        if not len(judged):
            return []
        answers = [
            Answers(model, np.argsort(-s[judged], axis=1, kind="stable")[:, : self.n])
            for model, s in scores.items()
        ]
        truth = HeldOut(judged, users[good], items[good], counts, len(counts))
        where: dict[str, Any] = {"source": self.source, "part": VALID, "slice": slice}
        where |= {"rows": len(judged), "metrics": [metric_named(f"ndcg@{self.n}")]}
        return [score_models(answers, truth, "list", **where).frame]


def _draw(rng: np.random.Generator, column: pa.ChunkedArray, share: float) -> pa.Array:
    unique = column.unique()
    unique = unique.take(pc.array_sort_indices(unique))
    count = max(round(share * len(unique)), 1)
    return unique.take(pa.array(np.sort(rng.permutation(len(unique))[:count])))


def _is_in(column: pa.ChunkedArray, values: pa.Array) -> np.ndarray:
    return pc.is_in(column, value_set=values).to_numpy()


# -- users ------------------------------------------------------------------------------------


def _score_users(
    model: Recommender, known: pa.Table, new: pa.Table, cold: ColdStartConfig, judge: _Judge
) -> list[pd.DataFrame]:
    frame = new.select(["user", "item", "rating"]).to_pandas()
    rng = np.random.default_rng(cold.seed + 1)
    # One half of each user's ratings may be given, the other is scored: the same rows always.
    order = rng.random(len(frame))
    frame = frame.iloc[np.lexsort((order, frame["user"].to_numpy()))].reset_index(drop=True)
    place = frame.groupby("user").cumcount()
    size = frame.groupby("user")["user"].transform("size")
    number = model.item_ids.encode(frame["item"])
    frame = frame.assign(place=place, can_give=place < size // 2, number=number)
    judged = frame[~frame["can_give"]]
    if judged.empty:
        return []
    prior = Prior.of(model)
    cases = {
        f"new users, {n} rating{'s' * (n != 1)} given": frame["can_give"] & (frame["place"] < n)
        for n in cold.given
    }
    for strategy in STRATEGIES:
        for length in cold.asked:
            asked = onboarding(model, length, strategy=strategy, ratings=known, prior=prior)["item"]
            name = f"new users, {length} items asked by {strategy}"
            cases[name] = frame["can_give"] & frame["item"].isin(asked)
    users, items = model.user_ids.encode(known["user"]), model.item_ids.encode(known["item"])
    rated = (users > 0) & (items > 0)
    shape = len(model.users), len(model.items)
    biases = fit_biases(users[rated], items[rated], known["rating"].to_numpy()[rated], shape)
    tables: list[pd.DataFrame] = []
    for name, given in cases.items():
        tables += _serve(model, prior, biases, name, frame[given], judged, judge)
    return tables


def _serve(
    model: Recommender,
    prior: Prior,
    biases: Biases,
    slice: str,
    given: pd.DataFrame,
    judged: pd.DataFrame,
    judge: _Judge,
) -> list[pd.DataFrame]:
    """Fold users in by the ratings given and score the judged ones."""
    ids = np.sort(judged["user"].unique())
    users = fold_in(model, _as_table(given), prior)
    place = pd.Index(users.ids).get_indexer(ids)
    rows = prior.mean.float().repeat(len(ids), 1)
    rows[place >= 0] = users.rows[place[place >= 0]]
    at, items = np.searchsorted(ids, judged["user"]), judged["number"].to_numpy()
    # The simple model: the item's bias, and the user's own from the ratings given.
    own = given["rating"] - biases.mean - biases.items[given["number"]]
    shrunk = own.groupby(given["user"]).agg(lambda each: each.sum() / (len(each) + SHRINKAGE))
    habit = shrunk.reindex(ids).fillna(0.0).to_numpy()
    ratings = judged["rating"].to_numpy(np.float64)
    guesses = {
        MODEL: model.score_rows(rows[at], items),
        BIASES: biases.mean + biases.items[items] + habit[at],
    }
    seen = np.zeros((len(ids), len(model.items)), bool)
    seen[np.searchsorted(ids, given["user"]), given["number"]] = True
    seen[:, 0] = True
    popular = np.broadcast_to(model.counts.astype(np.float32), seen.shape)
    scores = {
        name: np.where(seen, -np.inf, one)
        for name, one in ((MODEL, model.all_row_scores(rows)), (POPULARITY, popular))
    }
    answered: dict[str, Any] = {
        "source": judge.source,
        "model": MODEL,
        "part": VALID,
        "slice": slice,
    }
    answered |= {"rows": len(judged), "metric": "answered", "value": len(given) / len(ids)}
    known = np.where(items > 0, items, -1)
    return [
        judge.ratings(slice, ratings, at, guesses),
        *judge.lists(slice, at, known, ratings, scores, model.counts),
        result_rows([answered]),
    ]


def _as_table(frame: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(frame[["user", "item", "rating"]], preserve_index=False)


# -- items ------------------------------------------------------------------------------------


def _score_items(
    model: Recommender,
    known: pa.Table,
    new: pa.Table,
    items: pa.Table,
    learned: RowsByProperties,
    seed: int,
    judge: _Judge,
) -> list[pd.DataFrame]:
    new = new.filter(_is_in(new["item"], items["id"].combine_chunks()))
    user = model.user_ids.encode(new["user"])
    new = new.filter(user > 0)
    user = user[user > 0]
    if not len(user):
        return []
    side = items.filter(_is_in(items["id"], new["item"].unique()))
    rows = learned.rows(side)
    place = pd.Index(side["id"].to_pandas()).get_indexer(new["item"].to_pandas())
    truth = new["rating"].to_numpy().astype(np.float64)
    mean = float(known["rating"].to_numpy().mean())
    own = model.user_ids.encode(known["user"])
    totals = np.bincount(own, known["rating"].to_numpy() - mean, len(model.users))
    habit = totals / (np.bincount(own, minlength=len(model.users)) + SHRINKAGE)
    asked, at = np.unique(user, return_inverse=True)
    scores = model.all_row_scores(model.users[asked], rows)
    order = -np.argsort(np.random.default_rng(seed).random(side.num_rows))
    guesses = {
        MODEL: scores[at, place],
        BIASES: mean + habit[user],
        MEAN: np.full(len(truth), mean),
    }
    ranks = {MODEL: scores, POPULARITY: np.broadcast_to(order, scores.shape)}
    counts = np.zeros(side.num_rows)
    return [
        judge.ratings("new items", truth, at, guesses),
        *judge.lists("new items", at, place, truth, ranks, counts),
    ]
