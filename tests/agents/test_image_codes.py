"""What is measured of a model that finds codes by itself."""

import pytest
import torch
from torch import Tensor

from rlgen.agents.image_metrics import measure
from rlgen.data import ImageSet
from rlgen.generators import ImageShape, InfoGAN, InfoGANConfig


class Knowing(InfoGAN):
    """Its code of an image is one more than the image's brightest column, in a circle of ten."""

    def infer_category(self, images: Tensor) -> Tensor:
        return (images.sum((1, 2)).argmax(-1) + 1) % 10


def test_codes_are_matched_with_classes() -> None:
    torch.manual_seed(0)
    labels = torch.arange(8).repeat(20)
    images = torch.zeros(160, 1, 8, 8, dtype=torch.uint8)
    images[torch.arange(160), 0, :, labels] = 200
    images[:40] = images[torch.arange(40).roll(1)]  # the code of these tells another class
    found = ImageSet(images, labels, classes=8)
    model = Knowing(ImageShape(channels=1, height=8, width=8), InfoGANConfig(latent=2, width=2, hidden=4)).eval()
    metrics = measure(model, found, found, found, "none", 20, 1)
    # A quarter is wrong: of the 80 images on which it is judged about 20, with a standard deviation of 3.
    assert metrics["code_accuracy"] == pytest.approx(0.75, abs=0.15)
