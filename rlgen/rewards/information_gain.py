"""The information gain of a Bayesian dynamics model, VIME's bonus, as a reward source."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from rlgen import distributed
from rlgen.checks import one_of, positive, widths
from rlgen.data.transitions import Transitions
from rlgen.deprecation import renamed_fields, unless_earlier
from rlgen.display import Metric, Panel
from rlgen.errors import problem
from rlgen.nn.bayesian import BayesianMLP
from rlgen.nn.bayesian_dense import GaussianDense
from rlgen.nn.cuda_graph import CudaGraphStep
from rlgen.nn.first_order_gain import first_order_gain
from rlgen.nn.flow_dense import FlowDense
from rlgen.nn.layers import ACTIVATIONS, Activation
from rlgen.nn.likelihood_std import HeteroscedasticStd, LikelihoodStd
from rlgen.nn.optimizer_state import load_optimizer
from rlgen.rewards.bonus import Bonus
from rlgen.rewards.bonus_unit import BONUS, Unit, UnitConfig, quantile_metrics, quantiles
from rlgen.rewards.finite_rows import finite_rows
from rlgen.rewards.novelty import NormalisedTransitions, Predicted
from rlgen.rewards.replay_pool import ReplayPool
from rlgen.rewards.source import TaskShape

Gain = Literal["information", "expected", "compression", "first_order"]
Likelihood = Literal["fixed", "learned", "heteroscedastic"]
LOWEST_STD = 0.01  # of a learned likelihood
LAYERS: dict[str, type[nn.Module]] = {"gaussian": GaussianDense, "flow": FlowDense}


@renamed_fields(learn_likelihood="likelihood")
@dataclass(frozen=True, kw_only=True)
class InformationGainConfig(UnitConfig):
    """Settings of a Bayesian dynamics model and its bonus (Houthooft et al. 2016, 1605.09674).

    Differs from the paper, whose form is `InformationGain2016Config`: the model predicts changes, and learns the noise
    around them for each observation and action. With a fixed noise the gain is the squared error by another name
    (experiments/vime/diagnosis).

    Differs from the released code: few large minibatches at a high learning rate, from narrow initial weights, instead
    of hundreds of tiny ones (experiments/vime compares them); a likelihood std of 0.5 instead of 5 (observations have
    unit variance); the KL weighted by the size of the pool; and bonuses clipped in units of the median gain, because
    the size of gains in nats depends on the likelihood's std.
    """

    own_unit: ClassVar[Unit] = "medians"
    former_values: ClassVar[Mapping[str, Any]] = {"learn_likelihood": {False: "fixed", True: "learned"}}

    predicts: Predicted = field(default="change", metadata=unless_earlier("next"))
    """What the model predicts. change: how an observation differs from the one before, which a small model can predict
    better than it can copy the observation; next: the next observation itself, as in the paper."""
    hidden: tuple[int, ...] = (32,)
    """Widths of the model's hidden layers."""
    activation: Activation = "relu"
    """Activation function of the hidden layers."""
    posterior: Literal["gaussian", "flow"] = "gaussian"
    """Posterior of the weights. gaussian: independent; flow: those of an input are multiplied by noise of a normalizing
    flow, so that they are correlated and not Gaussian (Louizos & Welling 2017, 1703.01961); several times slower."""
    prior_std: float = 0.5
    """Standard deviation of every weight under the prior."""
    initial_std: float = 0.05
    """Standard deviation of every weight at the start of learning."""
    likelihood_std: float = 0.5
    """Standard deviation of what is predicted around the prediction, where it has unit variance; of a learned
    likelihood at the start."""
    likelihood: Likelihood = field(default="heteroscedastic", metadata=unless_earlier("fixed"))
    """Noise that the model expects around its predictions. fixed: likelihood_std, as in the paper; learned: a standard
    deviation of each predicted number; heteroscedastic: one that depends on observation and action, so that noise which
    comes and goes is not taken for something to learn."""
    n_data: float | None = None
    """Number of transitions that the data count for against the prior; None: as many as the pool holds. A smaller
    number leaves the weights wider, so that more of the gain is uncertainty and less is error."""
    gain: Gain = "information"
    """Definition of the gain. information: KL[new ‖ old] of one second-order step towards the transition; expected:
    mutual information of the weights and what may follow, ½ Σ log(1 + v/σ²), which errors do not raise; compression:
    KL[old ‖ new] of the second-order step; first_order: KL[new ‖ old] after ten steps of Adam on every transition
    separately, hundreds of times slower."""
    step_size: float = 0.01
    """Size λ of the second-order step."""
    samples: int = 1
    """Number S of weight samples, in the bonus and in learning. The noise of a bonus falls with S: with 1, two draws of
    the bonus rank a rollout's transitions with a correlation of 0.2 to 0.99, with 20 of 0.84 or more
    (experiments/vime). The bonus takes time in proportion to S; gains expected and first_order differ in this."""
    learning_rate: float = 1e-2
    """Adam's learning rate."""
    updates_per_rollout: int = 25
    """Gradient steps after each rollout."""
    batch_size: int = 256
    """Transitions per gradient step."""
    pool_size: int = 100_000
    """Number of past transitions to learn from."""
    highest: float | None = 10.0
    """Upper limit of the bonus in its unit, so that rare accidents do not outweigh all else."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, value in vars(self).items():
            if not isinstance(value, bool) and isinstance(value, int | float):
                positive(self, name)
        widths(self, "hidden")
        one_of(self, "predicts", get_args(Predicted))
        one_of(self, "likelihood", get_args(Likelihood))
        for name, choices in (("gain", get_args(Gain)), ("activation", ACTIVATIONS), ("posterior", LAYERS)):
            one_of(self, name, choices)
        if self.posterior == "flow" and self.gain == "compression":
            expected = "a gain that the posterior flow supports: information, expected or first_order"
            raise problem(expected, "compression", "choose one of these, or the posterior gaussian")
        if self.likelihood != "fixed" and self.likelihood_std <= LOWEST_STD:
            got = f"{self.likelihood_std}"
            raise problem(f"a likelihood_std above {LOWEST_STD} to learn from", got, "leave it out for the default")


@dataclass(frozen=True, kw_only=True)
class InformationGain2016Config(InformationGainConfig):
    """Settings of VIME as in its paper (Houthooft et al. 2016, 1605.09674): the model predicts the next observation,
    and expects the same noise everywhere."""

    predicts: Predicted = "next"
    """What the model predicts. next: the next observation, as in the paper; change: its difference from the
    observation."""
    likelihood: Likelihood = "fixed"
    """Noise that the model expects around its predictions. fixed: likelihood_std, as in the paper; learned: a standard
    deviation of each predicted number; heteroscedastic: one that depends on observation and action."""
    highest: float | None = 1000.0
    """Upper limit of the bonus in its unit."""


class InformationGain(Bonus):
    """Rewards KL[posterior after the transition ‖ posterior before], or what it is expected to be, in units of
    `UnitConfig.unit`.

    `update` first computes the gain of a batch with the current model and then learns from the batch; `reward` of that
    same batch uses the gain from before, and of any other batch the current gain. With the default unit, rewards are
    zero until the model has learned from a first rollout. A batch holds the environment's raw values; the statistics of
    inputs and targets change only in `update`. The log has the median gain, and the number of observed numbers that the
    model predicts worse than no change would.
    """

    panels: ClassVar[tuple[Panel, ...]] = (
        BONUS,
        Panel("Median information gain [nats]", (Metric("gain", "gain"),)),
        Panel("Loss of the dynamics model [nats]", (Metric("loss", "loss"),)),
        Panel("Observed numbers predicted worse than by no change", (Metric("unpredicted", "numbers"),)),
    )

    def __init__(self, shape: TaskShape, config: InformationGainConfig | None = None):
        self.config = config or InformationGainConfig()
        self.normalized = NormalisedTransitions(shape, self.config.predicts)
        inputs, outputs = self.normalized.input_size, shape.observation_size
        stds = self.config.prior_std, self.config.initial_std
        layer = LAYERS[self.config.posterior]
        sizes, activation = [inputs, *self.config.hidden, outputs], ACTIVATIONS[self.config.activation]
        self.model = BayesianMLP(sizes, activation, *stds, dense=layer).to(shape.device)
        parameters = list(self.model.parameters())
        self.fixed_std = torch.tensor(self.config.likelihood_std, device=shape.device)
        self.likelihood = self._make_likelihood(inputs, outputs)
        if self.likelihood is not None:
            parameters += self.likelihood.to(shape.device).parameters()
        self.optimizer = torch.optim.Adam(parameters, self.config.learning_rate, fused=True)
        self.pool = ReplayPool(-(-self.config.pool_size // distributed.world_size()))
        self.unit = self.config.make_unit(shape.n_envs).to(shape.device)
        self._graph_step, self._n_data = CudaGraphStep(self._step, self.optimizer), 0.0

    def _make_likelihood(self, inputs: int, outputs: int) -> LikelihoodStd | HeteroscedasticStd | None:
        """The module of a learned standard deviation."""
        if self.config.likelihood == "learned":
            return LikelihoodStd(outputs, self.config.likelihood_std, LOWEST_STD)
        if self.config.likelihood == "heteroscedastic":
            return HeteroscedasticStd(inputs, outputs, self.config.likelihood_std, LOWEST_STD)
        return None

    def update(self, batch: Transitions) -> dict[str, Tensor]:
        """One epoch of Houthooft et al. 2016, Alg. 1, from its rollout to the policy's update, which is the learner's.

        The comments name the lines of the box. The line r' = r + η KL is in `Relabel`, which calls `reward`.
        """
        distributed.broadcast_parameters(self.model, *([] if self.likelihood is None else [self.likelihood]))
        learned = finite_rows(batch)
        gain = self.gain(batch)  # KL[q(θ; φ') ‖ q(θ; φ)] of every transition
        bonus = self.keep(batch, gain)  # divided by the median of earlier KLs
        unpredicted = self._unpredicted(learned)
        self.pool.add(learned)  # (s, a, s') join the replay pool R
        self.normalized.merge(learned)
        losses = self._learn()  # minimize KL[q(θ; φ) ‖ p(θ)] - E[log p(D | θ)], D sampled from R
        logged = {"loss": losses.mean(), "gain": gain.median(), "unpredicted": unpredicted}
        return {**logged, **quantile_metrics("bonus", quantiles(bonus))}

    def novelty(self, batch: Transitions) -> Tensor:
        """The information gain of each transition, [B]."""
        return self.gain(batch)

    @torch.no_grad()
    def gain(self, batch: Transitions) -> Tensor:
        """Information gain of each transition for the current model [B], nats."""
        config = self.config
        inputs, targets = self.normalized(batch)
        std = self._likelihood_std(inputs)
        if config.gain == "first_order":
            return first_order_gain(self.model, inputs, targets, std, samples=config.samples)
        if config.gain == "expected":
            return self.model.expected_gain(inputs, std)
        return self.model.information_gain(inputs, targets, std, config.step_size, config.samples, gain=config.gain)

    @torch.no_grad()
    def _unpredicted(self, batch: Transitions) -> Tensor:
        """How many observed numbers have a larger mean squared error than if nothing changed, a scalar."""
        inputs, targets = self.normalized(batch)
        error = (self.model.moments(inputs)[0] - targets).square().mean(0)
        return (error > (self.normalized.unchanged(batch) - targets).square().mean(0)).sum()

    def _likelihood_std(self, inputs: Tensor) -> Tensor:
        """A scalar, one value for each output [O], or for each row as well [B, O]."""
        return self.fixed_std if self.likelihood is None else self.likelihood(inputs)

    def _learn(self) -> Tensor:
        """Takes the gradient steps of a rollout on rows of the pool and returns their losses, nats per transition."""
        n_data = self.config.n_data or len(self.pool) * distributed.world_size()
        if n_data != self._n_data:  # a captured CUDA graph would keep the old value
            self._graph_step, self._n_data = CudaGraphStep(self._step, self.optimizer), n_data
        draws = (self.pool.draw(self.config.batch_size) for _ in range(self.config.updates_per_rollout))
        return torch.stack([self._graph_step(*self.normalized(rows))["loss"].clone() for rows in draws])

    def _step(self, inputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Takes one gradient step and returns its loss."""
        self.optimizer.zero_grad(set_to_none=True)
        std = self._likelihood_std(inputs)
        loss = self.model.set_gradient(inputs, targets, self._n_data, self.config.samples, std)
        self.optimizer.step()
        return {"loss": loss}

    def state_dict(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "likelihood": None if self.likelihood is None else self.likelihood.state_dict(),
            "optimiser": self.optimizer.state_dict(),
            "normalised": self.normalized.state_dict(),
            "pool": self.pool.state_dict(),
            "unit": self.unit.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        if self.likelihood is not None:
            self.likelihood.load_state_dict(state["likelihood"])
        load_optimizer(self.optimizer, state["optimiser"])
        self.normalized.load_state_dict(state["normalised"])
        self.pool.load_state_dict(state["pool"])
        self.unit.load_state_dict(state["unit"] if "unit" in state else self._earlier_unit(state))
        self.forget()

    def _earlier_unit(self, state: dict[str, Any]) -> dict[str, Tensor]:
        """State of the unit in a checkpoint that holds the list of medians itself."""
        recent, medians = torch.zeros(self.config.medians), state["recent_medians"]
        recent[: len(medians)] = medians
        return {"recent": recent, "merged": torch.tensor(len(medians) + 1 if state["updates"] else 0)}
