"""The discriminator as a reward source: what it sees, what it pays, what it remembers."""

import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import Tensor
from torch.distributions import Normal

from rlgen.data import Transitions
from rlgen.equations.divergences import DIVERGENCES
from rlgen.errors import InputError
from rlgen.nn import (
    R1,
    Bottleneck,
    Entropy,
    GradientPenalty,
    HistoricalAverage,
    Penalty,
    Quantize,
    SpectralNorm,
    VectorQuantizer,
)
from rlgen.nn.normalizer import FLOOR, ActionScale
from rlgen.rewards import Adversarial, AdversarialConfig
from rlgen.rewards.absorbing_states import AbsorbingStates
from rlgen.rewards.discriminator_network import GENERATIVE
from rlgen.runs.state_tree import decode, encode

LOW, HIGH = torch.tensor([-0.4, -2.0]), torch.tensor([0.4, 4.0])
TASK = SimpleNamespace(
    observation_space=spaces.Box(-math.inf, math.inf, (3,)), action_space=spaces.Box(LOW.numpy(), HIGH.numpy())
)
SMALL = AdversarialConfig(hidden=(16,), learning_rate=1e-2, updates_per_rollout=4, batch_size=64)


def transitions(observations: Tensor, actions: Tensor) -> Transitions:
    """Steps in the middle of an episode; the next observation is one further on."""
    no = torch.zeros(len(observations), dtype=torch.bool)
    return Transitions(observations, actions, observations + 1, no, no)


def random_transitions(rows: int, center: float, seed: int = 0) -> Transitions:
    generator = torch.Generator().manual_seed(seed)
    observations = torch.randn(rows, 3, generator=generator) + center
    return transitions(observations, torch.rand(rows, 2, generator=generator) * (HIGH - LOW) + LOW)


def source(config: AdversarialConfig = SMALL, penalties: tuple[Penalty, ...] = (), seed: int = 0) -> Adversarial:
    torch.manual_seed(seed)
    return Adversarial(random_transitions(200, center=1.0), TASK, config, penalties)


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


def test_the_discriminator_sees_normalized_observations_and_scaled_actions() -> None:
    gail = source()
    batch = random_transitions(5, center=0.0, seed=1)
    demos = gail.demonstrations.observations
    std = demos.std(0, unbiased=False)
    normalized = (batch.observations - demos.mean(0)) / (std + FLOOR * std.median())
    torch.testing.assert_close(gail.inputs(batch)[:, :3], normalized)
    torch.testing.assert_close(gail.inputs(batch)[:, 3:], 2 * (batch.actions - LOW) / (HIGH - LOW) - 1)


def test_the_reward_is_minus_log_one_minus_d_by_default() -> None:
    gail, batch = source(), random_transitions(7, center=0.0)
    prob = torch.sigmoid(gail.logit(gail.inputs(batch))).detach()
    torch.testing.assert_close(gail.reward(batch), -(1 - prob).log())


def test_the_reward_has_one_number_per_step_and_no_gradient() -> None:
    reward = source().reward(random_transitions(7, center=0.0))
    assert reward.shape == (7,)
    assert not reward.requires_grad


EVERY_PAIR = [
    (divergence, penalty)
    for divergence in ("minimax", "non_saturating", "reverse_kl")
    for penalty in (GradientPenalty, R1, Entropy, SpectralNorm)
]
# fairl pays most for what the policy does e times as often as the expert: see the equation's tests. Neyman's χ² of
# these two is e^12, and on the way there the policy's rows count for much more than the expert's.
ALONE = [(name, None) for name in DIVERGENCES if name not in ("fairl", "f_neyman", "wasserstein")]
REMEMBERING = [("minimax", each) for each in (Quantize, Bottleneck, partial(HistoricalAverage, weight=0.01))]


@pytest.mark.parametrize(
    ("divergence", "penalty"), [*EVERY_PAIR, *ALONE, *REMEMBERING, ("wasserstein", GradientPenalty)]
)
def test_training_tells_expert_from_policy_and_pays_the_expert_more(
    divergence: str, penalty: Callable[[], Penalty] | None
) -> None:
    gail = source(replace(SMALL, divergence=divergence), (penalty(),) if penalty else ())
    policy = random_transitions(200, center=-1.0)
    before = gail.reward(gail.demonstrations).mean() - gail.reward(policy).mean()
    for _ in range(10):
        metrics = gail.update(policy)
    after = gail.reward(gail.demonstrations).mean() - gail.reward(policy).mean()
    assert after > before
    assert float(metrics["expert_accuracy"]) > 0.8
    assert float(metrics["policy_accuracy"]) > 0.8
    assert all(value.ndim == 0 and not value.requires_grad for value in metrics.values())


