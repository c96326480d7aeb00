"""Curiosities with non-episodic returns, on Stable-Baselines3 models and on the command line."""

import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from sb3_contrib import RecurrentPPO
from stable_baselines3 import A2C, PPO, SAC
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import Logger
from torch import Tensor

from rlgen.agents import RND, VIME, Explorer, cli
from rlgen.agents.commands.train_explore import TrainExplore
from rlgen.agents.curiosities import CURIOSITIES
from rlgen.data import Transitions
from rlgen.errors import InputError
from rlgen.rewards import BonusValue, BonusValueConfig, InformationGainConfig, ReturnNormalizer
from rlgen.runs import read_metrics
from rlgen.runs.state_tree import decode, encode
from rlgen.sb3 import DevicePPO, FastPPO, Relabel, WeightedReward
from rlgen.sb3.fast_trpo import FastTRPO
from tests.sb3.worlds import aiming

from .interruptions import assert_resumes
from .test_curiosity import Images

QUICK = InformationGainConfig(hidden=(8,), updates_per_rollout=2, batch_size=16)
NON_EPISODIC: dict[str, Any] = {
    "bonus_returns": "non_episodic",
    "bonus_value": BonusValueConfig(gamma=0.9, hidden=(8,), batch_size=32),
}


class Logged(BaseCallback):
    """The log of every rollout, and what the buffer's advantages have in addition to those of its returns."""

    def __init__(self) -> None:
        super().__init__()
        self.lines, self.added = [], []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        buffer = self.model.rollout_buffer
        self.lines.append(dict(self.logger.name_to_value))
        self.added.append(buffer.advantages - (buffer.returns - buffer.values))


@pytest.mark.parametrize(
    ("kind", "policy", "env_id"),
    [
        (PPO, "MlpPolicy", "Pendulum-v1"),
        (FastPPO, "MlpPolicy", "Pendulum-v1"),
        (FastTRPO, "MlpPolicy", "CartPole-v1"),
        (A2C, "MlpPolicy", "Pendulum-v1"),
        (RecurrentPPO, "MlpLstmPolicy", "CartPole-v1"),
    ],
)
def test_the_rewards_stay_the_tasks_and_the_advantages_have_the_bonus(kind: Any, policy: str, env_id: str) -> None:
    env, seen = make_vec_env(env_id, 2, seed=0), Logged()
    more = {"policy_kwargs": {"lstm_hidden_size": 8}} if kind is RecurrentPPO else {}
    more |= {"batch_size": 32} if kind is not A2C else {}
    more |= {"n_epochs": 1} if issubclass(kind, PPO | RecurrentPPO) else {}
    model = kind(policy, env, n_steps=32, seed=0, device="cpu", **more)
    vime = VIME(QUICK, eta=0.5, **NON_EPISODIC)
    model.learn(192, CallbackList([vime, seen]))
    assert np.abs(seen.added[0]).max() < 1e-4, "the first rollout has no bonus"
    assert all(np.abs(added).max() > 0.1 for added in seen.added[1:])
    assert {"vime/value_explained_variance", "vime/value_loss"} <= set(seen.lines[-1])
    if env_id == "CartPole-v1":
        assert np.unique(model.rollout_buffer.rewards).tolist() == [1.0]


@pytest.mark.parametrize("name", ["vime", "rnd", "counts"])
def test_pictures_have_values_of_their_features(name: str) -> None:
    model = PPO("CnnPolicy", Images(), n_steps=8, batch_size=8, n_epochs=1, device="cpu")
    curiosity, seen = CURIOSITIES[name](**NON_EPISODIC), Logged()
    model.learn(16, CallbackList([curiosity, seen]))
    assert np.abs(seen.added[-1]).max() > 1e-6
    assert curiosity.value.features.size == 64
    state = decode(*encode(curiosity.state_dict()))
    copy = CURIOSITIES[name](**NON_EPISODIC)
    copy.begin(model)
    copy.load_state_dict(state)
    pictures = torch.randint(256, (5, 3, 36, 36), dtype=torch.uint8)
    rows = [each.value.features(pictures) for each in (curiosity, copy)]
    assert torch.equal(*rows)
    assert torch.equal(curiosity.value.values(rows[0]), copy.value.values(rows[1]))


