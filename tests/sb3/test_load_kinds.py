"""Every kind of policy that SB3 makes of vectors is played as SB3 plays it; others are refused by their own name."""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import A2C, DQN, PPO, SAC
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import DummyVecEnv

from rlgen.data import Demonstrations
from rlgen.errors import InputError
from rlgen.runs.evaluation import evaluate
from rlgen.sb3 import load_policy, normalized_policy

VECTOR, NUMBERS = spaces.Box(-3, 3, (4,)), spaces.Box(np.float32([-0.4, -2]), np.float32([0.4, 1]))
SMALL = {"net_arch": [8]}


class Still(gym.Env):
    """Three steps of random numbers."""

    def __init__(self, observation: spaces.Space, action: spaces.Space):
        self.observation_space, self.action_space = observation, action

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict]:
        super().reset(seed=seed)
        self.t = 0
        return self.look(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict]:
        self.t += 1
        return self.look(), float(np.sum(action)), False, self.t == 3, {}

    def look(self) -> Any:
        self.observation_space.seed(int(self.np_random.integers(1000)))
        return self.observation_space.sample()


def saved(algorithm: Any, path: Path, observation: Any, action: Any, policy: str = "MlpPolicy", **options: Any) -> Any:
    env = DummyVecEnv([lambda: Still(observation, action)] * 2)
    if algorithm.__name__ in ("DQN", "QRDQN", "SAC"):
        options |= {"buffer_size": 10}
    model = algorithm(policy, env, device="cpu", seed=0, **{"policy_kwargs": SMALL, **options})
    with torch.no_grad():
        for parameter in model.policy.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    model.save(path)
    return model


def assert_alike(model: Any, path: Path, observed: spaces.Space, rows: int = 40) -> None:
    loaded = load_policy(path)
    assert (loaded.observation_space, loaded.action_space) == (model.observation_space, model.action_space)
    seen = np.stack([observed.sample() for _ in range(rows)])
    for deterministic in (True, False) if not isinstance(model, DQN) and type(model).__name__ != "QRDQN" else (True,):
        acted = []
        for policy in (model, loaded):
            torch.manual_seed(1)
            if getattr(model, "use_sde", False):
                policy.policy.reset_noise()
            acted.append(policy.predict(seen, deterministic=deterministic)[0])
        assert np.array_equal(*acted)
        assert len(np.unique(acted[0], axis=0)) > 1


@pytest.mark.parametrize(
    "observation", [VECTOR, spaces.Discrete(5), spaces.MultiDiscrete([3, 4]), spaces.Box(-1, 1, (2, 3))]
)
@pytest.mark.parametrize("normalized", [False, True])
def test_every_observation_of_vectors_and_kinds(observation: spaces.Space, normalized: bool, tmp_path: Path) -> None:
    arguments = normalized_policy([8]) if normalized else SMALL
    model = saved(PPO, tmp_path / "m.zip", observation, NUMBERS, policy_kwargs=arguments)
    assert_alike(model, tmp_path / "m.zip", observation)


@pytest.mark.parametrize("action", [spaces.Discrete(3), spaces.MultiDiscrete([2, 3]), spaces.MultiBinary(3), NUMBERS])
def test_every_kind_of_action(action: spaces.Space, tmp_path: Path) -> None:
    assert_alike(saved(A2C, tmp_path / "m.zip", VECTOR, action), tmp_path / "m.zip", VECTOR)


@pytest.mark.parametrize(
    ("algorithm", "arguments"),
    [
        (PPO, {}),
        (PPO, {"full_std": False, "use_expln": True}),
        (PPO, {"squash_output": True}),
        (SAC, {}),
        (SAC, {"clip_mean": 0.5}),
        (SAC, {"clip_mean": 0.0}),
    ],
)
def test_state_dependent_exploration(algorithm: Any, arguments: dict[str, Any], tmp_path: Path) -> None:
    options = {"use_sde": True, "policy_kwargs": SMALL | arguments}
    model, path = saved(algorithm, tmp_path / "m.zip", VECTOR, NUMBERS, **options), tmp_path / "m.zip"
    assert_alike(model, path, VECTOR)
    env = DummyVecEnv([lambda: Still(VECTOR, NUMBERS)] * 2)
    sampled = [evaluate(load_policy(path), env, 4, False, seed=3, label=None).returns for _ in range(2)]
    assert np.array_equal(*sampled)
    assert not np.allclose(sampled[0], evaluate(load_policy(path), env, 4, seed=3, label=None).returns)


