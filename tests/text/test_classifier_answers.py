"""What is learnt of a document and what is said about it: losses, weights, thresholds, fields."""

import dataclasses
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from gradual.text.awd_lstm import AWDLSTMConfig
from gradual.text.classifier import (
    ClassifierConfig,
    TextClassifier,
    predict_probabilities,
    train_classifier,
)
from gradual.text.classifier_model import classification_loss
from gradual.text.corpus import Corpus, numericalize
from gradual.text.labels import as_array
from gradual.text.tokenizer import TokenizerConfig, tokenize
from gradual.text.vocabulary import Vocabulary, VocabularyConfig, build_vocabulary
from gradual.training.bundle import Bundle, load_bundle, save_bundle
from gradual.training.config import Phase, TrainingConfig
from gradual.training.engine import CheckpointStore

TOKENIZER = TokenizerConfig(workers=1)
N = 160
TRAIN, VALID = np.arange(N) < 120, np.arange(N) >= 120


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def config_with(**changes) -> ClassifierConfig:
    training = TrainingConfig(
        phases=(Phase(epochs=8, lr=3e-2),), device="cpu", precision="float32", eps=1e-8
    )
    settings = {"model": AWDLSTMConfig(8, 8, 1), "training": training, "batch_size": 16}
    return ClassifierConfig(**settings | changes, drop_mult=0.1)


@pytest.fixture(scope="module")
def data() -> tuple[Corpus, Vocabulary, pd.DataFrame]:
    """Two columns; `red` and `round` stand in either and are the labels, one in four has none."""
    random = np.random.default_rng(0)
    flags = random.random((N, 2)) < 0.5
    said = np.array(
        [f"{'red' if a else ''} thing that is {'round' if b else ''}".strip() for a, b in flags]
    )
    first = random.random(N) < 0.5
    frame = pd.DataFrame(
        {
            "title": np.where(first, said, "look"),
            "body": np.where(first, "", said),
            "red": flags[:, 0],
            "round": flags[:, 1],
        }
    )
    tokens = tokenize([frame["title"].tolist(), frame["body"].tolist()], TOKENIZER)
    vocabulary = build_vocabulary(tokens, np.ones(N, bool), VocabularyConfig(min_frequency=1))
    return numericalize(tokens, vocabulary), vocabulary, frame


def lists(frame: pd.DataFrame) -> np.ndarray:
    return as_array(
        [[name for name in ("red", "round") if row[name]] for _, row in frame.iterrows()]
    )


def trained(data, labels: np.ndarray, config: ClassifierConfig, **options) -> Bundle:
    corpus, vocabulary, _ = data
    bundle, _ = train_classifier(
        corpus, vocabulary, labels, TRAIN, VALID, config, language_model=None,
        tokenizer=dataclasses.asdict(TOKENIZER), text_columns=("title", "body"), **options,
    )  # fmt: skip
    return bundle


@pytest.fixture(scope="module")
def several(data) -> Bundle:
    return trained(data, lists(data[2]), config_with(label_smoothing=0.05))


@pytest.fixture(scope="module")
def one(data) -> Bundle:
    labels = np.where(data[2]["red"], "red", "other").astype(object)
    return trained(data, labels, config_with(answer_accuracy=0.9))


# ---------------------------------------------------------------------------------------- loss


def test_one_label_loss_is_the_weighted_smoothed_cross_entropy():
    logits = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    targets, weights = torch.tensor([0, 2, 1, 1, 2, 0]), torch.tensor([0.5, 1.0, 3.0]).double()
    loss = classification_loss(logits, targets, weights, 0.1)
    log_p = logits - logits.logsumexp(1, keepdim=True)
    wanted = torch.full((6, 3), 0.1 / 3).double()
    wanted[torch.arange(6), targets] += 0.9
    expected = -(wanted * weights * log_p).sum() / weights[targets].sum()
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(
        torch.autograd.grad(loss, logits), torch.autograd.grad(expected, logits)
    )


def test_several_labels_loss_is_the_weighted_smoothed_binary_cross_entropy():
    logits = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    targets, weights = torch.rand(5, 3) < 0.4, torch.tensor([0.5, 1.0, 3.0]).double()
    loss = classification_loss(logits, targets, weights, 0.1)
    p, wanted = logits.sigmoid(), targets.double() * 0.9 + 0.05
    expected = -(weights * wanted * p.log() + (1 - wanted) * (1 - p).log()).mean()
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(
        torch.autograd.grad(loss, logits), torch.autograd.grad(expected, logits)
    )


def test_weights_move_the_answers_towards_the_heavy_class(data):
    labels = np.random.default_rng(1).choice(["blue", "green"], N).astype(object)  # by chance
    shares = []
    for weights in ({"green": 0.05}, {"green": 20.0}):
        config = config_with(class_weights=weights)
        found = predict_probabilities(trained(data, labels, config), data[0], VALID)
        shares.append(found[:, 1].mean())
    assert shares[0] < 0.3 < 0.7 < shares[1]


# ------------------------------------------------------------------------------------- answers


