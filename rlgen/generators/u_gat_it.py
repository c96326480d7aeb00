"""U-GAT-IT (Kim et al. 2020, 1907.10830): translation of images between two domains without pairs, with attention; a
host of FQ-GAN (Zhao et al. 2020, 2004.02088)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rlgen.checks import at_least, positive
from rlgen.display import Metric, Panel
from rlgen.equations.divergences import DIVERGENCES, logistic_discriminator_loss
from rlgen.errors import problem
from rlgen.generators.domain_memory import DomainMemory
from rlgen.generators.image_model import ImageModel, ImageShape, Player, Terms
from rlgen.nn.conv import required_halvings
from rlgen.nn.quantized_discriminator import Found, QuantizationConfig, QuantizedDiscriminator
from rlgen.nn.u_gat_it import DOMAIN_LOGITS, UGATITGenerator, clip_shares, patch_discriminator

LEAST_SQUARES = DIVERGENCES["least_squares"]
KEPT = 256
"""Images of each domain that the model keeps. Its samples are translations of these."""


@dataclass(frozen=True, kw_only=True)
class UGATITConfig:
    """Configuration of `UGATIT`: Kim et al. 2020 (1907.10830), section 3.1 and released code, for small images. With
    these rates and weights a training takes very many updates. On digits of 8 × 8 pixels --u-gat-it.learning-rate 2e-3
    --u-gat-it.blocks 1 --u-gat-it.attention 1 --u-gat-it.cycle 1 --u-gat-it.identity 0.5 --u-gat-it.quantization.codes
    64 --game.average 0.98 turn most zeros to ones in 300.

    Differs from the paper: fewer channels and residual blocks, no weight decay, and no augmentation, because the images
    are small.
    """

    domains: tuple[int, int] = (0, 1)
    """Two classes of the data: images of the first are translated to the second, and back. Others are ignored."""
    pairs: int = 16
    """Images of each domain per step: the last ones that minibatches contained."""
    width: int = 16
    """Channels before the first halving of the generators and after that of the discriminators; each further halving
    doubles them."""
    blocks: int = 2
    """Residual blocks before the attention of a generator, and blocks with AdaLIN after it (the paper: 4)."""
    cycle: float = 10.0
    """Weight of the mean absolute difference of images and their translations there and back."""
    identity: float = 10.0
    """Weight of the mean absolute change of images that are in the target domain already."""
    attention: float = 1000.0
    """Weight of the loss of the attention's classifier of domains, nats."""
    learning_rate: float = 1e-4
    """Learning rate of Adam for both players."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Betas of Adam."""
    quantization: QuantizationConfig = field(default_factory=lambda: QuantizationConfig(codes=0))
    """Quantization of the discriminators' features (FQ-GAN, Zhao et al. 2020, 2004.02088); none by default."""

    def __post_init__(self) -> None:
        at_least(self, 1, "pairs", "width", "blocks")
        at_least(self, 0, "cycle", "identity", "attention", remedy="use 0 for none")
        positive(self, "learning_rate")
        if len(self.domains) != 2 or self.domains[0] == self.domains[1] or min(self.domains) < 0:
            raise problem("two different classes as domains", f"{self.domains}", "use e.g. 0 and 1")


class Direction(NamedTuple):
    """Translation to one domain: the loss of its generator in parts, scalars."""

    game: Tensor
    cycle: Tensor
    identity: Tensor
    attention: Tensor
    commitment: Tensor


