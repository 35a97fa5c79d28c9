from dataclasses import dataclass

import numpy as np
import pytest
from sklearn.metrics import log_loss, r2_score, roc_auc_score, root_mean_squared_error

from gradual.results.contest import compare, metrics_of


@dataclass(frozen=True)
class Answer:
    model: str
    seed: int
    prediction: np.ndarray
    fit_seconds: float = 2.0
    predict_seconds: float = 0.5


def binary(rows=2_000, noise=1.0, seed=0):
    random = np.random.default_rng(seed)
    truth = (np.random.default_rng(99).random(rows) < 0.3).astype(np.int64)
    score = truth * 1.5 + random.normal(0, noise, rows)
    yes = 1 / (1 + np.exp(-(score - 1)))
    return truth, np.stack([1 - yes, yes], 1)


def of(table, model, metric, seed=None):
    rows = table[(table["model"] == model) & (table["metric"] == metric)]
    rows = rows[rows["seed"].isna()] if seed is None else rows[rows["seed"] == seed]
    return rows.iloc[0]


def test_scores_equal_scikit_learns():
    truth, found = binary()
    table = compare([Answer("a", 1, found)], truth, "binary").table
    assert of(table, "a", "roc_auc").value == pytest.approx(roc_auc_score(truth, found[:, 1]))
    assert of(table, "a", "log_loss").value == pytest.approx(log_loss(truth, found))
    assert of(table, "a", "accuracy").value == pytest.approx((found.argmax(1) == truth).mean())
    random = np.random.default_rng(0)
    three = random.dirichlet([1, 1, 1], 500)
    classes = np.array([random.choice(3, p=p) for p in three])
    table = compare([Answer("a", 1, three)], classes, "multiclass").table
    area = roc_auc_score(classes, three, multi_class="ovr")
    assert of(table, "a", "roc_auc").value == pytest.approx(area)
    truth = random.normal(0, 5, (400, 2))
    found = truth + random.normal(0, 1, (400, 2))
    table = compare([Answer("a", 1, found)], truth, "regression").table
    assert of(table, "a", "rmse").value == pytest.approx(root_mean_squared_error(truth, found))
    assert of(table, "a", "r2").value == pytest.approx(r2_score(truth, found))


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_intervals_are_those_that_the_bootstrap_gives(kind):
    truth, found = binary(600)
    if kind == "regression":
        truth = np.random.default_rng(3).gamma(2, 50, (600, 1))
        found = truth * np.random.default_rng(4).normal(1, 0.3, (600, 1))
    random, n = np.random.default_rng(1), len(truth)
    runs = [Answer("a", 1, found), Answer("b", 1, found**1.1 if kind == "regression" else found)]
    table = compare(runs, truth, kind).table
    drawn = {metric: [] for metric in metrics_of(kind)}
    for _ in range(200):
        rows = random.integers(n, size=n)
        one = compare([Answer("a", 1, found[rows])], truth[rows], kind).table
        for metric in drawn:
            drawn[metric].append(of(one, "a", metric).value)
    for metric, values in drawn.items():
        row = of(table, "a", metric)
        assert (row.high - row.low) / 2 == pytest.approx(1.96 * np.std(values), rel=0.2)


def test_a_difference_is_paired_and_the_verdict_says_so():
    truth, found = binary()
    _, noise = binary(noise=2.0, seed=5)
    nearly = 0.97 * found + 0.03 * noise
    contest = compare(
        [
            Answer("worse", 1, noise * 0.5 + 0.25),
            Answer("good", 1, found),
            Answer("nearly", 1, nearly),
        ],
        truth,
        "binary",
    )
    verdict = contest.verdict
    first, second = contest.table["model"].drop_duplicates().tolist()[:2]
    assert verdict["winner"] == first
    gap = verdict["against"][second]
    alone = of(contest.table, first, "roc_auc")
    assert gap["high"] - gap["low"] < 0.3 * (alone.high - alone.low)
    assert {"good", "nearly"} == {first, second}
    assert f"{first} " in verdict["sentence"]
    assert verdict["against"]["worse"]["clear"]


def test_seeds_that_differ_widen_the_mean_but_not_a_seeds_own_interval():
    truth = binary()[0]
    alike = [Answer("a", s, binary(seed=1)[1]) for s in range(3)]
    apart = [Answer("b", s, binary(seed=1, noise=0.7 + 0.4 * s)[1]) for s in range(3)]
    table = compare(alike + apart, truth, "binary").table
    width = {m: of(table, m, "roc_auc").high - of(table, m, "roc_auc").low for m in "ab"}
    assert width["b"] > 1.5 * width["a"]
    assert of(table, "b", "roc_auc").seeds == 3
    values = [of(table, "b", "roc_auc", seed=s).value for s in range(3)]
    assert of(table, "b", "roc_auc").value == pytest.approx(np.mean(values))


def test_lower_is_better_where_it_is():
    truth = np.random.default_rng(0).normal(0, 1, (300, 1))
    runs = [Answer("near", 1, truth + 0.1), Answer("far", 1, truth + 1.0)]
    verdict = compare(runs, truth, "regression").verdict
    assert verdict["winner"] == "near"
    assert verdict["against"]["far"]["difference"] == pytest.approx(0.9)


def test_perfect_and_constant_answers_have_scores():
    truth, _ = binary()
    sure = np.stack([1 - truth, truth], 1).astype(float)
    constant = np.tile([0.7, 0.3], (len(truth), 1))
    table = compare(
        [Answer("sure", 1, sure), Answer("constant", 1, constant)], truth, "binary"
    ).table
    assert of(table, "sure", "roc_auc").value == 1
    assert of(table, "constant", "roc_auc").value == 0.5
    assert np.isfinite(table[["value", "low", "high"]].to_numpy()).all()


@pytest.mark.parametrize(
    ("runs", "truth", "metric", "message"),
    [
        ([], np.ones(3, int), None, "no model"),
        ([Answer("a", 1, np.ones((2, 2)))], np.ones(3, int), None, r"a, seed 1.*\(2, 2\)"),
        ([Answer("a", 1, np.full((3, 2), np.nan))], np.ones(3, int), None, "row 0 is not finite"),
        ([Answer("a", 1, np.ones((3, 2)))] * 2, np.ones(3, int), None, "seed 1 twice"),
        ([Answer("a", 1, np.ones((3, 2)))], np.ones(3, int), None, "only one class"),
        ([Answer("a", 1, np.ones((3, 2)))], np.ones(3, int), "rmse", "for binary use one of"),
    ],
)
def test_what_does_not_fit_is_named(runs, truth, metric, message):
    with pytest.raises(ValueError, match=message):
        compare(runs, truth, "binary", metric=metric)
