"""SB3's PPO with less overhead: the same numbers from fewer and larger operations."""

from collections.abc import Iterator

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.utils import explained_variance
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from rlgen.equations.gaussians import gaussian_log_prob
from rlgen.equations.policy_gradient import kl_estimate
from rlgen.sb3.actor_critic import (
    Before,
    Minibatch,
    Update,
    is_plain_gaussian,
    mean_action,
    surrogate_loss,
    values_of,
)
from rlgen.sb3.exploration_noise import WHITE, ExplorationNoise
from rlgen.sb3.finite import require_finite


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
    """Mixin: SB3's rollouts, up to rounding, with all values and log-probabilities computed together at the end, and
    with noise that may be correlated in time (`exploration_noise`).

    During the rollout, a callback's `locals` lack the tensors that SB3 computes per step (`values`, `log_probs`,
    `obs_tensor`). Policies that are not plain Gaussians, observations that are not arrays and custom rollout buffers
    use SB3's own rollouts. Raises `InputError` when the policy's actions are no longer finite.
    """

    action_space: spaces.Box
    _last_obs: np.ndarray
    exploration_noise: ExplorationNoise = WHITE

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "exploration_noise"]

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
        noise = self.exploration_noise.begin(n_rollout_steps, env.num_envs, len(std), self.device)
        cut: list[tuple[int, int, np.ndarray]] = []
        for step in range(n_rollout_steps):
            with torch.no_grad():
                mean = mean_action(self.policy, torch.as_tensor(self._last_obs, device=self.device))
            drawn = noise.draw(torch.as_tensor(self._last_episode_starts, dtype=torch.bool, device=self.device))
            noises.append(drawn.scored)
            sampled = (mean + std * drawn.noise).cpu()  # the only host synchronization of the step
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


class FastPPO(FastRollout, PPO):
    """PPO with the steps of SB3's, up to rounding, but faster for small networks and minibatches: the rollouts of
    `FastRollout`, one gather per epoch, a loss with a hand-written gradient, and one transfer of log values per round.

    Policies that are not plain Gaussians, a clipped value function and custom rollout buffers use SB3's own update.
    Saved files open with `PPO.load`. Raises `InputError` when the loss is no longer finite.
    """

    def train(self) -> None:
        """Learns from the rollout, and logs what `PPO.train` logs."""
        buffer = self.rollout_buffer
        plain = type(buffer) is RolloutBuffer and not buffer.generator_ready
        if not (plain and is_plain_gaussian(self.policy)) or self.clip_range_vf is not None:
            return super().train()
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        clip_range = self.clip_range(self._current_progress_remaining)  # type: ignore[operator]
        updates: list[Update] = []
        for _ in range(self.n_epochs):
            epoch, too_far = self._learn_epoch(clip_range)
            updates += epoch
            self._n_updates += 1
            if too_far:
                break
        self._log(updates, epoch, clip_range)
        require_finite({name: getattr(updates[-1], name) for name in Update._fields[:4]}, self.num_timesteps)

    def _learn_epoch(self, clip_range: float) -> tuple[list[Update], bool]:
        """One pass over the rollout; True if `target_kl` ended it early."""
        updates: list[Update] = []
        parameters, optimizer = list(self.policy.parameters()), self.policy.optimizer
        for rows in self._minibatches():
            update = surrogate_loss(self.policy, rows, clip_range, self.vf_coef, self.ent_coef)
            updates.append(Update(*(value.detach() for value in update)))
            if self.target_kl is not None and kl_estimate(update.log_ratio) > 1.5 * self.target_kl:
                return updates, True
            optimizer.zero_grad()
            update.loss.backward()
            clip_grad_norm_(parameters, self.max_grad_norm)
            optimizer.step()
        return updates, False

    def _minibatches(self) -> Iterator[Minibatch]:
        """The minibatches of `RolloutBuffer.get`: a permutation of the rows numbered environment by environment."""
        buffer = self.rollout_buffer
        steps, n_envs = buffer.rewards.shape
        env, time = np.divmod(np.random.permutation(steps * n_envs), steps)  # noqa: NPY002, the numbers SB3 draws
        order = torch.as_tensor(time * n_envs + env, device=self.device)
        arrays = (buffer.observations, buffer.actions, buffer.log_probs, buffer.advantages, buffer.returns)
        shuffled = (torch.as_tensor(array, device=self.device).flatten(0, 1).index_select(0, order) for array in arrays)
        columns = [tensor.split(self.batch_size) for tensor in shuffled]
        if self.exploration_noise.conditional:
            columns += [tensor[order].split(self.batch_size) for tensor in self._steps_before()]
        for rows in zip(*columns, strict=True):
            observations, actions, log_probs, advantages, returns, *before = rows
            given = Before(*before) if before else None
            batch = Minibatch(observations, actions, log_probs, advantages, returns, given)
            if self.normalize_advantage and len(batch.advantages) > 1:
                centered = batch.advantages - batch.advantages.mean()
                batch = batch._replace(advantages=centered / (batch.advantages.std() + 1e-8))
            yield batch

    def _steps_before(self) -> Before:
        """Of each row of the rollout, time-major, the step before."""
        buffer = self.rollout_buffer
        observed, acted, starts = (
            torch.as_tensor(array, device=self.device)
            for array in (buffer.observations, buffer.actions, buffer.episode_starts)
        )
        going_on = (starts == 0).unsqueeze(-1)
        going_on[0] = False  # noise starts again with a rollout
        correlation = self.exploration_noise.correlation * going_on.to(acted.dtype)
        return Before(*(each.flatten(0, 1) for each in (observed.roll(1, 0), acted.roll(1, 0), correlation)))

    def _log(self, updates: list[Update], last_epoch: list[Update], clip_range: float) -> None:
        """Logs the numbers of `PPO.train`, means over minibatches; the KL divergence is that of the last epoch."""
        buffer = self.rollout_buffer
        mean = {name: torch.stack([getattr(each, name) for each in updates]).mean() for name in Update._fields[1:4]}
        clipped = torch.stack([(each.log_ratio.expm1().abs() > clip_range).float().mean() for each in updates])
        divergence = torch.stack([kl_estimate(each.log_ratio) for each in last_epoch])
        with np.errstate(invalid="ignore"):  # infinite rewards: non-finite weights stop the training
            explained = float(explained_variance(buffer.values.flatten(), buffer.returns.flatten()))
        values = {
            "entropy_loss": -float(mean["entropy"]),
            "policy_gradient_loss": float(mean["policy_loss"]),
            "value_loss": float(mean["value_loss"]),
            "approx_kl": float(divergence.mean()),
            "clip_fraction": float(clipped.mean()),
            "loss": float(updates[-1].loss),
            "explained_variance": explained,
            "std": float(self.policy.log_std.detach().exp().mean()),
            "clip_range": clip_range,
        }
        for name, value in values.items():
            self.logger.record(f"train/{name}", value)
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
