"""A discriminator between demonstrations and the policy's own transitions, as a reward source."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from rlgen import distributed
from rlgen.checks import one_of, positive, share, widths
from rlgen.data.transitions import Transitions
from rlgen.equations.divergences import DIVERGENCES
from rlgen.errors import problem
from rlgen.nn.contest import contest, reported
from rlgen.nn.layers import ACTIVATIONS, mlp
from rlgen.nn.normaliser import Normaliser
from rlgen.nn.optimiser_state import load_optimiser
from rlgen.nn.penalties import GradientPenalty, Penalty
from rlgen.nn.recorded import Recorded

Inputs = Literal["state_action", "state_transition"]

# A divergence that joins the table can be chosen by that; a static checker cannot follow it.
if TYPE_CHECKING:
    DivergenceName = str
else:
    DivergenceName = Literal[*DIVERGENCES]


@dataclass(frozen=True, kw_only=True)
class AdversarialConfig:
    """Discriminator of adversarial imitation."""

    hidden: tuple[int, ...] = (128, 128)
    """Widths of the discriminator's hidden layers."""
    activation: Literal["tanh", "relu"] = "tanh"
    """Activation between them."""
    learning_rate: float = 3e-4
    """Adam's learning rate at the start."""
    final_rate: float = 1.0
    """Share of the learning rate that is left at the end of the run; it falls step by step. 1: constant."""
    updates_per_rollout: int = 8
    """Gradient steps after each rollout."""
    batch_size: int = 1024
    """Rows drawn from each side, expert and policy, per gradient step."""
    divergence: DivergenceName = "minimax"
    """Loss and reward. With the loss of GAIL, minimax pays -log(1-D), non_saturating log D, reverse_kl log D - log(1-D)
    and fairl -h exp h, h being log D - log(1-D). least_squares is that of AMP; hinge and wasserstein pay the
    discriminator's output, the latter with a gradient penalty (WGAIL-GP); f_... are the f-divergences of f-GAN, which
    pay the conjugate."""
    zero: Literal["own", "lowest"] = "own"
    """Where rewards count from. own: as the divergence has it; lowest: from the lowest one of the rollout, so that none
    is negative and a longer episode never earns less. What an early end is worth depends on that, and nothing else."""
    inputs: Inputs = "state_action"
    """What the discriminator sees: (s, a), or (s, s'), which also suits demonstrations whose actions are not known.
    Their file then needs an array of actions of any values, and GAIL no warm start."""
    normaliser: Literal["expert", "running"] = "expert"
    """Statistics of the inputs: of the demonstrations alone, or merged with every rollout, before learning from it."""

    def __post_init__(self) -> None:
        positive(self, "learning_rate", "updates_per_rollout", "batch_size")
        share(self, "final_rate", remedy="use e.g. 0.1, or 1 for a constant rate")
        widths(self, "hidden")
        one_of(self, "divergence", DIVERGENCES)
        one_of(self, "zero", ("own", "lowest"))


@dataclass(frozen=True)
class ActionScale:
    """Actions from [low, high] to [-1, 1]; numbers without bounds, or that cannot move, keep their unit. Shapes [A]."""

    centre: Tensor
    half_range: Tensor

    @classmethod
    def of(cls, low: Tensor, high: Tensor) -> "ActionScale":
        bounded = torch.isfinite(low) & torch.isfinite(high) & (low < high)
        centre = torch.where(bounded, (low + high) / 2, torch.zeros_like(low))
        half_range = torch.where(bounded, (high - low) / 2, torch.ones_like(low))
        return cls(centre, half_range)

    def __call__(self, actions: Tensor) -> Tensor:
        return (actions - self.centre) / self.half_range


