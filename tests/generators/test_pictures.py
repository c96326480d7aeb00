"""What models show of themselves."""

import pytest
import torch

from rlgen.errors import InputError
from rlgen.generators import (
    BEGAN,
    CGAN,
    GAN,
    GENERATORS,
    VAE,
    BEGANConfig,
    CGANConfig,
    GANConfig,
    ImageShape,
    InfoGAN,
    InfoGANConfig,
    PixelCNN,
    PixelCNNConfig,
    SemiSupervisedGAN,
    SemiSupervisedGANConfig,
    VAEConfig,
)
from rlgen.generators.image_model import Samples, great_circle
from rlgen.generators.pictures import grids, reconstruction_grid
from rlgen.system.rng import own_randomness

SMALL = ImageShape(channels=1, height=8, width=8, n_classes=10)
CPU = torch.device("cpu")


class Negative:
    """Reconstructs everything as its negative."""

    def reconstruct(self, images: torch.Tensor) -> torch.Tensor:
        return 1 - images


def test_pictures_are_the_same_each_time_and_disturb_no_random_numbers() -> None:
    model = VAE(SMALL, VAEConfig(latent=2, hidden=(4,)))
    images = torch.rand(40, 1, 8, 8)
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    one, two = (grids(model, images, seed=5) for _ in range(2))
    assert torch.equal(torch.rand(3), expected)
    assert set(one) == {"samples", "reconstructions", "interpolation", "traversals"}
    for name in one:
        assert torch.equal(one[name].images, two[name].images)
        assert len(one[name].images) % one[name].columns == 0


def test_a_gan_shows_no_reconstructions() -> None:
    model = GAN(SMALL, GANConfig(latent=2, generator_hidden=(4,), discriminator_hidden=(4,)))
    assert set(grids(model, torch.rand(40, 1, 8, 8), seed=0)) == {"samples", "interpolation"}


def test_reconstructions_stand_under_their_images() -> None:
    images = torch.rand(20, 1, 2, 2)
    grid = reconstruction_grid(Negative(), images, seed=0)
    assert grid.columns == 10
    rows = grid.images.split(10)
    assert torch.equal(torch.cat([rows[0], rows[2]]), images)
    assert torch.equal(torch.cat([rows[1], rows[3]]), 1 - images)


def test_completions_stand_behind_their_image_and_its_upper_half() -> None:
    model = PixelCNN(SMALL, PixelCNNConfig(width=4, depth=1)).eval()
    images = torch.rand(9, 1, 8, 8).round()
    found = grids(model, images, seed=0)
    assert set(found) == {"samples", "completions"}
    rows = found["completions"].images.unflatten(0, (8, found["completions"].columns))
    assert torch.equal(rows[:, 0], images[:8])
    assert torch.equal(rows[:, :, :, :4], images[:8, None, :, :4].expand(-1, 10, -1, -1, -1)), "all keep the upper half"
    assert rows[:, 1, :, 4:].eq(0.5).all()
    assert not torch.equal(rows[:, 2], rows[:, 3]), "each is another draw"


def test_the_way_between_two_latents_begins_and_ends_there_and_keeps_their_length() -> None:
    torch.manual_seed(0)
    begin, end = torch.randn(50), torch.randn(50)
    end = end / end.norm() * begin.norm()
    path = great_circle(begin.expand(9, 50), end.expand(9, 50), torch.linspace(0, 1, 9)[:, None])
    torch.testing.assert_close(path[0], begin)
    torch.testing.assert_close(path[-1], end)
    torch.testing.assert_close(path.norm(dim=-1), begin.norm().expand(9))
    angles = torch.nn.functional.cosine_similarity(path[1:], path[:-1], dim=-1)
    torch.testing.assert_close(angles, angles[:1].expand(8))


def test_between_parallel_latents_the_way_is_straight() -> None:
    begin = torch.tensor([[1.0, 0.0]])
    for end in (begin, 2 * begin):
        torch.testing.assert_close(great_circle(begin, end, torch.tensor([[0.5]])), (begin + end) / 2)


@pytest.mark.parametrize(
    "model",
    [
        BEGAN(SMALL, BEGANConfig(latent=3, filters=2)),
        SemiSupervisedGAN(SMALL, SemiSupervisedGANConfig(latent=3, generator_hidden=(4,), hidden=(4,))),
        InfoGAN(SMALL, InfoGANConfig(latent=3, categories=4, width=2, hidden=4, guess_hidden=4)),
    ],
    ids=["began", "semi_supervised_gan", "infogan"],
)
def test_between_uniform_latents_the_way_is_straight(model: BEGAN | SemiSupervisedGAN | InfoGAN) -> None:
    begin, end = model.prior(5), model.prior(5)
    middle = model.between(begin, end, torch.full((5, 1), 0.5))
    torch.testing.assert_close(middle[:, :3], (begin + end)[:, :3] / 2)
    torch.testing.assert_close(middle[:, -2:], (begin + end)[:, -2:] / 2)


def test_between_two_latents_with_a_category_that_stays_one() -> None:
    model = InfoGAN(SMALL, InfoGANConfig(latent=3, categories=4, width=2, hidden=4, guess_hidden=4))
    path = model.between(model.prior(5)[:, None], model.prior(5)[:, None], torch.linspace(0, 1, 4)[:, None])
    assert torch.equal(path[..., 3:7], path[:, :1, 3:7].expand(5, 4, 4))
    assert path[..., 3:7].sum(-1).eq(1).all()


def test_a_conditional_model_shows_one_latent_in_every_class_and_ways_within_a_class() -> None:
    config = CGANConfig(latent=2, generator_hidden=(4, 4, 6), discriminator_hidden=(4, 3, 5), pieces=(2, 2))
    model = CGAN(SMALL, config).eval()
    found = grids(model, torch.rand(4, 1, 8, 8), seed=3)
    assert set(found) == {"samples", "classes", "interpolation"}
    with own_randomness(3, CPU):
        latents = model.prior(8)
    shown = found["classes"].images.unflatten(0, (8, 10))
    for label in range(10):
        torch.testing.assert_close(shown[:, label], model.decode(latents, torch.full((8,), label)))
    begins = found["interpolation"].images.unflatten(0, (8, 10))[:, 0]
    torch.testing.assert_close(begins, model.decode(latents, torch.arange(8)))


def test_own_randomness_is_that_of_its_seed() -> None:
    draws = []
    for seed in (1, 1, 2):
        with own_randomness(seed, CPU):
            draws.append(torch.rand(2))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


@pytest.mark.parametrize("name", GENERATORS)
def test_every_registered_model_is_made_of_a_shape_and_its_settings(name: str) -> None:
    kind = GENERATORS[name]
    model, seen = kind(SMALL, kind.config_type()), (torch.rand(2, 1, 8, 8), torch.tensor([0, 1]))
    with torch.no_grad():
        assert (model.sample(2) if isinstance(model, Samples) else model.attacked(*seen, "fgsm")).shape == (2, 1, 8, 8)
    assert name.isidentifier(), "its settings are a field of that name"


def test_a_shape_without_pixels_is_refused() -> None:
    assert SMALL.numbers == 64
    with pytest.raises(InputError):
        ImageShape(channels=0, height=8, width=8)
