"""Networks that score how a user likes an item.

Every user and every item is one row [vector, bias] of one table. Side features and
what the user has rated add to those rows; then an interaction turns a user's and an item's row
into a score:

    dot_bias   s = p . q + b_u + b_i       (Koren, Bell & Volinsky 2009, "Matrix factorization
                                            techniques for recommender systems")
    mlp        s = MLP([p, q])             (fast.ai's EmbeddingNN; He et al. 2017, arXiv 1708.05031)

A score becomes a rating by the sigmoid range: low + (high - low) * sigmoid(s).
"""

import itertools
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from gradual.training.rows import RowTable
from gradual.training.settings import Settings


@dataclass(frozen=True)
class CollabModelConfig(Settings):
    """How users and items become a score.

    Attributes:
        interaction: `dot_bias`, the lesson's EmbeddingDotBias, or `mlp`, its EmbeddingNN.
        factors: Length of the vectors.
        y_range: Ratings lie between these, by a sigmoid; None leaves the score as it is.
        intercept: Scores start from the mean training rating, so that decay pulls a row of little
            evidence there and not to the middle of `y_range`.
        item_features: Add a row for each property of the item (needs a table of items).
        user_features: Add a row for each property of the user (needs a table of users).
        implicit: Add to a user's vector one for each item rated, whatever the rating, over the
            root of their number: SVD++ (Koren 2008, "Factorization meets the neighborhood").
        max_history: Most items of one user that `implicit` takes, the first ones given.
        time_bins: Item and user biases for so many equally full spans of time (Koren 2009,
            "Collaborative filtering with temporal dynamics"); 0 for none.
        layers: Sizes of the hidden layers (`mlp`).
        dropout: Rate after each hidden layer (`mlp`).
        init_std: Of the truncated normal distribution that the table starts from.
    """

    interaction: Literal["dot_bias", "mlp"] = "dot_bias"
    factors: int = 50
    y_range: tuple[float, float] | None = (0.0, 5.5)
    intercept: bool = False
    item_features: bool = False
    user_features: bool = False
    implicit: bool = False
    max_history: int = 1000
    time_bins: int = 0
    layers: tuple[int, ...] = (100,)
    dropout: float = 0.0
    init_std: float = 0.01

    def __post_init__(self) -> None:
        if self.interaction not in ("dot_bias", "mlp"):
            raise ValueError(f"interaction is {self.interaction!r}: set it to dot_bias or mlp")
        for name in ("factors", "max_history"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: give a number of at least 1")
        if self.time_bins < 0 or self.time_bins == 1:
            raise ValueError(f"time_bins is {self.time_bins}: give 0 for none, or 2 or more")
        if self.y_range is not None and not self.y_range[0] < self.y_range[1]:
            raise ValueError(f"y_range is {list(self.y_range)}: give [low, high] with low < high")
        if any(size < 1 for size in self.layers):
            raise ValueError(f"layers is {list(self.layers)}: give sizes of at least 1")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout}: give a share from 0 up to below 1")
        if self.init_std <= 0:
            raise ValueError(f"init_std is {self.init_std}: give a positive number")

    @property
    def width(self) -> int:
        """Numbers in a row: the vector and, for dot_bias, the bias."""
        return self.factors + (self.interaction == "dot_bias")


