"""Training a saved policy on."""

from pathlib import Path

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.vec_env import VecNormalize

from rlgen.envs import make_vec
from rlgen.errors import InputError
from rlgen.sb3 import FastPPO, normalized_policy, start_from_policy

TASK = "rlgen/SparseMountainCar-v0"


def learner(hidden: int = 8, seed: int = 0) -> FastPPO:
    return FastPPO(
        "MlpPolicy", make_vec(TASK, 2), n_steps=16, batch_size=16, policy_kwargs=normalized_policy([hidden]), seed=seed
    )


def test_the_model_acts_as_the_saved_policy_and_learns_on(tmp_path: Path) -> None:
    first, second = learner(), learner(seed=1)
    first.learn(64)
    first.save(tmp_path / "first.zip")
    start_from_policy(second, tmp_path / "first.zip")
    seen = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    assert np.array_equal(first.predict(seen, deterministic=True)[0], second.predict(seen, deterministic=True)[0])
    for name, value in first.policy.state_dict().items():
        assert torch.equal(second.policy.state_dict()[name], value), name
    second.learn(64)
    assert not np.array_equal(first.predict(seen, deterministic=True)[0], second.predict(seen, deterministic=True)[0])


def test_another_network_is_refused_with_what_differs(tmp_path: Path) -> None:
    learner(hidden=4).save(tmp_path / "other.zip")
    with pytest.raises(InputError, match=r"weight \[4, 2\] instead of \[8, 2\].* and \d+ more; give the hidden layers"):
        start_from_policy(learner(), tmp_path / "other.zip")


def test_another_kind_of_learner_is_refused(tmp_path: Path) -> None:
    SAC("MlpPolicy", make_vec(TASK, 1), buffer_size=10, policy_kwargs={"net_arch": [8]}).save(tmp_path / "sac.zip")
    with pytest.raises(InputError, match="kind of learner"):
        start_from_policy(learner(), tmp_path / "sac.zip")


def test_a_policy_of_normalized_observations_is_refused(tmp_path: Path) -> None:
    env = VecNormalize(make_vec(TASK, 1))
    model = PPO("MlpPolicy", env, n_steps=16, batch_size=16, policy_kwargs={"net_arch": [8]})
    model.save(tmp_path / "model.zip")
    env.save(str(tmp_path / "vecnormalize.pkl"))
    own = PPO("MlpPolicy", make_vec(TASK, 1), n_steps=16, batch_size=16, policy_kwargs={"net_arch": [8]})
    with pytest.raises(InputError, match="a policy that sees raw observations"):
        start_from_policy(own, tmp_path / "model.zip")
