"""Convolutional encoders and decoders without batch norm (Berthelot et al. 2017, BEGAN, 1703.10717, section 3.5)."""

from torch import nn

from rlgen.nn.conv import halvings

ELU_GAIN = 1.245
"""1 / √E[ELU(z)²] for normal z: layers with this gain preserve the standard deviation of their input. With PyTorch's
default initialization a thousandth of it is left in the code, and an autoencoder of dark images learns only to return
black."""


def encoder(channels: int, height: int, width: int, latent: int, filters: int) -> nn.Sequential:
    """A network from [B, C, H, W] to [B, Z], with a linear last layer. It has pairs of 3 × 3 convolutions with
    `filters`, then 2 · `filters` channels and so on; images are halved between the pairs until neither side is above
    7."""
    times = halvings(height, width)
    layers: list[nn.Module] = [nn.Conv2d(channels, filters, 3, padding=1), nn.ELU()]
    fan_in = filters
    for index in range(times + 1):
        fan_out = (index + 1) * filters
        layers += _pair(fan_in, fan_out)
        if index < times:
            layers += [nn.Conv2d(fan_out, fan_out, 3, stride=2, padding=1), nn.ELU()]
        fan_in = fan_out
    coarse = fan_in * (height >> times) * (width >> times)
    return _initialized(nn.Sequential(*layers, nn.Flatten(), nn.Linear(coarse, latent)))


def decoder(channels: int, height: int, width: int, latent: int, filters: int) -> nn.Sequential:
    """A network from [B, Z] to [B, C, H, W], with linear first and last layers. It has pairs of 3 × 3 convolutions with
    `filters` channels; images are doubled between the pairs by nearest-neighbor upsampling."""
    times = halvings(height, width)
    coarse = (filters, height >> times, width >> times)
    layers: list[nn.Module] = [nn.Linear(latent, coarse[0] * coarse[1] * coarse[2]), nn.Unflatten(-1, coarse)]
    for index in range(times + 1):
        layers += _pair(filters, filters)
        if index < times:
            layers.append(nn.Upsample(scale_factor=2))
    return _initialized(nn.Sequential(*layers, nn.Conv2d(filters, channels, 3, padding=1)))


def _pair(fan_in: int, fan_out: int) -> list[nn.Module]:
    first, second = nn.Conv2d(fan_in, fan_out, 3, padding=1), nn.Conv2d(fan_out, fan_out, 3, padding=1)
    return [first, nn.ELU(), second, nn.ELU()]


def _initialized(network: nn.Sequential) -> nn.Sequential:
    for layer in network:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            fan_in = layer.weight[0].numel()
            nn.init.normal_(layer.weight, std=ELU_GAIN / fan_in**0.5)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return network
