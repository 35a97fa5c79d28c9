"""The figures of a run, epoch by epoch."""

from dataclasses import dataclass, field

import pandas as pd


@dataclass
class History:
    """What a run measured.

    Attributes:
        epochs: one dict for each finished epoch: ``phase`` and ``epoch`` (from 1, the epoch over
            all phases), ``steps``, ``train_loss`` (mean over the steps, regularisers included),
            ``lr`` (the last layer group's highest rate in that epoch), ``seconds`` =
            ``train_seconds`` + ``valid_seconds`` + ``checkpoint_seconds``, ``steps_per_second``
            (steps / train_seconds), and every figure of the task's ``validate``.
        best_epoch: the epoch (from 1) whose weights were kept, under early stopping; None without.
        resumed: the run went on from a checkpoint, or was finished already.
    """

    epochs: list[dict[str, float]] = field(default_factory=list)
    resumed: bool = False
    best_epoch: int | None = None

    def to_frame(self) -> pd.DataFrame:
        """Return the epochs as a table, one row each."""
        frame = pd.DataFrame(self.epochs)
        counts = [name for name in ("phase", "epoch", "steps") if name in frame]
        return frame.astype(dict.fromkeys(counts, "int64"))
