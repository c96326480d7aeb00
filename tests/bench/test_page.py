"""The page of a benchmark."""

import re
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from stable_baselines3 import PPO

from rlgen.agents.commands.bench_report import BenchReport
from rlgen.bench import figures
from rlgen.bench.benchmark import Benchmark
from rlgen.bench.figures import pictured
from rlgen.bench.folder import BenchFolder
from rlgen.bench.grid import Grid
from rlgen.bench.page import page_of
from rlgen.bench.results import CURVES
from rlgen.bench.rows import RESULTS
from rlgen.errors import InputError
from rlgen.reports.page import DARK_SCHEME, NARROW_SCREEN
from rlgen.reports.panels import DARK, LIGHT, Theme
from rlgen.reports.video import Video
from rlgen.runs.config import write_json

from .conftest import finish, results_folder, rows_of

EVIL = """
title = "<script>alert(1)</script>"
tasks = [{ name = "t<b>" }, { name = "u_1 & 2" }]
[agents]
"a<i>" = { command = "train rl" }
b = { command = "train rl" }
"""


def test_a_figure_is_drawn_for_light_and_dark_wide_and_narrow_screens() -> None:
    drawn = []

    def draw(theme: Theme, layout: figures.Layout) -> Figure:
        drawn.append((theme, layout))
        return Figure(figsize=(layout.width / 8, 0.2))

    found = pictured(draw, "words")
    assert drawn == [(theme, layout) for layout in (figures.WIDE, figures.NARROW) for theme in (LIGHT, DARK)]
    assert [media for media, _ in found.others] == [f"{NARROW_SCREEN} and {DARK_SCHEME}", NARROW_SCREEN, DARK_SCHEME]


def test_the_page_escapes_names_loads_nothing_and_has_every_part(tmp_path: Path) -> None:
    rows = [row for t in ("t<b>", "u_1 & 2") for a in ("a<i>", "b") for row in rows_of(t, a, [0.1, 0.2, 0.9])]
    path = results_folder(tmp_path / "bench", EVIL, rows)
    BenchReport(folder=path).run()
    page = (path / "report.html").read_text()
    headings = re.findall("<h2>(.*?)</h2>", page)
    assert headings == [
        "t&lt;b&gt;", "u_1 &amp; 2", "What to know before trusting it", "Every seed", "Over tasks",
        "Performance profiles", "Against a&lt;i&gt;", "Tables to copy",
    ]  # fmt: skip
    assert "<script" not in page
    assert "<i>" not in page.replace('<i style="width', "")
    assert not re.search('(?:src|srcset|href)="(?!data:)', page)
    assert r"u\_1 \& 2" in page.replace("&amp;", "&")
    assert "<i>" not in (path / "table.md").read_text().replace(r"\<", "")
    assert (path / "table.md").read_text().startswith(r"# \<script>")


def test_a_folder_of_runs_and_its_results_alone_show_the_same_curves(tiny: BenchFolder, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    for index, value in enumerate((-150.0, -300.0, -170.0)):
        finish(tiny, index, value)
    BenchReport(folder=tiny.path).run()
    page = (tiny.path / "report.html").read_text()
    assert "3 of 4 cells are done so far" in page
    words = re.findall('alt="(Learning curves[^"]*)"', page)
    assert words == ["Learning curves of return, at the end Pendulum-v1: ppo -60, a2c -200."]
    kept = tmp_path / "kept"
    kept.mkdir()
    for name in ("protocol.toml", RESULTS, CURVES):
        (kept / name).write_bytes((tiny.path / name).read_bytes())
    BenchReport(folder=kept).run()
    assert re.findall('alt="(Learning curves[^"]*)"', (kept / "report.html").read_text()) == words
    (kept / CURVES).write_bytes((kept / CURVES).read_bytes()[:-9])
    with pytest.raises(InputError, match="remove it for a page without curves"):
        BenchReport(folder=kept).run()


def test_a_page_without_results_says_so(tiny: BenchFolder) -> None:
    page = page_of(Benchmark.of(tiny))
    assert page.lead.before.startswith("0 of 4 cells are done so far.")
    assert "What to know" in page.html()


def test_missing_videos_are_recorded_on_request_for_the_first_seeds(
    tiny: BenchFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish(tiny, 0, -150.0)
    finish(tiny, 2, -150.0)
    run = tiny.run_of(tiny.plan.cells[0])
    write_json(run / "config.json", {"agent": "rl", "env": "Pendulum-v1", "seed": 0, "steps": 100})
    PPO("MlpPolicy", "Pendulum-v1", n_steps=8, batch_size=8).save(run / "policy.zip")
    recorded = []

    def record(policy: object, env: str, path: Path, **_: object) -> Video:
        recorded.append((env, path.name))
        path.write_bytes(b"a video")
        return Video(path, "")

    monkeypatch.setattr("rlgen.reports.video.record_video", record)
    BenchReport(folder=tiny.path).run()
    assert recorded == []
    for _ in range(2):  # what is there is not recorded again
        BenchReport(folder=tiny.path, videos=True).run()
    assert recorded == [("Pendulum-v1", f"{run.name}.mp4")]
    page = (tiny.path / "report.html").read_text()
    assert "<figcaption>Pendulum-v1: ppo, seed 0</figcaption>" in page
    assert "data:video/mp4;base64,YSB2aWRlbw==" in page


def test_a_table_is_written_for_markdown_and_for_latex() -> None:
    grid = Grid(title="x", head=("agent|s", "p & q"), rows=[("a_1", "−2.5 ± 1"), ("b", "3 %")], notes=("so",))
    assert grid.markdown() == "| agent\\|s | p & q |\n|---|---|\n| a_1 | −2.5 ± 1 |\n| b | 3 % |\n\n- so\n"
    assert grid.latex().splitlines() == [
        r"\begin{tabular}{lr}", r"\toprule", r"agent\textbar{}s & p \& q \\", r"\midrule", r"a\_1 & $-$2.5 $\pm$ 1 \\",
        r"b & 3 \% \\", r"\bottomrule", r"\end{tabular}",
    ]  # fmt: skip


def test_no_row_of_latex_is_an_argument_of_the_line_break_before_it() -> None:
    grid = Grid(title="x", head=("a", "b"), rows=[("[1]", "x"), ("*", "[2]")])
    assert grid.latex().splitlines()[4:6] == [r"{}[1] & x \\", r"{}* & [2] \\"]


def test_names_that_read_as_formulas_or_hidden_labels_are_drawn_as_they_are(tmp_path: Path) -> None:
    text = EVIL.replace("a<i>", "$\\\\frac$").replace("b = {", "_b = {").replace("t<b>", "$x_{$")
    tasks, agents = ("$x_{$", "u_1 & 2"), (r"$\frac$", "_b")
    rows = [row for t in tasks for a in agents for row in rows_of(t, a, [0.1, 0.2, 0.9])]
    path = results_folder(tmp_path / "bench", text, rows)
    BenchReport(folder=path).run()
    assert r"$\frac$ 0.4" in (path / "report.html").read_text()
