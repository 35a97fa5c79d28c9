"""Where a model runs, in which precision, and the seeds."""

import logging

import numpy as np
import torch

from gradual.training.config import Precision

logger = logging.getLogger(__name__)


def resolve_device(name: str = "auto") -> torch.device:
    """Return the device of that name; "auto" takes CUDA, then Apple's GPU, then the CPU.

    Raises:
        ValueError: torch knows no such device, or this machine has none.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device())
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(
            f"device is {name!r}, which torch does not know: use auto, cpu, cuda, cuda:1 or mps."
        ) from error
    if device.type == "cpu":
        return torch.device("cpu")
    if device.type == "cuda" and torch.cuda.is_available():
        count = torch.cuda.device_count()
        index = torch.cuda.current_device() if device.index is None else device.index
        if index < count:
            return torch.device("cuda", index)
        raise ValueError(f"device is {name!r}, but this machine has {count}: use cuda:0 or auto.")
    if device.type == "mps" and torch.backends.mps.is_available():
        return device
    raise ValueError(f"device is {name!r}, but there is none on this machine: use auto or cpu.")


def resolve_precision(precision: Precision, device: torch.device) -> torch.dtype:
    """Return the type of the matrix products: float32 or, under autocast, bfloat16.

    "auto" takes bfloat16 where the hardware multiplies it fast: CUDA from compute capability
    8.0, processors with AMX or AVX512-BF16.
    """
    if precision != "auto":
        return torch.bfloat16 if precision == "bfloat16" else torch.float32
    return torch.bfloat16 if _fast_bfloat16(device) else torch.float32


def _fast_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    if device.type != "cpu":
        return False
    # Private names, so that their absence in another torch version means "no".
    names = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(bool(getattr(torch.cpu, name, lambda: False)()) for name in names)


def autocast(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """Return the context in which matrix products are of that type; none for float32."""
    return torch.autocast(device.type, dtype, enabled=dtype != torch.float32)


def random_state(device: torch.device) -> dict[str, torch.Tensor]:
    """Return the states of torch's generators that a run on this device uses."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        state["mps"] = torch.mps.get_rng_state()
    return state


def set_random_state(state: dict[str, torch.Tensor], device: torch.device) -> None:
    """Set torch's generators to what `random_state` returned."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
    elif device.type == "mps" and "mps" in state:
        torch.mps.set_rng_state(state["mps"])


def to_device(array: np.ndarray, device: torch.device) -> torch.Tensor:
    """Return an array as a tensor on a device, without waiting for a GPU to be done.

    A GPU copies from pinned memory by itself; from any other the program would have to wait for
    all that the GPU was told before.
    """
    tensor = torch.from_numpy(array)
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
