"""What all agents that imitate around a Stable-Baselines3 model share: the warm start, one call of the model's `learn`
with the agent's callbacks, and the state that a checkpoint holds."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self, TypeVar

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback, CallbackList, ConvertCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.type_aliases import MaybeCallback

from rlgen import distributed
from rlgen.checks import at_least, share
from rlgen.data.demonstrations import Demonstrations, require_demonstrations
from rlgen.data.pairs import Pairs
from rlgen.data.spaces import require_counted_from_zero
from rlgen.deprecation import UNLESS_DEFAULT
from rlgen.display import Panel
from rlgen.errors import problem
from rlgen.rewards.bonus_unit import ReturnNormalizer
from rlgen.rewards.source import RewardSource
from rlgen.sb3.actor_critic import is_recurrent, require_distribution
from rlgen.sb3.adaptive_rate import KLCallback
from rlgen.sb3.average import PolicyAverage
from rlgen.sb3.cloned import require_cloneable
from rlgen.sb3.critics_first import CriticsFirst, clone_acts, prepare_cloned
from rlgen.sb3.encoded_images import pretrain
from rlgen.sb3.fast_ppo import ActOnOneThread
from rlgen.sb3.features import fit_normalizers
from rlgen.sb3.finite import RequireFinite
from rlgen.sb3.kickstart import Kickstart
from rlgen.sb3.log import OwnLog
from rlgen.sb3.model_state import load_model_state, model_state
from rlgen.sb3.policy_inputs import PolicyInputs
from rlgen.sb3.relabel_replay import ReplayDraws, require_stored_ends, restore_replay_buffer
from rlgen.sb3.steps import constant_statistics, reset_unknown_observations
from rlgen.system.device import torch_threads

from .bc import BC, require_episodes
from .bc_config import BCConfig

log = logging.getLogger("rlgen")


@dataclass(frozen=True, kw_only=True)
class ImitationConfig:
    """Settings that all imitating agents share."""

    warm_start: bool = True
    """Warm start by behavioral cloning of the same demonstrations, which requires their actions."""
    bc: BCConfig = field(default_factory=BCConfig)
    """Settings of the warm start's cloning."""
    average: float = 0.9
    """Decay per round of the running average of the policy's weights; 0 for none. A round is a rollout, which
    off-policy is a single step of the environments."""
    critics_first: int = field(default=2000, metadata=UNLESS_DEFAULT)
    """Environment steps after a warm start in which an off-policy learner only learns its critics: untrained ones would
    undo the cloning."""

    kickstart: float = field(default=0.0, metadata=UNLESS_DEFAULT)
    """Weight w of an off-policy actor's distance from its clone (kickstarting, Schmitt et al. 2018, 1803.03835): its
    actions differ by about 1 / (2w) of half their range. 0 for none."""
    kickstart_final: float = field(default=0.25, metadata=UNLESS_DEFAULT)
    """Fraction of that weight that is left at the end of the training; it falls linearly. 1: constant."""
    kickstart_average: float = field(default=1.0, metadata=UNLESS_DEFAULT)
    """Decay per round of the running average with which the clone of `kickstart` follows the actor; 1 for a clone that
    stays as it is."""

    def __post_init__(self) -> None:
        if not 0 <= self.average < 1:
            raise problem("average of at least 0 and below 1", str(self.average), "use e.g. 0.9, or 0 for none")
        at_least(self, 0, "critics_first", "kickstart")
        share(self, "kickstart_final", remedy="use e.g. 0.25")
        share(self, "kickstart_average", remedy="use e.g. 0.9997, or 1 for a clone that stays")


def given_callbacks(callback: MaybeCallback) -> list[BaseCallback]:
    """The `callback` argument of SB3's `learn` as a list of callbacks."""
    given = callback if isinstance(callback, list) else [] if callback is None else [callback]
    return [each if isinstance(each, BaseCallback) else ConvertCallback(each) for each in given]


Config = TypeVar("Config", bound=ImitationConfig)


def own_config(kind: type[Config], config: ImitationConfig | None, default: Config, agent: str) -> Config:
    """`config`, or `default` for None. Raises `InputError` unless it is of the `kind` that the agent has."""
    if config is None:
        return default
    if not isinstance(config, kind):
        right = kind.__name__
        raise problem(f"settings of {agent} ({right})", f"{type(config).__name__}(…)", f"use {right}(…)")
    return config