class UGATIT(ImageModel):
    """Two generators, one for each direction, and discriminators of each domain at several depths: the deepest, and one
    that sees small patches (one discriminator, if images are halved only once).

    Samples are translations of the last images of the first domain. The metrics of a run translate test images of the
    first domain, and compare them with test images of the second.
    """

    averaged = ("generators",)
    config_type = UGATITConfig
    panels = (
        Panel(
            "Discriminator right on",
            (Metric("discriminator/real_accuracy", "real images"), Metric("discriminator/fake_accuracy", "fakes")),
            limits=(0, 1),
            line=0.5,
        ),
        Panel(
            "Losses of the players",
            (Metric("discriminator/loss", "discriminators"), Metric("generator/loss", "generators")),
        ),
        Panel(
            "Mean absolute difference",
            (Metric("generator/cycle", "there and back"), Metric("generator/identity", "in the domain already")),
            limits=(0, None),
        ),
        Panel("Loss of the attention's classifier [nats]", (Metric("generator/attention", "loss"),), limits=(0, None)),
        Panel(
            "Least-squares losses",
            (Metric("discriminator/divergence", "discriminators"), Metric("generator/game", "generators")),
        ),
        Panel(
            "Squared distance of features from their codes",
            (
                Metric("discriminator/commitment", "discriminator's turn"),
                Metric("generator/commitment", "generator's turn"),
            ),
            limits=(0, None),
        ),
        Panel(
            "Share of codes in use", (Metric("discriminator/codebook_usage", "mean of all codebooks"),), limits=(0, 1)
        ),
        Panel(
            "Share of steps that count, since both domains have images",
            (Metric("discriminator/ready", "discriminators"), Metric("generator/ready", "generators")),
            limits=(0, 1),
        ),
    )
    config: UGATITConfig

    def __init__(self, shape: ImageShape, config: UGATITConfig | None = None):
        config = config or UGATITConfig()
        super().__init__(shape, config)
        if max(config.domains) >= shape.n_classes:
            got = f"domains {config.domains} and classes 0 to {shape.n_classes - 1}"
            remedy = "choose --u-gat-it.domains among these numbers; labels with gaps are numbered in their order"
            raise problem("domains among the classes of labeled images", got, remedy)
        depths = sorted({1, required_halvings(shape.height, shape.width)})
        self.generators = nn.ModuleList(UGATITGenerator(*shape.chw, config.width, config.blocks) for _ in range(2))
        """The generators to the second domain and to the first, each of images of the other one."""
        self.discriminators = nn.ModuleList(
            nn.ModuleList(
                QuantizedDiscriminator(patch_discriminator(shape.channels, config.width, depth), config.quantization)
                for depth in depths
            )
            for _ in range(2)
        )
        """The discriminators of the second domain and of the first."""
        self.memory = DomainMemory(shape, config.domains, KEPT)

    @property
    def domains(self) -> tuple[int, int]:
        return self.config.domains

    def players(self) -> Sequence[Player]:
        config = self.config
        return [
            Player(name, module.parameters(), loss, config.learning_rate, config.betas, gate="ready")
            for name, module, loss in (
                ("discriminator", self.discriminators, self.discriminator_loss),
                ("generator", self.generators, self.generator_loss),
            )
        ]

    def discriminator_loss(self, images: Tensor, labels: Tensor | None = None) -> Terms:
        """Least-squares losses on patches and on the logits of the attention, and commitments."""
        if labels is None:
            raise problem("labels of the images, which are their domains", "none", "train on labeled images")
        self.memory.remember(images, labels)
        source, target = self.sides()
        terms: list[Terms] = []
        for index, (given, real) in enumerate(((source, target), (target, source))):
            with torch.no_grad():
                fake, _ = self.generators[index](given)
            for network in self.of_domain(index):
                of_real, of_fake = network(real), network(fake)
                network.learn(of_real, of_fake)
                parts = [(on_patches(of_real), on_patches(of_fake)), (on_domain(of_real), on_domain(of_fake))]
                terms.append(
                    {
                        "divergence": sum_of(LEAST_SQUARES.discriminator_loss(*pair) for pair in parts),
                        "commitment": of_real.commitment + of_fake.commitment,
                        "real_accuracy": (on_patches(of_real) > 0).float().mean(),
                        "fake_accuracy": (on_patches(of_fake) <= 0).float().mean(),
                    }
                )
        found = {name: torch.stack([each[name] for each in terms]) for name in terms[0]}
        sums = {name: found[name].sum() for name in ("divergence", "commitment")}
        loss = sums["divergence"] + self.config.quantization.commitment * sums["commitment"]
        means = {name: found[name].mean() for name in ("real_accuracy", "fake_accuracy")}
        return {"loss": loss, **sums, **means, "ready": self.memory.ready, **self.codebook_usage()}

    def generator_loss(self, images: Tensor, labels: Tensor | None = None) -> Terms:
        """Equation 6 of the paper: adversarial, cycle, identity and attention losses of both directions."""
        source, target = self.sides()
        both = [self.direction(0, source, target), self.direction(1, target, source)]
        parts = {name: sum_of(getattr(each, name) for each in both) for name in Direction._fields}
        config = self.config
        weights = {
            "game": 1.0,
            "cycle": config.cycle,
            "identity": config.identity,
            "attention": config.attention,
            "commitment": config.quantization.commitment,
        }
        loss = sum_of(weight * parts[name] for name, weight in weights.items())
        return {"loss": loss, **parts, "ready": self.memory.ready}

    def direction(self, index: int, given: Tensor, target: Tensor) -> Direction:
        """The losses of one generator for images [B, C, H, W] of its source and of its target domain."""
        there, back = self.generators[index], self.generators[1 - index]
        translated, of_source = there(given)
        unchanged, of_target = there(target)
        found = [network(translated) for network in self.of_domain(index)]
        logits = [part for each in found for part in (on_patches(each), on_domain(each))]
        return Direction(
            game=sum_of(LEAST_SQUARES.generator_loss(each) for each in logits),
            cycle=F.l1_loss(back(translated)[0], given),
            identity=F.l1_loss(unchanged, target),
            attention=logistic_discriminator_loss(of_source, of_target),
            commitment=sum_of(each.commitment for each in found),
        )

    def sides(self) -> tuple[Tensor, Tensor]:
        """The images of a step: of the first domain, and of the second."""
        return self.memory.last(0, self.config.pairs), self.memory.last(1, self.config.pairs)

    def of_domain(self, index: int) -> list[QuantizedDiscriminator]:
        """The discriminators of the domain that the generator `index` translates to."""
        return list(self.discriminators[index].children())  # type: ignore[arg-type]

    def codebook_usage(self) -> Terms:
        """Share of codes in use, the mean of all codebooks; empty without any."""
        networks = [network for index in range(2) for network in self.of_domain(index)]
        shares = [value for network in networks for name, value in network.report().items() if "usage" in name]
        return {"codebook_usage": torch.stack(shares).mean()} if shares else {}

    def after_update(self, logs: Terms) -> None:
        clip_shares(self.generators)

    @torch.no_grad()
    def translate(self, images: Tensor, back: bool = False) -> Tensor:
        """Translations [B, C, H, W] of images [B, C, H, W] of the first domain to the second; `back`: the reverse."""
        return self.generators[int(back)](images)[0]

    def translations(self, n: int) -> tuple[Tensor, Tensor]:
        """The last `n` images [n, C, H, W] of the first domain, and their translations."""
        images = self.memory.last(0, n)
        return images, self.translate(images)

    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        return self.translations(n)[1]


def on_patches(found: Found) -> Tensor:
    """Logits [B, P] of patches."""
    return found.logit[:, :-DOMAIN_LOGITS]


def on_domain(found: Found) -> Tensor:
    """Logits [B, 2] of a discriminator's attention."""
    return found.logit[:, -DOMAIN_LOGITS:]


def sum_of(terms: Iterable[Tensor]) -> Tensor:
    """The sum of scalars."""
    return torch.stack(list(terms)).sum()
