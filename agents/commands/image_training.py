"""The training of an image model in a run folder: start it, or continue it, to its metrics and report."""

import logging
from functools import partial

from rlgen.runs.device import device_name
from rlgen.runs.folder import RunFolder
from rlgen.runs.image_data import note_images, require_noted_images
from rlgen.runs.image_grid import write_png
from rlgen.runs.interrupt import Stopped, exit_code
from rlgen.runs.metrics import Metrics

from ..image_metrics import classification_error, likelihood_bounds
from ..image_session import ImageSession
from .finish_image import finish
from .image_assembly import Parts, build
from .sittings import note_sitting
from .train_image import TrainImage
from .train_on import note_steps
from .train_settings import set_torch_threads

log = logging.getLogger("rlgen")
CURVE_IMAGES = 1_000


def start(config: TrainImage) -> int:
    """Train in a new run folder. Returns the exit code."""
    set_torch_threads(config.threads)
    parts = build(config)  # before there is a folder, which a second try would find in its way
    folder = RunFolder.create(config.out, config.recorded(), device=device_name(parts.game.device))
    with folder.locked():
        note_images(folder, parts.train, parts.test)
        return _train(folder, config, parts)


def go_on(folder: RunFolder, config: TrainImage) -> int:
    """Train in `folder` from its newest checkpoint, or anew if it has none. Returns the exit code."""
    set_torch_threads(config.threads)
    with folder.locked():
        parts = build(config)
        require_noted_images(folder, parts.train, parts.test)
        folder = note_steps(folder, config)
        note_sitting(folder, device_name(parts.game.device))
        return _train(folder, config, parts)


def _train(folder: RunFolder, config: TrainImage, parts: Parts) -> int:
    """Train, and finish the run. Returns the exit code."""
    remedy = f"rlgen resume {folder.path}"
    folder.begin()
    try:
        with Metrics(folder) as metrics:
            steps = config.updates(len(parts.train), parts.batches.of_epoch)
            session = ImageSession(
                folder,
                parts.game,
                parts.batches,
                metrics,
                steps,
                config.log_every,
                config.checkpoint_every,
                config.evaluate_every,
                partial(_evaluate, folder, parts, metrics, steps),
                parts.require_sound,
            )
            session.run()
            finish(folder, config, parts, metrics, session.seconds)
    except Stopped as stop:
        log.info("stopped and saved at update %s; continue with: %s", f"{parts.game.step:,}", remedy)
        return exit_code(stop)
    except KeyboardInterrupt as stop:
        log.info("stopped at once; continue from what was saved last with: %s", remedy)
        return exit_code(stop)
    folder.end()
    return 0


def _evaluate(folder: RunFolder, parts: Parts, metrics: Metrics, last: int, step: int) -> dict[str, float]:
    """Pictures in folders of their own, one for each time, and in TensorBoard; bounds on the likelihood, errors. After
    update `last` no pictures: the end of the run has its own."""
    for name, picture in parts.pictures().items() if step < last else ():
        metrics.write_image(step, name, picture)
        write_png(folder / name / f"{step:09d}.png", picture)
    with parts.game.evaluating() as model:
        bounds = likelihood_bounds(model, parts.held_out, CURVE_IMAGES)
        return bounds | classification_error(model, parts.held_out)
