import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from toy_task import Toy, same, weights

from gradual.training.checkpoint import CheckpointStore
from gradual.training.config import EarlyStopping, Phase, TrainingConfig
from gradual.training.engine import fit

CONFIG = TrainingConfig(
    phases=(Phase(2, 1e-2, groups=1), Phase(4, (1e-3, 1e-2))),
    device="cpu",
    precision="float32",
    early_stopping=EarlyStopping(patience=2),
)


class Judged(Toy):
    """Is given its figures, and keeps the weights that each one belongs to."""

    def __init__(self, figures):
        super().__init__()
        self.figures, self.kept = list(figures), []

    def validate(self):
        self.kept.append(weights(self))
        return {"valid_loss": self.figures[len(self.kept) - 1], "valid_accuracy": 0.5}


@pytest.mark.parametrize(
    ("figures", "epochs", "best"),
    [
        ([3, 2, 2.5, 2.4, 1, 1], 4, 2),  # stops although it would get better later
        ([3, 2, 2.5, 1, 1.5, 0.5], 6, 6),
        ([3, 2, 2.5, 1, 1.5, 1.2], 6, 4),  # the best one also where it does not stop early
        ([1, 1, 1, 1, 1, 1], 3, 1),  # no better is not better
        ([float("nan"), 2, float("nan"), float("nan"), 1, 1], 4, 2),
    ],
)
def test_it_stops_after_so_many_epochs_without_a_best_and_keeps_the_best(figures, epochs, best):
    task = Judged(figures)
    history = fit(task, CONFIG, name="toy")
    assert len(history.epochs) == epochs
    assert history.best_epoch == best
    assert same(weights(task), task.kept[best - 1])


def test_higher_can_be_better_and_small_gains_not_count():
    rule = EarlyStopping("valid_loss", higher_is_better=True, patience=2, min_delta=0.1)
    task = Judged([0.5, 0.7, 0.75, 0.79, 0.9, 1.0])
    history = fit(task, dataclasses.replace(CONFIG, early_stopping=rule), name="toy")
    assert (len(history.epochs), history.best_epoch) == (4, 2)


def test_without_any_figure_that_is_a_number_the_last_weights_stay():
    task = Judged([float("nan")] * 6)
    history = fit(task, CONFIG, name="toy")
    assert (len(history.epochs), history.best_epoch) == (2, None)
    assert same(weights(task), task.kept[-1])


def test_a_finished_run_is_loaded_with_its_best_weights(tmp_path, caplog):
    caplog.set_level("INFO")
    store, task = CheckpointStore(tmp_path), Judged([3, 2, 2.5, 2.4, 1, 1])
    fit(task, CONFIG, name="toy", store=store)
    assert "stops after 4 of 6 epochs, 2 without a better valid_loss; keeps epoch 2" in caplog.text
    again = Judged([])
    history = fit(again, CONFIG, name="toy", store=store)
    assert again.steps == 0
    assert history.best_epoch == 2
    assert same(weights(task), weights(again))
    assert store.load().best == {}


def test_an_unknown_metric_is_refused_with_those_there_are():
    config = dataclasses.replace(CONFIG, early_stopping=EarlyStopping("valid_auc"))
    message = "toy: early_stopping goes by 'valid_auc'.*valid_loss, valid_accuracy"
    with pytest.raises(ValueError, match=message):
        fit(Judged([1] * 6), config, name="toy")


def test_killed_again_and_again_it_keeps_the_same_bits(tmp_path):
    script = Path(__file__).with_name("resume_script.py")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path), "float32", "0", "11", "early"],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
    )
    assert json.loads(done.stdout)["killed"] >= 6
    whole, pieces = (load_file(tmp_path / n / "weights.safetensors") for n in ("whole", "pieces"))
    assert whole.keys() == pieces.keys()
    assert all(torch.equal(value, pieces[name]) for name, value in whole.items())
    checkpoint = CheckpointStore(tmp_path / "pieces" / "store").load()
    figures = [epoch["valid_loss"] for epoch in checkpoint.history]
    assert checkpoint.finished
    assert 3 < len(figures) < 9  # it did stop early, and not at once
    assert min(figures) == figures[-3]


@pytest.mark.parametrize(
    ("changes", "message"), [({"patience": 0}, "patience is 0"), ({"min_delta": -1}, "min_delta")]
)
def test_bad_settings_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        EarlyStopping(**changes)
