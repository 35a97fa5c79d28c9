import dataclasses
import gc
import subprocess
import sys
import weakref

import numpy as np
import pandas as pd
import pytest
import torch

from gradual.text.awd_lstm import AWDLSTMConfig
from gradual.text.classifier import (
    ClassifierConfig,
    ClassifierTask,
    TextClassifier,
    classifier_task,
    predict_probabilities,
    refit_classifier,
    train_classifier,
)
from gradual.text.classifier_batches import ClassifierBatches
from gradual.text.classifier_model import (
    DEFAULT_CLASSIFIER_PHASES,
    classification_loss,
    new_classifier,
)
from gradual.text.corpus import Corpus
from gradual.text.language_model import LanguageModelConfig, train_language_model
from gradual.text.rules import SPECIAL_TOKENS
from gradual.text.vocabulary import Vocabulary
from gradual.training.bundle import load_bundle, save_bundle
from gradual.training.config import EarlyStopping, Phase, TrainingConfig
from gradual.training.engine import CheckpointStore

SMALL = AWDLSTMConfig(embedding_size=12, hidden_size=20, layers=2)
GOOD = ("great", "lovely", "fine", "superb", "moving", "clever")
BAD = ("awful", "dull", "weak", "silly", "boring", "poor")
FILLER = tuple(f"w{i}" for i in range(14))
WORDS = SPECIAL_TOKENS + GOOD + BAD + FILLER
VOCABULARY = Vocabulary(WORDS, (1,) * len(WORDS))
CPU = {"device": "cpu", "precision": "float32"}


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def corpus_of(documents: list[list[int]]) -> Corpus:
    offsets = np.cumsum([0] + [len(d) for d in documents])
    ids = np.concatenate([np.array(d, np.uint16) for d in documents])
    return Corpus(ids, offsets.astype(np.int64), VOCABULARY.hash)


def random_corpus(lengths: list[int], seed: int = 0) -> Corpus:
    random = np.random.default_rng(seed)
    return corpus_of([[2, *random.integers(9, len(WORDS), n - 1)] for n in lengths])


def reviews(count: int = 700) -> tuple[Corpus, np.ndarray]:
    """Moods come in runs; which mood a document is in mostly is its label."""
    random = np.random.default_rng(1)
    good, bad = np.arange(9, 15), np.arange(15, 21)
    documents, labels = [], []
    for _ in range(count):
        is_good = random.random() < 0.5
        text = [2]
        for _ in range(int(random.integers(4, 9))):
            mood = good if (random.random() < 0.95) == is_good else bad
            text += [*random.integers(21, 35, 1), *random.choice(mood, 2)]
        documents.append(text)
        labels.append("pos" if is_good else "neg")
    return corpus_of(documents), np.array(labels, dtype=object)


def config_with(*phases: Phase, **changes) -> ClassifierConfig:
    training = TrainingConfig(phases=phases or (Phase(epochs=1, lr=1e-2),), **CPU)
    settings = {
        "model": SMALL,
        "training": training,
        "batch_size": 16,
        "bptt": 10,
        "pool_tokens": 30,
    } | changes
    return ClassifierConfig(**settings)


def untrained(config: ClassifierConfig | None = None, classes: int = 3):
    """A model whose running statistics are not at their start, so that they matter."""
    model = new_classifier(len(WORDS), classes, config or config_with(), seed=0)
    for name, buffer in model.named_buffers():
        if name.endswith("running_var"):
            buffer.copy_(torch.linspace(0.01, 0.2, len(buffer)))
    return model.eval()


def logits_of(model, corpus: Corpus, documents: list[int]) -> torch.Tensor:
    chosen = np.array(documents)
    ids = torch.from_numpy(corpus.ids.astype(np.int32))
    return model(ids, corpus.offsets[chosen], corpus.lengths[chosen])


# --------------------------------------------------------------------------------------- model


def test_features_are_last_maximum_and_mean_of_the_last_words_of_each_document():
    corpus = random_corpus([95, 61, 31, 30, 20, 9, 1])
    model = untrained()
    seen = {}
    model.head.register_forward_pre_hook(lambda m, args: seen.update(x=args[0]))
    with torch.no_grad():
        logits_of(model, corpus, list(range(7)))
        for i in range(7):
            words = torch.from_numpy(corpus.document(i).astype(np.int64)).unsqueeze(1)
            output = model.encoder(words)[0][-30:, 0]
            expected = torch.cat([output[-1], output.amax(0), output.mean(0)])
            torch.testing.assert_close(seen["x"][i], expected)


