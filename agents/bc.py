"""Behavioral cloning: regression of the demonstrated actions by a Stable-Baselines3 policy."""

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy
from torch import Tensor, nn

from rlgen.data import observations as tree
from rlgen.data.demonstrations import Demonstrations, require_demonstrations
from rlgen.data.pairs import Pairs
from rlgen.data.spaces import require_counted_from_zero
from rlgen.display import Metric, Panel
from rlgen.errors import problem
from rlgen.nn.attacks import attack_of
from rlgen.nn.layers import activations, dropout_after_activations
from rlgen.nn.moving_average import MovingAverage
from rlgen.nn.normalizer import ActionScale, Normalizer
from rlgen.sb3.actor_critic import is_recurrent
from rlgen.sb3.cloned import action_distribution, hidden_layers, require_cloneable
from rlgen.sb3.encoded_images import pretrain
from rlgen.sb3.features import fit_normalizers
from rlgen.sb3.policy_inputs import PolicyInputs
from rlgen.sb3.sequences import Episodes, Sequences, recurrent_distribution
from rlgen.system.device import torch_threads

from .bc_config import BCConfig, BCResult

Part = Pairs | Episodes
Batch = Pairs | Sequences
Report = Callable[[int, dict[str, float]], None]
ATTACK_STEPS = 5
"""Steps of PGD per gradient step."""
LEAST_ERROR = 1e-12  # a single row that fits by chance must not decide


