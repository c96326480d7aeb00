"""Rollouts: what a policy collected, in SB3's buffer or as tensors of a device."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.vec_env import VecEnv, VecNormalize
from torch import Tensor

from rlgen.data.transitions import Transitions
from rlgen.equations.gaussians import gaussian_log_prob
from rlgen.errors import problem
from rlgen.sb3.finite import require_finite
from rlgen.sb3.gaussian_policy import is_plain_gaussian, mean_action
from rlgen.sb3.weighted_reward import Paid


class RawObservations:
    """The observations of one rollout below `env`: the first, then one more for each step. [T + 1, N, O]."""

    def __init__(self, env: VecNormalize):
        self.env = env
        self.rows: list[np.ndarray] = []
        self.add()

    def add(self) -> None:
        """After a step, or a reset."""
        self.rows.append(np.asarray(self.env.get_original_obs()))

    def raw(self, observation: np.ndarray) -> np.ndarray:
        """A normalised observation [O] of the present step, such as the last of an episode, in the environment's own
        numbers, as far as the normaliser has not clipped it."""
        return np.asarray(self.env.unnormalize_obs(observation))


def normaliser_of(model: BaseAlgorithm) -> VecNormalize | None:
    """The VecNormalize of the model's environment, if it has one. Raises `InputError` where its observations are not
    those of the model, because another wrapper changes their shape."""
    env = model.get_vec_normalize_env()
    if env is not None and env.observation_space.shape != model.observation_space.shape:
        raise problem(
            f"a VecNormalize of the observations that the model sees, {model.observation_space.shape}",
            f"one of {env.observation_space.shape} below another wrapper",
            "make VecNormalize the outermost wrapper",
        )
    return env


def require_actor_critic(model: BaseAlgorithm) -> ActorCriticPolicy:
    """The policy of `model`; raises `InputError` unless it is an on-policy model whose policy has no memory."""
    policy = getattr(model, "policy", None)
    on_policy, remembers = isinstance(model, OnPolicyAlgorithm), hasattr(policy, "lstm_actor")
    if on_policy and not remembers and isinstance(policy, ActorCriticPolicy):
        return policy
    given = f"{type(model).__name__} with a {type(policy).__name__}"
    if not isinstance(model, BaseAlgorithm):
        given = f"{model!r}" if isinstance(model, str) else f"a {type(model).__name__}"
    raise problem(
        "an on-policy SB3 model with an ActorCriticPolicy without memory",
        given,
        'use PPO, A2C or TRPO, e.g. PPO("MlpPolicy", env)',
    )


def require_raw_environment(model: BaseAlgorithm) -> None:
    """Raises `InputError` for a model under VecNormalize: demonstrations hold the environment's own numbers."""
    if model.get_vec_normalize_env() is not None:
        raise problem(
            "an environment of raw observations and rewards",
            "one under VecNormalize, whose scales the demonstrations would not share",
            "pass the environment itself: `rlgen.sb3.normalised_policy` normalises observations, GAIL scales rewards",
        )


def last_observation(info: dict[str, Any], before: np.ndarray, sources: Mapping[str, Paid]) -> np.ndarray:
    """`terminal_observation` of the `info` of an episode's last step; where it is missing and nothing reads it, the
    observation `before` that step in its place.

    As for SB3, the key is optional where the task ended the episode: then no value of that observation is learned from.

    Args:
        sources: what pays for the step. One that says `reads_next_observations = False` does without.

    Raises:
        InputError: it is missing, and a time limit cut the episode or something reads it.
    """
    last = info.get("terminal_observation")
    if last is not None:
        return last
    readers = [name for name, paid in sources.items() if getattr(paid.source, "reads_next_observations", True)]
    if info.get("TimeLimit.truncated", False):
        readers.append("the value after a time limit")
    if readers:
        raise problem(
            "the last observation of an episode under 'terminal_observation' in the info of its last step, which "
            f"{' and '.join(readers)} must see",
            "a vector environment that does not tell it",
            "mend the wrapper that drops it, or use an SB3 VecEnv such as DummyVecEnv",
        )
    return before


VALUE_ROWS = 8192  # per pass through the value function


