"""How well users and items are served that the model has not seen, on some that are held out.

A second model is trained without some users and some items. The held-out users then come with a
few of their ratings, chosen at random or by asking them an onboarding list; the held-out items come
with their properties only. Each case is scored beside what needs no model.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from gradual.collab.fold_in import STRATEGIES, Prior, fold_in, onboarding
from gradual.collab.metadata import MetadataConfig, predict_rows, train_metadata
from gradual.collab.ranking import bootstrap_interval, per_user_scores
from gradual.collab.ratings import RatingsSplit, split_ratings
from gradual.collab.recommender import Recommender
from gradual.collab.simple_models import Biases, fit_biases
from gradual.collab.train import CollabConfig, number_ids, train_collab
from gradual.sources.ratings_file import RatingsError
from gradual.sources.splits import Split


@dataclass(frozen=True)
class ColdStartConfig:
    """What is held out, and how little is known of it.

    Attributes:
        share: Of the users, and of the items, that the second model does not see.
        given: Numbers of ratings that a new user comes with.
        asked: Lengths of the onboarding lists.
        relevant_from: A rating of at least this is something to recommend.
        k: Length of the lists.
        seed: Chooses users, items and ratings.
        metadata: How rows are learned from properties.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012

    share: float = 0.2
    given: tuple[int, ...] = (0, 1, 3, 5, 10)
    asked: tuple[int, ...] = (10, 30)
    relevant_from: float = 4.0
    k: int = 10
    seed: int = 0
    metadata: MetadataConfig = field(default_factory=MetadataConfig)

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise ValueError(f"share is {self.share}: give a share strictly between 0 and 1")
        if any(number < 0 for number in self.given) or any(n < 1 for n in self.asked):
            raise ValueError(
                f"given is {list(self.given)} and asked {list(self.asked)}: give numbers of 0 or "
                "more, and lengths of 1 or more"
            )
        if self.k < 1 or self.seed < 0:
            raise ValueError(f"k is {self.k} and seed {self.seed}: give 1 or more, and 0 or more")


@dataclass(frozen=True)
class ColdStart:
    """The figures; `case` and `known` say what came with the user or item.

    Attributes:
        users: One row a case: `case` (`random` or an onboarding strategy), `known` (ratings
            given, or items asked about), `answered` (mean ratings a user really had), `rmse`,
            `rmse_low`, `rmse_high`, `rmse_biases` (the same rows by item bias and the shrunk mean
            of the ratings given), `ndcg`, `ndcg_low`, `ndcg_high`, `ndcg_popularity`, `users`,
            `rows`.
        items: One row a method, `mean`, `user biases` or `properties`: `rmse`, `rmse_low`,
            `rmse_high`, `ndcg` (of the new items, ranked for each user), `ndcg_low`, `ndcg_high`,
            `items`, `users`, `rows`. Empty without properties.
    """

    users: pd.DataFrame
    items: pd.DataFrame


def score_cold_start(
    ratings: pa.Table,
    parts: pa.Table,
    config: CollabConfig,
    cold: ColdStartConfig,
    *,
    items: pa.Table | None = None,
    users: pa.Table | None = None,
    on_epoch: Callable[[dict[str, float], int], None] | None = None,
) -> ColdStart:
    """Train without some users and items, and score what they get.

    Args:
        ratings: Table of `read_ratings`.
        parts: Table of `split_ratings`; ratings for the test are not looked at.
        config: Of the model, as for `train_collab`: interaction `dot_bias`, loss `mse`.
        cold: What is held out.
        items: Titles and properties of items.
        users: Properties of users, if the model takes them.
        on_epoch: Gets each epoch's figures and its number.

    Raises:
        RatingsError: There is too little left to train on or to score.
        ValueError: The model is none to fold users into.
    """
    used = ratings.filter(np.asarray(parts["part"].to_numpy(zero_copy_only=False) != "test"))
    rng = np.random.default_rng(cold.seed)
    new_users = _draw(rng, used["user"], cold.share)
    new_items = _draw(rng, used["item"], cold.share)
    cold_user = _is_in(used["user"], new_users)
    cold_item = _is_in(used["item"], new_items)
    known = used.filter(~cold_user & ~cold_item)
    if known.num_rows < 100:
        raise RatingsError(
            f"only {known.num_rows} ratings are left without the new users and items: lower share"
        )
    split = RatingsSplit(valid=Split(fraction=0.1, seed=cold.seed))
    inner = split_ratings(known, split)
    plain = dataclasses.replace(config.model, user_features=False)
    bundle, _ = train_collab(
        known,
        inner,
        *number_ids(known, inner),
        dataclasses.replace(config, model=plain if users is None else config.model),
        items=items,
        users=users,
        on_epoch=on_epoch,
    )
    model = Recommender.from_bundle(bundle)
    of_users = _score_users(model, known, used.filter(cold_user & ~cold_item), cold)
    of_items = pd.DataFrame()
    if items is not None and len(items.column_names) > 2:
        of_items = _score_items(model, known, used.filter(cold_item & ~cold_user), items, cold)
    return ColdStart(of_users, of_items)


