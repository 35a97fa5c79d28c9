import json

import numpy as np
import pandas as pd
import pytest

from gradual.results.predictions import predictions_table
from gradual.text.ensemble_scores import (
    accuracy_figure,
    average_predictions,
    differences_table,
    ensemble_scores_table,
    ensemble_summary,
)

ROWS = 40
LABELS = ["no", "yes"] * (ROWS // 2)


def predicted(seed: int, baseline: bool = True) -> pd.DataFrame:
    """A classifier that is right two times in three."""
    random = np.random.default_rng(seed)
    truth = np.arange(ROWS) % 2
    noisy = np.clip(0.5 + (truth - 0.5) * 0.4 + random.normal(0, 0.4, ROWS), 0.01, 0.99)
    return predictions_table(
        np.arange(100, 100 + ROWS),
        LABELS,
        np.c_[1 - noisy, noisy],
        ["no", "yes"],
        baseline_probabilities=np.c_[1 - truth * 0.9, truth * 0.9] if baseline else None,
        sources=[f"texts.csv row {i}" for i in range(ROWS)],
        texts=[f"text {i}" for i in range(ROWS)],
    )


@pytest.fixture(scope="module")
def averaged() -> pd.DataFrame:
    return average_predictions(predicted(0), predicted(1))


def test_probabilities_are_averaged_and_members_kept(averaged: pd.DataFrame) -> None:
    forward, backward = predicted(0), predicted(1)
    mean = (forward["probability_yes"] + backward["probability_yes"]) / 2
    np.testing.assert_allclose(averaged["probability_yes"], mean)
    assert averaged["predicted"].tolist() == ["yes" if p > 0.5 else "no" for p in mean]
    assert averaged["forward_probability_no"].equals(forward["probability_no"])
    assert averaged["backward_correct"].equals(backward["correct"])
    for column in ("row", "source", "label", "text", "baseline_probability_yes"):
        assert averaged[column].equals(forward[column]), column


def test_three_scores_stand_beside_the_baseline_with_paired_differences(
    averaged: pd.DataFrame,
) -> None:
    summary = ensemble_summary(averaged)
    assert json.loads(json.dumps(summary)) == summary
    for name in ("forward", "backward", "baseline"):
        assert summary[name]["accuracy"] == averaged[f"{name}_correct"].mean()
        low, high = summary[name]["accuracy_interval"]
        assert low < summary[name]["accuracy"] <= high
    difference = summary["differences"]["forward"]
    gains = (averaged["correct"] & ~averaged["forward_correct"]).sum()
    losses = (~averaged["correct"] & averaged["forward_correct"]).sum()
    assert difference["difference"] == (gains - losses) / ROWS
    assert difference["only_first_right"] == gains
    assert difference["interval"][0] < difference["difference"] < difference["interval"][1]
    assert summary["headline"].startswith("Accuracy on 40 test rows (95% intervals): forward ")
    assert f"ensemble {summary['ensemble']['accuracy']:.1%}" in summary["headline"]
    scores = ensemble_scores_table(summary)
    assert list(scores.columns) == [
        *("Score", "Ensemble", "Forward", "Backward", "N-gram baseline", "Better"),
    ]
    assert scores.loc[0, "Forward"].startswith(f"{summary['forward']['accuracy']:.1%} [")
    assert differences_table(summary)["Ensemble minus"].tolist() == [
        *("Forward", "Backward", "N-gram baseline"),
    ]
    (trace,) = accuracy_figure(summary).data
    assert trace.y[-1] == "Ensemble"
    assert trace.x[-1] == summary["ensemble"]["accuracy"]


def test_no_baseline_is_no_column() -> None:
    summary = ensemble_summary(
        average_predictions(predicted(0, baseline=False), predicted(1, baseline=False))
    )
    assert summary["baseline"] is None
    assert set(summary["differences"]) == {"forward", "backward"}
    assert "N-gram baseline" not in ensemble_scores_table(summary)
    assert len(accuracy_figure(summary).data[0].y) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.iloc[:30], "forward predictions of 40 rows and backward ones of 30"),
        (
            lambda t: t.iloc[::-1],
            r"row 0 of the forward predictions \(texts\.csv row 0\) has the source "
            r"'texts\.csv row 0', of the backward ones 'texts\.csv row 39': run both pipelines",
        ),
        (lambda t: t.assign(label="yes"), "has the label 'no', of the backward ones 'yes'"),
        (lambda t: t.drop(columns="source"), "backward predictions have no column 'source'"),
        (
            lambda t: t.rename(columns={"probability_no": "probability_nein"}),
            r"of the classes \['no', 'yes'\], the backward ones of \['nein', 'yes'\]",
        ),
    ],
)
def test_other_rows_are_refused(change, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        average_predictions(predicted(0), change(predicted(1)))
