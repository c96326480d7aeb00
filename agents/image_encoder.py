"""The settings of a policy's encoder of images or instructions, and where it starts from."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gymnasium import spaces
from stable_baselines3.common.preprocessing import is_image_space

from rlgen.checks import at_least
from rlgen.data.cells import VIEW
from rlgen.data.spaces import channels_first_shape, short, with_entries
from rlgen.data.words import MISSION, WORDS
from rlgen.deprecation import UNLESS_NONE
from rlgen.errors import problem
from rlgen.generators.instruction_model import InstructionModel
from rlgen.generators.registry import GENERATORS, INSTRUCTION_MODELS
from rlgen.generators.vae import VAE
from rlgen.nn.cross_modal import SIDE
from rlgen.runs.image_files import load_image_model
from rlgen.runs.instruction_files import load_instruction_model
from rlgen.runs.model_files import read_card
from rlgen.sb3.encoded_images import PRETRAINED, encoded_parts, settings_of
from rlgen.sb3.instructed import shows_instructions
from rlgen.sb3.instruction_extractor import InstructionFeatures, instruction_settings

Encoder = VAE | InstructionModel
"""A trained model whose encoder or network a policy may start from."""


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """Settings of features that start as those of a trained model: of images as a VAE's encoder, the means of its
    posterior, or of instructions and views as the network of a model of instructions."""

    run: Path | None = field(default=None, metadata=UNLESS_NONE)
    """Run folder of `rlgen train image --model vae` (or iaf_vae) on images of the observations' size, whose encoder the
    policy starts from, or of `rlgen train instruction`, whose network it starts from; a resumed run reads it again. By
    default features start random."""
    pretrain: int = 0
    """Updates of a VAE on the demonstrated images before they are imitated, e.g. 2000, whose encoder the policy starts
    from; 0 for none."""
    freeze: bool = False
    """Encoder that stays as it starts, so that only the layers behind it learn."""

    def __post_init__(self) -> None:
        if self.run is not None:  # a resumed run may start in another working folder
            object.__setattr__(self, "run", self.run.resolve())
        at_least(self, 0, "pretrain")
        if self.run is not None and self.pretrain:
            got = f"run {self.run} and pretrain {self.pretrain}"
            raise problem("one start of the encoder", got, "leave one of them out")
        if self.freeze and not self.used:
            raise problem("an encoder to freeze", "neither run nor pretrain", "add e.g. pretrain 2000")

    @property
    def used(self) -> bool:
        """Whether features start as an encoder."""
        return self.run is not None or self.pretrain > 0

    def model(self) -> Encoder | None:
        """The trained model of `run`, if there is one. Raises `InputError` for another kind of model."""
        if self.run is None:
            return None
        kind, _ = read_card(self.run, {**GENERATORS, **INSTRUCTION_MODELS})
        if kind in INSTRUCTION_MODELS.values():
            return load_instruction_model(self.run)
        found = load_image_model(self.run)
        if not isinstance(found, VAE):
            got = f"a {type(found).__name__} in {self.run}"
            expected = "the run of a VAE (vae or iaf_vae), which has an encoder, or of a model of instructions"
            raise problem(expected, got, "train one on such observations")
        return found


def encoder_settings(config: EncoderConfig, model: Encoder | None, observed: spaces.Space) -> dict[str, Any]:
    """Arguments of the features extractor for observations of this space.

    Raises `InputError` unless these have one image, of the size that `model` was trained on, or, for a model of
    instructions, instructions as it reads them.
    """
    if isinstance(model, InstructionModel):
        _require_instructions(config, model, observed)
        return instruction_settings(model.config.network, config.freeze)
    if shows_instructions(observed):
        expected, remedy = "a model of instructions for observations with one", "give the run of one, or no encoder"
        raise problem(f"{expected} (`rlgen train instruction`)", "a VAE of images", remedy)
    spaces_of_images = [space for space in with_entries(observed).values() if is_image_space(space)]
    if len(spaces_of_images) != 1 or len(spaces_of_images[0].shape) != 3:
        raise problem("observations with one image, for an encoder", short(observed), "leave the encoder out")
    seen = channels_first_shape(spaces_of_images[0].shape)
    if model is not None and model.shape.chw != seen:
        got = f"{model.shape}, which the model in {config.run} was trained on"
        size = " × ".join(map(str, seen))
        raise problem(f"an encoder of images of {size}, as the policy sees them", got, "train one on such images")
    return settings_of(PRETRAINED if model is None else model.config, config.freeze)


def _require_instructions(config: EncoderConfig, model: InstructionModel, observed: spaces.Space) -> None:
    if not shows_instructions(observed):
        got = f"{short(observed)}, and a model of instructions in {config.run}"
        raise problem("observations with an instruction", got, "use a task of BabyAI or MiniGrid")
    words, view = (with_entries(observed)[name] for name in (MISSION, VIEW))
    if (rows := view.shape[:2]) != (SIDE, SIDE):
        remedy = "make the task with agent_view_size=7, or leave the encoder out"
        raise problem(f"a view of {SIDE} x {SIDE} cells, for an encoder", f"{rows[0]} x {rows[1]}", remedy)
    seen = (int(words.high.max()) + 1, words.shape[0])
    if (model.vocabulary, model.length) != seen:
        got = f"{model.length} of {model.vocabulary}, which the model in {config.run} reads"
        remedy = "train one on demonstrations of such a task"
        raise problem(f"instructions of {seen[1]} words of {seen[0]}, as the policy sees them", got, remedy)


def require_words(model: Encoder, words: Sequence[str]) -> None:
    """Raises `InputError` for a model of instructions with other words than those of the task, by their numbers."""
    if not isinstance(model, InstructionModel) or (*WORDS, *model.own_words) == tuple(words):
        return
    got = ", ".join(model.own_words[:5]) or "none besides"
    raise problem(
        f"a model of instructions in the task's own words ({', '.join(words[len(WORDS) :][:5]) or 'none'})",
        got,
        "train one on demonstrations of this task",
    )


def start_encoders(policy: Any, config: EncoderConfig, model: Encoder | None) -> None:
    """Starts the encoders of `policy` from `model`; without it, they wait for the demonstrations."""
    if isinstance(model, InstructionModel):
        for each in policy.modules():
            if isinstance(each, InstructionFeatures):
                each.start_from(model)
        return
    for part in encoded_parts(policy).values():
        part.pretraining = config.pretrain
        if model is not None:
            part.start_from(model)


def require_started(policy: Any) -> None:
    """Raises `InputError` where an encoder waits for demonstrations, in a training without any."""
    if any(part.pretraining for part in encoded_parts(policy).values()):
        remedy = "give the run of an image model, e.g. of `rlgen train image --model vae`"
        raise problem("demonstrated images to train the encoder on", "a training without demonstrations", remedy)
