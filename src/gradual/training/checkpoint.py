"""Checkpoints of a training stage: one sealed file in a folder, replaced atomically."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from gradual.training.files import remove_leftovers
from gradual.training.sealed import DamagedFileError, read_sealed, write_sealed

FORMAT_VERSION = 2
FILE_NAME = "checkpoint.safetensors"

Tensors = dict[str, torch.Tensor]
_PARTS = ("model", "best", "optimizer", "task", "random")  # of a checkpoint, that hold tensors


@dataclass(frozen=True)
class Position:
    """Where a run stands.

    Attributes:
        epoch: epochs that are finished, over all phases.
        step: steps that are done in the next one.
        loss_sum: sum of those steps' losses.
        top_rate: the highest learning rate among them.
        seconds: how long they took, by name.
    """

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    top_rate: float = 0.0
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Checkpoint:
    """All that a killed run needs to go on as if nothing had happened.

    Attributes:
        key: what the stage depends on, by name, JSON-able.
        position: where the run stands.
        finished: the stage is done; model, history and random state are final.
        history: the figures of the finished epochs.
        model: the model's ``state_dict``; tied tensors may share memory.
        optimizer: empty between two phases.
        task: what carries over between batches.
        random: states of torch's generators.
        best: the best epoch's ``state_dict`` so far, under early stopping; empty otherwise, and
            once the run is finished, when `model` is that.
        format_version: of the file; a run never continues from another one.
    """

    key: dict[str, Any]
    position: Position = Position()
    finished: bool = False
    history: list[dict[str, float]] = field(default_factory=list)
    model: Tensors = field(default_factory=dict)
    optimizer: Tensors = field(default_factory=dict)
    task: Tensors = field(default_factory=dict)
    random: Tensors = field(default_factory=dict)
    best: Tensors = field(default_factory=dict)
    format_version: int = FORMAT_VERSION


class CheckpointStore:
    """A folder that holds the latest checkpoint of one training stage.

    Args:
        path: the folder; it need not exist before the first save.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"CheckpointStore({str(self.path)!r})"

    @property
    def file(self) -> Path:
        """The checkpoint's file; it need not exist."""
        return self.path / FILE_NAME

    def save(self, checkpoint: Checkpoint) -> None:
        """Replace the stored checkpoint, flushed to the disk.

        Raises:
            OSError: it cannot be written; the earlier one stays.
        """
        model, aliases = _without_aliases(checkpoint.model)
        # Copies, in which tied tensors are two: the model's aliases hold for them as well.
        best = {name: tensor for name, tensor in checkpoint.best.items() if name not in aliases}
        parts = {name: getattr(checkpoint, name) for name in _PARTS} | {
            "model": model,
            "best": best,
        }
        tensors = {f"{part}/{name}": t for part, ts in parts.items() for name, t in ts.items()}
        content = {
            "format_version": checkpoint.format_version,
            "key": checkpoint.key,
            "position": dataclasses.asdict(checkpoint.position),
            "finished": checkpoint.finished,
            "history": checkpoint.history,
            "aliases": aliases,
        }
        # Not canonical JSON: a figure may well be NaN, and Python reads its own NaN back.
        write_sealed(self.file, tensors, json.dumps(content, sort_keys=True))

    def load(self) -> Checkpoint | None:
        """Return the stored checkpoint, None where there is none.

        Raises:
            DamagedFileError: it is cut short or altered.
        """
        remove_leftovers(self.file)
        if not self.file.exists():
            return None
        tensors, text = read_sealed(self.file)
        content = json.loads(text)
        if content.get("format_version") != FORMAT_VERSION:  # the rest may mean anything
            found = content.get("format_version")
            return Checkpoint(content.get("key", {}), format_version=found)
        parts: dict[str, Tensors] = {name: {} for name in _PARTS}
        for name, tensor in tensors.items():
            part, rest = name.split("/", 1)
            parts[part][rest] = tensor
        for alias, name in content["aliases"].items():
            parts["model"][alias] = parts["model"][name]
            if parts["best"]:
                parts["best"][alias] = parts["best"][name]
        said: dict[str, Any] = {name: content[name] for name in ("key", "finished", "history")}
        return Checkpoint(position=Position(**content["position"]), **(said | parts))

    def delete(self) -> None:
        """Remove the stored checkpoint, if there is one."""
        self.file.unlink(missing_ok=True)


def _without_aliases(tensors: Mapping[str, torch.Tensor]) -> tuple[Tensors, dict[str, str]]:
    """Keep each tensor once; return the others' names with the name each is kept under."""
    kept: Tensors = {}
    aliases: dict[str, str] = {}
    seen: dict[tuple[Any, ...], str] = {}
    for name, tensor in tensors.items():
        place = (tensor.device, tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype)
        if tensor.numel() and place in seen:
            aliases[name] = seen[place]
        else:
            seen[place] = name
            kept[name] = tensor
    return kept, aliases


def changes(old: Any, new: Any, prefix: str = "") -> list[str]:
    """Return what differs between two JSON-able values, one ``dotted.name: old → new`` each."""
    if isinstance(old, list) and isinstance(new, list):
        old = {str(index): value for index, value in enumerate(old)}
        new = {str(index): value for index, value in enumerate(new)}
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return [] if old == new else [f"{prefix}: {_short(old)} → {_short(new)}"]
    found = []
    for name in [*old, *(name for name in new if name not in old)]:
        dotted = f"{prefix}.{name}" if prefix else name
        if name not in new:
            found.append(f"{dotted}: {_short(old[name])} → (absent)")
        elif name not in old:
            found.append(f"{dotted}: (absent) → {_short(new[name])}")
        else:
            found += changes(old[name], new[name], dotted)
    return found


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 70 else text[:67] + "…"


__all__ = ["Checkpoint", "CheckpointStore", "DamagedFileError", "Position", "changes"]
