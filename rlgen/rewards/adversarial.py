"""A discriminator between demonstrations and policy transitions, as a reward source, and a warning if the sign of its
reward contradicts how the demonstrated episodes end."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from rlgen import distributed
from rlgen.checks import one_of, positive, share, widths
from rlgen.data.demonstrations import Demonstrations
from rlgen.data.transitions import Transitions
from rlgen.deprecation import renamed_fields
from rlgen.display import Metric, Panel
from rlgen.equations.divergences import DIVERGENCES
from rlgen.errors import problem
from rlgen.nn.cuda_graph import CudaGraphStep
from rlgen.nn.discriminator_loss import discriminator_loss, penalty_metrics
from rlgen.nn.layers import ACTIVATIONS, mlp
from rlgen.nn.normalizer import ActionScale, Normalizer
from rlgen.nn.optimizer_state import load_optimizer
from rlgen.nn.penalties import GradientPenalty, Penalty, penalty_panels

log = logging.getLogger("rlgen")

Inputs = Literal["state_action", "state_transition"]

# Any divergence added to the table becomes a choice, which a static checker cannot follow.
if TYPE_CHECKING:
    DivergenceName = str
else:
    DivergenceName = Literal[*DIVERGENCES]


@renamed_fields(normaliser="normalizer")
@dataclass(frozen=True, kw_only=True)
class AdversarialConfig:
    """Settings of the discriminator of adversarial imitation."""

    hidden: tuple[int, ...] = (128, 128)
    """Widths of the discriminator's hidden layers."""
    activation: Literal["tanh", "relu"] = "tanh"
    """Activation function of the hidden layers."""
    learning_rate: float = 3e-4
    """Initial learning rate of Adam."""
    final_rate: float = 1.0
    """Fraction of the learning rate that is left at the end of the run; it decays with the steps. 1: constant."""
    updates_per_rollout: int = 8
    """Gradient steps after each rollout."""
    batch_size: int = 1024
    """Rows per gradient step from each side, expert and policy."""
    divergence: DivergenceName = "minimax"
    """Divergence, which determines loss and reward. With GAIL's loss the reward is -log(1-D) for minimax, log D for
    non_saturating, h for reverse_kl and -h exp h for fairl, where h = log D - log(1-D). least_squares is AMP's. For
    hinge and wasserstein the reward is the discriminator's output; wasserstein requires a gradient penalty (WGAIL-GP).
    f_... are the f-divergences of f-GAN, whose reward is the conjugate."""
    zero: Literal["own", "lowest"] = "own"
    """Origin of rewards. own: as the divergence defines them; lowest: minus the lowest reward of the rollout, so that
    none is negative and a longer episode never has a lower return. Only this origin decides whether ending an episode
    early is worth anything."""
    inputs: Inputs = "state_action"
    """Input of the discriminator: (s, a), or (s, s'), which also suits demonstrations with unknown actions. Their file
    then still needs an array of actions, with any values, and GAIL must train without its warm start."""
    normalizer: Literal["expert", "running"] = "expert"
    """Statistics that normalize the inputs: of the demonstrations (expert), or merged with every rollout before
    learning from it (running)."""

    def __post_init__(self) -> None:
        positive(self, "learning_rate", "updates_per_rollout", "batch_size")
        share(self, "final_rate", remedy="use e.g. 0.1, or 1 for a constant rate")
        widths(self, "hidden")
        one_of(self, "divergence", DIVERGENCES)
        one_of(self, "zero", ("own", "lowest"))


