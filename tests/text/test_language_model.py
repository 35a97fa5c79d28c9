import dataclasses
import itertools
import logging
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gradual.text.awd_lstm import AWDLSTMConfig
from gradual.text.corpus import Corpus
from gradual.text.language_model import (
    DEFAULT_LANGUAGE_MODEL_PHASES,
    LanguageModelBatches,
    LanguageModelConfig,
    LanguageModelTask,
    evaluate_language_model,
    joined,
    language_model_from_bundle,
    language_model_task,
    new_language_model,
    score,
    train_language_model,
    training_from,
)
from gradual.text.rules import SPECIAL_TOKENS
from gradual.text.vocabulary import Vocabulary
from gradual.training.bundle import load_bundle, save_bundle
from gradual.training.config import Phase, TrainingConfig
from gradual.training.engine import CheckpointStore

SMALL = AWDLSTMConfig(embedding_size=12, hidden_size=20, layers=2)


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def vocabulary_of_size(size: int, prefix: str = "w") -> Vocabulary:
    words = SPECIAL_TOKENS + tuple(f"{prefix}{i}" for i in range(size - len(SPECIAL_TOKENS)))
    return Vocabulary(words, (1,) * size)


def corpus_of(documents: list[list[int]], vocabulary: Vocabulary) -> Corpus:
    offsets = np.cumsum([0] + [len(d) for d in documents])
    ids = np.concatenate([np.array(d, np.uint16) for d in documents])
    return Corpus(ids, offsets.astype(np.int64), vocabulary.hash)


def toy_language(documents: int = 60, words: int = 60) -> tuple[Corpus, Vocabulary, np.ndarray]:
    """Every word but a few is decided by the one before; xxbos starts a document."""
    vocabulary = vocabulary_of_size(29)
    random = np.random.default_rng(0)
    follower = 9 + random.permutation(20)
    texts = []
    for _ in range(documents):
        text = [2, int(random.integers(9, 29))]
        while len(text) < words:
            sure = random.random() < 0.9
            text.append(int(follower[text[-1] - 9] if sure else random.integers(9, 29)))
        texts.append(text)
    return corpus_of(texts, vocabulary), vocabulary, np.arange(documents) % 6 == 0


def config_with(*phases: Phase, **changes) -> LanguageModelConfig:
    training = TrainingConfig(
        phases=phases or (Phase(epochs=1, lr=1e-2),), device="cpu", precision="float32"
    )
    settings = {"model": SMALL, "training": training, "batch_size": 4, "bptt": 9} | changes
    return LanguageModelConfig(**settings)


# ------------------------------------------------------------------------------------- batches


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_joined_documents_are_those_documents(lengths, random):
    offsets = np.cumsum([0, *lengths]).astype(np.int64)
    ids = torch.arange(offsets[-1], dtype=torch.int32)
    order = list(range(len(lengths)))
    random.shuffle(order)
    order = order[: random.randint(0, len(order))]
    expected = [i for d in order for i in range(offsets[d], offsets[d + 1])]
    assert joined(ids, offsets, np.array(order, dtype=np.int64)).tolist() == expected


def test_joined_documents_in_several_blocks_with_empty_ones():
    lengths = np.array([5_000_000, 0, 7_000_000, 1, 6_000_000])
    offsets = np.append(0, np.cumsum(lengths))
    ids = torch.arange(offsets[-1], dtype=torch.int32)
    order = np.array([4, 1, 0, 3, 2])
    expected = torch.cat([ids[offsets[d] : offsets[d + 1]] for d in order])
    assert torch.equal(joined(ids, offsets, order), expected)


def batches(epoch: int = 0, seed: int = 0, batch_size: int = 4, bptt: int = 9):
    lengths = np.random.default_rng(0).integers(1, 40, 30)
    offsets = np.append(0, np.cumsum(lengths))
    ids = torch.arange(offsets[-1], dtype=torch.int32)
    documents = np.arange(0, 30, 2)
    return LanguageModelBatches(ids, offsets, documents, batch_size, bptt, epoch, seed)


