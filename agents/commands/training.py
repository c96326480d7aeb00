"""A training from demonstrations in a run folder: start it, or continue it, to its evaluation and report."""

import logging
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3.common.logger import KVWriter, Logger
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.utils import set_random_seed

from rlgen.data.demonstrations import Demonstrations
from rlgen.envs import make_vec
from rlgen.errors import problem
from rlgen.runs.config import to_json
from rlgen.runs.device import choose_device, device_name
from rlgen.runs.folder import RunFolder
from rlgen.runs.metrics import Metrics
from rlgen.runs.progress import Progress
from rlgen.sim.pool import usable_cpus

from ..bc import BC
from ..gail import GAIL
from ..learner import LearnerConfig, make_model
from ..rounds import Stopped
from ..session import CURVE_EPISODES, Session
from .finish import EXPERT_RETURN, finish
from .sittings import note_sitting
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


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a training consists of."""

    demonstrations: Demonstrations
    model: OnPolicyAlgorithm
    agent: BC | GAIL
    curve_env: Any = None
    """Environments of the learning curve (GAIL)."""


def start(config: TrainImitation) -> int:
    """Train in a new run folder. Returns the exit code."""
    _set_torch_threads(config)
    whole = Demonstrations.load(config.demos)
    demonstrations = whole if config.trajectories is None else whole.first(config.trajectories)
    metadata = {**demonstrations.metadata, EXPERT_RETURN: whole.summary().return_mean}
    with ExitStack() as stack:
        # Before there is a folder, which a second try would find in its way.
        parts = _build(stack, config, replace(demonstrations, metadata=metadata))
        device = device_name(parts.model.device)
        folder = RunFolder.create(config.out, {"agent": config.agent, **to_json(config)}, device=device)
        stack.enter_context(folder.locked())
        parts.demonstrations.save(folder / "demonstrations.npz")
        return _train(folder, config, parts)


def go_on(folder: RunFolder, config: TrainImitation) -> int:
    """Train in `folder` from its newest checkpoint, or anew if it has none. Returns the exit code."""
    _set_torch_threads(config)
    with ExitStack() as stack:
        stack.enter_context(folder.locked())
        parts = _build(stack, config, Demonstrations.load(folder / "demonstrations.npz"))
        note_sitting(folder, device_name(parts.model.device))
        return _train(folder, config, parts)


def _set_torch_threads(config: TrainImitation) -> None:
    if config.threads is not None:  # else torch's own choice: the usable cores, or what OMP_NUM_THREADS says
        torch.set_num_threads(min(config.threads, usable_cpus()))


def _build(stack: ExitStack, config: TrainImitation, demonstrations: Demonstrations) -> Parts:
    """Everything that may find fault with the settings or the demonstrations."""
    device, sentence = choose_device(config.device)
    log.info(sentence)
    n_envs = config.n_envs if isinstance(config, TrainGAIL) else 1
    env = make_vec(config.env, n_envs, config.seed, config.backend, config.threads)
    stack.callback(env.close)
    _require_time_limit(config.env)
    set_random_seed(config.seed)
    model = make_model(_learner(config), env, config.seed, device)
    if isinstance(config, TrainBC):
        return Parts(demonstrations=demonstrations, model=model, agent=BC(model, demonstrations, config.bc))
    assert isinstance(config, TrainGAIL)
    agent = GAIL(model, demonstrations, config.gail)
    curve_env = make_vec(config.env, CURVE_EPISODES, 0, config.backend, config.threads)
    stack.callback(curve_env.close)
    return Parts(demonstrations=demonstrations, model=model, agent=agent, curve_env=curve_env)


def _learner(config: TrainImitation) -> LearnerConfig:
    if isinstance(config, TrainGAIL):
        return config.learner
    assert isinstance(config, TrainBC)
    # One environment needs longer rollouts; they matter to those alone who open the policy in SB3 and learn on.
    steps = LearnerConfig.batch_size
    return LearnerConfig(hidden=config.hidden, initial_std=config.initial_std, n_steps=steps, schedule="constant")


def _require_time_limit(env_id: str) -> None:
    if gym.spec(env_id).max_episode_steps is None:
        raise problem(
            "an environment with a time limit, so that every evaluation ends",
            f"{env_id}, registered without max_episode_steps",
            f'register it with one: gymnasium.register("{env_id}", ..., max_episode_steps=1000)',
        )


def _train(folder: RunFolder, config: TrainImitation, parts: Parts) -> int:
    """Train, and finish the run. Returns the exit code."""
    model, remedy = parts.model, f"rlgen resume {folder.path}"
    try:
        with Metrics(folder) as metrics:
            model.set_logger(Logger(None, [MetricsWriter(metrics)]))
            if isinstance(config, TrainGAIL):
                seconds = _gail(folder, config, parts, metrics)
            else:
                assert isinstance(config, TrainBC)
                seconds = _bc(config, parts, metrics)
            finish(folder, config, model, parts.demonstrations, seconds)
    except Stopped:
        log.info("stopped and saved at step %s; continue with: %s", f"{model.num_timesteps:,}", remedy)
        return INTERRUPTED
    except KeyboardInterrupt:
        log.info("stopped at once; continue from what was saved last with: %s", remedy)
        return INTERRUPTED
    return 0


def _gail(folder: RunFolder, config: TrainGAIL, parts: Parts, metrics: Metrics) -> float:
    """Seconds of training; the model ends with its averaged weights."""
    gail = parts.agent
    assert isinstance(gail, GAIL)
    session = Session(
        folder,
        gail,
        parts.model.get_env(),
        parts.curve_env,
        metrics,
        int(config.steps),
        config.checkpoint_every,
        config.evaluate_every,
    )
    session.run()
    gail.average.adopt(parts.model)
    return session.seconds


def _bc(config: TrainBC, parts: Parts, metrics: Metrics) -> float:
    """Seconds of training."""
    assert isinstance(parts.agent, BC)
    metrics.truncate(-1)  # cloning starts anew: it is shorter than what a checkpoint would save
    since = time.perf_counter()
    with Progress("BC", config.bc.max_updates, unit="updates") as progress:

        def report(update: int, values: dict[str, float]) -> None:
            metrics.write(update, values)
            progress.update(update, values)

        result = parts.agent.learn(report)
        progress.message(
            f"best held-out loss {result.held_out_loss:.4g} at update {result.best_update:,} of {result.updates:,}"
        )
    return time.perf_counter() - since
