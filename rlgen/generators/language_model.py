"""A language model: the probability of each token of a text given those before it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from rlgen.checks import at_least, below_one, one_of, positive
from rlgen.display import Metric, Panel
from rlgen.errors import problem
from rlgen.generators.generative_model import GenerativeModel, Player, Terms
from rlgen.nn.layers import full_precision
from rlgen.nn.past import Past, SequenceNetwork
from rlgen.nn.sequence_lstm import SequenceLSTM
from rlgen.nn.transformer import INITIAL_STD, Transformer, TransformerSizes

BETAS = (0.9, 0.99)
"""Adam's decays; the second one is shorter than usual, for small batches, as in nanoGPT's settings for characters."""
Network = Literal["transformer", "gpt2", "lstm"]


@dataclass(frozen=True, kw_only=True)
class LanguageModelConfig:
    """Configuration of `LanguageModel`."""

    network: Network = "transformer"
    """Network over the tokens: transformer, with rotary positions; gpt2, with the learned positions and biases of GPT-2
    (Radford et al. 2019), whose weights it can have; or lstm (Hochreiter & Schmidhuber 1997), whose state has no
    limit."""
    context: int = 128
    """Length of the windows of text that are learned from, in tokens; a Transformer sees no further back. At least
    2."""
    width: int = 192
    """Number of features of a token."""
    depth: int = 4
    """Number of blocks or of LSTM layers."""
    heads: int = 3
    """Number of attention heads of a Transformer; twice as many divide the width."""
    dropout: float = 0.0
    """Probability that a feature is dropped in training; raise it for small texts that are learned for long."""
    learning_rate: float = 3e-3
    """Learning rate of AdamW."""
    weight_decay: float = 0.1
    """Weight decay of matrices, per update and unit of the learning rate."""

    def __post_init__(self) -> None:
        one_of(self, "network", get_args(Network))
        at_least(self, 2, "context", remedy="use e.g. 128")
        at_least(self, 1, "width", "depth", "heads")
        at_least(self, 0, "weight_decay")
        below_one(self, "dropout")
        positive(self, "learning_rate")
        if self.network != "lstm":
            self.sizes  # noqa: B018  # its checks

    @property
    def sizes(self) -> TransformerSizes:
        learned = self.context if self.network == "gpt2" else 0
        return TransformerSizes(
            width=self.width, depth=self.depth, heads=self.heads, dropout=self.dropout, learned_positions=learned
        )


class LanguageModel(GenerativeModel):
    """log p(x) = Σ log p(x_t | x_1 … x_(t-1)) of tokens x. Bengio et al. 2003, eq. 1; by a Transformer Radford et al.
    2018 (GPT), section 3.1; by an LSTM Zaremba et al. 2014 (1409.2329).

    A start symbol comes before the first token, so that this one has a probability too. The network's last layer has
    the weights of the embedding (Press & Wolf 2017, 1608.05859). One player maximizes the likelihood.
    """

    config_type = LanguageModelConfig
    panels = (
        Panel(
            "Negative log-likelihood [nats per token]",
            (
                Metric("likelihood/loss", "training text"),
                Metric("evaluation/nll_per_token", "validation text", band="evaluation/nll_per_token_standard_error"),
            ),
        ),
    )
    config: LanguageModelConfig

    def __init__(self, vocabulary: int, config: LanguageModelConfig | None = None):
        super().__init__()
        if vocabulary < 2:
            raise problem("a vocabulary of at least 2 tokens", f"{vocabulary}", "use another tokenizer")
        self.vocabulary, self.config = vocabulary, config or LanguageModelConfig()
        self.embedding = nn.Embedding(vocabulary + 1, self.config.width)  # the last one is the start symbol
        nn.init.normal_(self.embedding.weight, std=INITIAL_STD)
        self.dropout = nn.Dropout(self.config.dropout)
        self.network: SequenceNetwork = _network(self.config)

    @property
    def limit(self) -> int | None:
        """Most tokens that the network reads, with the start symbol; None for any number."""
        return None if self.config.network == "lstm" else self.config.context

    def players(self) -> Sequence[Player]:
        config = self.config
        decay = {"betas": BETAS, "weight_decay": config.weight_decay}
        return (Player("likelihood", self.parameters(), self.loss, config.learning_rate, **decay),)  # type: ignore[arg-type]

    def loss(self, tokens: Int[Tensor, "B T"], labels: Tensor | None = None) -> Terms:
        """Mean of -log p of a token, nats."""
        logits = self.logits(self.started(tokens[:, :-1]))
        return {"loss": F.cross_entropy(logits.flatten(0, 1), tokens.flatten())}

    @torch.no_grad()
    def log_prob(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B T"]:
        """log p(x_t | x_1 … x_(t-1)) of each token, nats."""
        logits = self.logits(self.started(tokens[:, :-1]))
        return -F.cross_entropy(logits.mT, tokens, reduction="none")

    def started(self, tokens: Int[Tensor, "B T"]) -> Int[Tensor, "B T_plus_1"]:
        """The tokens after the start symbol."""
        return F.pad(tokens, (1, 0), value=self.vocabulary)

    def logits(self, tokens: Int[Tensor, "B T"], past: Past | None = None) -> Float[Tensor, "B T V"]:
        """Logits of the token after each of `tokens`, of which the first is the start symbol unless `past` has it."""
        features = self.network(self.dropout(self.embedding(tokens)), past)
        return full_precision(F.linear(features, self.embedding.weight[: self.vocabulary]))


def _network(config: LanguageModelConfig) -> Transformer | SequenceLSTM:
    if config.network == "lstm":
        return SequenceLSTM(config.width, config.depth, config.dropout)
    return Transformer(config.sizes)


def window_start(place: int, limit: int | None) -> int:
    """Number of the first token that is read to predict the one number `place`, both from 0, by a network that reads at
    most `limit` tokens, the start symbol included. It is a multiple of half the limit, so that windows start rarely and
    at least half of the limit is read wherever there is as much."""
    half = 0 if limit is None else limit // 2
    return max(0, place // half - 1) * half if half else 0
