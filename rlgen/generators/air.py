"""Attend, Infer, Repeat, AIR (Eslami et al. 2016, 1603.08575): a VAE that explains an image by a few objects."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rlgen.checks import at_least, below_one, positive
from rlgen.display import Metric, Panel
from rlgen.equations.likelihoods import diagonal_gaussian_log_prob
from rlgen.equations.object_counts import kl_bernoulli, log_odds, one_more
from rlgen.equations.score_function import baseline_error, learning_signal, score_function_surrogate
from rlgen.errors import problem
from rlgen.generators.image_model import ImageModel, ImageShape, Player, Terms
from rlgen.nn.baseline import Baseline
from rlgen.nn.layers import full_precision
from rlgen.nn.object_windows import PLACE, Places, WindowCoder, read, write
from rlgen.nn.posterior import DiagonalGaussian, standard_normal_log_prob

AT_ONCE = 2**20
"""Largest number of pixels of images whose log weights are computed at once: some 100 MiB, with everything."""


@dataclass(frozen=True, kw_only=True)
class AIRConfig:
    """Configuration of `AIR`: Eslami et al. 2016 (1603.08575), section 3.1 (multi-MNIST).

    Differs from the paper: one Adam for all parameters, the random numbers of objects at the start (`warmup`), and the
    cost of an object in training (`object_cost`).
    """

    steps: int = 3
    """Largest number of objects in an image."""
    latent: int = 50
    """Latent dimension of an object's appearance."""
    hidden: int = 256
    """Width of the LSTM that infers the objects, of the layer before it, and of the baseline."""
    window_hidden: int = 200
    """Width of the layers that encode and decode a window."""
    window: int | None = None
    """Height and width of a window, pixels; by default half of the image's shorter side."""
    scale: float = 0.5
    """Median side of an object's window under the prior, as a fraction of the image's."""
    scale_std: float = 0.1
    """Standard deviation of the logarithm of that side under the prior."""
    shift_std: float = 0.5
    """Standard deviation of a window's center under the prior, in halves of the image's side from its middle."""
    pixel_std: float = 0.3
    """Standard deviation of a pixel around the sum of the windows."""
    more: float = 0.5
    """Probability of one more object under the prior, whose number of objects is geometric up to `steps`. 0.5 fits
    equally many images of 0, 1 and 2 objects."""
    object_cost: float = 4.0
    """Nats that each object costs in training in addition to its probability under the prior; 0 for none. Without such
    a cost, several windows share a digit, because a sum of blurred windows is sharper than one."""
    warmup: int = 3_000
    """Updates at the start in which the number of objects is random, 1 to `steps`, instead of inferred; 0 for none. The
    choices otherwise become certain before the windows find objects: none at all, or always all."""
    learning_rate: float = 1e-3
    """Learning rate of Adam."""

    def __post_init__(self) -> None:
        at_least(self, 1, "steps", "latent", "hidden", "window_hidden", "window")
        positive(self, "scale", "scale_std", "shift_std", "pixel_std", "more", "learning_rate")
        below_one(self, "more", remedy="use e.g. 0.5")
        at_least(self, 0, "object_cost", "warmup")


class Step(NamedTuple):
    """What one step infers of each image, the first eight fields [B]."""

    reached: Tensor
    """1 if the step before found an object, or is none; otherwise nothing of this step counts."""
    present: Tensor
    """1 if there is one more object, 0 if not."""
    logit: Tensor
    """Log-odds of one more object under the posterior."""
    log_prob: Tensor
    """log q(choice), nats; 0 where the step is not reached."""
    prior_log_prob: Tensor
    """log p(choice), nats; 0 where the step is not reached."""
    kl: Tensor
    """KL divergence of the object's place and appearance from the prior, nats; 0 without object."""
    log_ratio: Tensor
    """log p - log q of the drawn place and appearance, nats; 0 without object."""
    baseline: Tensor
    """Prediction of the choice's learning signal, nats."""
    place: Tensor
    """Numbers of the window's place [B, 3], standard normal under the prior."""
    added: Tensor
    """What the step adds to the image [B, C, H, W]."""


