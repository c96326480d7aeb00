"""report.html of runs with image models: their pictures, metrics and curves."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from rlgen.errors import problem
from rlgen.runs import report_page as html
from rlgen.runs.curve_figure import curves_figure
from rlgen.runs.folder import RunFolder
from rlgen.runs.image_panels import PANELS
from rlgen.runs.image_result import ImageResult
from rlgen.runs.metrics import read_metrics
from rlgen.runs.scores import over_runs
from rlgen.system.atomic import atomic_write
from rlgen.system.console import duration, number

AGENT = "image"
PICTURES = {
    "samples": "Samples, not chosen",
    "reconstructions": "Test images, and under each what the model makes of it",
    "interpolation": "From left to right, between two latents",
    "traversals": "In each row one number of a latent changes, from end to end",
    "classes": "In each row the same latent, in each column another class",
    "codes": "In each row the same noise, in each column the same code",
}


@dataclass(frozen=True)
class Metric:
    """One of the metrics of a result that readers are shown."""

    name: str
    label: str
    unit: str = ""
    spread: str = ""
    """Name of its standard error or deviation."""
    share: bool = False

    def text(self, metrics: Mapping[str, Any]) -> str:
        """The value to read, e.g. 84.2 ± 0.3, or 97.1 %."""
        value = _number(metrics, self.name)
        if value is None:
            return "–"
        if self.share:
            return f"{100 * value:.1f} %"
        return html.spread(value, _number(metrics, self.spread)) if self.spread else number(value)

    def middle(self, runs: Sequence[Mapping[str, Any]]) -> str:
        """What several runs come to (`over_runs`), e.g. 84.2 (83.9 to 84.6), or 97.1 % (96.8 % to 97.5 %)."""
        values = [value for metrics in runs if (value := _number(metrics, self.name)) is not None]
        if not values:
            return "–"
        if self.share:
            return over_runs(values, lambda share: f"{100 * share:.1f} %")
        return over_runs(values, number)


def _number(metrics: Mapping[str, Any], name: str) -> float | None:
    """One of them; None where it is missing. Raises `InputError` for anything else."""
    value = metrics.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise problem(f"a number for {name} among a result's metrics", repr(value), "evaluate the run again")
    return value


METRICS = (
    Metric("nll", "negative log-likelihood", "nats at most", "nll_standard_error"),
    Metric("elbo", "evidence lower bound", "nats", "elbo_standard_error"),
    Metric("bits_per_dimension", "bits per dimension", "at most"),
    Metric("test_error", "test images in the wrong class", share=True),
    Metric("fid", "FID"),
    Metric("inception_score", "inception score", "", "inception_score_std"),
    Metric("precision", "precision", share=True),
    Metric("recall", "recall", share=True),
    Metric("parzen", "Parzen log-likelihood", "nats", "parzen_standard_error"),
    Metric("conditional_accuracy", "asked class made", share=True),
    Metric("code_accuracy", "class told by the code", share=True),
    Metric("probe_accuracy", "linear probe of features", share=True),
)


def is_image_run(folder: RunFolder) -> bool:
    return folder.config.get("agent") == AGENT


def write_image_report(folder: RunFolder, path: str | os.PathLike[str] | None = None) -> Path:
    """Write the page of one run, its report.html; of an unfinished run, as far as it is."""
    target = folder / "report.html" if path is None else Path(path)
    atomic_write(target, image_page(folder))
    return target


def image_page(folder: RunFolder) -> str:
    """The page of one run."""
    result = ImageResult.read(folder) if (folder / "result.json").is_file() else None
    data = str(result.data if result else folder.config.get("data", "images"))
    title = f"{folder.agent_name} of {data}"
    versions = folder.versions if (folder / "versions.json").is_file() else {}
    body = [
        html.header(f"rlgen · seed {folder.config.get('seed', '–')}", title, _lead(folder, result)),
        _facts(result) if result else "",
        *(html.section(name.capitalize(), picture(folder, name), note) for name, note in PICTURES.items()),
        html.section("Training", curves({"": [folder]})),
        html.section("Metrics", html.entries(result.metrics)) if result else "",
        html.section("Configuration", html.entries(folder.config)),
        html.section("Versions", html.entries({**versions.pop("packages", {}), **versions})),
    ]
    return html.page(title, body)


def _lead(folder: RunFolder, result: ImageResult | None) -> str:
    if result is None:
        steps = read_metrics(folder).get("step")
        done = f"{html.count(max(steps))} updates so far" if steps is not None and len(steps) else "nothing yet"
        return f"Not finished: {done}. Continue with <code>{escape(f'rlgen resume {folder.path}')}</code>."
    first = next((metric for metric in METRICS if metric.name in result.metrics), None)
    reached = (
        "" if first is None else f"<b>{escape(first.text(result.metrics))}</b> {escape(first.unit or first.label)} "
    )
    device = escape(result.device.partition(" ")[0])
    return f"{reached}after {html.count(result.steps)} updates in {duration(result.wall_seconds)} on {device}."


def _facts(result: ImageResult) -> str:
    facts = [
        (metric.label[:1].upper() + metric.label[1:], metric.text(result.metrics), metric.unit, "")
        for metric in METRICS
        if metric.name in result.metrics
    ]
    speed = html.reading(result.images_per_second)
    facts += [
        ("Speed", speed, "images/s", f"{html.count(result.images)} images"),
        ("Size", html.count(result.parameters), "parameters", ""),
        ("Machine", result.device.partition(" ")[0], "", f"{html.reading(result.peak_memory_mb)} MiB at most"),
    ]
    return html.facts(facts)


def picture(folder: RunFolder, name: str) -> str:
    """The final picture, or the newest of a run that goes on."""
    found = folder / f"{name}.png"
    if not found.is_file():
        newest = sorted((folder / name).glob("*.png"))
        if not newest:
            return ""
        found = newest[-1]
    source = html.data_uri(found.read_bytes(), ".png")
    return f'<figure><img src="{source}" alt="{escape(PICTURES[name])}"></figure>'


def curves(runs: Mapping[str, Sequence[RunFolder]]) -> str:
    if not any(read_metrics(folder) for folders in runs.values() for folder in folders):
        return ""
    return curves_figure(runs, {}, PANELS)
