"""`rlgen train rl`: reinforcement learning of a task's own reward."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from stable_baselines3.common.base_class import BaseAlgorithm

from rlgen.checks import positive
from rlgen.data.demonstrations import Demonstrations
from rlgen.deprecation import UNLESS_NONE
from rlgen.display import Display, Metric
from rlgen.errors import problem
from rlgen.rewards.bonus_unit import ReturnNormalizer
from rlgen.rewards.learned_reward import FILE, LearnedReward
from rlgen.runs.folder import RunFolder
from rlgen.sb3.backward_starts import BackwardStarts
from rlgen.sb3.policy_start import start_from_policy
from rlgen.sb3.replaced_rewards import LearnedRewards
from rlgen.sb3.vec_env import ResumableVecEnv
from rlgen.system.files import atomic_write

from ..explorer import Explorer
from ..learner import BACKWARD, EXPLORATION_ENVS, LearnerConfig
from .choices import typed, with_fields, with_learner
from .learner_choice import LearnerChoice
from .policy_training import DEMONSTRATIONS, PolicyTraining

STARTS = "starts.npz"
"""File of a run folder: the trajectories in whose states episodes start."""
RESTORED = (
    Metric("restored_states", "states were restored"),
    Metric("starts_before", "trajectory left before the starts", share=True),
)


class RewardedTraining(PolicyTraining):
    """A training whose run folder has the learned reward that replaces the task's, and the trajectories in which
    episodes start, if there are any."""

    agent: Explorer  # type: ignore[assignment]

    def keep(self, folder: RunFolder) -> None:
        super().keep(folder)
        if self.agent.starts is not None:
            self.agent.starts.demonstrations.save(folder / STARTS)
        env = self.model.get_env()
        if isinstance(env, LearnedRewards):
            atomic_write(folder / FILE, env.learned.to_bytes())


@dataclass(frozen=True, kw_only=True)
class TrainRL(LearnerChoice):
    """Reinforcement learning of a task's own reward, for experts and for comparison: PPO (Schulman et al. 2017), A2C,
    TRPO, SAC, TD3, TQC, CrossQ or DQN.

    The learner's settings are those of its algorithm: --learner.algorithm sac --help-all lists SAC's. On a GPU, with
    --backend warp, thousands of environments and short rollouts are fast: --n-envs 4096 --learner.n-steps 24
    --learner.batch-size 16384.

    With --backward-from, PPO, A2C and TRPO have other defaults, on 8 environments: --backward-from RUN --help-all lists
    them.

    --hyperparams FILE takes the settings of the environment from a file of rl-baselines3-zoo, such as its ppo.yml or
    sac.yml (extra `zoo`); typed options override them.
    """

    agent: ClassVar[str] = "rl"
    training: ClassVar[type[PolicyTraining]] = RewardedTraining
    taken_first: ClassVar[tuple[str, ...]] = ("--config", "--hyperparams")
    backward_learner: ClassVar[LearnerConfig] = BACKWARD
    """On-policy learner by default where starts move backward, on `EXPLORATION_ENVS` environments."""

    scale_reward: bool = True
    """Division of rewards by the running standard deviation of their discounted returns (on-policy learners only)."""

    scale_half_life: float | None = field(default=None, metadata=UNLESS_NONE)
    """Environment steps after which returns count half in that standard deviation; by default none is forgotten."""

    reward: Path | None = field(default=None, metadata=UNLESS_NONE)
    """Run of `rlgen train airl`, or its reward.safetensors, whose learned reward replaces the task's while learning;
    evaluations and episode returns stay those of the task. By default the task's own reward."""

    backward_from: Path | None = field(default=None, metadata=UNLESS_NONE)
    """Demonstrations with a reward at their ends, or the folder of a run of `rlgen explore`, in whose states episodes
    start: first near the ends, and earlier as the policy succeeds. Results say that states were restored. By default
    episodes start as the task does."""

    start_policy: Path | None = field(default=None, metadata=UNLESS_NONE)
    """Run, published folder or model file of Stable-Baselines3 whose policy is trained on, e.g. a cloned one. Its
    network has to be the learner's: the same --learner.hidden, --learner.normalize and --learner.encoder; its standard
    deviation of actions replaces --learner.initial-std. By default a policy starts random."""

    @classmethod
    def for_arguments(cls, arguments: Sequence[str], values: Mapping[str, Any]) -> type[Self]:
        """The class with the settings of the chosen algorithm, and the defaults that suit starts that move backward."""
        kind = super().for_arguments(arguments, values)
        asked = typed(arguments, "--backward-from") or values.get("backward_from")
        if asked in (None, "None") or not kind.learner.on_policy:
            return kind
        learner = replace(cls.backward_learner, algorithm=kind.learner.algorithm)
        own: list[Any] = [("n_envs", int, field(default=EXPLORATION_ENVS))]
        return with_fields(with_learner(cls, learner, tuple(cls.learners)), own)

    def build(self, stack: ExitStack, folder: RunFolder | None) -> PolicyTraining:
        kept = self
        if folder is not None and self.reward is not None:
            kept = replace(kept, reward=folder / FILE)
        if folder is not None and self.backward_from is not None:
            kept = replace(kept, backward_from=folder / STARTS)
        if folder is not None:
            kept = replace(kept, start_policy=None)  # a checkpoint has its weights
        return super(TrainRL, kept).build(stack, folder)

    def starts(self, env: ResumableVecEnv) -> BackwardStarts | None:
        """What moves the starts of episodes; None where they are the task's own."""
        if self.backward_from is None:
            return None
        path = self.backward_from
        return BackwardStarts(env, Demonstrations.load(path / DEMONSTRATIONS if path.is_dir() else path))

    def rewarded(self, env: ResumableVecEnv) -> ResumableVecEnv:
        """The environment with the rewards to learn from."""
        return env if self.reward is None else LearnedRewards(env, LearnedReward.load(self.reward))

    def display(self) -> Display:
        found = super().display()
        restored = () if self.backward_from is None else RESTORED
        panels = found.panels if self.backward_from is None else (*found.panels, *BackwardStarts.panels)
        return replace(found, name=self.learner.algorithm.upper(), panels=panels, results=(*found.results, *restored))

    @classmethod
    def idle_with(cls, learner: LearnerConfig) -> set[str]:
        return set() if learner.on_policy else {"scale_reward", "scale_half_life"}

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(self, "scale_half_life")
        if self.scale_half_life is not None and not self.scale_reward:
            raise problem("--scale-reward with --scale-half-life", "--no-scale-reward", "leave one of them out")

    def agent_in(self, env: ResumableVecEnv, device: torch.device, demonstrations: None) -> Explorer:
        starts = self.starts(env)
        return Explorer(self.started_model(env, device), scale=self.scale(), starts=starts)

    def started_model(self, env: ResumableVecEnv, device: torch.device) -> BaseAlgorithm:
        """The model to train, on the rewards to learn from."""
        model = self.learner.make(self.rewarded(env), int(self.steps), self.seed, device)
        if self.start_policy is not None:
            start_from_policy(model, self.start_policy)
        return model

    def scale(self) -> ReturnNormalizer | None:
        """The scale that rewards are divided by; None for unscaled rewards."""
        if not (self.scale_reward and self.learner.on_policy):
            return None
        return ReturnNormalizer(self.learner.gamma, self.n_envs, half_life=self.scale_half_life)
