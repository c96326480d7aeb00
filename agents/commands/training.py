"""A training in a run folder: start it, or continue it, to its evaluation and report."""

import logging
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.logger import KVWriter, Logger

from rlgen import ranks
from rlgen.data.demonstrations import Demonstrations
from rlgen.runs.device import device_name
from rlgen.runs.folder import RunFolder
from rlgen.runs.interrupt import Stopped, exit_code
from rlgen.runs.metrics import Metrics
from rlgen.runs.progress import Progress
from rlgen.runs.report_page import flat
from rlgen.runs.result import Result

from ..bc import BC
from ..session import CURVE_EPISODES, Agent, Session
from .assembly import Parts, build
from .data_parallel import joined, share_of
from .environment import judges_of
from .finish import final_numbers, finish
from .references import with_expert
from .sittings import note_sitting
from .train import TrainBC, TrainImitation
from .train_on import note_steps
from .train_settings import SteppedTraining, Training, set_torch_threads

log = logging.getLogger("rlgen")
DEMONSTRATIONS = "demonstrations.npz"


class MetricsWriter(KVWriter):
    """SB3's log lines, written to a run's metrics."""

    def __init__(self, metrics: Metrics):
        self.metrics = metrics

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        numbers = (int, float, np.number)
        self.metrics.write(step, {name: float(v) for name, v in key_values.items() if isinstance(v, numbers)})

    def close(self) -> None:
        """The run closes its metrics."""


def start(config: Training) -> int:
    """Train in a new run folder. Returns the exit code."""
    set_torch_threads(config.threads)
    demonstrations = _chosen_demonstrations(config) if isinstance(config, TrainImitation) else None
    with ExitStack() as stack:
        stack.enter_context(joined(config.device))
        if isinstance(config, TrainImitation) and demonstrations is not None and ranks.number() == 0:
            demonstrations = with_expert(demonstrations, config)
        # Before there is a folder, which a second try would find in its way.
        parts = build(stack, share_of(config), demonstrations)
        if ranks.number() != 0:
            return _follow(config.out, config, parts)
        folder = RunFolder.create(config.out, config.recorded(), device=device_name(parts.model.device))
        stack.enter_context(folder.locked())
        if parts.demonstrations is not None:
            parts.demonstrations.save(folder / DEMONSTRATIONS)
        return _train(folder, config, parts)


def go_on(folder: RunFolder, config: Training) -> int:
    """Train in `folder` from its newest checkpoint, or anew if it has none. Returns the exit code."""
    set_torch_threads(config.threads)
    with ExitStack() as stack:
        stack.enter_context(joined(config.device))
        if ranks.number() == 0:
            stack.enter_context(folder.locked())
        kept = Demonstrations.load(folder / DEMONSTRATIONS) if isinstance(config, TrainImitation) else None
        parts = build(stack, share_of(config), kept)
        if ranks.number() != 0:
            return _follow(folder.path, config, parts)
        folder = note_steps(folder, config)
        note_sitting(folder, device_name(parts.model.device))
        return _train(folder, config, parts)


def _chosen_demonstrations(config: TrainImitation) -> Demonstrations:
    whole = Demonstrations.load(config.demos)
    return whole if config.trajectories is None else whole.first(config.trajectories)


def _train(folder: RunFolder, config: Training, parts: Parts) -> int:
    """Train, and finish the run. Returns the exit code."""
    model, remedy = parts.model, f"rlgen resume {folder.path}"
    folder.begin()
    try:
        with Metrics(folder) as metrics:
            model.set_logger(Logger(None, [MetricsWriter(metrics)]))
            if isinstance(parts.agent, BC):
                assert isinstance(config, TrainBC)
                seconds, cloning = _clone(config, parts.agent, metrics)
            else:
                assert isinstance(config, SteppedTraining)
                seconds, cloning = _step(folder, config, parts.agent, metrics), None
            result = finish(folder, config, model, parts.demonstrations, seconds, cloning)
            note_result(metrics, folder, result)
    except Stopped as stop:
        log.info("stopped and saved at step %s; continue with: %s", f"{model.num_timesteps:,}", remedy)
        return exit_code(stop)
    except KeyboardInterrupt as stop:
        log.info("stopped at once; continue from what was saved last with: %s", remedy)
        return exit_code(stop)
    folder.end()
    return 0


def note_result(metrics: Metrics, folder: RunFolder, result: Result) -> None:
    """Show configuration and final evaluation in TensorBoard."""
    metrics.write_hparams(result.updates or result.env_steps, flat(folder.config), final_numbers(result))


def _follow(path: Path, config: Training, parts: Parts) -> int:
    """Train along with process 0, which alone writes. Returns the exit code."""
    assert isinstance(config, SteppedTraining)
    assert not isinstance(parts.agent, BC)
    parts.model.set_logger(Logger(None, []))
    try:
        _session(RunFolder(path, config.recorded()), config, parts.agent, None, None).run()
    except (Stopped, KeyboardInterrupt) as stop:
        return exit_code(stop)
    return 0


def _step(folder: RunFolder, config: SteppedTraining, agent: Agent, metrics: Metrics) -> float:
    """Seconds of training; the model ends as it is handed over."""
    curve_env = judges_of(config, CURVE_EPISODES, 0)
    session = _session(folder, config, agent, curve_env, metrics)
    try:
        session.run()
    finally:
        curve_env.close()
    return session.seconds


def _session(
    folder: RunFolder, config: SteppedTraining, agent: Agent, curve_env: Any, metrics: Metrics | None
) -> Session:
    env, steps = agent.model.get_env(), int(config.steps)
    return Session(folder, agent, env, curve_env, metrics, steps, *config.intervals())


def _clone(config: TrainBC, agent: BC, metrics: Metrics) -> tuple[float, str]:
    """Seconds of training, and which cloning was kept."""
    metrics.truncate(-1)  # cloning starts anew: it is shorter than what a checkpoint would save
    since = time.perf_counter()
    with Progress("BC", config.bc.most_updates, unit="updates") as progress:

        def report(update: int, values: dict[str, float]) -> None:
            metrics.write(update, values)
            progress.update(update, values)

        result = agent.learn(report)
        progress.message(
            f"best held-out loss {result.held_out_loss:.4g} at update {result.best_update:,} of {result.updates:,}, "
            f"cloned {result.regularisation}"
        )
    return time.perf_counter() - since, "regularised" if result.dropout or result.noise else "plain"
