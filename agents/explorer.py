"""A Stable-Baselines3 model rewarded by its task and any number of curiosities, as one object to train and save."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from rlgen.data.visits import VISITS
from rlgen.errors import problem
from rlgen.rewards.bonus_unit import ReturnNormalizer
from rlgen.rewards.view import ranges
from rlgen.sb3.adaptive_rate import KLCallback
from rlgen.sb3.backward_starts import BackwardStarts
from rlgen.sb3.coverage import Coverage
from rlgen.sb3.fast_ppo import ActOnOneThread
from rlgen.sb3.finite import RequireFinite
from rlgen.sb3.log import OwnLog
from rlgen.sb3.model_state import load_model_state, model_state
from rlgen.sb3.observation_normalization import ObservationStatistics
from rlgen.sb3.relabel import Relabel
from rlgen.sb3.relabel_replay import restore_replay_buffer
from rlgen.sb3.steps import reset_unknown_observations
from rlgen.system.device import torch_threads

from .curiosity import Curiosity
from .image_encoder import require_started


class Explorer:
    """Trains `model` on its task's reward plus the bonuses of `curiosities`; without any, on the task's reward alone.

    `scale` normalizes the sum to returns of unit variance, and `coverage` counts the visited states, if given; the
    scale is for on-policy models, since a replay buffer would mix rewards of several scales. A policy with a normalizer
    (`rlgen.sb3.normalized_policy`) keeps running statistics of its observations. `starts`, if given, moves the starts
    of episodes backward along demonstrated trajectories.

    Raises `InputError` for a model that a curiosity does not support, and for two curiosities of one name.
    """

    name = "vime"
    on_warm_up: Callable[[int, int], None] | None = None
    """Never called: there is no warm start."""

    def __init__(
        self,
        model: BaseAlgorithm,
        curiosities: Sequence[Curiosity[Any]] = (),
        coverage: Coverage | None = None,
        scale: ReturnNormalizer | None = None,
        starts: BackwardStarts | None = None,
    ):
        if scale is not None and not isinstance(model, OnPolicyAlgorithm):
            raise problem("an on-policy SB3 model to scale rewards of", type(model).__name__, "leave the scale out")
        self.model, self.curiosities, self.coverage, self.scale = model, list(curiosities), coverage, scale
        require_started(model.policy)
        names = [each.name for each in self.curiosities]
        if len(set(names)) < len(names):  # their logs and states would collide
            raise problem("curiosities of different names", ", ".join(names), "give a subclass a name of its own")
        self.statistics, self.own_log, self.starts = ObservationStatistics(), OwnLog(), starts
        for curiosity in self.curiosities:
            curiosity.begin(model)
        self.shown = {f"{each.name}/reward": f"{each.name} bonus" for each in self.curiosities}
        if coverage is not None:
            self.shown["coverage/cells"] = "cells visited"

    def learn(self, total_timesteps: int, callback: BaseCallback | None = None) -> "Explorer":
        """Trains for `total_timesteps` more environment steps, as SB3's `learn` does; the step count continues."""
        if total_timesteps <= 0:
            return self
        reset_unknown_observations(self.model)
        with (
            torch_threads(torch.get_num_threads()),
            restore_replay_buffer(self.model),
            self.own_log.of(self.model, type(self.model).__name__),
        ):
            self.model.learn(
                total_timesteps, CallbackList(self.callbacks(callback)), self.log_interval, reset_num_timesteps=False
            )
        return self

    def callbacks(self, last: BaseCallback | None = None) -> list[BaseCallback]:
        """The callbacks of the model's `learn`, in this order."""
        chosen: list[BaseCallback] = [self.statistics, *self._reward_callbacks()]
        chosen += [] if self.starts is None else [self.starts]
        if isinstance(self.model, OnPolicyAlgorithm):
            chosen = [ActOnOneThread(), *chosen, KLCallback()]
        else:
            chosen = [RequireFinite(), *chosen]
        return [*chosen, *(each for each in (self.coverage, last) if each is not None)]

    def _reward_callbacks(self) -> list[BaseCallback]:
        """For an on-policy model one callback for all, because each computes bootstraps and advantages again."""
        if not isinstance(self.model, OnPolicyAlgorithm):
            return list(self.curiosities)
        sources = {each.name: each.begin(self.model) for each in self.curiosities}
        return [Relabel(sources, self.scale, adds=True)] if sources or self.scale is not None else []

    @property
    def log_interval(self) -> int:
        """Rollouts per line of the log; for an off-policy model episodes, which may end in all environments at once."""
        return 1 if isinstance(self.model, OnPolicyAlgorithm) else self.model.n_envs

    def acting(self) -> AbstractContextManager[None]:
        """Within the block, the model acts as the final model; here it already is."""
        return nullcontext()

    def files(self) -> Mapping[str, bytes]:
        """Files for the run folder in addition to the checkpoint, in their current state."""
        return {} if self.coverage is None else {VISITS: self.coverage.visits.to_bytes()}

    def achieved(self) -> Mapping[str, Any]:
        """Metrics of the finished run's result: what it found, if it counts that, and what its curiosities observe."""
        found = {} if self.coverage is None else self.coverage.achieved()
        seen = [ranges(each.observed) for each in self.curiosities if each.observed is not None]
        found |= {"observed": ", ".join(seen)} if seen else {}
        places = [ranges(each.places) for each in self.curiosities if each.places is not None]
        found |= {"places": ", ".join(places)} if places else {}
        return (
            found if self.starts is None else {**found, "restored_states": "yes", "starts_before": self.starts.before}
        )

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to continue between two rounds, except the environment and the random numbers."""
        return {
            "model": model_state(self.model),
            "curiosities": {each.name: each.state_dict() for each in self.curiosities},
            "coverage": None if self.coverage is None else self.coverage.state_dict(),
            "scale": None if self.scale is None else self.scale.state_dict(),
            **({} if self.starts is None else {"starts": self.starts.state_dict()}),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`, for an explorer built with the same arguments."""
        load_model_state(self.model, state["model"])
        for each in self.curiosities:
            each.load_state_dict(state["curiosities"][each.name])
        if self.coverage is not None:
            self.coverage.load_state_dict(state["coverage"])
        if self.scale is not None:
            self.scale.load_state_dict(state["scale"])
        if self.starts is not None:
            self.starts.load_state_dict(state["starts"])
