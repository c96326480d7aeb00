"""Attacks: functions that change a batch within a radius such that a loss grows. Parameters, their gradients and the
statistics of batch norms do not change."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from rlgen.equations.adversarial_examples import fast_gradient_sign, projected_gradient_step, within_ball
from rlgen.errors import problem

Loss = Callable[[Tensor], Tensor]
"""Maps inputs [B, ...] to losses, [B] or a sum or mean of them. Rows must not influence each other."""
AttackName = Literal["fgsm", "pgd"]
TOTAL_STEP = 2.5
"""Sum of the steps of PGD as a multiple of the radius, so that every point of the ball can be reached from every other
one (the released code of Madry et al. 2018 for CIFAR-10: 2.5)."""


class Attack(Protocol):
    """What changes inputs such that a loss grows."""

    def __call__(self, loss: Loss, inputs: Tensor, network: nn.Module | None = None) -> Tensor:
        """Changed inputs [B, ...], without gradient. `network`: a module that is in evaluation mode meanwhile."""
        ...


@dataclass(frozen=True, kw_only=True)
class FGSM:
    """One step along the sign of the gradient (`fast_gradient_sign`; Goodfellow et al. 2015, 1412.6572)."""

    epsilon: float | Tensor
    """Radius: a number, or one for each number of an input."""
    low: float = -math.inf
    """Lower bound of inputs."""
    high: float = math.inf
    """Upper bound of inputs."""
    random_start: bool = False
    """Whether the gradient is taken at a random point of the ball, for a loss without gradient at its center."""

    def __post_init__(self) -> None:
        require_radius(self.epsilon)

    def __call__(self, loss: Loss, inputs: Tensor, network: nn.Module | None = None) -> Tensor:
        with _evaluated(network):
            gradient = loss_gradient(loss, _start(self, inputs))
        return fast_gradient_sign(inputs.detach(), gradient, self.epsilon, self.low, self.high)


@dataclass(frozen=True, kw_only=True)
class PGD:
    """Steps along the sign of the gradient, each projected onto the ball (`projected_gradient_step`; Madry et al. 2018,
    1706.06083)."""

    epsilon: float | Tensor
    """Radius: a number, or one for each number of an input."""
    steps: int = 10
    """Number of steps."""
    step: float | Tensor | None = None
    """Size of a step, in the unit of the radius; by default 2.5 radii divided by the number of steps."""
    random_start: bool = True
    """Whether the first step is taken from a random point of the ball instead of its center."""
    low: float = -math.inf
    """Lower bound of inputs."""
    high: float = math.inf
    """Upper bound of inputs."""

    def __post_init__(self) -> None:
        require_radius(self.epsilon)
        if self.steps < 1:
            raise problem("at least one step", f"{self.steps}", "use e.g. 10")

    def __call__(self, loss: Loss, inputs: Tensor, network: nn.Module | None = None) -> Tensor:
        center, moved = inputs.detach(), _start(self, inputs)
        step = TOTAL_STEP * self.epsilon / self.steps if self.step is None else self.step
        with _evaluated(network):
            for _ in range(self.steps):
                gradient = loss_gradient(loss, moved)
                moved = projected_gradient_step(moved, gradient, center, step, self.epsilon, self.low, self.high)
        return moved


def attack_of(name: AttackName, epsilon: float | Tensor, *, steps: int = 10, **settings: Any) -> FGSM | PGD:
    """The attack `name`. `steps` are those of PGD."""
    if name == "fgsm":
        return FGSM(epsilon=epsilon, **settings)
    return PGD(epsilon=epsilon, steps=steps, **settings)


def require_radius(epsilon: float | Tensor) -> None:
    """Raise `InputError` for a radius that is negative or not finite."""
    if isinstance(epsilon, Tensor):
        return  # it is computed, and a comparison would synchronize with the device
    if not 0 <= epsilon < math.inf:
        raise problem("a finite radius of at least 0", f"{epsilon}", "use e.g. 0.1")


def loss_gradient(loss: Loss, inputs: Tensor) -> Tensor:
    """d loss / d inputs, without a graph; gradients of parameters are not computed."""
    with torch.enable_grad():
        inputs = inputs.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(loss(inputs).sum(), inputs)
    return gradient


@contextmanager
def evaluation_mode(network: nn.Module) -> Iterator[None]:
    """Within the block all modules of `network` are in evaluation mode; afterwards in the modes that they had."""
    training = [module for module in network.modules() if module.training]
    network.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def _evaluated(network: nn.Module | None) -> Any:
    return nullcontext() if network is None else evaluation_mode(network)


def _start(attack: FGSM | PGD, inputs: Tensor) -> Tensor:
    """The inputs, or a uniformly random point of the ball around each."""
    center = inputs.detach()
    if not attack.random_start:
        return center
    moved = center + attack.epsilon * (2 * torch.rand_like(center) - 1)
    return within_ball(moved, center, attack.epsilon, attack.low, attack.high)
