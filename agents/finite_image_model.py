"""Checks that an image model still has finite outputs: huge weights may be finite while the outputs are not."""

import torch
from torch import Tensor

from rlgen.generators.image_model import HasLogWeight
from rlgen.generators.pictures import own_randomness
from rlgen.generators.trainer import Diverged, Trainer

SEED, SAMPLES = 40_000, 8


def require_finite_model(game: Trainer, images: Tensor) -> None:
    """Raises `Diverged` if losses, weights, a few samples or the likelihoods of `images` [B, C, H, W], in the form that
    the model sees, are not finite. Has no effect on the training. Passes before the first update."""
    if game.step == 0:  # some models cannot use images before they have learned from some
        return
    game.require_finite()
    game.require_finite_weights()
    with game.evaluating() as model, own_randomness(SEED, images.device), torch.no_grad():
        labels = torch.arange(SAMPLES, device=images.device) % model.shape.n_classes if model.conditional else None
        found = {"samples of the model": model.sample(SAMPLES, labels)}
        if isinstance(model, HasLogWeight):
            found["likelihoods of the model"] = model.log_weight(images, 1)
    finite = torch.stack([value.isfinite().all() for value in found.values()]).tolist()
    for name, fine in zip(found, finite, strict=True):
        if not fine:
            raise Diverged(game.step, name)
