"""SPL: against its definition in exact fractions, and cases with a known answer."""

import random
from fractions import Fraction

import pytest
import torch

from rlgen.equations.path_length import spl


@pytest.mark.parametrize("seed", range(5))
def test_spl_is_its_definition_in_fractions(seed: int) -> None:
    draw = random.Random(seed)
    episodes = [(draw.random() < 0.6, draw.randint(1, 99), draw.randint(1, 99)) for _ in range(1 + 4 * seed)]
    success, shortest, taken = zip(*episodes, strict=True)
    exact = sum(Fraction(s * short, max(own, short)) for s, short, own in episodes) / len(episodes)
    found = spl(torch.tensor(success), torch.tensor(shortest).double(), torch.tensor(taken).double())
    assert float(found) == pytest.approx(float(exact), rel=1e-12)


def test_spl_is_the_success_rate_on_shortest_paths_and_half_of_it_on_paths_twice_as_long() -> None:
    success, shortest = torch.tensor([True, False, True, True]), torch.tensor([3.0, 5.0, 8.0, 1.0])
    assert float(spl(success, shortest, shortest)) == 0.75
    assert float(spl(success, shortest, 2 * shortest)) == 0.375
    assert float(spl(success, shortest, shortest / 2)) == 0.75, "no more than 1 for an episode"
