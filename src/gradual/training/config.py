"""What a training run is made of: phases and the settings they share. Free of torch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from gradual.training.settings import Settings

ScheduleName = Literal["one_cycle", "cosine_restarts", "slanted_triangular"]
Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class Phase(Settings):
    """Some epochs with one schedule and one set of trainable layer groups.

    Attributes:
        epochs: passes through the training batches.
        lr: top learning rate; one number for all layer groups, or (low, high), geometric from
            the first layer group to the last.
        groups: how many layer groups train, counted from the output; None for all.
        momentum: beta1 of AdamW at the low and at the top learning rate.
        schedule: shape of the learning rate; see `gradual.training.schedule`.
        warmup: part of the phase's steps in which the rate rises (one cycle, slanted triangle).
        start_div: the rate starts at lr / start_div; the ratio of the slanted triangle.
        end_div: the rate ends at lr / end_div (one cycle, cosine).
        cycles: number of equally long cosine cycles.
        max_steps: at most so many steps an epoch; None for all. For trials.
    """

    epochs: int
    lr: float | tuple[float, float]
    groups: int | None = None
    momentum: tuple[float, float] = (0.95, 0.85)
    schedule: ScheduleName = "one_cycle"
    warmup: float = 0.25
    start_div: float = 25.0
    end_div: float = 1e5
    cycles: int = 1
    max_steps: int | None = None

    def __post_init__(self) -> None:
        rates = self.lr if isinstance(self.lr, tuple) else (self.lr, self.lr)
        _require(self.epochs >= 1, "epochs", self.epochs, "use 1 or more, or leave the phase out")
        _require(
            len(rates) == 2 and all(math.isfinite(r) for r in rates) and 0 < rates[0] <= rates[1],
            "lr",
            self.lr,
            "use a positive number, or [low, high] with 0 < low <= high",
        )
        _require(
            self.groups is None or self.groups >= 1,
            "groups",
            self.groups,
            "use 1 or more layer groups, or null for all",
        )
        _require(
            len(self.momentum) == 2 and all(0 <= m < 1 for m in self.momentum),
            "momentum",
            self.momentum,
            "use two numbers in [0, 1): at the low and at the top rate",
        )
        _require(
            self.schedule in ("one_cycle", "cosine_restarts", "slanted_triangular"),
            "schedule",
            self.schedule,
            "use one_cycle, cosine_restarts or slanted_triangular",
        )
        _require(0 < self.warmup < 1, "warmup", self.warmup, "use a part between 0 and 1")
        _require(self.start_div >= 1, "start_div", self.start_div, "use 1 or more")
        _require(self.end_div >= 1, "end_div", self.end_div, "use 1 or more")
        _require(self.cycles >= 1, "cycles", self.cycles, "use 1 or more")
        _require(
            self.max_steps is None or self.max_steps >= 1,
            "max_steps",
            self.max_steps,
            "use 1 or more, or null for all",
        )


@dataclass(frozen=True)
class EarlyStopping(Settings):
    """Stop when the validation figure no longer gets better, and keep the best epoch's weights.

    The weights of the best epoch are what the run ends with, also where it did not stop early.

    Attributes:
        metric: a figure that the task's ``validate`` returns.
        higher_is_better: whether the metric grows as the model gets better.
        patience: epochs in a row without a new best after which the run stops, over all phases.
        min_delta: what a figure must be better by to count as a new best.
    """

    metric: str = "valid_loss"
    higher_is_better: bool = False
    patience: int = 5
    min_delta: float = 0.0

    def __post_init__(self) -> None:
        _require(self.patience >= 1, "patience", self.patience, "use 1 or more epochs")
        _require(
            math.isfinite(self.min_delta) and self.min_delta >= 0,
            "min_delta",
            self.min_delta,
            "use 0 or more",
        )

    def best_epoch(self, values: Sequence[float]) -> int | None:
        """Return the index of the best epoch's value; None if none is a number."""
        best = None
        for index, value in enumerate(values):
            gain = math.inf if best is None else value - values[best]
            if best is not None and not self.higher_is_better:
                gain = -gain
            if not math.isnan(value) and gain > (0 if best is None else self.min_delta):
                best = index
        return best


@dataclass(frozen=True)
class TrainingConfig(Settings):
    """A training run: its phases in order and what they share.

    Attributes:
        phases: run one after the other, each with a fresh optimiser.
        seed: of everything random in the run.
        device: "auto" (CUDA, then Apple, then CPU) or a torch device such as "cuda:1".
        precision: "auto" takes bfloat16 where the hardware is fast at it.
        weight_decay: decoupled (Loshchilov & Hutter 2019); none on biases and norms.
        beta2: decay of the squared gradients' average.
        eps: added to the denominator of the update.
        gradient_clip: largest norm of all gradients together; None for no clipping.
        early_stopping: when to stop before the last epoch; None to train all and keep the last
            weights.
        checkpoint_seconds: time between two checkpoints; one more is made at each epoch's end.
    """

    phases: tuple[Phase, ...]
    seed: int = 42
    # Where and how often, not what: a finished stage stays valid when these change.
    device: str = field(default="auto", metadata={"identity": False})
    precision: Precision = "auto"
    weight_decay: float = 0.01
    beta2: float = 0.99
    eps: float = 1e-5
    gradient_clip: float | None = None
    early_stopping: EarlyStopping | None = None
    checkpoint_seconds: float = field(default=60.0, metadata={"identity": False})

    def __post_init__(self) -> None:
        _require(len(self.phases) >= 1, "phases", self.phases, "give at least one phase")
        _require(0 <= self.seed < 2**63, "seed", self.seed, "use an integer from 0 to 2^63 - 1")
        _require(
            self.precision in ("auto", "float32", "bfloat16"),
            "precision",
            self.precision,
            "use auto, float32 or bfloat16",
        )
        _require(self.weight_decay >= 0, "weight_decay", self.weight_decay, "use 0 or more")
        _require(0 <= self.beta2 < 1, "beta2", self.beta2, "use a number in [0, 1)")
        _require(self.eps > 0, "eps", self.eps, "use a small positive number such as 1e-5")
        _require(
            self.gradient_clip is None or self.gradient_clip > 0,
            "gradient_clip",
            self.gradient_clip,
            "use a positive norm, or null for no clipping",
        )
        _require(
            self.checkpoint_seconds >= 0,
            "checkpoint_seconds",
            self.checkpoint_seconds,
            "use seconds, 0 for every step",
        )

    def shortened(self, epochs: int) -> "TrainingConfig":
        """Return the same training for so many epochs and no early stopping.

        It trains once more, on the validation rows too, after those have said how many epochs are
        best. The phase in which the last epoch falls is shortened, so that its schedule ends with
        it, and phases after it are left out.

        Args:
            epochs: over all phases, at least 1; no more than there are.
        """
        _require(epochs >= 1, "epochs", epochs, "use 1 or more")
        phases, left = [], epochs
        for phase in self.phases:
            if left > 0:
                phases.append(replace(phase, epochs=min(phase.epochs, left)))
                left -= phase.epochs
        return replace(self, phases=tuple(phases), early_stopping=None)


def _require(condition: bool, name: str, value: object, remedy: str) -> None:
    if not condition:
        raise ValueError(f"{name} is {value!r}: {remedy}.")
