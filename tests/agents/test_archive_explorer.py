"""Exploration by restored states: what it finds, that its trajectories are real, and that it goes on when stopped."""

import json
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO

from rlgen.agents import cli
from rlgen.agents.archive_explorer import ArchiveConfig, ArchiveExplorer
from rlgen.agents.commands.explore import Explore
from rlgen.agents.commands.table import DEFINED
from rlgen.agents.curiosities import CURIOSITIES
from rlgen.data import Demonstrations
from rlgen.data.visits import Axis
from rlgen.envs import make_vec
from rlgen.envs.registry import STATE_AXES
from rlgen.errors import InputError
from rlgen.rewards import RandomNetworkDistillation, TaskShape
from rlgen.runs import Result, read_metrics
from rlgen.runs.state_tree import decode, encode

CAR = "rlgen/SparseMountainCar-v0"
QUICK = ArchiveConfig(burst=(5, 20), lasting=3, round_steps=60)
COMMAND = [
    "explore", "--env", CAR, "--n-envs", "8", "--threads", "1", "--device", "cpu", "--archive.burst", "5", "20",
    "--archive.lasting", "3", "--archive.round-steps", "60", "--no-video", "--checkpoint-every", "0",
]  # fmt: skip


def explorer(env_id: str = CAR, seed: int = 0, **more: Any) -> ArchiveExplorer:
    env = make_vec(env_id, 8, seed=seed, n_threads=1)
    return ArchiveExplorer(env, STATE_AXES[env_id], QUICK, seed=seed, **more)


def test_it_finds_what_noise_seldom_finds_and_its_trajectories_can_be_played() -> None:
    found = explorer()
    while found.archive.entries == [] or not found.archive.best(1):
        log = found.round()
        assert found.steps < 60_000
    assert log["archive/best_reward"] > 0
    demonstrations = found.demonstrations(3)
    assert demonstrations is not None
    assert demonstrations.metadata["restored_states"] is True
    for episode in demonstrations.episodes():
        assert episode.rewards.sum() > 0
    env = make_vec(CAR, 8, seed=0)
    start, actions = found.archive.path(found.archive.best(1)[0][1])
    env.reset()
    earned, observed = 0.0, []
    for action in actions:
        held = np.zeros((8, 1), np.float32)
        held[start] = action
        observations, rewards, dones, infos = env.step(held)
        last = infos[start]["terminal_observation"] if dones[start] else observations[start]
        earned, observed = earned + rewards[start], [*observed, last]
    assert demonstrations.terminated[demonstrations.episode == 0].any(), "its goal ends an episode of this task"
    assert earned == demonstrations.episodes()[0].rewards.sum(), "the same from a reset of a new environment"
    np.testing.assert_array_equal(observed, demonstrations.episodes()[0].observations[1:])


def test_states_before_a_fall_are_not_kept() -> None:
    """Every state of the archive goes on for the steps that were asked for, under the actions that followed it."""
    env = make_vec("rlgen/SparseAnt-v0", 8, seed=0, n_threads=1)
    found = ArchiveExplorer(env, [Axis(name="x", columns=(0,), width=0.05)], ArchiveConfig(round_steps=150))
    found.round()
    assert len(found.archive) > 8
    heights = np.array([entry.transition[2][2] for entry in found.archive.entries])
    assert ((heights > 0.2) & (heights < 1.0)).all()
    ends = [entry.steps for entry in found.archive.entries]
    assert max(ends) + found.config.lasting <= 500 + found.config.lasting


def test_a_curiosity_and_a_policy_take_part() -> None:
    env = make_vec(CAR, 8, seed=0, n_threads=1)
    policy = PPO("MlpPolicy", env, n_steps=8, batch_size=8, seed=0, device="cpu")
    source = RandomNetworkDistillation(TaskShape(observation_size=2, action_size=1, n_envs=8))
    found = ArchiveExplorer(env, STATE_AXES[CAR], QUICK, source=source, policy=policy)
    found.round()
    log = found.round()
    assert log["archive/curiosity_loss"] > 0
    worth = found._worth()
    assert worth is not None
    assert len(worth) == len(found.archive)
    assert worth.mean() == pytest.approx(1)


@pytest.mark.parametrize("curious", [False, True])
def test_an_explorer_that_was_saved_goes_on_alike(curious: bool) -> None:
    made = []
    for _ in range(2):
        torch.manual_seed(0)
        shape = TaskShape(observation_size=2, action_size=1, n_envs=8)
        made.append(explorer(source=RandomNetworkDistillation(shape) if curious else None))
    made[0].round()
    state = decode(*encode(made[0].state_dict()))
    torch.manual_seed(5)
    expected = made[0].round()
    made[1].load_state_dict(state)
    torch.manual_seed(5)
    assert made[1].round() == expected
    assert made[1].archive.cells == made[0].archive.cells
    assert [entry.steps for entry in made[1].archive.entries] == [entry.steps for entry in made[0].archive.entries]


def test_environments_that_cannot_be_restored_are_refused() -> None:
    env = make_vec("Pendulum-v1", 2)
    with pytest.raises(InputError, match="whose states can be restored"):
        ArchiveExplorer(env, [Axis(name="x", columns=(0,), width=0.1)])


