import dataclasses

import numpy as np
import pytest
from tables import examples, people

from gradual.tabular.baselines import BASELINES, BaselinesConfig, fit_baseline
from gradual.tabular.model import TabularModelConfig
from gradual.tabular.predict import TabularModel
from gradual.tabular.targets import TargetConfig
from gradual.tabular.train import train_tabular
from gradual.training.config import Phase, TrainingConfig

SMALL = BaselinesConfig(trees=10, rounds=30)
NET = TabularModelConfig(
    layers=(16,), training=TrainingConfig((Phase(2, 1e-2),), device="cpu", precision="float32")
)
BINARY = TargetConfig("binary", ("rich",))


def fitted(name, target, *, table=None, valid=True, **changes):
    rows = examples(people() if table is None else table, target)
    held_out, net = rows.valid, None
    if name == "boosting_on_embeddings":
        net = TabularModel.from_bundle(train_tabular(rows, NET)[0])
    config = dataclasses.replace(SMALL, **changes)
    rows = rows if valid else dataclasses.replace(rows, valid=held_out[:0])
    model = fit_baseline(name, rows, config, net=net)
    return model, rows.encoded.take(held_out), rows.truth(held_out)


@pytest.mark.parametrize("name", BASELINES)
def test_each_tells_two_classes_apart_but_for_the_constant(name):
    model, encoded, truth = fitted(name, BINARY)
    found = model.predict_encoded(encoded)
    assert found.shape == (150, 2)
    assert found.sum(1) == pytest.approx(1)
    accuracy = (found.argmax(1) == truth).mean()
    if name == "constant":
        assert np.unique(found, axis=0).shape == (1, 2)
    else:
        assert accuracy > 0.85


@pytest.mark.parametrize("name", ["constant", "linear", "forest", "boosting"])
def test_numbers_come_in_the_targets_unit_with_and_without_a_logarithm(name):
    for log in (False, True):
        target = TargetConfig("regression", ("pay",), log=log)
        model, encoded, truth = fitted(name, target)
        error = np.abs(model.predict_encoded(encoded) - truth).mean()
        assert error == pytest.approx(47, abs=8) if name == "constant" else error < 22


@pytest.mark.parametrize("name", ["constant", "linear", "boosting"])
def test_labels_and_several_columns_have_an_answer_each(name):
    model, encoded, truth = fitted(name, TargetConfig("multilabel", ("old", "flies")))
    found = model.predict_encoded(encoded)
    assert found.shape == truth.shape
    if name != "constant":
        assert ((found > 0.5) == (truth > 0.5)).mean() > 0.9
    model, encoded, truth = fitted(name, TargetConfig("multiclass", ("band",)))
    assert model.predict_encoded(encoded).shape == (150, 3)


def test_weights_of_classes_move_the_answers():
    plain, encoded, _ = fitted("linear", BINARY)
    weighted, _, _ = fitted("linear", dataclasses.replace(BINARY, class_weights={"yes": 20.0}))
    yes = [model.predict_encoded(encoded)[:, 1].mean() for model in (plain, weighted)]
    assert yes[1] > yes[0] + 0.1


def test_boosting_stops_by_the_validation_rows_and_without_any_runs_on():
    watched, _, _ = fitted("boosting", BINARY, rounds=400, patience=3)
    alone, _, _ = fitted("boosting", BINARY, rounds=40, valid=False)
    assert watched.estimators[0].n_iter_ < 400
    assert alone.estimators[0].n_iter_ == 40


def test_what_is_missing_or_wrong_is_named():
    with pytest.raises(ValueError, match="boosting_on_embeddings needs the net"):
        fit_baseline("boosting_on_embeddings", examples(people(40), BINARY), SMALL)
    with pytest.raises(ValueError, match="models names 'svm'"):
        BaselinesConfig(models=("svm",))
    with pytest.raises(ValueError, match="trees is 0"):
        BaselinesConfig(trees=0)
