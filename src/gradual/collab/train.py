"""Ratings to a trained recommender, on the shared engine."""

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from gradual.collab.features import SideFeatures
from gradual.collab.ids import IdMap
from gradual.collab.metrics import ranking_scores
from gradual.collab.models import CollabModelConfig, CollabNet, RatedItems, squash, unsquash
from gradual.collab.recommender import KIND, ListsConfig
from gradual.collab.warm_start import fill_from
from gradual.sources.errors import SourceError
from gradual.sources.splits import part_rows
from gradual.training.bundle import Bundle
from gradual.training.config import Phase, TrainingConfig
from gradual.training.engine import CheckpointStore, fit
from gradual.training.files import to_json_types
from gradual.training.history import History
from gradual.training.modules import array_hash, cpu_state
from gradual.training.settings import Settings
from gradual.training.task import BatchStream, Task

#: The lesson's recipe.
LESSON = TrainingConfig(phases=(Phase(epochs=3, lr=5e-3),), precision="float32")
_AHEAD = 1 << 18
"""Ratings that are put in an epoch's order at a time."""
_RANKED_USERS = 1000
"""Most users whose lists are looked at after each epoch of a ranking model."""


@dataclass(frozen=True)
class CollabConfig(Settings):
    """How a recommender is built and trained.

    Attributes:
        model: Parts and sizes.
        training: Phases and what they share.
        batch_size: Ratings in a batch.
        loss: `mse` learns ratings. Both others learn the order of items from what users took:
            `bpr` is the pairwise loss of Rendle et al. 2009 (arXiv 1205.2618), `softmax` the
            sampled softmax, corrected for how often an item is drawn (Bengio & Senecal 2008).
        positive_from: Ratings of at least this count as taken, and only those are learned from
            (`bpr`, `softmax`); None takes all.
        negatives: Items drawn for each one taken (`bpr`, `softmax`). One that the user took, too,
            does not count.
        negatives_power: An item is drawn by its number of ratings to this power; 0 draws all
            alike.
        refit: After validation has said how many epochs are best, train once more on training and
            validation ratings. Only test ratings can score that model.
    """

    model: CollabModelConfig = field(default_factory=CollabModelConfig)
    training: TrainingConfig = LESSON
    batch_size: int = 64
    loss: Literal["mse", "bpr", "softmax"] = "mse"
    positive_from: float | None = None
    negatives: int = 8
    negatives_power: float = 0.5
    refit: bool = False

    def __post_init__(self) -> None:
        if self.loss not in ("mse", "bpr", "softmax"):
            raise ValueError(f"loss is {self.loss!r}: set it to mse, bpr or softmax")
        for name in ("batch_size", "negatives"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: give a number of at least 1")
        if self.loss == "mse" and self.positive_from is not None:
            raise ValueError(
                f"positive_from is {self.positive_from}, but the loss mse learns from all ratings: "
                "set it to null, or the loss to bpr or softmax"
            )
        if self.loss != "mse" and self.model.time_bins:
            raise ValueError("time_bins goes with the loss mse only: set it to 0")

    @property
    def y_range(self) -> tuple[float, float] | None:
        """The range of the model's answers; a ranking has none."""
        return self.model.y_range if self.loss == "mse" else None


@dataclass(frozen=True)
class Interactions:
    """Ratings as tensors.

    Attributes:
        ids: ``(n, 2)`` int32: row of the user, row of the item in the model's table.
        ratings: ``(n,)`` float32.
        times: ``(n,)`` int16 time bins, or None.
    """

    ids: Tensor
    ratings: Tensor
    times: Tensor | None = None

    def __len__(self) -> int:
        """Number of ratings."""
        return len(self.ratings)

    def to(self, device: torch.device) -> "Interactions":
        """Return the same on a device."""
        times = None if self.times is None else self.times.to(device)
        return Interactions(self.ids.to(device), self.ratings.to(device), times)


Batch = tuple[Tensor, Tensor, Tensor | None]


class _Batches:
    """One epoch's batches: all ratings in a random order."""

    def __init__(self, data: Interactions, size: int, epoch: int, seed: int) -> None:
        self._data, self._size = data, size
        generator = torch.Generator().manual_seed((seed * 1_000_003 + epoch) % 2**63)
        kind = torch.int32 if len(data) < 2**31 else torch.int64
        self._order = torch.randperm(len(data), generator=generator, dtype=kind)

    def __len__(self) -> int:
        return -(-len(self._data) // self._size)

    def iterate(self, start: int) -> Iterator[Batch]:
        data, size = self._data, self._size
        ahead = max(_AHEAD // size, 1) * size
        for first in range(start * size, len(data), ahead):
            rows = self._order[first : first + ahead].to(data.ids.device)
            ids = data.ids[rows].long().split(size)
            ratings = data.ratings[rows].split(size)
            times = [None] * len(ids) if data.times is None else data.times[rows].long().split(size)
            yield from zip(ids, ratings, times, strict=True)


class CollabTask(Task):
    """A network of users and items with its training and validation ratings.

    Args:
        net: The network.
        train: Ratings to learn from.
        valid: Ratings to validate on.
        config: Loss and batch size.
    """

    def __init__(
        self, net: CollabNet, train: Interactions, valid: Interactions, config: CollabConfig
    ) -> None:
        self.model: CollabNet = net
        self._train, self._valid, self._config = train, valid, config
        if config.loss != "mse":
            self._prepare_negatives()

    def _prepare_negatives(self) -> None:
        items = self._train.ids[:, 1].long() - self.model.users
        counts = torch.bincount(items, minlength=self.model.items).double()
        weights = torch.where(counts > 0, counts.pow(self._config.negatives_power), 0.0)
        weights[0] = 0
        self._drawn = weights.cumsum(0)
        self._log_share = (weights / weights.sum()).log().float()
        users = self._train.ids[:, 0].long()
        self._taken = (users * self.model.items + items).sort().values

    def to(self, device: torch.device) -> None:
        """Move the model and the ratings to a device."""
        super().to(device)
        self._train, self._valid = self._train.to(device), self._valid.to(device)
        if self.model.rated_items is not None:
            self.model.rated_items = self.model.rated_items.to(device)
        if self._config.loss != "mse":
            self._drawn, self._log_share = self._drawn.to(device), self._log_share.to(device)
            self._taken = self._taken.to(device)

    def batches(self, epoch: int, seed: int) -> BatchStream:
        """Return all training ratings in the order of that epoch."""
        return _Batches(self._train, self._config.batch_size, epoch, seed)

    def loss(self, batch: Batch) -> Tensor:
        """Return the mean loss of a batch."""
        ids, ratings, times = batch
        if self._config.loss == "mse":
            return F.mse_loss(self.model.rating(ids, times), ratings)
        return self._ranking_loss(ids)

    def _ranking_loss(self, ids: Tensor) -> Tensor:
        count, net = self._config.negatives, self.model
        # Uniform in [0, 1) on the CPU's generator, so that every device draws the same items.
        uniform = torch.rand(len(ids), count, dtype=torch.float64).to(self._drawn)
        drawn = torch.searchsorted(self._drawn, uniform * self._drawn[-1], right=True)
        pairs = torch.stack([ids[:, :1].expand_as(drawn), drawn + net.users], 2)  # (B, count, 2)
        scores = net(torch.cat([ids[:, None], pairs], 1).flatten(0, 1)).view(len(ids), count + 1)
        key = ids[:, :1] * net.items + drawn
        place = torch.searchsorted(self._taken, key).clamp_(max=len(self._taken) - 1)
        taken = self._taken[place] == key
        if self._config.loss == "bpr":
            losses = F.softplus(scores[:, 1:] - scores[:, :1])
            return losses.masked_fill(taken, 0).sum() / (~taken).sum().clamp(min=1)
        # What is drawn often must not be pushed down for that alone.
        rest = (scores[:, 1:] - self._log_share[drawn]).masked_fill(taken, -torch.inf)
        first = scores[:, :1] - self._log_share[ids[:, 1] - net.users, None]
        return -torch.cat([first, rest], 1).log_softmax(1)[:, 0].mean()

    def validate(self) -> dict[str, float]:
        """Return error or ranking figures of the validation ratings, if there are any."""
        if not len(self._valid):
            return {}
        if self._config.loss == "mse":
            errors = self._ratings_of_valid() - self._valid.ratings
            mse = float(errors.double().square().mean())
            return {"valid_loss": mse, "valid_rmse": mse**0.5}
        return self._ranking_of_valid()

    def _ratings_of_valid(self) -> Tensor:
        net, valid = self.model, self._valid
        users, items = net.rows()
        biases = net.time_biases()
        parts = []
        for block in torch.arange(len(valid), device=users.device).split(_AHEAD):
            user, item = valid.ids[block].long().unbind(1)
            item = item - net.users
            scores = net.interaction(torch.stack([users[user], items[item]], 1)) + net.offset
            if biases is not None and valid.times is not None:
                times = valid.times[block].long()
                scores = scores + biases[0][user, times] + biases[1][item, times]
            parts.append(squash(scores, self._config.y_range))
        return torch.cat(parts)

    def _ranking_of_valid(self) -> dict[str, float]:
        net = self.model
        users, items = net.rows()
        asked = self._valid.ids[:, 0].unique()
        asked = asked[asked > 0][:_RANKED_USERS].long()
        scores = net.interaction.all_pairs(users[asked], items)
        scores[:, 0] = -torch.inf
        place = torch.full((net.users,), -1, device=users.device)
        place[asked] = torch.arange(len(asked), device=users.device)
        user, item = self._train.ids.long().unbind(1)
        seen = place[user] >= 0
        scores[place[user[seen]], item[seen] - net.users] = -torch.inf
        top = scores.topk(min(10, net.items - 1)).indices.cpu().numpy()
        held = self._valid.ids.long().cpu().numpy()
        found = ranking_scores(top, asked.cpu().numpy(), held[:, 0], held[:, 1] - net.users)
        return {f"valid_{name}": value for name, value in found.items()}


def train_collab(
    ratings: pa.Table,
    parts: pa.Table,
    config: CollabConfig,
    *,
    items: pa.Table | None = None,
    users: pa.Table | None = None,
    lists: ListsConfig | None = None,
    start: Bundle | None = None,
    store: CheckpointStore | None = None,
    on_epoch: Callable[[dict[str, float], int], None] | None = None,
) -> tuple[Bundle, History]:
    """Train a recommender.

    Args:
        ratings: Table of `gradual.collab.ratings.read_ratings`.
        parts: Table of `split_ratings`; learns from `train`, validates on `valid`.
        config: Model and training.
        items: Titles and properties of items, of `read_side`.
        users: Properties of users.
        lists: What lists hold unless somebody asks for something else; goes with the model.
        start: An earlier recommender to start from, as far as users and items are the same; None
            starts from random weights.
        store: Where checkpoints are kept.
        on_epoch: Gets each epoch's figures and its number, from 1.

    Returns:
        Bundle of kind ``collab``, to be used through `gradual.collab.recommender.Recommender`,
        and what was measured before the refit, if there is one.

    Raises:
        SourceError: Rows are missing for what the configuration asks.
        NonFiniteLossError: Training diverged.
    """
    if config.refit and not len(part_rows(parts, "test")):
        raise SourceError(
            "refit is true, so that the validation ratings are learned from, and there are no test "
            "ratings to score the model on: give split.test, or set refit to false"
        )
    setup = _set_up(ratings, parts, config, items, users, start)
    history = _fit(setup, config, config.training, "Recommender", store, on_epoch)
    epochs = history.best_epoch or len(history.epochs)
    noise = history.epochs[epochs - 1].get("valid_loss", 1.0)
    if config.refit:
        setup = _set_up(ratings, _learn_from_valid(parts), config, items, users, start)
        _fit(
            setup,
            config,
            config.training.shortened(epochs),
            "Recommender, on validation ratings too",
            None if store is None else CheckpointStore(store.path / "refit"),
        )
    net = setup.task.model
    metadata = {
        "users": setup.users.to_list(),
        "items": setup.items.to_list(),
        "titles": _titles(items, setup.items),
        "features": setup.side,
        "mean": setup.mean,
        "offset": net.offset,
        "time_edges": setup.edges,
        "loss": config.loss,
        "noise": noise,
        "ratings": len(setup.train),
        "learned_from": ["train", "valid"] if config.refit else ["train"],
        "settings": (lists or ListsConfig()).settings,
    }
    bundle = Bundle(
        kind=KIND,
        config=to_json_types(setup.model),
        state=_state(net, setup.rated, setup.train),
        metadata=metadata,
        dependencies={"users": setup.users.hash, "items": setup.items.hash, **setup.start},
    )
    return bundle, history


def _fit(
    setup: "_SetUp",
    config: CollabConfig,
    training: TrainingConfig,
    name: str,
    store: CheckpointStore | None,
    on_epoch: Callable[[dict[str, float], int], None] | None = None,
) -> History:
    key = {
        "model": setup.model,
        "loss": [config.loss, config.negatives, config.negatives_power, config.batch_size],
        "data": [_hash(setup.train), _hash(setup.valid)],
        "side": {name: array_hash(tensor.numpy()) for name, tensor in setup.tensors.items()},
        **setup.start,
    }
    return fit(setup.task, training, name=name, store=store, key=key, on_epoch=on_epoch)


def _learn_from_valid(parts: pa.Table) -> pa.Table:
    part = parts["part"]
    return pa.table({"part": pc.if_else(pc.equal(part, "valid"), "train", part)})


def collab_task(
    ratings: pa.Table,
    parts: pa.Table,
    config: CollabConfig,
    *,
    items: pa.Table | None = None,
    users: pa.Table | None = None,
) -> CollabTask:
    """Return what `train_collab` trains, untrained: for the learning-rate range test."""
    return _set_up(ratings, parts, config, items, users).task


@dataclass(frozen=True)
class _SetUp:
    """A task and what its bundle has to say about it."""

    task: CollabTask
    model: CollabModelConfig
    users: IdMap
    items: IdMap
    train: Interactions
    valid: Interactions
    rated: RatedItems
    mean: float
    edges: list[float]
    side: dict[str, Any]
    tensors: dict[str, Tensor]
    start: dict[str, str]


def _set_up(
    ratings: pa.Table,
    parts: pa.Table,
    config: CollabConfig,
    items: pa.Table | None,
    users: pa.Table | None,
    start: Bundle | None = None,
) -> _SetUp:
    known = ratings.take(part_rows(parts, "train"))
    user_map, item_map = IdMap.fit(known["user"]), IdMap.fit(known["item"])
    for wanted, table, name in (
        (config.model.item_features, items, "item"),
        (config.model.user_features, users, "user"),
    ):
        if wanted and table is None:
            raise SourceError(
                f"{name}_features is true, but there is no table of {name}s: give one, or set it "
                "to false"
            )
    edges = time_edges(ratings, parts, config.model.time_bins)
    train = _interactions(ratings, part_rows(parts, "train"), user_map, item_map, edges)
    valid = _interactions(ratings, part_rows(parts, "valid"), user_map, item_map, edges)
    mean = float(train.ratings.double().mean())
    rated = rated_items(train, len(user_map))
    if config.positive_from is not None:
        train, valid = (_liked(data, config.positive_from) for data in (train, valid))
    side: dict[str, Any] = {}
    tensors: dict[str, Tensor] = {}
    for name, table, ids, wanted in (
        ("item_features", items, item_map, config.model.item_features),
        ("user_features", users, user_map, config.model.user_features),
    ):
        if wanted and table is not None:
            features = SideFeatures.fit(table, ids)
            tensors[name], side[name] = features.of_ids(table, ids), features.to_dict()
    model = dataclasses.replace(config.model, y_range=config.y_range)
    with torch.random.fork_rng():
        torch.manual_seed(config.training.seed)
        net = CollabNet(
            model,
            len(user_map),
            len(item_map),
            offset=unsquash(mean, model.y_range) if model.intercept else 0.0,
            rated_items=_capped(rated, model.max_history) if model.implicit else None,
            **tensors,
        )
    if start is not None:
        fill_from(start, net, user_map, item_map, edges)
    return _SetUp(
        task=CollabTask(net, train, valid, config),
        model=model,
        users=user_map,
        items=item_map,
        train=train,
        valid=valid,
        rated=rated,
        mean=mean,
        edges=edges,
        side=side,
        tensors=tensors,
        start={} if start is None else {"start": start.hash},
    )


def _state(net: CollabNet, rated: RatedItems, train: Interactions) -> dict[str, Tensor]:
    net = net.cpu()
    if net.rated_items is not None:
        net.rated_items = net.rated_items.to(torch.device("cpu"))
    users, items = net.rows()
    counts = torch.bincount(train.ids[:, 1].long() - net.users, minlength=net.items)
    state = {
        "users": users,
        "items": items,
        "rated_items": rated.items.int(),
        "rated_offsets": rated.offsets,
        "item_counts": counts,
    }
    state |= {f"interaction.{n}": t for n, t in cpu_state(net.interaction).items()}
    biases = net.time_biases()
    if biases is not None:
        state |= {"user_times": biases[0].clone(), "item_times": biases[1].clone()}
    return state


def time_edges(ratings: pa.Table, parts: pa.Table, bins: int) -> list[float]:
    """Return the times between equally full bins of the training ratings.

    Raises:
        SourceError: Bins are asked for, but the ratings have no time.
    """
    if not bins:
        return []
    if "time" not in ratings.column_names:
        raise SourceError(
            f"time_bins is {bins}, but the ratings have no time: set it to 0, or name the time's "
            "column"
        )
    times = ratings["time"].to_numpy()[part_rows(parts, "train")]
    return [float(edge) for edge in np.quantile(times, np.arange(1, bins) / bins)]


def _interactions(
    ratings: pa.Table, rows: np.ndarray, users: IdMap, items: IdMap, edges: list[float]
) -> Interactions:
    chosen = ratings.take(rows)
    ids = np.stack([users.encode(chosen["user"]), items.encode(chosen["item"]) + len(users)], 1)
    times = None
    if edges:
        bins = np.searchsorted(edges, chosen["time"].to_numpy(), "right")
        times = torch.from_numpy(bins.astype(np.int16))
    values = chosen["rating"].to_numpy().astype(np.float32, copy=True)
    return Interactions(torch.from_numpy(ids.astype(np.int32)), torch.from_numpy(values), times)


def _liked(data: Interactions, least: float) -> Interactions:
    rows = torch.nonzero(data.ratings >= least)[:, 0]
    if not len(rows):
        raise SourceError(f"no rating is at least {least}: lower positive_from")
    return Interactions(data.ids[rows], data.ratings[rows])


def rated_items(train: Interactions, users: int) -> RatedItems:
    """Return what each user has rated, user by user, items ascending."""
    user, item = train.ids.long().unbind(1)
    order = (user * (int(item.max()) + 1) + item).argsort()
    counts = torch.bincount(user, minlength=users)
    offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    return RatedItems((item[order] - users).contiguous(), offsets)


def _capped(rated: RatedItems, most: int) -> RatedItems:
    counts = rated.offsets.diff()
    place = torch.arange(len(rated.items)) - rated.offsets[:-1].repeat_interleave(counts)
    kept = counts.clamp(max=most)
    offsets = torch.cat([kept.new_zeros(1), kept.cumsum(0)])
    return RatedItems(rated.items[place < most], offsets)


def _titles(items: pa.Table | None, ids: IdMap) -> list[str | None]:
    """Return the title of each item number, None where there is none; nothing without a table."""
    if items is None or "title" not in items.column_names:
        return []
    numbers = ids.encode(items["id"])
    titles = np.full(len(ids), None, object)
    titles[numbers] = items["title"].to_numpy(zero_copy_only=False)
    titles[0] = None
    return [None if title is None else str(title) for title in titles]


def _hash(data: Interactions) -> list[str]:
    tensors = [data.ids, data.ratings, *([] if data.times is None else [data.times])]
    return [array_hash(tensor.numpy()) for tensor in tensors]
