import pytest
import torch

from gradual.training import rows
from gradual.training.checkpoint import CheckpointStore
from gradual.training.config import Phase, TrainingConfig
from gradual.training.engine import fit
from gradual.training.optimizer import Optimizer
from gradual.training.rows import RowAdamW, RowTable
from gradual.training.task import Task


@pytest.fixture(autouse=True)
def every_table_by_row(monkeypatch):
    """Tables as small as these would be trained as a whole."""
    monkeypatch.setattr(rows, "_SMALL", 0)


def batch(step: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    # Now and then a few rows only, so that the others wait for long; ids repeat within a batch.
    ids = torch.randint(0, 30 if step % 9 else 3, (8,), generator=generator)
    return ids, torch.randn(8, 4, generator=generator)


@pytest.mark.parametrize("window", [7, 2048])
def test_rows_end_where_dense_adamw_takes_them(monkeypatch, window):
    monkeypatch.setattr(rows, "_WINDOW", window)
    table = RowTable(40, 4, std=0.5)
    dense = torch.nn.Parameter(table.weight.detach().clone())
    ours = RowAdamW([table], weight_decay=0.3, beta2=0.99, eps=1e-8)
    theirs = torch.optim.AdamW([dense], betas=(0.9, 0.99), eps=1e-8, weight_decay=0.3)
    start = table.weight.detach().clone()
    generator = torch.Generator().manual_seed(1)
    for step in range(200):
        ids, target = batch(step, generator)
        lr, beta1 = 1e-2 * (1 + step % 5), 0.95 - 0.1 * (step % 3) / 3
        ours.lr, ours.beta1 = lr, beta1
        theirs.param_groups[0].update(lr=lr, betas=(beta1, 0.99))
        loss = (table(ids) - target).square().mean()
        assert loss.item() == pytest.approx((dense[ids] - target).square().mean().item(), rel=1e-3)
        ours.zero_grad()
        loss.backward()
        ours.step()
        theirs.zero_grad()
        (dense[ids] - target).square().mean().backward()
        theirs.step()
    ours.settle()
    torch.testing.assert_close(table.weight, dense, atol=2e-5, rtol=0)
    assert (start[:30] - dense[:30]).abs().mean() > 0.1
    # Rows 30 to 39 were never looked at: they have only decayed.
    assert (table.weight[30:] / start[30:]).std() < 1e-5


def test_bags_and_lookups_give_the_same_gradient():
    table = RowTable(5, 3)
    ids, weights = torch.tensor([1, 2, 2, 4]), torch.tensor([1.0, 0.5, 2.0, -1.0])
    bags = table.bag(ids, torch.tensor([0, 2]), weights)
    by_hand = table(ids) * weights[:, None]
    torch.testing.assert_close(bags, torch.stack([by_hand[:2].sum(0), by_hand[2:].sum(0)]))
    gradients = []
    for out in (bags, by_hand):
        table.weight.grad = None
        out.sum().backward()
        gradients.append(table.weight.grad.to_dense())
    torch.testing.assert_close(*gradients)


class TwoTables(Task):
    """One table of the optimiser's own kind beside a layer, in two layer groups."""

    def __init__(self) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.table, self.layer = RowTable(50, 4, std=0.1), torch.nn.Linear(4, 1)
        self.model = torch.nn.Sequential(self.table, self.layer)
        generator = torch.Generator().manual_seed(2)
        self.ids = torch.randint(0, 50, (160,), generator=generator)
        self.y = torch.randn(160, generator=generator)

    def layer_groups(self):
        return [[self.table], [self.layer]]

    def batches(self, epoch, seed):
        generator = torch.Generator().manual_seed(seed + epoch)
        parts = torch.randperm(160, generator=generator).split(8)

        class Stream:
            def __len__(self):
                return len(parts)

            def iterate(self, start):
                yield from parts[start:]

        return Stream()

    def loss(self, rows):
        return (self.model(self.ids[rows])[:, 0] - self.y[rows]).square().mean()

    def validate(self):
        return {"valid_loss": float((self.model(self.ids)[:, 0] - self.y).square().mean())}


CONFIG = TrainingConfig(
    phases=(Phase(1, 1e-2, groups=1), Phase(3, (1e-2, 5e-2))),
    device="cpu",
    precision="float32",
    checkpoint_seconds=0,
)


def test_a_killed_run_ends_with_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "_WINDOW", 11)
    whole = TwoTables()
    history = fit(whole, CONFIG, name="whole")
    for steps in (3, 21, 33, 57):
        store = CheckpointStore(tmp_path / str(steps))
        task, left = TwoTables(), steps
        inner = task.loss

        def dies(batch, inner=inner):
            nonlocal left
            if left == 0:
                raise KeyboardInterrupt
            left -= 1
            return inner(batch)

        task.loss = dies
        with pytest.raises(KeyboardInterrupt):
            fit(task, CONFIG, name="pieces", store=store)
        task = TwoTables()
        resumed = fit(task, CONFIG, name="pieces", store=store)
        assert resumed.resumed
        for name, value in whole.model.state_dict().items():
            assert torch.equal(value, task.model.state_dict()[name]), (steps, name)
        losses = [[e["valid_loss"] for e in h.epochs] for h in (resumed, history)]
        assert losses[0] == losses[1]


def test_a_frozen_table_stays_and_is_out_of_the_earlier_optimisers_hands():
    task = TwoTables()
    before = task.table.weight.detach().clone()
    fit(task, TrainingConfig(phases=(Phase(1, 1e-2, groups=1),), device="cpu"), name="frozen")
    assert torch.equal(task.table.weight, before)
    assert task.table.optimizer is None


def test_gradients_of_tables_cannot_be_clipped():
    task = TwoTables()
    config = TrainingConfig(phases=(Phase(1, 1e-2),), gradient_clip=1.0)
    groups = [list(task.model.parameters())]
    with pytest.raises(ValueError, match=r"gradient_clip is 1\.0.*set gradient_clip to null"):
        Optimizer(task.model, groups, config.phases[0], config)


def test_a_small_table_is_trained_as_a_whole(monkeypatch):
    monkeypatch.setattr(rows, "_SMALL", 40 * 4)
    small, large = RowTable(40, 4), RowTable(41, 4)
    phase = Phase(1, 1e-2)
    optimizer = Optimizer(
        torch.nn.ModuleList([small, large]),
        [[small.weight, large.weight]],
        phase,
        TrainingConfig((phase,), gradient_clip=None),
    )
    assert optimizer.parameters == [small.weight]
    assert large.optimizer is not None
    (small(torch.tensor([1, 2])).sum() + large(torch.tensor([1, 2])).sum()).backward()
    assert not small.weight.grad.is_sparse
    assert large.weight.grad.is_sparse
