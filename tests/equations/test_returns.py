"""Generalised advantages, against its sum and against Stable-Baselines3."""

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import RolloutBuffer

from rlgen.equations.returns import generalised_advantages

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
    found = generalised_advantages(**given, gamma=GAMMA, lam=LAM)
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
    found = generalised_advantages(**given, gamma=GAMMA, lam=LAM)
    np.testing.assert_allclose(found, buffer.advantages, atol=1e-5)


def test_without_discount_it_is_the_reward_over_the_value() -> None:
    given = rollout()
    found = generalised_advantages(**given, gamma=0.0, lam=LAM)
    torch.testing.assert_close(found, given["rewards"] - given["values"])
