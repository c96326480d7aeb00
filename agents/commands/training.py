"""A training from demonstrations in a run folder: start it, or continue it, to its evaluation and report."""

import logging
import time
from contextlib import ExitStack
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.logger import KVWriter, Logger
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.utils import set_random_seed

from rlgen.data.demonstrations import Demonstrations
from rlgen.envs import make_vec
from rlgen.runs.config import to_json
from rlgen.runs.device import choose_device, device_name
from rlgen.runs.folder import RunFolder
from rlgen.runs.metrics import Metrics
from rlgen.runs.progress import Progress

from ..bc import BC
from ..gail import GAIL
from ..learner import make_model
from ..rounds import Stopped
from ..session import CURVE_EPISODES, Session
from .finish import finish
from .train import TrainBC, TrainGAIL, TrainImitation

log = logging.getLogger("rlgen")
INTERRUPTED = 130


class MetricsWriter(KVWriter):
    """SB3's log lines, written to a run's metrics."""

    def __init__(self, metrics: Metrics):
        self.metrics = metrics

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        numbers = (int, float, np.number)
        self.metrics.write(step, {name: float(v) for name, v in key_values.items() if isinstance(v, numbers)})

    def close(self) -> None:
        """The run closes its metrics."""


def start(config: TrainImitation) -> int:
    """Train in a new run folder. Returns the exit code."""
    demonstrations = Demonstrations.load(config.demos)
    if config.trajectories is not None:
        demonstrations = demonstrations.first(config.trajectories)
    device, _ = choose_device(config.device)
    env = make_vec(config.env, 1, config.seed, config.backend)
    demonstrations.validate(env)  # before there is a folder, which a second try would find in its way
    env.close()
    folder = RunFolder.create(config.out, {"agent": config.agent, **to_json(config)}, device=device_name(device))
    demonstrations.save(folder / "demonstrations.npz")
    return train(folder, config)


def train(folder: RunFolder, config: TrainImitation) -> int:
    """Train in `folder`, from its newest checkpoint if there is one, and finish the run. Returns the exit code."""
    torch.set_num_threads(1)  # beside stepping threads and other runs, a second torch thread makes training slower
    device, sentence = choose_device(config.device)
    log.info(sentence)
    with ExitStack() as stack:
        stack.enter_context(folder.locked())
        env = make_vec(config.env, config.n_envs, config.seed, config.backend, config.threads)
        stack.callback(env.close)
        demonstrations = Demonstrations.load(folder / "demonstrations.npz")
        demonstrations.validate(env)
        set_random_seed(config.seed)
        model = make_model(config.learner, env, config.seed, device)
        metrics = stack.enter_context(Metrics(folder))
        model.set_logger(Logger(None, [MetricsWriter(metrics)]))
        if isinstance(config, TrainGAIL):
            try:
                seconds = _gail(stack, folder, config, model, demonstrations, metrics)
            except Stopped:
                log.info(
                    "stopped and saved at step %s; continue with: rlgen resume %s",
                    f"{model.num_timesteps:,}",
                    folder.path,
                )
                return INTERRUPTED
        else:
            assert isinstance(config, TrainBC)
            seconds = _bc(config, model, demonstrations, metrics)
        finish(folder, config, model, demonstrations, seconds)
    return 0


def _gail(
    stack: ExitStack,
    folder: RunFolder,
    config: TrainGAIL,
    model: OnPolicyAlgorithm,
    demonstrations: Demonstrations,
    metrics: Metrics,
) -> float:
    """Seconds of training; the model ends with its averaged weights."""
    curve_env = make_vec(config.env, CURVE_EPISODES, 0, config.backend, config.threads)
    stack.callback(curve_env.close)
    gail = GAIL(model, demonstrations, config.gail)
    session = Session(
        folder,
        gail,
        model.get_env(),
        curve_env,
        metrics,
        int(config.steps),
        config.checkpoint_every,
        config.evaluate_every,
    )
    session.run()
    gail.average.adopt(model)
    return session.seconds


def _bc(config: TrainBC, model: OnPolicyAlgorithm, demonstrations: Demonstrations, metrics: Metrics) -> float:
    """Seconds of training."""
    metrics.truncate(-1)  # cloning starts anew: it is shorter than what a checkpoint would save
    since = time.perf_counter()
    with Progress("BC", config.bc.max_updates, unit="updates") as progress:

        def report(update: int, values: dict[str, float]) -> None:
            metrics.write(update, values)
            progress.update(update, values)

        result = BC(model, demonstrations, config.bc).learn(report)
        progress.message(
            f"best held-out loss {result.held_out_loss:.4g} at update {result.best_update:,} of {result.updates:,}"
        )
    return time.perf_counter() - since
