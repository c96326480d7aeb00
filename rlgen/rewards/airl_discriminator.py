"""AIRL's discriminator: a reward, a potential and the policy's likelihood, as a reward source."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from rlgen import distributed
from rlgen.checks import at_least, one_of, positive, widths
from rlgen.data.transitions import Transitions
from rlgen.deprecation import UNLESS_DEFAULT
from rlgen.display import Metric, Panel
from rlgen.equations.divergences import DIVERGENCES
from rlgen.equations.shaped_rewards import policy_ratio_logit, shaped_reward
from rlgen.errors import problem
from rlgen.nn.cuda_graph import CudaGraphStep
from rlgen.nn.discriminator_loss import discriminator_loss
from rlgen.nn.layers import mlp
from rlgen.nn.normalizer import ActionScale
from rlgen.nn.optimizer_state import load_optimizer
from rlgen.rewards.adversarial import Adversarial
from rlgen.rewards.learned_reward import LearnedReward, RewardShape
from rlgen.rewards.observation_rows import selected
from rlgen.rewards.replay_pool import RowPool
from rlgen.rewards.source import TaskShape

EXPERT_ROWS = 8192
"""Demonstrated rows whose likelihood is computed at a time."""
LogProb = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class AIRLDiscriminatorConfig:
    """Settings of AIRL's discriminator. Networks and learning rate are those of the authors' code."""

    inputs: Literal["state", "state_action"] = "state"
    """Input of the learned reward. state: only such a reward can be the same for other dynamics (Fu et al. 2018,
    section 5); state_action: also sees what the experts' actions cost."""
    observed: tuple[str, ...] = field(default=(), metadata=UNLESS_DEFAULT)
    """Observation dimensions that the learned reward sees, each a number from 0 on or a range such as 0-10, both ends
    included; by default all. A reward of few, e.g. the velocity of a body, holds for more other dynamics. The potential
    sees all."""
    hidden: tuple[int, ...] = (32, 32)
    """Widths of the hidden layers of the reward."""
    potential_hidden: tuple[int, ...] = (32, 32)
    """Widths of the hidden layers of the potential, which takes up what belongs to the dynamics."""
    learning_rate: float = 1e-3
    """Adam's learning rate."""
    weight_decay: float = 0.0
    """Weight decay of both networks."""
    zero: Literal["own", "lowest"] = "own"
    """Origin of rewards. own: f - log π, which fits tasks whose episodes end by time limits only; lowest: minus the
    lowest reward of the rollout, so that a policy does not learn to fall where a fall ends the episode."""
    updates_per_rollout: int = 8
    """Gradient steps after each rollout."""
    batch_size: int = 1024
    """Rows per gradient step from each side, expert and policy."""
    past_rollouts: int = field(default=0, metadata=UNLESS_DEFAULT)
    """Earlier rollouts that make half of the policy's rows, each with its own policy's likelihoods (the paper: 20); 0
    for none. They keep the reward of behavior that the policy has left behind, which another policy starts with."""

    def __post_init__(self) -> None:
        one_of(self, "inputs", ("state", "state_action"))
        one_of(self, "zero", ("own", "lowest"))
        positive(self, "learning_rate", "updates_per_rollout", "batch_size")
        at_least(self, 0, "weight_decay", "past_rollouts")
        widths(self, "hidden", "potential_hidden")


