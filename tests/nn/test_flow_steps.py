"""Steps of flows, autoregressive and couplings: Jacobians, ways back, and what may depend on what."""

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.functional import jacobian
from torch.distributions import Normal

from rlgen.nn import AdditiveCoupling, AffineCoupling, InverseAutoregressiveStep, affine_couplings, mlp
from rlgen.nn.autoregressive import MaskedAutoregressiveFlow, MaskedAutoregressiveStep
from rlgen.nn.flows import BetweenParts, Coupling, DiagonalScale, Flow, alternating_mask

SIZE, CONTEXT = 5, 3


def image_mask(first: bool) -> Tensor:
    """A checkerboard of 2 × 2 × 3."""
    return ((torch.arange(2)[:, None] + torch.arange(3)) % 2 == int(first)).expand(2, 2, 3)


STEPS = {
    "iaf": lambda: InverseAutoregressiveStep(SIZE, (8,), CONTEXT),
    "iaf, backwards": lambda: InverseAutoregressiveStep(SIZE, (8, 6), CONTEXT, backwards=True),
    "maf": lambda: MaskedAutoregressiveStep(SIZE, (8,), CONTEXT),
    "maf, backwards": lambda: MaskedAutoregressiveStep(SIZE, (8, 6), CONTEXT, backwards=True),
    "additive": lambda: AdditiveCoupling(alternating_mask(SIZE, True), mlp([SIZE + CONTEXT, 8, SIZE])),
    "affine": lambda: AffineCoupling(alternating_mask(SIZE, False), mlp([SIZE + CONTEXT, 8, 2 * SIZE])),
}
WITHOUT_CONTEXT = {
    "scale": lambda: DiagonalScale(SIZE),
    "additive between parts": lambda: AdditiveCoupling(*between_parts(1)),
    "affine between parts": lambda: AffineCoupling(*between_parts(2)),
}
every_step = pytest.mark.parametrize("name", STEPS)


def between_parts(numbers: int) -> tuple[Tensor, nn.Module]:
    """A mask, and a network of the 3 components that it keeps with `numbers` outputs for each of the 2 others."""
    mask = alternating_mask(SIZE, True)
    return mask, BetweenParts(mask, mlp([3, 8, numbers * 2]))


def step(name: str) -> nn.Module:
    torch.manual_seed(0)
    made = (STEPS | WITHOUT_CONTEXT)[name]().double()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return made


def rows(*shape: int) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randn(*shape, SIZE).double(), torch.randn(shape[-1], CONTEXT).double()


@every_step
def test_the_log_determinant_is_that_of_autograds_jacobian(name: str) -> None:
    moves, (z, context) = step(name), rows(4)
    _, log_det = moves(z, context)
    for row in range(4):
        matrix = jacobian(lambda z, row=row: moves(z, context[row])[0], z[row])
        torch.testing.assert_close(log_det[row], torch.linalg.slogdet(matrix).logabsdet, rtol=1e-10, atol=1e-12)


