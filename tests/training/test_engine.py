import dataclasses
import itertools
import logging
import math

import pytest
import torch
from toy_task import Toy, same, weights

from gradual.training import engine
from gradual.training.checkpoint import FORMAT_VERSION, CheckpointStore
from gradual.training.config import Phase, TrainingConfig
from gradual.training.engine import NonFiniteLossError, fit

CONFIG = TrainingConfig(
    phases=(Phase(1, 1e-2, groups=1), Phase(2, (1e-3, 1e-2), momentum=(0.8, 0.7))),
    device="cpu",
    precision="float32",
    checkpoint_seconds=1e9,
)


class StopHereError(Exception):
    pass


class Breaking(Toy):
    """Stops, or turns to NaN, after so many steps."""

    def __init__(self, stop=math.inf, bad_loss=math.inf, bad_gradient=math.inf):
        super().__init__()
        self.stop, self.bad_loss, self.bad_gradient = stop, bad_loss, bad_gradient

    def loss(self, batch):
        if self.steps >= self.stop:
            raise StopHereError
        loss = super().loss(batch)
        if self.steps == self.bad_gradient:  # finite, but the derivative of sqrt at 0 is not
            loss = loss + torch.sqrt(self.model.out.bias.sum() * 0)
        return loss * (math.nan if self.steps == self.bad_loss else 1)


def test_fit_trains_and_tells_the_truth_about_it():
    task, seen = Toy(), []
    task.model.train()
    history = fit(task, CONFIG, name="toy", on_epoch=lambda m, e: seen.append((m, e)))
    assert [epoch for _, epoch in seen] == [1, 2, 3]
    assert [m for m, _ in seen] == history.epochs
    assert not history.resumed
    frame = history.to_frame()
    assert frame["phase"].tolist() == [1, 2, 2]
    assert frame["steps"].tolist() == [12, 12, 12]
    assert frame["train_loss"].is_monotonic_decreasing
    assert frame["lr"].tolist() == pytest.approx([1e-2, 1e-2, 7.5e-3], rel=1e-5)
    total = frame[["train_seconds", "valid_seconds", "checkpoint_seconds"]].sum(axis=1)
    assert frame["seconds"].tolist() == pytest.approx(total.tolist())
    assert (frame["steps_per_second"] * frame["train_seconds"]).tolist() == pytest.approx([12] * 3)
    assert not task.model.training
    with torch.no_grad():
        assert frame["valid_loss"].iloc[-1] == task.validate()["valid_loss"]


def test_a_frozen_group_does_not_move_and_is_free_afterwards():
    task = Toy()
    before = weights(task)
    fit(task, dataclasses.replace(CONFIG, phases=(Phase(1, 1e-2, groups=2),)), name="toy")
    after = weights(task)
    assert torch.equal(before["first.weight"], after["first.weight"])
    assert not torch.equal(before["last.weight"], after["last.weight"])
    assert all(p.requires_grad and p.grad is None for p in task.model.parameters())


def test_the_optimiser_gets_the_schedules_rates_step_by_step(monkeypatch):
    rates = []

    class Spy(engine.Optimizer):
        def set(self, factor, momentum):
            super().set(factor, momentum)
            group = self.adamw.param_groups[-1]
            rates.append((group["lr"], group["betas"][0]))
            return group["lr"]

    monkeypatch.setattr(engine, "Optimizer", Spy)
    phase = Phase(2, 1e-2, momentum=(0.8, 0.7), max_steps=8)
    fit(Toy(), dataclasses.replace(CONFIG, phases=(phase,)), name="toy")
    assert len(rates) == 16
    assert rates[0] == pytest.approx((1e-2 / 25, 0.8))
    assert rates[4] == pytest.approx((1e-2, 0.7))  # a quarter of 16 steps
    assert rates[10] == pytest.approx((1e-2 * (1 + 1e-5) / 2, 0.75))  # half way down


def test_the_same_seed_gives_the_same_weights_and_another_one_others():
    results = []
    for seed in (1, 1, 2):
        task = Toy()
        torch.rand(seed)  # what was drawn before does not matter
        fit(task, dataclasses.replace(CONFIG, seed=seed), name="toy")
        results.append(weights(task))
    assert same(results[0], results[1])
    assert not same(results[0], results[2])


