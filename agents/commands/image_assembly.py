"""Which images, model and game the training of an image model consists of."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from rlgen.data.binarisation import fixed_binarisation, stochastic_binarisation
from rlgen.data.images import ImageSet
from rlgen.data.minibatches import Minibatches
from rlgen.data.partly_labelled import PartlyLabelled
from rlgen.errors import problem
from rlgen.generators.image_shape import ImageShape
from rlgen.generators.pictures import grids
from rlgen.generators.registry import GENERATORS
from rlgen.generators.trainer import Game
from rlgen.runs.device import choose_device
from rlgen.runs.image_grid import image_grid

from .train_image import TrainImage

log = logging.getLogger("rlgen")
PICTURE_SEED, PICTURED = 20_000, 40


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

    def pictures(self) -> dict[str, np.ndarray]:
        """What the model shows of itself now, by name, always of the same latents and test images."""
        with self.game.evaluating() as model:
            shown = grids(model, self.held_out.floats(slice(PICTURED)), PICTURE_SEED)
        return {name: image_grid(grid.images.float().cpu().numpy(), grid.columns) for name, grid in shown.items()}


def build(config: TrainImage) -> Parts:
    """Everything that may find fault with the settings or the data."""
    if config.classifier not in ("auto", "none") and not Path(config.classifier).is_file():
        came = f"{config.classifier!r}, where no file is"
        raise problem("a classifier auto, none, or the .json of a kept one", came, "check the path")
    device, sentence = choose_device(config.device)
    log.info(sentence)
    train, test = (ImageSet.load(config.data, split).to(device) for split in ("train", "test"))
    channels, height, width = train.shape
    shape = ImageShape(channels=channels, height=height, width=width, n_classes=train.n_classes)
    torch.manual_seed(config.seed)
    # Its weights are drawn on the CPU, so that a seed means the same ones everywhere.
    model = GENERATORS[config.model](shape, config.model_config).to(device)
    game = Game(model, config.game)
    binarise = config.binarise
    if binarise == "auto":
        binarise = "stochastic" if model.binary else "none"
    seen = fixed_binarisation(train, config.seed) if binarise == "fixed" else train
    transforms = [stochastic_binarisation] if binarise == "stochastic" else []
    size = config.batch_size * game.turns
    batches = (
        PartlyLabelled(seen.labelled(config.told_labels, config.seed), seen, size, config.seed, transforms)
        if model.semi_supervised
        else Minibatches(seen, size, config.seed, transforms)
    )
    held_out = test if binarise == "none" else fixed_binarisation(test)
    return Parts(game=game, batches=batches, train=train, test=test, held_out=held_out)