@dataclass
class Adversarial:
    """GAIL's discriminator (Ho & Ermon 2016, Alg. 1): tells expert rows from policy rows, pays for passing as expert.

    `demonstrations` stay on their device; actions in environment scale are brought to [-1, 1] by `low`, `high` [A].
    """

    demonstrations: Transitions
    low: Tensor
    high: Tensor
    config: AdversarialConfig = field(default_factory=AdversarialConfig)
    penalties: Sequence[Penalty] = (GradientPenalty(weight=1.0),)

    def __post_init__(self) -> None:
        if len(self.demonstrations) == 0:
            raise problem("at least one demonstrated transition", "none", "load a file with episodes")
        device = self.demonstrations.observations.device
        self.scale = ActionScale.of(self.low.to(device), self.high.to(device))
        self.divergence = DIVERGENCES[self.config.divergence]
        one = torch.ones(1)
        self._floats = bool(self.divergence.boundary(one, one) != 0)
        self.normaliser = Normaliser.of(self.demonstrations.observations)
        self._expert: Tensor | None = None
        observation_size = self.demonstrations.observations.shape[1]
        second = observation_size if self.config.inputs == "state_transition" else self.demonstrations.actions.shape[1]
        network: nn.Module = mlp(
            [observation_size + second, *self.config.hidden, 1], ACTIVATIONS[self.config.activation]
        ).to(device)
        for penalty in self.penalties:
            network = penalty.wrap(network)
        self.network = network
        self.optimiser = torch.optim.Adam(network.parameters(), self.config.learning_rate, fused=True)
        self._recorded = Recorded(self.step, self.optimiser)

    def logit(self, inputs: Tensor) -> Tensor:
        """[B, D] to expert_logit [B]."""
        return self.network(inputs).squeeze(-1)

    def inputs(self, batch: Transitions) -> Tensor:
        """What the discriminator sees of a batch, normalised: [B, D]."""
        observations = self.normaliser(batch.observations)
        if self.config.inputs == "state_transition":
            return torch.cat([observations, self.normaliser(batch.next_observations)], -1)
        return torch.cat([observations, self.scale(batch.actions)], -1)

    @property
    def reads_next_observations(self) -> bool:
        return self.config.inputs == "state_transition"

    def expert_inputs(self) -> Tensor:
        """`inputs` of the demonstrations; computed once where nothing moves them."""
        if self.config.normaliser == "running":
            return self.inputs(self.demonstrations)
        if self._expert is None:
            self._expert = self.inputs(self.demonstrations)
        return self._expert

    def reward(self, batch: Transitions) -> Tensor:
        """A critic that is known up to a constant pays from halfway between the demonstrations' mean and the batch's:
        else its own, arbitrary constant would decide whether a long episode is worth more than a short one."""
        self.network.eval()  # in training mode a spectral norm moves with every pass
        with torch.no_grad():
            logit = self.logit(self.inputs(batch))
            if self._floats:
                boundary = torch.as_tensor(self.divergence.boundary(self.logit(self.expert_inputs()), logit))
                logit = logit - distributed.all_reduce_mean(boundary)
            reward = self.divergence.reward(logit)
            return reward + distributed.all_reduce_max((-reward).max()) if self.config.zero == "lowest" else reward

    def update(self, batch: Transitions) -> dict[str, Tensor]:
        if self.config.normaliser == "running":
            self.normaliser.merge_rollout(batch.observations)
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
            for name, value in self._recorded(rows).items():
                totals[name] = totals.get(name, 0.0) + value
        metrics = {name: total / self.config.updates_per_rollout for name, total in totals.items()}
        return metrics | reported(self.penalties)

    def step(self, rows: Tensor) -> dict[str, Tensor]:
        """One gradient step on inputs [2B, D]: B of the expert, then B of the policy."""
        (expert, policy), (expert_logit, policy_logit) = rows.chunk(2), self.logit(rows).chunk(2)
        found = contest(self.divergence, self.penalties, self.logit, expert, policy, expert_logit, policy_logit)
        self.optimiser.zero_grad(set_to_none=True)
        (found.loss + found.penalty).backward()
        self.optimiser.step()
        return {
            "loss": found.loss.detach(),
            "penalty": found.penalty.detach(),
            "expert_accuracy": found.real_accuracy,
            "policy_accuracy": found.fake_accuracy,
        }

    def state_dict(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "normaliser": self.normaliser.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        load_optimiser(self.optimiser, state["optimiser"])
        self.normaliser.load_state_dict(state["normaliser"])
        self._expert = None
