import dataclasses
import hashlib

import pytest
import torch
from torch import nn

from gradual.text import awd_lstm
from gradual.text.awd_lstm import AWDLSTM, AWDLSTMConfig, LanguageModel, flattened
from gradual.text.language_model import new_language_model

NONE = {f"{name}_dropout": 0.0 for name in ("output", "hidden", "input", "embedding", "weight")}
SIZES = {"embedding_size": 6, "hidden_size": 10, "layers": 3}
PLAIN = AWDLSTMConfig(**SIZES, **NONE)
VOCABULARY = 17


def model_with(**rates: float) -> LanguageModel:
    config = AWDLSTMConfig(**SIZES, **(NONE | rates))
    return new_language_model(VOCABULARY, config, seed=1).train()


def some_ids(steps: int = 7, rows: int = 4) -> torch.Tensor:
    return torch.randint(VOCABULARY, (steps, rows), generator=torch.Generator().manual_seed(2))


def test_without_dropout_it_is_torchs_lstm_with_a_tied_decoder():
    model, ids = model_with(), some_ids()
    x = model.encoder.embedding(ids)
    for layer, (i, o) in zip(model.encoder.layers, PLAIN.layer_sizes(), strict=True):
        reference = nn.LSTM(i, o)
        reference.load_state_dict({f"{k}_l0": v for k, v in layer.state_dict().items()})
        x, _ = reference(x)
    raw, output, _ = model(ids)
    torch.testing.assert_close(raw, x)
    torch.testing.assert_close(output, x)
    expected = x @ model.encoder.embedding.weight.T + model.decoder.bias
    torch.testing.assert_close(model.logits(output), expected)


def test_last_layer_returns_to_the_embedding_size():
    assert PLAIN.layer_sizes() == [(6, 10), (10, 10), (10, 6)]
    assert dataclasses.replace(PLAIN, layers=1).layer_sizes() == [(6, 6)]


def test_gradients_equal_those_of_torchs_lstm():
    model, ids = model_with(), some_ids()
    embedding = model.encoder.embedding.weight.detach().clone().requires_grad_()
    x = nn.functional.embedding(ids, embedding)
    references = []
    for layer, (i, o) in zip(model.encoder.layers, PLAIN.layer_sizes(), strict=True):
        reference = nn.LSTM(i, o)
        reference.load_state_dict({f"{k}_l0": v for k, v in layer.state_dict().items()})
        references.append(reference)
        x, _ = reference(x)
    x.square().sum().backward()
    model(ids)[0].square().sum().backward()
    torch.testing.assert_close(model.encoder.embedding.weight.grad, embedding.grad)
    for layer, reference in zip(model.encoder.layers, references, strict=True):
        for name, parameter in layer.named_parameters():
            torch.testing.assert_close(parameter.grad, getattr(reference, f"{name}_l0").grad)


def test_carried_state_equals_one_long_pass():
    model, ids = model_with().eval(), some_ids(12)
    whole, _, _ = model(ids)
    first, _, hidden = model(ids[:5])
    second, _, _ = model(ids[5:], hidden)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    assert not any(t.requires_grad for pair in hidden for t in pair)


def test_embedding_dropout_drops_whole_words_everywhere():
    encoder = model_with(embedding_dropout=0.5).encoder
    torch.manual_seed(0)
    draw = encoder.draw(4)
    assert set(draw.words.flatten().tolist()) == {0.0, 2.0}
    ids = some_ids(20)
    seen = {}
    encoder.layers[0].register_forward_pre_hook(lambda module, args: seen.update(x=args[0]))
    encoder(ids, None, draw)
    expected = encoder.embedding(ids) * draw.words[ids]
    torch.testing.assert_close(seen["x"], expected)


@pytest.mark.parametrize("kind", ["input", "hidden", "output"])
def test_variational_masks_are_constant_over_time_and_differ_between_rows(kind):
    model = model_with(**{f"{kind}_dropout": 0.5})
    torch.manual_seed(0)
    draw = model.encoder.draw(4)
    mask = draw.hidden[0] if kind == "hidden" else getattr(draw, kind)
    assert set(mask.flatten().tolist()) == {0.0, 2.0}
    assert not torch.equal(mask[0], mask[1])
    seen = {}
    if kind == "output":
        seen["x"] = model(some_ids(), None, draw)[1]
    else:
        layer = model.encoder.layers[0 if kind == "input" else 1]
        layer.register_forward_pre_hook(lambda module, args: seen.update(x=args[0]))
        model(some_ids(), None, draw)
    zero = seen["x"] == 0
    assert torch.equal(zero, (mask == 0).expand_as(zero))


