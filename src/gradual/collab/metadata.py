"""Items and users of whom nothing but properties are known, through a model on tables.

A tabular net learns the rows [vector, bias] of well-known items (or users) from their properties;
a new one's row is then predicted, and scored like any other. This is the attribute-to-feature
mapping of Gantner et al. 2010, "Learning attribute-to-feature mappings for cold-start
recommendations".
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from gradual.collab.recommender import Recommender
from gradual.sources.ratings_file import RatingsError
from gradual.tabular.model import TabularModelConfig
from gradual.tabular.predict import TabularModel
from gradual.tabular.preprocessing import ColumnsConfig, PreprocessingConfig, fit
from gradual.tabular.targets import TargetConfig
from gradual.tabular.train import train_tabular
from gradual.training.bundle import Bundle
from gradual.training.checkpoint import CheckpointStore
from gradual.training.config import Phase, TrainingConfig

_RARE = 5
"""Words on fewer entities than this have no column."""


@dataclass(frozen=True)
class MetadataConfig:
    """How rows are learned from properties.

    Attributes:
        min_ratings: Learn from entities with at least so many training ratings: the rows of
            others say little.
        net: The tabular net and its training.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012

    min_ratings: int = 5
    net: TabularModelConfig = field(
        default_factory=lambda: TabularModelConfig(
            layers=(64,),
            dropout=0.2,
            training=TrainingConfig(
                phases=(Phase(epochs=20, lr=5e-3),), precision="float32", weight_decay=0.1
            ),
        )
    )

    def __post_init__(self) -> None:
        if self.min_ratings < 1:
            raise ValueError(f"min_ratings is {self.min_ratings}: give a number of at least 1")


def flat_properties(side: pa.Table, words: dict[str, list[str]] | None = None) -> pa.Table:
    """Return a table of items or users with a yes-or-no column for each word of each list.

    Args:
        side: Table of `gradual.collab.ratings.read_side`.
        words: Words of each list; None takes those that occur on five entities or more.

    Returns:
        Categories and numbers as they are, `<list>=<word>` for each word; no id, no title.
    """
    words = list_words(side) if words is None else words
    columns: dict[str, pa.Array] = {}
    for entry in side.schema:
        if entry.name in ("id", "title"):
            continue
        column = side[entry.name].combine_chunks()
        if not pa.types.is_list(entry.type):
            columns[entry.name] = column
            continue
        parents = pc.list_parent_indices(column).to_numpy()
        flat = column.flatten()
        for word in words.get(entry.name, []):
            has = np.zeros(side.num_rows, bool)
            has[parents[pc.equal(flat, word).to_numpy(zero_copy_only=False)]] = True
            columns[f"{entry.name}={word}"] = pa.array(has)
    return pa.table(columns)


def list_words(side: pa.Table) -> dict[str, list[str]]:
    """Return the words of each list that occur on five entities or more."""
    words = {}
    for entry in side.schema:
        if pa.types.is_list(entry.type):
            counts = side[entry.name].combine_chunks().flatten().value_counts()
            often = pc.greater_equal(counts.field("counts"), _RARE)
            words[entry.name] = sorted(counts.field("values").filter(often).to_pylist())
    return words


