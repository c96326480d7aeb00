"""Rewards of on-policy rollouts from reward sources, between collecting and learning."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from torch import Tensor

from rlgen import distributed
from rlgen.data.transitions import Transitions
from rlgen.rewards.bonus_unit import ReturnScale
from rlgen.sb3.device_ppo import DevicePPO
from rlgen.sb3.rollout import RawObservations, last_observation, normaliser_of
from rlgen.sb3.schedules import progress_remaining
from rlgen.sb3.weighted_reward import Paid, paid_sources

Memory = tuple[Tensor, Tensor]


class EpisodeEnd(NamedTuple):
    """Where an episode ended within the rollout, its true last observation [O] as the policy sees it and in the
    environment's own numbers, and what a recurrent critic remembered then, each [layers, 1, hidden]."""

    time: int
    env: int
    observation: np.ndarray
    raw: np.ndarray
    truncated: bool
    memory: Memory | None


class Relabel(BaseCallback):
    """Replaces the rewards of every rollout by the weighted sum of reward sources, before the policy learns from it.

    `adds`: the sum is added to the rewards instead, those of the environment or those that an earlier `Relabel` among
    the callbacks has put in their place, so that a list of them adds up; one with several sources pays the same and
    computes advantages once. `scale`, if given, brings the sum to returns of unit spread.

    SB3 adds a time limit's bootstrap to the task reward and computes advantages before `_on_rollout_end`, so both are
    done again here: reward + γ V(true last observation) where the time limit cut the episode, nothing where it
    terminated; then `compute_returns_and_advantage`. Actions reach the sources as the environment received them, and
    observations as it gave them, also from below a VecNormalize, whose own numbers change their meaning as it learns.
    """

    model: OnPolicyAlgorithm

    def __init__(self, sources: Mapping[str, Paid], scale: ReturnScale | None = None, *, adds: bool = False):
        super().__init__()
        self.sources, self.scale, self.adds = paid_sources(sources), scale, adds
        self.ends: list[EpisodeEnd] = []

    def _init_callback(self) -> None:
        distributed.require_single_process(type(self.model).__name__)
        self.normaliser = normaliser_of(self.model)

    def _on_rollout_start(self) -> None:
        self.ends = []
        self.progress = progress_remaining(self.model)
        buffer = self.model.rollout_buffer
        self.task_rewards = np.zeros_like(buffer.rewards)
        buffer.relabelled = None  # type: ignore[attr-defined]
        self.raw = None if self.normaliser is None else RawObservations(self.normaliser)

    def _on_step(self) -> bool:
        time = self.model.rollout_buffer.pos
        self.task_rewards[time] = self.locals["rewards"]  # before SB3 adds a bootstrap
        if self.raw is not None:
            self.raw.add()
        for env in np.flatnonzero(self.locals["dones"]).tolist():
            info = self.locals["infos"][env]
            last = last_observation(info, self.model._last_obs[env], self.sources)  # type: ignore[index]
            raw = last if self.raw is None else self.raw.raw(last)
            truncated = bool(info.get("TimeLimit.truncated", False))
            self.ends.append(EpisodeEnd(time, env, last, raw, truncated, self.memory(slice(env, env + 1))))
        return True

    def _on_rollout_end(self) -> None:
        buffer = self.model.rollout_buffer
        buffer.rewards[:] = self.earlier_rewards()
        if self.sources:
            self.add_paid_rewards()
        if self.scale is not None:
            self.scale.update(buffer.rewards, buffer.episode_starts)
            buffer.rewards[:] = self.scale(buffer.rewards)
        # For a later `Relabel`: what stands in the place of the rollout's rewards, before bootstraps.
        buffer.relabelled = buffer.rewards.copy()  # type: ignore[attr-defined]
        self.add_time_limit_bootstrap()
        # SB3's own last values are not among the locals of every algorithm.
        values = self.values(self.locals["new_obs"], self.memory(slice(None)), self.locals["dones"])
        buffer.compute_returns_and_advantage(values, self.locals["dones"])

    def add_paid_rewards(self) -> None:
        """rewards += what each source pays, weighted, after it has learned from the rollout."""
        buffer = self.model.rollout_buffer
        batch, starts = self.transitions(), buffer.episode_starts.astype(bool)
        for name, paid in self.sources.items():
            weighted = paid.learn_and_pay(name, batch, starts, self.progress, self.logger)
            buffer.rewards += weighted.reshape(buffer.rewards.shape).cpu().numpy()

    def earlier_rewards(self) -> np.ndarray:
        """What is added to: rewards [T, N] without the bootstrap of time limits."""
        if not self.adds:
            return np.zeros_like(self.task_rewards)
        earlier: np.ndarray | None = self.model.rollout_buffer.relabelled  # type: ignore[attr-defined]
        return (self.task_rewards if earlier is None else earlier).copy()

    def add_time_limit_bootstrap(self) -> None:
        """rewards += γ V(last observation) where a time limit cut an episode. Pardo et al. 2018 (1712.00378), eq. 6."""
        cut = [end for end in self.ends if end.truncated]
        if not cut:
            return
        memories = [end.memory for end in cut if end.memory is not None]
        memory = (torch.cat([m[0] for m in memories], 1), torch.cat([m[1] for m in memories], 1)) if memories else None
        last = np.stack([end.observation for end in cut])
        values = self.values(last, memory, np.zeros(len(cut))).flatten().cpu().numpy()
        for end, value in zip(cut, values, strict=True):
            self.model.rollout_buffer.rewards[end.time, end.env] += self.model.gamma * value

    def memory(self, envs: slice) -> Memory | None:
        """What a recurrent critic remembers after the present step, each [layers, B, hidden]; None without memory."""
        states = self.locals.get("lstm_states")
        return None if states is None else (states.vf[0][:, envs].contiguous(), states.vf[1][:, envs].contiguous())

    @torch.no_grad()
    def values(self, observations: np.ndarray, memory: Memory | None, starts: np.ndarray) -> Tensor:
        """V [B, 1] of observations [B, O] as the policy sees them. For a recurrent policy also its memory, and where an
        episode starts [B], which forgets it."""
        seen = torch.as_tensor(observations, device=self.model.device)
        if memory is None:
            return self.model.policy.predict_values(seen)
        begins = torch.as_tensor(starts, dtype=torch.float32, device=self.model.device)
        return self.model.policy.predict_values(seen, memory, begins)  # type: ignore[call-arg]

    def transitions(self) -> Transitions:
        """The rollout as T*N transitions, time-major, on the model's device."""
        buffer = self.model.rollout_buffer
        if self.raw is None:
            observations = _rows(buffer.observations)
            following = np.concatenate([observations[1:], _rows(np.asarray(self.locals["new_obs"])[None])])
        else:
            rows = _rows(np.stack(self.raw.rows))
            observations, following = rows[:-1], rows[1:].copy()
        terminated = np.zeros(observations.shape[:2], bool)
        truncated = np.zeros(observations.shape[:2], bool)
        for end in self.ends:
            following[end.time, end.env] = end.raw.ravel()
            (truncated if end.truncated else terminated)[end.time, end.env] = True
        actions = received_actions(buffer.actions, self.model).astype(np.float32, copy=False)
        arrays = (observations, actions, following, terminated, truncated)
        return Transitions(*(torch.as_tensor(a, device=self.model.device).flatten(0, 1) for a in arrays))


