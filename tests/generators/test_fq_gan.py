"""GANs with quantized features in the discriminator, on every host."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rlgen.errors import InputError
from rlgen.generators import FQGAN, FQGANConfig, ImageShape, Trainer
from rlgen.generators.fq_hosts import HOSTS
from rlgen.generators.image_model import ClassDecoder, HasFeatures
from rlgen.generators.pictures import grids
from rlgen.nn import QuantizationConfig

SMALL = ImageShape(channels=1, height=8, width=8, n_classes=3)
LABELS = torch.tensor([2, 0, 1, 2, 1, 0])
each_host = pytest.mark.parametrize("host", HOSTS)


def small(host: str, codes: int = 4, shape: ImageShape = SMALL, layers: tuple[int, ...] = (), **settings: Any) -> FQGAN:
    torch.manual_seed(0)
    quantization = QuantizationConfig(codes=codes, layers=layers)
    return FQGAN(shape, FQGANConfig(host=host, latent=4, width=4, quantization=quantization, **settings))


def inputs_of(module: nn.Module) -> list[Tensor]:
    """What the module receives from now on."""
    seen: list[Tensor] = []
    module.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    return seen


@each_host
def test_the_next_block_and_the_head_receive_codes(host: str) -> None:
    model = small(host, shape=ImageShape(channels=1, height=16, width=16, n_classes=3))
    network = model.discriminator
    following = [*network.blocks[1:], network.head]
    seen = [inputs_of(module) for module in following]
    found = network(torch.rand(6, 1, 16, 16), *model.condition(LABELS))
    assert len(network.codebooks) == len(network.blocks) == len(following) >= 2
    for received, features, quantizer in zip(seen, found.features, network.codebooks.values(), strict=True):
        rows = received[0].movedim(1, -1).flatten(0, -2)
        assert all((row == quantizer.codebook).all(-1).any() for row in rows)
        assert not torch.allclose(received[0], features)


@each_host
def test_the_gradient_passes_through_the_codes_to_the_features_unchanged(host: str) -> None:
    model = small(host)
    network = model.discriminator
    last: list[Tensor] = inputs_of(network.head)
    found = network(torch.rand(6, 1, 8, 8), *model.condition(LABELS))
    at_codes, at_features = torch.autograd.grad(found.logit.sum(), [last[0], found.features[-1]])
    assert torch.equal(at_codes, at_features)
    assert at_features.abs().sum() > 0
    found = network(torch.rand(6, 1, 8, 8), *model.condition(LABELS))
    first = next(network.blocks[0].parameters())
    assert torch.autograd.grad(found.logit.sum(), first)[0].abs().sum() > 0


@each_host
def test_the_discriminators_loss_is_that_of_its_game_plus_the_commitment(host: str) -> None:
    model, images = small(host, discriminator_turns=1), torch.rand(6, 1, 8, 8)
    terms = model.discriminator_loss(images, LABELS)
    expected = terms["divergence"] + terms["commitment"] + terms.get("penalty", 0)
    assert terms["loss"].item() == pytest.approx(expected.item(), rel=1e-6)


@each_host
def test_the_generators_loss_is_that_of_its_game_plus_the_commitment(host: str) -> None:
    model = small(host).eval()  # spectral norms do not change
    torch.manual_seed(1)
    terms = model.generator_loss(torch.rand(6, 1, 8, 8), LABELS)
    torch.manual_seed(1)
    torch.rand(6, 1, 8, 8)
    condition = model.condition(LABELS)
    found = model.discriminator(model.generator(model.prior(6), *condition), *condition)
    pairs = zip(found.features, found.quantized, strict=True)
    commitment = sum((features - each.values).square().mean() for features, each in pairs)
    torch.testing.assert_close(terms["commitment"], commitment)
    torch.testing.assert_close(terms["loss"], model.divergence.generator_loss(found.logit) + commitment)


def test_both_sides_commit_in_the_discriminators_loss() -> None:
    model, images = small("dcgan"), torch.rand(6, 1, 8, 8)
    model.eval()
    torch.manual_seed(1)
    latents = model.prior(6)
    sides = [model.discriminator(each).commitment for each in (images, model.generator(latents))]
    torch.manual_seed(1)
    torch.testing.assert_close(model.discriminator_loss(images)["commitment"], sides[0] + sides[1])


@each_host
def test_the_codebook_is_in_the_state_and_only_the_discriminators_step_moves_it(host: str) -> None:
    model, images = small(host), torch.rand(6, 1, 8, 8)
    names = [name for name in model.state_dict() if name.endswith("codebook")]
    assert len(names) == len(model.discriminator.codebooks)
    before = [model.state_dict()[name].clone() for name in names]
    model.generator_loss(images, LABELS)
    model.sample(3)
    assert all(torch.equal(old, model.state_dict()[name]) for old, name in zip(before, names, strict=True))
    model.discriminator_loss(images, LABELS)
    assert not any(torch.equal(old, model.state_dict()[name]) for old, name in zip(before, names, strict=True))


@each_host
def test_without_codes_the_networks_are_those_of_the_host_with_equal_weights(host: str) -> None:
    plain, quantized = small(host, codes=0), small(host)
    assert not plain.discriminator.codebooks
    weights = [dict(model.named_parameters()) for model in (plain, quantized)]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    terms = plain.discriminator_loss(torch.rand(6, 1, 8, 8), LABELS)
    assert terms["commitment"] == 0
    assert not any(name.startswith("codebook") for name in terms)


@pytest.mark.parametrize("layers", [(1,), (2,), (2, 1)])
def test_chosen_blocks_alone_are_quantized_and_reported(layers: tuple[int, ...]) -> None:
    model = small("biggan", layers=layers)
    assert list(model.discriminator.codebooks) == [str(layer) for layer in sorted(layers)]
    logs = model.discriminator_loss(torch.rand(6, 1, 8, 8), LABELS)
    assert {name for name in logs if "usage" in name} == {f"codebook_usage_{layer}" for layer in layers}


@each_host
@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 12, 16), (3, 32, 32)], ids=str)
def test_networks_fit_gray_and_colored_images_of_sizes_that_can_be_halved(
    host: str, shape: tuple[int, int, int]
) -> None:
    channels, height, width = shape
    model = small(host, shape=ImageShape(channels=channels, height=height, width=width))
    assert model.sample(2).shape == (2, *shape)
    assert model.discriminator(torch.rand(2, *shape)).logit.shape == (2,)
    assert model.features(torch.rand(2, *shape)).ndim == 2


def test_codes_are_in_use_over_an_epoch() -> None:
    torch.manual_seed(0)
    model = FQGAN(SMALL, FQGANConfig(host="dcgan", latent=4, width=8, quantization=QuantizationConfig(codes=16)))
    game = Trainer(model)
    for _ in range(20):
        logs = game.update(torch.rand(16, 1, 8, 8).round())
    assert float(logs["discriminator/codebook_usage_1"]) >= 0.2


def test_a_biggan_is_conditional_where_the_data_has_classes() -> None:
    model = small("biggan").eval()
    assert model.conditional
    assert isinstance(model, ClassDecoder)
    assert isinstance(model, HasFeatures)
    images, latents = torch.rand(3, 1, 8, 8), model.prior(3)
    zeros, ones = torch.zeros(3, dtype=torch.long), torch.ones(3, dtype=torch.long)
    assert not torch.allclose(model.discriminator(images, zeros).logit, model.discriminator(images, ones).logit)
    assert not torch.allclose(model.decode(latents, zeros), model.decode(latents, ones))
    assert set(grids(model, images, seed=0)) == {"samples", "classes", "interpolation"}
    without = ImageShape(channels=1, height=8, width=8)
    for other in (small("biggan", shape=without), small("dcgan"), small("stylegan2")):
        assert not other.conditional
        assert set(grids(other, images, seed=0)) == {"samples", "interpolation"}


@pytest.mark.parametrize(
    "settings",
    [{"host": "vgg"}, {"r1": 1.0, "host": "dcgan"}, {"r1": -1.0}, {"latent": 0}, {"divergence": "amp"}],
    ids=str,
)
def test_settings_that_cannot_work_are_refused(settings: dict) -> None:
    with pytest.raises(InputError):
        FQGANConfig(**settings)


def test_blocks_that_do_not_exist_single_codes_and_images_without_labels_are_refused() -> None:
    with pytest.raises(InputError, match="layers from 1 to 2"):
        small("biggan", layers=(3,))
    for settings in ({"codes": 1}, {"codes": -1}, {"decay": 1.0}, {"commitment": -1.0}):
        with pytest.raises(InputError):
            QuantizationConfig(**settings)
    with pytest.raises(InputError, match="labels of the images"):
        Trainer(small("biggan", discriminator_turns=1)).update(torch.rand(4, 1, 8, 8))
    with pytest.raises(InputError, match="a latent of at least"):
        FQGAN(SMALL, FQGANConfig(latent=1))