class AIRLDiscriminator:
    """D = exp(f) / (exp(f) + π), f = g + γ h(s') - h(s); its reward is f - log π (Fu et al. 2018, 1710.11248).

    Args:
        demonstrations: expert transitions, on their device.
        task: sizes of the task; actions are continuous or of a Discrete space.
        low, high: bounds [A] of continuous actions.
        log_prob: log-probabilities [B] of demonstrated actions [B, A] under the current policy, for observations
            [B, O], in nats.
        gamma: discount of the learner.

    Before `update` and `reward`, `policy_log_prob` must be those of the batch's actions as the policy drew them: the
    batch itself has them clipped to the action space.
    """

    panels: ClassVar[tuple[Panel, ...]] = (
        Adversarial.panels[0],
        Panel("Discriminator loss [nats]", (Metric("loss", "loss"),)),
    )
    policy_log_prob: Tensor | None = None
    """[B], nats."""

    def __init__(
        self,
        demonstrations: Transitions,
        task: TaskShape,
        low: Tensor,
        high: Tensor,
        log_prob: LogProb,
        gamma: float,
        config: AIRLDiscriminatorConfig,
    ):
        self.demonstrations, self.task, self.log_prob = demonstrations, task, log_prob
        self.gamma, self.config = gamma, config
        shape = RewardShape(
            observation_size=task.observation_size,
            action_size=task.action_size,
            n_actions=task.n_actions,
            inputs=config.inputs,
            hidden=config.hidden,
            observed=tuple(selected(config.observed, task.observation_size)) if config.observed else (),
        )
        device = demonstrations.observations.device
        self.learned = LearnedReward(shape).to(device)
        self.learned.normalizer.merge(demonstrations.observations)
        if task.n_actions is None:
            scale = ActionScale.of(low.to(device), high.to(device))
            self.learned.center.copy_(scale.center)
            self.learned.half_range.copy_(scale.half_range)
        self.potential = mlp([task.observation_size, *config.potential_hidden, 1], nn.ReLU).to(device)
        parameters = [*self.learned.parameters(), *self.potential.parameters()]
        self.optimizer = torch.optim.Adam(
            parameters, config.learning_rate, weight_decay=config.weight_decay, fused=True
        )
        self.past = RowPool(config.past_rollouts * config.batch_size) if config.past_rollouts else None
        """Random rows of the last rollouts, as many of each."""
        self._graph_step = CudaGraphStep(self.step, self.optimizer)  # on a CPU, `step` itself

    def rows(self, batch: Transitions, log_prob: Tensor) -> Tensor:
        """The batch in one tensor [B, 2 O + A + 2]: observations, next ones, actions, ends and log-probabilities."""
        ends = batch.terminated.float()
        return torch.cat(
            [batch.observations, batch.next_observations, batch.actions, ends[:, None], log_prob[:, None]], 1
        )

    def logit(self, rows: Tensor) -> Tensor:
        """expert_logit [B] of `rows`."""
        size, acted = self.task.observation_size, self.task.action_size
        before, after, actions, ended, log_prob = rows.split([size, size, acted, 1, 1], 1)
        now, then = (self.potential(self.learned.normalizer(seen)).squeeze(1) for seen in (before, after))
        shaped = shaped_reward(self.learned(before, actions), now, then, ended.squeeze(1) > 0, self.gamma)
        return policy_ratio_logit(shaped, log_prob.squeeze(1))

    def update(self, batch: Transitions) -> dict[str, Tensor]:
        distributed.broadcast_parameters(self.learned)
        distributed.broadcast_parameters(self.potential)
        expert, policy = self._expert_rows(), self.rows(batch, self._log_prob_of(batch))
        size, totals = self.config.batch_size, dict[str, Tensor]()
        halves = (rows := expert.new_empty(2 * size, expert.shape[1])).chunk(2)
        for _ in range(self.config.updates_per_rollout):
            torch.index_select(expert, 0, torch.randint(len(expert), (size,), device=expert.device), out=halves[0])
            halves[1].copy_(self._policy_rows(policy, size))
            for name, value in self._graph_step(rows).items():
                totals[name] = totals.get(name, 0.0) + value
        if self.past is not None:
            self.past.add_rows([policy[torch.randint(len(policy), (size,), device=policy.device)]])
        return {name: total / self.config.updates_per_rollout for name, total in totals.items()}

    def _policy_rows(self, rollout: Tensor, n: int) -> Tensor:
        """`n` random rows of the rollout, half of them of earlier ones where these are kept."""
        earlier = n // 2 if self.past else 0
        (new,) = distributed.draw([rollout], len(rollout), n - earlier)
        return torch.cat([*self.past.draw_rows(earlier), new]) if self.past else new

    def step(self, rows: Tensor) -> dict[str, Tensor]:
        """One gradient step on rows [2B, D]: B of the expert, then B of the policy."""
        expert, policy = rows.chunk(2)
        logits = self.logit(rows).chunk(2)
        found = discriminator_loss(DIVERGENCES["reverse_kl"], [], self.logit, expert, policy, *logits)
        self.optimizer.zero_grad(set_to_none=True)
        found.loss.backward()
        self.optimizer.step()
        return {
            "loss": found.loss.detach(),
            "expert_accuracy": found.real_accuracy,
            "policy_accuracy": found.fake_accuracy,
        }

    def reward(self, batch: Transitions) -> Tensor:
        """log D - log(1 - D) [B], from the origin that is set."""
        with torch.no_grad():
            reward = self.logit(self.rows(batch, self._log_prob_of(batch)))
            return reward if self.config.zero == "own" else reward + distributed.all_reduce_max((-reward).max())

    def _log_prob_of(self, batch: Transitions) -> Tensor:
        found = self.policy_log_prob
        if found is None or found.shape != (len(batch),):
            got = "none" if found is None else f"a tensor {list(found.shape)}"
            remedy = "set policy_log_prob before each update and reward, as agents/airl.py does"
            raise problem(f"log-probabilities [{len(batch)}] of the policy's actions", got, remedy)
        return found

    @torch.no_grad()
    def _expert_rows(self) -> Tensor:
        """The demonstrations with their likelihoods under the current policy."""
        demonstrations = self.demonstrations
        parts = zip(
            *(each.split(EXPERT_ROWS) for each in (demonstrations.observations, demonstrations.actions)), strict=True
        )
        return self.rows(demonstrations, torch.cat([self.log_prob(*part) for part in parts]))

    def state_dict(self) -> dict[str, Any]:
        return {
            "reward": self.learned.state_dict(),
            "potential": self.potential.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            **({} if self.past is None else {"past": self.past.state_dict()}),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.learned.load_state_dict(state["reward"])
        self.potential.load_state_dict(state["potential"])
        load_optimizer(self.optimizer, state["optimizer"])
        if self.past is not None:
            self.past.load_state_dict(state["past"])
