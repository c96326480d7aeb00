"""A search trains nothing twice, prunes over seeds and steps, and compares its winner on seeds that chose nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

optuna = pytest.importorskip("optuna")
pytest.importorskip("tomli_w")

from rlgen.bench.cells import Cell  # noqa: E402
from rlgen.bench.folder import BenchFolder, Plan  # noqa: E402
from rlgen.bench.identity import Resolved  # noqa: E402
from rlgen.bench.lease import Lease  # noqa: E402
from rlgen.bench.protocol_file import read_protocol  # noqa: E402
from rlgen.bench.tune import trial as tune_trial  # noqa: E402
from rlgen.bench.tune.file import check_options, read_tune_file  # noqa: E402
from rlgen.bench.tune.report import write_report  # noqa: E402
from rlgen.bench.tune.search import Tuning, name_of_trial  # noqa: E402
from rlgen.bench.tune.space import defaults_in  # noqa: E402
from rlgen.bench.tune.study import JOURNAL  # noqa: E402
from rlgen.bench.worker import Worker  # noqa: E402
from rlgen.errors import InputError  # noqa: E402
from rlgen.runs.folder import RunFolder  # noqa: E402
from rlgen.system import versions  # noqa: E402

SEARCH = """
title = "PPO on the pendulum"
tuned_on = [77]

[options]
steps = 100

[[tasks]]
env = "Pendulum-v1"

[agents.ppo]
command = "train rl"
options = { "learner.gamma" = 0.9 }
on = { Pendulum-v1 = { "learner.learning-rate" = 0.5 } }

[agents.other]
command = "train rl"
options = { "learner.algorithm" = "a2c" }

[tune]
agent = "ppo"
seeds = [0, 1, 2]
fresh_seeds = [10, 11, 12, 13, 14]
trials = 8
pruner = "none"

[tune.space]
"learner.learning-rate" = { low = 1e-3, high = 1.0, log = true }
"learner.n-steps" = { low = 8, high = 32, step = 8 }
"learner.hidden" = { choices = [[8], [8, 8]] }
"""
LEARNING_RATE = "learner.learning-rate"


def words_of(arguments: Sequence[str]) -> Resolved:
    return Resolved({"words": list(arguments)}, ())


def written(tmp_path: Path, text: str = SEARCH) -> Path:
    path = tmp_path / "tune.toml"
    path.write_text(text)
    return path


def tuning_of(tmp_path: Path, text: str = SEARCH, **options: Any) -> Tuning:
    """A search in the folder `out`, where options are taken as they are typed."""
    plan = Plan(rlgen="0.1.0", margin_rule="native", quick=False, data=None, cells=())
    return Tuning(read_tune_file(written(tmp_path, text)), tmp_path / "out", plan, words_of, **options)


def return_of(cell: Cell) -> float:
    """The higher, the nearer the learning rate is to 0.1; a little seed."""
    return -abs(float(np.log10(cell.options[LEARNING_RATE])) + 1) + 0.01 * (cell.seed % 3)


def finish(folder: BenchFolder, cell: Cell, value: float, curve: Sequence[tuple[int, float]] = ()) -> None:
    run = RunFolder.create(folder.run_of(cell), {"agent": "rl", "seed": cell.seed, "steps": 100})
    rows = "".join(f"{step},{each}\n" for step, each in curve)
    (run / "metrics.csv").write_text(f"step,evaluation/return_mean\n{rows}")
    result = {"agent": "rl", "seed": cell.seed, "steps": 100, "wall_seconds": 1.0, "env": "Pendulum-v1"}
    returns = {"return_mean": value, "return_std": 0.0, "return_min": value, "return_max": value}
    episodes = {"episode_length_mean": 200.0, "episodes": 1, "terminated": 0.0, "evaluation_seed": 1000}
    (run / "result.json").write_text(json.dumps({**result, **returns, **episodes}))


describe_once = cache(versions.describe)


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Versions are asked for once, and files are not flushed to the disk: a search writes hundreds."""
    monkeypatch.setattr(versions, "describe", describe_once)
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    monkeypatch.setattr(tune_trial, "LOOK", 0.05)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Cell]:
    """Trainings take no time: the cells that were trained."""
    done: list[Cell] = []

    def process(self: Worker, cell: Cell, arguments: Sequence[str], lease: Lease, planned: Any) -> tuple[str, int]:
        done.append(cell)
        finish(self.folder, cell, return_of(cell))
        return "done", 0

    monkeypatch.setattr(Worker, "_process", process)
    return done


