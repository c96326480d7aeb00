"""A discriminator between demonstrations and policy transitions, as a reward source."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from rlgen import distributed
from rlgen.checks import at_least, one_of, positive, share, widths
from rlgen.data.transitions import Transitions
from rlgen.deprecation import UNLESS_DEFAULT, renamed_fields
from rlgen.display import Metric, Panel
from rlgen.equations.absorbing_states import absorbing_return
from rlgen.equations.divergences import DIVERGENCES, logistic_discriminator_loss
from rlgen.equations.penalties import mixup_discriminator_loss
from rlgen.errors import problem
from rlgen.nn.cuda_graph import CudaGraphStep
from rlgen.nn.discriminator_loss import discriminator_loss, penalty_metrics
from rlgen.nn.layers import ACTIVATIONS, Activation
from rlgen.nn.optimizer_state import load_optimizer
from rlgen.nn.penalties import GradientPenalty, Penalty, penalty_panels
from rlgen.rewards.absorbing_states import AbsorbingStates
from rlgen.rewards.discriminator_network import NETWORKS, discriminator_network
from rlgen.rewards.observation_rows import ROWS_AT_ONCE, LazyRows, ObservationRows, action_encoding, in_parts

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

    network: Literal["perceptron", "diffusion", "conditional_diffusion", "coupled_flows"] = field(
        default="perceptron", metadata=UNLESS_DEFAULT
    )
    """Network of the discriminator. diffusion: a denoiser of the expert's rows, whose error is low at expert-like ones
    (DiffAIL, Wang et al. 2024, 2312.06348); conditional_diffusion: a denoiser of both sides, asked twice (DRAIL, Lai et
    al. 2024, 2405.16194); coupled_flows: densities of both sides, whose log-ratio is the logit (CFIL, Freund et al.
    2023, 2305.00303). These need more time per row, and observations of vectors."""
    hidden: tuple[int, ...] = (128, 128)
    """Widths of the discriminator's hidden layers."""
    activation: Activation = "tanh"
    """Activation function of the hidden layers."""
    learning_rate: float = 3e-4
    """Initial learning rate of Adam."""
    final_rate: float = 1.0
    """Fraction of the learning rate that is left at the end of the run; it decays with the steps. 1: constant."""
    weight_decay: float = field(default=0.0, metadata=UNLESS_DEFAULT)
    """Decoupled weight decay of the discriminator (AdamW, Loshchilov & Hutter 2019, 1711.05101): each gradient step
    shrinks the weights by this times the learning rate; 0 for none."""
    mixup: bool = field(default=False, metadata=UNLESS_DEFAULT)
    """Mixup (Zhang et al. 2018, 1710.09412): a loss on random mixtures of an expert row and a policy row, whose labels
    are mixed alike, instead of the loss on the rows; only with a logistic loss (minimax, non_saturating, reverse_kl,
    fairl, dail)."""
    updates_per_rollout: int = 8
    """Gradient steps after each rollout; with an off-policy learner after every `update_every` environment steps."""
    update_every: int = field(default=4, metadata=UNLESS_DEFAULT)
    """Environment steps between two updates with an off-policy learner; others update it after each rollout."""
    batch_size: int = 1024
    """Rows per gradient step from each side, expert and policy."""
    divergence: DivergenceName = "minimax"
    """Divergence, which determines loss and reward. With GAIL's loss the reward is -log(1-D) for minimax, log D for
    non_saturating, h for reverse_kl, -h exp h for fairl and D(h) D(2h) for dail, where h = log D - log(1-D).
    amp is AMP's, least_squares the same without its limit at 0. For hinge and wasserstein the reward is the
    discriminator's output; wasserstein requires a gradient penalty (WGAIL-GP). f_... are the f-divergences of f-GAN,
    whose reward is the conjugate."""
    zero: Literal["own", "lowest"] = "own"
    """Origin of rewards. own: as the divergence defines them; lowest: minus the lowest reward of the rollout, so that
    none is negative and a longer episode never has a lower return. Only this origin decides whether ending an episode
    early is worth anything."""
    inputs: Inputs = "state_action"
    """Input of the discriminator: (s, a), or (s, s'), which also suits demonstrations with unknown actions, or without
    any; GAIL must then train without its warm start."""
    window: int = field(default=2, metadata=UNLESS_DEFAULT)
    """Successive observations that the discriminator sees with state_transition, the last of which is the next one;
    before the start of an episode stands its first. More than 2 require whole demonstrated episodes of vectors, and an
    on-policy learner."""
    observed: tuple[str, ...] = field(default=(), metadata=UNLESS_DEFAULT)
    """Observation dimensions that the discriminator sees, each a number from 0 on or a range such as 0-10, both ends
    included; by default all. Only of vectors."""
    absorbing: Literal["auto", "on", "off"] = field(default="auto", metadata=UNLESS_DEFAULT)
    """Absorbing states (Kostrikov et al. 2019, 1809.02925, section 4.2): an episode that the task ends goes on for ever
    in a state that is rewarded as all others are, by how often expert and policy are in it, so that neither sign of the
    reward decides whether an early end is good. auto: where most demonstrated episodes end before a time limit, and
    with every off-policy learner, unless the divergence is hinge or wasserstein."""
    normalizer: Literal["expert", "running"] = "expert"
    """Statistics that normalize the inputs: of the demonstrations (expert), or merged with every rollout before
    learning from it (running)."""
    filters: int = field(default=16, metadata=UNLESS_DEFAULT)
    """Channels after the first convolution over images; each further convolution halves the images and doubles the
    channels."""

    def __post_init__(self) -> None:
        positive(self, "learning_rate", "updates_per_rollout", "update_every", "batch_size", "filters")
        at_least(self, 0, "weight_decay")
        share(self, "final_rate", remedy="use e.g. 0.1, or 1 for a constant rate")
        widths(self, "hidden")
        one_of(self, "network", NETWORKS)
        one_of(self, "activation", ACTIVATIONS)
        one_of(self, "divergence", DIVERGENCES)  # a table that users add to
        one_of(self, "inputs", get_args(Inputs))
        one_of(self, "zero", ("own", "lowest"))
        one_of(self, "absorbing", ("auto", "on", "off"))
        one_of(self, "normalizer", ("expert", "running"))
        at_least(self, 2, "window")
        if self.window > 2 and self.inputs != "state_transition":
            remedy = "set the inputs to state_transition, or leave the window out"
            raise problem("a window of observations alone", f"window {self.window} and {self.inputs}", remedy)
        if self.mixup and DIVERGENCES[self.divergence].discriminator_loss is not logistic_discriminator_loss:
            remedy = "use e.g. reverse_kl, or leave mixup out"
            raise problem("a divergence with a logistic loss, whose labels mixup mixes", self.divergence, remedy)

    @property
    def rows_per_update(self) -> int:
        """Rows of a replay buffer to draw for an update, of which its gradient steps draw theirs."""
        return 4 * self.updates_per_rollout * self.batch_size


