"""The proximal penalty: a limit on the change of a discriminator's output."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rlgen.errors import InputError
from rlgen.nn.diffusion_discriminator import DiffusionDiscriminator
from rlgen.nn.layers import mlp
from rlgen.nn.proximal import WEIGHTS, Proximal

REAL, FAKE = torch.full((8, 2), 0.5), torch.full((8, 2), -0.5)


def logit(network: nn.Module, rows: Tensor) -> Tensor:
    return network(rows).squeeze(-1)


def trained(penalty: Proximal, network: nn.Module, steps: int) -> list[float]:
    """Logits of a real row after each step of a discriminator between rows that do not overlap."""
    optimizer = torch.optim.Adam(network.parameters(), 0.03)
    found = []
    for _ in range(steps):
        real, fake = logit(network, REAL), logit(network, FAKE)
        loss = F.softplus(-real).mean() + F.softplus(fake).mean()
        total = loss + penalty.loss(lambda rows: logit(network, rows), REAL, FAKE, real, fake)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        found.append(float(logit(network, REAL)[0].detach()))
    return found


def test_before_the_first_step_nothing_has_changed_and_the_logits_are_the_networks() -> None:
    plain = mlp([2, 4, 1], nn.Tanh)
    expected = logit(plain, REAL)
    penalty = Proximal()
    network = penalty.wrap(plain)
    assert torch.equal(logit(network, REAL), expected)
    assert penalty.loss(lambda rows: logit(network, rows), REAL, FAKE, expected, logit(network, FAKE)) == 0


def test_it_slows_the_discriminator_down_without_stopping_it() -> None:
    def of(limit: float) -> list[float]:
        torch.manual_seed(0)
        penalty = Proximal(limit=limit, factor=1.5)
        return trained(penalty, penalty.wrap(mlp([2, 8, 1], nn.Tanh)), 60)

    free, held = of(1e6), of(0.1)
    assert free[-1] > 1
    assert 0 < held[-1] < 0.5 * free[-1]


def test_the_weight_stays_within_its_range_and_is_reported() -> None:
    penalty = Proximal(limit=1e-12, factor=10.0)
    network = penalty.wrap(mlp([2, 4, 1], nn.Tanh))
    trained(penalty, network, 8)
    report = penalty.report()
    assert report["proximal_weight"] <= WEIGHTS[1]
    assert report["proximal_change"] > 0


def test_the_state_holds_anchor_and_weight() -> None:
    def new() -> tuple[Proximal, nn.Module]:
        torch.manual_seed(0)
        penalty = Proximal(limit=1e-3)
        return penalty, penalty.wrap(mlp([2, 4, 1], nn.Tanh))

    (first, network), (second, other) = new(), new()
    trained(first, network, 5)
    other.load_state_dict(network.state_dict())
    assert trained(second, other, 3) == trained(first, network, 3)


def test_one_object_serves_one_discriminator_and_bad_numbers_are_refused() -> None:
    penalty = Proximal()
    penalty.wrap(mlp([2, 4, 1], nn.Tanh))
    with pytest.raises(InputError, match="separate Proximal"):
        penalty.wrap(mlp([2, 4, 1], nn.Tanh))
    with pytest.raises(InputError, match="positive limit"):
        Proximal(limit=0.0)


@pytest.mark.parametrize("kind", ["dropout", "denoiser"])
def test_noise_of_the_discriminator_is_no_change(kind: str) -> None:
    torch.manual_seed(0)
    plain = (
        DiffusionDiscriminator(2, (8,))
        if kind == "denoiser"
        else nn.Sequential(mlp([2, 8], nn.Tanh), nn.Dropout(), nn.Linear(8, 1))
    )
    penalty = Proximal()
    network = penalty.wrap(plain).train()
    change = penalty.loss(lambda rows: logit(network, rows), REAL, FAKE, logit(network, REAL), logit(network, FAKE))
    assert float(change.detach()) == 0
    assert network.training
