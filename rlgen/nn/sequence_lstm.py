"""An LSTM over sequences of tokens."""

from jaxtyping import Float
from torch import Tensor, nn

from rlgen.nn.past import Past


class SequenceLSTM(nn.Module):
    """Layers of LSTMs with as many features as their inputs, a `SequenceNetwork`. Hochreiter & Schmidhuber 1997;
    dropout between layers and after the last one by Zaremba et al. 2014 (1409.2329).

    Inputs are normalized first, because embeddings that are also the weights of the output are small at the start."""

    def __init__(self, width: int, depth: int, dropout: float = 0.0):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.lstm = nn.LSTM(width, width, depth, batch_first=True, dropout=dropout if depth > 1 else 0.0)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Float[Tensor, "B T W"], past: Past | None = None) -> Float[Tensor, "B T W"]:
        """Hidden states [B, T, W] of embedded tokens [B, T, W], from the last state of `past`."""
        found, state = self.lstm(self.norm(tokens), None if past is None else past.state(self))
        if past is not None:
            past.keep(self, state)
            past.length += tokens.shape[1]
        return self.dropout(found)
