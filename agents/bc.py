"""Behavioral cloning: regression of the demonstrated actions by a Stable-Baselines3 policy."""

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy
from torch import Tensor, nn

from rlgen.checks import at_least, below_one, positive, share
from rlgen.data.demonstrations import Demonstrations
from rlgen.data.transitions import Transitions
from rlgen.display import Metric, Panel
from rlgen.errors import problem
from rlgen.nn.layers import dropout_after_activations
from rlgen.nn.moving_average import MovingAverage
from rlgen.nn.normalizer import ActionScale, Normalizer
from rlgen.sb3.actor_critic import require_raw_environment
from rlgen.sb3.cloned import hidden_layers, log_likelihood, mode, require_cloneable
from rlgen.sb3.features import fit_normalizer
from rlgen.system.device import torch_threads

Report = Callable[[int, dict[str, float]], None]
LEAST_ERROR = 1e-12  # a single row that fits by chance must not decide


@dataclass(frozen=True, kw_only=True)
class BCConfig:
    """Settings of behavioral cloning (Pomerleau 1991) of the mean action."""

    learning_rate: float = 1e-3
    """Adam's learning rate."""
    batch_size: int = 128
    """Rows per gradient step."""
    max_updates: int = 10_000
    """Maximum number of gradient steps."""
    held_out: float = 0.1
    """Fraction held out for early stopping: of the episodes if two or more have every step, because rows next to each
    other in time are nearly the same; otherwise of the rows."""
    check_every: int = 100
    """Gradient steps between two evaluations of the held-out rows."""
    patience: int = 30
    """Evaluations without improvement before stopping; the best weights are kept."""
    loss: Literal["squared_error", "log_likelihood"] = "squared_error"
    """Loss. squared_error: of the mean action, in units of half its range; log_likelihood: also fits the noise."""
    dropout: float = 0.1
    """Fraction of the policy's hidden units that each gradient step drops; 0 for none."""
    noise: float = 0.05
    """Standard deviation of the noise on observations while learning, as a fraction of each one's standard deviation.
    Noise makes the policy smooth (Bishop 1995, "Training with noise is equivalent to Tikhonov regularization"). 0 for
    none; discrete observations and pixels get none."""
    plain_below: float = 0.5
    """Fraction of the regularized cloning's typical held-out error below which plain regression, a second cloning
    without dropout and noise, is kept; 0 for no second cloning. Below 1, because held-out rows do not show how a smooth
    policy recovers from its errors. Typical: the geometric mean over rows, which a few outliers do not decide."""
    average: float = 0.999
    """Decay per gradient step of the running average of the weights, which is kept; 0 for none. The first steps decay
    faster, so that the average forgets the untrained weights."""

    def __post_init__(self) -> None:
        share(self, "plain_below", remedy="use e.g. 0.5, or 0 for never")
        if not 0 < self.held_out < 1:
            raise problem("held_out between 0 and 1", str(self.held_out), "use e.g. 0.1")
        below_one(self, "dropout", remedy="use e.g. 0.1, or 0 for none")
        at_least(self, 0, "noise", remedy="use e.g. 0.05, or 0 for none")
        below_one(self, "average", remedy="use e.g. 0.999, or 0 for none")
        positive(self, "learning_rate", "batch_size", "max_updates", "check_every", "patience")
        if self.check_every > self.max_updates:
            expected = f"check_every of at most max_updates, {self.max_updates}"
            raise problem(expected, str(self.check_every), "evaluate the held-out rows at least once")

    @property
    def most_updates(self) -> int:
        """Maximum number of gradient steps, over both clonings."""
        return self.max_updates * (1 if self.plain() is None else 2)

    def plain(self) -> "BCConfig | None":
        """Settings of the second cloning, without regularization; None if it is off or would repeat the first."""
        return replace(self, dropout=0.0, noise=0.0) if self.plain_below and (self.dropout or self.noise) else None


@dataclass(frozen=True, kw_only=True)
class BCResult:
    """The result of a cloning."""

    held_out_loss: float
    """Held-out loss of the kept weights."""
    best_update: int
    """Gradient step of the kept weights, counted over both clonings."""
    updates: int
    """Gradient steps done, over both clonings."""
    dropout: float
    """Dropout of the kept cloning."""
    noise: float
    """Noise of the kept cloning."""

    @property
    def kept(self) -> str:
        """The kept cloning: regularized or plain."""
        return "regularised" if self.dropout or self.noise else "plain"

    @property
    def regularization(self) -> str:
        """The regularization of the kept cloning in words."""
        if not (self.dropout or self.noise):
            return "by plain regression"
        return f"with dropout {self.dropout:g} and noise {self.noise:g}"


