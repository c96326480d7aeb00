"""Convolutions from and to the few channels of images as products of patches with a matrix. They have the parameters of
PyTorch's own, and its results up to rounding, and are faster on a CPU while the patches fit into its cache
(experiments/benchmarks/patch_convolutions.py)."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FEW, LARGEST = 4, 2**21
"""Largest number of channels, and of numbers in the patches of a batch, with which patches are the faster way."""


class PatchConv2d(nn.Conv2d):
    """`torch.nn.Conv2d` with a numeric padding, without dilation or groups. It takes patches where the gradient for its
    input is needed, as in a generator's loss: PyTorch's is slow there for few input channels."""

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to [B, D, H', W']."""
        padding = _numeric(self.padding)
        sides = zip(x.shape[2:], self.stride, padding, self.kernel_size, strict=True)
        after = [(n + 2 * pad - kernel) // stride + 1 for n, stride, pad, kernel in sides]
        if not (x.requires_grad and _faster(x, self.in_channels, self.kernel_size, after)):
            return super().forward(x)
        patches = F.unfold(x, self.kernel_size, padding=padding, stride=self.stride)
        matrix = self.weight.flatten(1).expand(len(x), -1, -1)
        result = matrix @ patches if self.bias is None else torch.baddbmm(self.bias[:, None], matrix, patches)
        return result.unflatten(2, after)


class PatchConvTranspose2d(nn.ConvTranspose2d):
    """`torch.nn.ConvTranspose2d` without dilation, groups or output padding. It takes patches to few output channels,
    and a single product from a single pixel."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """[B, C, H, W] to [B, D, H', W']."""
        padding, before = _numeric(self.padding), list(x.shape[2:])
        if x.device.type == "cpu" and before == [1, 1] and padding == (0, 0) and output_size is None:
            result = (x.flatten(1) @ self.weight.flatten(1)).unflatten(1, (self.out_channels, *self.kernel_size))
        elif output_size is None and _faster(x, self.out_channels, self.kernel_size, before):
            patches = self.weight.flatten(1).t().expand(len(x), -1, -1) @ x.flatten(2)
            sides = zip(before, self.stride, padding, self.kernel_size, strict=True)
            after = tuple((n - 1) * stride - 2 * pad + kernel for n, stride, pad, kernel in sides)
            result = F.fold(patches, after, self.kernel_size, padding=padding, stride=self.stride)
        else:
            return super().forward(x, output_size)
        return result if self.bias is None else result + self.bias[:, None, None]


def _faster(x: Tensor, channels: int, kernel: tuple[int, ...], places: list[int]) -> bool:
    """Whether patches of so many `channels` at these `places` are faster than PyTorch's convolution."""
    numbers = len(x) * channels * math.prod(kernel) * math.prod(places)
    return x.device.type == "cpu" and channels <= FEW and numbers <= LARGEST


def _numeric(padding: str | tuple[int, ...]) -> tuple[int, ...]:
    assert not isinstance(padding, str)
    return padding
