"""Result rows of classifiers, ensembles and language models, and the result in words."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score, roc_auc_score
from text_tables import LABELS, ROWS, labels_predictions, predictions

from gradual.results.table import COLUMNS, means, value_of
from gradual.text.classifier import ClassifierConfig
from gradual.text.language_model import WordAnswers
from gradual.text.metrics import (
    ANSWERED,
    LABEL,
    score_predictions,
    score_words,
    summarise,
    words_headline,
)
from gradual.text.predictions import PREDICTED, PROBABILITY, TRUE, average_predictions, values_of
from gradual.text.stacking import serve


def test_a_classifier_stands_beside_n_grams_and_the_most_frequent_label() -> None:
    table = predictions(0)
    scored, rows = score_predictions(table, source="s", part="test", shares={"yes": 0.6, "no": 0.4})
    assert list(rows.columns) == list(COLUMNS)
    assert set(rows["model"]) == {"classifier", "ngrams", "majority"}
    found = value_of(rows, "classifier", "accuracy")
    assert found["value"] == table["correct"].mean()
    assert 0 <= found["low"] < found["value"] < found["high"] <= 1
    assert value_of(rows, "ngrams", "accuracy")["value"] == table["baseline_correct"].mean()
    assert value_of(rows, "majority", "accuracy")["value"] == 0.5
    gap = scored.verdict(ahead="classifier").against["ngrams"]
    assert gap["difference"] == pytest.approx(
        table["correct"].mean() - table["baseline_correct"].mean()
    )


def test_answers_are_counted_where_the_classifier_may_not_tell() -> None:
    table = predictions(0, abstain_below=0.7)
    scored, rows = score_predictions(table, source="s", part="test")
    own = means(rows, "test", ANSWERED).set_index(["model", "metric"])
    sure = table["answered"]
    assert own.loc[("classifier", "answer_share"), "value"] == sure.mean()
    assert own.loc[("classifier", "answer_share"), "rows"] == ROWS
    assert own.loc[("classifier", "accuracy"), "value"] == table["correct"][sure].mean()
    assert own.loc[("classifier", "accuracy"), "rows"] == sure.sum()
    headline = summarise(scored, rows)["headline"]
    assert f"It answers {100 * sure.mean():.1f} %" in headline
    assert "rightly." in headline
    _, none = score_predictions(predictions(0, abstain_below=1.0), source="s", part="test")
    assert means(none, "test", ANSWERED)["metric"].tolist() == ["answer_share"]


def test_three_scores_stand_beside_the_baseline_with_paired_differences() -> None:
    table = average_predictions(predictions(0), predictions(1))
    scored, rows = score_predictions(table, source="s", part="test", model="ensemble")
    for seed, name in enumerate(("forward", "backward")):
        assert value_of(rows, name, "accuracy")["value"] == predictions(seed)["correct"].mean()
    summary = summarise(scored, rows, model="ensemble", reads_test_texts=True, looks=3)
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    gap = summary["verdict"]["against"]["forward"]
    assert gap["difference"] == pytest.approx(
        table["correct"].mean() - predictions(0)["correct"].mean()
    )
    assert gap["low"] <= gap["difference"] <= gap["high"]
    for text in ("Accuracy ", "Forward ", "Backward ", "n-grams ", " points of accuracy ["):
        assert text in summary["headline"]
    notes = " ".join(summary["notes"])
    assert "nothing but these scores. Their texts, without labels, the language model" in notes
    kept = summarise(scored, rows, model="ensemble", reads_test_texts=False)["notes"][0]
    assert "held out of the language model" in kept
    assert "3 runs have scored these test rows" in notes
    alone = average_predictions(predictions(0, baseline=False), predictions(1, baseline=False))
    _, rows = score_predictions(alone, source="s", part="test", model="ensemble")
    assert set(rows["model"]) == {"ensemble", "forward", "backward"}


def test_the_served_model_leads_and_what_chose_it_is_said() -> None:
    config = ClassifierConfig(serve="stack")
    test, valid, choice = serve(predictions(0), predictions(1), config, decision={})
    scored, rows = score_predictions(test, source="s", part="test", model="stack")
    on_valid, _ = score_predictions(valid, source="s", part="valid", model="stack")
    summary = summarise(
        scored, rows, model="stack", on_valid=on_valid, choice=dataclasses.asdict(choice)
    )
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert summary["verdict"]["winner"] == "stack"
    assert set(summary["verdict"]["against"]) == {"classifier", "ngrams"}
    both = [predictions(0)[name].mean() for name in ("correct", "baseline_correct")]
    gap = summary["net"]["against"]["ngrams"]["difference"]
    assert gap == pytest.approx(both[0] - both[1])
    for text in (
        "Stack: Accuracy ",
        "; Classifier ",
        "Classifier against n-grams: ",
        f"Stack is served as asked: log loss on the {ROWS} validation rows",
    ):
        assert text in summary["headline"]
    assert f"to the powers {choice.weights['net']:.2f} and" in " ".join(summary["notes"])
    chosen = dataclasses.asdict(dataclasses.replace(choice, asked="auto"))
    summary = summarise(scored, rows, model="stack", on_valid=on_valid, choice=chosen)
    assert "Stack has the lowest log loss on the" in summary["headline"]


def test_scores_of_labels_are_scikit_learns() -> None:
    table = labels_predictions()
    _, rows = score_predictions(table, source="s", part="test", shares={})
    truth, predicted = (values_of(table, prefix).astype(bool) for prefix in (TRUE, PREDICTED))
    values = values_of(table, PROBABILITY)
    for average in ("micro", "macro"):
        found = value_of(rows, "classifier", f"{average}_f1")
        assert found["value"] == pytest.approx(f1_score(truth, predicted, average=average))
    assert value_of(rows, "classifier", "macro_auc")["value"] == pytest.approx(
        roc_auc_score(truth, values)
    )
    every = value_of(rows, "every_label", "micro_f1")["value"]
    assert every == pytest.approx(f1_score(truth, truth | True, average="micro"))
    for k, label in enumerate(LABELS):
        own = means(rows, "test", LABEL + label)
        own = own[own["model"] == "classifier"].set_index("metric")
        for name, expected in (
            ("label_f1", f1_score(truth[:, k], predicted[:, k])),
            ("label_precision", precision_score(truth[:, k], predicted[:, k])),
            ("label_recall", recall_score(truth[:, k], predicted[:, k])),
            ("label_auc", roc_auc_score(truth[:, k], values[:, k])),
        ):
            assert own.loc[name, "value"] == pytest.approx(expected)
            assert 0 <= own.loc[name, "low"] <= own.loc[name, "high"] <= 1


def test_a_label_that_no_row_has_and_nobody_gives_has_no_scores() -> None:
    table = labels_predictions()
    table["true_rare"] = table["predicted_rare"] = table["baseline_predicted_rare"] = False
    _, rows = score_predictions(table, source="s", part="test")
    assert means(rows, "test", LABEL + "rare").empty
    assert np.isfinite(value_of(rows, "classifier", "macro_f1")["value"])


def test_validation_scores_that_part_from_test_scores_are_warned_of() -> None:
    table = predictions(0)
    perfect = table.assign(
        probability_yes=np.where(table["label"] == "yes", 0.9, 0.1),
        probability_no=np.where(table["label"] == "yes", 0.1, 0.9),
    )
    scored, test = score_predictions(table, source="s", part="test")
    _, valid = score_predictions(perfect, source="s", part="valid")
    (warning, *_) = summarise(scored, pd.concat([test, valid]))["warnings"]
    assert "Log loss (nats) is 0.1054" in warning
    assert summarise(scored, test)["warnings"] == []


def test_refitting_and_the_first_look_are_said() -> None:
    scored, rows = score_predictions(predictions(0), source="s", part="test")
    metadata = {"decision": {}, "refit": {"epochs": 3, "rows": 900}}
    notes = " ".join(summarise(scored, rows, metadata=metadata)["notes"])
    assert "once more on 900 training and validation rows for 3 epochs" in notes
    assert "first run that scored them" in notes
    assert "trained elsewhere" in notes


def test_words_are_scored_by_document_beside_their_frequencies() -> None:
    words = np.array([10, 20, 5, 0])
    model = WordAnswers(np.array([20.0, 50.0, 5.0, 0.0]), np.array([3, 5, 2, 0]), words)
    plain = dataclasses.replace(model, loss=model.loss * 2, hits=np.zeros(4))
    rows = score_words({"language_model": model, "unigrams": plain}, source="s", part="valid")
    found = value_of(rows, "language_model", "perplexity", "valid")
    assert found["value"] == pytest.approx(np.exp(75 / 35))
    assert found["low"] < found["value"] < found["high"]
    assert found["rows"] == 4
    assert value_of(rows, "language_model", "word_accuracy", "valid")["value"] == 10 / 35
    assert value_of(rows, "unigrams", "perplexity", "valid")["value"] == pytest.approx(
        np.exp(150 / 35)
    )
    assert words_headline(rows).startswith("Perplexity 8.5 on 4 held-out documents (word freq")
