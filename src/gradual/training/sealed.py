"""Safetensors files sealed by a hash of their content; what bundles and checkpoints are made of."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open

from gradual.training.files import atomic_path

_KEY = "gradual"  # one key only: safetensors writes several in no fixed order


class DamagedFileError(ValueError):
    """A sealed file cannot be read, or its content is not what was written."""


def content_hash(tensors: Mapping[str, torch.Tensor], text: str) -> str:
    """Return the SHA-256 over a text and named tensors: names, types, shapes and bytes."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        if tensor.numel():
            digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def write_sealed(path: Path, tensors: Mapping[str, torch.Tensor], text: str) -> None:
    """Write tensors and a text atomically into one safetensors file.

    Args:
        path: the file; its folder is created.
        tensors: by name, on any device, no two sharing memory.
        text: what is said about them, JSON as a rule. Equal input gives equal bytes.

    Raises:
        OSError: the file cannot be written; the old one stays.
        ValueError: two tensors share memory.
    """
    host = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    sealed = json.dumps(
        {"hash": content_hash(host, text), "text": text}, sort_keys=True, ensure_ascii=False
    )
    try:
        with atomic_path(path) as temporary:
            safetensors.torch.save_file(host, temporary, metadata={_KEY: sealed})
    except (SafetensorError, OSError) as error:  # the library reports a full disk as its own
        raise OSError(
            f"{path}: cannot be written ({error}); an earlier file is unchanged. "
            "Free disk space or choose another folder, then run again."
        ) from error
    except RuntimeError as error:
        raise ValueError(f"{path}: {error}") from error


def read_sealed(path: Path) -> tuple[dict[str, torch.Tensor], str]:
    """Read what `write_sealed` wrote and compare its content with the seal.

    Returns:
        The tensors (on the CPU, own memory) and the text.

    Raises:
        FileNotFoundError: there is no such file.
        DamagedFileError: the file is cut short, altered, or was not written by this project.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        sealed = json.loads(metadata[_KEY])
        expected, text = sealed["hash"], sealed["text"]
    except KeyError as error:
        raise DamagedFileError(
            f"{path}: altered, or not written by gradual (no seal in it)."
        ) from error
    except (SafetensorError, ValueError, TypeError, OSError, RuntimeError) as error:
        raise DamagedFileError(f"{path}: unreadable, cut short or altered ({error}).") from error
    if content_hash(tensors, text) != expected:
        raise DamagedFileError(f"{path}: content differs from its hash, so it was altered.")
    return tensors, text
