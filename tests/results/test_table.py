import dataclasses
import json

import numpy as np
import pytest

from gradual.results.table import (
    COLUMNS,
    Answers,
    means,
    parts_differ,
    score_models,
    score_text,
    value_of,
    wide,
)


@pytest.fixture
def truth():
    return np.random.default_rng(0).integers(2, size=300)


def answers(truth, model="net", seed=0, skill=1.0):
    rng = np.random.default_rng(seed + 17)
    p = 1 / (1 + np.exp(-(skill * (2 * truth - 1) + rng.normal(size=len(truth)))))
    return Answers(model, np.stack([1 - p, p], 1), seed, {"fit_seconds": 2.0})


def test_rows_have_one_form_and_the_best_model_stands_first(truth):
    scored = score_models(
        [answers(truth, "weak", skill=0.3), answers(truth, skill=2)],
        truth,
        "binary",
        source="adult",
    )
    assert tuple(scored.frame.columns) == COLUMNS
    assert scored.order == ["net", "weak"]
    assert scored.frame["model"].iloc[0] == "net"
    assert set(scored.frame["source"]) == {"adult"}
    assert value_of(scored.frame, "net", "fit_seconds")["value"] == 2
    rows = scored.frame[scored.frame["metric"] == "accuracy"]
    assert ((rows["low"] >= 0) & (rows["high"] <= 1)).all()


def test_seeds_have_rows_of_their_own_and_a_mean(truth):
    runs = [answers(truth, seed=seed) for seed in (1, 2, 3)]
    frame = score_models(runs, truth, "binary", source="adult").frame
    own = frame[frame["metric"] == "roc_auc"]
    assert own["seed"].dropna().tolist() == [1, 2, 3]
    mean = means(own)
    assert len(mean) == 1
    assert mean["value"].iloc[0] == pytest.approx(own["value"][own["seed"].notna()].mean())


def test_the_verdict_says_who_is_ahead_and_json_can_hold_it(truth):
    scored = score_models(
        [answers(truth, skill=2), answers(truth, "forest", 1, 0.2), answers(truth, "line", 2, 0.3)],
        truth, "binary", source="adult", by="accuracy",
    )  # fmt: skip
    verdict = scored.verdict()
    assert verdict.winner == "net"
    assert all(gap["clear"] and gap["low"] > 0 for gap in verdict.against.values())
    json.dumps(dataclasses.asdict(verdict))
    behind = scored.verdict(ahead="forest")
    assert behind.against["net"]["high"] < 0


def test_where_less_is_better_a_gain_is_positive():
    truth = np.arange(50.0)
    good, bad = (Answers(n, truth + e) for n, e in (("good", 0.1), ("bad", np.sin(truth) * 9)))
    scored = score_models([bad, good], truth, "regression", source="s")
    assert scored.order == ["good", "bad"]
    assert scored.verdict().against["bad"]["difference"] > 0


def test_tables_for_reading(truth):
    frame = score_models([answers(truth)], truth, "binary", source="s").frame
    table = wide(frame, names={"net": "The net"}, metrics=["accuracy", "fit_seconds"])
    assert list(table.columns) == ["Model", "Accuracy", "Fit"]
    assert table["Accuracy"].iloc[0].count("%") == 1
    assert table["Fit"].iloc[0] == "2.00 s"
    assert score_text("accuracy", 0.9, 0.851, 0.934) == "90.0 % [85.1, 93.4]"


def test_validation_and_test_scores_that_part_are_named(truth):
    import pandas as pd

    parts = [
        score_models([answers(truth, skill=s)], truth, "binary", source="s", part=part).frame
        for part, s in (("valid", 4), ("test", 0.1))
    ]
    warnings = parts_differ(pd.concat(parts), "net", ["accuracy", "roc_auc"])
    assert len(warnings) == 2
    assert "validation rows, but" in warnings[0]
    assert not parts_differ(parts[0], "net", ["accuracy"])


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        (lambda t: [], "no model"),
        (lambda t: [answers(t), answers(t)], "seed 0 twice"),
        (lambda t: [Answers("net", np.ones((3, 2)))], "3, 2"),
        (lambda t: [Answers("net", np.full((300, 2), np.nan))], "row 0 is not finite"),
    ],
)
def test_what_cannot_be_scored_is_refused(runs, message, truth):
    with pytest.raises(ValueError, match=message):
        score_models(runs(truth), truth, "binary", source="s")


def test_rows_of_one_class_cannot_be_judged_by_an_area():
    found = np.full((20, 2), 0.5)
    with pytest.raises(ValueError, match="ROC AUC cannot be measured on these 20 test rows"):
        score_models([Answers("net", found)], np.zeros(20, int), "binary", source="s", by="roc_auc")