class AIR(ImageModel):
    """An LSTM finds one object after the other, each with a place and a code of its appearance, until it decides that
    there are no more. An image is the sum of the objects' decoded windows."""

    config_type = AIRConfig
    panels = (
        Panel("Lower bound on the evidence [nats]", (Metric("air/elbo", "ELBO"),)),
        Panel("Objects found per training image", (Metric("air/objects", "objects"),), limits=(0, None)),
        Panel("KL to the prior [nats]", (Metric("air/kl", "KL"),), limits=(0, None)),
        Panel("Log-likelihood given the objects [nats]", (Metric("air/log_likelihood", "log-likelihood"),)),
        Panel(
            "Variance of the learning signal that the baseline leaves",
            (Metric("air/baseline_error", "share"),),
            limits=(0, None),
        ),
        Panel("Learning signal of the number of objects", (Metric("air/signal", "mean"),), drawn=False),
        Panel("Variance of that signal", (Metric("air/signal_variance", "variance"),), drawn=False),
        Panel("Loss", (Metric("air/loss", "loss"),), drawn=False),
    )
    config: AIRConfig
    updates: Tensor

    def __init__(self, shape: ImageShape, config: AIRConfig | None = None):
        super().__init__(shape, config or AIRConfig())
        settings, hidden = self.config, self.config.hidden
        self.cells = settings.window or max(1, min(shape.height, shape.width) // 2)
        if self.cells > min(shape.height, shape.width):
            raise problem(f"a window of at most {shape}", f"{self.cells}", "make it smaller, or leave it out")
        self.places = Places(settings.scale, settings.scale_std, settings.shift_std)
        self.encoder = nn.Sequential(nn.Linear(shape.numbers, hidden), nn.ReLU())
        self.lstm = nn.LSTMCell(hidden + 1 + PLACE + settings.latent, hidden)
        self.choice = nn.Linear(hidden, 1)
        self.where = DiagonalGaussian(hidden, PLACE)
        self.windows = WindowCoder(shape.channels, self.cells, settings.latent, settings.window_hidden)
        self.baseline = Baseline(shape.numbers, hidden, hidden)
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    def players(self) -> Sequence[Player]:
        return (Player("air", self.parameters(), self.loss, self.config.learning_rate),)

    @property
    def prior_logit(self) -> float:
        """Log-odds of one more object under the prior."""
        return log_odds(self.config.more)

    def loss(self, images: Tensor, labels: Tensor | None = None) -> Terms:
        """Minus the evidence lower bound with the cost of objects, whose gradient has two parts: through places and
        appearances, and by the score function of the choices. Eq. 3 to 6 of the paper. All terms but `baseline_error`
        are in nats per image; `elbo` and `kl` are without the cost."""
        inferred = (self.updates >= self.config.warmup).float()
        counts = torch.randint(1, self.config.steps + 1, (len(images),), device=images.device)
        steps = self.steps_of(images, counts, inferred)
        log_likelihood = diagonal_gaussian_log_prob(images, steps.added.sum(0), self.config.pixel_std)
        choices = inferred * self._choice_kl(steps, self.prior_logit - self.config.object_cost)
        signal = learning_signal(log_likelihood, costs_of_choices(choices, steps.kl)).detach()
        surrogate = score_function_surrogate(steps.log_prob, signal, steps.baseline)
        error = (steps.reached * baseline_error(signal, steps.baseline, self.baseline.std)).sum(0)
        objective = log_likelihood - (choices + steps.kl).sum(0) + inferred * surrogate - error
        kl = (self._choice_kl(steps, self.prior_logit) + steps.kl).sum(0)
        reached = steps.reached.sum()
        mean = (steps.reached * signal).sum() / reached
        return {
            "loss": -objective.mean(),
            "elbo": (log_likelihood - kl).mean(),
            "objects": steps.present.sum(0).mean(),
            "kl": kl.mean(),
            "log_likelihood": log_likelihood.mean(),
            "baseline_error": error.sum() / reached,
            "signal": mean,
            "signal_variance": (steps.reached * (signal - mean).square()).sum() / reached,
        }

    def _choice_kl(self, steps: Step, prior_logit: float) -> Tensor:
        """KL divergence of each choice that is reached from a prior with these log-odds, nats [T, B]."""
        return steps.reached * kl_bernoulli(steps.logit, steps.logit.new_tensor(prior_logit))

    def steps_of(self, images: Tensor, counts: Tensor | None = None, inferred: Tensor | None = None) -> Step:
        """The steps of `infer`, each field [T, B, ...]."""
        return Step(*map(torch.stack, zip(*self.infer(images, counts, inferred), strict=True)))

    def infer(
        self, images: Tensor, counts: Tensor | None = None, inferred: Tensor | None = None, expected: bool = False
    ) -> Iterator[Step]:
        """The steps that explain images [B, C, H, W]. Eq. 2 and section 2.2 of the paper.

        Args:
            images: what to explain.
            counts: numbers of objects [B], instead of drawn ones.
            inferred: 1 to draw the numbers of objects even so, 0 for `counts`: a tensor, so that no device waits.
            expected: the more probable choices and the means of places and appearances, instead of draws.
        """
        pixels = images.flatten(1)
        features, of_input = self.encoder(pixels), self.baseline.of_input(pixels)
        reached, state = images.new_ones(len(images)), None
        found = images.new_zeros(len(images), 1 + PLACE + self.config.latent)
        forced = [None] * self.config.steps if counts is None else one_more(counts, self.config.steps).to(images)
        for choice in forced:
            state = self.lstm(torch.cat([features, found], -1), state)
            logit = full_precision(self.choice(state[0])).squeeze(-1)
            own = (logit > 0).to(logit) if expected else logit.detach().sigmoid().bernoulli()
            if choice is None:
                choice = own
            elif inferred is not None:
                choice = torch.where(inferred > 0, own, choice)
            present = reached * choice
            place, place_kl, place_ratio = _latents(self.where, state[0], expected)
            where = self.places(place)
            seen = self.windows.features(read(images, where, self.cells))
            code, code_kl, code_ratio = _latents(self.windows.posterior, seen, expected)
            added = write(self.windows.decode(code), where, *images.shape[-2:]) * present[:, None, None, None]
            yield Step(
                reached=reached,
                present=present,
                logit=logit,
                log_prob=reached * _log_prob(choice, logit),
                prior_log_prob=reached * _log_prob(choice, torch.full_like(logit, self.prior_logit)),
                kl=present * (place_kl + code_kl),
                log_ratio=present * (place_ratio + code_ratio),
                baseline=self.baseline(of_input, state[0]),
                place=place,
                added=added,
            )
            found = torch.cat([present[:, None], present[:, None] * place, present[:, None] * code], -1)
            reached = present

    def before_first_update(self, images: Tensor) -> None:
        with torch.no_grad():
            terms = self.loss(images)
        self.baseline.start(terms["signal"], terms["signal_variance"])

    def after_update(self, logs: Terms) -> None:
        self.updates += 1
        self.baseline.merge(logs["air/signal"], logs["air/signal_variance"])

    @torch.no_grad()
    def log_weight(self, images: Tensor, samples: int) -> Tensor:
        """log p(x, z) - log q(z | x), nats, [samples, B]; z are the number of objects, their places and codes."""
        rows = images.repeat(samples, 1, 1, 1)
        pieces = rows.split(max(1, AT_ONCE // self.shape.numbers))
        return torch.cat([self._log_weight(piece) for piece in pieces]).view(samples, len(images))

    def _log_weight(self, images: Tensor, counts: Tensor | None = None) -> Tensor:
        steps = self.steps_of(images, counts)
        log_likelihood = diagonal_gaussian_log_prob(images, steps.added.sum(0), self.config.pixel_std)
        return log_likelihood + (steps.prior_log_prob - steps.log_prob + steps.log_ratio).sum(0)

    @torch.no_grad()
    def reconstruct(self, images: Tensor) -> Tensor:
        """The sum of the objects that are most probably in the images."""
        return sum_of(step.added for step in self.infer(images, expected=True))

    @torch.no_grad()
    def count(self, images: Tensor) -> Tensor:
        """The number of objects int64 [B], by the more probable choice in every step."""
        return torch.stack([step.present for step in self.infer(images, expected=True)]).sum(0).long()

    @torch.no_grad()
    def boxes(self, images: Tensor) -> Tensor:
        """Top, left, bottom and right [B, T, 4] of the objects' windows, pixels from the image's upper left corner; NaN
        where there is no object."""
        height, width = images.shape[-2:]
        found = []
        for step in self.infer(images, expected=True):
            scale, x, y = self.places(step.place)
            edges = [(y - scale, height), (x - scale, width), (y + scale, height), (x + scale, width)]
            box = torch.stack([(edge + 1) / 2 * pixels for edge, pixels in edges], -1)
            found.append(box.masked_fill(step.present[:, None] == 0, math.nan))
        return torch.stack(found, 1)

    @torch.no_grad()
    def stages(self, n: int) -> Tensor:
        """Samples [T, n, C, H, W] after every step; a step without object adds nothing."""
        device = self.choice.weight.device
        canvas, present = torch.zeros(n, *self.shape.chw, device=device), torch.ones(n, device=device)
        found = []
        for _ in range(self.config.steps):
            present = present * torch.full_like(present, self.config.more).bernoulli()
            windows = self.windows.decode(torch.randn(n, self.config.latent, device=device))
            where = self.places(torch.randn(n, PLACE, device=device))
            canvas = canvas + present[:, None, None, None] * write(windows, where, self.shape.height, self.shape.width)
            found.append(canvas.clamp(0, 1))
        return torch.stack(found)

    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        return self.stages(n)[-1]


def costs_of_choices(choice_kl: Tensor, object_kl: Tensor) -> Tensor:
    """The terms [T, B] of the bound that each choice brings: the object's divergence, and that of the next choice,
    which only one more object makes necessary."""
    return object_kl + torch.cat([choice_kl[1:], torch.zeros_like(choice_kl[:1])])


def sum_of(added: Iterator[Tensor]) -> Tensor:
    """The sum of windows on black images, in [0, 1]."""
    return torch.stack(list(added)).sum(0).clamp(0, 1)


def _log_prob(choice: Tensor, logit: Tensor) -> Tensor:
    """log of the probability of choices of 0 or 1, nats [B]."""
    return -F.binary_cross_entropy_with_logits(logit, choice, reduction="none")


def _latents(posterior: DiagonalGaussian, features: Tensor, expected: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Latents [B, Z], drawn or expected; the KL divergence of their posterior, and log p - log q, nats [B]."""
    if expected:
        mean, _ = posterior.mean_and_log_std(features)
        return mean, torch.zeros_like(mean[:, 0]), torch.zeros_like(mean[:, 0])
    drawn, log_posterior = posterior.rsample(features)
    return drawn[0], posterior.kl(features).sum(-1), standard_normal_log_prob(drawn[0]) - log_posterior[0]
