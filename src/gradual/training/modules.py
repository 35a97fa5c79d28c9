"""What every kind of model needs around its bundle: weights out and in, hashes, applying it."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gradual.training.bundle import Bundle
from gradual.training.config import Precision
from gradual.training.device import resolve_precision
from gradual.training.files import fingerprint, to_json_types


def check_kind(bundle: Bundle, kind: str) -> None:
    """Raise ValueError unless the bundle is of that kind."""
    if bundle.kind != kind:
        raise ValueError(
            f"the bundle is a {bundle.kind!r}, where a {kind!r} is needed: give the right bundle"
        )


def parameters_hash(config: Any) -> str:
    """Return the hash of a configuration, but for what changes no result (device, intervals)."""
    return fingerprint(to_json_types(config, identity=True))


def array_hash(array: np.ndarray) -> str:
    """Return the SHA-256 (hex) of an array's type, shape and content."""
    digest = hashlib.sha256(f"{array.dtype} {array.shape} ".encode())
    digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def cpu_state(module: nn.Module) -> dict[str, Tensor]:
    """Return a module's state as CPU tensors of their own."""
    return {
        name: tensor.detach().to("cpu", copy=True).contiguous()
        for name, tensor in module.state_dict().items()
    }


def load_state(module: nn.Module, state: dict[str, Tensor], source: str) -> None:
    """Fill a module from a bundle's state.

    Raises:
        ValueError: Names or shapes differ; the message lists them and names `source`.
    """
    own = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    stored = {name: tuple(tensor.shape) for name, tensor in state.items()}
    if own != stored:
        differing = sorted(n for n in own.keys() | stored.keys() if own.get(n) != stored.get(n))
        listed = ", ".join(
            f"{n}: stored {stored.get(n, 'nothing')}, expected {own.get(n, 'nothing')}"
            for n in differing[:5]
        )
        raise ValueError(
            f"the weights of {source} do not fit its model ({len(differing)} differ: {listed}): "
            "it was made by another architecture; train it anew"
        )
    module.load_state_dict(state)


@contextlib.contextmanager
def inference(module: nn.Module, precision: Precision = "auto") -> Iterator[torch.device]:
    """Apply a module: evaluation mode, no gradients, the precision asked for; yields its device."""
    device = next(module.parameters()).device
    dtype = resolve_precision(precision, device)
    was_training = module.training
    module.eval()
    try:
        with (
            torch.inference_mode(),
            torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32),
        ):
            yield device
    finally:
        module.train(was_training)
