"""The moving average of weights."""

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from rlgen.errors import InputError
from rlgen.nn import MovingAverage


def set_to(module: nn.Linear, value: float) -> None:
    with torch.no_grad():
        module.weight.fill_(value)


def test_the_first_merges_follow_the_warm_up() -> None:
    module = nn.Linear(1, 1, bias=False)
    set_to(module, 0.0)
    average = MovingAverage({"net": module}, 0.999)
    expected = 0.0
    for merges, value in enumerate((1.0, 2.0, 5.0)):
        set_to(module, value)
        average.merge()
        decay = (1 + merges) / (10 + merges)
        expected = decay * expected + (1 - decay) * value
        assert float(average.average["net.weight"]) == pytest.approx(expected)


def test_after_the_warm_up_it_is_torchs_own_average() -> None:
    torch.manual_seed(0)
    module = nn.Linear(3, 2)
    average = MovingAverage({"net": module}, 0.5)
    average.merges = 1_000
    reference = AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(0.5))
    reference.update_parameters(module)  # the first only copies
    for _ in range(4):
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.add_(torch.randn_like(parameter))
        average.merge()
        reference.update_parameters(module)
    torch.testing.assert_close(average.average["net.weight"], reference.module.weight.detach())


def test_running_statistics_are_averaged_and_other_buffers_left_alone() -> None:
    module = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 2))
    module.register_buffer("codebook", torch.zeros(2))
    average = MovingAverage({"": module}, 0.5)
    assert {".0.running_mean", ".0.running_var", ".0.weight", ".1.bias"} <= set(average.average)
    assert not any("codebook" in name or "num_batches" in name for name in average.average)


def test_a_decay_outside_its_range_and_a_foreign_state_are_refused() -> None:
    for decay in (-0.1, 1.0):
        with pytest.raises(InputError):
            MovingAverage({"net": nn.Linear(1, 1)}, decay)
    with pytest.raises(InputError):
        MovingAverage({"net": nn.Flatten()}, 0.5)
    other = MovingAverage({"other": nn.Linear(1, 1)}, 0.5).state_dict()
    with pytest.raises(InputError):
        MovingAverage({"net": nn.Linear(1, 1)}, 0.5).load_state_dict(other)


def test_a_decay_of_zero_follows_the_weights() -> None:
    module = nn.Linear(2, 2)
    average = MovingAverage({"net": module}, 0.0)
    nn.init.constant_(module.bias, 3.0)
    average.merge()
    assert average.average["net.bias"].tolist() == [3.0, 3.0]
