"""The log-ratio of a cloned policy to its prior, as a reward source."""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from rlgen import distributed
from rlgen.checks import at_least, positive
from rlgen.data.transitions import Transitions
from rlgen.deprecation import UNLESS_DEFAULT
from rlgen.display import Metric, Panel
from rlgen.equations.absorbing_states import absorbing_return
from rlgen.equations.coherent_reward import coherent_reward, refinement_loss
from rlgen.errors import problem
from rlgen.nn.normalizer import ActionScale, Normalizer
from rlgen.nn.optimizer_state import load_optimizer
from rlgen.nn.stationary_policy import StationaryCategorical, StationaryPolicy
from rlgen.rewards.absorbing_states import require_discount
from rlgen.rewards.random_features import RandomFeatures

log = logging.getLogger("rlgen")
OFF_POLICY_STD = 0.1
"""`CoherentRewardConfig.least_std` by default: SAC's noise after cloning is 0.09 (`rlgen.sb3.critics_first`)."""


@dataclass(frozen=True, kw_only=True)
class CoherentRewardConfig:
    """Settings of the cloned policy that gives CSIL's rewards."""

    hidden: tuple[int, ...] = (256, 256, 12)
    """Widths of the perceptron before the periodic features; the last one is narrow."""
    features: int = 256
    """Number of periodic features."""
    least_std: float | None = None
    """Lower limit of the cloned policy's standard deviation, as a share of half the action range; by default about the
    learner's own noise at the start, 0.1 off-policy: with a lower limit, its noisy actions near the demonstrations
    would have lower rewards than any actions elsewhere. The paper's is 0.003."""
    prior_share: float = field(default=0.3, metadata=UNLESS_DEFAULT)
    """Share of the uniform prior in the cloned policy of discrete actions, in place of `least_std`: a learner that
    tries other actions near the demonstrations has no lower log-ratio there than this share's logarithm."""
    learning_rate: float = 1e-3
    """Adam's learning rate, while cloning and afterwards."""
    batch_size: int = 256
    """Rows per gradient step; while refining, from each side."""
    max_updates: int = 25_000
    """Maximum number of gradient steps of the cloning."""
    held_out: float = 0.1
    """Fraction of the demonstrated rows held out for early stopping."""
    check_every: int = 100
    """Gradient steps between two evaluations of the held-out rows."""
    patience: int = 30
    """Evaluations without improvement before the cloning stops; the best weights are kept."""
    refine: bool = False
    """Refinement of the reward while the policy learns: high for the expert's rows, near 0 for the policy's. On in the
    paper; off here, because it costs a gradient step per environment step and changed little on a small task."""
    updates_per_rollout: int = 4
    """Gradient steps of the refinement after each rollout, or every `update_every` environment steps off-policy."""
    update_every: int = 4
    """Environment steps between two refinements with an off-policy learner."""

    def __post_init__(self) -> None:
        positive(self, "learning_rate", "batch_size", "max_updates", "check_every", "patience")
        positive(self, "updates_per_rollout", "update_every", "least_std")
        at_least(self, 2, "features")
        if not self.hidden or min(self.hidden) < 1:
            raise problem("hidden layers of width 1 or more, at least one", f"{self.hidden}", "use e.g. (256, 256, 12)")
        if self.least_std is not None and self.least_std >= 1:
            raise problem("least_std below 1, about the prior's", str(self.least_std), "use e.g. 0.3")
        for name in ("held_out", "prior_share"):
            if not 0 < getattr(self, name) < 1:
                raise problem(f"{name} between 0 and 1", str(getattr(self, name)), "use e.g. 0.1")

    @property
    def rows_per_update(self) -> int:
        """Rows of a replay buffer to draw for a refinement, of which its gradient steps draw theirs; without one, those
        that are logged."""
        return 4 * self.updates_per_rollout * self.batch_size if self.refine else self.batch_size


