"""`rlgen train image`: a generative model of images and the metrics of its samples."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from rlgen.checks import at_least
from rlgen.data.image_sources import is_folder
from rlgen.data.images import ImageSet, fixed_binarization, stochastic_binarization
from rlgen.data.minibatches import Minibatches, PartlyLabeled
from rlgen.data.scattered import SEEDS, scattered
from rlgen.deprecation import UNLESS_NONE, renamed_fields
from rlgen.display import Display
from rlgen.errors import problem
from rlgen.generators.image_model import FindsObjects, ImageModel, ImageShape, Samples
from rlgen.generators.pictures import CAPTIONS
from rlgen.generators.registry import GENERATORS
from rlgen.generators.trainer import Trainer
from rlgen.idle import require_read
from rlgen.runs.folder import RunFolder

from ..image_metrics import PANELS, RESULTS, weighs_samples
from .choices import typed
from .evaluation import ImageEvaluation
from .generative_settings import GenerativeSettings
from .image_checks import (
    as_seen,
    binarization_of,
    require_batches,
    require_classifier_file,
    require_domains,
    require_measurable,
    require_one_kind,
)
from .image_training import ImageTraining, Measurement
from .known_names import options_for

# Every entry of `GENERATORS` is a choice of the command line; a static checker cannot follow that.
if TYPE_CHECKING:
    Model = str
else:
    Model = Literal[*GENERATORS]

log = logging.getLogger("rlgen")
DEFAULT_LABELS = 100
SCATTERED = 2
"""Largest number of objects in an image, for models that find objects. Eslami et al. 2016 (1603.08575), section 3.1."""


@renamed_fields(binarise="binarize")
@dataclass(frozen=True, kw_only=True)
class TrainImage(GenerativeSettings):
    """A model of images, generative (a VAE, a GAN, a flow and others) or a classifier, on the digits of scikit-learn, a
    folder of images, or MNIST.

    The run folder gets samples at intervals, metrics, checkpoints and a report. A model's settings have its name as
    prefix: --model gan --help-all lists those of the GAN. Those of the classifier have none: --adversarial.
    """

    agent: ClassVar[str] = "image"
    evaluation = ImageEvaluation
    models = GENERATORS
    default_steps = 5_000
    general_panels = PANELS
    general_results = RESULTS

    model: Model = "vae"
    """Image model."""
    data: str = "digits"
    """Images to learn. digits: scikit-learn's 1,797 of 8 × 8 pixels; a folder of PNG or JPEG pictures, with a folder
    for each class or without, of MNIST's four IDX files, of CIFAR's binary files or of NumPy arrays (train_images.npy
    …); an .npz file of such arrays, or of demonstrations with images; or mnist, fashion-mnist, cifar10, which are
    downloaded (needs the extra `data`)."""
    image_size: int | None = field(default=None, metadata=UNLESS_NONE)
    """Height and width that images are scaled to, after cutting them to a square around their middle; by default their
    own, which must be one."""
    scatter: int | None = None
    """Largest number of images that are scattered on a larger black canvas, without overlap; all numbers from 0 on are
    equally probable, and the label of a canvas is its number. 0: the images as they are. By default 2 for models that
    find objects (air), 0 for others."""
    canvas: int | None = None
    """Height and width of the canvas, pixels; by default 2.5 times the largest image without its dark margin: 50 for
    MNIST, 20 for digits."""
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
    evaluate_every: int = 1_000
    """Updates between evaluations (pictures, and bounds on the likelihood of test images, or densities, where the model
    has them), one of them after the last update; 0 for none."""
    measured: int = 10_000
    """Number of samples, and at most as many test images, in the final metrics; 2 or more."""
    importance_samples: int = 100
    """Importance samples per test image in the final estimate of its likelihood; papers use 5,000."""
    classifier: str = "auto"
    """Classifier whose features FID, precision and similar metrics compare. auto: one trained on the same images and
    kept in the user's cache (seconds for digits, minutes for MNIST), if these have classes; the .json of a kept one;
    inception: that of the papers, where the package torch-fidelity and its weights are on this machine; none: no such
    metrics."""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "batch_size", "image_size")
        at_least(self, 2, "measured")
        at_least(self, 1, "importance_samples")
        at_least(self, 0, "scatter")
        at_least(self, 1, "canvas")
        if self.canvas is not None and not self.objects:
            got = f"--canvas {self.canvas} for images that are not scattered"
            raise problem("a canvas of scattered images", got, "add --scatter 2, or leave --canvas out")
        if self.labels is not None and not GENERATORS[self.model].semi_supervised:
            able = ", ".join(name for name, kind in GENERATORS.items() if kind.semi_supervised)
            got = f"--labels {self.labels} for {self.model}"
            raise problem(f"labels for a semi-supervised model ({able})", got, "leave --labels out")
        if self.classifier not in ("auto", "none") and not issubclass(GENERATORS[self.model], Samples):
            got = f"--classifier {self.classifier} for {self.model}"
            raise problem("a classifier that measures the samples of a model", got, "leave --classifier out")

    def run(self) -> int:
        # A run of an earlier version may have idle settings, and is resumed with them.
        kind = GENERATORS[self.model]
        require_read(self.model_config, f"--{self.model.replace('_', '-')}." if kind.grouped else "--")
        if self.importance_samples != type(self).importance_samples and not weighs_samples(kind):
            able = ", ".join(name for name, each in GENERATORS.items() if weighs_samples(each))
            log.warning("--importance-samples has no effect for %s: only %s are measured by them", self.model, able)
        return super().run()

    @classmethod
    def for_arguments(cls, arguments: Sequence[str], values: Mapping[str, Any]) -> type[Self]:
        """The class with the settings of the chosen model."""
        if typed(arguments, "--fq-gan.host") in ("u_gat_it", "u-gat-it"):
            remedy = "use --model u_gat_it --u-gat-it.quantization.codes 64"
            raise problem("a host that draws from latents", "u_gat_it, a translation with settings of its own", remedy)
        asked = typed(arguments, "--model")
        if asked is not None and asked not in cls.models and (options := options_for(asked, cls.models)) is not None:
            raise problem(f"a model of {', '.join(cls.models)}", repr(asked), f"use {options}")
        return super().for_arguments(arguments, values)

    @classmethod
    def without_idle(cls, values: Mapping[str, Any], arguments: Sequence[str]) -> dict[str, Any]:
        """`values` without the settings that the typed model does not read."""
        read = super().without_idle(values, arguments)
        if not GENERATORS[cls.model].semi_supervised:
            read.pop("labels", None)
        if not weighs_samples(GENERATORS[cls.model]):
            read.pop("importance_samples", None)
        return read

    @property
    def objects(self) -> int:
        """Largest number of images on a canvas; 0 for the images as they are."""
        if self.scatter is None:
            return SCATTERED if issubclass(GENERATORS[self.model], FindsObjects) else 0
        return self.scatter

    def images(self, split: str) -> ImageSet:
        """The train or test images that the run learns from or is measured on, on the host."""
        found = ImageSet.load(self.data, split, self.image_size)
        if not self.objects:
            return found
        return scattered(found, self.objects, self.canvas, SEEDS[split])

    @property
    def n_labels(self) -> int:
        """Number of labels that a semi-supervised model is given."""
        return DEFAULT_LABELS if self.labels is None else self.labels

    def display(self) -> Display:
        return replace(super().display(), pictures=CAPTIONS)

    def recorded(self) -> dict[str, Any]:
        """The contents of config.json, with absolute paths, because a run may be resumed from another working
        folder."""
        recorded = super().recorded()
        if is_folder(self.data):
            recorded["data"] = str(Path(self.data).resolve())
        if self.classifier not in ("auto", "inception", "none"):
            recorded["classifier"] = str(Path(self.classifier).resolve())
        return recorded

    def total(self, training: Any) -> int:
        return self.updates(len(training.train), training.batches.of_epoch)

    def build(self, stack: ExitStack, folder: RunFolder | None) -> ImageTraining:
        require_classifier_file(self.extractor)
        device = self.start_device("an image model")
        train, test = (self.images(split).to(device) for split in ("train", "test"))
        if self.objects:
            log.info("images: %s; the label is the number of objects", train.name)
        if train.class_names:
            log.info("classes 0 to %d: %s", train.n_classes - 1, ", ".join(train.class_names))
        require_one_kind(train, test)
        require_measurable(train, test, self.extractor, self.measured)
        channels, height, width = train.shape
        shape = ImageShape(channels=channels, height=height, width=width, n_classes=train.n_classes)
        self.seed_generators()
        # The weights are drawn on the CPU, so that a seed gives the same ones on every device.
        model = GENERATORS[self.model](shape, self.model_config).to(device)
        require_domains(model, test, self.extractor)
        require_batches(model, self.batch_size, train)
        training = self._training(model, train, test)
        if folder is not None:
            training.require_kept(folder)
        return training

    def _training(self, model: ImageModel, train: ImageSet, test: ImageSet) -> ImageTraining:
        binarize, game = binarization_of(model, self.binarize), Trainer(model, self.game)
        seen = fixed_binarization(train, self.seed) if binarize == "fixed" else train
        transforms = [stochastic_binarization] if binarize == "stochastic" else []
        size = self.batch_size * game.steps_per_update
        batches = (
            PartlyLabeled(seen.labeled(self.n_labels, self.seed), seen, size, self.seed, transforms)
            if model.semi_supervised
            else Minibatches(seen, size, self.seed, transforms)
        )
        training = ImageTraining(
            game=game,
            batches=batches,
            train=train,
            test=test,
            held_out=as_seen(test, game.model, binarize),
            log_every=self.log_every,
            measurement=self.measurement,
        )
        game.updates = self.total(training)
        return training

    @property
    def measurement(self) -> Measurement:
        """How the finished model is measured."""
        return Measurement(classifier=self.extractor, samples=self.measured, importance_samples=self.importance_samples)

    @property
    def extractor(self) -> str:
        """The classifier that measures samples; none for a model without samples."""
        return self.classifier if issubclass(GENERATORS[self.model], Samples) else "none"


def settings_of(model: str) -> type[TrainImage]:
    """`TrainImage` with the settings of one model."""
    return TrainImage.settings_of(model)
