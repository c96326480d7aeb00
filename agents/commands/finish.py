"""The end of a run: the policy saved, evaluated, filmed, drawn and reported."""

import io
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table
from stable_baselines3.common.base_class import BaseAlgorithm

from rlgen.data.demonstrations import Demonstrations
from rlgen.data.playing import Policy
from rlgen.data.visits import Visits
from rlgen.runs.curves import draw_curves
from rlgen.runs.evaluation import evaluate
from rlgen.runs.folder import VISITS, RunFolder
from rlgen.runs.report import write_report
from rlgen.runs.result import Result
from rlgen.runs.scores import RETURN_OF
from rlgen.runs.video import record_video
from rlgen.sb3.adaptive_rate import frozen_schedule
from rlgen.sb3.latent_code import UnderCode
from rlgen.system.atomic import atomic_write
from rlgen.system.console import Console, duration, number
from rlgen.system.device import device_name

from .references import EVALUATION_SEED, MAX_EVALUATION_ENVS, chance_return, reference_of

log = logging.getLogger("rlgen")


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a policy is trained for, and how it is judged."""

    agent: str
    """Name of the agent, as in result.json."""
    env: str
    """Gymnasium id."""
    env_kwargs: Mapping[str, Any]
    make_evaluation_env: Callable[[int, int], Any]
    """(environments, seed) to the VecEnv that the policy is judged in."""
    backend: str
    seed: int
    episodes: int
    video: bool
    codes: int | None = None
    """How many codes the policy has; None where it has none."""


def finish(
    folder: RunFolder,
    task: Task,
    model: BaseAlgorithm,
    demonstrations: Demonstrations | None,
    seconds: float,
    facts: Mapping[str, Any],
) -> Result:
    """Save the policy and write everything a finished run holds. `seconds`: training time; `facts`: further
    entries of the result."""
    policy = io.BytesIO()
    with frozen_schedule(model):
        model.save(policy)
    atomic_write(folder / "policy.zip", policy.getvalue())
    ways = [] if task.codes is None else [UnderCode(model, task.codes, code) for code in range(task.codes)]
    result = judge(folder, task, model, ways, demonstrations, seconds, facts)
    result.write(folder)
    if task.video:
        film(folder, task, ways or [model])
    draw_curves(folder)
    write_report(folder)
    print_result(result, folder)
    return result


def judge(
    folder: RunFolder,
    task: Task,
    model: BaseAlgorithm,
    ways: Sequence[Policy],
    demonstrations: Demonstrations | None,
    seconds: float,
    facts: Mapping[str, Any],
) -> Result:
    """Play the model, and then each of its `ways`, if it has any, as often and from the same states."""
    reference, whose = reference_of(demonstrations)
    env = task.make_evaluation_env(min(task.episodes, MAX_EVALUATION_ENVS), EVALUATION_SEED)
    try:
        found = evaluate(model, env, task.episodes, seed=EVALUATION_SEED)
        of_code = [
            evaluate(way, env.venv, task.episodes, seed=EVALUATION_SEED, label=f"evaluating code {code}")
            for code, way in enumerate(ways)
        ]
        return Result.of(
            found,
            of_code=of_code,
            agent=task.agent,
            env=task.env,
            seed=task.seed,
            env_steps=model.num_timesteps,
            wall_seconds=seconds,
            evaluation_seed=EVALUATION_SEED,
            expert_return=reference,
            random_return=chance_return(lambda n: task.make_evaluation_env(n, EVALUATION_SEED)),
            reference=whose,
            device=device_name(model.device),
            backend="warp" if task.backend == "warp" else env.backend,
            margin_rule=env.margin_rule,
            versions=folder.versions["packages"],
            git_commit=folder.versions["git_commit"],
            **facts,
            **found_by_exploring(folder),
        )
    finally:
        env.close()


def film(folder: RunFolder, task: Task, policies: Sequence[Policy]) -> None:
    """A video of each; of several, the ways of one policy, named by their codes."""
    names = ["video"] if len(policies) == 1 else [f"video_code_{code}" for code in range(len(policies))]
    for name, policy in zip(names, policies, strict=True):
        video = record_video(policy, task.env, folder / f"{name}.mp4", env_kwargs=task.env_kwargs)
        if video.path is None:
            log.info("no video: %s", video.reason)


def final_numbers(result: Result) -> dict[str, float]:
    """The final evaluation by the names of a learning curve's points."""
    names = ("return_mean", "return_std", "return_min", "episode_length_mean", "terminated")
    return {f"evaluation/{name}": getattr(result, name) for name in names}


def found_by_exploring(folder: RunFolder) -> dict[str, Any]:
    """What a run that counted its visits tells of them."""
    if not (folder / VISITS).is_file():
        return {}
    visits = Visits.read(folder / VISITS)
    return {"first_reward_step": visits.first_reward_step, "cells_visited": len(visits.cells)}


def print_result(result: Result, folder: RunFolder) -> None:
    """A summary for the terminal."""
    table = Table(title=f"{folder.agent_name} on {result.env}", show_header=False, title_justify="left")
    table.add_row(
        "return", f"{number(result.return_mean)} ± {number(result.return_std)} (lowest {number(result.return_min)})"
    )
    for code, (mean, std) in enumerate(result.returns_by_code()):
        table.add_row(f"code {code}", f"{number(mean)} ± {number(std)}")
    if result.expert_return is not None:
        table.add_row(result.reference, number(result.expert_return))
    if result.random_return is not None:
        table.add_row("random", number(result.random_return))
    if result.normalised_return is not None:
        table.add_row("normalised", f"{result.normalised_return:.3f}  (0 random, 1 {result.reference})")
    table.add_row("ended by the task", f"{result.terminated:.0%} of {result.episodes} episodes")
    if result.share_of_failures is not None:
        table.add_row("failed", f"{result.share_of_failures:.0%}  (below half of {RETURN_OF[result.reference]})")
    if result.cells_visited is not None:
        first = result.first_reward_step
        table.add_row("first reward", "none" if first is None else f"at step {first:,}")
        table.add_row("cells visited", f"{result.cells_visited:,}")
    speed = (
        f", {number(result.env_steps_per_second)} steps/s" if result.env_steps_per_second and result.env_steps else ""
    )
    work = f"{result.env_steps:,} steps" if result.updates is None else f"{result.updates:,} updates"
    work += f" ({result.cloning} cloning kept)" if result.cloning else ""
    table.add_row("training", f"{work} in {duration(result.wall_seconds)}{speed}")
    table.add_row("folder", str(folder.path))
    Console().print(table)
