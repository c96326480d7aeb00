"""Steps gathered until there are enough to learn from."""

import copy

import numpy as np
import pytest

from rlgen.errors import InputError
from rlgen.sb3.steps import NewSteps

ENVS = 2


def add(steps: NewSteps, time: int, *, terminated: bool = False, truncated: bool = False, moved: bool = False) -> None:
    """The step that goes from place 10 · env + time to the next; `moved`: environment 0 was put elsewhere before."""
    places = np.array([[10.0 * env + time] for env in range(ENVS)], np.float32)
    before = places + np.array([[0.5 if moved else 0.0], [0.0]], np.float32)
    flags = [np.array([flag, False]) for flag in (terminated, truncated)]
    steps.add(before, -places, places + 1, *flags)


def test_a_batch_is_time_major_and_holds_each_step_once() -> None:
    steps, batches = NewSteps(6), []
    for time in range(7):
        add(steps, time, truncated=time == 1)
        if (taken := steps.take("cpu")) is not None:
            batches.append(taken)
    assert [batch.observations.flatten().tolist() for batch, _ in batches] == [
        [0, 10, 1, 11, 2, 12],
        [3, 13, 4, 14, 5, 15],
    ]
    batch = batches[0][0]
    np.testing.assert_array_equal(batch.actions, -batch.observations)
    np.testing.assert_array_equal(batch.next_observations, batch.observations + 1)
    assert batch.truncated.tolist() == [False, False, True, False, False, False]
    assert not batch.terminated.any()


def test_three_steps_in_two_environments_are_not_yet_seven() -> None:
    steps = NewSteps(7)
    for time in range(3):
        add(steps, time)
        assert steps.take("cpu") is None
    add(steps, 3)
    assert steps.take("cpu") is not None


def test_an_episode_starts_at_first_after_an_end_and_after_a_reset() -> None:
    steps = NewSteps(2)
    starts = []
    for time, how in enumerate([{}, {"terminated": True}, {}, {"moved": True}, {"truncated": True}, {}, {}]):
        add(steps, time, **how)
        starts.append(steps.take("cpu")[1][0].tolist())
    at_first, later = [True, True], [False, False]
    only_one = [True, False]
    assert starts == [at_first, later, only_one, only_one, later, only_one, later]


def test_saved_and_loaded_between_two_batches_nothing_is_lost_and_nothing_comes_twice() -> None:
    whole, parts = NewSteps(6), NewSteps(6)
    for time in range(9):
        for steps in (whole, parts):
            add(steps, time, terminated=time == 3)
        expected, found = whole.take("cpu"), parts.take("cpu")
        assert (expected is None) == (found is None)
        if expected is not None and found is not None:
            for one, other in zip(expected[0].tensors(), found[0].tensors(), strict=True):
                np.testing.assert_array_equal(one, other)
            np.testing.assert_array_equal(expected[1], found[1])
        state = copy.deepcopy(parts.state_dict())
        parts = NewSteps(6)
        parts.load_state_dict(state)


def test_no_steps_at_all_are_saved_and_loaded_too() -> None:
    steps = NewSteps(2)
    steps.load_state_dict(NewSteps(2).state_dict())
    add(steps, 0)
    assert steps.take("cpu") is not None


def test_updates_every_zero_steps_are_refused() -> None:
    with pytest.raises(InputError):
        NewSteps(0)


DAMAGE = {
    "flags that are numbers": {"truncated": np.zeros((1, ENVS), np.float32)},
    "flags of other environments": {"terminated": np.zeros((1, ENVS + 1), bool)},
    "starts that are numbers": {"starts": np.zeros((1, ENVS), np.float32)},
    "other observations after": {"following": np.zeros((1, ENVS, 3), np.float32)},
    "observations of one number": {"observations": np.zeros((1, ENVS), np.float32)},
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_steps_of_a_file_that_do_not_fit_each_other_are_refused(damage: dict[str, np.ndarray]) -> None:
    steps = NewSteps(6)
    add(steps, 0)
    state = steps.state_dict()
    state["steps"] |= damage
    with pytest.raises(InputError, match=r"load the state of the same training|with the same settings"):
        NewSteps(6).load_state_dict(state)
    assert len(steps.steps) == 1
