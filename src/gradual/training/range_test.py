"""The learning-rate range test: which rates make the loss fall?"""

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from gradual.training.config import TrainingConfig
from gradual.training.device import (
    autocast,
    random_state,
    resolve_device,
    resolve_precision,
    set_random_state,
)
from gradual.training.optimizer import Optimizer, group_parameters, trainable
from gradual.training.task import Task

_SMOOTHING = 0.98
_DIVERGED = 4.0  # times the best smoothed loss


@dataclass(frozen=True)
class RangeTest:
    """What a range test measured.

    Attributes:
        frame: one row a step: ``lr``, ``loss``, ``smoothed_loss``.
        suggestions: a learning rate by rule: ``valley``, ``steepest``, ``minimum/10``.
        diverged: it stopped early because the loss exploded or was not finite.
    """

    frame: pd.DataFrame
    suggestions: dict[str, float]
    diverged: bool


@contextlib.contextmanager
def _unchanged(task: Task, device: torch.device) -> Iterator[None]:
    """Put weights, buffers, gradients, modes, carried and random state back afterwards."""
    model = task.model
    values = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    saved = {name: value.detach().clone() for name, value in values.items()}
    gradients = [(p, p.grad) for p in model.parameters()]
    modes = [(module, module.training) for module in model.modules()]
    state = {name: value.detach().cpu().clone() for name, value in task.state().items()}
    random = random_state(device)
    try:
        yield
    finally:
        values = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        with torch.no_grad():
            for name, value in saved.items():
                values[name].copy_(value)
        for parameter, gradient in gradients:
            parameter.grad = gradient
        for module, mode in modes:
            module.training = mode
        task.load_state(state)
        set_random_state(random, device)


def range_test(
    task: Task,
    config: TrainingConfig,
    *,
    start: float = 1e-7,
    stop: float = 10.0,
    steps: int = 100,
    phase: int = 0,
) -> RangeTest:
    """Raise the learning rate exponentially, one step each, and watch the loss.

    Smith 2017, "Cyclical learning rates", arXiv 1506.01186, section 3.3. Weights, buffers,
    gradients, carried state and random state are as before afterwards; the optimiser is the
    test's own. It ends early when the smoothed loss exceeds four times its best, or the loss is
    not finite.

    Args:
        task: model, data and loss; moved to the configured device.
        config: seed, device, precision and optimiser settings of the run to come.
        start: first learning rate (of the last layer group, as all rates here).
        stop: last learning rate.
        steps: how many rates; the batches start over when an epoch is too short.
        phase: index of the phase to test: its frozen groups, its ratio of rates.

    Raises:
        ValueError: the range or the phase makes no sense, or fewer than three losses are finite.
    """
    if not 0 < start < stop or steps < 3:
        raise ValueError(
            f"range test from {start} to {stop} in {steps} steps: use 0 < start < stop and "
            "at least 3 steps."
        )
    if not 0 <= phase < len(config.phases):
        raise ValueError(f"phase is {phase}: use 0 to {len(config.phases) - 1}.")
    device = resolve_device(config.device)
    task.to(device)
    rates = np.geomspace(start, stop, steps)
    with _unchanged(task, device):
        torch.manual_seed(config.seed)
        losses = _losses(task, config, phase, rates, device)
    return _result(rates, losses)


def suggest(lr: np.ndarray, loss: np.ndarray) -> dict[str, float]:
    """Suggest learning rates from a curve.

    ``valley``: the middle (in log rate) of the longest falling run of the loss, rises between
    allowed; ``steepest``: where the loss falls fastest against the log of the rate, up to its
    minimum; ``minimum/10``: a tenth of the rate with the least loss.

    Args:
        lr: rates `(n,)`, rising, n at least 3.
        loss: smoothed losses `(n,)`, finite.
    """
    best = int(np.argmin(loss))
    slope = np.gradient(loss, np.log(lr))[: max(best, 1)]
    first, last = _longest_fall(loss)
    return {
        "valley": float(np.sqrt(lr[first] * lr[last])),
        "steepest": float(lr[int(np.argmin(slope))]),
        "minimum/10": float(lr[best] / 10),
    }


def _longest_fall(loss: np.ndarray) -> tuple[int, int]:
    """Return first and last index of the longest falling subsequence (the latest of equals)."""
    length = np.ones(len(loss), dtype=int)
    origin = np.arange(len(loss))
    for index in range(1, len(loss)):
        higher = np.flatnonzero(loss[:index] > loss[index])
        if len(higher):
            # The latest of equals, so that a flat stretch in front does not count.
            before = higher[len(higher) - 1 - np.argmax(length[higher][::-1])]
            length[index], origin[index] = length[before] + 1, origin[before]
    last = len(loss) - 1 - int(np.argmax(length[::-1]))
    return int(origin[last]), last


def _losses(
    task: Task, config: TrainingConfig, phase: int, rates: np.ndarray, device: torch.device
) -> list[float]:
    """Take one step at each rate until the loss explodes; return the losses."""
    settings = config.phases[phase]
    dtype = resolve_precision(config.precision, device)
    groups = group_parameters(task.model, task.layer_groups())
    losses: list[float] = []
    smooth = _Smooth()
    with trainable(groups, settings.groups):
        optimizer = Optimizer(task.model, groups, settings, config)
        task.model.train()
        for rate, batch in zip(rates, _batches(task, config.seed), strict=False):
            optimizer.set(float(rate) / optimizer.top_rate, settings.momentum[0])
            with autocast(device, dtype):
                loss = task.loss(batch)
            losses.append(loss.item())  # each is looked at: the next step depends on it
            if smooth.diverged(losses[-1]):
                break
            optimizer.zero_grad()
            loss.backward()
            if config.gradient_clip is not None:
                nn.utils.clip_grad_norm_(optimizer.parameters, config.gradient_clip)
            optimizer.step()
    return losses


class _Smooth:
    """Exponential average of the losses, corrected for its start at zero."""

    def __init__(self) -> None:
        self._average, self._count, self._best = 0.0, 0, math.inf

    def add(self, loss: float) -> float:
        self._average = _SMOOTHING * self._average + (1 - _SMOOTHING) * loss
        self._count += 1
        return self._average / (1 - _SMOOTHING**self._count)

    def diverged(self, loss: float) -> bool:
        value = self.add(loss)
        self._best = min(self._best, value)
        return not math.isfinite(value) or value > _DIVERGED * self._best


def _batches(task: Task, seed: int) -> Iterator[Any]:
    epoch = 0
    while True:
        stream = task.batches(epoch, seed)
        if len(stream) < 1:
            raise ValueError("no batch to train on: give more data, or a smaller batch size.")
        task.start_epoch()
        yield from stream.iterate(0)
        epoch += 1


def _result(rates: np.ndarray, losses: list[float]) -> RangeTest:
    curve = _Smooth()
    frame = pd.DataFrame({"lr": rates[: len(losses)], "loss": losses})
    frame["smoothed_loss"] = [curve.add(loss) for loss in losses]
    usable = frame[np.isfinite(frame["smoothed_loss"].to_numpy())]
    if len(usable) < 3:
        raise ValueError(
            f"only {len(usable)} of the range test's losses are finite: look for bad input values, "
            "or start at a lower rate."
        )
    found = suggest(usable["lr"].to_numpy(), usable["smoothed_loss"].to_numpy())
    watch = _Smooth()
    return RangeTest(frame, found, diverged=any(watch.diverged(loss) for loss in losses))
