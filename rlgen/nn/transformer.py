"""Transformer blocks: attention and a feedforward network, each added to its normalized input."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from rlgen.checks import at_least, below_one
from rlgen.equations.rotary_positions import rotary_angles, rotated
from rlgen.errors import problem
from rlgen.nn.layers import full_precision, without_autocast
from rlgen.nn.past import Past

Sequences = Float[Tensor, "B T W"]
FirstTokens = Float[Tensor, "B F W"]
"""Features of the first F tokens of each sequence, or of all T."""
INITIAL_STD = 0.02
"""Standard deviation of initial weights. Radford et al. 2019 (GPT-2), released code."""


@dataclass(frozen=True, kw_only=True)
class TransformerSizes:
    """Sizes of a Transformer."""

    width: int
    """Number of features of a token."""
    depth: int
    """Number of blocks."""
    heads: int
    """Number of attention heads, each of width / heads features, an even number."""
    expansion: int = 4
    """Hidden features of the feedforward network, as a multiple of the width."""
    dropout: float = 0.0
    """Probability that a feature of a block's additions is dropped in training."""
    learned_positions: int = 0
    """Most tokens of a network as in GPT-2, which has a learned vector for each position, biases, and a GELU by tanh.
    0: rotary positions, without biases and without a limit."""

    def __post_init__(self) -> None:
        at_least(self, 1, "width", "depth", "heads", "expansion")
        at_least(self, 0, "learned_positions")
        below_one(self, "dropout")
        if self.width % (2 * self.heads):
            got = f"width {self.width} and {self.heads} heads"
            raise problem("a width that is a multiple of twice the number of heads", got, "use e.g. 128 and 4")


