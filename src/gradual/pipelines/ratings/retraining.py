"""What a retrain has to know of ratings: what columns are, and what held-out rows ask and say."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa

from gradual.collab.metrics import HeldOut, list_metrics, relevant_level
from gradual.collab.ratings import RatingsConfig, read_ratings
from gradual.collab.recommender import ListsConfig
from gradual.collab.train import CollabConfig
from gradual.retraining.contract import MISSING, ColumnKind
from gradual.retraining.judging import Truth, constant_answers


@dataclass(frozen=True)
class Subject:
    """Ratings that are retrained; its fields are the groups of parameters that it is made of."""

    model: ClassVar[str] = "recommender"
    as_text: ClassVar[bool] = False
    missing: ClassVar[tuple[str, ...]] = MISSING
    allowed_rules: ClassVar[tuple[str, ...]] = ()

    ratings: RatingsConfig
    recommender: CollabConfig
    recommendations: ListsConfig

    @property
    def columns(self) -> dict[str, ColumnKind]:
        """What each column that is used is."""
        kinds: dict[str, ColumnKind] = {self.ratings.user: "user", self.ratings.item: "item"}
        if self.ratings.rating is not None:
            kinds[self.ratings.rating] = "rating"
        if self.ratings.time is not None:
            kinds[self.ratings.time] = "date"
        return kinds

    @property
    def key(self) -> tuple[str, ...]:
        """Columns that say which row it is, where nobody says: who rated what, however often."""
        return self.ratings.user, self.ratings.item

    def asked(self, rows: pa.Table) -> tuple[pd.DataFrame, Truth]:
        """The questions of rows, and what the rows say themselves.

        A model of ratings is asked for each pair; one that ranks for a list for each user.
        """
        table = read_ratings(rows, self.ratings).to_pandas()
        table = table.astype({"user": "str", "item": "str"})
        if self.recommender.loss == "mse":
            values, users = table["rating"].to_numpy(np.float64), table["user"].to_numpy()
            return table[["user", "item"]], Truth("rating", values, units=users)
        return self._lists(table)

    def baselines(self, training: pa.Table, asked: pd.DataFrame) -> dict[str, pd.DataFrame]:
        """What needs no model answers, by name."""
        if self.recommender.loss == "mse":
            return {"mean": constant_answers(self.asked(training)[1], len(asked))}
        table = read_ratings(training, self.ratings).to_pandas()
        return {"popularity": self._popular(table.astype({"user": "str", "item": "str"}), asked)}

    def _lists(self, held: pd.DataFrame) -> tuple[pd.DataFrame, Truth]:
        """A question for each user who took something, and what they took."""
        level = relevant_level(held["rating"].to_numpy(), self.recommendations.relevant_from)
        taken = held[held["rating"] >= level]
        users, items = pd.Index(taken["user"].unique()), pd.Index(taken["item"].unique())
        whose = users.get_indexer(taken["user"])
        everybody, what = np.arange(len(users)), items.get_indexer(taken["item"])
        truth = HeldOut(everybody, whose, what, np.zeros(len(items)), len(items))

        def read(answers: pd.DataFrame) -> np.ndarray:
            """Lists as numbers of items, ``(users, n)``; -1 for what nobody took."""
            listed = np.full((len(users), self.recommendations.n), -1)
            place = answers["rank"].to_numpy(np.int64) - 1
            listed[answers["row"].to_numpy(), place] = items.get_indexer(answers["item"])
            return listed

        metrics = list_metrics(self.recommendations.n)[:3]  # those that each user has a share in
        asked = pd.DataFrame({"user": users})
        return asked, Truth("list", truth, units=everybody, read=read, metrics=metrics)

    def _popular(self, training: pd.DataFrame, asked: pd.DataFrame) -> pd.DataFrame:
        """The items that most people took, for each user without what he or she took already."""
        popular = training["item"].value_counts().index
        seen = training.groupby("user")["item"].agg(set).to_dict()
        n, skipped = self.recommendations.n, self.recommendations.exclude_seen
        lists = []
        for row, user in enumerate(asked["user"]):
            barred = seen.get(user, set()) if skipped else set()
            items = [item for item in popular[: n + len(barred)] if item not in barred][:n]
            ranks = range(1, len(items) + 1)
            lists.append(pd.DataFrame({"row": row, "rank": ranks, "item": items}))
        return pd.concat(lists, ignore_index=True)
