"""A variational autoencoder of sentences."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, get_args

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from rlgen.checks import at_least, below_one, one_of, positive, share, up_to_one
from rlgen.deprecation import UNLESS_DEFAULT
from rlgen.display import Metric, Panel
from rlgen.equations.annealing import cyclical_weight
from rlgen.equations.variational_bounds import elbo, free_bits
from rlgen.errors import problem
from rlgen.generators.generative_model import GenerativeModel, Player, Terms
from rlgen.generators.language_model import BETAS
from rlgen.nn.layers import full_precision
from rlgen.nn.padding import PADDING, present
from rlgen.nn.past import Past
from rlgen.nn.posterior import DiagonalGaussian, standard_normal_log_prob
from rlgen.nn.transformer import INITIAL_STD, Transformer, TransformerSizes

Injection = Literal["both", "memory", "embedding"]
Blocks = Literal["transformer", "gpt2"]
Latents = Float[Tensor, "B Z"]
AT_ONCE = 2**24
"""Largest number of logits computed at once for several latents of a sentence: 64 MiB."""


@dataclass(frozen=True, kw_only=True)
class SentenceVAEConfig:
    """Configuration of `SentenceVAE`: the latent variables, free bits and cycles of the paper, smaller networks."""

    latent: int = 32
    """Latent dimension."""
    injection: Injection = "both"
    """Way of the latent into the decoder: memory, a key and a value that every layer attends to; embedding, a vector
    that is added to every token's; or both."""
    network: Blocks = "transformer"
    """Network of encoder and decoder: transformer, with rotary positions; or gpt2, with the learned positions and
    biases of GPT-2 (Radford et al. 2019), whose weights both can have."""
    context: int = 320
    """Most tokens of a sentence. Minibatches are as long as their longest sentence, so a higher limit costs nothing by
    itself."""
    width: int = 128
    """Number of features of a token."""
    depth: int = 3
    """Number of blocks of the encoder, and of the decoder."""
    heads: int = 2
    """Number of attention heads; twice as many divide the width."""
    dropout: float = 0.0
    """Probability that a feature is dropped in training."""
    word_dropout: float = 0.0
    """Probability that the decoder sees a symbol for unknown instead of an earlier token in training, so that it needs
    the latent more (Bowman et al. 2016, 1511.06349)."""
    free_bits: float = 0.5
    """Nats of KL divergence per latent dimension without cost, as a mean over the minibatch (Kingma et al. 2016,
    1606.04934, appendix C.8); 0 for none."""
    cycles: int = 4
    """Number of cycles of the KL divergence's weight β over the whole training (Fu et al. 2019, 1903.10145); 0 for a
    constant β of 1."""
    zero_share: float = 0.5
    """Share of a cycle, at its start, in which β is 0."""
    rise_share: float = 0.25
    """Share of a cycle, after that, in which β rises linearly to 1, where it stays for the rest."""
    learning_rate: float = 2e-3
    """Learning rate of AdamW."""
    weight_decay: float = 0.1
    """Weight decay of matrices, per update and unit of the learning rate."""
    encoder_rate: float = field(default=5e-5, metadata=UNLESS_DEFAULT)
    """Learning rate of an encoder with published weights; 0 for weights that stay as they are. Li et al. 2020
    (2004.04092), released code."""

    def __post_init__(self) -> None:
        one_of(self, "injection", get_args(Injection))
        one_of(self, "network", get_args(Blocks))
        at_least(self, 1, "latent", "context", "width", "depth", "heads")
        at_least(self, 0, "free_bits", "cycles", "weight_decay", "encoder_rate")
        below_one(self, "dropout", "word_dropout")
        share(self, "zero_share")
        up_to_one(self, "rise_share")
        positive(self, "learning_rate")
        if self.zero_share + self.rise_share > 1:
            got = f"zero_share {self.zero_share:g} and rise_share {self.rise_share:g}"
            raise problem("shares of a cycle that sum to at most 1", got, "use e.g. 0.5 and 0.25")
        self.sizes  # noqa: B018  # its checks

    @property
    def sizes(self) -> TransformerSizes:
        learned = self.context + 1 if self.network == "gpt2" else 0  # one more for the start symbol
        return TransformerSizes(
            width=self.width, depth=self.depth, heads=self.heads, dropout=self.dropout, learned_positions=learned
        )