def _rows(observations: np.ndarray) -> np.ndarray:
    """[T, N, ...] of any shape as float32 [T, N, O]."""
    return observations.reshape(*observations.shape[:2], -1).astype(np.float32, copy=False)


def received_actions(actions: np.ndarray, model: OnPolicyAlgorithm) -> np.ndarray:
    """Actions [T, N, A] of a rollout buffer as the environment received them: unscaled or clipped to the bounds."""
    space = model.action_space
    if not isinstance(space, spaces.Box):
        return actions
    shaped = actions.reshape(*actions.shape[:2], *space.shape)
    if model.policy.squash_output:
        return model.policy.unscale_action(shaped).reshape(actions.shape)
    return np.clip(shaped, space.low, space.high).reshape(actions.shape)


class PayOnDevice(BaseCallback):
    """`Relabel` for a model whose rollouts stay on a device: its advantages are then made of the same rewards."""

    model: DevicePPO

    def __init__(self, sources: Mapping[str, Paid], scale: ReturnScale | None = None, *, adds: bool = False):
        super().__init__()
        self.sources, self.scale, self.adds = paid_sources(sources), scale, adds

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        self.progress = progress_remaining(self.model)

    def _on_rollout_end(self) -> None:
        rollout, measured = self.model.rollout, self.model.measured
        rewards = rollout.rewards.clone() if self.adds else torch.zeros_like(rollout.rewards)
        batch = rollout.transitions()
        for name, paid in self.sources.items():
            measured |= {f"{name}/{key}": value for key, value in paid.source.update(batch).items()}
            reward = paid.source.reward(batch)
            measured[f"{name}/reward"] = reward.mean()
            weighted = paid.weight_at(self.progress) * reward.view_as(rewards)
            rewards += weighted
            if paid.returns is not None:
                ended = paid.returns.add_on_device(weighted, rollout.starts, rollout.finished)
                self.model.of_episodes[f"{name}/return"] = ended
        if self.scale is not None:
            self.scale.update(rewards, rollout.starts.float())
            rewards = self.scale(rewards)
        rollout.rewards.copy_(rewards)


def payer(
    model: OnPolicyAlgorithm, sources: Mapping[str, Paid], scale: ReturnScale | None = None, *, adds: bool = False
) -> BaseCallback:
    """What pays `model` by these sources, wherever its rollouts are."""
    kind = PayOnDevice if isinstance(model, DevicePPO) else Relabel
    return kind(sources, scale, adds=adds)
