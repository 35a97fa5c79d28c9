import dataclasses
import logging

import numpy as np
import pytest
from tables import examples, people

from gradual.tabular import contest
from gradual.tabular.baselines import BaselinesConfig
from gradual.tabular.contest import ContestConfig, refit, run_contest
from gradual.tabular.model import TabularModelConfig
from gradual.tabular.predict import TabularModel
from gradual.tabular.serving import model_from_bundle
from gradual.tabular.targets import TargetConfig
from gradual.tabular.train import train_tabular
from gradual.training.bundle import BundleStore
from gradual.training.config import EarlyStopping, Phase, TrainingConfig

TRAINING = TrainingConfig((Phase(2, 1e-2),), device="cpu", precision="float32")
NET = TabularModelConfig(layers=(16,), training=TRAINING)
BINARY = TargetConfig("binary", ("rich",))
BASELINES = BaselinesConfig(
    models=("linear", "forest", "boosting_on_embeddings"), trees=5, rounds=9
)
TABLE = people(200)
ROWS = examples(TABLE, BINARY)


def runs(config=None, **more):
    config = config or ContestConfig(BASELINES)
    return list(run_contest(ROWS, {"net": NET}, config, predicted=ROWS.valid, **more))


def test_a_contest_trains_every_model_with_every_seed_and_takes_a_net_that_is_there():
    bundle, _ = train_tabular(ROWS, NET)
    found = runs(ContestConfig(BASELINES, (42, 7)), trained={"net": (bundle, 12.5)})
    names = ["net", *BASELINES.models]
    assert [(run.model, run.seed) for run in found] == [(n, s) for s in (42, 7) for n in names]
    kept = TabularModel.from_bundle(bundle).predict_encoded(ROWS.encoded.take(ROWS.valid))
    assert np.array_equal(found[0].prediction, kept)
    assert found[0].fit_seconds == 12.5
    assert not np.array_equal(found[4].prediction, kept)
    assert all(run.fit_seconds > 0 and run.predict_seconds > 0 for run in found)


def test_a_rival_that_has_not_changed_is_not_fitted_again(tmp_path, monkeypatch, caplog):
    store, fitted = BundleStore(tmp_path), []

    def fit(name, *args, **more):
        fitted.append(name)
        return fit_baseline(name, *args, **more)

    fit_baseline = contest.fit_baseline
    monkeypatch.setattr(contest, "fit_baseline", fit)
    caplog.set_level(logging.INFO)
    first = runs(store=store)
    assert fitted == list(BASELINES.models)
    again = runs(store=store)
    assert fitted == list(BASELINES.models), "the second time nothing is fitted"
    assert "forest_42: nothing has changed" in caplog.text
    for one, other in zip(first, again, strict=True):
        assert np.array_equal(one.prediction, other.prediction)
        assert (one.bundle.hash, one.fit_seconds) == (other.bundle.hash, other.fit_seconds)
        own = model_from_bundle(other.bundle).predict_encoded(ROWS.encoded.take(ROWS.valid))
        np.testing.assert_allclose(own, other.prediction, rtol=1e-5)
    fitted.clear()
    runs(ContestConfig(dataclasses.replace(BASELINES, trees=6)), store=store)
    assert fitted == ["forest"]
    fitted.clear()
    runs(ContestConfig(dataclasses.replace(BASELINES, trees=6, rate=0.2)), store=store)
    assert fitted == ["boosting_on_embeddings"]
    fitted.clear()
    fewer = dataclasses.replace(ROWS, train=ROWS.train[1:])
    config = ContestConfig(dataclasses.replace(BASELINES, trees=6, rate=0.2))
    list(run_contest(fewer, {"net": NET}, config, predicted=ROWS.valid, store=store))
    assert fitted == list(BASELINES.models), "other rows are another matter"


@pytest.mark.parametrize("model", ["net", "linear", "boosting_on_embeddings"])
def test_a_refitted_model_has_learned_from_validation_rows_too(model, tmp_path, monkeypatch):
    wait = dataclasses.replace(
        TRAINING, phases=(Phase(40, 5e-2),), early_stopping=EarlyStopping(patience=2)
    )
    net_config = dataclasses.replace(NET, training=wait)
    found = list(
        run_contest(ROWS, {"net": net_config}, ContestConfig(BASELINES), predicted=ROWS.valid)
    )
    net, chosen = found[0].bundle, next(run for run in found if run.model == model)
    config, store = ContestConfig(BASELINES), BundleStore(tmp_path)
    bundle = refit(ROWS, TABLE, chosen, net, net_config, config, store)
    facts = bundle.metadata["refit"]
    assert (facts["training_rows"], facts["validation_rows"]) == (150, 50)
    assert bundle.metadata["preprocessor"]["rows"] == 200, "levels and scales are of both"
    if model == "net":
        assert facts["epochs"] == net.metadata["epochs"] < 40
    else:
        assert facts.get("rounds") == chosen.bundle.metadata.get("rounds")
    refitted = model_from_bundle(bundle).predict(TABLE)
    assert not refitted.equals(model_from_bundle(chosen.bundle).predict(TABLE))
    monkeypatch.setattr(contest, "train_tabular", None)
    monkeypatch.setattr(contest, "fit_baseline", None)
    assert refit(ROWS, TABLE, chosen, net, net_config, config, store).hash == bundle.hash


def test_settings_are_checked():
    with pytest.raises(ValueError, match=r"seeds is \[1, 1\]"):
        ContestConfig(seeds=(1, 1))
