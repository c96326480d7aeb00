"""The discriminator as a reward source: what it sees, what it pays, what it remembers."""

import math
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

from rlgen.data.transitions import Transitions
from rlgen.errors import InputError
from rlgen.nn.penalties import R1, Entropy, GradientPenalty, Penalty, SpectralNorm
from rlgen.rewards.adversarial import ActionScale, Adversarial, AdversarialConfig

LOW, HIGH = torch.tensor([-0.4, -2.0]), torch.tensor([0.4, 4.0])
SMALL = AdversarialConfig(hidden=(16,), learning_rate=1e-2, updates_per_rollout=4, batch_size=64)


def transitions(observations: Tensor, actions: Tensor) -> Transitions:
    """Steps in the middle of an episode; the next observation is one further on."""
    no = torch.zeros(len(observations), dtype=torch.bool)
    return Transitions(observations, actions, observations + 1, no, no)


def random_transitions(rows: int, centre: float, seed: int = 0) -> Transitions:
    generator = torch.Generator().manual_seed(seed)
    observations = torch.randn(rows, 3, generator=generator) + centre
    return transitions(observations, torch.rand(rows, 2, generator=generator) * (HIGH - LOW) + LOW)


def source(config: AdversarialConfig = SMALL, penalties: tuple[Penalty, ...] = (), seed: int = 0) -> Adversarial:
    torch.manual_seed(seed)
    return Adversarial(random_transitions(200, centre=1.0), LOW, HIGH, config, penalties)


def test_actions_come_on_the_scale_from_minus_one_to_one() -> None:
    scale = ActionScale.of(LOW, HIGH)
    torch.testing.assert_close(
        scale(torch.stack([LOW, HIGH, (LOW + HIGH) / 2])), torch.tensor([[-1.0] * 2, [1] * 2, [0] * 2])
    )


def test_unbounded_action_numbers_keep_their_scale() -> None:
    infinite = torch.tensor([math.inf, 2.0])
    scale = ActionScale.of(-infinite, infinite)
    assert scale(torch.tensor([[7.0, 1.0]])).tolist() == [[7.0, 0.5]]


def test_an_action_number_that_cannot_move_stays_finite() -> None:
    still = torch.tensor([0.25])
    assert ActionScale.of(still, still)(torch.tensor([[0.25]])).tolist() == [[0.25]]


def test_the_discriminator_sees_normalised_observations_and_scaled_actions() -> None:
    gail = source()
    batch = random_transitions(5, centre=0.0, seed=1)
    demos = gail.demonstrations.observations
    normalised = (batch.observations - demos.mean(0)) / (demos.std(0, unbiased=False) + 0.01)
    torch.testing.assert_close(gail.inputs(batch)[:, :3], normalised)
    torch.testing.assert_close(gail.inputs(batch)[:, 3:], 2 * (batch.actions - LOW) / (HIGH - LOW) - 1)


def test_the_reward_is_minus_log_one_minus_d_by_default() -> None:
    gail, batch = source(), random_transitions(7, centre=0.0)
    prob = torch.sigmoid(gail.logit(gail.inputs(batch))).detach()
    torch.testing.assert_close(gail.reward(batch), -(1 - prob).log())


def test_the_reward_has_one_number_per_step_and_no_gradient() -> None:
    reward = source().reward(random_transitions(7, centre=0.0))
    assert reward.shape == (7,)
    assert not reward.requires_grad


@pytest.mark.parametrize("divergence", ["minimax", "non_saturating", "reverse_kl"])
@pytest.mark.parametrize("penalty", [None, GradientPenalty(), R1(), Entropy(), SpectralNorm()], ids=repr)
def test_training_tells_expert_from_policy_and_pays_the_expert_more(divergence: str, penalty: Penalty | None) -> None:
    gail = source(replace(SMALL, divergence=divergence), (penalty,) if penalty else ())
    policy = random_transitions(200, centre=-1.0)
    before = gail.reward(gail.demonstrations).mean() - gail.reward(policy).mean()
    for _ in range(10):
        metrics = gail.update(policy)
    after = gail.reward(gail.demonstrations).mean() - gail.reward(policy).mean()
    assert after > before
    assert float(metrics["expert_accuracy"]) > 0.8
    assert float(metrics["policy_accuracy"]) > 0.8
    assert all(value.ndim == 0 and not value.requires_grad for value in metrics.values())


def test_the_trained_logit_is_the_log_ratio_of_two_gaussians() -> None:
    torch.manual_seed(0)
    expert, policy = Normal(0.5, 1.0), Normal(-0.5, 1.0)
    nothing = torch.zeros(20_000, 1)
    demonstrations = transitions(expert.sample((20_000, 1)), nothing)
    config = AdversarialConfig(hidden=(16,), learning_rate=1e-2, updates_per_rollout=200, batch_size=512)
    gail = Adversarial(demonstrations, torch.tensor([-1.0]), torch.tensor([1.0]), config, penalties=())
    for _ in range(3):
        gail.update(transitions(policy.sample((20_000, 1)), nothing))
    x = torch.linspace(-1.5, 1.5, 7)[:, None]
    logit = gail.logit(gail.inputs(transitions(x, torch.zeros(7, 1)))).detach()
    expected = (expert.log_prob(x) - policy.log_prob(x)).squeeze(-1)
    torch.testing.assert_close(logit, expected, rtol=0, atol=0.35)


