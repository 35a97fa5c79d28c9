import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gradual.tabular.embeddings import (
    LevelEmbeddings,
    PeriodicEmbeddings,
    PiecewiseLinearEmbeddings,
    bin_edges,
    embedding_size,
)


def test_the_two_rules():
    assert [embedding_size(n, "power") for n in (3, 10, 43, 10**6)] == [3, 6, 13, 600]
    assert [embedding_size(n, "half") for n in (3, 10, 43, 10**6)] == [2, 5, 22, 50]


def test_one_look_up_for_all_columns_is_torchs_embedding_of_each_with_its_gradients():
    torch.manual_seed(0)
    ours = LevelEmbeddings([4, 7, 3], [2, 5, 1])
    theirs = [torch.nn.Embedding.from_pretrained(ours.table(i).detach(), False) for i in range(3)]
    codes = torch.stack([torch.randint(0, n, (50,)) for n in (4, 7, 3)], 1).to(torch.int32)
    expected = torch.cat([one(codes[:, i]) for i, one in enumerate(theirs)], 1)
    found = ours(codes)
    assert torch.equal(found, expected)
    weight = torch.randn(50, 8)
    (found * weight).sum().backward()
    (expected * weight).sum().backward()
    gradient = torch.cat([one.weight.grad.reshape(-1) for one in theirs])
    assert torch.allclose(ours.weight.grad[:, 0], gradient, atol=1e-6)


@given(
    st.lists(st.floats(-100, 100, width=32), min_size=2, max_size=8, unique=True),
    st.floats(-200, 200, width=32),
)
def test_the_bins_before_a_number_are_full_and_those_behind_it_empty(edges, value):
    edges = np.unique(np.array(edges, np.float32)).astype(np.float64)
    if np.diff(edges).min() < 1e-3:
        return
    net = PiecewiseLinearEmbeddings([edges, np.array([0.0, 1.0])], size=3)
    net.weight.data.zero_()
    net.bias.data.zero_()
    bins = len(edges) - 1
    found = []
    for place in range(bins):  # an embedding of size 3 shows one bin at a time
        net.weight.data.zero_()
        net.weight.data[0, place, 0] = 1
        found.append(net(torch.tensor([[value, 0.5]]))[0, 0].item())
    expected = (value - edges[:-1]) / np.diff(edges)
    expected[1:] = np.maximum(expected[1:], 0)
    expected[:-1] = np.minimum(expected[:-1], 1)
    assert found == pytest.approx(expected.tolist(), rel=1e-3, abs=1e-3)


def test_bins_come_from_quantiles_or_from_where_the_target_changes():
    random = np.random.default_rng(0)
    values = random.normal(0, 1, (4_000, 2)).astype(np.float32)
    values[:, 1] = 7  # never another value
    truth = (values[:, 0] > 0.5).astype(np.int64)
    quantiles = bin_edges(values, 4, "quantiles", truth, classes=True)
    assert quantiles[0] == pytest.approx(np.quantile(values[:, 0], [0, 0.25, 0.5, 0.75, 1]))
    tree = bin_edges(values, 4, "tree", truth, classes=True)
    assert np.abs(tree[0] - 0.5).min() < 0.01
    assert len(tree[0]) == 3
    assert quantiles[1].tolist() == tree[1].tolist() == [7, 8]


def test_periodic_embeddings_have_the_size_asked_for_and_learn_their_frequencies():
    net = PeriodicEmbeddings(2, frequencies=4, sigma=0.5, size=3)
    numbers = torch.randn(10, 2)
    net(numbers).sum().backward()
    assert net(numbers).shape == (10, 6)
    assert net.frequency.grad.abs().sum() > 0
