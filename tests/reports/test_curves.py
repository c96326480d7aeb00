"""Curves show the numbers of metrics.csv: one run with its spread, several as an interquartile mean with a band."""

import io
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

import rlgen
from rlgen.agents.bc import BC
from rlgen.agents.commands.train_explore import TrainExplore
from rlgen.agents.commands.train_gail import TrainGAIL, TrainInfoGAIL
from rlgen.display import Display, Metric, Panel
from rlgen.errors import InputError
from rlgen.reports import draw_curves, panels
from rlgen.reports.curve_data import PANELS, curve_of, not_drawn, panels_for, read_tables, smoothed
from rlgen.reports.curves import NARROW, WIDE, curves_in_words, curves_png, not_drawn_note, references_of
from rlgen.reports.panels import DARK, PRINT, draw_panel, draw_references, telling_series
from rlgen.runs import Metrics, RunFolder

SB3_NAMES = ["rollout/ep_rew_mean", "rollout/ep_len_mean", "train/approx_kl", "train/std", "time/fps"]
GAIL_NAMES = ["gail/expert_accuracy", "gail/policy_accuracy", "gail/loss", "gail/penalty", "gail/reward"]


RETURN = PANELS[0]
GAIL = TrainGAIL(env="x", out=Path("out"), demos=Path("demos")).display().panels
INFOGAIL = TrainInfoGAIL(env="x", out=Path("out"), demos=Path("demos")).display().panels


def table(values, name="x", first=1) -> dict[str, np.ndarray]:
    return {"step": np.arange(first, first + len(values), dtype=float), name: np.array(values, dtype=float)}


def noted(folder, panels):
    """The folder as a run that noted these panels."""
    (folder / "config.json").write_text("{}")
    RunFolder.open(folder).note_display(Display(panels=panels))


def run_folder(tmp_path, name, offset=0.0, rows=30):
    folder = tmp_path / name
    folder.mkdir()
    noted(folder, GAIL)
    with Metrics(folder, tensorboard=False) as metrics:
        for step in range(1, rows + 1):
            metrics(step * 1000, dict.fromkeys([*SB3_NAMES, *GAIL_NAMES], step / rows + offset))
            if step % 10 == 0:
                metrics(step * 1000, {"evaluation/return_mean": 100.0 * step + offset, "evaluation/return_std": 5.0})
    return folder


def size(png: bytes) -> tuple[int, int]:
    from PIL import Image

    with Image.open(io.BytesIO(png)) as picture:
        return picture.size


def test_one_run_is_its_own_values_without_the_gaps():
    curve = curve_of([table([1, np.nan, 3])], [Metric("x", "x")])
    assert curve.steps.tolist() == [1, 3]
    assert curve.middle.tolist() == [1, 3]
    assert curve.low is None


def test_the_spread_of_an_evaluation_is_the_band_of_one_run():
    evaluation = table([10, 20], "evaluation/return_mean") | {"evaluation/return_std": np.array([1.0, 2.0])}
    curve = curve_of([evaluation], RETURN.series["evaluation"])
    assert curve.low.tolist() == [9, 18]
    assert curve.high.tolist() == [11, 22]


def test_few_runs_have_a_band_from_the_lowest_to_the_highest():
    curve = curve_of([table([0, 0]), table([3, 3]), table([9, 9])], [Metric("x", "x")])
    assert curve.middle.tolist() == [4, 4]
    assert (curve.low.tolist(), curve.high.tolist()) == ([0, 0], [9, 9])
    assert curve.runs == 3


def test_five_runs_have_a_band_between_the_quartiles_and_an_outlier_does_not_move_the_line():
    curve = curve_of([table([value]) for value in (1, 2, 3, 4, 1e9)], [Metric("x", "x")])
    assert (curve.low[0], curve.middle[0], curve.high[0]) == (2, 3, 4)


def test_runs_with_different_steps_meet_on_the_range_they_share():
    early, late = table([0, 10, 20, 30]), table([10, 20, 30], first=2)
    curve = curve_of([early, late], [Metric("x", "x")])
    assert (curve.steps[0], curve.steps[-1]) == (2, 4)
    assert curve.middle == pytest.approx(np.linspace(10, 30, 4))


def test_runs_without_common_steps_are_one_point():
    curve = curve_of([table([1, 2]), table([5], first=50)], [Metric("x", "x")])
    assert curve.middle.tolist() == [3.5]


