"""Training of generative models: in every update each player takes its steps, with its own optimizer."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

import torch
from torch import Tensor, nn

from rlgen.checks import at_least, below_one, one_of, positive
from rlgen.deprecation import UNLESS_DEFAULT
from rlgen.errors import NotFinite, problem
from rlgen.generators.generative_model import GenerativeModel, Player, Terms
from rlgen.generators.player_checks import players_of, require_gradients, require_terms
from rlgen.nn.batch_norm import batch_norms_of_others, frozen_running_stats
from rlgen.nn.moving_average import MovingAverage
from rlgen.nn.optimizer_state import load_optimizer
from rlgen.system.device import multiplies_bfloat16

Model = TypeVar("Model", bound=GenerativeModel)
UPDATES_PER_LOOK_ON_CUDA = 32
"""Updates per check for finite losses on CUDA: the check synchronizes with the device, so it covers many updates."""


class Diverged(NotFinite):
    """A loss or weight is not finite. `step`: number of updates so far; `term`: its name, e.g. player and term."""

    def __init__(self, step: int, term: str):
        super().__init__(
            f"expected finite losses and weights; got NaN or an infinity in {term} at update {step:,}; use a smaller "
            "learning rate or clip gradients"
        )
        self.step, self.term = step, term


@dataclass(frozen=True, kw_only=True)
class TrainerConfig:
    """Configuration of the training, independent of the model."""

    average: float = 0.0
    """Decay per update of the moving average of weights that samples are drawn from, e.g. 0.999; 0 for none."""
    clip: float | None = None
    """Maximum gradient norm of a player, over all its parameters; no clipping by default."""
    half_life: float | None = None
    """Updates after which every learning rate has halved; constant learning rates by default."""
    warm_up: int = field(default=0, metadata=UNLESS_DEFAULT)
    """Updates in which every learning rate rises linearly to its value; 0 for none."""
    decay: Literal["none", "linear"] = field(default="none", metadata=UNLESS_DEFAULT)
    """Decay of every learning rate: none, or linear, to 0 at the end of the training. A training that is extended has
    more updates in all, so its learning rates jump up there."""
    precision: Literal["float32", "bfloat16", "auto"] = "float32"
    """Precision of activations; auto: bfloat16 where the processor itself multiplies it. bfloat16 uses torch's
    autocast, on CUDA or a CPU, and is about twice as fast for convolutions on processors that support it; weights and
    optimizers stay in float32."""
    compile: bool = False
    """Compilation of the players' losses, on CUDA only: takes minutes at the start, then updates are faster. A loss
    with a gradient penalty or R1 is not compiled, because torch.compile does not support second derivatives."""

    def __post_init__(self) -> None:
        below_one(self, "average", remedy="use e.g. 0.999, or 0 for none")
        positive(self, "clip", remedy="leave it out for none")
        positive(self, "half_life", remedy="leave it out for constant learning rates")
        at_least(self, 0, "warm_up", remedy="use 0 for none")
        one_of(self, "decay", ("none", "linear"))
        one_of(self, "precision", ("float32", "bfloat16", "auto"))

    def share(self, step: int, updates: int | None) -> float:
        """The share of every learning rate that the update after `step` updates of `updates` in all uses."""
        share = 1.0 if self.half_life is None else 0.5 ** (step / self.half_life)
        if self.decay == "linear":
            if updates is None:
                got = "a linear decay and no number of updates"
                raise problem(
                    "the number of updates that a linear decay ends after", got, "give updates, or decay none"
                )
            share *= max(0.0, 1 - step / updates)
        return share * min(1.0, (step + 1) / (self.warm_up + 1))


class Trainer(Generic[Model]):
    """Trains `model`, one update at a time. `state_dict` is the complete state except for random generators.

    `updates`: the length of the training, for a linear decay of the learning rates; None if it is not known."""

    def __init__(self, model: Model, config: TrainerConfig | None = None, updates: int | None = None):
        self.model, self.config, self.updates = model, config or TrainerConfig(), updates
        self.players = players_of(model)
        self.device = self.players[0].trained[0].device
        if self.device.type != "cuda" and self.config.compile:
            raise problem("a CUDA device for compiled losses", f"{self.device}", "leave --game.compile out here")
        asked = self.config.precision
        self._low = multiplies_bfloat16(self.device) if asked == "auto" else asked == "bfloat16"
        self.optimizers = {player.name: player.make_optimizer() for player in self.players}
        self.other_batch_norms = {player.name: batch_norms_of_others(model, player.trained) for player in self.players}
        self.losses = {player.name: self._loss_of(player) for player in self.players}
        self.average = MovingAverage(_averaged(model), self.config.average) if self.config.average else None
        self.step = 0
        self.steps_per_update = max(player.repeats for player in self.players)
        """Parts into which the images of an update are divided: the largest number of steps of a player."""
        self._unseen: list[tuple[int, Terms]] = []
        self._has_data = False

    def update(self, data: Tensor, labels: Tensor | None = None) -> Terms:
        """Take the steps of every player on data [B, ...], such as images [B, C, H, W] in [0, 1] or tokens [B, T], with
        labels [B]; return the logs, named `player/term`.

        A player with several steps uses different rows in each: the batch is divided into `steps_per_update` equal
        parts.
        """
        if not self._has_data:
            self.model.require_data(data, labels)
            self._has_data = True
        if not self.model.training:
            self.model.train()
        if self.step == 0:
            self.model.before_first_update(data)
        shares = self._shares(data, labels)
        logs: Terms = {}
        for player in self.players:
            for share in shares[: player.repeats]:
                terms = self._turn(player, *share)
            logs |= {f"{player.name}/{term}": value.detach() for term, value in terms.items()}
        self.step += 1
        self.model.after_update(logs)
        if self.average is not None:
            self.average.merge()
        self._unseen.append((self.step, logs))
        if len(self._unseen) >= (UPDATES_PER_LOOK_ON_CUDA if self.device.type == "cuda" else 1):
            self.require_finite()
        return logs

    def _loss_of(self, player: Player) -> Callable[[Tensor, Tensor | None], Terms]:
        return torch.compile(player.loss) if self.config.compile and not player.second_gradients else player.loss

    def _shares(self, data: Tensor, labels: Tensor | None) -> list[tuple[Tensor, Tensor | None]]:
        if len(data) < self.steps_per_update:
            raise problem(
                f"at least {self.steps_per_update} rows, one for each step", f"{len(data)}", "use larger batches"
            )
        parts = data.tensor_split(self.steps_per_update)
        return list(
            zip(
                parts,
                [None] * self.steps_per_update if labels is None else labels.tensor_split(self.steps_per_update),
                strict=True,
            )
        )

    def _turn(self, player: Player, data: Tensor, labels: Tensor | None) -> Terms:
        """One gradient step of one player. Gradients of other parameters are not computed."""
        with frozen_running_stats(self.other_batch_norms[player.name]), self._precision():
            terms = self.losses[player.name](data, labels)
        require_terms(player, terms)
        optimizer = self.optimizers[player.name]
        share = self.config.share(self.step, self.updates)
        for group in optimizer.param_groups:
            group["lr"] = group.get("initial_lr", player.learning_rate) * share
        optimizer.zero_grad(set_to_none=True)
        terms["loss"].backward(inputs=list(player.trained))
        require_gradients(player)
        if self.config.clip is not None:
            terms["gradient_norm"] = nn.utils.clip_grad_norm_(player.trained, self.config.clip)
        if player.gate is not None:  # fused Adam skips a step where found_inf is 1, without synchronizing
            optimizer.found_inf = 1 - terms[player.gate].detach().float()  # type: ignore[attr-defined]
        optimizer.step()
        return terms

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16 if self._low else None, enabled=self._low)

    def require_finite(self) -> None:
        """Raise `Diverged` if a term since the last check is not finite. Synchronizes once for all terms."""
        unseen, self._unseen = self._unseen, []
        if not unseen:
            return
        named = [(step, term, value) for step, logs in unseen for term, value in logs.items()]
        finite = torch.stack([value.float() for _, _, value in named]).isfinite().tolist()
        for (step, term, _), fine in zip(named, finite, strict=True):
            if not fine:
                raise Diverged(step, term)

    def require_finite_weights(self) -> None:
        """Raise `Diverged` if a weight or an optimizer's moment is not finite, which losses may show late or never.
        Synchronizes once."""
        weights: dict[str, list[Tensor]] = {"weights of the model": list(self.model.state_dict().values())}
        if self.average is not None:
            weights["the average of the weights"] = list(self.average.state_dict()["average"].values())
        for name, optimizer in self.optimizers.items():
            moments = [each for state in optimizer.state.values() for each in state.values()]
            weights[f"the moments of {name}"] = [each for each in moments if isinstance(each, Tensor)]
        weights = {name: [each for each in tensors if each.is_floating_point()] for name, tensors in weights.items()}
        weights = {name: floats for name, floats in weights.items() if floats}
        finite = [
            torch.stack([tensor.isfinite().all().to(self.device) for tensor in floats]).all()
            for floats in weights.values()
        ]
        for name, fine in zip(weights, torch.stack(finite).tolist(), strict=True):
            if not fine:
                raise Diverged(self.step, name)

    @contextmanager
    def evaluating(self) -> Iterator[Model]:
        """Within the block the model is in evaluation mode, with the averaged weights if there is an average."""
        training = self.model.training
        self.model.eval()
        try:
            if self.average is None:
                yield self.model
            else:
                with self.average.applied():
                    yield self.model
        finally:
            self.model.train(training)

    def state_dict(self) -> dict[str, Any]:
        """The state of model, optimizers, average and step. Raises `Diverged` if it is not finite."""
        self.require_finite()
        self.require_finite_weights()
        return {
            "model": self.model.state_dict(),
            "optimisers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "average": None if self.average is None else self.average.state_dict(),
            "step": self.step,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if state["optimisers"].keys() != self.optimizers.keys() or (state["average"] is None) != (self.average is None):
            raise problem(
                "a state of the same players and average", "a state of others", "use the configuration of the state"
            )
        self.model.load_state_dict(state["model"])
        for name, optimizer in self.optimizers.items():
            load_optimizer(optimizer, state["optimisers"][name])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.step, self._unseen = state["step"], []


def _averaged(model: GenerativeModel) -> dict[str, nn.Module]:
    names: Sequence[str] = model.averaged or ("",)
    return {name: model.get_submodule(name) for name in names}
