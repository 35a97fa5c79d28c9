"""Embedding tables whose training costs what the rows of a batch cost, not what the table does.

AdamW moves every row of a table at every step: a row that is not in the batch still drifts on its
momentum and decays. That drift needs no gradient, so it can wait until somebody looks at the row.
`RowAdamW` keeps for each row the step up to which it is done, and catches up on what it has missed
when the row is looked up next: the same weights as dense AdamW (Loshchilov & Hutter 2019, arXiv
1711.05101), up to rounding and the place of eps, from work proportional to the batch.

A row that was done at step s has seen no gradient since, so at step t its averages are
m_t = B1 m_s and v_t = B2 v_s with B1, B2 the products of the betas in between, and

    p_t = W p_s - K m_s / (sqrt(v_s) + eps),
    W = prod(1 - lr wd),   K_t = (1 - lr_t wd) K_{t-1} + r_t B1 / sqrt(B2),
    r_t = lr_t sqrt(1 - beta2^t) / (1 - beta1^t).

W, B1, B2 and K depend on s and t only: one short vector each over all s, kept up to date.
"""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

_WINDOW = 2048
"""Steps after which all rows are caught up with, which bounds the vectors over s."""
_SMALL = 65_536
"""Numbers in a table up to which dense AdamW on all of it takes less time than picking out rows."""
_BLOCK = 65_536
"""Rows that are caught up with at a time, which bounds the memory it takes."""


class RowTable(nn.Module):
    """An embedding table that `RowAdamW` trains.

    Args:
        rows: Number of rows.
        width: Numbers in a row.
        std: Of the truncated normal distribution that the rows start from.

    Attributes:
        weight: ``(rows, width)``. During training, rows not looked up lately lag behind; they are
            up to date after each epoch.
        by_row: Whether `RowAdamW` trains it; a small table is quicker trained as a whole.
    """

    def __init__(self, rows: int, width: int, std: float = 0.01) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.trunc_normal_(torch.empty(rows, width), std=std))
        self.by_row = rows * width > _SMALL
        self.optimizer: _Rows | None = None

    def forward(self, ids: Tensor) -> Tensor:
        """Return the rows of ids of any shape, ``(*ids.shape, width)``."""
        self._catch_up(ids)
        return F.embedding(ids, self.weight, sparse=self.by_row)

    def bag(self, ids: Tensor, offsets: Tensor, weights: Tensor) -> Tensor:
        """Return weighted sums of rows, ``(bags, width)``.

        Args:
            ids: ``(n,)`` rows of all bags, one bag after the other.
            offsets: ``(bags,)`` where each bag begins.
            weights: ``(n,)`` float32, one for each row.
        """
        self._catch_up(ids)
        return F.embedding_bag(
            ids,
            self.weight,
            offsets,
            mode="sum",
            sparse=self.by_row,
            per_sample_weights=weights,
        )

    def _catch_up(self, ids: Tensor) -> None:
        if self.training and self.optimizer is not None:
            self.optimizer.catch_up(ids.reshape(-1))


