"""Stable-Baselines3's SAC with less work per gradient step."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from stable_baselines3 import SAC
from stable_baselines3.sac.policies import Actor
from torch import Tensor, nn
from torch.nn import functional as F

from rlgen.equations.gaussians import gaussian_log_prob

LEAST_SLOPE = 1e-6
"""Added by SB3 to the derivative of tanh, whose logarithm is taken."""


class FastSAC(SAC):
    """SAC with the gradient steps of SB3's, up to rounding, but faster for small networks: the actor's gradient leaves
    out that of the critics' weights, which SB3 computes and throws away, actions and their likelihoods come from a
    formula instead of distribution objects, and target networks change in one operation.

    Policies with gSDE or with an actor of another class use SB3's own steps. Saved files open with `SAC.load`.
    """

    def train(self, gradient_steps: int, batch_size: int = 64) -> None:
        """Takes gradient steps on the replay buffer, and logs what `SAC.train` logs."""
        if self.use_sde or type(self.actor) is not Actor or self.critic.share_features_extractor:
            return super().train(gradient_steps, batch_size)
        self.policy.set_training_mode(True)
        optimizers = [self.actor.optimizer, self.critic.optimizer, self.ent_coef_optimizer]
        self._update_learning_rate([each for each in optimizers if each is not None])
        losses: dict[str, list[Tensor]] = {}
        for step in range(gradient_steps):
            for name, value in self._learn(batch_size).items():
                losses.setdefault(name, []).append(value.detach())
            if step % self.target_update_interval == 0:
                with torch.no_grad():
                    moved: list[Tensor] = list(self.critic_target.parameters())
                    towards: list[Tensor] = list(self.critic.parameters())
                    torch._foreach_lerp_(moved, towards, self.tau)
                    for copy, statistics in zip(self.batch_norm_stats_target, self.batch_norm_stats, strict=True):
                        copy.copy_(statistics)
        self._n_updates += gradient_steps
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        for name, values in losses.items():
            self.logger.record(f"train/{name}", float(torch.stack(values).mean()))

    def _learn(self, batch_size: int) -> dict[str, Tensor]:
        """One gradient step of temperature, critics and actor; returns what is logged."""
        assert self.replay_buffer is not None
        rows: Any = self.replay_buffer.sample(batch_size, env=self._vec_normalize_env)
        actions, log_prob = squashed_sample(self.actor, rows.observations)
        found: dict[str, Tensor] = {}
        if self.ent_coef_optimizer is not None:
            assert self.log_ent_coef is not None
            temperature = self.log_ent_coef.detach().exp()
            loss = -(self.log_ent_coef * (log_prob.detach() + float(self.target_entropy))).mean()
            _step(self.ent_coef_optimizer, loss)
            found["ent_coef_loss"] = loss
        else:
            temperature = self.ent_coef_tensor
        target = self._target(rows, temperature)
        errors = [F.mse_loss(value, target) for value in self.critic(rows.observations, rows.actions)]
        critics = 0.5 * torch.stack(errors).sum()
        _step(self.critic.optimizer, critics)
        with _constant(self.critic):
            values = torch.cat(self.critic(rows.observations, actions), 1).min(1, keepdim=True).values
        actor = (temperature * log_prob - values).mean()
        if actor.requires_grad:
            _step(self.actor.optimizer, actor)
        return {"ent_coef": temperature.mean(), "actor_loss": actor, "critic_loss": critics, **found}

    @torch.no_grad()
    def _target(self, rows: Any, temperature: Tensor) -> Tensor:
        """Targets [B, 1] of the critics."""
        actions, log_prob = squashed_sample(self.actor, rows.next_observations)
        values = torch.cat(self.critic_target(rows.next_observations, actions), 1).min(1, keepdim=True).values
        discounts = self.gamma if rows.discounts is None else rows.discounts
        return rows.rewards + (1 - rows.dones) * discounts * (values - temperature * log_prob)


def squashed_sample(actor: Actor, observations: Any) -> tuple[Tensor, Tensor]:
    """Random actions [B, A] in [-1, 1] of SB3's actor and their log-likelihood [B, 1], nats, from the random numbers
    that SB3 draws. Haarnoja et al. 2018 (SAC, 1801.01290), appendix C."""
    mean, log_std, _ = actor.get_action_dist_params(observations)
    noise = torch.normal(torch.zeros_like(mean), torch.ones_like(mean))
    actions = torch.tanh(mean + log_std.exp() * noise)
    slope = 1 - actions.square() + LEAST_SLOPE
    each = gaussian_log_prob(noise, torch.zeros_like(noise), 1.0) - log_std - slope.log()
    return actions, each.sum(1, keepdim=True)


def _step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


@contextmanager
def _constant(network: nn.Module) -> Iterator[None]:
    """Within the block the network's weights have no gradient."""
    learning = [each for each in network.parameters() if each.requires_grad]
    for each in learning:
        each.requires_grad_(False)
    try:
        yield
    finally:
        for each in learning:
            each.requires_grad_(True)
