"""Penalties that keep a discriminator smooth or unsure, each a scalar to be added to its loss."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

Inputs = Float[Tensor, "B D"]
Scalar = Float[Tensor, ""]
Critic = Callable[[Tensor], Tensor]
"""[B, D] to logits [B]; rows must not influence one another (no batch norm)."""


def input_gradient(critic: Critic, inputs: Inputs) -> Inputs:
    """d logit_b / d input_b for every row b, differentiable again."""
    inputs = inputs.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(inputs).sum(), inputs, create_graph=True)
    return gradient


def gradient_penalty(critic: Critic, expert: Inputs, policy: Inputs, centre: float = 1.0) -> Scalar:
    """E[(|d logit / d x| - centre)^2] at random points between expert and policy rows.

    centre 1: Gulrajani et al. 2017 (1704.00028), eq. 3. centre 0: Thanh-Tung et al. 2019 (1902.03984), eq. 10.
    """
    share = torch.rand(len(expert), 1, device=expert.device, dtype=expert.dtype)
    gradient = input_gradient(critic, torch.lerp(policy, expert, share))
    if centre == 0.0:
        return gradient.square().sum(-1).mean()
    return (gradient.norm(dim=-1) - centre).square().mean()


def r1(critic: Critic, expert: Inputs) -> Scalar:
    """½ E_expert[|d logit / d x|^2]. Mescheder et al. 2018 (1801.04406), eq. 9."""
    return 0.5 * input_gradient(critic, expert).square().sum(-1).mean()


def bernoulli_entropy(logit: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """H(D) in nats, D = sigmoid(logit): from log 2 (unsure) down to 0. openai/imitation, `logit_bernoulli_entropy`."""
    return F.softplus(logit) - logit * torch.sigmoid(logit)
