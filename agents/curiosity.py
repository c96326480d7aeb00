"""Exploration by curiosity for Stable-Baselines3 models: what all curiosities share."""

import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import is_dataclass, replace
from typing import Any, ClassVar, Generic, Literal, TypeVar, get_args

from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import CallbackList
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.utils import LinearSchedule
from torch import Tensor

from rlgen.checks import config_of, require
from rlgen.data.spaces import is_codes, is_image, require_counted_from_zero, short
from rlgen.display import Panel, under
from rlgen.errors import problem
from rlgen.rewards.at_first_visits import AtFirstVisits
from rlgen.rewards.automatic_weight import AutomaticWeight
from rlgen.rewards.bonus_value import BonusReturns, BonusValue, BonusValueConfig
from rlgen.rewards.first_visits import FirstVisitCounts, FirstVisitCountsConfig
from rlgen.rewards.random_features import features_for, features_size
from rlgen.rewards.source import RewardSource, TaskShape
from rlgen.rewards.view import ObservedNumbers, OfView, TransitionView
from rlgen.sb3.log import EpisodeReturns
from rlgen.sb3.model_state import clone_tensors
from rlgen.sb3.relabel import Relabel, WeightedReward, reward_panels
from rlgen.sb3.relabel_replay import UPDATE_EVERY, RelabelReplay
from rlgen.sb3.rollout import require_buffer
from rlgen.sb3.steps import NewSteps

Config = TypeVar("Config")
EVERY_PLACE = FirstVisitCountsConfig(power=0.0)
"""First visits of an episode, all alike, however often earlier episodes have been there."""


