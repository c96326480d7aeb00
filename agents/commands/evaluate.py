"""`rlgen evaluate`: play a trained policy and say how well it does."""

import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import tyro

from rlgen.errors import problem

log = logging.getLogger("rlgen")


@dataclass(frozen=True)
class Subject:
    """Whose policy is played, where, and the returns it is measured against (None where unknown)."""

    zip: Path
    env: str
    random_return: float | None = None
    expert_return: float | None = None


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Play a policy for whole episodes and report its returns. Needs no demonstrations and writes nothing unless asked.

    The policy is that of a run folder, or of any Stable-Baselines3 .zip with --env. Only its weights and plain JSON are
    read: unlike with `PPO.load`, nothing in the file can run code, so a downloaded model is safe to play.
    """

    policy: tyro.conf.Positional[Path]
    """Run folder, or .zip saved by Stable-Baselines3 (PPO, A2C, TRPO, SAC, TQC, TD3, DDPG)."""
    episodes: int = 50
    """Whole episodes, spread evenly over the environments."""
    env: str | None = None
    """Gymnasium id; of a run, the one it was trained in when left out."""
    seed: int = 10_000
    """Of the environments (and of the actions with --no-deterministic)."""
    n_envs: int = 50
    """Environments stepped at once, each for its share of the episodes. The defaults repeat a run's own evaluation."""
    backend: Literal["auto", "threads", "gymnasium"] = "auto"
    """What steps them."""
    deterministic: bool = True
    """Play the mean action, or sample."""
    out: Path | None = None
    """Also write the numbers to this .json file, with the return and length of every episode."""

    def __post_init__(self) -> None:
        for name in ("episodes", "n_envs"):
            if getattr(self, name) < 1:
                raise problem(f"{name} of at least 1", str(getattr(self, name)), "leave it out for the default")
        if self.out is not None and not (self.out.suffix == ".json" and self.out.parent.is_dir()):
            raise problem("a .json file in a folder that exists", str(self.out), "e.g. --out evaluation.json")

    def run(self) -> int:
        from rlgen.envs import make_vec
        from rlgen.runs.evaluate import evaluate
        from rlgen.runs.scores import normalised_return, share_of_failures
        from rlgen.sb3.load import load_policy

        subject = self.subject()
        env = make_vec(subject.env, min(self.n_envs, self.episodes), self.seed, self.backend)
        policy = load_policy(subject.zip, env.observation_space, env.action_space)
        log.info("%s: read as weights and plain JSON, nothing unpickled", subject.zip)
        played = evaluate(policy, env, self.episodes, self.deterministic, seed=self.seed)
        env.close()
        numbers: dict[str, Any] = {"env": subject.env, **played.summary()}
        numbers["random_return"], numbers["expert_return"] = subject.random_return, subject.expert_return
        numbers["normalised_return"] = normalised_return(
            numbers["return_mean"], subject.random_return, subject.expert_return
        )
        numbers["share_of_failures"] = share_of_failures(played.returns, subject.expert_return)
        show(numbers)
        if self.out is not None:
            self.write(numbers, {name: array.tolist() for name, array in asdict(played).items()}, env)
        return 0

    def subject(self) -> Subject:
        """What the arguments name. Raises `InputError` where they name nothing that can be played."""
        if not self.policy.exists():
            raise problem("a run folder or a .zip", f"{self.policy}, where nothing is", "check the path")
        if not self.policy.is_dir():
            if self.env is None:
                raise problem(f"--env for {self.policy}", "none", "add the id it was trained in, e.g. --env Ant-v5")
            return Subject(self.policy, self.env)
        from rlgen.runs.folder import RunFolder
        from rlgen.runs.result import Result

        folder = RunFolder.open(self.policy)
        if not (folder / "policy.zip").is_file():
            remedy = f"finish it: rlgen resume {self.policy}"
            raise problem(f"policy.zip in {self.policy}", "a run that has not finished", remedy)
        env = self.env or folder.config["env"]
        if env != folder.config["env"] or not (folder / "result.json").is_file():
            return Subject(folder / "policy.zip", env)
        result = Result.read(self.policy)
        return Subject(folder / "policy.zip", env, result.random_return, result.expert_return)

    def write(self, numbers: dict[str, Any], per_episode: dict[str, list], env: Any) -> None:
        """The numbers, the episodes behind them and how they came about, as JSON."""
        from rlgen.runs.atomic import write_json

        assert self.out is not None
        how = {"policy": str(self.policy), "seed": self.seed, "deterministic": self.deterministic}
        how |= {"n_envs": env.num_envs, "backend": env.backend, "margin_rule": env.margin_rule}
        write_json(self.out, {**numbers, **how, "per_episode": per_episode})


def show(numbers: dict[str, Any]) -> None:
    """The numbers as a small table on standard output."""
    from rich.console import Console
    from rich.table import Table

    table = Table("", f"{numbers['env']}, {numbers['episodes']} episodes", box=None, pad_edge=False)
    table.add_row("return", f"{numbers['return_mean']:.1f} ± {numbers['return_std']:.1f}")
    table.add_row("lowest, highest", f"{numbers['return_min']:.1f}, {numbers['return_max']:.1f}")
    table.add_row("episode length", f"{numbers['episode_length_mean']:.1f} steps")
    table.add_row("ended early", f"{numbers['share_of_falls']:.0%}")
    if numbers["share_of_failures"] is not None:
        table.add_row("failed", f"{numbers['share_of_failures']:.0%} (below half of the expert's return)")
    if numbers["normalised_return"] is not None:
        scale = f"0 = random {numbers['random_return']:.0f}, 1 = expert {numbers['expert_return']:.0f}"
        table.add_row("normalised", f"{numbers['normalised_return']:.3f} ({scale})")
    Console(soft_wrap=True).print(table)
