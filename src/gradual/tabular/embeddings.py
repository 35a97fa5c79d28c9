"""Columns as vectors: entity embeddings of levels, and embeddings of numbers.

Sources: Guo & Berkhahn 2016, "Entity Embeddings of Categorical Variables", arXiv 1604.06737;
Gorishniy, Rubachev & Babenko 2022, "On Embeddings for Numerical Features in Tabular Deep
Learning", arXiv 2203.05556.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from torch import Tensor, nn

EmbeddingRule = Literal["power", "half"]
NumberEmbedding = Literal["none", "periodic", "piecewise_linear"]
BinsBy = Literal["quantiles", "tree"]


def embedding_size(cardinality: int, rule: EmbeddingRule) -> int:
    """Width of an embedding for so many codes.

    Args:
        cardinality: Number of codes n, `#na#` included.
        rule: `power`: min(600, round(1.6 n^0.56)); `half`: min(50, (n + 1) // 2).
    """
    if rule == "power":
        return min(600, round(1.6 * cardinality**0.56))
    return min(50, (cardinality + 1) // 2)


class LevelEmbeddings(nn.Module):
    """The embeddings of all categorical columns, side by side.

    The tables lie end to end in one parameter, so that all columns of a batch are looked up, and
    their gradients added, by one call each instead of one call a column.

    Args:
        cardinalities: Codes of each column.
        sizes: Width of each column's embedding.
    """

    def __init__(self, cardinalities: Sequence[int], sizes: Sequence[int]) -> None:
        super().__init__()
        self.cardinalities, self.sizes = tuple(cardinalities), tuple(sizes)
        self.width = sum(sizes)
        lengths = [n * size for n, size in zip(cardinalities, sizes, strict=True)]
        self._starts = [sum(lengths[:i]) for i in range(len(lengths))]
        # As a column: a matrix decays, a vector would not.
        self.weight = nn.Parameter(torch.empty(sum(lengths), 1))
        # Small normal numbers without tails, the variant that fastai uses.
        with torch.no_grad():
            self.weight.normal_().fmod_(2).mul_(0.01)
        column = np.repeat(np.arange(len(sizes)), sizes)
        stride = np.repeat(sizes, sizes)
        first = np.concatenate([s + np.arange(d) for s, d in zip(self._starts, sizes, strict=True)])
        for name, values in (("column", column), ("stride", stride), ("first", first)):
            self.register_buffer(name, torch.from_numpy(values.astype(np.int64)), persistent=False)
        self.column: Tensor
        self.stride: Tensor
        self.first: Tensor

    def forward(self, codes: Tensor) -> Tensor:
        """Look up codes `(B, columns)`; return `(B, width)`."""
        places = codes.index_select(1, self.column) * self.stride + self.first
        found = self.weight.view(-1).index_select(0, places.view(-1))
        return found.view(len(codes), self.width)

    def table(self, index: int) -> Tensor:
        """The embedding of one column, `(codes, size)`."""
        start, n, size = self._starts[index], self.cardinalities[index], self.sizes[index]
        return self.weight[start : start + n * size].view(n, size)


class PiecewiseLinearEmbeddings(nn.Module):
    """Each number as how far it reaches through its column's bins, then a linear layer.

    Equation 1 of Gorishniy et al. 2022: bins left of the value are 1, right of it 0, its own says
    where it lies in it; the first and the last bin go on beyond their ends.

    Args:
        edges: Ends of the bins of each column, ascending, at least 2.
        size: Width of the embedding of each column.
    """

    def __init__(self, edges: Sequence[np.ndarray], size: int) -> None:
        super().__init__()
        bins = max(len(one) - 1 for one in edges)
        shape = (len(edges), 1, bins)
        start, scale = np.zeros(shape), np.zeros(shape)
        low, high = np.zeros(shape), np.ones(shape)
        for i, one in enumerate(edges):
            used = len(one) - 1
            start[i, 0, :used], scale[i, 0, :used] = one[:-1], 1 / np.diff(one)
            low[i, 0, 0], high[i, 0, used - 1] = -np.inf, np.inf
        for name, values in (("start", start), ("scale", scale), ("low", low), ("high", high)):
            self.register_buffer(name, torch.from_numpy(values.astype(np.float32)))
        self.start: Tensor
        self.scale: Tensor
        self.low: Tensor
        self.high: Tensor
        self.width = len(edges) * size
        bound = 1 / math.sqrt(bins)
        self.weight = nn.Parameter(torch.empty(len(edges), bins, size).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(len(edges), 1, size).uniform_(-bound, bound))

    def forward(self, numbers: Tensor) -> Tensor:
        """Embed numbers `(B, columns)`; return `(B, columns * size)`."""
        reach = (numbers.t().unsqueeze(2) - self.start) * self.scale  # (columns, B, bins)
        reach = torch.minimum(torch.maximum(reach, self.low), self.high)
        embedded = torch.baddbmm(self.bias, reach, self.weight)  # (columns, B, size)
        return embedded.transpose(0, 1).reshape(len(numbers), self.width)


class PeriodicEmbeddings(nn.Module):
    """Each number as sines and cosines of learned frequencies, a linear layer and ReLU.

    Section 3.3 of Gorishniy et al. 2022 (PLR).

    Args:
        columns: Number of columns.
        frequencies: Learned frequencies of each column.
        sigma: Deviation of the frequencies at first.
        size: Width of the embedding of each column.
    """

    def __init__(self, columns: int, frequencies: int, sigma: float, size: int) -> None:
        super().__init__()
        self.width = columns * size
        self.frequency = nn.Parameter(torch.empty(columns, 1, frequencies).normal_(0, sigma))
        bound = 1 / math.sqrt(2 * frequencies)
        shape = (columns, 2 * frequencies, size)
        self.weight = nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(columns, 1, size).uniform_(-bound, bound))

    def forward(self, numbers: Tensor) -> Tensor:
        """Embed numbers `(B, columns)`; return `(B, columns * size)`."""
        angle = 2 * math.pi * numbers.t().unsqueeze(2) * self.frequency  # (columns, B, frequencies)
        waves = torch.cat([angle.sin(), angle.cos()], 2)
        embedded = torch.baddbmm(self.bias, waves, self.weight).relu()
        return embedded.transpose(0, 1).reshape(len(numbers), self.width)


def bin_edges(
    numbers: np.ndarray, bins: int, by: BinsBy, truth: np.ndarray, *, classes: bool
) -> list[np.ndarray]:
    """Ends of the bins of each column, of training rows only.

    Args:
        numbers: `(n, columns)`, of the training rows.
        bins: At most so many in a column.
        by: `quantiles` of the values; `tree`: the thresholds of a decision tree that predicts the
            target from this one column, which puts bins where the target changes (section 3.2.2).
        truth: What the target learns, `(n,)` or `(n, outputs)`; used by `tree`.
        classes: Whether `truth` are classes.

    Returns:
        Ascending edges for each column, at least 2; a column of one value gets one bin of width 1.
    """
    edges = []
    for values in numbers.astype(np.float64).T:
        if by == "quantiles":
            inner = np.quantile(values, np.linspace(0, 1, bins + 1)[1:-1])
        else:
            kind = DecisionTreeClassifier if classes else DecisionTreeRegressor
            leaf = max(8, len(values) // 2000)
            tree = kind(max_leaf_nodes=max(2, bins), min_samples_leaf=leaf, random_state=0)
            fitted = tree.fit(values[:, None], truth).tree_
            inner = fitted.threshold[fitted.children_left >= 0]
        found = np.unique(np.concatenate([[values.min()], inner, [values.max()]]))
        # What is one number in float32 makes no bin.
        found = np.unique(found.astype(np.float32)).astype(np.float64)
        edges.append(found if len(found) > 1 else np.array([found[0], found[0] + 1]))
    return edges
