import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from gradual.text import softmax
from gradual.text.softmax import linear_cross_entropy, linear_scores, sampled_cross_entropy


def example(dtype=torch.float32):
    random = torch.Generator().manual_seed(0)
    features = torch.randn(23, 5, generator=random).to(dtype).requires_grad_()
    weight = torch.randn(11, 5, generator=random).requires_grad_()
    bias = torch.randn(11, generator=random).requires_grad_()
    return features, weight, bias, torch.randint(11, (23,), generator=random)


@pytest.mark.parametrize(("block", "part"), [(2**27, 2**20), (44, 22), (5, 5)])
def test_loss_and_gradients_are_those_of_cross_entropy_whatever_the_blocks(
    monkeypatch, block, part
):
    monkeypatch.setattr(softmax, "_BLOCK_LOGITS", block)
    monkeypatch.setattr(softmax, "_CPU_SOFTMAX_LOGITS", part)
    *leaves, targets = example()
    loss = linear_cross_entropy(*leaves, targets)
    grads = torch.autograd.grad(3 * loss, leaves)
    *leaves, targets = example()
    expected = F.cross_entropy(F.linear(*leaves), targets)
    torch.testing.assert_close(loss, expected)
    for got, want in zip(grads, torch.autograd.grad(3 * expected, leaves), strict=True):
        torch.testing.assert_close(got, want)


def test_frozen_inputs_get_no_gradient():
    features, weight, bias, targets = example()
    loss = linear_cross_entropy(features, weight.detach(), bias.detach(), targets)
    (grad,) = torch.autograd.grad(loss, [features])
    assert grad.shape == features.shape
    with torch.no_grad():
        assert not linear_cross_entropy(features, weight, bias, targets).requires_grad


def test_bfloat16_features_stay_close_and_give_gradients_of_the_leaves_types():
    *leaves, targets = example(torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = linear_cross_entropy(*leaves, targets)
    *exact, _ = example()
    torch.testing.assert_close(
        loss, F.cross_entropy(F.linear(*exact), targets), atol=2e-2, rtol=2e-2
    )
    loss.backward()
    assert leaves[0].grad.dtype == torch.bfloat16
    assert leaves[1].grad.dtype == leaves[2].grad.dtype == torch.float32


def test_improbable_targets_have_a_finite_loss():
    features = torch.tensor([[1.0, 0.0]], requires_grad=True)
    weight = torch.tensor([[500.0, 0.0], [-500.0, 0.0]])
    loss = linear_cross_entropy(features, weight, torch.zeros(2), torch.tensor([1]))
    assert loss.item() == pytest.approx(1000.0)


def test_scores_are_the_loss_and_hit_of_each_target(monkeypatch):
    monkeypatch.setattr(softmax, "_BLOCK_LOGITS", 8 * 30)
    *leaves, targets = example()
    logits = F.linear(*leaves)
    loss, hits = (values.sum() for values in linear_scores(*leaves, targets))
    assert loss == pytest.approx(F.cross_entropy(logits, targets, reduction="sum").item(), rel=1e-5)
    assert hits == (logits.argmax(1) == targets).sum().item()


# ------------------------------------------------------------------------------------- sampled


def skewed(n: int = 4_000, vocabulary: int = 60):
    """Features, matrix and bias whose softmax gives few words most of the mass; its own targets."""
    random = torch.Generator().manual_seed(0)
    features = torch.randn(n, 5, generator=random)
    weight = 0.5 * torch.randn(vocabulary, 5, generator=random)
    bias = -torch.arange(vocabulary, dtype=torch.float32).div(8)
    probabilities = F.linear(features, weight, bias).softmax(1)
    targets = torch.multinomial(probabilities, 1, generator=random).squeeze(1)
    return features, weight, bias, targets, probabilities.mean(0)


def test_a_sample_as_large_as_the_vocabulary_gives_the_full_softmax():
    features, weight, bias, targets, frequencies = skewed()
    sampled = sampled_cross_entropy(features, weight, bias, targets, frequencies, 60)
    torch.testing.assert_close(sampled, linear_cross_entropy(features, weight, bias, targets))


def test_the_sampled_loss_and_its_gradients_are_those_of_the_full_softmax_on_average():
    features, weight, bias, targets, frequencies = skewed()
    leaves = [tensor.requires_grad_() for tensor in (weight, bias)]
    full = torch.autograd.grad(linear_cross_entropy(features, *leaves, targets), leaves)
    torch.manual_seed(0)
    sums, losses, uncorrected = [torch.zeros_like(leaf) for leaf in leaves], [], []
    draws = 400
    for _ in range(draws):
        rows = torch.randint(len(features), (40,))  # so few that most words are no target
        given = features[rows], *leaves, targets[rows]
        loss = sampled_cross_entropy(*given, frequencies, 15)
        losses.append(loss.item())
        for total, grad in zip(sums, torch.autograd.grad(loss, leaves), strict=True):
            total += grad / draws
        uncorrected.append(sampled_cross_entropy(*given, torch.ones(60) / 1.0001, 15).item())
    exact = linear_cross_entropy(features, weight, bias, targets).item()
    assert sum(losses) / draws == pytest.approx(exact, rel=0.02)
    assert sum(uncorrected) / draws < 0.95 * exact  # words left out are missing in the sum
    for got, want in zip(sums, full, strict=True):
        assert float((got - want).norm()) < 0.15 * float(want.norm()) + 0.02


def test_the_sampled_softmax_gives_words_outside_the_sample_no_gradient():
    features, weight, bias, targets, frequencies = skewed(n=3)
    weight.requires_grad_()
    torch.manual_seed(0)
    (grad,) = torch.autograd.grad(
        sampled_cross_entropy(features, weight, bias, targets, frequencies, 4), [weight]
    )
    used = grad.abs().sum(1) > 0
    assert used[targets].all()
    assert len(targets.unique()) <= int(used.sum()) <= len(targets.unique()) + 4
