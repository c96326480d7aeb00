import logging
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from rlgen.data import Demonstrations, Episode
from rlgen.errors import InputError


def toy(observation: int = 3, action: int = 2, bound: float = 1.0, **attributes: Any) -> SimpleNamespace:
    """All that validation asks of an environment."""
    return SimpleNamespace(
        observation_space=spaces.Box(-np.inf, np.inf, (observation,)),
        action_space=spaces.Box(-bound, bound, (action,)),
        **{"env_id": "Toy-v0", **attributes},
    )


def test_fitting_demonstrations_pass_in_silence(
    demonstrations: Demonstrations, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "rlgen"):
        demonstrations.validate(toy())
    assert caplog.text == ""


def test_another_number_of_observations_names_both_and_the_way_out(demonstrations: Demonstrations) -> None:
    expected = r"expected 27 numbers per row under 'observations', which is what Toy-v0 has; got 3 in these episodes"
    with pytest.raises(InputError, match=expected):
        demonstrations.validate(toy(observation=27))


def test_another_number_of_actions_is_refused(demonstrations: Demonstrations) -> None:
    with pytest.raises(InputError, match="expected 8 numbers per row under 'actions'"):
        demonstrations.validate(toy(action=8))


@pytest.mark.parametrize("key", ["observations", "actions", "next_observations"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_name_key_row_and_number(
    demonstrations: Demonstrations, key: str, value: float
) -> None:
    array = getattr(demonstrations, key).copy()
    array[6, 1] = value
    with pytest.raises(InputError, match=f"got {value} in these episodes, key '{key}', row 6, number 1; "):
        replace(demonstrations, **{key: array}).validate(toy())


def test_a_reward_that_is_infinite_is_named(demonstrations: Demonstrations) -> None:
    rewards = np.array(demonstrations.rewards)
    rewards[3] = np.inf
    with pytest.raises(InputError, match="key 'rewards', row 3"):
        replace(demonstrations, rewards=rewards).validate(toy())


def test_numbers_beyond_float32_are_found(demonstrations: Demonstrations) -> None:
    observations = demonstrations.observations.astype(np.float64)
    observations[2, 0] = 1e300
    with pytest.raises(InputError, match="key 'observations', row 2"):
        replace(demonstrations, observations=observations).validate(toy())


def test_actions_outside_the_action_space_name_row_and_share(demonstrations: Demonstrations) -> None:
    actions = demonstrations.actions * 0.3
    actions[9, 1] = 0.5
    with pytest.raises(InputError, match=r"between -0.4 and 0.4.*got 0.5 .*row 9, number 1 \(6.7% of the rows\)"):
        replace(demonstrations, actions=actions).validate(toy(bound=0.4))


def test_rounding_of_a_bound_to_float32_is_not_outside(demonstrations: Demonstrations) -> None:
    actions = np.full((15, 2), np.nextafter(np.float32(0.4), np.float32(1)))
    assert replace(demonstrations, actions=actions).validate(toy(bound=0.4)) is None


def test_an_unbounded_action_space_takes_any_action(demonstrations: Demonstrations) -> None:
    assert replace(demonstrations, actions=demonstrations.actions * 1e6).validate(toy(bound=np.inf)) is None


def test_another_environment_id_is_a_warning(demonstrations: Demonstrations, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "rlgen"):
        demonstrations.validate(toy(env_id="Toy-v1"))
    assert "demonstrations of env_id Toy-v1; these episodes were recorded with Toy-v0" in caplog.text


def test_another_margin_rule_is_a_warning(demonstrations: Demonstrations, caplog: pytest.LogCaptureFixture) -> None:
    recorded = replace(demonstrations, metadata={"margin_rule": "native"})
    with caplog.at_level(logging.WARNING, "rlgen"):
        recorded.validate(toy(margin_rule="sum"))
    assert "margin rule sum; these episodes were recorded with native" in caplog.text


def test_actions_that_no_row_can_hold_are_refused(demonstrations: Demonstrations) -> None:
    env = toy()
    for space in (spaces.Dict({"a": spaces.Discrete(2)}), spaces.MultiBinary([2, 2])):
        env.action_space = space
        with pytest.raises(InputError, match=r"actions that are vectors .*got "):
            demonstrations.validate(env)


@pytest.mark.parametrize(
    ("space", "actions", "complaint"),
    [
        (spaces.Discrete(3), [0, 2, 1], None),
        (spaces.Discrete(3, start=-1), [-1, 1, 0], None),
        (spaces.Discrete(3), [0, 3, 1], "actions between 0 and 2.*got 3"),
        (spaces.Discrete(3), [0, 0.5, 1], "whole numbers under 'actions'.*got 0.5"),
        (spaces.MultiDiscrete([2, 3]), [[0, 2], [1, 0], [1, 1]], None),
        (spaces.MultiDiscrete([2, 3]), [[2, 2], [1, 0], [1, 1]], "actions between 0 and 1.*got 2"),
        (spaces.MultiBinary(2), [[0, 1], [1, 0], [1, 1]], None),
        (spaces.MultiBinary(2), [[0, 2], [1, 0], [1, 1]], "actions between 0 and 1.*got 2"),
    ],
)
def test_kinds_of_action_are_whole_numbers_of_their_space(space: Any, actions: Any, complaint: str | None) -> None:
    shown = Demonstrations.from_episodes([Episode(observations=np.zeros((4, 2)), actions=np.array(actions))])
    env = SimpleNamespace(observation_space=spaces.Box(-1, 1, (2,)), action_space=space)
    if complaint is None:
        return shown.validate(env)
    with pytest.raises(InputError, match=complaint):
        shown.validate(env)


def test_the_real_experts_fit_their_environments(shared_data: Path) -> None:
    envs = pytest.importorskip("rlgen.envs")
    for name in ("Ant-v5", "HalfCheetah-v5"):
        env = envs.make_vec(name, 1)
        Demonstrations.load(shared_data / "demos" / f"{name}_every20.npz").validate(env)
        with pytest.raises(InputError, match="348"):
            Demonstrations.load(shared_data / "demos" / "Humanoid-v5_every20.npz").validate(env)
        env.close()


def test_a_summary_counts_and_warns(demonstrations: Demonstrations) -> None:
    actions = np.tile(np.array([0.2, 1.0], np.float32), (15, 1))
    observations = demonstrations.observations.copy()
    observations[3, 2] = np.nan
    odd = replace(demonstrations, actions=actions, observations=observations, env_id=None)
    summary = odd.summary(spaces.Box(-1, 1, (2,)))
    assert (summary.rows, summary.episodes, summary.terminated, summary.truncated) == (15, 3, 1, 2)
    assert (summary.length_min, summary.length_mean, summary.length_max) == (3, 5, 7)
    assert (summary.share_clipped, summary.action_range) == (0.5, (pytest.approx(0.2), 1.0))
    assert any("1 rows of observations hold NaN" in warning for warning in summary.warnings)
    assert any("environment is not named" in warning for warning in summary.warnings)


def test_a_summary_without_known_bounds_does_not_guess_the_share_of_clipped_actions(
    demonstrations: Demonstrations,
) -> None:
    assert demonstrations.summary().share_clipped is None


def test_a_summary_names_poor_episodes(demonstrations: Demonstrations) -> None:
    poor = replace(demonstrations, rewards=None, episode_returns=np.array([100.0, 10.0, 90.0]))
    assert poor.summary().return_mean == pytest.approx(200 / 3)
    assert any("1 episodes return less than half the median" in warning for warning in poor.summary().warnings)


def test_most_of_the_humanoid_expert_s_actions_lie_at_a_bound(shared_data: Path) -> None:
    humanoid = Demonstrations.load(shared_data / "demos" / "Humanoid-v5_every20.npz")
    summary = humanoid.summary(spaces.Box(-0.4, 0.4, (17,)))
    assert summary.share_clipped == pytest.approx(np.mean(abs(humanoid.actions) == np.float32(0.4)))
    assert summary.share_clipped > 0.6


@pytest.mark.parametrize(
    ("noted", "environment", "said"),
    [
        ({"env_kwargs": {"g": 5}}, {"env_kwargs": {}}, "keyword arguments"),
        ({"action_low": [-2, -2], "action_high": [2, 2]}, {}, "action bounds"),
    ],
)
def test_what_a_recording_notes_is_compared_with_the_environment(
    demonstrations: Demonstrations,
    caplog: pytest.LogCaptureFixture,
    noted: dict[str, Any],
    environment: dict[str, Any],
    said: str,
) -> None:
    with caplog.at_level(logging.WARNING, "rlgen"):
        replace(demonstrations, metadata=noted).validate(toy(**environment))
    assert f"expected demonstrations of {said}" in caplog.text


@pytest.mark.parametrize("bounds", [3, "x", [None, {}], [1, -1], [[0], [1]]])
def test_bounds_that_are_none_are_not_believed(demonstrations: Demonstrations, bounds: Any) -> None:
    odd = replace(demonstrations, metadata={"action_low": bounds, "action_high": [0, 0]})
    assert odd.summary().share_clipped is None


def test_vectors_for_a_task_of_dictionaries_or_tuples_are_refused_by_name(demonstrations: Demonstrations) -> None:
    env = toy()
    env.observation_space = spaces.Dict({"a": spaces.Box(-1, 1, (3,))})
    with pytest.raises(InputError, match=r"observations of Toy-v0, a: float32 \[3\] per row; got float32 \[3\] in"):
        demonstrations.validate(env)
    env.observation_space = spaces.Tuple([spaces.Box(-1, 1, (3,))])
    with pytest.raises(InputError, match=r"numeric observations \(a Box, .*; got Tuple"):
        demonstrations.validate(env)


def test_rewards_of_some_rows_that_nobody_knows_pass_and_are_told(demonstrations: Demonstrations) -> None:
    rewards = np.array(demonstrations.rewards)
    rewards[3] = np.nan
    returns = np.array([np.nan, 1, 1])
    some = replace(demonstrations.every(2), rewards=None, episode_returns=returns)
    for each in (replace(demonstrations, rewards=rewards), some):
        each.validate(toy())
    assert some.summary().return_mean is None
    assert "1 entries of episode_returns hold NaN or infinity" in some.summary().warnings
