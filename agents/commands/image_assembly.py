"""Which images, model and game the training of an image model consists of."""

import logging
import random
from dataclasses import dataclass

import numpy as np
import torch

from rlgen.data.images import ImageSet, fixed_binarisation, stochastic_binarisation
from rlgen.data.minibatches import Minibatches, PartlyLabelled
from rlgen.generators.image_model import ImageShape
from rlgen.generators.pictures import grids
from rlgen.generators.registry import GENERATORS
from rlgen.generators.trainer import Game
from rlgen.runs.device import choose_device
from rlgen.runs.image_grid import image_grid

from ..image_soundness import require_sound
from .image_faults import (
    binarisation_of,
    require_batches,
    require_classifier_file,
    require_measurable,
    require_one_kind,
)
from .train_image import TrainImage

log = logging.getLogger("rlgen")
PICTURE_SEED, PICTURED, JUDGED = 20_000, 40, 100


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a training consists of."""

    game: Game
    batches: Minibatches | PartlyLabelled
    train: ImageSet
    """As they are, not binarised."""
    test: ImageSet
    """As they are, too."""
    held_out: ImageSet
    """The test images as the model sees images: binarised once where it is trained on zeros and ones."""

    def require_sound(self) -> None:
        """Raise `Diverged` where the model is no longer one."""
        require_sound(self.game, self.held_out.floats(slice(JUDGED)))

    def pictures(self) -> dict[str, np.ndarray]:
        """What the model shows of itself now, by name, always of the same latents and test images."""
        with self.game.evaluating() as model:
            shown = grids(model, self.held_out.floats(slice(PICTURED)), PICTURE_SEED)
        return {name: image_grid(grid.images.float().cpu().numpy(), grid.columns) for name, grid in shown.items()}


def build(config: TrainImage) -> Parts:
    """Everything that may find fault with the settings or the data."""
    require_classifier_file(config.classifier)
    device, sentence = choose_device(config.device)
    log.info(sentence)
    train, test = (ImageSet.load(config.data, split).to(device) for split in ("train", "test"))
    require_one_kind(train, test)
    require_measurable(train, test, config.classifier, config.measured)
    channels, height, width = train.shape
    shape = ImageShape(channels=channels, height=height, width=width, n_classes=train.n_classes)
    for seed in (random.seed, np.random.seed, torch.manual_seed):  # libraries draw from the first two
        seed(config.seed)
    # Its weights are drawn on the CPU, so that a seed means the same ones everywhere.
    model = GENERATORS[config.model](shape, config.model_config).to(device)
    require_batches(model, config.batch_size, train)
    game = Game(model, config.game)
    binarise = binarisation_of(model, config.binarise)
    seen = fixed_binarisation(train, config.seed) if binarise == "fixed" else train
    transforms = [stochastic_binarisation] if binarise == "stochastic" else []
    size = config.batch_size * game.turns
    batches = (
        PartlyLabelled(seen.labelled(config.told_labels, config.seed), seen, size, config.seed, transforms)
        if model.semi_supervised
        else Minibatches(seen, size, config.seed, transforms)
    )
    held_out = as_seen(test, binarise)
    return Parts(game=game, batches=batches, train=train, test=test, held_out=held_out)


def as_seen(test: ImageSet, binarise: str) -> ImageSet:
    """Test images as a model trained with such binarisation sees images."""
    return test if binarise == "none" else fixed_binarisation(test)
