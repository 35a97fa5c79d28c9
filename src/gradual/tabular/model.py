"""The nets on tables, and the configuration that chooses one.

`mlp` is the entity-embedding net of the fastai library and of Guo & Berkhahn 2016. `tabm` is
TabM-mini: Gorishniy, Kotelnikov & Babenko 2024, "TabM: Advancing Tabular Deep Learning with
Parameter-Efficient Ensembling", arXiv 2410.24210, with the embeddings of numbers of arXiv
2203.05556. Both give `(B, members, outputs)`; `mlp` has one member.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from gradual.tabular.embeddings import (
    BinsBy,
    EmbeddingRule,
    LevelEmbeddings,
    NumberEmbedding,
    PeriodicEmbeddings,
    PiecewiseLinearEmbeddings,
    embedding_size,
)
from gradual.tabular.targets import Target
from gradual.training.bundle import Bundle
from gradual.training.config import EarlyStopping, Phase, TrainingConfig
from gradual.training.files import from_json_types
from gradual.training.modules import load_state
from gradual.training.settings import Settings

KIND = "tabular"
Net = Literal["mlp", "tabm"]

#: One cycle of the lesson. Small matrices are faster in float32 than with a cast at every step.
MLP_TRAINING = TrainingConfig(phases=(Phase(epochs=1, lr=1e-2),), precision="float32")
TABM_TRAINING = TrainingConfig(
    phases=(Phase(epochs=16, lr=1e-2),),
    beta2=0.999,
    eps=1e-8,
    gradient_clip=1.0,
    early_stopping=EarlyStopping(patience=6),
)
#: What each net has where the configuration says nothing.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "mlp": {
        "layers": (200, 100),
        "dropout": 0.0,
        "number_embedding": "none",
        "batch_size": 64,
        "training": MLP_TRAINING,
    },
    "tabm": {
        "layers": (256, 256),
        "dropout": 0.2,
        "number_embedding": "piecewise_linear",
        "batch_size": 256,
        "training": TABM_TRAINING,
    },
}


@dataclass(frozen=True)
class TabularModelConfig(Settings):
    """How a net on a table is built and trained. What is left out follows from `net`.

    Attributes:
        net: `mlp`: the entity-embedding net; `tabm`: an ensemble that shares its weights.
        layers: Sizes of the hidden layers; `mlp` (200, 100), `tabm` (256, 256).
        embedding_rule: Width of each column's embedding; see `embedding_size`.
        embedding_sizes: Width for single columns, by name, instead of the rule's.
        embedding_dropout: Rate on the embeddings of the levels.
        dropout: Rate after each hidden layer.
        number_embedding: `none`, `periodic` or `piecewise_linear`; `mlp` none, `tabm` the last.
        number_size: Width of each number's embedding.
        bins: Most bins of a column (`piecewise_linear`).
        bins_by: Where the bins end: `quantiles`, or a `tree`'s thresholds for the target.
        frequencies: Of each column (`periodic`).
        sigma: Deviation of the frequencies at first (`periodic`).
        members: Nets in the ensemble (`tabm`).
        batch_size: Rows of a batch; `mlp` 64, `tabm` 256.
        training: Phases and what they share.
        refit: Train the model that the validation rows have chosen once more, on training and
            validation rows, with the epochs (or rounds) that were found best, and keep that one.
    """

    net: Net = "mlp"
    layers: tuple[int, ...] = None  # type: ignore[assignment]
    embedding_rule: EmbeddingRule = "power"
    embedding_sizes: dict[str, int] = field(default_factory=dict)
    embedding_dropout: float = 0.0
    dropout: float = None  # type: ignore[assignment]
    number_embedding: NumberEmbedding = None  # type: ignore[assignment]
    number_size: int = 16
    bins: int = 48
    bins_by: BinsBy = "tree"
    frequencies: int = 16
    sigma: float = 0.1
    members: int = 8
    batch_size: int = None  # type: ignore[assignment]
    training: TrainingConfig = None  # type: ignore[assignment]
    # What is done with the net later is no part of it: a trained one stays valid.
    refit: bool = field(default=False, metadata={"identity": False})

    def __post_init__(self) -> None:
        if self.net not in _DEFAULTS:
            raise ValueError(f"net is {self.net!r}: use one of {', '.join(_DEFAULTS)}")
        for name, value in _DEFAULTS[self.net].items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        for name in ("number_size", "bins", "frequencies", "members", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: give a number of at least 1")
        if not self.layers or min(self.layers) < 1:
            raise ValueError(f"layers is {list(self.layers)}: give the size of each hidden layer")
        for name in ("embedding_dropout", "dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(
                    f"{name} is {getattr(self, name)}: give a share from 0 up to below 1"
                )
        for column, size in self.embedding_sizes.items():
            if size < 1:
                raise ValueError(f"embedding_sizes gives {column!r} {size}: use 1 or more")
        if self.embedding_rule not in ("power", "half"):
            raise ValueError(f"embedding_rule is {self.embedding_rule!r}: use power or half")
        if self.number_embedding not in ("none", "periodic", "piecewise_linear"):
            raise ValueError(
                f"number_embedding is {self.number_embedding!r}: use none, periodic or "
                "piecewise_linear"
            )
        if self.bins_by not in ("quantiles", "tree"):
            raise ValueError(f"bins_by is {self.bins_by!r}: use quantiles or tree")
        if not self.sigma > 0:
            raise ValueError(f"sigma is {self.sigma}: give more than 0")

    def level_sizes(self, cardinalities: dict[str, int]) -> list[int]:
        """Width of each categorical column's embedding.

        Raises:
            ValueError: `embedding_sizes` names a column that there is not.
        """
        if unknown := sorted(set(self.embedding_sizes) - set(cardinalities)):
            raise ValueError(
                f"embedding_sizes names {unknown[0]!r}, which is no categorical column: those are "
                f"{', '.join(map(repr, cardinalities))}"
            )
        return [
            self.embedding_sizes.get(name, embedding_size(n, self.embedding_rule))
            for name, n in cardinalities.items()
        ]


class TabularNet(nn.Module):
    """Embeddings of the columns side by side, a net on them, and the range of its outputs.

    Args:
        cardinalities: Codes of each categorical column, by name.
        continuous: Number of continuous columns.
        outputs: Numbers for each row and member.
        config: Sizes and rates.
        edges: Ends of the bins of each continuous column; for `piecewise_linear`.
        output_range: Lowest and highest value of each output, `(outputs,)` each; None for any.
    """

    def __init__(
        self,
        cardinalities: dict[str, int],
        continuous: int,
        outputs: int,
        config: TabularModelConfig,
        edges: Sequence[np.ndarray] | None = None,
        output_range: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        super().__init__()
        low, high = output_range or (torch.zeros(outputs), torch.ones(outputs))
        self.ranged = output_range is not None
        self.register_buffer("low", low, persistent=False)
        self.register_buffer("span", high - low, persistent=False)
        self.low: Tensor
        self.span: Tensor
        sizes = config.level_sizes(cardinalities)
        self.levels = LevelEmbeddings(list(cardinalities.values()), sizes) if sizes else None
        self.level_dropout = nn.Dropout(config.embedding_dropout)
        self.numbers: nn.Module | None = None
        if continuous and config.number_embedding != "none":
            if config.number_embedding == "periodic":
                numbers: nn.Module = PeriodicEmbeddings(
                    continuous, config.frequencies, config.sigma, config.number_size
                )
            else:
                assert edges is not None
                numbers = PiecewiseLinearEmbeddings(edges, config.number_size)
            self.numbers = numbers
        elif continuous and config.net == "mlp":
            self.numbers = nn.BatchNorm1d(continuous)
        self._continuous = continuous
        own = config.number_size if config.number_embedding != "none" else 1
        widths = [*sizes, *([own] * continuous)]
        self.body: nn.Module = (
            TabMBody(widths, outputs, config)
            if config.net == "tabm"
            else EntityEmbeddingBody(sum(widths), outputs, config)
        )

    def inputs(self, codes: Tensor, numbers: Tensor) -> Tensor:
        """Embed codes `(B, categorical)` and numbers `(B, continuous)`; return `(B, width)`."""
        parts = []
        if self.levels is not None:
            parts.append(self.level_dropout(self.levels(codes)))
        if self._continuous:
            parts.append(numbers if self.numbers is None else self.numbers(numbers))
        return torch.cat(parts, 1) if len(parts) > 1 else parts[0]

    def forward(self, codes: Tensor, numbers: Tensor) -> Tensor:
        """Answer for each row.

        Args:
            codes: `(B, categorical)`, integers.
            numbers: `(B, continuous)`, float32.

        Returns:
            `(B, members, outputs)`, float32: logits, or values on the net's scale.
        """
        outputs: Tensor = self.body(self.inputs(codes, numbers)).float()
        return self.low + self.span * outputs.sigmoid() if self.ranged else outputs


class EntityEmbeddingBody(nn.Module):
    """[Linear, ReLU, BatchNorm, Dropout]… → Linear.

    Args:
        width: Of the inputs.
        outputs: Numbers for each row.
        config: Sizes and rates.
    """

    def __init__(self, width: int, outputs: int, config: TabularModelConfig) -> None:
        super().__init__()
        sizes = [width, *config.layers]
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(sizes):
            norm = nn.BatchNorm1d(after)
            nn.init.constant_(norm.bias, 1e-3)  # as fastai does
            layers += [nn.Linear(before, after, bias=False), nn.ReLU(inplace=True), norm]
            if config.dropout:
                layers.append(nn.Dropout(config.dropout))
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(sizes[-1], outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        """Turn inputs `(B, width)` into `(B, 1, outputs)`."""
        outputs: Tensor = self.head(self.layers(inputs))
        return outputs.unsqueeze(1)


class SharedDropout(nn.Module):
    """Dropout that leaves out the same units of a row for all members.

    On a CPU drawing a mask for each member would take as long as the layers themselves.

    Args:
        rate: Share of the units.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, hidden: Tensor) -> Tensor:
        """Drop units of `(members, B, width)`."""
        if not self.training:
            return hidden
        keep = 1 - self.rate
        return hidden * torch.empty_like(hidden[0]).bernoulli_(keep).div_(keep)