def announce(model: BaseAlgorithm, what: str) -> None:
    """Says in the log what learns before the first step, and prints it for a model that is verbose."""
    log.info("%s", what)
    if model.verbose:
        print(what[0].upper() + what[1:])


class Imitator(ABC):
    """Trains `model` from demonstrations. A subclass has its `config` before it calls `__init__` here, and decides the
    model's rewards by its `reward_callbacks`.

    It may observe vectors, windows, images or dictionaries of them, and act by vectors or discrete numbers. Under a
    VecNormalize, reward sources see raw observations, and the model its own; after a warm start its statistics stay as
    the clone has seen them.

    Raises `InputError` for demonstrations that do not fit the model, for a warm start of a model without an actor, and
    for discrete actions that are not counted from 0.
    """

    name: ClassVar[str]
    """Key of its state in a checkpoint."""
    options: ClassVar[str] = ""
    """Name of its settings on the command line, where it is not `name`."""
    panels: ClassVar[tuple[Panel, ...]] = ()
    shown: Mapping[str, str] = {}
    on_warm_up: Callable[[int, int], None] | None = None
    """Called with the number of updates that the warm start's cloning has done, and its maximum."""
    config: ImitationConfig

    def __init__(self, model: OnPolicyAlgorithm | OffPolicyAlgorithm, demonstrations: Demonstrations):
        require_demonstrations(demonstrations)
        if isinstance(model, OffPolicyAlgorithm):
            require_stored_ends(model)
        else:
            require_distribution(model)
        require_counted_from_zero(model.observation_space, model.action_space)
        if self.config.warm_start and is_recurrent(require_cloneable(model, self._without_clone())):
            require_episodes(demonstrations)
        self.inputs = PolicyInputs(model)
        self.model, self.demonstrations = model, demonstrations
        self.on_policy = not isinstance(model, OffPolicyAlgorithm)
        self.warm_at = 0
        """Environment steps of the model before the warm start."""
        self.warm, self.own_log, self.average = False, OwnLog(), PolicyAverage(self.config.average)
        kickstarted = self.config.warm_start and self.config.kickstart and not self.on_policy
        chosen = self.config.kickstart, self.config.kickstart_final, self.config.kickstart_average
        self.kickstart = Kickstart(model, *chosen) if kickstarted else None

    def _without_clone(self) -> str:
        """What to do where a model cannot be cloned."""
        settings = f"{type(self.config).__name__}(warm_start=False), --{self.options or self.name}.no-warm-start"
        return f"choose another model, or leave the warm start out: {settings}"

    @abstractmethod
    def reward_callbacks(self) -> list[BaseCallback]:
        """Callbacks of the model's `learn` that decide its rewards."""

    @abstractmethod
    def own_state(self) -> dict[str, Any]:
        """What it has learned, without the model's state."""

    @abstractmethod
    def load_own_state(self, state: dict[str, Any]) -> None:
        """The inverse of `own_state`; `state` has further entries."""

    def learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int = 1,
        tb_log_name: str | None = None,
        progress_bar: bool = False,
    ) -> Self:
        """Trains for `total_timesteps` more environment steps, as SB3's `learn` does; the first call clones before.

        The step count continues from the model's. The first call opens a TensorBoard folder of its own,
        `tb_log_name`_1 (the class's name by default). The model ends with the averaged weights
        (`ImitationConfig.average`); another call continues from the last ones.
        """
        self.average.release()
        if not self.warm:
            self.warm_up()
        callbacks = CallbackList([*self._callbacks(), *given_callbacks(callback)])
        own_log = self.own_log.of(self.model, tb_log_name or type(self).__name__)
        if total_timesteps > 0:
            self._warn_of_idle_actor(total_timesteps)
            reset_unknown_observations(self.model)
            interval = log_interval * (1 if self.on_policy else self.model.n_envs)  # counts episodes off-policy
            # A clone has learned from inputs under these statistics, and further observations would change them.
            inputs = constant_statistics(self.model) if self.config.warm_start else nullcontext()
            with (
                torch_threads(torch.get_num_threads()),
                own_log,
                restore_replay_buffer(self.model),
                inputs,
                self._as_a_clone(),
            ):
                self.model.learn(
                    total_timesteps, callbacks, interval, reset_num_timesteps=False, progress_bar=progress_bar
                )
        self.average.adopt()
        return self

    def _warn_of_idle_actor(self, total_timesteps: int) -> None:
        """Logs that this call ends while only critics learn."""
        ends, first = self.model.num_timesteps + total_timesteps, self.warm_at + self.config.critics_first
        if self.config.warm_start and not self.on_policy and ends <= first:
            log.warning(
                "the policy will stay the clone: only critics learn in the first %d environment steps; train for "
                "longer, or lower critics_first",
                self.config.critics_first,
            )

    @contextmanager
    def _as_a_clone(self) -> Iterator[None]:
        """Within the block an off-policy clone acts from its first step on, and is kickstarted."""
        with ExitStack() as entered:
            if self.config.warm_start and isinstance(self.model, OffPolicyAlgorithm):
                entered.enter_context(clone_acts(self.model, self.warm_at))
            if self.kickstart is not None:
                entered.enter_context(self.kickstart.applied())
            yield

    def _callbacks(self) -> list[BaseCallback]:
        """All callbacks of the model's `learn`, in their order."""
        average = [self.average] if self.config.average else []
        if self.on_policy:
            return [ActOnOneThread(), *self.reward_callbacks(), KLCallback(), *average]
        first: list[BaseCallback] = []
        if self.config.warm_start:
            first.append(CriticsFirst(self.config.critics_first, self.warm_at))
        if self.kickstart is not None:
            first.append(self.kickstart)
        return [RequireFinite(), *first, *self.reward_callbacks(), *average]

    def warm_up(self) -> None:
        """Fits the policy's normalizer, if it has one, and clones for the warm start, before the first step."""
        demonstrations = self.seen_by_policy()
        if self.config.warm_start:
            announce(self.model, f"warm start: cloning {len(demonstrations):,} demonstrated transitions")
            BC(self.model, demonstrations, self.config.bc).learn(self._report_cloning)
            if isinstance(self.model, OffPolicyAlgorithm):
                prepare_cloned(self.model)
            if self.kickstart is not None:
                self.kickstart.remember()
        else:
            seen = Pairs.of(demonstrations, self.model.device)
            for prepare in (fit_normalizers, pretrain):
                prepare(self.model.policy, lambda: (self.inputs(some.observations) for some in seen.batches()))
        distributed.broadcast_random_state()  # because of rounding, processes may clone for different times
        self.warm, self.warm_at = True, self.model.num_timesteps

    def _report_cloning(self, update: int, values: Mapping[str, float]) -> None:
        if self.on_warm_up is not None:
            self.on_warm_up(update, self.config.bc.most_updates)

    def seen_by_policy(self) -> Demonstrations:
        """The demonstrations as the policy would observe them."""
        return self.demonstrations

    def acting(self) -> AbstractContextManager[None]:
        """Within the block, between two rounds, the model acts and is saved with the averaged weights."""
        return self.average.applied()

    def files(self) -> Mapping[str, bytes]:
        """No files in addition to the checkpoint."""
        return {}

    def achieved(self) -> Mapping[str, Any]:
        """Metrics of the finished run's result: none."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to continue between two rounds, except the environment and the random numbers."""
        adopted = self.average.release()
        state = {
            "model": model_state(self.model),
            "average": self.average.state_dict(),
            "warm": self.warm,
            **({"warm_at": self.warm_at} if self.warm_at else {}),
            **({} if self.kickstart is None else {"kickstart": self.kickstart.state_dict()}),
            **self.own_state(),
        }
        if adopted:
            self.average.adopt()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`, for an agent built with the same arguments."""
        load_model_state(self.model, state["model"])
        self.average.load_state_dict(state["average"], self.model)
        self.warm, self.warm_at = state["warm"], int(state.get("warm_at", 0))
        if self.kickstart is not None:
            self.kickstart.load_state_dict(state.get("kickstart", {}))
        self.load_own_state(state)


class RewardedImitator(Imitator):
    """An imitator whose rewards come from one `source`, which it trains or not."""

    source: RewardSource
    scale: ReturnNormalizer | None = None
    """Unit of the rewards, for some on-policy models."""
    draws: ReplayDraws | None = None
    """What the source learns from, for off-policy models."""

    def own_state(self) -> dict[str, Any]:
        return {
            "source": self.source.state_dict(),
            "scale": None if self.scale is None else self.scale.state_dict(),
            **({} if self.draws is None else {"draws": self.draws.state_dict()}),
        }

    def load_own_state(self, state: dict[str, Any]) -> None:
        self.source.load_state_dict(state["source"])
        if self.draws is not None:
            self.draws.load_state_dict(state["draws"])
        if self.scale is not None:
            self.scale.load_state_dict(state["scale"])
