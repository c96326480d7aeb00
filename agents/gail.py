"""Generative adversarial imitation learning (Ho & Ermon 2016, arXiv 1606.03476) around a Stable-Baselines3 model."""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback, CallbackList, ConvertCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.type_aliases import MaybeCallback

from rlgen import distributed
from rlgen.data.demonstrations import Demonstrations
from rlgen.deprecation import renamed_fields
from rlgen.display import Panel, under
from rlgen.errors import problem
from rlgen.nn.penalties import Penalty, PenaltyConfig
from rlgen.rewards.adversarial import Adversarial, AdversarialConfig, warn_of_early_ends
from rlgen.rewards.bonus_unit import ReturnNormalizer
from rlgen.sb3.actor_critic import require_actor_critic, require_raw_environment
from rlgen.sb3.adaptive_rate import Anneal, KLCallback
from rlgen.sb3.average import PolicyAverage
from rlgen.sb3.fast_ppo import ActOnOneThread
from rlgen.sb3.features import fit_normalizer
from rlgen.sb3.log import OwnLog
from rlgen.sb3.model_state import load_model_state, model_state
from rlgen.sb3.relabel import Relabel, WeightedReward, reward_panels
from rlgen.system.device import torch_threads

from .bc import BC, BCConfig

log = logging.getLogger("rlgen")


# Not a registry: earlier names of settings that are now in `PenaltyConfig`. A new penalty has none.
@renamed_fields(
    gradient_penalty="penalties.gradient",
    gradient_centre="penalties.gradient_center",
    quantise="penalties.quantize",
    **{
        name: f"penalties.{name}"
        for name in ("r1", "entropy", "spectral_norm", "bottleneck", "bottleneck_step", "historical_average")
    },
)
@dataclass(frozen=True, kw_only=True)
class GAILConfig:
    """Settings of GAIL. The defaults are the recipe of `experiments/gail`."""

    discriminator: AdversarialConfig = field(default_factory=AdversarialConfig)
    """Settings of the discriminator and its training."""
    penalties: PenaltyConfig = field(default_factory=lambda: PenaltyConfig(gradient=1.0))
    """Penalties of the discriminator."""
    warm_start: bool = True
    """Warm start by behavioral cloning of the same demonstrations, which requires their actions."""
    bc: BCConfig = field(default_factory=BCConfig)
    """Settings of the warm start's cloning."""
    scale_reward: bool = True
    """Division of rewards by the running standard deviation of their discounted returns."""
    average: float = 0.9
    """Decay per round of the running average of the policy's weights; 0 for none."""

    def __post_init__(self) -> None:
        if self.discriminator.divergence == "wasserstein" and not (
            self.penalties.gradient or self.penalties.spectral_norm
        ):
            raise problem(
                "a bound on the slope of the wasserstein critic, whose loss otherwise has no minimum",
                "the penalties gradient 0 without spectral_norm",
                "use e.g. penalties=PenaltyConfig(gradient=10)",
            )
        if not 0 <= self.average < 1:
            raise problem("average of at least 0 and below 1", str(self.average), "use e.g. 0.9, or 0 for none")


def given_callbacks(callback: MaybeCallback) -> list[BaseCallback]:
    """The `callback` argument of SB3's `learn` as a list of callbacks."""
    given = callback if isinstance(callback, list) else [] if callback is None else [callback]
    return [each if isinstance(each, BaseCallback) else ConvertCallback(each) for each in given]


