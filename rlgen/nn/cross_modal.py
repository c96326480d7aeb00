"""A Transformer over the words of an instruction and the cells of a grid together."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from rlgen.checks import at_least, below_one
from rlgen.errors import problem
from rlgen.nn.transformer import INITIAL_STD, Transformer, TransformerSizes

SIDE = 7
"""Cells of each side of the view, as MiniGrid's agents see it."""
CODES = (11, 6, 4)
"""Kinds of objects, colors and states of a cell in MiniGrid; the fourth state is a direction of an agent."""
FRONT = SIDE // 2 * SIDE + SIDE - 2
"""Number of the cell in front of the agent, in the order of the codes."""
DIRECTIONS = 4
NO_WORD = 0
"""The number after the last word of an instruction that is shorter than others."""


class CellEmbedding(nn.Module):
    """Features [..., `cells`, width] of the cells of a view: the sum of the embeddings of a cell's object, color and
    state, and of its place."""

    def __init__(self, width: int, cells: int = SIDE * SIDE):
        super().__init__()
        self.codes = nn.ModuleList(nn.Embedding(number, width) for number in CODES)
        self.places = nn.Embedding(cells, width)

    def forward(self, codes: Int[Tensor, "B C 3"]) -> Float[Tensor, "B C W"]:
        parts = [embedding(each) for embedding, each in zip(self.codes, codes.unbind(-1), strict=True)]
        return torch.stack(parts).sum(0) + self.places.weight


@dataclass(frozen=True, kw_only=True)
class CrossModalConfig:
    """Sizes of a `CrossModalTransformer`."""

    width: int = 128
    """Number of features of a word, a cell or the whole."""
    depth: int = 2
    """Number of blocks."""
    heads: int = 4
    """Number of attention heads; twice as many divide the width."""
    dropout: float = 0.0
    """Probability that a feature is dropped in training."""

    def __post_init__(self) -> None:
        at_least(self, 1, "width", "depth", "heads")
        below_one(self, "dropout")
        self.sizes  # noqa: B018  # its checks

    @property
    def sizes(self) -> TransformerSizes:
        return TransformerSizes(width=self.width, depth=self.depth, heads=self.heads, dropout=self.dropout)


@dataclass(frozen=True)
class CrossModalFeatures:
    """Features of an instruction in what is seen."""

    words: Float[Tensor, "B L W"]
    """Features of each word; at padding they mean nothing."""
    pooled: Float[Tensor, "B W"]
    """Features of both together: those of a symbol before the first word."""


