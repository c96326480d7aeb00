"""Rewards on the scale of their returns: against returns written out, and SB3's VecNormalize."""

import numpy as np
import pytest
from stable_baselines3.common.running_mean_std import RunningMeanStd

from rlgen.rewards import ReturnNormalizer

GAMMA = 0.9


def discounted(rewards: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Discounted sums of the rewards so far in each episode [T, N], from the definition."""
    returns = np.zeros(rewards.shape)
    for time, env in np.ndindex(*rewards.shape):
        first = max(t for t in range(time + 1) if starts[t, env] or t == 0)
        returns[time, env] = sum(GAMMA ** (time - t) * rewards[t, env] for t in range(first, time + 1))
    return returns


@pytest.fixture
def rollout() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    starts = random.random((12, 3)) < 0.2
    starts[0] = True
    return random.normal(2, 1, (12, 3)).astype(np.float32), starts.astype(np.float32)


def test_rewards_are_divided_by_the_deviation_of_discounted_returns(rollout) -> None:
    scale = ReturnNormalizer(GAMMA, 3)
    scale.update(*rollout)
    np.testing.assert_allclose(scale(rollout[0]), rollout[0] / discounted(*rollout).std(), rtol=1e-6)


def test_two_rollouts_are_one_long_one(rollout) -> None:
    rewards, starts = rollout
    parts, whole = ReturnNormalizer(GAMMA, 3), ReturnNormalizer(GAMMA, 3)
    parts.update(rewards[:5], starts[:5])
    parts.update(rewards[5:], starts[5:])
    whole.update(rewards, starts)
    np.testing.assert_allclose(parts(rewards), whole(rewards), rtol=1e-9)
    assert float(parts.return_std.count) == rewards.size


def test_the_statistics_are_those_of_sb3s_vec_normalize(rollout) -> None:
    rewards, starts = rollout
    scale, theirs, returns = ReturnNormalizer(GAMMA, 3), RunningMeanStd(epsilon=1e-12, shape=()), np.zeros(3)
    scale.update(rewards, starts)
    for time in range(12):
        returns = returns * GAMMA + rewards[time]
        theirs.update(returns)
        returns[starts[time + 1] > 0 if time < 11 else []] = 0
    np.testing.assert_allclose(float(scale.return_std.var), theirs.var, rtol=1e-6)


def test_a_state_written_while_the_sums_were_an_array_still_loads(rollout) -> None:
    first, second = ReturnNormalizer(GAMMA, 3), ReturnNormalizer(GAMMA, 3)
    first.update(*rollout)
    state = first.state_dict()
    second.load_state_dict(state | {"running": state["running"].numpy()})
    np.testing.assert_array_equal(first(rollout[0]), second(rollout[0]))


def test_rewards_keep_their_sign_and_zero_stays_zero(rollout) -> None:
    scale = ReturnNormalizer(GAMMA, 3)
    scale.update(*rollout)
    assert np.sign(scale(np.array([[-1.0, 0.0, 2.0]]))).tolist() == [[-1, 0, 1]]


def test_a_reward_far_beyond_the_spread_is_clipped(rollout) -> None:
    scale = ReturnNormalizer(GAMMA, 3, clip=5.0)
    scale.update(*rollout)
    assert scale(np.array([[1e6, -1e6, 0.0]])).tolist() == [[5, -5, 0]]


def test_a_constant_reward_of_nothing_stays_finite() -> None:
    scale = ReturnNormalizer(GAMMA, 2)
    scale.update(np.zeros((4, 2)), np.zeros((4, 2)))
    assert scale(np.zeros((4, 2))).tolist() == np.zeros((4, 2)).tolist()


def test_a_loaded_scale_goes_on_like_the_saved_one(rollout) -> None:
    rewards, starts = rollout
    first, second = ReturnNormalizer(GAMMA, 3), ReturnNormalizer(GAMMA, 3)
    first.update(rewards, starts)
    saved = first.state_dict()
    first.update(rewards, starts)
    second.load_state_dict(saved)
    second.update(rewards, starts)
    for scale in (first, second):
        scale.update(rewards, np.zeros_like(starts))  # goes on within the episodes
    np.testing.assert_array_equal(first(rewards), second(rewards))
