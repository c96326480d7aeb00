"""Reports of image models: one run, several, and beside those of agents."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rlgen.agents.commands.train_image import settings_of
from rlgen.agents.image_metrics import RESULTS
from rlgen.display import Display
from rlgen.errors import InputError
from rlgen.generators import GENERATORS, ImageShape, Trainer
from rlgen.reports import curves, write_report
from rlgen.reports.comparison import group_runs
from rlgen.reports.curve_data import panels_for
from rlgen.reports.pictures import image_grid, write_png
from rlgen.reports.tables import metric_text, metric_unit
from rlgen.runs import Metrics, Result, RunFolder

ATTACK = "<script>alert(1)</script>"
RESULT = Result(
    agent="image",
    seed=0,
    steps=1_000,
    unit="updates",
    wall_seconds=20.0,
    metrics={
        "model": "vae", "data": "digits", "images": 100_000, "parameters": 95_104,
        "nll": 84.25, "nll_standard_error": 0.3, "precision": 0.971, "extractor": ATTACK,
    },
    device="cpu (1 torch thread)",
    versions={"torch": "2.13.0"},
)  # fmt: skip


def display(model: str) -> Display:
    return settings_of(model)(out=Path("out")).display()


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    """What curves were asked for; drawing is tested elsewhere and takes a second each."""
    calls: list[dict] = []

    def png(runs: dict, references: dict, theme: object, layout: object) -> bytes:
        calls.append(runs)
        return b"\x89PNG curves"

    monkeypatch.setattr(curves, "curves_png", png)
    return calls


def make_run(path: Path, *, model: str = "vae", finished: bool = True, seed: int = 0) -> RunFolder:
    run = RunFolder.create(
        path, {"agent": "image", "model": model, "data": "digits"}, seed=seed, display=display(model)
    )
    with Metrics(run, tensorboard=False) as metrics:
        for step in (500, 1_000):
            metrics(step, {f"{model}/loss": step / 1e3})
    write_png(run / "samples" / "000000500.png", image_grid(np.zeros((4, 1, 8, 8)), 2))
    if finished:
        replace(RESULT, seed=seed, metrics={**RESULT.metrics, "nll": 84.25 + seed}).write(run)
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
    assert len(drawn) == 4, "bright and dark, wide and narrow"
    assert page.count("data:image/png") == 5


def test_a_run_that_goes_on_shows_its_newest_picture_and_how_to_continue(tmp_path: Path, drawn: list) -> None:
    run = make_run(tmp_path / "run", finished=False)
    page = write_report(run).read_text()
    assert "Not finished: 1,000 updates so far" in page
    assert f"rlgen resume {run.path}" in page
    assert "Samples, not chosen" in page


def test_a_run_without_a_single_number_has_a_page(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run", {"agent": "image", "data": "digits"}, seed=0, display=display("gan"))
    assert "GAN of digits" in write_report(run).read_text()


def test_several_runs_stand_beside_each_other(tmp_path: Path, drawn: list) -> None:
    runs = [make_run(tmp_path / "one"), make_run(tmp_path / "two", model="gan", finished=False)]
    page = write_report(runs, tmp_path / "both.html", title="Two models").read_text()
    assert "Two models" in page
    assert "Samples: VAE" in page
    assert "Samples: GAN" in page
    assert "not finished" in page
    assert list(drawn[0]) == ["VAE", "GAN"]


def test_runs_that_differ_in_the_seed_alone_share_a_line(tmp_path: Path, drawn: list) -> None:
    runs = [make_run(tmp_path / f"run-{seed}", seed=seed) for seed in range(3)]
    page = write_report([*runs, make_run(tmp_path / "gan", model="gan")], tmp_path / "all.html").read_text()
    assert {label: len(group) for label, group in drawn[0].items()} == {"VAE": 3, "GAN": 1}
    assert "VAE · 3 seeds" in page
    assert "85.2 (84.2 to 86.2)" in page
    assert "97.1 % (97.1 % to 97.1 %)" in page
    assert page.count("Samples: VAE") == 1
    assert [f"seed {seed}" in page for seed in range(3)] == [True] * 3


def test_groups_that_nothing_tells_apart_in_words_have_their_folders_names(tmp_path: Path) -> None:
    ones = [{"a": 1, "b": 1, "c": 1, "d": d} for d in (1, 2)]
    vae = {"agent": "image", "model": "vae"}
    runs = [RunFolder.create(tmp_path / f"run{i}", {**vae, **one, "e": i}, seed=0, display=display("vae"))
            for i, one in enumerate([*ones, {"a": 2, "b": 2, "c": 2, "d": 1}])]  # fmt: skip
    labels = [group.label for group in group_runs(runs)]
    assert labels == ["VAE, a 1, b 1, c 1", "VAE, a 1, b 1, c 1, run1", "VAE, a 2, b 2, c 2"]


@pytest.mark.parametrize("name", GENERATORS)
def test_everything_a_model_logs_is_drawn_once_or_says_what_another_says(name: str) -> None:
    kind, shape = GENERATORS[name], ImageShape(channels=1, height=8, width=8, n_classes=10)
    game = Trainer(kind(shape, kind.config_type()))
    names = [*game.update(torch.rand(20, 1, 8, 8).round(), torch.arange(20) % 10), "evaluation/nll_standard_error"]
    panels = panels_for(["step", *names], display(name).panels)
    drawn = [metric.name for panel in panels for metric in panel.metrics if metric.name in names]
    assert len(set(drawn)) == len(drawn)
    by_choice = {metric.name for panel in display(name).panels if not panel.drawn for metric in panel.metrics}
    assert set(names) - set(drawn) <= by_choice | {"evaluation/nll_standard_error"}
    assert {panel.steps for panel in panels} == {"updates"}
    assert not {panel.title for panel in panels} & set(names), "a title in words"


def test_every_level_of_a_pyramid_has_its_panels() -> None:
    names = [f"{player}_{height}/loss" for height in (8, 16) for player in ("discriminator", "generator")]
    panels = panels_for(names, display("lapgan").panels)
    assert [panel.title for panel in panels] == ["Losses of the players, level 8", "Losses of the players, level 16"]
    assert [metric.name for metric in panels[1].metrics] == ["discriminator_16/loss", "generator_16/loss"]
    assert {panel.steps for panel in panels} == {"updates"}


def test_a_name_in_capitals_stays_in_capitals(tmp_path: Path, drawn: list) -> None:
    run = make_run(tmp_path / "run")
    replace(RESULT, metrics={"fid": 12.0, "nll": 80.0}).write(run)
    page = write_report(run).read_text()
    assert ">FID<" in page
    assert ">Negative log-likelihood<" in page


def test_agents_and_images_are_not_compared(tmp_path: Path) -> None:
    agent = RunFolder.create(tmp_path / "agent", {"agent": "gail", "env": "Ant-v5"}, seed=0)
    with pytest.raises(InputError, match="1 of models of data and 1 of agents"):
        write_report([make_run(tmp_path / "run"), agent], tmp_path / "both.html")
    assert "GAIL on Ant-v5" in write_report(agent).read_text()


def test_the_curves_themselves_are_drawn(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    figure = curves.curves_figure({"": [run]}, {})
    assert [address[:14] for address in (figure.picture, *dict(figure.others).values())] == ["data:image/png"] * 4


def test_metrics_are_read_with_their_spread_and_as_shares() -> None:
    by_name = {metric.name: metric for metric in RESULTS}
    assert metric_text(by_name["nll"], {"nll": 84.25, "nll_standard_error": 0.3}) == "84.2 ± 0.300"
    assert metric_text(by_name["nll"], {"nll": 84.25}) == "84.2"
    assert metric_text(by_name["recall"], {"recall": 0.5}) == "50.0 %"
    assert metric_unit(by_name["nll"], {"nll": 84.25}) == "nats at most"
    assert metric_unit(by_name["nll"], {}) == "", "no unit of what is absent"
    assert metric_unit(by_name["nll"], {"nll": "none"}) == "", "nor of words"
    assert metric_text(by_name["fid"], {}) == "–"
