import json
import time
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from gradual.results.metrics import METRICS
from gradual.retraining.config import RetrainConfig
from gradual.retraining.judging import (
    LEAST_UNITS,
    Costs,
    Truth,
    constant_answers,
    judge,
    megabytes,
    milliseconds,
    slices_of,
    unseen,
)
from gradual.training.bundle import Bundle

ROWS = 400
random = np.random.default_rng(0)
LABELS = random.choice(["no", "yes"], ROWS, p=[0.7, 0.3]).astype(object)
BETTER = RetrainConfig()


def classes(labels: np.ndarray, sure: float, names: tuple[str, ...] = ("no", "yes")) -> Any:
    """Answers of a model that gives the true class the probability `sure` in 9 of 10 rows."""
    right = np.random.default_rng(int(sure * 100)).random(len(labels)) < 0.9
    other = (1 - sure) / (len(names) - 1)
    given = {}
    for name in names:
        true = np.where(labels == name, sure, other)
        given[f"probability_{name}"] = np.where(right, true, 1 / len(names))
    return pd.DataFrame({"label": "no", **given})


def test_a_challenger_that_is_better_beyond_doubt_is_promoted() -> None:
    found = judge(
        Truth("binary", LABELS), classes(LABELS, 0.9), {"champion": classes(LABELS, 0.7)}, BETTER
    )
    assert found.decision == "promote"
    assert found.metric == "log_loss"
    figure = {one["metric"]: one for one in found.figures}["log_loss"]
    assert figure["gap"]["low"] > 0
    expected = figure["against"]["value"] - figure["challenger"]["value"]
    assert figure["gap"]["difference"] == pytest.approx(expected)  # lower is better
    assert "it is clearly better" in found.sentence
    assert "400 held-out rows" in found.sentence
    assert json.loads(json.dumps(asdict(found), allow_nan=False)) == asdict(found)


def test_one_that_is_worse_or_the_same_is_not() -> None:
    answers = classes(LABELS, 0.8)
    same = judge(Truth("binary", LABELS), answers, {"champion": answers}, BETTER)
    worse = judge(Truth("binary", LABELS), classes(LABELS, 0.6), {"champion": answers}, BETTER)
    assert (same.decision, worse.decision) == ("keep", "keep")
    assert "not clearly better" in same.sentence
    assert "clearly worse" in worse.sentence
    assert "the champion stays" in worse.sentence


def test_the_rate_of_false_promotions_is_that_of_the_interval() -> None:
    """Two models that are wrong alike: every fortieth is promoted (2.5 %, one-sided)."""
    draws, promoted = 200, 0
    for draw in range(draws):
        ratings, one, two = np.random.default_rng(draw).normal(size=(3, 100))
        answers = [pd.DataFrame({"score": ratings + errors}) for errors in (one, two)]
        judged = judge(Truth("rating", ratings), answers[0], {"champion": answers[1]}, BETTER)
        promoted += judged.decision == "promote"
    assert promoted / draws < 0.05


def test_the_margin_asks_for_more_of_the_better_and_allows_the_fresh_to_be_worse() -> None:
    truth, better, worse = Truth("binary", LABELS), classes(LABELS, 0.82), classes(LABELS, 0.8)
    much = RetrainConfig(margin=0.2)
    assert judge(truth, better, {"champion": worse}, BETTER).decision == "promote"
    assert judge(truth, better, {"champion": worse}, much).decision == "keep"
    fresh = RetrainConfig(policy="fresh", margin=0.1)
    found = judge(truth, worse, {"champion": better}, fresh)
    assert found.decision == "promote"
    assert "not worse by more than 0.1" in found.sentence
    strict = RetrainConfig(policy="fresh", margin=0.01)
    assert judge(truth, worse, {"champion": better}, strict).decision == "keep"
    assert judge(truth, worse, {"champion": worse}, RetrainConfig(policy="fresh")).decision == (
        "promote"
    )


def test_in_the_first_run_the_best_baseline_is_to_be_beaten_and_freshness_is_no_excuse() -> None:
    truth = Truth("binary", LABELS)
    baselines = {"constant": constant_answers(truth, ROWS), "n-grams": classes(LABELS, 0.8)}
    found = judge(truth, classes(LABELS, 0.9), baselines, BETTER, first=True)
    assert (found.decision, found.against) == ("promote", "n-grams")
    fresh = RetrainConfig(policy="fresh", margin=10)
    refused = judge(truth, classes(LABELS, 0.7), baselines, fresh, first=True)
    assert refused.decision == "keep"
    assert "nothing is promoted yet" in refused.sentence


