"""`--hyperparams` of `rlgen train rl`: entries of rl-baselines3-zoo's files."""

import json
import math
from pathlib import Path

import pytest
import torch
from stable_baselines3 import PPO
from torch import nn

from rlgen.agents import cli
from rlgen.agents.commands.choices import all_typed
from rlgen.agents.commands.hyperparams import defaults, plain
from rlgen.agents.commands.train_rl import TrainRL
from rlgen.agents.learner import LearnerConfig, make_model
from rlgen.envs import make_vec
from rlgen.errors import InputError
from rlgen.runs import RunFolder

pytest.importorskip("yaml")

PPO_YML = """
default: &defaults
  normalize: true
  policy: 'MlpPolicy'
HalfCheetah-v4:
  <<: *defaults
  n_envs: 1
  n_timesteps: !!float 1e6
  batch_size: 64
  n_steps: 512
  gamma: 0.98
  learning_rate: 2.0633e-05
  ent_coef: 0.000401762
  clip_range: 0.1
  n_epochs: 20
  gae_lambda: 0.92
  max_grad_norm: 0.8
  vf_coef: 0.58096
  policy_kwargs: "dict(
                    log_std_init=-2,
                    ortho_init=False,
                    activation_fn=nn.ReLU,
                    net_arch=dict(pi=[256, 256], vf=[256, 256])
                  )"
Ant-v5:
  <<: *defaults
  n_timesteps: !!float 1e7
  batch_size: 32
  n_steps: 512
  learning_rate: lin_1.90609e-05
  clip_range: lin_0.1
  normalize: "dict(norm_obs=True, norm_reward=False)"
Pendulum-v1:
  n_envs: 4
  n_timesteps: !!float 1e5
  policy: 'MlpPolicy'
  n_steps: 1024
  gamma: 0.9
  learning_rate: 1e-3
  use_sde: False
Acrobot-v1:
  policy: 'MlpPolicy'
  use_sde: True
MountainCar-v0:
  policy: 'MlpPolicy'
  env_wrapper: gymnasium.wrappers.TimeLimit
CartPole-v1:
  policy: 'MlpPolicy'
  policy_kwargs: "__import__('os').system('touch ran')"
"""
SAC_YML = """
Pendulum-v1:
  n_timesteps: 20000
  policy: 'MlpPolicy'
  learning_rate: !!float 1e-3
  learning_starts: 1000
  ent_coef: 'auto'
  train_freq: 1
  policy_kwargs: "dict(net_arch=[400, 300], activation_fn=nn.Tanh)"
HalfCheetah-v5:
  policy: 'MlpPolicy'
  train_freq: 8
Ant-v5:
  policy: 'MlpPolicy'
  n_envs: 4
"""


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "ppo.yml").write_text(PPO_YML)
    (tmp_path / "sac.yml").write_text(SAC_YML)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def entry(file: str, env: str, *options: str) -> TrainRL:
    return defaults(TrainRL, Path(file), ["--env", env, *options])