def test_a_search_finds_the_optimum_and_confirms_it_on_fresh_seeds(tmp_path: Path, trained: list[Cell]) -> None:
    tuning = tuning_of(tmp_path)
    tuning.search(2)
    best = tuning.confirm(1)
    text = write_report(tuning, best)
    tried = tuning.study.tried()
    assert [each.state for each in tried] == ["complete"] * 8
    assert best.objective == max(each.objective for each in tried if each.objective is not None)
    assert best.objective == min(return_of(cell) for cell in tuning.cells_of(name_of_trial(best.number)))
    assert len(trained) == 8 * 3 + 2 * 5
    assert {cell.seed for cell in trained if cell.agent == "winner"} == {10, 11, 12, 13, 14}
    assert all(cell.options["learner.gamma"] == 0.9 for cell in trained)
    default = next(cell for cell in trained if cell.agent == "default")
    assert default.options[LEARNING_RATE] == 0.5
    assert "Winner minus defaults (interquartile means): " in text
    assert "95 % bootstrap interval paired by seed" in text
    assert "is optimistic" in text
    assert f"--learner.learning-rate {best.options[LEARNING_RATE]!r}" in text


def test_the_winners_protocol_names_the_seeds_of_the_search(tmp_path: Path, trained: list[Cell]) -> None:
    tuning = tuning_of(tmp_path, trials=2)
    tuning.search(1)
    best = tuning.confirm(1)
    write_report(tuning, best)
    protocol = read_protocol(tmp_path / "out" / "winner.toml")
    assert protocol.tuned_on == (0, 1, 2)
    assert protocol.seeds == (10, 11, 12, 13, 14)
    assert list(protocol.agents) == ["winner", "default"]
    chosen = protocol.agents["winner"].options
    assert {name: chosen[name] for name in best.options} == best.options
    assert protocol.agents["winner"].on == {"Pendulum-v1": {}}, "the task's own value does not win over the chosen one"


def test_a_search_given_again_trains_nothing_and_can_be_prolonged(tmp_path: Path, trained: list[Cell]) -> None:
    first = tuning_of(tmp_path, trials=2)
    first.search(1)
    first.confirm(1)
    before = first.study.tried()
    count = len(trained)
    again = tuning_of(tmp_path, trials=2)
    again.search(1)
    again.confirm(1)
    assert len(trained) == count
    longer = tuning_of(tmp_path, SEARCH.replace("trials = 8", "trials = 3"))
    longer.search(1)
    assert longer.study.tried()[:2] == before
    assert [cell.agent for cell in trained[count:]] == ["trial-002"] * 3


