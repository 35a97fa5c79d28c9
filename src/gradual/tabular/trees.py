"""Fitted trees of scikit-learn as arrays, so that a model of trees is stored without pickle.

All trees of a forest, or of gradient boosting, stand one after the other in the same arrays. A row
walks down all of them at once:

    node ← left[node] if the node's column says so, else right[node]      a leaf leads to itself
    output = base + Σ over trees values[leaf]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from sklearn.ensemble import (
        HistGradientBoostingClassifier,
        HistGradientBoostingRegressor,
        RandomForestClassifier,
        RandomForestRegressor,
    )

_VISITS = 1 << 21
"""Places of rows in trees that are held at a time."""


@dataclass(frozen=True)
class Trees:
    """Trees packed into arrays.

    Attributes:
        column: `(nodes,)` which column a node asks about.
        threshold: `(nodes,)` a number up to this goes left.
        left: `(nodes,)` where to go next; a leaf's own number.
        right: `(nodes,)` likewise.
        codes: `(nodes,)` row of `left_codes` for a node that asks about a code; -1 for a number.
        left_codes: `(questions, width)` 1 where a code goes left; the last column stands for
            codes that training never saw.
        values: `(nodes, outputs)` what a leaf adds; 0 elsewhere.
        roots: `(trees,)` first node of each tree.
        base: `(outputs,)` what the trees add to.
        depth: `(1,)` steps from a root to the farthest leaf.
    """

    column: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    codes: np.ndarray
    left_codes: np.ndarray
    values: np.ndarray
    roots: np.ndarray
    base: np.ndarray
    depth: np.ndarray

    def outputs(self, matrix: np.ndarray) -> np.ndarray:
        """Add up the trees' leaves.

        Args:
            matrix: `(n, columns)` as the estimator was fitted on, without gaps.

        Returns:
            `(n, outputs)`, float64: shares of a forest, log-odds or values of boosting.
        """
        result = np.empty((len(matrix), self.values.shape[1]))
        step = max(1, _VISITS // len(self.roots))
        for start in range(0, len(matrix), step):
            part = matrix[start : start + step]
            leaves = self._leaves(part)
            result[start : start + step] = self.base + self.values[leaves].sum(axis=1)
        return result

    def _leaves(self, matrix: np.ndarray) -> np.ndarray:
        """`(n, trees)` the leaf of each tree that a row ends in."""
        rows = np.arange(len(matrix))[:, None]
        node = np.broadcast_to(self.roots, (len(matrix), len(self.roots)))
        unseen = self.left_codes.shape[1] - 1
        for _ in range(int(self.depth[0])):
            asked = matrix[rows, self.column[node]]
            goes_left = asked <= self.threshold[node]
            question = self.codes[node]
            of_code = question >= 0
            if of_code.any():
                code = np.minimum(asked[of_code].astype(np.int64), unseen)
                goes_left[of_code] = self.left_codes[question[of_code], code]
            node = np.where(goes_left, self.left[node], self.right[node])
        return node

    def state(self) -> dict[str, torch.Tensor]:
        """The arrays as tensors, for a bundle."""
        return {name: torch.from_numpy(np.array(value)) for name, value in vars(self).items()}


def pack_forest(model: RandomForestClassifier | RandomForestRegressor) -> Trees:
    """Pack a random forest of one target; its outputs are shares of the classes, or values."""
    trees = [estimator.tree_ for estimator in model.estimators_]
    parts = []
    for tree in trees:
        values = tree.value[:, 0, :]
        if hasattr(model, "classes_"):
            values = values / values.sum(axis=1, keepdims=True)
        leaf = tree.children_left < 0
        own = np.arange(tree.node_count)
        parts.append(
            {
                "column": np.where(leaf, 0, tree.feature),
                "threshold": np.where(leaf, np.inf, tree.threshold),
                "left": np.where(leaf, own, tree.children_left),
                "right": np.where(leaf, own, tree.children_right),
                "codes": np.full(tree.node_count, -1),
                "values": np.where(leaf[:, None], values, 0) / len(trees),
            }
        )
    depth = max(tree.max_depth for tree in trees)
    base = np.zeros(parts[0]["values"].shape[1])
    return _pack(parts, np.zeros((0, 1), np.uint8), base, depth)


def pack_boosting(model: HistGradientBoostingClassifier | HistGradientBoostingRegressor) -> Trees:
    """Pack histogram gradient boosting; its outputs are log-odds (one where there are two classes).

    scikit-learn (1.9, see the bound in pyproject.toml) puts the columns of codes first and numbers
    the codes that it has seen anew; both is undone here, so that the trees take the matrix as it
    was given to `fit`.
    """
    seen, order = _categories(model)
    base = np.asarray(model._baseline_prediction, np.float64).reshape(-1)
    width = 1 + max((int(codes.max()) + 1 for codes in seen), default=0)
    parts: list[dict[str, np.ndarray]] = []
    questions: list[np.ndarray] = []
    depth = 0
    for stage in model._predictors:
        for output, tree in enumerate(stage):
            nodes = tree.nodes
            leaf = nodes["is_leaf"].astype(bool)
            asks = nodes["is_categorical"].astype(bool) & ~leaf
            codes = np.full(len(nodes), -1)
            codes[asks] = len(questions) + np.arange(asks.sum())
            for node in nodes[asks]:
                bits = tree.raw_left_cat_bitsets[node["bitset_idx"]]
                known = seen[node["feature_idx"]]
                number = np.arange(len(known))
                goes_left = np.full(width, bool(node["missing_go_to_left"]))
                goes_left[known] = bits[number // 32] >> (number % 32) & 1
                questions.append(goes_left)
            own = np.arange(len(nodes))
            values = np.zeros((len(nodes), len(base)))
            values[leaf, output] = nodes["value"][leaf]
            parts.append(
                {
                    "column": np.where(leaf, 0, order[nodes["feature_idx"]]),
                    "threshold": np.where(leaf, np.inf, nodes["num_threshold"]),
                    "left": np.where(leaf, own, nodes["left"]),
                    "right": np.where(leaf, own, nodes["right"]),
                    "codes": codes,
                    "values": values,
                }
            )
            depth = max(depth, int(nodes["depth"].max()))
    left_codes = np.array(questions, np.uint8).reshape(-1, width)
    return _pack(parts, left_codes, base, depth)


def _categories(model: Any) -> tuple[list[np.ndarray], np.ndarray]:
    """Codes that were seen, by the model's own columns, and the given column of each of those."""
    if model.is_categorical_ is None:
        return [], np.arange(model.n_features_in_)
    of_codes = np.asarray(model.is_categorical_)
    encoder = model._preprocessor.named_transformers_["encoder"]
    order = np.concatenate([np.flatnonzero(of_codes), np.flatnonzero(~of_codes)])
    return [np.asarray(codes).astype(np.int64) for codes in encoder.categories_], order


def _pack(
    parts: Sequence[dict[str, np.ndarray]], left_codes: np.ndarray, base: np.ndarray, depth: int
) -> Trees:
    sizes = np.array([len(part["left"]) for part in parts])
    roots = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    for part, root in zip(parts, roots, strict=True):
        part["left"] = part["left"] + root
        part["right"] = part["right"] + root
    kinds = dict.fromkeys(("column", "left", "right", "codes"), np.int32)
    joined = {
        name: np.concatenate([part[name] for part in parts]).astype(kinds.get(name, np.float64))
        for name in parts[0]
    }
    return Trees(
        **joined,
        left_codes=left_codes.astype(np.uint8),
        roots=roots.astype(np.int32),
        base=base,
        depth=np.array([depth], np.int32),
    )
