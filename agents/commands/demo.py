"""`rlgen demo`: imitation in about a quarter of an hour, on demonstrations that rlgen contains."""

import logging
from dataclasses import dataclass, fields
from pathlib import Path

from rlgen.errors import problem

from .imitation_settings import TrainImitation
from .train_bc import TrainBC
from .train_gail import TrainGAIL

log = logging.getLogger("rlgen")
ENV_ID = "Ant-v5"


@dataclass(frozen=True, kw_only=True)
class Demo:
    """Imitate an Ant-v5 expert from demonstrated episodes: by cloning (BC), then against a discriminator (GAIL).

    Prints the table random / BC / GAIL / demonstrations and writes both runs, a report and a video.
    """

    out: Path = Path("runs/demo")
    """Folder to write; if it exists, the next free name (demo-2, demo-3 …)."""
    trajectories: int = 4
    """Demonstrated episodes to learn from, every 20th step of each; there are 25."""
    steps: float = 1_500_000
    """Environment steps of GAIL."""
    seed: int = 0
    """Random seed of environments, networks and sampling; 0 or more."""
    video: bool = True
    """Videos of the final policies, if a renderer is found."""

    def __post_init__(self) -> None:
        if self.trajectories < 1:
            raise problem("at least 1 trajectory", str(self.trajectories), "leave it out for the default")

    def run(self) -> int:
        from rlgen.data.shipped import shipped_demonstrations
        from rlgen.reports.report import write_report

        out = free_name(self.out)
        cloning = TrainBC(
            env=ENV_ID,
            demos=shipped_demonstrations(ENV_ID),
            trajectories=self.trajectories,
            seed=self.seed,
            video=self.video,
            out=out / "bc",
        )
        shared = {field.name: getattr(cloning, field.name) for field in fields(TrainImitation)}
        shared["out"] = out / "gail"
        gail = TrainGAIL(**shared, steps=self.steps, evaluate_every=self.steps / 20)
        for training in (cloning, gail):
            code = training.run()
            if code:
                return code
        report = write_report([out / "bc", out / "gail"], out / "report.html")
        print_table(out)
        log.info("report: %s", report)
        return 0


def free_name(path: Path) -> Path:
    """`path`, or the first of path-2, path-3 … that does not exist."""
    candidate, number = path, 2
    while candidate.exists():
        candidate, number = path.with_name(f"{path.name}-{number}"), number + 1
    return candidate


def print_table(out: Path) -> None:
    """Print the table of random actions, BC, GAIL and the demonstrations."""
    from rich.table import Table

    from rlgen.runs.result import Result
    from rlgen.system.console import Console

    bc, gail = (Result.read(out / agent).returns for agent in ("bc", "gail"))
    assert bc is not None
    assert gail is not None
    assert gail.random_return is not None
    assert gail.expert_return is not None
    table = Table("", "return", "normalized", "failed episodes", title=ENV_ID, title_justify="left")
    table.add_row("random", f"{gail.random_return:,.0f}", "0.000", "")
    for name, result in (("BC", bc), ("GAIL", gail)):
        mean, std = f"{result.return_mean:,.0f}", f"{result.return_std:,.0f}"
        table.add_row(name, f"{mean} ± {std}", f"{result.normalised_return:.3f}", f"{result.share_of_failures:.0%}")
    table.add_row(gail.reference, f"{gail.expert_return:,.0f}", "1.000", "")
    console = Console()
    console.print(table)
    gain = gail.return_mean - bc.return_mean
    deviation = max(gail.return_std, bc.return_std)
    verdict = (
        "well above BC"
        if gain > deviation
        else "not clearly above BC: the difference is within the standard deviation over episodes"
    )
    console.print(f"GAIL ends {gain:+,.0f} from BC's return: {verdict}.")
