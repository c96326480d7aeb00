"""Generative adversarial imitation learning (Ho & Ermon 2016, arXiv 1606.03476) around a Stable-Baselines3 model."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from rlgen.checks import at_least, below_one
from rlgen.data.demonstrations import Demonstrations
from rlgen.data.observations import require_flat
from rlgen.data.recording import action_bounds
from rlgen.deprecation import UNLESS_DEFAULT, renamed_fields
from rlgen.display import Panel, under
from rlgen.equations.divergences import DIVERGENCES
from rlgen.errors import problem
from rlgen.nn.penalties import Penalty, PenaltyConfig
from rlgen.rewards.adversarial import Adversarial, AdversarialConfig
from rlgen.rewards.bonus_unit import ReturnNormalizer
from rlgen.rewards.early_ends import absorbing_states
from rlgen.rewards.window_adversarial import WindowAdversarial, earlier_rows
from rlgen.sb3.adaptive_rate import Anneal
from rlgen.sb3.cloned import has_actor
from rlgen.sb3.relabel import Relabel, WeightedReward, reward_panels
from rlgen.sb3.relabel_replay import RelabelReplay, ReplayDraws

from .imitator import ImitationConfig, RewardedImitator, own_config

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
class GAILConfig(ImitationConfig):
    """Settings of GAIL. The defaults are the recipe of `experiments/gail`."""

    task_weight: float = field(default=0.0, metadata=UNLESS_DEFAULT)
    """Weight of the task's own reward, which is added to the discriminator's (AMP, Peng et al. 2021, 2104.02180: a task
    in the style of the demonstrations); 0: the task's reward is not used."""

    discriminator: AdversarialConfig = field(default_factory=AdversarialConfig)
    """Settings of the discriminator and its training."""
    penalties: PenaltyConfig = field(default_factory=lambda: PenaltyConfig(gradient=1.0))
    """Penalties of the discriminator."""
    scale_reward: bool = True
    """Division of rewards by the running standard deviation of their discounted returns."""
    expert_share: float = field(default=0.0, metadata=UNLESS_DEFAULT)
    """Share of demonstrated rows in the policy's own minibatches, with an off-policy learner (HyPE, Ren et al. 2024,
    2402.08848: 0.5); 0 for none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 0, "task_weight")
        divergence = self.discriminator.divergence
        self.penalties.refuse_for_loss(divergence, DIVERGENCES[divergence])
        below_one(self, "expert_share", remedy="use e.g. 0.5, or 0 for none")
        if self.task_weight and self.expert_share:
            got = f"task_weight={self.task_weight:g} and expert_share={self.expert_share:g}"
            raise problem("the task's reward or demonstrated rows, which have none", got, "leave one of the two out")
        if self.discriminator.divergence == "wasserstein" and not (
            self.penalties.gradient or self.penalties.spectral_norm
        ):
            raise problem(
                "a bound on the slope of the wasserstein critic, whose loss otherwise has no minimum",
                "the penalties gradient 0 without spectral_norm",
                "use e.g. penalties=PenaltyConfig(gradient=10)",
            )


OFF_POLICY = GAILConfig(
    discriminator=AdversarialConfig(batch_size=256, updates_per_rollout=1, divergence="reverse_kl", learning_rate=3e-5),
    penalties=PenaltyConfig(gradient=1.0, gradient_center=0.0),
    scale_reward=False,
    average=0.999,
    critics_first=10_000,
    kickstart=32.0,
)
"""Settings of GAIL with an off-policy learner (DAC, Kostrikov et al. 2019, 1809.02925). The gradient penalty has its
center at 0: at 1, the discriminator would keep a slope where it cannot tell the two sides apart, and an actor that
follows the critics' gradient climbs it. On Ant a clone that is not kickstarted is lost within 500 gradient steps."""
WITHOUT_ACTOR = replace(
    OFF_POLICY,
    warm_start=False,
    average=0.0,
    discriminator=replace(OFF_POLICY.discriminator, learning_rate=AdversarialConfig().learning_rate),
)
"""Settings of GAIL with an off-policy learner without an actor that could be cloned, such as DQN: a policy that starts
at random changes faster, and its discriminator learns faster."""

