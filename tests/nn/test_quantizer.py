"""Vector quantization: the nearest code goes forward, gradients go through, codes are running means."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Categorical

from rlgen.errors import InputError
from rlgen.nn import Quantize, VectorQuantizer, mlp


def quantizer(codebook: list[list[float]], **settings) -> VectorQuantizer:
    made = VectorQuantizer(len(codebook[0]), len(codebook), **settings)
    made.codebook.copy_(torch.tensor(codebook))
    return made


def test_what_goes_forward_is_the_nearest_code() -> None:
    torch.manual_seed(0)
    layer, features = VectorQuantizer(3, 7), torch.randn(20, 3)
    quantized = layer.quantize(features)
    nearest = torch.cdist(features, layer.codebook).argmin(1)
    assert torch.equal(quantized.codes, nearest)
    assert torch.equal(quantized.values, layer.codebook[nearest])
    torch.testing.assert_close(layer(features), quantized.values)
    torch.testing.assert_close(quantized.commitment, (features - layer.codebook[nearest]).square().mean())


def test_images_are_quantized_pixel_by_pixel_over_their_channels() -> None:
    torch.manual_seed(0)
    layer, images = VectorQuantizer(3, 5), torch.randn(2, 3, 4, 6)
    quantized = layer.quantize(images)
    assert quantized.codes.shape == (2, 4, 6)
    pixel = layer.quantize(images[1, :, 2, 3][None])
    torch.testing.assert_close(quantized.values[1, :, 2, 3], pixel.values[0])


def test_gradients_go_straight_through() -> None:
    layer = quantizer([[0.0, 0.0], [1.0, 1.0]])
    features = torch.tensor([[0.2, 0.1], [0.9, 0.7]], requires_grad=True)
    weights = torch.tensor([[2.0, -1.0], [0.5, 3.0]])
    (layer(features) * weights).sum().backward()
    assert torch.equal(features.grad, weights)


def test_two_clusters_pull_two_codes_to_their_means() -> None:
    torch.manual_seed(0)
    layer = quantizer([[0.5, 0.0], [-0.5, 0.0]], decay=0.9)
    rows = torch.cat([torch.randn(200, 2) * 0.1 + 3, torch.randn(100, 2) * 0.1 - 3])
    for _ in range(100):
        layer.learn(rows, layer.quantize(rows).codes)
    torch.testing.assert_close(layer.codebook, torch.stack([rows[:200].mean(0), rows[200:].mean(0)]), atol=1e-5, rtol=0)


def test_a_code_is_the_weighted_mean_of_all_that_ever_chose_it() -> None:
    layer = quantizer([[0.0], [100.0]], decay=0.75)
    batches = [torch.tensor([[1.0], [2.0]]), torch.tensor([[4.0]]), torch.tensor([[-1.0], [0.0], [1.0]])]
    for batch in batches:
        layer.learn(batch, torch.zeros(len(batch), dtype=torch.int64))
    weights = [0.25 * 0.75**age for age in (2, 1, 0)]
    total = sum(weight * batch.sum() for weight, batch in zip(weights, batches, strict=True))
    count = sum(weight * len(batch) for weight, batch in zip(weights, batches, strict=True))
    torch.testing.assert_close(layer.codebook[0, 0], total / count)


def test_a_code_that_is_never_chosen_stays_where_it_is() -> None:
    layer = quantizer([[0.0], [100.0]], decay=0.5)
    rows = torch.tensor([[1.0], [2.0]])
    layer.learn(torch.tensor([[99.0]]), torch.tensor([1]))
    for _ in range(2000):  # long enough for its count to vanish
        layer.learn(rows, layer.quantize(rows).codes)
    assert layer.codebook[:, 0].tolist() == pytest.approx([1.5, 99.0])
    assert layer.count[1] == 0
    layer.learn(torch.tensor([[98.0]]), torch.tensor([1]))
    assert layer.codebook[1, 0] == 98


def test_with_restarts_dead_codes_move_to_rows_and_all_are_used_in_the_end() -> None:
    torch.manual_seed(0)
    rows = torch.randn(64, 2)
    used = {}
    for restart_below in (0.0, 0.5):
        layer = quantizer([[50.0 + i, 50.0] for i in range(8)], decay=0.9, restart_below=restart_below)
        for _ in range(100):
            layer.learn(rows, layer.quantize(rows).codes)
        used[restart_below] = len(layer.quantize(rows).codes.unique())
    assert used == {0.0: 1, 0.5: 8}


def test_a_restarted_code_that_is_chosen_stays_among_the_rows() -> None:
    torch.manual_seed(0)
    layer = quantizer([[0.0, 0.0], [50.0, 50.0]], decay=0.5, restart_below=1.0)
    for _ in range(10):
        layer.learn(torch.full((100, 2), 50.0), torch.ones(100, dtype=torch.int64))  # a past far away
    rows = torch.rand(64, 2)
    while not (layer.codebook[1] < 1).all():
        layer.learn(rows, torch.zeros(64, dtype=torch.int64))
    layer.learn(rows[:2], torch.tensor([1, 1]))
    assert ((layer.codebook[1] >= 0) & (layer.codebook[1] <= 1)).all()


def test_codes_of_too_few_features_of_the_first_batch_start_again() -> None:
    layer = quantizer([[0.0], [1.0], [2.0]], decay=0.9, restart_below=0.5)
    layer.learn(torch.full((10, 1), 7.0), torch.tensor([0] * 6 + [1] * 4))  # 0.5 / (1 - 0.9) = 5 are enough
    assert layer.count.tolist() == pytest.approx([0.6, 0.5, 0.5])
    assert layer.codebook[:, 0].tolist() == pytest.approx([7.0, 7.0, 7.0])


def test_usage_and_perplexity_are_those_of_the_last_batches_whoever_asks() -> None:
    layer = quantizer([[0.0], [1.0], [2.0], [3.0]], decay=0.9)
    for numbers in ([0, 1], [2, 3]):
        layer.learn(torch.zeros(2, 1), torch.tensor(numbers))
        asked = [layer.report() for _ in range(2)]
        assert asked[0] == asked[1]
    assert float(asked[0]["codebook_usage"]) == 1, "of two batches, not of the last alone"
    share = torch.tensor([0.9, 0.9, 1.0, 1.0]) / 3.8
    assert float(asked[0]["codebook_perplexity"]) == pytest.approx(float(Categorical(share).perplexity()))
    for _ in range(20):
        layer.learn(torch.zeros(2, 1), torch.tensor([0, 1]))
    assert float(layer.report()["codebook_usage"]) == 0.5, "the others were chosen 20 batches ago"


def test_in_half_precision_codes_are_chosen_and_learned_as_in_full() -> None:
    torch.manual_seed(0)
    layers = [VectorQuantizer(3, 7, decay=0.5) for _ in range(2)]
    layers[1].load_state_dict(layers[0].state_dict())
    features = torch.randn(200, 3).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        half = layers[0].quantize(features)
        layers[0].learn(features, half.codes)
    full = layers[1].quantize(features.float())
    layers[1].learn(features.float(), full.codes)
    assert torch.equal(half.codes, full.codes)
    assert torch.equal(half.values, full.values)
    assert torch.equal(half.commitment, full.commitment)
    assert all(torch.equal(value, layers[1].state_dict()[name]) for name, value in layers[0].state_dict().items())


def test_a_discriminator_in_double_precision_is_quantized_in_it() -> None:
    penalty = Quantize(codes=4)
    network = penalty.wrap(mlp([3, 8, 1]).double())
    real, fake = torch.randn(2, 30, 3, dtype=torch.float64)
    assert penalty.loss(network, real, fake, real[:, 0], fake[:, 0]).dtype == torch.float64
    assert network(real).dtype == torch.float64


def test_passing_through_moves_nothing() -> None:
    layer = VectorQuantizer(3, 5)
    before = deepcopy(layer.state_dict())
    layer(torch.randn(9, 3))
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())


def test_a_loaded_codebook_learns_on_like_the_saved_one() -> None:
    torch.manual_seed(0)
    first, second = (VectorQuantizer(3, 5, restart_below=0.5) for _ in range(2))
    rows = torch.randn(3, 40, 3)
    first.learn(rows[0], first.quantize(rows[0]).codes)
    second.load_state_dict(deepcopy(first.state_dict()))
    for layer in (first, second):
        torch.manual_seed(1)
        for batch in rows[1:]:
            layer.learn(batch, layer.quantize(batch).codes)
    assert all(torch.equal(value, second.state_dict()[name]) for name, value in first.state_dict().items())


@pytest.mark.parametrize("wrong", [{"codes": 1}, {"decay": 1.0}, {"restart_below": -1.0}])
def test_settings_that_cannot_work_are_refused(wrong: dict) -> None:
    with pytest.raises(InputError):
        VectorQuantizer(**{"features": 3, "codes": 4} | wrong)


def test_the_penalty_quantizes_what_the_last_layer_sees() -> None:
    torch.manual_seed(0)
    network = mlp([3, 8, 1])
    head = network[-1]
    seen: list[Tensor] = []
    head.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    wrapped = Quantize(codes=4).wrap(network)
    wrapped(torch.randn(50, 3))
    assert len(seen[0].unique(dim=0)) <= 4
    assert sum(part.numel() for part in wrapped.parameters()) == sum(part.numel() for part in network.parameters())


def test_the_penalty_is_the_weighed_commitment_of_both_sides_and_both_teach_the_codebook() -> None:
    torch.manual_seed(0)
    network = mlp([3, 8, 1])
    penalty = Quantize(codes=4, weight=2.0, restart_below=0.0)
    wrapped = penalty.wrap(network)
    layer = next(part for part in wrapped if isinstance(part, VectorQuantizer))
    real, fake = torch.randn(2, 30, 3)
    features = network[:-1](torch.cat([real, fake]))
    expected = 2 * layer.quantize(features).commitment
    taught = deepcopy(layer)
    taught.learn(features.detach(), layer.quantize(features).codes)
    loss = penalty.loss(wrapped, real, fake, real[:, 0], fake[:, 0])
    torch.testing.assert_close(loss, expected)
    assert torch.equal(layer.codebook, taught.codebook)
    assert all(gradient.isfinite().all() for gradient in torch.autograd.grad(loss, network[:-1].parameters()))


def test_one_quantize_serves_one_discriminator_of_layers_in_a_row() -> None:
    penalty = Quantize()
    penalty.wrap(mlp([3, 8, 1]))
    with pytest.raises(InputError, match="a separate"):
        penalty.wrap(mlp([3, 8, 1]))
    with pytest.raises(InputError, match="layers in sequence"):
        Quantize().wrap(nn.Bilinear(2, 2, 1))
    with pytest.raises(InputError, match="at least 0"):
        Quantize(weight=-1.0)
