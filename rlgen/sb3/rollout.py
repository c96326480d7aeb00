"""A rollout of an on-policy model, in SB3's buffer or as tensors on a device."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.utils import obs_as_tensor
from torch import Tensor

from rlgen.data import observations as tree
from rlgen.data.spaces import rows_of
from rlgen.data.transitions import Transitions
from rlgen.errors import problem
from rlgen.sb3.device_rollout import DeviceRollout
from rlgen.sb3.log import HostLog, RoundLog
from rlgen.sb3.steps import RawObservations, last_observation, normalizer_of, raw_kinds


class Rollout(Protocol):
    """T steps of N environments that a policy collects and then learns from, as a callback sees them.

    A callback calls `begin` when a rollout starts and `record` after every step; the rest is available after its end.
    """

    @property
    def log(self) -> RoundLog:
        """Log of the round."""

    @property
    def observations(self) -> Any:
        """[T, N, ...]: observations as the policy saw them, a tensor or a dictionary of tensors."""

    @property
    def states(self) -> Any:
        """[T, N, ...]: the environment's raw observations, as `observations`."""

    @property
    def task_rewards(self) -> Tensor:
        """[T, N]: the rewards of the task."""

    @property
    def rewards(self) -> Tensor:
        """[T, N]: the current rewards to learn from, without the bootstraps of time limits."""

    @property
    def starts(self) -> Tensor:
        """[T, N] bool: the step is the first of an episode."""

    def begin(self) -> None:
        """Starts a new rollout."""

    def record(self, found: Mapping[str, Any]) -> None:
        """Adds a step from the `locals` of the callback."""

    def transitions(self) -> Transitions[Any]:
        """All T * N transitions, time-major, actions as the environment received them, on the model's device."""

    def set_rewards(self, rewards: Tensor) -> None:
        """Makes the policy learn from `rewards` [T, N]."""

    def bootstrap_time_limits(self) -> None:
        """Adds γ V(true last observation) to the reward where a time limit cut an episode."""

    def compute_advantages(self) -> None:
        """Computes returns and advantages of the current rewards."""


def rollout_of(model: BaseAlgorithm, readers: Sequence[str] | None = None) -> Rollout:
    """The rollouts of an on-policy model.

    Args:
        readers: names of the readers of episodes' last observations, for the error if one is missing; None if neither
            transitions nor new rewards are needed.

    Raises:
        InputError: the model is not on-policy, or its VecNormalize is not the outermost wrapper.
    """
    if not isinstance(model, OnPolicyAlgorithm):
        raise problem("an on-policy SB3 model", f"a {type(model).__name__}", "use PPO, A2C or TRPO")
    of_device = getattr(model, "rollout", None)
    return of_device if isinstance(of_device, DeviceRollout) else BufferRollout(model, readers)


def require_buffer(model: BaseAlgorithm, what: str) -> None:
    """Raises `InputError` unless rollouts of `model` are in SB3's buffer; `what` needs that."""
    if isinstance(model, OnPolicyAlgorithm) and not isinstance(getattr(model, "rollout", None), DeviceRollout):
        return
    raise problem(
        f"an on-policy model whose rollouts are on the host, for {what}",
        f"a {type(model).__name__}",
        "use PPO, A2C or TRPO on a backend other than warp, or episodic returns",
    )


Memory = tuple[Tensor, Tensor]


class EpisodeEnd(NamedTuple):
    """The end of an episode: its place in the rollout, its true last observation as the policy sees it and raw, and the
    state of a recurrent critic at that time, each [layers, 1, hidden]."""

    time: int
    env: int
    observation: Any
    raw: Any
    truncated: bool
    memory: Memory | None


