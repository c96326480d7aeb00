"""Time that training on device environments takes to reach a goal: imitation to 0.9 of the expert, PPO to a return."""

import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv

from rlgen.agents import GAIL, DevicePPO, Explorer, GAILConfig, LearnerConfig
from rlgen.agents.learner import make_model
from rlgen.data import Demonstrations
from rlgen.envs import WarpOptions, make_vec
from rlgen.rewards import ReturnNormalizer
from rlgen.runs.evaluation import RandomPolicy, evaluate

EPISODES, SEED = 50, 10_000
IMITATED = 0.9  # of the way from random actions to the expert
EVERY = 3.0  # seconds of training


@dataclass(frozen=True, kw_only=True)
class Goal:
    """The goal on a task: imitate `trajectories` demonstrations, or, without any, reach the return `earned`."""

    env: str
    trajectories: int = 0
    earned: float = 0.0
    steps: float = 25e6
    """Environment steps over which the learning rate falls, and after which the training stops."""
    initial_std: float = LearnerConfig.initial_std

    @property
    def name(self) -> str:
        if self.trajectories:
            return f"gail to {IMITATED:g}, {self.trajectories} trajectories"
        return f"ppo to {self.earned:,.0f}"


GOALS = (
    Goal(env="HalfCheetah-v5", trajectories=4, steps=3e5),
    Goal(env="Ant-v5", trajectories=4),
    Goal(env="Ant-v5", trajectories=25),
    Goal(env="Humanoid-v5", trajectories=80, steps=75e6, initial_std=0.34),
    Goal(env="Humanoid-v5", trajectories=240, steps=75e6, initial_std=0.34),
    Goal(env="Humanoid-v5", earned=5000.0, steps=75e6),
)
"""HalfCheetah is for trials on a CPU."""


class UntilEarned(BaseCallback):
    """Evaluates the policy's mean action in C MuJoCo every `EVERY` seconds, with the clock stopped. Ends the training
    when the return reaches `wanted`, or after `limit` seconds."""

    def __init__(self, agent: GAIL | Explorer, eval_env: VecEnv, wanted: float, limit: float) -> None:
        super().__init__()
        self.agent, self.eval_env, self.wanted, self.limit = agent, eval_env, wanted, limit
        self.seconds, self.since, self.judged_at = 0.0, time.perf_counter(), 0.0
        self.earned, self.steps = math.nan, 0

    @property
    def reached(self) -> bool:
        return self.earned >= self.wanted

    def _on_step(self) -> bool:
        return not self.reached and self.seconds < self.limit

    def _on_rollout_start(self) -> None:
        self._read_clock()
        if self.seconds - self.judged_at >= EVERY:
            self._judge()

    def _on_training_end(self) -> None:
        if not self.reached:
            self._read_clock()
            self._judge()

    def _read_clock(self) -> None:
        now = time.perf_counter()
        self.seconds, self.since = self.seconds + now - self.since, now

    def _judge(self) -> None:
        self.judged_at, self.steps = self.seconds, self.model.num_timesteps
        with self.agent.acting():
            self.earned = float(evaluate(self.model, self.eval_env, EPISODES, seed=SEED, label=None).returns.mean())
        self.since = time.perf_counter()


def time_to(
    goal: Goal, worlds: int, n_steps: int, device: torch.device, data: Path, limit: float, seed: int = 0
) -> dict[str, float]:
    """Seconds and environment steps until the goal, NaN if `limit` seconds or the steps were too few, and the last
    return of the policy's mean action. The warm start counts; evaluations and loading kernels do not."""
    env = make_vec(goal.env, worlds, backend="warp", warp=WarpOptions(device=str(device)))
    learner = LearnerConfig(
        n_steps=n_steps, batch_size=min(16_384, n_steps * worlds // 4), initial_std=goal.initial_std
    )
    model = make_model(learner, env, seed, device)
    assert isinstance(model, DevicePPO)
    model.device_env.step(torch.zeros(worlds, len(model.device_env.action_low), device=device))  # loads the kernels
    eval_env = make_vec(goal.env, EPISODES, backend="threads")
    agent: GAIL | Explorer
    if goal.trajectories:
        demonstrations = Demonstrations.load(data / "demos" / f"{goal.env}_every20.npz")
        expert = demonstrations.summary().return_mean
        assert expert is not None
        chance = evaluate(RandomPolicy(env.action_space), eval_env, EPISODES, seed=SEED, label=None).returns.mean()
        wanted = float(chance + IMITATED * (expert - chance))
        agent = GAIL(model, demonstrations.first(goal.trajectories), GAILConfig())
    else:
        wanted, agent = goal.earned, Explorer(model, scale=ReturnNormalizer(model.gamma, model.n_envs))
    until = UntilEarned(agent, eval_env, wanted, limit)
    agent.learn(int(goal.steps), until)
    for each in (env, eval_env):
        each.close()
    return {
        f"{goal.name}: seconds": until.seconds if until.reached else math.nan,
        f"{goal.name}: steps": float(until.steps) if until.reached else math.nan,
        f"{goal.name}: return": until.earned,
    }