@pytest.mark.parametrize(
    "wrong", [{"burst": (5, 2)}, {"burst": (0, 2)}, {"lasting": -1}, {"round_steps": 10}, {"noise_std": 0.0}]
)
def test_settings_out_of_range_are_refused(wrong: dict) -> None:
    with pytest.raises(InputError):
        ArchiveConfig(**wrong)


def test_a_run_leaves_demonstrations_that_can_be_imitated_and_started_from(tmp_path: Path, capsys) -> None:
    run = tmp_path / "archive"
    assert cli.main([*COMMAND, "--steps", "40000", "--out", str(run)]) == 0
    shown = capsys.readouterr().out
    assert "states were restored" in shown
    result = Result.read(run)
    assert result.metrics["restored_states"] == "yes"
    assert result.metrics["first_reward_step"] <= 40_000 + 480
    for name in ("demonstrations.npz", "report.html", "curves.png", "visits.npz", "metrics.csv"):
        assert (run / name).stat().st_size > 0, name
    assert "archive/cells" in read_metrics(run)
    demonstrations = Demonstrations.load(run / "demonstrations.npz")
    assert 1 <= demonstrations.n_episodes <= 10
    assert demonstrations.episode_returns.min() > 0
    clone = ["train", "bc", "--env", CAR, "--demos", str(run / "demonstrations.npz"), "--bc.max-updates", "200"]
    assert cli.main([*clone, "--episodes", "4", "--no-video", "--out", str(tmp_path / "bc")]) == 0


def test_a_run_that_was_stopped_goes_on_bit_for_bit(tmp_path: Path, monkeypatch, capsys) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert cli.main([*COMMAND, "--steps", "4000", "--out", str(whole)]) == 0
    assert cli.main([*COMMAND, "--steps", "1500", "--out", str(parts)]) == 0
    assert cli.main(["evaluate", str(parts)]) == 2
    assert "a finished run without one" in capsys.readouterr().err
    monkeypatch.delitem(DEFINED, "archive")  # as in a process that has not read the settings of `explore` yet
    assert cli.main(["resume", str(parts), "--steps", "4000"]) == 0
    assert Result.read(parts).steps == Result.read(whole).steps
    for name in ("archive/cells", "archive/nodes"):
        np.testing.assert_array_equal(read_metrics(parts)[name], read_metrics(whole)[name])


def test_a_run_that_finds_nothing_says_so(tmp_path: Path, caplog, capsys) -> None:
    run = tmp_path / "nothing"
    with caplog.at_level("INFO", "rlgen"):
        assert cli.main([*COMMAND, "--env-kwargs", "goal_x=50", "--steps", "400", "--out", str(run)]) in (0, 2)
    if (run / "result.json").is_file():
        assert "no state with a reward was found" in caplog.text
        assert not (run / "demonstrations.npz").exists()
        assert json.loads((run / "result.json").read_text())["metrics"]["best_reward"] == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--cells", "0.1"], "2 widths of cells"),
        (["--cells", "-1", "1"], "positive widths"),
        (["--env", "CartPole-v1"], "whose states can be restored"),
        (["--env", "Ant-v5"], "a task with cells"),
        (["--env", "rlgen/SparseAnt-v0", "--env-kwargs", "include_cfrc_ext_in_observation=False"], "own observation"),
    ],
)
def test_bad_input_is_refused_at_once(options: list[str], said: str, tmp_path: Path, capsys) -> None:
    assert cli.main([*COMMAND, *options, "--steps", "400", "--out", str(tmp_path / "run")]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_the_paper_s_curiosity_is_the_paper_s(tmp_path: Path) -> None:
    settings = Explore(env=CAR, out=tmp_path / "run", curiosity="vime_2016", n_envs=2)
    env = make_vec(CAR, 2)
    source = settings.agent_in(env, torch.device("cpu"), None).source
    assert source.source.config.likelihood == "fixed"
    env.close()


def test_it_takes_every_curiosity_that_rewards_any_rows() -> None:
    assert {*get_args(get_type_hints(Explore)["curiosity"]), "e3b", "first_visits"} == {"none", *CURIOSITIES}


def test_without_lasting_every_state_is_kept() -> None:
    env = make_vec(CAR, 8, seed=0, n_threads=1)
    config = ArchiveConfig(burst=(1, 1), lasting=0, round_steps=60)
    found = ArchiveExplorer(env, STATE_AXES[CAR], config)
    for _ in range(3):
        found.round()
    assert len(found.archive) > 30


def test_a_policy_of_the_bursts_is_kept_with_the_run(tmp_path: Path) -> None:
    env = make_vec(CAR, 2)
    PPO("MlpPolicy", env, n_steps=8, batch_size=8, device="cpu").save(tmp_path / "policy.zip")
    run = tmp_path / "run"
    assert cli.main([*COMMAND, "--policy", str(tmp_path / "policy.zip"), "--steps", "480", "--out", str(run)]) == 0
    (tmp_path / "policy.zip").unlink()
    assert cli.main(["resume", str(run), "--steps", "960"]) == 0
    PPO("MlpPolicy", env, n_steps=8, batch_size=8, device="cpu", use_sde=True).save(tmp_path / "sde.zip")
    refused = [*COMMAND, "--policy", str(tmp_path / "sde.zip"), "--steps", "480", "--out", str(tmp_path / "other")]
    assert cli.main(refused) == 2