class Curiosity(CallbackList, Generic[Config]):
    """A callback that adds a novelty bonus to the task's reward of any SB3 model, on-policy or off-policy:

        model.learn(1_000_000, callback=VIME(eta=1e-3))

    The policy learns from reward + η · bonus, through advantages and value functions alike; η falls in proportion to
    the steps done, to `final_eta` of it at the end. With η "auto", it starts at `usual_eta` and is tuned while
    training, so that the policy finds as much that is new as earlier policies do (`AutomaticWeight`). Several
    curiosities in a list of callbacks add up, each with its own η. `config` is the config of the reward source, or a
    mapping of its settings by name, as from a YAML file; `source` is the reward source once the training has started.
    It learns from every rollout, or with an off-policy model every `update_every` environment steps, counted over all
    environments.

    Images and dictionaries reach the source as features of a fixed random encoder (`RandomFeatures`). `observed` lists
    the numbers of a flat observation that the source sees, counted from 0; None for all. What a curiosity observes
    decides what it explores: novel contact forces, for example, are had by lying on one's back.

    `places` lists the numbers of a flat observation that say where the agent is, e.g. x and y. With them a step has a
    bonus only where its episode has not been before (`AtFirstVisits`): in cells of `place_width` standard deviations of
    the first rollout along each number. 2 % of the median deviation of these numbers is added to each, so that places
    should be numbers that vary about as much. This needs an on-policy model.

    With `bonus_returns="non_episodic"` (Burda et al. 2018, 1810.12894, section 2.3) the bonus does not join the reward.
    It has returns of its own, which go on past the ends of episodes, and a value function of its own with the settings
    `bonus_value`; its advantages are added to those of the reward. This needs an on-policy model on the host.

    `model.learn` raises `InputError` for actions that are neither vectors nor Discrete, and for replay buffers other
    than SB3's plain ones.
    """

    name: ClassVar[str]
    """Name of the log group, and on the command line."""
    source_type: ClassVar[Any]
    """Class of the reward source, constructed from a `TaskShape` and the config."""
    of_places: ClassVar[bool] = False
    """Whether it is for few numbers that say where the agent is."""
    usual_eta: ClassVar[float]
    """Default η: bonuses have very different scales, and this η makes them some thousandths of a reward of 1 in the
    first rollouts of SparseHalfCheetah."""

    def __init__(
        self,
        config: Config | Mapping[str, Any] | None = None,
        *,
        eta: float | Literal["auto"] | None = None,
        final_eta: float = 1.0,
        update_every: int = UPDATE_EVERY,
        observed: Sequence[int] | None = None,
        places: Sequence[int] | None = None,
        place_width: float | None = None,
        bonus_returns: BonusReturns = "episodic",
        bonus_value: BonusValueConfig | Mapping[str, Any] | None = None,
    ):
        super().__init__([])
        require("eta", eta, float | Literal["auto"] | None)
        require("final_eta", final_eta, float)
        require("update_every", update_every, int)
        seen = tuple(observed) if isinstance(observed, Iterable) else observed
        require("observed", seen, tuple[int, ...] | None)
        where = tuple(places) if isinstance(places, Iterable) else places
        require("places", where, tuple[int, ...] | None)
        require("place_width", place_width, float | None)
        require("bonus_returns", bonus_returns, BonusReturns)
        eta = self.usual_eta if eta is None else eta
        if seen == ():
            raise problem("numbers to see, as observed", "none", "use e.g. 0 1, or leave observed out")
        if where == ():
            raise problem("numbers that say where the agent is, as places", "none", "use e.g. 0 1, or leave places out")
        if place_width is not None and where is None:
            raise problem("places to have a place_width", "none", "add e.g. places=[0, 1], or leave place_width out")
        self.places = where
        self.place_settings = replace(EVERY_PLACE, width=EVERY_PLACE.width if place_width is None else place_width)
        self._require_weight(eta, final_eta)
        if bonus_value is not None and bonus_returns == "episodic":
            got, remedy = "bonus_value with episodic ones", 'add bonus_returns="non_episodic", or leave it out'
            raise problem("non-episodic returns for settings of the bonus's value function", got, remedy)
        self.config = config_from(self.config_type(), config)
        self.eta, self.final_eta = eta, final_eta
        self.automatic: AutomaticWeight | None = None
        self.observed = seen
        self.bonus_value: BonusValueConfig | None = None
        if bonus_returns == "non_episodic":
            self.bonus_value = config_from(BonusValueConfig, bonus_value) or BonusValueConfig()
        self.source: RewardSource | None = None
        self.value: BonusValue | None = None
        self.steps = NewSteps(update_every)

    def _require_weight(self, eta: float | Literal["auto"], final_eta: float) -> None:
        """Raises `InputError` for weights that cannot be meant."""
        if not 0 <= final_eta <= 1:
            raise problem("final_eta between 0 and 1, a share of eta", str(final_eta), "use 1 for a constant eta")
        if eta == "auto":
            if self.of_rollouts:  # it cannot reward earlier transitions again
                expected, got = "a number as the eta of a curiosity of whole rollouts", f"auto for {self.described}"
                raise problem(expected, got, f"use e.g. {self.usual_eta}, or another curiosity")
            if final_eta != 1:
                remedy = "leave it out, or give a number for eta"
                raise problem("final_eta of 1 with an automatic eta", str(final_eta), remedy)
        elif not 0 <= eta < math.inf:
            raise problem("eta of at least 0", str(eta), "use e.g. 0.001")

    @classmethod
    def config_type(cls) -> type[Any]:
        """The class of its settings, from its declaration: `class VIME(Curiosity[InformationGainConfig])`."""
        bases = cls.__orig_bases__  # type: ignore[attr-defined]
        return next(get_args(base)[0] for base in bases if get_args(base))

    @classmethod
    def needs_rollouts(cls) -> bool:
        """Whether its source rewards only the rollout that it was updated with."""
        return getattr(cls.source_type, "needs_rollouts", False)

    @property
    def of_rollouts(self) -> bool:
        """Whether it rewards only the rollout that it was updated with, because of its source or its places."""
        return self.needs_rollouts() or self.places is not None

    @property
    def described(self) -> str:
        """Its class, in messages."""
        return type(self).__name__ + ("" if self.places is None else " at first visits of places")

    @classmethod
    def panels(cls) -> tuple[Panel, ...]:
        """Panels of the metrics that it logs."""
        own = getattr(cls.source_type, "panels", ())
        return under(cls.name, (*reward_panels(), *AutomaticWeight.panels, *AtFirstVisits.panels, *own))

    def callback(self) -> "Curiosity[Config]":
        """Returns itself. Deprecated: give the curiosity as the callback."""
        warnings.warn(
            "give the curiosity itself as the callback, without .callback()", DeprecationWarning, stacklevel=2
        )
        return self

    def _init_callback(self) -> None:
        if not isinstance(self.model, OnPolicyAlgorithm | OffPolicyAlgorithm):
            raise problem("an on-policy or off-policy SB3 model", type(self.model).__name__, "use e.g. PPO or SAC")
        sources = {self.name: self.begin(self.model)}
        on_policy = isinstance(self.model, OnPolicyAlgorithm)
        self.callbacks = [Relabel(sources, adds=True) if on_policy else RelabelReplay(sources, self.steps)]
        super()._init_callback()

    def begin(self, model: BaseAlgorithm) -> WeightedReward:
        """The weighted reward source for `model`: a new one, or that of an earlier `learn` on the same kind of task."""
        shape = shape_of(model, self.observed)
        if self.of_rollouts and not isinstance(model, OnPolicyAlgorithm):
            remedy = "use PPO or TRPO, or another curiosity"
            raise problem(f"an on-policy model for {self.described}", type(model).__name__, remedy)
        if self.bonus_value is not None:
            require_buffer(model, "non-episodic returns")
        if self.source is None:
            view = self._view(model)
            source = self.source_type(shape, self.config or self.config_type()())
            if self.eta == "auto":
                source = self.automatic = AutomaticWeight(source, self.usual_eta, shape.device)
            source = source if view is None else OfView(source, view)
            self.shape, self.source = shape, self._at_first_visits(source, model)
            self.returns = EpisodeReturns(model.n_envs, model._stats_window_size)
            self.value = self._value(model)
        if self.shape != shape:
            raise problem(
                f"the task of its first training, {self.shape}", f"{shape}", f"use another {type(self).__name__}"
            )
        return WeightedReward(self.source, self._weight(), self.returns, self.value)

    def _value(self, model: BaseAlgorithm) -> BonusValue | None:
        """The value function of non-episodic returns, which sees the complete observation."""
        if self.bonus_value is None:
            return None
        features = features_for(model.observation_space, model.device)
        size = features_size(model.observation_space)
        return BonusValue(size, model.n_envs, self.bonus_value, model.device, features)

    def _weight(self) -> Callable[[float], float | Tensor]:
        """η by the remaining fraction of the training."""
        if self.eta == "auto":
            assert self.automatic is not None, "it is made with the source"
            return self.automatic.weight
        return LinearSchedule(self.eta, self.eta * self.final_eta, 1.0)

    def _view(self, model: BaseAlgorithm) -> TransitionView | None:
        """What the source sees of transitions, unless that is the whole vector of an observation."""
        if self.observed is None:
            return features_for(model.observation_space, model.device)
        return ObservedNumbers(self.observed, features_size(model.observation_space)).to(model.device)

    def _at_first_visits(self, source: RewardSource, model: BaseAlgorithm) -> RewardSource:
        """`source` where episodes visit one of the `places` for the first time; without them, as it is."""
        if self.places is None:
            return source
        visits = FirstVisitCounts(shape_of(model, self.places), self.place_settings)
        view = ObservedNumbers(self.places, features_size(model.observation_space), "places").to(model.device)
        return AtFirstVisits(source, OfView(visits, view))

    def state_dict(self) -> dict[str, Any]:
        """What it has learned and logs, without the model's own state; a copy that later training does not change."""
        if self.source is None:
            return {"source": None}
        return {
            "source": clone_tensors(self.source.state_dict()),
            "returns": self.returns.state_dict(),
            "steps": self.steps.state_dict(),
            **({} if self.value is None else {"value": clone_tensors(self.value.state_dict())}),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`, after `begin` on a model of the same task."""
        if state["source"] is None:
            self.source, self.value, self.steps = None, None, NewSteps(self.steps.enough)
            return
        if self.source is None:
            raise problem("a curiosity with a task", "one that has not started", "call begin(model) before")
        if (self.value is None) == ("value" in state):
            saved, own = ("non-episodic", "episodic") if self.value is None else ("episodic", "non-episodic")
            raise problem(f"a curiosity with {saved} returns, as the state has", own, "make it with the same settings")
        self.source.load_state_dict(state["source"])
        if self.value is not None:
            self.value.load_state_dict(state["value"])
        self.returns.load_state_dict(state["returns"])
        self.steps.load_state_dict(state["steps"])


def config_from(config_type: type[Any], given: Any) -> Any:
    """`given`, or the config with its settings if it is a mapping of them."""
    return given if given is None or is_dataclass(given) else config_of(config_type, given)


def shape_of(model: BaseAlgorithm, observed: Sequence[int] | None = None) -> TaskShape:
    """The shape of the task that `model` learns, for a reward source that sees flat observations, these numbers of
    them, or features."""
    space, acted = model.observation_space, model.action_space
    require_counted_from_zero(space, acted)
    if observed is not None and (not isinstance(space, spaces.Box) or is_image(space) or is_codes(space)):
        raise problem(
            "an observation of plain numbers, of which some are observed", short(space), "leave observed and places out"
        )
    if not isinstance(acted, spaces.Box | spaces.Discrete):
        raise problem("actions of a Box or Discrete space", f"{acted}", "wrap the environment")
    n_actions = int(acted.n) if isinstance(acted, spaces.Discrete) else None
    return TaskShape(
        observation_size=features_size(space) if observed is None else len(observed),
        action_size=spaces.flatdim(acted) if n_actions is None else 1,
        n_actions=n_actions,
        n_envs=model.n_envs,
        device=model.device,
    )
