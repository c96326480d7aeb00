"""The settings of a policy's encoder of images, and where it starts from."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gymnasium import spaces
from stable_baselines3.common.preprocessing import is_image_space

from rlgen.checks import at_least
from rlgen.data.spaces import channels_first_shape, with_entries
from rlgen.deprecation import UNLESS_NONE
from rlgen.errors import problem
from rlgen.generators.vae import VAE
from rlgen.runs.image_files import load_image_model
from rlgen.sb3.encoded_images import PRETRAINED, encoded_parts, settings_of


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """Settings of features of images that start as a VAE's encoder; the features are the means of its posterior."""

    run: Path | None = field(default=None, metadata=UNLESS_NONE)
    """Run folder of `rlgen train image --model vae` (or iaf_vae) on images of the observations' size, whose encoder the
    policy starts from; a resumed run reads it again. By default features start random."""
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

    def model(self) -> VAE | None:
        """The trained model of `run`, if there is one. Raises `InputError` for another kind of model."""
        if self.run is None:
            return None
        found = load_image_model(self.run)
        if not isinstance(found, VAE):
            got = f"a {type(found).__name__} in {self.run}"
            raise problem("the run of a VAE (vae or iaf_vae), which has an encoder", got, "train one on such images")
        return found


def encoder_settings(config: EncoderConfig, model: VAE | None, observed: spaces.Space) -> dict[str, Any]:
    """Arguments of the features extractor for observations of this space.

    Raises `InputError` unless these have one image, of the size that `model` was trained on.
    """
    spaces_of_images = [space for space in with_entries(observed).values() if is_image_space(space)]
    if len(spaces_of_images) != 1 or len(spaces_of_images[0].shape) != 3:
        raise problem("observations with one image, for an encoder", f"{observed}", "leave the encoder out")
    seen = channels_first_shape(spaces_of_images[0].shape)
    if model is not None and model.shape.chw != seen:
        got = f"{model.shape}, which the model in {config.run} was trained on"
        size = " × ".join(map(str, seen))
        raise problem(f"an encoder of images of {size}, as the policy sees them", got, "train one on such images")
    return settings_of(PRETRAINED if model is None else model.config, config.freeze)


def start_encoders(policy: Any, config: EncoderConfig, model: VAE | None) -> None:
    """Starts the encoders of `policy` from `model`; without it, they wait for the demonstrations."""
    for part in encoded_parts(policy).values():
        part.pretraining = config.pretrain
        if model is not None:
            part.start_from(model)


def require_started(policy: Any) -> None:
    """Raises `InputError` where an encoder waits for demonstrations, in a training without any."""
    if any(part.pretraining for part in encoded_parts(policy).values()):
        remedy = "give the run of an image model, e.g. of `rlgen train image --model vae`"
        raise problem("demonstrated images to train the encoder on", "a training without demonstrations", remedy)