def test_gradients_are_clipped_together():
    config = dataclasses.replace(CONFIG, gradient_clip=1e-6, phases=(Phase(1, 1e-2),))
    clipped, norms = Toy(), []
    original = torch.optim.AdamW.step

    def step(self, *args, **kwargs):
        grads = [p.grad for g in self.param_groups for p in g["params"]]
        norms.append(torch.cat([g.flatten() for g in grads]).norm().item())
        return original(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", step)
        fit(clipped, config, name="toy")
    assert max(norms) <= 1.01e-6


def test_bfloat16_runs_under_autocast_with_float32_weights():
    seen = []

    class Watching(Toy):
        def loss(self, batch):
            seen.append(self.model.first(self.x[batch]).dtype)
            return super().loss(batch)

    task = Watching()
    fit(task, dataclasses.replace(CONFIG, precision="bfloat16"), name="toy")
    assert set(seen) == {torch.bfloat16}
    assert {p.dtype for p in task.model.parameters()} == {torch.float32}


@pytest.mark.parametrize("seconds", [0.0, 1e9])
@pytest.mark.parametrize("broken", ["bad_loss", "bad_gradient"])
def test_a_loss_that_is_not_finite_stops_the_run_and_nothing_of_it_is_saved(
    tmp_path, broken, seconds
):
    """Step 17 is step 5 of 12 in the first epoch of the second phase."""
    store = CheckpointStore(tmp_path)
    config = dataclasses.replace(CONFIG, checkpoint_seconds=seconds)
    # Without a checkpoint in between, bad gradients show in the next loss.
    step = 6 if broken == "bad_gradient" and seconds > 0 else 5
    message = rf"toy: the .* phase 2/2 epoch 1/2 \(epoch 2 of 3\), step {step} of 12, at learning"
    with pytest.raises(NonFiniteLossError, match=message):
        fit(Breaking(**{broken: 17}), config, name="toy", store=store)
    kept = store.load()
    assert (kept.position.epoch, kept.position.step) == (1, 4 if seconds == 0 else 0)
    for part in (kept.model, kept.optimizer):
        assert all(torch.isfinite(t).all() for t in part.values())


@pytest.mark.parametrize("seconds", [0.0, 1e9])
def test_losses_that_wait_on_an_accelerator_are_judged_all_the_same(tmp_path, monkeypatch, seconds):
    """Treats the CPU as an accelerator, whose losses are looked at in bundles."""
    expected, task = Toy(), Toy()
    figures = fit(expected, CONFIG, name="toy").epochs
    monkeypatch.setattr(engine, "_LOOK_EVERY_STEP", ())
    for one, two in zip(fit(task, CONFIG, name="toy").epochs, figures, strict=True):
        assert one["train_loss"] == two["train_loss"]
    assert same(weights(task), weights(expected))
    store = CheckpointStore(tmp_path)
    config = dataclasses.replace(CONFIG, checkpoint_seconds=seconds)
    with pytest.raises(NonFiniteLossError, match=r"loss is nan .*step 5 of 12"):
        fit(Breaking(bad_loss=17), config, name="toy", store=store)
    kept = store.load()
    assert (kept.position.epoch, kept.position.step) == (1, 4 if seconds == 0 else 0)
    assert all(torch.isfinite(t).all() for t in kept.model.values())


def test_the_message_says_what_to_do():
    with pytest.raises(NonFiniteLossError, match=r"loss is nan.*learning rate 0\.\d+.*lower lr"):
        fit(Breaking(bad_loss=3), CONFIG, name="toy")


@pytest.mark.parametrize("stop", [1, 5, 11, 12, 13, 24, 30, 35])
def test_an_interrupted_run_ends_with_the_same_weights_and_history(tmp_path, stop):
    whole = Toy()
    expected = fit(whole, CONFIG, name="toy")
    store = CheckpointStore(tmp_path)
    config = dataclasses.replace(CONFIG, checkpoint_seconds=0)
    with pytest.raises(StopHereError):
        fit(Breaking(stop=stop), config, name="toy", store=store, key={"data": "x"})
    rest, seen = Toy(), []
    torch.rand(7)
    history = fit(
        rest,
        config,
        name="toy",
        store=store,
        key={"data": "x"},
        on_epoch=lambda m, e: seen.append(e),
    )
    assert rest.steps == 36 - stop
    assert history.resumed
    assert seen == [1, 2, 3]  # epochs of the first run are reported again
    assert same(weights(whole), weights(rest))
    for one, two in itertools.zip_longest(expected.epochs, history.epochs):
        assert (one["train_loss"], one["valid_loss"], one["lr"]) == (
            two["train_loss"],
            two["valid_loss"],
            two["lr"],
        )


def test_when_checkpoints_are_made_does_not_matter(tmp_path):
    results = []
    for number, seconds in enumerate((0.0, 0.005, 1e9)):
        task = Toy()
        config = dataclasses.replace(CONFIG, checkpoint_seconds=seconds)
        fit(task, config, name="toy", store=CheckpointStore(tmp_path / str(number)))
        results.append((weights(task), torch.rand(3)))
    for values, drawn in results[1:]:
        assert same(values, results[0][0])
        assert torch.equal(drawn, results[0][1])


def test_a_finished_stage_is_loaded_not_redone(tmp_path, caplog):
    store = CheckpointStore(tmp_path)
    first = Toy()
    expected = fit(first, CONFIG, name="toy", store=store)
    caplog.set_level(logging.INFO)
    again = Toy()
    elsewhere = dataclasses.replace(CONFIG, device="auto", checkpoint_seconds=5)
    if torch.cuda.is_available():
        elsewhere = CONFIG
    history = fit(again, elsewhere, name="toy", store=store)
    assert again.steps == 0
    assert history.epochs == expected.epochs
    assert history.resumed
    assert same(weights(first), weights(again))
    assert "finished already" in caplog.text
    assert store.load().optimizer == {}  # nothing will need it


def test_another_key_starts_afresh_and_the_log_says_what_changed(tmp_path, caplog):
    store = CheckpointStore(tmp_path)
    fit(Toy(), CONFIG, name="toy", store=store, key={"parameters": {"size": 3}, "corpus": "abc"})
    phases = (CONFIG.phases[0], dataclasses.replace(CONFIG.phases[1], lr=(1e-3, 2e-2)))
    config = dataclasses.replace(CONFIG, phases=phases)
    task = Toy()
    key = {"parameters": {"size": 4}, "corpus": "abc"}
    assert not fit(task, config, name="toy", store=store, key=key).resumed
    assert task.steps == 36
    assert "parameters.size: 3 → 4; training.phases.1.lr.1: 0.01 → 0.02" in caplog.text
    assert "abc" not in caplog.text


def test_another_format_version_starts_afresh_and_the_log_says_so(tmp_path, caplog):
    store = CheckpointStore(tmp_path)
    fit(Toy(), CONFIG, name="toy", store=store)
    store.save(dataclasses.replace(store.load(), format_version=0))
    task = Toy()
    fit(task, CONFIG, name="toy", store=store)
    assert task.steps == 36
    assert f"format_version: 0 → {FORMAT_VERSION}" in caplog.text


def test_a_model_of_another_shape_starts_afresh(tmp_path, caplog):
    store = CheckpointStore(tmp_path)
    fit(Toy(), CONFIG, name="toy", store=store)
    saved = store.load()
    store.save(dataclasses.replace(saved, model=saved.model | {"out.bias": torch.zeros(2)}))
    assert not fit(Toy(), CONFIG, name="toy", store=store).resumed
    assert "out.bias" in caplog.text


@pytest.mark.parametrize("damage", ["flip", "cut", "empty"])
def test_a_damaged_checkpoint_is_reported_and_never_used(tmp_path, caplog, damage):
    store = CheckpointStore(tmp_path)
    fit(Toy(), CONFIG, name="toy", store=store)
    content = bytearray(store.file.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
    store.file.write_bytes({"flip": content, "cut": content[:-9], "empty": b""}[damage])
    task, other = Toy(), Toy()
    assert not fit(task, CONFIG, name="toy", store=store).resumed
    assert task.steps == 36
    assert "starts afresh, the checkpoint is damaged" in caplog.text
    assert str(store.file) in caplog.text
    fit(other, CONFIG, name="toy")
    assert same(weights(task), weights(other))
    assert store.load().finished


def test_batches_must_keep_their_promise():
    class Short(Toy):
        def batches(self, epoch, seed):
            stream = super().batches(epoch, seed)
            stream.iterate = lambda start: iter(stream.parts[start:-1])
            return stream

    class Empty(Toy):
        def batches(self, epoch, seed):
            stream = super().batches(epoch, seed)
            stream.parts = ()
            return stream

    with pytest.raises(ValueError, match="promised 12 batches and gave 11"):
        fit(Short(), CONFIG, name="toy")
    with pytest.raises(ValueError, match="no batch to train on"):
        fit(Empty(), CONFIG, name="toy")


def test_a_key_that_json_cannot_hold_is_an_error():
    with pytest.raises(TypeError, match="not JSON"):
        fit(Toy(), CONFIG, name="toy", key={"corpus": object()})
