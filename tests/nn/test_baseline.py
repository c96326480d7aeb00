"""The baseline of a score-function estimator learns the signal whatever its size, and moves nothing else."""

import torch

from rlgen.nn.baseline import Baseline


def test_it_learns_a_signal_of_the_input_whatever_its_size() -> None:
    torch.manual_seed(0)
    inputs, state = torch.randn(64, 3), torch.randn(64, 2)
    for size in (1e-2, 1e4):
        signal = size * (inputs[:, 0] + state[:, 1] + 7)
        baseline = Baseline(3, 2, 32)
        baseline.start(signal.mean(), signal.var())
        optimizer = torch.optim.Adam(baseline.parameters(), 1e-2)
        for _ in range(200):
            error = ((signal - baseline(baseline.of_input(inputs), state)) / baseline.std).square().mean()
            optimizer.zero_grad()
            error.backward()
            optimizer.step()
        assert error < 0.05


def test_the_state_gets_no_gradient() -> None:
    baseline, state = Baseline(3, 2, 4), torch.randn(5, 2, requires_grad=True)
    baseline(baseline.of_input(torch.randn(5, 3)), state).sum().backward()
    assert state.grad is None
    assert baseline.state.weight.grad is not None


def test_the_averages_approach_what_is_merged_and_are_saved() -> None:
    baseline = Baseline(3, 2, 4)
    baseline.start(torch.tensor(100.0), torch.tensor(4.0))
    assert (baseline.mean.item(), baseline.std.item()) == (100, 2)
    baseline.merge(torch.tensor(0.0), torch.tensor(104.0))
    torch.testing.assert_close(baseline.mean, torch.tensor(95.0))
    torch.testing.assert_close(baseline.variance, torch.tensor(9.0))
    assert {"mean", "variance"} <= baseline.state_dict().keys()


def test_a_signal_that_does_not_vary_has_a_finite_baseline() -> None:
    baseline = Baseline(3, 2, 4)
    baseline.start(torch.tensor(5.0), torch.tensor(0.0))
    assert baseline(baseline.of_input(torch.randn(5, 3)), torch.randn(5, 2)).isfinite().all()
    assert baseline.std > 0
