"""PPO whose environments, rollouts and updates stay on one device."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from rlgen import distributed
from rlgen.equations.gaussians import gaussian_log_prob
from rlgen.equations.policy_gradient import generalized_advantages, kl_estimate
from rlgen.errors import problem
from rlgen.nn.cuda_graph import CudaGraphStep, make_capturable, set_rate
from rlgen.sb3.actor_critic import Minibatch, is_plain_gaussian, mean_action, surrogate_loss, values_of
from rlgen.sb3.adaptive_rate import KLAdaptiveLR, progress_remaining
from rlgen.sb3.device_rollout import DeviceRollout
from rlgen.sb3.exploration_noise import WHITE, ExplorationNoise
from rlgen.sb3.finite import not_finite
from rlgen.sb3.vec_env import SimVecEnv
from rlgen.sim.device_env import DeviceEnv, NumpySim

VALUE_ROWS = 65_536  # per pass through the value function


def device_env_of(env: Any) -> DeviceEnv | None:
    """The `DeviceEnv` behind an SB3 environment of `make_vec(..., backend="warp")`; None for any other."""
    return env.sim.env if isinstance(env, SimVecEnv) and isinstance(env.sim, NumpySim) else None


class DevicePPO(PPO):
    """SB3's PPO on an environment of `make_vec(..., backend="warp")`: the same steps, without host synchronization from
    a rollout's first action to its last gradient.

    Saved files open with `PPO.load`. Callbacks see `rollout`, a `DeviceRollout`, instead of the rollout buffer, and
    among their `locals` in a step `step` (`rlgen.sim.device_env.DeviceStep`) instead of `infos`, `rewards`, `dones`;
    `rollout.log` (`rlgen.sb3.log.DeviceLog`) logs tensors. The policy learns from `rollout.rewards`, which a callback
    may change when a rollout ends. Numbers reach the host once a round, together; the room for contacts is checked
    then.

    Raises `InputError` for another kind of environment, a device other than the environment's, a policy that is not a
    plain Gaussian, a clipped value function or a `target_kl`, which would have to wait for the device to end a round
    early; and when a loss is no longer finite.

    In a data-parallel training (`rlgen.distributed`), `n_envs` and `batch_size` are those of each process; gradients,
    the standard deviation of advantages and the KL divergence are over all of them, logged values are their means, and
    `num_timesteps` counts the steps of all.
    """

    action_space: spaces.Box
    exploration_noise: ExplorationNoise = WHITE
    data_parallel = True
    """Whether several processes can train one model (`rlgen.distributed`)."""

    def _setup_model(self) -> None:
        super()._setup_model()
        device_env = device_env_of(self.env)
        if device_env is None:
            raise problem("an environment on the warp backend", str(self.env), 'use make_vec(..., backend="warp")')
        if device_env.device != self.device:
            got = f"environments on {device_env.device}, a policy on {self.device}"
            raise problem("environments and policy on one device", got, "give both the same device")
        if not is_plain_gaussian(self.policy):
            raise problem("a plain Gaussian policy", type(self.policy).__name__, 'use "MlpPolicy" without gSDE')
        for name in ("clip_range_vf", "target_kl"):
            if getattr(self, name) is not None:
                raise problem(f"no {name} on a device", str(getattr(self, name)), "leave it out")
        self.device_env = device_env
        observed, acted = self.observation_space.shape, self.action_space.shape
        assert observed is not None
        self.rollout = DeviceRollout.empty(self.n_steps, self.n_envs, observed[0], acted[0], self.device)
        bounds = (self.action_space.low, self.action_space.high)
        self._low, self._high = (torch.as_tensor(bound, device=self.device) for bound in bounds)
        self._clip = torch.zeros((), device=self.device)
        self._learned = {
            name: torch.zeros(self.n_steps * self.n_envs, device=self.device) for name in ("advantages", "returns")
        }
        alone = distributed.world_size() == 1  # a captured graph cannot contain communication between processes
        recorded = CudaGraphStep(self._step, self.policy.optimizer)
        self._minibatch: Callable[[Tensor], dict[str, Tensor]] = recorded if alone else self._step

    def set_random_seed(self, seed: int | None = None) -> None:
        """As in SB3; with several processes, the seeds of each continue those of the one before it."""
        super().set_random_seed(seed)
        if seed is not None and self.env is not None:
            self.env.seed(seed + distributed.rank() * self.n_envs)

    def _excluded_save_params(self) -> list[str]:
        own = ["exploration_noise", "device_env", "rollout", "_low", "_high", "_clip", "_learned", "_minibatch"]
        return [*super()._excluded_save_params(), *own]

    def collect_rollouts(
        self, env: VecEnv, callback: BaseCallback, rollout_buffer: RolloutBuffer, n_rollout_steps: int
    ) -> bool:
        self.policy.set_training_mode(False)
        distributed.broadcast_parameters(self.policy)
        callback.on_rollout_start()
        rollout, device_env = self.rollout, self.device_env
        log_std = self.policy.log_std.detach()
        std, observations = log_std.exp(), device_env.observe()
        noise = self.exploration_noise.begin(n_rollout_steps, device_env.n_envs, len(std), self.device)
        for t in range(n_rollout_steps):
            rollout.starts[t].copy_(device_env.elapsed == 0)
            with torch.no_grad():
                mean = mean_action(self.policy, observations)
            drawn = noise.draw(rollout.starts[t].bool())
            actions = mean + std * drawn.noise
            received = actions.clamp(self._low, self._high)
            step = device_env.step(received)
            rollout.write(
                t,
                observations=observations,
                next_observations=step.final_observations,
                actions=actions,
                received=received,
                log_probs=gaussian_log_prob(drawn.scored, torch.zeros_like(std), 1.0).sum(-1) - log_std.sum(),
                task_rewards=step.rewards,
                rewards=step.rewards,
                terminated=step.terminated,
                truncated=step.truncated & ~step.terminated,
                episode_returns=step.episode_returns,
                episode_lengths=step.episode_lengths,
            )
            observations = step.observations
            self.num_timesteps += device_env.n_envs * distributed.world_size()
            rollout_buffer.pos = t  # the position of SB3's own buffer
            callback.update_locals(locals())
            if not callback.on_step():
                return False
        callback.on_rollout_end()
        return True

    def train(self) -> None:
        """Learns from the rollout, and logs what `PPO.train` logs and what callbacks have measured."""
        self.policy.set_training_mode(True)
        make_capturable(self.policy.optimizer, self.device)
        self._set_rate()
        self._clip.fill_(self.clip_range(self._current_progress_remaining))  # type: ignore[operator]
        self._estimate_advantages()
        sums: dict[str, Tensor] = {}
        for _ in range(self.n_epochs):
            divergence, count = torch.zeros((), device=self.device), 0
            for rows in self._orders():
                found = self._minibatch(rows)
                sums = {name: sums.get(name, 0.0) + value for name, value in found.items()}
                divergence, count = divergence + found["approx_kl"], count + 1
            self._n_updates += 1
        if isinstance(self.learning_rate, KLAdaptiveLR):
            remaining = progress_remaining(self)
            self.learning_rate.observe(distributed.all_reduce_mean(divergence / count), self.num_timesteps, remaining)
        means = {name: value / (count * self.n_epochs) for name, value in sums.items()}
        self._log({**means, "approx_kl": divergence / count, "loss": found["loss"]})
        self.device_env.check()

    def _estimate_advantages(self) -> None:
        rollout = self.rollout
        values, next_values = (self._values(each) for each in (rollout.observations, rollout.next_observations))
        advantages = generalized_advantages(
            rollout.rewards, values, next_values, rollout.terminated, rollout.finished, self.gamma, self.gae_lambda
        )
        returns = advantages + values
        self._learned["advantages"].copy_(advantages.flatten())
        self._learned["returns"].copy_(returns.flatten())
        rollout.log.record("train/explained_variance", 1 - advantages.var() / (returns.var() + 1e-8))

    def _orders(self) -> Iterator[Tensor]:
        """Row indices of each minibatch of an epoch."""
        order = torch.randperm(self.n_steps * self.n_envs, device=self.device)
        yield from order.split(self.batch_size)

    def _step(self, rows: Tensor) -> dict[str, Tensor]:
        """Takes one gradient step on these rows [B] of the rollout."""
        rollout, learned = self.rollout, self._learned
        observations, actions = (each.flatten(0, 1)[rows] for each in (rollout.observations, rollout.actions))
        old_log_prob, advantages = rollout.log_probs.flatten()[rows], learned["advantages"][rows]
        if self.normalize_advantage and len(rows) > 1:
            center, std = distributed.mean_and_std(advantages)
            advantages = (advantages - center) / (std + 1e-8)
        batch = Minibatch(observations, actions, old_log_prob, advantages, learned["returns"][rows])
        update = surrogate_loss(self.policy, batch, self._clip, self.vf_coef, self.ent_coef)
        self.policy.optimizer.zero_grad(set_to_none=True)
        update.loss.backward()
        distributed.average_gradients(self.policy.parameters())
        clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
        self.policy.optimizer.step()
        return {
            "loss": update.loss.detach(),
            "policy_gradient_loss": update.policy_loss,
            "value_loss": update.value_loss,
            "entropy_loss": -update.entropy.detach(),
            "approx_kl": kl_estimate(update.log_ratio),
            "clip_fraction": (update.log_ratio.expm1().abs() > self._clip).float().mean(),
        }

    def _set_rate(self) -> None:
        """Sets the optimizer's learning rate to the schedule's."""
        schedule: Any = self.learning_rate
        adaptive = isinstance(schedule, KLAdaptiveLR)
        set_rate(
            self.policy.optimizer, schedule.rate if adaptive else self.lr_schedule(self._current_progress_remaining)
        )
        self.rollout.log.record("train/learning_rate", self.policy.optimizer.param_groups[0]["lr"])

    def _log(self, values: dict[str, Tensor]) -> None:
        """Copies all numbers of the round to the host, together."""
        rollout, log, finished = self.rollout, self.rollout.log, self.rollout.finished
        std = self.policy.log_std.detach().exp().mean()
        own = {**values, "clip_range": self._clip, "std": std}
        for name, value in own.items():
            log.record(f"train/{name}", value)
        log.record_episodes("r", (rollout.episode_returns * finished).sum())
        log.record_episodes("l", (rollout.episode_lengths * finished).sum())
        numbers, means = log.take(finished.sum())
        if means and self.ep_info_buffer is not None:  # one entry for all episodes of this round
            self.ep_info_buffer.clear()
            self.ep_info_buffer.append({"r": means.pop("r"), "l": means.pop("l"), "t": 0.0})
            numbers |= means
        for name, number in numbers.items():
            self.logger.record(name, number)
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        lost = [name for name, number in numbers.items() if not math.isfinite(number)]
        if lost:
            raise not_finite(lost[0], self.num_timesteps)

    def _values(self, observations: Tensor) -> Tensor:
        """V [T, N] of observations [T, N, O]."""
        return values_of(self.policy, observations.flatten(0, 1), VALUE_ROWS).view(observations.shape[:2])
