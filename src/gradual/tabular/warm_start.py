"""A net on a table that starts from an earlier one, as far as columns and levels are the same.

Rows have come in since, so that levels are new, embeddings may have grown wider with them, and
numbers are scaled a little differently. What both nets have is copied, name by name and level by
level. What is new starts so that the net answers as before: a new level from the mean of its
column's vectors; the first layer does not read the numbers that a vector has gained.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from gradual.tabular.columns import level_texts
from gradual.tabular.model import (
    KIND,
    TabMBody,
    TabularModelConfig,
    TabularNet,
    net_from_bundle,
)
from gradual.tabular.preprocessing import Preprocessor
from gradual.tabular.targets import Target
from gradual.training.bundle import Bundle
from gradual.training.files import from_json_types

logger = logging.getLogger(__name__)

_SAME = ("net", "layers", "members", "number_embedding", "number_size", "frequencies")


@dataclass(frozen=True)
class EarlierNet:
    """A trained net that another one starts from.

    Attributes:
        name: What to call it in messages.
        net: The net, on the CPU.
        preprocessor: What it was trained with.
        config: How it was built.
        target: What it predicts.
    """

    name: str
    net: TabularNet
    preprocessor: Preprocessor
    config: TabularModelConfig
    target: Target

    @classmethod
    def of(cls, bundle: Bundle, config: TabularModelConfig, target: Target) -> EarlierNet | None:
        """Take a net out of its bundle; None, with a warning that says why, if it cannot serve.

        Args:
            bundle: Of any kind of model.
            config: How the new net is built.
            target: What that one predicts.
        """
        name = f"{bundle.origin or 'the champion'} ({bundle.hash[:12]}…)"
        differing = ""
        if bundle.kind != KIND:
            differing = f"is a {bundle.kind!r} and no net"
        else:
            stored: TabularModelConfig = from_json_types(TabularModelConfig, bundle.config)
            other = [one for one in _SAME if getattr(stored, one) != getattr(config, one)]
            earlier = Target.from_dict(bundle.metadata["target"])
            if other:
                differing = f"has another {', '.join(other)}"
            elif (earlier.kind, earlier.config.log) != (target.kind, target.config.log):
                differing = "predicts another kind of target"
        if differing:
            logger.warning("tabular net: starts from random weights, as %s %s", name, differing)
            return None
        preprocessor = Preprocessor.from_dict(bundle.metadata["preprocessor"])
        count = len(preprocessor.continuous)
        net = net_from_bundle(bundle, preprocessor.cardinalities, count, earlier)
        return cls(name, net, preprocessor, stored, earlier)

    def edges(self, preprocessor: Preprocessor, own: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Ends of the bins of each number: the earlier net's where it has the column."""
        found = list(own)
        buffers = dict(self.net.numbers.named_buffers()) if self.net.numbers is not None else {}
        for place, before in _shared(preprocessor.continuous, self.preprocessor.continuous):
            start = buffers["start"][before, 0].double().numpy()
            scale = buffers["scale"][before, 0].double().numpy()
            used = scale > 0
            found[place] = np.append(start[used], start[used][-1] + 1 / scale[used][-1])
        return found

    @torch.no_grad()
    def fill(
        self,
        net: TabularNet,
        preprocessor: Preprocessor,
        config: TabularModelConfig,
        target: Target,
    ) -> None:
        """Copy what both nets have, and say how much that is."""
        known = self._fill_levels(net, preprocessor)
        numbers = _shared(preprocessor.continuous, self.preprocessor.continuous)
        if net.numbers is not None and self.net.numbers is not None:
            before = self.net.numbers.state_dict()
            for name, tensor in net.numbers.state_dict().items():
                for place, old in numbers if tensor.dim() else ():
                    _copy_common(tensor[place], before[name][old])
        self._fill_body(net, preprocessor, config, target)
        columns = [*preprocessor.categorical, *preprocessor.continuous]
        earlier = [*self.preprocessor.categorical, *self.preprocessor.continuous]
        logger.info(
            "tabular net: starts from %s: %s of %s levels known, %s of %s columns",
            self.name,
            f"{known:,}",
            f"{sum(len(preprocessor.levels(name)) for name in preprocessor.categorical):,}",
            len(set(columns) & set(earlier)),
            len(columns),
        )

    def _fill_levels(self, net: TabularNet, preprocessor: Preprocessor) -> int:
        known = 0
        if net.levels is None or self.net.levels is None:
            return known
        for place, old in _shared(preprocessor.categorical, self.preprocessor.categorical):
            name = preprocessor.categorical[place]
            codes = {text: k + 1 for k, text in enumerate(_level_texts(self.preprocessor, name))}
            before, table = self.net.levels.table(old), net.levels.table(place)
            mean = before[1:].mean(0) if len(before) > 1 else before[0]
            sources = [codes.get(text) for text in _level_texts(preprocessor, name)]
            known += sum(code is not None for code in sources)
            rows = [before[0], *(mean if code is None else before[code] for code in sources)]
            _copy_common(table, torch.stack(rows))
        return known

    def _fill_body(
        self,
        net: TabularNet,
        preprocessor: Preprocessor,
        config: TabularModelConfig,
        target: Target,
    ) -> None:
        places = _places(preprocessor, config)
        earlier = _places(self.preprocessor, self.config)
        layers, before = (_with_state(body) for body in (net.body, self.net.body))
        for module, old in zip(layers, before, strict=True):
            state = old.state_dict()
            if module is layers[0]:
                read, state["weight"] = state["weight"], module.state_dict()["weight"].clone()
                for column in places.keys() & earlier.keys():
                    _copy_inputs(state["weight"], read, places[column], earlier[column])
            module.load_state_dict(state)
        classes = [
            self.target.classes.index(name) if name in self.target.classes else None
            for name in target.classes
        ]
        if isinstance(net.body, TabMBody) and isinstance(self.net.body, TabMBody):
            for column in places.keys() & earlier.keys():
                to, old_scaling = places[column], self.net.body.scaling[:, earlier[column]]
                # One random number a column at first: what is new continues the column's last one.
                net.body.scaling[:, to] = old_scaling[:, -1:]
                _copy_common(net.body.scaling[:, to], old_scaling)
            net.body.head.copy_(_by_class(self.net.body.head, classes, 2))
            net.body.head_bias.copy_(_by_class(self.net.body.head_bias, classes, 2))
        else:
            head = _head(self.net).state_dict()
            _head(net).load_state_dict(
                {name: _by_class(tensor, classes, 0) for name, tensor in head.items()}
            )