class Reader(Protocol):
    """An encoder of sentences that has no network in common with the decoder; an `nn.Module`."""

    origin: str
    """What its weights are, for results."""

    @property
    def width(self) -> int:
        """Number of features of a sentence."""

    def __call__(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B W"]:
        """Features of the sentences of tokens, `PADDING` after them."""

    def parameters(self) -> Iterator[nn.Parameter]: ...

    def requires_grad_(self, requires_grad: bool = True) -> Any: ...


class SentenceVAE(GenerativeModel):
    """p(x) = ∫ p(z) Π p(x_t | x_1 … x_(t-1), z) dz of sentences x, each ended by a symbol, so that sentences of all
    lengths share one distribution. Li et al. 2020 (Optimus, 2004.04092), section 3; Bowman et al. 2016 (1511.06349).

    Encoder and decoder are Transformers that share the embedding of tokens. The posterior is made of the encoder's
    features of a start symbol. Rows of tokens [B, T] end with `PADDING` where others are longer. A `reader` is another
    encoder, such as a BERT with tokens of its own (`rlgen.data.BertReader`).

    Differs from the paper: both networks start from random weights, unless others are given; the free bits apply to
    means over the minibatch, and what is logged is the whole KL divergence.
    """

    config_type = SentenceVAEConfig
    panels = (
        Panel("Bound on the log-likelihood [nats per sentence]", (Metric("vae/elbo", "training, one latent each"),)),
        Panel("KL to the prior [nats per sentence]", (Metric("vae/kl", "all of it"),), limits=(0, None)),
        Panel("Weight β of the KL", (Metric("vae/beta", "β"),), limits=(0, 1)),
        Panel("Log-likelihood given the latent [nats per sentence]", (Metric("vae/log_likelihood", "training"),)),
        Panel("Loss [nats per token]", (Metric("vae/loss", "with β and free bits"),)),
    )
    config: SentenceVAEConfig
    updates: Tensor

    def __init__(self, vocabulary: int, config: SentenceVAEConfig | None = None, reader: Reader | None = None):
        super().__init__()
        if vocabulary < 2:
            raise problem("a vocabulary of at least 2 tokens", f"{vocabulary}", "use another tokenizer")
        self.vocabulary, self.config = vocabulary, config or SentenceVAEConfig()
        latent, width, depth = self.config.latent, self.config.width, self.config.depth
        self.end, self.start, self.unknown = vocabulary, vocabulary + 1, vocabulary + 2
        self.embedding = nn.Embedding(vocabulary + 3, width)
        self.dropout = nn.Dropout(self.config.dropout)
        self.reader = None if reader is None else reader.requires_grad_(self.config.encoder_rate > 0)
        self.encoder = Transformer(self.config.sizes, causal=False) if reader is None else None
        self.posterior = DiagonalGaussian(width if reader is None else reader.width, latent)
        self.decoder = Transformer(self.config.sizes)
        injection = self.config.injection
        self.memory = nn.Linear(latent, depth * 2 * width) if injection != "embedding" else None
        self.added = nn.Linear(latent, width) if injection != "memory" else None
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))
        self.total: int | None = None
        """Updates of the whole training, which the cycles of β divide; None for a constant β of 1."""
        self._initialize()

    @torch.no_grad()
    def _initialize(self) -> None:
        nn.init.normal_(self.embedding.weight, std=INITIAL_STD)
        if self.memory is not None:
            nn.init.normal_(self.memory.weight, std=INITIAL_STD)
        if self.added is not None:  # as large as the embedding of a token, for a latent of the prior
            nn.init.normal_(self.added.weight, std=INITIAL_STD / self.config.latent**0.5)
            nn.init.zeros_(self.added.bias)

    def players(self) -> Sequence[Player]:
        config = self.config
        read = () if self.reader is None else self.reader.parameters()
        return (
            Player(
                "vae",
                self.parameters(),
                self.loss,
                config.learning_rate,
                BETAS,
                weight_decay=config.weight_decay,
                own_rates=dict.fromkeys(read, config.encoder_rate),
            ),
        )

    def after_update(self, logs: Terms) -> None:
        self.updates += 1

    def loss(self, tokens: Int[Tensor, "B T"], labels: Tensor | None = None) -> Terms:
        """Minus the bound with β and free bits, divided by the mean number of tokens, so that rates and clipping mean
        the same as for a language model. Li et al. 2020, section 3. The other terms are nats per sentence; `kl` and
        `elbo` do not include β or free bits."""
        features = self.features(tokens)
        latents, _ = self.posterior.rsample(features)
        log_likelihood = self.log_likelihood(tokens, latents)
        groups = self.posterior.kl(features)
        kl, beta = groups.sum(-1), self.beta()
        charged = beta * free_bits(groups, self.config.free_bits).sum()
        length = present(tokens).sum() / len(tokens) + 1
        return {
            "loss": (charged - log_likelihood.mean()) / length,
            "elbo": elbo(log_likelihood, kl).mean(),
            "kl": kl.mean(),
            "log_likelihood": log_likelihood.mean(),
            "beta": beta,
        }

    def beta(self) -> Float[Tensor, ""]:
        """The weight of the KL divergence in the next update."""
        config = self.config
        if not config.cycles or self.total is None:
            return torch.ones((), device=self.updates.device)
        return cyclical_weight(self.updates, self.total / config.cycles, config.zero_share, config.rise_share)

    def features(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B W"]:
        """What the posterior q(z|x) is made of: the encoder's features of the start symbol, or what a reader finds."""
        if self.encoder is None:
            assert self.reader is not None
            return self.reader(tokens)
        there = F.pad(present(tokens), (1, 0), value=True)
        return self.encoder(self._embedded(self.started(tokens)), present=there)[:, 0]

    def log_likelihood(self, tokens: Int[Tensor, "B T"], latents: Float[Tensor, "S B Z"]) -> Float[Tensor, "S B"]:
        """log p(x|z) of sentences with their ends, nats; some samples of the latents at a time."""
        targets, found = self.ended(tokens), []
        for some in latents.split(max(1, AT_ONCE // (targets.numel() * (self.vocabulary + 1)))):
            started = self._with_unknown(self.started(tokens).repeat(len(some), 1))
            logits = self.logits(started, some.flatten(0, 1))
            expected = targets.repeat(len(some), 1)
            nll = F.cross_entropy(logits.mT, expected, ignore_index=PADDING, reduction="none")
            found.append(-nll.sum(-1).view(len(some), len(tokens)))
        return torch.cat(found)

    @torch.no_grad()
    def log_weight(self, tokens: Int[Tensor, "B T"], samples: int) -> Float[Tensor, "S B"]:
        """log p(x, z) - log q(z|x) of draws of z from q(z|x), nats."""
        latents, log_posterior = self.posterior.rsample(self.features(tokens), samples)
        return self.log_likelihood(tokens, latents) + standard_normal_log_prob(latents) - log_posterior

    def logits(
        self, tokens: Int[Tensor, "B T"], latents: Latents, past: Past | None = None
    ) -> Float[Tensor, "B T V_plus_1"]:
        """Logits of what comes after each of `tokens`, the last one for the end. The first token is the start symbol,
        unless `past`, which `past_of` starts, has it."""
        embedded = self._embedded(tokens)
        if self.added is not None:
            embedded = embedded + self.added(latents)[:, None]
        features = self.decoder(embedded, self.past_of(latents) if past is None else past)
        return full_precision(F.linear(features, self.embedding.weight[: self.vocabulary + 1]))

    def past_of(self, latents: Latents) -> Past:
        """What the decoder attends to before the first token."""
        if self.memory is None:
            return Past()
        return self.decoder.remembering(self.memory(latents).unflatten(-1, (self.config.depth, 1, -1)))

    def started(self, tokens: Int[Tensor, "B T"]) -> Int[Tensor, "B T_plus_1"]:
        """The tokens after the start symbol."""
        return F.pad(tokens, (1, 0), value=self.start)

    def ended(self, tokens: Int[Tensor, "B T"]) -> Int[Tensor, "B T_plus_1"]:
        """The tokens before the end symbol, and padding after it."""
        lengths = present(tokens).sum(1, keepdim=True)
        return F.pad(tokens, (0, 1), value=PADDING).scatter(1, lengths, self.end)

    def _embedded(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B T W"]:
        return self.dropout(self.embedding(tokens.masked_fill(~present(tokens), self.end)))

    def _with_unknown(self, tokens: Int[Tensor, "B T"]) -> Int[Tensor, "B T"]:
        """In training some of the tokens are replaced by the symbol for unknown, but never the start symbol."""
        if not self.training or not self.config.word_dropout:
            return tokens
        dropped: Bool[Tensor, "B T"] = torch.rand(tokens.shape, device=tokens.device) < self.config.word_dropout
        return tokens.masked_fill(dropped & present(tokens) & (tokens != self.start), self.unknown)
