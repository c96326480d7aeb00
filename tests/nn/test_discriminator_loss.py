"""A discriminator's step: the divergence's loss, the sum of the penalties, the shares that were told right."""

import torch
from torch import Tensor

from rlgen.equations.divergences import DIVERGENCES
from rlgen.nn import R1, Entropy, Quantize, mlp
from rlgen.nn.discriminator_loss import discriminator_loss, penalty_metrics

REAL, FAKE = torch.tensor([2.0, 1.0, -1.0, 3.0]), torch.tensor([-2.0, -3.0, 0.0, 5.0])


def none(rows: Tensor) -> Tensor:
    return rows.sum(-1) * 0


def test_the_loss_is_the_divergences_and_rows_on_their_side_of_the_boundary_are_right() -> None:
    for name, real_share, fake_share in (("minimax", 0.75, 0.75), ("wasserstein", 0.75, 0.75)):
        found = discriminator_loss(DIVERGENCES[name], (), none, REAL, FAKE, REAL, FAKE)
        assert torch.equal(found.loss, DIVERGENCES[name].discriminator_loss(REAL, FAKE))
        assert float(found.penalty) == 0
        assert (float(found.real_accuracy), float(found.fake_accuracy)) == (real_share, fake_share)
    moved = discriminator_loss(DIVERGENCES["wasserstein"], (), none, REAL, FAKE, REAL + 9, FAKE + 9)
    assert (float(moved.real_accuracy), float(moved.fake_accuracy)) == (0.75, 0.75), "its constant does not matter"
    assert (
        float(discriminator_loss(DIVERGENCES["minimax"], (), none, REAL, FAKE, REAL + 9, FAKE + 9).fake_accuracy) == 0
    )


def test_penalties_add_up() -> None:
    real, fake = torch.randn(2, 4, 3)
    network = mlp([3, 4, 1])

    def critic(rows: Tensor) -> Tensor:
        return network(rows).squeeze(-1)

    logits = critic(real), critic(fake)
    each = [
        discriminator_loss(DIVERGENCES["minimax"], penalties, critic, real, fake, *logits).penalty
        for penalties in ([R1(weight=2.0)], [Entropy(weight=0.3)], [R1(weight=2.0), Entropy(weight=0.3)])
    ]
    assert each[0] > 0 > each[1]
    torch.testing.assert_close(each[2], each[0] + each[1])


def test_penalties_with_something_to_log_are_asked() -> None:
    quantize = Quantize(codes=4)
    quantize.wrap(mlp([3, 4, 1]))
    assert set(penalty_metrics([R1(), quantize])) == {"codebook_usage", "codebook_perplexity"}
    assert penalty_metrics([R1(), Entropy()]) == {}