class FastRollout(OnPolicyAlgorithm):
    """Mixin: the rollouts of SB3, up to rounding, with values and log-probabilities computed at the end, all at once.

    A callback's `locals` lack what SB3 computes in between (`values`, `log_probs`, `obs_tensor`) during the rollout.
    Policies that are not plain Gaussians, observations that are not arrays and a rollout buffer of one's own get SB3's
    rollouts. Raises `InputError` when the policy's actions are no longer finite.
    """

    action_space: spaces.Box
    _last_obs: np.ndarray

    def collect_rollouts(
        self, env: VecEnv, callback: BaseCallback, rollout_buffer: RolloutBuffer, n_rollout_steps: int
    ) -> bool:
        plain = type(rollout_buffer) is RolloutBuffer and isinstance(self.observation_space, spaces.Box)
        if not (plain and is_plain_gaussian(self.policy)):
            return super().collect_rollouts(env, callback, rollout_buffer, n_rollout_steps)
        assert self._last_obs is not None, "the environment was not reset"
        self.policy.set_training_mode(False)
        rollout_buffer.reset()
        callback.on_rollout_start()
        std = self.policy.log_std.detach().exp()
        low, high = self.action_space.low, self.action_space.high
        noises: list[Tensor] = []
        cut: list[tuple[int, int, np.ndarray]] = []
        for step in range(n_rollout_steps):
            with torch.no_grad():
                mean = mean_action(self.policy, torch.as_tensor(self._last_obs, device=self.device))
            noises.append(torch.randn_like(mean))
            sampled = (mean + std * noises[-1]).cpu()  # the step's one wait for the device
            require_finite({"the policy's actions": sampled}, self.num_timesteps)
            actions = sampled.numpy()
            clipped_actions = actions.reshape(env.num_envs, *low.shape).clip(low, high)
            new_obs, rewards, dones, infos = env.step(clipped_actions)
            self.num_timesteps += env.num_envs
            callback.update_locals(locals())
            if not callback.on_step():
                return False
            self._update_info_buffer(infos, dones)
            for index in np.flatnonzero(dones).tolist():
                last = infos[index].get("terminal_observation")
                if last is not None and infos[index].get("TimeLimit.truncated", False):
                    cut.append((step, index, last))
            rollout_buffer.observations[step] = self._last_obs
            rollout_buffer.actions[step] = actions
            rollout_buffer.rewards[step] = rewards
            rollout_buffer.episode_starts[step] = self._last_episode_starts
            rollout_buffer.pos += 1
            self._last_obs, self._last_episode_starts = new_obs, dones  # type: ignore[assignment]
        rollout_buffer.full = True
        rollout_buffer.log_probs[:] = self._log_prob(torch.stack(noises)).cpu().numpy()
        observed = torch.as_tensor(rollout_buffer.observations, device=self.device).flatten(0, 1)
        rollout_buffer.values[:] = self._values(observed).reshape(rollout_buffer.values.shape).cpu().numpy()
        if cut:
            steps, envs, ends = zip(*cut, strict=True)
            bootstrap = self.gamma * self._values(torch.as_tensor(np.stack(ends), device=self.device))
            np.add.at(rollout_buffer.rewards, (steps, envs), bootstrap.cpu().numpy())
        values = self._values(torch.as_tensor(self._last_obs, device=self.device))
        rollout_buffer.compute_returns_and_advantage(last_values=values, dones=dones)
        callback.update_locals(locals())
        callback.on_rollout_end()
        return True

    def _log_prob(self, noise: Tensor) -> Tensor:
        """Of mean + std · noise [..., A], in nats: [...]."""
        return gaussian_log_prob(noise, torch.zeros_like(noise), 1.0).sum(-1) - self.policy.log_std.detach().sum()

    @torch.no_grad()
    def _values(self, observations: Tensor) -> Tensor:
        """[B] for observations [B, ...]."""
        return torch.cat([self.policy.predict_values(rows) for rows in observations.split(VALUE_ROWS)]).flatten()


@dataclass(frozen=True)
class DeviceRollout:
    """T steps of N worlds as tensors of one device, written in place from rollout to rollout."""

    observations: Tensor
    """[T, N, O]: what the policy acted on."""
    next_observations: Tensor
    """[T, N, O]: what the step led to, at an episode's end its true last observation."""
    actions: Tensor
    """[T, N, A]: as the policy drew them, beyond the bounds where it did."""
    received: Tensor
    """[T, N, A]: as the worlds received them, within their bounds."""
    log_probs: Tensor
    """[T, N]: of `actions`, nats."""
    task_rewards: Tensor
    """[T, N]: what the task pays."""
    rewards: Tensor
    """[T, N]: what the policy learns from."""
    starts: Tensor
    """[T, N] bool: the step is an episode's first."""
    terminated: Tensor
    """[T, N] bool."""
    truncated: Tensor
    """[T, N] bool: the time limit came and the task was not over."""
    episode_returns: Tensor
    """[T, N]: the task's rewards of the episode up to and with the step."""
    episode_lengths: Tensor
    """[T, N] int64."""

    @classmethod
    def empty(cls, steps: int, n_envs: int, observed: int, acted: int, device: torch.device) -> "DeviceRollout":
        """Room for T = `steps`, N = `n_envs`, O = `observed` and A = `acted`."""

        def room(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(steps, n_envs, *shape, dtype=dtype, device=device)

        return cls(
            observations=room(observed),
            next_observations=room(observed),
            actions=room(acted),
            received=room(acted),
            log_probs=room(),
            task_rewards=room(),
            rewards=room(),
            starts=room(dtype=torch.bool),
            terminated=room(dtype=torch.bool),
            truncated=room(dtype=torch.bool),
            episode_returns=room(),
            episode_lengths=room(dtype=torch.int64),
        )

    def write(self, step: int, **rows: Tensor) -> None:
        """Fill step t of the named fields."""
        for name, row in rows.items():
            getattr(self, name)[step].copy_(row)

    @property
    def finished(self) -> Tensor:
        """[T, N] bool: the episode ended with the step."""
        return self.terminated | self.truncated

    def transitions(self) -> Transitions:
        """All as T·N transitions, time-major. Views, that the next rollout writes over."""
        fields = (self.observations, self.received, self.next_observations, self.terminated, self.truncated)
        return Transitions(*(each.flatten(0, 1) for each in fields))
