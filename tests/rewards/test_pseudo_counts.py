"""Pseudo-counts: against visits that are counted, and against a step of the density model on each row."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, grad, vmap

from rlgen.data import Transitions
from rlgen.errors import InputError
from rlgen.nn import BinnedDensity
from rlgen.rewards import DensityCounts, DensityCountsConfig, TaskShape

PLACES = 6


def arrived(rows: Tensor) -> Transitions:
    no = torch.zeros(len(rows), dtype=torch.bool)
    return Transitions(torch.zeros_like(rows), torch.zeros(len(rows), 1), rows, no, no)


def on_a_line(n: int, seed: int) -> Tensor:
    """Places 0 to 5, each half as frequent as the one before it."""
    shares = 0.5 ** torch.arange(PLACES)
    return torch.multinomial(shares, n, True, generator=torch.Generator().manual_seed(seed)).float()[:, None]


def line_source() -> DensityCounts:
    torch.manual_seed(0)
    config = DensityCountsConfig(
        scale=1.0, bins=16, hidden=(8,), learning_rate=0.02, updates_per_rollout=32, batch_size=256
    )
    return DensityCounts(TaskShape(observation_size=1, action_size=1), config)


def test_on_a_line_the_bonus_is_one_over_the_root_of_the_visits() -> None:
    """And so it halves as the visits grow fourfold."""
    source, places, visits = line_source(), torch.arange(PLACES).float()[:, None], torch.zeros(PLACES)
    found = {}
    for seed in range(8):
        rows = on_a_line(1000, seed)
        visits += rows[:, 0].long().bincount(minlength=PLACES)
        source.update(arrived(rows))
        if seed in (1, 7):
            found[seed] = source.reward(arrived(places))
            assert (found[seed].diff() > 0).all(), "the rarer, the more"
            torch.testing.assert_close(found[seed], visits.rsqrt(), rtol=0.35, atol=0)
    assert visits[0] > 25 * visits[-1]
    assert 0.4 < float(found[7][0] / found[1][0]) < 0.6


def test_before_anything_is_learned_all_is_worth_one_and_an_unknown_place_stays_so() -> None:
    source, rows = line_source(), arrived(on_a_line(1000, 0))
    source.update(rows)
    assert torch.equal(source.reward(rows), torch.ones(1000))
    far = float(source.reward(arrived(torch.full((1, 1), -40.0))))
    assert far > 10 * float(source.reward(arrived(torch.zeros(1, 1))))


@pytest.fixture
def learned() -> DensityCounts:
    """Of two numbers that depend on each other."""
    torch.manual_seed(0)
    source = DensityCounts(
        TaskShape(observation_size=2, action_size=1), DensityCountsConfig(bins=8, hidden=(8, 4), scale=1.0)
    )
    for seed in range(3):
        rows = torch.randn(500, 2, generator=torch.Generator().manual_seed(seed))
        source.update(arrived(torch.stack([rows[:, 0], rows[:, 0] + 0.3 * rows[:, 1]], 1)))
    return source


def test_the_gain_is_that_of_a_natural_step_on_each_row(learned: DensityCounts) -> None:
    """Gradients by automatic differentiation of each row, a step of the last layer for each, and the new density."""
    (rows,) = learned.view(arrived(0.5 * torch.randn(20, 2, generator=torch.Generator().manual_seed(9))))
    density, inverse = deepcopy(learned.networks.density).double(), learned.networks.inverse.double()
    parameters, last = dict(density.named_parameters()), f"network.layers.{len(density.network.layers) - 1}"
    names = (f"{last}.weight", f"{last}.bias")
    reads = density.logits_mask.repeat_interleave(density.bins, 0).double()

    def log_prob(changed: dict[str, Tensor], row: Tensor) -> Tensor:
        return functional_call(Scored(density), {f"density.{key}": value for key, value in changed.items()}, (row,))

    start = {name: value.detach() for name, value in parameters.items()}
    slopes = vmap(grad(log_prob), (None, 0))(start, rows.double())
    of_outputs = torch.cat([slopes[names[0]] * reads, slopes[names[1]].unsqueeze(-1)], -1)
    steps = torch.einsum("oij,boj->boi", inverse.flatten(0, 1), of_outputs)
    gains, small = [], 1e-4
    for row, step in zip(rows.double(), steps, strict=True):
        moved = start | {
            names[0]: start[names[0]] + small * step[:, :-1],
            names[1]: start[names[1]] + small * step[:, -1],
        }
        gains.append((log_prob(moved, row) - log_prob(start, row)) / small)
    expected = 1 / torch.expm1(torch.stack(gains))
    torch.testing.assert_close(learned.networks.counts(rows).double(), expected, rtol=2e-3, atol=0)


class Scored(torch.nn.Module):
    """The log-probability of one row, as a module's output."""

    def __init__(self, density: BinnedDensity):
        super().__init__()
        self.density = density

    def forward(self, row: Tensor) -> Tensor:
        return self.density.log_prob(row[None])[0]


def test_the_probabilities_of_all_cells_sum_to_one(learned: DensityCounts) -> None:
    density = learned.networks.density
    middles = (torch.arange(8) + 0.5) * 2 * density.reach / 8 - density.reach
    cells = torch.cartesian_prod(middles, middles)
    assert float(density.log_prob(cells).detach().exp().sum()) == pytest.approx(1, abs=1e-5)
    assert torch.equal(density.cells(cells), torch.cartesian_prod(torch.arange(8), torch.arange(8)))


def test_it_continues_after_a_save_and_bad_rows_do_not_spoil_it(learned: DensityCounts) -> None:
    torch.manual_seed(1)
    other = DensityCounts(
        TaskShape(observation_size=2, action_size=1), DensityCountsConfig(bins=8, hidden=(8, 4), scale=1.0)
    )
    other.load_state_dict(deepcopy(learned.state_dict()))
    rewards = []
    for source in (learned, other):
        torch.manual_seed(2)
        rows = torch.randn(64, 2)
        rows[3, 1] = torch.nan
        source.update(arrived(rows))
        rewards.append(source.reward(arrived(torch.randn(50, 2))))
    torch.testing.assert_close(*rewards, rtol=0, atol=0)
    assert torch.isfinite(rewards[0]).all()


@pytest.mark.parametrize("wrong", [{"bins": 1}, {"scale": 0.0}, {"prior": -1.0}])
def test_settings_out_of_range_are_refused(wrong: dict) -> None:
    with pytest.raises(InputError):
        DensityCountsConfig(**wrong)