def test_weight_dropout_touches_hidden_to_hidden_only_and_gradients_flow():
    encoder = model_with(weight_dropout=0.5).encoder
    torch.manual_seed(0)
    draw = encoder.draw(2)
    for layer, (ih, hh, bias_ih, bias_hh) in zip(encoder.layers, draw.weights, strict=True):
        assert torch.equal(ih, layer.weight_ih)
        assert torch.equal(bias_ih, layer.bias_ih)
        assert torch.equal(bias_hh, layer.bias_hh)
        kept = hh != 0
        assert 0.3 < kept.float().mean() < 0.7
        torch.testing.assert_close(hh[kept], 2 * layer.weight_hh[kept])
    encoder(some_ids(rows=2), None, draw)[0].sum().backward()
    for layer, weights in zip(encoder.layers, draw.weights, strict=True):
        grad = layer.weight_hh.grad
        assert torch.equal(grad == 0, weights[1] == 0)


def test_weight_dropout_is_drawn_anew_and_leaves_the_parameter_alone():
    encoder = model_with(weight_dropout=0.5).encoder
    before = encoder.layers[0].weight_hh.clone()
    first, second = encoder.draw(1).weights[0][1], encoder.draw(1).weights[0][1]
    assert not torch.equal(first, second)
    assert torch.equal(encoder.layers[0].weight_hh, before)


def test_nothing_is_dropped_in_evaluation_mode():
    rates = dict.fromkeys(NONE, 0.5)
    model = model_with(**rates).eval()
    torch.testing.assert_close(model(some_ids())[1], model_with()(some_ids())[1])


def test_bfloat16_autocast_computes_in_bfloat16_close_to_float32():
    model, ids = model_with(), some_ids()
    expected = model(ids)[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        raw, _, hidden = model(ids)
        again = model(ids, hidden)[0]
    assert raw.dtype == again.dtype == torch.bfloat16
    torch.testing.assert_close(raw.float(), expected, atol=2e-2, rtol=2e-2)
    again.sum().backward()
    assert model.encoder.layers[0].weight_hh.grad.dtype == torch.float32


def test_flattened_weights_share_memory_and_keep_their_gradients():
    weights = [torch.randn(8, 3, requires_grad=True), torch.randn(8, requires_grad=True)]
    flat = flattened(weights)
    assert all(torch.equal(a, b) for a, b in zip(flat, weights, strict=True))
    assert flat[1].data_ptr() == flat[0].data_ptr() + flat[0].numel() * 4
    (flat[0].sum() + 2 * flat[1].sum()).backward()
    assert torch.equal(weights[1].grad, torch.full((8,), 2.0))


def test_layer_groups_cover_everything_once_embedding_and_decoder_last():
    model = model_with()
    groups = model.layer_groups()
    assert groups[-1] == [model.encoder.embedding, model.decoder]
    found = [p for group in groups for module in group for p in module.parameters()]
    assert len(found) == len({id(p) for p in found}) == len(list(model.parameters()))


def test_embedding_starts_uniform_within_a_tenth():
    weight = AWDLSTM(1000, PLAIN).embedding.weight.detach()
    assert weight.abs().max() <= 0.1
    assert weight.std() == pytest.approx(0.1 / 3**0.5, rel=0.05)


def test_config_refuses_nonsense_with_name_and_value():
    with pytest.raises(ValueError, match=r"weight_dropout is 1\.5"):
        AWDLSTMConfig(weight_dropout=1.5)
    with pytest.raises(ValueError, match="layers is 0"):
        AWDLSTMConfig(layers=0)
    with pytest.raises(ValueError, match=r"_dropout is 1\.\d"):
        AWDLSTMConfig().scaled(9)
    assert AWDLSTMConfig().scaled(0.5).weight_dropout == 0.1


def test_pinned_output():
    """The numbers of a small model with fixed weights, so that no change goes unnoticed."""
    model = model_with().eval()
    for i, (_, parameter) in enumerate(sorted(model.named_parameters())):
        values = torch.arange(parameter.numel(), dtype=torch.float64)
        parameter.data = torch.sin(values * (i + 1)).float().view_as(parameter) / 2
    ids = torch.arange(8).view(4, 2)
    logits = model.logits(model(ids)[1])[-1, :, :4]
    expected = torch.tensor(PINNED)
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=0)


