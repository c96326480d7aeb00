"""Images that no model of images can learn from are refused at the first update."""

import pytest
import torch
from torch import Tensor

from rlgen.errors import InputError
from rlgen.generators import VAE, ImageShape, Trainer, VAEConfig

IMAGES = torch.linspace(0, 1, 64).view(4, 1, 4, 4)
LABELS = torch.tensor([0, 1, 2, 0])


def game() -> Trainer[VAE]:
    return Trainer(VAE(ImageShape(channels=1, height=4, width=4, n_classes=3), VAEConfig(latent=2, hidden=(4,))))


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (2 * IMAGES - 1, r"got values from -1 to 1; give \(images \+ 1\) / 2"),
        (255 * IMAGES, "got values from 0 to 255; divide them by 255"),
        (IMAGES + torch.nan, "got values from nan to nan; rescale them"),
        ((255 * IMAGES).byte(), r"got torch.uint8; give images.float\(\) / 255"),
        (IMAGES[:, 0], r"got the shape \[4, 4, 4\]"),
        (IMAGES.mT[:, :, :2], r"images \[B, 1, 4, 4\] .*; got the shape \[4, 1, 2, 4\]"),
        (IMAGES.numpy(), "got a ndarray; give a tensor"),
    ],
    ids=["-1 to 1", "0 to 255", "nan", "bytes", "no channels", "another size", "numpy"],
)
def test_images_of_another_range_type_or_shape_are_refused(images: Tensor, said: str) -> None:
    with pytest.raises(InputError, match=said):
        game().update(images, LABELS)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (LABELS + 1, "labels from 1 to 3; number the classes from 0"),
        (LABELS - 1, "labels from -1 to 1"),
        (LABELS[:3], r"for each of 4 images; got torch.int64 \[3\]"),
        (LABELS.float(), "got torch.float32"),
    ],
    ids=["from 1 on", "below 0", "too few", "floats"],
)
def test_labels_of_other_classes_are_refused(labels: Tensor, said: str) -> None:
    with pytest.raises(InputError, match=said):
        game().update(IMAGES, labels)


def test_the_rounding_of_resized_images_is_accepted() -> None:
    trainer = game()
    trainer.update(IMAGES * 1.0002 - 1e-4, LABELS)
    assert trainer.step == 1
