"""A player: a loss, the parameters that minimize it, and their optimizer."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from rlgen.errors import problem

Terms = dict[str, Tensor]
"""0-d tensors by name; "loss" is minimized, the others are logged."""


@dataclass(frozen=True)
class Player:
    """A loss that is minimized over `parameters`. Maximum likelihood has one player; a GAN has two, the discriminator
    and the generator."""

    name: str
    """Name of the player's losses in the log and of its optimizer in a checkpoint."""
    parameters: Iterable[nn.Parameter]
    """Parameters that its steps change. A parameter may belong to several players."""
    loss: Callable[[Tensor, Tensor | None], Terms]
    """Function of (images [B, C, H, W] in [0, 1], labels [B] or None) that returns terms, including "loss"."""
    learning_rate: float
    """Learning rate of the optimizer."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decays of the optimizer's averages of the gradient and of its square."""
    repeats: int = 1
    """Steps per update, each on separate images."""
    optimizer: type[torch.optim.Adam] | type[torch.optim.Adamax] = torch.optim.Adam
    """Adam or Adamax (Kingma & Ba 2015, 1412.6980)."""
    gate: str | None = None
    """Name of a term that is 1 or 0. At 0 the step is skipped: parameters and optimizer do not change."""
    second_gradients: bool = False
    """Whether the loss contains gradients, so that its own gradient contains second derivatives."""
    trained: tuple[nn.Parameter, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "trained", tuple(self.parameters))
        if not self.trained:
            raise problem(f"parameters for the player {self.name}", "none", "leave the player out")
        if not self.learning_rate > 0:
            raise problem(f"a positive learning rate for {self.name}", f"{self.learning_rate}", "use e.g. 2e-4")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise problem(f"betas of at least 0 and below 1 for {self.name}", f"{self.betas}", "use e.g. 0.5 and 0.999")
        if self.repeats < 1:
            raise problem(f"at least one step for {self.name}", f"repeats {self.repeats}", "leave it out for 1")
        if self.gate is not None and issubclass(self.optimizer, torch.optim.Adamax):
            raise problem(f"Adam for {self.name}, whose gate skips steps", "Adamax", "leave the gate out, or use Adam")

    def make_optimizer(self) -> torch.optim.Optimizer:
        """A new optimizer for this player's parameters."""
        if issubclass(self.optimizer, torch.optim.Adamax):
            return self.optimizer(self.trained, self.learning_rate, self.betas)
        return self.optimizer(self.trained, self.learning_rate, self.betas, fused=True)