def test_an_interrupted_search_ends_as_an_undisturbed_one(
    tmp_path: Path, trained: list[Cell], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("whole", "cut"):
        (tmp_path / name).mkdir()
    whole = tuning_of(tmp_path / "whole", trials=6)
    whole.search(1)
    working = Worker._process
    cut = tuning_of(tmp_path / "cut", trials=6)

    def process(self: Worker, cell: Cell, arguments: Sequence[str], lease: Lease, planned: Any) -> tuple[Any, int]:
        if (cell.agent, cell.seed) == ("trial-003", 1):
            cut.stop.set()
            self.stop.set()
            return "stopped", 143
        return working(self, cell, arguments, lease, planned)

    monkeypatch.setattr(Worker, "_process", process)
    cut.search(1)
    assert [each.state for each in cut.study.tried()] == ["complete"] * 3 + ["running"]
    monkeypatch.setattr(Worker, "_process", working)
    count = len(trained)
    later = tuning_of(tmp_path / "cut", trials=6)
    later.search(1)
    assert later.study.tried() == whole.study.tried()
    assert [cell.seed for cell in trained[count:]][:2] == [1, 2], "seed 0 was done"


def test_halving_stops_a_bad_trial_while_it_trains_and_leaves_its_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped: list[str] = []

    def process(self: Worker, cell: Cell, arguments: Sequence[str], lease: Lease, planned: Any) -> tuple[str, int]:
        value = return_of(cell)
        finish(self.folder, cell, value, [(20, value), (50, value), (70, value)])
        if cell.agent == "trial-000":
            return "done", 0
        result = self.folder.run_of(cell) / "result.json"
        result.rename(result.with_suffix(".held"))
        if self.stop.wait(20):
            stopped.append(cell.name)
            return "stopped", 143
        return "failed", 1

    monkeypatch.setattr(Worker, "_process", process)
    tuning = tuning_of(tmp_path, SEARCH.replace('"none"', '"halving"'), trials=2)
    tuning.study.begin_with({LEARNING_RATE: 0.1, "learner.n-steps": 8, "learner.hidden": [8]})
    tuning.search(1)
    first, second = tuning.study.tried()
    assert first.options == {LEARNING_RATE: 0.1, "learner.n-steps": 8, "learner.hidden": [8]}
    assert (first.state, second.state) == ("complete", "pruned")
    assert second.note == "at 50 % of seed 0"
    assert len(stopped) == 1
    assert [cell.agent for cell in tuning.folder.plan.cells] == ["trial-000"] * 3, "its rest is not trained"
    assert (tuning.path / "runs" / stopped[0]).is_dir()


def test_a_trial_that_is_bad_after_a_seed_has_no_further_one(tmp_path: Path, trained: list[Cell]) -> None:
    tuning = tuning_of(tmp_path, SEARCH.replace('"none"', '"halving"'))
    tuning.study.begin_with({LEARNING_RATE: 0.1, "learner.n-steps": 8, "learner.hidden": [8]})
    tuning.search(1)
    tried = tuning.study.tried()
    pruned = [each for each in tried if each.state == "pruned"]
    assert pruned
    assert all(each.note == "at 100 % of seed 0" for each in pruned)
    assert len(trained) == 3 * (len(tried) - len(pruned)) + len(pruned)


def test_equal_options_are_trained_once(tmp_path: Path, trained: list[Cell]) -> None:
    text = SEARCH.partition("[tune.space]")[0] + '[tune.space]\n"learner.n-steps" = { choices = [8, 16] }\n'
    tuning = tuning_of(tmp_path, text)
    tuning.search(1)
    tried = tuning.study.tried()
    assert len(trained) == 2 * 3
    assert sum(each.same_as is None for each in tried) == 2
    assert len({each.objective for each in tried}) == 1


def test_a_result_that_is_not_finite_ends_its_trial_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def process(self: Worker, cell: Cell, arguments: Sequence[str], lease: Lease, planned: Any) -> tuple[str, int]:
        finish(self.folder, cell, float("nan") if cell.agent == "trial-000" else 1.0)
        return "done", 0

    monkeypatch.setattr(Worker, "_process", process)
    tuning = tuning_of(tmp_path, trials=2)
    tuning.search(1)
    assert [each.state for each in tuning.study.tried()] == ["failed", "complete"]
    assert "no finite return_mean" in write_report(tuning, None)


def test_a_pruned_trial_whose_training_fails_while_it_stops_stays_pruned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def process(self: Worker, cell: Cell, arguments: Sequence[str], lease: Lease, planned: Any) -> tuple[str, int]:
        bad = cell.agent == "trial-001"
        finish(self.folder, cell, 0.0, [(50, -1.0 if bad else 0.0)])
        if bad:
            (self.folder.run_of(cell) / "result.json").unlink()
        return ("failed", 2) if bad else ("done", 0)

    monkeypatch.setattr(Worker, "_process", process)
    tuning = tuning_of(tmp_path, SEARCH.replace('"none"', '"halving"'), trials=2)
    tuning.search(1)
    assert [each.state for each in tuning.study.tried()] == ["complete", "pruned"]


def test_a_value_whose_answer_was_cut_off_is_answered_later(tmp_path: Path) -> None:
    text = SEARCH.replace('"none"', '"halving"')
    tuning = tuning_of(tmp_path, text, trials=1)
    first, _ = tuning.study.next(1)  # type: ignore[misc]
    assert not tuning.study.report(first, 5, 0.0)
    tuning.study.complete(first, 0.0)
    trial, _ = tuning.study.next(2)  # type: ignore[misc]
    trial.report(-1000.0, 5)  # and the process is killed
    later = tuning_of(tmp_path, text, trials=2).study
    again, _ = later.next(2)  # type: ignore[misc]
    assert again.number == trial.number
    assert not later.report(again, 4, -1000.0)
    assert later.report(again, 5, -1000.0)


def test_a_failed_training_ends_its_trial_alone_and_three_end_the_search(
    tmp_path: Path, trained: list[Cell], monkeypatch: pytest.MonkeyPatch
) -> None:
    working = Worker._process

    def failing(fails: Callable[[Cell], bool]) -> Any:
        def process(self: Worker, cell: Cell, arguments: Sequence[str], lease: Lease, planned: Any) -> tuple[Any, int]:
            if not fails(cell):
                return working(self, cell, arguments, lease, planned)
            self.folder.log_of(cell).write_text("the loss is NaN\n")
            return "failed", 2

        return process

    monkeypatch.setattr(Worker, "_process", failing(lambda cell: (cell.agent, cell.seed) == ("trial-001", 1)))
    tuning = tuning_of(tmp_path, trials=3)
    tuning.search(1)
    assert [each.state for each in tuning.study.tried()] == ["complete", "failed", "complete"]
    assert "the loss is NaN" in tuning.study.tried()[1].note
    assert "the loss is NaN" in write_report(tuning, tuning.best())
    monkeypatch.setattr(Worker, "_process", failing(lambda cell: True))
    (tmp_path / "bad").mkdir()
    with pytest.raises(InputError, match=r"a trial that trains; got 3 failed ones; .*the loss is NaN"):
        tuning_of(tmp_path / "bad").search(1)


def test_the_journal_is_lines_of_json_and_a_cut_last_line_is_dropped(tmp_path: Path, trained: list[Cell]) -> None:
    tuning = tuning_of(tmp_path, trials=2)
    tuning.search(1)
    journal = tmp_path / "out" / JOURNAL
    lines = journal.read_text().splitlines()
    assert all(isinstance(json.loads(line), dict) for line in lines)
    backend = optuna.storages.journal.JournalFileBackend(str(journal))
    assert not hasattr(backend, "load_snapshot"), "a backend with snapshots unpickles them"
    journal.write_text("\n".join(lines) + '\n{"op_co')
    journal.with_name(f"{JOURNAL}.lock").symlink_to("a killed process")
    assert len(tuning_of(tmp_path, trials=2).study.tried()) == 2
    journal.write_text(f'{{"op_code": 99}}\n{journal.read_text()}')
    with pytest.raises(InputError, match="a journal of trials"):
        tuning_of(tmp_path, trials=2)


def test_another_file_is_refused_for_the_same_folder(tmp_path: Path, trained: list[Cell]) -> None:
    tuning_of(tmp_path)
    with pytest.raises(InputError, match=r"the file as it was when .* got a changed one"):
        tuning_of(tmp_path, SEARCH.replace("high = 1.0", "high = 2.0"))
    other = tuning_of(tmp_path, SEARCH.replace("[10, 11,", "[20, 21,").replace("trials = 8", "trials = 9"))
    assert [cell.seed for cell in other.cells_of("default")] == [20, 21, 12, 13, 14]


def test_a_refused_file_changes_nothing_and_a_benchmarks_folder_is_left_alone(
    tmp_path: Path, trained: list[Cell]
) -> None:
    tuning_of(tmp_path)
    out = tmp_path / "out"
    before = {name: (out / name).read_text() for name in ("plan.json", "protocol.toml")}
    with pytest.raises(InputError, match="a changed one"):
        tuning_of(tmp_path, SEARCH.replace("high = 1.0", "high = 2.0").replace("steps = 100", "steps = 200"))
    assert {name: (out / name).read_text() for name in before} == before
    (out / "tune.toml").unlink()
    with pytest.raises(InputError, match="got a benchmark's, whose plan and results the search would replace"):
        tuning_of(tmp_path)


def test_a_second_search_in_a_folder_is_refused_while_the_first_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from rlgen.agents.cli import main
    from rlgen.system.files import locked

    head = SEARCH.partition("[tune.space]")[0] + "[tune.space]\n"
    path = written(tmp_path, head + '"learner.gamma" = { choices = [0.9, 0.99] }')
    (tmp_path / "out").mkdir()
    with locked(tmp_path / "out"):
        assert main(["tune", str(path), "--out", str(tmp_path / "out")]) == 2
    assert "one that is still running" in capsys.readouterr().err
    assert [each.name for each in (tmp_path / "out").iterdir()] == [".lock"]


def test_what_the_command_refuses_is_refused_before_the_first_training(tmp_path: Path) -> None:
    from rlgen.agents.commands.bench_planning import resolved

    head = SEARCH.partition("[tune.space]")[0] + "[tune.space]\n"
    for space, message in (
        ('"learner.n-stepz" = { low = 8, high = 32 }', "n-stepz"),
        ("learner.n_steps = { low = 0, high = 32 }", "n_steps"),
        ('"learner.learning-rate" = { choices = ["a", "b"] }', "learning-rate"),
    ):
        with pytest.raises(InputError, match=rf"\[tune.space\].*{message}"):
            check_options(read_tune_file(written(tmp_path, head + space)), resolved, None)


def test_the_command_begins_with_the_defaults_and_writes_all_files(
    tmp_path: Path, trained: list[Cell], capsys: pytest.CaptureFixture[str]
) -> None:
    from rlgen.agents.cli import main

    text = SEARCH.replace("steps = 100", "steps = 100\nepisodes = 1")
    text = text.replace("{ choices = [[8], [8, 8]] }", "{ choices = [[8], [128, 128]] }").replace(
        "high = 32", "high = 256"
    )
    out = tmp_path / "out"
    command = ["tune", str(written(tmp_path, text)), "--out", str(out), "--trials", "2", "-q"]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert printed == f"{(out / 'tune.md').read_text()}\n"
    assert "| 0 | 0.5 | 256 | [128, 128] |" in printed.replace("**", "")
    assert (out / "table.md").is_file()
    assert len((out / "results.csv").read_text().splitlines()) == 1 + len(trained)
    assert read_protocol(out / "winner.toml").tuned_on == (0, 1, 2)
    count = len(trained)
    assert main(command) == 0
    assert len(trained) == count
    with_other_files = tmp_path / "mine"
    with_other_files.mkdir()
    (with_other_files / "notes.txt").write_text("x")
    assert main([*command[:3], str(with_other_files)]) == 2
    assert [path.name for path in with_other_files.iterdir() if not path.name.startswith(".")] == ["notes.txt"]


@pytest.mark.slow
def test_a_real_search_trains_prunes_nothing_and_compares(tmp_path: Path) -> None:
    from rlgen.agents.cli import main

    text = SEARCH.replace(
        "steps = 100", 'steps = 64\nepisodes = 1\nn-envs = 1\n"learner.n-steps" = 32\nevaluate-every = 32'
    )
    text = text.replace('"learner.n-steps" = {', '"learner.n-epochs" = {')
    text = text.replace("[10, 11, 12, 13, 14]", "[10]")
    out = tmp_path / "out"
    assert main(["tune", str(written(tmp_path, text)), "--out", str(out), "--trials", "1", "--jobs", "2"]) == 0
    assert "Winner minus defaults (means): " in (out / "tune.md").read_text()
    assert main(["bench", "run", str(out / "winner.toml"), "--out", str(tmp_path / "again")]) == 0
    again = {line.split(",")[0] for line in (tmp_path / "again" / "results.csv").read_text().splitlines()[1:]}
    assert again <= {line.split(",")[0] for line in (out / "results.csv").read_text().splitlines()[1:]}


def test_the_defaults_are_the_first_trial_where_the_space_has_them(tmp_path: Path) -> None:
    space = read_tune_file(written(tmp_path)).tune.space
    inside = {"learner": {"learning_rate": 0.5, "n_steps": 16, "hidden": [8, 8]}}
    assert defaults_in(space, inside) == {LEARNING_RATE: 0.5, "learner.n-steps": 16, "learner.hidden": [8, 8]}
    for name, value in (("learning_rate", 2.0), ("n_steps", 12), ("hidden", [9]), ("n_steps", True)):
        assert defaults_in(space, {"learner": {**inside["learner"], name: value}}) is None
    assert defaults_in(space, {}) is None


@pytest.mark.slow
def test_a_killed_search_goes_on_where_it_was(tmp_path: Path) -> None:
    """Real processes: SIGKILL to the search in the middle of its second trial; trainings are stand-ins."""
    code = """
import sys, time
from pathlib import Path
from rlgen.bench.tune import trial as tune_trial
from rlgen.bench.worker import Worker
from tests.bench.test_tune import finish, return_of, tuning_of

def process(self, cell, arguments, lease, planned):
    print(cell.name, flush=True)
    if sys.argv[2] == "hang" and (cell.agent, cell.seed) == ("trial-001", 2):
        time.sleep(60)
    finish(self.folder, cell, return_of(cell))
    return "done", 0

Worker._process = process
tune_trial.LOOK = 0.01
tuning = tuning_of(Path(sys.argv[1]), trials=3, say=lambda line: None)
tuning.search(1)
print([each.state for each in tuning.study.tried()])
"""
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", code, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    killed = subprocess.Popen([*command, "hang"], stdout=subprocess.PIPE, text=True, env=environment, cwd=root)
    assert killed.stdout is not None
    first = [killed.stdout.readline().strip() for _ in range(6)]
    time.sleep(0.1)
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    *second, states = subprocess.run(
        [*command, "go"], capture_output=True, text=True, check=True, env=environment, cwd=root
    ).stdout.splitlines()
    assert states == "['complete', 'complete', 'complete']"
    assert second[0] == first[5], "the interrupted training comes first"
    assert len(second) == 1 + 3
    assert not set(second[1:]) & set(first)