PINNED = [
    [0.105456, 0.449702, 0.398079, -0.053879],
    [0.104529, 0.450072, 0.399632, -0.051629],
]


def test_random_start_depends_on_the_seed_only():
    def digest(seed: int) -> str:
        model = new_language_model(VOCABULARY, PLAIN, seed)
        data = b"".join(p.detach().numpy().tobytes() for p in model.parameters())
        return hashlib.sha256(data).hexdigest()

    torch.manual_seed(3)
    state = torch.get_rng_state()
    assert digest(1) == digest(1) != digest(2)
    assert torch.equal(torch.get_rng_state(), state)


def test_lstms_may_compute_in_a_type_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    model = LanguageModel(20, AWDLSTMConfig(embedding_size=4, hidden_size=6, layers=2)).eval()
    ids = torch.arange(15).view(5, 3)
    with torch.autocast("cpu", torch.bfloat16):
        same, _, state = model(ids)
    assert {h.dtype for pair in state for h in pair} == {torch.bfloat16}
    monkeypatch.setattr(awd_lstm, "lstm_dtype", lambda device: torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        raw, output, state = model(ids)
        _, _, state = model(ids, state)
    assert raw.dtype == output.dtype == torch.bfloat16  # what the decoder's products take
    assert {h.dtype for pair in state for h in pair} == {torch.float32}
    torch.testing.assert_close(raw, same, atol=1e-2, rtol=1e-1)


def test_an_old_cudnn_gets_no_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(awd_lstm, "compute_dtype", lambda device: torch.bfloat16)
    for version, dtype in ((91002, torch.float32), (91300, torch.bfloat16)):
        monkeypatch.setattr(torch.backends.cudnn, "version", lambda version=version: version)
        assert awd_lstm.lstm_dtype(torch.device("cuda")) == dtype
        assert awd_lstm.lstm_dtype(torch.device("cpu")) == torch.bfloat16


# ----------------------------------------------------------------------------------- the start


@pytest.mark.parametrize("sizes", [(200, 400, 3, False), (128, 128, 2, False), (64, 96, 1, True)])
def test_what_a_word_says_comes_through_every_layer_of_a_new_model(sizes):
    config = AWDLSTMConfig(*sizes, **NONE)
    encoder = new_language_model(500, config, seed=0).encoder.eval()
    ids = torch.randint(500, (70, 16), generator=torch.Generator().manual_seed(0))
    x = encoder.embedding(ids)
    spread = []
    with torch.no_grad():
        for layer, state, weights in zip(
            encoder.layers, encoder.zero_state(16), encoder.draw(16).weights, strict=True
        ):
            x, _ = layer(x, state, weights)
            # Over rows and times the mean of a feature is what it says of no word in particular.
            spread.append(float(x.flatten(0, 1).std(0).mean()))
    assert all(0.5 * awd_lstm.OUTPUT_SD < sd < 2 * awd_lstm.OUTPUT_SD for sd in spread), spread


def test_a_new_forget_gate_is_open_and_other_biases_are_nothing():
    layer = new_language_model(VOCABULARY, PLAIN, seed=0).encoder.layers[0]
    size = layer.output_size
    total = layer.bias_ih + layer.bias_hh
    assert torch.equal(total[size : 2 * size], torch.ones(size))
    assert not total[:size].any()
    assert not total[2 * size :].any()


def test_a_projection_keeps_the_hidden_size_to_the_end_and_decodes_from_the_embedding_size():
    config = dataclasses.replace(PLAIN, projection=True)
    assert config.layer_sizes() == [(6, 10), (10, 10), (10, 10)]
    model, ids = new_language_model(VOCABULARY, config, seed=0), some_ids()
    raw, output, _ = model(ids)
    assert raw.shape == output.shape == (7, 4, 10)
    expected = output @ model.decoder.projection.weight.T @ model.encoder.embedding.weight.T
    torch.testing.assert_close(model.logits(output), expected + model.decoder.bias)
    with pytest.raises(ValueError, match="projection True"):
        PLAIN.check_same_sizes(config, "the stored model")
