"""The settings of a training: refused where they cannot work, and the same after a stop."""

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from stable_baselines3 import PPO

from rlgen.agents import BCConfig, GAILConfig, InfoGAILConfig, LearnerConfig
from rlgen.agents.commands.policy_training import MEMBERS
from rlgen.agents.commands.settings import SteppedTraining
from rlgen.agents.commands.table import settings_of_agent, trainings
from rlgen.agents.commands.train_bc import TrainBC
from rlgen.agents.commands.train_gail import TrainGAIL, TrainInfoGAIL
from rlgen.agents.commands.train_rl import TrainRL
from rlgen.errors import InputError
from rlgen.nn import PenaltyConfig
from rlgen.rewards import AdversarialConfig
from rlgen.runs.config import from_json, to_json
from rlgen.sb3.vec_env import ResumableVecEnv


def test_the_settings_of_cloning_are_its_own(rlgen_train, no_finish) -> None:
    assert rlgen_train("bc", "--hidden", "7", "5", "--initial-std", "0.5") == 0
    model = no_finish[0][2]
    assert model.n_envs == 1
    assert [layer.out_features for layer in model.policy.mlp_extractor.policy_net[::2]] == [7, 5]
    assert model.policy.log_std.exp().tolist() == pytest.approx([0.5 * 0.4] * 2)
    assert rlgen_train("bc", "--learner.n-steps", "16") == 2


@pytest.mark.parametrize(
    "options",
    [
        ["--threads", "0"],
        ["--gail.average", "1"],
        ["--gail.penalties.r1", "-1"],
        ["--learner.hidden", "8", "0"],
        ["--learner.n-steps", "1", "--n-envs", "1"],
        ["--evaluate-every", "-1"],
        ["--steps", "inf"],
        ["--device", "cuda:99"],
        ["--seed", "-1"],
        ["--learner.algorithm", "trpo"],
    ],
    ids=" ".join,
)
def test_settings_that_cannot_work_leave_no_folder_behind(
    options: list[str], rlgen_train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "rlgen.sb3.fast_trpo", raising=False)
    monkeypatch.setitem(sys.modules, "sb3_contrib", None)
    try:
        code = rlgen_train("gail", *options)
    except SystemExit as refused:  # by the parser
        code = refused.code
    assert code == 2
    assert not (tmp_path / "run").exists()


OTHER = TrainGAIL(
    env="Ant-v5",
    demos=Path("some/ant.npz"),
    out=Path("runs/ant"),
    trajectories=4,
    seed=7,
    n_envs=3,
    backend="threads",
    threads=2,
    device="cpu",
    episodes=5,
    video=False,
    steps=12_345.0,
    checkpoint_every=10.0,
    evaluate_every=20.0,
    learner=LearnerConfig(algorithm="trpo", hidden=(7, 5, 3), target_kl=0.02, schedule="linear"),
    gail=GAILConfig(
        discriminator=AdversarialConfig(hidden=(9,), activation="relu", divergence="reverse_kl", normalizer="running"),
        penalties=PenaltyConfig(gradient=10.0),
        warm_start=False,
        bc=BCConfig(loss="log_likelihood", average=0.0),
        average=0.9,
    ),
)


@pytest.mark.parametrize(
    "config",
    [
        OTHER,
        replace(OTHER, trajectories=None, threads=None, learner=LearnerConfig()),
        TrainGAIL(env="Ant-v5", demos=Path("a"), out=Path("b")),
        TrainBC(env="Ant-v5", demos=Path("a"), out=Path("b"), bc=BCConfig(max_updates=300)),
        TrainInfoGAIL(
            env="A",
            demos=Path("a"),
            out=Path("b"),
            codes=5,
            gail=InfoGAILConfig(information=0.1, penalties=PenaltyConfig(r1=1.0)),
        ),
    ],
)
def test_a_configuration_comes_back_from_json_as_it_was(config: TrainGAIL | TrainBC) -> None:
    text = json.dumps(to_json(config))
    again = from_json(type(config), json.loads(text))
    assert again == config
    assert json.dumps(to_json(again)) == text


def test_every_training_can_be_resumed_by_its_name() -> None:
    kinds = [settings_of_agent(name, "here") for name in trainings()]
    assert {kind: settings_of_agent(kind.agent, "here") for kind in kinds} == {kind: kind for kind in kinds}


def test_an_agent_that_is_not_complete_is_refused_before_it_trains(tmp_path: Path) -> None:
    @dataclass(frozen=True, kw_only=True)
    class TrainIncomplete(SteppedTraining):
        agent = "incomplete"

        def agent_in(self, env: ResumableVecEnv, device: torch.device, demonstrations: None) -> Any:
            model = PPO("MlpPolicy", env, device=device)
            others = dict.fromkeys(set(MEMBERS) - {"model", "files", "achieved"})
            return SimpleNamespace(model=model, **others)

    with pytest.raises(InputError, match=r"agent with files, achieved.* docs/extend/agent\.md"):
        TrainIncomplete(env="PointWorld-v0", out=tmp_path / "run", video=False).run()
    assert not (tmp_path / "run").exists()


def test_long_trainings_are_saved_and_evaluated_at_longer_intervals_and_curves_have_twenty_points() -> None:
    short, long = (TrainRL(env="Ant-v5", out=Path("b"), steps=steps) for steps in (1e6, 75e6))
    assert (short.intervals(), long.intervals()) == ((1e5, 5e4), (7.5e5, 3.75e6))
    assert replace(long, checkpoint_every=0.0, evaluate_every=3.0).intervals() == (0.0, 3.0)


def test_c_mujoco_judges_what_warp_has_trained() -> None:
    config = TrainRL(env="HalfCheetah-v5", out=Path("b"), backend="warp")
    for backend, judge in (("warp", "threads"), ("gymnasium", "gymnasium")):
        env = replace(config, backend=backend).make_evaluation_env(1, 0)
        assert env.backend == judge
        env.close()
