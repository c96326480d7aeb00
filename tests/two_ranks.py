"""What each of two processes finds out with `rlgen.ranks`; `test_ranks.py` compares it with one that has it all."""

from typing import Any

import torch

from rlgen import ranks
from rlgen.nn import Normaliser
from rlgen.rewards import ReturnScale
from rlgen.rewards.bonus_unit import LargestSoFar
from rlgen.runs.rank_states import OTHERS, own_state, with_others

ROWS = torch.arange(24.0).view(12, 2).sin()
STARTS = torch.zeros(3, 4)
STARTS[0], STARTS[1, 2] = 1, 1


def of_two() -> dict[str, Any]:
    """What each process finds of the half of ROWS that is its own."""
    torch.manual_seed(0)
    own = ranks.own(ROWS)
    normaliser = Normaliser.of(torch.ones(2, 2))
    normaliser.merge_rollout(own)
    largest = LargestSoFar()
    largest.merge(own[:, 0])
    scale = ReturnScale(0.9, n_envs=2)
    paid = ROWS.view(3, 4, 2)[..., 0].chunk(2, 1)[ranks.number()].contiguous()
    scale.update(paid, STARTS.chunk(2, 1)[ranks.number()])
    network = torch.nn.Linear(2, 1)
    network.weight.grad = torch.full_like(network.weight, float(ranks.number()))
    ranks.average_gradients(network.parameters())
    other = torch.nn.Linear(2, 1)
    with torch.no_grad():
        other.weight.fill_(float(ranks.number() + 1))
    ranks.agree(other)
    state = with_others({"own": own, "number": ranks.number(), "text": "x" * (1 + ranks.number())})
    return {
        "own": own,
        "gathered": ranks.gather(own),
        "flags": ranks.gather(own[:, 0] > 0),
        "total": ranks.total(own),
        "mean": ranks.mean(own),
        "largest": ranks.largest(own),
        "any": (ranks.any_of(ranks.number() == 1), ranks.any_of(False)),
        "moments": ranks.mean_and_std(own[:, 0]),
        "drawn": ranks.draw([own, own[:, 0]], 3, 5),
        "normaliser": normaliser.state_dict(),
        "largest bonus": largest.largest,
        "scale": scale.state_dict(),
        "gradient": network.weight.grad,
        "agreed": other.weight.detach(),
        "others": state.get(OTHERS),
        "alone": own_state(state) if ranks.number() == 0 else None,
    }
