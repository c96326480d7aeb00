"""report.html needs no other file, believes no file, and says first what was reached."""

import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest

from rlgen.data import Visits
from rlgen.data.visits import VISITS, Axis
from rlgen.display import Display, Metric
from rlgen.errors import InputError
from rlgen.reports import Row, curves, visits, write_report
from rlgen.reports.comparison import group_runs
from rlgen.reports.page import Fact, Lead, Page, flat
from rlgen.reports.tables import count, plus_minus
from rlgen.runs import Metrics, Result, Returns, RunFolder
from rlgen.runs.config import write_json
from rlgen.runs.evaluation import Evaluation

ATTACK = "<script>alert('1')</script>\"'><img src=https://example.com/x.png>"


@pytest.fixture
def fake_curves(monkeypatch):
    """Drawing is tested elsewhere and takes a second each."""
    calls = []

    def png(runs, references, theme, layout):
        calls.append((runs, references))
        return b"\x89PNG" + theme.ink.encode()

    monkeypatch.setattr(curves, "curves_png", png)
    return calls


@pytest.fixture
def fake_maps(monkeypatch):
    calls = []

    def png(runs, theme):
        calls.append(runs)
        return b"\x89PNG" + theme.ink.encode()

    monkeypatch.setattr(visits, "visits_png", png)
    return calls


def make_run(
    path, *, agent="gail", env="Ant-v5", seed=0, mean=4612.0, expert=4704.0, random=-58.0, finished=True, **config
):
    if not path.exists():
        run = RunFolder.create(path, {"agent": agent, "env": env, "out": str(path), **config}, seed=seed)
    with Metrics(run, tensorboard=False) as metrics:
        for step in (500_000, 1_000_000):
            metrics(step, {"rollout/ep_rew_mean" if agent != "bc" else "bc/loss": step / 1e6})
    if finished:
        episodes = Evaluation(mean + np.array([-88.0, 88.0]), np.array([1000, 1000]), np.array([False, True]))
        steps, unit = (6100, "updates") if agent == "bc" else (1_000_000, "steps")
        scores = {"evaluation_seed": 1000, "expert_return": expert, "random_return": random, "backend": "threads"}
        Result(
            agent=agent, seed=seed, steps=steps, unit=unit, wall_seconds=250.0, device="cpu (1 torch thread)",
            returns=Returns.of(episodes, env=env, **scores),
        ).write(run)  # fmt: skip
    return run


def make_exploration(path, *, seed=0, curiosity="vime", first=5000, finished=True, visits=True, **config):
    """A run without demonstrations that counted its visits."""
    config = {"agent": "vime", "algo": "ppo", "curiosity": curiosity, "env": "Sparse-v0", **config}
    name = "PPO" if curiosity == "none" else f"PPO + {curiosity.upper()}"
    found = (
        Metric("first_reward_step", "first reward", "steps", absent="never"),
        Metric("cells_visited", "visited", "cells"),
    )
    run = RunFolder.create(path, config, seed=seed, display=Display(name=name, results=found))
    with Metrics(run, tensorboard=False) as metrics:
        metrics(10_000, {"rollout/ep_rew_mean": 0.5})
    if visits:
        counted = Visits([Axis(name="x", columns=(0,), width=1.0), Axis(name="y", columns=(1,), width=1.0)])
        counted.add(np.arange(20.0).reshape(10, 2))
        (run / VISITS).write_bytes(counted.to_bytes())
    if finished:
        played = Evaluation(np.array([0.5, 1.0]), np.array([500, 90]), np.array([False, True]))
        Result(
            agent="vime", seed=seed, steps=1_000_000, wall_seconds=250.0,
            returns=Returns.of(played, env="Sparse-v0", evaluation_seed=1, random_return=0.0),
            metrics={"first_reward_step": first, "cells_visited": 10},
        ).write(run)  # fmt: skip
    return run