# Two Gaussians: the log-ratio is x, a threshold at 0 is right with probability Φ(½), the Wasserstein distance is 1.
EXPERT, POLICY = Normal(0.5, 1.0), Normal(-0.5, 1.0)
PLACES = torch.linspace(-1.5, 1.5, 7)


def trained_on_gaussians(
    divergence: str, penalties: tuple[Penalty, ...] = ()
) -> tuple[Adversarial, Tensor, dict[str, Tensor]]:
    """The discriminator, its logits at `PLACES` and the numbers of its last round."""
    torch.manual_seed(0)
    nothing = torch.zeros(20_000, 1)
    demonstrations = transitions(EXPERT.sample((20_000, 1)), nothing)
    line = SimpleNamespace(observation_space=spaces.Box(-9, 9, (1,)), action_space=spaces.Box(-1, 1, (1,)))
    config = AdversarialConfig(hidden=(16,), updates_per_rollout=100, batch_size=512, divergence=divergence)
    gail = Adversarial(demonstrations, line, config, penalties)
    policy = transitions(POLICY.sample((20_000, 1)), nothing)
    for rate in (1e-2, 3e-3, 1e-3):
        gail.optimizer.param_groups[0]["lr"] = rate
        metrics = gail.update(policy)
    gail.network.eval()
    logit = gail.logit(gail.inputs(transitions(PLACES[:, None], torch.zeros(7, 1)))).detach()
    return gail, logit, metrics


# reverse_kl and fairl have the loss of minimax, non_saturating too.
@pytest.mark.parametrize(
    "divergence", ["minimax", "least_squares", *(name for name in DIVERGENCES if name[:2] == "f_")]
)
def test_the_trained_discriminator_knows_the_log_ratio_of_two_gaussians(divergence: str) -> None:
    gail, logit, metrics = trained_on_gaussians(divergence)
    assert gail.divergence.log_ratio is not None
    torch.testing.assert_close(gail.divergence.log_ratio(logit), PLACES, rtol=0, atol=0.35)
    right = float(Normal(0.0, 1.0).cdf(torch.tensor(0.5)))
    mean = 0.5 * (metrics["expert_accuracy"] + metrics["policy_accuracy"])
    assert float(mean) == pytest.approx(right, abs=0.02)


def test_a_trained_hinge_discriminator_knows_the_sign_of_the_log_ratio() -> None:
    _, logit, metrics = trained_on_gaussians("hinge")
    sides = PLACES.abs() > 0.4
    assert torch.equal(logit[sides] > 0, PLACES[sides] > 0)
    total_variation = 2 * float(Normal(0.0, 1.0).cdf(torch.tensor(0.5))) - 1
    assert float(metrics["loss"]) == pytest.approx(2 - 2 * total_variation, abs=0.1)


def test_a_wasserstein_critic_has_slope_one_knows_the_distance_and_its_constant_does_not_matter() -> None:
    gail, logit, metrics = trained_on_gaussians("wasserstein", (GradientPenalty(weight=10.0),))
    torch.testing.assert_close(logit.diff(), PLACES.diff(), rtol=0, atol=0.1)
    assert float(metrics["loss"]) == pytest.approx(-1, abs=0.15)
    right = float(Normal(0.0, 1.0).cdf(torch.tensor(0.5)))
    with torch.no_grad():
        gail.network[-1].bias.add_(100)
    torch.manual_seed(0)
    moved = gail.update(transitions(POLICY.sample((20_000, 1)), torch.zeros(20_000, 1)))
    for side in ("expert_accuracy", "policy_accuracy"):
        assert float(metrics[side]) == pytest.approx(right, abs=0.04)
        assert float(moved[side]) == pytest.approx(right, abs=0.04)


def test_a_bottleneck_of_many_nats_lets_the_log_ratio_through_and_of_none_nothing() -> None:
    _, wide, _ = trained_on_gaussians("minimax", (Bottleneck(latent=4, limit=100.0),))
    torch.testing.assert_close(wide, PLACES, rtol=0, atol=0.35)
    _, narrow, metrics = trained_on_gaussians("minimax", (Bottleneck(latent=4, limit=0.0, step_size=0.1),))
    assert float(narrow.max() - narrow.min()) < 0.3
    assert float(metrics["bottleneck_kl"]) < 0.05


