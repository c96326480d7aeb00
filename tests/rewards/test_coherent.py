"""CSIL's reward source: rewards of a cloned policy, their limits, their refinement and their state."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from rlgen.data import Transitions
from rlgen.equations.coherent_reward import refinement_loss
from rlgen.errors import InputError
from rlgen.rewards import CoherentReward, CoherentRewardConfig, RewardSource
from rlgen.runs.state_tree import decode, encode

LOW, HIGH = torch.tensor([-0.4, -2.0]), torch.tensor([0.4, 4.0])
SMALL = CoherentRewardConfig(
    hidden=(32, 8), features=64, max_updates=300, check_every=50, patience=3, batch_size=64, learning_rate=3e-3
)


def transitions(observations: Tensor, scaled: Tensor, terminated: bool = False) -> Transitions:
    """Steps with actions given on the scale from -1 to 1."""
    actions = (LOW + HIGH) / 2 + scaled * (HIGH - LOW) / 2
    ends = torch.full((len(observations),), terminated)
    return Transitions(observations, actions, observations, ends, torch.zeros_like(ends))


def expert(rows: int, seed: int = 0) -> Transitions:
    generator = torch.Generator().manual_seed(seed)
    observations = torch.randn(rows, 3, generator=generator)
    noise = 0.03 * torch.randn(rows, 2, generator=generator)
    return transitions(observations, torch.tanh(observations[:, :2]) / 2 + noise)


def source(seed: int = 0, **changes: Any) -> CoherentReward:
    torch.manual_seed(seed)
    return CoherentReward(expert(300), LOW, HIGH, 0.9, replace(SMALL, **changes))


@pytest.fixture(scope="module")
def cloned() -> CoherentReward:
    found = source()
    found.clone()
    return found


def test_it_is_a_reward_source_of_steps_alone(cloned: CoherentReward) -> None:
    assert isinstance(cloned, RewardSource)
    assert not cloned.reads_next_observations


def test_the_experts_actions_are_rewarded_others_near_them_punished_and_far_away_none_much(
    cloned: CoherentReward,
) -> None:
    observations, actions = torch.randn(200, 3), torch.rand(200, 2) * 2 - 1
    assert float(cloned.reward(expert(200, seed=1)).mean()) > 1
    assert float(cloned.reward(transitions(observations, actions)).mean()) < -2
    far = cloned.reward(transitions(1000 * observations, actions))
    assert far.shape == (200,)
    assert abs(float(far.mean())) < 1.5


def test_rewards_are_the_log_ratio_per_action_dimension(cloned: CoherentReward) -> None:
    batch = expert(50, seed=2)
    log_prob, prior = cloned._log_probs(*cloned.inputs(batch))
    torch.testing.assert_close(cloned.reward(batch), (log_prob - prior).detach() / 2)


def test_rewards_fall_with_the_distance_from_the_experts_action_everywhere(cloned: CoherentReward) -> None:
    batch = expert(50, seed=2)
    steps = [cloned.reward(transitions(batch.observations, cloned.inputs(batch)[1] + far)) for far in (0.2, 0.6, 1.5)]
    means = [float(each.mean()) for each in steps]
    assert means == sorted(means, reverse=True)


def test_a_step_into_the_end_of_the_tasks_has_its_reward_for_ever(cloned: CoherentReward) -> None:
    ended, highest = expert(20, seed=3), cloned.policy.highest_log_ratio
    ended = replace(ended, terminated=torch.ones(20, dtype=torch.bool))
    own = cloned.reward(expert(20, seed=3))
    limited = own.clamp(-highest, highest)
    assert highest == pytest.approx(math.log(math.tanh(1) / cloned.policy.least_std))
    torch.testing.assert_close(cloned.reward(ended), own + 9 * limited)
    wild = replace(ended, actions=ended.actions + 30)
    assert cloned.reward(wild).min() < 10 * -highest, "the step itself has no limit"
    torch.testing.assert_close(
        cloned.reward(wild), cloned.reward(replace(wild, terminated=~wild.terminated)) - 9 * highest
    )


def test_an_accident_has_minus_the_highest_reward_for_ever_whatever_its_last_row_has(cloned: CoherentReward) -> None:
    batch = replace(expert(20, seed=3), terminated=torch.arange(20) % 2 == 0)
    going = cloned.reward(replace(batch, terminated=torch.zeros(20, dtype=torch.bool)))
    found = replace(cloned, accidents=True)
    found.policy = cloned.policy
    expected = going - 9 * cloned.policy.highest_log_ratio * batch.terminated
    torch.testing.assert_close(found.reward(batch), expected)
    assert (going > 0).all(), "such rows would be rewarded for ever"


def test_discrete_actions_have_the_log_ratio_to_a_uniform_prior() -> None:
    torch.manual_seed(0)
    seen = torch.randn(300, 3)
    acted = torch.stack([(seen[:, 0] > 0).float(), 2.0 * (seen[:, 1] > 0)], 1)
    ends = torch.zeros(300, dtype=torch.bool)
    rows = Transitions(seen, acted, seen, ends, ends)
    high = torch.tensor([1.0, 2.0])
    found = CoherentReward(rows, torch.zeros(2), high, 0.9, SMALL, discrete=True)
    assert found.reward(rows).abs().max() < 1e-6, "before it is cloned"
    found.clone()
    log_ratio = found.policy.log_prob(found.normalizer(seen), acted) + math.log(6)
    torch.testing.assert_close(found.reward(rows), log_ratio / 2)
    assert float(found.reward(rows).mean()) > 0.5
    wrong = Transitions(seen, high - acted, seen, ends, ends)
    assert float(found.reward(wrong).mean()) < -0.5


def test_the_refinement_descends_its_loss() -> None:
    refined = source(refine=True, learning_rate=1e-3)
    refined.clone()
    torch.manual_seed(1)
    policy = transitions(torch.randn(200, 3), torch.rand(200, 2) * 2 - 1)
    losses = []
    for _ in range(10):
        with torch.no_grad():
            rewards = (refined.reward(rows) for rows in (refined.demonstrations, policy))
            losses.append(float(refinement_loss(*rewards)))
        metrics = refined.update(policy)
    assert losses[-1] < losses[0]
    assert set(metrics) == {"loss", "expert_reward", "policy_reward"}
    assert all(value.ndim == 0 and not value.requires_grad for value in metrics.values())


def test_without_refinement_an_update_changes_nothing() -> None:
    fixed, batch = source(max_updates=50), expert(60, seed=4)
    before = fixed.reward(batch)
    assert set(fixed.update(batch)) == {"policy_reward"}
    assert torch.equal(fixed.reward(batch), before)


def test_a_loaded_source_learns_on_like_the_saved_one(cloned: CoherentReward) -> None:
    first, second, batch = source(refine=True, max_updates=50), source(seed=1, refine=True), expert(60, seed=5)
    first.clone()
    first.update(batch)
    tree, tensors = encode(first.state_dict())
    second.load_state_dict(decode(tree, tensors))
    outcomes = []
    for each in (first, second):
        torch.manual_seed(5)
        outcomes.append((*each.update(batch).values(), each.reward(batch)))
    assert all(torch.equal(a, b) for a, b in zip(*outcomes, strict=True))


@pytest.mark.parametrize(
    "wrong",
    [{"hidden": ()}, {"least_std": 1.0}, {"held_out": 0.0}, {"features": 1}, {"update_every": 0}],
    ids=str,
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        CoherentRewardConfig(**wrong)


def test_one_row_and_a_discount_of_1_are_refused() -> None:
    with pytest.raises(InputError, match="two demonstrated"):
        CoherentReward(expert(1), LOW, HIGH, 0.9)
    with pytest.raises(InputError, match="gamma 1"):
        CoherentReward(expert(9), LOW, HIGH, 1.0)