def test_half_cheetah_s_entry_becomes_settings(files: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = entry("ppo.yml", "HalfCheetah-v5")
    assert (found.steps, found.n_envs, found.scale_reward) == (1e6, 1, True)
    assert "that of HalfCheetah-v4 is used" in caplog.text
    expected = {
        **{"n_steps": 512, "batch_size": 64, "n_epochs": 20, "gamma": 0.98, "gae_lambda": 0.92},
        **{"learning_rate": 2.0633e-05, "schedule": "constant", "clip_range": 0.1, "clip_schedule": None},
        **{"entropy_weight": 0.000401762, "value_weight": 0.58096, "max_grad_norm": 0.8},
        **{"activation": "relu", "hidden": (256, 256), "normalize": True},
    }
    assert {name: getattr(found.learner, name) for name in expected} == expected
    assert found.learner.initial_std == pytest.approx(math.exp(-2))


def test_linear_schedules_and_a_half_normalization_are_read(files: Path) -> None:
    found = entry("ppo.yml", "Ant-v5")
    assert (found.scale_reward, found.learner.normalize) == (False, True)
    assert (found.learner.learning_rate, found.learner.schedule) == (1.90609e-05, "linear")
    assert (found.learner.clip_range, found.learner.clip_schedule) == (0.1, "linear")


def test_what_an_entry_leaves_out_is_stable_baselines3_s_default(files: Path) -> None:
    found = entry("ppo.yml", "Pendulum-v1")
    env = make_vec("Pendulum-v1", 1)
    theirs = PPO("MlpPolicy", env, n_steps=1024, gamma=0.9, learning_rate=1e-3, device="cpu")
    ours = make_model(found.learner, env, 0)
    for name in ("n_steps", "batch_size", "n_epochs", "gamma", "gae_lambda", "ent_coef", "vf_coef", "max_grad_norm"):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert ours.clip_range(1.0) == theirs.clip_range(1.0)
    assert ours.normalize_advantage == theirs.normalize_advantage
    assert torch.allclose(ours.policy.log_std, theirs.policy.log_std, atol=1e-6), "Pendulum's actions reach to 2"
    shapes = [{name: tensor.shape for name, tensor in each.policy.state_dict().items()} for each in (ours, theirs)]
    assert shapes[0] == shapes[1]
    env.close()


def test_sac_s_entry_becomes_settings(files: Path) -> None:
    found = entry("sac.yml", "Pendulum-v1")
    assert (found.steps, found.n_envs) == (20_000, 1)
    learner = found.learner
    assert (learner.algorithm, learner.learning_rate, learner.learning_starts) == ("sac", 1e-3, 1000)
    assert (learner.hidden, learner.batch_size, learner.tau) == ((400, 300), 256, 0.005)
    assert learner.activation == "tanh"


def test_typed_options_override_the_entry_and_the_run_records_all(files: Path) -> None:
    command = "train rl --env Pendulum-v1 --hyperparams ppo.yml --out run --device cpu --no-video --episodes 2"
    small = "--steps 256 --n-envs 2 --learner.n-steps 64 --learner.n-epochs 1 --evaluate-every 0"
    assert cli.main([*command.split(), *small.split()]) == 0
    config = RunFolder.open("run").config
    assert (config["steps"], config["n_envs"], config["learner"]["n_steps"]) == (256, 2, 64)
    assert (config["learner"]["gamma"], config["learner"]["learning_rate"]) == (0.9, 1e-3)
    assert config["learner"]["value_weight"] == 0.5
    assert cli.main(["resume", "run", "--steps", "384"]) == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--env", "Acrobot-v1"], "hyperparameters that rlgen has for ppo; got use_sde: True in ppo.yml"),
        (["--env", "MountainCar-v0"], "got env_wrapper: 'gymnasium.wrappers.TimeLimit'"),
        (["--env", "CartPole-v1"], "a dictionary of plain values for policy_kwargs"),
        (["--env", "Hopper-v5"], "an entry for Hopper-v5 in ppo.yml; got none"),
        ([], "--env, which names the entry"),
        (["--env", "Ant-v5", "--learner.algorithm", "trpo"], "hyperparameters of ppo or sac; got 'trpo'"),
        (["--env", "Ant-v5", "--config", "run"], "settings from one file; got --config and --hyperparams"),
    ],
)
def test_what_has_no_setting_is_named(arguments: list[str], said: str, files: Path, capsys) -> None:
    assert cli.main(["train", "rl", *arguments, "--hyperparams", "ppo.yml", "--out", "run"]) == cli.INPUT_ERROR
    assert said in capsys.readouterr().err
    assert not (files / "ran").exists()
    assert not (files / "run").exists()


def test_a_frequency_that_sac_lacks_is_named(files: Path) -> None:
    with pytest.raises(InputError, match="train_freq: 8"):
        entry("sac.yml", "HalfCheetah-v5")
    with pytest.raises(InputError, match=r"gradient_steps: -1\); got gradient_steps: 1 with n_envs: 4"):
        entry("sac.yml", "Ant-v5")


def test_the_text_of_a_dictionary_is_read_and_never_run() -> None:
    text = "dict(a=-1.5, b=[1, (2,)], c=nn.ReLU, d=dict(e=True), f={'g': None})"
    expected = {"a": -1.5, "b": [1, [2]], "c": "nn.ReLU", "d": {"e": True}, "f": {"g": None}}
    assert plain(text, "policy_kwargs", Path("x")) == expected
    for wrong in ("dict(a=open('x'))", "dict(**{})", "dict([1])", "(lambda: 1)()", "dict(a=b)", "dict(", "3"):
        with pytest.raises(InputError, match="a dictionary"):
            plain(wrong, "policy_kwargs", Path("x"))


def test_settings_of_later_versions_are_recorded_only_if_they_are_given() -> None:
    from rlgen.runs.config import from_json, to_json

    names = {"activation", "value_weight", "max_grad_norm", "clip_schedule"}
    assert not names & to_json(LearnerConfig()).keys()
    given = LearnerConfig(activation="relu", value_weight=1.0, max_grad_norm=2.0, clip_schedule="linear")
    assert names <= to_json(given).keys()
    assert from_json(LearnerConfig, json.loads(json.dumps(to_json(given)))) == given


def test_the_learner_s_settings_reach_its_model() -> None:
    env = make_vec("Pendulum-v1", 2)
    given = LearnerConfig(
        activation="relu", value_weight=0.7, max_grad_norm=0.9, clip_schedule="linear", batch_size=512
    )
    model = make_model(given, env, 0)
    assert (model.vf_coef, model.max_grad_norm) == (0.7, 0.9)
    assert isinstance(model.policy.mlp_extractor.policy_net[1], nn.ReLU)
    assert [model.clip_range(left) for left in (1.0, 0.0)] == pytest.approx([0.2, 0.002])
    env.close()


def test_all_values_of_an_option_are_found() -> None:
    arguments = ["--env", "a", "--import", "one", "two", "--steps", "3", "--import=three"]
    assert all_typed(arguments, "--import") == ["one", "two", "three"]
