"""Observations as the environment gave them, where a VecNormalize stands between it and the model."""

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecNormalize

from rlgen.errors import problem


class RawObservations:
    """The observations of one rollout below `env`: the first, then one more for each step. [T + 1, N, O]."""

    def __init__(self, env: VecNormalize):
        self.env = env
        self.rows: list[np.ndarray] = []
        self.add()

    def add(self) -> None:
        """After a step, or a reset."""
        self.rows.append(np.asarray(self.env.get_original_obs()))

    def raw(self, observation: np.ndarray) -> np.ndarray:
        """A normalised observation [O] of the present step, such as the last of an episode, in the environment's own
        numbers, as far as the normaliser has not clipped it."""
        return np.asarray(self.env.unnormalize_obs(observation))


def normaliser_of(model: BaseAlgorithm) -> VecNormalize | None:
    """The VecNormalize of the model's environment, if it has one. Raises `InputError` where its observations are not
    those of the model, because another wrapper changes their shape."""
    env = model.get_vec_normalize_env()
    if env is not None and env.observation_space.shape != model.observation_space.shape:
        raise problem(
            f"a VecNormalize of the observations that the model sees, {model.observation_space.shape}",
            f"one of {env.observation_space.shape} below another wrapper",
            "make VecNormalize the outermost wrapper",
        )
    return env


def require_raw_environment(model: BaseAlgorithm) -> None:
    """Raises `InputError` for a model under VecNormalize: demonstrations hold the environment's own numbers."""
    if model.get_vec_normalize_env() is not None:
        raise problem(
            "an environment of raw observations and rewards",
            "one under VecNormalize, whose scales the demonstrations would not share",
            "pass the environment itself: `rlgen.sb3.features.normalised_policy` normalises observations, and GAIL "
            "scales rewards",
        )
