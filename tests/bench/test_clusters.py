"""Workers on Ray and SLURM: the orders that these get, and what is refused."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import rlgen
from rlgen.agents import cli
from rlgen.agents.commands.bench import BenchRun
from rlgen.bench.folder import BenchFolder
from rlgen.bench.ray_workers import run_on_ray, serve
from rlgen.bench.slurm import SlurmWorker, submit, wait_for
from rlgen.errors import InputError


class FakeRay:
    """Ray whose tasks run at once, in this process."""

    def __init__(self, error: BaseException | None = None, **resources: float) -> None:
        self.resources, self.error, self.options, self.calls, self.canceled = resources, error, {}, [], []
        self.alive = True
        ray_error = type("RayError", (Exception,), {})
        kinds = {name: type(name, (ray_error,), {}) for name in ("RayTaskError", "LocalRayletDiedError")}
        self.exceptions = SimpleNamespace(RayError=ray_error, **kinds)

    def init(self, **options: Any) -> None:
        self.address = options["address"]
        if self.address == "nowhere:1":
            raise ConnectionError("no such cluster")

    def shutdown(self) -> None: ...

    def cluster_resources(self) -> dict[str, float]:
        return self.resources

    def remote(self, **options: Any) -> Callable[[Any], Any]:
        self.options = options
        return lambda function: SimpleNamespace(remote=lambda *given: self.calls.append(given) or len(self.calls))

    def wait(self, tasks: list[int], timeout: float) -> tuple[list[int], list[int]]:
        return tasks[:1], tasks[1:]

    def get(self, tasks: list[int]) -> None:
        if isinstance(self.error, InputError):
            error = self.exceptions.RayTaskError()
            error.cause = self.error
            raise error
        if self.error is not None:
            raise self.error

    def nodes(self) -> list[dict[str, bool]]:
        return [{"Alive": False}, {"Alive": self.alive}]

    def cancel(self, task: int) -> None:
        self.canceled.append(task)


def use(monkeypatch: pytest.MonkeyPatch, ray: FakeRay) -> FakeRay:
    monkeypatch.setitem(sys.modules, "ray", ray)  # type: ignore[arg-type]
    monkeypatch.setenv("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "1")
    return ray


def test_workers_on_ray_have_a_cpu_and_a_gpu_and_are_started_again_for_ever(
    tiny: BenchFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray, lines = use(monkeypatch, FakeRay(CPU=8, GPU=2)), []
    run_on_ray(tiny, 3, address="head:6379", data=Path("/data"), say=lines.append)
    assert ray.address == "head:6379"
    assert {name: ray.options[name] for name in ("num_cpus", "num_gpus", "max_retries")} == {
        "num_cpus": 1,
        "num_gpus": 1,
        "max_retries": -1,
    }
    assert ray.calls == [(str(tiny.path.resolve()), "/data")] * 3
    assert lines == ["3 workers on a Ray cluster with 2 GPUs", "0 of 4 done, 4 waiting"]
    assert os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] == "0"


def test_without_gpus_none_is_asked_for(tiny: BenchFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = use(monkeypatch, FakeRay(CPU=8))
    run_on_ray(tiny, 1, say=lambda line: None)
    assert ray.options["num_gpus"] == 0


def test_an_error_of_one_worker_stops_all_and_is_the_commands_error(
    tiny: BenchFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = use(monkeypatch, FakeRay(InputError("a full disk"), CPU=8))
    with pytest.raises(InputError, match="a full disk"):
        run_on_ray(tiny, 2, say=lambda line: None)
    assert ray.canceled == [2], "the other one"


def test_a_cluster_that_ends_is_said(tiny: BenchFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = use(monkeypatch, FakeRay(CPU=8))
    ray.error = ray.exceptions.LocalRayletDiedError("the raylet\nhas died")

    def cancel(task: int) -> None:
        raise ray.error

    ray.cancel = cancel  # type: ignore[method-assign,assignment]
    with pytest.raises(
        InputError, match=r"until all cells .*LocalRayletDiedError: the raylet has died; start it again"
    ):
        run_on_ray(tiny, 2, say=lambda line: None)


def test_a_cluster_without_a_living_node_is_said(tiny: BenchFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = use(monkeypatch, FakeRay(CPU=8))
    ray.alive = False
    with pytest.raises(InputError, match=r"until all cells .*got no node of it is left; start it again"):
        run_on_ray(tiny, 2, say=lambda line: None)


def test_ctrl_c_cancels_the_tasks(tiny: BenchFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    ray, lines = use(monkeypatch, FakeRay(KeyboardInterrupt(), CPU=8)), []
    with pytest.raises(KeyboardInterrupt):
        run_on_ray(tiny, 2, say=lines.append)
    assert ray.canceled == [2]
    assert lines[-1] == "stopping: the trainings save; the same command continues"


def test_a_cluster_that_is_not_there_is_said(tiny: BenchFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, FakeRay())
    with pytest.raises(InputError, match=r"a Ray cluster at nowhere:1; got no such cluster; start it by `ray start"):
        run_on_ray(tiny, 1, address="nowhere:1")


def test_a_node_without_the_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"on every node; got none on .*; choose --out on a disk that all nodes share"):
        serve(str(tmp_path / "absent"), None)


def test_a_worker_of_another_version_is_refused_on_any_cluster(
    tiny: BenchFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rlgen, "__version__", "9.9.9")
    with pytest.raises(InputError, match=r"rlgen 0\.1\.0, as planned .* got 9\.9\.9"):
        serve(str(tiny.path), None)


@pytest.mark.parametrize(("package", "on"), [("ray", "ray"), ("submitit", "slurm")])
def test_a_missing_package_names_its_extra(
    package: str, on: str, tiny: BenchFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=rf'the package {package} for --on {on}; got none; .*"rlgen\[{on}\]"'):
        run_on_ray(tiny, 1) if on == "ray" else submit(tiny, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ray_address": "a:1"}, "--ray-address; leave it out, or choose --on ray"),
        ({"on": "ray", "slurm_partition": "gpu"}, "--slurm-partition; leave it out, or choose --on slurm"),
        ({"wait": False}, "--no-wait; leave it out"),
        ({"on": "slurm", "slurm_time": 1}, "at least 5 minutes; got 1"),
        ({"on": "slurm", "slurm_extra": ("mem",)}, "--slurm-extra NAME=VALUE; got mem"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        BenchRun(suite="gail-2016", out=Path("x"), **options)


def test_help_shows_where_workers_run_and_leaves_the_rest_to_help_all(capsys: pytest.CaptureFixture[str]) -> None:
    shown = []
    for option in ("--help", "--help-all"):
        with pytest.raises(SystemExit):
            cli.main(["bench", "run", option])
        shown.append(" ".join(capsys.readouterr().out.split()))
    assert "--on {local,ray,slurm}" in shown[0]
    assert "--slurm-time INT" not in shown[0]
    assert "`rlgen bench run --help-all` lists --ray-address, --slurm-partition" in shown[0]
    assert "--slurm-time INT" in shown[1]


class FakeExecutor:
    """submitit's AutoExecutor without a cluster."""

    made: "FakeExecutor"

    def __init__(self, **options: Any) -> None:
        FakeExecutor.made, self.options = self, options
        if options["cluster"] == "absent":
            raise RuntimeError('Could not detect "srun"')

    def update_parameters(self, **options: Any) -> None:
        self.parameters = options

    def submit_array(self, workers: list[SlurmWorker]) -> list[Any]:
        self.workers = workers
        ended = {"done": lambda: True, "exception": lambda: ValueError("line\nrlgen.errors.InputError: no disk")}
        return [SimpleNamespace(job_id=f"7_{number}", state="FINISHED", **ended) for number in range(len(workers))]