def test_any_number_of_labels_is_learnt_also_none(data, several):
    corpus, _, frame = data
    assert several.metadata["multi_label"]
    assert several.metadata["labels"] == ["red", "round"]
    probabilities = predict_probabilities(several, corpus, VALID)
    thresholds = several.metadata["decision"]["thresholds"]
    truth = frame.loc[VALID, ["red", "round"]].to_numpy()
    assert ((probabilities >= list(thresholds.values())) == truth).mean() > 0.9

    raw = frame.loc[VALID, ["body", "title"]].reset_index(drop=True)  # in any order
    answers = TextClassifier.from_bundle(several).predict(raw)
    np.testing.assert_allclose(
        answers[["probability_red", "probability_round"]], probabilities, atol=1e-4
    )
    assert [] in answers["label"].tolist()
    assert answers["label"].tolist() == [
        [name for name, p in zip(thresholds, row, strict=True) if p >= thresholds[name]]
        for row in answers[["probability_red", "probability_round"]].to_numpy(np.float64)
    ]


def test_no_answer_where_no_class_is_sure_enough(data, one, tmp_path: Path):
    path = tmp_path / "one.safetensors"
    save_bundle(one, path)
    bundle, decision = load_bundle(path), one.metadata["decision"]
    assert decision["accuracy"] >= 0.9
    raw = data[2][["title", "body"]]
    for threshold in (decision["abstain_below"], 0.999999, 0.0):
        changed = {**bundle.metadata, "decision": {"abstain_below": threshold}}
        classifier = TextClassifier.from_bundle(dataclasses.replace(bundle, metadata=changed))
        answers = classifier.predict(raw)
        sure = answers[["probability_other", "probability_red"]].max(axis=1) >= threshold
        assert answers["label"].notna().tolist() == sure.tolist()


def test_the_threshold_comes_from_validation_rows_and_asks_for_no_training(
    data, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    labels = np.where(data[2]["red"], "red", "other").astype(object)
    store = CheckpointStore(tmp_path)
    settled = trained(data, labels, config_with(abstain_below=0.8), store=store)
    assert settled.metadata["decision"] == {"abstain_below": 0.8}
    with caplog.at_level(logging.INFO):
        chosen = trained(data, labels, config_with(answer_accuracy=0.6), store=store)
    assert "is finished already" in caplog.text
    assert all(torch.equal(chosen.state[name], settled.state[name]) for name in settled.state)
    found = predict_probabilities(settled, data[0], VALID)
    answered = found.max(1).astype(np.float64) >= chosen.metadata["decision"]["abstain_below"]
    assert chosen.metadata["decision"]["coverage"] == pytest.approx(answered.mean())


def test_an_accuracy_out_of_reach_means_no_answers(data, caplog: pytest.LogCaptureFixture):
    labels = np.random.default_rng(5).choice(["a", "b"], N).astype(object)
    phases = TrainingConfig(phases=(Phase(epochs=1, lr=1e-9),), device="cpu", precision="float32")
    bundle = trained(data, labels, config_with(answer_accuracy=0.9999, training=phases))
    decision = bundle.metadata["decision"]
    if decision["abstain_below"] == 1.0:
        assert "lower answer_accuracy" in caplog.text
        answers = TextClassifier.from_bundle(bundle).predict(data[2][["title", "body"]])
        assert answers["label"].isna().all()
    else:  # the surest rows happened to be right
        assert decision["accuracy"] >= 0.9999


# ----------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["a red thing"], "reads the columns 'title', 'body': give a DataFrame"),
        (pd.DataFrame({"title": ["a"], "text": ["b"]}), "no column 'body', only 'title', 'text'"),
        (pd.DataFrame({"title": ["a", " "], "body": ["b", None]}), "row 1 is blank"),
        (pd.DataFrame({"title": ["a", 5], "body": ["b", "c"]}), "row 1 is 5 in the column 'title'"),
    ],
)
def test_rows_that_cannot_be_read_are_errors_that_name_them(several, rows, message):
    with pytest.raises(ValueError, match=message):
        TextClassifier.from_bundle(several).predict(rows)


def test_a_field_may_be_missing_but_not_all(several):
    classifier = TextClassifier.from_bundle(several)
    answers = classifier.predict(pd.DataFrame({"title": ["red thing", None], "body": [None, "x"]}))
    assert len(answers) == 2
    assert classifier.predict(pd.DataFrame({"title": [], "body": []})).empty


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_weights": "even"}, "class_weights is 'even': give none, balanced"),
        ({"class_weights": {"a": 0.0}}, "gives 'a' the weight 0.0"),
        ({"label_smoothing": 1.0}, "label_smoothing is 1.0"),
        ({"abstain_below": 1.5}, "abstain_below is 1.5"),
        ({"abstain_below": 0.5, "answer_accuracy": 0.9}, "give one of them"),
    ],
)
def test_settings_are_checked(changes, message):
    with pytest.raises(ValueError, match=message):
        config_with(**changes)


def test_settings_that_do_not_suit_the_labels_are_errors(data):
    with pytest.raises(ValueError, match=r"class_weights names 'blue', .* \(those have red, round"):
        trained(data, lists(data[2]), config_with(class_weights={"blue": 2.0}))
    with pytest.raises(ValueError, match=r"abstain_below is 0\.7, but documents may have several"):
        trained(data, lists(data[2]), config_with(abstain_below=0.7))