class BufferRollout:
    """The rollout buffer of an SB3 model, with data that it does not keep: the task's own rewards, true last
    observations and raw observations below a VecNormalize.

    SB3 adds a time limit's bootstrap to the task reward and computes advantages before `on_rollout_end`, so
    `bootstrap_time_limits` and `compute_advantages` do both again for new rewards: γ V(true last observation) is added
    where the time limit cut the episode, nothing where it terminated.
    """

    def __init__(self, model: OnPolicyAlgorithm, readers: Sequence[str] | None = None):
        self.model, self.readers, self.log = model, readers, HostLog(model)
        self.normalizer = normalizer_of(model)
        self.raw: RawObservations | None = None
        self.ends: list[EpisodeEnd] = []

    def begin(self) -> None:
        buffer = self.model.rollout_buffer
        self.ends, self._task_rewards = [], np.zeros_like(buffer.rewards)
        buffer.relabeled = None  # type: ignore[attr-defined]
        buffer.added = None  # type: ignore[attr-defined]
        self.raw = None if self.normalizer is None else RawObservations(self.normalizer)

    def record(self, found: Mapping[str, Any]) -> None:
        time, self.last = self.model.rollout_buffer.pos, found
        self._task_rewards[time] = found["rewards"]  # before SB3 adds a bootstrap
        if self.raw is not None:
            self.raw.add()
        if self.readers is None:
            return
        for env in np.flatnonzero(found["dones"]).tolist():
            info = found["infos"][env]
            last = last_observation(info, tree.take(self.model._last_obs, env), self.readers)
            raw = last if self.raw is None else self.raw.raw(last)
            truncated = bool(info.get("TimeLimit.truncated", False))
            self.ends.append(EpisodeEnd(time, env, last, raw, truncated, self._memory(slice(env, env + 1))))

    @property
    def observations(self) -> Any:
        return tree.each_entry(torch.as_tensor, self.model.rollout_buffer.observations)

    @property
    def states(self) -> Any:
        if self.raw is None:
            return self.observations
        return tree.each_entry(lambda *rows: torch.as_tensor(np.stack(rows)), *self.raw.rows[:-1])

    @property
    def task_rewards(self) -> Tensor:
        return torch.from_numpy(self._task_rewards)

    @property
    def rewards(self) -> Tensor:
        earlier: np.ndarray | None = self.model.rollout_buffer.relabeled  # type: ignore[attr-defined]
        return self.task_rewards if earlier is None else torch.from_numpy(earlier)

    @property
    def starts(self) -> Tensor:
        return torch.as_tensor(self.model.rollout_buffer.episode_starts).bool()

    def transitions(self) -> Transitions[Any]:
        buffer, kinds = self.model.rollout_buffer, raw_kinds(self.model)
        rows, n_envs = buffer.rewards.size, buffer.rewards.shape[1]
        following = np.arange(rows) + n_envs  # the same environment, one step later
        terminated, truncated = np.zeros((2, rows), bool)
        for number, end in enumerate(self.ends):
            row = end.time * n_envs + end.env
            following[row] = rows + n_envs + number
            (truncated if end.truncated else terminated)[row] = True
        store = tree.concatenate([*self._seen(), *(rows_of(end.raw, kinds) for end in self.ends)])
        now, then = tree.of_store(*self._on_device(store, following))
        actions = received_actions(buffer.actions, self.model).astype(np.float32, copy=False)
        rest = self._on_device(actions.reshape(rows, -1), terminated, truncated)
        return Transitions(now, rest[0], then[:] if tree.is_flat(now) else then, *rest[1:])

    def stream(self) -> Any:
        """Raw observations, (T + 1) · N rows, time-major, on the model's device: those of the T steps, and those after
        the last one. What follows the end of an episode is the first observation of the next."""
        return self._on_device(tree.concatenate(self._seen()))[0]

    def _seen(self) -> list[Any]:
        """The parts of `stream`."""
        kinds = raw_kinds(self.model)
        if self.raw is None:
            return [rows_of(each, kinds) for each in (self.model.rollout_buffer.observations, self.last["new_obs"])]
        return [rows_of(each, kinds) for each in self.raw.rows]

    def _on_device(self, *arrays: Any) -> list[Any]:
        device = self.model.device
        return [tree.each_entry(lambda array: torch.as_tensor(array, device=device), each) for each in arrays]

    def set_rewards(self, rewards: Tensor) -> None:
        buffer = self.model.rollout_buffer
        buffer.rewards[:] = rewards.numpy()
        # For a later callback: the current rewards of the rollout, before bootstraps.
        buffer.relabeled = buffer.rewards.copy()  # type: ignore[attr-defined]

    def compute_advantages(self) -> None:
        # SB3's own last values are not among the locals of every algorithm.
        values = self._values(self.last["new_obs"], self._memory(slice(None)), self.last["dones"])
        buffer = self.model.rollout_buffer
        buffer.compute_returns_and_advantage(values, self.last["dones"])
        if (added := buffer.added) is not None:  # type: ignore[attr-defined]
            buffer.advantages += added

    def add_advantages(self, advantages: Tensor) -> None:
        """Adds `advantages` [T, N] to those of the rewards, whenever these are computed for this rollout, by a later
        callback too. Returns, which the critic learns, stay those of the rewards."""
        buffer = self.model.rollout_buffer
        earlier: np.ndarray | None = buffer.added  # type: ignore[attr-defined]
        own = advantages.cpu().numpy()
        buffer.added = own if earlier is None else earlier + own  # type: ignore[attr-defined]

    def bootstrap_time_limits(self) -> None:
        """rewards += γ V(last observation) where a time limit cut an episode. Pardo et al. 2018 (1712.00378), eq. 6."""
        cut = [end for end in self.ends if end.truncated]
        if not cut:
            return
        memories = [end.memory for end in cut if end.memory is not None]
        memory = (torch.cat([m[0] for m in memories], 1), torch.cat([m[1] for m in memories], 1)) if memories else None
        last = tree.each_entry(lambda *rows: np.stack(rows), *(end.observation for end in cut))
        values = self._values(last, memory, np.zeros(len(cut))).flatten().cpu().numpy()
        for end, value in zip(cut, values, strict=True):
            self.model.rollout_buffer.rewards[end.time, end.env] += self.model.gamma * value

    def _memory(self, envs: slice) -> Memory | None:
        """State of a recurrent critic after the current step, each [layers, B, hidden]; None if it is not recurrent."""
        states = self.last.get("lstm_states")
        return None if states is None else (states.vf[0][:, envs].contiguous(), states.vf[1][:, envs].contiguous())

    @torch.no_grad()
    def _values(self, observations: Any, memory: Memory | None, starts: np.ndarray) -> Tensor:
        """V [B, 1] of observations [B, ...] as the policy sees them. A recurrent policy also uses its state, and the
        episode starts [B], which reset it."""
        seen = obs_as_tensor(observations, self.model.device)
        if memory is None:
            return self.model.policy.predict_values(seen)
        begins = torch.as_tensor(starts, dtype=torch.float32, device=self.model.device)
        return self.model.policy.predict_values(seen, memory, begins)  # type: ignore[call-arg]


def received_actions(actions: np.ndarray, model: OnPolicyAlgorithm) -> np.ndarray:
    """Actions [T, N, A] of a rollout buffer as the environment received them: unscaled or clipped to the bounds."""
    space = model.action_space
    if not isinstance(space, spaces.Box):
        return actions
    shaped = actions.reshape(*actions.shape[:2], *space.shape)
    if model.policy.squash_output:
        return model.policy.unscale_action(shaped).reshape(actions.shape)
    return np.clip(shaped, space.low, space.high).reshape(actions.shape)
