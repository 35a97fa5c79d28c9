"""The training engine: runs a task through its phases, and continues where it was killed."""

import itertools
import json
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from gradual.training.checkpoint import (
    FORMAT_VERSION,
    Checkpoint,
    CheckpointStore,
    Position,
    changes,
)
from gradual.training.config import Phase, TrainingConfig
from gradual.training.device import (
    autocast,
    random_state,
    resolve_device,
    resolve_precision,
    set_random_state,
)
from gradual.training.files import canonical_json, to_json_types
from gradual.training.history import History
from gradual.training.optimizer import Optimizer, group_parameters, trainable
from gradual.training.progress import Progress
from gradual.training.schedule import schedule_at
from gradual.training.sealed import DamagedFileError
from gradual.training.task import BatchStream, Task

__all__ = [
    "CheckpointStore",
    "History",
    "NonFiniteLossError",
    "Phase",
    "Task",
    "TrainingConfig",
    "fit",
]

logger = logging.getLogger(__name__)

# Looking at a loss waits for an accelerator, so its losses are looked at only now and then.
_LOOK_EVERY_STEP = ("cpu",)
_LOOK_SECONDS = 1.0
_SHOW_SECONDS = 0.5

OnEpoch = Callable[[dict[str, float], int], None]


class NonFiniteLossError(RuntimeError):
    """The loss, or a weight, is NaN or infinite; nothing of that was saved."""


def fit(
    task: Task,
    config: TrainingConfig,
    *,
    name: str,
    store: CheckpointStore | None = None,
    key: Mapping[str, Any] | None = None,
    on_epoch: OnEpoch | None = None,
) -> History:
    """Train a task's model through all phases.

    With a store, a run that was killed goes on mid-epoch from its last checkpoint and ends on
    the CPU with bit-identical weights; a finished stage is loaded. A checkpoint of other
    parameters, other inputs or another format version, or a damaged one, is not used: the stage
    starts afresh and the log says why.

    Args:
        task: model, data and loss. Afterwards its model holds the final weights, on the device
            and in evaluation mode.
        config: the phases and what they share.
        name: of the stage, for messages.
        store: where checkpoints are kept; None keeps none.
        key: what the stage depends on beside ``config``, by name: dataclasses, mappings, lists,
            scalars. Fields of a dataclass with metadata ``identity=False`` do not count.
        on_epoch: gets each epoch's figures and its number (from 1, over all phases). Epochs
            restored from a checkpoint are reported too, so that every run's record is whole.

    Returns:
        The figures of all epochs.

    Raises:
        NonFiniteLossError: the loss or a weight is NaN or infinite; names phase, epoch, step,
            rate and remedy. No checkpoint holds anything of it.
        ValueError: device, layer groups or batches do not fit.
        OSError: a checkpoint cannot be written; the earlier one stays.
    """
    device = resolve_device(config.device)
    task.to(device)
    identity = json.loads(
        canonical_json(to_json_types({"training": config, **(key or {})}, identity=True))
    )
    run = _Run(task, config, name, store, identity, on_epoch, device)
    return run.train()


@dataclass
class _Epoch:
    """What one epoch has done so far."""

    number: int  # over all phases, from 0
    in_phase: int
    phase: Phase
    where: str  # in words, for messages
    steps: int
    done: int
    seconds: dict[str, float]
    loss_sum: float  # of the losses that were looked at
    seen: int  # how many those are
    waiting: list[torch.Tensor] = field(default_factory=list)  # the others, still on the device
    rate: float = 0.0  # of the last layer group, now
    top_rate: float = 0.0  # the highest of those
    lapped: float = field(default_factory=time.monotonic)

    def lap(self, name: str) -> None:
        """Count the time since the last lap under a name."""
        now = time.monotonic()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self.lapped
        self.lapped = now

    @property
    def position(self) -> Position:
        return Position(self.number, self.done, self.loss_sum, self.top_rate, dict(self.seconds))


