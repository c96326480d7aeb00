"""SB3's rollouts with less overhead between environment steps."""

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

from rlgen.equations.gaussians import gaussian_log_prob
from rlgen.sb3.finite import require_finite
from rlgen.sb3.gaussian_policy import is_plain_gaussian, mean_action, values_of


class ActOnOneThread(BaseCallback):
    """One torch thread while an on-policy model acts; while it learns, as many as torch had at the start.

    Put it first among the callbacks, and run the training within `torch_threads`, which restores the number after an
    exception.
    """

    model: OnPolicyAlgorithm

    def _init_callback(self) -> None:
        self.learning_threads = torch.get_num_threads()

    def _on_step(self) -> bool:
        buffer = self.model.rollout_buffer
        if buffer.pos == buffer.buffer_size - 1:  # the environments have stepped; the values of all steps may follow
            torch.set_num_threads(self.learning_threads)
        return True

    def _on_rollout_start(self) -> None:
        torch.set_num_threads(1)


VALUE_ROWS = 8192  # per pass through the value function


class FastRollout(OnPolicyAlgorithm):
    """Mixin: SB3's rollouts, up to rounding, with all values and log-probabilities computed together at the end.

    During the rollout, a callback's `locals` lack the tensors that SB3 computes per step (`values`, `log_probs`,
    `obs_tensor`). Policies that are not plain Gaussians, observations that are not arrays and custom rollout buffers
    use SB3's own rollouts. Raises `InputError` when the policy's actions are no longer finite.
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
            sampled = (mean + std * noises[-1]).cpu()  # the only host synchronization of the step
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
        """Log-probability of mean + std · noise [..., A], in nats: [...]."""
        return gaussian_log_prob(noise, torch.zeros_like(noise), 1.0).sum(-1) - self.policy.log_std.detach().sum()

    def _values(self, observations: Tensor) -> Tensor:
        return values_of(self.policy, observations, VALUE_ROWS)
