import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from tables import examples, people

from gradual.tabular.model import TabularModelConfig
from gradual.tabular.predict import TabularModel
from gradual.tabular.preprocessing import TransformReport
from gradual.tabular.targets import TargetConfig
from gradual.tabular.task import RowBatches
from gradual.tabular.train import tabular_task, train_tabular
from gradual.training.bundle import load_bundle, save_bundle
from gradual.training.config import EarlyStopping, Phase, TrainingConfig
from gradual.training.range_test import range_test

TRAINING = TrainingConfig((Phase(6, 2e-2),), device="cpu", precision="float32")
MLP = TabularModelConfig(layers=(32, 16), batch_size=32, training=TRAINING)
TABM = TabularModelConfig(
    net="tabm", layers=(32,), batch_size=32, members=4, bins=8, training=TRAINING
)
BINARY = TargetConfig("binary", ("rich",))
TABLE = people()


def trained(target, config, table=TABLE, **more):
    return train_tabular(examples(table, target), config, **more)


def held_out(table=TABLE):
    return table.take(np.arange(0, table.num_rows, 4))


@pytest.mark.parametrize(
    "config",
    [
        MLP,
        TABM,
        dataclasses.replace(TABM, number_embedding="periodic"),
        dataclasses.replace(TABM, number_embedding="none"),
        dataclasses.replace(TABM, bins_by="quantiles"),
        dataclasses.replace(MLP, number_embedding="piecewise_linear", embedding_dropout=0.1),
    ],
)
def test_each_net_learns_and_its_bundle_answers_for_raw_rows(config, tmp_path):
    bundle, history = trained(BINARY, config)
    assert history.epochs[-1]["valid_accuracy"] > 0.85
    save_bundle(bundle, tmp_path / "net")
    model = TabularModel.from_bundle(load_bundle(tmp_path / "net", "tabular"))
    found = model.predict(held_out().drop_columns(["rich", "pay"]))
    assert list(found) == ["label", "probability_no", "probability_yes"]
    truth = [text.strip() for text in held_out()["rich"].to_pylist()]
    assert (found["label"] == truth).mean() == pytest.approx(history.epochs[-1]["valid_accuracy"])
    alone = model.predict(held_out().slice(3, 1))
    assert alone["probability_yes"][0] == pytest.approx(found["probability_yes"][3], abs=1e-6)


@pytest.mark.parametrize("config", [MLP, TABM])
@pytest.mark.parametrize(
    "target",
    [
        TargetConfig("multiclass", ("band",), class_weights="balanced"),
        TargetConfig("multilabel", ("old", "flies"), class_weights={"old": 2.0}),
        TargetConfig("regression", ("pay",)),
        TargetConfig("regression", ("pay",), log=True, y_range=(50, 500)),
        TargetConfig("regression", ("pay", "hours")),
    ],
)
def test_each_kind_of_target_is_learned(config, target):
    bundle, history = trained(target, config)
    last = history.epochs[-1]
    found = TabularModel.from_bundle(bundle).predict(held_out())
    if target.kind == "regression":
        assert list(found) == [f"predicted_{name}" for name in target.columns]
        error = found["predicted_pay"] - held_out()["pay"].to_numpy()
        assert np.sqrt(np.square(error).mean()) < 40  # 62 is the deviation of all
        if len(target.columns) == 1:
            assert last["valid_rmse"] == pytest.approx(np.sqrt(np.square(error).mean()), rel=1e-3)
        if target.y_range:
            assert found["predicted_pay"].between(50, 500).all()
    else:
        assert last["valid_accuracy"] > (0.75 if target.kind == "multiclass" else 0.9)
    if target.kind == "multilabel":
        assert list(found) == ["old", "flies", "probability_old", "probability_flies"]


def test_the_lessons_net_is_the_default_with_its_sizes_rates_and_initial_numbers():
    config = TabularModelConfig()
    task = tabular_task(examples(people(), BINARY), config)
    names = [type(layer).__name__ for layer in task.model.body.layers]
    assert names == ["Linear", "ReLU", "BatchNorm1d"] * 2
    shapes = [tuple(p.shape) for p in task.model.body.parameters()]
    width = 3 + 3 + 2  # job of 4 codes, age_na of 3, two numbers
    assert shapes == [(200, width), (200,), (200,), (100, 200), (100,), (100,), (2, 100), (2,)]
    assert float(task.model.body.layers[2].bias[0].detach()) == pytest.approx(1e-3)
    assert task.model.levels.weight.abs().max() < 0.02
    assert config.batch_size == 64
    phase = config.training.phases[0]
    assert (phase.epochs, phase.lr, phase.momentum) == (1, 1e-2, (0.95, 0.85))
    assert (config.training.weight_decay, config.training.eps) == (0.01, 1e-5)


def test_early_stopping_keeps_the_epoch_that_predicted_best():
    training = dataclasses.replace(
        TRAINING,
        phases=(Phase(30, 5e-2),),
        early_stopping=EarlyStopping("valid_roc_auc", higher_is_better=True, patience=3),
    )
    config = dataclasses.replace(MLP, training=training)
    bundle, history = trained(BINARY, config)
    assert len(history.epochs) < 30
    areas = [epoch["valid_roc_auc"] for epoch in history.epochs]
    assert history.best_epoch == 1 + int(np.argmax(areas))
    again, _ = trained(BINARY, config)
    assert again.hash == bundle.hash