class _Run:
    """One call of `fit`."""

    def __init__(
        self,
        task: Task,
        config: TrainingConfig,
        name: str,
        store: CheckpointStore | None,
        key: dict[str, Any],
        on_epoch: OnEpoch | None,
        device: torch.device,
    ) -> None:
        self.task, self.config, self.name, self.store = task, config, name, store
        self.key, self.on_epoch, self.device = key, on_epoch, device
        self.dtype = resolve_precision(config.precision, device)
        self.groups = group_parameters(task.model, task.layer_groups())
        self.history = History()
        self.best: dict[str, torch.Tensor] = {}
        self.stopped = False
        self.plan = [(i, e) for i, p in enumerate(config.phases) for e in range(p.epochs)]
        self.saved_at = time.monotonic()

    def train(self) -> History:
        torch.manual_seed(self.config.seed)
        checkpoint = self._restore()
        for figures in self.history.epochs:
            self._report(figures)
        if checkpoint is None or not checkpoint.finished:
            self._train_from(checkpoint)
        self.history.best_epoch = self._best_epoch()
        self.task.model.eval()
        return self.history

    def _train_from(self, checkpoint: Checkpoint | None) -> None:
        """Run the phases from a checkpoint, or from the start."""
        position = Position() if checkpoint is None else checkpoint.position
        logger.info(
            "%s: trains on %s in %s, %d parameters",
            self.name,
            self.device,
            str(self.dtype).removeprefix("torch."),
            sum(parameter.numel() for parameter in self.task.model.parameters()),
        )
        stream = self.task.batches(position.epoch, self.config.seed)
        # The number of steps may differ between epochs; for the time left this is near enough.
        sizes = [self._steps(stream, self.config.phases[phase]) for phase, _ in self.plan]
        with Progress(self.name, sum(sizes), sum(sizes[: position.epoch]) + position.step) as bar:
            first = 0
            for phase in self.config.phases:
                end = first + phase.epochs
                if position.epoch < end and not self.stopped:
                    with trainable(self.groups, phase.groups):
                        optimizer = Optimizer(self.task.model, self.groups, phase, self.config)
                        if checkpoint is not None:
                            optimizer.load_state(checkpoint.optimizer)
                            checkpoint = None
                        while position.epoch < end and not self.stopped:
                            before = sum(sizes[: position.epoch])
                            position = self._epoch(position, optimizer, bar, before)
                first = end

    def _epoch(
        self, position: Position, optimizer: Optimizer, bar: Progress, before: int
    ) -> Position:
        """Train what is left of an epoch, validate, save; return the position after it."""
        stream = self.task.batches(position.epoch, self.config.seed)
        epoch = self._start(position, stream)
        self._steps_of(epoch, stream, optimizer, bar, before)
        optimizer.settle()
        self._wait()
        epoch.lap("train")
        self._require_finite(epoch)
        valid = self._validate()
        epoch.lap("valid")
        self.history.epochs.append(self._figures(epoch, valid))
        at = Position(epoch.number + 1)
        self._judge()
        if self.store is not None:
            # A new phase has a new optimiser, so the old one's state is dead weight then.
            goes_on = epoch.in_phase + 1 < epoch.phase.epochs
            self._save(at, optimizer.state() if goes_on else {})
            epoch.lap("checkpoint_after")
        bar.show(epoch.where, before + epoch.steps, self._shown(epoch))
        bar.epoch(epoch.where, _line(self.history.epochs[-1]))
        self._report(self.history.epochs[-1])
        return replace(at, seconds={"checkpoint": epoch.seconds.get("checkpoint_after", 0.0)})

    def _start(self, position: Position, stream: BatchStream) -> _Epoch:
        index, in_phase = self.plan[position.epoch]
        phases = self.config.phases
        phase = phases[index]
        if position.step == 0:
            self.task.start_epoch()
        self.task.model.train()
        return _Epoch(
            number=position.epoch,
            in_phase=in_phase,
            phase=phase,
            where=f"phase {index + 1}/{len(phases)} epoch {in_phase + 1}/{phase.epochs}",
            steps=self._steps(stream, phase),
            done=position.step,
            seconds=dict(position.seconds),
            loss_sum=position.loss_sum,
            seen=position.step,
            top_rate=position.top_rate,
        )

    def _steps(self, stream: BatchStream, phase: Phase) -> int:
        steps = len(stream)
        if steps < 1:
            raise ValueError(
                f"{self.name}: no batch to train on: give more data, or a smaller batch size."
            )
        return steps if phase.max_steps is None else min(steps, phase.max_steps)

    def _steps_of(
        self,
        epoch: _Epoch,
        stream: BatchStream,
        optimizer: Optimizer,
        bar: Progress,
        before: int,
    ) -> None:
        """Take an epoch's steps from ``epoch.done`` on."""
        task, phase, steps = self.task, epoch.phase, epoch.steps
        clip = self.config.gradient_clip
        foreach = self.device.type in ("cpu", "cuda")  # by default a Python loop on the CPU
        every_step = self.device.type in _LOOK_EVERY_STEP
        every = self.config.checkpoint_seconds if self.store is not None else math.inf
        looked = shown = time.monotonic()
        for batch in itertools.islice(stream.iterate(epoch.done), steps - epoch.done):
            progress = (epoch.in_phase + epoch.done / steps) / phase.epochs
            factor, momentum = schedule_at(phase, progress)
            epoch.rate = optimizer.set(factor, momentum)
            epoch.top_rate = max(epoch.top_rate, epoch.rate)
            optimizer.zero_grad()
            with autocast(self.device, self.dtype):
                loss = task.loss(batch)
            epoch.waiting.append(loss.detach())
            if every_step:
                self._look(epoch)
            loss.backward()
            if clip is not None:
                nn.utils.clip_grad_norm_(optimizer.parameters, clip, foreach=foreach)
            optimizer.step()
            epoch.done += 1
            now = time.monotonic()
            if now - looked >= _LOOK_SECONDS:
                looked = now
                self._look(epoch)
            if now - shown >= _SHOW_SECONDS and epoch.seen:
                shown = now
                bar.show(epoch.where, before + epoch.done, self._shown(epoch))
            if now - self.saved_at >= every:
                self._wait()
                epoch.lap("train")
                self._require_finite(epoch)
                self._save(epoch.position, optimizer.state())
                epoch.lap("checkpoint")
        optimizer.zero_grad()
        if epoch.done < steps:
            raise ValueError(
                f"{self.name}: batches() of epoch {epoch.number} promised {len(stream)} batches "
                f"and gave {epoch.done}: len() must be the number that iterate(0) yields."
            )
        self._look(epoch)

    # -- what is watched --------------------------------------------------------------------

    def _look(self, epoch: _Epoch) -> None:
        """Fetch the waiting losses and stop at the first that is not finite."""
        if not epoch.waiting:
            return
        if len(epoch.waiting) == 1:
            values = [epoch.waiting[0].item()]
        else:
            values = torch.stack(epoch.waiting).tolist()
        epoch.waiting.clear()
        for value in values:
            if not math.isfinite(value):
                raise self._stop(epoch, f"the loss is {value}", epoch.seen)
            epoch.loss_sum += value
            epoch.seen += 1

    def _require_finite(self, epoch: _Epoch) -> None:
        """Stop if a loss or a weight is not finite: a finite loss may have bad gradients."""
        self._look(epoch)
        named = list(self.task.model.named_parameters())
        finite = torch.stack([torch.isfinite(parameter).all() for _, parameter in named])
        if not bool(finite.all()):
            name = named[int(finite.int().argmin())][0]
            raise self._stop(epoch, f"the weight {name} is not finite", epoch.done - 1)

    def _stop(self, epoch: _Epoch, what: str, step: int) -> NonFiniteLossError:
        progress = (epoch.in_phase + step / epoch.steps) / epoch.phase.epochs
        top = epoch.phase.lr[1] if isinstance(epoch.phase.lr, tuple) else epoch.phase.lr
        rate = top * schedule_at(epoch.phase, progress)[0]
        kept = "" if self.store is None else " The last good checkpoint is kept."
        return NonFiniteLossError(
            f"{self.name}: {what} in {epoch.where} (epoch {epoch.number + 1} of "
            f"{len(self.plan)}), step {step + 1} of {epoch.steps}, at learning rate {rate:.3g}. "
            f"Nothing of it was saved.{kept} Use a lower lr (the range test suggests one), set "
            "gradient_clip (e.g. 0.25), or precision: float32; then look for bad input values."
        )

    def _shown(self, epoch: _Epoch) -> dict[str, float]:
        metrics = self.history.epochs[-1] if self.history.epochs else {}
        metric = {k: v for k, v in metrics.items() if _is_score(k)}
        return {"loss": epoch.loss_sum / epoch.seen, **metric, "lr": epoch.rate}

    def _figures(self, epoch: _Epoch, valid: dict[str, float]) -> dict[str, float]:
        seconds = {name: epoch.seconds.get(name, 0.0) for name in ("train", "valid", "checkpoint")}
        return {
            "phase": self.plan[epoch.number][0] + 1,
            "epoch": epoch.number + 1,
            "steps": epoch.steps,
            "train_loss": epoch.loss_sum / epoch.steps,
            **valid,
            "lr": epoch.top_rate,
            "seconds": sum(seconds.values()),
            **{f"{name}_seconds": value for name, value in seconds.items()},
            "steps_per_second": epoch.steps / max(seconds["train"], 1e-9),
        }

    def _report(self, figures: dict[str, float]) -> None:
        if self.on_epoch is not None:
            self.on_epoch(dict(figures), int(figures["epoch"]))

    def _validate(self) -> dict[str, float]:
        self.task.model.eval()
        with torch.no_grad(), autocast(self.device, self.dtype):
            return {name: float(value) for name, value in self.task.validate().items()}

    def _wait(self) -> None:
        """Wait for the accelerator, so that times are counted where they were spent."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        elif self.device.type == "mps":
            torch.mps.synchronize()

    # -- early stopping ---------------------------------------------------------------------

    def _best_epoch(self) -> int | None:
        """Return the best epoch so far, from 1; None without early stopping."""
        stopping = self.config.early_stopping
        if stopping is None:
            return None
        figures = self.history.epochs
        if figures and stopping.metric not in figures[-1]:
            raise ValueError(
                f"{self.name}: early_stopping goes by {stopping.metric!r}, which this task does "
                f"not measure: use one of {', '.join(n for n in figures[-1] if _is_score(n))}, "
                "and hold out validation rows."
            )
        best = stopping.best_epoch([epoch[stopping.metric] for epoch in figures])
        return None if best is None else best + 1

    def _judge(self) -> None:
        """Keep the weights of a new best epoch, or stop, or end with the best ones."""
        stopping = self.config.early_stopping
        if stopping is None:
            return
        done, best = len(self.history.epochs), self._best_epoch()
        if best == done:
            self.best = {name: t.clone() for name, t in self.task.model.state_dict().items()}
        self.stopped = done - (best or 0) >= stopping.patience
        if self.stopped and done < len(self.plan):
            logger.info(
                "%s: stops after %d of %d epochs, %d without a better %s; keeps epoch %s",
                self.name,
                done,
                len(self.plan),
                done - (best or 0),
                stopping.metric,
                best,
            )
        if (self.stopped or done == len(self.plan)) and self.best:
            self.task.model.load_state_dict(self.best)
            self.best = {}

    # -- checkpoints ------------------------------------------------------------------------

    def _save(self, position: Position, optimizer: dict[str, torch.Tensor]) -> None:
        assert self.store is not None
        self.store.save(
            Checkpoint(
                key=self.key,
                position=position,
                finished=self.stopped or position.epoch == len(self.plan),
                history=self.history.epochs,
                model=self.task.model.state_dict(),
                optimizer=optimizer,
                task=self.task.state(),
                random=random_state(self.device),
                best=self.best,
            )
        )
        self.saved_at = time.monotonic()

    def _restore(self) -> Checkpoint | None:
        """Load the stored checkpoint if this very stage made it; say why if not."""
        if self.store is None:
            return None
        try:
            checkpoint = self.store.load()
        except DamagedFileError as error:
            logger.warning("%s: starts afresh, the checkpoint is damaged: %s", self.name, error)
            return None
        if checkpoint is None:
            return None
        reasons = self._reasons_against(checkpoint)
        if reasons:
            logger.warning(
                "%s: starts afresh, the checkpoint in %s is of another run: %s",
                self.name,
                self.store.path,
                "; ".join(reasons),
            )
            return None
        self.task.model.load_state_dict(checkpoint.model)
        self.task.load_state(checkpoint.task)
        set_random_state(checkpoint.random, self.device)
        self.best = {n: tensor.to(self.device) for n, tensor in checkpoint.best.items()}
        self.history = History([dict(figures) for figures in checkpoint.history], resumed=True)
        position = checkpoint.position
        if checkpoint.finished:
            logger.info("%s: is finished already, loaded from %s", self.name, self.store.path)
        else:
            logger.info(
                "%s: continues after %d of %d epochs and %d steps",
                self.name,
                position.epoch,
                len(self.plan),
                position.step,
            )
        return checkpoint

    def _reasons_against(self, checkpoint: Checkpoint) -> list[str]:
        if checkpoint.format_version != FORMAT_VERSION:
            return changes(checkpoint.format_version, FORMAT_VERSION, "format_version")
        reasons = changes(checkpoint.key, self.key)
        if reasons:
            return reasons
        shapes = {name: list(t.shape) for name, t in checkpoint.model.items()}
        return changes(
            shapes, {name: list(t.shape) for name, t in self.task.model.state_dict().items()}
        )


def _is_score(name: str) -> bool:
    return name.startswith("valid_") and name != "valid_seconds"


def _line(figures: dict[str, float]) -> dict[str, float]:
    """Keep what a line of the log should say about an epoch."""
    hidden = {"phase", "epoch", "steps", "train_seconds", "checkpoint_seconds"}
    return {name: value for name, value in figures.items() if name not in hidden}