@pytest.fixture
def submitit(monkeypatch: pytest.MonkeyPatch) -> type[FakeExecutor]:
    core = SimpleNamespace(utils=SimpleNamespace(FailedJobError=type("FailedJobError", (Exception,), {})))
    monkeypatch.setitem(sys.modules, "submitit", SimpleNamespace(AutoExecutor=FakeExecutor, core=core))  # type: ignore[arg-type]
    return FakeExecutor


def test_jobs_of_slurm_are_an_array_that_returns_to_the_queue(tiny: BenchFolder, submitit: type[FakeExecutor]) -> None:
    submit(tiny, 3, partition="long", minutes=60, extra={"gpus-per-node": "1", "mem": "8G"})
    asked = submitit.made.parameters
    assert len(submitit.made.workers) == 3
    assert (asked["slurm_partition"], asked["timeout_min"]) == ("long", 60)
    assert asked["slurm_additional_parameters"] == {"requeue": True, "gpus_per_node": "1", "mem": "8G"}
    assert asked["slurm_setup"] == ["export SUBMITIT_PREEMPT_SIGNAL=USR1"]
    assert asked["slurm_signal_delay_s"] < 5 * 60
    assert submitit.made.options["slurm_max_num_timeout"] >= 10**5


def test_jobs_that_end_before_the_cells_are_an_error_with_its_reason(
    tiny: BenchFolder, submitit: type[FakeExecutor]
) -> None:
    jobs, lines = submit(tiny, 1), []
    with pytest.raises(InputError, match=r"train all cells \(4 are left\); got no disk; see the logs"):
        wait_for(jobs, tiny, lines.append, every=0.01)
    assert lines == ["0 of 4 done, 4 waiting"]


def test_a_machine_without_slurm_is_said(tiny: BenchFolder, submitit: type[FakeExecutor]) -> None:
    with pytest.raises(InputError, match='SLURM on this machine; got Could not detect "srun"; submit from'):
        submit(tiny, 1, cluster="absent")
