"""Policies as safetensors and JSON."""

import json
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import DQN, PPO, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from torch import nn

from rlgen.errors import InputError
from rlgen.sb3 import load_policy, normalized_policy
from rlgen.sb3.plain_policy import entries_of_space, space_of_entries, write_plain_policy
from rlgen.sb3.saved_model import read_saved_model


class Still(gym.Env):
    """Spaces are all that a model needs at construction."""

    def __init__(self, discrete: bool) -> None:
        self.observation_space = spaces.Box(-np.inf, np.inf, (3,))
        self.action_space = spaces.Discrete(4) if discrete else spaces.Box(np.float32([-1, -2]), np.float32([1, 3]))


MODELS = {
    "ppo": (PPO, {"policy_kwargs": {"net_arch": [5], "activation_fn": nn.ELU}}),
    "normalized ppo": (PPO, {"policy_kwargs": normalized_policy([5])}),
    "gsde": (PPO, {"use_sde": True, "policy_kwargs": {"net_arch": [5]}}),
    "sac": (SAC, {"buffer_size": 10, "policy_kwargs": {"net_arch": [5]}}),
    "td3": (TD3, {"buffer_size": 10, "policy_kwargs": {"net_arch": [5]}}),
    "dqn": (DQN, {"buffer_size": 10, "policy_kwargs": {"net_arch": [5]}}),
}


def written(folder: Path, name: str = "ppo") -> BaseAlgorithm:
    kind, options = MODELS[name]
    model = kind("MlpPolicy", Still(kind is DQN), seed=0, device="cpu", **options)
    model.save(folder / "model.zip")
    write_plain_policy(read_saved_model(folder / "model.zip"), folder)
    (folder / "model.zip").unlink()
    return model


@pytest.mark.parametrize("name", MODELS)
def test_a_policy_acts_as_before(name: str, tmp_path: Path) -> None:
    model = written(tmp_path, name)
    observations = np.random.default_rng(0).normal(size=(32, 3)).astype(np.float32)
    loaded = load_policy(tmp_path)
    sampled = name not in ("dqn", "gsde")  # whose noise is drawn when a model is made or loaded
    for deterministic in (True, False) if sampled else (True,):
        acted = []
        for policy in (model, loaded):
            torch.manual_seed(1)
            acted.append(policy.predict(observations, deterministic=deterministic)[0])
        assert np.array_equal(*acted)
    assert (loaded.observation_space, loaded.action_space) == (model.observation_space, model.action_space)


def test_equal_policies_are_equal_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        written(tmp_path / name)
    for name in ("model.safetensors", "model.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize(
    "space",
    [
        spaces.Box(np.float32([-np.inf, 0]), np.float32([np.inf, 1 / 3])),
        spaces.Box(-1, 1, (2, 3), np.float64),
        spaces.Box(0, 255, (2,), np.uint8),
        spaces.Discrete(4, start=-1),
        spaces.MultiDiscrete([2, 3]),
        spaces.MultiBinary([2, 2]),
    ],
)
def test_a_space_is_the_same_after_json(space: spaces.Space) -> None:
    assert space_of_entries(json.loads(json.dumps(entries_of_space(space), allow_nan=False))) == space


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"policy": 3}, "a description under 'policy'"),
        ({"action_space": {"kind": "Dict"}}, "a Dict under 'action_space'"),
        ({"action_space": {"kind": "Discrete"}}, "a Dict under 'action_space'"),
        (
            {"observation_space": {"kind": "Box", "shape": [3], "dtype": "O", "low": [0] * 3, "high": [1] * 3}},
            "a Dict under 'observation_space'",
        ),
        ({"observation_space": None}, "the observation space of training"),
    ],
)
def test_a_damaged_description_is_named(changes: dict, said: str, tmp_path: Path) -> None:
    written(tmp_path)
    card = json.loads((tmp_path / "model.json").read_text()) | changes
    (tmp_path / "model.json").write_text(json.dumps(card))
    with pytest.raises(InputError, match=said):
        load_policy(tmp_path)


def test_damaged_tensors_are_named(tmp_path: Path) -> None:
    written(tmp_path)
    whole = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[:-8])
    with pytest.raises(InputError, match="the tensors of a policy in"):
        load_policy(tmp_path)
