"""Generalized advantages, episodic and not, against their sums, a worked example and Stable-Baselines3."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import RolloutBuffer

from rlgen.equations.policy_gradient import discounted_sums, generalized_advantages, non_episodic_advantages

T, N, GAMMA, LAM = 11, 5, 0.97, 0.9


def rollout() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    rewards, values, next_values = torch.randn(3, T, N, generator=generator, dtype=torch.float64)
    terminated = torch.rand(T, N, generator=generator) < 0.15
    truncated = (torch.rand(T, N, generator=generator) < 0.15) & ~terminated
    assert terminated.any()
    assert truncated.any()
    following = torch.where(terminated | truncated, next_values, torch.roll(values, -1, 0))
    following[-1] = next_values[-1]
    return {
        "rewards": rewards, "values": values, "next_values": following, "terminated": terminated,
        "finished": terminated | truncated,
    }  # fmt: skip


def test_it_is_the_sum_of_equation_16() -> None:
    given = rollout()
    found = generalized_advantages(**given, gamma=GAMMA, lam=LAM)
    for env in range(N):
        for start in range(T):
            total, weight = 0.0, 1.0
            for step in range(start, T):
                at = {name: value[step, env].item() for name, value in given.items()}
                ahead = 0.0 if at["terminated"] else at["next_values"]
                total += weight * (at["rewards"] + GAMMA * ahead - at["values"])
                weight *= GAMMA * LAM
                if at["finished"]:
                    break
            assert abs(found[start, env].item() - total) < 1e-12


def test_it_is_what_sb3_computes_from_rewards_with_the_bootstrap_in_them() -> None:
    given = {name: value.float() if value.dtype == torch.float64 else value for name, value in rollout().items()}
    box = spaces.Box(-1, 1, (1,), np.float32)
    buffer = RolloutBuffer(T, box, box, gae_lambda=LAM, gamma=GAMMA, n_envs=N)
    truncated = given["finished"] & ~given["terminated"]
    buffer.rewards[:] = (given["rewards"] + GAMMA * given["next_values"] * truncated).numpy()
    buffer.values[:] = given["values"].numpy()
    buffer.episode_starts[1:] = given["finished"][:-1].float().numpy()
    buffer.compute_returns_and_advantage(given["next_values"][-1], given["finished"][-1].numpy())
    found = generalized_advantages(**given, gamma=GAMMA, lam=LAM)
    np.testing.assert_allclose(found, buffer.advantages, atol=1e-5)


def test_without_discount_it_is_the_reward_over_the_value() -> None:
    given = rollout()
    found = generalized_advantages(**given, gamma=0.0, lam=LAM)
    torch.testing.assert_close(found, given["rewards"] - given["values"])


def stream() -> tuple[torch.Tensor, torch.Tensor]:
    """Rewards [T, N] and values [T + 1, N]."""
    generator = torch.Generator().manual_seed(1)
    drawn = torch.randn(2 * T + 1, N, generator=generator, dtype=torch.float64)
    return drawn[:T], drawn[T:]


def test_non_episodic_advantages_are_the_sum_over_all_later_steps() -> None:
    rewards, values = stream()
    found = non_episodic_advantages(rewards, values, GAMMA, LAM)
    for start, env in np.ndindex(T, N):
        total = 0.0
        for step in range(start, T):
            error = rewards[step, env] + GAMMA * values[step + 1, env] - values[step, env]
            total += (GAMMA * LAM) ** (step - start) * error.item()
        assert abs(found[start, env].item() - total) < 1e-12


def test_non_episodic_advantages_of_a_worked_example() -> None:
    """γ = λ = ½, rewards 1, 2, 4, values 8, 4, 2, 16: errors 1 + 2 - 8 = -5, 2 + 1 - 4 = -1 and 4 + 8 - 2 = 10;
    advantages 10, -1 + 10 / 4 = 1.5 and -5 + 1.5 / 4 = -4.625."""
    rewards, values = torch.tensor([[1.0], [2.0], [4.0]]), torch.tensor([[8.0], [4.0], [2.0], [16.0]])
    found = non_episodic_advantages(rewards, values, gamma=0.5, lam=0.5)
    assert found.flatten().tolist() == [-4.625, 1.5, 10.0]


def test_a_constant_reward_changes_no_non_episodic_advantage_once_its_value_is_known() -> None:
    rewards, values = stream()
    found = non_episodic_advantages(rewards + 3, values + 3 / (1 - GAMMA), GAMMA, LAM)
    torch.testing.assert_close(found, non_episodic_advantages(rewards, values, GAMMA, LAM))


def payments(steps: int, n_envs: int = 3) -> np.ndarray:
    return np.random.default_rng(0).gamma(2.0, size=(steps, n_envs))


def sums_by_hand(rewards: np.ndarray, starts: np.ndarray | None = None) -> np.ndarray:
    """[T, N], one step after the other."""
    running, sums = np.zeros(rewards.shape[1]), []
    for reward, start in zip(rewards, np.zeros(rewards.shape) if starts is None else starts, strict=True):
        running = np.where(start, 0.0, GAMMA * running) + reward
        sums.append(running)
    return np.array(sums)


@pytest.mark.parametrize("steps", [1, 2, 3, 8, 13])
def test_discounted_sums_are_those_of_their_definition(steps: int) -> None:
    rewards = payments(steps)
    sums = discounted_sums(torch.from_numpy(rewards), torch.zeros(3, dtype=torch.float64), GAMMA)
    np.testing.assert_allclose(sums, sums_by_hand(rewards), rtol=1e-12)


def test_discounted_sums_go_on_from_earlier_ones() -> None:
    rewards = payments(13)
    expected = sums_by_hand(rewards)
    sums = discounted_sums(torch.from_numpy(rewards[5:]), torch.from_numpy(expected[4]), GAMMA)
    np.testing.assert_allclose(sums, expected[5:], rtol=1e-12)


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_discounted_sums_begin_anew_where_episodes_start(share: float) -> None:
    rewards, starts = payments(21), np.random.default_rng(1).random((21, 3)) < share
    expected, before = sums_by_hand(rewards, starts), torch.zeros(3, dtype=torch.float64)
    for part in (slice(0, 8), slice(8, 21)):
        sums = discounted_sums(torch.from_numpy(rewards[part]), before, GAMMA, torch.from_numpy(starts[part]).float())
        np.testing.assert_allclose(sums, expected[part], rtol=1e-12)
        before = sums[-1]