class TabMBody(nn.Module):
    """Members that see the inputs scaled differently, share all layers, and answer each by itself.

    TabM-mini (section 3.3 of arXiv 2410.24210): only the first scaling and the heads belong to a
    member. A column's scaling begins as one random number, so that the members differ at once.

    Args:
        widths: Of each column's part of the inputs.
        outputs: Numbers for each row and member.
        config: Sizes and rates.
    """

    def __init__(self, widths: Sequence[int], outputs: int, config: TabularModelConfig) -> None:
        super().__init__()
        members = config.members
        each = torch.randn(members, len(widths))
        self.scaling = nn.Parameter(each.repeat_interleave(torch.tensor(widths), 1))
        sizes = [sum(widths), *config.layers]
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(sizes):
            layers += [nn.Linear(before, after), nn.ReLU(inplace=True)]
            if config.dropout:
                layers.append(SharedDropout(config.dropout))
        self.layers = nn.Sequential(*layers)
        bound = 1 / math.sqrt(sizes[-1])
        self.head = nn.Parameter(torch.empty(members, sizes[-1], outputs).uniform_(-bound, bound))
        self.head_bias = nn.Parameter(torch.empty(members, 1, outputs).uniform_(-bound, bound))

    def forward(self, inputs: Tensor) -> Tensor:
        """Turn inputs `(B, width)` into `(B, members, outputs)`."""
        own = self.scaling.unsqueeze(1) * inputs  # (members, B, width)
        hidden = self.layers(own)  # (members, B, last layer)
        return torch.baddbmm(self.head_bias, hidden, self.head).transpose(0, 1)