def test_an_epoch_holds_every_training_word_once_with_the_next_as_target():
    stream = batches()
    windows = list(stream.iterate(0))
    assert len(windows) == len(stream)
    inputs = torch.cat([x for x, *_ in windows]).T.flatten().tolist()
    targets = torch.cat([y for _, y, _ in windows]).T.flatten().tolist()
    allowed = {
        i
        for d in stream.documents
        for i in range(int(stream.offsets[d]), int(stream.offsets[d + 1]))
    }
    assert len(inputs) == len(set(inputs)) > len(allowed) - stream.batch_size - 1
    assert set(inputs) < allowed
    assert targets[:-1] == inputs[1:]  # rows lie one behind the other in the joined text
    ends = {int(stream.offsets[d + 1]) - 1 for d in stream.documents}
    starts = {int(stream.offsets[d]) for d in stream.documents}
    for word, following in zip(inputs, targets, strict=True):
        assert following == word + 1 or (word in ends and following in starts)


def test_windows_are_about_equal_and_never_longer_than_bptt():
    lengths = [len(x) for x, *_ in batches(bptt=7).iterate(0)]
    assert max(lengths) <= 7
    assert max(lengths) - min(lengths) <= 1


def test_order_differs_between_epochs_and_seeds_and_is_repeatable():
    first = [x.tolist() for x, *_ in batches().iterate(0)]
    assert first == [x.tolist() for x, *_ in batches().iterate(0)]
    assert first != [x.tolist() for x, *_ in batches(epoch=1).iterate(0)]
    assert first != [x.tolist() for x, *_ in batches(seed=1).iterate(0)]
    assert first[3:] == [x.tolist() for x, *_ in batches().iterate(3)]


# ----------------------------------------------------------------------------------- the loss


def test_loss_is_cross_entropy_plus_ar_and_tar():
    corpus, vocabulary, valid = toy_language()
    config = config_with(alpha=3.0, beta=5.0, ramp_epochs=0.0)
    task, _ = language_model_task(corpus, vocabulary, valid, config)
    batch = next(task.batches(0, 0).iterate(0))
    task.model.train()
    torch.manual_seed(0)
    loss = task.loss(batch)
    torch.manual_seed(0)
    with torch.no_grad():
        raw, output, _ = task.model(batch[0])
    assert not torch.equal(raw, output)
    logits = task.model.logits(output)
    cross_entropy = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), batch[1].flatten().long()
    )
    ar = sum(float(v) ** 2 for v in output.flatten()) / output.numel()
    jumps = [
        (float(a) - float(b)) ** 2
        for t in range(len(raw) - 1)
        for a, b in zip(raw[t + 1].flatten(), raw[t].flatten(), strict=True)
    ]
    tar = sum(jumps) / len(jumps)
    assert loss.item() == pytest.approx(cross_entropy.item() + 3 * ar + 5 * tar, rel=1e-5)


def test_a_window_of_one_word_has_no_temporal_term():
    corpus, vocabulary, valid = toy_language()
    task, _ = language_model_task(corpus, vocabulary, valid, config_with(bptt=1))
    assert torch.isfinite(task.loss(next(task.batches(0, 0).iterate(0))))


def test_state_is_carried_between_windows_and_forgotten_at_an_epochs_start():
    corpus, vocabulary, valid = toy_language()
    task, _ = language_model_task(corpus, vocabulary, valid, config_with())
    task.model.eval()
    stream = task.batches(0, 0).iterate(0)
    first, second = next(stream), next(stream)
    task.loss(first)
    assert set(task.state()) == {"h.0", "c.0", "h.1", "c.1"}
    stored = {name: t.clone() for name, t in task.state().items()}
    carried = task.loss(second).item()
    task.start_epoch()
    assert task.state() == {}
    assert task.loss(second).item() != carried
    task.load_state(stored)
    assert task.loss(second).item() == carried
    task.load_state({})
    assert task.state() == {}


# ------------------------------------------------------------------------------------ the start


def test_from_random_weights_the_first_guess_is_word_frequencies():
    corpus, vocabulary, valid = toy_language()
    task, start = language_model_task(corpus, vocabulary, valid, config_with())
    text = joined(
        torch.from_numpy(corpus.ids.astype(np.int64)), corpus.offsets, np.flatnonzero(~valid)
    )
    counts = np.bincount(text.numpy(), minlength=len(vocabulary)) + 1.0
    assert start == {"from": "random"}
    np.testing.assert_allclose(
        task.model.decoder.bias.detach().exp().numpy(), counts / counts.sum(), rtol=1e-5
    )


