import json
from dataclasses import dataclass

import numpy as np
import pytest

from gradual.results.contest import Contest, compare
from gradual.tabular.scores import (
    choose,
    comparison_figure,
    scores_table,
    summarise,
    verdict_sentence,
)


@dataclass(frozen=True)
class Run:
    model: str
    prediction: np.ndarray
    seed: int = 42
    fit_seconds: float = 1.5
    predict_seconds: float = 0.01


def contest(sharpness: dict[str, float], n: int = 400, seed: int = 0) -> Contest:
    """Models whose probabilities follow the truth more or less sharply."""
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, 2, n)
    runs = []
    for name, sharp in sharpness.items():
        yes = 1 / (1 + np.exp(-(sharp * (2 * truth - 1) + generator.normal(size=n))))
        runs.append(Run(name, np.stack([1 - yes, yes], axis=1)))
    return compare(runs, truth, "binary")


@pytest.fixture
def on_test() -> Contest:
    return contest({"net": 0.5, "forest": 1.0, "linear": 2.0}, seed=1)


def test_validation_rows_choose_and_not_the_test_rows(on_test: Contest) -> None:
    choice = choose(contest({"net": 2.0, "forest": 1.0, "linear": 0.5}), on_test)
    assert (choice["model"], choice["rival"], choice["by"]) == ("net", "forest", "roc_auc")
    assert choice["held_out"]["winner"] == "linear"
    assert "Net has the best ROC AUC on the validation rows" in choice["sentence"]
    assert json.loads(json.dumps(choice, allow_nan=False)) == choice


def test_configuration_may_choose(on_test: Contest) -> None:
    choice = choose(on_test, on_test, "forest")
    assert (choice["model"], choice["rival"], choice["by"]) == ("forest", "linear", "configuration")
    with pytest.raises(ValueError, match=r"'boosting', which does not take part.*linear, forest"):
        choose(on_test, on_test, "boosting")


def test_the_result_in_words(on_test: Contest) -> None:
    summary = summarise(on_test.table, choose(on_test, on_test), "binary", "test")
    assert summary["headline"].startswith("Linear model: Accuracy 0.9")
    assert "on 400 test rows" in summary["headline"]
    assert "is better than Random forest by" in summary["headline"]
    assert "is better than Net by" in summary["headline"], "the net is always told about"
    assert any("400 rows carry ±" in note for note in summary["notes"])
    assert any("of one seed" in note for note in summary["notes"])
    assert set(summary["scores"]) == {"net", "forest", "linear"}
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    watched = summarise(on_test.table, choose(on_test, on_test), "binary", "valid")
    assert "training was watched with them" in watched["notes"][0]


def test_a_small_lead_is_not_called_better() -> None:
    close = contest({"net": 1.0, "forest": 1.01}, n=60)
    assert "but not clearly better than" in verdict_sentence(close.verdict)


def test_a_model_alone_has_no_rival() -> None:
    alone = contest({"net": 1.0})
    choice = choose(alone, alone)
    assert choice["rival"] is None
    assert "better than" not in summarise(alone.table, choice, "binary", "test")["headline"]


def test_scores_are_laid_out_one_row_a_model_the_best_first(on_test: Contest) -> None:
    table = scores_table(on_test.table)
    assert table["Model"].tolist() == ["Linear model", "Random forest", "Net"]
    assert table["ROC AUC"].str.fullmatch(r"0\.\d{4} \[0\.\d{4}, [01]\.\d+\]").all()
    assert table["Fit (s)"].tolist() == ["1.50"] * 3
    figure = comparison_figure(on_test.table, "net")
    assert list(figure.data[0].y) == table["Model"].tolist()
    assert len(figure.data) == 3