def test_neighbours_and_padding_do_not_change_a_document():
    corpus = random_corpus([95, 61, 40, 33, 9, 1])
    model = untrained()
    with torch.no_grad():
        together = logits_of(model, corpus, [0, 1, 2, 3, 4, 5])
        for i in range(6):
            alone = logits_of(model, corpus, [i])[0]
            torch.testing.assert_close(together[i], alone, atol=1e-5, rtol=1e-5)


def test_gradients_reach_every_parameter():
    model = untrained().train()
    logits_of(model, random_corpus([45, 35, 20]), [0, 1, 2]).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def moved_task(distance: float) -> tuple[ClassifierTask, np.ndarray]:
    """A task without dropout, and a batch whose documents are longer than what is read of them."""
    corpus, labels = reviews(24)
    config = config_with(drop_mult=0, head_dropout=0, read_tokens=12, adversarial_distance=distance)
    rows = np.arange(24)
    task, _ = classifier_task(corpus, VOCABULARY, labels, rows, rows[-2:], config)
    lengths = config.read(np.asarray(corpus.lengths))
    return task, np.argsort(-lengths, kind="stable")[:16]


def test_adversarial_training_moves_each_document_by_the_distance_to_where_its_loss_is_higher():
    task, batch = moved_task(2.0)
    corpus = reviews(24)[0]
    shifts, passed = [], []
    task.model.register_forward_pre_hook(lambda m, args: shifts.append(args[3]))
    task.model.register_forward_hook(lambda m, args, out: passed.append(out))
    loss = task.loss(batch)
    assert len(shifts) == 2
    read = [corpus.document(i)[-12:] for i in batch]
    spread = task.model.encoder.embedding.weight[np.concatenate(read).astype(np.int64)].std()
    norms = shifts[1].norm(dim=(0, 2))
    torch.testing.assert_close(norms, (2.0 * spread).detach().expand(16))
    for i, words in enumerate(read):
        assert not shifts[1][len(words) :, i].any()  # nothing is moved behind a document's end
    plain = classification_loss(passed[0], task._targets_of(batch))
    assert float(loss.detach()) > float(plain.detach())


def test_gradients_of_both_losses_are_added():
    task, batch = moved_task(0.5)
    parameters = list(task.model.parameters())
    loss = task.loss(batch)
    plain = [p.grad.clone() for p in parameters]
    loss.backward()
    both = [p.grad.clone() for p in parameters]
    task.model.zero_grad()
    alone, _ = moved_task(0.0)
    alone.loss(batch).backward()
    for one, other, p in zip(plain, both, alone.model.parameters(), strict=True):
        torch.testing.assert_close(one, p.grad, atol=1e-6, rtol=1e-4)
        assert not torch.equal(one, other)


def test_dropout_is_drawn_once_for_the_whole_document():
    model = untrained(config_with(drop_mult=1.0)).train()
    seen = []
    model.encoder.layers[1].register_forward_pre_hook(lambda m, args: seen.append(args[0] == 0))
    logits_of(model, random_corpus([40, 40]), [0, 1])
    assert len(seen) == 4
    assert seen[0].any()
    assert all(torch.equal(zeros[:1], seen[0][:1]) for zeros in seen)


def test_a_training_batch_of_one_document_works_and_keeps_the_statistics():
    model = untrained().train()
    before = model.head[0].running_mean.clone()
    logits_of(model, random_corpus([12]), [0]).sum().backward()
    assert torch.equal(model.head[0].running_mean, before)
    logits_of(model, random_corpus([12, 9]), [0, 1])
    assert not torch.equal(model.head[0].running_mean, before)


def saved_bytes(length: int) -> int:
    """Most bytes that autograd holds at a time for one document of that length."""
    config = config_with(bptt=50, pool_tokens=200)
    model = untrained(config).train()
    corpus = random_corpus([length, length])
    alive: dict[int, int] = {}
    most = 0

    def pack(tensor):
        nonlocal most
        storage = tensor.untyped_storage()
        pointer = storage.data_ptr()
        if pointer not in alive:
            alive[pointer] = storage.nbytes()
            weakref.finalize(storage, alive.pop, pointer, None)
        most = max(most, sum(alive.values()))
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        loss = logits_of(model, corpus, [0, 1]).sum()
    loss.backward()
    gc.collect()
    return most


def test_memory_of_training_does_not_grow_with_the_document():
    # The ids themselves are resident anyway: 4 bytes a word and document, and nothing else grows.
    assert saved_bytes(6_000) < saved_bytes(600) * 1.1 + 2 * 6_000 * 4


