"""AIR: its gradient against exact enumeration of the numbers of objects, its bound against enumeration, its objects."""

import math

import pytest
import torch
from torch import Tensor

from rlgen.data.images import ImageSet
from rlgen.data.minibatches import Minibatches
from rlgen.data.scattered import scattered
from rlgen.equations.likelihoods import diagonal_gaussian_log_prob
from rlgen.equations.object_counts import kl_bernoulli
from rlgen.errors import InputError
from rlgen.generators import AIR, AIRConfig, ImageShape, Trainer, air
from rlgen.generators.image_model import DrawsInSteps, FindsObjects, HasLogWeight, Reconstructs
from rlgen.generators.pictures import grids

SHAPE = ImageShape(channels=1, height=6, width=6)
COLOR = ImageShape(channels=3, height=9, width=6)
SMALL = {"latent": 2, "hidden": 5, "window_hidden": 4, "window": 3, "warmup": 0}


def model_of(shape: ImageShape = SHAPE, **settings: object) -> AIR:
    torch.manual_seed(0)
    return AIR(shape, AIRConfig(**{**SMALL, **settings}))  # type: ignore[arg-type]


def images_of(shape: ImageShape = SHAPE, n: int = 3) -> Tensor:
    return torch.rand(n, *shape.chw, generator=torch.Generator().manual_seed(1))


def counted(model: AIR, images: Tensor, count: int) -> air.Step:
    """The steps for `count` objects in every image, with the same noise in every call."""
    torch.manual_seed(5)
    return model.steps_of(images, torch.full((len(images),), count))


def enumerated_bound(model: AIR, images: Tensor) -> Tensor:
    """Σ_n q(n) (log p(x | n) - KL), with the noise of places and codes fixed; differentiable through q(n) too."""
    total = images.new_zeros(())
    prior = torch.tensor(model.prior_logit - model.config.object_cost, dtype=images.dtype)
    for count in range(model.config.steps + 1):
        steps = counted(model, images, count)
        prob = steps.log_prob.sum(0).exp()
        likelihood = diagonal_gaussian_log_prob(images, steps.added.sum(0), model.config.pixel_std)
        kl = (steps.reached * kl_bernoulli(steps.logit, prior) + steps.kl).sum(0)
        total = total + (prob * (likelihood - kl)).mean()
    return total


def test_the_mean_gradient_is_that_of_the_bound_with_all_numbers_of_objects_enumerated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, images = model_of(steps=3).double(), images_of().double()
    model.baseline.mean.fill_(-40.0)
    model.baseline.variance.fill_(90.0)
    parameters = [each for name, each in model.named_parameters() if not name.startswith("baseline")]
    exact = torch.autograd.grad(-enumerated_bound(model, images), parameters)
    probs = [counted(model, images, count).log_prob.sum(0).exp().detach() for count in range(4)]
    torch.testing.assert_close(sum(probs), torch.ones(3, dtype=torch.float64))
    found = [torch.zeros_like(each) for each in parameters]
    for count, prob in enumerate(probs):
        for row in range(3):  # the loss of one image at a time, weighted with the probability of its number
            steps = counted(model, images, count)
            one = air.Step(*(each[:, row : row + 1] for each in steps))
            monkeypatch.setattr(model, "steps_of", lambda *_, one=one: one)
            loss = model.loss(images[row : row + 1])["loss"] * prob[row] / 3
            monkeypatch.undo()
            gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
            found = [sum_ if new is None else sum_ + new for sum_, new in zip(found, gradients, strict=True)]
    for one, two in zip(found, exact, strict=True):
        torch.testing.assert_close(one, two)


def test_the_weights_of_draws_are_those_of_the_numbers_of_objects() -> None:
    model, image = model_of(steps=2), images_of(n=1)
    torch.manual_seed(3)
    drawn = model.log_weight(image, 4_000).exp()
    torch.manual_seed(4)
    exact = torch.zeros(())
    for count in range(3):
        many = image.expand(4_000, -1, -1, -1)
        counts = torch.full((len(many),), count)
        with torch.no_grad():
            steps = model.steps_of(many, counts)
            weights = model._log_weight(many, counts).exp()
        exact = exact + (steps.log_prob.sum(0).exp() * weights).mean()  # E_q = Σ_n q(n) E[. | n]
    error = drawn.std() / math.sqrt(len(drawn))
    assert abs(drawn.mean() - exact) < 6 * error


def test_the_logged_bound_is_the_mean_log_weight_and_has_no_cost() -> None:
    model, image = model_of(object_cost=3.0), images_of(n=1)
    terms = model.loss(image.expand(4_000, -1, -1, -1))
    weights = model.log_weight(image, 4_000)
    assert terms["elbo"].item() == pytest.approx(weights.mean().item(), abs=8 * weights.std().item() / math.sqrt(4e3))
    assert terms["elbo"].item() == pytest.approx((terms["log_likelihood"] - terms["kl"]).item(), rel=1e-4)


def test_log_weights_in_pieces_are_of_the_image_of_their_column(monkeypatch: pytest.MonkeyPatch) -> None:
    model, images = model_of(), images_of(n=4)
    images[1] = 0
    one = model.log_weight(images, 50)
    monkeypatch.setattr(air, "AT_ONCE", 19 * SHAPE.numbers)  # 19 rows, so that pieces end within the images
    two = model.log_weight(images, 50)
    assert torch.all((one.mean(0) - two.mean(0)).abs() < 6 * ((one.var(0) + two.var(0)) / 50).sqrt())
    assert one[:, 1].mean() > one[:, 0].mean() + 1


