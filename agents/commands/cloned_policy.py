"""Settings of a policy that is cloned."""

from dataclasses import dataclass, field

import torch
from stable_baselines3.common.base_class import BaseAlgorithm

from rlgen.deprecation import UNLESS_DEFAULT
from rlgen.sb3.vec_env import ResumableVecEnv

from ..image_encoder import EncoderConfig
from ..learner import LearnerConfig, make_model


@dataclass(frozen=True, kw_only=True)
class ClonedPolicy:
    """The policy of BC and DAgger, which no learner changes."""

    hidden: tuple[int, ...] = (256, 256)
    """Widths of the policy's hidden layers."""
    initial_std: float = LearnerConfig.initial_std
    """Standard deviation of the policy's actions, as a share of half the action range. Cloning by squared error does
    not change it; it matters if actions are sampled."""
    encoder: EncoderConfig = field(default=EncoderConfig(), metadata=UNLESS_DEFAULT)
    """Trained model that the policy's features of images or instructions start from."""

    def model_in(self, env: ResumableVecEnv, seed: int, device: torch.device) -> BaseAlgorithm:
        """A model with such a policy. Longer rollouts suit one environment; they matter only if the policy is trained
        further in SB3."""
        steps = LearnerConfig.batch_size
        learner = LearnerConfig(
            hidden=self.hidden, initial_std=self.initial_std, n_steps=steps, schedule="constant", encoder=self.encoder
        )
        return make_model(learner, env, seed, device)