class GAIL:
    """Trains `model`, any on-policy SB3 model (PPO, A2C, TRPO), on the rewards of a discriminator.

        GAIL(PPO("MlpPolicy", make_vec("Ant-v5", 16)), Demonstrations.load("ant.npz")).learn(1_000_000)

    The task's own reward is not used. The policy's class does not change; if it has a normalizer
    (`rlgen.sb3.normalized_policy`), the normalizer is fitted to the demonstrations.

    The box of Algorithm 1 is `Relabel._on_rollout_end` (`rlgen/sb3/relabel.py`), which SB3's `learn` calls once a
    round. The discriminator's gradient step is `Adversarial.step` (`rlgen/rewards/adversarial.py`), and its loss is in
    `rlgen/nn/discriminator_loss.py`.

    Raises `InputError` for a model that is not on-policy, is recurrent, has discrete actions or a VecNormalize, and for
    demonstrations that do not fit it. With a discriminator of (s, s') and without warm start, demonstrated actions are
    never read. `penalties` are added to those of the config: any `rlgen.nn.Penalty`, your own too.
    """

    name = "gail"
    config_type: type[GAILConfig] = GAILConfig
    panels: ClassVar[tuple[Panel, ...]] = under("gail", (*Adversarial.panels, *reward_panels()))
    shown: Mapping[str, str] = {"gail/policy_accuracy": "D acc policy", "gail/expert_accuracy": "expert"}

    on_warm_up: Callable[[int, int], None] | None = None
    """Called with the number of updates that the warm start's cloning has done, and its maximum."""

    def __init__(
        self,
        model: OnPolicyAlgorithm,
        demonstrations: Demonstrations,
        config: GAILConfig | None = None,
        *,
        penalties: Sequence[Penalty] = (),
    ):
        require_actor_critic(model)
        space = model.action_space
        if not isinstance(space, spaces.Box):
            raise problem("continuous actions (Box)", f"{space}", "use an environment with continuous actions")
        require_raw_environment(model)
        self.model, self.demonstrations = model, demonstrations
        self.config = self._own_config(config)
        self._validate(space)
        self._make_sources(space, [*self.config.penalties.chosen(), *penalties])
        self.average = PolicyAverage(self.config.average)
        self.warm, self.own_log = False, OwnLog()
        self.scale = ReturnNormalizer(model.gamma, model.n_envs) if self.config.scale_reward else None

    @classmethod
    def _own_config(cls, config: GAILConfig | None) -> GAILConfig:
        if config is None:
            return cls.config_type()
        if not isinstance(config, cls.config_type):
            right = cls.config_type.__name__
            raise problem(f"settings of {cls.__name__} ({right})", f"{type(config).__name__}(…)", f"use {right}(…)")
        return config

    def _make_sources(self, space: spaces.Box, penalties: Sequence[Penalty]) -> None:
        """Creates the reward sources."""
        low, high = torch.as_tensor(space.low.ravel()), torch.as_tensor(space.high.ravel())
        experts = self.demonstrations.transitions(str(self.model.device))
        self.source = Adversarial(experts, low, high, self.config.discriminator, penalties)

    def _validate(self, space: spaces.Box) -> None:
        """Validates the demonstrations. Actions that are never read may have any value, NaN included."""
        demonstrations, config = self.demonstrations, self.config
        if config.discriminator.inputs == "state_transition":
            if not config.warm_start:
                unread = np.broadcast_to(
                    np.clip(np.zeros_like(space.low), space.low, space.high).ravel(),
                    (len(demonstrations), space.low.size),
                )
                demonstrations = replace(demonstrations, actions=unread)
            elif not np.isfinite(demonstrations.actions).all():
                raise problem(
                    "demonstrated actions to clone for the warm start",
                    f"NaN or infinity among those of {demonstrations.source}",
                    "leave it out: GAILConfig(warm_start=False), or --gail.no-warm-start",
                )
        demonstrations.validate(self._task())
        warn_of_early_ends(config.discriminator, demonstrations)

    def _task(self) -> Any:
        """The model or environment whose spaces the demonstrations must fit."""
        return self.model

    def learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int = 1,
        tb_log_name: str | None = None,
        progress_bar: bool = False,
    ) -> "GAIL":
        """Trains for `total_timesteps` more environment steps, as SB3's `learn` does; the first call clones before.

        The step count continues from the model's. The first call opens a TensorBoard folder of its own,
        `tb_log_name`_1 (the class's name by default). The model ends with the averaged weights
        (`GAILConfig.average`); another call continues from the last ones.
        """
        self.average.release()
        if not self.warm:
            self.warm_up()
        callbacks = CallbackList([*self._callbacks(), *given_callbacks(callback)])
        own_log = self.own_log.of(self.model, tb_log_name or type(self).__name__)
        if total_timesteps > 0:
            with torch_threads(torch.get_num_threads()), own_log:
                self.model.learn(
                    total_timesteps, callbacks, log_interval, reset_num_timesteps=False, progress_bar=progress_bar
                )
        self.average.adopt()
        return self

    def _callbacks(self) -> list[BaseCallback]:
        rate = self.config.discriminator
        return [
            ActOnOneThread(),
            Anneal(self.source.optimizer, rate.learning_rate, rate.final_rate),
            Relabel(self.reward_sources(), self.scale),
            KLCallback(),
            self.average,
        ]

    def reward_sources(self) -> Mapping[str, WeightedReward]:
        """The weighted reward sources, by their names in the log."""
        return {"gail": WeightedReward(self.source)}

    def warm_up(self) -> None:
        """Fits the policy's normalizer, if it has one, and clones for the warm start, before the first step."""
        demonstrations = self.seen_by_policy()
        if self.config.warm_start:
            log.info("warm start: cloning %d demonstrated transitions", len(demonstrations))
            if self.model.verbose:
                print(f"Warm start: cloning {len(demonstrations):,} demonstrated transitions")
            BC(self.model, demonstrations, self.config.bc).learn(self._report_cloning)
        else:
            fit_normalizer(self.model.policy, torch.tensor(demonstrations.observations))
        distributed.broadcast_random_state()  # because of rounding, processes may clone for different times
        self.warm = True

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
            "source": self.source.state_dict(),
            "average": self.average.state_dict(),
            "warm": self.warm,
            "scale": None if self.scale is None else self.scale.state_dict(),
        }
        if adopted:
            self.average.adopt()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`, for a GAIL built with the same arguments."""
        load_model_state(self.model, state["model"])
        self.source.load_state_dict(state["source"])
        self.average.load_state_dict(state["average"], self.model)
        self.warm = state["warm"]
        if self.scale is not None:
            self.scale.load_state_dict(state["scale"])