def test_with_transitions_as_inputs_actions_do_not_matter() -> None:
    gail = source(replace(SMALL, inputs="state_transition"))
    batch = random_transitions(7, center=0.0)
    gail.update(batch)
    other = replace(batch, actions=batch.actions.flip(0))
    assert torch.equal(gail.reward(batch), gail.reward(other))
    assert not torch.equal(gail.reward(batch), gail.reward(replace(batch, next_observations=batch.observations)))


def test_an_expert_normalizer_never_moves() -> None:
    gail = source()
    before = gail.observations.entries[""].normalizer.mean.clone()
    gail.update(random_transitions(100, center=-5.0))
    assert torch.equal(gail.observations.entries[""].normalizer.mean, before)


def test_a_running_normalizer_takes_in_each_rollout_once() -> None:
    gail = source(replace(SMALL, normalizer="running"))
    batch = random_transitions(100, center=-5.0)
    gail.update(batch)
    gail.reward(batch)
    joined = torch.cat([gail.demonstrations.observations, batch.observations])
    torch.testing.assert_close(gail.observations.entries[""].normalizer.mean, joined.mean(0))
    assert float(gail.observations.entries[""].normalizer.count) == 300


def test_neither_side_is_changed_by_training() -> None:
    gail, batch = source(), random_transitions(50, center=0.0)
    copies = [tensor.clone() for tensor in (batch.observations, batch.actions, gail.demonstrations.observations)]
    gail.update(batch)
    gail.reward(batch)
    kept = (batch.observations, batch.actions, gail.demonstrations.observations)
    assert all(torch.equal(a, b) for a, b in zip(kept, copies, strict=True))


@pytest.mark.parametrize(
    "penalties",
    [
        lambda: (GradientPenalty(),),
        lambda: (SpectralNorm(), GradientPenalty(center=0.0)),
        lambda: (Quantize(codes=8, restart_below=1.0),),
        lambda: (Bottleneck(step_size=0.1), GradientPenalty()),
        lambda: (GradientPenalty(), Quantize(codes=8), Bottleneck(step_size=0.1), SpectralNorm(), HistoricalAverage()),
    ],
)
def test_a_loaded_discriminator_learns_on_like_the_saved_one(penalties: Callable[[], tuple[Penalty, ...]]) -> None:
    config = replace(SMALL, normalizer="running")
    first, second = source(config, penalties()), source(config, penalties(), seed=1)
    batch = random_transitions(100, center=0.0)
    first.update(batch)
    tree, tensors = encode(first.state_dict())
    second.load_state_dict(decode(tree, tensors))
    outcomes = []
    for gail in (first, second):
        torch.manual_seed(5)
        metrics = gail.update(batch)
        outcomes.append((gail.reward(batch), *metrics.values()))
    assert all(torch.equal(a, b) for a, b in zip(*outcomes, strict=True))


@pytest.mark.parametrize("normalizer", ["expert", "running"])
@pytest.mark.parametrize("penalty", [SpectralNorm, Quantize, Bottleneck, HistoricalAverage])
def test_paying_changes_nothing(normalizer: str, penalty: Callable[[], Penalty]) -> None:
    gail, batch = source(replace(SMALL, normalizer=normalizer), (penalty(),)), random_transitions(50, center=0.0)
    gail.update(batch)
    before = deepcopy(gail.state_dict())
    first = gail.reward(batch)
    assert torch.equal(gail.reward(batch), first)
    after = gail.state_dict()
    assert set(after["network"]) == set(before["network"])
    assert all(torch.equal(value, before["network"][name]) for name, value in after["network"].items())


def test_a_gradient_penalty_leaves_the_codebook_alone() -> None:
    batch = random_transitions(100, center=0.0)
    counts = []
    for penalties in ((Quantize(codes=8),), (GradientPenalty(), Quantize(codes=8)), (Quantize(codes=8), R1())):
        gail = source(replace(SMALL, updates_per_rollout=1), penalties)
        gail.update(batch)
        (quantizer,) = (part for part in gail.network if isinstance(part, VectorQuantizer))
        counts.append(float(quantizer.chosen.sum()))
    assert counts == [2 * SMALL.batch_size] * 3, "the rows of one step, each once"


