"""Several runs with image models beside each other: those that differ in nothing but the seed are one line."""

from collections.abc import Sequence
from dataclasses import dataclass

from rlgen.runs import report_page as html
from rlgen.runs.folder import RunFolder
from rlgen.runs.image_report import METRICS, Metric, curves, picture
from rlgen.runs.image_result import ImageResult
from rlgen.runs.run_groups import Kin, kin, shared_lines_note

LEAD = "Metrics of features are comparable for one extractor only."


@dataclass(frozen=True)
class Line:
    """Of the table of metrics."""

    name: str
    cells: tuple[str, ...]
    kind: str
    """"own" stands out, "part" steps back."""


def image_comparison(folders: Sequence[RunFolder], title: str = "") -> str:
    """The page that puts several runs beside each other: metrics, curves, samples of each group's first run."""
    groups = kin(folders)
    runs = f"{len(folders)} run{'' if len(folders) == 1 else 's'}"
    lead = f"{shared_lines_note([len(group.runs) for group in groups])} {LEAD}".strip()
    body = [
        html.header(f"rlgen · {runs}", title or f"{len(groups)} models of images", lead),
        html.section("Metrics", _table(groups)),
        html.section("Training", curves({group.label: group.runs for group in groups})),
        *(html.section(f"Samples: {group.label}", picture(group.runs[0], "samples")) for group in groups),
    ]
    return html.page(title or f"{len(groups)} models of images", body)


def _table(groups: Sequence[Kin]) -> str:
    """Lines for each group, a column for each metric that any run has."""
    results = [[ImageResult.read(run) for run in group.runs if (run / "result.json").is_file()] for group in groups]
    shown = [m for m in METRICS if any(m.name in result.metrics for each in results for result in each)]
    lines = [line for group, found in zip(groups, results, strict=True) for line in _lines(group, found, shown)]
    cells = zip(*(line.cells for line in lines), strict=True)
    columns = dict(zip([*(metric.label for metric in shown), "updates"], cells, strict=True))
    return html.table([(line.name, line.kind) for line in lines], columns)


def _lines(group: Kin, results: Sequence[ImageResult], shown: Sequence[Metric]) -> list[Line]:
    runs, done = len(group.runs), len(results)
    if not done:
        return [Line(group.label, (*("–" for _ in shown), "not finished"), "own")]
    if runs == 1:
        return [_line(group.label, results[0], shown, "own")]
    of = f"{runs} seeds" if done == runs else f"{done} of {runs} seeds"
    cells = [metric.middle([result.metrics for result in results]) for metric in shown]
    head = Line(f"{group.label} · {of}", (*cells, ""), "own")
    return [head, *(_line(f"seed {result.seed}", result, shown, "part") for result in results)]


def _line(name: str, result: ImageResult, shown: Sequence[Metric], kind: str) -> Line:
    return Line(name, (*(metric.text(result.metrics) for metric in shown), html.count(result.steps)), kind)