@pytest.mark.parametrize("name", ["DQN", "QRDQN"])
def test_values_of_actions(name: str, tmp_path: Path) -> None:
    algorithm = DQN if name == "DQN" else getattr(pytest.importorskip("sb3_contrib"), name)
    assert_alike(saved(algorithm, tmp_path / "m.zip", VECTOR, spaces.Discrete(3)), tmp_path / "m.zip", VECTOR)


@pytest.mark.parametrize(
    "arguments",
    [{}, {"enable_critic_lstm": False}, {"enable_critic_lstm": False, "shared_lstm": True}, {"n_lstm_layers": 2}],
)
def test_a_recurrent_policy_is_played_with_its_memory(arguments: dict[str, Any], tmp_path: Path) -> None:
    algorithm = pytest.importorskip("sb3_contrib").RecurrentPPO
    arguments = SMALL | {"lstm_hidden_size": 6} | arguments
    path = tmp_path / "m.zip"
    model = saved(algorithm, path, VECTOR, NUMBERS, "MlpLstmPolicy", policy_kwargs=arguments)
    env, played = DummyVecEnv([lambda: Still(VECTOR, NUMBERS)] * 2), []
    for policy in (model, load_policy(path)):
        played.append(Demonstrations.record(policy, env, 4).actions)
    assert np.array_equal(*played)
    alone, _ = model.predict(Demonstrations.record(model, env, 4).observations, deterministic=True)
    assert not np.allclose(alone, played[0])  # without memory it acts otherwise


class Scale(BaseFeaturesExtractor):
    def __init__(self, space: spaces.Box):
        super().__init__(space, 4)

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        return 0.1 * observations


class Own(ActorCriticPolicy): ...


def test_what_is_not_sb3s_own_is_refused_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "m.zip"
    cases = [
        (
            PPO,
            VECTOR,
            "MlpPolicy",
            SMALL | {"features_extractor_class": Scale},
            r"its own features extractor \(.*Scale",
        ),
        (
            SAC,
            VECTOR,
            "MlpPolicy",
            SMALL | {"features_extractor_class": Scale},
            r"its own features extractor \(.*Scale",
        ),
        (PPO, VECTOR, Own, SMALL, r"a policy class of tests\.sb3\.test_load_kinds"),
    ]
    for algorithm, observation, policy, arguments, name in cases:
        saved(algorithm, path, observation, NUMBERS, policy, policy_kwargs=arguments)  # type: ignore[arg-type]
        with pytest.raises(InputError, match=rf"expected MlpPolicy, CnnPolicy.*; got .*{name}.*; load it with SB3"):
            load_policy(path)


def test_contrib_s_others_are_refused_by_their_names(tmp_path: Path) -> None:
    contrib, path = pytest.importorskip("sb3_contrib"), tmp_path / "m.zip"
    saved(contrib.ARS, path, VECTOR, NUMBERS, "LinearPolicy", policy_kwargs={})
    with pytest.raises(InputError, match=r"got a policy class of sb3_contrib\.ars\.policies"):
        load_policy(path)


def test_the_environment_of_another_kind_of_action_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.zip"
    for algorithm, own, other in (
        (PPO, spaces.Discrete(2), NUMBERS),
        (PPO, NUMBERS, spaces.Discrete(2)),
        (PPO, spaces.MultiBinary(2), spaces.Discrete(2)),
        (PPO, spaces.MultiDiscrete([3, 2]), spaces.Discrete(5)),
        (DQN, spaces.Discrete(2), NUMBERS),
        (SAC, NUMBERS, spaces.Discrete(2)),
    ):
        saved(algorithm, path, VECTOR, own)
        with pytest.raises(InputError, match=r"action.*; got "):
            load_policy(path, VECTOR, other)