def test_what_penalties_report_is_logged_beside_the_loss() -> None:
    metrics = source(penalties=(Quantize(codes=8), Bottleneck())).update(random_transitions(100, center=0.0))
    assert {"codebook_usage", "codebook_perplexity", "bottleneck_kl", "bottleneck_beta"} <= set(metrics)
    assert 1 / 8 <= float(metrics["codebook_usage"]) <= 1
    assert all(value.ndim == 0 and not value.requires_grad for value in metrics.values())


def test_penalties_without_memory_leave_the_state_as_it_was() -> None:
    state = source(penalties=(GradientPenalty(), R1(), Entropy())).state_dict()
    assert list(state) == ["network", "optimiser", "normaliser"]
    assert list(state["network"]) == ["0.weight", "0.bias", "2.weight", "2.bias"]


def test_a_constant_added_to_a_wasserstein_critic_changes_no_reward_and_halfway_pays_nothing() -> None:
    gail, batch = source(replace(SMALL, divergence="wasserstein")), random_transitions(100, center=-1.0)
    gail.update(batch)
    before = gail.reward(batch)
    assert float(before.mean()) < 0
    torch.testing.assert_close(gail.reward(gail.demonstrations).mean(), torch.zeros(()), rtol=0, atol=1e-5)
    with torch.no_grad():
        gail.network[-1].bias.add_(7)
    torch.testing.assert_close(gail.reward(batch), before, rtol=0, atol=1e-5)


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_rewards_that_count_from_the_lowest_are_never_negative_and_differ_by_the_same(divergence: str) -> None:
    gail, batch = source(replace(SMALL, divergence=divergence)), random_transitions(50, center=0.0)
    own = gail.reward(batch)
    gail.config = replace(gail.config, zero="lowest")
    assert float(gail.reward(batch).min()) == 0
    torch.testing.assert_close(gail.reward(batch) - own, (gail.reward(batch) - own)[:1].expand(50))


def test_an_unknown_divergence_is_refused_with_all_that_there_are() -> None:
    with pytest.raises(Exception, match="f_squared_hellinger"):
        AdversarialConfig(divergence="total_variation")


def test_learning_after_paying_moves_the_spectral_norm_on() -> None:
    gail, batch = source(penalties=(SpectralNorm(),)), random_transitions(50, center=0.0)
    gail.reward(batch)
    vectors = {name: value.clone() for name, value in gail.network.state_dict().items() if name.endswith("_u")}
    gail.update(batch)
    assert vectors
    assert all(
        not torch.equal(gail.network.state_dict()[name], value) for name, value in vectors.items() if len(value) > 1
    )


def test_the_experts_inputs_follow_the_normalizer() -> None:
    other = source(seed=1)
    other.observations.entries[""].normalizer.merge(torch.full((100, 3), 7.0))
    for normalizer in ("expert", "running"):
        gail = source(replace(SMALL, normalizer=normalizer))
        gail.update(random_transitions(100, center=-5.0))
        assert torch.equal(gail.expert_inputs(), gail.inputs(gail.demonstrations))
        gail.load_state_dict(deepcopy(other.state_dict()))
        assert torch.equal(gail.expert_inputs(), gail.inputs(gail.demonstrations)), "a loaded one too"


def test_no_demonstration_is_refused() -> None:
    empty = transitions(torch.zeros(0, 3), torch.zeros(0, 2))
    with pytest.raises(InputError, match="at least one demonstrated transition"):
        Adversarial(empty, TASK)


@pytest.mark.parametrize("field", ["learning_rate", "updates_per_rollout", "batch_size"])
def test_a_setting_of_zero_is_refused(field: str) -> None:
    with pytest.raises(InputError, match=f"positive {field}"):
        AdversarialConfig(**{field: 0})


def test_a_hidden_layer_without_units_is_refused() -> None:
    with pytest.raises(InputError, match="width 1"):
        AdversarialConfig(hidden=(8, 0))


def with_absorbing_states(
    divergence: str = "reverse_kl", zero: Literal["own", "lowest"] = "own", accidents: bool = False
) -> Adversarial:
    """Its expert has ended 3 of 12 steps."""
    torch.manual_seed(0)
    absorbing = AbsorbingStates(
        divergence=DIVERGENCES[divergence], gamma=0.9, expert_ends=3, expert_steps=12, accidents=accidents
    )
    config = replace(SMALL, divergence=divergence, zero=zero)
    return Adversarial(random_transitions(200, center=1.0), TASK, config, (), absorbing)


