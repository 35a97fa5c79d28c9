"""AdamW with layer groups: freezing, discriminative rates, no decay on biases and norms."""

import contextlib
from collections.abc import Iterator, Sequence

import torch
from torch import nn

from gradual.training.config import Phase, TrainingConfig

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
    step costs the same few calls for any number of parameters.

    Args:
        model: decides which parameters belong to a norm layer.
        groups: the parameters of each layer group; those without ``requires_grad`` are left out.
        phase: gives the top rates.
        config: gives weight decay, beta2, eps.

    Raises:
        ValueError: no parameter trains.
    """

    def __init__(
        self,
        model: nn.Module,
        groups: Sequence[Sequence[nn.Parameter]],
        phase: Phase,
        config: TrainingConfig,
    ) -> None:
        norms = {p for m in model.modules() if isinstance(m, _NORMS) for p in m.parameters()}
        self._beta2 = config.beta2
        self.rates: list[float] = []  # the top rate of each group of the optimiser
        settings = []
        for rate, group in zip(group_rates(phase.lr, len(groups)), groups, strict=True):
            live = [parameter for parameter in group if parameter.requires_grad]
            plain = {p for p in live if p.ndim <= 1 or p in norms}
            for decay, members in (
                (config.weight_decay, [p for p in live if p not in plain]),
                (0.0, [p for p in live if p in plain]),
            ):
                if members:
                    settings.append({"params": members, "lr": rate, "weight_decay": decay})
                    self.rates.append(rate)
        if not settings:
            raise ValueError("no parameter trains: all are frozen; unfreeze a layer group.")
        self.parameters = [p for group in settings for p in group["params"]]  # type: ignore[attr-defined]
        self.adamw = torch.optim.AdamW(
            settings, betas=(phase.momentum[0], config.beta2), eps=config.eps, fused=True
        )

    def set(self, factor: float, momentum: float) -> float:
        """Set every group's rate to factor times its top rate, and the momentum (beta1).

        Returns:
            The highest rate set.
        """
        betas = (momentum, self._beta2)
        for group, rate in zip(self.adamw.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
            group["betas"] = betas
        return self.rates[-1] * factor

    def state(self) -> dict[str, torch.Tensor]:
        """Return the averages and step counts as tensors named ``<parameter index>.<name>``."""
        return {
            f"{index}.{name}": tensor
            for index, values in self.adamw.state_dict()["state"].items()
            for name, tensor in values.items()
        }

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Take back what `state` returned."""
        values: dict[int, dict[str, torch.Tensor]] = {}
        for key, tensor in state.items():
            index, name = key.split(".", 1)
            values.setdefault(int(index), {})[name] = tensor
        groups = self.adamw.state_dict()["param_groups"]
        self.adamw.load_state_dict({"state": values, "param_groups": groups})
