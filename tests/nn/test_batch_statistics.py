"""Batch norms that stand still."""

import torch
from torch import nn

from rlgen.nn.batch_norm import batch_norms_of_others, frozen_running_stats


def network() -> nn.ModuleDict:
    return nn.ModuleDict(
        {
            "one": nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2, affine=False)),
            "two": nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)),
        }
    )


def test_a_held_batch_norm_normalizes_the_same_and_does_not_move() -> None:
    torch.manual_seed(0)
    layer, rows = nn.BatchNorm1d(2), torch.randn(5, 2)
    with frozen_running_stats([layer]):
        inside = layer(rows)
        assert torch.equal(layer.running_mean, torch.zeros(2))
        assert int(layer.num_batches_tracked) == 0
    assert torch.equal(layer(rows), inside)
    assert int(layer.num_batches_tracked) == 1


def test_a_held_batch_norm_in_evaluation_mode_uses_its_statistics_as_ever() -> None:
    layer = nn.BatchNorm1d(2)
    layer(torch.randn(9, 2))
    layer.eval()
    rows = torch.randn(4, 2)
    expected = layer(rows)
    with frozen_running_stats([layer]):
        assert torch.equal(layer(rows), expected)


def test_statistics_move_again_after_an_error() -> None:
    layer = nn.BatchNorm1d(2)
    try:
        with frozen_running_stats([layer]):
            raise KeyError
    except KeyError:
        assert layer.track_running_stats


def test_a_batch_norm_without_statistics_is_never_held() -> None:
    bare = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2, track_running_stats=False))
    with frozen_running_stats(batch_norms_of_others(bare, [])):
        assert not bare[1].track_running_stats
    assert not bare[1].track_running_stats, "or evaluation would look for statistics that are not there"


def test_a_batch_norm_belongs_to_whose_parameters_surround_it() -> None:
    model = network()
    assert batch_norms_of_others(model, list(model["one"].parameters())) == [model["two"][1]]
    assert batch_norms_of_others(model, list(model["two"].parameters())) == [model["one"][1]]
    assert batch_norms_of_others(model, list(model.parameters())) == []
