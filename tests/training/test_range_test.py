import dataclasses

import numpy as np
import pytest
import torch
from toy_task import Toy, same, weights

from gradual.training.config import Phase, TrainingConfig
from gradual.training.engine import fit
from gradual.training.range_test import range_test, suggest

CONFIG = TrainingConfig(phases=(Phase(1, 1e-2), Phase(1, (1e-3, 1e-2), groups=1)), device="cpu")


def test_everything_is_as_before():
    task = Toy()
    task.model.norm.eval()
    task.model.out.bias.requires_grad_(False)
    task.model.out.weight.grad = torch.ones_like(task.model.out.weight)
    task.carried = torch.tensor(0.7)
    torch.manual_seed(5)
    before, random = weights(task), torch.get_rng_state()
    modes = [module.training for module in task.model.modules()]
    result = range_test(task, CONFIG)
    assert result.frame["loss"].nunique() > 20  # it did train
    assert same(weights(task), before)
    assert torch.equal(torch.get_rng_state(), random)
    assert [module.training for module in task.model.modules()] == modes
    assert torch.equal(task.model.out.weight.grad, torch.ones_like(task.model.out.weight))
    assert task.model.first.weight.grad is None
    assert task.carried == torch.tensor(0.7)
    assert [n for n, p in task.model.named_parameters() if not p.requires_grad] == ["out.bias"]


def test_an_error_inside_leaves_everything_as_before_too():
    class Failing(Toy):
        def loss(self, batch):
            if self.steps == 20:
                raise RuntimeError("boom")
            return super().loss(batch)

    task = Failing()
    before = weights(task)
    with pytest.raises(RuntimeError, match="boom"):
        range_test(task, CONFIG)
    assert same(weights(task), before)


def test_training_after_it_is_training_without_it():
    one, two = Toy(), Toy()
    range_test(one, CONFIG)
    for task in (one, two):
        fit(task, CONFIG, name="toy")
    assert same(weights(one), weights(two))


def test_rates_rise_exponentially_and_it_stops_when_the_loss_explodes():
    frame = range_test(Toy(), CONFIG, steps=50, start=1e-6, stop=1e-3).frame
    assert len(frame) == 50
    assert frame["lr"].iloc[[0, -1]].tolist() == pytest.approx([1e-6, 1e-3])
    assert np.diff(np.log(frame["lr"])) == pytest.approx(np.log(1e3) / 49)
    wild = range_test(Toy(), CONFIG, start=1e-3, stop=1e9)
    assert wild.diverged
    assert len(wild.frame) < 100
    smooth = wild.frame["smoothed_loss"].to_numpy()
    assert not smooth[-1] <= 4 * np.nanmin(smooth)
    assert (smooth[:-1] <= 4 * np.minimum.accumulate(smooth[:-1])).all()


def test_the_suggestions_train_well():
    """From each suggestion the loss falls; the toy's own scale asks for about 1e-2 to 1."""
    result = range_test(Toy(), CONFIG)
    assert set(result.suggestions) == {"valley", "steepest", "minimum/10"}
    for rate in result.suggestions.values():
        config = dataclasses.replace(CONFIG, phases=(Phase(3, rate),))
        losses = fit(Toy(), config, name="toy").to_frame()["train_loss"]
        assert losses.iloc[-1] < losses.iloc[0]


def test_suggestions_on_a_curve_whose_answers_are_known():
    lr = np.logspace(-6, 1, 71)  # flat to 1e-4, falls to 1e-1 (steepest at 1e-2.5), explodes
    x = np.log10(lr)
    loss = 2 - np.sin(np.clip((x + 2.5) / 1.5, -1, 1) * np.pi / 2)
    loss = np.where(x > -1, loss + (x + 1) ** 2, loss)
    found = suggest(lr, loss)
    assert np.log10(found["steepest"]) == pytest.approx(-2.5, abs=0.15)
    assert np.log10(found["minimum/10"]) == pytest.approx(-2, abs=0.15)
    assert np.log10(found["valley"]) == pytest.approx(-2.5, abs=0.3)


def test_the_phase_decides_what_is_frozen():
    moved = []

    class Watching(Toy):
        def loss(self, batch):
            moved.append(self.model.first.weight.detach().clone())
            return super().loss(batch)

    range_test(Watching(), CONFIG, steps=20, stop=0.1, phase=1)
    assert all(torch.equal(value, moved[0]) for value in moved)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"start": 1.0, "stop": 0.1}, "0 < start < stop"),
        ({"steps": 2}, "at least 3 steps"),
        ({"phase": 2}, "phase is 2: use 0 to 1"),
    ],
)
def test_nonsense_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        range_test(Toy(), CONFIG, **arguments)


def test_a_loss_that_is_never_finite_is_an_error():
    task = Toy()
    task.y[:] = float("nan")
    with pytest.raises(ValueError, match="only 0 of the range test's losses are finite"):
        range_test(task, CONFIG)