def test_a_document_of_100_000_words_trains_and_predicts():
    corpus = random_corpus([100_000, 30])
    config = config_with(bptt=70, pool_tokens=1400)
    model = untrained(config).train()
    logits_of(model, corpus, [0, 1]).sum().backward()
    assert torch.isfinite(model.encoder.embedding.weight.grad).all()
    with torch.no_grad():
        assert torch.isfinite(logits_of(model.eval(), corpus, [0, 1])).all()


def test_layer_groups_are_embedding_layers_head():
    model = new_classifier(20, 2, ClassifierConfig(model=AWDLSTMConfig(4, 5, 3)), seed=0)
    groups = model.layer_groups()
    assert len(groups) == 5
    assert groups[0] == [model.encoder.embedding]
    assert groups[-1] == [model.head]


def test_pinned_output():
    """The numbers of a small model with fixed weights, so that no change goes unnoticed."""
    model = untrained()
    for i, (_, parameter) in enumerate(sorted(model.named_parameters())):
        values = torch.arange(parameter.numel(), dtype=torch.float64)
        parameter.data = torch.sin(values * (i + 1)).float().view_as(parameter) / 2
    documents = corpus_of([[2, *range(9, 9 + n)] for n in (25, 11)])
    with torch.no_grad():
        logits = logits_of(model, documents, [0, 1])
    torch.testing.assert_close(logits, torch.tensor(PINNED), atol=1e-4, rtol=1e-5)


PINNED = [[-1.188162, -2.322850, 2.326165], [-1.159033, -2.373808, 2.317202]]


# ------------------------------------------------------------------------------------- batches


def stream(epoch: int = 0, **changes) -> ClassifierBatches:
    lengths = np.random.default_rng(0).integers(1, 200, 300)
    settings = {"batch_size": 16, "tokens_per_batch": 1000, "pool_tokens": 90} | changes
    return ClassifierBatches(lengths, np.arange(0, 300, 2), config_with(**settings), epoch, seed=3)


def test_an_epoch_holds_every_training_document_once_in_batches_within_budget():
    batches = list(stream().iterate(0))
    assert sorted(np.concatenate(batches)) == list(range(0, 300, 2))
    assert len(batches) == len(stream())
    lengths = stream().lengths
    for batch in batches:
        assert len(batch) <= 16
        assert len(batch) == 1 or len(batch) * min(lengths[batch[0]], 100) <= 1000
        assert list(lengths[batch]) == sorted(lengths[batch], reverse=True)
    assert lengths[batches[0][0]] == lengths[::2].max()


def test_batches_hold_documents_of_similar_length():
    lengths = stream().lengths
    padded = sum(len(b) * lengths[b[0]] for b in stream().iterate(0))
    assert padded < 1.25 * lengths[::2].sum()


def test_batches_differ_between_epochs_also_for_small_collections():
    first = {tuple(sorted(b)) for b in stream().iterate(0)}
    again = {tuple(sorted(b)) for b in stream().iterate(0)}
    other = {tuple(sorted(b)) for b in stream(epoch=1).iterate(0)}
    assert first == again
    assert len(first & other) < len(first) / 2
    assert [b.tolist() for b in stream().iterate(4)] == [b.tolist() for b in stream().iterate(0)][
        4:
    ]


def test_a_budget_below_one_document_gives_batches_of_one():
    assert {len(b) for b in stream(tokens_per_batch=1).iterate(0)} == {1}


# ------------------------------------------------------------------------------------ training


@pytest.fixture(scope="module")
def data():
    corpus, labels = reviews()
    rows = np.arange(len(corpus))
    labels[rows % 10 > 2] = None  # most documents have no label
    train, valid = rows % 10 == 0, (rows % 10 == 1) | (rows % 10 == 2)
    return corpus, labels, train, valid


@pytest.fixture(scope="module")
def language_model(data):
    torch.set_num_threads(1)
    corpus = data[0]
    config = LanguageModelConfig(
        model=SMALL,
        training=TrainingConfig(phases=(Phase(epochs=10, lr=2e-2),), **CPU),
        batch_size=16,
        bptt=20,
        drop_mult=0.1,
    )
    bundle, _ = train_language_model(
        corpus, VOCABULARY, np.arange(len(corpus)) % 10 == 5, config, pretrained=None
    )
    return bundle


