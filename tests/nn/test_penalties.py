"""Penalties as list elements: each is its equation times its weight, or a change of the network."""

import math
from dataclasses import dataclass, fields
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli
from torch.nn import functional as F

from rlgen.display import Metric, Panel
from rlgen.equations import penalties as equations
from rlgen.equations.divergences import DIVERGENCES, logistic_discriminator_loss
from rlgen.errors import InputError
from rlgen.nn import (
    R1,
    Bottleneck,
    Entropy,
    GradientPenalty,
    HistoricalAverage,
    Penalty,
    PenaltyConfig,
    Quantize,
    SpectralNorm,
    mlp,
    penalties,
)
from rlgen.nn.penalties import AttackedRows, Reporting, penalty_field


def steep(rows: Tensor) -> Tensor:
    """A critic of slope 3."""
    return 3 * rows[:, 0]


def loss(penalty: Penalty, expert: Tensor, policy: Tensor) -> Tensor:
    return penalty.loss(steep, expert, policy, steep(expert), steep(policy))


SWITCHES = {each.name: each.default for each in fields(PenaltyConfig) if "penalty" in each.metadata}
"""Fields of the configuration that add a penalty, with their defaults."""
EVERY = PenaltyConfig(**{name: {bool: True, int: 4, float: 0.5}[type(off)] for name, off in SWITCHES.items()})
EXPERT, POLICY = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(0))


def test_gradient_penalty_weighs_its_equation() -> None:
    assert loss(GradientPenalty(weight=2.0, center=1.0), EXPERT, POLICY).item() == pytest.approx(2 * (3 - 1) ** 2)
    assert loss(GradientPenalty(weight=0.5, center=0.0), EXPERT, POLICY).item() == pytest.approx(0.5 * 9)


def test_r1_weighs_its_equation() -> None:
    assert loss(R1(weight=4.0), EXPERT, POLICY).item() == pytest.approx(4 * 0.5 * 9)


def test_r1_looks_at_expert_rows_only() -> None:
    seen = []

    def critic(rows: Tensor) -> Tensor:
        seen.append(rows.detach())
        return rows.sum(-1)

    R1().loss(critic, EXPERT, POLICY, steep(EXPERT), steep(POLICY))
    assert len(seen) == 1
    assert torch.equal(seen[0], EXPERT)


def test_entropy_is_weighed_against_each_sides_loss_as_in_the_released_code() -> None:
    # openai/imitation: sum over both sides of the mean of (cross entropy - weight * entropy).
    entropy = sum(Bernoulli(logits=steep(side)).entropy().mean() for side in (EXPERT, POLICY))
    torch.testing.assert_close(loss(Entropy(weight=0.1), EXPERT, POLICY), -0.1 * entropy)


def test_entropy_pulls_a_sure_discriminator_back() -> None:
    logit = torch.tensor([-2.0, 2.0], requires_grad=True)
    Entropy(weight=1.0).loss(steep, EXPERT, POLICY, logit, torch.zeros(3)).backward()
    assert logit.grad is not None
    assert logit.grad[0] < 0 < logit.grad[1], "descent moves both towards zero"


def test_spectral_norm_brings_every_layers_largest_singular_value_to_one() -> None:
    torch.manual_seed(0)
    network = mlp([4, 16, 16, 1])
    with torch.no_grad():
        for layer in network:
            if isinstance(layer, nn.Linear):
                layer.weight *= 20
    network = SpectralNorm().wrap(network)
    for _ in range(50):
        network(EXPERT)
    for layer in network:
        if isinstance(layer, nn.Linear):
            assert torch.linalg.matrix_norm(layer.weight, 2).item() == pytest.approx(1, abs=1e-3)


def test_a_spectrally_normed_tanh_critic_has_slope_one_at_most() -> None:
    torch.manual_seed(0)
    network = SpectralNorm().wrap(mlp([4, 16, 16, 1]))
    for _ in range(50):
        network(EXPERT)
    slope = equations.input_gradient(lambda rows: network(rows).squeeze(-1), EXPERT).norm(dim=-1)
    assert slope.max() <= 1.001


@pytest.mark.parametrize("layer", [nn.Conv1d(3, 5, 3), nn.Conv2d(3, 5, 3), nn.ConvTranspose2d(3, 5, 3)], ids=str)
def test_spectral_norm_divides_convolutions_by_that_of_their_kernel_as_a_matrix(layer: nn.Module) -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        layer.weight *= 20
    network = SpectralNorm().wrap(nn.Sequential(layer))
    images = torch.randn(2, 3, *[6] * (layer.weight.ndim - 2))
    for _ in range(100):
        network(images)
    kernel = layer.weight.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else layer.weight
    assert torch.linalg.matrix_norm(kernel.flatten(1), 2).item() == pytest.approx(1, abs=1e-3)


def test_penalties_take_images() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 1))
    real, fake = torch.randn(2, 10, 2, 4, 4)
    chosen = EVERY.chosen()
    assert len(chosen) == len(SWITCHES)
    for penalty in chosen:
        network = penalty.wrap(network)

    def critic(images: Tensor) -> Tensor:
        return network(images).squeeze(-1)

    real_logit, fake_logit = critic(real), critic(fake)
    terms = [penalty.loss(critic, real, fake, real_logit, fake_logit) for penalty in chosen]
    assert all(term.ndim == 0 and term.isfinite() for term in terms)
    torch.stack(terms).sum().backward()
    assert all(part.grad is None or part.grad.isfinite().all() for part in network.parameters())


