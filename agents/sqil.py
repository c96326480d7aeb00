"""Soft Q imitation learning (Reddy et al. 2020, 1905.11108) around an off-policy Stable-Baselines3 model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from torch import Tensor

from rlgen.checks import below_one
from rlgen.data.demonstrations import Demonstrations
from rlgen.data.transitions import Transitions
from rlgen.equations.absorbing_states import absorbing_return
from rlgen.errors import problem
from rlgen.rewards.absorbing_states import require_discount
from rlgen.sb3.absorbed_entropy import absorbed_entropy
from rlgen.sb3.expert_rows import ExpertRows
from rlgen.sb3.relabel_replay import RelabelReplay

from .imitator import ImitationConfig, Imitator, own_config


@dataclass(frozen=True, kw_only=True)
class SQILConfig(ImitationConfig):
    """Settings of SQIL."""

    share: float = 0.5
    """Share of demonstrated rows in every minibatch (½ in the paper)."""
    warm_start: bool = False
    """Warm start by behavioral cloning of the same demonstrations, which requires their actions."""
    average: float = 0.0
    """Decay per step of the environments of the running average of the policy's weights; 0 for none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        below_one(self, "share", remedy="use e.g. 0.5")


class SQIL(Imitator):
    """Trains an off-policy SB3 model (SAC, TD3, TQC, CrossQ, DQN) on a reward of 1 for demonstrated rows and 0 for its
    own, half of each in every minibatch.

        SQIL(SAC("MlpPolicy", make_vec("Ant-v5", 8)), Demonstrations.load("ant.npz")).learn(200_000)

    The simplest way that works, without a discriminator. With few demonstrations its return may fall again after a
    peak, and critics without layer normalization may diverge; `rlgen train sqil` has it by default. An episode that the
    expert ended goes on in an absorbing state with a reward of 1 as well (`rlgen.equations.absorbing_states`). With DQN
    it takes discrete actions.

    Differs from the paper: DQN has the largest value of the next actions in its target, not their soft maximum.

    Raises `InputError` as `Imitator`.
    """

    name = "sqil"
    config: SQILConfig
    shown: Mapping[str, str] = {}

    def __init__(self, model: OffPolicyAlgorithm, demonstrations: Demonstrations, config: SQILConfig | None = None):
        if not isinstance(model, OffPolicyAlgorithm):
            raise problem(
                "an off-policy SB3 model for SQIL", type(model).__name__, "use e.g. SAC, or GAIL with this one"
            )
        self.config = own_config(SQILConfig, config, SQILConfig(), "SQIL")
        super().__init__(model, demonstrations)
        demonstrations.validate(self.inputs.raw_environment())
        require_discount(model.gamma)
        rows = demonstrations.transitions(str(model.device))
        self.experts = ExpertRows(model, rows, self.expert_reward, self.config.share)

    def expert_reward(self, batch: Transitions[Any]) -> Tensor:
        """1 for every demonstrated row [B], and all that follows where the task ended the episode."""
        reward = torch.ones(len(batch), device=batch.terminated.device)
        if batch.terminated.any():
            entropy = absorbed_entropy(self.experts.model, self.inputs(batch.observations))
            reward += (absorbing_return(1.0, self.model.gamma) + entropy) * batch.terminated
        return reward

    def reward_callbacks(self) -> list[BaseCallback]:
        return [RelabelReplay({}, adds=False, experts=self.experts, absorbs=True)]

    def own_state(self) -> dict[str, Any]:
        return {}

    def load_own_state(self, state: dict[str, Any]) -> None:
        """Nothing: all that it has learned is in the model."""
