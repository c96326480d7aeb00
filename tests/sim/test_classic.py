"""Classic tasks: Runge and Kutta's method, and a simulator whose environments are rows of one array."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from rlgen.errors import InputError
from rlgen.sim.classic import ClassicEnv, ClassicSim, ClassicTask
from rlgen.sim.task import never_terminated


@dataclass(frozen=True, kw_only=True)
class Spring(ClassicTask):
    """x'' = action - x, whose solution is known."""

    timestep_s: ClassVar[float] = 0.1
    n_coordinates: ClassVar[int] = 1

    def acceleration(self, qpos, qvel, ctrl):
        return ctrl - qpos

    def observe(self, state):
        return state.qpos

    def reward(self, before, action, after):
        return after.qpos[:, 0] - before.qpos[:, 0]

    def terminated(self, state):
        return never_terminated(state)


def test_a_step_follows_the_exact_solution():
    x, v = Spring(frame_skip=10).integrate(np.array([[1.0]]), np.array([[0.5]]), np.array([[0.25]]))
    assert x.item() == pytest.approx(0.25 + 0.75 * np.cos(1) + 0.5 * np.sin(1), abs=1e-6)
    assert v.item() == pytest.approx(-0.75 * np.sin(1) + 0.5 * np.cos(1), abs=1e-6)


def test_the_method_is_of_fourth_order(monkeypatch):
    errors = []
    for substeps in (4, 8):
        monkeypatch.setattr(Spring, "timestep_s", 1 / substeps)
        x, v = Spring(frame_skip=substeps).integrate(np.array([[1.0]]), np.zeros((1, 1)), np.zeros((1, 1)))
        errors.append(np.hypot(x.item() - np.cos(1), v.item() + np.sin(1)))
    assert errors[0] / errors[1] == pytest.approx(16, rel=0.1)


def test_rewards_see_the_state_before_and_the_action_is_clipped():
    sim = ClassicSim(Spring(reset_noise_scale=0.0), 2, None)
    sim.reset((0, 1))
    step = sim.step(np.array([[9.0], [-9.0]]))
    np.testing.assert_allclose(step.rewards, [1 - np.cos(0.1), np.cos(0.1) - 1], atol=1e-6)
    assert sim.now.ctrl.tolist() == [[1.0], [-1.0]]


def test_the_time_limit_truncates_and_a_new_episode_begins():
    sim = ClassicSim(Spring(), 3, 4)
    sim.reset((0, 1, 2))
    steps = [sim.step(np.ones((3, 1))) for _ in range(4)]
    assert [step.truncated.all() for step in steps] == [False, False, False, True]
    assert steps[-1].episode_lengths.tolist() == [4, 4, 4]
    np.testing.assert_allclose(steps[-1].episode_returns, np.sum([step.rewards for step in steps], axis=0))
    assert np.abs(steps[-1].observations).max() <= 0.1  # the noise of a reset
    assert not np.array_equal(steps[-1].observations, steps[-1].final_observations)


def test_a_task_without_a_scene_says_so_when_it_is_drawn():
    env = ClassicEnv(Spring(), render_mode="rgb_array")
    env.reset(seed=0)
    with pytest.raises(InputError, match=r"a task with a scene.*got Spring"):
        env.render()
