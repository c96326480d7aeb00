"""MuJoCo Warp against C MuJoCo: the same worlds, one control step on."""

import sys

import mujoco
import numpy as np
import pytest
import torch

from rlgen.envs import CLASSIC_TASKS, TASKS
from rlgen.errors import InputError
from rlgen.sim.model import load_model
from rlgen.sim.task import State
from rlgen.sim.threads import ThreadedSim
from rlgen.sim.warp_physics import WarpPhysics, solved_by_newton

pytest.importorskip("warp")

CPU = torch.device("cpu")
WORLDS, MOMENTS, BETWEEN = 100, 4, 12
SIZE_OF = {"cfrc_ext": 1e-3}
"""Contact forces, of up to thousands of newtons, are compared relative to this share of one."""


def piles(env_id: str) -> tuple[ThreadedSim, dict[str, np.ndarray]]:
    """(C MuJoCo's worlds, their arrays): bodies thrown about by random actions, and limp ones, in 400 states."""
    task = TASKS[env_id]()
    sim = ThreadedSim(task, WORLDS * MOMENTS, None, n_threads=1)
    sim.reset(range(WORLDS * MOMENTS))
    rng = np.random.default_rng(0)
    low, high = sim.model.actuator_ctrlrange.T
    for i, data in enumerate(sim.datas):
        strength = i // MOMENTS % 2
        for _ in range(BETWEEN * (i % MOMENTS + 1)):
            data.ctrl[:] = strength * rng.uniform(low, high)
            mujoco.mj_step(sim.model, data, task.frame_skip)
        for name in ("qpos", "qvel", "qacc_warmstart"):  # both start from the same numbers
            getattr(data, name)[:] = getattr(data, name).astype(np.float32)
    names = (*task.fields, "ctrl", "qacc_warmstart")
    return sim, {name: np.stack([np.array(getattr(data, name)) for data in sim.datas]) for name in names}


@pytest.fixture(scope="module", params=list(TASKS))
def stepped(request) -> tuple[ThreadedSim, WarpPhysics, np.ndarray, State]:
    """(C MuJoCo, Warp, the actions, the state before) after one control step of both from the same states."""
    sim, arrays = piles(request.param)
    warp = WarpPhysics(sim.task, WORLDS * MOMENTS, CPU)
    for name, array in arrays.items():
        warp.arrays[name].copy_(torch.from_numpy(array.astype(np.float32)).view_as(warp.arrays[name]))
    low, high = sim.model.actuator_ctrlrange.T
    actions = np.random.default_rng(1).uniform(low, high, (WORLDS * MOMENTS, len(low))).astype(np.float32)
    before = State(**{name: arrays[name] for name in vars(sim.now)})
    sim.now.ctrl[:] = actions
    sim._advance()
    warp.now.ctrl.copy_(torch.from_numpy(actions))
    warp.advance()
    warp.check()
    return sim, warp, actions, before


def apart(reference: np.ndarray, found: torch.Tensor) -> float:
    """The largest difference of a world; of all worlds the 99th percentile, as contacts may appear a moment apart."""
    difference = np.abs(reference - found.numpy().reshape(reference.shape)).reshape(len(reference), -1).max(1)
    return float(np.quantile(difference, 0.99))


def test_positions_and_velocities_are_those_of_c_mujoco(stepped):
    sim, warp, _, _ = stepped
    assert apart(sim.now.qpos, warp.now.qpos) < 1e-5
    assert apart(sim.now.qvel, warp.now.qvel) < 1e-3


def test_what_a_task_reads_is_as_stale_as_in_c_mujoco(stepped):
    sim, warp, _, _ = stepped
    for name in sim.task.fields:
        scale = max(1.0, float(np.abs(getattr(sim.now, name)).max()))
        assert apart(getattr(sim.now, name), getattr(warp.now, name)) < 1e-4 * scale, name


def test_observations_rewards_and_ends_are_those_of_c_mujoco(stepped):
    sim, warp, actions, before = stepped
    task = sim.task
    tensors = State(**{name: torch.from_numpy(array.astype(np.float32)) for name, array in vars(before).items()})
    scale = max(1.0, float(np.abs(task.observe(sim.now)).max()))
    assert apart(task.observe(sim.now), task.observe(warp.now)) < 1e-4 * scale
    reward = task.reward(before, actions, sim.now)
    assert apart(reward, task.reward(tensors, torch.from_numpy(actions), warp.now)) < 1e-3
    same = task.terminated(sim.now) == task.terminated(warp.now).numpy()
    assert same.mean() >= 0.99


def test_the_worlds_compared_hold_contacts_and_falls():
    sim, _ = piles("Ant-v5")
    contacts = np.array([data.ncon for data in sim.datas])
    assert (contacts > 0).mean() > 0.3
    assert contacts.max() > 3
    state = State(**{name: np.stack([getattr(data, name) for data in sim.datas]) for name in ("qpos", "qvel")})
    assert sim.task.terminated(state).any()


