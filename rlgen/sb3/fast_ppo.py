"""SB3's PPO with less overhead: the same numbers from fewer and larger operations."""

from collections.abc import Iterator

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.utils import explained_variance
from torch.nn.utils import clip_grad_norm_

from rlgen.equations.policy_gradient import kl_estimate
from rlgen.sb3.fast_rollout import FastRollout
from rlgen.sb3.finite import require_finite
from rlgen.sb3.gaussian_policy import Minibatch, Update, is_plain_gaussian, surrogate_loss


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
        for rows in zip(*(tensor.split(self.batch_size) for tensor in shuffled), strict=True):
            batch = Minibatch(*rows)
            if self.normalize_advantage and len(batch.advantages) > 1:
                centered = batch.advantages - batch.advantages.mean()
                batch = batch._replace(advantages=centered / (batch.advantages.std() + 1e-8))
            yield batch

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
