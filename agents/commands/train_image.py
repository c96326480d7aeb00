"""`rlgen train image`: a generative model of images and the metrics of its samples."""

import logging
import math
import random
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
import torch

from rlgen import distributed
from rlgen.checks import at_least, positive
from rlgen.data.image_sources import is_folder
from rlgen.data.images import ImageSet, fixed_binarization, stochastic_binarization
from rlgen.data.minibatches import Minibatches, PartlyLabeled
from rlgen.deprecation import UNLESS_NONE, renamed_fields
from rlgen.display import Display
from rlgen.errors import problem
from rlgen.generators.image_model import ImageShape, Samples
from rlgen.generators.pictures import CAPTIONS
from rlgen.generators.registry import GENERATORS
from rlgen.generators.trainer import Trainer, TrainerConfig
from rlgen.runs.config import from_json
from rlgen.runs.folder import RunFolder
from rlgen.system.device import choose_device

from ..image_metrics import PANELS, RESULTS
from .choices import needs, typed, with_fields
from .evaluation import ImageEvaluation
from .image_checks import (
    as_seen,
    binarization_of,
    require_batches,
    require_classifier_file,
    require_measurable,
    require_one_kind,
)
from .image_training import ImageTraining, Measurement
from .parsing import options_of
from .settings import RunSettings

# Every entry of `GENERATORS` is a choice of the command line; a static checker cannot follow that.
if TYPE_CHECKING:
    Model = str
else:
    Model = Literal[*GENERATORS]

log = logging.getLogger("rlgen")
DEFAULT_STEPS = 5_000
DEFAULT_LABELS = 100


