"""The leaner rollouts and updates against SB3's own."""

from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import MaybeCallback

from rlgen.errors import InputError
from rlgen.sb3 import FastPPO, actor_critic, normalized_policy

SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "a ragged last minibatch": {"batch_size": 20},
    "entropy bonus": {"ent_coef": 0.02},
    "advantages as they are": {"normalize_advantage": False},
    "far steps": {"learning_rate": 1e-2, "n_epochs": 6},
    "an early stop": {"learning_rate": 1e-2, "n_epochs": 6, "target_kl": 0.01},
    "a schedule of the clipping": {"clip_range": lambda remaining: 0.01 + 0.1 * remaining, "learning_rate": 1e-2},
    "one row left over": {"batch_size": 21},
    "a network each": {"policy_kwargs": {"share_features_extractor": False}},
    "normalized observations": {"policy_kwargs": normalized_policy([16])},
}
FALL_BACK: dict[str, dict[str, Any]] = {"gSDE": {"use_sde": True}, "clipped value function": {"clip_range_vf": 0.2}}


class Falling(gym.Env):
    """Noise of shape (3,) and actions of shape (2, 3), paid by their sum; falls in step 4, or is cut in step 3 or 7."""

    metadata: ClassVar = {"render_modes": ["rgb_array"]}
    observation_space = gym.spaces.Box(-5, 5, (3,), np.float32)
    action_space = gym.spaces.Box(-1, 1, (2, 3), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.step_number, self.falls = 0, self.np_random.random() < 0.5
        return self.np_random.normal(size=3).astype(np.float32), {}

    def step(self, action):
        self.step_number += 1
        fell, cut = self.falls and self.step_number == 4, self.step_number == (7 if self.falls else 3)
        return self.np_random.normal(size=3).astype(np.float32), float(action.sum()), fell, cut, {}


gym.register("Falling-v0", Falling)


def trained(algorithm: type[PPO], env_id: str = "Pendulum-v1", callback: MaybeCallback = None, **settings: Any) -> PPO:
    limit = {} if env_id == "Falling-v0" else {"max_episode_steps": 8}  # which ends a rollout too
    env = make_vec_env(env_id, 4, seed=0, env_kwargs=limit)
    defaults = {"n_steps": 16, "batch_size": 16, "n_epochs": 2, "seed": 0, "device": "cpu"}
    model = algorithm("MlpPolicy", env, **{**defaults, **settings})
    model.learn(3 * 64, callback)
    env.close()
    return model


def require_alike(model: PPO, expected: PPO) -> None:
    """Weights of the policy, the statistics of episodes and the steps are the same."""
    for name, weight in expected.policy.state_dict().items():
        torch.testing.assert_close(model.policy.state_dict()[name], weight, rtol=1e-3, atol=1e-5, msg=name)
    assert [episode["r"] for episode in model.ep_info_buffer] == pytest.approx(
        [episode["r"] for episode in expected.ep_info_buffer], rel=1e-4
    )
    assert model.num_timesteps == expected.num_timesteps


@pytest.fixture
def closed_form(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for every loss that was computed in closed form."""
    calls: list[int] = []
    loss = actor_critic.gaussian_surrogate
    monkeypatch.setattr(actor_critic, "gaussian_surrogate", lambda *inputs: calls.append(1) or loss(*inputs))
    return calls


@pytest.mark.filterwarnings("ignore:You have specified a mini-batch size")
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_it_takes_the_steps_of_sb3_and_logs_the_same(settings: dict, closed_form: list[int]) -> None:
    expected, model = trained(PPO, **settings), trained(FastPPO, **settings)
    assert closed_form
    require_alike(model, expected)
    theirs, ours = expected.logger.name_to_value, model.logger.name_to_value
    assert {name for name in theirs if name.startswith("train/")} == {n for n in ours if n.startswith("train/")}
    for name, value in theirs.items():
        if name.startswith("train/"):
            assert ours[name] == pytest.approx(value, rel=1e-2, abs=1e-4), name
    assert ours["train/n_updates"] == theirs["train/n_updates"]


@pytest.mark.parametrize("settings", FALL_BACK.values(), ids=FALL_BACK)
def test_what_has_no_closed_form_takes_sb3s_update(settings: dict, closed_form: list[int]) -> None:
    model, expected = trained(FastPPO, **settings), trained(PPO, **settings)
    assert not closed_form
    for name, weight in expected.policy.state_dict().items():
        torch.testing.assert_close(model.policy.state_dict()[name], weight, rtol=1e-4, atol=1e-6)


def test_discrete_actions_take_sb3s_update(closed_form: list[int]) -> None:
    trained(FastPPO, "CartPole-v1")
    assert not closed_form


def test_a_saved_model_opens_in_plain_sb3(tmp_path) -> None:
    model = trained(FastPPO)
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
    ours, theirs = (algorithm("CnnPolicy", Pictures(), **settings).learn(8) for algorithm in (FastPPO, PPO))
    for name, weight in theirs.policy.state_dict().items():
        torch.testing.assert_close(ours.policy.state_dict()[name], weight, rtol=1e-3, atol=1e-5, msg=name)


def test_falls_time_limits_and_actions_in_rows_are_sb3s(closed_form: list[int]) -> None:
    settings = {"learning_rate": 1e-2, "gae_lambda": 0.5, "seed": 3}
    require_alike(trained(FastPPO, "Falling-v0", **settings), trained(PPO, "Falling-v0", **settings))
    assert closed_form


def test_a_callback_that_stops_the_rollout_stops_it() -> None:
    models = [
        trained(algorithm, callback=lambda seen, _: seen["self"].num_timesteps < 84) for algorithm in (FastPPO, PPO)
    ]
    require_alike(*models)
    assert models[0].num_timesteps == 84


class Own(ActorCriticPolicy):
    """Evaluates actions in its own way."""

    def evaluate_actions(self, obs, actions):
        values, log_prob, entropy = super().evaluate_actions(obs, actions)
        return 2 * values, log_prob, entropy


class Counting(RolloutBuffer):
    """A buffer that wants to know what it is given."""

    def add(self, *arguments, **named):
        self.added = getattr(self, "added", 0) + 1
        super().add(*arguments, **named)


def test_a_policy_or_a_buffer_of_ones_own_takes_sb3s_way(closed_form: list[int], monkeypatch) -> None:
    model = trained(FastPPO, rollout_buffer_class=Counting)
    assert model.rollout_buffer.added == 3 * 16
    models = []
    for algorithm in (FastPPO, PPO):
        env = make_vec_env("Pendulum-v1", 4, seed=0)
        settings = {"n_steps": 16, "batch_size": 16, "n_epochs": 2, "seed": 0, "device": "cpu"}
        models.append(algorithm(Own, env, **settings).learn(128))
    require_alike(*models)
    assert not closed_form


class Dropping(BaseFeaturesExtractor):
    """Numbers by themselves, but half of them 0 in training mode."""

    def __init__(self, space: gym.spaces.Box) -> None:
        super().__init__(space, 3)

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.dropout(observations, 0.5, self.training)


def test_the_policy_acts_in_evaluation_mode_and_learns_in_training_mode() -> None:
    modes = {"acting": set(), "learning": set()}

    class Spy(FastPPO):
        def _minibatches(self):
            modes["learning"].add(self.policy.training)
            return super()._minibatches()

    def look(seen, _):
        modes["acting"].add(seen["self"].policy.training)
        return True

    trained(Spy, callback=look, policy_kwargs={"features_extractor_class": Dropping})
    assert modes == {"acting": {False}, "learning": {True}}


class Poisoned(gym.Wrapper):
    """Pays NaN once."""

    paid = 0

    def step(self, action):
        observation, reward, *rest = self.env.step(action)
        self.paid += 1
        return observation, np.nan if self.paid == 12 else reward, *rest


def test_numbers_that_are_not_finite_stop_the_training_and_are_named() -> None:
    env = make_vec_env("Pendulum-v1", 2, seed=0, wrapper_class=Poisoned)
    model = FastPPO("MlpPolicy", env, n_steps=16, batch_size=16, n_epochs=2, seed=0, device="cpu")
    with pytest.raises(InputError, match=r"finite numbers for .* at environment step 32"):
        model.learn(96)
    env.close()