def _draw(rng: np.random.Generator, column: pa.ChunkedArray, share: float) -> pa.Array:
    unique = column.unique()
    unique = unique.take(pc.array_sort_indices(unique))
    count = max(round(share * len(unique)), 1)
    return unique.take(pa.array(np.sort(rng.permutation(len(unique))[:count])))


def _is_in(column: pa.ChunkedArray, values: pa.Array) -> np.ndarray:
    return pc.is_in(column, value_set=values).to_numpy()


# -- users ------------------------------------------------------------------------------------


def _score_users(
    model: Recommender, known: pa.Table, new: pa.Table, cold: ColdStartConfig
) -> pd.DataFrame:
    frame = new.select(["user", "item", "rating"]).to_pandas()
    rng = np.random.default_rng(cold.seed + 1)
    # One half of each user's ratings may be given, the other is scored: the same rows always.
    order = rng.random(len(frame))
    frame = frame.iloc[np.lexsort((order, frame["user"].to_numpy()))].reset_index(drop=True)
    place = frame.groupby("user").cumcount()
    size = frame.groupby("user")["user"].transform("size")
    frame = frame.assign(
        place=place, can_give=place < size // 2, number=model.item_ids.encode(frame["item"])
    )
    judged = frame[~frame["can_give"]]
    prior = Prior.of(model)
    known_users, known_items = (
        ids.encode(known[name])
        for ids, name in ((model.user_ids, "user"), (model.item_ids, "item"))
    )
    rated = (known_users > 0) & (known_items > 0)
    biases = fit_biases(
        known_users[rated],
        known_items[rated],
        known["rating"].to_numpy()[rated],
        (len(model.users), len(model.items)),
    )
    rows: list[dict[str, object]] = []
    for number in cold.given:
        given = frame[frame["can_give"] & (frame["place"] < number)]
        rows.append(
            {
                "case": "random",
                "known": number,
                **_served(model, prior, biases, given, judged, cold),
            }
        )
    for strategy in STRATEGIES:
        for length in cold.asked:
            asked = onboarding(model, length, strategy=strategy, ratings=known, prior=prior)
            given = frame[frame["can_give"] & frame["item"].isin(asked["item"])]
            rows.append(
                {
                    "case": strategy,
                    "known": length,
                    **_served(model, prior, biases, given, judged, cold),
                }
            )
    return pd.DataFrame(rows)