class BC:
    """Clones demonstrations into the policy of `model`, in place: any on-policy SB3 model, or the actor of an
    off-policy one (SAC, TD3, TQC, CrossQ, DDPG). Its critics do not change, except for a features extractor that both
    share.

        BC(PPO("MlpPolicy", make_vec("Ant-v5", 1)), Demonstrations.load("ant.npz")).learn()

    For continuous actions (Box) the mean is regressed, for discrete ones (Discrete, MultiDiscrete, MultiBinary) the
    log-likelihood is maximized. Observations are vectors, windows, images or dictionaries, as the model's policy sees
    them (MlpPolicy, CnnPolicy, MultiInputPolicy, or one of your own).

    - A recurrent policy (RecurrentPPO) learns from sequences of whole episodes (`BCConfig.sequence`).
    - MaskablePPO is cloned with all actions allowed: demonstrations hold no action masks.
    - A VecNormalize that is training merges the demonstrated observations, which are raw, into its statistics first;
      one that is not training normalizes them with its own.

    Raises `InputError` for a model without an actor (DQN), and for demonstrations that do not fit it.
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
        require_demonstrations(demonstrations)
        if len(demonstrations) < 2:
            raise problem(
                "two transitions or more", str(len(demonstrations)), "one part is held out for early stopping"
            )
        require_counted_from_zero(model.observation_space, model.action_space)
        self.inputs = PolicyInputs(model)
        demonstrations.validate(self.inputs.raw_environment())
        self.model, self.policy, self.config, self.demonstrations = model, policy, config or BCConfig(), demonstrations
        self.batch = Pairs.of(demonstrations, model.device)
        self.observation_std = {
            name: Normalizer.of(rows).std
            for name, rows in tree.entries(self.batch.observations).items()
            if rows.dtype == torch.float32 and self.inputs.is_floating(name)
        }
        self.episode = held_out_by(demonstrations, model.device)
        if is_recurrent(policy):
            require_episodes(demonstrations)
        space = model.action_space
        self.scale: ActionScale | None = None
        if isinstance(space, spaces.Box):
            low, high = (torch.as_tensor(bound.ravel(), device=model.device) for bound in (space.low, space.high))
            self.scale = ActionScale.of(low, high)

    def learn(self, report: Report | None = None) -> BCResult:
        """Trains until the held-out loss stops falling; calls `report(update, values)` at every evaluation of it.

        Raises `InputError`, with the policy as it was before, if the loss is not finite.
        """
        if report is not None and not callable(report):
            remedy = "set the number of gradient steps by BCConfig(max_updates=…), and leave this out for no report"
            raise problem("a function report(update, values)", f"{report!r}", remedy)
        before, statistics = _copy(self.policy), self.inputs.statistics()
        try:
            with torch_threads(1):  # the minibatches are small
                return self._learn(report)
        except FloatingPointError as error:
            self.policy.load_state_dict(before)
            self.inputs.restore(statistics)
            remedy = f"lower the learning rate, {self.config.learning_rate:g}, or look for extreme observations"
            raise problem("cloning with finite numbers", str(error), remedy) from error

    def _learn(self, report: Report | None) -> BCResult:
        self.inputs.fit(self.demonstrations.observations)
        for prepare in (fit_normalizers, pretrain):
            prepare(self.model.policy, lambda: (self.inputs(some.observations) for some in self.batch.batches()))
        policy: Any = self.policy
        if getattr(policy, "use_sde", False):
            with torch.no_grad():  # otherwise its noise keeps a graph
                policy.reset_noise()
        train, held_out = self._split()
        begin, plain = _copy(self.policy), self.config.plain() if self._is_regularized() else None
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

    def _is_regularized(self) -> bool:
        """Whether dropout or noise changes anything: not for pixels that reach the action without hidden layers."""
        hidden = activations(hidden_layers(self.policy))
        return bool((self.config.dropout and hidden) or (self.config.noise and self.observation_std))

    def _fit(self, config: BCConfig, train: Part, held_out: Part, done: int, report: Report | None) -> BCResult:
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
            attack=config.attack,
        )

    def _step(self, config: BCConfig, train: Part, optimizer: torch.optim.Optimizer) -> Tensor:
        """Takes one gradient step on random rows and returns the loss."""
        batch = train.draw(config.batch_size)
        self.policy.set_training_mode(True)
        batch = self._noisy(batch, config.noise) if config.attack == "none" else self._attacked(batch, config)
        with dropout_after_activations(hidden_layers(self.policy), config.dropout):
            loss = self._loss(self.policy, batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss

    def _held_out_loss(self, held_out: Part, update: int) -> float:
        self.policy.set_training_mode(False)
        with torch.no_grad():
            loss = float(torch.cat([self._elements(self.policy, some) for some in held_out.batches()]).mean())
        if not math.isfinite(loss):
            raise FloatingPointError(f"a held-out loss of {loss} at update {update}")
        return loss

    @torch.no_grad()
    def _typical_error(self, rows: Part) -> float:
        """Geometric mean over rows of the mean action's squared error, or of the discrete actions' -log-likelihood."""
        self.policy.set_training_mode(False)
        errors = torch.cat(
            [
                self._surprises(self.policy, some) if self.scale is None else self._errors(self.policy, some).mean(1)
                for some in rows.batches()
            ]
        )
        return float(errors.clamp(min=LEAST_ERROR).log().mean().exp())

    def _noisy(self, batch: Batch, noise_std: float) -> Batch:
        """The batch with new noise on its observations."""
        if not noise_std or not self.observation_std:
            return batch
        parts = tree.entries(batch.observations)
        for name, std in self.observation_std.items():
            parts[name] = parts[name] + noise_std * std * torch.randn_like(parts[name])
        return replace(batch, observations=tree.of_entries(parts))

    def _attacked(self, batch: Batch, config: BCConfig) -> Batch:
        """The batch with its observations changed, by at most the size of the noise, such that the loss grows."""
        if config.attack == "none" or not self.observation_std:
            return batch
        parts = tree.entries(batch.observations)
        names = list(self.observation_std)
        sizes = [parts[name].shape[-1] for name in names]

        def changed(rows: Tensor) -> Batch:
            own = dict(zip(names, rows.split(sizes, -1), strict=True))
            return replace(batch, observations=tree.of_entries({**parts, **own}))

        radius = config.noise * torch.cat([self.observation_std[name] for name in names])
        attack = attack_of(config.attack, radius, steps=ATTACK_STEPS)
        rows = torch.cat([parts[name] for name in names], -1)
        return changed(attack(lambda seen: self._loss(self.policy, changed(seen)), rows, self.policy))

    def _split(self) -> tuple[Part, Part]:
        """Rows to learn from and held-out rows, at least one episode (or row) of each."""
        rows = torch.arange(len(self.batch), device=self.batch.device)
        groups = rows if self.episode is None else self.episode
        kinds = groups.unique()
        order = kinds[torch.randperm(len(kinds), device=rows.device)]
        cut = min(max(1, round(self.config.held_out * len(order))), len(order) - 1)
        held_out = torch.isin(groups, order[:cut])
        if is_recurrent(self.policy):
            return self._episodes(order[cut:]), self._episodes(order[:cut])
        return self.batch.part(rows[~held_out]), self.batch.part(rows[held_out])

    def _episodes(self, numbers: Tensor) -> Episodes:
        """Episodes by their numbers, in order."""
        lengths = torch.as_tensor(np.array(self.demonstrations.episode_lengths), device=self.batch.device).long()
        numbers = numbers.sort().values.long()
        return Episodes(self.batch, (lengths.cumsum(0) - lengths)[numbers], lengths[numbers], self.config.sequence)

    def _loss(self, policy: BasePolicy, batch: Batch) -> Tensor:
        """Mean over rows: squared error per action dimension, or negative log-likelihood in nats."""
        return self._elements(policy, batch).mean()

    def _elements(self, policy: BasePolicy, batch: Batch) -> Tensor:
        """Squared errors [R, A], or negative log-likelihoods [R] in nats."""
        try:
            if self.scale is None or self.config.loss == "log_likelihood":
                return self._surprises(policy, batch)
            return self._errors(policy, batch)
        except ValueError as refused:  # from torch, for a mean of NaN
            raise FloatingPointError("weights of NaN or infinity") from refused

    def _distribution(self, policy: Any, batch: Batch) -> Any:
        """The policy's distribution of the action in every row."""
        if isinstance(batch, Sequences):
            return recurrent_distribution(policy, batch, self.inputs)
        return action_distribution(policy, self.inputs(batch.observations))

    def _surprises(self, policy: BasePolicy, batch: Batch) -> Tensor:
        """[R] negative log-likelihood of the demonstrated actions in nats."""
        actions = batch.actions
        if self.scale is not None:
            actions = self.scale(actions) if policy.squash_output else actions
        elif isinstance(policy.action_space, spaces.Discrete):
            actions = actions.squeeze(-1)
        return -self._distribution(policy, batch).log_prob(actions)

    def _errors(self, policy: BasePolicy, batch: Batch) -> Tensor:
        """[R, A] squared error of the mean action, in units of half the action range."""
        assert self.scale is not None
        actions = self.scale(batch.actions) if policy.squash_output else batch.actions
        error = self._distribution(policy, batch).mode() - actions
        return (error if policy.squash_output else error / self.scale.half_range).square()


def require_episodes(demonstrations: Demonstrations) -> None:
    """Raises `InputError` for demonstrations that a recurrent policy cannot be cloned from."""
    demonstrations.require_whole("a recurrent policy")
    if demonstrations.n_episodes < 2:
        raise problem(
            "two episodes or more for a recurrent policy",
            f"one in {demonstrations.source}",
            "record more: whole episodes are held out for early stopping",
        )


def _copy(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def held_out_by(demonstrations: Demonstrations, device: torch.device | str) -> Tensor | None:
    """Episode of each row [R], where complete episodes are to be held out, because neighboring rows are nearly equal;
    None where rows are."""
    if demonstrations.stride > 1 or len(np.unique(demonstrations.episode)) == 1:
        return None
    return torch.tensor(demonstrations.episode, device=device)
