"""What a transition teaches a Bayesian model of the dynamics, as a reward source: the bonus of VIME."""

from collections import deque
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from rlgen.data.transitions import Transitions
from rlgen.errors import problem
from rlgen.nn.bayesian import BayesianMLP
from rlgen.rewards.normalised_transitions import NormalisedTransitions
from rlgen.rewards.pool import TransitionPool
from rlgen.rewards.task_shape import TaskShape

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh}


@dataclass(frozen=True, kw_only=True)
class InformationGainConfig:
    """Bayesian dynamics model and its bonus (Houthooft et al. 2016, 1605.09674).

    Differs from the released code: a few hundred large minibatches instead of hundreds of tiny ones, a likelihood of
    std 0.5 instead of 5 (in units of the observations' own spread), the KL weighed by the size of the pool, and bonuses
    clipped in units of the usual one, because the size of gains in nats follows the likelihood's std.
    """

    hidden: tuple[int, ...] = (32,)
    """Widths of the model's hidden layers."""
    activation: Literal["relu", "tanh"] = "relu"
    """Activation between them."""
    prior_std: float = 0.5
    """Standard deviation of every weight before any data, and at the start."""
    likelihood_std: float = 0.5
    """Standard deviation of the next observation around the prediction, in units of its own spread."""
    step_size: float = 0.01
    """λ of the step whose information gain is paid."""
    samples: int = 4
    """Weight samples, in the bonus and in learning."""
    learning_rate: float = 1e-3
    """Adam's learning rate."""
    updates_per_rollout: int = 200
    """Gradient steps after each rollout."""
    batch_size: int = 256
    """Transitions per gradient step."""
    pool_size: int = 100_000
    """Past transitions to learn from."""
    medians: int = 10
    """The bonus is divided by the mean of the medians of this many rollouts."""
    highest: float = 1000.0
    """Bonuses are clipped here, after they are divided."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, int | float) and value <= 0:
                raise problem(f"a positive {name}", str(value), "leave it out for the default")
        if any(width < 1 for width in self.hidden):
            raise problem("hidden layers of width 1 or more", str(self.hidden), "leave it out for the default")


class InformationGain:
    """Pays KL[posterior after the transition ‖ posterior before], in units of the usual gain.

    `update` first looks what a batch is worth to the model as it stands and then learns from it; `reward` of that same
    batch is what it was worth before, and of any other batch what it is worth now. Nothing is paid before the model has
    learned from a first rollout. A batch is the environment's own numbers; statistics of inputs and targets stand still
    between updates.
    """

    def __init__(self, shape: TaskShape, config: InformationGainConfig | None = None):
        self.config = config or InformationGainConfig()
        self.normalised = NormalisedTransitions(shape)
        sizes = [self.normalised.input_size, *self.config.hidden, shape.observation_size]
        prior_std = self.config.prior_std
        self.model = BayesianMLP(sizes, ACTIVATIONS[self.config.activation], prior_std, prior_std).to(shape.device)
        self.optimiser = torch.optim.Adam(self.model.parameters(), self.config.learning_rate, fused=True)
        self.pool = TransitionPool(self.config.pool_size)
        self.recent_medians: deque[float] = deque(maxlen=self.config.medians)
        self.updates = 0
        self._known: tuple[Transitions, Tensor] | None = None

    def update(self, batch: Transitions) -> dict[str, Tensor]:
        gain = self.gain(batch)
        self._known = (batch, gain)
        if self.updates:
            self.recent_medians.append(float(gain.median()))
        self.pool.add(batch)
        self.normalised.merge(batch)
        losses = torch.stack([self._step() for _ in range(self.config.updates_per_rollout)])
        self.updates += 1
        low, median, high = torch.quantile(gain, gain.new_tensor([0.1, 0.5, 0.9]))
        return {"loss": losses.mean(), "gain_10": low, "gain_50": median, "gain_90": high}

    def reward(self, batch: Transitions) -> Tensor:
        if not self.recent_medians:
            return batch.observations.new_zeros(len(batch))
        known = self._known is not None and self._known[0] is batch
        gain = self._known[1] if known else self.gain(batch)  # type: ignore[index]
        unit = sum(self.recent_medians) / len(self.recent_medians)
        return (gain / max(unit, 1e-30)).clamp(0, self.config.highest)

    def gain(self, batch: Transitions) -> Tensor:
        """Information gain of each transition [B], nats, about the model as it stands."""
        config = self.config
        return self.model.information_gain(
            *self.normalised(batch), config.likelihood_std, config.step_size, config.samples
        )

    def _step(self) -> Tensor:
        """One gradient step on transitions of the pool; its loss in nats per transition."""
        config = self.config
        inputs, targets = self.normalised(self.pool.draw(config.batch_size))
        loss = self.model.negative_elbo(inputs, targets, len(self.pool), config.samples, config.likelihood_std)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        return loss.detach()

    def state_dict(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "normalised": self.normalised.state_dict(),
            "pool": self.pool.state_dict(),
            "recent_medians": list(self.recent_medians),
            "updates": self.updates,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.normalised.load_state_dict(state["normalised"])
        self.pool.load_state_dict(state["pool"])
        self.recent_medians = deque(state["recent_medians"], self.config.medians)
        self.updates = state["updates"]
        self._known = None