@pytest.mark.parametrize("net", ["mlp", "tabm"])
def test_killed_again_and_again_it_ends_with_the_same_bundle(net, tmp_path):
    script = Path(__file__).with_name("resume_script.py")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path), net],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
    )
    assert int(done.stdout) == 3
    whole, pieces = (load_bundle(tmp_path / f"{name}.safetensors") for name in ("whole", "pieces"))
    assert whole.hash == pieces.hash


def test_an_epoch_shows_each_row_at_most_once_and_leaves_out_what_fills_no_batch():
    rows = torch.arange(100, 150)
    batches = list(RowBatches(rows, 16, 0, 1).iterate(0))
    shown = torch.cat(batches).tolist()
    assert [len(batch) for batch in batches] == [16, 16, 16]
    assert len(set(shown)) == 48
    assert set(shown) <= set(rows.tolist())
    assert torch.equal(next(RowBatches(rows, 16, 0, 1).iterate(2)), batches[2])
    assert not torch.equal(next(RowBatches(rows, 16, 1, 1).iterate(0)), batches[0])
    assert len(RowBatches(rows, 64, 0, 1)) == 1


def test_the_range_test_suggests_a_rate():
    task = tabular_task(examples(TABLE, BINARY), MLP)
    result = range_test(task, TRAINING, steps=40)
    assert 1e-6 < result.suggestions["valley"] < 10


def test_gaps_and_unseen_levels_are_counted_and_do_no_harm():
    bundle, _ = trained(BINARY, MLP)
    frame = pd.DataFrame({"hours": [40.0, None], "job": ["astronaut", "cook"], "age": [30, 40]})
    report = TransformReport()
    found = TabularModel.from_bundle(bundle).predict(frame, report=report)
    assert np.isfinite(found[["probability_no", "probability_yes"]].to_numpy()).all()
    assert report.unseen["job"] == 1
    assert report.gaps["hours"] == 1


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"job": ["cook"], "age": [30]}, "no column 'hours'"),
        ({"job": ["cook"], "age": ["old"], "hours": [40]}, "row 0 .*'old'.*'age'"),
        ({"job": ["cook"] * 2, "age": [30, float("inf")], "hours": [40, 40]}, "row 1 .*'age'"),
    ],
)
def test_bad_rows_are_named(frame, message):
    bundle, _ = trained(BINARY, dataclasses.replace(MLP, layers=(4,)), people(60))
    model = TabularModel.from_bundle(bundle)
    with pytest.raises(ValueError, match=message):
        model.predict(pd.DataFrame(frame))


def test_no_rows_give_no_predictions():
    bundle, _ = trained(BINARY, dataclasses.replace(MLP, layers=(4,)), people(60))
    assert len(TabularModel.from_bundle(bundle).predict(TABLE.slice(0, 0))) == 0


def test_what_does_not_fit_is_refused():
    rows = examples(TABLE, BINARY)
    with pytest.raises(ValueError, match="10 rows of targets for 600"):
        dataclasses.replace(rows, targets=TABLE.slice(0, 10))
    with pytest.raises(ValueError, match=r"valid\[0\] is 600"):
        dataclasses.replace(rows, valid=np.array([600]))
    with pytest.raises(ValueError, match=r"train has shape \(3,\)"):
        dataclasses.replace(rows, train=np.ones(3, bool))
    with pytest.raises(ValueError, match="at least 2, check the split"):
        train_tabular(dataclasses.replace(rows, train=rows.train[:1]), MLP)
    config = dataclasses.replace(MLP, embedding_sizes={"jobs": 3})
    with pytest.raises(ValueError, match="embedding_sizes names 'jobs'"):
        train_tabular(rows, config)
    nine = pa.array([9] * 600, pa.int32())
    beyond = rows.encoded.set_column(0, rows.encoded.column_names[0], nine)
    with pytest.raises(ValueError, match=r"row 0 .*code 9.*'job'.*0 to 3"):
        train_tabular(dataclasses.replace(rows, encoded=beyond), MLP)
    wait = dataclasses.replace(TRAINING, early_stopping=EarlyStopping())
    config = dataclasses.replace(MLP, training=wait)
    with pytest.raises(ValueError, match=r"early_stopping goes by 'valid_loss'.*validation rows"):
        train_tabular(dataclasses.replace(rows, valid=rows.valid[:0]), config)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"net": "resnet"}, "net is 'resnet'"),
        ({"layers": ()}, "layers is"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"members": 0}, "members is 0"),
        ({"embedding_sizes": {"a": 0}}, "'a' 0"),
        ({"number_embedding": "spline"}, "number_embedding is 'spline'"),
        ({"bins_by": "hand"}, "bins_by is 'hand'"),
        ({"sigma": 0.0}, "sigma is 0.0"),
    ],
)
def test_bad_settings_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        TabularModelConfig(**changes)


def test_what_is_left_out_follows_from_the_net():
    assert TabularModelConfig(net="tabm").number_embedding == "piecewise_linear"
    assert TabularModelConfig(net="tabm", number_embedding="none").number_embedding == "none"
    assert TabularModelConfig(net="mlp").layers == (200, 100)
