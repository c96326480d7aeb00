"""The classic sparse tasks: right physics by independent witnesses, the paper's rules, hard for noise and solvable."""

import mujoco
import numpy as np
import pytest
import torch

from rlgen.envs import CLASSIC_TASKS, make_vec
from rlgen.envs.sparse_cart_pole import SparseCartPoleSwingup
from rlgen.envs.sparse_double_pendulum import SparseDoublePendulum
from rlgen.envs.sparse_mountain_car import SparseMountainCar
from rlgen.sim.classic import ClassicSim, ClassicTask
from rlgen.sim.task import State

# A thin rod of mass m and length l has the inertia m l² / 12 across its length.
CART_POLE = """
<mujoco><option gravity="0 0 -10"/><worldbody><body>
  <joint name="x" type="slide" axis="1 0 0"/><geom type="sphere" size=".1" mass="1"/>
  <body><joint name="angle" axis="0 1 0"/>
    <inertial pos="0 0 .5" mass=".1" diaginertia=".0083333333333 .0083333333333 .000001"/></body>
</body></worldbody><actuator><motor joint="x" gear="10"/></actuator></mujoco>
"""
DOUBLE_PENDULUM = """
<mujoco><option gravity="0 0 -10"/><worldbody><body>
  <joint name="shoulder" axis="0 -1 0"/>
  <inertial pos="0 0 -.5" mass=".5" diaginertia=".0416666666667 .0416666666667 .000001"/>
  <body pos="0 0 -1"><joint name="elbow" axis="0 -1 0"/>
    <inertial pos="0 0 -.5" mass=".5" diaginertia=".0416666666667 .0416666666667 .000001"/></body>
</body></worldbody><actuator><motor joint="elbow" gear="50"/></actuator></mujoco>
"""


def mujoco_acceleration(xml: str, qpos: np.ndarray, qvel: np.ndarray, ctrl: np.ndarray, damping: float) -> np.ndarray:
    model = mujoco.MjModel.from_xml_string(xml)
    model.dof_damping[:] = damping
    model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_CONTACT
    data, found = mujoco.MjData(model), []
    for position, velocity, action in zip(qpos, qvel, ctrl, strict=True):
        data.qpos[:], data.qvel[:], data.ctrl[:] = position, velocity, action
        mujoco.mj_forward(model, data)
        found.append(data.qacc.copy())
    return np.array(found)


def random_states(n: int, coordinates: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.uniform(-4, 4, (n, coordinates)), rng.normal(0, 5, (n, coordinates)), rng.uniform(-1, 1, (n, 1))


def test_cart_pole_accelerates_as_mujocos_does():
    qpos, qvel, ctrl = random_states(50, 2)
    expected = mujoco_acceleration(CART_POLE, qpos, qvel, ctrl, damping=0.0)
    np.testing.assert_allclose(SparseCartPoleSwingup().acceleration(qpos, qvel, ctrl), expected, rtol=1e-8, atol=1e-8)


def test_double_pendulum_accelerates_as_mujocos_does():
    qpos, qvel, ctrl = random_states(50, 2)
    relative = np.array([[1, 0], [-1, 1]]).T  # MuJoCo's elbow is the angle between the rods, ours is absolute
    expected = mujoco_acceleration(
        DOUBLE_PENDULUM, qpos @ relative, qvel @ relative, ctrl, damping=SparseDoublePendulum.friction
    )
    found = SparseDoublePendulum().acceleration(qpos, qvel, ctrl) @ relative
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-7)


def test_mountain_car_keeps_its_energy_without_friction(monkeypatch):
    monkeypatch.setattr(SparseMountainCar, "friction", 0.0)
    monkeypatch.setattr(SparseMountainCar, "timestep_s", 0.0025)
    task = SparseMountainCar()

    def energy(x: np.ndarray, v: np.ndarray) -> np.ndarray:
        slope = np.gradient(-np.cos(np.pi / 2 * np.array([x - 1e-5, x, x + 1e-5])), 1e-5, axis=0)[1]
        return 0.5 * v**2 * (1 + slope**2) - 10.0 * np.cos(np.pi / 2 * x)

    x, v = np.linspace(-1, 1, 9)[:, None], np.linspace(-1, 1, 9)[:, None]
    start = energy(x, v)
    for _ in range(500):
        x, v = task.integrate(x, v, np.zeros_like(x))
    np.testing.assert_allclose(energy(x, v), start, atol=1e-6)
    assert np.abs(x).max() > 0.5


def test_mountain_cars_push_is_along_the_track():
    task, at = SparseMountainCar(), np.array([[0.6]])
    slope = np.pi / 2 * np.sin(0.3 * np.pi)
    pushed, idle = (task.acceleration(at, np.zeros((1, 1)), np.full((1, 1), force)) for force in (1.0, 0.0))
    tangential = (pushed - idle) * np.sqrt(1 + slope**2)  # from x to the length along the track
    np.testing.assert_allclose(tangential, 1.0 / 0.4)


