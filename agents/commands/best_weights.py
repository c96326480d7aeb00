"""A training whose final model may have the weights of its best evaluation."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from rlgen.generators.generative_model import GenerativeModel

from .generative_training import GenerativeTraining


@dataclass(kw_only=True)
class BestWeights(GenerativeTraining):
    """A `GenerativeTraining` that keeps the weights of the evaluation with the lowest loss."""

    keep_best: bool
    """Whether the final model has the weights of the evaluation with the lowest loss, rather than the last ones."""
    best: dict[str, Tensor] = field(default_factory=dict, init=False)
    """Weights of that evaluation; empty before the first one."""
    best_nll: float = field(default=math.inf, init=False)
    best_step: int = field(default=0, init=False)

    def consider(self, model: GenerativeModel, nll: float) -> None:
        """Keep the weights of `model` if its validation loss is the lowest so far."""
        if self.keep_best and nll < self.best_nll:
            self.best = {name: tensor.clone() for name, tensor in model.state_dict().items()}
            self.best_nll, self.best_step = nll, self.step

    def chosen(self) -> dict[str, int]:
        """The update whose weights are the best ones, if they are kept, as an entry of the result."""
        return {"chosen_update": self.best_step} if self.best else {}

    def state_dict(self) -> dict[str, Any]:
        best = {"weights": self.best, "nll": self.best_nll, "step": self.best_step}
        return {**super().state_dict(), "best": best}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        best = state["best"]
        self.best = {name: tensor.to(self.device) for name, tensor in best["weights"].items()}
        self.best_nll, self.best_step = float(best["nll"]), int(best["step"])

    @contextmanager
    def final_model(self) -> Iterator[Any]:
        """The model with the best weights, if they are kept; afterwards it has its own again."""
        with self.game.evaluating() as model:
            if not self.best:
                yield model
                return
            own = {name: tensor.clone() for name, tensor in model.state_dict().items()}
            model.load_state_dict(self.best)
            try:
                yield model
            finally:
                model.load_state_dict(own)
