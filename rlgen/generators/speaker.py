"""A speaker: it reads a trajectory and writes the instruction that the trajectory follows."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from rlgen.checks import at_least, below_one, positive
from rlgen.display import Metric, Panel
from rlgen.errors import problem
from rlgen.generators.generative_model import GenerativeModel, Player, Terms
from rlgen.generators.instruction_model import CELLS, VIEW
from rlgen.generators.text_sampling import Sampling
from rlgen.nn.cross_modal import CODES, DIRECTIONS, FRONT, NO_WORD, SIDE, CellEmbedding
from rlgen.nn.layers import full_precision
from rlgen.nn.padding import present
from rlgen.nn.past import Past
from rlgen.nn.transformer import INITIAL_STD, Attention, Transformer, TransformerSizes

STEP = VIEW + 1
"""Numbers of a step: what is seen, and the action."""
Trajectories = Int[Tensor, "B T N"]
"""`STEP` numbers for each step. The last step of a trajectory has an action that no task has, for its end; those after
it have the action `PADDING`."""
Instructions = Int[Tensor, "B L"]
GREEDY = Sampling(temperature=0)
"""The most probable word each time."""


@dataclass(frozen=True, kw_only=True)
class SpeakerConfig:
    """Configuration of `Speaker`."""

    width: int = 64
    """Number of features of a cell, a step or a word."""
    depth: int = 1
    """Number of blocks of the encoder, and of the decoder."""
    heads: int = 4
    """Number of attention heads; twice as many divide the width."""
    dropout: float = 0.1
    """Probability that a feature is dropped in training."""
    learning_rate: float = 3e-3
    """Learning rate of AdamW."""
    weight_decay: float = 0.1
    """Weight decay of matrices, per update and unit of the learning rate."""

    def __post_init__(self) -> None:
        at_least(self, 1, "width", "depth", "heads")
        at_least(self, 0, "weight_decay")
        below_one(self, "dropout")
        positive(self, "learning_rate")
        self.sizes  # noqa: B018  # its checks

    @property
    def sizes(self) -> TransformerSizes:
        return TransformerSizes(width=self.width, depth=self.depth, heads=self.heads, dropout=self.dropout)


class Speaker(GenerativeModel):
    """log p(x | τ) = Σ log p(x_t | x_1 … x_(t-1), τ) of the words x of an instruction given a trajectory τ. Fried et
    al. 2018 (1806.02724), section 3: a speaker that writes instructions for trajectories without one.

    An instruction ends with the number 0, which is also its padding, so that what it writes has the form of what it
    reads.

    Each step attends to the cells that are seen at it, all of which share the embeddings of their codes, so that a word
    that was learned for one cell holds for all. The cell in front of the agent, where it acts, has a layer of its own:
    with attention alone, a speaker of 90 instructions finds that cell from some initial weights and learns the
    instructions by heart from others.

    Differs from the paper: Transformers instead of LSTMs, and the encoder reads the codes of a grid.
    """

    config_type = SpeakerConfig
    panels = (
        Panel(
            "Speaker: negative log-likelihood [nats per word]",
            (Metric("speaker/loss", "training"), Metric("evaluation/speaker_nll", "held out")),
        ),
        Panel(
            "Speaker, held out",
            (
                Metric("evaluation/speaker_accuracy", "words, given those before"),
                Metric("evaluation/speaker_exact", "whole instructions"),
            ),
            limits=(0, 1),
        ),
    )
    config: SpeakerConfig

    def __init__(self, vocabulary: int, length: int, actions: int, config: SpeakerConfig | None = None):
        super().__init__()
        if vocabulary < 2 or length < 1 or actions < 2:
            got = f"{vocabulary} words, instructions of {length} and {actions} actions"
            raise problem("a vocabulary of padding and a word, a length and at least 2 actions", got, "give these")
        self.vocabulary, self.length, self.actions = vocabulary, length, actions
        self.config = config or SpeakerConfig()
        width = self.config.width
        self.start = vocabulary
        self.cells = CellEmbedding(width)
        self.directions = nn.Embedding(DIRECTIONS, width)
        self.acts = nn.Embedding(actions + 1, width)  # the last one is the end
        self.words = nn.Embedding(vocabulary + 1, width)  # the last one is the start symbol
        self.step_norm, self.cell_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.look = Attention(width, self.config.heads)
        self.front = nn.Linear(width, width, bias=False)
        self.dropout = nn.Dropout(self.config.dropout)
        self.encoder = Transformer(self.config.sizes, causal=False)
        self.decoder = Transformer(self.config.sizes, cross=True)
        embeddings = (self.cells.places, self.directions, self.acts, self.words, *self.cells.codes)
        for layer in (self.front, *embeddings):
            nn.init.normal_(layer.weight, std=INITIAL_STD)

    def players(self) -> Sequence[Player]:
        config = self.config
        return (
            Player("speaker", self.parameters(), self.loss, config.learning_rate, weight_decay=config.weight_decay),
        )

    def loss(self, steps: Trajectories, words: Instructions | None = None) -> Terms:
        """Mean of -log p of a word, the end of an instruction included, nats."""
        assert words is not None
        return {"loss": self.word_nll(steps, words).sum() / written(words).sum()}

    def word_nll(self, steps: Trajectories, words: Instructions) -> Float[Tensor, "B L_plus_1"]:
        """-log p of each word and of the end, nats; 0 after the end."""
        logits = self.logits(self.started(words), *self.encode(steps))
        nll = F.cross_entropy(logits.mT, ended(words), reduction="none")
        return nll.masked_fill(~written(words), 0.0)

    def encode(self, steps: Trajectories) -> tuple[Float[Tensor, "B T W"], Bool[Tensor, "B T"]]:
        """Features of steps, and which of them are no padding."""
        there = present(steps[..., VIEW])
        rows = steps[there]  # padding is most of it where episodes differ in length
        step = self.directions(rows[:, CELLS]) + self.acts(rows[:, VIEW])
        cells = self.dropout(self.cells(rows[:, :CELLS].unflatten(1, (SIDE * SIDE, len(CODES)))))
        cells = self.cell_norm(cells)
        seen = self.look.to_source(self.step_norm(step)[:, None], cells)[:, 0]
        tokens = step.new_zeros(*there.shape, step.shape[1])
        tokens[there] = self.dropout(step + seen + self.front(cells[:, FRONT]))
        return self.encoder(tokens, present=there), there

    def logits(
        self,
        words: Int[Tensor, "B L"],
        source: Float[Tensor, "B T W"],
        source_present: Bool[Tensor, "B T"],
        past: Past | None = None,
    ) -> Float[Tensor, "B L V"]:
        """Logits of what comes after each of `words`, 0 for the end. The first word is the start symbol, unless `past`
        has it."""
        features = self.decoder(self.dropout(self.words(words)), past, source, source_present=source_present)
        return full_precision(F.linear(features, self.words.weight[: self.vocabulary]))

    def started(self, words: Instructions) -> Int[Tensor, "B L_plus_1"]:
        """The words after the start symbol."""
        return F.pad(words, (1, 0), value=self.start)

    @torch.inference_mode()
    def write(self, steps: Trajectories, sampling: Sampling = GREEDY, cached: bool = True) -> Instructions:
        """An instruction of up to `length` words for each trajectory, by default of the most probable word each time.

        `cached`: keep keys and values of earlier words; otherwise all are read again for each, for tests."""
        source = self.encode(steps)
        words, past = steps.new_empty(len(steps), 0), Past()
        done = torch.zeros(len(steps), dtype=torch.bool, device=steps.device)
        for _ in range(self.length):
            past = past if cached else Past()
            drawn = sampling.draw(self.logits(self.started(words)[:, past.length :], *source, past)[:, -1])
            done |= drawn == NO_WORD
            words = torch.cat([words, drawn.masked_fill(done, NO_WORD)[:, None]], 1)
            if bool(done.all()):
                break
        return F.pad(words, (0, self.length - words.shape[1]), value=NO_WORD)


def ended(words: Instructions) -> Int[Tensor, "B L_plus_1"]:
    """The words before their end."""
    return F.pad(words, (0, 1), value=NO_WORD)


def written(words: Instructions) -> Bool[Tensor, "B L_plus_1"]:
    """Where words are, and the end after the last of them."""
    return F.pad(words != NO_WORD, (1, 0), value=True)
