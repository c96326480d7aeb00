"""A discriminator of a window of observations: the same windows of experts and of rollouts, across rollouts too."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from rlgen.agents import GAIL, GAILConfig, InfoGAIL, InfoGAILConfig
from rlgen.data import Demonstrations, Episode
from rlgen.data.transitions import Transitions
from rlgen.errors import InputError
from rlgen.rewards import AdversarialConfig
from rlgen.rewards.window_adversarial import WindowAdversarial, earlier_rows

CONFIG = AdversarialConfig(inputs="state_transition", window=4, hidden=(8,), batch_size=16, updates_per_rollout=1)


def episodes(lengths: list[int]) -> Demonstrations:
    """Observations that count all rows, of episodes of these lengths."""
    found, first = [], 0
    for length in lengths:
        number = np.arange(first, first + length + 1, dtype=np.float32)
        found.append(Episode(observations=np.stack([number, -number], 1), actions=np.zeros((length, 2))))
        first += 100
    return Demonstrations.from_episodes(found)


def windows(lengths: list[int], first: int = 0) -> list[list[int]]:
    """The first number of each observation in every window of 4, by hand: 0 0 0 1, 0 0 1 2, 0 1 2 3, 1 2 3 4 …"""
    found = []
    for length in lengths:
        for step in range(length):
            found.append([first + max(0, step - back) for back in (2, 1, 0)] + [first + step + 1])
        first += 100
    return found


def source(n_envs: int, point_env) -> WindowAdversarial:
    shown = episodes([3, 5])
    return WindowAdversarial(
        shown.transitions(), point_env(1), CONFIG, (), earlier=earlier_rows(shown, 2), n_envs=n_envs
    )


def numbers(found: WindowAdversarial, batch: Transitions) -> list[list[int]]:
    """The windows of a batch, with the normalization undone, as numbers of their observations."""
    normalizer = found.observations.entries[""].normalizer
    rows = found.inputs(batch).view(len(batch), 4, 2) * normalizer.std + normalizer.mean
    return rows[..., 0].round().int().tolist()


def rollout(firsts: list[list[int]], ends: list[list[bool]]) -> Transitions:
    """Observations [T][N] by their numbers, and the ends of episodes."""
    seen = torch.tensor(firsts, dtype=torch.float32).flatten()
    seen = torch.stack([seen, -seen], 1)
    ended = torch.tensor(ends).flatten()
    return Transitions(seen, torch.zeros(len(seen), 2), seen + torch.tensor([1.0, -1.0]), ended, ~ended & False)


def test_a_window_of_demonstrations_begins_with_the_episode(point_env) -> None:
    found = source(1, point_env)
    assert numbers(found, found.demonstrations) == windows([3, 5])


def test_a_window_of_a_rollout_continues_the_one_before_and_ends_with_its_episode(point_env) -> None:
    torch.manual_seed(0)
    found = source(2, point_env)
    one = rollout([[10, 50], [11, 51], [12, 30]], [[False, False], [False, True], [False, False]])
    found.update(one)
    expected = [
        [10, 10, 10, 11],
        [50, 50, 50, 51],
        [10, 10, 11, 12],
        [50, 50, 51, 52],
        [10, 11, 12, 13],
        [30, 30, 30, 31],
    ]
    assert numbers(found, one) == expected
    state, two = found.state_dict(), rollout([[13, 31], [20, 32]], [[True, False], [False, False]])
    again = source(2, point_env)
    again.load_state_dict(state)
    for each in (found, again):
        each.update(two)
        expected = [[11, 12, 13, 14], [30, 30, 31, 32], [20, 20, 20, 21], [30, 31, 32, 33]]
        assert numbers(each, two) == expected
    moved = rollout([[70, 33]], [[False, False]])  # a reset between two rollouts
    found.update(moved)
    assert numbers(found, moved) == [[70, 70, 70, 71], [31, 32, 33, 34]]
    with pytest.raises(InputError, match="other transitions"):
        found.reward(two)


def test_it_trains_and_its_state_is_all(point_ppo, point_demonstrations) -> None:
    config = GAILConfig(discriminator=replace(CONFIG, divergence="amp"), warm_start=False)
    whole, again = (GAIL(point_ppo(seed=3), point_demonstrations, config) for _ in range(2))
    whole.learn(128)
    again.load_state_dict(whole.state_dict())
    assert isinstance(again.source, WindowAdversarial)
    assert torch.equal(again.source.tail, whole.source.tail)
    assert torch.equal(again.source.age, whole.source.age)
    same = [GAIL(point_ppo(seed=3), point_demonstrations, config).learn(128).model.policy for _ in range(2)]
    for one, two in zip(*(policy.parameters() for policy in same), strict=True):
        assert torch.equal(one, two)


def test_what_a_window_needs_is_required(point_ppo, point_env, point_demonstrations) -> None:
    with pytest.raises(InputError, match="window of observations alone"):
        replace(CONFIG, inputs="state_action")
    with pytest.raises(InputError, match="window of at least 2"):
        replace(CONFIG, window=1)
    config = GAILConfig(discriminator=CONFIG, warm_start=False)
    with pytest.raises(InputError, match="whole episodes for a window"):
        GAIL(point_ppo(), point_demonstrations.every(2), config)
    with pytest.raises(InputError, match="window of 2 for InfoGAIL"):
        InfoGAIL(point_ppo(), point_demonstrations, InfoGAILConfig(discriminator=CONFIG))