@every_step
def test_the_way_back_is_the_inverse(name: str) -> None:
    moves, (z, context) = step(name), rows(2, 4)
    moved, log_det = moves(z, context)
    assert (moved - z).abs().max() > 0.1
    back, log_det_there = moves.inverse(moved, context)
    torch.testing.assert_close(back, z, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(log_det_there, log_det, rtol=1e-9, atol=1e-9)


@every_step
def test_the_context_counts_at_this_step(name: str) -> None:
    moves, (z, context) = step(name), rows(4)
    assert (moves(z, context)[0] - moves(z, -context)[0]).abs().amax(1).min() > 1e-3


@pytest.mark.parametrize("backwards", [False, True])
def test_an_autoregressive_step_is_triangular_and_its_context_reaches_every_number(backwards: bool) -> None:
    moves, (z, context) = step("iaf, backwards" if backwards else "iaf"), rows(1)
    matrix = jacobian(lambda z: moves(z, context[0])[0], z[0])
    elsewhere = matrix.tril(-1) if backwards else matrix.triu(1)
    assert (elsewhere == 0).all()
    of_context = jacobian(lambda context: moves(z[0], context)[0], context[0])
    assert (of_context.abs().sum(1) > 0).all()


def test_an_autoregressive_step_starts_by_keeping_most_of_z() -> None:
    torch.manual_seed(0)
    moves = InverseAutoregressiveStep(4, (16,))
    _, log_det = moves(torch.randn(100, 4))
    assert (log_det / 4).exp().mean().item() == pytest.approx(torch.sigmoid(torch.tensor(2.0)).item(), abs=0.05)


def test_the_gate_is_stable_far_out() -> None:
    moves = InverseAutoregressiveStep(2, (4,), initial_gate=-200.0)
    moved, log_det = moves(torch.randn(3, 2))
    assert moved.isfinite().all()
    assert (log_det < -300).all(), "log σ, although σ itself is zero in this precision"


@pytest.mark.parametrize("name", ["additive", "affine"])
def test_a_coupling_leaves_alone_what_its_mask_says(name: str) -> None:
    moves, (z, context) = step(name), rows(4)
    moved, _ = moves(z, context)
    torch.testing.assert_close(moved[:, moves.mask], z[:, moves.mask], rtol=0, atol=0)
    assert (moved[:, ~moves.mask] != z[:, ~moves.mask]).all()


@every_step
def test_in_half_precision_a_step_is_computed_in_full(name: str) -> None:
    moves, (z, context) = step(name).float(), (part.float() for part in rows(4))
    with torch.autocast("cpu", torch.bfloat16):
        found = *moves(z, context), *moves.inverse(z, context)
    assert {part.dtype for part in found} == {torch.float32}
    exact = *moves(z, context), *moves.inverse(z, context)
    assert any(not torch.equal(*pair) for pair in zip(found, exact, strict=True)), "its network alone is in half"


def test_additive_couplings_keep_the_volume() -> None:
    moves, (z, context) = step("additive"), rows(4)
    assert moves(z, context)[1].tolist() == [0.0] * 4


def test_the_log_scale_of_a_coupling_has_a_limit() -> None:
    coupling = AffineCoupling(alternating_mask(2, True), mlp([2, 4]), limit=1.5)
    nn.init.constant_(coupling.network[-1].bias, 1e6)
    assert coupling(torch.zeros(1, 2))[1].item() == pytest.approx(1.5)


@pytest.mark.parametrize("coupling", [AdditiveCoupling, AffineCoupling])
def test_images_are_coupled_through_a_convolution(coupling: type[Coupling]) -> None:
    torch.manual_seed(0)
    moves = coupling(image_mask(True), nn.Conv2d(2, 4 if coupling is AffineCoupling else 2, 3, padding=1)).double()
    x = torch.randn(1, 2, 2, 3).double()
    moved, log_det = moves(x)
    matrix = jacobian(lambda x: moves(x)[0], x).reshape(12, 12)
    torch.testing.assert_close(log_det[0], torch.linalg.slogdet(matrix).logabsdet)
    torch.testing.assert_close(moves.inverse(moved)[0], x)


def test_couplings_in_a_row_begin_as_the_identity_and_take_turns() -> None:
    couplings = affine_couplings(5, 0, 3, (8,))
    z = torch.randn(4, 5)
    for coupling in couplings:
        moved, log_det = coupling(z)
        assert torch.equal(moved, z)
        assert (log_det == 0).all()
    assert [coupling.mask.tolist() for coupling in couplings[:2]] == [
        [True, False] * 2 + [True],
        [False, True] * 2 + [False],
    ]
    assert torch.equal(couplings[2].mask, couplings[0].mask)


def test_a_masked_autoregressive_flow_is_a_density() -> None:
    torch.manual_seed(0)
    flow = MaskedAutoregressiveFlow(2, (8,), steps=2).double()
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    line = torch.linspace(-12, 12, 601, dtype=torch.float64)
    with torch.no_grad():
        mass = flow.log_prob(torch.cartesian_prod(line, line)).exp().sum() * (line[1] - line[0]) ** 2
    assert float(mass) == pytest.approx(1, abs=1e-3)


def test_a_masked_autoregressive_flow_starts_near_the_standard_normal_density() -> None:
    torch.manual_seed(0)
    flow, (x, _) = MaskedAutoregressiveFlow(SIZE, (16,), steps=3).double(), rows(50)
    expected = Normal(0.0, 1.0).log_prob(x).sum(-1)
    torch.testing.assert_close(flow.log_prob(x), expected, rtol=0, atol=0.1 * SIZE)


@pytest.mark.parametrize("name", WITHOUT_CONTEXT)
def test_a_step_without_context_has_autograds_log_determinant_and_an_inverse(name: str) -> None:
    moves, (z, _) = step(name), rows(2, 4)
    moved, log_det = moves(z)
    assert (moved - z).abs().max() > 0.1
    matrix = jacobian(lambda z: moves(z)[0], z[1, 2])
    torch.testing.assert_close(log_det[1, 2], torch.linalg.slogdet(matrix).logabsdet)
    back, log_det_there = moves.inverse(moved)
    torch.testing.assert_close(back, z)
    torch.testing.assert_close(log_det_there, log_det)


@pytest.mark.parametrize("coupling", [AdditiveCoupling, AffineCoupling])
def test_a_network_between_parts_is_one_of_all_components_whose_idle_weights_are_zero(coupling: type[Coupling]) -> None:
    numbers = 2 if coupling is AffineCoupling else 1
    mask, parts = between_parts(numbers)
    network = mlp([SIZE, 8, numbers * SIZE])
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        changed = torch.cat([(~mask).nonzero()[:, 0] + number * SIZE for number in range(numbers)])
        network[0].weight[:, mask] = parts.network[0].weight
        network[0].bias.copy_(parts.network[0].bias)
        network[2].weight[changed] = parts.network[2].weight
        network[2].bias[changed] = parts.network[2].bias
    x = torch.randn(4, SIZE)
    for found, expected in zip(coupling(mask, parts)(x), coupling(mask, network)(x), strict=True):
        torch.testing.assert_close(found, expected)


def test_a_scale_standardizes_rows_but_for_those_that_hardly_vary() -> None:
    torch.manual_seed(0)
    rows = torch.randn(200, 3) * torch.tensor([5.0, 0.1, 1e-6])
    scale = DiagonalScale(3)
    scale.standardize(rows, std=1.8, least_std=1e-3)
    torch.testing.assert_close(scale(rows)[0].std(0, correction=0)[:2], torch.full((2,), 1.8))
    assert scale.log_scale[2].exp().item() == pytest.approx(1_800, rel=1e-4)


def test_a_flow_of_images_has_a_log_determinant_for_each_image() -> None:
    torch.manual_seed(0)
    flow = Flow([AffineCoupling(image_mask(first), nn.Conv2d(2, 4, 3, padding=1)) for first in (True, False)], event=3)
    flow, x = flow.double(), torch.randn(5, 2, 2, 3).double()
    moved, minus_log_det = flow.moved(x, x.new_zeros(5))
    back, log_det = flow.origin(moved)
    torch.testing.assert_close(back, x)
    torch.testing.assert_close(log_det, -minus_log_det)
    matrix = jacobian(lambda x: flow.moved(x[None], x.new_zeros(1))[0][0], x[3]).reshape(12, 12)
    torch.testing.assert_close(log_det[3], torch.linalg.slogdet(matrix).logabsdet)
