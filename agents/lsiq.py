"""Least-squares inverse soft Q-learning (Al-Hafez et al. 2023, 2303.00599) around Stable-Baselines3's SAC or DQN, and
IQ-Learn (Garg et al. 2021, 2106.12142) as its plain setting."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from stable_baselines3 import DQN, SAC
from stable_baselines3.common.callbacks import BaseCallback

from rlgen.checks import one_of, positive
from rlgen.data.demonstrations import Demonstrations
from rlgen.rewards.absorbing_states import require_discount
from rlgen.sb3.inverse_soft_q import InverseSoftQRows, require_soft_values
from rlgen.sb3.relabel_replay import RelabelReplay

from .imitator import ImitationConfig, Imitator, own_config


@dataclass(frozen=True, kw_only=True)
class LSIQConfig(ImitationConfig):
    """Settings of LS-IQ."""

    regularization: float = 0.5
    """Weight c of the χ² regularizer: the critics' rewards are 1/c for demonstrated rows and -1/c for the policy's."""
    expert_target: Literal["fixed", "bootstrap"] = "fixed"
    """Target of the critics for demonstrated rows. fixed: the highest value, 1 / (c (1 - γ)); bootstrap: their reward
    and the value that follows, as in IQ-Learn."""
    clip: bool = True
    """Clipping of the values in targets to ±1 / (c (1 - γ)), the range of possible ones; IQ-Learn does not clip."""
    warm_start: bool = False
    """Warm start by behavioral cloning of the same demonstrations, which requires their actions."""
    average: float = 0.0
    """Decay per step of the environments of the running average of the policy's weights; 0 for none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(self, "regularization")
        one_of(self, "expert_target", ("fixed", "bootstrap"))


IQ_LEARN = LSIQConfig(expert_target="bootstrap", clip=False)
"""Settings of IQ-Learn with a χ² regularizer on both sides, as a regression to fixed rewards."""


class LSIQ(Imitator):
    """Trains SAC, or DQN for discrete actions, without a discriminator: its critics are regressed to targets that say
    what is the expert's.

        LSIQ(SAC("MlpPolicy", make_vec("Ant-v5", 8), ent_coef=0.001), Demonstrations.load("ant.npz")).learn(500_000)

    Like SQIL it mixes as many demonstrated rows into each minibatch as replayed ones, with fixed rewards; unlike
    SQIL's, its values cannot run away, because targets are clipped to the range that these rewards allow. An episode
    that the task ends goes on in an absorbing state with the reward of its last row. `IQ_LEARN` are the settings of
    IQ-Learn, whose objective with SAC is the same regression (`rlgen.equations.inverse_soft_q`).

    Differs from the papers: the second expectation is over replayed actions, not over new ones of the policy in
    replayed states; actor and critics have the same learning rate (there 3e-5 and 3e-4), and there are two critics.
    DQN, which the papers of LS-IQ do not have, has a temperature of 0: the highest action value is a state's value. Its
    loss is Huber's, that of absolute values where an error is above 1.

    Raises `InputError` for other models, for SAC that learns its entropy coefficient, and for demonstrations that do
    not fit the model.
    """

    name = "lsiq"
    config: LSIQConfig
    shown: Mapping[str, str] = {}

    def __init__(self, model: SAC | DQN, demonstrations: Demonstrations, config: LSIQConfig | None = None):
        require_soft_values(model)
        self.config = own_config(LSIQConfig, config, LSIQConfig(), "LSIQ")
        super().__init__(model, demonstrations)
        demonstrations.validate(self.inputs.raw_environment())
        require_discount(model.gamma)
        self.experts = InverseSoftQRows(
            model,
            demonstrations.transitions(str(model.device)),
            lambda batch: torch.zeros_like(batch.terminated, dtype=torch.float32),  # targets replace it
            regularization=self.config.regularization,
            fixed=self.config.expert_target == "fixed",
            clip=self.config.clip,
        )

    def reward_callbacks(self) -> list[BaseCallback]:
        return [RelabelReplay({}, adds=False, experts=self.experts)]

    def own_state(self) -> dict[str, Any]:
        return {}

    def load_own_state(self, state: dict[str, Any]) -> None:
        """Nothing: all that it has learned is in the model."""