def train_metadata(
    model: Recommender,
    side: pa.Table,
    config: MetadataConfig,
    *,
    of: Literal["items", "users"] = "items",
    store: CheckpointStore | None = None,
    on_epoch: Callable[[dict[str, float], int], None] | None = None,
) -> Bundle:
    """Learn the rows of items (or users) from their properties.

    Args:
        model: Whose rows to learn.
        side: What is known of items (or users), of `read_side`; those that the model does not
            know are not looked at.
        config: Net and training.
        of: Whose rows.
        store: Where checkpoints are kept.
        on_epoch: Gets each epoch's figures and its number.

    Returns:
        Bundle of kind ``tabular``; its metadata has, beside what a tabular model needs, the
        `words` of the lists, for `predict_rows`.

    Raises:
        RatingsError: Too few entities have enough ratings, or the table has no properties.
    """
    ids = model.item_ids if of == "items" else model.user_ids
    rows = (model.items if of == "items" else model.users).numpy()
    counts = model.counts if of == "items" else model.rated.offsets.diff().numpy()
    numbers = ids.encode(side["id"])
    usable = (numbers > 0) & (counts[numbers] >= config.min_ratings)
    if usable.sum() < 10:
        raise RatingsError(
            f"only {usable.sum()} {of} with properties have {config.min_ratings} ratings or more: "
            "lower min_ratings"
        )
    chosen = side.filter(pa.array(usable))
    words = list_words(chosen)
    table = flat_properties(chosen, words)
    continuous = tuple(f.name for f in table.schema if pa.types.is_floating(f.type))
    categorical = tuple(name for name in table.column_names if name not in continuous)
    if not table.num_columns:
        raise RatingsError(f"the table of {of} has no properties to learn from: name some columns")
    preprocessor = fit(
        [table], PreprocessingConfig(ColumnsConfig(categorical=categorical, continuous=continuous))
    )
    targets = pd.DataFrame(rows[numbers[usable]]).add_prefix("row_")
    everything, none = np.arange(table.num_rows), np.zeros(0, np.int64)
    bundle, _ = train_tabular(
        preprocessor.transform(table),
        targets,
        everything,
        none,
        preprocessor,
        TargetConfig(kind="regression", columns=tuple(targets.columns)),
        config.net,
        store=store,
        on_epoch=on_epoch,
    )
    return Bundle(
        kind=bundle.kind,
        config=bundle.config,
        state=bundle.state,
        metadata={**bundle.metadata, "words": words},
        dependencies=bundle.dependencies,
    )


def predict_rows(bundle: Bundle, side: pa.Table) -> Tensor:
    """Return the rows ``(n, width)`` that properties lead to, in the table's order."""
    model = TabularModel.from_bundle(bundle, device="cpu")
    table = flat_properties(side, bundle.metadata["words"])
    return torch.tensor(model.predict(table).to_numpy(np.float32))


def best_users(model: Recommender, bundle: Bundle, side: pa.Table, n: int = 10) -> pd.DataFrame:
    """Say how items that are known by their properties only will be liked, and by whom.

    Args:
        model: The recommender.
        bundle: Of `train_metadata`, of the same model's items.
        side: The new items, of `read_side`.
        n: Users for each item.

    Returns:
        `item`, `title` (the id where there is none), `expected` (mean score over all users),
        `rank`, `user`, `score`; the item of the highest expectation first.
    """
    rows = predict_rows(bundle, side)
    known = model.users[1:]
    totals = np.zeros(side.num_rows)
    scores = np.full((side.num_rows, 0), -np.inf, np.float32)
    users = np.zeros((side.num_rows, 0), np.int64)
    for block in torch.arange(len(known)).split(4096):  # all scores at once would not fit for many
        found = model.all_row_scores(known[block], rows).T
        totals += found.sum(1, dtype=np.float64)
        scores = np.concatenate([scores, found], axis=1)
        users = np.concatenate([users, np.broadcast_to(block.numpy() + 1, found.shape)], axis=1)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :n]
        scores, users = (np.take_along_axis(a, best, 1) for a in (scores, users))
    item, place = np.indices(scores.shape)
    ids = side["id"].to_pandas().to_numpy()
    titles = side["title"].to_pandas().to_numpy() if "title" in side.column_names else ids
    frame = pd.DataFrame(
        {
            "item": ids[item.ravel()],
            "title": titles[item.ravel()],
            "expected": (totals / len(known))[item.ravel()],
            "rank": place.ravel() + 1,
            "user": model.user_ids.decode(users.ravel()).to_pandas().to_numpy(),
            "score": scores.ravel(),
        }
    )
    return frame.sort_values(
        ["expected", "item", "rank"], ascending=[False, True, True]
    ).reset_index(drop=True)
