import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.metrics import f1_score, precision_score, recall_score, roc_auc_score

from gradual.results.predictions import MOST_RIGHT, MOST_WRONG
from gradual.text import multilabel, multilabel_figures
from gradual.text.multilabel_report import multilabel_summary
from gradual.text.report import html_report

LABELS = ["bad <b>", "good", "rare"]
RATES = np.array([0.4, 0.5, 0.05])


def drawn(n: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Truth (n, 3) and probabilities that know something of it."""
    random = np.random.default_rng(seed)
    truth = random.random((n, 3)) < RATES
    return truth, norm.cdf(random.normal(size=(n, 3)) + 1.5 * truth - 1)


def table(n: int = 200) -> pd.DataFrame:
    truth, values = drawn(n)
    return multilabel.predictions_table(
        np.arange(n), truth, values, LABELS, np.array([0.5, 0.4, 0.6]),
        baseline_probabilities=np.tile(RATES, (n, 1)), baseline_thresholds=np.full(3, 0.45),
        sources=["a"] * n, texts=["<script>alert(1)</script>"] * n,
    )  # fmt: skip


def test_scores_are_scikit_learns() -> None:
    truth, values = drawn()
    predicted = values >= 0.5
    report = multilabel.multilabel_report(truth, predicted, values, LABELS)
    for average in ("micro", "macro"):
        expected = f1_score(truth, predicted, average=average)
        assert report[f"{average}_f1"] == pytest.approx(expected)
    assert report["micro_precision"] == pytest.approx(
        precision_score(truth, predicted, average="micro")
    )
    assert report["micro_recall"] == pytest.approx(recall_score(truth, predicted, average="micro"))
    assert report["macro_auc"] == pytest.approx(roc_auc_score(truth, values))
    for k, label in enumerate(LABELS):
        scores = report["labels"][label]
        assert scores["f1"] == pytest.approx(f1_score(truth[:, k], predicted[:, k]))
        assert scores["roc_auc"] == pytest.approx(roc_auc_score(truth[:, k], values[:, k]))
        for name in ("precision", "recall", "f1", "roc_auc"):
            low, high = scores[f"{name}_interval"]
            assert 0 <= low <= scores[name] <= high <= 1
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_intervals_cover_as_often_as_they_say() -> None:
    truth, values = drawn(100_000, seed=1)
    true_f1 = f1_score(truth, values >= 0.5, average="micro")
    true_auc = roc_auc_score(truth, values)
    hits = np.zeros(2)
    for start in range(0, 20_000, 200):
        part = slice(start, start + 200)
        report = multilabel.multilabel_report(
            truth[part], values[part] >= 0.5, values[part], LABELS
        )
        for k, (name, value) in enumerate((("micro_f1", true_f1), ("macro_auc", true_auc))):
            low, high = report[f"{name}_interval"]
            hits[k] += low <= value <= high
    assert (hits >= 87).all(), hits


def test_labels_that_never_or_always_occur_have_no_auc_but_count() -> None:
    truth = np.array([[1, 0], [1, 0], [1, 0]], bool)
    report = multilabel.multilabel_report(truth, truth, truth * 0.8 + 0.1, ["all", "none"])
    assert report["macro_auc"] is None
    assert report["labels"]["none"]["precision"] is None
    assert report["labels"]["none"]["f1"] is None
    assert report["macro_f1"] == 1
    assert report["macro_f1_interval"] is None, "three right rows are no proof of perfection"
    assert report["exact_match"] == 1


def test_the_table_says_what_was_predicted_and_how_near_it_was() -> None:
    truth = np.array([[True, False], [False, False]])
    values = np.array([[0.9, 0.55], [0.2, 0.3]])
    found = multilabel.predictions_table(
        np.array([7, 9]), truth, values, ["a", "b"], np.array([0.5, 0.5])
    )
    assert found["label"].tolist() == ["a", "no label"]
    assert found["predicted"].tolist() == ["a; b", "no label"]
    assert found["correct"].tolist() == [False, True]
    assert found["margin"].tolist() == pytest.approx([0.05, 0.2])
    assert multilabel.labels_of(found) == ("a", "b")
    assert multilabel.is_multi_label(found)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.full((2, 3), 0.5), "shape"),
        (np.array([[0.5, 1.5], [0, 0]]), "row 0"),
        (np.array([[0, 0], [0.5, np.nan]]), "row 1"),
        (np.zeros((0, 2)), "no rows"),
    ],
)
def test_probabilities_that_are_none_are_errors(values: np.ndarray, message: str) -> None:
    truth = np.zeros((len(values), 2), bool)
    with pytest.raises(ValueError, match=message):
        multilabel.predictions_table(np.arange(len(truth)), truth, values, ["a", "b"], np.ones(2))


def test_examples_are_wrong_right_and_near_a_threshold() -> None:
    predictions = table()
    chosen = multilabel.choose_examples(predictions, k=4)
    wrong, right = (chosen[chosen["kind"] == kind] for kind in (MOST_WRONG, MOST_RIGHT))
    assert not predictions.loc[wrong["row"], "correct"].any()
    assert predictions.loc[right["row"], "correct"].all()
    assert wrong["loss"].is_monotonic_decreasing
    assert chosen["row"].iloc[-4] == predictions["margin"].idxmin()


def test_the_page_shows_each_label_and_escapes_what_came_from_data() -> None:
    predictions = table()
    summary = multilabel_summary(predictions, dict.fromkeys(LABELS, 0.5))
    assert summary["model"]["micro_f1"] > summary["always"]["micro_f1"]
    assert summary["difference"]["macro_f1"] > 0
    drawings = [
        multilabel_figures.found_and_missed_figure(predictions),
        multilabel_figures.f1_figure(predictions, summary),
        multilabel_figures.roc_figure(predictions),
        multilabel_figures.reliability_figure(predictions),
        multilabel_figures.probability_figure(predictions),
    ]
    page = html_report(summary, figures=drawings, examples=multilabel.choose_examples(predictions))
    assert "bad &lt;b&gt;" in page
    assert "<script>alert" not in page
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    found = {bar.name: int(np.sum(bar.x)) for bar in drawings[0].data}
    truth = predictions[[f"true_{label}" for label in LABELS]].to_numpy()
    assert sum(n for name, n in found.items() if not name.startswith("wrongly")) == truth.sum()