def test_with_transitions_as_inputs_actions_do_not_matter() -> None:
    gail = source(replace(SMALL, inputs="state_transition"))
    batch = random_transitions(7, centre=0.0)
    gail.update(batch)
    other = replace(batch, actions=batch.actions.flip(0))
    assert torch.equal(gail.reward(batch), gail.reward(other))
    assert not torch.equal(gail.reward(batch), gail.reward(replace(batch, next_observations=batch.observations)))


def test_an_expert_normaliser_never_moves() -> None:
    gail = source()
    before = gail.normaliser.mean.clone()
    gail.update(random_transitions(100, centre=-5.0))
    assert torch.equal(gail.normaliser.mean, before)


def test_a_running_normaliser_takes_in_each_rollout_once() -> None:
    gail = source(replace(SMALL, normaliser="running"))
    batch = random_transitions(100, centre=-5.0)
    gail.update(batch)
    gail.reward(batch)
    joined = torch.cat([gail.demonstrations.observations, batch.observations])
    torch.testing.assert_close(gail.normaliser.mean, joined.mean(0))
    assert float(gail.normaliser.count) == 300


def test_neither_side_is_changed_by_training() -> None:
    gail, batch = source(), random_transitions(50, centre=0.0)
    copies = [tensor.clone() for tensor in (batch.observations, batch.actions, gail.demonstrations.observations)]
    gail.update(batch)
    gail.reward(batch)
    kept = (batch.observations, batch.actions, gail.demonstrations.observations)
    assert all(torch.equal(a, b) for a, b in zip(kept, copies, strict=True))


@pytest.mark.parametrize("penalties", [(GradientPenalty(),), (SpectralNorm(), GradientPenalty(centre=0.0))])
def test_a_loaded_discriminator_learns_on_like_the_saved_one(penalties: tuple[Penalty, ...]) -> None:
    config = replace(SMALL, normaliser="running")
    first, second = source(config, penalties), source(config, penalties, seed=1)
    batch = random_transitions(100, centre=0.0)
    first.update(batch)
    second.load_state_dict(deepcopy(first.state_dict()))
    outcomes = []
    for gail in (first, second):
        torch.manual_seed(5)
        metrics = gail.update(batch)
        outcomes.append((gail.reward(batch), *metrics.values()))
    assert all(torch.equal(a, b) for a, b in zip(*outcomes, strict=True))


@pytest.mark.parametrize("normaliser", ["expert", "running"])
def test_paying_changes_nothing(normaliser: str) -> None:
    gail, batch = source(replace(SMALL, normaliser=normaliser), (SpectralNorm(),)), random_transitions(50, centre=0.0)
    gail.update(batch)
    before = deepcopy(gail.state_dict())
    first = gail.reward(batch)
    assert torch.equal(gail.reward(batch), first)
    after = gail.state_dict()
    assert set(after["network"]) == set(before["network"])
    assert all(torch.equal(value, before["network"][name]) for name, value in after["network"].items())


def test_learning_after_paying_moves_the_spectral_norm_on() -> None:
    gail, batch = source(penalties=(SpectralNorm(),)), random_transitions(50, centre=0.0)
    gail.reward(batch)
    vectors = {name: value.clone() for name, value in gail.network.state_dict().items() if name.endswith("_u")}
    gail.update(batch)
    assert vectors
    assert all(
        not torch.equal(gail.network.state_dict()[name], value) for name, value in vectors.items() if len(value) > 1
    )


def test_the_experts_inputs_follow_the_normaliser() -> None:
    other = source(seed=1)
    other.normaliser.merge(torch.full((100, 3), 7.0))
    for normaliser in ("expert", "running"):
        gail = source(replace(SMALL, normaliser=normaliser))
        gail.update(random_transitions(100, centre=-5.0))
        assert torch.equal(gail.expert_inputs(), gail.inputs(gail.demonstrations))
        gail.load_state_dict(deepcopy(other.state_dict()))
        assert torch.equal(gail.expert_inputs(), gail.inputs(gail.demonstrations)), "a loaded one too"


def test_no_demonstration_is_refused() -> None:
    empty = transitions(torch.zeros(0, 3), torch.zeros(0, 2))
    with pytest.raises(InputError, match="at least one demonstrated transition"):
        Adversarial(empty, LOW, HIGH)


@pytest.mark.parametrize("field", ["learning_rate", "updates_per_rollout", "batch_size"])
def test_a_setting_of_zero_is_refused(field: str) -> None:
    with pytest.raises(InputError, match=f"positive {field}"):
        AdversarialConfig(**{field: 0})


def test_a_hidden_layer_without_units_is_refused() -> None:
    with pytest.raises(InputError, match="width 1"):
        AdversarialConfig(hidden=(8, 0))
