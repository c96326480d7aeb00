"""Episodes that start in demonstrated states: the same states on every backend, in their share of the episodes."""

import numpy as np
import pytest

from rlgen.data import Demonstrations
from rlgen.envs import CLASSIC_TASKS, TASKS, WarpOptions, make_vec
from rlgen.errors import InputError
from rlgen.runs.evaluation import RandomPolicy
from rlgen.sim.model import load_model
from rlgen.sim.reference_states import unobserved_positions

LEFT_OUT = {
    "Ant-v5": 2, "HalfCheetah-v5": 1, "Hopper-v5": 1, "Humanoid-v5": 2, "Swimmer-v5": 2, "Walker2d-v5": 1,
    "rlgen/DisabledAnt-v0": 2, "rlgen/SparseAnt-v0": 0, "rlgen/SparseHalfCheetah-v0": 0, "rlgen/SparseHumanoid-v0": 0,
    "rlgen/SwimmerGather-v0": 0,
}  # fmt: skip


@pytest.mark.parametrize("env_id", TASKS)
def test_what_an_observation_leaves_out_is_found(env_id: str) -> None:
    task = TASKS[env_id]()
    assert unobserved_positions(task, load_model(task)) == LEFT_OUT[env_id]


def shown(env_id: str) -> Demonstrations:
    env = make_vec(env_id, 2, seed=5)
    return Demonstrations.record(RandomPolicy(env.action_space), env, 2)


def head(env_id: str, observations: np.ndarray) -> np.ndarray:
    """The part of observations that are positions and velocities."""
    model = load_model(TASKS[env_id]())
    return observations[:, : model.nq + model.nv - LEFT_OUT[env_id]]


@pytest.mark.parametrize(
    ("env_id", "backend"), [("Ant-v5", "threads"), ("Hopper-v5", "threads"), ("Hopper-v5", "warp")]
)
def test_all_episodes_start_in_demonstrated_states(env_id: str, backend: str) -> None:
    if backend == "warp":
        pytest.importorskip("mujoco_warp")
    states = shown(env_id).observations
    env = make_vec(env_id, 3, backend=backend, warp=WarpOptions(device="cpu"))  # type: ignore[arg-type]
    env.start_from(states, 1.0)
    first = head(env_id, env.reset())
    known = head(env_id, states)
    for row in first:
        assert np.abs(known - row).max(1).min() < 1e-5
    assert np.abs(first - head(env_id, make_vec(env_id, 3).reset())).max() > 1e-3
    env.close()


def test_the_share_is_that_of_the_episodes_and_the_rest_are_the_tasks_own() -> None:
    states = shown("Hopper-v5").observations[5:]
    env = make_vec("Hopper-v5", 300)
    env.start_from(states, 0.25)
    first = head("Hopper-v5", env.reset())
    known = head("Hopper-v5", states)
    demonstrated = np.array([np.abs(known - row).max(1).min() < 1e-6 for row in first])
    assert demonstrated.mean() == pytest.approx(0.25, abs=0.08)  # three standard errors of 300 draws
    own = head("Hopper-v5", make_vec("Hopper-v5", 300).reset())
    np.testing.assert_array_equal(first[~demonstrated], own[~demonstrated])


@pytest.mark.parametrize("env_id", CLASSIC_TASKS)
def test_a_task_in_numpy_goes_on_from_a_demonstrated_state_as_the_demonstration_did(env_id: str) -> None:
    """With the demonstrated action, the step after a demonstrated state is the demonstrated one."""
    whole = shown(env_id)
    rows = np.arange(100, 110)
    env = make_vec(env_id, 30)
    env.start_from(whole.observations[rows], 1.0)
    first = env.reset()
    apart = np.abs(first[:, None] - whole.observations[rows]).max(-1)
    which = rows[apart.argmin(1)]
    assert apart.min(1).max() < 1e-5
    assert len(set(which)) > 1
    after, _, dones, _ = env.step(whole.actions[which])
    assert not dones.any()
    np.testing.assert_allclose(after, whole.next_observations[which], atol=1e-4)
    env.start_from(whole.observations[rows], 0.0)
    np.testing.assert_array_equal(make_vec(env_id, 30).reset(), (env.seed(0), env.reset())[1])


def test_observations_of_another_task_are_refused() -> None:
    with pytest.raises(InputError, match=r"observations \[R, 2\] of rlgen/SparseMountainCar-v0"):
        make_vec("rlgen/SparseMountainCar-v0", 1).start_from(np.zeros((2, 11)), 0.5)
    with pytest.raises(InputError, match="share between 0 and 1"):
        make_vec("Hopper-v5", 1).start_from(np.zeros((2, 11)), 1.5)
