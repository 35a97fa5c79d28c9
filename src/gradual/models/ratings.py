"""Recommenders."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch

from gradual.collab.recommender import ListsConfig, Recommender
from gradual.collab.serving import answer
from gradual.models.model import Model
from gradual.training.bundle import Bundle


class RecommenderModel(Model):
    """Users to lists of items, pairs of users and items to scores.

    The column `user` asks for a list of `n` items; where `item` is given, too, for the score of the
    pair. The answer is that of `gradual.collab.serving.answer`.

    `explain` splits each score (of a pair, or of each item of a list) into `average`, what an
    average item gets from an average user, `user bias` and `item bias`, what this user and this
    item get beyond that from average partners, and `taste`, what is left: what the two have in
    common. The four add up to the score. It then names the `similar` items that the user rated and
    whose vectors are nearest to the item's: `row`, `user`, `item`, `title`, `part`, `other` (a
    rated item's title) and `value` (of a rated item: the cosine, from -1 to 1).
    """

    defaults = ListsConfig().settings
    explain_defaults = {"similar": 3}  # noqa: RUF012
    _column = "user"

    @classmethod
    def requirements(cls, bundle: Bundle) -> set[str]:  # noqa: ARG003
        """See `Model.requirements`."""
        return {"tqdm"}

    def _build(self) -> None:
        self.recommender = Recommender.from_bundle(self.bundle)

    @property
    def example(self) -> pd.DataFrame:
        """Pairs, and a user without an item, who asks for a list; ids as text."""
        known = self.recommender
        users, items = (
            [str(i) for i in ids.to_list()[:2]] for ids in (known.user_ids, known.item_ids)
        )
        pairs = list(zip(users, items, strict=False))
        return pd.DataFrame([*pairs, (users[0], None)], columns=["user", "item"])

    def _predict(self, frame: pd.DataFrame, **settings: Any) -> pd.DataFrame:
        return answer(self.recommender, frame, **settings)

    def _explain(self, frame: pd.DataFrame, **settings: Any) -> pd.DataFrame:
        known = self.recommender
        asked = self.predict(frame)
        users, items = known.user_ids.encode(asked["user"]), known.item_ids.encode(asked["item"])
        unknown = np.zeros_like(users)
        average = known.score_numbers(unknown, unknown).astype(np.float64)
        user = known.score_numbers(users, unknown) - average
        item = known.score_numbers(unknown, items) - average
        taste = known.score_numbers(users, items) - average - user - item
        splits = {"average": average, "user bias": user, "item bias": item, "taste": taste}
        about = asked[["row", "user", "item", "title"]]
        parts = [about.assign(part=name, other=None, value=v) for name, v in splits.items()]
        parts.append(self._rated(about, users, items, settings["similar"]))
        found = pd.concat([part.assign(place=part.index) for part in parts if len(part)])
        found = found.sort_values("place", kind="stable").drop(columns="place")
        return found.astype({"other": "string"}).reset_index(drop=True)

    def _rated(
        self, about: pd.DataFrame, users: np.ndarray, items: np.ndarray, similar: int
    ) -> pd.DataFrame:
        """The items each user rated that are nearest to the item asked for, nearest first."""
        known = self.recommender
        vectors = torch.nn.functional.normalize(known.item_vectors, dim=1)
        rated, _, counts = known.rated.of(torch.from_numpy(users))
        pair = torch.arange(len(users)).repeat_interleave(counts)
        cosine = (vectors[torch.from_numpy(items)[pair]] * vectors[rated]).sum(1)
        table = pd.DataFrame({"pair": pair, "rated": rated, "value": cosine.double()})
        # An item that is not known has no neighbours, and is none of its own.
        table = table[(items[table["pair"]] > 0) & (table["rated"] != items[table["pair"]])]
        table = table.sort_values(["pair", "value"], ascending=[True, False], kind="stable")
        table = table.groupby("pair").head(similar)
        return (
            about.loc[table["pair"]]
            .assign(part="rated item", other=known.titles[table["rated"]])
            .assign(value=table["value"].to_numpy())
        )