GRADUAL = (
    Phase(epochs=2, lr=2e-2, groups=1, momentum=(0.8, 0.7)),
    Phase(epochs=2, lr=(1e-3, 1e-2), groups=2, momentum=(0.8, 0.7)),
    Phase(epochs=2, lr=(1e-4, 5e-3), momentum=(0.8, 0.7)),
)


@pytest.fixture(scope="module")
def trained(data, language_model, tmp_path_factory):
    torch.set_num_threads(1)
    bundle, history = train_classifier(
        *(data[0], VOCABULARY, *data[1:]),
        config_with(*GRADUAL, drop_mult=0.2),
        language_model=language_model,
        tokenizer={"language": "en", "rules": [], "token_rules": [], "add_bos": True},
    )
    path = tmp_path_factory.mktemp("bundle") / "classifier.safetensors"
    save_bundle(bundle, path)
    return load_bundle(path, "text_classifier"), history


def test_the_language_models_encoder_beats_random_weights(data, language_model, trained):
    corpus, labels, train, valid = data
    _, warm = trained
    _, cold = train_classifier(
        *(corpus, VOCABULARY, labels, train, valid),
        config_with(*GRADUAL, drop_mult=0.2),
        language_model=None,
    )
    assert set(warm.epochs[0]) >= {"valid_loss", "valid_accuracy"}
    assert warm.epochs[-1]["valid_accuracy"] > 0.9
    assert warm.epochs[-1]["valid_loss"] < 0.5 * cold.epochs[-1]["valid_loss"]


def test_head_only_phase_leaves_the_encoder_of_the_language_model(data, language_model):
    corpus, labels, train, valid = data
    bundle, _ = train_classifier(
        *(corpus, VOCABULARY, labels, train, valid),
        config_with(Phase(epochs=1, lr=1e-2, groups=1)),
        language_model=language_model,
    )
    for name, tensor in bundle.state.items():
        if name.startswith("encoder."):
            assert torch.equal(tensor, language_model.state[name]), name
    assert bundle.dependencies["language_model"] == language_model.hash


def test_predictions_come_in_the_order_of_the_rows(data, trained):
    corpus, *_ = data
    bundle, _ = trained
    rows = np.random.default_rng(0).permutation(len(corpus))[:90]
    probabilities = predict_probabilities(bundle, corpus, rows, batch_size=8, precision="float32")
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    for position in (0, 17, 89):
        alone = predict_probabilities(bundle, corpus, rows[[position]], precision="float32")
        np.testing.assert_allclose(probabilities[position], alone[0], atol=1e-5)
    mask = np.zeros(len(corpus), bool)
    mask[rows] = True
    masked = predict_probabilities(bundle, corpus, mask, batch_size=64, precision="float32")
    np.testing.assert_allclose(masked, probabilities[np.argsort(rows)], atol=1e-5)
    assert predict_probabilities(bundle, corpus, mask & False).shape == (0, 2)


def test_final_validation_figures_are_those_of_the_bundle(data, trained):
    corpus, labels, _, valid = data
    bundle, history = trained
    probabilities = predict_probabilities(bundle, corpus, valid, precision="float32")
    assert bundle.metadata["labels"] == ["neg", "pos"]
    target = (labels[valid] == "pos").astype(int)
    accuracy = (probabilities.argmax(1) == target).mean()
    loss = -np.log(probabilities[np.arange(len(target)), target]).mean()
    assert history.epochs[-1]["valid_accuracy"] == pytest.approx(accuracy)
    assert history.epochs[-1]["valid_loss"] == pytest.approx(loss, rel=1e-4)


def test_raw_texts_are_classified_in_order(trained):
    bundle, _ = trained
    classifier = TextClassifier.from_bundle(bundle, device="cpu")
    bad = " ".join(f"w{i} {BAD[i]} {BAD[-i]}" for i in range(6))
    good = " ".join(f"w{i} {GOOD[i]} {GOOD[-i]}" for i in range(6))
    table = classifier.predict([bad, good, bad])
    assert list(table.columns) == ["label", "probability_neg", "probability_pos"]
    assert table["label"].tolist() == ["neg", "pos", "neg"]
    assert table.loc[0].drop("label").tolist() == table.loc[2].drop("label").tolist()
    assert classifier.predict([]).empty


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["fine", " \n\t"], "row 1 is blank"),
        ([""], "row 0 is blank"),
        (["fine", "fine", None], "row 2 is None"),
        ([float("nan")], "row 0 is nan"),
    ],
)
def test_texts_that_are_none_are_errors_that_name_the_row(trained, texts, message):
    with pytest.raises(ValueError, match=message):
        TextClassifier.from_bundle(trained[0]).predict(texts)