def test_after_no_more_objects_a_step_adds_and_costs_nothing() -> None:
    steps = counted(model_of(), images_of(), 1)
    assert steps.reached.tolist() == [[1] * 3, [1] * 3, [0] * 3]
    assert steps.present.tolist() == [[1] * 3, [0] * 3, [0] * 3]
    assert steps.added[0].abs().sum() > 0
    for each in (steps.added[1:], steps.kl[1:], steps.log_ratio[1:], steps.log_prob[2], steps.prior_log_prob[2]):
        assert each.abs().sum() == 0


def test_during_the_warmup_the_numbers_are_random_and_choices_are_not_learned() -> None:
    model = model_of(warmup=2)
    before = model.choice.weight.detach().clone()
    game, found = Trainer(model), []
    for _ in range(2):
        found.append(game.update(images_of(n=300))["air/objects"].item())
        assert torch.equal(model.choice.weight, before)
    assert all(1.8 < each < 2.2 for each in found), "the mean of 1, 2 and 3"
    game.update(images_of(n=300))
    assert not torch.equal(model.choice.weight, before)


def test_the_cost_of_objects_is_that_of_a_prior_with_fewer() -> None:
    images, losses = images_of(), []
    for settings in ({"object_cost": math.log(3)}, {"object_cost": 0.0, "more": 0.25}):  # odds of 1 : 3
        model = model_of(**settings)
        torch.manual_seed(2)
        losses.append(model.loss(images)["loss"].item())
    assert losses[0] == pytest.approx(losses[1])


def test_boxes_are_where_windows_are_written_and_as_many_as_objects() -> None:
    model = model_of(ImageShape(channels=1, height=20, width=30), scale=0.3, latent=1)
    with torch.no_grad():
        model.choice.bias.fill_(9.0)
    images = images_of(model.shape, 5)
    boxes, counts = model.boxes(images), model.count(images)
    assert boxes.shape == (5, 3, 4)
    assert counts.tolist() == [3] * 5
    for step, box in zip(model.infer(images, expected=True), boxes.unbind(1), strict=True):
        for added, (top, left, bottom, right) in zip(step.added[:, 0], box.tolist(), strict=True):
            rows, columns = added.sum(1).nonzero(), added.sum(0).nonzero()
            cell = (bottom - top) / 3 / 2 + 1  # the bilinear kernel reaches half a cell beyond the window
            assert max(top, 0) - cell <= rows.min()
            assert rows.max() <= bottom + cell
            assert max(left, 0) - cell * 1.5 <= columns.min()
            assert columns.max() <= right + cell * 1.5
    with torch.no_grad():
        model.choice.bias.fill_(-9.0)
    assert model.boxes(images).isnan().all()
    assert model.count(images).tolist() == [0] * 5
    assert model.reconstruct(images).abs().sum() == 0


@pytest.mark.parametrize("shape", [SHAPE, COLOR])
def test_it_samples_reconstructs_and_finds_objects_in_images_of_any_size(shape: ImageShape) -> None:
    model, images = model_of(shape, learning_rate=0.02), 0.1 * images_of(shape, 7)
    images[:, :, 2:5, 1:4] = 0.9
    for protocol in (DrawsInSteps, FindsObjects, HasLogWeight, Reconstructs):
        assert isinstance(model, protocol)
    game = Trainer(model)
    bounds = [game.update(images)["air/elbo"].item() for _ in range(40)]
    assert sum(bounds[-10:]) > sum(bounds[:10]) + 10
    for made in (model.sample(7), model.reconstruct(images), model.stages(7)[-1]):
        assert made.shape == images.shape
        assert not made.requires_grad
        assert 0 <= made.min() <= made.max() <= 1
    found = grids(model, images, seed=0)
    assert {"samples", "reconstructions", "objects", "stages"} == found.keys()


def test_as_many_samples_have_no_object_as_the_prior_says() -> None:
    model = model_of(more=0.25)
    empty = (model.sample(4_000).flatten(1).sum(1) == 0).float().mean().item()
    assert empty == pytest.approx(0.75, abs=0.03)


def test_it_distinguishes_empty_images_from_those_with_an_object() -> None:
    digits = scattered(ImageSet.load("digits"), 1)
    channels, height, width = digits.shape
    model = model_of(ImageShape(channels=channels, height=height, width=width), steps=1, hidden=32, warmup=50,
                     window_hidden=32, window=8, latent=4, learning_rate=3e-3)  # fmt: skip
    game = Trainer(model)
    for _, (images, _) in zip(range(150), Minibatches(digits, 32), strict=False):
        game.update(images)
    images, labels = digits.floats(slice(200)), digits.labels[:200]
    assert (model.count(images) == labels).float().mean() > 0.95


@pytest.mark.parametrize(
    "settings",
    [{"steps": 0}, {"latent": 0}, {"window": 0}, {"more": 0.0}, {"more": 1.0}, {"scale": 0.0}, {"pixel_std": 0.0},
     {"object_cost": -1.0}, {"warmup": -1}, {"learning_rate": 0.0}],
    ids=str,
)  # fmt: skip
def test_settings_that_cannot_work_are_refused(settings: dict) -> None:
    with pytest.raises(InputError):
        AIRConfig(**settings)


def test_a_window_larger_than_the_image_is_refused() -> None:
    with pytest.raises(InputError):
        model_of(window=7)
