"""Gated activations and the cell of an LSTM against torch, and where they are known on paper."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from rlgen.equations.gating import gated_activation, lstm_update


def test_a_gated_activation_is_torchs_gated_linear_unit_of_a_tanh() -> None:
    value, gate_logit = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0)).double()
    expected = F.glu(torch.cat([value.tanh(), gate_logit], -1), -1)
    torch.testing.assert_close(gated_activation(value, gate_logit), expected)


def test_a_gate_that_is_half_open_lets_half_of_the_tanh_pass() -> None:
    found = gated_activation(torch.tensor([1.0, -2.0]), torch.zeros(2))
    torch.testing.assert_close(found, torch.tensor([math.tanh(1) / 2, -math.tanh(2) / 2]))


def test_the_update_is_that_of_torchs_cell() -> None:
    torch.manual_seed(0)
    torchs = nn.LSTMCell(3, 4).double()
    x, hidden, cell = torch.randn(5, 3).double(), torch.randn(5, 4).double(), torch.randn(5, 4).double()
    gates = F.linear(x, torchs.weight_ih, torchs.bias_ih) + F.linear(hidden, torchs.weight_hh, torchs.bias_hh)
    for ours, expected in zip(lstm_update(gates, cell), torchs(x, (hidden, cell)), strict=True):
        torch.testing.assert_close(ours, expected)


def test_open_and_closed_gates_write_keep_forget_and_hide() -> None:
    opened, closed, content = torch.inf, -torch.inf, 0.7
    cases = {
        "keeps": ([closed, opened, content, opened], 0.3),
        "replaces": ([opened, closed, content, opened], math.tanh(content)),
        "adds": ([opened, opened, content, opened], 0.3 + math.tanh(content)),
        "forgets": ([closed, closed, content, opened], 0.0),
    }
    for name, (gates, expected) in cases.items():
        hidden, cell = lstm_update(torch.tensor(gates), torch.tensor([0.3]))
        torch.testing.assert_close(cell, torch.tensor([expected]), msg=name)
        torch.testing.assert_close(hidden, torch.tensor([math.tanh(expected)]), msg=name)
    hidden, cell = lstm_update(torch.tensor([closed, opened, content, closed]), torch.tensor([0.3]))
    assert (hidden.item(), cell.item()) == (0.0, torch.tensor(0.3).item()), "the cell stays, unseen"