class Attention(nn.Module):
    """Multi-head attention of tokens to tokens: to those of their own sequence, with rotary positions or without any,
    or to a `source` without positions. Vaswani et al. 2017 (1706.03762), section 3.2; positions by Su et al. 2021
    (2104.09864)."""

    def __init__(self, width: int, heads: int, dropout: float = 0.0, bias: bool = False):
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width, bias=bias)
        self.key_value = nn.Linear(width, 2 * width, bias=bias)
        self.output = nn.Linear(width, width, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: Sequences,
        angles: Float[Tensor, "T half"] | None,
        causal: bool,
        past: Past | None = None,
        present: Bool[Tensor, "B T"] | None = None,
        first: int | None = None,
    ) -> FirstTokens:
        """Attention of x to itself and to the tokens of `past`. `angles`: of the rotary positions, None for none.
        `causal`: each token to none after it. `present`: the tokens to attend to, where sequences are padded. `first`:
        of so many first tokens alone, to all."""
        assert first is None or not causal
        query, key, value = self._turned(x, angles, first)
        if past is not None:
            key, value = past.joined(self, key, value)
        return self._attended(query, key, value, causal, present)

    def weights(
        self,
        x: Sequences,
        angles: Float[Tensor, "T half"] | None,
        causal: bool,
        present: Bool[Tensor, "B T"] | None = None,
    ) -> Float[Tensor, "B heads T T"]:
        """Shares of the attention of each token of x that go to each other one, by head."""
        query, key, _ = self._turned(x, angles)
        scores = query @ key.mT / math.sqrt(query.shape[-1])
        mask = _mask(query, key, causal, present)
        return (scores if mask is None else scores.masked_fill(~mask, -math.inf)).softmax(-1)

    def to_source(
        self, x: Sequences, source: Float[Tensor, "B S W"], present: Bool[Tensor, "B S"] | None = None
    ) -> Sequences:
        """Attention of x to all tokens of `source`, or to those `present`."""
        key, value = self._split(self.key_value(source)).chunk(2, -1)
        query = self._split(self.query(x))
        return self._attended(query, key, value, False, present)

    def remember(self, past: Past, key_value: Float[Tensor, "B S two_W"]) -> None:
        """Put keys and values into an empty `past`. Every token attends to them; they have no position and do not count
        as tokens."""
        past.keep(self, self._split(key_value).chunk(2, -1))

    def _attended(self, query: Tensor, key: Tensor, value: Tensor, causal: bool, present: Tensor | None) -> Tensor:
        square = causal and query.shape[-2] == key.shape[-2] and present is None
        mask = None if square else _mask(query, key, causal, present)
        with without_autocast(query):  # torch's own causal mask is faster than a tensor
            found = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=square)
        return self.dropout(self.output(found.transpose(1, 2).flatten(2)))

    def _turned(self, x: Tensor, angles: Tensor | None, first: int | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Queries of the `first` tokens of x, by default all, keys and values of x; the first two turned by rotary
        positions, if there are any."""
        query = self._split(self.query(x[:, :first]))
        key, value = self._split(self.key_value(x)).chunk(2, -1)
        if angles is None:
            return query, key, value
        return rotated(query, angles[:first]), rotated(key, angles), value

    def _split(self, x: Tensor) -> Tensor:
        """[B, heads, T, features of a head]; on a CPU in float32, because there torch's gradient of attention in
        bfloat16 took three times as long."""
        return (full_precision(x) if x.device.type == "cpu" else x).unflatten(-1, (self.heads, -1)).transpose(1, 2)


def _mask(query: Tensor, key: Tensor, causal: bool, present: Tensor | None) -> Tensor | None:
    """Which keys each query attends to; None for all. The last query has the place of the last key."""
    queries, keys = query.shape[-2], key.shape[-2]
    mask = None
    if causal and queries > 1:  # a single token is the last one
        places = torch.arange(keys, device=query.device)
        mask = places <= places[keys - queries :, None]
    if present is not None:
        mask = present[:, None, None] if mask is None else mask & present[:, None, None]
    return mask


class FeedForward(nn.Sequential):
    """Two layers with a GELU between them, for each token. Vaswani et al. 2017 (1706.03762), section 3.3, with
    Hendrycks & Gimpel 2016's activation (1606.08415); with `bias`, by their approximation with tanh, as in GPT-2."""

    def __init__(self, width: int, hidden: int, dropout: float = 0.0, bias: bool = False):
        up, down = nn.Linear(width, hidden, bias=bias), nn.Linear(hidden, width, bias=bias)
        super().__init__(up, nn.GELU("tanh" if bias else "none"), down, nn.Dropout(dropout))


class TransformerBlock(nn.Module):
    """Attention to the own sequence, with `cross` also to a source, and a feedforward network; each is added to its
    input and normalizes it first (pre-norm: Xiong et al. 2020, 2002.04745).

    Causal it is a block of a language model or decoder, otherwise one of an encoder."""

    def __init__(self, sizes: TransformerSizes, causal: bool = True, cross: bool = False):
        super().__init__()
        width, bias = sizes.width, sizes.learned_positions > 0
        self.causal = causal
        self.attention_norm, self.feedforward_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, sizes.heads, sizes.dropout, bias)
        self.cross_norm = nn.LayerNorm(width) if cross else None
        self.cross = Attention(width, sizes.heads, sizes.dropout, bias) if cross else None
        self.feedforward = FeedForward(width, sizes.expansion * width, sizes.dropout, bias)

    def forward(
        self,
        x: Sequences,
        angles: Float[Tensor, "T half"] | None,
        past: Past | None = None,
        source: Float[Tensor, "B S W"] | None = None,
        present: Bool[Tensor, "B T"] | None = None,
        source_present: Bool[Tensor, "B S"] | None = None,
        first: int | None = None,
    ) -> FirstTokens:
        """Features of tokens, or of the `first` ones alone, with these rotary `angles`, if any, given the `source` of a
        block with cross-attention."""
        attended = self.attention(self.attention_norm(x), angles, self.causal, past, present, first)
        x = x[:, :first] + attended
        if self.cross is not None:
            assert self.cross_norm is not None
            assert source is not None
            x = x + self.cross.to_source(self.cross_norm(x), source, source_present)
        return x + self.feedforward(self.feedforward_norm(x))


