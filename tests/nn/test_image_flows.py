"""Flows of images: masks, squeezing, and the multi-scale arrangement against autograd's Jacobian."""

import pytest
import torch
from torch import nn
from torch.autograd.functional import jacobian

from rlgen.nn.flows import AffineCoupling
from rlgen.nn.image_flows import (
    ActNorm,
    MultiScaleFlow,
    ResidualNetwork,
    Squeeze,
    checkerboard_mask,
    half_mask,
    standardize_channels,
)

SHAPES = [(1, 8, 8), (3, 7, 5), (3, 2, 1), (1, 1, 1), (2, 8, 10)]


def flow_of(*shape: int, scales: int = 3) -> MultiScaleFlow:
    torch.manual_seed(0)
    return MultiScaleFlow(*shape, scales, lambda fan_in, fan_out, scale: ResidualNetwork(fan_in, fan_out, 3 + scale, 1))


def test_masks_alternate_and_divide_channels() -> None:
    assert checkerboard_mask(2, 3, first=True).int().tolist() == [[[1, 0, 1], [0, 1, 0]]]
    assert torch.equal(checkerboard_mask(2, 3, first=False), ~checkerboard_mask(2, 3, first=True))
    assert half_mask(4, first=True).flatten().tolist() == [True, True, False, False]
    assert torch.equal(half_mask(4, first=False), ~half_mask(4, first=True))


def test_a_half_of_the_squeezed_channels_is_half_of_a_checkerboard() -> None:
    board = checkerboard_mask(4, 6, first=True).float().expand(1, 3, 4, 6)
    squeezed, log_det = Squeeze(3)(board)
    assert squeezed.shape == (1, 12, 2, 3)
    assert (squeezed[:, :6] == 1).all()
    assert (squeezed[:, 6:] == 0).all()
    assert log_det.tolist() == [0.0]


def test_squeezing_moves_the_four_pixels_of_a_square_into_channels_and_back() -> None:
    x = torch.arange(24.0).view(1, 2, 2, 6)
    squeezed, _ = Squeeze(2)(x)
    assert squeezed[0, :, 0, 1].tolist() == [2.0, 14.0, 9.0, 21.0, 3.0, 15.0, 8.0, 20.0]
    back, log_det = Squeeze(2).inverse(squeezed)
    assert torch.equal(back, x)
    assert log_det.tolist() == [0.0]


def test_an_actnorm_standardizes_the_channels_of_its_first_images() -> None:
    torch.manual_seed(0)
    norm, x = ActNorm(2).double(), (7 * torch.randn(6, 2, 3, 4) + 3).double()
    norm.standardize(x)
    moved, log_det = norm(x)
    std, mean = torch.std_mean(moved, dim=(0, 2, 3), correction=0)
    torch.testing.assert_close(std, torch.ones_like(std))
    torch.testing.assert_close(mean, torch.zeros_like(mean), rtol=0, atol=1e-12)
    back, log_det_there = norm.inverse(moved)
    torch.testing.assert_close(back, x)
    matrix = jacobian(lambda x: norm(x[None])[0][0], x[0]).reshape(24, 24)
    torch.testing.assert_close(log_det, torch.linalg.slogdet(matrix).logabsdet.expand(6))
    torch.testing.assert_close(log_det_there, log_det)


def test_a_channel_that_does_not_vary_stays_finite() -> None:
    norm, x = ActNorm(1), torch.ones(4, 1, 2, 2)
    norm.standardize(x)
    assert norm(x)[0].isfinite().all()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_multi_scale_flow_has_autograds_log_determinant_and_an_inverse(shape: tuple[int, int, int]) -> None:
    flow = flow_of(*shape).double()
    x = torch.randn(3, *shape).double()
    standardize_channels(flow, x)
    latents, log_det = flow(x)
    size = torch.Size(shape).numel()
    assert latents.shape == (3, size)
    matrix = jacobian(lambda x: flow(x[None])[0][0], x[0]).reshape(size, size)
    torch.testing.assert_close(log_det[0], torch.linalg.slogdet(matrix).logabsdet)
    back, log_det_there = flow.inverse(latents)
    torch.testing.assert_close(back, x)
    torch.testing.assert_close(log_det_there, log_det)


@pytest.mark.parametrize(
    ("shape", "scales", "parts"),
    [
        ((1, 28, 28), 3, [(2, 14, 14), (4, 7, 7), (4, 7, 7)]),
        ((3, 32, 32), 3, [(6, 16, 16), (12, 8, 8), (12, 8, 8)]),
        ((1, 8, 8), 3, [(2, 4, 4), (2, 4, 4)]),
        ((1, 8, 8), 1, [(1, 8, 8)]),
        ((3, 7, 7), 3, [(3, 7, 7)]),
    ],
)
def test_half_of_the_channels_become_latents_at_each_scale(shape: tuple, scales: int, parts: list) -> None:
    flow = flow_of(*shape, scales=scales)
    assert flow.shapes == parts
    couplings = [sum(isinstance(step, AffineCoupling) for step in scale) for scale in flow.scales]
    assert couplings == [6] * (len(parts) - 1) + [4]


def test_every_channel_is_standardized_before_every_coupling() -> None:
    flow, x, seen = flow_of(1, 8, 8), 5 + 3 * torch.randn(20, 1, 8, 8), []
    standardize_channels(flow, x)
    hooks = [
        module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        for module in flow.modules()
        if isinstance(module, AffineCoupling)
    ]
    flow(x)
    assert len(seen) == len(hooks) == 10
    for given in seen:
        std, mean = torch.std_mean(given, dim=(0, 2, 3), correction=0)
        torch.testing.assert_close(std, torch.ones_like(std), rtol=1e-4, atol=0)
        torch.testing.assert_close(mean, torch.zeros_like(mean), rtol=0, atol=1e-5)
    assert not any(norm._forward_pre_hooks for norm in flow.modules() if isinstance(norm, ActNorm))


def test_convolutions_have_normalized_weights() -> None:
    network = ResidualNetwork(2, 4, 3, 2)
    convolutions = [part for part in network.modules() if isinstance(part, nn.Conv2d)]
    assert len(convolutions) == 6
    for convolution in convolutions:
        lengths = convolution.parametrizations.weight.original0.flatten()
        torch.testing.assert_close(convolution.weight.flatten(1).norm(dim=1), lengths)