def ending(*steps: int) -> Transitions:
    """Six transitions, of which some end an episode."""
    ends = torch.isin(torch.arange(6), torch.tensor(steps))
    return replace(random_transitions(6, center=0.0, seed=1), terminated=ends)


@pytest.mark.parametrize("zero", ["own", "lowest"])
def test_a_step_into_the_absorbing_state_has_all_that_follows(zero: Literal["own", "lowest"]) -> None:
    gail = with_absorbing_states(zero=zero)
    gail.update(ending(1, 4))
    alive, ended = gail.reward(ending()), gail.reward(ending(1, 4))
    assert gail.absorbing is not None
    with torch.no_grad():
        outside, inside = gail.absorbing.logits(gail.logit(gail.inputs(ending())))
    follows = inside - torch.minimum(outside.min(), inside) if zero == "lowest" else inside
    torch.testing.assert_close(ended - alive, torch.isin(torch.arange(6), torch.tensor([1, 4])) * 9 * follows)


def test_the_absorbing_state_is_rewarded_by_how_often_expert_and_policy_are_in_it() -> None:
    gail = with_absorbing_states()
    gail.update(ending(1, 4))
    rate, expert = (4 + 0.5) / (12 + 1), (3 + 0.5) / (12 + 1)  # 2 of 6 are as 4 of 12
    occupied = [0.9 * each / (0.1 + 0.9 * each) for each in (expert, rate)]
    assert gail.absorbing is not None
    logit = torch.tensor([0.3, -2.0])
    outside, inside = gail.absorbing.logits(logit)
    assert inside.item() == pytest.approx(math.log(occupied[0] / occupied[1]), abs=1e-5)
    torch.testing.assert_close(outside, logit + math.log((1 - occupied[0]) / (1 - occupied[1])))


@pytest.mark.parametrize("name", ["minimax", "least_squares", "f_pearson", "f_jeffreys", "dail"])
def test_a_policy_that_ends_as_often_as_the_expert_changes_no_logit(name: str) -> None:
    absorbing = AbsorbingStates(divergence=DIVERGENCES[name], gamma=0.9, expert_ends=3, expert_steps=12)
    absorbing.count(torch.tensor([True, False, False, False]))
    logit = torch.linspace(-0.9, 0.9, 7)
    outside, inside = absorbing.logits(logit)
    torch.testing.assert_close(outside, logit, rtol=1e-4, atol=1e-5)
    assert inside.item() == pytest.approx(0, abs=1e-5)


def test_an_end_that_neither_has_seen_changes_no_logit() -> None:
    absorbing = AbsorbingStates(divergence=DIVERGENCES["minimax"], gamma=0.9, expert_ends=0, expert_steps=50)
    absorbing.count(torch.zeros(10_000, dtype=torch.bool))
    outside, inside = absorbing.logits(torch.zeros(1))
    assert (outside.item(), inside.item()) == (0, 0)


def test_the_rarer_an_end_is_the_more_it_is_worth_to_an_expert_that_ends() -> None:
    worth = []
    for steps in ([0, 1, 2, 3], [1, 4], []):
        gail = with_absorbing_states("minimax")
        gail.update(ending(*steps))
        worth.append(float((gail.reward(ending(0)) - gail.reward(ending()))[0]))
    assert worth == sorted(worth)
    assert worth[0] > 0


def test_draws_of_a_replay_are_counted_together_and_slowly_forgotten() -> None:
    absorbing = AbsorbingStates(
        divergence=DIVERGENCES["minimax"], gamma=0.9, expert_ends=3, expert_steps=12, forget=0.1
    )
    for _ in range(300):
        absorbing.count(torch.tensor([True, False, False, False, False]))
    assert (absorbing.ends.item(), absorbing.steps.item()) == pytest.approx((10, 50), rel=1e-4)
    copy = AbsorbingStates(divergence=DIVERGENCES["minimax"], gamma=0.9, expert_ends=3, expert_steps=12, forget=0.1)
    copy.load_state_dict(decode(*encode(absorbing.state_dict())))
    assert copy.logits(torch.zeros(1)) == absorbing.logits(torch.zeros(1))


def accidents(**changed: Any) -> AbsorbingStates:
    settings: dict[str, Any] = {"gamma": 0.9, "expert_ends": 0, "expert_steps": 100, "accidents": True} | changed
    return AbsorbingStates(divergence=DIVERGENCES["reverse_kl"], **settings)