class Reader(HTMLParser):
    """Collects tags, addresses and text, and checks that tags close in order."""

    VOID = frozenset({"meta", "img", "source", "br", "link"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href", "srcset", "poster")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(path) -> tuple[Reader, str]:
    reader = Reader(path.read_text(encoding="utf-8"))
    return reader, re.sub(r"\s+", " ", " ".join(reader.text))


def test_the_first_sentence_says_what_was_reached(tmp_path, fake_curves):
    run = make_run(tmp_path / "run")
    _, text = read(write_report(run))
    assert "GAIL on Ant-v5" in text
    assert "Reaches 4,612 ± 88.0 (normalized score 0.98) after 1.0 M steps in 4 min 10 s on cpu." in text
    assert (tmp_path / "run" / "report.html").is_file()


def test_cloning_is_said_to_need_no_steps(tmp_path, fake_curves):
    _, text = read(write_report(make_run(tmp_path / "run", agent="bc")))
    assert "after 6,100 updates and without a step in the environment, in 4 min 10 s" in text
    assert "Training 4 min 10 s 6,100 updates" in text
    assert "Speed" not in text


def test_the_table_runs_from_random_to_the_demonstrations_with_the_given_rows_between(tmp_path, fake_curves):
    row = Row(name="BC", returns="3,769 ± 900", normalized=0.8, failures=0.15, terminated=0.22)
    _, text = read(write_report(make_run(tmp_path / "run"), rows=[row]))
    places = [
        text.index(part) for part in ("random -58.0", "BC 3,769 ± 900 0.800 15% 22%", "GAIL 4,612", "demonstrations 4")
    ]
    assert places == sorted(places)


def test_a_flipped_robot_that_never_ends_its_episode_counts_as_failed(tmp_path, fake_curves):
    run = make_run(tmp_path / "run", finished=False)
    episodes = Evaluation(np.array([4600.0, 300.0]), np.array([1000, 1000]), np.array([False, False]))
    returns = Returns.of(episodes, env="Ant-v5", evaluation_seed=0, expert_return=4704.0)
    Result(agent="gail", seed=0, steps=1, wall_seconds=1.0, returns=returns).write(run)
    _, text = read(write_report(run))
    assert "Failed 50%" in text
    assert "Ended by the task 0%" in text


def test_the_page_loads_nothing_from_outside(tmp_path, fake_curves):
    run = make_run(tmp_path / "run")
    (run / "video.mp4").write_bytes(b"film")
    reader, _ = read(write_report(run))
    assert len(reader.addresses) == 5  # two themes of curves for two widths, one video
    assert all(address.startswith("data:") for address in reader.addresses)
    assert "data:video/mp4;base64,ZmlsbQ==" in reader.addresses
    assert "video" in reader.tags
    assert not {"script", "link", "iframe"} & set(reader.tags)
    assert "default-src 'none'" in write_report(run).read_text()


def test_a_gif_is_shown_as_a_picture(tmp_path, fake_curves):
    run = make_run(tmp_path / "run")
    (run / "video.gif").write_bytes(b"GIF89a")
    reader, _ = read(write_report(run))
    assert "video" not in reader.tags
    assert any(address.startswith("data:image/gif") for address in reader.addresses)


def test_nothing_from_a_file_becomes_markup(tmp_path, fake_curves):
    run = make_run(tmp_path / "run", agent=ATTACK, env=ATTACK, **{ATTACK: {"deep": [ATTACK]}})
    result = json.loads((run / "result.json").read_text())
    write_json(run / "result.json", {**result, "device": ATTACK, "backend": ATTACK, "margin_rule": ATTACK})
    write_json(run / "versions.json", {"packages": {ATTACK: ATTACK}, "cpu": ATTACK})
    other = make_run(tmp_path / "other", env=ATTACK)
    for page in (write_report(run), write_report([run, other], tmp_path / "both.html", title=ATTACK)):
        reader, text = read(page)
        assert "script" not in reader.tags
        assert reader.tags.count("img") == page.read_text().count('class="curves"')
        assert "<script>alert('1')</script>" in text  # shown as it is


def test_an_unfinished_run_is_reported_as_far_as_it_is(tmp_path, fake_curves):
    run = make_run(tmp_path / "run", finished=False)
    _, text = read(write_report(run))
    assert f"Not finished: 1.0 M steps so far. Continue with rlgen resume {run.path} ." in text
    empty = RunFolder.create(tmp_path / "empty", {"agent": "gail"})
    _, text = read(write_report(empty))
    assert "nothing measured yet" in text


def test_a_result_that_is_not_a_number_is_shown_as_a_dash(tmp_path, fake_curves):
    _, text = read(write_report(make_run(tmp_path / "run", mean=float("nan"))))
    assert "Reaches –" in text


def test_runs_that_differ_only_in_the_seed_are_one_line_with_an_interval(tmp_path, fake_curves):
    runs = [make_run(tmp_path / f"gail{seed}", seed=seed, mean=4000.0 + seed) for seed in range(5)]
    runs.append(make_run(tmp_path / "bc", agent="bc", mean=3000.0))
    _, text = read(write_report([run.path for run in runs], tmp_path / "all.html"))
    assert "GAIL and BC on Ant-v5" in text
    assert re.search(r"GAIL · 5 seeds 4,002 \[4,00[01], 4,00[34]\]", text)
    assert "seed 3 4,003 ± 88.0" in text
    assert "BC 3,000 ± 88.0" in text
    groups, references = fake_curves[0]
    assert [(label, len(folders)) for label, folders in groups.items()] == [("GAIL", 5), ("BC", 1)]
    assert references == {"demonstrations": 4704.0, "random": -58.0, "BC": 3000.0}


def test_a_few_seeds_have_no_interval(tmp_path, fake_curves):
    runs = [make_run(tmp_path / f"gail{seed}", seed=seed, mean=4000.0 + 100 * seed) for seed in range(3)]
    _, text = read(write_report([run.path for run in runs], tmp_path / "all.html"))
    assert "GAIL · 3 seeds 4,100 (4,000 to 4,200)" in text
    assert "mean (lowest to highest seed)" in text
    assert "nterval" not in text
    assert "nterquartile" not in text


def test_an_agent_without_demonstrations_is_scored_by_its_chapters_scale(tmp_path, fake_curves):
    runs = [make_run(tmp_path / "gail"), make_run(tmp_path / "ppo", agent="ppo", mean=2323.0, expert=None)]
    _, text = read(write_report(runs, tmp_path / "all.html"))
    assert "PPO 2,323 ± 88.0 0.500 50%" in text, "one of its two episodes earned less than half of 4,704"


def test_scores_against_different_references_are_not_averaged(tmp_path, fake_curves):
    runs = [make_run(tmp_path / f"gail{seed}", seed=seed, random=-58.0 - 1000 * seed) for seed in range(2)]
    _, text = read(write_report(runs, tmp_path / "all.html"))
    assert "GAIL · 2 seeds 4,612 (4,612 to 4,612) – " in text
    assert "random -1,058 to -58.0 –" in text
    assert "scored against different references" in text


def test_evaluations_of_other_lengths_are_other_groups(tmp_path):
    runs = [make_run(tmp_path / str(n), seed=n, episodes=n, finished=False) for n in (10, 50)]
    assert [group.label for group in group_runs(runs)] == ["GAIL, episodes 10", "GAIL, episodes 50"]


def test_negative_returns_have_a_score_and_no_ratio_and_nothing_failed(tmp_path, fake_curves):
    run = make_run(tmp_path / "run", mean=-231.0, expert=-308.0, random=-1205.0)
    for page in (write_report(run), write_report([run, make_run(tmp_path / "bc", agent="bc", expert=-308.0)],
                                                 tmp_path / "all.html")):  # fmt: skip
        text = read(page)[1]
        assert "of the expert" not in text
        assert "Failed" not in text
        assert "failed" not in text.replace("No episode is called failed: half of a return that is not above 0", "")
    assert "normalized score 1.09" in read(run / "report.html")[1]


def test_every_card_has_company_in_its_row():
    for n in range(2, 14):
        page = Page(title="x", over="", lead=Lead(), facts=[Fact("a", "1")] * n)
        assert n % page.columns != 1, f"{n} cards in rows of {page.columns}"
        assert f"--columns: {page.columns}" in page.html()


def test_headers_of_tables_say_what_they_head(tmp_path, fake_curves):
    page = write_report(make_run(tmp_path / "run")).read_text()
    assert page.count("<th") == page.count('<th scope="col"') + page.count('<th scope="row"') + page.count("<thead")
    assert '<td data-column="return">4,612 ± 88.0</td>' in page
    assert "Return per episode: training policy from 0.500 to 1.000" in page


def test_runs_with_other_settings_are_told_apart_by_them(tmp_path):
    runs = [make_run(tmp_path / str(n), trajectories=n, learner={"gamma": 0.995}, finished=False) for n in (4, 11)]
    assert [group.label for group in group_runs(runs)] == ["GAIL, trajectories 4", "GAIL, trajectories 11"]


def test_environments_have_chapters_of_their_own(tmp_path, fake_curves):
    runs = [make_run(tmp_path / env, env=env) for env in ("Ant-v5", "Humanoid-v5")]
    _, text = read(write_report(runs, tmp_path / "all.html"))
    assert "GAIL on Ant-v5 and Humanoid-v5" in text
    assert "Ant-v5: returns" in text
    assert "Humanoid-v5: training" in text


def test_an_unfinished_run_in_a_comparison_is_named(tmp_path, fake_curves):
    runs = [make_run(tmp_path / str(seed), seed=seed, finished=seed == 0) for seed in range(2)]
    runs.append(make_run(tmp_path / "bc", agent="bc", finished=False))
    _, text = read(write_report(runs, tmp_path / "all.html"))
    assert "GAIL · 1 of 2 seeds" in text
    assert "BC not finished" in text


def test_videos_of_the_groups_are_side_by_side(tmp_path, fake_curves):
    runs = [make_run(tmp_path / agent, agent=agent) for agent in ("gail", "bc")]
    for run in runs:
        (run / "video.mp4").write_bytes(b"film")
    reader, text = read(write_report(runs, tmp_path / "all.html"))
    assert reader.tags.count("video") == 2
    assert "BC, seed 0" in text


def test_an_exploration_is_reported_without_an_expert_and_with_what_it_found(tmp_path, fake_curves, fake_maps):
    reader, text = read(write_report(make_exploration(tmp_path / "run")))
    assert "PPO + VIME on Sparse-v0" in text
    assert "First reward 5,000 steps" in text
    assert "Visited 10 cells" in text
    assert "States visited" in text
    assert not re.search("expert|ormalised|ailed", text)
    assert len(reader.addresses) == 6, "curves in two themes and widths, map in two themes"
    assert list(fake_maps[0]) == [""]


def test_a_damaged_file_of_visits_costs_the_map_alone_and_is_said(tmp_path, fake_curves, caplog):
    run = make_exploration(tmp_path / "run")
    (run / VISITS).write_bytes((run / VISITS).read_bytes()[:100])
    page = write_report(run).read_text()
    assert "PPO + VIME" in page
    assert "States visited" not in page
    assert f"a complete file of visits at {run / VISITS}" in caplog.text


def test_a_training_that_was_never_rewarded_is_said_so(tmp_path, fake_curves, fake_maps):
    _, text = read(write_report(make_exploration(tmp_path / "run", first=None)))
    assert "First reward never" in text


def test_explorations_are_told_apart_by_their_curiosity_and_mapped_side_by_side(tmp_path, fake_curves, fake_maps):
    runs = [make_exploration(tmp_path / f"vime{seed}", seed=seed, first=[4000, None][seed]) for seed in range(2)]
    runs.append(make_exploration(tmp_path / "none", curiosity="none"))
    runs.append(make_exploration(tmp_path / "rnd", curiosity="rnd", finished=False, visits=False))
    _, text = read(write_report([run.path for run in runs], tmp_path / "all.html"))
    assert "PPO + VIME, PPO and PPO + RND on Sparse-v0" in text
    assert "PPO + VIME · 2 seeds" in text
    assert re.search(r"PPO \+ VIME · 2 seeds 0\.750 \(0\.750 to 0\.750\) [^a-z]*1 of 2", text)
    assert "seed 1 0.750 ± 0.250 50% never 10 1.0 M 4 min 10 s" in text
    assert "xpert" not in text
    assert [(label, len(folders)) for label, folders in fake_maps[0].items()] == [("PPO + VIME", 2), ("PPO", 1)]


def test_wrong_requests_say_what_to_give(tmp_path, fake_curves):
    run = make_run(tmp_path / "run")
    with pytest.raises(InputError, match="at least one run"):
        write_report([], tmp_path / "all.html")
    with pytest.raises(InputError, match="a file for the report"):
        write_report([run])
    with pytest.raises(InputError, match="a run folder"):
        write_report(tmp_path / "nowhere")


def test_a_real_figure_fits_into_the_page(tmp_path):
    run = make_run(tmp_path / "run")
    reader, _ = read(write_report(run))
    assert all(address.startswith("data:image/png;base64,iVBOR") for address in reader.addresses)
    assert len(reader.addresses) == 4
    shutil.rmtree(run.path)


def test_numbers_of_a_page_read_well():
    assert [count(value) for value in (600, 25_000, 1_000_000, 75e6)] == ["600", "25 k", "1.0 M", "75.0 M"]
    assert plus_minus(4612.2, 88.4) == "4,612 ± 88.4"
    assert plus_minus(None, None) == "–"
    assert flat({"a": {"b": {"c": 1}}, "d": 2}) == {"a.b.c": 1, "d": 2}