class CrossModalTransformer(nn.Module):
    """Features of an instruction of up to `length` words and of a view of `cells` cells, by default 7 x 7, with a
    direction: one Transformer in which each token attends to all others. Hao et al. 2020 (Prevalent, 2002.10638).

    A cell is the sum of the embeddings of its object, color and state, scaled and shifted by the words of the
    instruction (FiLM, Perez et al. 2018, 1709.07871, eq. 1, as in BabyAI's networks, 1810.08272): attention alone takes
    far longer to find which cells the words name. Words are numbered from 1 to `vocabulary` - 1, 0 is padding, and
    `mask` is one number more, for a hidden word.

    Differs from the paper: it sees a grid instead of photographs, and has no blocks for words or scene alone.
    """

    def __init__(self, vocabulary: int, length: int, config: CrossModalConfig | None = None, cells: int = SIDE * SIDE):
        super().__init__()
        if vocabulary < 2 or length < 1:
            got = f"a vocabulary of {vocabulary} and instructions of {length} words"
            raise problem("a vocabulary of padding and a word, and instructions of at least 1 word", got, "give both")
        self.vocabulary, self.length, self.config = vocabulary, length, config or CrossModalConfig()
        width = self.config.width
        self.mask, self.n_cells = vocabulary, cells
        self.words = nn.Embedding(vocabulary + 1, width)
        self.word_places = nn.Embedding(length, width)
        self.cells = CellEmbedding(width, cells)
        self.directions = nn.Embedding(DIRECTIONS, width)
        self.kinds = nn.Embedding(4, width)  # the whole, word, cell, direction
        self.words_norm, self.cells_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.modulation = nn.Linear(width, 2 * width)
        self.dropout = nn.Dropout(self.config.dropout)
        self.network = Transformer(self.config.sizes, causal=False)
        for module in self.modules():
            if isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=INITIAL_STD)

    def forward(
        self, image: Int[Tensor, "B H V 3"], direction: Int[Tensor, " B"], mission: Int[Tensor, "B L"]
    ) -> CrossModalFeatures:
        """Features of codes of cells (object, color, state), directions and words, 0 after the last word."""
        cut = self._cut(mission)
        found = self._first(1 + cut.shape[1], image, direction, cut)
        words = F.pad(found[:, 1:], (0, 0, 0, mission.shape[1] - cut.shape[1]))
        return CrossModalFeatures(words, found[:, 0])

    def pooled(
        self, image: Int[Tensor, "B H V 3"], direction: Int[Tensor, " B"], mission: Int[Tensor, "B L"]
    ) -> Float[Tensor, "B W"]:
        """The features of both together of `forward`, without those of words, in less time."""
        return self._first(1, image, direction, self._cut(mission))[:, 0]

    @staticmethod
    def _cut(mission: Tensor) -> Tensor:
        """The mission without its padding; on a device all of it, because a number of columns would have to come to the
        host."""
        return without_unused(mission) if mission.device.type == "cpu" else mission

    def attention(
        self, image: Int[Tensor, "B H V 3"], direction: Int[Tensor, " B"], mission: Int[Tensor, "B L"]
    ) -> Float[Tensor, "B L"]:
        """Shares of the attention of the features of the whole that go to each word, in the last block, as a mean over
        its heads; the rest goes to the scene and the whole."""
        tokens = self._tokens(image, direction, mission)
        found = self.network.attention(tokens, self._present(mission), self._places(mission))
        return found.mean(1)[:, 0, 1 : 1 + mission.shape[1]]

    def _first(self, tokens: int, image: Tensor, direction: Tensor, mission: Tensor) -> Float[Tensor, "B T W"]:
        """Features of the first tokens of the whole, the words, the cells and the direction, each aware of all."""
        embedded = self._tokens(image, direction, mission)
        present, places = self._present(mission), self._places(mission)
        return self.network(embedded, present=present, places=places, first=tokens)

    def _tokens(self, image: Tensor, direction: Tensor, mission: Tensor) -> Float[Tensor, "B T W"]:
        """The whole, the words, the cells and the direction."""
        whole, word, cell, way = self.kinds.weight
        words = self.words(mission) + self.word_places.weight[: mission.shape[1]] + word
        cells = self._modulated(self.cells(image.flatten(1, 2)) + cell, mission)
        ways = (self.directions(direction) + way)[:, None]
        return self.dropout(torch.cat([whole.expand(len(image), 1, -1), words, cells, ways], 1))

    def _modulated(self, cells: Float[Tensor, "B S W"], mission: Tensor) -> Float[Tensor, "B S W"]:
        """Normalized cells, scaled and shifted by the sum of the words, whatever their order."""
        said = (self.words(mission) * (mission != NO_WORD).unsqueeze(-1)).sum(1)
        scale, shift = self.modulation(self.words_norm(said)).unsqueeze(1).chunk(2, -1)
        return self.cells_norm(cells) * (1 + scale) + shift

    def _places(self, mission: Tensor) -> Int[Tensor, " T"]:
        """Positions of the tokens. Those of the scene come after `length` words, however many the instruction has, so
        that padding does not change the distances between words and cells."""
        places = torch.arange(1 + self.length + self.n_cells + 1, device=mission.device)
        return torch.cat([places[: 1 + mission.shape[1]], places[1 + self.length :]])

    def _present(self, mission: Tensor) -> Bool[Tensor, "B T"]:
        """Which tokens are no padding."""
        return F.pad(F.pad(mission != NO_WORD, (1, 0), value=True), (0, self.n_cells + 1), value=True)


def without_unused(words: Int[Tensor, "B L"]) -> Int[Tensor, "B K"]:
    """The words without the last columns, those in which no instruction has a word; at least one is kept."""
    return words[:, : int((words != NO_WORD).any(0).sum().clamp(min=1))]
