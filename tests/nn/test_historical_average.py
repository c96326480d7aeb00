"""Historical averaging: the distance from the mean of all past parameters."""

from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from rlgen.errors import InputError
from rlgen.nn import HistoricalAverage
from rlgen.nn.penalties import Remembering


def test_the_mean_is_that_of_all_parameters_remembered_and_of_the_start() -> None:
    network = nn.Linear(2, 1).double()
    memory = Remembering(network)
    past = [parameters_to_vector(network.parameters()).detach().clone()]
    for _ in range(8):
        past.append(torch.randn(3, dtype=torch.float64))
        vector_to_parameters(past[-1].clone(), network.parameters())
        memory.remember()
    torch.testing.assert_close(memory.mean, torch.stack(past).mean(0))
    torch.testing.assert_close(memory.distance(), (past[-1] - torch.stack(past).mean(0)).square().sum())


def test_the_penalty_is_the_weighed_distance_from_the_past_before_it_joins_the_past() -> None:
    network = nn.Linear(2, 1)
    penalty = HistoricalAverage(weight=3.0)
    wrapped = penalty.wrap(network)
    rows = torch.randn(4, 2)
    torch.testing.assert_close(wrapped(rows), network(rows))
    with torch.no_grad():
        network.bias.add_(2)
    loss = penalty.loss(wrapped, rows, rows, rows[:, 0], rows[:, 0])
    assert float(loss.detach()) == pytest.approx(3 * 4)
    loss.backward()
    assert network.bias.grad is not None
    assert float(network.bias.grad) == pytest.approx(3 * 2 * 2)
    again = penalty.loss(wrapped, rows, rows, rows[:, 0], rows[:, 0])
    assert float(again.detach()) == pytest.approx(3 * 1), "the mean of the two is half way"


def test_the_state_dict_holds_the_past() -> None:
    first, second = Remembering(nn.Linear(2, 1)), Remembering(nn.Linear(2, 1))
    with torch.no_grad():
        first.network.bias.add_(2)
    first.remember()
    second.load_state_dict(deepcopy(first.state_dict()))
    assert torch.equal(first.distance(), second.distance())
    for memory in (first, second):
        memory.remember()
    assert torch.equal(first.mean, second.mean)
    assert first.distance() > 0


def test_one_historical_average_serves_one_network() -> None:
    penalty = HistoricalAverage()
    penalty.wrap(nn.Linear(2, 1))
    with pytest.raises(InputError, match="a separate"):
        penalty.wrap(nn.Linear(2, 1))
