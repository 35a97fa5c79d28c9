import pytest
import torch
from torch import nn
from toy_task import Toy

from gradual.training.config import Phase, TrainingConfig
from gradual.training.optimizer import Optimizer, group_parameters, group_rates, trainable


def setup(**phase):
    task = Toy()
    groups = group_parameters(task.model, task.layer_groups())
    settings = Phase(1, **{"lr": (1e-4, 1e-2), **phase})
    config = TrainingConfig(phases=(settings,), weight_decay=0.3, beta2=0.9, eps=1e-3)
    return task.model, groups, settings, config


def test_rates_are_equal_or_geometric_over_all_groups():
    assert group_rates(0.1, 3) == [0.1, 0.1, 0.1]
    assert group_rates((1e-4, 1e-2), 3) == pytest.approx([1e-4, 1e-3, 1e-2])
    assert group_rates((1e-2 / 2.6**4, 1e-2), 5)[-2] == pytest.approx(1e-2 / 2.6)
    assert group_rates((1e-4, 1e-2), 1) == [1e-2]


def test_each_parameter_gets_its_groups_rate_and_only_matrices_decay():
    model, groups, phase, config = setup()
    optimizer = Optimizer(model, groups, phase, config)
    assert optimizer.set(0.5, 0.7) == pytest.approx(5e-3)
    found = {p: g for g in optimizer.adamw.param_groups for p in g["params"]}
    assert len(found) == len(list(model.parameters()))
    rate = {"first": 5e-5, "norm": 5e-5, "last": 5e-4, "out": 5e-3}
    for name, parameter in model.named_parameters():
        group = found[parameter]
        assert group["lr"] == pytest.approx(rate[name.split(".")[0]])
        assert group["weight_decay"] == (0.3 if parameter.ndim == 2 else 0.0)
        assert group["betas"] == (0.7, 0.9)
        assert group["eps"] == 1e-3


def test_a_matrix_of_a_norm_layer_does_not_decay():
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm([2, 4]))
    phase = Phase(1, 1e-2)
    groups = group_parameters(model, [[model]])
    optimizer = Optimizer(model, groups, phase, TrainingConfig((phase,)))
    decay = {p: g["weight_decay"] for g in optimizer.adamw.param_groups for p in g["params"]}
    assert [decay[p] for p in model.parameters()] == [0.01, 0, 0, 0]


def test_frozen_groups_are_left_out_and_given_back():
    model, groups, phase, config = setup()
    model.out.bias.requires_grad_(False)  # someone froze it before
    with trainable(groups, 2):
        flags = {n: p.requires_grad for n, p in model.named_parameters()}
        assert [n for n, flag in flags.items() if flag] == [
            "last.weight",
            "last.bias",
            "out.weight",
        ]
        optimizer = Optimizer(model, groups, phase, config)
        assert len(optimizer.parameters) == 3
        assert optimizer.rates[-1] == 1e-2
    assert [n for n, p in model.named_parameters() if not p.requires_grad] == ["out.bias"]


def test_freezing_ends_with_an_error_too():
    model, groups, _, _ = setup()
    with pytest.raises(RuntimeError), trainable(groups, 1):
        raise RuntimeError
    assert all(p.requires_grad for p in model.parameters())


def test_more_groups_than_there_are_is_an_error():
    _, groups, _, _ = setup()
    with pytest.raises(ValueError, match="groups is 4, but the model has 3"), trainable(groups, 4):
        pass


def test_nothing_to_train_is_an_error():
    model, groups, phase, config = setup()
    model.requires_grad_(False)
    with pytest.raises(ValueError, match="no parameter trains"):
        Optimizer(model, groups, phase, config)


def test_groups_that_miss_a_parameter_or_bring_a_foreign_one_are_errors():
    model = setup()[0]
    with pytest.raises(ValueError, match=r"leaves out norm\.weight, norm\.bias"):
        group_parameters(model, [[model.first], [model.last, model.out]])
    with pytest.raises(ValueError, match="2 parameters that are not in the model"):
        group_parameters(model, [[model, nn.Linear(1, 1)]])


def test_tied_parameters_belong_to_the_later_group():
    one, two = nn.Linear(3, 3), nn.Linear(3, 3)
    two.weight = one.weight
    groups = group_parameters(nn.Sequential(one, two), [[one], [two]])
    assert [len(group) for group in groups] == [1, 2]
    assert groups[1][0] is one.weight


def test_the_step_is_adamw():
    """Loshchilov & Hutter 2019, algorithm 2, for one parameter and one step."""
    model = nn.Linear(1, 1, bias=False)
    before = model.weight.item()
    phase = Phase(1, 0.1)
    config = TrainingConfig((phase,), weight_decay=0.2)
    optimizer = Optimizer(model, [[model.weight]], phase, config)
    optimizer.set(1.0, 0.9)
    model.weight.grad = torch.tensor([[3.0]])
    optimizer.adamw.step()
    assert model.weight.item() == pytest.approx(before * (1 - 0.1 * 0.2) - 0.1 * 3 / (3 + 1e-5))


def test_state_goes_out_and_back_in():
    model, groups, phase, config = setup()
    optimizer = Optimizer(model, groups, phase, config)
    model(torch.randn(8, 6)).sum().backward()
    optimizer.adamw.step()
    state = {name: tensor.clone() for name, tensor in optimizer.state().items()}
    other = Optimizer(model, groups, phase, config)
    assert other.state() == {}
    other.load_state(state)
    again = other.state()
    assert state.keys() == again.keys()
    assert all(torch.equal(state[name], again[name]) for name in state)


def test_many_steps_are_those_of_torch_also_where_a_gradient_is_missing_for_once():
    torch.manual_seed(0)
    ours, theirs = (nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)) for _ in range(2))
    theirs.load_state_dict(ours.state_dict())
    phase = Phase(epochs=1, lr=(1e-3, 1e-2))
    groups = group_parameters(ours, [[ours[0]], [ours[1]]])
    optimizer = Optimizer(ours, groups, phase, TrainingConfig(phases=(phase,), weight_decay=0.1))
    reference = torch.optim.AdamW(
        [
            {"params": [theirs[0].weight], "lr": 1e-3, "weight_decay": 0.1},
            {"params": [theirs[0].bias], "lr": 1e-3, "weight_decay": 0.0},
            {"params": [theirs[1].weight], "lr": 1e-2, "weight_decay": 0.1},
            {"params": [theirs[1].bias], "lr": 1e-2, "weight_decay": 0.0},
        ],
        betas=(phase.momentum[0], 0.99),
        eps=1e-5,
        fused=True,
    )
    for step in range(8):
        inputs = torch.randn(5, 3)
        for net, mover in ((ours, optimizer), (theirs, reference)):
            mover.zero_grad()
            net(inputs).square().sum().backward()
            if step == 4:
                net[0].bias.grad = None
            mover.step()
        for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert torch.equal(mine, other), step
