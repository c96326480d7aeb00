"""Starts of episodes that move backward along a trajectory as the policy succeeds."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from rlgen.agents import cli
from rlgen.data import Demonstrations
from rlgen.data.episode import Episode
from rlgen.envs import make_vec
from rlgen.errors import InputError
from rlgen.runs import Result, read_metrics
from rlgen.sb3.backward_starts import BackwardStarts


class Env:
    """Remembers where episodes start."""

    observation_space = spaces.Box(-np.inf, np.inf, (1,))
    action_space = spaces.Box(-1.0, 1.0, (1,))

    def __init__(self) -> None:
        self.calls: list[tuple[np.ndarray, float]] = []

    def start_from(self, observations: np.ndarray, share: float) -> None:
        self.calls.append((observations[:, 0].astype(int).tolist(), share))


def trajectories(*lengths: int, terminated: bool = False) -> Demonstrations:
    """Observations count the steps."""
    episodes = [
        Episode(
            observations=np.arange(length + 1, dtype=np.float32)[:, None],
            actions=np.zeros((length, 1), np.float32),
            rewards=np.ones(length, np.float32),
            terminated=terminated,
        )
        for length in lengths
    ]
    return Demonstrations.from_episodes(episodes)


def starts_of(env: Env, *lengths: int, **settings: Any) -> BackwardStarts:
    starts = BackwardStarts(env, trajectories(*lengths), window=5, stride=3, episodes=4, **settings)
    starts.locals = {}
    starts.model = SimpleNamespace(logger=SimpleNamespace(record=lambda *_: None))
    return starts


def played(starts: BackwardStarts, *returns: float) -> None:
    starts.locals["infos"] = [{"episode": {"r": each}} for each in returns] + [{}]
    starts._on_step()
    starts._on_rollout_end()


def test_starts_move_back_when_enough_episodes_succeed() -> None:
    env = Env()
    starts = starts_of(env, 20)
    assert env.calls[-1] == ([16, 17, 18, 19, 20], 1.0)
    played(starts, 1.0, 0.0, 0.0)
    assert len(env.calls) == 1, "too few episodes to tell"
    played(starts, 1.0)
    assert env.calls[-1] == ([13, 14, 15, 16, 17], 1.0)
    played(starts, 0.0, 0.0, 0.0, 5.0)
    assert len(env.calls) == 2, "a quarter is not enough"
    for _ in range(6):
        played(starts, 1.0, 1.0, 1.0, 1.0)
    assert starts.done
    assert env.calls[-1][1] == 0.0
    assert starts.before == 0
    played(starts, 1.0, 1.0, 1.0, 1.0)
    assert env.calls[-1][1] == 0.0


def test_several_trajectories_move_together_and_short_ones_wait_at_their_start() -> None:
    env = Env()
    starts = starts_of(env, 20, 6)
    assert env.calls[-1][0] == [16, 17, 18, 19, 20, 2, 3, 4, 5, 6]
    for _ in range(2):
        played(starts, 1.0, 1.0, 1.0, 1.0)
    assert env.calls[-1][0] == [10, 11, 12, 13, 14, 0]


def test_a_state_that_ended_its_episode_is_no_start() -> None:
    env = Env()
    BackwardStarts(env, trajectories(20, terminated=True), window=5)
    assert env.calls[-1][0] == [15, 16, 17, 18, 19]


def test_starts_that_were_saved_go_on_alike() -> None:
    env, other = Env(), Env()
    starts, again = starts_of(env, 30), starts_of(other, 30)
    played(starts, 1.0, 1.0, 1.0, 1.0)
    played(starts, 1.0, 0.0)
    again.load_state_dict(json.loads(json.dumps(starts.state_dict())))
    assert other.calls[-1] == env.calls[-1]
    for each in (starts, again):
        played(each, 1.0, 0.0)
    assert other.calls[-1] == env.calls[-1]
    assert again.back == starts.back == 11


def test_tasks_without_such_starts_are_refused() -> None:
    with pytest.raises(InputError, match="start in observed states"):
        BackwardStarts(make_vec("Pendulum-v1", 1), trajectories(5))
    with pytest.raises(InputError, match="expected"):
        BackwardStarts(make_vec("rlgen/SparseAnt-v0", 1), trajectories(5))


def test_a_found_trajectory_becomes_a_training_that_can_be_resumed(tmp_path: Path, capsys) -> None:
    """The archive finds x > 0.3 m, and PPO learns from starts near it; a stop changes nothing."""
    task = ["--env", "rlgen/SparseAnt-v0", "--env-kwargs", "goal_x=0.3", "--threads", "1", "--device", "cpu"]
    archive = tmp_path / "archive"
    found = ["explore", *task, "--steps", "13000", "--no-video", "--out", str(archive)]
    assert cli.main(found) == 0
    small = ["--n-envs", "4", "--learner.n-steps", "64", "--learner.hidden", "8"]
    small += ["--learner.batch-size", "64", "--learner.n-epochs", "1"]
    train = ["train", "rl", *task, *small, "--backward-from", str(archive), "--episodes", "2", "--no-video"]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert cli.main([*train, "--steps", "3072", "--out", str(whole)]) == 0
    assert cli.main([*train, "--steps", "1024", "--checkpoint-every", "0", "--out", str(parts)]) == 0
    archive.rename(tmp_path / "moved")
    assert cli.main(["resume", str(parts), "--steps", "3072"]) == 0
    rows = [read_metrics(run) for run in (whole, parts)]
    for name in ("starts/before", "train/loss"):
        values = [each[name][~np.isnan(each[name])] for each in rows]
        np.testing.assert_array_equal(values[0], values[1][-len(values[0]) :])
    assert 0 < rows[0]["starts/before"][0] <= 1
    assert Result.read(parts).metrics["restored_states"] == "yes"
    assert "states were restored" in capsys.readouterr().out
