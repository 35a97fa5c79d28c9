"""What a model brings to the engine: its batches, its loss and how it is judged."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import torch
from torch import nn


class BatchStream(Protocol):
    """The batches of one epoch, a pure function of (epoch, seed)."""

    def __len__(self) -> int:
        """Return the number of batches."""

    def iterate(self, start: int) -> Iterator[Any]:
        """Yield batches start, start + 1, …; the same ones whatever the start."""


class Task(ABC):
    """One model with its training and validation data.

    The engine owns time, rates and checkpoints; the task owns data and loss. For exact resuming
    everything random in `loss` and `validate` comes from torch's generators, and whatever lives
    on between two batches is in the model's ``state_dict`` or in `state`.

    Attributes:
        model: the module to train; its ``state_dict`` is what is saved.
    """

    model: nn.Module

    def layer_groups(self) -> list[list[nn.Module]]:
        """Return the layer groups, nearest the input first, covering every parameter.

        A parameter that two groups hold (tied weights) belongs to the later one.
        """
        return [[self.model]]

    @abstractmethod
    def batches(self, epoch: int, seed: int) -> BatchStream:
        """Return the batches of an epoch (counted from 0 over all phases)."""

    @abstractmethod
    def loss(self, batch: Any) -> torch.Tensor:
        """Return the scalar loss of a batch, regularisers included; runs under autocast.

        Gradients that it leaves in the parameters are added to those of what it returns.
        """

    def validate(self) -> dict[str, float]:
        """Return validation figures by name, e.g. ``valid_loss``, ``valid_accuracy``.

        The model is in evaluation mode, under ``no_grad`` and autocast. What `state` returns
        must be as before afterwards, or be reset by `start_epoch`.
        """
        return {}

    def state(self) -> dict[str, torch.Tensor]:
        """Return what carries over between batches (e.g. the hidden state)."""
        return {}

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take back what `state` returned, which may be nothing; the tensors come on the CPU.

        Raises:
            ValueError: the task keeps no state, yet some was stored.
        """
        if state:
            raise ValueError(f"{type(self).__name__} keeps no state, got {sorted(state)}.")

    def start_epoch(self) -> None:  # noqa: B027 - most tasks have nothing to reset
        """Prepare for an epoch's first batch, e.g. reset the hidden state."""

    def to(self, device: torch.device) -> None:
        """Move the model and the resident data to a device."""
        self.model.to(device)