def test_a_penalty_of_the_configuration_is_one_class_and_one_field(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass(frozen=True, kw_only=True)
    class SmallLogits(R1):
        panels: ClassVar = (Panel("Size of the logits", (Metric("size", "size"),)),)

    @dataclass(frozen=True, kw_only=True)
    class More(PenaltyConfig):
        small_logits: float = penalty_field(SmallLogits, weight="small_logits")

    assert More(small_logits=2.0, r1=3.0).chosen() == [R1(weight=3.0), SmallLogits(weight=2.0)]
    assert More().chosen() == []
    with pytest.raises(InputError, match="small_logits of at least 0"):
        More(small_logits=-1.0)
    monkeypatch.setattr(penalties, "PenaltyConfig", More)
    assert SmallLogits.panels[0] in penalties.penalty_panels()


def test_everything_that_penalties_report_has_a_panel() -> None:
    torch.manual_seed(0)
    network, chosen = mlp([4, 8, 1]), EVERY.chosen()
    for penalty in chosen:
        network = penalty.wrap(network)

    def critic(rows: Tensor) -> Tensor:
        return network(rows).squeeze(-1)

    reported: set[str] = set()
    for penalty in chosen:
        penalty.loss(critic, EXPERT, POLICY, critic(EXPERT), critic(POLICY))
        reported |= set(penalty.report()) if isinstance(penalty, Reporting) else set()
    assert reported == {metric.name for panel in penalties.penalty_panels() for metric in panel.metrics}


def test_penalties_with_something_to_log_say_so() -> None:
    reporting = [isinstance(penalty, Reporting) for penalty in (Quantize(), Bottleneck(), R1(), SpectralNorm())]
    assert reporting == [True, True, False, False]
    assert all(isinstance(penalty, Penalty) for penalty in (Quantize(), Bottleneck(), HistoricalAverage(), R1()))


def test_spectral_norm_adds_nothing_to_the_loss() -> None:
    assert loss(SpectralNorm(), EXPERT, POLICY).item() == 0


def test_rows_are_attacked_towards_the_other_side() -> None:
    """A critic of slope 3: real rows lose 3 ε of their logit, fake rows gain as much."""
    found = loss(AttackedRows(epsilon=0.2), EXPERT, POLICY)
    expected = F.softplus(-(steep(EXPERT) - 0.6)).mean() + F.softplus(steep(POLICY) + 0.6).mean()
    torch.testing.assert_close(found, expected)


def test_without_a_radius_the_attacked_rows_have_the_loss_of_the_rows() -> None:
    expected = logistic_discriminator_loss(steep(EXPERT), steep(POLICY))
    torch.testing.assert_close(loss(AttackedRows(epsilon=0.0), EXPERT, POLICY), expected)


def test_a_discriminator_trained_with_attacked_rows_is_flatter_between_the_sides() -> None:
    sides = torch.tensor([[-0.1], [0.1]])

    def slope(chosen: list[Penalty]) -> float:
        torch.manual_seed(0)
        network = mlp([1, 16, 1])
        optimizer = torch.optim.Adam(network.parameters(), 1e-2)
        for _ in range(200):
            fake, real = network(sides).flatten().split(1)
            terms = [
                each.loss(lambda rows: network(rows).flatten(), sides[1:], sides[:1], real, fake) for each in chosen
            ]
            total = logistic_discriminator_loss(real, fake) + sum(terms)
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
        return float(network(sides).detach().diff(dim=0))

    assert slope([AttackedRows(epsilon=0.3)]) < 0.5 * slope([])


def test_attacked_rows_need_a_logistic_loss() -> None:
    attacked = PenaltyConfig(fgsm=0.1)
    attacked.refuse_for_loss("reverse_kl", DIVERGENCES["reverse_kl"])
    PenaltyConfig().refuse_for_loss("wasserstein", DIVERGENCES["wasserstein"])
    with pytest.raises(InputError, match="logistic loss"):
        attacked.refuse_for_loss("wasserstein", DIVERGENCES["wasserstein"])


@pytest.mark.parametrize("penalty", [GradientPenalty(), R1(), Entropy(), AttackedRows()])
def test_penalties_of_the_loss_leave_the_network_alone(penalty: Penalty) -> None:
    network = mlp([4, 1])
    assert penalty.wrap(network) is network


def test_a_config_chooses_the_penalties_with_a_weight_those_that_change_layers_first() -> None:
    config = PenaltyConfig(
        gradient=10.0, gradient_center=0.0, r1=1.0, entropy=0.1, spectral_norm=True, bottleneck=0.5, quantize=8,
        historical_average=2.0,
    )  # fmt: skip
    quantize, bottleneck, spectral, average, *rest = config.chosen()
    assert (quantize.codes, bottleneck.limit, bottleneck.step_size, average.weight) == (8, 0.5, 1e-3, 2.0)
    assert [spectral, *rest] == [SpectralNorm(), GradientPenalty(weight=10.0, center=0.0), R1(), Entropy(weight=0.1)]
    assert config.chosen()[0] is not quantize, "one object serves one discriminator"
    assert PenaltyConfig().chosen() == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"gradient": math.nan}, {"gradient_center": -1.0}, {"r1": -1.0}, {"entropy": -1.0}, {"bottleneck": -0.5},
        {"bottleneck_step": 0.0}, {"quantize": 1}, {"historical_average": math.inf},
        {"input_dropout": 1.0}, {"hidden_dropout": 1.0},
    ],
    ids=str,
)  # fmt: skip
def test_weights_that_cannot_work_are_refused(wrong: dict) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        PenaltyConfig(**wrong)