class RowAdamW:
    """AdamW for the tables of one layer group; see the module's docstring.

    Args:
        tables: Those that train. Until another optimiser takes them, they ask this one to catch
            up on the rows they are asked for.
        weight_decay: Decoupled, on all rows.
        beta2: Decay of the squared gradients' average.
        eps: Added to the denominator of the update.
    """

    def __init__(
        self, tables: Sequence[RowTable], weight_decay: float, beta2: float, eps: float
    ) -> None:
        self._weight_decay, self._beta2, self._eps = weight_decay, beta2, eps
        self.lr, self.beta1 = 0.0, 0.0
        device = tables[0].weight.device
        # Float64 on the CPU, where it costs nothing; Apple's GPUs have none.
        self._dtype = torch.float64 if device.type == "cpu" else torch.float32
        self._steps = 0  # over the optimiser's life, for the bias corrections
        self._since = 0  # since all rows were caught up with
        # W, B1, B2 and K of each step since then.
        self._gap = torch.empty(4, _WINDOW + 1, dtype=self._dtype, device=device)
        self._gap[:, 0] = self._fresh()
        self._rows = [_Rows(table.weight, self) for table in tables]
        for table, rows in zip(tables, self._rows, strict=True):
            table.optimizer = rows

    def _fresh(self) -> Tensor:
        return torch.tensor([1, 1, 1, 0], dtype=self._dtype)

    def step(self) -> None:
        """Move the rows that have a gradient; what the others miss is kept to catch up on."""
        self._steps += 1
        correction1 = 1 - self.beta1**self._steps
        correction2 = (1 - self._beta2**self._steps) ** 0.5
        decay, rate = 1 - self.lr * self._weight_decay, self.lr * correction2 / correction1
        gap = self._gap[:, : self._since + 1]
        gap.mul_(gap.new_tensor([[decay], [self.beta1], [self._beta2], [decay]]))
        # Averages too small to matter are not kept: processors are slow at such numbers.
        F.threshold(gap[1], 1e-20, 0, inplace=True)
        gap[3].addcdiv_(gap[1], gap[2].sqrt(), value=rate)
        self._since += 1
        self._gap[:, self._since] = self._fresh()
        for rows in self._rows:
            rows.step(decay, self.beta1, self._beta2, rate, self._eps * correction2, self._since)
        if self._since == _WINDOW:
            self.settle()

    def settle(self) -> None:
        """Catch up on all rows."""
        for rows in self._rows:
            rows.catch_up(None)
            rows.done.zero_()
        self._since = 0
        self._gap[:, 0] = self._fresh()

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for rows in self._rows:
            rows.weight.grad = None

    def state(self) -> dict[str, Tensor]:
        """Return averages, positions and step counts as tensors."""
        state = {
            "counts": torch.tensor([self._steps, self._since]),
            "gap": self._gap[:, : self._since + 1].clone(),
        }
        for index, rows in enumerate(self._rows):
            state |= {f"{index}.averages": rows.averages, f"{index}.done": rows.done}
        return state

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `state` returned."""
        self._steps, self._since = (int(count) for count in state["counts"])
        self._gap[:, : self._since + 1] = state["gap"].to(self._gap)
        for index, rows in enumerate(self._rows):
            rows.averages.copy_(state[f"{index}.averages"])
            rows.done.copy_(state[f"{index}.done"])

    def missed(self, done: Tensor) -> Tensor:
        """Return W, B1, B2 and K ``(4, n)`` since the steps of `done` ``(n,)``."""
        return self._gap.index_select(1, done)

    @property
    def eps(self) -> float:
        """What is added to the denominator."""
        return self._eps

    @property
    def since(self) -> int:
        """Steps since all rows were caught up with."""
        return self._since


class _Rows:
    """One table's averages, and the step each row is done up to."""

    def __init__(self, weight: nn.Parameter, owner: RowAdamW) -> None:
        self.weight, self._owner = weight, owner
        # m and v side by side, so that one lookup brings both.
        self.averages = torch.zeros(len(weight), 2, weight.shape[1], device=weight.device)
        self.done = torch.zeros(len(weight), dtype=torch.int64, device=weight.device)
        self._sums = torch.zeros_like(weight.data)  # of a batch's gradients, zero in between

    @torch.no_grad()
    def catch_up(self, ids: Tensor | None) -> None:
        """Bring rows up to the present step; None for all."""
        if self._owner.since == 0:
            return
        if ids is None:
            for block in torch.arange(len(self.weight), device=self.weight.device).split(_BLOCK):
                self.catch_up(block)
            return
        gap = self._owner.missed(self.done.index_select(0, ids)).to(self.weight.dtype)
        decay, beta, missed = gap[0, :, None], gap[1:3].T.unsqueeze(2), gap[3, :, None]
        averages = self.averages.index_select(0, ids)
        mean, square = averages.unbind(1)
        drift = mean / square.sqrt().add_(self._owner.eps)
        weight = self.weight.index_select(0, ids).mul_(decay).addcmul_(drift, missed, value=-1)
        # An id that occurs twice writes the same values twice.
        self.weight.index_copy_(0, ids, weight)
        self.averages.index_copy_(0, ids, averages.mul_(beta))
        self.done.index_fill_(0, ids, self._owner.since)

    @torch.no_grad()
    def step(
        self, decay: float, beta1: float, beta2: float, rate: float, eps: float, now: int
    ) -> None:
        """Move the rows that have a gradient by one step."""
        gradient = self.weight.grad
        if gradient is None:
            return
        ids, values = gradient._indices()[0], gradient._values()
        # Sums over equal ids, without sorting them.
        self._sums.index_add_(0, ids, values)
        total = self._sums.index_select(0, ids)
        self._sums.index_fill_(0, ids, 0)
        averages = self.averages.index_select(0, ids)
        mean, square = averages.unbind(1)
        mean.lerp_(total, 1 - beta1)
        square.mul_(beta2).addcmul_(total, total, value=1 - beta2)
        weight = self.weight.index_select(0, ids).mul_(decay)
        weight.addcdiv_(mean, square.sqrt().add_(eps), value=-rate)
        self.weight.index_copy_(0, ids, weight)
        self.averages.index_copy_(0, ids, averages)
        self.done.index_fill_(0, ids, now)