REGULARIZED = replace(
    OFF_POLICY,
    discriminator=AdversarialConfig(
        hidden=(64,), activation="relu", learning_rate=2.8e-4, weight_decay=8.5, mixup=True, batch_size=1024,
        updates_per_rollout=1, update_every=1, divergence="reverse_kl",
    ),
    penalties=PenaltyConfig(
        input_dropout=0.24, hidden_dropout=0.48, spectral_norm=True, gradient=0.28, gradient_center=0.0, entropy=0.24
    ),
)  # fmt: skip
"""Settings of GAIL with an off-policy learner and a strongly regularized discriminator: those of the SAC-GAIL that
Kaixhin's imitation-learning (2023) tuned for 5 trajectories of four MuJoCo tasks."""


class GAIL(RewardedImitator):
    """Trains `model`, an on-policy SB3 model (PPO, A2C, TRPO, RecurrentPPO, MaskablePPO) or an off-policy one (SAC,
    TD3, TQC, CrossQ, DQN), on the rewards of a discriminator.

        GAIL(PPO("MlpPolicy", make_vec("Ant-v5", 16)), Demonstrations.load("ant.npz")).learn(1_000_000)

    Off-policy the discriminator learns from the replay buffer, rewards are computed when a minibatch is drawn, and
    absorbing states are on (DAC, Kostrikov et al. 2019, 1809.02925); `OFF_POLICY` are the settings by default, without
    the warm start for a model that has no actor.

    The discriminator reads observations and actions of any space (`rlgen.rewards.observation_rows`): vectors, windows,
    images by a convolutional encoder, dictionaries of them, and discrete actions one-hot. Under a VecNormalize it sees
    raw observations.

    The task's own reward is not used, unless `task_weight` adds it. The policy's class does not change; if it has a
    normalizer (`rlgen.sb3.normalized_policy`), the normalizer is fitted to the demonstrations.

    The box of Algorithm 1 is `Relabel._on_rollout_end` (`rlgen/sb3/relabel.py`), which SB3's `learn` calls once a
    round. The discriminator's gradient step is `Adversarial.step` (`rlgen/rewards/adversarial.py`), and its loss is in
    `rlgen/nn/discriminator_loss.py`.

    Raises `InputError` as `Imitator`. With a discriminator of (s, s') and without warm start, demonstrated actions are
    never read. `penalties` are added to those of the config: any `rlgen.nn.Penalty`, your own too.
    """

    name = "gail"
    config: GAILConfig
    source: Adversarial
    config_type: type[GAILConfig] = GAILConfig
    panels: ClassVar[tuple[Panel, ...]] = under("gail", (*Adversarial.panels, *reward_panels()))
    shown: Mapping[str, str] = {"gail/policy_accuracy": "D acc policy", "gail/expert_accuracy": "expert"}

    def __init__(
        self,
        model: OnPolicyAlgorithm | OffPolicyAlgorithm,
        demonstrations: Demonstrations,
        config: GAILConfig | None = None,
        *,
        penalties: Sequence[Penalty] = (),
    ):
        self.config = self._own_config(config, model)
        super().__init__(model, demonstrations)
        self._validate()
        self._make_sources([*self.config.penalties.chosen(), *penalties])
        self.scale = ReturnNormalizer(model.gamma, model.n_envs) if self.config.scale_reward else None
        discriminator = self.config.discriminator
        if isinstance(model, OffPolicyAlgorithm):
            self.draws = ReplayDraws(model, discriminator.update_every, discriminator.rows_per_update)

    def _own_config(self, config: GAILConfig | None, model: OnPolicyAlgorithm | OffPolicyAlgorithm) -> GAILConfig:
        on_policy = not isinstance(model, OffPolicyAlgorithm)
        default = self.config_type() if on_policy else OFF_POLICY
        if not on_policy and not has_actor(model):
            log.info("no warm start by default: a %s has no actor to clone", type(model).__name__)
            default = WITHOUT_ACTOR
        chosen = own_config(self.config_type, config, default, type(self).__name__)
        if chosen.scale_reward and not on_policy:
            raise problem(
                "scale_reward=False with an off-policy model, whose replay buffer would mix rewards of several scales",
                "scale_reward=True",
                "start from rlgen.agents.gail.OFF_POLICY, e.g. dataclasses.replace(OFF_POLICY, warm_start=False)",
            )
        if chosen.expert_share and on_policy:
            got = f"expert_share={chosen.expert_share:g}"
            raise problem("an off-policy model, whose minibatches demonstrated rows can join", got, "use e.g. SAC")
        return chosen

    def _make_sources(self, penalties: Sequence[Penalty]) -> None:
        """Creates the reward sources."""
        experts = self.demonstrations.transitions(str(self.model.device))
        config, gamma, device = self.config.discriminator, self.model.gamma, self.model.device
        absorbing = absorbing_states(config, self.demonstrations, gamma, self.on_policy, device)
        if config.window == 2:
            self.source = Adversarial(experts, self._task(), config, penalties, absorbing, not self.on_policy)
            return
        source = self.demonstrations.source
        require_flat(self.demonstrations.observations, "a window of observations", source, "use a window of 2")
        if not self.on_policy:
            got = f"window {config.window} and a {type(self.model).__name__}"
            raise problem("an on-policy model for a window of more than 2 observations", got, "use e.g. PPO")
        earlier = earlier_rows(self.demonstrations, config.window - 2)
        self.source = WindowAdversarial(
            experts, self._task(), config, penalties, absorbing, earlier=earlier, n_envs=self.model.n_envs
        )

    def _validate(self) -> None:
        """Validates the demonstrations. Actions that are never read may have any value, NaN included."""
        demonstrations, config = self.demonstrations, self.config
        if config.discriminator.inputs == "state_transition":
            if not (config.warm_start or config.expert_share):
                low, high = action_bounds(self.model.action_space)
                unread = np.broadcast_to(np.clip(np.zeros_like(low), low, high), (len(demonstrations), len(low)))
                demonstrations = replace(demonstrations, actions=unread)
            elif not np.isfinite(demonstrations.actions).all():
                raise problem(
                    "demonstrated actions to clone for the warm start, or to learn from by expert_share",
                    f"NaN or infinity among those of {demonstrations.source}",
                    f"leave these out: {type(config).__name__}(warm_start=False, expert_share=0), or "
                    "--gail.no-warm-start --gail.expert-share 0",
                )
        demonstrations.validate(self._task())

    def _task(self) -> Any:
        """The environment of raw observations, whose spaces the demonstrations must fit."""
        return self.inputs.raw_environment()

    def reward_callbacks(self) -> list[BaseCallback]:
        rate = self.config.discriminator
        anneal = Anneal(self.source.optimizer, rate.learning_rate, rate.final_rate)
        if self.draws is not None:
            absorbs = self.source.absorbing is not None
            weight = self.config.task_weight
            relabel = RelabelReplay(self.reward_sources(), self.draws, adds=False, absorbs=absorbs, task_weight=weight)
            if self.config.expert_share:
                assert isinstance(self.model, OffPolicyAlgorithm)
                relabel.mix_in(self.model, self.source.demonstrations, self.config.expert_share)
            return [anneal, relabel]
        return [anneal, Relabel(self.reward_sources(), self.scale, task_weight=self.config.task_weight)]

    def reward_sources(self) -> Mapping[str, WeightedReward]:
        """The weighted reward sources, by their names in the log."""
        return {"gail": WeightedReward(self.source)}