@dataclass
class CoherentReward:
    """CSIL's reward (Watson et al. 2023, 2305.16498): α (log π(a|s) - log p(a)), π cloned from the demonstrations, p
    its prior, α = 1/A for A numbers per action. Positive for what the expert does, negative for other actions where it
    has been, and about 0 elsewhere, where π is still its prior.

    An episode that the task ends goes on in an absorbing state. Where ends are `accidents`, its reward is minus the
    highest one, whatever the last row has. Else it is that of the last row, within ± the highest one.

    Differs from the paper: the standard deviation of π has a higher lower limit (`CoherentRewardConfig.least_std`),
    because the learner does not start with π itself, but with a noisier policy. Discrete actions have a categorical π
    and a uniform prior.
    """

    demonstrations: Transitions
    low: Tensor
    """[A]: lowest actions."""
    high: Tensor
    """[A]: highest actions."""
    gamma: float
    """Discount factor of the learner, below 1."""
    config: CoherentRewardConfig = field(default_factory=CoherentRewardConfig)
    episodes: Tensor | None = None
    """Episode of each demonstrated row [R], if complete episodes are held out; None if rows are."""
    features: RandomFeatures | None = None
    """What the cloned policy sees of observations that are no vectors."""
    discrete: bool = False
    """Actions that are whole numbers from 0 to `high`, in place of vectors."""
    accidents: bool = False
    """Whether an early end is no part of the demonstrated behavior."""
    reads_next_observations: ClassVar[bool] = False
    panels: ClassVar[tuple[Panel, ...]] = (
        Panel("Log-ratio of the cloned policy to its prior [nats per action dimension]", (
            Metric("expert_reward", "expert rows"), Metric("policy_reward", "policy rows")
        ), line=0.0),
        Panel("Loss of the refinement [nats]", (Metric("loss", "loss"),)),
    )  # fmt: skip

    def __post_init__(self) -> None:
        if len(self.demonstrations) < 2:
            got = str(len(self.demonstrations))
            raise problem("two demonstrated transitions or more", got, "one is held out for early stopping")
        require_discount(self.gamma)
        device = self.demonstrations.terminated.device
        self.scale = None if self.discrete else ActionScale.of(self.low.to(device), self.high.to(device))
        self._see_demonstrations()
        self.policy = self._policy().to(device)
        self.optimizer = torch.optim.Adam(self.policy.parameters(), self.config.learning_rate, fused=True)
        self.alpha = 1 / self.demonstrations.actions.shape[1]

    def _policy(self) -> StationaryPolicy | StationaryCategorical:
        """The policy to clone, which is its prior."""
        config, observations = self.config, len(self.normalizer.mean)
        if self.discrete:
            counts = (self.high.long() + 1).tolist()
            return StationaryCategorical(observations, counts, config.hidden, config.features, config.prior_share)
        least = OFF_POLICY_STD if config.least_std is None else config.least_std
        return StationaryPolicy(observations, len(self.low), config.hidden, config.features, least)

    def _see_demonstrations(self) -> None:
        """Computes what depends on the demonstrations and the features alone."""
        self.normalizer = Normalizer.of(self._rows(self.demonstrations.observations))
        self._expert = self.inputs(self.demonstrations)

    def _rows(self, observations: Any) -> Tensor:
        return observations.flatten(1) if self.features is None else self.features(observations)

    def inputs(self, batch: Transitions) -> tuple[Tensor, Tensor]:
        """Normalized observations [B, O] and actions [B, A], scaled to [-1, 1] if they are continuous."""
        actions = batch.actions if self.scale is None else self.scale(batch.actions)
        return self.normalizer(self._rows(batch.observations)), actions

    def clone(self, report: Callable[[int], None] | None = None) -> int:
        """Clones the demonstrations until the held-out rows' likelihood falls; returns the gradient steps done, and
        calls `report` with them at every evaluation."""
        config, observations = self.config, self._expert[0]
        groups = torch.arange(len(observations), device=observations.device) if self.episodes is None else self.episodes
        kinds = groups.unique()
        order = kinds[torch.randperm(len(kinds), device=observations.device)]
        cut = min(max(1, round(config.held_out * len(order))), len(order) - 1)
        apart = torch.isin(groups, order[:cut])
        held_out, train = ([each[rows] for each in self._expert] for rows in (apart, ~apart))
        best, best_update, update = math.inf, 0, 0
        weights = {name: value.clone() for name, value in self.policy.state_dict().items()}
        while update < config.max_updates and update - best_update < config.patience * config.check_every:
            places = torch.randint(len(train[0]), (config.batch_size,), device=observations.device)
            self._learn(self.policy.loss(*(each[places] for each in train)))
            update += 1
            if update % config.check_every == 0 or update == config.max_updates:
                with torch.no_grad():
                    surprise = -float(self.policy.log_prob(*held_out).mean())
                if surprise < best:
                    best, best_update = surprise, update
                    weights = {name: value.clone() for name, value in self.policy.state_dict().items()}
                if report is not None:
                    report(update)
        self.policy.load_state_dict(weights)
        self.optimizer = torch.optim.Adam(self.policy.parameters(), config.learning_rate, fused=True)
        log.info("reward: a policy cloned in %d updates, %.2f nats per held-out row", best_update, best)
        return update

    def _learn(self, loss: Tensor) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()

    def log_ratio(self, observations: Tensor, actions: Tensor) -> Tensor:
        """log π(a|s) - log p(a) [B], nats."""
        log_prob, prior_log_prob = self._log_probs(observations, actions)
        return log_prob - prior_log_prob

    def _log_probs(self, observations: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        return self.policy.log_prob(observations, actions), self.policy.prior_log_prob(actions)

    @torch.no_grad()
    def reward(self, batch: Transitions) -> Tensor:
        reward = coherent_reward(*self._log_probs(*self.inputs(batch)), self.alpha)
        # A single row's log-ratio has no lower limit, and would be multiplied by 1 / (1 - γ).
        highest = self.policy.highest_log_ratio
        absorbed = torch.full_like(reward, -highest) if self.accidents else reward.clamp(-highest, highest)
        return reward + absorbing_return(absorbed, self.gamma) * batch.terminated

    def update(self, batch: Transitions) -> dict[str, Tensor]:
        """Refines the reward by the `batch` of the policy's transitions, if it is refined."""
        policy = self.inputs(batch)
        if not self.config.refine:
            with torch.no_grad():
                return {"policy_reward": self.alpha * self.log_ratio(*policy).mean()}
        distributed.broadcast_parameters(self.policy)
        totals: dict[str, Tensor] = {}
        for _ in range(self.config.updates_per_rollout):
            places = torch.randint(len(self.demonstrations), (self.config.batch_size,), device=policy[0].device)
            expert = self.alpha * self.log_ratio(*(each[places] for each in self._expert))
            drawn = self.alpha * self.log_ratio(*distributed.draw(policy, len(batch), self.config.batch_size))
            loss = refinement_loss(expert, drawn)
            self._learn(loss)
            found = {"loss": loss, "expert_reward": expert.mean(), "policy_reward": drawn.mean()}
            totals = {name: totals.get(name, 0.0) + value.detach() for name, value in found.items()}
        return {name: total / self.config.updates_per_rollout for name, total in totals.items()}

    def state_dict(self) -> dict[str, Any]:
        features = {} if self.features is None else {"features": self.features.state_dict()}
        return {"policy": self.policy.state_dict(), "optimizer": self.optimizer.state_dict(), **features}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.policy.load_state_dict(state["policy"])
        load_optimizer(self.optimizer, state["optimizer"])
        if self.features is not None:
            self.features.load_state_dict(state["features"])
            self._see_demonstrations()
