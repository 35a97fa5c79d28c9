"""A trained recommender: scores of pairs, and everything people ask of it."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from torch import Tensor

from gradual.collab.ids import IdMap
from gradual.collab.models import (
    CollabModelConfig,
    DotBias,
    EmbeddingNN,
    RatedItems,
    make_interaction,
    squash,
)
from gradual.training.bundle import Bundle
from gradual.training.files import from_json_types
from gradual.training.modules import check_kind, load_state
from gradual.training.settings import Settings

KIND = "collab"
_PAIRS = 1 << 18
"""Pairs that are scored at a time."""
_SCORES = 1 << 23
"""Scores of users by items that are held at a time (32 MB)."""
#: How an answer came about, by (user is unknown, item is unknown).
FALLBACKS = ("", "user", "item", "user and item")


@dataclass(frozen=True)
class ListsConfig(Settings):
    """What lists of recommendations hold.

    Attributes:
        n: Items in a list.
        min_ratings: Items with fewer training ratings are neither recommended nor drawn.
        exclude_seen: Leave out what a user has rated already.
        relevant_from: A held-out rating counts as a hit from here on; None takes the better half
            of the training ratings.
        similar_to: So many of the most rated items get a list of similar ones.
    """

    n: int = 10
    min_ratings: int = 0
    exclude_seen: bool = True
    relevant_from: float | None = None
    similar_to: int = 1000

    def __post_init__(self) -> None:
        for name, least in (("n", 1), ("min_ratings", 0), ("similar_to", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}: give {least} or more")

    @property
    def settings(self) -> dict[str, Any]:
        """What goes with a model as its defaults: `n`, `min_ratings`, `exclude_seen`."""
        names = ("n", "min_ratings", "exclude_seen")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Recommender:
    """Rows of users and items with what turns them into scores.

    Number 0 is every id that the training ratings did not hold; its row is the mean of all others,
    so that its score is the other side's bias on an average partner.

    Attributes:
        config: Parts and sizes of the model.
        user_ids: Ids and numbers of users.
        item_ids: Ids and numbers of items.
        users: ``(users, width)`` rows [vector, bias]; without a bias for `mlp`.
        items: ``(items, width)`` rows.
        interaction: Turns two rows into a score.
        offset: Added to each score.
        rated: What each user has rated in training.
        counts: ``(items,)`` number of training ratings of each item.
        titles: ``(items,)`` to show people: the title, or the id where there is none.
        mean: Mean training rating.
        time_edges: Times between the bins of the biases in time; empty without them.
        user_times: ``(users, bins)`` biases in time, or None.
        item_times: ``(items, bins)`` biases in time, or None.
        ranks: Scores order items and are no ratings.
        noise: Mean squared error on the validation ratings (not for ranking).
        learned_from: Parts of the ratings that it has seen: `train`, after a refit `valid` too.
        lists: What lists hold unless the caller says otherwise.
    """

    config: CollabModelConfig
    user_ids: IdMap
    item_ids: IdMap
    users: Tensor
    items: Tensor
    interaction: DotBias | EmbeddingNN
    offset: float
    rated: RatedItems
    counts: np.ndarray
    titles: np.ndarray
    mean: float
    time_edges: tuple[float, ...]
    user_times: Tensor | None
    item_times: Tensor | None
    ranks: bool
    noise: float
    learned_from: tuple[str, ...]
    lists: ListsConfig

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> "Recommender":
        """Take a bundle of kind ``collab`` to use.

        Raises:
            ValueError: It is of another kind, or its weights do not fit its configuration.
        """
        check_kind(bundle, KIND)
        config: CollabModelConfig = from_json_types(CollabModelConfig, bundle.config)
        interaction = make_interaction(config)
        prefix = "interaction."
        weights = {
            n.removeprefix(prefix): t for n, t in bundle.state.items() if n.startswith(prefix)
        }
        load_state(interaction, weights, "the collab bundle")
        meta, state = bundle.metadata, bundle.state
        item_ids = IdMap.from_list(meta["items"])
        names = [None, *meta["items"]]
        titles = [
            "?" if number == 0 else str(name if title is None else title)
            for number, (name, title) in enumerate(
                zip(names, meta["titles"] or [None] * len(names), strict=True)
            )
        ]
        return cls(
            config=config,
            user_ids=IdMap.from_list(meta["users"]),
            item_ids=item_ids,
            users=state["users"],
            items=state["items"],
            interaction=interaction.eval(),
            offset=meta["offset"],
            rated=RatedItems(state["rated_items"].long(), state["rated_offsets"]),
            counts=state["item_counts"].numpy(),
            titles=np.array(titles, object),
            mean=meta["mean"],
            time_edges=tuple(meta["time_edges"]),
            user_times=state.get("user_times"),
            item_times=state.get("item_times"),
            ranks=meta["loss"] != "mse",
            noise=meta["noise"],
            learned_from=tuple(meta["learned_from"]),
            lists=ListsConfig(**meta["settings"]),
        )

    # -- pairs --------------------------------------------------------------------------------

    @torch.inference_mode()
    def score_numbers(
        self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the score of each pair of numbers, ``(n,)`` float32.

        Args:
            users: ``(n,)`` user numbers.
            items: ``(n,)`` item numbers.
            times: ``(n,)`` seconds, for a model with biases in time; None takes the latest bin.
        """
        user, item = (torch.tensor(np.asarray(n, np.int64)) for n in (users, items))
        bins = self._bins(times, len(user))
        scores = torch.empty(len(user))
        for part in torch.arange(len(user)).split(_PAIRS):
            rows = torch.stack([self.users[user[part]], self.items[item[part]]], 1)
            scores[part] = self.interaction(rows)
            if bins is not None:
                scores[part] += self._in_time(user[part], item[part], bins[part])
        return squash(scores + self.offset, self.config.y_range).numpy()

    def _bins(self, times: np.ndarray | None, n: int) -> Tensor | None:
        if self.user_times is None:
            return None
        if times is None:
            return torch.full((n,), len(self.time_edges))
        seconds = np.asarray(times, np.float64)
        if not np.isfinite(seconds).all():
            row = int(np.flatnonzero(~np.isfinite(seconds))[0])
            raise ValueError(f"times: row {row} has no time: give seconds since 1970.")
        return torch.from_numpy(np.searchsorted(self.time_edges, seconds, "right"))

    def _in_time(self, users: Tensor, items: Tensor, bins: Tensor) -> Tensor:
        assert self.user_times is not None
        assert self.item_times is not None
        return self.user_times[users, bins] + self.item_times[items, bins]

    def predict(self, users: Any, items: Any, times: np.ndarray | None = None) -> pd.DataFrame:
        """Score pairs of ids; an unknown one falls back on the mean row.

        Args:
            users: ``(n,)`` user ids of any type; a gap is unknown.
            items: ``(n,)`` item ids.
            times: ``(n,)`` seconds since 1970, for a model with biases in time; None is now.

        Returns:
            `user`, `item`, `score` (a rating; of a ranking model a number that orders items) and
            `fallback`: what was unknown: nothing, `user`, `item` or `user and item`.

        Raises:
            ValueError: The columns' lengths differ.
        """
        user, item = self.user_ids.encode(users), self.item_ids.encode(items)
        if len(user) != len(item):
            raise ValueError(f"{len(user)} users and {len(item)} items: give one of each a pair.")
        kinds = np.array(FALLBACKS, object)[(user == 0) + 2 * (item == 0)]
        scores = self.score_numbers(user, item, times)
        both = (user == 0) & (item == 0)
        if not self.ranks:
            scores[both] = self.mean
        return pd.DataFrame(
            {"user": users, "item": items, "score": scores, "fallback": kinds}
        ).reset_index(drop=True)

    # -- lists --------------------------------------------------------------------------------

    @torch.inference_mode()
    def top(
        self,
        rows: Tensor,
        n: int,
        *,
        seen: RatedItems | None = None,
        allowed: np.ndarray | None = None,
        added: Tensor | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rank all items for rows of users by one matrix product a block.

        Args:
            rows: ``(users, width)``, of known users or of new ones.
            n: Length of each list.
            seen: Items to leave out, by position in `rows`.
            allowed: ``(items,)`` bool: what may be recommended; None allows all.
            added: ``(items,)`` to add to the scores, or None.

        Returns:
            Item numbers ``(users, n)``, best first, -1 where no item is left, and their scores.
        """
        k = min(n, len(self.items) - 1)
        numbers = np.full((len(rows), n), -1, np.int64)
        scores = np.full((len(rows), n), np.nan, np.float32)
        barred = torch.zeros(len(self.items), dtype=torch.bool)
        barred[0] = True
        if allowed is not None:
            barred |= torch.from_numpy(~allowed)
        for block in torch.arange(len(rows)).split(max(_SCORES // len(self.items), 1)):
            found = self.interaction.all_pairs(rows[block], self.items)
            if added is not None:
                found += added
            found[:, barred] = -torch.inf
            if seen is not None:
                items, _, counts = seen.of(block)
                users = torch.arange(len(block)).repeat_interleave(counts)
                found[users, items] = -torch.inf
            best = found.topk(k)
            empty = best.values == -torch.inf
            values = squash(best.values + self.offset, self.config.y_range)
            numbers[block, :k] = best.indices.masked_fill(empty, -1).numpy()
            scores[block, :k] = values.masked_fill(empty, torch.nan).numpy()
        return numbers, scores

    @torch.inference_mode()
    def all_row_scores(self, users: Tensor, items: Tensor | None = None) -> np.ndarray:
        """Return the scores of all items for rows of users, ``(users, items)`` float32.

        Args:
            users: ``(users, width)`` rows, of known users or of new ones.
            items: ``(items, width)`` rows of new items; None takes the known ones.
        """
        scores = self.interaction.all_pairs(users, self.items if items is None else items)
        if items is None and self.item_times is not None:
            scores += self.item_times[:, -1]
        return squash(scores + self.offset, self.config.y_range).numpy()

    @torch.inference_mode()
    def score_rows(self, users: Tensor, items: np.ndarray) -> np.ndarray:
        """Return the score of each pair of a user's row ``(n, width)`` and an item number."""
        item = torch.tensor(np.asarray(items, np.int64))
        scores = self.interaction(torch.stack([users, self.items[item]], 1)) + self.offset
        if self.item_times is not None:
            scores = scores + self.item_times[item, -1]
        return squash(scores, self.config.y_range).numpy()

    @property
    def folds_in(self) -> bool:
        """Whether new users and items can be taken in without training on them."""
        return self.config.interaction == "dot_bias" and not self.ranks

    def popular(self, allowed: np.ndarray | None = None) -> np.ndarray:
        """Return item numbers from the most to the least rated one."""
        order = np.argsort(-self.counts[1:], kind="stable") + 1
        return order if allowed is None else order[allowed[order]]

    def top_numbers(
        self,
        users: np.ndarray,
        n: int | None = None,
        *,
        exclude_seen: bool | None = None,
        min_ratings: int | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rank all items for user numbers; number 0 gets the most rated items.

        Args:
            users: ``(m,)`` user numbers.
            n: Length of each list; None takes the model's own setting, and so for the others.
            exclude_seen: Leave out what the user has rated in training.
            min_ratings: Recommend only items with at least so many training ratings.

        Returns:
            Item numbers ``(m, n)``, -1 where no item is left, and scores ``(m, n)``.
        """
        asked: dict[str, Any] = {
            "n": n,
            "exclude_seen": exclude_seen,
            "min_ratings": min_ratings,
        }
        lists = replace(self.lists, **{k: v for k, v in asked.items() if v is not None})
        chosen = torch.from_numpy(np.asarray(users, np.int64))
        seen = None
        if lists.exclude_seen:
            items, _, counts = self.rated.of(chosen)
            seen = RatedItems(items, torch.cat([counts.new_zeros(1), counts.cumsum(0)]))
        allowed = self.counts >= lists.min_ratings if lists.min_ratings else None
        latest = None if self.item_times is None else self.item_times[:, -1]
        numbers, _ = self.top(self.users[chosen], lists.n, seen=seen, allowed=allowed, added=latest)
        unknown = np.flatnonzero(np.asarray(users) == 0)
        if len(unknown):
            popular = self.popular(allowed)[: lists.n]
            numbers[unknown] = -1
            numbers[unknown, : len(popular)] = popular
        scores = np.full(numbers.shape, np.nan, np.float32)
        who, place = np.nonzero(numbers >= 0)
        scores[who, place] = self.score_numbers(np.asarray(users)[who], numbers[who, place])
        return numbers, scores

    def recommend(
        self,
        users: Any = None,
        n: int | None = None,
        *,
        exclude_seen: bool | None = None,
        min_ratings: int | None = None,
    ) -> pd.DataFrame:
        """Return the items that each user should like best.

        Args:
            users: User ids; None for all known users.
            n: Items for each; None takes the model's own setting, and so for the others.
            exclude_seen: Leave out what the user has rated in training.
            min_ratings: Recommend only items with at least so many training ratings.

        Returns:
            `user`, `rank` (from 1), `item`, `title`, `score`, `ratings` (training ratings of the
            item) and `fallback`: `popularity` for an unknown user, who gets the most rated
            items, otherwise nothing. A user who has seen nearly everything has fewer rows.
        """
        given = self.user_ids.ids if users is None else users
        asked = self.user_ids.encode(given)
        numbers, scores = self.top_numbers(
            asked, n, exclude_seen=exclude_seen, min_ratings=min_ratings
        )
        who, place = np.nonzero(numbers >= 0)
        found = numbers[who, place]
        names = pd.Series(given.to_pylist() if isinstance(given, pa.Array) else given)
        return pd.DataFrame(
            {
                "user": names.take(who).to_numpy(),
                "rank": place + 1,
                "item": self.item_ids.decode(found).to_pandas().to_numpy(),
                "title": self.titles[found],
                "score": scores[who, place],
                "ratings": self.counts[found],
                "fallback": np.where(asked[who] == 0, "popularity", ""),
            }
        )

    # -- what the model has learned -----------------------------------------------------------

    @property
    def item_vectors(self) -> Tensor:
        """``(items, factors)`` vectors without biases."""
        return self.items[:, : self.config.factors]

    def similar(self, items: Any, n: int = 10, *, min_ratings: int = 0) -> pd.DataFrame:
        """Return the items whose vectors point most nearly the same way (cosine).

        Args:
            items: Item ids.
            n: Neighbours of each.
            min_ratings: Only neighbours with at least so many training ratings.

        Returns:
            `item`, `title`, `rank`, `similar`, `similar_title`, `cosine`; no row for an unknown
            item.
        """
        asked = self.item_ids.encode(items)
        asked = asked[asked > 0]
        vectors = torch.nn.functional.normalize(self.item_vectors, dim=1)
        cosines = vectors[torch.from_numpy(asked)] @ vectors.T
        cosines[:, torch.from_numpy(self.counts < min_ratings)] = -torch.inf
        cosines[:, 0] = -torch.inf
        cosines[torch.arange(len(asked)), torch.from_numpy(asked)] = -torch.inf
        best = cosines.topk(min(n, len(self.items) - 1))
        who, place = np.nonzero((best.values > -torch.inf).numpy())
        found = best.indices.numpy()[who, place]
        return pd.DataFrame(
            {
                "item": self.item_ids.decode(asked[who]).to_pandas().to_numpy(),
                "title": self.titles[asked[who]],
                "rank": place + 1,
                "similar": self.item_ids.decode(found).to_pandas().to_numpy(),
                "similar_title": self.titles[found],
                "cosine": best.values.numpy()[who, place],
            }
        )

    def biases(self, *, min_ratings: int = 0) -> pd.DataFrame:
        """Return the items by bias: what is liked beyond the taste for its kind, best first.

        Returns:
            `item`, `title`, `bias` (on the scale of scores), `ratings`.

        Raises:
            ValueError: The model has no biases (`mlp`).
        """
        if self.config.interaction != "dot_bias":
            raise ValueError(
                f"the interaction {self.config.interaction} has no biases: use dot_bias."
            )
        bias = self.items[:, -1].numpy()
        order = np.argsort(-bias[1:], kind="stable") + 1
        order = order[self.counts[order] >= min_ratings]
        return self._about(order, bias=bias[order])

    def components(self, n: int = 2, *, min_ratings: int = 0) -> pd.DataFrame:
        """Return the items' places on the first principal components of their vectors.

        Args:
            n: Number of components.
            min_ratings: Fit and show only items with at least so many training ratings.

        Returns:
            `item`, `title`, `component_1` … `component_n`, `ratings`.

        Raises:
            ValueError: There are fewer items, or factors, than components.
        """
        from sklearn.decomposition import PCA  # a model that only answers needs no scikit-learn

        chosen = np.flatnonzero(self.counts[1:] >= min_ratings) + 1
        vectors = self.item_vectors[torch.from_numpy(chosen)].double().numpy()
        if n > min(vectors.shape):
            raise ValueError(
                f"{n} components of {vectors.shape[0]} items with {vectors.shape[1]} factors: ask "
                "for fewer, or lower min_ratings."
            )
        places = PCA(n, svd_solver="full").fit_transform(vectors)
        columns = {f"component_{k + 1}": places[:, k] for k in range(n)}
        return self._about(chosen, **columns)

    def explore(self, similar_to: int = 1000) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        """Return what the model knows of the items that its lists may hold.

        Args:
            similar_to: So many of the most rated items are asked for similar ones.

        Returns:
            `similar` of the most rated items, `biases` (no rows for `mlp`), and `components`.
        """
        least = self.lists.min_ratings
        known = self.popular(self.counts >= max(least, 1))[:similar_to]
        similar = self.similar(self.item_ids.decode(known), self.lists.n, min_ratings=least)
        if self.config.interaction == "dot_bias":
            biases = self.biases(min_ratings=least)
        else:
            biases = self._about(np.zeros(0, np.int64), bias=np.zeros(0))
        return similar, biases, self.components(min_ratings=least)

    def _about(self, numbers: np.ndarray, **columns: np.ndarray) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "item": self.item_ids.decode(numbers).to_pandas().to_numpy(),
                "title": self.titles[numbers],
                **columns,
                "ratings": self.counts[numbers],
            }
        )

    def embeddings(self) -> tuple[pa.Table, pa.Table]:
        """Return the rows as tables: of users and of items.

        Returns:
            Two tables with `number`, `id` (null for 0), `title` (items only), `bias` (dot_bias
            only) and `vector` (a list of float32).
        """
        tables = []
        for ids, rows, titles in (
            (self.user_ids, self.users, None),
            (self.item_ids, self.items, self.titles),
        ):
            table = ids.to_table()
            if titles is not None:
                table = table.append_column("title", pa.array(titles, pa.string()))
            if self.config.interaction == "dot_bias":
                table = table.append_column("bias", pa.array(rows[:, -1].numpy()))
            vectors = rows[:, : self.config.factors].contiguous().numpy()
            flat = pa.FixedSizeListArray.from_arrays(vectors.ravel(), self.config.factors)
            tables.append(table.append_column("vector", flat))
        return tables[0], tables[1]
