"""The leaner rollouts and updates against SB3's own."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env

from rlgen.sb3 import lean_ppo
from rlgen.sb3.features import normalised_policy
from rlgen.sb3.lean_ppo import LeanPPO

SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "a ragged last minibatch": {"batch_size": 20},
    "entropy bonus": {"ent_coef": 0.02},
    "advantages as they are": {"normalize_advantage": False},
    "far steps": {"learning_rate": 1e-2, "n_epochs": 6},
    "an early stop": {"learning_rate": 1e-2, "n_epochs": 6, "target_kl": 0.01},
    "a network each": {"policy_kwargs": {"share_features_extractor": False}},
    "normalised observations": {"policy_kwargs": normalised_policy([16])},
}
FALL_BACK: dict[str, dict[str, Any]] = {"gSDE": {"use_sde": True}, "clipped value function": {"clip_range_vf": 0.2}}


def trained(algorithm: type[PPO], env_id: str = "Pendulum-v1", **settings: Any) -> PPO:
    env = make_vec_env(env_id, 4, seed=0, env_kwargs={"max_episode_steps": 11})
    defaults = {"n_steps": 16, "batch_size": 16, "n_epochs": 2, "seed": 0, "device": "cpu"}
    model = algorithm("MlpPolicy", env, **{**defaults, **settings})
    model.learn(3 * 64)
    env.close()
    return model


@pytest.fixture
def closed_form(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for every loss that was computed in closed form."""
    calls: list[int] = []
    loss = lean_ppo.gaussian_surrogate
    monkeypatch.setattr(lean_ppo, "gaussian_surrogate", lambda *inputs: calls.append(1) or loss(*inputs))
    return calls


@pytest.mark.filterwarnings("ignore:You have specified a mini-batch size")
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_it_takes_the_steps_of_sb3_and_logs_the_same(settings: dict, closed_form: list[int]) -> None:
    expected, model = trained(PPO, **settings), trained(LeanPPO, **settings)
    assert closed_form
    for name, weight in expected.policy.state_dict().items():
        torch.testing.assert_close(model.policy.state_dict()[name], weight, rtol=1e-3, atol=1e-5, msg=name)
    theirs, ours = expected.logger.name_to_value, model.logger.name_to_value
    assert {name for name in theirs if name.startswith("train/")} == {n for n in ours if n.startswith("train/")}
    for name, value in theirs.items():
        if name.startswith("train/"):
            assert ours[name] == pytest.approx(value, rel=1e-2, abs=1e-4), name
    assert ours["train/n_updates"] == theirs["train/n_updates"]


@pytest.mark.parametrize("settings", FALL_BACK.values(), ids=FALL_BACK)
def test_what_has_no_closed_form_takes_sb3s_update(settings: dict, closed_form: list[int]) -> None:
    model, expected = trained(LeanPPO, **settings), trained(PPO, **settings)
    assert not closed_form
    for name, weight in expected.policy.state_dict().items():
        torch.testing.assert_close(model.policy.state_dict()[name], weight, rtol=1e-4, atol=1e-6)


def test_discrete_actions_take_sb3s_update(closed_form: list[int]) -> None:
    trained(LeanPPO, "CartPole-v1")
    assert not closed_form


def test_a_saved_model_opens_in_plain_sb3(tmp_path) -> None:
    model = trained(LeanPPO)
    model.save(tmp_path / "model.zip")
    observation = np.array([0.5, 0.5, 1.0], np.float32)
    opened = PPO.load(tmp_path / "model.zip", device="cpu")
    np.testing.assert_array_equal(
        opened.predict(observation, deterministic=True)[0], model.predict(observation, deterministic=True)[0]
    )


def test_images_and_their_preprocessing_are_sb3s() -> None:
    class Pictures(gym.Env):
        observation_space = gym.spaces.Box(0, 255, (36, 36, 1), np.uint8)
        action_space = gym.spaces.Box(-1, 1, (1,), np.float32)

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            return self.observation_space.sample(), {}

        def step(self, action):
            return self.observation_space.sample(), float(action[0]), False, False, {}

    descent = {"optimizer_class": torch.optim.SGD}  # Adam makes steps of rounding where the gradient is zero
    settings = {"n_steps": 8, "batch_size": 8, "n_epochs": 1, "seed": 0, "device": "cpu", "policy_kwargs": descent}
    ours, theirs = (algorithm("CnnPolicy", Pictures(), **settings).learn(8) for algorithm in (LeanPPO, PPO))
    for name, weight in theirs.policy.state_dict().items():
        torch.testing.assert_close(ours.policy.state_dict()[name], weight, rtol=1e-3, atol=1e-5, msg=name)
