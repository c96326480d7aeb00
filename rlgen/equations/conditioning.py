"""How a condition, such as a class or a style, enters a convolutional network.

B images with I input and O output channels; a condition gives every image its own factor and shift per channel.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

Maps = Float[Tensor, "B C H W"]
Kernel = Float[Tensor, "O I h w"]
PerChannel = Float[Tensor, "B C"]


def projection_logit(
    unconditional: Float[Tensor, " B"], embedding: Float[Tensor, "B F"], features: Float[Tensor, "B F"]
) -> Float[Tensor, " B"]:
    """ψ(φ(x)) + vᵧ · φ(x): the logit of a projection discriminator, from features φ(x), their unconditional logit ψ and
    the embedding vᵧ of each row's class. Miyato & Koyama 2018 (1802.05637), eq. 4."""
    return unconditional + (embedding * features).sum(-1)


def modulated_convolution(
    maps: Float[Tensor, "B I H W"], kernel: Kernel, style: Float[Tensor, "B I"]
) -> Float[Tensor, "B O H W"]:
    """Convolution, of unchanged size, with the kernel of each image scaled by its style: w'ᵢⱼₖ = sᵢ wᵢⱼₖ. Karras et al.
    2020 (1912.04958), eq. 1.

    Scaling the inputs instead of the kernel gives the same outputs, with one kernel for all images.
    """
    return F.conv2d(maps * style[..., None, None], kernel, padding=kernel.shape[-1] // 2)


def demodulation(kernel: Kernel, style: Float[Tensor, "B I"], epsilon: float = 1e-8) -> Float[Tensor, "B O"]:
    """1 / √(Σᵢₖ (sᵢ wᵢⱼₖ)² + ε) for each image and output channel j: the factor after which a modulated convolution of
    independent inputs with unit variance has outputs with unit variance. Karras et al. 2020 (1912.04958), eq. 2 and
    3."""
    return torch.rsqrt(style.square() @ kernel.square().sum((2, 3)).T + epsilon)


def layer_instance_norm(maps: Maps, instance_share: Float[Tensor, " C"], epsilon: float = 1e-5) -> Maps:
    """ρ · instance norm + (1 - ρ) · layer norm, with a share ρ between 0 and 1 per channel. Kim et al. 2020 (U-GAT-IT,
    1907.10830), eq. 1 before scale and shift.

    Differs from the paper's code: variances divide by the number of values, not by one fewer, as those of instance norm
    and layer norm do.
    """
    instance, layer = F.instance_norm(maps, eps=epsilon), F.layer_norm(maps, maps.shape[1:], eps=epsilon)
    return torch.lerp(layer, instance, instance_share[:, None, None])


def adaptive_layer_instance_norm(
    maps: Maps, instance_share: Float[Tensor, " C"], scale: PerChannel, shift: PerChannel, epsilon: float = 1e-5
) -> Maps:
    """AdaLIN: γ · `layer_instance_norm` + β, with a scale γ and a shift β per image and channel. Kim et al. 2020
    (U-GAT-IT, 1907.10830), eq. 1."""
    normalized = layer_instance_norm(maps, instance_share, epsilon)
    return scale[..., None, None] * normalized + shift[..., None, None]


def class_activation(maps: Maps, weight: Float[Tensor, " C"]) -> Maps:
    """w · a: feature maps weighted by the importance of each channel for a classifier of the domain, which sees only
    their means or maxima. Zhou et al. 2016 (1512.04150), eq. 2 before the sum; Kim et al. 2020 (U-GAT-IT, 1907.10830),
    section 2.1.1."""
    return maps * weight[:, None, None]
