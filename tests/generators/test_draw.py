"""DRAW: its bound against the likelihood itself, its steps against the paper's formulas, and coins of known entropy."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Normal

from rlgen.equations.variational_bounds import importance_weighted_bound
from rlgen.errors import InputError
from rlgen.generators import DRAW, DRAWConfig, ImageShape, Trainer, draw
from rlgen.generators.image_model import Decoder, DrawsInSteps, HasLogWeight, Reconstructs
from rlgen.generators.pictures import grids
from rlgen.generators.pixels import PIXELS

TINY = ImageShape(channels=1, height=1, width=3)
COLOR = ImageShape(channels=3, height=5, width=4)


def model_of(shape: ImageShape, **settings: object) -> DRAW:
    torch.manual_seed(0)
    small = {"steps": 2, "latent": 1, "hidden": 4, "read_window": 2, "write_window": 2}
    return DRAW(shape, DRAWConfig(**small | settings))  # type: ignore[arg-type]


def every_image() -> Tensor:
    return torch.cartesian_prod(*[torch.arange(2.0)] * 3).reshape(8, 1, 1, 3)


def likelihood_by_quadrature(model: DRAW, images: Tensor) -> Tensor:
    """log ∫∫ p(x | z_1, z_2) N(z_1) N(z_2) dz over a grid of the latents of both steps, nats [B]."""
    line = torch.linspace(-7, 7, 141)
    *_, canvas = model.draw(torch.cartesian_prod(line, line))
    prob = canvas.double().sigmoid().flatten(1)
    given = torch.where(images.flatten(1).bool()[:, None], prob, 1 - prob).prod(-1).unflatten(-1, (141, 141))
    density = Normal(0.0, 1.0).log_prob(line).double().exp()
    return torch.trapezoid(torch.trapezoid(given * density, line.double()) * density, line.double()).log()


def wide(model: DRAW) -> DRAW:
    """With large random weights, so that posterior and window depend on images and earlier latents."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return model


@pytest.mark.parametrize("attention", [True, False])
def test_many_importance_samples_give_the_likelihood_itself(attention: bool) -> None:
    model, images = wide(model_of(TINY, attention=attention)), every_image()[[1, 6]]
    weights = model.log_weight(images, 20_000)
    error = weights.exp().std(0) / weights.exp().mean(0) / math.sqrt(len(weights))
    with torch.no_grad():
        exact = likelihood_by_quadrature(model, images)
    assert torch.all((importance_weighted_bound(weights) - exact).abs() < 4 * error + 1e-4)
    assert torch.all(weights.mean(0) < exact)


def test_the_logged_bound_is_the_mean_log_weight() -> None:
    model = wide(model_of(TINY))
    image = every_image()[3:4]
    terms = model.loss(image.expand(20_000, -1, -1, -1))
    weights = model.log_weight(image, 20_000)
    error = 4 * math.sqrt(2) * weights.std().item() / math.sqrt(2e4)
    assert terms["elbo"].item() == pytest.approx(weights.mean().item(), abs=error)
    assert terms["elbo"].item() == pytest.approx(-terms["loss"].item())
    assert terms["elbo"].item() == pytest.approx(terms["log_likelihood"].item() - terms["kl"].item(), rel=1e-5)


