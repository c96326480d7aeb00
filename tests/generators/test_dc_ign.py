"""DC-IGN: what varies within its minibatches, the gradients of its latents, and what they learn."""

import pytest
import torch
from torch import Tensor

from rlgen.data.images import ImageSet
from rlgen.data.minibatches import Minibatches
from rlgen.errors import InputError
from rlgen.generators import DCIGN, DCIGNConfig, ImageShape, Trainer
from rlgen.generators.image_model import Decoder, Reconstructs, Traverses, VariesFactors
from rlgen.generators.pictures import grids
from rlgen.nn.rendered import AMBIENT, rendered

SHAPE = ImageShape(channels=1, height=8, width=8)
COLOR = ImageShape(channels=3, height=9, width=6)


def model_of(shape: ImageShape = SHAPE, **settings: object) -> DCIGN:
    torch.manual_seed(0)
    return DCIGN(shape, DCIGNConfig(**{"latent": 3, "width": 4, "hidden": 16, "minibatch": 5, **settings}))  # type: ignore[arg-type]


def images_of(shape: ImageShape = SHAPE, n: int = 20) -> Tensor:
    return torch.rand(n, *shape.chw, generator=torch.Generator().manual_seed(1))


def test_in_every_minibatch_one_factor_varies(monkeypatch: pytest.MonkeyPatch) -> None:
    model, images = model_of(intrinsic_ratio=1.0), images_of(n=203)
    asked = []
    monkeypatch.setattr(model, "render", lambda each, values: asked.append((each, values)) or each)
    varied = model.varied(images)
    (shown, values) = (each.unflatten(0, (40, 5)) for each in asked[0])
    assert varied.active.shape == (40, 5)
    kinds = set()
    for group, active in enumerate(varied.active.tolist()):
        rotations, lights = (values[group, :, factor].unique().numel() for factor in (0, 1))
        originals = shown[group].flatten(1).unique(dim=0).shape[0]
        varying = (rotations > 1, lights > 1, originals > 1)
        assert sum(varying) == 1
        assert active == [varying[0], varying[1], *[varying[2]] * 3]
        kinds.add(varying)
    assert len(kinds) == 3
    assert values.abs().max() <= 1


def test_minibatches_of_the_intrinsic_are_as_frequent_as_the_ratio_says() -> None:
    model = model_of(intrinsic_ratio=10.0, minibatch=2)
    torch.manual_seed(0)
    active = torch.cat([model.varied(images_of(n=2_000)).active for _ in range(4)])
    assert active.float().mean(0)[[0, 1, 4]].tolist() == pytest.approx([1 / 12, 1 / 12, 10 / 12], abs=0.025)


def test_images_are_rendered_alike_in_either_precision() -> None:
    values = torch.tensor([[0.3, -0.7], [-0.9, 0.2]])
    exact = rendered(images_of(n=2), values, (45.0, 60.0))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(rendered(images_of(n=2), values, (45.0, 60.0)), exact)


