"""The base class of generative models, and the players that train them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from rlgen.display import Metric, Panel
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
    """Function of (data [B, ...], labels [B] or None) that returns terms, including "loss". Data are images
    [B, C, H, W] in [0, 1], or tokens [B, T]."""
    learning_rate: float
    """Learning rate of the optimizer."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decays of the optimizer's averages of the gradient and of its square."""
    repeats: int = 1
    """Steps per update, each on separate data."""
    optimizer: type[torch.optim.Adam] | type[torch.optim.Adamax] = torch.optim.Adam
    """Adam or Adamax (Kingma & Ba 2015, 1412.6980)."""
    gate: str | None = None
    """Name of a term that is 1 or 0. At 0 the step is skipped: parameters and optimizer do not change."""
    weight_decay: float = 0.0
    """Weight decay of matrices and larger tensors, apart from the gradient, per update and unit of the learning rate
    (AdamW: Loshchilov & Hutter 2019, 1711.05101); only with Adam."""
    own_rates: Mapping[nn.Parameter, float] = field(default_factory=dict, repr=False)
    """Learning rates of parameters that have another one, such as published weights next to new ones; only with
    Adam."""
    second_gradients: bool = False
    """Whether the loss contains gradients, so that its own gradient contains second derivatives."""
    trained: tuple[nn.Parameter, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        given: Any = self.parameters
        listed = tuple(given) if isinstance(given, Iterable) and not isinstance(given, nn.Module | Tensor) else None
        if listed is None or not all(isinstance(each, Tensor) and each.is_leaf for each in listed):
            kinds = [given] if listed is None else listed
            got = ", ".join(sorted({type(each).__name__ for each in kinds}))
            raise problem(f"parameters for the player {self.name}", got, "give module.parameters() or a list of them")
        object.__setattr__(self, "trained", tuple(each for each in listed if each.requires_grad))
        if not self.trained:
            raise problem(f"parameters for the player {self.name}", "none", "leave the player out")
        if not isinstance(self.learning_rate, int | float) or not self.learning_rate > 0:
            raise problem(f"a positive learning rate for {self.name}", repr(self.learning_rate), "use e.g. 2e-4")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise problem(f"betas of at least 0 and below 1 for {self.name}", f"{self.betas}", "use e.g. 0.5 and 0.999")
        if self.repeats < 1:
            raise problem(f"at least one step for {self.name}", f"repeats {self.repeats}", "leave it out for 1")
        if not self.weight_decay >= 0:
            got = f"{self.weight_decay}"
            raise problem(f"a weight decay of at least 0 for {self.name}", got, "use e.g. 0.1, or 0 for none")
        if self.weight_decay and issubclass(self.optimizer, torch.optim.Adamax):
            raise problem(f"Adam for {self.name}, whose weights decay", "Adamax", "leave the weight decay out")
        if self.own_rates and issubclass(self.optimizer, torch.optim.Adamax):
            raise problem(f"Adam for {self.name}, which has several rates", "Adamax", "leave the other rates out")
        if self.gate is not None and issubclass(self.optimizer, torch.optim.Adamax):
            raise problem(f"Adam for {self.name}, whose gate skips steps", "Adamax", "leave the gate out, or use Adam")

    def make_optimizer(self) -> torch.optim.Optimizer:
        """A new optimizer for this player's parameters."""
        if issubclass(self.optimizer, torch.optim.Adamax):
            return self.optimizer(self.trained, self.learning_rate, self.betas)
        if not self.weight_decay and not self.own_rates:
            return self.optimizer(self.trained, self.learning_rate, self.betas, fused=True)
        groups: dict[tuple[bool, float | None], list[nn.Parameter]] = {}
        for each in sorted(self.trained, key=lambda parameter: parameter.ndim <= 1):  # those that decay first
            groups.setdefault((each.ndim > 1, self.own_rates.get(each)), []).append(each)
        settings = [
            {"params": parameters, "weight_decay": self.weight_decay if decays else 0.0}
            | ({} if rate is None else {"initial_lr": rate})
            for (decays, rate), parameters in groups.items()
        ]
        return torch.optim.AdamW(settings, self.learning_rate, self.betas, fused=True)


class GenerativeModel(nn.Module, ABC):
    """A model that `Trainer` trains on batches of images, texts or other data."""

    config_type: ClassVar[type[Any]]
    """Type of its configuration: a frozen dataclass whose defaults reproduce a cited experiment."""
    averaged: ClassVar[tuple[str, ...]] = ()
    """Names of the modules that a moving average of weights includes; empty for all modules."""
    grouped: ClassVar[bool] = True
    """Whether its settings are a group with the model's name, `--vae.latent`; otherwise they have no prefix, like those
    of the training."""
    panels: ClassVar[tuple[Panel, ...]] = ()
    """Panels of the metrics that its players log, and of evaluations that mean something else than for most models."""
    results: ClassVar[tuple[Metric, ...]] = ()
    """Metrics of its result that mean something else than for most models, e.g. a likelihood that is exact."""

    config: Any

    @abstractmethod
    def players(self) -> Sequence[Player]:
        """The players, in the order of their steps."""

    def require_data(self, data: Tensor, labels: Tensor | None) -> None:
        """Called with the data [B, ...] and labels [B] of a `Trainer`'s first update. Raises `InputError` for data of
        another shape, type or range than the model learns from."""

    def before_first_update(self, data: Tensor) -> None:
        """Called once with the data [B, ...] of the first update, for data-dependent initialization."""

    def after_update(self, logs: Terms) -> None:
        """Called after the steps of all players with their logs, for state that no optimizer changes."""
