"""What each of two processes computes with `rlgen.distributed`, for `test_distributed.py`."""

from typing import Any

import torch

from rlgen import distributed
from rlgen.nn import Normalizer
from rlgen.rewards import ReturnNormalizer
from rlgen.rewards.bonus_unit import LargestSoFar
from rlgen.runs.checkpoint import OTHERS, own_state, with_others

ROWS = torch.arange(24.0).view(12, 2).sin()
STARTS = torch.zeros(3, 4)
STARTS[0], STARTS[1, 2] = 1, 1


def of_two() -> dict[str, Any]:
    """What each process finds of the half of ROWS that is its own."""
    torch.manual_seed(0)
    own = distributed.local_rows(ROWS)
    normalizer = Normalizer.of(torch.ones(2, 2))
    normalizer.merge_rollout(own)
    largest = LargestSoFar()
    largest.merge(own[:, 0])
    scale = ReturnNormalizer(0.9, n_envs=2)
    paid = ROWS.view(3, 4, 2)[..., 0].chunk(2, 1)[distributed.rank()].contiguous()
    scale.update(paid, STARTS.chunk(2, 1)[distributed.rank()])
    network = torch.nn.Linear(2, 1)
    network.weight.grad = torch.full_like(network.weight, float(distributed.rank()))
    distributed.average_gradients(network.parameters())
    other = torch.nn.Linear(2, 1)
    with torch.no_grad():
        other.weight.fill_(float(distributed.rank() + 1))
    distributed.broadcast_parameters(other)
    state = with_others({"own": own, "number": distributed.rank(), "text": "x" * (1 + distributed.rank())})
    return {
        "own": own,
        "gathered": distributed.all_gather(own),
        "flags": distributed.all_gather(own[:, 0] > 0),
        "total": distributed.all_reduce_sum(own),
        "mean": distributed.all_reduce_mean(own),
        "largest": distributed.all_reduce_max(own),
        "any": (distributed.any_of(distributed.rank() == 1), distributed.any_of(False)),
        "moments": distributed.mean_and_std(own[:, 0]),
        "drawn": distributed.draw([own, own[:, 0]], 3, 5),
        "normaliser": normalizer.state_dict(),
        "largest bonus": largest.largest,
        "scale": scale.state_dict(),
        "gradient": network.weight.grad,
        "agreed": other.weight.detach(),
        "others": state.get(OTHERS),
        "alone": own_state(state) if distributed.rank() == 0 else None,
    }
