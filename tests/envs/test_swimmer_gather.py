"""SwimmerGather: what is eaten is paid once and gone, and the sensors see what a plain loop sees."""

from math import atan2, hypot, pi

import gymnasium as gym
import numpy as np
import pytest

from rlgen.envs import make_vec
from rlgen.envs.swimmer_gather import GONE_Z, SwimmerGather
from rlgen.errors import InputError
from rlgen.sim.threads import ThreadedSim

ENV_ID = "rlgen/SwimmerGather-v0"


def sim_with(things: list[tuple[float, float]], n_food: int, **settings) -> ThreadedSim:
    """One swimmer at rest in the origin, heading along x, and things where the test wants them."""
    task = SwimmerGather(n_food=n_food, n_bombs=len(things) - n_food, reset_noise_scale=0.0, **settings)
    sim = ThreadedSim(task, 1, 500, n_threads=1)
    sim.reset([0])
    placed = np.array([[x, y, 0.0] for x, y in things])
    sim.now.mocap_pos[0] = sim.datas[0].mocap_pos[:] = placed
    return sim


def plain_readings(robot, heading: float, things, reach: float = 6.0, bins: int = 10) -> list[float]:
    """The sensor of Duan et al. 2016 in scalar arithmetic: far things first, nearer ones over them."""
    found = [0.0] * bins
    for x, y in sorted(things, key=lambda thing: -hypot(thing[0] - robot[0], thing[1] - robot[1])):
        distance = hypot(x - robot[0], y - robot[1])
        bearing = (atan2(y - robot[1], x - robot[0]) - heading + pi) % (2 * pi) - pi
        if distance <= reach and abs(bearing) < pi / 2:
            found[int((bearing + pi / 2) / (pi / bins))] = 1 - distance / reach
    return found


def test_the_sensors_see_what_a_plain_loop_sees():
    sim = ThreadedSim(SwimmerGather(), 8, 500, n_threads=1)
    sim.reset(range(8))
    rng = np.random.default_rng(0)
    for _ in range(40):
        observed = sim.step(rng.uniform(-1, 1, (8, 2))).observations
        for i in range(8):
            qpos, things = sim.now.qpos[i], sim.now.mocap_pos[i]
            kinds = [things[:8], things[8:]]
            expected = [plain_readings(qpos[:2], qpos[2], kind[kind[:, 2] == 0][:, :2]) for kind in kinds]
            np.testing.assert_allclose(observed[i, 10:], np.ravel(expected), atol=1e-12)
    assert observed[:, 10:].max() > 0
    sim.close()


def test_food_pays_one_and_is_gone():
    sim = sim_with([(0.5, 0.0), (4.0, 0.0)], n_food=2)
    step = sim.step(np.zeros((1, 2)))
    assert step.rewards.tolist() == [1.0]
    assert sim.now.mocap_pos[0, :, 2].tolist() == [GONE_Z, 0.0]
    assert sim.datas[0].mocap_pos[:, 2].tolist() == [GONE_Z, 0.0]
    assert sim.step(np.zeros((1, 2))).rewards.tolist() == [0.0]
    sim.close()


def test_a_bomb_costs_one_and_both_at_once_cancel():
    sim = sim_with([(4.0, 0.0), (0.5, 0.0), (0.0, -0.9)], n_food=1)
    assert sim.step(np.zeros((1, 2))).rewards.tolist() == [-2.0]
    sim.close()
    sim = sim_with([(0.0, 0.5), (0.5, 0.0), (4.0, 0.0)], n_food=1)
    assert sim.step(np.zeros((1, 2))).rewards.tolist() == [0.0]
    sim.close()


def test_the_episode_ends_with_the_last_thing_and_the_next_has_them_again():
    sim = sim_with([(0.5, 0.0)], n_food=1)
    step = sim.step(np.zeros((1, 2)))
    assert (step.terminated.tolist(), step.truncated.tolist()) == ([True], [False])
    assert np.abs(step.final_observations[0, 10:]).max() == 0
    assert sim.now.mocap_pos[0, 0, 2] == 0
    sim.close()


def test_things_stand_apart_on_even_coordinates_away_from_the_start():
    task, rng = SwimmerGather(), np.random.default_rng(0)
    for _ in range(50):
        things = task.sample_mocap(rng)
        assert len({tuple(thing) for thing in things}) == 16
        assert np.hypot(*things[:, :2].T).min() >= 2
        assert np.abs(things).max() <= 6
        assert (things % 2 == 0).all()


def test_things_have_no_mass_and_touch_nothing():
    bare, full = (ThreadedSim(task, 1, None, 1).model for task in (SwimmerGather(n_food=1, n_bombs=0), SwimmerGather()))
    assert bare.body_subtreemass[0] == full.body_subtreemass[0]
    assert (full.nmocap, full.nv) == (16, 5)
    assert full.geom_contype[1:].max() == full.geom_conaffinity[1:].max() == 0


def test_too_many_things_are_refused():
    with pytest.raises(InputError, match="1 to 48 objects"):
        make_vec(ENV_ID, 1, env_kwargs={"n_food": 40, "n_bombs": 9})
    with pytest.raises(InputError, match="1 to 48 objects"):
        gym.make(ENV_ID, n_food=0, n_bombs=0)


def test_eaten_things_stay_eaten_after_a_resume():
    env, other = (make_vec(ENV_ID, 1, seed=seed, env_kwargs={"catch_range": 3.0}) for seed in (0, 1))
    env.reset()
    other.reset()
    assert env.step(np.zeros((1, 2), np.float32))[0].shape == (1, 30)
    left = int((env.sim.now.mocap_pos[..., 2] == 0).sum())
    assert left < 16
    other.load_state_dict(env.state_dict())
    other.step(np.zeros((1, 2), np.float32))
    assert int((other.sim.now.mocap_pos[..., 2] == 0).sum()) <= left
    env.close()
    other.close()
