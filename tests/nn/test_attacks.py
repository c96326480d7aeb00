"""Attacks raise the loss, stay in their ball, and change nothing but the batch."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from rlgen.errors import InputError
from rlgen.nn.attacks import FGSM, PGD, attack_of

WEIGHTS = torch.tensor([[0.5, -1.0, 2.0], [0.0, 1.0, -1.0]])


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(3, 16), nn.BatchNorm1d(16), nn.Tanh(), nn.Dropout(0.5), nn.Linear(16, 2))
    for _ in range(20):
        layers(torch.rand(32, 3))
    return layers.train()


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(32, 3, generator=generator), torch.randint(2, (32,), generator=generator)


@pytest.mark.parametrize("name", ["fgsm", "pgd"])
def test_the_loss_grows_and_the_inputs_stay_in_ball_and_bounds(name, network) -> None:
    images, labels = batch()
    attacked = attack_of(name, 0.1, low=0.0, high=1.0)(
        lambda rows: F.cross_entropy(network(rows), labels), images, network
    )
    network.eval()
    losses = [F.cross_entropy(network(rows), labels) for rows in (images, attacked)]
    assert losses[1] > losses[0]
    assert (attacked - images).abs().max() <= 0.1 + 1e-6
    assert 0 <= attacked.min() <= attacked.max() <= 1
    assert not attacked.requires_grad


@pytest.mark.parametrize("name", ["fgsm", "pgd"])
def test_parameters_gradients_statistics_and_modes_stay_as_they_were(name, network) -> None:
    images, labels = batch()
    network[0].weight.grad = torch.full((16, 3), 7.0)
    network[3].eval()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    attack_of(name, 0.1)(lambda rows: F.cross_entropy(network(rows), labels), images, network)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert torch.equal(network[0].weight.grad, torch.full((16, 3), 7.0))
    assert network[0].bias.grad is None
    assert [module.training for module in network] == [True, True, True, False, True]
    assert not images.requires_grad


def test_for_a_linear_model_both_attacks_end_in_the_same_corner() -> None:
    images, labels = batch()
    loss = lambda rows: F.cross_entropy(rows @ WEIGHTS.T, labels)  # noqa: E731
    torch.testing.assert_close(PGD(epsilon=0.2)(loss, images), FGSM(epsilon=0.2)(loss, images))


def test_a_random_start_finds_a_gradient_where_the_center_has_none() -> None:
    center = torch.zeros(64, 3)
    loss = lambda rows: rows.square().sum(-1)  # noqa: E731
    assert torch.equal(FGSM(epsilon=0.5)(loss, center), center)
    assert FGSM(epsilon=0.5, random_start=True)(loss, center).abs().eq(0.5).all()
    assert PGD(epsilon=0.5, steps=20)(loss, center).abs().eq(0.5).all()


def test_numbers_with_a_radius_of_zero_do_not_move() -> None:
    images, labels = batch()
    radius = torch.tensor([0.1, 0.0, 0.2])
    for name in ("fgsm", "pgd"):
        moved = attack_of(name, radius)(lambda rows: F.cross_entropy(rows @ WEIGHTS.T, labels), images) - images
        torch.testing.assert_close(moved.abs().amax(0), radius)


def test_an_attack_works_within_no_grad(network) -> None:
    images, labels = batch()
    with torch.no_grad():
        attacked = FGSM(epsilon=0.1)(lambda rows: F.cross_entropy(network(rows), labels), images, network)
    assert not torch.equal(attacked, images)


def test_evaluation_mode_ends_with_an_error(network) -> None:
    seen = []

    def loss(rows):
        seen.append(network[1].training)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        FGSM(epsilon=0.1)(loss, batch()[0], network)
    assert seen == [False]
    assert network[1].training


@pytest.mark.parametrize("settings", [{"epsilon": -0.1}, {"epsilon": float("inf")}, {"epsilon": 0.1, "steps": 0}])
def test_impossible_settings_are_refused(settings) -> None:
    with pytest.raises(InputError):
        PGD(**settings)
