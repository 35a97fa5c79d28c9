"""AdamW with layer groups: freezing, discriminative rates, no decay on biases and norms."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

from gradual.training.config import Phase, TrainingConfig
from gradual.training.rows import RowAdamW, RowTable

_NORMS = (
    nn.modules.batchnorm._BatchNorm,
    nn.modules.instancenorm._InstanceNorm,
    nn.LayerNorm,
    nn.GroupNorm,
    nn.RMSNorm,
)


def group_parameters(
    model: nn.Module, groups: Sequence[Sequence[nn.Module]]
) -> list[list[nn.Parameter]]:
    """Return the parameters of each layer group, every one of the model exactly once.

    Tied parameters belong to the last group that holds them.

    Raises:
        ValueError: a parameter of the model is in no group, or a group's in no model.
    """
    owner = {
        parameter: index
        for index, modules in enumerate(groups)
        for module in modules
        for parameter in module.parameters()
    }
    names = {parameter: name for name, parameter in model.named_parameters()}
    missing = [name for parameter, name in names.items() if parameter not in owner]
    if missing:
        raise ValueError(f"layer_groups() leaves out {', '.join(missing)}: add their modules.")
    foreign = sum(parameter not in names for parameter in owner)
    if foreign:
        raise ValueError(f"layer_groups() holds {foreign} parameters that are not in the model.")
    result: list[list[nn.Parameter]] = [[] for _ in groups]
    for parameter in names:  # in the model's order, so that it is the same in every process
        result[owner[parameter]].append(parameter)
    return result


def group_rates(lr: float | tuple[float, float], count: int) -> list[float]:
    """Return the top rate of each layer group: all equal, or geometric from low to high.

    Discriminative fine-tuning of Howard & Ruder 2018, section 3.2. With one group it gets the
    high rate.
    """
    if not isinstance(lr, tuple):
        return [lr] * count
    low, high = lr
    if count == 1:
        return [high]
    return [low * (high / low) ** (index / (count - 1)) for index in range(count)]


@contextlib.contextmanager
def trainable(groups: Sequence[Sequence[nn.Parameter]], last: int | None) -> Iterator[None]:
    """Freeze all but the last layer groups inside the context.

    A parameter that was frozen before stays so; afterwards each is as it was before.

    Raises:
        ValueError: there are fewer layer groups than asked for.
    """
    if last is not None and last > len(groups):
        raise ValueError(
            f"groups is {last}, but the model has {len(groups)} layer groups: use at most "
            f"{len(groups)}, or null for all."
        )
    before = [(parameter, parameter.requires_grad) for group in groups for parameter in group]
    frozen = [] if last is None else groups[: len(groups) - last]
    try:
        for group in frozen:
            for parameter in group:
                parameter.requires_grad_(False)
                parameter.grad = None
        yield
    finally:
        for parameter, flag in before:
            parameter.requires_grad_(flag)


class Optimizer:
    """AdamW over the parameters that train now; rates and momentum are set per group.

    AdamW is Loshchilov & Hutter 2019, arXiv 1711.05101. The fused kernels are used, so that a
    step costs the same few calls for any number of parameters; tables of the kind
    `gradual.training.rows.RowTable` are trained row by row.

    Args:
        model: decides which parameters belong to a norm layer.
        groups: the parameters of each layer group; those without ``requires_grad`` are left out.
        phase: gives the top rates.
        config: gives weight decay, beta2, eps.

    Raises:
        ValueError: no parameter trains, or gradients should be clipped that are sparse.
    """

    def __init__(
        self,
        model: nn.Module,
        groups: Sequence[Sequence[nn.Parameter]],
        phase: Phase,
        config: TrainingConfig,
    ) -> None:
        norms = {p for m in model.modules() if isinstance(m, _NORMS) for p in m.parameters()}
        tables = {m.weight: m for m in model.modules() if isinstance(m, RowTable) and m.by_row}
        for table in tables.values():
            table.optimizer = None  # of an earlier phase
        self._beta2 = config.beta2
        self.rates: list[float] = []  # the top rate of each group of the optimiser
        self._rows: list[tuple[float, RowAdamW]] = []
        settings = []
        for rate, group in zip(group_rates(phase.lr, len(groups)), groups, strict=True):
            live = [p for p in group if p.requires_grad and p not in tables]
            if rows := [tables[p] for p in group if p.requires_grad and p in tables]:
                adamw = RowAdamW(rows, config.weight_decay, config.beta2, config.eps)
                self._rows.append((rate, adamw))
            undecayed = {p for p in live if p.ndim <= 1 or p in norms}
            for decay, members in (
                (config.weight_decay, [p for p in live if p not in undecayed]),
                (0.0, [p for p in live if p in undecayed]),
            ):
                if members:
                    settings.append({"params": members, "lr": rate, "weight_decay": decay})
                    self.rates.append(rate)
        if not settings and not self._rows:
            raise ValueError("no parameter trains: all are frozen; unfreeze a layer group.")
        if self._rows and config.gradient_clip is not None:
            raise ValueError(
                f"gradient_clip is {config.gradient_clip}, but the model has tables whose "
                "gradients are sparse and cannot be clipped: set gradient_clip to null."
            )
        self.top_rate = max(self.rates + [rate for rate, _ in self._rows])
        self.parameters = [p for group in settings for p in group["params"]]  # type: ignore[attr-defined]
        self._count: torch.Tensor | None = None  # of steps, where all parameters share it
        self._moments: list[tuple[dict[str, Any], list[torch.Tensor], list[torch.Tensor]]] = []
        self.adamw: torch.optim.AdamW | None = None
        if settings:
            self.adamw = torch.optim.AdamW(
                settings, betas=(phase.momentum[0], config.beta2), eps=config.eps, fused=True
            )

    def set(self, factor: float, momentum: float) -> float:
        """Set every group's rate to factor times its top rate, and the momentum (beta1).

        Returns:
            The highest rate set.
        """
        betas = (momentum, self._beta2)
        for group, rate in zip(self._groups, self.rates, strict=True):
            group["lr"] = rate * factor
            group["betas"] = betas
        for rate, rows in self._rows:
            rows.lr, rows.beta1 = rate * factor, momentum
        return self.top_rate * factor

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None
        for _, rows in self._rows:
            rows.zero_grad()

    def step(self) -> None:
        """Move the weights."""
        if self.adamw is not None:
            self._step_dense(self.adamw)
        for _, rows in self._rows:
            rows.step()

    def _step_dense(self, adamw: torch.optim.AdamW) -> None:
        """Do what `adamw.step()` does, with less around it.

        For a small net the optimiser's own bookkeeping takes several times as long as the kernel:
        it collects the state anew and counts the steps parameter by parameter. Here every
        parameter shares one count.
        """
        grads = [parameter.grad for parameter in self.parameters]
        if self._count is None or any(grad is None for grad in grads):
            self._unshare(adamw)
            adamw.step()
            self._share(adamw, grads)
            return
        self._count += 1
        first = 0
        for group, averages, squares in self._moments:
            last = first + len(averages)
            torch._fused_adamw_(
                self.parameters[first:last],
                grads[first:last],
                averages,
                squares,
                [],
                [self._count] * len(averages),
                lr=group["lr"],
                beta1=group["betas"][0],
                beta2=group["betas"][1],
                weight_decay=group["weight_decay"],
                eps=group["eps"],
                amsgrad=False,
                maximize=False,
            )
            first = last

    def _share(self, adamw: torch.optim.AdamW, grads: Sequence[torch.Tensor | None]) -> None:
        """Let all parameters share one count of steps, if they have taken equally many."""
        if any(grad is None for grad in grads):
            return
        states = [adamw.state[parameter] for parameter in self.parameters]
        counts = [state["step"] for state in states]
        if len({float(count) for count in counts}) > 1:
            return
        self._count = counts[0]
        for state in states:
            state["step"] = self._count
        self._moments = [
            (
                group,
                [adamw.state[parameter]["exp_avg"] for parameter in group["params"]],
                [adamw.state[parameter]["exp_avg_sq"] for parameter in group["params"]],
            )
            for group in adamw.param_groups
        ]

    def _unshare(self, adamw: torch.optim.AdamW) -> None:
        if self._count is not None:
            for state in adamw.state.values():
                state["step"] = state["step"].clone()
            self._count = None

    def settle(self) -> None:
        """Bring rows up to date that have not been looked at lately; before weights are read."""
        for _, rows in self._rows:
            rows.settle()

    def state(self) -> dict[str, torch.Tensor]:
        """Return the averages and step counts as tensors.

        Named ``<parameter index>.<name>``, and ``rows.<group>.<name>`` of tables.
        """
        dense = {} if self.adamw is None else self.adamw.state_dict()["state"]
        state = {
            f"{index}.{name}": tensor.clone() if name == "step" else tensor  # may be shared
            for index, values in dense.items()
            for name, tensor in values.items()
        }
        for index, (_, rows) in enumerate(self._rows):
            state |= {f"rows.{index}.{name}": tensor for name, tensor in rows.state().items()}
        return state

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Take back what `state` returned."""
        values: dict[int, dict[str, torch.Tensor]] = {}
        tables: dict[int, dict[str, torch.Tensor]] = {}
        for key, tensor in state.items():
            kind = tables if key.startswith("rows.") else values
            number, name = key.removeprefix("rows.").split(".", 1)
            kind.setdefault(int(number), {})[name] = tensor
        if self.adamw is not None:
            groups = self.adamw.state_dict()["param_groups"]
            self.adamw.load_state_dict({"state": values, "param_groups": groups})
            self._count = None
        for index, (_, rows) in enumerate(self._rows):
            if index in tables:
                rows.load_state(tables[index])

    @property
    def _groups(self) -> list[dict[str, Any]]:
        return [] if self.adamw is None else self.adamw.param_groups
