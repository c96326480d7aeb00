"""Invertible steps one after the other, and what they do to a density."""

from torch import Tensor, nn


class Flow(nn.ModuleList):
    """Rezende & Mohamed 2015 (1505.05770), eqs. 6 and 7.

    Each step has `forward` and `inverse`, (z, context) to what z [..., Z] becomes (or was) and the log-determinant
    [...] of the way forward; the context is None where there is none.
    """

    def moved(self, z: Tensor, log_prob: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(where z ends, its log-density there [...], nats), `log_prob` being that of where it began."""
        for step in self:
            z, log_det = step(z, context)
            log_prob = log_prob - log_det
        return z, log_prob

    def origin(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(where z began, the log-determinant [...] of the whole way forward)."""
        total = z.new_zeros(z.shape[:-1])
        for step in reversed(self):  # type: ignore[call-overload]
            z, log_det = step.inverse(z, context)  # type: ignore[operator]
            total = total + log_det
        return z, total