class BC:
    """Clones demonstrations into the policy of `model` in place: any on-policy SB3 model, or the actor of an off-policy
    one (SAC, TD3, TQC, CrossQ, DDPG). Its critics do not change.

        BC(PPO("MlpPolicy", make_vec("Ant-v5", 1)), Demonstrations.load("ant.npz")).learn()

    For continuous actions (Box) the mean is regressed, for discrete ones (Discrete, MultiDiscrete, MultiBinary) the
    log-likelihood is maximized. Raises `InputError` for a model without an actor (DQN), one that is recurrent, has a
    VecNormalize or observes images or dictionaries, and for demonstrations that do not fit it.
    """

    panels: ClassVar[tuple[Panel, ...]] = (
        Panel(
            "Behavioral cloning: loss over updates",
            (Metric("bc/held_out_loss", "held out"), Metric("bc/loss", "training rows")),
            steps="updates",
        ),
    )

    def __init__(self, model: BaseAlgorithm, demonstrations: Demonstrations, config: BCConfig | None = None):
        policy = require_cloneable(model)
        if len(demonstrations) < 2:
            raise problem(
                "two transitions or more", str(len(demonstrations)), "one part is held out for early stopping"
            )
        require_raw_environment(model)
        demonstrations.validate(model.get_env() or model)
        self.model, self.policy, self.config = model, policy, config or BCConfig()
        batch, observed = demonstrations.transitions(str(model.device)), model.observation_space
        assert observed.shape is not None, "validate requires a Box"
        numbers = isinstance(observed, spaces.Box) and np.issubdtype(observed.dtype, np.floating)
        self.observation_std = Normalizer.of(batch.observations).std.reshape(observed.shape) if numbers else None
        self.batch = replace(batch, observations=batch.observations.reshape(-1, *observed.shape))
        self.episode: Tensor | None = None
        """[R] episode of each row, if complete episodes are held out; None if rows are."""
        if demonstrations.stride == 1 and len(np.unique(demonstrations.episode)) > 1:
            self.episode = torch.tensor(demonstrations.episode, device=model.device)
        space = model.action_space
        self.scale: ActionScale | None = None
        if isinstance(space, spaces.Box):
            low, high = (torch.as_tensor(bound.ravel(), device=model.device) for bound in (space.low, space.high))
            self.scale = ActionScale.of(low, high)
        elif np.any(getattr(space, "start", 0)):
            raise problem("discrete actions counted from 0, as SB3 requires", f"{space}", "wrap the environment")

    def learn(self, report: Report | None = None) -> BCResult:
        """Trains until the held-out loss stops falling; calls `report(update, values)` at every evaluation of it.

        Raises `InputError`, with the policy as it was before, if the loss is not finite.
        """
        if report is not None and not callable(report):
            remedy = "set the number of gradient steps by BCConfig(max_updates=…), and leave this out for no report"
            raise problem("a function report(update, values)", f"{report!r}", remedy)
        before = _copy(self.policy)
        try:
            with torch_threads(1):  # the minibatches are small
                return self._learn(report)
        except FloatingPointError as error:
            self.policy.load_state_dict(before)
            remedy = f"lower the learning rate, {self.config.learning_rate:g}, or look for extreme observations"
            raise problem("cloning with finite numbers", str(error), remedy) from error

    def _learn(self, report: Report | None) -> BCResult:
        fit_normalizer(self.model.policy, self.batch.observations)
        policy: Any = self.policy
        if getattr(policy, "use_sde", False):
            with torch.no_grad():  # otherwise its noise keeps a graph
                policy.reset_noise()
        train, held_out = self._split()
        begin, plain = _copy(self.policy), self.config.plain()
        found = self._fit(self.config, train, held_out, 0, report)
        if plain is None:
            return found
        weights, error = _copy(self.policy), self._typical_error(held_out)
        self.policy.load_state_dict(begin)
        other = self._fit(plain, train, held_out, found.updates, report)
        if self._typical_error(held_out) < self.config.plain_below * error:
            return other
        self.policy.load_state_dict(weights)
        return replace(found, updates=other.updates)

    def _fit(
        self, config: BCConfig, train: Transitions, held_out: Transitions, done: int, report: Report | None
    ) -> BCResult:
        """Takes gradient steps, after `done` earlier ones, until the held-out loss stops falling; the policy ends with
        the best weights."""
        optimizer = torch.optim.Adam(self.policy.parameters(), config.learning_rate, fused=True)
        average = MovingAverage({"policy": self.policy}, config.average) if config.average else None
        best, best_update, best_weights, update = math.inf, 0, _copy(self.policy), 0
        while update < config.max_updates and update - best_update < config.patience * config.check_every:
            loss = self._step(config, train, optimizer)
            if average is not None:
                average.merge()
            update += 1
            if update % config.check_every == 0:
                with nullcontext() if average is None else average.applied():
                    held_out_loss = self._held_out_loss(held_out, done + update)
                    if held_out_loss < best:
                        best, best_update, best_weights = held_out_loss, update, _copy(self.policy)
                if report is not None:
                    report(done + update, {"bc/held_out_loss": held_out_loss, "bc/loss": loss.item()})
        self.policy.load_state_dict(best_weights)
        return BCResult(
            held_out_loss=best,
            best_update=done + best_update,
            updates=done + update,
            dropout=config.dropout,
            noise=config.noise,
        )

    def _step(self, config: BCConfig, train: Transitions, optimizer: torch.optim.Optimizer) -> Tensor:
        """Takes one gradient step on random rows and returns the loss."""
        rows = torch.randint(len(train), (config.batch_size,), device=train.observations.device)
        with dropout_after_activations(hidden_layers(self.policy), config.dropout):
            loss = self._loss(self.policy, self._noisy(train[rows], config.noise))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss

    def _held_out_loss(self, held_out: Transitions, update: int) -> float:
        with torch.no_grad():
            loss = float(self._loss(self.policy, held_out))
        if not math.isfinite(loss):
            raise FloatingPointError(f"a held-out loss of {loss} at update {update}")
        return loss

    @torch.no_grad()
    def _typical_error(self, rows: Transitions) -> float:
        """Geometric mean over rows of the mean action's squared error, or of the discrete actions' -log-likelihood."""
        of_kinds = self.scale is None
        errors = self._surprises(self.policy, rows) if of_kinds else self._errors(self.policy, rows).mean(1)
        return float(errors.clamp(min=LEAST_ERROR).log().mean().exp())

    def _noisy(self, batch: Transitions, noise_std: float) -> Transitions:
        """The batch with new noise on its observations."""
        if not noise_std or self.observation_std is None:
            return batch
        noise = noise_std * self.observation_std * torch.randn_like(batch.observations)
        return replace(batch, observations=batch.observations + noise)

    def _split(self) -> tuple[Transitions, Transitions]:
        """Rows to learn from and held-out rows, at least one episode (or row) of each."""
        rows = torch.arange(len(self.batch), device=self.batch.observations.device)
        groups = rows if self.episode is None else self.episode
        kinds = groups.unique()
        order = kinds[torch.randperm(len(kinds), device=rows.device)]
        cut = min(max(1, round(self.config.held_out * len(order))), len(order) - 1)
        held_out = torch.isin(groups, order[:cut])
        return self.batch[rows[~held_out]], self.batch[rows[held_out]]

    def _loss(self, policy: BasePolicy, batch: Transitions) -> Tensor:
        """Mean over rows: squared error per action dimension, or negative log-likelihood in nats."""
        try:
            if self.scale is None or self.config.loss == "log_likelihood":
                return self._surprises(policy, batch).mean()
            return self._errors(policy, batch).mean()
        except ValueError as refused:  # from torch, for a mean of NaN
            raise FloatingPointError("weights of NaN or infinity") from refused

    def _surprises(self, policy: BasePolicy, batch: Transitions) -> Tensor:
        """[R] negative log-likelihood of the demonstrated actions in nats."""
        actions = batch.actions
        if self.scale is not None:
            actions = self.scale(actions) if policy.squash_output else actions
        elif isinstance(policy.action_space, spaces.Discrete):
            actions = actions.squeeze(-1)
        return -log_likelihood(policy, batch.observations, actions)

    def _errors(self, policy: BasePolicy, batch: Transitions) -> Tensor:
        """[R, A] squared error of the mean action, in units of half the action range."""
        assert self.scale is not None
        actions = self.scale(batch.actions) if policy.squash_output else batch.actions
        error = mode(policy, batch.observations) - actions
        return (error if policy.squash_output else error / self.scale.half_range).square()


def _copy(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}