@pytest.mark.parametrize("env_id", list(CLASSIC_TASKS))
def test_numpy_and_torch_agree(env_id):
    task = CLASSIC_TASKS[env_id]()
    qpos, qvel, ctrl = random_states(20, task.n_coordinates)
    state = State(qpos=qpos, qvel=qvel, ctrl=ctrl)
    other = State(**{name: torch.from_numpy(array) for name, array in vars(state).items()})
    for array, tensor in [
        (task.observe(state), task.observe(other)),
        (task.terminated(state), task.terminated(other)),
        (task.reward(state, ctrl, state), task.reward(other, other.ctrl, other)),
        (task.acceleration(qpos, qvel, ctrl), task.acceleration(other.qpos, other.qvel, other.ctrl)),
    ]:
        assert tensor.dtype == torch.from_numpy(array).dtype
        np.testing.assert_allclose(tensor.numpy(), array, rtol=1e-12, atol=1e-12)


def at_rest(*rows: list[float]) -> State:
    qpos = np.array(rows, dtype=float)
    return State(qpos=qpos, qvel=np.zeros_like(qpos), ctrl=np.zeros((len(qpos), 1)))


def paid(task: ClassicTask, state: State) -> list[float]:
    return task.reward(state, state.ctrl, state).tolist()


def test_mountain_car_is_paid_and_over_at_the_goal_and_only_over_at_the_left_end():
    task, state = SparseMountainCar(), at_rest([0.0], [0.59], [0.6], [-2.0])
    assert paid(task, state) == [0, 0, 1, 0]
    assert task.terminated(state).tolist() == [False, False, True, True]


def test_cart_pole_is_paid_while_upright_on_the_track():
    lean = np.arccos(0.8)
    task, state = SparseCartPoleSwingup(), at_rest([0, np.pi], [2, lean - 0.01], [2, lean + 0.01], [3.1, 0])
    assert paid(task, state) == [0, 1, 0, 0]
    assert task.terminated(state).tolist() == [False, False, False, True]


def test_double_pendulum_is_paid_near_the_upright_place():
    task, pi = SparseDoublePendulum(), np.pi
    state = at_rest([0, 0], [pi, pi], [pi + 0.3, pi - 0.3], [pi, 0], [pi, pi - 1.1])
    np.testing.assert_allclose(task.tip_distance(state), [4, 0, 2 - 2 * np.cos(0.3), 2, 2 * np.sin(0.55)], atol=1e-12)
    assert paid(task, state) == [0, 1, 1, 0, 0]
    assert not task.terminated(state).any()


def episodes(env_id: str, n_envs: int, act) -> np.ndarray:
    """Returns of one episode in each environment; `act(positions, velocities, step)` gives actions [N]."""
    sim = ClassicSim(CLASSIC_TASKS[env_id](), n_envs, 500)
    sim.reset(range(n_envs))
    found: dict[int, float] = {}
    for t in range(500):
        step = sim.step(np.asarray(act(sim.now.qpos, sim.now.qvel, t), dtype=float).reshape(n_envs, 1))
        for i, total in zip(step.finished.tolist(), step.episode_returns, strict=True):
            found.setdefault(i, float(total))
    return np.array([found[i] for i in range(n_envs)])


@pytest.mark.parametrize("env_id", list(CLASSIC_TASKS))
def test_white_noise_is_paid_in_less_than_a_fifth_of_the_episodes(env_id):
    rng = np.random.default_rng(1)
    returns = episodes(env_id, 100, lambda position, velocity, t: rng.normal(size=len(position)))
    assert (returns > 0).mean() < 0.2


def test_swinging_takes_the_car_to_the_goal_where_pushing_does_not():
    swinging = episodes("rlgen/SparseMountainCar-v0", 5, lambda x, v, t: np.sign(v))
    pushing = episodes("rlgen/SparseMountainCar-v0", 5, lambda x, v, t: np.ones(5))
    assert swinging.tolist() == [1] * 5
    assert pushing.tolist() == [0] * 5


def test_pumping_energy_and_then_balancing_holds_the_pole_up():
    def swing_up(position, velocity, t):
        (x, angle), (v, turning) = position.T, velocity.T
        missing = turning**2 / 6 + 5 * (np.cos(angle) - 1)  # energy of the pole, 0 upright at rest, J per kg
        pump = 0.5 * missing * turning * np.cos(angle) - 0.2 * (x + v)
        lean = (angle + np.pi) % (2 * np.pi) - np.pi
        return np.where(np.cos(angle) > 0.8, 4 * lean + turning + 0.15 * x + 0.4 * v, pump)

    assert np.median(episodes("rlgen/SparseCartPoleSwingup-v0", 20, swing_up)) > 300


def test_swinging_slowly_takes_the_double_pendulum_up():
    def swing(position, velocity, t):
        return np.full(5, 0.67 * np.sin(2 * np.pi * 0.02 * t / 1.94))

    assert (episodes("rlgen/SparseDoublePendulum-v0", 5, swing) > 5).any()


@pytest.mark.parametrize("env_id", list(CLASSIC_TASKS))
def test_actions_beyond_the_bounds_count_as_the_bounds(env_id):
    ends = []
    for size in (1.0, 5.0):
        env = make_vec(env_id, 2, seed=3)
        env.reset()
        ends.append([env.step(np.full((2, 1), size, np.float32))[0] for _ in range(5)])
    np.testing.assert_array_equal(*ends)
