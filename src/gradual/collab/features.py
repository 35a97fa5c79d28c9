"""Properties of items and users as numbers that a network can add up."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from gradual.collab.ids import IdMap

_BINS = 16
"""Equally full bins of a number."""
_RARE = 3
"""A word on fewer entities than this teaches nothing about others that have it."""


@dataclass(frozen=True)
class SideFeatures:
    """One column for each word of each list or category, and for each bin of each number.

    Attributes:
        lists: Words of each list; a row's are scaled to length 1.
        categories: Words of each category.
        numbers: Edges of each number's bins; a gap has a bin of its own.
    """

    lists: dict[str, list[str]]
    categories: dict[str, list[str]]
    numbers: dict[str, list[float]]

    @classmethod
    def fit(cls, side: pa.Table, ids: IdMap) -> "SideFeatures":
        """Learn words and bins from the entities of the training ratings.

        Args:
            side: Table of `gradual.collab.ratings.read_side`.
            ids: Of the entities in the training ratings.
        """
        known = side.filter(pa.array(ids.encode(side["id"]) > 0))
        lists, categories, numbers = {}, {}, {}
        for field in known.schema:
            if field.name in ("id", "title"):
                continue
            column = known[field.name].combine_chunks()
            if pa.types.is_list(field.type):
                lists[field.name] = _words(column.flatten())
            elif pa.types.is_string(field.type):
                categories[field.name] = _words(column)
            else:
                values = column.drop_null().to_numpy()
                edges = np.quantile(values, np.arange(1, _BINS) / _BINS) if len(values) else []
                numbers[field.name] = [float(edge) for edge in np.unique(edges)]
        return cls(lists, categories, numbers)

    @property
    def names(self) -> list[str]:
        """Name of each column."""
        named = {**self.lists, **self.categories}
        names = [f"{column}={word}" for column, words in named.items() for word in words]
        for column, edges in self.numbers.items():
            names += [f"{column}=?", *(f"{column} bin {k + 1}" for k in range(len(edges) + 1))]
        return names

    def encode(self, side: pa.Table) -> np.ndarray:
        """Return ``(rows, len(names))`` float32; words and values never seen add nothing."""
        blocks = [np.zeros((side.num_rows, 0), np.float32)]
        for name, words in self.lists.items():
            column = side[name].combine_chunks()
            block = np.zeros((side.num_rows, len(words)), np.float32)
            rows = pc.list_parent_indices(column).to_numpy()
            codes = _codes(column.flatten(), words)
            block[rows[codes >= 0], codes[codes >= 0]] = 1
            blocks.append(block / np.sqrt(np.maximum(block.sum(1, keepdims=True), 1)))
        for name, words in self.categories.items():
            codes = _codes(side[name].combine_chunks(), words)
            blocks.append(_one_hot(codes, len(words)))
        for name, edges in self.numbers.items():
            values = side[name].to_numpy().astype(np.float64)
            codes = np.where(np.isnan(values), 0, np.searchsorted(edges, values, "right") + 1)
            blocks.append(_one_hot(codes, len(edges) + 2))
        return np.concatenate(blocks, axis=1)

    def table(self, side: pa.Table) -> pa.Table:
        """Return the same as a table, a column for each name."""
        return pa.table(list(self.encode(side).T), names=self.names)

    def of_ids(self, side: pa.Table, ids: IdMap) -> Tensor:
        """Return ``(len(ids), len(names))`` float32: row k belongs to number k; unknown is 0."""
        numbers = ids.encode(side["id"])
        result = np.zeros((len(ids), len(self.names)), np.float32)
        known = numbers > 0
        result[numbers[known]] = self.encode(side.filter(pa.array(known)))
        return torch.from_numpy(result)

    def to_dict(self) -> dict[str, Any]:
        """Return the words and edges, for JSON."""
        return {"lists": self.lists, "categories": self.categories, "numbers": self.numbers}


def _words(column: pa.Array) -> list[str]:
    counts = column.drop_null().value_counts()
    words = counts.field("values").filter(pc.greater_equal(counts.field("counts"), _RARE))
    return sorted(words.to_pylist())


def _codes(column: pa.Array, words: list[str]) -> np.ndarray:
    found = pc.index_in(column, value_set=pa.array(words, pa.string()), skip_nulls=True)
    return pc.fill_null(found, -1).to_numpy(zero_copy_only=False)


def _one_hot(codes: np.ndarray, width: int) -> np.ndarray:
    block = np.zeros((len(codes), width), np.float32)
    known = np.flatnonzero(codes >= 0)
    block[known, codes[known]] = 1
    return block
