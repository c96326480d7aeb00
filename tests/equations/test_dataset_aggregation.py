"""DAgger's schedule: against its definition by a recursion, and the paper's two settings."""

from itertools import pairwise

import pytest

from rlgen.equations.dataset_aggregation import expert_share


@pytest.mark.parametrize("decay", [0.1, 0.5, 0.9])
def test_the_share_falls_by_its_base_in_every_iteration_from_1(decay: float) -> None:
    shares = [expert_share(i, decay) for i in range(1, 40)]
    assert shares[0] == 1
    for before, after in pairwise(shares):
        assert after == pytest.approx(decay * before)
    # The condition of the paper's Theorem 3.1: the mean of the shares vanishes, as their sum is bounded.
    assert sum(shares) <= 1 / (1 - decay)


def test_without_decay_the_expert_acts_in_the_first_iteration_only() -> None:
    assert [expert_share(i, 0.0) for i in range(1, 5)] == [1, 0, 0, 0]