def new_net(
    cardinalities: dict[str, int],
    continuous: int,
    target: Target,
    config: TabularModelConfig,
    *,
    edges: Sequence[np.ndarray] | None = None,
    seed: int,
) -> TabularNet:
    """Build a net with random weights that depend on the seed only.

    Args:
        cardinalities: Codes of each categorical column, by name.
        continuous: Number of continuous columns.
        target: Decides outputs and range.
        config: Sizes and rates.
        edges: Ends of the bins of each continuous column; for `piecewise_linear`.
        seed: Of the weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return TabularNet(
            cardinalities, continuous, target.outputs, config, edges, target.model_range()
        )


def net_from_bundle(
    bundle: Bundle, cardinalities: dict[str, int], continuous: int, target: Target
) -> TabularNet:
    """Rebuild a bundle's net on the CPU; arguments as for `new_net`.

    Raises:
        ValueError: Its weights do not fit its configuration.
    """
    config: TabularModelConfig = from_json_types(TabularModelConfig, bundle.config)
    edges = None
    if (start := bundle.state.get("numbers.start")) is not None:
        edges = [np.arange(start.shape[2] + 1.0)] * start.shape[0]  # shapes; the state fills them
    net = new_net(cardinalities, continuous, target, config, edges=edges, seed=0)
    load_state(net, bundle.state, "the tabular bundle")
    return net
