"""Ways from one latent to another that stay where the prior has its mass."""

import torch
from torch import Tensor


def great_circle(begin: Tensor, end: Tensor, share: Tensor) -> Tensor:
    """From `begin` to `end` [..., Z], `share` [..., 1] of the way (Shoemake 1985; for latents White 2016, 1609.04468).
    A straight line would pass through lengths that a Gaussian prior in many dimensions never has."""
    cosine = (begin * end).sum(-1, keepdim=True) / (begin.norm(dim=-1, keepdim=True) * end.norm(dim=-1, keepdim=True))
    angle = cosine.clamp(-1, 1).acos()
    curved = (torch.sin((1 - share) * angle) * begin + torch.sin(share * angle) * end) / angle.sin()
    return torch.where(angle.sin() < 1e-4, torch.lerp(begin, end, share), curved)  # parallel: there is no circle