def test_a_series_of_texts_is_fine_too(trained):
    texts = pd.Series(["fine fine", "dull dull"], index=[7, 3])
    assert TextClassifier.from_bundle(trained[0]).predict(texts).index.tolist() == [0, 1]


def test_three_labels_and_a_document_without_a_neighbour():
    corpus, _ = reviews(61)
    labels = np.array(["a", "b", "c"], dtype=object)[np.arange(61) % 3]
    train = np.arange(61) < 33  # 16 + 16 + 1
    bundle, _ = train_classifier(
        *(corpus, VOCABULARY, labels, train, ~train), config_with(), language_model=None
    )
    assert predict_probabilities(bundle, corpus, ~train).shape == (28, 3)


class _StopError(Exception):
    pass


@pytest.mark.parametrize(("stop", "distance"), [(2, 0.0), (5, 1.0), (8, 0.0)])
def test_a_stopped_run_resumes_to_the_same_bits(
    tmp_path, monkeypatch, data, language_model, stop, distance
):
    corpus, labels, train, valid = data
    phases = (Phase(epochs=1, lr=1e-2, groups=1), Phase(epochs=1, lr=1e-2))
    training = TrainingConfig(phases=phases, checkpoint_seconds=0, **CPU)
    config = config_with(training=training, adversarial_distance=distance)
    arguments = (corpus, VOCABULARY, labels, train, valid, config)
    expected, _ = train_classifier(*arguments, language_model=language_model)
    steps = []
    loss = ClassifierTask.loss

    def failing(self, batch):
        steps.append(1)
        if len(steps) == stop:
            raise _StopError
        return loss(self, batch)

    store = CheckpointStore(tmp_path / "checkpoints")
    monkeypatch.setattr(ClassifierTask, "loss", failing)
    with pytest.raises(_StopError):
        train_classifier(*arguments, language_model=language_model, store=store)
    resumed, history = train_classifier(*arguments, language_model=language_model, store=store)
    assert history.resumed
    assert len(steps) == 1 + sum(epoch["steps"] for epoch in history.epochs)  # none done twice
    assert all(torch.equal(t, expected.state[name]) for name, t in resumed.state.items())


def test_refitting_learns_from_the_validation_rows_too_for_the_epochs_found_best(
    tmp_path, data, language_model, caplog
):
    corpus, labels, train, valid = data
    training = TrainingConfig(
        phases=(Phase(epochs=1, lr=1e-2, groups=1), Phase(epochs=4, lr=0.5)),
        early_stopping=EarlyStopping(patience=2),
        **CPU,
    )
    config = config_with(training=training, refit=True)
    arguments = (corpus, VOCABULARY, labels, train, valid)
    stores = {"language_model": language_model, "store": CheckpointStore(tmp_path / "kept")}
    bundle, history = train_classifier(*arguments, config, **stores)
    again = refit_classifier(bundle, history, *arguments, config, **stores)
    epochs = history.best_epoch
    assert epochs is not None
    assert epochs < len(history.epochs)
    rows = int(train.sum() + valid.sum())
    assert again.metadata == {**bundle.metadata, "refit": {"epochs": epochs, "rows": rows}}
    short = config_with(training=training.shortened(epochs))
    expected, _ = train_classifier(
        *(corpus, VOCABULARY, labels, train | valid, valid, short), language_model=language_model
    )
    assert all(torch.equal(t, expected.state[name]) for name, t in again.state.items())

    caplog.set_level("INFO")
    held_out = dataclasses.replace(config, refit=False)
    unchanged, history = train_classifier(*arguments, held_out, **stores)
    loaded = refit_classifier(unchanged, history, *arguments, config, **stores)
    assert all(torch.equal(t, again.state[name]) for name, t in loaded.state.items())
    assert caplog.text.count("is finished already") == 2


# -------------------------------------------------------------------------------------- errors


def test_another_vocabulary_is_an_error_everywhere(data, language_model, trained):
    corpus, labels, train, valid = data
    words = (*SPECIAL_TOKENS, *(f"v{i}" for i in range(len(WORDS) - len(SPECIAL_TOKENS))))
    other = Vocabulary(words, (1,) * len(words))
    stranger = Corpus(corpus.ids, corpus.offsets, other.hash)
    with pytest.raises(ValueError, match="the language model was made with vocabulary"):
        train_classifier(
            *(stranger, other, labels, train, valid), config_with(), language_model=language_model
        )
    with pytest.raises(ValueError, match="the corpus was made with vocabulary"):
        predict_probabilities(trained[0], stranger, valid)