def test_a_quantity_that_no_run_has_is_no_curve():
    assert curve_of([table([1])], [Metric("y", "y")]) is None
    assert curve_of([table([np.nan])], [Metric("x", "x")]) is None


def test_smoothing_keeps_a_straight_line_and_the_mean_of_noise():
    line = np.linspace(0, 1, 50)
    assert smoothed(line, 7)[3:-3] == pytest.approx(line[3:-3])
    assert smoothed(np.array([0.0, 3.0, 0.0]), 3).tolist() == [1.5, 1.0, 1.5]
    assert smoothed(line, 1) == pytest.approx(line)


def titles(names, panels=PANELS) -> list[str]:
    return [panel.title for panel in panels_for(names, panels)]


def test_known_metrics_fill_their_panels_and_the_clock_fills_none():
    assert titles([*SB3_NAMES, *GAIL_NAMES], GAIL) == [
        "Return per episode",
        "Discriminator accuracy",
        "Discriminator loss [nats]",
        "Reward per step",
        "Episode length [steps]",
        "Policy change: KL [nats]",
        "Standard deviation of actions",
    ]


@pytest.mark.parametrize(
    ("kind", "own"),
    [
        ("vime", ["Median information gain [nats]", "Loss of the dynamics model [nats]"]),
        ("rnd", ["Novelty in its own unit: quantiles", "Loss of curiosity's model"]),
    ],
)
def test_what_curiosity_logs_has_panels_of_its_own(kind, own):
    logged = [
        "loss",
        "gain",
        "reward",
        "return",
        *(f"{name}_{n}" for name in ("bonus", "novelty") for n in (10, 50, 90)),
    ]
    names = [f"{kind}/{name}" for name in logged]
    names += ["coverage/cells", "coverage/share", "coverage/first_reward", "coverage/rewarded"]
    found = titles(names, TrainExplore(env="x", out=Path("out"), curiosity=kind).display().panels)
    assert found[:7] == [
        "Cells of the state grid visited",
        "Share of recent episodes rewarded",
        "Intrinsic return per episode",
        "Reward per step",
        "Bonus per step: quantiles",
        *own,
    ]


def test_the_accuracy_of_codes_is_not_the_discriminators():
    found = panels_for(["code/accuracy", "code/loss", "code/reward", "gail/reward"], INFOGAIL)
    assert [panel.title for panel in found] == ["Reward per step", "Share of steps whose code is inferred"]
    assert {label: [metric.name for metric in series] for label, series in found[0].series.items()} == {
        "reward": ["gail/reward"],
        "for its code": ["code/reward"],
    }


def test_a_metric_nobody_declared_gets_a_panel_of_its_own():
    assert titles(["step", "vime/information_gain"]) == ["vime/information_gain"]


def test_every_declared_panel_is_drawn_and_what_is_not_drawn_is_named(tmp_path):
    declared = tuple(Panel(f"Panel {i}", (Metric(f"mine/{i}", "mine"),)) for i in range(15))
    undeclared = [f"other/{i}" for i in range(14)]
    names = ["step", "time/fps", *(f"mine/{i}" for i in range(15)), *undeclared, "train/n_updates"]
    panels = (*declared, *PANELS)
    assert titles(names, panels) == [*(panel.title for panel in declared), *undeclared[:12]]
    assert not_drawn(names, panels) == ["other/12", "other/13", "train/n_updates"]
    noted(tmp_path, panels)
    with Metrics(tmp_path, tensorboard=False) as metrics:
        metrics(1, dict.fromkeys(names[1:], 1.0))
    said = "Logged in metrics.csv, but not drawn: other/12, other/13, train/n_updates."
    assert not_drawn_note({"": [tmp_path]}) == said


def test_an_agent_in_one_file_has_its_curves_by_what_it_declares(tmp_path):
    """Nothing below it knows its names, and who has the folder needs none of its code."""
    panel = Panel("Temperature of my agent", (Metric("mine/temperature", "temperature"),), limits=(0, None))
    run = RunFolder.create(tmp_path / "run", {"agent": "mine"}, display=Display(name="Mine", panels=(panel,)))
    with Metrics(run, tensorboard=False) as metrics:
        metrics(1, {"mine/temperature": 3.0, "mine/other": 1.0})
    assert RunFolder.open(run).display.panels == (panel,)
    words = curves_in_words({"": [run.path]}, {})
    assert "Temperature of my agent: temperature from 3.000" in words
    assert "mine/other from 1.000" in words


