"""Thread-stepped simulation: the number of threads changes nothing, and a saved state goes on bit for bit."""

import json
import threading

import numpy as np
import pytest

from rlgen.envs import TASKS
from rlgen.errors import InputError
from rlgen.sim.simulator import Step
from rlgen.sim.threads import ThreadedSim

N = 4


def make(env_id: str = "Ant-v5", n_threads: int = 1, time_limit: int | None = 1000, **settings) -> ThreadedSim:
    sim = ThreadedSim(TASKS[env_id](), N, time_limit, n_threads, **settings)
    sim.reset(range(7, 7 + N))
    return sim


def random_actions(sim: ThreadedSim, steps: int, seed: int = 0) -> np.ndarray:
    low, high = sim.model.actuator_ctrlrange.T
    return np.random.default_rng(seed).uniform(low, high, (steps, N, sim.model.nu)).astype(np.float32)


def roll(sim: ThreadedSim, actions: np.ndarray) -> list[Step]:
    return [sim.step(action) for action in actions]


def assert_identical(left: list[Step], right: list[Step]) -> None:
    for step, (one, other) in enumerate(zip(left, right, strict=True)):
        for name, a, b in zip(Step._fields, one, other, strict=True):
            np.testing.assert_array_equal(a, b, err_msg=f"{name} at step {step}")


def as_json(value):
    """Through text and back, as a checkpoint's JSON part; arrays as lists of exactly printed numbers."""
    return json.loads(json.dumps(value, default=lambda array: array.tolist()))


@pytest.mark.parametrize("env_id", ["Ant-v5", "Humanoid-v5"])
def test_rollouts_are_bit_identical_for_any_number_of_threads(env_id):
    rollouts = []
    for n_threads in (1, 2, 3):
        sim = make(env_id, n_threads)
        rollouts.append(roll(sim, random_actions(sim, 80)))
        sim.close()
    assert sum(len(step.finished) for step in rollouts[0]) > 0 or env_id == "Ant-v5"
    assert_identical(rollouts[0], rollouts[1])
    assert_identical(rollouts[0], rollouts[2])


@pytest.mark.parametrize("env_id", list(TASKS))
def test_a_saved_state_goes_on_bit_for_bit_in_the_middle_of_episodes(env_id):
    first = make(env_id, time_limit=45)
    actions = random_actions(first, 60)
    roll(first, actions[:30])
    saved, last = first.state_dict(), first.observe()
    expected = roll(first, actions[30:])
    assert any(len(step.finished) for step in expected)  # so that the generators and the counters matter

    for state in (saved, as_json(saved)):
        second = make(env_id, n_threads=2, time_limit=45)
        roll(second, random_actions(second, 3, seed=1))
        second.load_state_dict(state)
        np.testing.assert_array_equal(second.observe(), last)
        assert_identical(expected, roll(second, actions[30:]))
        second.close()
    first.close()


def test_a_saved_state_is_a_copy():
    sim = make()
    saved = sim.state_dict()
    before = as_json(saved)
    roll(sim, random_actions(sim, 3))
    assert as_json(saved) == before
    sim.close()


def test_a_state_of_another_task_or_size_is_refused():
    ant, cheetah = make(), make("HalfCheetah-v5")
    with pytest.raises(InputError, match=r"expected a state of 4 × HalfCheetah.*got one of 4 × Ant"):
        cheetah.load_state_dict(ant.state_dict())
    legacy = make(margin_rule="legacy")
    with pytest.raises(InputError, match="margin rule native"):
        legacy.load_state_dict(ant.state_dict())
    for sim in (ant, cheetah, legacy):
        sim.close()


def test_the_time_limit_truncates_and_does_not_terminate():
    sim = make("HalfCheetah-v5", time_limit=5)
    steps = roll(sim, random_actions(sim, 10))
    assert [bool(step.truncated.all()) for step in steps] == [False] * 4 + [True] + [False] * 4 + [True]
    assert not any(step.terminated.any() for step in steps)
    np.testing.assert_array_equal(steps[4].episode_lengths, [5] * N)
    np.testing.assert_allclose(steps[9].episode_returns, np.sum([step.rewards for step in steps[5:]], axis=0))
    sim.close()


def test_no_time_limit_never_truncates():
    sim = make("HalfCheetah-v5", time_limit=None)
    assert not any(step.truncated.any() for step in roll(sim, random_actions(sim, 20)))
    sim.close()


def test_a_new_episode_begins_where_the_final_observation_is_not():
    sim = make("HalfCheetah-v5", time_limit=5)
    step = roll(sim, random_actions(sim, 5))[-1]
    np.testing.assert_array_equal(step.observations, sim.observe())
    assert np.abs(step.final_observations - step.observations).min(axis=1).max() > 0
    assert np.abs(step.observations[:, :8]).max() <= 0.1  # reset noise only
    sim.close()


def test_an_exception_in_a_stepping_thread_reaches_the_caller(monkeypatch):
    sim = make("HalfCheetah-v5", n_threads=2)
    caller, both = threading.get_ident(), threading.Barrier(2, timeout=10)

    def fail(i: int) -> None:
        if i < 2:
            both.wait()
        if threading.get_ident() != caller:
            raise FloatingPointError("broken physics")

    monkeypatch.setattr(sim, "_step_one", fail)
    with pytest.raises(FloatingPointError, match="broken physics"):
        sim.step(random_actions(sim, 1)[0])
    sim.close()


def test_legacy_margins_are_half_of_the_native_ones_and_change_the_contacts():
    native, legacy = make(), make(margin_rule="legacy")
    np.testing.assert_array_equal(legacy.model.geom_margin, native.model.geom_margin / 2)
    actions = random_actions(native, 40)
    apart = roll(native, actions)[-1].observations - roll(legacy, actions)[-1].observations
    assert np.abs(apart).max() > 1e-6
    native.close()
    legacy.close()


def test_making_a_model_writes_no_log_file(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    make("HalfCheetah-v5").close()
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr().err == ""