@dataclass
class Adversarial:
    """GAIL's discriminator (Ho & Ermon 2016, Alg. 1): separates expert rows from policy rows, rewards expert-like ones.

    `demonstrations` stay on their device; `task` has the spaces of its observations and actions: an environment, for
    example. Whatever these are, its inputs are one row of floats per transition (`rlgen.rewards.observation_rows`), of
    which a convolutional encoder reads images. It learns from transitions alone, because what it would learn of an
    absorbing state is known (`AbsorbingStates`).
    """

    demonstrations: Transitions[Any]
    task: Any
    config: AdversarialConfig = field(default_factory=AdversarialConfig)
    penalties: Sequence[Penalty] = (GradientPenalty(weight=1.0),)
    absorbing: AbsorbingStates | None = None
    replays: bool = False
    """Whether batches to reward are minibatches of a replay buffer instead of complete rollouts: an origin of rewards
    that depends on a batch is then found once per update."""
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
        device = self.demonstrations.terminated.device
        self.divergence = DIVERGENCES[self.config.divergence]
        one = torch.ones(1)
        self._floats = bool(self.divergence.boundary(one, one) != 0)
        self.keeps_origin = self.replays and (self._floats or self.config.zero == "lowest")
        self.kept_origin: dict[str, Tensor] = {}
        """Origin of the rewards since the last update, if batches are not rollouts."""
        self.observations = ObservationRows(
            self.task.observation_space, self.demonstrations.observations, self.config.observed
        )
        self.actions, action_size = action_encoding(self.task.action_space, device)
        self._expert: Tensor | None = None
        self.size = self._input_size(action_size)
        """D, size of an input."""
        network: nn.Module = self._network().to(device)
        for penalty in self.penalties:
            network = penalty.wrap(network)
        self.network = network
        rate, decay = self.config.learning_rate, self.config.weight_decay
        self.optimizer = (
            torch.optim.AdamW(network.parameters(), rate, weight_decay=decay, fused=True)
            if decay
            else torch.optim.Adam(network.parameters(), rate, fused=True)
        )
        self._graph_step = CudaGraphStep(self.step, self.optimizer)  # on a CPU, `step` itself

    def _input_size(self, action_size: int) -> int:
        return self.observations.size + (self.observations.size if self.reads_next_observations else action_size)

    def logit(self, inputs: Tensor) -> Tensor:
        """Maps inputs [B, D] to expert_logit [B]."""
        return self.network(inputs).squeeze(-1)

    def _network(self) -> nn.Module:
        """Maps inputs [B, D] to [B, 1]."""
        config, observed = self.config, self.observations
        places = (0, observed.size) if self.reads_next_observations else (0,)
        activation = ACTIVATIONS[config.activation]
        return discriminator_network(
            config.network, self.size, observed, places, config.hidden, activation, config.filters
        )

    def inputs(self, batch: Transitions[Any]) -> Tensor:
        """Normalized discriminator inputs of a batch: [B, D]."""
        observations = self.observations(batch.observations)
        if self.reads_next_observations:
            return torch.cat([observations, self.observations(batch.next_observations)], -1)
        return torch.cat([observations, self.actions(batch.actions)], -1)

    def rows(self, batch: Transitions[Any]) -> Tensor | LazyRows:
        """`inputs` of a batch; those of images only where they are indexed."""
        return LazyRows(self.inputs, batch) if self.observations.images else self.inputs(batch)

    @property
    def reads_next_observations(self) -> bool:
        return self.config.inputs == "state_transition"

    def expert_inputs(self) -> Tensor | LazyRows:
        """`rows` of the demonstrations; computed once if the normalizer is fixed."""
        if self.config.normalizer == "running" or self.observations.images:
            return self.rows(self.demonstrations)
        if self._expert is None:
            self._expert = self.inputs(self.demonstrations)
        return self._expert

    def reward(self, batch: Transitions[Any]) -> Tensor:
        """Rewards [B]; with absorbing states, a step that enters one has all that follows added to its reward.

        A critic that is only defined up to a constant is measured from the midpoint between its means on the
        demonstrations and on the batch: otherwise the arbitrary constant would decide whether a long episode is worth
        more than a short one."""
        self.network.eval()  # in training mode a spectral norm changes with every forward pass
        with torch.no_grad():
            logit = self._logits(self.rows(batch))
            if self._floats:
                kept = self.kept_origin.get("boundary")
                logit = logit - (self._boundary(self._logits(self.expert_inputs()), logit) if kept is None else kept)
            reward = self._reward(logit)
            if self.config.zero == "lowest":
                kept = self.kept_origin.get("lowest")
                reward = reward - (_lowest(reward) if kept is None else kept)
            if self.absorbing is None:
                return reward
            return reward[:-1] + absorbing_return(reward[-1], self.absorbing.gamma) * batch.terminated

    def _boundary(self, expert_logit: Tensor, policy_logit: Tensor) -> Tensor:
        return distributed.all_reduce_mean(torch.as_tensor(self.divergence.boundary(expert_logit, policy_logit)))

    def _reward(self, logit: Tensor) -> Tensor:
        """Rewards [B], or [B + 1] with that of the absorbing state."""
        if self.absorbing is not None:
            outside, inside = self.absorbing.logits(logit)
            logit = torch.cat([outside, inside[None]])
        return self.divergence.reward(logit)

    @torch.no_grad()
    def _keep_origin(self, expert: Tensor | LazyRows, policy: Tensor | LazyRows) -> None:
        """Finds the origin of the rewards until the next update, from some rows of each side."""
        self.network.eval()
        expert_logit, logit = (self.logit(rows[:ROWS_AT_ONCE]) for rows in (expert, policy))
        boundary = self._boundary(expert_logit, logit) if self._floats else torch.zeros_like(logit[0])
        self.kept_origin = {"boundary": boundary, "lowest": _lowest(self._reward(logit - boundary))}

    @torch.no_grad()
    def _observe(self, policy: Tensor | LazyRows) -> None:
        """Shows the absorbing state's log-ratio what the policy's other steps have."""
        assert self.absorbing is not None
        self.network.eval()
        self.absorbing.observe(self.logit(policy[:ROWS_AT_ONCE]))

    def _logits(self, rows: Tensor | LazyRows) -> Tensor:
        return torch.cat([self.logit(some) for some in in_parts(rows)])

    def update(self, batch: Transitions[Any]) -> dict[str, Tensor]:
        if self.config.normalizer == "running":
            self.observations.merge(batch.observations)
        if self.absorbing is not None:
            self.absorbing.count(batch.terminated)
        distributed.broadcast_parameters(self.network)
        self.network.train()
        expert = self.expert_inputs()
        policy: Any = self.rows(batch)
        rows = torch.empty(2 * self.config.batch_size, self.size, device=expert.device)
        halves = rows.chunk(2)
        totals: dict[str, Tensor] = {}
        for _ in range(self.config.updates_per_rollout):
            places = torch.randint(len(expert), (self.config.batch_size,), device=expert.device)
            halves[0].copy_(expert[places])
            halves[1].copy_(distributed.draw([policy], len(policy), self.config.batch_size)[0])
            for name, value in self._graph_step(rows).items():
                totals[name] = totals.get(name, 0.0) + value
        if self.keeps_origin:
            places = torch.randint(len(expert), (ROWS_AT_ONCE,), device=expert.device)
            self._keep_origin(expert[places], policy)
        if self.absorbing is not None and self.absorbing.accidents:
            self._observe(policy)
        metrics = {name: total / self.config.updates_per_rollout for name, total in totals.items()}
        return metrics | penalty_metrics(self.penalties)

    def step(self, rows: Tensor) -> dict[str, Tensor]:
        """One gradient step on inputs [2B, D]: B of the expert, then B of the policy."""
        (expert, policy), (expert_logit, policy_logit) = rows.chunk(2), self.logit(rows).chunk(2)
        found = discriminator_loss(
            self.divergence, self.penalties, self.logit, expert, policy, expert_logit, policy_logit
        )
        loss = mixup_discriminator_loss(self.logit, expert, policy) if self.config.mixup else found.loss
        self.optimizer.zero_grad(set_to_none=True)
        (loss + found.penalty).backward()
        self.optimizer.step()
        return {
            "loss": loss.detach(),
            "penalty": found.penalty.detach(),
            "expert_accuracy": found.real_accuracy,
            "policy_accuracy": found.fake_accuracy,
        }

    def state_dict(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "optimiser": self.optimizer.state_dict(),
            "normaliser": self.observations.state_dict(),
            **({} if self.absorbing is None else {"absorbing": self.absorbing.state_dict()}),
            **({"origin": dict(self.kept_origin)} if self.kept_origin else {}),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        load_optimizer(self.optimizer, state["optimiser"])
        self.observations.load_state_dict(state["normaliser"])
        if self.absorbing is not None:
            self.absorbing.load_state_dict(state["absorbing"])
        device = self.demonstrations.terminated.device
        self.kept_origin = {name: value.to(device) for name, value in state.get("origin", {}).items()}
        self._expert = None


def _lowest(reward: Tensor) -> Tensor:
    """The lowest reward of all training processes."""
    return -distributed.all_reduce_max((-reward).max())
