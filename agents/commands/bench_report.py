"""`rlgen bench report`: the table and the page of a benchmark."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

from .bench_results import reported
from .environment import Imports, import_typed, make_env
from .subject import of_run

if TYPE_CHECKING:
    from rlgen.bench.benchmark import Benchmark

log = logging.getLogger("rlgen")


@dataclass(frozen=True, kw_only=True)
class BenchReport:
    """Write results.csv, table.md, curves.parquet and report.html of the cells that are done, and print the table."""

    folder: Positional[Path]
    """Folder of the benchmark; one with results.csv and protocol.toml alone will do."""
    videos: bool = False
    """Recording of a video of each agent's first seed on each task, where there is none, into FOLDER/videos."""
    imports: Imports = ()
    """Module that registers the environments of these videos, installed or in the current folder."""

    def run(self) -> None:
        from rlgen.bench.benchmark import Benchmark

        if self.videos:
            import_typed(self.imports, None)
            record_missing(Benchmark.read(self.folder))
        print(reported(self.folder))


def record_missing(found: "Benchmark") -> None:
    """Record the videos that the page lacks. One that cannot be recorded is logged."""
    from rlgen.bench.benchmark import name_of_run
    from rlgen.bench.page import VIDEOS, shown_rows, video_of

    for row in shown_rows(found):
        run = found.run_of(row)
        if run is None or video_of(found, row) is not None or not (run / "policy.zip").is_file():
            continue
        (found.path / VIDEOS).mkdir(exist_ok=True)
        reason = recorded(run, found.path / VIDEOS / f"{name_of_run(row)}.mp4")
        log.info("video of %s%s", run.name, f": {reason}" if reason else "")


def recorded(run: Path, path: Path) -> str:
    """Record the policy of a run. Returns the reason for the absence of the video, if there is none."""
    from rlgen.reports.video import record_video
    from rlgen.sb3.latent_code import UnderCode
    from rlgen.sb3.load import load_policy

    subject = of_run(run, None, {})
    env = make_env(subject.env, 1, subject.seed, subject.backend, codes=subject.codes, env_kwargs=subject.env_kwargs)
    try:
        policy = load_policy(subject.saved, env.observation_space, env.action_space)
    finally:
        env.close()
    shown = policy if subject.codes is None else UnderCode(policy, subject.codes, 0)
    return record_video(shown, subject.env, path, env_kwargs=subject.env_kwargs).reason
