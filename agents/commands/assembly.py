"""Which environment, model and agent a training consists of."""

import logging
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import gymnasium as gym
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.utils import set_random_seed

from rlgen import ranks
from rlgen.data.demonstrations import Demonstrations
from rlgen.data.visits import Visits, axes_within
from rlgen.envs.state_axes import STATE_AXES
from rlgen.errors import problem
from rlgen.rewards.bonus_unit import ReturnScale
from rlgen.runs.device import choose_device
from rlgen.sb3.coverage import Coverage
from rlgen.sb3.device_ppo import DevicePPO

from ..bc import BC
from ..explorer import Explorer
from ..gail import GAIL
from ..infogail import InfoGAIL
from ..learner import LearnerConfig, make_model
from ..session import Agent
from ..soft_actor_critic import make_sac
from .environment import env_of
from .train import TrainBC, TrainGAIL, TrainInfoGAIL
from .train_ppo import TrainPPO
from .train_settings import SteppedTraining, Training
from .train_vime import TrainVIME

log = logging.getLogger("rlgen")


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a training consists of."""

    model: BaseAlgorithm
    agent: BC | Agent
    demonstrations: Demonstrations | None


def build(stack: ExitStack, config: Training, demonstrations: Demonstrations | None) -> Parts:
    """Everything that may find fault with the settings or the demonstrations. `stack` closes the environments.

    Of several processes each has the settings of its share."""
    device, sentence = choose_device(config.device)
    log.info(sentence)
    n_envs = config.n_envs if isinstance(config, SteppedTraining) else 1
    env = env_of(config, n_envs, config.seed)
    stack.callback(env.close)
    _require_time_limit(config)
    set_random_seed(config.seed)
    model, agent = ASSEMBLIES[type(config)](config, env, device, demonstrations)
    if not isinstance(model, DevicePPO):
        ranks.require_one(type(model).__name__)
    return Parts(model=model, agent=agent, demonstrations=demonstrations)


def _cloning(config: TrainBC, env: Any, device: Any, demonstrations: Demonstrations) -> tuple[BaseAlgorithm, BC]:
    # One environment needs longer rollouts; they matter to those alone who open the policy in SB3 and learn on.
    steps = LearnerConfig.batch_size
    learner = LearnerConfig(hidden=config.hidden, initial_std=config.initial_std, n_steps=steps, schedule="constant")
    model = make_model(learner, env, config.seed, device)
    return model, BC(model, demonstrations, config.bc)


def _imitation(
    kind: type[GAIL], config: TrainGAIL, env: Any, device: Any, demonstrations: Demonstrations
) -> tuple[BaseAlgorithm, GAIL]:
    model = make_model(config.learner, env, config.seed, device)
    return model, kind(model, demonstrations, config.gail)


def _exploration(config: TrainVIME, env: Any, device: Any, demonstrations: None) -> tuple[BaseAlgorithm, Explorer]:
    observed = env.observation_space
    if not isinstance(observed, gym.spaces.Box):
        raise problem("observations that are numbers (Box)", f"{observed}", "wrap the environment")
    model = _explorers_model(config, env, device)
    axes = STATE_AXES.get(config.env) or axes_within(observed.low, observed.high)
    on_policy = isinstance(model, OnPolicyAlgorithm)
    scale = ReturnScale(config.learner.gamma, config.n_envs) if config.scale_reward and on_policy else None
    return model, Explorer(model, config.curiosities(), Coverage(Visits(axes)), scale)


def _task_alone(config: TrainPPO, env: Any, device: Any, demonstrations: None) -> tuple[BaseAlgorithm, Explorer]:
    model = make_model(LearnerConfig(**vars(config.learner)), env, config.seed, device)
    scale = ReturnScale(config.learner.gamma, config.n_envs) if config.scale_reward else None
    return model, Explorer(model, scale=scale)


def _explorers_model(config: TrainVIME, env: Any, device: Any) -> BaseAlgorithm:
    if config.algo == "sac":
        return make_sac(config.sac, env, int(config.steps), config.seed, device)
    return make_model(LearnerConfig(algorithm=config.algo, **vars(config.learner)), env, config.seed, device)


ASSEMBLIES: dict[type[Training], Callable[..., tuple[BaseAlgorithm, Any]]] = {
    TrainBC: _cloning,
    TrainGAIL: partial(_imitation, GAIL),
    TrainInfoGAIL: partial(_imitation, InfoGAIL),
    TrainPPO: _task_alone,
    TrainVIME: _exploration,
}


def _require_time_limit(config: Training) -> None:
    limit = config.env_kwargs.get("max_episode_steps") or gym.spec(config.env).max_episode_steps
    if limit is None or limit == -1:
        raise problem(
            "an environment with a time limit, so that every evaluation ends",
            f"{config.env} without max_episode_steps",
            "add --env-kwargs max_episode_steps=1000, or register it with a limit",
        )
