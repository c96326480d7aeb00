"""The score-function estimate against exact enumeration of all choices, and by hand."""

import itertools

import torch
from torch import Tensor
from torch.distributions import Bernoulli

from rlgen.equations.score_function import baseline_error, learning_signal, score_function_surrogate

T = 3
CHOICES = torch.tensor(list(itertools.product([0.0, 1.0], repeat=T)), dtype=torch.float64).T  # [T, 8]


def logits(weights: Tensor) -> Tensor:
    """Log-odds [T, 8] of each choice, which depend on the choices before it."""
    before = torch.cat([torch.zeros(1, 8, dtype=torch.float64), CHOICES.cumsum(0)[:-1]])
    return weights[0][:, None] + weights[1][:, None] * before


def costs(weights: Tensor) -> Tensor:
    """Terms [T, 8] that depend on a choice and on those before it, and on no parameter of q."""
    return (1 + CHOICES.cumsum(0)) * torch.tensor([0.3, 1.1, 0.7], dtype=torch.float64)[:, None]


def likelihood() -> Tensor:
    return torch.tensor([3.0, -1.0, 0.5, 2.0, -4.0, 1.5, 7.0, -2.0], dtype=torch.float64)


def enumerated(weights: Tensor) -> tuple[Tensor, Tensor]:
    """log q(z) of each sequence of choices, [T, 8] and in all [8]."""
    log_prob = Bernoulli(logits=logits(weights)).log_prob(CHOICES)
    return log_prob, log_prob.sum(0)


def some_weights() -> Tensor:
    return torch.tensor([[0.3, -0.8, 0.5], [0.9, 0.4, -1.2]], dtype=torch.float64, requires_grad=True)


def test_the_mean_of_the_estimate_is_the_gradient_of_the_enumerated_bound_with_any_baseline() -> None:
    weights = some_weights()
    _, joint = enumerated(weights)
    exact = (joint.exp() * (likelihood() - costs(weights).sum(0))).sum()
    (expected,) = torch.autograd.grad(exact, weights)
    before = torch.cat([torch.zeros(1, 8, dtype=torch.float64), CHOICES[:-1].cumsum(0)])
    for baseline in (torch.zeros(T, 8, dtype=torch.float64), 5 - 2 * before):  # of earlier choices alone
        log_prob, joint = enumerated(weights)
        signal = learning_signal(likelihood(), costs(weights))
        surrogate = (joint.exp().detach() * score_function_surrogate(log_prob, signal, baseline)).sum()
        (found,) = torch.autograd.grad(surrogate, weights)
        torch.testing.assert_close(found, expected)


def test_a_baseline_of_the_choice_itself_gives_another_mean() -> None:
    weights = some_weights()
    log_prob, joint = enumerated(weights)
    signal = learning_signal(likelihood(), costs(weights))
    means = [
        torch.autograd.grad((joint.exp().detach() * score_function_surrogate(log_prob, signal, b)).sum(), weights,
                            retain_graph=True)[0]
        for b in (torch.zeros_like(signal), CHOICES)
    ]  # fmt: skip
    assert not torch.allclose(*means)


def test_a_signal_has_the_costs_from_its_choice_on() -> None:
    found = learning_signal(torch.tensor([10.0]), torch.tensor([[1.0], [2.0], [4.0]]))
    assert found.flatten().tolist() == [3.0, 4.0, 6.0]


def test_the_baseline_has_no_part_in_the_estimate_and_the_signal_none_in_the_error() -> None:
    log_prob, signal, baseline = (torch.randn(T, 4, requires_grad=True) for _ in range(3))
    score_function_surrogate(log_prob, signal, baseline).sum().backward()
    assert signal.grad is None
    assert baseline.grad is None
    torch.testing.assert_close(log_prob.grad, (signal - baseline).detach())
    error = baseline_error(signal, baseline, torch.tensor(2.0))
    error.sum().backward()
    assert signal.grad is None
    torch.testing.assert_close(error, (signal - baseline) ** 2 / 4)
    torch.testing.assert_close(baseline.grad, (baseline - signal).detach() / 2)


def test_the_best_baseline_is_the_mean_signal() -> None:
    signal = torch.tensor([[1.0, 4.0, 7.0]])
    errors = [baseline_error(signal, torch.full((1, 3), b), torch.tensor(1.0)).sum() for b in (3.9, 4.0, 4.1)]
    assert errors[1] == min(errors)