class _DotBiasFunction(torch.autograd.Function):
    """p . q + b_u + b_i of rows ``(B, 2, factors + 1)`` with its gradient in closed form.

    Autograd would cut the rows apart and add zero-filled gradients of the parts up again, which
    takes several times as long for the small batches of the lesson.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        users, items = rows.unbind(1)
        products = users * items
        products[:, -1] = users[:, -1] + items[:, -1]
        return products.sum(1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (rows,) = ctx.saved_tensors
        result = rows.flip(1).mul_(gradient[:, None, None])
        result[:, :, -1] = gradient[:, None]
        return result


class DotBias(nn.Module):
    """The scalar product of two vectors plus both biases, on rows ``(B, 2, factors + 1)``."""

    def forward(self, rows: Tensor) -> Tensor:
        """Return scores ``(B,)``."""
        return _DotBiasFunction.apply(rows)

    def all_pairs(self, users: Tensor, items: Tensor) -> Tensor:
        """Return scores ``(users, items)`` of all pairs of rows in one matrix product."""
        scores = torch.addmm(items[None, :, -1], users[:, :-1], items[:, :-1].T)
        return scores.add_(users[:, -1:])


class EmbeddingNN(nn.Module):
    """A perceptron on both vectors, on rows ``(B, 2, factors)``."""

    def __init__(self, config: CollabModelConfig) -> None:
        super().__init__()
        sizes = (2 * config.factors, *config.layers)
        layers: list[nn.Module] = []
        for size, following in itertools.pairwise(sizes):
            layers += [nn.Linear(size, following), nn.ReLU(), nn.BatchNorm1d(following)]
            if config.dropout:
                layers.append(nn.Dropout(config.dropout))
        self.layers = nn.Sequential(*layers, nn.Linear(sizes[-1], 1))

    def forward(self, rows: Tensor) -> Tensor:
        """Return scores ``(B,)``."""
        if self.training and len(rows) == 1:  # one value has no variance to normalise by
            self.eval()
            scores = self.layers(rows.flatten(1)).squeeze(1)
            self.train()
            return scores
        return self.layers(rows.flatten(1)).squeeze(1)

    def all_pairs(self, users: Tensor, items: Tensor) -> Tensor:
        """Return scores ``(users, items)`` of all pairs of rows, one user after the other."""
        scores = users.new_empty(len(users), len(items))
        pairs = users.new_empty(len(items), 2, users.shape[1])
        pairs[:, 1] = items
        for index, user in enumerate(users):
            pairs[:, 0] = user
            scores[index] = self(pairs)
        return scores


def make_interaction(config: CollabModelConfig) -> DotBias | EmbeddingNN:
    """Return the module that turns rows into scores."""
    return DotBias() if config.interaction == "dot_bias" else EmbeddingNN(config)


def squash(scores: Tensor, y_range: tuple[float, float] | None) -> Tensor:
    """Return ratings: scores through the sigmoid range."""
    if y_range is None:
        return scores
    low, high = y_range
    return torch.sigmoid(scores) * (high - low) + low


def unsquash(rating: float, y_range: tuple[float, float] | None) -> float:
    """Return the score of a rating; one at or beyond the range's ends is taken just inside."""
    if y_range is None:
        return rating
    low, high = y_range
    share = min(max((rating - low) / (high - low), 1e-3), 1 - 1e-3)
    return float(torch.logit(torch.tensor(share, dtype=torch.float64)))


