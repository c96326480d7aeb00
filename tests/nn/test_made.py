"""The masked autoencoder: what its outputs see, read off the Jacobian."""

import itertools

import pytest
import torch
from torch.autograd.functional import jacobian

from rlgen.equations.likelihoods import bernoulli_log_prob
from rlgen.errors import InputError
from rlgen.nn import MADE

shapes = pytest.mark.parametrize(
    ("size", "hidden"), [(1, (4,)), (2, (1,)), (5, (7,)), (5, (3, 2)), (6, (40, 3, 17)), (4, (1, 1))]
)


def network(size: int, hidden: tuple[int, ...], **settings) -> MADE:
    torch.manual_seed(0)
    return MADE(size, hidden, activation=torch.nn.Tanh, **settings).double()


@shapes
@pytest.mark.parametrize("backwards", [False, True])
def test_an_output_sees_only_the_inputs_before_it(size: int, hidden: tuple[int, ...], backwards: bool) -> None:
    order = list(range(size))[:: -1 if backwards else 1]
    made = network(size, hidden, outputs=2, order=order)
    of_inputs = jacobian(made, torch.randn(size).double()).abs().sum(1)
    before = torch.tensor([[order[j] < order[i] for j in range(size)] for i in range(size)])
    assert (of_inputs[~before] == 0).all()
    last = order.index(size - 1)
    assert (of_inputs[last] > 0).sum() == size - 1, "the last sees all the others, however narrow the layers"


def test_a_wide_network_lets_every_output_see_all_the_inputs_before_it() -> None:
    made = network(5, (16, 16), order=[2, 0, 4, 1, 3])
    of_inputs = jacobian(made, torch.randn(5).double()).abs().sum(1)
    position = made.position
    assert torch.equal(of_inputs > 0, position[None, :] < position[:, None])


@pytest.mark.parametrize(("size", "hidden"), [(1, (4,)), (5, (8,)), (5, (8, 3)), (6, (2, 2))])
def test_the_context_reaches_every_output(size: int, hidden: tuple[int, ...]) -> None:
    made = network(size, hidden, context=3)
    x, context = torch.randn(size).double(), torch.randn(3).double()
    of_context = jacobian(lambda context: made(x, context), context)
    assert (of_context.abs().sum(1) > 0).all()
    of_inputs = jacobian(lambda x: made(x, context), x).squeeze(1)
    assert (of_inputs.triu() == 0).all()


def test_probabilities_of_all_binary_rows_sum_to_one() -> None:
    made = network(5, (9, 6), order=[3, 1, 0, 4, 2])
    rows = torch.tensor(list(itertools.product([0.0, 1.0], repeat=5))).double()
    assert bernoulli_log_prob(rows, made(rows).squeeze(-1)).exp().sum().item() == pytest.approx(1, abs=1e-12)


def test_it_learns_a_dependence_that_no_independent_pixels_could() -> None:
    # Two equal coins have an entropy of log 2; as independent ones they would cost 2 log 2.
    torch.manual_seed(0)
    rows = torch.randint(2, (256, 1)).float().expand(-1, 2)
    made = MADE(2, (8,))
    optimizer = torch.optim.Adam(made.parameters(), 0.05)
    for _ in range(100):
        loss = -bernoulli_log_prob(rows, made(rows).squeeze(-1)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() == pytest.approx(0.693, abs=0.02)


def test_samples_before_rows_meet_the_context_of_their_row() -> None:
    made = network(4, (8,), context=2)
    x, context = torch.randn(3, 5, 4).double(), torch.randn(5, 2).double()
    torch.testing.assert_close(made(x, context)[1, 3], made(x[1, 3], context[3]))


def test_a_saved_network_is_the_same_network_in_its_order_too() -> None:
    one, other = network(4, (8,), order=[3, 1, 0, 2]), network(4, (8,))
    other.load_state_dict(one.state_dict())
    x = torch.randn(7, 4).double()
    torch.testing.assert_close(one(x), other(x), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 3, "hidden": ()}, "hidden layers of 1"),
        ({"size": 3, "hidden": (4, 0)}, "hidden layers of 1"),
        ({"size": 3, "hidden": (1,), "context": 2}, "hidden layers of 2"),
        ({"size": 3, "hidden": (4,), "order": [0, 0, 1]}, "order"),
    ],
)
def test_impossible_networks_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        MADE(**arguments)