def test_an_image_at_zero_is_upright_and_a_light_from_the_right_darkens_the_left() -> None:
    images = torch.ones(3, 1, 9, 9)
    values = torch.tensor([[0.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    found = rendered(images, values, (45.0, 60.0))[:, 0]
    assert found[0, 4, 4] == pytest.approx(1)
    torch.testing.assert_close(found[0], found[0].flip(-1))
    torch.testing.assert_close(found[1], found[2].flip(-1))
    assert found[1, :, 0].max() == pytest.approx(AMBIENT)
    assert found[1, :, 6:].min() > 0.8


def test_the_decoder_has_no_part_in_the_gradient_of_clamped_latents(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(invariance=0.0)
    seen: list[Tensor] = []
    decoded = model.decoded

    def keep(latents: Tensor) -> Tensor:
        seen.append(latents)
        return decoded(latents)

    monkeypatch.setattr(model, "decoded", keep)
    monkeypatch.setattr(model.posterior, "kl", lambda features: torch.zeros(len(features), model.latent))
    varied = model.varied(images_of())
    varied.active[:] = torch.tensor([True, False, False, False, False])  # the rotation
    monkeypatch.setattr(model, "varied", lambda images: varied)
    (weight,) = torch.autograd.grad(model.loss(images_of())["loss"], [model.posterior.head.weight])
    means, log_stds = weight.chunk(2)
    for head in (means, log_stds):
        assert head[0].abs().sum() > 0
        assert head[1:].abs().sum() == 0
    latents = seen[0].unflatten(0, (4, 5))
    assert (latents[:, :, 1:] == latents[:, :1, 1:]).all()
    assert latents[0, :, 0].unique().numel() == 5


@pytest.mark.parametrize("shape", [SHAPE, COLOR, ImageShape(channels=1, height=28, width=28)])
def test_it_learns_decodes_and_shows_traversals_of_images_of_any_size(shape: ImageShape) -> None:
    model, images = model_of(shape), images_of(shape)
    for protocol in (Decoder, Reconstructs, Traverses, VariesFactors):
        assert isinstance(model, protocol)
    game = Trainer(model)
    losses = [game.update(images)["dc_ign/loss"].item() for _ in range(20)]
    assert sum(losses[-5:]) < sum(losses[:5])
    for made in (model.sample(20), model.reconstruct(images)):
        assert made.shape == images.shape
        assert not made.requires_grad
        assert 0 <= made.min() <= made.max() <= 1
    assert model.encode(images).shape == (20, 5)
    assert {"samples", "reconstructions", "interpolation", "traversals"} == grids(model, images, seed=0).keys()


def test_the_first_rows_of_the_traversals_are_those_of_the_factors() -> None:
    model, images = model_of(), images_of()
    torch.manual_seed(0)
    shown = model.traversals(images, 4, 7).unflatten(0, (4, 7))
    torch.manual_seed(0)
    two = model.traversals(images, 2, 7).unflatten(0, (2, 7))
    torch.testing.assert_close(shown[:2], two)
    for row in shown:
        assert not torch.allclose(row[0], row[-1])


def test_the_latents_of_factors_go_from_the_lowest_to_the_highest_image(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, images = model_of(), images_of()
    with torch.no_grad():
        model.posterior.head.bias[model.latent :] = -20  # no noise
    monkeypatch.setattr(model, "decode", lambda latents: latents)
    shown, latents = model.traversals(images, 5, 4).unflatten(0, (5, 4)), model.encode(images)
    for factor in (0, 1):
        ends = torch.stack([latents[:, factor].min(), latents[:, factor].max()])
        torch.testing.assert_close(shown[factor, [0, -1], factor], ends, atol=1e-4, rtol=1e-3)
        others = [column for column in range(5) if column != factor]
        torch.testing.assert_close(shown[factor][:, others], latents[:1, others].expand(4, -1), atol=1e-4, rtol=1e-3)


def test_the_latent_of_the_rotation_learns_it_and_that_of_the_light_does_not() -> None:
    digits = ImageSet.load("digits")
    model = model_of(latent=8, width=8, hidden=64, minibatch=20, intrinsic_ratio=1.0, learning_rate=3e-3)
    game = Trainer(model)
    for _, (images, _) in zip(range(250), Minibatches(digits, 60), strict=False):
        game.update(images)
    images = digits.floats(slice(600))
    values = model.factor_values(600)
    latents = model.encode(model.render(images, values))
    correlations = torch.corrcoef(torch.cat([values, latents[:, :2]], 1).T)[:2, 2:].square()
    assert correlations[0, 0] > 0.4
    assert correlations[1, 1] > 0.2
    assert correlations[0, 1] < 0.1
    assert correlations[1, 0] < 0.1


def test_fewer_images_than_a_minibatch_are_refused() -> None:
    with pytest.raises(InputError):
        model_of().varied(images_of(n=4))


@pytest.mark.parametrize(
    "settings",
    [{"latent": 0}, {"width": 0}, {"hidden": 0}, {"minibatch": 1}, {"intrinsic_ratio": 0.0}, {"invariance": -1.0},
     {"rotation": 181.0}, {"light": 0.0}, {"pixel_std": 0.0}, {"learning_rate": 0.0}],
    ids=str,
)  # fmt: skip
def test_settings_that_cannot_work_are_refused(settings: dict) -> None:
    with pytest.raises(InputError):
        DCIGNConfig(**settings)