class Ends(gym.Env):
    """The first action goes on, the second ends the episode, which has the number of its step as observation."""

    observation_space, action_space = gym.spaces.Box(0, 1, (1,), np.float32), gym.spaces.Discrete(2)

    def reset(self, **kwargs):
        self.steps = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.steps += 1
        return np.ones(1, np.float32), 0.0, self.steps > 1 and action == 1, self.steps == 16, {}


class FirstSteps:
    """Rewards the first step of every episode."""

    def update(self, batch: Transitions) -> dict[str, Tensor]:
        return {}

    def reward(self, batch: Transitions) -> Tensor:
        return (batch.observations[:, 0] == 0).float()

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


def share_that_ends(value: BonusValue | None) -> float:
    """Probability of ending the episode, after the first step, when the policy has learned."""
    model = PPO(
        "MlpPolicy", make_vec_env(Ends, 4, seed=0), n_steps=64, batch_size=64, n_epochs=4, gamma=0.9, seed=0,
        learning_rate=3e-3, policy_kwargs={"net_arch": [8]}, device="cpu",
    )  # fmt: skip
    model.learn(256 * 10, Relabel({"first": WeightedReward(FirstSteps(), value=value)}, adds=True))
    with torch.no_grad():
        return float(model.policy.get_distribution(torch.ones(1, 1)).distribution.probs[0, 1])


def test_only_a_non_episodic_bonus_rewards_an_early_end() -> None:
    """What comes after the end of an episode counts for it, and for nothing else."""
    torch.manual_seed(0)
    assert share_that_ends(BonusValue(1, 4, BonusValueConfig(gamma=0.9), "cpu")) > 0.9
    assert 0.2 < share_that_ends(None) < 0.8


def explorer(model: Any, seed: int = 0) -> Explorer:
    torch.manual_seed(seed)
    model.set_logger(Logger(None, []))
    curiosities = [VIME(QUICK, eta=0.5, **NON_EPISODIC), RND(eta=2.0)]
    return Explorer(model, curiosities, scale=ReturnNormalizer(0.9, 4))


def test_everything_it_has_learned_is_in_its_state(point_ppo) -> None:
    one, other = explorer(point_ppo()), explorer(point_ppo(), seed=1)
    one.learn(128)
    other.load_state_dict(decode(*encode(one.state_dict())))
    own, loaded = (each.curiosities[0].value for each in (one, other))
    for name, tensor in own.network.state_dict().items():
        assert torch.equal(loaded.network.state_dict()[name], tensor), name
    assert loaded.unit.count == 128
    assert other.curiosities[1].value is None


def test_a_state_of_other_returns_is_refused(point_ppo) -> None:
    episodic, other = VIME(QUICK), VIME(QUICK, **NON_EPISODIC)
    for each in (episodic, other):
        each.begin(point_ppo())
    assert set(episodic.state_dict()) == {"source", "returns", "steps"}
    for each, state in ((episodic, other.state_dict()), (other, episodic.state_dict())):
        with pytest.raises(InputError, match=r"as the state has.*the same settings"):
            each.load_state_dict(state)