def test_no_layer_below_the_agents_spells_their_metrics():
    names = re.compile(r"[\"'](?:gail|infogail|vime|rnd|icm|lbs|bc|code)/")
    below = [path for path in Path(rlgen.__file__).parent.rglob("*.py") if "agents" not in path.parts]
    assert [path for path in below if names.search(path.read_text(encoding="utf-8"))] == []


def test_constants_counters_and_meaningless_losses_get_no_panel():
    names = ("train/n_updates", "train/learning_rate", "train/loss", "evaluation/return_min", "evaluation/return_std")
    assert titles(["step", *names, "evaluation/return_mean"]) == ["Return per episode"]


@pytest.mark.parametrize(("values", "limits"), [([0.2, 0.4], (-0.02, 0.42)), ([0.0, 0.0], (-0.05, 0.05))])
def test_an_axis_from_zero_still_has_room_for_its_highest_value(values, limits):
    from matplotlib.figure import Figure

    axes = Figure().add_subplot()
    (panel,) = panels_for(["train/clip_fraction"], PANELS)
    last = draw_panel(axes, panel, {"": [table(values, "train/clip_fraction")]}, DARK)
    assert last == 2
    assert axes.get_ylim() == pytest.approx(limits)


@pytest.mark.parametrize(
    ("value", "text"), [(4704.2, "4,704"), (0.25, "0.25"), (1.0, "1"), (-0.3, "−0.3"), (-58.2, "−58.2"), (0.0, "0")]
)
def test_axes_of_small_returns_show_their_decimals(value, text):
    assert panels._short(value) == text


def test_one_run_is_drawn_with_the_references_of_its_result(tmp_path):
    folder = run_folder(tmp_path, "run")
    assert references_of(folder) == {}
    (folder / "result.json").write_text('{"expert_return": 4704.0, "random_return": null}')
    assert references_of(folder) == {"demonstrations": 4704.0}
    (folder / "result.json").write_text('{"expert_return": 4704.0, "random_return": 0.0, "reference": "expert"}')
    assert references_of(folder) == {"expert": 4704.0, "random": 0.0}
    path = draw_curves(folder)
    assert path == folder / "curves.png"
    assert size(path.read_bytes())[0] == 1650


def test_groups_of_runs_are_drawn_together(tmp_path):
    first = [run_folder(tmp_path, f"a{i}", i) for i in range(2)]
    second = [run_folder(tmp_path, "b", 5.0, rows=200)]
    png = curves_png({"GAIL": first, "AIRL": second}, {"expert": 1.0}, DARK)
    assert size(png)[0] == 1650
    assert png != curves_png({"GAIL": first}, {"expert": 1.0}, DARK)


def test_groups_without_returns_have_a_legend_and_small_panels_say_what_their_styles_are(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    figures = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *given, **more: figures.append(self) or save(self, *given, **more)
    )
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        noted(tmp_path / name, (*PANELS, *BC.panels))
        with Metrics(tmp_path / name, tensorboard=False) as metrics:
            for step in range(3):
                metrics(step, dict.fromkeys(("bc/loss", "bc/held_out_loss", "train/std", "train/value_loss"), step))
    curves_png({"one": [tmp_path / "a"], "another": [tmp_path / "b"]})
    (figure,) = figures
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["one", "another"]
    styles = [axes.get_legend() and [text.get_text() for text in axes.get_legend().get_texts()] for axes in figure.axes]
    assert styles == [None, None, ["held out", "training rows"]]
    assert [axes.get_xlabel() for axes in figure.axes] == ["environment steps", "environment steps", "updates"]


def test_long_titles_end_before_the_next_panel_begins():
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 2.25), layout="constrained")
    panel = Panel("Test images: negative log-likelihood, at most [nats]", (Metric("x", "x"),))
    first, *_ = figure.subplots(1, 3)
    draw_panel(first, panel, {"": [table([1, 2])]}, DARK)
    figure.draw_without_rendering()
    assert first._left_title.get_window_extent().x1 <= first.get_tightbbox().x0 + figure.bbox.width / 3


