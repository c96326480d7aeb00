"""Under pytest the shapes in annotations are enforced, so a silent [N] + [N, 1] cannot pass."""

import pytest
import torch
from jaxtyping import TypeCheckError

from rlgen.equations.divergences import neg_log_one_minus_d
from rlgen.equations.penalties import r1


def test_a_wrong_number_of_dimensions_is_refused() -> None:
    with pytest.raises(TypeCheckError):
        r1(lambda rows: rows.sum(-1), torch.zeros(3))


def test_integers_are_not_logits() -> None:
    with pytest.raises(TypeCheckError):
        neg_log_one_minus_d(torch.zeros(3, dtype=torch.int64))
