"""Exploration by curiosity, for Stable-Baselines3 models: VIME and what it is compared with."""

import math
from typing import Any, ClassVar, Generic, TypeVar

from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.utils import LinearSchedule

from rlgen.errors import problem
from rlgen.rewards.information_gain import InformationGain, InformationGainConfig
from rlgen.rewards.source import RewardSource
from rlgen.rewards.task_shape import TaskShape
from rlgen.sb3.relabel import Paid, Relabel

Config = TypeVar("Config")


class Curiosity(Generic[Config]):
    """Pays an SB3 model, whatever its policy, for what is new, beside the task's own reward:

        model.learn(1_000_000, callback=VIME(eta=1e-3).callback())

    The policy learns from reward + η · bonus, through advantages and value function alike; η falls in proportion to the
    steps done, to `final_eta` of it at the end. Several at once, in a list of callbacks, add up. `config` is that of
    the reward source, which is `source` once the training has begun.
    """

    name: ClassVar[str]
    """Of its group in the log, and on the command line."""
    source_type: ClassVar[Any]
    """Made from a `TaskShape` and the config."""

    def __init__(self, config: Config | None = None, *, eta: float = 1e-3, final_eta: float = 1.0):
        if not 0 <= eta < math.inf:
            raise problem("eta of at least 0", str(eta), "use e.g. 0.001")
        if not 0 <= final_eta <= 1:
            raise problem("final_eta between 0 and 1, a share of eta", str(final_eta), "use 1 for a constant eta")
        self.config, self.eta, self.final_eta = config, eta, final_eta
        self.source: RewardSource | None = None

    def callback(self) -> BaseCallback:
        """For `model.learn`, which raises `InputError` for spaces that are not flat."""
        return _Curious(self)

    def begin(self, model: BaseAlgorithm) -> Paid:
        """The paid reward source for `model`: a new one, or that of an earlier `learn`."""
        if self.source is None:
            self.source = self.source_type(shape_of(model), self.config)
        return Paid(self.source, LinearSchedule(self.eta, self.eta * self.final_eta, 1.0))


class VIME(Curiosity[InformationGainConfig]):
    """Information gained about the dynamics, in units of the usual gain (Houthooft et al. 2016, arXiv 1605.09674)."""

    name = "vime"
    source_type = InformationGain


CURIOSITIES: dict[str, type[Curiosity[Any]]] = {kind.name: kind for kind in (VIME,)}


def shape_of(model: BaseAlgorithm) -> TaskShape:
    """What a reward source must know of the task that `model` learns."""
    observed, acted = model.observation_space, model.action_space
    if not isinstance(observed, spaces.Box) or len(observed.shape) != 1:
        raise problem("flat observations (Box of one dimension)", f"{observed}", "wrap with FlattenObservation")
    if not isinstance(acted, spaces.Box | spaces.Discrete):
        raise problem("actions of a Box or Discrete space", f"{acted}", "wrap the environment")
    n_actions = int(acted.n) if isinstance(acted, spaces.Discrete) else None
    return TaskShape(
        observation_size=observed.shape[0],
        action_size=spaces.flatdim(acted) if n_actions is None else 1,
        n_actions=n_actions,
        n_envs=model.n_envs,
        device=model.device,
    )


class _Curious(CallbackList):
    """What pays the model, chosen when the model is known."""

    def __init__(self, curiosity: Curiosity[Any]):
        super().__init__([])
        self.curiosity = curiosity

    def _init_callback(self) -> None:
        if not isinstance(self.model, OnPolicyAlgorithm):
            raise problem("an on-policy SB3 model", type(self.model).__name__, "use PPO, A2C or TRPO")
        paid = {self.curiosity.name: self.curiosity.begin(self.model)}
        self.callbacks = [Relabel(paid, adds=True)]
        super()._init_callback()
