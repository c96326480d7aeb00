"""Logistic regression: linear classification by maximum likelihood."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from rlgen.errors import problem

UPDATES = 200
"""Most updates of L-BFGS, which ends earlier where the gradient vanishes."""


class LogisticRegression(NamedTuple):
    """A linear classifier of features: log p(class) = x W + b, up to a constant."""

    weight: Float[Tensor, "F C"]
    bias: Float[Tensor, " C"]

    @classmethod
    def fitted(
        cls, x: Float[Tensor, "N F"], labels: Int64[Tensor, " N"], classes: int, penalty: float = 1.0
    ) -> "LogisticRegression":
        """The classifier with the largest Σ log p(label | x) - penalty / 2 · |W|², by L-BFGS (Liu & Nocedal 1989) in
        float64; the bias has no penalty. Bishop 2006, section 4.3.4. `x` may be a sparse tensor.

        Raises `InputError` for a penalty of 0 or less, because the weights of separable classes would grow forever."""
        if not penalty > 0:
            raise problem("a penalty above 0", f"{penalty:g}", "use e.g. 1")
        x = x.double()
        weight = x.new_zeros(x.shape[1], classes).to_dense().requires_grad_()
        bias = torch.zeros_like(weight[0], requires_grad=True)
        optimizer = torch.optim.LBFGS(
            [weight, bias], max_iter=UPDATES, tolerance_grad=1e-6, line_search_fn="strong_wolfe"
        )

        def loss() -> Tensor:
            optimizer.zero_grad()
            nll = F.cross_entropy(x @ weight + bias, labels, reduction="sum")
            found = nll + penalty / 2 * weight.square().sum()
            found.backward()
            return found

        with torch.enable_grad():
            optimizer.step(loss)  # type: ignore[no-untyped-call]
        return cls(weight.detach(), bias.detach())

    def logits(self, x: Float[Tensor, "N F"]) -> Float[Tensor, "N C"]:
        return x.double() @ self.weight + self.bias

    def accuracy(self, x: Float[Tensor, "N F"], labels: Int64[Tensor, " N"]) -> float:
        """Share of the rows whose most probable class is their label."""
        return (self.logits(x).argmax(1) == labels).double().mean().item()
