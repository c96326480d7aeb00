"""The network of BERT, which reads whole sentences."""

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor, nn

from rlgen.checks import at_least, below_one, positive
from rlgen.errors import problem
from rlgen.nn.padding import present


@dataclass(frozen=True, kw_only=True)
class BertSizes:
    """Sizes of a BERT."""

    vocabulary: int
    """Number of tokens."""
    width: int
    """Number of features of a token."""
    depth: int
    """Number of blocks."""
    heads: int
    """Number of attention heads, which divides the width."""
    hidden: int
    """Hidden features of the feedforward network."""
    positions: int = 512
    """Most tokens of a sentence, with the symbols before and after it."""
    dropout: float = 0.1
    """Probability that a feature is dropped in training."""
    epsilon: float = 1e-12
    """Small number that norms add to the variance."""

    def __post_init__(self) -> None:
        at_least(self, 1, "vocabulary", "width", "depth", "heads", "hidden", "positions")
        below_one(self, "dropout")
        positive(self, "epsilon")
        if self.width % self.heads:
            got = f"width {self.width} and {self.heads} heads"
            raise problem("a width that is a multiple of the number of heads", got, "use e.g. 128 and 4")


class Bert(nn.Module):
    """Blocks of attention and a feedforward network with norms after them, and learned positions. Devlin et al. 2019
    (1810.04805), section 3; blocks of Vaswani et al. 2017 (1706.03762) by torch.

    Differs from the paper: only what reads a single sentence. The vector of the first segment belongs to the positions,
    and heads of the pre-training are left out.
    """

    def __init__(self, sizes: BertSizes):
        super().__init__()
        self.sizes = sizes
        width, epsilon = sizes.width, sizes.epsilon
        self.words, self.positions = nn.Embedding(sizes.vocabulary, width), nn.Embedding(sizes.positions, width)
        self.norm, self.dropout = nn.LayerNorm(width, epsilon), nn.Dropout(sizes.dropout)
        block = nn.TransformerEncoderLayer(
            width, sizes.heads, sizes.hidden, sizes.dropout, "gelu", epsilon, batch_first=True
        )
        self.blocks = nn.TransformerEncoder(block, sizes.depth, enable_nested_tensor=False)

    def forward(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B T W"]:
        """Features of the tokens of sentences; those of `PADDING` mean nothing."""
        there = present(tokens)
        embedded = self.words(tokens.masked_fill(~there, 0)) + self.positions.weight[: tokens.shape[1]]
        found: Tensor = self.blocks(self.dropout(self.norm(embedded)), src_key_padding_mask=~there)
        return found

    def mean(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B W"]:
        """The mean of the features of each sentence's tokens, which say more about a sentence than the first token's as
        long as nothing was trained on sentences (Reimers & Gurevych 2019, 1908.10084, table 1)."""
        there = present(tokens)[..., None]
        return self(tokens).masked_fill(~there, 0).sum(1) / there.sum(1)
