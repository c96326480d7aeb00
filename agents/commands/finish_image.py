"""The end of a run with an image model: its weights, pictures, metrics and report."""

import logging
import math

from rich.table import Table

from rlgen.generators.trainer import Diverged
from rlgen.runs.console import Console
from rlgen.runs.device import device_name, peak_gpu_memory_mb
from rlgen.runs.folder import RunFolder
from rlgen.runs.image_grid import write_png
from rlgen.runs.image_model_file import save_image_model
from rlgen.runs.image_report import METRICS, write_image_report
from rlgen.runs.image_result import ImageResult
from rlgen.runs.metrics import Metrics
from rlgen.runs.progress import duration, number
from rlgen.runs.result import peak_memory_mb

from ..image_metrics import measure
from .image_assembly import Parts
from .train_image import TrainImage

log = logging.getLogger("rlgen")
FINITE = {"nll", "elbo", "parzen", "fid"}
"""Metrics of every model that is one."""


def finish(folder: RunFolder, config: TrainImage, parts: Parts, metrics: Metrics, seconds: float) -> ImageResult:
    """Write everything a finished run holds. `seconds`: training time."""
    game = parts.game
    parts.require_sound()
    with game.evaluating() as model:
        found = measure(
            model,
            parts.train,
            parts.test,
            parts.held_out,
            config.classifier,
            config.measured,
            config.importance_samples,
        )
        for name in FINITE & found.keys():
            if not math.isfinite(found[name]):
                raise Diverged(game.step, name)
        save_image_model(folder, model)
    for name, picture in parts.pictures().items():
        metrics.write_image(game.step, name, picture)
        write_png(folder / f"{name}.png", picture)
    images = game.step * parts.batches.size
    result = ImageResult(
        agent=config.agent,
        model=config.model,
        data=parts.train.name,
        seed=config.seed,
        steps=game.step,
        images=images,
        wall_seconds=seconds,
        images_per_second=images / seconds if seconds > 0 else None,
        parameters=sum(parameter.numel() for parameter in game.model.parameters()),
        metrics=found,
        device=device_name(game.device),
        versions=folder.versions["packages"],
        git_commit=folder.versions["git_commit"],
        peak_memory_mb=peak_memory_mb(),
        peak_gpu_memory_mb=peak_gpu_memory_mb(game.device),
    )
    result.write(folder)
    write_image_report(folder)
    print_result(result, folder)
    return result


def print_result(result: ImageResult, folder: RunFolder) -> None:
    """A summary for the terminal."""
    table = Table(title=f"{folder.agent_name} of {result.data}", show_header=False, title_justify="left")
    for metric in METRICS:
        if metric.name in result.metrics:
            table.add_row(metric.label, f"{metric.text(result.metrics)}  {metric.unit}".rstrip())
    speed = "" if result.images_per_second is None else f", {number(result.images_per_second)} images/s"
    table.add_row("training", f"{result.steps:,} updates in {duration(result.wall_seconds)}{speed}")
    table.add_row("folder", str(folder.path))
    Console().print(table)
