"""The end of a policy's run: saves and evaluates the policy, records a video, draws curves and writes the report.

The scores of evaluations are normalized by reference returns from the evaluation's seed: of random actions and, if
available, the expert.
"""

import io
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gymnasium import spaces
from rich.table import Table
from stable_baselines3.common.base_class import BaseAlgorithm

from rlgen.data.demonstrations import Demonstrations
from rlgen.data.playing import Policy
from rlgen.reports.curves import draw_curves
from rlgen.reports.report import title_of, write_report
from rlgen.reports.tables import metric_text, metric_unit
from rlgen.reports.video import record_video
from rlgen.runs.evaluation import RandomPolicy, evaluate
from rlgen.runs.folder import RunFolder
from rlgen.runs.instruction_episodes import InstructionEpisodes
from rlgen.runs.instruction_scores import instruction_scores
from rlgen.runs.metrics import read_metrics
from rlgen.runs.result import Result, Returns, peak_memory_mb
from rlgen.runs.scores import RETURN_OF, Reference
from rlgen.sb3.adaptive_rate import frozen_schedule
from rlgen.sb3.babyai_bot import load_expert
from rlgen.sb3.latent_code import UnderCode
from rlgen.system.console import Console, duration, number
from rlgen.system.device import device_name, peak_gpu_memory_mb
from rlgen.system.files import atomic_write

log = logging.getLogger("rlgen")
EXPERT_POLICY: Reference = "expert"
EVALUATION_SEED = 10_000
MAX_EVALUATION_ENVS = 50
RANDOM_EPISODES, RANDOM_ENVS = 100, 50
"""Episodes of random actions, independent of the number that a policy plays, so that all scores of a task have one
scale. The standard error over 100 is 29 on Pendulum (3 % of its scale), 10 on Ant and 8 on HalfCheetah (0.2 %)."""
EXPERT = "expert_evaluation"
"""Metadata key of a run's demonstrations: the return of their expert's policy in the run's evaluation."""


def random_return(make: Callable[[int], Any], seed: int = EVALUATION_SEED) -> float | None:
    """Mean return of uniformly random actions; None where actions are unbounded, which the log says. `make(n)`: n
    environments."""
    env = make(RANDOM_ENVS)
    try:
        space = env.action_space
        if isinstance(space, spaces.Box) and not space.is_bounded():
            log.info("no return of random actions, and so no normalized return: the action space is unbounded")
            return None
        return float(evaluate(RandomPolicy(space), env, RANDOM_EPISODES, seed=seed, label=None).returns.mean())
    finally:
        env.close()


def played_by_expert(policy: Path, make: Callable[[int], Any], episodes: int, seed: int = EVALUATION_SEED) -> float:
    """Mean return of an expert's policy, a .zip or babyai-bot. Raises `InputError` if it is not one for this
    environment."""
    env = make(min(episodes, MAX_EVALUATION_ENVS))
    try:
        loaded = load_expert(policy, env)
        return float(evaluate(loaded, env, episodes, seed=seed, label="evaluating the expert").returns.mean())
    finally:
        env.close()


def with_expert(
    demonstrations: Demonstrations, expert: Path | None, make: Callable[[int], Any], episodes: int
) -> Demonstrations:
    """The demonstrations, with the return of the expert's policy in the run's evaluation in their metadata, if the
    policy is given. An entry of the file itself is dropped, because it is from another evaluation."""
    metadata = {name: value for name, value in demonstrations.metadata.items() if name != EXPERT}
    if expert is None:
        return replace(demonstrations, metadata=metadata)
    earned = played_by_expert(expert, make, episodes)
    played = {"policy": expert.name, "episodes": episodes, "seed": EVALUATION_SEED}
    return replace(demonstrations, metadata={**metadata, EXPERT: {**played, "return_mean": earned}})


def reference_of(demonstrations: Demonstrations | None) -> tuple[float | None, Reference]:
    """The return that a normalized score of 1 means, and its source."""
    if demonstrations is None:
        return None, "demonstrations"
    noted = demonstrations.metadata.get(EXPERT)
    if isinstance(noted, dict) and isinstance(noted.get("return_mean"), float):
        return noted["return_mean"], "expert"
    return demonstrations.expert_return, "demonstrations"


@dataclass(frozen=True, kw_only=True)
class Task:
    """The task of a policy, and the settings of its evaluation."""

    env: str
    """Gymnasium id of the environment."""
    env_kwargs: Mapping[str, Any]
    make_evaluation_env: Callable[[int, int], Any]
    """Function from (number of environments, seed) to the VecEnv of the evaluation."""
    backend: str
    episodes: int
    video: bool
    codes: int | None = None
    """Number of codes of the policy; None without codes."""
    expert: Path | None = None
    """Policy of an expert that was asked, whose return in the evaluation is the reference; None: the reference is that
    of the demonstrations."""

    def expert_return(self) -> float:
        """Mean return of the expert's policy in the evaluation."""
        assert self.expert is not None
        return played_by_expert(self.expert, lambda n: self.make_evaluation_env(n, EVALUATION_SEED), self.episodes)


