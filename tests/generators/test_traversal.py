"""Latents in which one number moves at a time."""

import pytest
import torch

from rlgen.generators import VAE, VAEGAN, ImageShape, InfoGAN, InfoGANConfig, VAEConfig, VAEGANConfig
from rlgen.generators.image_model import Traverses
from rlgen.generators.pictures import active_traversal, activity, grids, traversal

SHAPE = ImageShape(channels=1, height=8, width=8)


def test_an_inactive_number_has_no_activity_and_an_active_one_that_of_its_means() -> None:
    torch.manual_seed(0)
    images, noise = torch.randn(400), torch.randn(1000, 400, 2)
    latents = torch.stack([noise[..., 0], 0.8 * images + 0.6 * noise[..., 1]], -1)
    inactive, active = activity(latents)
    assert inactive < 0.01
    assert float(active) == pytest.approx(0.64 * float(images.var()), rel=0.05)


def test_few_draws_of_an_inactive_number_do_not_make_it_active() -> None:
    torch.manual_seed(0)
    # 1/16 if the draws' own variance counted; the standard error is about 1/16 · (2 / 20,000)**0.5.
    assert activity(torch.randn(16, 20_000, 1)).abs().item() < 5 / 16 * 0.01
    assert activity(torch.randn(16, 1, 3)).tolist() == [0.0] * 3


def test_in_every_row_one_number_moves_and_the_others_stay() -> None:
    start = torch.tensor([1.0, 2.0, 3.0])
    rows = traversal(start, torch.tensor([2, 0]), columns=5, farthest=2.0).unflatten(0, (2, 5))
    torch.testing.assert_close(rows[0, :, 2], torch.linspace(-2, 2, 5))
    torch.testing.assert_close(rows[1, :, 0], torch.linspace(-2, 2, 5))
    assert torch.equal(rows[0, :, :2], start[:2].expand(5, 2))
    assert torch.equal(rows[1, :, 1:], start[1:].expand(5, 2))


def test_the_most_active_numbers_come_first_and_no_more_than_there_are() -> None:
    latents = torch.zeros(2, 2, 3)
    latents[:, 1] = torch.tensor([0.1, 3.0, 1.0])
    moved = active_traversal(latents, rows=8, columns=3).unflatten(0, (3, 3))
    assert [int((row[0] != row[-1]).nonzero()) for row in moved] == [1, 2, 0]


@pytest.mark.parametrize(
    "model",
    [
        VAE(SHAPE, VAEConfig(latent=3, hidden=(4,))),
        VAE(SHAPE, VAEConfig(latent=3, hidden=(4,), posterior="iaf", flow_hidden=(4,))),
        VAEGAN(SHAPE, VAEGANConfig(latent=3, width=2)),
    ],
    ids=["vae", "flow", "vae_gan"],
)
def test_models_that_encode_show_what_their_latents_do(model: VAE | VAEGAN) -> None:
    found = grids(model.eval(), torch.rand(40, 1, 8, 8), seed=0)["traversals"]
    assert isinstance(model, Traverses)
    assert found.images.shape == (30, 1, 8, 8)
    assert all(not torch.equal(row[0], row[-1]) for row in found.images.split(10))


def test_infogan_shows_its_uniform_codes_and_without_any_nothing() -> None:
    for codes, rows in ((2, 8), (3, 6), (9, 8), (0, 0)):
        config = InfoGANConfig(latent=3, categories=4, uniform_codes=codes, width=2, hidden=4, guess_hidden=4)
        model = InfoGAN(SHAPE, config).eval()
        found = grids(model, torch.rand(40, 1, 8, 8), seed=0)
        assert ("traversals" in found) == bool(rows)
        if rows:
            assert len(found["traversals"].images) == 10 * rows
