"""Conditions in convolutional networks: projections, modulated convolutions, norms between instance and layer."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from rlgen.equations.conditioning import (
    adaptive_layer_instance_norm,
    class_activation,
    demodulation,
    layer_instance_norm,
    modulated_convolution,
    projection_logit,
)


def test_a_projection_is_the_logit_plus_the_inner_product_with_the_class() -> None:
    # 0.5 + (1 · 2 + 3 · -1), -1 + (0 · 5 + 2 · 4)
    embedding, features = torch.tensor([[1.0, 3.0], [0.0, 2.0]]), torch.tensor([[2.0, -1.0], [5.0, 4.0]])
    assert projection_logit(torch.tensor([0.5, -1.0]), embedding, features).tolist() == [-0.5, 7.0]


def test_with_one_embedding_per_class_a_projection_is_a_linear_layer_of_the_class() -> None:
    torch.manual_seed(0)
    features, labels, table = torch.randn(4, 3), torch.tensor([2, 0, 1, 2]), torch.randn(3, 3)
    every_class = F.linear(features, table)
    expected = every_class.gather(1, labels[:, None]).squeeze(1)
    torch.testing.assert_close(projection_logit(torch.zeros(4), table[labels], features), expected)


@pytest.mark.parametrize("size", [1, 3])
def test_a_modulated_convolution_is_that_of_a_scaled_kernel_for_each_image(size: int) -> None:
    torch.manual_seed(0)
    maps, kernel, style = torch.randn(3, 4, 5, 6), torch.randn(2, 4, size, size), torch.randn(3, 4)
    expected = []
    for image, scale in zip(maps, style, strict=True):
        own = kernel.clone()
        for channel in range(4):
            own[:, channel] *= scale[channel]
        expected.append(F.conv2d(image[None], own, padding=size // 2)[0])
    torch.testing.assert_close(modulated_convolution(maps, kernel, style), torch.stack(expected), atol=1e-5, rtol=1e-5)


def test_demodulation_divides_by_the_norm_of_the_scaled_kernel() -> None:
    torch.manual_seed(0)
    kernel, style = torch.randn(2, 4, 3, 3), torch.randn(3, 4)
    for image, factors in zip(style, demodulation(kernel, style), strict=True):
        norms = torch.stack([(each * image[:, None, None]).norm() for each in kernel])
        torch.testing.assert_close(factors, 1 / norms)


def test_demodulated_outputs_of_unit_variance_inputs_have_unit_variance() -> None:
    torch.manual_seed(0)
    maps, kernel, style = torch.randn(2, 8, 100, 100), 3 * torch.randn(4, 8, 3, 3), 5 * torch.rand(2, 8)
    outputs = modulated_convolution(maps, kernel, style) * demodulation(kernel, style)[..., None, None]
    variance = outputs[..., 1:-1, 1:-1].var((2, 3))  # borders have padding
    torch.testing.assert_close(variance, torch.ones(2, 4), atol=0.1, rtol=0)


def test_adalin_is_instance_norm_at_share_1_and_layer_norm_at_share_0() -> None:
    torch.manual_seed(0)
    maps, scale, shift = 3 * torch.randn(2, 4, 5, 6) + 1, torch.randn(2, 4), torch.randn(2, 4)
    norms = {1.0: nn.InstanceNorm2d(4), 0.0: nn.LayerNorm((4, 5, 6), elementwise_affine=False)}
    for share, norm in norms.items():
        expected = torch.einsum("bchw,bc->bchw", norm(maps), scale) + shift[:, :, None, None]
        found = adaptive_layer_instance_norm(maps, torch.full((4,), share), scale, shift)
        torch.testing.assert_close(found, expected)


def test_between_the_shares_a_channel_is_normalized_by_its_own_mixture() -> None:
    torch.manual_seed(0)
    maps, share = torch.randn(2, 3, 4, 4), torch.tensor([0.0, 0.25, 1.0])
    mean, std = maps.mean((2, 3), keepdim=True), maps.std((2, 3), correction=0, keepdim=True)
    all_mean, all_std = maps.mean((1, 2, 3), keepdim=True), maps.std((1, 2, 3), correction=0, keepdim=True)
    mixed = share.view(1, 3, 1, 1)
    expected = mixed * (maps - mean) / std + (1 - mixed) * (maps - all_mean) / all_std
    torch.testing.assert_close(layer_instance_norm(maps, share), expected, atol=1e-4, rtol=1e-4)


def test_the_mean_activation_of_a_class_is_its_logit() -> None:
    torch.manual_seed(0)
    maps, weight = torch.randn(2, 3, 4, 4), torch.randn(3)
    activation = class_activation(maps, weight)
    torch.testing.assert_close(activation.sum(1).mean((1, 2)), F.linear(maps.mean((2, 3)), weight[None]).squeeze(1))
    assert torch.equal(activation[:, 1], maps[:, 1] * weight[1])
