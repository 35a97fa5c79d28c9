import dataclasses
import json

import numpy as np
import pyarrow as pa
import pytest
from tables import COLUMNS, people

from gradual.tabular.baselines import BaselinesConfig
from gradual.tabular.contest import ContestConfig, ModelRun, run_contest
from gradual.tabular.examples import Examples, encode_table
from gradual.tabular.model import TabularModelConfig
from gradual.tabular.preprocessing import PreprocessingConfig, fit
from gradual.tabular.scores import choose, compare_models, summarise
from gradual.tabular.serving import model_from_bundle
from gradual.tabular.targets import TargetConfig
from gradual.training.bundle import Bundle
from gradual.training.config import Phase, TrainingConfig

TRAINING = TrainingConfig((Phase(2, 1e-2),), device="cpu", precision="float32")
NET = TabularModelConfig(layers=(16,), training=TRAINING)
CONTEST = ContestConfig(BaselinesConfig(models=("linear", "constant")))
BUNDLE = Bundle("tabular", {}, {}, {}, {})
TABLE = people(400)


def examples(target: TargetConfig | None = None, parts: str = "ttvs") -> Examples:
    """Every fourth row validates, every fourth is a test row."""
    names = {"t": "train", "v": "valid", "s": "test"}
    splits = pa.table({"part": [names[parts[i % len(parts)]] for i in range(TABLE.num_rows)]})
    preprocessor = fit(TABLE.slice(0, 200), PreprocessingConfig(COLUMNS))
    target = target or TargetConfig("binary", ("rich",))
    encoded = encode_table(TABLE, splits, preprocessor, target)
    return Examples.stored(encoded, preprocessor.to_dict(), target)


def answers(rows: Examples, sharp: dict[str, tuple[float, float]], seed: int = 0) -> list[ModelRun]:
    """Models whose probabilities follow the truth more or less sharply in each part."""
    truth, found = rows.truth(rows.predicted), []
    for name, (valid, test) in sharp.items():
        generator = np.random.default_rng([seed, len(name)])
        own = np.where(np.arange(len(truth)) < len(rows.valid), valid, test)
        yes = 1 / (1 + np.exp(-(own * (2 * truth - 1) + generator.normal(size=len(truth)))))
        found.append(ModelRun(name, 42, BUNDLE, np.stack([1 - yes, yes], axis=1), 1.5, 0.01))
    return found


def compared(sharp: dict[str, tuple[float, float]], wanted: str = "best", looks: int = 1):
    rows = examples()
    found = compare_models(rows, TABLE, answers(rows, sharp), NET, CONTEST, wanted, source="pay")
    return found, summarise(found.scores, found.facts, looks)


def test_validation_rows_choose_and_not_the_test_rows() -> None:
    found, summary = compared({"net": (2, 1), "forest": (1, 1), "linear": (0.5, 3)})
    assert (found.facts["model"], found.facts["rival"]) == ("net", "forest")
    assert found.facts["by"] == "roc_auc"
    assert found.facts["verdict"]["winner"] == "linear"
    assert "Net has the best ROC AUC on the validation rows" in summary["notes"][0]
    assert summary["headline"].startswith("Net: Accuracy ")
    assert "on 100 test rows" in summary["headline"]
    assert "Linear model is clearly better than" in summary["headline"]
    assert "than Net:" in summary["headline"], "the net is always compared"
    assert set(found.scores["part"]) == {"test", "valid"}
    assert set(found.scores["source"]) == {"pay"}
    assert "fit_seconds" in set(found.scores["metric"])
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


def test_configuration_may_choose() -> None:
    found, _ = compared({"net": (2, 2), "forest": (1, 1)}, "forest")
    assert (found.facts["model"], found.facts["rival"]) == ("forest", "net")
    assert found.facts["by"] == "configuration"
    with pytest.raises(ValueError, match=r"'boosting', which does not take part.*net, forest"):
        choose(["net", "forest"], "boosting")
    assert choose(["net"], "best") == ("net", None)


def test_scores_that_part_between_validation_and_test_rows_are_a_warning() -> None:
    _, alike = compared({"net": (1, 1), "forest": (0.5, 0.5)})
    assert not alike["warnings"]
    _, apart = compared({"net": (1.5, 0.1), "forest": (0.1, 0.2)})
    assert any("ROC AUC is 0.9" in text and "not alike" in text for text in apart["warnings"])


def test_looks_at_the_test_rows_are_counted() -> None:
    _, first = compared({"net": (1, 1)})
    assert not any("have scored" in note for note in first["notes"])
    _, later = compared({"net": (1, 1)}, looks=16)
    assert any("16 runs have scored these test rows" in note for note in later["notes"])


