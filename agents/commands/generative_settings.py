"""Settings that trainings of generative models share, of images and texts."""

import logging
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cache
from typing import Any, ClassVar, Self, get_type_hints

import numpy as np
import torch

from rlgen import distributed
from rlgen.checks import at_least, positive
from rlgen.display import Display, Metric, Panel
from rlgen.errors import problem
from rlgen.generators.generative_model import GenerativeModel
from rlgen.generators.trainer import TrainerConfig
from rlgen.runs.config import from_json
from rlgen.system.device import choose_device

from .choices import needs, typed, with_fields
from .parsing import options_of
from .settings import RunSettings
from .table import DEFINED

log = logging.getLogger("rlgen")


@dataclass(frozen=True, kw_only=True)
class GenerativeSettings(RunSettings):
    """Settings of the training of a generative model."""

    models: ClassVar[Mapping[str, type[GenerativeModel]]]
    """The models by their names on the command line."""
    default_steps: ClassVar[int]
    """Updates of the whole training when no length is given."""
    general_panels: ClassVar[tuple[Panel, ...]]
    """Panels of the metrics of evaluations."""
    general_results: ClassVar[tuple[Metric, ...]]
    """Metrics of the result that reports show first."""

    model: str = ""
    """Name of the model."""
    steps: float | None = None
    """Updates of the whole training."""
    epochs: float | None = None
    """Passes over the training data, instead of --steps."""
    log_every: int = 50
    """Updates between rows of metrics; each row is the mean since the last."""
    evaluate_every: int = 1_000
    """Updates between evaluations, one of them after the last update; 0 for none."""
    checkpoint_every: int = 1_000
    """Updates between checkpoints; 0 for a single one at the end."""
    game: TrainerConfig = field(default_factory=TrainerConfig)
    """Training of any model: optimizers and schedules."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps is not None and self.epochs is not None:
            got = f"--steps {self.steps:g} and --epochs {self.epochs:g}"
            raise problem("steps or epochs", got, "leave one of them out")
        positive(self, "steps", "epochs")
        at_least(self, 1, "log_every")
        at_least(self, 0, "evaluate_every", "checkpoint_every")
        if self.model not in self.models:
            raise problem(f"a model of {', '.join(self.models)}", repr(self.model), "choose one of these")
        self.model_config  # noqa: B018  # its checks

    @classmethod
    def settings_of(cls, model: str) -> type[Self]:
        """These settings with those of one model."""
        kind: Any = DEFINED[cls.agent]
        return _settings_of(kind, model)

    @classmethod
    def settings_names(cls, model: str) -> tuple[str, ...]:
        """The fields of `settings_of(model)` with the settings of the model: one group, or each setting."""
        kind = cls.models[model]
        return (model,) if kind.grouped else tuple(each.name for each in fields(kind.config_type))

    @classmethod
    def for_arguments(cls, arguments: Sequence[str], values: Mapping[str, Any]) -> type[Self]:
        """The class with the settings of the chosen model."""
        asked = typed(arguments, "--model") or values.get("model", DEFINED[cls.agent].model)
        return cls.settings_of(asked) if isinstance(asked, str) and asked in cls.models else cls

    @classmethod
    def elsewhere(cls) -> dict[str, str]:
        """Options that other models read, by option, each with its models."""
        own = {option.rpartition(".")[2] for option in options_of(cls.models[cls.model].config_type, f"{cls.model}.")}
        others = {name: kind for name, kind in cls.models.items() if name != cls.model}
        return {
            option: choice
            for name, kind in others.items()
            for option, choice in needs(
                "--model", [name], options_of(kind.config_type, f"{name.replace('_', '-')}." if kind.grouped else "")
            ).items()
            if option.removeprefix("--") not in own  # --learning-rate is rather --vae.learning-rate without its group
        }

    @classmethod
    def without_idle(cls, values: Mapping[str, Any], arguments: Sequence[str]) -> dict[str, Any]:
        """`values` without the settings that the typed model does not read, and with only the typed one of steps and
        epochs."""
        idle = {name for model in cls.models for name in cls.settings_names(model)} - {
            each.name for each in fields(cls)
        }
        idle |= {"epochs"} if typed(arguments, "--steps") else {"steps"} if typed(arguments, "--epochs") else set()
        read = {name: value for name, value in values.items() if name not in idle}
        return read | ({"model": cls.model} if typed(arguments, "--model") in cls.models else {})

    @classmethod
    def restored(cls, values: dict[str, Any]) -> Self:
        model = values.get("model")
        if not isinstance(model, str) or model not in cls.models:
            remedy = "use the version of rlgen that wrote it"
            raise problem(f"a model of {', '.join(cls.models)}", repr(model), remedy)
        return from_json(cls.settings_of(model), values)

    @property
    def model_config(self) -> Any:
        """The settings of the chosen model; its defaults where there are none."""
        kind = self.models[self.model]
        if kind.grouped:
            return getattr(self, self.model, None) or kind.config_type()
        given = {name: getattr(self, name) for name in self.settings_names(self.model) if hasattr(self, name)}
        return kind.config_type(**given)

    def display(self) -> Display:
        kind = self.models[self.model]
        own = {metric.name for panel in kind.panels for metric in panel.metrics}
        general = [
            panel for panel in self.general_panels if not own.intersection(metric.name for metric in panel.metrics)
        ]
        results = {metric.name: metric for metric in (*self.general_results, *kind.results)}
        return Display(
            name=self.model.upper().replace("_", " "),
            panels=tuple(replace(panel, steps="updates") for panel in (*general, *kind.panels)),
            results=tuple(results.values()),
        )

    def updates(self, size: int, per_update: int) -> int:
        """Number of updates in all. `size`: images or tokens of the training data; `per_update`: those of an update
        that count towards an epoch."""
        if self.epochs is not None:
            return math.ceil(self.epochs * size / per_update)
        return math.ceil(self.default_steps if self.steps is None else self.steps)

    def intervals(self) -> tuple[float, float]:
        return self.checkpoint_every or math.inf, self.evaluate_every

    def with_steps(self, steps: float) -> Self:
        return replace(self, steps=steps, epochs=None)

    def start_device(self, what: str) -> torch.device:
        """The device of the training, which the log names, after a check that `what` is trained by one process."""
        distributed.require_single_process(what)
        device, sentence = choose_device(self.device)
        log.info(sentence)
        return device

    def seed_generators(self) -> None:
        """Seed all global generators; libraries draw from the first two."""
        for seed in (random.seed, np.random.seed, torch.manual_seed):
            seed(self.seed)


@cache
def _settings_of(kind: Any, model: str) -> Any:
    """The settings `kind` with those of one model."""
    chosen = kind.models[model]
    own: list[Any] = [("model", get_type_hints(kind)["model"], field(default=model))]
    if not chosen.grouped:
        return with_fields(kind, own, chosen.config_type)
    return with_fields(kind, [*own, (model, chosen.config_type, field(default_factory=chosen.config_type))])
