"""Weights of the stack, the choice on validation rows, and what is served."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from model_bundles import bundle_of, questions
from scipy.special import softmax
from text_tables import labels_predictions, predictions

from gradual.text.bundles import members_of
from gradual.text.classifier import ClassifierConfig
from gradual.text.ensemble import ensemble_bundle
from gradual.text.predictions import served_model
from gradual.text.stacking import (
    KIND,
    TextStack,
    Weights,
    choose,
    cross_fitted,
    fit_weights,
    reader_of,
    serve,
    served_bundle,
)


def drawn(n: int, strength: tuple[float, float], classes: int = 3, seed: int = 0):
    """Truth, and what two models with errors of their own say about it."""
    random = np.random.default_rng(seed)
    truth = random.integers(classes, size=n)
    right = np.eye(classes)[truth]
    said = [softmax(s * right + random.normal(0, 1, right.shape), axis=1) for s in strength]
    return said[0], said[1], truth


def loss(p: np.ndarray, truth: np.ndarray) -> float:
    return float(-np.log(p[np.arange(len(truth)), truth]).mean())


def test_weights_are_those_of_the_highest_likelihood() -> None:
    net, other, truth = drawn(4000, (2.0, 1.0))
    found = fit_weights(net, other, truth)
    # Of class means s and 0 with deviation 1, the log odds are s times the difference of logits.
    assert found.net == pytest.approx(2.0, abs=0.1)
    assert found.ngrams == pytest.approx(1.0, abs=0.1)
    best = loss(found.stacked(net, other), truth)
    for a, b in ((0.05, 0), (-0.05, 0), (0, 0.05), (0, -0.05)):
        moved = Weights(found.net + a, found.ngrams + b)
        assert loss(moved.stacked(net, other), truth) > best
    assert best < min(loss(net, truth), loss(other, truth))


def test_no_weight_is_negative_and_none_grows_without_end() -> None:
    net, other, truth = drawn(2000, (2.0, -1.0))
    assert fit_weights(net, other, truth).ngrams == 0
    sure = np.eye(2)[np.array([0, 1] * 10)]
    found = fit_weights(sure, sure, np.array([0, 1] * 10))
    assert 0 < found.net < 5
    assert fit_weights(net[:0], other[:0], truth[:0]) == Weights(0.5, 0.5)


def test_no_row_is_judged_by_weights_that_it_helped_to_fit() -> None:
    net, other, truth = drawn(40, (1.0, 1.0))
    found = cross_fitted(net, other, truth)
    for row in range(4):
        changed = truth.copy()
        changed[row] = (truth[row] + 1) % 3
        again = cross_fitted(net, other, changed)
        np.testing.assert_array_equal(again[row], found[row])
        assert not np.array_equal(again, found)
    one = cross_fitted(net[:1], other[:1], truth[:1])
    np.testing.assert_allclose(one, Weights(0.5, 0.5).stacked(net[:1], other[:1]))


@pytest.mark.parametrize(("strength", "served"), [((2.0, 2.0), "stack"), ((-1.0, 3.0), "ngrams")])
def test_the_lowest_log_loss_is_served(strength: tuple[float, float], served: str) -> None:
    net, other, truth = drawn(1000, strength)
    if served == "ngrams":  # as likely as can be: a weight of its own gains nothing
        other = Weights(0, 3.0).stacked(net, other)
    choice, found = choose(net, other, truth)
    assert choice.served == served
    assert choice.log_loss[served] == min(choice.log_loss.values())
    np.testing.assert_array_equal(found["net"], net)
    assert choice.log_loss["stack"] == pytest.approx(loss(found["stack"], truth))
    asked, _ = choose(net, other, truth, "net")
    assert (asked.served, asked.log_loss) == ("net", choice.log_loss)


@pytest.mark.parametrize("name", ["net", "ngrams", "stack"])
def test_the_tables_columns_are_those_of_what_is_served(name: str) -> None:
    config = ClassifierConfig(serve=name, answer_accuracy=0.8)
    given, valid = predictions(0, abstain_below=0.6), predictions(1, abstain_below=0.6)
    test, valid, choice = serve(given, valid, config, decision={"abstain_below": 0.6})
    assert choice.served == name
    assert served_model(test) == {"net": "classifier"}.get(name, name)
    pd.testing.assert_series_equal(
        test["classifier_probability_yes"], given["probability_yes"], check_names=False
    )
    stacked = Weights(**choice.weights).stacked(
        given[["probability_no", "probability_yes"]].to_numpy(),
        given[["baseline_probability_no", "baseline_probability_yes"]].to_numpy(),
    )
    np.testing.assert_allclose(test["stack_probability_yes"], stacked[:, 1])
    least = choice.decision["abstain_below"]
    if name == "net":
        assert least == 0.6
    top = test[["probability_no", "probability_yes"]].max(axis=1)
    assert (test["answered"] == (top >= least)).all()
    answered = valid["answered"]
    assert name == "net" or valid["correct"][answered].mean() >= 0.8


def test_several_labels_a_row_stay_the_nets() -> None:
    table = labels_predictions()
    test, valid, choice = serve(table, table, ClassifierConfig(), decision={"thresholds": {}})
    assert test is table
    assert valid is table
    assert (choice.served, choice.decision) == ("net", {"thresholds": {}})


def choice_of(served: str) -> dict:
    config = ClassifierConfig(serve=served, abstain_below=0.9)
    decision = {"abstain_below": 0.9}
    return dataclasses.asdict(serve(predictions(0), predictions(1), config, decision=decision)[2])


def test_what_is_served_is_one_bundle() -> None:
    net, other = bundle_of("text_classifier"), bundle_of("text_ngrams")
    assert served_bundle(net, other, choice_of("net")) is net
    alone = served_bundle(net, other, choice_of("ngrams"))
    assert (alone.kind, alone.metadata["decision"]["abstain_below"]) == ("text_ngrams", 0.9)
    choice = choice_of("stack")
    both = served_bundle(net, other, choice)
    assert both.kind == KIND
    assert members_of(both, KIND) == [net, other]
    asked = questions("text_stack")
    names = ["probability_negative", "probability_positive"]
    each = [reader_of(m, device="cpu").predict(asked)[names].to_numpy() for m in (net, other)]
    answer = reader_of(both, device="cpu").predict(asked)
    expected = Weights(**choice["weights"]).stacked(*each)
    np.testing.assert_allclose(answer[names], expected, rtol=1e-6)
    assert answer["label"].isna().tolist() == (expected.max(axis=1) < 0.9).tolist()


def test_a_stack_of_an_ensemble_gives_back_its_members() -> None:
    members = [bundle_of("text_classifier")] * 2
    both = ensemble_bundle(members)
    stack = served_bundle(both, bundle_of("text_ngrams"), choice_of("stack"))
    net, _ = members_of(stack, KIND)
    assert members_of(net, "text_ensemble") == members
    assert isinstance(reader_of(stack, device="cpu"), TextStack)


def test_models_that_differ_cannot_be_stacked() -> None:
    net, other = bundle_of("text_classifier"), bundle_of("text_ngrams")
    renamed = dataclasses.replace(other, metadata={**other.metadata, "labels": ["no", "yes"]})
    with pytest.raises(ValueError, match="train both on the same labels"):
        served_bundle(net, renamed, choice_of("stack"))