def test_a_run_that_has_only_just_begun_is_drawn(tmp_path):
    with Metrics(tmp_path, tensorboard=False) as metrics:
        metrics(0, {"rollout/ep_rew_mean": float("nan")})
    assert size(draw_curves(tmp_path, tmp_path / "curves.png").read_bytes())[0] == 1650


def test_cloning_is_drawn_over_its_updates_and_without_an_empty_return(tmp_path):
    with Metrics(tmp_path, tensorboard=False) as metrics:
        for update in range(5):
            metrics(update, {"bc/loss": 1.0, "bc/held_out_loss": 2.0})
    (panel,) = panels_for(list(read_tables([tmp_path])[0]), BC.panels)
    assert panel.steps == "updates"
    noted(tmp_path, BC.panels)
    width, height = size(draw_curves(tmp_path).read_bytes())
    assert (width, height) == (1650, 150 * WIDE.large), "one panel has the whole width"
    assert size(curves_png({"": [tmp_path]}, layout=NARROW))[0] == 150 * NARROW.width


def test_entropy_is_drawn_as_entropy(tmp_path):
    (panel,) = panels_for(["train/entropy_loss"], PANELS)
    assert panel.title == "Policy's entropy [nats]"
    assert curve_of([table([-2.0, -1.0], "train/entropy_loss")], panel.metrics).middle.tolist() == [2.0, 1.0]


def test_groups_show_the_return_that_has_a_curve_and_not_a_dot():
    training = {f"rollout/{name}": np.arange(9.0) for name in ("ep_rew_mean", "ep_len_mean")}
    once = np.where(np.arange(9) == 8, 5.0, np.nan)
    short = {"step": np.arange(9.0), **training, "evaluation/return_mean": once}
    often = {**short, "evaluation/return_mean": np.arange(9.0)}
    assert telling_series(RETURN, {"a": [short], "b": [short]}) == "training policy"
    assert telling_series(RETURN, {"a": [often], "b": [often]}) == "evaluation"
    assert telling_series(RETURN, {"a": [often], "b": [short]}) == "training policy"
    assert telling_series(RETURN, {"a": [table([1.0])]}) is None


def test_a_narrow_figure_has_one_panel_below_the_other(tmp_path):
    folder = run_folder(tmp_path, "run")
    wide, narrow = (size(curves_png({"": [folder]}, layout=layout)) for layout in (WIDE, NARROW))
    assert narrow[0] < wide[0] / 2
    assert narrow[1] > 1.8 * wide[1]


def test_curves_are_told_in_words_panel_by_panel(tmp_path):
    words = curves_in_words({"GAIL": [run_folder(tmp_path, "run")]}, {"expert": 4704.0})
    assert "Return per episode: GAIL evaluation from 1,000 to 3,000, GAIL training policy from" in words
    assert "expert 4,704." in words
    assert "Discriminator accuracy: GAIL expert rows from 0.033 to 1.000" in words


def test_several_runs_need_a_place_for_their_curves(tmp_path):
    with pytest.raises(InputError, match="no path"):
        draw_curves({"a": [run_folder(tmp_path, "run")]})


def test_runs_without_metrics_cannot_be_drawn(tmp_path):
    with pytest.raises(InputError, match="a run with metrics"):
        draw_curves(tmp_path, tmp_path / "curves.png")
    assert read_tables([tmp_path]) == []


def test_drawing_leaves_no_figure_and_no_settings_behind(tmp_path):
    run_folder(tmp_path, "run")
    code = (
        "import sys, matplotlib\nfrom rlgen.reports.curves import draw_curves\nbefore = matplotlib.rcParams.copy()\n"
        f"draw_curves({str(tmp_path / 'run')!r}, {str(tmp_path / 'c.png')!r})\n"
        "print('matplotlib.pyplot' in sys.modules, before == matplotlib.rcParams.copy())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False True"


def test_references_close_together_share_a_label() -> None:
    axes = Figure().add_subplot()
    axes.plot([0, 1], [0, 5000])
    draw_references(axes, {"BC": 32.0, "expert": 4704.0, "random": -66.0}, PRINT)
    assert [label.get_text() for label in axes.texts] == ["expert 4,704", "BC 32, random \N{MINUS SIGN}66"]
    assert len(axes.get_lines()) == 1 + 3