@dataclass
class Adversarial:
    """GAIL's discriminator (Ho & Ermon 2016, Alg. 1): separates expert rows from policy rows, rewards expert-like ones.

    `demonstrations` stay on their device; `low` and `high` [A] scale actions to [-1, 1].
    """

    demonstrations: Transitions
    low: Tensor
    high: Tensor
    config: AdversarialConfig = field(default_factory=AdversarialConfig)
    penalties: Sequence[Penalty] = (GradientPenalty(weight=1.0),)
    panels: ClassVar[tuple[Panel, ...]] = (
        Panel(
            "Discriminator accuracy",
            (Metric("expert_accuracy", "expert rows"), Metric("policy_accuracy", "policy rows")),
            limits=(0, 1),
            line=0.5,
        ),
        Panel("Discriminator loss [nats]", (Metric("loss", "loss"), Metric("penalty", "penalty"))),
        *penalty_panels(),
    )

    def __post_init__(self) -> None:
        if len(self.demonstrations) == 0:
            raise problem("at least one demonstrated transition", "none", "load a file with episodes")
        device = self.demonstrations.observations.device
        self.scale = ActionScale.of(self.low.to(device), self.high.to(device))
        self.divergence = DIVERGENCES[self.config.divergence]
        one = torch.ones(1)
        self._floats = bool(self.divergence.boundary(one, one) != 0)
        self.normalizer = Normalizer.of(self.demonstrations.observations)
        self._expert: Tensor | None = None
        observation_size = self.demonstrations.observations.shape[1]
        second = observation_size if self.config.inputs == "state_transition" else self.demonstrations.actions.shape[1]
        network: nn.Module = mlp(
            [observation_size + second, *self.config.hidden, 1], ACTIVATIONS[self.config.activation]
        ).to(device)
        for penalty in self.penalties:
            network = penalty.wrap(network)
        self.network = network
        self.optimizer = torch.optim.Adam(network.parameters(), self.config.learning_rate, fused=True)
        self._graph_step = CudaGraphStep(self.step, self.optimizer)  # on a CPU, `step` itself

    def logit(self, inputs: Tensor) -> Tensor:
        """Maps inputs [B, D] to expert_logit [B]."""
        return self.network(inputs).squeeze(-1)

    def inputs(self, batch: Transitions) -> Tensor:
        """Normalized discriminator inputs of a batch: [B, D]."""
        observations = self.normalizer(batch.observations)
        if self.config.inputs == "state_transition":
            return torch.cat([observations, self.normalizer(batch.next_observations)], -1)
        return torch.cat([observations, self.scale(batch.actions)], -1)

    @property
    def reads_next_observations(self) -> bool:
        return self.config.inputs == "state_transition"

    def expert_inputs(self) -> Tensor:
        """`inputs` of the demonstrations; computed once if the normalizer is fixed."""
        if self.config.normalizer == "running":
            return self.inputs(self.demonstrations)
        if self._expert is None:
            self._expert = self.inputs(self.demonstrations)
        return self._expert

    def reward(self, batch: Transitions) -> Tensor:
        """Rewards [B]. A critic that is only defined up to a constant is measured from the midpoint between its means
        on the demonstrations and on the batch: otherwise the arbitrary constant would decide whether a long episode is
        worth more than a short one."""
        self.network.eval()  # in training mode a spectral norm changes with every forward pass
        with torch.no_grad():
            logit = self.logit(self.inputs(batch))
            if self._floats:
                boundary = torch.as_tensor(self.divergence.boundary(self.logit(self.expert_inputs()), logit))
                logit = logit - distributed.all_reduce_mean(boundary)
            reward = self.divergence.reward(logit)
            return reward + distributed.all_reduce_max((-reward).max()) if self.config.zero == "lowest" else reward

    def update(self, batch: Transitions) -> dict[str, Tensor]:
        if self.config.normalizer == "running":
            self.normalizer.merge_rollout(batch.observations)
        distributed.broadcast_parameters(self.network)
        self.network.train()
        expert, policy = self.expert_inputs(), self.inputs(batch)
        rows = expert.new_empty(2 * self.config.batch_size, expert.shape[1])
        halves = rows.chunk(2)
        totals: dict[str, Tensor] = {}
        for _ in range(self.config.updates_per_rollout):
            places = torch.randint(len(expert), (self.config.batch_size,), device=expert.device)
            torch.index_select(expert, 0, places, out=halves[0])
            halves[1].copy_(distributed.draw([policy], len(policy), self.config.batch_size)[0])
            for name, value in self._graph_step(rows).items():
                totals[name] = totals.get(name, 0.0) + value
        metrics = {name: total / self.config.updates_per_rollout for name, total in totals.items()}
        return metrics | penalty_metrics(self.penalties)

    def step(self, rows: Tensor) -> dict[str, Tensor]:
        """One gradient step on inputs [2B, D]: B of the expert, then B of the policy."""
        (expert, policy), (expert_logit, policy_logit) = rows.chunk(2), self.logit(rows).chunk(2)
        found = discriminator_loss(
            self.divergence, self.penalties, self.logit, expert, policy, expert_logit, policy_logit
        )
        self.optimizer.zero_grad(set_to_none=True)
        (found.loss + found.penalty).backward()
        self.optimizer.step()
        return {
            "loss": found.loss.detach(),
            "penalty": found.penalty.detach(),
            "expert_accuracy": found.real_accuracy,
            "policy_accuracy": found.fake_accuracy,
        }

    def state_dict(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "optimiser": self.optimizer.state_dict(),
            "normaliser": self.normalizer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        load_optimizer(self.optimizer, state["optimiser"])
        self.normalizer.load_state_dict(state["normaliser"])
        self._expert = None


LOGITS = torch.linspace(-20, 20, 401)
"""Expert logits that cover the output range of a discriminator."""
USUAL = 0.5
"""Fraction of demonstrated episodes above which an early end counts as the expert's behavior."""


def reward_signs(config: AdversarialConfig) -> tuple[bool, bool]:
    """Whether the reward can be negative, and whether it can be positive."""
    reward = DIVERGENCES[config.divergence].reward(LOGITS)
    if config.zero == "lowest":
        reward = reward - reward.min()
    return bool((reward < 0).any()), bool((reward > 0).any())


def share_ended_by_task(demonstrations: Demonstrations) -> float:
    """Fraction of the demonstrated episodes that the task ended before a time limit. For a subsampled file, which lacks
    most last rows: the fraction of episodes shorter than the longest."""
    lengths = demonstrations.episode_lengths
    if demonstrations.stride > 1:
        return float((lengths < lengths.max()).mean())
    return float(demonstrations.terminated.sum() / len(lengths))


def warn_of_early_ends(config: AdversarialConfig, demonstrations: Demonstrations) -> None:
    """Logs a warning if the sign of the reward teaches the opposite of the expert's behavior.

    A reward that is never negative makes every further step worthwhile: a policy that could reach its goal and end the
    episode avoids the goal. A reward that is never positive makes the policy end the episode as soon as it can.
    Kostrikov et al. 2019 (1809.02925), section 4.
    """
    share = share_ended_by_task(demonstrations)
    negative, positive = reward_signs(config)
    if share > USUAL and not negative:
        log.warning(
            "expected a reward that can be negative, because %.0f %% of the demonstrated episodes end before a time "
            "limit; the %s divergence%s rewards every further step, so the policy learns not to end its episodes; use "
            'AdversarialConfig(divergence="non_saturating"), --gail.discriminator.divergence non_saturating, unless '
            "ending is a failure here",
            *(100 * share, config.divergence, " with zero=lowest" if config.zero == "lowest" else ""),
        )
    if share == 0 and not positive:
        log.warning(
            "expected a reward that can be positive, because no demonstrated episode ends before a time limit; the %s "
            "divergence penalizes every further step, so the policy learns to end its episodes if the task allows it; "
            'use AdversarialConfig(divergence="minimax"), --gail.discriminator.divergence minimax, unless episodes '
            "never end early here",
            config.divergence,
        )