def test_without_test_rows_the_validation_rows_are_said_to_flatter() -> None:
    rows = examples(parts="ttv")
    found = compare_models(rows, TABLE, answers(rows, {"net": (1, 1)}), NET, CONTEST)
    summary = summarise(found.scores, found.facts, 1)
    assert set(found.scores["part"]) == {"valid"}
    assert "valid rows" in summary["headline"]
    assert any("too good" in text for text in summary["warnings"])


def test_intervals_stay_within_their_range() -> None:
    truth = np.r_[np.zeros(10, int), np.ones(10, int)]
    wrong = truth.copy()
    wrong[3] = 1
    rows = examples()
    own = rows.truth(rows.test)
    places = np.r_[np.flatnonzero(own == 0)[:10], np.flatnonzero(own == 1)[:10]]
    few = dataclasses.replace(rows)
    few.__dict__["test"] = rows.test[places]
    valid = rows.truth(rows.valid)
    found = [
        ModelRun(name, 42, BUNDLE, np.eye(2)[np.r_[valid, said]], 1.0, 1.0)
        for name, said in {"net": wrong, "linear": truth}.items()
    ]
    scores = compare_models(few, TABLE, found, NET, CONTEST, "net").scores
    test = scores[(scores["part"] == "test") & (scores["metric"].isin(["accuracy", "roc_auc"]))]
    assert test.loc[test["model"] == "net", "value"].iloc[0] == 0.95
    assert (test["low"] < test["value"]).all()
    assert test["high"].max() <= 1, "0.95 had [0.852, 1.048]"


@pytest.mark.parametrize(
    ("target", "metrics"),
    [
        (TargetConfig("regression", ("pay",), log=True), {"rmse", "rmspe", "rmsle", "mae", "r2"}),
        (TargetConfig("regression", ("pay", "band")), {"rmse", "mae", "r2"}),
        (TargetConfig("multilabel", ("old", "flies")), {"macro_auc", "micro_f1", "macro_f1"}),
        (TargetConfig("multiclass", ("band",)), {"log_loss", "accuracy", "roc_auc"}),
    ],
)
def test_every_kind_of_target_has_its_metrics(target: TargetConfig, metrics: set[str]) -> None:
    rows = examples(target)
    found = list(run_contest(rows, {"net": NET}, CONTEST))
    scores = compare_models(rows, TABLE, found, NET, CONTEST).scores
    assert metrics <= set(scores["metric"])
    assert ("rmspe" in set(scores["metric"])) == target.log


@pytest.mark.parametrize("model", ["net", "linear"])
def test_a_refitted_model_is_scored_on_the_test_rows_under_a_name_of_its_own(model: str) -> None:
    rows, again = examples(), dataclasses.replace(NET, refit=True)
    runs = list(run_contest(rows, {"net": again}, CONTEST))
    found = compare_models(rows, TABLE, runs, again, CONTEST, model)
    test = found.scores[found.scores["part"] == "test"]
    assert set(test["model"]) == {"net", "linear", "constant", f"{model}_refit"} - {model}
    assert set(found.scores[found.scores["part"] == "valid"]["model"]) == {
        "net", "linear", "constant",
    }  # fmt: skip
    own = model_from_bundle(found.model).predict(TABLE.take(rows.test))
    np.testing.assert_allclose(found.predictions["probability_yes"], own["probability_yes"], 1e-5)
    summary = summarise(found.scores, found.facts, 1)
    assert "refitted: Accuracy" in summary["headline"]
    assert any("200 training and 100 validation rows" in note for note in summary["notes"])
    assert summary["facts"]["refit"]["validation_rows"] == 100


def test_a_refitted_model_without_test_rows_is_not_scored_on_what_it_has_learned() -> None:
    rows, again = examples(parts="ttv"), dataclasses.replace(NET, refit=True)
    runs = list(run_contest(rows, {"net": again}, CONTEST))
    found = compare_models(rows, TABLE, runs, again, CONTEST, "linear")
    own = model_from_bundle(runs[1].bundle).predict(TABLE.take(rows.valid))
    np.testing.assert_allclose(found.predictions["probability_yes"], own["probability_yes"], 1e-5)
    assert found.model.metadata["refit"]["training_rows"] == len(rows.train)
    notes = summarise(found.scores, found.facts, 1)["notes"]
    assert any("scores are of the model before that" in note for note in notes)


def test_a_target_among_the_inputs_is_refused() -> None:
    with pytest.raises(ValueError, match="'hours' is also in preprocessing"):
        examples(TargetConfig("regression", ("hours",)))