def test_floors_hold_for_classes_and_slices() -> None:
    slices = {"region=north": np.arange(ROWS) < 100}
    truth = Truth("binary", LABELS, slices=slices)
    answers = classes(LABELS, 0.9)
    answers.loc[LABELS == "yes", ["probability_no", "probability_yes"]] = [0.52, 0.48]
    champion = {"champion": classes(LABELS, 0.4)}
    found = judge(truth, answers, champion, RetrainConfig(floors={"yes": 0.5}))
    assert found.decision == "keep"
    assert "yes has accuracy 0, where 0.5 is its floor" in found.sentence
    # Lower is better of what decides here: a floor is the highest that is allowed.
    for floor, decision in ((5.0, "promote"), (0.01, "keep")):
        config = RetrainConfig(floors={"region=north": floor})
        assert judge(truth, answers, champion, config).decision == decision
    with pytest.raises(ValueError, match=r"floors names 'maybe'.*: these are no, yes"):
        judge(truth, answers, champion, RetrainConfig(floors={"maybe": 0.5}))


def test_a_floor_that_no_row_can_show_is_not_met() -> None:
    truth = Truth("binary", np.full(ROWS, "no", dtype=object))
    found = judge(
        truth,
        classes(truth.values, 0.9),
        {"champion": classes(truth.values, 0.6)},
        RetrainConfig(floors={"yes": 0.5}),
    )
    assert found.decision == "keep"
    assert "no held-out row shows whether yes meets its floor" in found.sentence


def test_limits_hold_for_the_challenger_alone() -> None:
    truth, champion = Truth("binary", LABELS), {"champion": classes(LABELS, 0.7)}
    config = RetrainConfig(max_megabytes=5, max_milliseconds=10)
    answers = classes(LABELS, 0.9)
    for own, decision in (((4, 9), "promote"), ((6, 9), "keep"), ((4, 11), "keep")):
        costs = {"challenger": Costs(*own), "champion": Costs(100, 100)}
        assert judge(truth, answers, champion, config, costs=costs).decision == decision
    assert judge(truth, answers, champion, config).decision == "keep"  # not measured: not met


def test_too_few_rows_decide_nothing() -> None:
    few = LABELS[: LEAST_UNITS - 1]
    found = judge(
        Truth("binary", few), classes(few, 0.99), {"champion": classes(few, 0.5)}, BETTER,
        left_out=7,
    )  # fmt: skip
    assert found.decision == "keep"
    assert f"only {LEAST_UNITS - 1} held-out rows" in found.sentence
    none = Truth("binary", few[:0])
    assert judge(none, few[:0], {"champion": few[:0]}, BETTER).decision == "keep"


def test_a_class_that_the_champion_does_not_know_costs_it_the_rows_that_have_it() -> None:
    labels = LABELS.copy()
    labels[:50] = "perhaps"
    names = ("no", "perhaps", "yes")
    found = judge(
        Truth("binary", labels), classes(labels, 0.8, names), {"champion": classes(labels, 0.8)},
        BETTER,
    )  # fmt: skip
    assert found.decision == "promote"
    assert found.warnings == [
        "the champion does not know 'perhaps', which 50 of the held-out rows have"
    ]
    by_class = {one["name"]: one for one in found.slices}
    assert by_class["perhaps"]["against"] == 0
    assert by_class["perhaps"]["challenger"] > 0.8


def test_a_number_is_judged_by_its_errors() -> None:
    values = random.normal(100, 20, (ROWS, 2))
    near = values + random.normal(0, 1, values.shape)
    far = values + random.normal(0, 2, values.shape)
    truth = Truth("regression", values, columns=("sales", "returns"))
    names = ["predicted_sales", "predicted_returns"]
    frames = [pd.DataFrame(found, columns=names) for found in (near, far)]
    found = judge(truth, frames[0], {"champion": frames[1]}, BETTER)
    assert found.decision == "promote"
    assert {"rmse", "mae"} <= {one["metric"] for one in found.figures}
    constant = constant_answers(truth, ROWS)
    assert judge(truth, frames[1], {"constant": constant}, BETTER, first=True).decision == "promote"
    with pytest.raises(ValueError, match=r"without 'predicted_sales'.*trained for another target"):
        judge(truth, frames[0], {"champion": frames[1][names[1:]]}, BETTER)


