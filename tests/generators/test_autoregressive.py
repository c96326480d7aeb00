"""PixelCNN and PixelRNN on images so small that all of them can be listed: likelihoods, samples and completions."""

from itertools import product
from math import log, sqrt

import pytest
import torch
from torch import Tensor

from rlgen.errors import InputError
from rlgen.generators import ImageModel, ImageShape, PixelCNN, PixelCNNConfig, PixelRNN, PixelRNNConfig, Trainer
from rlgen.generators.autoregressive import AT_ONCE, AutoregressiveModel
from rlgen.generators.image_model import Completes, HasLogProb, HasLogWeight

CASES = {
    "gated": (PixelCNN, PixelCNNConfig, {"layers": "gated"}),
    "masked": (PixelCNN, PixelCNNConfig, {"layers": "masked"}),
    "row": (PixelRNN, PixelRNNConfig, {"lstm": "row"}),
    "diagonal_bilstm": (PixelRNN, PixelRNNConfig, {"lstm": "diagonal_bilstm"}),
}
each = pytest.mark.parametrize("name", CASES)


def made(name: str, shape: tuple[int, int, int], **settings: object) -> AutoregressiveModel:
    """In double precision, with weights so large that pixels depend strongly on each other."""
    torch.manual_seed(0)
    kind, config, own = CASES[name]
    channels, height, width = shape
    settings = {"width": 6, "depth": 2, **own, **settings}
    model = kind(ImageShape(channels=channels, height=height, width=width), config(**settings)).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3.0)
    return model


def binary_images(*shape: int) -> Tensor:
    """All of them."""
    numbers = torch.tensor(shape).prod().item()
    return torch.tensor(list(product([0.0, 1.0], repeat=numbers)), dtype=torch.float64).view(-1, *shape)


@each
def test_probabilities_of_all_binary_images_sum_to_one(name: str) -> None:
    model = made(name, (1, 3, 3))
    prob = model.log_prob(binary_images(1, 3, 3)).exp()
    assert prob.sum().item() == pytest.approx(1, abs=1e-12)
    assert prob.max() > 10 * prob.min(), "far from uniform"


@each
def test_probabilities_of_all_binary_colors_sum_to_one(name: str) -> None:
    prob = made(name, (3, 2, 1)).log_prob(binary_images(3, 2, 1)).exp()
    assert prob.sum().item() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("name", ["gated", "diagonal_bilstm"])
@pytest.mark.parametrize("likelihood", ["categorical", "logistic"])
def test_probabilities_of_all_levels_of_two_pixels_sum_to_one(name: str, likelihood: str) -> None:
    model = made(name, (1, 1, 2), likelihood=likelihood, mixture=2)
    levels = torch.arange(256, dtype=torch.float64) / 255
    first = torch.stack([levels, torch.zeros(256).double()], 1)[:, None, None]
    # log p(x₁) + log p(x₂ | x₁): the second has the same sum for every first one
    for seen in (0.0, 1.0, 128 / 255):
        second = torch.stack([torch.full((256,), seen).double(), levels], 1)[:, None, None]
        whole = model.log_prob(second).exp().sum()
        alone = conditional(model, second[:1], 0).exp()
        assert whole.item() == pytest.approx(alone.item(), abs=1e-12)
    assert torch.stack([conditional(model, image[None], 0) for image in first]).exp().sum().item() == pytest.approx(1)


def conditional(model: AutoregressiveModel, image: Tensor, column: int) -> Tensor:
    """log p of the pixel in `column` of a row, given those before."""
    outputs = model.network(2 * image - 1)[..., column : column + 1]
    return model.pixels.log_prob(image[..., column : column + 1], outputs)[0].detach()


@each
@pytest.mark.parametrize("shape", [(1, 2, 2), (3, 1, 2)], ids=["grey", "colors"])
def test_samples_are_as_frequent_as_probable(name: str, shape: tuple[int, int, int]) -> None:
    model, count = made(name, shape), 10_000
    images = binary_images(*shape)
    prob = model.log_prob(images).exp()
    torch.manual_seed(1)
    drawn = model.sample(count)
    met = (drawn.flatten(1)[:, None] == images.flatten(1)).all(2).double()
    assert met.sum(1).eq(1).all(), "each is one of them"
    assert ((met.mean(0) - prob).abs() < 5 * (prob * (1 - prob) / count).sqrt() + 1e-4).all()


