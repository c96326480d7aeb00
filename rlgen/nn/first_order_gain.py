"""Information gain by training on each row: slow, valid for any posterior, and a reference for the closed form."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, vmap

from rlgen.equations.gaussians import gaussian_log_prob
from rlgen.nn.bayesian import BayesianMLP, Std
from rlgen.nn.bayesian_dense import Sampling


class _Update(nn.Module):
    """The loss minimized for one row (x [I], y [O]): KL[q(φ) ‖ q(old)] - E log p(y|x, θ), nats."""

    def __init__(self, network: BayesianMLP, samples: int, sampling: Sampling):
        super().__init__()
        self.network, self.old = network, network.posterior()
        self.samples, self.sampling = samples, sampling

    def forward(self, x: Tensor, y: Tensor, likelihood_std: Tensor) -> tuple[Tensor, Tensor]:
        """The loss, and its KL term."""
        output = self.network(x.unsqueeze(0), self.samples, self.sampling)
        divergence = self.network.kl_to(self.old)
        return divergence - gaussian_log_prob(y, output, likelihood_std).sum(-1).mean(), divergence


def first_order_gain(
    network: BayesianMLP,
    x: Float[Tensor, "B I"],
    y: Float[Tensor, "B O"],
    likelihood_std: Std,
    updates: int = 10,
    learning_rate: float = 1e-3,
    samples: int = 1,
    sampling: Sampling = "local",
    numbers: int = 2**22,
) -> Float[Tensor, " B"]:
    """KL[q(θ; φ') ‖ q(θ; φ)] in nats, with φ' the result of `updates` steps of Adam from φ on each row separately.

    Houthooft et al. 2016 (1605.09674), section 2.5, the first-order alternative. The network does not change. Rows are
    processed in groups with `numbers` parameters in total; memory holds four tensors of that size: the parameters,
    their gradients and Adam's two moments.
    """
    rows = max(1, numbers // sum(parameter.numel() for parameter in network.parameters()))
    update, stds = _Update(network, samples, sampling), torch.as_tensor(likelihood_std).to(y).expand(y.shape)
    pieces = zip(x.split(rows), y.split(rows), stds.split(rows), strict=True)
    return torch.cat([_of_rows(update, *piece, updates, learning_rate) for piece in pieces])


def _of_rows(
    update: _Update, x: Tensor, y: Tensor, likelihood_std: Tensor, updates: int, learning_rate: float
) -> Tensor:
    """The gain [B] of all rows, computed at once."""
    copies = {
        name: parameter.detach().expand(len(x), *parameter.shape).clone().requires_grad_()
        for name, parameter in update.named_parameters()
    }

    def of_row(parameters: dict[str, Tensor], *row: Tensor) -> tuple[Tensor, Tensor]:
        return functional_call(update, parameters, row)

    of_rows = vmap(of_row, randomness="different")
    optimizer = torch.optim.Adam(copies.values(), learning_rate)  # elementwise, so rows stay independent
    with torch.enable_grad():
        for _ in range(updates):
            optimizer.zero_grad(set_to_none=True)
            of_rows(copies, x, y, likelihood_std)[0].sum().backward()
            optimizer.step()
    with torch.no_grad():
        return of_rows(copies, x, y, likelihood_std)[1]
