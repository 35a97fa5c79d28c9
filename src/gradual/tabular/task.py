"""A net on a table as the engine trains it: everything is in tensors, a batch is a list of rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn

from gradual.results.scores import area_under_roc
from gradual.tabular.model import TabularNet
from gradual.tabular.targets import Target
from gradual.training.files import fingerprint
from gradual.training.modules import array_hash
from gradual.training.task import Task

# Rows that are predicted at a time: a net of 8 members holds 8 kB of each in a layer of 256.
_ROWS = 1_024


def codes_of(encoded: pa.Table, cardinalities: Mapping[str, int]) -> Tensor:
    """The categorical columns of an encoded table, `(n, columns)`, int32.

    Raises:
        ValueError: A code is beyond its column's embedding.
    """
    codes = np.zeros((encoded.num_rows, len(cardinalities)), np.int32)
    for place, (name, count) in enumerate(cardinalities.items()):
        codes[:, place] = encoded.column(name).to_numpy()
        wrong = (codes[:, place] < 0) | (codes[:, place] >= count)
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise ValueError(
                f"row {row} (the first is 0) has code {codes[row, place]} in the column {name!r}, "
                f"which has codes 0 to {count - 1}: transform the table with the preprocessor of "
                "this model"
            )
    return torch.from_numpy(codes)


def numbers_of(encoded: pa.Table, continuous: Sequence[str]) -> Tensor:
    """The continuous columns of an encoded table, `(n, columns)`, float32."""
    numbers = np.zeros((encoded.num_rows, len(continuous)), np.float32)
    for place, name in enumerate(continuous):
        numbers[:, place] = encoded.column(name).to_numpy()
    return torch.from_numpy(numbers)


class RowBatches:
    """The batches of an epoch: equal slices of a permutation of the rows.

    Rows that fill no batch are left out; others are, in the next epoch. Fewer rows than a batch
    are one batch.

    Args:
        rows: Row numbers `(n,)`, on the device.
        batch_size: Rows of a batch.
        epoch: Counted from 0.
        seed: Of the order, together with the epoch.
    """

    def __init__(self, rows: Tensor, batch_size: int, epoch: int, seed: int) -> None:
        order = torch.from_numpy(np.random.default_rng([seed, epoch]).permutation(len(rows)))
        self._rows = rows[order.to(rows.device)]
        self._size = min(batch_size, len(rows))

    def __len__(self) -> int:
        return len(self._rows) // self._size

    def iterate(self, start: int) -> Iterator[Tensor]:
        """Yield the row numbers of batches start, start + 1 and so on."""
        for batch in range(start, len(self)):
            yield self._rows[batch * self._size : (batch + 1) * self._size]


class TabularTask(Task):
    """A net, the rows it learns from and those it is judged on.

    Args:
        model: Embeddings and layers.
        target: What it predicts.
        codes: `(n, categorical)`, all rows.
        numbers: `(n, continuous)`, all rows.
        truth: Of the training rows and then the validation rows, in their order; see
            `Target.encode`.
        train_rows: Row numbers.
        valid_rows: Row numbers; none for no validation.
        batch_size: Rows of a batch.
    """

    model: TabularNet

    def __init__(
        self,
        model: TabularNet,
        target: Target,
        codes: Tensor,
        numbers: Tensor,
        truth: np.ndarray,
        train_rows: np.ndarray,
        valid_rows: np.ndarray,
        batch_size: int,
    ) -> None:
        self.model, self.target = model, target
        self.batch_size = batch_size
        chosen = torch.from_numpy(np.concatenate([train_rows, valid_rows]))
        # The rows that are used, and no others, lie on the device, in this order.
        self._codes, self._numbers = codes[chosen], numbers[chosen]
        self._y = torch.from_numpy(target.to_model(truth))
        self._train = torch.arange(len(train_rows))
        self._truth = truth[len(train_rows) :]

    @property
    def hash(self) -> str:
        """SHA-256 (hex) over the rows and their truth, as far as training and validation go."""
        parts = (self._codes, self._numbers, self._y)
        return fingerprint([array_hash(part.cpu().numpy()) for part in parts])

    def layer_groups(self) -> list[list[nn.Module]]:
        """Return the embeddings, then the layers."""
        model = self.model
        embeddings = [m for m in (model.levels, model.numbers) if m is not None]
        return [embeddings, [model.body]] if embeddings else [[model.body]]

    def to(self, device: torch.device) -> None:
        """Move model and rows to a device."""
        self.model.to(device)
        self._codes, self._numbers = self._codes.to(device), self._numbers.to(device)
        self._y, self._train = self._y.to(device), self._train.to(device)

    def batches(self, epoch: int, seed: int) -> RowBatches:
        """Return the batches of an epoch; see `RowBatches`."""
        return RowBatches(self._train, self.batch_size, epoch, seed)

    def loss(self, batch: Tensor) -> Tensor:
        """Return the loss of a batch of rows; see `Target.loss`."""
        codes = self._codes.index_select(0, batch)
        outputs = self.model(codes, self._numbers.index_select(0, batch))
        return self.target.loss(outputs, self._y.index_select(0, batch))

    def validate(self) -> dict[str, float]:
        """Return figures of the validation rows.

        `valid_loss` is that of the rows' predictions, members averaged; beside it accuracy and, of
        two classes or labels, the area under the ROC curve, or root mean squared and mean absolute
        error in the target's unit.
        """
        first = len(self._train)
        if first == len(self._codes):
            return {}
        found = predict(self.model, self.target, self._codes[first:], self._numbers[first:])
        return scores(self.target, found, self._truth)


def predict(model: TabularNet, target: Target, codes: Tensor, numbers: Tensor) -> np.ndarray:
    """Apply a net to rows, block by block.

    Args:
        model: In evaluation mode, on the rows' device.
        target: What it predicts.
        codes: `(n, categorical)`.
        numbers: `(n, continuous)`.

    Returns:
        `(n, outputs)`: probabilities, float32, or values in the target's unit, float64.
    """
    blocks = [
        target.predictions(model(codes[i : i + _ROWS], numbers[i : i + _ROWS]))
        for i in range(0, len(codes), _ROWS)
    ]
    if not blocks:
        return np.zeros((0, target.outputs), np.float32)
    found = torch.cat(blocks).cpu().numpy()
    return target.from_model(found) if target.kind == "regression" else found


def scores(target: Target, found: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Score predictions on validation rows; see `TabularTask.validate`."""
    if target.kind == "regression":
        # On the scale that the net learns, which is that of its loss.
        loss = float(np.square(target.to_model(found) - target.to_model(truth)).mean())
        error = found - truth
        return {
            "valid_loss": loss,
            "valid_rmse": float(np.sqrt(np.square(error).mean())),
            "valid_mae": float(np.abs(error).mean()),
        }
    sure = found.astype(np.float64).clip(1e-7, 1 - 1e-7)
    if target.kind == "multilabel":
        loss = -np.where(truth > 0.5, np.log(sure), np.log1p(-sure)).mean()
        accuracy = ((found > 0.5) == (truth > 0.5)).mean()
        areas = [area_under_roc(t > 0.5, p) for t, p in zip(truth.T, found.T, strict=True)]
    else:
        loss = -np.log(sure[np.arange(len(truth)), truth]).mean()
        accuracy = (found.argmax(1) == truth).mean()
        areas = [area_under_roc(truth == 1, found[:, 1])] if target.kind == "binary" else []
    known = [area.value for area in areas if area is not None]
    area = {"valid_roc_auc": float(np.mean(known))} if known else {}
    return {"valid_loss": float(loss), "valid_accuracy": float(accuracy), **area}