def test_other_sizes_and_other_bundles_are_errors(data, language_model, trained):
    corpus, labels, train, valid = data
    arguments = (corpus, VOCABULARY, labels, train, valid)
    wide = config_with(model=dataclasses.replace(SMALL, hidden_size=24))
    with pytest.raises(ValueError, match=r"hidden_size 20 \(configured: 24\)"):
        train_classifier(*arguments, wide, language_model=language_model)
    with pytest.raises(ValueError, match="is a 'text_classifier', where a 'language_model'"):
        train_classifier(*arguments, config_with(), language_model=trained[0])
    with pytest.raises(ValueError, match="is a 'language_model', where a 'text_classifier'"):
        predict_probabilities(language_model, corpus, valid)


def test_labels_that_do_not_work_are_errors_that_name_the_row(data):
    corpus, labels, train, valid = data

    def start(labels, train=train, valid=valid):
        return classifier_task(corpus, VOCABULARY, labels, train, valid, config_with())

    with pytest.raises(ValueError, match="row 3 is a training document without label"):
        start(labels, train=train | (np.arange(len(corpus)) == 3))
    strange = labels.copy()
    strange[11] = "meh"
    with pytest.raises(ValueError, match="row 11 of the validation documents has label 'meh'"):
        start(strange)
    with pytest.raises(ValueError, match="all 70 training documents have the label 'pos'"):
        start(np.full(len(corpus), "pos", dtype=object))
    with pytest.raises(ValueError, match="there are no training documents"):
        start(labels, train=train & False)
    with pytest.raises(ValueError, match="3 labels for 700 documents"):
        start(labels[:3])


def test_empty_documents_and_rows_outside_are_errors(trained):
    bundle, _ = trained
    corpus = corpus_of([[2, 9], [], [2]])
    with pytest.raises(ValueError, match=r"document 1 .* has no words"):
        predict_probabilities(bundle, corpus, np.array([0, 1, 2]))
    with pytest.raises(ValueError, match=r"rows\[1\] is 5"):
        predict_probabilities(bundle, corpus, np.array([0, 5]))
    with pytest.raises(ValueError, match="give one bool per document"):
        predict_probabilities(bundle, corpus, np.array([True]))


def test_a_bundle_without_tokenizer_cannot_read_raw_text(trained):
    metadata = {**trained[0].metadata, "tokenizer": None}
    with pytest.raises(ValueError, match="holds no tokenizer configuration"):
        TextClassifier.from_bundle(dataclasses.replace(trained[0], metadata=metadata))


def test_config_values_are_checked():
    with pytest.raises(ValueError, match="tokens_per_batch is 0"):
        ClassifierConfig(tokens_per_batch=0)
    with pytest.raises(ValueError, match="head_dropout is 1"):
        ClassifierConfig(head_dropout=1)
    with pytest.raises(ValueError, match="adversarial_distance is nan"):
        ClassifierConfig(adversarial_distance=float("nan"))


def test_default_phases_and_rates_are_the_recipe():
    assert [p.epochs for p in DEFAULT_CLASSIFIER_PHASES] == [1, 1, 1, 2]
    assert [p.groups for p in DEFAULT_CLASSIFIER_PHASES] == [1, 2, 3, None]
    assert DEFAULT_CLASSIFIER_PHASES[3].lr == (1e-3 / 2.6**4, 1e-3)
    assert ClassifierConfig().model.weight_dropout == 0.5


def test_models_need_neither_spacy_nor_the_pipelines_libraries():
    code = """
import sys
for name in ("spacy", "kedro", "mlflow", "pydantic", "sklearn", "plotly"):
    sys.modules[name] = None  # importing it fails
import gradual.text.classifier, gradual.text.generation
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_configured_eps_reaches_both_normalisations_of_the_head() -> None:
    config = ClassifierConfig(
        model=AWDLSTMConfig(embedding_size=4, hidden_size=5, layers=1), batch_norm_eps=0.01
    )
    model = new_classifier(12, 2, config, seed=0)
    norms = [module for module in model.head if isinstance(module, torch.nn.BatchNorm1d)]
    assert [norm.eps for norm in norms] == [0.01, 0.01]
    with pytest.raises(ValueError, match="batch_norm_eps is 0"):
        ClassifierConfig(batch_norm_eps=0.0)
