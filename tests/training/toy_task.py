"""A tiny task with everything that makes resuming hard: dropout, norms, carried state."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from gradual.training.task import Task


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 8)
        self.norm = nn.BatchNorm1d(8)
        self.drop = nn.Dropout(0.2)
        self.last = nn.Linear(8, 6)
        self.out = nn.Linear(6, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.last(self.drop(torch.relu(self.norm(self.first(x))))))


class Stream:
    def __init__(self, order: torch.Tensor, size: int) -> None:
        self.parts = order.split(size)

    def __len__(self) -> int:
        return len(self.parts)

    def iterate(self, start: int) -> Iterator[torch.Tensor]:
        yield from self.parts[start:]


class Toy(Task):
    """Regression on made-up numbers; the carried state drifts with every batch."""

    def __init__(self, rows: int = 96, size: int = 8) -> None:
        generator = torch.Generator().manual_seed(0)
        with torch.random.fork_rng():
            torch.manual_seed(1)
            self.model = Net()
        self.x = torch.randn(rows, 6, generator=generator)
        self.y = self.x[:, :1] * 2 - self.x[:, 1:2]
        self.size = size
        self.carried = torch.zeros(())
        self.steps = 0

    def layer_groups(self) -> list[list[nn.Module]]:
        net = self.model
        return [[net.first, net.norm], [net.last], [net.out]]

    def batches(self, epoch: int, seed: int) -> Stream:
        generator = torch.Generator().manual_seed(seed * 1000 + epoch)
        return Stream(torch.randperm(len(self.x), generator=generator), self.size)

    def loss(self, batch: Any) -> torch.Tensor:
        self.steps += 1
        prediction = self.model(self.x[batch]) + 0.1 * self.carried
        self.carried = 0.5 * self.carried + prediction.detach().float().mean()
        return nn.functional.mse_loss(prediction.float(), self.y[batch])

    def validate(self) -> dict[str, float]:
        assert not self.model.training
        loss = nn.functional.mse_loss(self.model(self.x).float(), self.y)
        return {"valid_loss": float(loss)}

    def state(self) -> dict[str, torch.Tensor]:
        return {"carried": self.carried}

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        self.carried = state["carried"]

    def start_epoch(self) -> None:
        self.carried = torch.zeros(())


def weights(task: Task) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in task.model.state_dict().items()}


def same(one: Mapping[str, torch.Tensor], two: Mapping[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[k], two[k]) for k in one)
