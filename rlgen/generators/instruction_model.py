"""A model of instructions in what is seen: hidden words and the expert's action, learned from triplets."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from rlgen.checks import at_least, below_one, positive
from rlgen.display import Metric, Panel
from rlgen.equations.masked_words import masked_words
from rlgen.errors import problem
from rlgen.generators.generative_model import GenerativeModel, Player, Terms
from rlgen.nn.cross_modal import CODES, NO_WORD, SIDE, CrossModalConfig, CrossModalFeatures, CrossModalTransformer
from rlgen.nn.layers import full_precision

CELLS = SIDE * SIDE * len(CODES)
"""Codes of a view."""
VIEW = CELLS + 1
"""Numbers of what is seen: the codes of the cells, row by row, and the direction."""
Rows = Int[Tensor, "B N"]
"""What is seen and the instruction: `VIEW` numbers and those of the words."""


@dataclass(frozen=True, kw_only=True)
class InstructionModelConfig:
    """Configuration of `InstructionModel`: the tasks of the paper, a smaller network."""

    network: CrossModalConfig = field(default_factory=CrossModalConfig)
    """Transformer over words and cells."""
    mask_share: float = 0.15
    """Share of the words of an instruction that are to be predicted, at least 0 and below 1; 0 for action prediction
    alone."""
    learning_rate: float = 1e-3
    """Learning rate of AdamW."""
    weight_decay: float = 0.1
    """Weight decay of matrices, per update and unit of the learning rate."""

    def __post_init__(self) -> None:
        below_one(self, "mask_share")
        positive(self, "learning_rate")
        at_least(self, 0, "weight_decay")


class InstructionModel(GenerativeModel):
    """log p(x_i | x without hidden words, s) of each hidden word x_i of an instruction and log p(a | x, s) of the
    expert's action a, given the view s. Hao et al. 2020 (Prevalent, 2002.10638): image-attended masked language
    modeling and action prediction.

    The features of a symbol for the whole predict the action, from an instruction with hidden words as in the released
    code. Words are predicted by the weights of their embedding (Press & Wolf 2017, 1608.05859).
    """

    config_type = InstructionModelConfig
    panels = (
        Panel(
            "Hidden words: negative log-likelihood [nats per word]",
            (Metric("pretraining/word_loss", "training"), Metric("evaluation/word_nll", "held out")),
        ),
        Panel(
            "Action: negative log-likelihood [nats]",
            (Metric("pretraining/action_loss", "training"), Metric("evaluation/action_nll", "held out")),
        ),
        Panel("Pre-training: loss [nats]", (Metric("pretraining/loss", "sum of both"),), drawn=False),
    )
    config: InstructionModelConfig

    def __init__(self, vocabulary: int, length: int, actions: int, config: InstructionModelConfig | None = None):
        super().__init__()
        if actions < 2:
            raise problem("at least 2 actions", f"{actions}", "give the number of discrete actions of the task")
        self.vocabulary, self.length, self.actions = vocabulary, length, actions
        self.own_words: tuple[str, ...] = ()
        """Words of the task after `rlgen.data.words.WORDS`, in the order of their numbers."""
        self.config = config or InstructionModelConfig()
        self.network = CrossModalTransformer(vocabulary, length, self.config.network)
        self.word_bias = nn.Parameter(torch.zeros(vocabulary))
        self.action_head = nn.Linear(self.config.network.width, actions)

    def players(self) -> Sequence[Player]:
        config = self.config
        parameters = self.parameters()
        return (Player("pretraining", parameters, self.loss, config.learning_rate, weight_decay=config.weight_decay),)

    def loss(self, rows: Rows, actions: Int[Tensor, " B"] | None = None) -> Terms:
        """The sum of both losses, nats: a mean over hidden words, and one over rows."""
        assert actions is not None
        words = rows[:, VIEW:]
        draws = torch.rand(words.shape, device=words.device).masked_fill(words == NO_WORD, 1.0)
        others = torch.randint(NO_WORD + 1, self.vocabulary, words.shape, device=words.device)
        seen, hidden = masked_words(words, draws, others, self.network.mask, self.config.mask_share)
        found = self.features(torch.cat([rows[:, :VIEW], seen], 1))
        # A sum over all places keeps the shapes static; there may be no hidden word at all.
        nll = F.cross_entropy(self.word_logits(found).mT, words, reduction="none").masked_fill(~hidden, 0.0)
        word_loss = nll.sum() / hidden.sum().clamp(min=1)
        action_loss = F.cross_entropy(self.action_logits(found), actions)
        return {"loss": word_loss + action_loss, "word_loss": word_loss, "action_loss": action_loss}

    def features(self, rows: Rows) -> CrossModalFeatures:
        """Features of what is seen and instructions."""
        image = rows[:, :CELLS].unflatten(1, (SIDE, SIDE, len(CODES)))
        return self.network(image, rows[:, CELLS], rows[:, VIEW:])

    def word_logits(self, features: CrossModalFeatures) -> Float[Tensor, "B L V"]:
        """Logits of the word at each place."""
        return full_precision(F.linear(features.words, self.network.words.weight[: self.vocabulary], self.word_bias))

    def action_logits(self, features: CrossModalFeatures) -> Float[Tensor, "B A"]:
        """Logits of the expert's action."""
        return full_precision(self.action_head(features.pooled))
