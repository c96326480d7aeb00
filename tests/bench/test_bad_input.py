"""What can go wrong with a benchmark's folder is refused in three parts, or gives a correct table."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from rlgen.agents import cli
from rlgen.agents.commands.bench import BenchWork
from rlgen.agents.commands.bench_child import require_identity
from rlgen.agents.commands.bench_planning import planned, prepared
from rlgen.bench.folder import BenchFolder
from rlgen.bench.lease import Lease
from rlgen.bench.protocol_file import PROTOCOL
from rlgen.bench.worker import CHANGED, Worker
from rlgen.data.shipped import shipped_demonstrations
from rlgen.errors import InputError
from rlgen.system.files import locked

from .conftest import TINY, plan_of, results_folder, rows_of


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The error of a command that exits with 2."""
    assert cli.main(["bench", *words]) == 2
    return " ".join(capsys.readouterr().err.split())


@pytest.fixture
def protocol(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(TINY)
    return path


def test_an_unknown_option_names_the_cell_and_the_option_that_was_meant(
    protocol: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    protocol.write_text(TINY.replace('"learner.algorithm" = "a2c"', '"learner.algorithms" = "a2c"'))
    error = refused(capsys, "run", str(protocol), "--out", str(tmp_path / "bench"))
    assert "Pendulum-v1, agent a2c:" in error
    assert "did you mean --learner.algorithm?" in error
    assert not (tmp_path / "bench").exists()


def test_a_value_that_the_settings_refuse_is_said_before_anything_runs(
    protocol: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    protocol.write_text(TINY.replace("steps = 64", "steps = -1"))
    assert "steps of at least 1" in refused(capsys, "plan", str(protocol))
    protocol.write_text(TINY.replace("steps = 64", 'steps = "many"'))
    assert "options of `rlgen train rl`" in refused(capsys, "plan", str(protocol))


def test_a_command_that_trains_nothing_is_refused(protocol: Path, capsys: pytest.CaptureFixture[str]) -> None:
    protocol.write_text(TINY.replace('command = "train rl"', 'command = "report"'))
    assert "a command such as `train gail`" in refused(capsys, "plan", str(protocol))


def test_a_second_coordinator_is_refused_and_told_how_to_help(
    protocol: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "bench"
    out.mkdir()
    with locked(out):
        error = refused(capsys, "run", str(protocol), "--out", str(out))
    assert "without another `rlgen bench run`" in error
    assert "rlgen bench work" in error


def test_a_protocol_edited_in_the_folder_is_refused(tiny: BenchFolder, capsys: pytest.CaptureFixture[str]) -> None:
    path = tiny.path / PROTOCOL
    path.write_text(path.read_text().replace("-150.0", "-1.0"))
    for command in ("report", "work", "status"):
        assert "got an edited one; edit your own protocol" in refused(capsys, command, str(tiny.path))


def test_a_changed_plan_is_followed_by_workers_that_are_running(
    tiny: BenchFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = TINY.replace("seeds = [0, 1]", "seeds = [0, 1, 2]")
    trained = []

    def process(self: Worker, cell: object, arguments: object, lease: Lease, planned: object) -> tuple[str, int]:
        if not trained:
            BenchFolder.prepare(tiny.path, more, plan_of(more))
        trained.append(cell)
        return "failed", 2

    monkeypatch.setattr(Worker, "_process", process)
    Worker(tiny, "w").run()
    assert len(trained) == 6


def test_a_plan_of_another_version_is_not_followed(tiny: BenchFolder) -> None:
    with pytest.raises(InputError, match=r"rlgen 0\.1\.0, as planned"):
        BenchFolder.prepare(tiny.path, TINY, replace(plan_of(TINY), rlgen="0.2.0"))
    assert BenchFolder.open(tiny.path).plan == tiny.plan


def test_a_folder_that_is_no_benchmark_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("work", "status"):
        assert "a folder without plan.json" in refused(capsys, command, str(tmp_path))
    (tmp_path / "plan.json").write_text("{")
    (tmp_path / PROTOCOL).write_text(TINY)
    assert "a JSON file at" in refused(capsys, "status", str(tmp_path))


def test_a_task_that_is_not_in_the_protocol(protocol: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "tasks of the protocol (Pendulum-v1)" in refused(capsys, "plan", str(protocol), "--tasks", "Ant-v5")


def test_an_environment_that_does_not_exist_is_said_before_anything_runs(
    protocol: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    protocol.write_text(TINY.replace("Pendulum-v1", "Pendulums-v1"))
    assert "a registered Gymnasium environment; got 'Pendulums-v1'" in refused(capsys, "plan", str(protocol))


def test_a_protocols_own_folder_is_that_of_its_data_however_its_path_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RLGEN_DATA", raising=False)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/mine.toml").write_text(TINY)
    monkeypatch.chdir(tmp_path)
    written = ("sub/mine.toml", "./sub/mine.toml", "sub//mine.toml", str(tmp_path / "sub/mine.toml"))
    assert {planned(name, False, None)[1].data for name in written} == {str(tmp_path / "sub")}
    text, plan, _ = planned("sub/mine.toml", False, None)
    BenchFolder.prepare(tmp_path / "bench", text, plan)
    assert planned("bench", False, None)[1] == plan


def test_demonstrations_that_differ_from_the_planned_ones_are_not_trained_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their file was replaced, or the worker is on a machine with another of the same name."""
    protocol, out = tmp_path / "mine.toml", tmp_path / "bench"
    shutil.copy(shipped_demonstrations("Ant-v5"), tmp_path / "ant.npz")
    protocol.write_text(
        """title = "t"
seeds = [0]
tasks = [{ env = "Ant-v5", demos = [{ file = "ant.npz" }] }]
agents.bc.command = "train bc"
"""
    )
    assert cli.main(["bench", "plan", str(protocol), "--out", str(out)]) == 0
    with (tmp_path / "ant.npz").open("ab") as file:
        file.write(b"x")
    error = refused(capsys, "work", str(out))
    assert "as it was planned; got" in error
    assert "demonstrations, source of the agent or a file of settings differ" in error
    assert list((out / "runs").iterdir()) == list((out / "failures").iterdir()) == []


def test_a_data_set_that_is_not_here_is_named_by_the_plan_and_refused_by_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "none"))
    protocol, out = tmp_path / "mine.toml", tmp_path / "bench"
    demos = 'demos = [{ file = "minari:mujoco/ant/expert-v0" }]'
    text = f'title = "t"\nseeds = [0]\ntasks = [{{ env = "Ant-v5", {demos} }}]\nagents.bc.command = "train bc"\n'
    protocol.write_text(text)
    assert cli.main(["bench", "plan", str(protocol)]) == 0
    assert "minari:mujoco/ant/expert-v0 is not on this disk" in capsys.readouterr().out
    assert "rlgen demos fetch" in refused(capsys, "run", str(protocol), "--out", str(out))
    assert not out.exists()


def test_a_new_name_of_an_agent_keeps_its_runs(tiny: BenchFolder, tmp_path: Path) -> None:
    cells = [cell for cell in tiny.plan.cells if cell.agent == "ppo"]
    (tiny.run_of(cells[0])).mkdir()
    (tiny.run_of(cells[0]) / "config.json").write_text("{}")
    tiny.log_of(cells[0]).write_text("a line")
    tiny.note_failure(cells[1], 2, "w")
    text = TINY.replace("[agents.ppo]", "[agents.PPO]").replace('agent = "ppo"', 'agent = "PPO"')
    lease = tiny.leases("w").take(cells[0].name)
    assert lease is not None
    with pytest.raises(InputError, match=r"no training of Pendulum-v1-ppo-seed0.* got one by w"):
        BenchFolder.prepare(tiny.path, text, plan_of(text))
    lease.release()
    found = BenchFolder.prepare(tiny.path, text, plan_of(text))
    first, second = (cell for cell in found.plan.cells if cell.agent == "PPO")
    assert found.run_of(first) != tiny.run_of(cells[0])
    assert found.state_of(first, found.leases("me")) == "stopped"
    assert found.log_of(first).read_text() == "a line"
    assert found.state_of(second, found.leases("me")) == "failed"
    assert not tiny.run_of(cells[0]).exists()


def test_a_plan_that_is_being_changed_is_read_when_it_is_complete(
    tiny: BenchFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """protocol.toml is written before plan.json."""
    plan, more = tiny.path / "plan.json", TINY.replace("seeds = [0, 1]", "seeds = [0, 1, 2]")
    before = plan.read_bytes()
    BenchFolder.prepare(tiny.path, more, plan_of(more))
    after = plan.read_bytes()
    plan.write_bytes(before)
    monkeypatch.setattr("rlgen.bench.folder.time.sleep", lambda seconds: plan.write_bytes(after))
    assert len(BenchFolder.open(tiny.path).plan.cells) == 6


def test_results_of_another_protocol_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = results_folder(tmp_path / "bench", TINY, rows_of("Pendulum-v1", "ppo", [1.0]))
    assert cli.main(["bench", "report", str(path)]) == 0
    for change, told in (
        (("[agents.ppo]", "[agents.other]"), "got Pendulum-v1, agent ppo; take the protocol.toml of these results"),
        (("tuned_on", 'metric = "return_min"\ntuned_on'), "got 'return_mean' in"),
    ):
        text = TINY.partition("[[published]]")[0].replace(*change)
        (path / PROTOCOL).write_text(text)
        assert told in refused(capsys, "report", str(path))


def test_a_run_whose_training_was_stopped_from_outside_is_no_success(
    tiny: BenchFolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Worker, "_process", lambda self, *given: self.stop.set() or ("stopped", 143))
    monkeypatch.setattr("rlgen.bench.local.require_same_rlgen", lambda *given: None)
    assert BenchWork(folder=tiny.path).run() == 1
    assert "4 cells are left; the same command continues" in caplog.text


def test_a_choice_of_agents_adds_to_the_plan_and_takes_nothing_away(protocol: Path, tmp_path: Path) -> None:
    out = tmp_path / "chosen"
    for agents in ((), ("ppo",)):
        text, plan, others = planned(str(protocol), False, None, (), agents)
        folder = prepared(out, text, plan, others)
        assert sorted(cell.agent for cell in folder.plan.cells) == ["a2c", "a2c", "ppo", "ppo"]
    assert [cell.agent for cell in plan.cells] == ["ppo", "ppo"]
    text, plan, others = planned(str(protocol), False, None, (), ("a2c",))
    assert len(prepared(tmp_path / "new", text, plan, others).plan.cells) == 2
    with pytest.raises(InputError, match=r"the whole benchmark, as planned in .*; got its quick form"):
        prepared(out, text, replace(plan, quick=True), others)


def test_a_machine_that_lacks_what_a_cell_needs_stops_the_worker_and_fails_no_cell(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as stop:
        require_identity("abc", ["train", "no_such_module:Mine", "--env", "Pendulum-v1"])
    assert stop.value.code == CHANGED
    assert "no_such_module" in capsys.readouterr().err.splitlines()[-1]
