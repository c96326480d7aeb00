"""A small world that the tests of several reward sources share."""

from collections.abc import Callable

import pytest
import torch

from rlgen.data import Transitions

World = Callable[..., Transitions]


@pytest.fixture
def moves() -> World:
    """`moves(n, place, seed)`: a point near `place` pushed about, s' = s + a, in two observation numbers.

    With `kinds`, a tensor of action kinds, the action is one of these, and the higher ones push further.
    """

    def make(n: int, place: float = 0.0, seed: int = 0, kinds: torch.Tensor | None = None) -> Transitions:
        generator = torch.Generator().manual_seed(seed)
        observations = place + 0.1 * torch.randn(n, 2, generator=generator)
        if kinds is None:
            actions = 0.1 * torch.randn(n, 2, generator=generator)
            pushed = observations + actions
        else:
            actions = kinds[torch.randint(len(kinds), (n, 1), generator=generator)]
            pushed = observations + 0.1 * actions
        no = torch.zeros(n, dtype=torch.bool)
        return Transitions(observations, actions, pushed, no, no)

    return make


@pytest.fixture
def noisy() -> World:
    """`noisy(n, seed)`: a number that the action moves, beside one that is drawn anew at every step."""

    def make(n: int, seed: int = 0) -> Transitions:
        generator = torch.Generator().manual_seed(seed)
        position, action, noise, next_noise = torch.randn(4, n, 1, generator=generator)
        no = torch.zeros(n, dtype=torch.bool)
        moved = torch.cat([position + action, next_noise], -1)
        return Transitions(torch.cat([position, noise], -1), action, moved, no, no)

    return make
