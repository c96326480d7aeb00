"""Vector quantization: features are replaced by the nearest learned code."""

import math
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from rlgen.display import Metric, Panel
from rlgen.equations.penalties import Critic, commitment
from rlgen.errors import problem
from rlgen.nn.layers import full_precision, split_head, without_autocast

Features = Float[Tensor, "B D *place"]
FORGOTTEN = math.exp(-1)
"""Running sum of choices above which a code counts as used. A code chosen once counts for 1 / log(1 / decay)
batches."""


class Quantized(NamedTuple):
    """Result of `VectorQuantizer.quantize`."""

    values: Tensor
    """[B, D, ...]: the codes; the gradient is passed to the features unchanged (straight-through)."""
    codes: Tensor
    """[B, ...]: indices of the codes."""
    commitment: Tensor
    """Mean squared difference of features and codes, a scalar with a gradient for the features only."""


class VectorQuantizer(nn.Module):
    """Maps features [B, D] or [B, D, height, width] to the nearest of K codes [B, D, ...]. van den Oord et al. 2017
    (1711.00937), eq. 1-3; for a discriminator's features Zhao et al. 2020 (FQ-GAN, 2004.02088).

    Codes are running means of the features assigned to them (1711.00937, appendix A.1). Only `learn` changes them;
    gradient penalties, rewards and generator steps do not.

    A code to which no features are assigned does not change and may stay unused (a dead code; see `codebook_usage`).
    With `restart_below`, codes with fewer assigned features per batch, on a running mean, are reset to random features
    of the batch (Dhariwal et al. 2020, 2005.00341, section 3). After the first batch these are the codes with fewer
    than restart_below / (1 - decay) features.
    """

    codebook: Tensor
    count: Tensor
    total: Tensor
    chosen: Tensor

    def __init__(self, features: int, codes: int, decay: float = 0.99, restart_below: float = 0.0):
        super().__init__()
        if features < 1 or codes < 2 or not 0 <= decay < 1 or restart_below < 0:
            raise problem(
                "1 feature, 2 codes or more, a decay of at least 0 and below 1, a restart_below of at least 0",
                f"{features}, {codes}, {decay}, {restart_below}",
                "use e.g. 256 codes, decay 0.99 and restart_below 0 (never)",
            )
        self.decay, self.restart_below = decay, restart_below
        self.register_buffer("codebook", torch.randn(codes, features))
        self.register_buffer("count", torch.zeros(codes))
        self.register_buffer("total", torch.zeros(codes, features))
        self.register_buffer("chosen", torch.zeros(codes))

    def forward(self, features: Features) -> Features:
        return self.quantize(features).values

    def quantize(self, features: Features) -> Quantized:
        """The nearest codes, and the commitment loss."""
        features = full_precision(features)
        rows = features.movedim(1, -1)
        flat = rows.detach().reshape(-1, rows.shape[-1])
        with without_autocast(flat):
            distance = self.codebook.square().sum(1) - 2 * flat @ self.codebook.T  # without |row|², equal for all codes
        codes = distance.argmin(1).view(rows.shape[:-1])
        nearest = F.embedding(codes, self.codebook).movedim(-1, 1)
        values = nearest + (features - features.detach())  # equals the codes exactly; in another order it is rounded
        return Quantized(values, codes, commitment(features, nearest))

    @torch.no_grad()
    def learn(self, features: Features, codes: Int[Tensor, " B *place"]) -> None:
        """Move the codes towards the features assigned to them."""
        rows = full_precision(features).movedim(1, -1).reshape(-1, features.shape[1])
        choices = codes.reshape(-1, 1) == torch.arange(len(self.codebook), device=codes.device)
        chosen = choices.sum(0).to(rows.dtype)
        with without_autocast(rows):
            total = choices.to(rows.dtype).T @ rows  # index_add_ on CUDA sums in a random order
        self.count.lerp_(chosen, 1 - self.decay)
        self.total.lerp_(total, 1 - self.decay)
        self.chosen.mul_(self.decay).add_(chosen)
        # For an unused code, total and count shrink alike: the quotient does not change, but is 0 / 0 in the end.
        moved = torch.where((chosen > 0)[:, None], self.total / self.count[:, None], self.codebook)
        if self.restart_below > 0:
            others = rows[torch.randint(len(rows), (len(moved),), device=rows.device)]
            dead = self.count < self.restart_below
            moved = torch.where(dead[:, None], others, moved)
            self.count.copy_(torch.where(dead, self.restart_below, self.count))
            self.total.copy_(torch.where(dead[:, None], self.restart_below * others, self.total))
        self.codebook.copy_(moved)

    @torch.no_grad()
    def report(self) -> dict[str, Tensor]:
        """Usage and perplexity over about the last 1 / log(1 / decay) batches: the share of codes that were used, and
        the number of equally used codes with the same entropy. The call does not change the state."""
        share = self.chosen / self.chosen.sum().clamp(min=1)
        usage, perplexity = (self.chosen > FORGOTTEN).float().mean(), torch.special.entr(share).sum().exp()
        return {"codebook_usage": usage, "codebook_perplexity": perplexity}


@dataclass(kw_only=True, eq=False)
class Quantize:
    """Quantizes the inputs of a discriminator's last layer. Zhao et al. 2020 (FQ-GAN, 2004.02088), for rows: FQ-GAIL.
    Use one object per discriminator.

    Differs from the paper:

    - Codes learn from both sides of a discriminator's step together.
    - Only the last hidden layer is quantized.
    - The generator's loss has no commitment, because a policy has no gradient through it.
    """

    codes: int = 256
    """Number of codes in the codebook."""
    weight: float = 0.25
    """Weight of the commitment loss."""
    decay: float = 0.99
    """Decay of the codes' running means per gradient step."""
    restart_below: float = 0.1
    """Assigned rows per batch, on a running mean, below which a code is reset to a random row; 0 for never."""
    panels: ClassVar[tuple[Panel, ...]] = (
        Panel("Share of codes in use", (Metric("codebook_usage", "share"),), limits=(0, 1)),
        Panel("Perplexity of the codes", (Metric("codebook_perplexity", "perplexity"),), limits=(1, None)),
    )
    _parts: tuple[nn.Module, VectorQuantizer] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.weight >= 0:
            raise problem("a weight of at least 0", str(self.weight), "leave it out for the default")

    def wrap(self, network: nn.Module) -> nn.Module:
        if self._parts is not None:
            raise problem("a separate Quantize for every discriminator", "one in use", "make another")
        body, head = split_head(network)
        quantizer = VectorQuantizer(head.in_features, self.codes, self.decay, self.restart_below)
        self._parts = body, quantizer.to(head.weight)
        return nn.Sequential(*body, quantizer, head)

    def loss(self, critic: Critic, real: Tensor, fake: Tensor, real_logit: Tensor, fake_logit: Tensor) -> Tensor:
        assert self._parts is not None, "wrap comes first"
        body, quantizer = self._parts
        features = body(torch.cat([real, fake]))
        quantized = quantizer.quantize(features)
        quantizer.learn(features.detach(), quantized.codes)
        return self.weight * quantized.commitment

    def report(self) -> dict[str, Tensor]:
        assert self._parts is not None, "wrap comes first"
        return self._parts[1].report()
