"""A linear classifier of frozen features: a measure of the representation, not of the samples."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from rlgen.errors import problem

STEPS = 500
"""Maximum number of iterations of L-BFGS; well-scaled features need tens."""
GRADIENT = 1e-7
"""Largest absolute derivative at which L-BFGS stops."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearProbe:
    """Logits of K classes, a linear function of F features."""

    mean: Float[Tensor, " f"]
    """Mean of the features of the fit."""
    scale: Float[Tensor, " f"]
    """Standard deviation of the features of the fit; 1 for a constant feature."""
    weight: Float[Tensor, "k f"]
    """Weights of the standardized features."""
    bias: Float[Tensor, " k"]

    def logits(self, features: Float[Tensor, "n f"]) -> Float[Tensor, "n k"]:
        """Class logits [n, k] of features [n, f], float64."""
        return F.linear((features.double() - self.mean) / self.scale, self.weight, self.bias)


def fit_linear_probe(
    features: Float[Tensor, "n f"], labels: Int64[Tensor, " labels"], n_classes: int, l2: float = 1e-4
) -> LinearProbe:
    """Multinomial logistic regression on standardized features. Cox 1958; as a measure of representations Alain &
    Bengio 2017 (1610.01644) and, on a DCGAN's discriminator, Radford et al. 2016 (1511.06434), section 5.1.

    It minimizes the mean cross-entropy in nats + l2 / 2 · |weight|², on full batches, from zero weights, in float64, so
    the same features give the same probe. Raises `InputError` for unsuitable features, labels or `l2`.

    Differs from Radford et al.: logistic regression instead of a support vector machine, because `l2` is its only
    hyperparameter.
    """
    if len(features) != len(labels) or not len(labels):
        raise problem("a label for each row of features", f"{len(labels)} for {len(features)}", "give as many of both")
    if int(labels.min()) < 0 or int(labels.max()) >= n_classes:
        raise problem(f"labels from 0 to {n_classes - 1}", f"up to {int(labels.max())}", "check n_classes")
    if not l2 > 0:
        raise problem("l2 above 0, or separable classes have no minimum", f"{l2}", "give e.g. 1e-4")
    rows = features.detach().double()
    if not bool(rows.isfinite().all()):
        raise problem("finite features", "NaN or infinity among them", "check the network they come from")
    mean, std = rows.mean(0), rows.std(0, correction=0)
    scale = torch.where(std > 0, std, 1.0)
    rows = (rows - mean) / scale
    weight = rows.new_zeros(n_classes, rows.shape[1], requires_grad=True)
    bias = rows.new_zeros(n_classes, requires_grad=True)
    _minimize(rows, labels, weight, bias, l2)
    return LinearProbe(mean=mean, scale=scale, weight=weight.detach(), bias=bias.detach())


def _minimize(
    rows: Float[Tensor, "n f"],
    labels: Int64[Tensor, " n"],
    weight: Float[Tensor, "k f"],
    bias: Float[Tensor, " k"],
    l2: float,
) -> None:
    optimizer = torch.optim.LBFGS(
        [weight, bias],
        max_iter=STEPS,
        tolerance_grad=GRADIENT,
        tolerance_change=1e-14,
        history_size=20,
        line_search_fn="strong_wolfe",
    )

    def loss() -> Tensor:
        """The loss, detached, because L-BFGS converts it to a float and torch warns if it has a gradient."""
        optimizer.zero_grad()
        value = F.cross_entropy(F.linear(rows, weight, bias), labels) + l2 / 2 * weight.square().sum()
        value.backward()
        return value.detach()

    with torch.enable_grad():
        optimizer.step(loss)