def test_several_labels_are_judged_in_both_forms_of_answers() -> None:
    flags = random.random((ROWS, 2)) < [0.3, 0.6]
    lists = np.fromiter(
        ([n for n, on in zip("ab", row, strict=True) if on] for row in flags), object
    )
    near = np.where(flags, 0.8, 0.2)
    far = np.where(flags, 0.6, 0.4)
    texts = pd.DataFrame(near, columns=["probability_a", "probability_b"])
    texts.insert(0, "label", list(lists))
    table = pd.DataFrame(far, columns=["probability_a", "probability_b"])
    table = table.assign(a=far[:, 0] > 0.5, b=far[:, 1] > 0.5)
    truth = Truth("multilabel", lists)
    found = judge(truth, texts, {"champion": table}, BETTER)
    assert (found.decision, found.metric) == ("promote", "label_log_loss")
    exact = {one["metric"]: one for one in found.figures}["exact_match"]
    assert exact["challenger"]["value"] == exact["against"]["value"] == 1
    assert [one["challenger"] for one in found.slices] == [1, 1]
    constant = constant_answers(truth, ROWS)
    assert constant["label"][0] == ["b"]
    assert judge(truth, texts, {"constant": constant}, BETTER, first=True).decision == "promote"


def test_ratings_are_drawn_by_their_users() -> None:
    """Errors of a user are alike: 40 users with 20 ratings each are no 800 rows."""
    users = np.repeat(np.arange(40), 20)
    ratings = random.uniform(1, 5, 800)
    own = np.random.default_rng(1).normal(0, 0.5, 40)[users]
    challenger = pd.DataFrame({"score": ratings + 0.9 * own})
    champion = pd.DataFrame({"score": ratings + own + np.where(users < 6, 0.4, -0.01)})
    by_user = judge(
        Truth("rating", ratings, units=users), challenger, {"champion": champion}, BETTER
    )
    by_row = judge(Truth("rating", ratings), challenger, {"champion": champion}, BETTER)
    gaps = [one.figures[0]["gap"] for one in (by_user, by_row)]
    assert gaps[0]["high"] - gaps[0]["low"] > 2 * (gaps[1]["high"] - gaps[1]["low"])
    assert by_user.rows["units"] == 40
    with pytest.raises(ValueError, match="800 held-out rows"):
        judge(Truth("rating", ratings), challenger[:5], {"champion": champion}, BETTER)


def test_a_kind_of_its_own_says_how_its_answers_are_read() -> None:
    """Lists of items are judged by what users took; here: the share of right first items."""
    truth = Truth(
        "taken",
        np.arange(50),
        units=np.arange(50),
        read=lambda answers: answers["item"].to_numpy(),
        metrics=(METRICS["mae"],),
    )
    right, wrong = (pd.DataFrame({"item": np.arange(50) + gap}) for gap in (0, 1))
    wrong.loc[0, "item"] = 9
    assert judge(truth, right, {"champion": wrong}, BETTER).decision == "promote"


def test_the_configured_metric_decides_and_an_unknown_one_is_refused() -> None:
    truth, answers = Truth("binary", LABELS), classes(LABELS, 0.9)
    champion = {"champion": classes(LABELS, 0.7)}
    by_accuracy = judge(truth, answers, champion, RetrainConfig(metric="accuracy"))
    assert by_accuracy.metric == "accuracy"
    assert by_accuracy.decision == "keep"  # surer, not more often right
    with pytest.raises(ValueError, match=r"metric is 'acuracy'.*: use accuracy, or another of "):
        judge(truth, answers, champion, RetrainConfig(metric="acuracy"))


def test_rows_that_a_model_was_trained_on_are_left_out() -> None:
    held_out = np.array([5, 2**63 + 1, 7, 9], np.uint64)
    trained = np.array([2**63 + 1, 11], np.uint64)
    assert unseen(held_out, trained, np.array([9], np.uint64)).tolist() == [
        True,
        False,
        True,
        False,
    ]
    assert unseen(held_out).all()


def test_slices_are_written_as_column_and_value() -> None:
    rows = pd.DataFrame({"region": ["north", "south", None], "week": [1, 2, 1]})
    found = slices_of(rows, ["region=north", "week=1", "yes", "other=1"])
    assert {name: mask.tolist() for name, mask in found.items()} == {
        "region=north": [True, False, False],
        "week=1": [True, False, True],
    }


def test_size_and_time_are_measured() -> None:
    bundle = Bundle("tabular", {}, {"weights": torch.zeros(500_000)}, {"words": "x" * 10**6}, {})
    assert megabytes(bundle) == pytest.approx(3, rel=1e-3)
    waits = iter([0.2, *[0.004] * 20])

    def predict(frame: pd.DataFrame) -> pd.DataFrame:
        assert len(frame) == 1
        time.sleep(next(waits))
        return frame

    assert 4 <= milliseconds(predict, pd.DataFrame({"a": range(50)})) < 40