def test_a_stack_of_layers_learns_more_than_word_frequencies_and_its_cells_do_not_saturate():
    torch.set_num_threads(1)
    corpus, vocabulary, valid = toy_language()
    model = AWDLSTMConfig(embedding_size=32, hidden_size=48, layers=3)
    config = config_with(model=model, drop_mult=0.0, alpha=0.0, beta=0.0, batch_size=8)
    task, _ = language_model_task(corpus, vocabulary, valid, config)
    optimizer = torch.optim.AdamW(task.model.parameters(), 5e-3, betas=(0.9, 0.99))
    task.model.train()
    losses = []
    for step, batch in zip(range(50), itertools.cycle(task.batches(0, 0).iterate(0)), strict=False):
        del step
        optimizer.zero_grad()
        loss = task.loss(batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(task.model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    for layer in task.model.encoder.layers:
        gradient = layer.weight_ih.grad
        assert float((gradient.abs() < 1e-12).float().mean()) < 0.01
    assert np.mean(losses[-5:]) < 0.8 * losses[0]  # which is that of word frequencies


def test_frozen_phases_are_left_out_from_random_weights_and_kept_after_pretraining():
    frozen, whole = Phase(epochs=1, lr=1e-2, groups=1), Phase(epochs=2, lr=1e-3)
    training = config_with(frozen, whole).training
    assert training_from(training, {"from": "random"}).phases == (whole,)
    assert training_from(training, {"from": "pretrained"}).phases == (frozen, whole)
    only = config_with(frozen).training
    assert training_from(only, {"from": "random"}).phases == (frozen,)


def test_activation_regularisation_sets_in_over_the_ramp_and_a_window_knows_its_share():
    corpus, vocabulary, valid = toy_language()
    config = config_with(alpha=3.0, beta=0.0, ramp_epochs=2.0, drop_mult=0.0)
    task, _ = language_model_task(corpus, vocabulary, valid, config)
    windows = list(task.batches(0, 0).iterate(0))
    shares = [share for *_, share in windows]
    assert shares == pytest.approx(np.arange(len(windows)) / len(windows) / 2)
    assert [share for *_, share in task.batches(0, 0).iterate(2)] == shares[2:]
    assert {share for *_, share in task.batches(2, 0).iterate(0)} == {1.0}
    inputs, targets, _ = windows[0]
    with torch.no_grad():
        task.start_epoch()
        none = task.loss((inputs, targets, 0.0)).item()
        task.start_epoch()
        half = task.loss((inputs, targets, 0.5)).item()
        output = task.model(inputs)[1]
    assert half - none == pytest.approx(1.5 * float(output.square().mean()), rel=1e-3)
    pretrained, _ = train_language_model(corpus, vocabulary, valid, config)
    task, _ = language_model_task(corpus, vocabulary, valid, config, pretrained=pretrained)
    assert next(task.batches(0, 0).iterate(0))[2] == 1.0


@pytest.mark.parametrize("projection", [False, True])
def test_a_model_trained_with_a_sampled_softmax_is_scored_and_stored_like_any_other(projection):
    torch.set_num_threads(1)
    corpus, vocabulary, valid = toy_language()
    config = config_with(
        Phase(epochs=6, lr=2e-2, momentum=(0.8, 0.7)),
        model=dataclasses.replace(SMALL, projection=projection),
        drop_mult=0.0,
        sampled_words=8,
    )
    bundle, history = train_language_model(corpus, vocabulary, valid, config)
    figures = evaluate_language_model(bundle, corpus, valid, batch_size=4, bptt=9)
    assert figures["loss"] == pytest.approx(history.epochs[-1]["valid_loss"], rel=1e-4)
    assert figures["loss"] < 0.8 * figures["unigram_loss"]


# --------------------------------------------------------------------------------- validation


@pytest.mark.parametrize("batch_size", [1, 3, 50])
def test_scores_count_every_word_but_the_first(batch_size):
    model = new_language_model(29, dataclasses.replace(SMALL, layers=1), seed=0).eval()
    text = torch.randint(29, (101,), generator=torch.Generator().manual_seed(0)).int()
    with torch.no_grad():
        figures = score(model, text, batch_size, bptt=7)
        rows = max(1, min(batch_size, 100 // 7))
        length = -(-100 // rows)
        losses, hits = [], []
        for row in range(rows):
            part = text[row * length : (row + 1) * length + 1]
            if len(part) < 2:
                continue
            logits = model.logits(model(part[:-1].unsqueeze(1))[1])[:, 0]
            target = part[1:].long()
            losses += torch.nn.functional.cross_entropy(logits, target, reduction="none").tolist()
            hits += (logits.argmax(1) == target).tolist()
    assert figures["tokens"] == len(losses) == 100
    assert figures["loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    assert figures["perplexity"] == pytest.approx(math.exp(np.mean(losses)), rel=1e-5)
    assert figures["accuracy"] == pytest.approx(np.mean(hits))


def test_validation_leaves_the_carried_state_alone():
    corpus, vocabulary, valid = toy_language()
    task, _ = language_model_task(corpus, vocabulary, valid, config_with())
    task.loss(next(task.batches(0, 0).iterate(0)))
    before = {name: t.clone() for name, t in task.state().items()}
    with torch.no_grad():
        assert set(task.validate()) == {"valid_loss", "valid_perplexity", "valid_accuracy"}
    assert all(torch.equal(t, before[name]) for name, t in task.state().items())


# ------------------------------------------------------------------------------------ training


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    torch.set_num_threads(1)
    corpus, vocabulary, valid = toy_language()
    config = config_with(Phase(epochs=6, lr=2e-2, momentum=(0.8, 0.7)), drop_mult=0.1)
    bundle, history = train_language_model(
        corpus, vocabulary, valid, config, tokenizer={"language": "en"}
    )
    path = tmp_path_factory.mktemp("bundle") / "model.safetensors"
    save_bundle(bundle, path)
    return load_bundle(path, "language_model"), history, corpus, vocabulary, valid


def test_it_learns_a_toy_language_far_better_than_word_counts(trained):
    bundle, history, corpus, _, valid = trained
    figures = evaluate_language_model(bundle, corpus, valid, precision="float32")
    assert figures["perplexity"] < figures["unigram_perplexity"] / 3
    assert figures["accuracy"] > 0.7 > figures["unigram_accuracy"]
    assert history.epochs[-1]["valid_accuracy"] == pytest.approx(figures["accuracy"], abs=0.02)


def test_unigram_baseline_counts_training_documents_only(trained):
    bundle, _, corpus, vocabulary, valid = trained
    figures = evaluate_language_model(bundle, corpus, valid)
    train = np.concatenate([corpus.document(i) for i in np.flatnonzero(~valid)])
    held_out = np.concatenate([corpus.document(i) for i in np.flatnonzero(valid)])[1:]
    counts = np.bincount(train, minlength=len(vocabulary)) + 1
    p = counts / counts.sum()
    assert figures["unigram_loss"] == pytest.approx(-np.log(p[held_out]).mean())
    assert figures["unigram_accuracy"] == pytest.approx((held_out == counts.argmax()).mean())


def test_the_bundle_says_where_it_started_and_what_it_needs(trained):
    bundle, _, corpus, vocabulary, _ = trained
    assert bundle.metadata["start"] == {"from": "random"}
    assert tuple(bundle.metadata["vocabulary"]) == vocabulary.words
    assert bundle.metadata["tokenizer"] == {"language": "en"}
    assert bundle.dependencies["vocabulary"] == vocabulary.hash
    assert bundle.dependencies["corpus"] == corpus.hash


def test_pretrained_words_keep_their_rows_and_new_ones_start_at_the_mean(trained, caplog):
    bundle, *_ = trained
    old = bundle.metadata["vocabulary"]
    words = (*SPECIAL_TOKENS, "w7", "new", "w3")
    vocabulary = Vocabulary(words, (1,) * len(words))
    corpus = corpus_of([[2, 9, 10, 11] * 5] * 4, vocabulary)
    valid = np.array([True, False, False, False])
    with caplog.at_level(logging.INFO):
        task, start = language_model_task(
            corpus, vocabulary, valid, config_with(), pretrained=bundle
        )
    weight, bias = bundle.state["encoder.embedding.weight"], bundle.state["decoder.bias"]
    moved = task.model.encoder.embedding.weight
    for word in ("xxunk", "xxbos", "w7", "w3"):
        assert torch.equal(moved[words.index(word)], weight[old.index(word)])
        assert task.model.decoder.bias[words.index(word)] == bias[old.index(word)]
    torch.testing.assert_close(moved[10], weight.mean(0))
    torch.testing.assert_close(task.model.decoder.bias[10], bias.mean())
    layer = task.model.encoder.layers[0].weight_hh
    assert torch.equal(layer, bundle.state["encoder.layers.0.weight_hh"])
    assert start == {
        "from": "pretrained",
        "bundle": bundle.hash,
        "vocabulary": bundle.dependencies["vocabulary"],
        "words_found": 11,
        "words_found_share": pytest.approx(11 / 12),
        "tokens_found_share": pytest.approx(0.75),
    }
    assert "11 of 12 words (91.7 %), 75.0 % of all tokens" in caplog.text


def test_a_start_that_does_not_fit_is_refused_with_both_sides_named(trained):
    bundle, _, corpus, vocabulary, valid = trained

    def start(pretrained, config=None, tokenizer=None):
        language_model_task(
            corpus, vocabulary, valid, config or config_with(),
            pretrained=pretrained, tokenizer=tokenizer,
        )  # fmt: skip

    bundle = dataclasses.replace(bundle, origin="models:/wiki/3")
    larger = dataclasses.replace(SMALL, hidden_size=24, layers=3)
    with pytest.raises(
        ValueError,
        match=r"models:/wiki/3 has hidden_size 20 \(configured: 24\), layers 2 .*`model`",
    ):
        start(bundle, config_with(model=larger))
    with pytest.raises(
        ValueError, match=r"tokenizer\.language is 'de', but .*models:/wiki/3 was .* 'en'"
    ):
        start(bundle, tokenizer={"language": "de"})
    start(bundle, tokenizer={"language": "en", "workers": 2})  # workers change no token
    with pytest.raises(ValueError, match="is a 'text_classifier', where a 'language_model'"):
        start(dataclasses.replace(bundle, kind="text_classifier"))
    words = bundle.metadata["vocabulary"]
    shuffled = {**bundle.metadata, "vocabulary": [*words[:-2], words[-1], words[-2]]}
    with pytest.raises(ValueError, match=r"by its words, was made with vocabulary .* its record"):
        start(dataclasses.replace(bundle, metadata=shuffled))


def test_a_start_that_knows_few_words_is_warned_of(trained, caplog):
    bundle, *_ = trained
    vocabulary = vocabulary_of_size(29, prefix="other")
    corpus = corpus_of([[2, *range(9, 29)]] * 6, vocabulary)
    valid = np.arange(6) == 0
    with caplog.at_level(logging.WARNING):
        _, start = language_model_task(corpus, vocabulary, valid, config_with(), pretrained=bundle)
    assert start["tokens_found_share"] == pytest.approx(1 / 21), "xxbos alone"
    assert "knows only 4.8 % of the texts' tokens" in caplog.text


def test_test_documents_are_neither_trained_on_nor_counted():
    corpus, vocabulary, valid = toy_language()
    train = ~valid & (np.arange(len(valid)) % 6 != 1)
    config = config_with()
    task, _ = language_model_task(corpus, vocabulary, valid, config, train_rows=train)
    seen = {id for inputs, *_ in task.batches(0, 1).iterate(0) for id in inputs.unique().tolist()}
    hidden = Corpus(corpus.ids.copy(), corpus.offsets, corpus.vocabulary_hash)
    for row in np.flatnonzero(~train & ~valid):  # what stands in test documents changes nothing
        hidden.ids[hidden.offsets[row] : hidden.offsets[row + 1]] = 1
    other, _ = language_model_task(hidden, vocabulary, valid, config, train_rows=train)
    for (a, b, _), (c, d, _) in zip(
        task.batches(0, 1).iterate(0), other.batches(0, 1).iterate(0), strict=True
    ):
        assert torch.equal(a, c)
        assert torch.equal(b, d)
    assert 1 not in seen
    bundle, _ = train_language_model(corpus, vocabulary, valid, config, train_rows=train)
    figures = [
        evaluate_language_model(bundle, c, valid, train_rows=train) for c in (corpus, hidden)
    ]
    assert figures[0] == figures[1]
    with pytest.raises(ValueError, match="document 0 is in train_rows and in valid_rows"):
        language_model_task(corpus, vocabulary, valid, config, train_rows=np.ones(60, bool))


def test_pretrained_start_helps(trained):
    bundle, _, corpus, vocabulary, valid = trained
    config = config_with(Phase(epochs=1, lr=1e-3))
    again, warm = train_language_model(corpus, vocabulary, valid, config, pretrained=bundle)
    _, cold = train_language_model(corpus, vocabulary, valid, config)
    assert warm.epochs[0]["valid_loss"] < cold.epochs[0]["valid_loss"] - 0.5
    assert again.metadata["start"]["from"] == "pretrained"


def test_training_only_the_last_group_leaves_the_layers_alone(trained):
    bundle, _, corpus, vocabulary, valid = trained
    config = config_with(Phase(epochs=1, lr=1e-2, groups=1))
    again, _ = train_language_model(corpus, vocabulary, valid, config, pretrained=bundle)
    for name, tensor in again.state.items():
        assert torch.equal(tensor, bundle.state[name]) == name.startswith("encoder.layers"), name


class _StopError(Exception):
    pass


@pytest.mark.parametrize("stop", [1, 7, 13, 31])
def test_a_stopped_run_resumes_to_the_same_bits(tmp_path, monkeypatch, stop):
    corpus, vocabulary, valid = toy_language(documents=30, words=30)
    phases = (Phase(epochs=1, lr=1e-2), Phase(epochs=1, lr=1e-3))
    training = TrainingConfig(
        phases=phases, device="cpu", precision="float32", checkpoint_seconds=0
    )
    config = config_with(training=training, sampled_words=8)
    expected, _ = train_language_model(corpus, vocabulary, valid, config)
    steps = []
    loss = LanguageModelTask.loss

    def failing(self, batch):
        steps.append(1)
        if len(steps) == stop:
            raise _StopError
        return loss(self, batch)

    store = CheckpointStore(tmp_path / "checkpoints")
    monkeypatch.setattr(LanguageModelTask, "loss", failing)
    with pytest.raises(_StopError):
        train_language_model(corpus, vocabulary, valid, config, store=store)
    resumed, history = train_language_model(corpus, vocabulary, valid, config, store=store)
    assert len(steps) == 1 + sum(epoch["steps"] for epoch in history.epochs)  # none done twice
    assert history.resumed == (stop > 1)
    assert resumed.state.keys() == expected.state.keys()
    assert all(torch.equal(t, expected.state[name]) for name, t in resumed.state.items())


# -------------------------------------------------------------------------------------- errors


def test_a_corpus_of_another_vocabulary_is_an_error(trained):
    bundle, _, _, _, valid = trained
    other = vocabulary_of_size(29, prefix="v")
    corpus, *_ = toy_language()
    stranger = Corpus(corpus.ids, corpus.offsets, other.hash)
    with pytest.raises(ValueError, match="the corpus was made with vocabulary"):
        evaluate_language_model(bundle, stranger, valid)
    with pytest.raises(ValueError, match="the same id would mean different words"):
        train_language_model(corpus, other, valid, config_with())


def test_a_pretrained_model_of_other_sizes_is_an_error_that_names_them(trained):
    bundle, _, corpus, vocabulary, valid = trained
    config = config_with(model=dataclasses.replace(SMALL, hidden_size=21, layers=3))
    with pytest.raises(ValueError, match=r"hidden_size 20 \(configured: 21\), layers 2"):
        train_language_model(corpus, vocabulary, valid, config, pretrained=bundle)


def test_another_kind_of_bundle_or_foreign_weights_are_errors(trained):
    bundle, _, corpus, vocabulary, valid = trained
    other = dataclasses.replace(bundle, kind="text_classifier")
    with pytest.raises(ValueError, match="'text_classifier', where a 'language_model' is needed"):
        train_language_model(corpus, vocabulary, valid, config_with(), pretrained=other)
    state = {k: v for k, v in bundle.state.items() if k != "decoder.bias"}
    with pytest.raises(ValueError, match=r"decoder\.bias: stored nothing, expected \(29,\)"):
        language_model_from_bundle(dataclasses.replace(bundle, state=state))


@pytest.mark.parametrize(
    ("valid", "message"),
    [
        (np.zeros(60, bool), "0 validation documents hold 0 words"),
        (np.ones(60, bool), "0 training documents hold 0 words"),
        (np.zeros(59, bool), "one bool for each of the 60 documents"),
        (np.arange(60), "has dtype int64"),
    ],
)
def test_rows_that_do_not_work_are_errors(valid, message):
    corpus, vocabulary, _ = toy_language()
    with pytest.raises(ValueError, match=message):
        train_language_model(corpus, vocabulary, valid, config_with())


def test_config_values_are_checked():
    with pytest.raises(ValueError, match="bptt is 0"):
        LanguageModelConfig(bptt=0)
    with pytest.raises(ValueError, match="alpha is -1"):
        LanguageModelConfig(alpha=-1)
    with pytest.raises(ValueError, match="_dropout is"):
        LanguageModelConfig(drop_mult=5)


def test_default_phases_are_the_recipe():
    first, second = DEFAULT_LANGUAGE_MODEL_PHASES
    assert (first.epochs, first.lr, first.groups) == (1, 1e-2, 1)
    assert (second.epochs, second.lr, second.groups) == (10, 1e-3, None)
    assert first.momentum == second.momentum == (0.8, 0.7)