def _shared(names: Sequence[str], earlier: Sequence[str]) -> list[tuple[int, int]]:
    """The places, now and then, of what both have."""
    return [(place, earlier.index(name)) for place, name in enumerate(names) if name in earlier]


def _level_texts(preprocessor: Preprocessor, name: str) -> list[str]:
    return level_texts(preprocessor.levels(name)).to_pylist()  # type: ignore[arg-type]


def _places(preprocessor: Preprocessor, config: TabularModelConfig) -> dict[str, slice]:
    """Where each column's numbers stand in the inputs of the first layer."""
    own = config.number_size if config.number_embedding != "none" else 1
    sizes = config.level_sizes(preprocessor.cardinalities)
    widths = [*sizes, *([own] * len(preprocessor.continuous))]
    # A column that was a number once and is a level now is another one.
    names = [f"level {name}" for name in preprocessor.categorical]
    names += [f"number {name}" for name in preprocessor.continuous]
    ends = np.cumsum(widths).tolist()
    return {
        name: slice(end - width, end) for name, end, width in zip(names, ends, widths, strict=True)
    }


def _with_state(body: nn.Module) -> list[nn.Module]:
    return [module for module in body.get_submodule("layers").children() if module.state_dict()]


def _head(net: TabularNet) -> nn.Module:
    return net.body.get_submodule("head")


def _copy_common(to: Tensor, source: Tensor) -> None:
    """Copy the corner that both tensors have."""
    common = tuple(slice(min(a, b)) for a, b in zip(to.shape, source.shape, strict=True))
    to[common] = source[common]


def _copy_inputs(to: Tensor, source: Tensor, place: slice, earlier: slice) -> None:
    to[:, place] = 0
    _copy_common(to[:, place], source[:, earlier])


def _by_class(tensor: Tensor, classes: Sequence[int | None], dimension: int) -> Tensor:
    """Its entries by class; a new class answers like the mean of all."""
    mean = tensor.mean(dimension)
    entries = [mean if one is None else tensor.select(dimension, one) for one in classes]
    return torch.stack(entries, dimension)
