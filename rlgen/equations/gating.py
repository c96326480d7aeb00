"""Multiplicative units: activations with a gate, and the memory cell of an LSTM."""

import torch
from jaxtyping import Float
from torch import Tensor


def gated_activation(value: Float[Tensor, "*batch"], gate_logit: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """tanh(value) · sigmoid(gate_logit). van den Oord et al. 2016 (Gated PixelCNN, 1606.05328), eq. 2."""
    return torch.tanh(value) * torch.sigmoid(gate_logit)


def lstm_update(
    gates: Float[Tensor, "*batch G"], cell: Float[Tensor, "*batch h"]
) -> tuple[Float[Tensor, "*batch h"], Float[Tensor, "*batch h"]]:
    """The hidden state o tanh(c), and the cell c = f cell + i g. Hochreiter & Schmidhuber 1997, with the forget gate of
    Gers et al. 2000; for images van den Oord et al. 2016 (PixelRNN, 1601.06759), eq. 3.

    `gates`: G = 4 h components, in torch's order the logits of input gate i and forget gate f, the content before its
    tanh, and the logit of the output gate o.
    """
    input_logit, forget_logit, content, output_logit = gates.chunk(4, -1)
    cell = torch.sigmoid(forget_logit) * cell + torch.sigmoid(input_logit) * torch.tanh(content)
    return torch.sigmoid(output_logit) * torch.tanh(cell), cell