def finish(
    folder: RunFolder,
    task: Task,
    model: BaseAlgorithm,
    demonstrations: Demonstrations | None,
    achieved: Result,
) -> Result:
    """Save the policy and write all files of a finished run. `achieved`: the result without its evaluation."""
    policy = io.BytesIO()
    with frozen_schedule(model):
        model.save(policy)
    atomic_write(folder / "policy.zip", policy.getvalue())
    per_code_policies = [] if task.codes is None else [UnderCode(model, task.codes, code) for code in range(task.codes)]
    returns, episodes = evaluate_run(task, model, per_code_policies, demonstrations)
    result = replace(achieved, returns=returns, metrics={**achieved.metrics, **instruction_scores(episodes)})
    if episodes is not None:  # before the result, with which a run counts as finished
        episodes.write(folder)
    result.write(folder)
    if task.video:
        record_videos(folder, task, per_code_policies or [model])
    show(folder, result)
    return result


def show(folder: RunFolder, result: Result) -> None:
    """Draw the curves of a finished run, write its report, and print its result."""
    if read_metrics(folder):  # a short training may have logged nothing
        draw_curves(folder)
    write_report(folder)
    print_result(result, folder)


def evaluate_run(
    task: Task, model: BaseAlgorithm, per_code_policies: Sequence[Policy], demonstrations: Demonstrations | None
) -> tuple[Returns, InstructionEpisodes | None]:
    """Evaluate the model, and then each of the `per_code_policies`, if any, over as many episodes from the same initial
    states. Returns also the episodes of a task with instructions."""
    reference, whose = reference_of(demonstrations) if task.expert is None else (task.expert_return(), EXPERT_POLICY)
    env = task.make_evaluation_env(min(task.episodes, MAX_EVALUATION_ENVS), EVALUATION_SEED)
    try:
        found = evaluate(model, env, task.episodes, seed=EVALUATION_SEED)
        parts = {
            f"code {code}": evaluate(
                way, env.venv, task.episodes, seed=EVALUATION_SEED, label=f"evaluating code {code}"
            )
            for code, way in enumerate(per_code_policies)
        }
        returns = Returns.of(
            found,
            parts=parts,
            env=task.env,
            evaluation_seed=EVALUATION_SEED,
            expert_return=reference,
            random_return=random_return(lambda n: task.make_evaluation_env(n, EVALUATION_SEED)),
            reference=whose,
            backend="warp" if task.backend == "warp" else env.backend,
            margin_rule=env.margin_rule,
        )
        return returns, InstructionEpisodes.of(found, env, EVALUATION_SEED)
    finally:
        env.close()


def record_videos(folder: RunFolder, task: Task, policies: Sequence[Policy]) -> None:
    """Record a video of each policy; several are the codes of one policy, and the files have their numbers."""
    names = ["video"] if len(policies) == 1 else [f"video_code_{code}" for code in range(len(policies))]
    for name, policy in zip(names, policies, strict=True):
        video = record_video(policy, task.env, folder / f"{name}.mp4", env_kwargs=task.env_kwargs)
        if video.path is None:
            log.info("no video: %s", video.reason)


def result_of(folder: RunFolder, training: Any, seconds: float, metrics: Mapping[str, Any]) -> Result:
    """The entries of the result that all trainings share. `training`: a `Trainable`; `seconds`: training time."""
    return Result(
        agent=folder.config["agent"],
        seed=folder.config["seed"],
        steps=training.step,
        unit=training.unit,
        wall_seconds=seconds,
        device=device_name(training.device),
        versions=folder.versions["packages"],
        git_commit=folder.versions["git_commit"],
        peak_memory_mb=peak_memory_mb(),
        peak_gpu_memory_mb=peak_gpu_memory_mb(training.device),
        metrics=dict(metrics),
    )


def print_result(result: Result, folder: RunFolder) -> None:
    """Print a summary to the terminal."""
    table = Table(title=title_of(folder, result), show_header=False, title_justify="left")
    for name, text in returns_in_words(result.returns):
        table.add_row(name, text)
    for metric in folder.display.results:
        if metric.name in result.metrics:
            text, unit = metric_text(metric, result.metrics), metric_unit(metric, result.metrics)
            table.add_row(metric.label, f"{text}  {unit}".rstrip())
    speed = f", {number(result.steps_per_second)} {result.unit}/s" if result.steps_per_second else ""
    table.add_row("training", f"{result.steps:,} {result.unit} in {duration(result.wall_seconds)}{speed}")
    table.add_row("folder", str(folder.path))
    Console().print(table)


def returns_in_words(returns: Returns | None) -> Iterator[tuple[str, str]]:
    """Rows (name, text) of the summary of a policy."""
    if returns is None:
        return
    mean_std = f"{number(returns.return_mean)} ± {number(returns.return_std)}"
    yield "return", f"{mean_std} (lowest {number(returns.return_min)})"
    for name, (mean, std) in returns.parts.items():
        yield name, f"{number(mean)} ± {number(std)}"
    if returns.expert_return is not None:
        yield returns.reference, number(returns.expert_return)
    if returns.random_return is not None:
        yield "random", number(returns.random_return)
    if returns.normalised_return is not None:
        yield "normalized", f"{returns.normalised_return:.3f}  (0 random, 1 {returns.reference})"
    yield "ended by the task", f"{returns.terminated:.0%} of {returns.episodes} episodes"
    if returns.share_of_failures is not None:
        yield "failed", f"{returns.share_of_failures:.0%}  (below half of {RETURN_OF[returns.reference]})"
