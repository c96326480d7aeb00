"""TRPO with the rollouts of FastRollout beside SB3-contrib's."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sb3_contrib import TRPO
from stable_baselines3.common.env_util import make_vec_env

from rlgen.sb3 import FastTRPO


def trained(algorithm: type[TRPO], env_id: str) -> TRPO:
    env = make_vec_env(env_id, 2, seed=0)
    model = algorithm("MlpPolicy", env, n_steps=128, batch_size=64, seed=0, device="cpu")
    return model.learn(2 * 256)


@pytest.mark.parametrize("env_id", ["Pendulum-v1", "CartPole-v1"])
def test_it_takes_the_steps_of_sb3(env_id: str) -> None:
    lean, plain = trained(FastTRPO, env_id), trained(TRPO, env_id)
    for name, value in plain.policy.state_dict().items():
        torch.testing.assert_close(lean.policy.state_dict()[name], value, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(lean.rollout_buffer.returns, plain.rollout_buffer.returns, rtol=1e-3, atol=1e-3)


def test_a_saved_model_opens_in_plain_sb3(tmp_path: Path) -> None:
    model = trained(FastTRPO, "Pendulum-v1")
    model.save(tmp_path / "model.zip")
    observations = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    opened = TRPO.load(tmp_path / "model.zip", device="cpu")
    np.testing.assert_array_equal(
        opened.predict(observations, deterministic=True)[0], model.predict(observations, deterministic=True)[0]
    )