def lstm(cell: torch.nn.LSTMCell, inputs: Tensor, output: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
    """Hochreiter & Schmidhuber 1997 with a forget gate; the gates in torch's order."""
    gates = cell.weight_ih @ inputs + cell.bias_ih + cell.weight_hh @ output + cell.bias_hh
    enter, keep, value, leave = gates.chunk(4)
    memory = keep.sigmoid() * memory + enter.sigmoid() * value.tanh()
    return leave.sigmoid() * memory.tanh(), memory


@torch.no_grad()
def test_without_attention_a_log_weight_is_that_of_the_formulas_of_the_paper() -> None:
    model, image = wide(model_of(TINY, attention=False, steps=3, latent=2)), every_image()[5]
    torch.manual_seed(3)
    found = model.log_weight(image[None], 1).item()
    torch.manual_seed(3)
    x, canvas = image.flatten(), model.blank.flatten()
    encoder, decoder = tuple(model.start["encoder"]), tuple(model.start["decoder"])
    expected = 0.0
    for _ in range(3):
        read = torch.cat([x, x - canvas.sigmoid()])  # eq. 3 and 17
        encoder = lstm(model.encoder, torch.cat([read, decoder[0]]), *encoder)
        mean, log_std = model.posterior.head(encoder[0]).chunk(2)
        z = mean + log_std.exp() * torch.randn(1, 1, 2)[0, 0]
        prior, posterior = Normal(0.0, 1.0).log_prob(z), Normal(mean, log_std.exp()).log_prob(z)
        expected += (prior - posterior).sum().item()
        decoder = lstm(model.decoder, z, *decoder)
        canvas = canvas + model.writer.head(decoder[0])  # type: ignore[union-attr]  # eq. 8 and 18
    expected += Bernoulli(logits=canvas).log_prob(x).sum().item()
    assert found == pytest.approx(expected, rel=1e-5)


def test_with_attention_the_numbers_of_a_step_do_not_depend_on_the_size_of_the_image() -> None:
    sizes = [
        sum(each.numel() for name, each in model_of(shape).named_parameters() if name != "blank")
        for shape in (ImageShape(channels=1, height=6, width=6), ImageShape(channels=1, height=20, width=30))
    ]
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize("attention", [True, False])
def test_two_images_are_learned_to_their_entropy(attention: bool) -> None:
    # All pixels white or all black: they depend on each other, so the latents are needed.
    pair = torch.stack([torch.ones(1, 2, 2), torch.zeros(1, 2, 2)])
    shape = ImageShape(channels=1, height=2, width=2)
    model = model_of(shape, latent=2, hidden=16, attention=attention, learning_rate=0.03)
    game, entropy = Trainer(model), math.log(2)
    for _ in range(150):
        game.update(pair.repeat(8, 1, 1, 1))
    bound = model.log_weight(pair, 1_000).mean().item()
    assert bound <= -entropy + 0.01, "no model is better, except for the noise of 1,000 samples"
    assert bound >= -entropy - 0.5, "four independent pixels have a bound of -4 log 2, or -2.77"


@pytest.mark.parametrize("attention", [True, False])
@pytest.mark.parametrize("likelihood", PIXELS)
def test_every_likelihood_draws_color_images_of_any_size(likelihood: str, attention: bool) -> None:
    model = model_of(COLOR, latent=3, likelihood=likelihood, attention=attention, mixture=2)
    for protocol in (Decoder, DrawsInSteps, HasLogWeight, Reconstructs):
        assert isinstance(model, protocol)
    images, game = torch.rand(7, *COLOR.chw), Trainer(model)
    losses = [game.update(images)["draw/loss"].item() for _ in range(20)]
    assert losses[-1] < losses[0]
    for made in (model.sample(7), model.reconstruct(images), model.stages(7)[-1]):
        assert made.shape == images.shape
        assert not made.requires_grad
        assert 0 <= made.min() <= made.max() <= 1
    assert model.log_weight(images, 3).shape == (3, 7)
    assert model.binary == (likelihood == "bernoulli")
    assert (model.log_determinant is None) == model.binary


def test_log_weights_in_pieces_have_the_image_of_their_column(monkeypatch: pytest.MonkeyPatch) -> None:
    model, images = model_of(TINY), every_image()
    one = model.log_weight(images, 400)
    monkeypatch.setattr(draw, "AT_ONCE", 7 * TINY.numbers)  # 7 rows, so that pieces end within the images
    two = model.log_weight(images, 100)
    error = 4 * (one.var(0) / 400 + two.var(0) / 100).sqrt()
    assert torch.all((one.mean(0) - two.mean(0)).abs() < error)
    assert one.mean(0).std() > error.max(), "the images differ by more"


def test_the_last_stage_is_the_sample_and_a_latent_changes_only_its_step_and_those_after_it() -> None:
    model = wide(model_of(COLOR, steps=3, latent=2))
    torch.manual_seed(1)
    stages = model.stages(4)
    torch.manual_seed(1)
    torch.testing.assert_close(stages[-1], model.sample(4))
    latents = model.prior(4)
    assert latents.shape == (4, 6)
    changed = latents.clone()
    changed[:, 2:4] += 1  # those of the second step
    before, after = list(model.draw(latents)), list(model.draw(changed))
    assert torch.equal(before[0], after[0])
    assert not torch.equal(before[1], after[1])


@pytest.mark.parametrize(("steps", "columns"), [(2, 2), (10, 10), (25, 10), (1, 0)])
def test_the_stages_are_shown_from_left_to_right_up_to_the_finished_sample(steps: int, columns: int) -> None:
    model = model_of(COLOR, steps=steps)
    found = grids(model, torch.rand(4, *COLOR.chw), seed=0)
    if not columns:
        assert "stages" not in found
        return
    shown = found["stages"]
    assert shown.columns == columns
    torch.manual_seed(0)
    stages = model.stages(8)
    for row, images in enumerate(shown.images.split(columns)):
        torch.testing.assert_close(images[-1], stages[-1, row])
        places = [int((stages[:, row] - image).flatten(1).abs().sum(1).argmin()) for image in images]
        assert places == sorted(set(places))


@pytest.mark.parametrize(
    "settings",
    [{"steps": 0}, {"latent": 0}, {"hidden": 0}, {"read_window": 0}, {"write_window": 0}, {"likelihood": "x"}],
    ids=str,
)
def test_settings_that_cannot_work_are_refused(settings: dict) -> None:
    with pytest.raises(InputError):
        DRAWConfig(**settings)