@dataclass(frozen=True)
class RatedItems:
    """What each user has rated, user by user.

    Attributes:
        items: ``(n,)`` int64 item numbers, the first user's first.
        offsets: ``(users + 1,)`` int64 where each user's items begin.
    """

    items: Tensor
    offsets: Tensor

    def to(self, device: torch.device) -> "RatedItems":
        """Return the same on a device."""
        return RatedItems(self.items.to(device), self.offsets.to(device))

    def of(self, users: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the users' items one after the other, where each user's begin, and how many."""
        counts = self.offsets[users + 1] - self.offsets[users]
        starts = counts.cumsum(0) - counts
        where = torch.arange(int(counts.sum()), device=users.device)
        where += (self.offsets[users] - starts).repeat_interleave(counts)
        return self.items[where], starts, counts


class CollabNet(nn.Module):
    """The table of users and items, what adds to its rows, and the interaction.

    Args:
        config: Sizes and parts.
        users: Number of users, the unknown one (0) included.
        items: Number of items, the unknown one (0) included.
        offset: Score to start from; see `CollabModelConfig.intercept`.
        user_features: ``(users, properties)`` float32, or None.
        item_features: ``(items, properties)`` float32, or None.
        rated_items: What each user has rated, if the configuration asks for it.

    Attributes:
        table: Rows of the users, then of the items.
    """

    def __init__(
        self,
        config: CollabModelConfig,
        users: int,
        items: int,
        *,
        offset: float = 0.0,
        user_features: Tensor | None = None,
        item_features: Tensor | None = None,
        rated_items: RatedItems | None = None,
    ) -> None:
        super().__init__()
        self.config, self.users, self.items, self.offset = config, users, items, offset
        width, std = config.width, config.init_std
        self.table = RowTable(users + items, width, std)
        self.interaction = make_interaction(config)
        # Not persistent: they are inputs, and a bundle holds the rows that they lead to.
        self.user_features: Tensor | None
        self.item_features: Tensor | None
        self.register_buffer("user_features", user_features, persistent=False)
        self.register_buffer("item_features", item_features, persistent=False)
        self.of_user = _linear(user_features, width)
        self.of_item = _linear(item_features, width)
        self.rated_items = rated_items
        self.rated = RowTable(items, config.factors, std) if rated_items is not None else None
        bins = config.time_bins
        self.in_time = RowTable((users + items) * bins, 1, std) if bins else None

    @property
    def from_table_only(self) -> bool:
        """Whether rows are what stands in the table."""
        return self.of_user is None and self.of_item is None and self.rated is None

    def forward(self, ids: Tensor, times: Tensor | None = None) -> Tensor:
        """Return scores ``(B,)``.

        Args:
            ids: ``(B, 2)`` row of the user, row of the item (`users` + item number).
            times: ``(B,)`` time bins, for a configuration that has them.
        """
        rows = self.table(ids)  # (B, 2, width)
        if not self.from_table_only:
            users, items = ids[:, 0], ids[:, 1] - self.users
            rows = rows + torch.stack([self._user_extra(users), self._item_extra(items)], 1)
        scores = self.interaction(rows)
        if self.in_time is not None and times is not None:
            scores = scores + self._time_bias(ids, times)
        return scores + self.offset if self.offset else scores

    def rating(self, ids: Tensor, times: Tensor | None = None) -> Tensor:
        """Return ratings ``(B,)``: scores through the sigmoid range."""
        return squash(self(ids, times), self.config.y_range)

    def _item_extra(self, items: Tensor) -> Tensor:
        if self.of_item is None or self.item_features is None:
            return self.table.weight.new_zeros(len(items), self.config.width)
        return self.of_item(self.item_features[items])

    def _user_extra(self, users: Tensor) -> Tensor:
        extra = self.table.weight.new_zeros(len(users), self.config.width)
        if self.of_user is not None and self.user_features is not None:
            extra = extra + self.of_user(self.user_features[users])
        if self.rated is not None and self.rated_items is not None:
            distinct, place = users.unique(return_inverse=True)
            items, starts, counts = self.rated_items.of(distinct)
            weights = counts.to(extra.dtype).rsqrt().repeat_interleave(counts)
            sums = self.rated.bag(items, starts, weights)
            missing = extra.shape[1] - sums.shape[1]
            extra = extra + nn.functional.pad(sums, (0, missing))[place]
        return extra

    def _time_bias(self, ids: Tensor, times: Tensor) -> Tensor:
        assert self.in_time is not None
        return self.in_time(ids * self.config.time_bins + times[:, None]).sum((1, 2))

    @torch.no_grad()
    def rows(self) -> tuple[Tensor, Tensor]:
        """Return all rows with what adds to them: of users ``(users, width)``, of items alike.

        Row 0, whom the model does not know, is the mean of the others.
        """
        users, items = (part.clone() for part in self.table.weight.split([self.users, self.items]))
        for rows, extra in ((users, self._user_extra), (items, self._item_extra)):
            if not self.from_table_only:
                for block in torch.arange(len(rows), device=rows.device).split(8192):
                    rows[block] += extra(block)
            rows[0] = rows[1:].mean(0)
        return users, items

    @torch.no_grad()
    def time_biases(self) -> tuple[Tensor, Tensor] | None:
        """Return biases in time: of users ``(users, bins)``, of items alike; 0 for the unknown."""
        if self.in_time is None:
            return None
        biases = self.in_time.weight.view(-1, self.config.time_bins).clone()
        users, items = biases.split([self.users, self.items])
        users[0] = items[0] = 0
        return users, items


def _linear(features: Tensor | None, width: int) -> nn.Linear | None:
    if features is None:
        return None
    layer = nn.Linear(features.shape[1], width, bias=False)
    nn.init.zeros_(layer.weight)
    return layer