@renamed_fields(binarise="binarize")
@dataclass(frozen=True, kw_only=True)
class TrainImage(RunSettings):
    """A model of images, generative (a VAE, a GAN, a flow and others) or a classifier, on the digits of scikit-learn, a
    folder of images, or MNIST.

    The run folder gets samples at intervals, metrics, checkpoints and a report. A model's settings have its name as
    prefix: --model gan --help-all lists those of the GAN. Those of the classifier have none: --adversarial.
    """

    agent: ClassVar[str] = "image"
    evaluation = ImageEvaluation

    model: Model = "vae"
    """Image model."""
    data: str = "digits"
    """Images to learn. digits: scikit-learn's 1,797 of 8 × 8 pixels; a folder of PNG or JPEG pictures, with a folder
    for each class or without, of MNIST's four IDX files, of CIFAR's binary files or of NumPy arrays (train_images.npy
    …); an .npz file of such arrays; or mnist, fashion-mnist, cifar10, which are downloaded (needs the extra `data`)."""
    image_size: int | None = field(default=None, metadata=UNLESS_NONE)
    """Height and width that images are scaled to, after cutting them to a square around their middle; by default their
    own, which must be one."""
    steps: float | None = None
    """Updates of the whole training; 5,000 when neither this nor --epochs is given."""
    epochs: float | None = None
    """Passes over the training images, instead of --steps. A semi-supervised model counts those without labels, which
    are half of its batches."""
    batch_size: int = 100
    """Images per gradient step."""
    binarize: Literal["auto", "stochastic", "fixed", "none"] = "auto"
    """Binarization of grey pixels, read as probabilities of white: every batch (stochastic), once (fixed), or not at
    all (none); auto: stochastic for models with a likelihood of zeros and ones. Test images are binarized once."""
    labels: int | None = None
    """Number of labeled training images of a semi-supervised model, equally many of each class; 100 by default. They
    fill half of every batch; the other half is drawn from all images, without labels."""
    log_every: int = 50
    """Updates between rows of metrics; each row is the mean since the last."""
    evaluate_every: int = 1_000
    """Updates between evaluations (pictures, and bounds on the likelihood of test images, or densities, where the model
    has them), one of them after the last update; 0 for none."""
    checkpoint_every: int = 1_000
    """Updates between checkpoints; 0 for a single one at the end."""
    measured: int = 10_000
    """Number of samples, and at most as many test images, in the final metrics; 2 or more."""
    importance_samples: int = 100
    """Importance samples per test image in the final estimate of its likelihood; papers use 5,000."""
    classifier: str = "auto"
    """Classifier whose features FID, precision and similar metrics compare. auto: one trained on the same images and
    kept in the user's cache (seconds for digits, minutes for MNIST); the .json of a kept one; inception: that of the
    papers, where the package torch-fidelity and its weights are on this machine; none: no such metrics."""
    game: TrainerConfig = field(default_factory=TrainerConfig)
    """Training of any model: optimizers and schedules."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps is not None and self.epochs is not None:
            got = f"--steps {self.steps:g} and --epochs {self.epochs:g}"
            raise problem("steps or epochs", got, "leave one of them out")
        positive(self, "steps", "epochs")
        at_least(self, 1, "batch_size", "log_every", "image_size")
        at_least(self, 2, "measured")
        at_least(self, 1, "importance_samples")
        at_least(self, 0, "evaluate_every", "checkpoint_every")
        if self.model not in GENERATORS:
            raise problem(f"a model of {', '.join(GENERATORS)}", repr(self.model), "choose one of these")
        if self.labels is not None and not GENERATORS[self.model].semi_supervised:
            able = ", ".join(name for name, kind in GENERATORS.items() if kind.semi_supervised)
            got = f"--labels {self.labels} for {self.model}"
            raise problem(f"labels for a semi-supervised model ({able})", got, "leave --labels out")
        if self.classifier not in ("auto", "none") and not issubclass(GENERATORS[self.model], Samples):
            got = f"--classifier {self.classifier} for {self.model}"
            raise problem("a classifier that measures the samples of a model", got, "leave --classifier out")
        self.model_config  # noqa: B018  # its checks

    @classmethod
    def for_arguments(cls, arguments: Sequence[str], values: Mapping[str, Any]) -> "type[TrainImage]":
        """The class with the settings of the chosen model."""
        asked = typed(arguments, "--model") or values.get("model", TrainImage.model)
        if typed(arguments, "--fq-gan.host") in ("u_gat_it", "u-gat-it"):
            remedy = "use --model u_gat_it --u-gat-it.quantization.codes 64"
            raise problem("a host that draws from latents", "u_gat_it, a translation with settings of its own", remedy)
        return settings_of(asked) if isinstance(asked, str) and asked in GENERATORS else cls

    @classmethod
    def elsewhere(cls) -> dict[str, str]:
        """Options that other models read, by option, each with its models."""
        own = {option.rpartition(".")[2] for option in options_of(GENERATORS[cls.model].config_type, f"{cls.model}.")}
        others = {name: kind for name, kind in GENERATORS.items() if name != cls.model}
        return {
            option: choice
            for name, kind in others.items()
            for option, choice in needs(
                "--model", [name], options_of(kind.config_type, f"{name}." if kind.grouped else "")
            ).items()
            if option.removeprefix("--") not in own  # --learning-rate is rather --vae.learning-rate without its group
        }

    @classmethod
    def without_idle(cls, values: Mapping[str, Any], arguments: Sequence[str]) -> dict[str, Any]:
        """`values` without the settings that the typed model does not read, and with only the typed one of steps and
        epochs."""
        idle = {name for model in GENERATORS for name in settings_names(model)} - {each.name for each in fields(cls)}
        idle |= set() if GENERATORS[cls.model].semi_supervised else {"labels"}
        idle |= {"epochs"} if typed(arguments, "--steps") else {"steps"} if typed(arguments, "--epochs") else set()
        read = {name: value for name, value in values.items() if name not in idle}
        return read | ({"model": cls.model} if typed(arguments, "--model") in GENERATORS else {})

    @classmethod
    def restored(cls, values: dict[str, Any]) -> Self:
        model = values.get("model")
        if not isinstance(model, str) or model not in GENERATORS:
            raise problem(f"a model of {', '.join(GENERATORS)}", repr(model), "use the version of rlgen that wrote it")
        return from_json(settings_of(model), values)  # type: ignore[return-value]

    @property
    def model_config(self) -> Any:
        """The settings of the chosen model; its defaults where there are none."""
        kind = GENERATORS[self.model]
        if kind.grouped:
            return getattr(self, self.model, None) or kind.config_type()
        given = {name: getattr(self, name) for name in settings_names(self.model) if hasattr(self, name)}
        return kind.config_type(**given)

    @property
    def n_labels(self) -> int:
        """Number of labels that a semi-supervised model is given."""
        return DEFAULT_LABELS if self.labels is None else self.labels

    def display(self) -> Display:
        kind = GENERATORS[self.model]
        own = {metric.name for panel in kind.panels for metric in panel.metrics}
        general = [panel for panel in PANELS if not own.intersection(metric.name for metric in panel.metrics)]
        results = {metric.name: metric for metric in (*RESULTS, *kind.results)}
        return Display(
            name=self.model.upper().replace("_", " "),
            panels=tuple(replace(panel, steps="updates") for panel in (*general, *kind.panels)),
            results=tuple(results.values()),
            pictures=CAPTIONS,
        )

    def recorded(self) -> dict[str, Any]:
        """The contents of config.json, with absolute paths, because a run may be resumed from another working
        folder."""
        recorded = super().recorded()
        if is_folder(self.data):
            recorded["data"] = str(Path(self.data).resolve())
        if self.classifier not in ("auto", "inception", "none"):
            recorded["classifier"] = str(Path(self.classifier).resolve())
        return recorded

    def updates(self, n_images: int, images_per_update: int) -> int:
        """Number of updates in all. `images_per_update`: the images of an update that count towards an epoch."""
        if self.epochs is not None:
            return math.ceil(self.epochs * n_images / images_per_update)
        return math.ceil(DEFAULT_STEPS if self.steps is None else self.steps)

    def total(self, training: Any) -> int:
        return self.updates(len(training.train), training.batches.of_epoch)

    def intervals(self) -> tuple[float, float]:
        return self.checkpoint_every or math.inf, self.evaluate_every

    def with_steps(self, steps: float) -> Self:
        return replace(self, steps=steps, epochs=None)

    def build(self, stack: ExitStack, folder: RunFolder | None) -> ImageTraining:
        distributed.require_single_process("an image model")
        require_classifier_file(self.extractor)
        device, sentence = choose_device(self.device)
        log.info(sentence)
        train, test = (ImageSet.load(self.data, split, self.image_size).to(device) for split in ("train", "test"))
        require_one_kind(train, test)
        require_measurable(train, test, self.extractor, self.measured)
        channels, height, width = train.shape
        shape = ImageShape(channels=channels, height=height, width=width, n_classes=train.n_classes)
        for seed in (random.seed, np.random.seed, torch.manual_seed):  # libraries draw from the first two generators
            seed(self.seed)
        # The weights are drawn on the CPU, so that a seed gives the same ones on every device.
        model = GENERATORS[self.model](shape, self.model_config).to(device)
        require_batches(model, self.batch_size, train)
        training = self._training(Trainer(model, self.game), train, test)
        if folder is not None:
            training.require_kept(folder)
        return training

    def _training(self, game: Trainer, train: ImageSet, test: ImageSet) -> ImageTraining:
        binarize = binarization_of(game.model, self.binarize)
        seen = fixed_binarization(train, self.seed) if binarize == "fixed" else train
        transforms = [stochastic_binarization] if binarize == "stochastic" else []
        size = self.batch_size * game.steps_per_update
        batches = (
            PartlyLabeled(seen.labeled(self.n_labels, self.seed), seen, size, self.seed, transforms)
            if game.model.semi_supervised
            else Minibatches(seen, size, self.seed, transforms)
        )
        return ImageTraining(
            game=game,
            batches=batches,
            train=train,
            test=test,
            held_out=as_seen(test, binarize),
            log_every=self.log_every,
            measurement=self.measurement,
        )

    @property
    def measurement(self) -> Measurement:
        """How the finished model is measured."""
        return Measurement(classifier=self.extractor, samples=self.measured, importance_samples=self.importance_samples)

    @property
    def extractor(self) -> str:
        """The classifier that measures samples; none for a model without samples."""
        return self.classifier if issubclass(GENERATORS[self.model], Samples) else "none"


@cache
def settings_of(model: str) -> type[TrainImage]:
    """`TrainImage` with the settings of one model."""
    kind = GENERATORS[model].config_type
    own: list[Any] = [("model", Model, field(default=model))]
    if not GENERATORS[model].grouped:
        return with_fields(TrainImage, own, kind)
    return with_fields(TrainImage, [*own, (model, kind, field(default_factory=kind))])


def settings_names(model: str) -> tuple[str, ...]:
    """The fields of `settings_of(model)` with the settings of the model: one group, or each setting."""
    kind = GENERATORS[model]
    return (model,) if kind.grouped else tuple(each.name for each in fields(kind.config_type))
