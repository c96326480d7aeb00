"""Imitation of several experts at once by one policy with a latent code (InfoGAIL, Li et al. 2017, 1703.08840)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from rlgen.data.demonstrations import Demonstrations
from rlgen.data.observations import require_flat
from rlgen.deprecation import renamed_fields
from rlgen.display import under
from rlgen.errors import problem
from rlgen.nn.penalties import Penalty
from rlgen.rewards.code_posterior import CodePosterior, CodePosteriorConfig, WithoutCode
from rlgen.sb3.actor_critic import require_actor_critic, require_raw_environment
from rlgen.sb3.latent_code import LatentCode, latent_code
from rlgen.sb3.relabel import WeightedReward, reward_panels

from .gail import GAIL, GAILConfig


@renamed_fields()
@dataclass(frozen=True, kw_only=True)
class InfoGAILConfig(GAILConfig):
    """Settings of InfoGAIL: those of GAIL, and those of the reward for a recognizable code."""

    information: float = 0.3
    """Weight of the reward for the code, in nats per step, relative to the discriminator's (λ₁ of the paper)."""
    posterior: CodePosteriorConfig = field(default_factory=CodePosteriorConfig)
    """Settings of the network that infers the code."""
    warm_start: bool = False
    """Warm start by behavioral cloning, which does not see the codes and so imitates the average of the experts."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.information < math.inf:
            raise problem("information of at least 0", str(self.information), "use e.g. 0.3")


class InfoGAIL(GAIL):
    """GAIL for unlabeled demonstrations of several experts: each code becomes one behavior.

        env = LatentCode(make_vec("Ant-v5", 16), codes=3)
        InfoGAIL(PPO("MlpPolicy", env), Demonstrations.load("mixture.npz")).learn(1_000_000)

    The policy sees the code of its episode, the discriminator does not, and a third network infers it from what the
    discriminator sees; the policy is rewarded if the inference is right. Afterwards `LatentCode(env, codes=3, code=1)`
    selects the behavior of code 1. Which code becomes which expert is random, and so is the share of experts that a
    code covers if there are fewer codes than experts.
    """

    name = "infogail"
    options = "gail"
    config_type = InfoGAILConfig
    panels = (*GAIL.panels, *under("code", (*CodePosterior.panels, *reward_panels("for its code"))))
    shown: Mapping[str, str] = {**GAIL.shown, "code/accuracy": "codes inferred"}
    config: InfoGAILConfig

    def _own_config(self, config: GAILConfig | None, model: Any) -> GAILConfig:
        require_actor_critic(model)
        require_raw_environment(model)
        chosen = super()._own_config(config, model)
        if chosen.discriminator.window > 2:
            raise problem("a window of 2 for InfoGAIL", str(chosen.discriminator.window), "leave it out, or use GAIL")
        return chosen

    def _validate(self) -> None:
        require_flat(self.demonstrations.observations, "InfoGAIL", self.demonstrations.source)
        super()._validate()

    @cached_property
    def code(self) -> LatentCode:
        """The wrapper that shows the policy its code."""
        return latent_code(self.model.get_env())

    def _make_sources(self, penalties: Sequence[Penalty]) -> None:
        super()._make_sources(penalties)
        self.posterior = CodePosterior(
            self.source.inputs, self.source.size, self.code.n_codes, self.config.posterior, self.model.device
        )

    def _task(self) -> Any:
        return self.code.venv

    def reward_sources(self) -> Mapping[str, WeightedReward]:
        code = WeightedReward(self.posterior, self.config.information)
        return {"gail": WeightedReward(WithoutCode(self.source, self.code.n_codes)), "code": code}

    def seen_by_policy(self) -> Demonstrations:
        """The demonstrations with a code in every row, in turn: a clone of them acts alike under all codes."""
        demonstrations, codes = self.demonstrations, np.arange(len(self.demonstrations)) % self.code.n_codes
        now, then = (
            self.code.coded(np.asarray(rows), codes)
            for rows in (demonstrations.observations, demonstrations.next_observations)
        )
        return replace(demonstrations, observations=now, next_observations=then)

    def own_state(self) -> dict[str, Any]:
        return {**super().own_state(), "posterior": self.posterior.state_dict()}

    def load_own_state(self, state: dict[str, Any]) -> None:
        super().load_own_state(state)
        self.posterior.load_state_dict(state["posterior"])
