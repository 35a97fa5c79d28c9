"""A net that starts from an earlier one answers as that did, before it learns on."""

import dataclasses
import logging

import numpy as np
import pyarrow as pa
import pytest
from tables import COLUMNS, examples, people

from gradual.tabular.model import TabularModelConfig
from gradual.tabular.predict import TabularModel
from gradual.tabular.targets import TargetConfig
from gradual.tabular.train import train_tabular
from gradual.training.config import Phase, TrainingConfig

TRAINING = TrainingConfig((Phase(4, 2e-2),), device="cpu", precision="float32")
STILL = TrainingConfig((Phase(1, 1e-9),), device="cpu", precision="float32", weight_decay=0.0)
MLP = TabularModelConfig(layers=(32, 16), batch_size=32, training=TRAINING)
TABM = TabularModelConfig(
    net="tabm", layers=(32,), batch_size=32, members=4, bins=8, training=TRAINING
)
BINARY = TargetConfig("binary", ("rich",))
BEFORE = people(600, seed=0)


def with_new_levels() -> pa.Table:
    """More rows, some of two levels that are new and make the embedding wider."""
    table = people(900, seed=1)
    jobs = table["job"].to_pylist()
    jobs[::9] = ["guide"] * len(jobs[::9])
    jobs[1::9] = ["smith"] * len(jobs[1::9])
    return table.set_column(table.column_names.index("job"), "job", pa.array(jobs))


AFTER = with_new_levels()


@pytest.mark.parametrize(
    "config",
    [
        MLP,
        TABM,
        dataclasses.replace(TABM, number_embedding="periodic"),
        dataclasses.replace(TABM, number_embedding="none", dropout=0.0),
    ],
    ids=["mlp", "tabm", "periodic", "plain"],
)
@pytest.mark.parametrize("target", [BINARY, TargetConfig("regression", ("pay",))])
def test_known_rows_get_the_earlier_answers(config, target, caplog):
    caplog.set_level(logging.INFO)
    earlier, _ = train_tabular(examples(BEFORE, target), config)
    rows = examples(AFTER, target)
    begun, _ = train_tabular(rows, dataclasses.replace(config, training=STILL), start=earlier)
    assert "5 of 7 levels known, 4 of 4 columns" in caplog.text
    assert begun.dependencies["start"] == earlier.hash
    known = BEFORE.slice(0, 200).select(COLUMNS.names)
    column = -1  # of the last class, or of the value
    before, after = (
        TabularModel.from_bundle(one).predict(known).iloc[:, column].to_numpy()
        for one in (earlier, begun)
    )
    # Scales, and the running means of batch norm, have moved with the rows that came in.
    assert np.corrcoef(before, after)[0, 1] > 0.98
    assert np.abs(before - after).mean() < 0.15 * before.std() + 0.02


def test_it_starts_better_than_from_nothing():
    earlier, _ = train_tabular(examples(BEFORE, BINARY), MLP)
    slow = dataclasses.replace(MLP, training=dataclasses.replace(STILL, phases=(Phase(1, 1e-4),)))
    rows = examples(AFTER, BINARY)
    warm, cold = (train_tabular(rows, slow, start=one)[1].epochs[0] for one in (earlier, None))
    assert warm["valid_loss"] < 0.7 * cold["valid_loss"]


def test_a_new_class_and_a_new_column_leave_the_rest_as_it_was():
    target = TargetConfig("multiclass", ("band",))
    earlier, _ = train_tabular(examples(BEFORE, target), MLP)
    bands = np.where(np.arange(900) % 10 == 0, 7, AFTER["band"].to_numpy())
    table = AFTER.set_column(AFTER.column_names.index("band"), "band", pa.array(bands))
    still = dataclasses.replace(MLP, training=STILL)
    begun, _ = train_tabular(examples(table, target), still, start=earlier)
    before, after = (
        TabularModel.from_bundle(one).predict(BEFORE.select(COLUMNS.names))
        for one in (earlier, begun)
    )
    assert "probability_7" in after
    shared = [name for name in before if name.startswith("probability_")]
    best = [frame[shared].to_numpy().argmax(1) for frame in (before, after)]
    assert (best[0] == best[1]).mean() > 0.9


@pytest.mark.parametrize(
    ("config", "target", "reason"),
    [
        (dataclasses.replace(MLP, layers=(8,)), BINARY, "another layers"),
        (MLP, TargetConfig("regression", ("pay",)), "another kind of target"),
    ],
)
def test_one_that_does_not_fit_is_left_aside_with_the_reason(config, target, reason, caplog):
    earlier, _ = train_tabular(examples(BEFORE, BINARY), MLP)
    rows = examples(AFTER, target)
    still = dataclasses.replace(config, training=STILL)
    begun, _ = train_tabular(rows, still, start=earlier)
    alone, _ = train_tabular(rows, still)
    assert reason in caplog.text
    assert all(begun.state[name].equal(alone.state[name]) for name in alone.state)