def _served(
    model: Recommender,
    prior: Prior,
    biases: Biases,
    given: pd.DataFrame,
    judged: pd.DataFrame,
    cold: ColdStartConfig,
) -> dict[str, float]:
    """Fold users in by the ratings given and score the judged ones."""
    ids = np.sort(judged["user"].unique())
    users = fold_in(model, _as_table(given), prior)
    place = pd.Index(users.ids).get_indexer(ids)
    rows = prior.mean.float().repeat(len(ids), 1)
    rows[place >= 0] = users.rows[place[place >= 0]]
    at = np.searchsorted(ids, judged["user"])
    rating = judged["rating"].to_numpy(np.float64)
    errors = model.score_rows(rows[at], judged["number"].to_numpy()) - rating
    # The baseline: the item's bias, and the user's own from the ratings given.
    own = given["rating"] - biases.mean - biases.items[given["number"]]
    shrunk = own.groupby(given["user"]).agg(lambda each: each.sum() / (len(each) + 5.0))
    habit = shrunk.reindex(ids).fillna(0.0).to_numpy()
    simple = biases.mean + biases.items[judged["number"]] + habit[at] - rating
    low, high = bootstrap_interval(errors**2, at, resamples=500, root=True)
    result = {
        "answered": len(given) / len(ids),
        "rmse": float(np.sqrt((errors**2).mean())),
        "rmse_low": low,
        "rmse_high": high,
        "rmse_biases": float(np.sqrt((simple**2).mean())),
    }
    good = judged[(judged["rating"] >= cold.relevant_from) & (judged["number"] > 0)]
    seen = np.zeros((len(ids), len(model.items)), bool)
    seen[np.searchsorted(ids, given["user"]), given["number"]] = True
    seen[:, 0] = True
    lists = {
        "ndcg": model.all_row_scores(rows),
        "ndcg_popularity": np.broadcast_to(model.counts.astype(np.float32), seen.shape),
    }
    for name, scores in lists.items():
        top = np.argsort(np.where(seen, np.inf, -scores), axis=1, kind="stable")[:, : cold.k]
        each = per_user_scores(
            top, np.arange(len(ids)), np.searchsorted(ids, good["user"]), good["number"].to_numpy()
        )["ndcg"].to_numpy()
        result[name] = float(each.mean())
        if name == "ndcg":
            result["ndcg_low"], result["ndcg_high"] = bootstrap_interval(each, resamples=500)
    return {**result, "users": len(ids), "rows": len(judged)}


def _as_table(frame: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(frame[["user", "item", "rating"]], preserve_index=False)


# -- items ------------------------------------------------------------------------------------


def _score_items(
    model: Recommender,
    known: pa.Table,
    new: pa.Table,
    items: pa.Table,
    cold: ColdStartConfig,
) -> pd.DataFrame:
    new = new.filter(_is_in(new["item"], items["id"].combine_chunks()))
    user = model.user_ids.encode(new["user"])
    new = new.filter(user > 0)
    user = user[user > 0]
    if not len(user):
        return pd.DataFrame()
    side = items.filter(_is_in(items["id"], new["item"].unique()))
    rows = predict_rows(train_metadata(model, items, cold.metadata), side)
    place = pd.Index(side["id"].to_pandas()).get_indexer(new["item"].to_pandas())
    truth = new["rating"].to_numpy().astype(np.float64)
    mean = float(known["rating"].to_numpy().mean())
    own = model.user_ids.encode(known["user"])
    totals = np.bincount(own, known["rating"].to_numpy() - mean, len(model.users))
    habit = totals / (np.bincount(own, minlength=len(model.users)) + 5.0)
    asked, at = np.unique(user, return_inverse=True)
    scores = model.all_row_scores(model.users[asked], rows)
    popular = np.argsort(np.random.default_rng(cold.seed).random(side.num_rows))
    found = {
        "mean": (np.full(len(truth), mean), np.broadcast_to(-popular, scores.shape)),
        "user biases": (mean + habit[user], np.broadcast_to(-popular, scores.shape)),
        "properties": (scores[at, place], scores),
    }
    good = truth >= cold.relevant_from
    result = []
    for method, (guess, ranks) in found.items():
        errors = (guess - truth) ** 2
        low, high = bootstrap_interval(errors, user, resamples=500, root=True)
        top = np.argsort(-ranks, axis=1, kind="stable")[:, : cold.k]
        each = per_user_scores(top, np.arange(len(asked)), at[good], place[good])["ndcg"].to_numpy()
        ndcg_low, ndcg_high = bootstrap_interval(each, resamples=500)
        result.append(
            {
                "method": method,
                "rmse": float(np.sqrt(errors.mean())),
                "rmse_low": low,
                "rmse_high": high,
                "ndcg": float(each.mean()),
                "ndcg_low": ndcg_low,
                "ndcg_high": ndcg_high,
                "items": side.num_rows,
                "users": len(asked),
                "rows": len(truth),
            }
        )
    return pd.DataFrame(result)
