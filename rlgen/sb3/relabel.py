"""Pays an on-policy SB3 model by reward sources: one pass over the whole rollout, then advantages anew."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from rlgen.data.transitions import Transitions
from rlgen.rewards.scale import ReturnScale
from rlgen.rewards.source import RewardSource


class EpisodeEnd(NamedTuple):
    """Where an episode ended within the rollout, and its true last observation [O]."""

    time: int
    env: int
    observation: np.ndarray
    truncated: bool


class Relabelled(NamedTuple):
    """What a `Relabel` has put in the place of a rollout's rewards [T, N], before bootstraps, and the step it ended."""

    step: int
    rewards: np.ndarray


@dataclass(frozen=True)
class Paid:
    """A reward source and the weight of its reward: a number, or a function of the share of the training that is left
    (1 at the start), such as SB3's schedules."""

    source: RewardSource
    weight: float | Callable[[float], float] = 1.0

    def weight_at(self, progress_remaining: float) -> float:
        return self.weight(progress_remaining) if callable(self.weight) else self.weight


class Relabel(BaseCallback):
    """Replaces the rewards of every rollout by the weighted sum of reward sources, before the policy learns from it.

    `adds`: the sum is added to the rewards instead, those of the environment or those that an earlier `Relabel` among
    the callbacks has put in their place, so that a list of them adds up. `scale`, if given, brings the sum to returns
    of unit spread.

    SB3 adds a time limit's bootstrap to the task reward and computes advantages before `_on_rollout_end`, so both are
    done again here: reward + γ V(true last observation) where the time limit cut the episode, nothing where it
    terminated; then `compute_returns_and_advantage`. Actions reach the sources as the environment received them.
    """

    model: OnPolicyAlgorithm

    def __init__(self, sources: Mapping[str, Paid], scale: ReturnScale | None = None, *, adds: bool = False):
        super().__init__()
        self.sources, self.scale, self.adds = dict(sources), scale, adds
        self.ends: list[EpisodeEnd] = []

    def _on_rollout_start(self) -> None:
        self.ends = []
        self.task_rewards = np.zeros_like(self.model.rollout_buffer.rewards)

    def _on_step(self) -> bool:
        self.task_rewards[self.model.rollout_buffer.pos] = self.locals["rewards"]  # before SB3 adds a bootstrap
        for env in np.flatnonzero(self.locals["dones"]):
            info = self.locals["infos"][env]
            truncated = bool(info.get("TimeLimit.truncated", False))
            end = EpisodeEnd(self.model.rollout_buffer.pos, int(env), info["terminal_observation"], truncated)
            self.ends.append(end)
        return True

    def _on_rollout_end(self) -> None:
        buffer = self.model.rollout_buffer
        batch = self.transitions()
        rewards = torch.as_tensor(self.earlier_rewards(), device=self.model.device).flatten()
        for name, paid in self.sources.items():
            for key, value in paid.source.update(batch).items():
                self.logger.record(f"{name}/{key}", float(value))
            reward = paid.source.reward(batch)
            self.logger.record(f"{name}/reward", float(reward.mean()))
            rewards += paid.weight_at(self.model._current_progress_remaining) * reward
        buffer.rewards[:] = rewards.reshape(buffer.rewards.shape).cpu().numpy()
        if self.scale is not None:
            self.scale.update(buffer.rewards, buffer.episode_starts)
            buffer.rewards[:] = self.scale(buffer.rewards)
        buffer.relabelled = Relabelled(self.model.num_timesteps, buffer.rewards.copy())  # type: ignore[attr-defined]
        self.add_time_limit_bootstrap()
        buffer.compute_returns_and_advantage(self.locals["values"], self.locals["dones"])

    def earlier_rewards(self) -> np.ndarray:
        """What is added to: rewards [T, N] without the bootstrap of time limits."""
        if not self.adds:
            return np.zeros_like(self.task_rewards)
        earlier: Relabelled | None = getattr(self.model.rollout_buffer, "relabelled", None)
        of_this_rollout = earlier is not None and earlier.step == self.model.num_timesteps
        return earlier.rewards if earlier and of_this_rollout else self.task_rewards.copy()

    def add_time_limit_bootstrap(self) -> None:
        """rewards += γ V(last observation) where a time limit cut an episode. Pardo et al. 2018 (1712.00378), eq. 6."""
        cut = [end for end in self.ends if end.truncated]
        if not cut:
            return
        last = torch.as_tensor(np.stack([end.observation for end in cut]), device=self.model.device)
        with torch.no_grad():
            values = self.model.policy.predict_values(last).flatten().cpu().numpy()
        for end, value in zip(cut, values, strict=True):
            self.model.rollout_buffer.rewards[end.time, end.env] += self.model.gamma * value

    def transitions(self) -> Transitions:
        """The rollout as T*N transitions, time-major, on the model's device."""
        buffer = self.model.rollout_buffer
        observations = buffer.observations.astype(np.float32, copy=False)
        following = np.concatenate([observations[1:], np.asarray(self.locals["new_obs"], np.float32)[None]])
        terminated = np.zeros(observations.shape[:2], bool)
        truncated = np.zeros(observations.shape[:2], bool)
        for end in self.ends:
            following[end.time, end.env] = end.observation
            (truncated if end.truncated else terminated)[end.time, end.env] = True
        actions = received_actions(buffer.actions, self.model).astype(np.float32, copy=False)
        arrays = (observations, actions, following, terminated, truncated)
        return Transitions(*(torch.as_tensor(a, device=self.model.device).flatten(0, 1) for a in arrays))


def received_actions(actions: np.ndarray, model: OnPolicyAlgorithm) -> np.ndarray:
    """Actions [T, N, A] of a rollout buffer as the environment received them: unscaled or clipped to the bounds."""
    space = model.action_space
    if not isinstance(space, spaces.Box):
        return actions
    if model.policy.squash_output:
        return model.policy.unscale_action(actions)
    return np.clip(actions, space.low, space.high)