def test_models_that_are_off_policy_or_on_a_device_are_refused() -> None:
    model = SAC("MlpPolicy", "Pendulum-v1", buffer_size=50, device="cpu")
    with pytest.raises(InputError, match=r"on-policy model.*for non-episodic returns; got a SAC; use PPO"):
        model.learn(8, callback=VIME(**NON_EPISODIC))
    with pytest.raises(InputError, match="got a SAC; use PPO"):
        Explorer(model, [VIME(**NON_EPISODIC)])
    on_device = DevicePPO("MlpPolicy", aiming(), n_steps=10, batch_size=40, device="cpu")
    with pytest.raises(InputError, match="got a DevicePPO; use PPO, A2C or TRPO on a backend other than warp"):
        Explorer(on_device, [VIME(**NON_EPISODIC)])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"bonus_returns": "endless"}, "one of episodic, non_episodic for bonus_returns; got 'endless'"),
        ({"bonus_value": {"gamma": 0.9}}, 'got bonus_value with episodic ones; add bonus_returns="non_episodic"'),
        ({"bonus_returns": "non_episodic", "bonus_value": {"gama": 0.9}}, "settings of BonusValueConfig: gamma"),
        ({"bonus_returns": "non_episodic", "bonus_value": {"gamma": 1.0}}, "gamma of at least 0 and below 1"),
    ],
    ids=str,
)
def test_settings_that_cannot_be_meant_are_refused(given: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        VIME(**given)


def test_plain_settings_may_come_from_a_file() -> None:
    rnd = RND(bonus_returns="non_episodic", bonus_value={"gamma": 0.9, "hidden": [4]})
    assert rnd.bonus_value == BonusValueConfig(gamma=0.9, hidden=(4,))
    assert RND(bonus_returns="non_episodic").bonus_value == BonusValueConfig()


OPTIONS = ("--bonus-returns", "non_episodic", "--bonus-value.gamma", "0.9", "--bonus-value.hidden", "8")


def test_a_run_with_it_records_it_and_its_panels(rlgen_train, no_finish, tmp_path: Path) -> None:
    assert rlgen_train("vime", "--steps", "192", "--evaluate-every", "0", *OPTIONS) == 0
    run = tmp_path / "run"
    config = json.loads((run / "config.json").read_text())
    assert config["bonus_returns"] == "non_episodic"
    assert (config["bonus_value"]["gamma"], config["bonus_value"]["hidden"]) == (0.9, [8])
    logged = {"vime/value_explained_variance", "vime/value_loss"}
    assert logged <= set(read_metrics(run))
    assert all(name in (run / "display.json").read_text() for name in logged)
    common = ("train", "explore", "--steps", "64", "--config", str(run))
    assert cli.main([*common, "--out", str(tmp_path / "other")]) == 0
    assert json.loads((tmp_path / "other" / "config.json").read_text())["bonus_value"] == config["bonus_value"]
    assert cli.main([*common, "--out", str(tmp_path / "episodic"), "--bonus-returns", "episodic"]) == 0
    assert not {"bonus_returns", "bonus_value"} & set(json.loads((tmp_path / "episodic" / "config.json").read_text()))


def test_a_killed_run_is_resumed_bit_for_bit(no_finish, tmp_path: Path) -> None:
    """With episodes that end, and with every number of the log."""
    small = """--threads 1 --n-envs 2 --device cpu --seed 3 --no-video --steps 448 --checkpoint-every 192
    --evaluate-every 0
    --learner.n-steps 32 --learner.batch-size 32 --learner.n-epochs 2 --learner.hidden 8 --eta 0.1 --final-eta 0.1
    --vime.hidden 8 --vime.updates-per-rollout 3 --vime.batch-size 16 --bonus-value.batch-size 16"""
    command = ["train", "explore", "--env", "Hopper-v5", *small.split(), *OPTIONS]
    whole = assert_resumes(command, 320, tmp_path, no_finish)
    rows = read_metrics(whole)
    assert np.nanmax(np.abs(rows["vime/value_loss"])) > 0


def test_by_default_nothing_new_is_recorded() -> None:
    recorded = TrainExplore(env="x", out=Path("y")).recorded()
    assert not {"bonus_returns", "bonus_value"} & set(recorded)
    again = TrainExplore.restored({name: value for name, value in recorded.items() if name != "agent"})
    assert (again.bonus_returns, again.bonus_value) == ("episodic", BonusValueConfig())


@pytest.mark.parametrize(
    "options",
    [
        ["--bonus-returns", "endless"],
        ["--bonus-value.gamma", "0.9"],
        ["--bonus-returns", "non_episodic", "--bonus-value.gamma", "1"],
        ["--bonus-returns", "non_episodic", "--learner.algorithm", "sac"],
        ["--bonus-returns", "non_episodic", "--curiosity", "none"],
    ],
    ids=" ".join,
)
def test_options_that_nothing_reads_leave_no_folder_behind(options: list[str], rlgen_train, tmp_path: Path) -> None:
    try:
        code = rlgen_train("explore", *options)
    except SystemExit as refused:  # by the parser
        code = refused.code
    assert code == 2
    assert not (tmp_path / "run").exists()