@each
def test_completions_keep_the_upper_rows_and_follow_the_rest_given_these(name: str) -> None:
    model, count = made(name, (1, 2, 2)), 10_000
    upper = torch.tensor([[1.0, 0.0]]).double()
    images = binary_images(1, 2, 2)
    images = images[(images[:, :, 0] == upper).flatten(1).all(1)]
    prob = model.log_prob(images).softmax(0)
    torch.manual_seed(1)
    given = torch.stack([upper.expand(count, 2), torch.full((count, 2), 0.3).double()], 1)[:, None]
    made_of = model.complete(given, 1)
    assert torch.equal(made_of[:, :, 0], given[:, :, 0])
    met = (made_of.flatten(1)[:, None] == images.flatten(1)).all(2).double()
    assert ((met.mean(0) - prob).abs() < 5 * (prob * (1 - prob) / count).sqrt() + 1e-4).all()


@pytest.mark.parametrize("likelihood", ["categorical", "logistic"])
@pytest.mark.parametrize("channels", [1, 3])
def test_samples_of_levels_are_levels_without_a_gradient(likelihood: str, channels: int) -> None:
    model = made("gated", (channels, 3, 4), likelihood=likelihood, mixture=2).float()
    images = model.sample(5)
    assert images.shape == (5, channels, 3, 4)
    assert torch.equal((images * 255).round() / 255, images)
    assert len(images.unique()) > 2
    assert not images.requires_grad
    assert (images * torch.ones(1, requires_grad=True)).requires_grad, "can be learned from"
    assert model.log_prob(images).isfinite().all()


def test_colors_of_a_mixture_are_drawn_together_and_others_in_turn() -> None:
    assert made("gated", (3, 2, 2), likelihood="logistic").colors == 1
    assert made("gated", (3, 2, 2), likelihood="categorical").colors == 3


@each
def test_it_learns_a_dependence_that_no_independent_pixels_could(name: str) -> None:
    """Two equal halves of a fair coin have an entropy of log 2, as independent ones of 2 log 2."""
    torch.manual_seed(0)
    kind, config, own = CASES[name]
    shape, settings = ImageShape(channels=1, height=2, width=1), config(width=16, depth=1, learning_rate=0.02, **own)
    trainer = Trainer(kind(shape, settings))
    for _ in range(100):
        logs = trainer.update(torch.randint(2, (32, 1, 1, 1)).float().expand(-1, 1, 2, 1))
    assert logs["likelihood/loss"].item() == pytest.approx(log(2), abs=0.05)
    with trainer.evaluating() as model:
        drawn = model.sample(500)
    assert (drawn[:, 0, 0] == drawn[:, 0, 1]).double().mean() > 0.98
    assert drawn.mean().item() == pytest.approx(0.5, abs=5 * sqrt(0.25 / 500))


@each
def test_it_has_an_exact_likelihood_and_completes(name: str) -> None:
    model = made(name, (1, 4, 4))
    assert isinstance(model, ImageModel)
    assert isinstance(model, HasLogProb)
    assert isinstance(model, Completes)
    assert not isinstance(model, HasLogWeight)
    images = torch.rand(AT_ONCE + 3, 1, 4, 4).round().double()
    log_prob = model.log_prob(images)
    assert log_prob.shape == (AT_ONCE + 3,)
    assert not log_prob.requires_grad
    torch.testing.assert_close(-log_prob.mean(), model.loss(images)["loss"].detach())


def test_binary_pixels_have_no_levels_and_the_others_do() -> None:
    found = {name: made("gated", (1, 2, 2), likelihood=name) for name in ("bernoulli", "categorical", "logistic")}
    assert {name: (model.binary, model.log_determinant) for name, model in found.items()} == {
        "bernoulli": (True, None),
        "categorical": (False, 0.0),
        "logistic": (False, 0.0),
    }


def test_settings_that_cannot_work_are_refused() -> None:
    for settings, said in (
        ({"kernel": 4}, "an odd kernel"),
        ({"width": 0}, "width of at least 1"),
        ({"likelihood": "gaussian"}, "likelihood one of bernoulli, categorical, logistic"),
        ({"layers": "open"}, "layers one of gated, masked"),
    ):
        with pytest.raises(InputError, match=said):
            PixelCNNConfig(**settings)
    with pytest.raises(InputError, match="lstm one of diagonal_bilstm, row"):
        PixelRNNConfig(lstm="column")
    with pytest.raises(InputError, match="a feature for each of 3 colors"):
        PixelCNN(ImageShape(channels=3, height=2, width=2), PixelCNNConfig(width=2))
