"""One player of a game: what it minimises, over which parameters, and how fast."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from rlgen.errors import problem

Terms = dict[str, Tensor]
"""0-d tensors by name; "loss" is minimised, the others are logged."""


@dataclass(frozen=True)
class Player:
    """Minimises `loss` over `parameters`. Maximum likelihood has one player, a GAN discriminator and generator."""

    name: str
    """Of its losses in the log and of its optimiser in a checkpoint."""
    parameters: Iterable[nn.Parameter]
    """What its turns change. A parameter may belong to several players."""
    loss: Callable[[Tensor, Tensor | None], Terms]
    """(images [B, C, H, W] in [0, 1], labels [B] or None) to terms, "loss" among them."""
    learning_rate: float
    """The optimiser's."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay of its averages of the gradient and of the gradient's square."""
    repeats: int = 1
    """Turns per update, each on images of its own."""
    optimiser: type[torch.optim.Adam] | type[torch.optim.Adamax] = torch.optim.Adam
    """Adam or Adamax (Kingma & Ba 2015, 1412.6980)."""
    gate: str | None = None
    """Name of a term that is 1 or 0. At 0 a turn does not count: parameters and optimiser stay as they were."""
    second_gradients: bool = False
    """Whether its loss is made of gradients, so that its own are gradients of gradients."""
    own: tuple[nn.Parameter, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "own", tuple(self.parameters))
        if not self.own:
            raise problem(f"parameters for the player {self.name}", "none", "leave the player out")
        if not self.learning_rate > 0:
            raise problem(f"a positive learning rate for {self.name}", f"{self.learning_rate}", "use e.g. 2e-4")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise problem(f"betas of at least 0 and below 1 for {self.name}", f"{self.betas}", "use e.g. 0.5 and 0.999")
        if self.repeats < 1:
            raise problem(f"at least one turn for {self.name}", f"repeats {self.repeats}", "leave it out for 1")
        if self.gate is not None and issubclass(self.optimiser, torch.optim.Adamax):
            raise problem(
                f"Adam for {self.name}, whose turns may not count", "Adamax", "leave the gate out, or use Adam"
            )

    def make_optimiser(self) -> torch.optim.Optimizer:
        """A new optimiser of this player's parameters."""
        if issubclass(self.optimiser, torch.optim.Adamax):
            return self.optimiser(self.own, self.learning_rate, self.betas)
        return self.optimiser(self.own, self.learning_rate, self.betas, fused=True)