@pytest.mark.parametrize("mean", [-2.0, 0.5])
def test_an_end_by_accident_is_worse_than_what_the_policy_does_else(mean: float) -> None:
    absorbing = accidents()
    absorbing.count(torch.zeros(1000, dtype=torch.bool))
    for spread in (0.3, 0.1):
        absorbing.observe(torch.tensor([mean - spread, mean + spread]))
    _, inside = absorbing.logits(torch.zeros(1))
    assert inside.item() == pytest.approx(min(mean - 1, 0), abs=1e-5)
    copy = accidents()
    copy.load_state_dict(decode(*encode(absorbing.state_dict())))
    assert copy.logits(torch.zeros(1)) == absorbing.logits(torch.zeros(1))


def test_accidents_that_are_frequent_have_their_log_ratio() -> None:
    counted = torch.arange(1000) < 500
    absorbing, plain = accidents(), accidents(accidents=False)
    for each in (absorbing, plain):
        each.count(counted)
        each.observe(torch.full([8], 3.0))
    assert absorbing.logits(torch.zeros(1))[1] == plain.logits(torch.zeros(1))[1] < -1


def test_a_discriminator_that_knows_its_few_experts_by_heart_does_not_make_the_policy_end() -> None:
    """Its rewards of all that the policy does are below 0, and an absorbing state's of neither side is 0."""
    ended = []
    for rare in (False, True):
        gail = with_absorbing_states(accidents=rare)
        assert gail.absorbing is not None
        gail.absorbing.expert_ends = 0.0
        for _ in range(30):
            gail.update(ending())
        alive = gail.reward(ending())
        assert alive.max() < 0
        ended.append(float((gail.reward(ending(0)) - alive)[0] / 9 - alive.mean()))
    assert ended[0] > 0
    assert ended[1] < -0.5


@pytest.mark.parametrize("name", ["hinge", "wasserstein"])
def test_absorbing_states_need_a_log_ratio(name: str) -> None:
    with pytest.raises(InputError, match=r"density ratio, with absorbing states; got hinge or wasserstein"):
        AbsorbingStates(divergence=DIVERGENCES[name], gamma=0.9, expert_ends=3, expert_steps=12)


@pytest.mark.parametrize("network", GENERATIVE)
def test_a_generative_discriminator_gives_the_same_row_the_same_reward_and_is_loaded(network: Any) -> None:
    config = replace(SMALL, network=network)
    first, other, batch = source(config), source(config, seed=1), random_transitions(6, center=0.0)
    first.update(batch)
    assert torch.equal(first.reward(batch), first.reward(batch))
    other.load_state_dict(decode(*encode(first.state_dict())))
    assert torch.equal(other.reward(batch), first.reward(batch))


def test_a_generative_discriminator_of_images_is_refused() -> None:
    task = SimpleNamespace(observation_space=spaces.Box(0, 255, (3, 8, 8), np.uint8), action_space=TASK.action_space)
    images = torch.zeros(4, 3, 8, 8, dtype=torch.uint8)
    rows = replace(random_transitions(4, center=0.0), observations=images, next_observations=images)
    with pytest.raises(InputError, match="observations of vectors for a diffusion discriminator; got images"):
        Adversarial(rows, task, replace(SMALL, network="diffusion"), ())


@pytest.mark.parametrize(("divergence", "zero"), [("wasserstein", "own"), ("reverse_kl", "lowest")])
def test_minibatches_of_a_replay_buffer_share_the_origin_of_their_rewards(divergence: str, zero: Any) -> None:
    torch.manual_seed(0)
    config = replace(SMALL, divergence=divergence, zero=zero)
    made = [Adversarial(random_transitions(40, center=1.0), TASK, config, replays=True) for _ in range(2)]
    made[0].update(policy := random_transitions(30, center=-1.0))
    alone, among_others = made[0].reward(policy[:1]), made[0].reward(policy)[:1]
    torch.testing.assert_close(alone, among_others)
    made[1].load_state_dict(decode(*encode(made[0].state_dict())))
    assert torch.equal(made[1].reward(policy[:3]), made[0].reward(policy[:3]))
    rollout = Adversarial(made[0].demonstrations, TASK, config)
    rollout.update(policy)
    assert not torch.allclose(rollout.reward(policy[:1]), rollout.reward(policy)[:1])
