"""Images of zeros and ones, which a Bernoulli likelihood is about; its NLL in nats depends on how they are made.

- *Stochastic* (`stochastic_binarisation`): a pixel of brightness p is 1 with probability p, drawn afresh whenever the
  image is drawn. Burda et al. 2016 (1509.00519), section 5, and most VAEs since.
- *Fixed* (`fixed_binarisation`): the same draw, once, by seed. Salakhutdinov & Murray 2008. Overfits earlier. The
  files that the literature shares (Larochelle & Murray 2011) are one such draw, and ours by seed another.
- None: brightness as if it were a probability. Its "NLL" is no likelihood of any data and is not comparable:
  `rlgen train image` refuses it.
"""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from rlgen.data.images import ImageSet

Images = Float[Tensor, "*batch"]
PIECE = 4096
"""Images binarised at a time."""


def stochastic_binarisation(images: Images, generator: torch.Generator) -> Images:
    """1 with the probability that the brightness [0, 1] says, else 0: a transform of `Minibatches`.

    The noise is drawn on the generator's device, so that a seed gives the same images on every other one.
    """
    noise = torch.rand(images.shape, generator=generator, device=generator.device, dtype=images.dtype)
    return (noise.to(images.device) < images).to(images.dtype)


def fixed_binarisation(image_set: ImageSet, seed: int = 0) -> ImageSet:
    """The set with every pixel 0 or 255, drawn once. The first n images are the same however many follow."""
    generator = torch.Generator().manual_seed(seed)
    pieces = [
        stochastic_binarisation(image_set.floats(slice(start, start + PIECE)), generator).mul(255).to(torch.uint8)
        for start in range(0, len(image_set), PIECE)
    ]
    return replace(image_set, images=torch.cat(pieces), name=f"{image_set.name}, binarised with seed {seed}")
