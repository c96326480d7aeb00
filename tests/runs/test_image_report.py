"""Reports of image models: one run, several, and beside those of agents."""

import json
from pathlib import Path

import numpy as np
import pytest

from rlgen.errors import InputError
from rlgen.runs import image_report
from rlgen.runs.folder import RunFolder
from rlgen.runs.image_grid import image_grid, write_png
from rlgen.runs.image_report import METRICS, PANELS
from rlgen.runs.image_result import ImageResult
from rlgen.runs.metrics import Metrics
from rlgen.runs.report import write_report

ATTACK = "<script>alert(1)</script>"
RESULT = ImageResult(
    agent="image",
    model="vae",
    data="digits",
    seed=0,
    steps=1_000,
    images=100_000,
    wall_seconds=20.0,
    images_per_second=5_000.0,
    parameters=95_104,
    metrics={"nll": 84.25, "nll_standard_error": 0.3, "precision": 0.971, "extractor": ATTACK},
    device="cpu (1 torch thread)",
    versions={"torch": "2.13.0"},
    git_commit=None,
    peak_memory_mb=None,
)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    """What curves were asked for; drawing is tested elsewhere and takes a second each."""
    calls: list[dict] = []

    def png(runs: dict, references: None, theme: object, panels: object) -> bytes:
        calls.append(runs)
        assert panels is PANELS
        return b"\x89PNG curves"

    monkeypatch.setattr(image_report, "curves_png", png)
    return calls


def make_run(path: Path, *, model: str = "vae", finished: bool = True) -> RunFolder:
    run = RunFolder.create(path, {"agent": "image", "model": model, "data": "digits"}, seed=0)
    with Metrics(run, tensorboard=False) as metrics:
        for step in (500, 1_000):
            metrics(step, {f"{model}/loss": step / 1e3})
    write_png(run / "samples" / "000000500.png", image_grid(np.zeros((4, 1, 8, 8)), 2))
    if finished:
        RESULT.write(run)
        write_png(run / "samples.png", image_grid(np.ones((4, 1, 8, 8)), 2))
    return run


def test_a_page_shows_metrics_pictures_and_curves_and_runs_no_foreign_code(tmp_path: Path, drawn: list) -> None:
    run = make_run(tmp_path / "run")
    page = write_report(run).read_text()
    assert (tmp_path / "run" / "report.html").is_file()
    assert "VAE of digits" in page
    assert "84.2 ± 0.300" in page
    assert "97.1 %" in page
    assert "Samples, not chosen" in page
    assert "Reconstructions" not in page
    assert ATTACK not in page
    assert len(drawn) == 2
    assert page.count("data:image/png") == 3


def test_a_run_that_goes_on_shows_its_newest_picture_and_how_to_continue(tmp_path: Path, drawn: list) -> None:
    run = make_run(tmp_path / "run", finished=False)
    page = write_report(run).read_text()
    assert "Not finished: 1,000 updates so far" in page
    assert f"rlgen resume {run.path}" in page
    assert "Samples, not chosen" in page


def test_a_run_without_a_single_number_has_a_page(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run", {"agent": "image", "model": "gan"}, seed=0)
    assert "GAN of images" in write_report(run).read_text()


def test_several_runs_stand_beside_each_other(tmp_path: Path, drawn: list) -> None:
    runs = [make_run(tmp_path / "one"), make_run(tmp_path / "two", model="gan", finished=False)]
    page = write_report(runs, tmp_path / "both.html", title="Two models").read_text()
    assert "Two models" in page
    assert "Samples: VAE, one" in page
    assert "Samples: GAN, two" in page
    assert "not finished" in page
    assert list(drawn[0]) == ["VAE, one", "GAN, two"]


def test_agents_and_images_are_not_compared(tmp_path: Path) -> None:
    agent = RunFolder.create(tmp_path / "agent", {"agent": "gail", "env": "Ant-v5"}, seed=0)
    with pytest.raises(InputError, match="1 of images and 1 of agents"):
        write_report([make_run(tmp_path / "run"), agent], tmp_path / "both.html")
    assert "GAIL on Ant-v5" in write_report(agent).read_text()


def test_the_curves_themselves_are_drawn(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    assert image_report._curves({"": [run]}).count("data:image/png") == 2


def test_a_result_comes_back_from_its_file(tmp_path: Path) -> None:
    RESULT.write(tmp_path)
    assert ImageResult.read(tmp_path) == RESULT
    entries = json.loads((tmp_path / "result.json").read_text())
    del entries["metrics"]
    (tmp_path / "result.json").write_text(json.dumps(entries))
    with pytest.raises(InputError, match="a result with metrics"):
        ImageResult.read(tmp_path)
    with pytest.raises(InputError, match="a finished run"):
        ImageResult.read(tmp_path / "nowhere")


def test_metrics_are_read_with_their_spread_and_as_shares() -> None:
    by_name = {metric.name: metric for metric in METRICS}
    assert by_name["nll"].text({"nll": 84.25, "nll_standard_error": 0.3}) == "84.2 ± 0.300"
    assert by_name["nll"].text({"nll": 84.25}) == "84.2"
    assert by_name["recall"].text({"recall": 0.5}) == "50.0 %"
    assert by_name["fid"].text({}) == "–"