@pytest.mark.parametrize("env_id", ["Ant-v5", "Humanoid-v5", "rlgen/SparseHalfCheetah-v0"])
def test_a_recorded_step_is_the_step_bit_for_bit(env_id):
    task, rng = TASKS[env_id](), np.random.default_rng(0)
    one, other = WarpPhysics(task, 6, CPU), WarpPhysics(task, 6, CPU, captured=False)
    start = {name: torch.from_numpy(rng.normal(size=array.shape).astype(np.float32)) * 0.01
             for name, array in other.arrays.items()}  # fmt: skip
    qpos = torch.from_numpy(one.host.qpos0.astype(np.float32))
    for physics in (one, other):
        for name, array in physics.arrays.items():
            array.copy_(start[name] + (qpos if name == "qpos" else 0.0))
    for _ in range(20):
        action = torch.from_numpy(rng.uniform(-0.4, 0.4, one.now.ctrl.shape).astype(np.float32))
        for physics in (one, other):
            physics.now.ctrl.copy_(action)
            physics.advance()
        for name, array in one.arrays.items():
            assert torch.equal(array, other.arrays[name]), name


def test_a_steep_capsule_has_the_contact_frame_of_c_mujoco():
    sim, arrays = piles("Ant-v5")
    model = sim.model
    steep = []
    for i, data in enumerate(sim.datas):
        mujoco.mj_forward(model, data)
        for contact in data.contact:
            axis = data.geom_xmat[contact.geom[1]].reshape(3, 3)[:, 2]
            if model.geom_type[contact.geom[0]] == mujoco.mjtGeom.mjGEOM_PLANE and abs(axis[2]) > 0.9:
                steep.append(i)
    assert len(set(steep)) > 5  # what the world's y axis would be taken for
    worlds = sorted(set(steep))
    warp = WarpPhysics(sim.task, len(worlds), CPU)
    for name, array in arrays.items():
        warp.arrays[name].copy_(torch.from_numpy(array[worlds].astype(np.float32)).view_as(warp.arrays[name]))
    low, high = model.actuator_ctrlrange.T
    actions = np.random.default_rng(1).uniform(low, high, (len(worlds), len(low))).astype(np.float32)
    warp.now.ctrl.copy_(torch.from_numpy(actions))
    warp.advance()
    for i, action in zip(worlds, actions, strict=True):
        sim.datas[i].ctrl[:] = action
        mujoco.mj_step(model, sim.datas[i], sim.task.frame_skip)
    reference = np.stack([sim.datas[i].qvel for i in worlds])
    assert np.median(np.abs(reference - warp.now.qvel.numpy()).max(1)) < 1e-4


def test_the_margin_rule_reaches_warp():
    native, legacy = (WarpPhysics(TASKS["Ant-v5"](), 1, CPU, rule, captured=False) for rule in ("native", "legacy"))
    np.testing.assert_allclose(legacy.host.geom_margin * 2, native.host.geom_margin)
    assert native.host.geom_margin.max() > 0
    np.testing.assert_allclose(native._model.geom_margin.numpy()[0], native.host.geom_margin, rtol=1e-6)
    np.testing.assert_allclose(legacy._model.geom_margin.numpy()[0], legacy.host.geom_margin, rtol=1e-6)


def test_a_model_that_asks_for_pgs_is_solved_by_newton_and_itself_left_alone():
    model = load_model(TASKS["Humanoid-v5"]())
    solver = mujoco.mjtSolver
    assert solved_by_newton(model).opt.solver == solver.mjSOL_NEWTON
    assert model.opt.solver == solver.mjSOL_PGS
    other = load_model(TASKS["Ant-v5"]())
    assert solved_by_newton(other) is other


@pytest.mark.parametrize(("size", "name"), [({"contacts": 1}, "contacts"), ({"constraints": 2}, "constraints")])
def test_contacts_without_room_are_an_error_that_names_the_size_to_raise(size, name):
    sim, arrays = piles("Ant-v5")
    warp = WarpPhysics(sim.task, WORLDS * MOMENTS, CPU, **size)
    for key, array in arrays.items():
        warp.arrays[key].copy_(torch.from_numpy(array.astype(np.float32)).view_as(warp.arrays[key]))
    warp.advance()
    with pytest.raises(InputError, match=f"room for all {name}.*a larger {name}"):
        warp.check()


def test_without_warp_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "warp", None)
    with pytest.raises(InputError, match=r"no module 'warp'.*pip install"):
        WarpPhysics(TASKS["Ant-v5"](), 1, CPU)


def test_tasks_without_mujoco_have_no_model_for_warp():
    assert not set(CLASSIC_TASKS) & set(TASKS)