class Transformer(nn.Module):
    """Blocks and a final norm. `causal`: a `SequenceNetwork`; otherwise an encoder, whose tokens see all. `cross`: a
    decoder of a source. With learned positions it is the network of GPT-2 (Radford et al. 2019, section 2.3)."""

    def __init__(self, sizes: TransformerSizes, causal: bool = True, cross: bool = False):
        super().__init__()
        self.sizes = sizes
        self.blocks = nn.ModuleList(TransformerBlock(sizes, causal, cross) for _ in range(sizes.depth))
        self.norm = nn.LayerNorm(sizes.width)
        learned = sizes.learned_positions
        self.positions = nn.Embedding(learned, sizes.width) if learned else None
        initialize(self, sizes.depth)

    def forward(
        self,
        tokens: Sequences,
        past: Past | None = None,
        source: Float[Tensor, "B S W"] | None = None,
        present: Bool[Tensor, "B T"] | None = None,
        source_present: Bool[Tensor, "B S"] | None = None,
        places: Int[Tensor, " T"] | None = None,
        first: int | None = None,
    ) -> FirstTokens:
        """Features [B, T, W] of embedded tokens [B, T, W]. `past`: the tokens before, which these are added to.
        `places`: the positions of the tokens, by default one after another. `first`: features of so many first tokens
        alone, for which the last block computes no others."""
        tokens, angles = self._placed(tokens, 0 if past is None else past.length, places)
        added = tokens.shape[1]
        *earlier, last = self.blocks
        for block in earlier:
            tokens = block(tokens, angles, past, source, present, source_present)
        tokens = last(tokens, angles, past, source, present, source_present, first)
        if past is not None:
            past.length += added
        return self.norm(tokens)

    def attention(
        self,
        tokens: Sequences,
        present: Bool[Tensor, "B T"] | None = None,
        places: Int[Tensor, " T"] | None = None,
    ) -> Float[Tensor, "B heads T T"]:
        """Shares of the attention of each token that go to each other one in the last block, by head, of a network
        without cross-attention."""
        tokens, angles = self._placed(tokens, 0, places)
        *earlier, last = self.blocks
        for block in earlier:
            tokens = block(tokens, angles, present=present)
        assert isinstance(last, TransformerBlock)
        return last.attention.weights(last.attention_norm(tokens), angles, last.causal, present)

    def _placed(
        self, tokens: Sequences, first: int, places: Int[Tensor, " T"] | None = None
    ) -> tuple[Sequences, Float[Tensor, "T half"] | None]:
        """Tokens at these `places`, or from the place `first` on, with their learned positions, and the angles of
        rotary ones."""
        places = torch.arange(first, first + tokens.shape[1], device=tokens.device) if places is None else places
        if self.positions is None:
            return tokens, rotary_angles(places, self.sizes.width // self.sizes.heads)
        if first + len(places) > self.sizes.learned_positions:
            expected = f"at most {self.sizes.learned_positions:,} tokens, one for each position"
            raise problem(expected, f"{first + len(places):,} of them", "cut them")
        return tokens + self.positions(places), None

    def remembering(self, memory: Float[Tensor, "B L S two_W"]) -> Past:
        """A past in which every block has S keys and values of a `memory`, one part [B, S, 2 W] for each of the L
        blocks."""
        past = Past()
        for block, part in zip(self.blocks, memory.unbind(1), strict=True):
            assert isinstance(block, TransformerBlock)
            block.attention.remember(past, part)
        return past


@torch.no_grad()
def initialize(network: Transformer, depth: int) -> None:
    """Draw weights as GPT-2 does: normal with standard deviation 0.02; of the layers whose outputs are added to the
    features, divided by the root of their number, so that features keep their size. Radford et al. 2019, section
    2.3. Biases start at 0, learned positions with half the standard deviation (released code)."""
    for name, module in network.named_modules():
        if isinstance(module, nn.Linear):
            added = name.endswith(("output", "feedforward.2"))
            nn.init.normal_(module.weight, std=INITIAL_STD / (math.sqrt(2 * depth) if added else 1))
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    if network.positions is not None:
        nn.init.normal_(network.positions.weight, std=INITIAL_STD / 2)
