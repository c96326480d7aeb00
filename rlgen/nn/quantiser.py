"""Vector quantisation: features rounded to the nearest of a number of learned codes."""

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from rlgen.equations.penalties import Critic, commitment
from rlgen.errors import problem
from rlgen.nn.layers import split_head
from rlgen.nn.precision import full_precision, without_autocast

Features = Float[Tensor, "B D *place"]
FORGOTTEN = math.exp(-1)
"""A code is used as long as the running sum of its choices is above it: chosen once, for 1 / log(1 / decay) batches."""


class Quantised(NamedTuple):
    """What `VectorQuantiser.quantise` gives."""

    values: Tensor
    """[B, D, ...]: codes forward, backward as if nothing had happened (straight-through)."""
    codes: Tensor
    """[B, ...]: which."""
    commitment: Tensor
    """The squared distance of features and codes, a scalar with a gradient for the features only."""


class VectorQuantiser(nn.Module):
    """Features [B, D] or [B, D, height, width] to the nearest of K codes [B, D, ...]. van den Oord et al. 2017
    (1711.00937), eq. 1-3; of a discriminator's features Zhao et al. 2020 (FQ-GAN, 2004.02088).

    Codes are running means of the features that chose them (1711.00937, appendix A.1). Nothing but `learn` moves them:
    a gradient penalty, a reward or a generator's turn passes through without a trace.

    A code that is nobody's nearest stays where it is and may do so for ever (a dead code: look at the usage). With
    `restart_below`, codes chosen less often than that per batch, on a running mean, forget their past and are put on
    random features of the batch (Dhariwal et al. 2020, 2005.00341, section 3): after the first batch those that fewer
    than restart_below / (1 - decay) features chose.
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
        return self.quantise(features).values

    def quantise(self, features: Features) -> Quantised:
        """The nearest codes, and what choosing them costs."""
        features = full_precision(features)
        rows = features.movedim(1, -1)
        flat = rows.detach().reshape(-1, rows.shape[-1])
        with without_autocast(flat):
            distance = self.codebook.square().sum(1) - 2 * flat @ self.codebook.T  # less |row|², the same for all codes
        codes = distance.argmin(1).view(rows.shape[:-1])
        nearest = F.embedding(codes, self.codebook).movedim(-1, 1)
        values = nearest + (features - features.detach())  # exactly the codes; the other way round rounding is left
        return Quantised(values, codes, commitment(features, nearest))

    @torch.no_grad()
    def learn(self, features: Features, codes: Int[Tensor, " B *place"]) -> None:
        """Move the codes towards the features that chose them."""
        rows = full_precision(features).movedim(1, -1).reshape(-1, features.shape[1])
        choices = codes.reshape(-1, 1) == torch.arange(len(self.codebook), device=codes.device)
        chosen = choices.sum(0).to(rows.dtype)
        with without_autocast(rows):
            total = choices.to(rows.dtype).T @ rows  # on CUDA index_add_ has another order of summation every time
        self.count.lerp_(chosen, 1 - self.decay)
        self.total.lerp_(total, 1 - self.decay)
        self.chosen.mul_(self.decay).add_(chosen)
        # Of a code that nobody chose, total and count have shrunk alike: the quotient is what it was, or 0 / 0 at last.
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
        """Over the last 1 / log(1 / decay) batches or so: the share of the codes that were chosen at all, and the
        perplexity, how many codes chosen equally often would be as unpredictable. Asking changes nothing."""
        share = self.chosen / self.chosen.sum().clamp(min=1)
        usage, perplexity = (self.chosen > FORGOTTEN).float().mean(), torch.special.entr(share).sum().exp()
        return {"codebook_usage": usage, "codebook_perplexity": perplexity}


@dataclass(kw_only=True, eq=False)
class Quantise:
    """Quantises what the last layer of a discriminator sees. Zhao et al. 2020 (FQ-GAN, 2004.02088), for rows: FQ-GAIL.

    Differs from the paper: codes learn from the two sides of a discriminator's step together, the last hidden layer
    alone is quantised, and no generator pays the commitment (a policy has no gradient through it). One object serves
    one discriminator.
    """

    codes: int = 256
    """Size of the codebook."""
    weight: float = 0.25
    """Weight of the commitment."""
    decay: float = 0.99
    """Of the running means that the codes are, per gradient step."""
    restart_below: float = 0.1
    """Rows per batch, on a running mean, below which a code starts again at a random row; 0 for never."""
    _parts: tuple[nn.Module, VectorQuantiser] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.weight >= 0:
            raise problem("a weight of at least 0", str(self.weight), "leave it out for the default")

    def wrap(self, network: nn.Module) -> nn.Module:
        if self._parts is not None:
            raise problem("a Quantise of its own for every discriminator", "one in use", "make another")
        body, head = split_head(network)
        quantiser = VectorQuantiser(head.in_features, self.codes, self.decay, self.restart_below)
        self._parts = body, quantiser.to(head.weight)
        return nn.Sequential(*body, quantiser, head)

    def loss(self, critic: Critic, real: Tensor, fake: Tensor, real_logit: Tensor, fake_logit: Tensor) -> Tensor:
        assert self._parts is not None, "wrap comes first"
        body, quantiser = self._parts
        features = body(torch.cat([real, fake]))
        quantised = quantiser.quantise(features)
        quantiser.learn(features.detach(), quantised.codes)
        return self.weight * quantised.commitment

    def report(self) -> dict[str, Tensor]:
        assert self._parts is not None, "wrap comes first"
        return self._parts[1].report()
