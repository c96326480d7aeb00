"""Tasks of MiniGrid and BabyAI show their instruction in numbers, and their view as codes."""

import subprocess
import sys
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.env_util import is_wrapped
from stable_baselines3.common.preprocessing import is_image_space

from rlgen.data.spaces import is_codes, is_image, kinds_of
from rlgen.data.words import LENGTH, LONGEST, decode
from rlgen.envs import make_vec, registration
from rlgen.errors import InputError
from rlgen.rewards.observation_rows import entry_of
from rlgen.rewards.random_features import features_for, features_size
from rlgen.sb3.image_features import DictFeatures, policy_name
from rlgen.sb3.instructed import InstructedEnv, shows_instructions, with_numbers

pytest.importorskip("minigrid")


def test_an_id_of_babyai_needs_no_import_and_shows_numbers() -> None:
    code = "from rlgen.envs import make_vec; print(make_vec('BabyAI-GoToObj-v0', 1).reset()['mission'].shape)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == f"(1, {LENGTH})", done.stderr


def test_numbers_are_those_of_the_mission_in_every_step() -> None:
    env = make_vec("BabyAI-GoToLocal-v0", 2, seed=3)
    seen = env.reset()
    for action in (2, 1, 2):
        missions = [each.unwrapped.mission for each in env.envs]
        assert [decode(row) for row in seen["mission"]] == missions
        assert env.observation_space.contains({name: rows[0] for name, rows in seen.items()})
        seen, *_ = env.step(np.array([action, action]))
    assert [each.get_wrapper_attr("last_action") for each in env.envs] == [2, 2]


def test_sequences_of_clauses_get_more_numbers() -> None:
    lengths = {
        name: make_vec(f"BabyAI-{name}-v0", 1).observation_space["mission"].shape[0]
        for name in ("PutNextLocal", "SynthLoc", "GoToSeq", "BossLevel")
    }
    assert lengths == {"PutNextLocal": LENGTH, "SynthLoc": LENGTH, "GoToSeq": LONGEST, "BossLevel": LONGEST}


def test_the_view_is_codes_and_no_picture() -> None:
    space = make_vec("BabyAI-GoToObj-v0", 1).observation_space
    assert shows_instructions(space)
    assert not is_image_space(space["image"])
    assert not is_image(space["image"])
    assert kinds_of(space)["image"] == ("uint8", (147,))
    assert entry_of(space["image"]).size == 49 * (11 + 6 + 4)
    assert policy_name(space) == "MultiInputPolicy"


@pytest.mark.parametrize(
    ("space", "codes"),
    [
        (spaces.Box(0, 9, (7, 7, 3), np.uint8), True),
        (spaces.Box(0, 9, (4,), np.uint8), True),
        (spaces.Box(0, 255, (7, 7, 3), np.uint8), False),
        (spaces.Box(1, 9, (4,), np.uint8), False),
        (spaces.Box(0, 9, (4,), np.int64), False),
        (spaces.Discrete(4), False),
    ],
)
def test_codes_are_bytes_from_zero_to_less_than_255(space: spaces.Space, codes: bool) -> None:
    assert is_codes(space) == codes
    assert is_image(space) == (not codes and len(space.shape) == 3)


def test_codes_are_one_hot_for_discriminators_and_for_features_of_dictionaries() -> None:
    space = spaces.Dict({"codes": spaces.Box(0, np.array([2, 1], np.uint8), (2,), np.uint8)})
    rows = np.array([[2, 0], [0, 1]], np.uint8)
    expected = [[0, 0, 1, 1, 0], [1, 0, 0, 0, 1]]
    assert entry_of(space["codes"])(torch.as_tensor(rows)).tolist() == expected
    features = DictFeatures(space)
    assert features.features_dim == 5
    assert features({"codes": torch.as_tensor(rows).float()}).tolist() == expected


def test_codes_alone_are_one_hot_for_curiosities() -> None:
    space = spaces.Box(0, 2, (2,), np.uint8)
    seen = features_for(space, "cpu")
    assert seen is not None
    assert seen.size == features_size(space) == 6
    assert seen(torch.tensor([[2.0, 0.0]])).tolist() == [[0, 0, 1, 1, 0, 0]]


def test_a_picture_that_a_wrapper_draws_stays_a_picture() -> None:
    from minigrid.wrappers import RGBImgPartialObsWrapper

    registration.register_minigrid("BabyAI-GoToObj-v0")
    env = with_numbers(RGBImgPartialObsWrapper(gym.make("BabyAI-GoToObj-v0")))
    assert isinstance(env, InstructedEnv)
    assert is_image_space(env.observation_space["image"])
    assert not shows_instructions(env.observation_space)


def test_other_tasks_stay_as_they_are() -> None:
    env = gym.make("CartPole-v1")
    assert with_numbers(env) is env
    assert not is_wrapped(env, InstructedEnv)


def test_what_babyai_prints_while_it_draws_a_level_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    env = make_vec("BabyAI-PutNextS5N2-v0", 1)
    for seed in range(5):
        env.seed(seed)
        env.reset()
    assert capsys.readouterr().out == ""


def test_without_minigrid_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(registration, "import_module", missing)
    with pytest.raises(InputError, match=r"package minigrid for BabyAI-GoTo-v0.*pip install 'rlgen\[instructions\]'"):
        make_vec("BabyAI-GoTo-v0", 1)
