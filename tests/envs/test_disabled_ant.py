"""The disabled Ant: Ant-v5 whose legs 3 and 4 are half as long and weak, and nothing else."""

import mujoco
import numpy as np

from rlgen.envs import TASKS, make_vec
from rlgen.sim.model import load_model

DISABLED = load_model(TASKS["rlgen/DisabledAnt-v0"]())
WHOLE = load_model(TASKS["Ant-v5"]())


def named(model: mujoco.MjModel, kind: mujoco.mjtObj, count: int) -> list[str]:
    return [mujoco.mj_id2name(model, kind, number) or "" for number in range(count)]


def test_the_links_of_two_legs_are_half_as_long_and_all_others_as_they_were() -> None:
    names = named(WHOLE, mujoco.mjtObj.mjOBJ_GEOM, WHOLE.ngeom)
    shrunk = [name for name, a, b in zip(names, DISABLED.geom_size[:, 1], WHOLE.geom_size[:, 1], strict=True) if a != b]
    assert sorted(shrunk) == ["back_leg_geom", "fourth_ankle_geom", "rightback_leg_geom", "third_ankle_geom"]
    for name in shrunk:
        here = names.index(name)
        assert DISABLED.geom_size[here, 1] == 0.5 * WHOLE.geom_size[here, 1]
        assert DISABLED.geom_size[here, 0] == WHOLE.geom_size[here, 0]
    moved = (DISABLED.body_pos != WHOLE.body_pos).any(1)
    np.testing.assert_array_equal(DISABLED.body_pos[moved], 0.5 * WHOLE.body_pos[moved])
    assert moved.sum() == 2, "the two ankles"
    np.testing.assert_array_equal(DISABLED.jnt_range, WHOLE.jnt_range)


def test_their_motors_are_weak_and_the_order_of_actions_is_ants() -> None:
    joints = named(WHOLE, mujoco.mjtObj.mjOBJ_JOINT, WHOLE.njnt)
    np.testing.assert_array_equal(DISABLED.actuator_trnid, WHOLE.actuator_trnid)
    gears = {
        joints[joint]: gear
        for joint, gear in zip(DISABLED.actuator_trnid[:, 0], DISABLED.actuator_gear[:, 0], strict=True)
    }
    assert gears == {f"{part}_{leg}": 150.0 if leg < 3 else 1.0 for part in ("hip", "ankle") for leg in (1, 2, 3, 4)}


def test_with_whole_legs_and_ends_it_is_ant_v5() -> None:
    own = {"leg_scale": 1.0, "leg_gear": 150.0, "terminate_when_unhealthy": True}
    envs = [make_vec("Ant-v5", 2, seed=1), make_vec("rlgen/DisabledAnt-v0", 2, seed=1, env_kwargs=own)]
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(*(env.reset() for env in envs))
    for _ in range(100):
        actions = rng.uniform(-1, 1, (2, 8)).astype(np.float32)
        for one, two in zip(*(env.step(actions)[:3] for env in envs), strict=True):
            np.testing.assert_array_equal(one, two)


def test_a_fall_does_not_end_an_episode() -> None:
    env = make_vec("rlgen/DisabledAnt-v0", 1, env_kwargs={"healthy_z_range": (5.0, 6.0)})
    env.reset()
    assert not any(env.step(np.zeros((1, 8), np.float32))[2][0] for _ in range(5))
