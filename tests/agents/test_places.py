"""Bonuses that an episode has once per place."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO, SAC

from rlgen.agents import RND, VIME
from rlgen.agents.commands.train_explore import TrainExplore
from rlgen.agents.curiosity import EVERY_PLACE
from rlgen.data import Transitions
from rlgen.envs import make_vec
from rlgen.errors import InputError
from rlgen.rewards import FirstVisitCounts, TaskShape
from rlgen.rewards.at_first_visits import AtFirstVisits
from rlgen.rewards.view import ObservedNumbers, OfView
from rlgen.runs.metrics import read_metrics

from .interruptions import assert_resumes


class Wandering:
    """A source that gives each transition another reward, and learns nothing."""

    def update(self, batch: Transitions) -> dict[str, torch.Tensor]:
        return {}

    def reward(self, batch: Transitions) -> torch.Tensor:
        return batch.next_observations[:, 2]

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


def ppo(n_steps: int = 64) -> PPO:
    return PPO("MlpPolicy", make_vec("rlgen/SparseMountainCar-v0", n_envs=2), n_steps=n_steps, device="cpu")


def rollout(n: int, seed: int) -> Transitions:
    """Places 0 to 3 along the first number, noise along the second, and a reward in the third."""
    rng = np.random.default_rng(seed)
    rows = np.stack([rng.integers(4, size=n), rng.normal(size=n), rng.normal(size=n)], axis=1)
    ended = torch.from_numpy(rng.random(n) < 0.1)
    after = torch.from_numpy(rows).float()
    return Transitions(torch.zeros_like(after), torch.zeros(n, 1), after, ended, torch.zeros(n, dtype=torch.bool))


def test_the_bonus_is_that_of_the_source_at_the_first_visit_of_the_episode() -> None:
    visits = FirstVisitCounts(TaskShape(observation_size=1, action_size=1, n_envs=2), replace(EVERY_PLACE, width=0.2))
    source = AtFirstVisits(Wandering(), OfView(visits, ObservedNumbers([0], 3)))
    visited: list[set[int]] = [set(), set()]
    for seed in range(3):
        batch = rollout(60, seed)
        logged, expected = source.update(batch), []
        for step, (place, _, reward) in enumerate(batch.next_observations.tolist()):
            new = place not in visited[step % 2]
            expected.append(reward if new else 0.0)
            visited[step % 2].add(int(place))
            if batch.terminated[step]:
                visited[step % 2].clear()
        np.testing.assert_allclose(source.reward(batch).numpy(), expected, rtol=1e-6)
        assert float(logged["first_visits"]) == pytest.approx(np.mean(np.array(expected) != 0))
        assert int(logged["places"]) == 4
    assert 0 < np.mean(np.array(expected) == 0) < 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"places": []}, "places; got none; use e.g. 0 1, or leave places out"),
        ({"place_width": 0.3}, r"places to have a place_width; got none; add e.g. places=\[0, 1\]"),
        ({"places": [0], "place_width": -1.0}, "a positive width"),
        ({"places": [0], "eta": "auto"}, "got auto for VIME at first visits of places"),
        ({"places": "0 1"}, "places"),
    ],
    ids=str,
)
def test_settings_that_cannot_be_meant_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        VIME(**given)


def test_models_without_rollouts_and_other_numbers_are_refused() -> None:
    model = SAC("MlpPolicy", make_vec("rlgen/SparseMountainCar-v0", n_envs=2), device="cpu")
    with pytest.raises(InputError, match="an on-policy model for RND at first visits of places; got SAC"):
        model.learn(8, callback=RND(places=[0]))
    with pytest.raises(InputError, match="different numbers of an observation of 2, counted from 0, as places"):
        ppo().learn(8, callback=RND(places=[2]))


def test_a_width_without_places_is_refused_before_training(rlgen_train, capsys) -> None:
    assert rlgen_train("vime", "--place-width", "0.5") == 2
    assert "without --places reads; got --place-width" in " ".join(capsys.readouterr().err.split())


def test_a_run_records_its_places_and_logs_its_first_visits(rlgen_train, no_finish, tmp_path: Path) -> None:
    assert rlgen_train("vime", "--steps", "128", "--evaluate-every", "0", "--places", "0", "--place-width", "0.5") == 0
    run = tmp_path / "run"
    config = json.loads((run / "config.json").read_text())
    assert (config["places"], config["place_width"]) == ([0], 0.5)
    share = read_metrics(run)["vime/first_visits"]
    assert ((share > 0) & (share < 1))[~np.isnan(share)].all()
    assert "vime/first_visits" in (run / "display.json").read_text()
    assert no_finish[-1][4].metrics["places"] == "0"
    common = {"env": "x", "out": tmp_path}
    assert not {"places", "place_width"} & set(TrainExplore(**common).recorded())


def test_a_killed_run_is_resumed_bit_for_bit(no_finish, tmp_path: Path) -> None:
    small = """--threads 1 --n-envs 2 --device cpu --seed 3 --no-video --steps 448 --checkpoint-every 192
    --evaluate-every 0 --learner.n-steps 32 --learner.batch-size 32 --learner.n-epochs 2 --learner.hidden 8
    --rnd.target-hidden 8 --places 0 1"""
    command = ["train", "explore", "--curiosity", "rnd", "--env", "Hopper-v5", *small.split()]
    assert_resumes(command, 320, tmp_path, no_finish)
