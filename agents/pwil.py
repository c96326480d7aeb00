"""Primal Wasserstein imitation learning (Dadashi et al. 2021, 2006.04678) around a Stable-Baselines3 model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from rlgen.checks import at_least, one_of, positive
from rlgen.data.demonstrations import Demonstrations
from rlgen.display import Metric, Panel, under
from rlgen.errors import problem
from rlgen.rewards.bonus_unit import ReturnNormalizer
from rlgen.rewards.episode_coupling import CoupledRows, EpisodeCoupling, Inputs
from rlgen.sb3.coupling_rewards import CouplingRewards, LogStepRewards
from rlgen.sb3.device_ppo import device_env_of
from rlgen.sb3.prefill import prefill
from rlgen.sb3.relabel import Relabel

from .imitator import ImitationConfig, Imitator, own_config


@dataclass(frozen=True, kw_only=True)
class PWILConfig(ImitationConfig):
    """Settings of PWIL; the reward's are those of the paper."""

    inputs: Inputs = "state_action"
    """What is compared with the demonstrations: states and actions, or states alone."""
    scale: float = 5.0
    """α, reward of a step that equals demonstrated ones."""
    rate: float = 5.0
    """β: how fast the reward falls with the distance."""
    horizon: int | None = None
    """T, steps of an episode that uses all demonstrations up; by default those of the longest demonstrated episode."""
    prefill: int = 0
    """Demonstrated transitions in the replay buffer before the first step, repeated if there are fewer, up to half of
    the buffer (50,000 in the paper's code); 0 for none. Off-policy learners only."""
    scale_reward: bool = True
    """Division of rewards by the running standard deviation of their discounted returns (on-policy learners only)."""
    warm_start: bool = False
    """Warm start by behavioral cloning of the same demonstrations, which requires their actions."""
    average: float = 0.0
    """Decay per round of the running average of the policy's weights; 0 for none. A round is a rollout, which
    off-policy is a single step of the environments."""

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self, "inputs", ("state_action", "state"))
        positive(self, "scale", "rate", "horizon")
        at_least(self, 0, "prefill")


class PWIL(Imitator):
    """Trains an SB3 model on a reward that falls with the distance between its episodes and the demonstrations.

        PWIL(SAC("MlpPolicy", make_vec("Ant-v5", 8)), Demonstrations.load("ant.npz")).learn(500_000)

    Nothing is learned but the policy: no discriminator, so none that diverges, and few settings. The reward is never
    negative, so that a longer episode never has a lower return. Choose it where GAIL is unstable; use a file of every
    k-th step (`Demonstrations.every`), because all demonstrated rows are compared with every step.

    The model's environment gets a wrapper, `model.get_env()`, that replaces its rewards; infos have the task's own
    returns.

    Distances are in units of the demonstrations' standard deviations, to each of which 2 % of the median deviation is
    added, so that components that are constant or hardly vary do not decide them
    (`rlgen.rewards.episode_coupling.EpisodeCoupling` lists all differences from the paper).

    Images are compared by 64 features of a fixed random encoder. Under a VecNormalize the reward sees raw observations;
    its `norm_reward` normalizes the reward.

    Raises `InputError` for a model on a device, and as `Imitator`.
    """

    name = "pwil"
    config: PWILConfig
    panels: ClassVar[tuple[Panel, ...]] = under("pwil", (Panel("Reward per step", (Metric("reward", "reward"),)),))
    shown: Mapping[str, str] = {"pwil/reward": "PWIL reward"}

    def __init__(
        self,
        model: OnPolicyAlgorithm | OffPolicyAlgorithm,
        demonstrations: Demonstrations,
        config: PWILConfig | None = None,
    ):
        self.config = own_config(PWILConfig, config, PWILConfig(), "PWIL")
        super().__init__(model, demonstrations)
        task = self.inputs.raw_environment()
        demonstrations.validate(task)
        env = model.get_env()
        if env is None or (device_env_of(env) is not None and self.on_policy):
            got = "none" if env is None else "tensors of a device"
            raise problem("a model with an environment on the CPU for PWIL", got, "use --backend threads, or SAC")
        if self.config.prefill and self.on_policy:
            raise problem("an off-policy model to prefill its replay buffer", type(model).__name__, "leave it out")
        self.coupling = EpisodeCoupling(
            demonstrations.transitions(),
            CoupledRows(task.observation_space, task.action_space, self.config.inputs),
            n_envs=model.n_envs,
            horizon=self.config.horizon or int(demonstrations.episode_lengths.max()),
            scale=self.config.scale,
            rate=self.config.rate,
        )
        if (normalizer := model.get_vec_normalize_env()) is None:
            model.set_env(CouplingRewards(env, self.coupling))
        else:
            normalizer.venv = CouplingRewards(normalizer.venv, self.coupling)
        scaled = self.config.scale_reward and self.on_policy
        self.scale = ReturnNormalizer(model.gamma, model.n_envs) if scaled else None

    def warm_up(self) -> None:
        """Prefills the replay buffer, if asked, and clones for the warm start, before the first step."""
        if self.config.prefill and isinstance(self.model, OffPolicyAlgorithm):
            prefill(self.model, self.demonstrations.transitions(), self.config.prefill, self.coupling.highest)
        super().warm_up()

    def reward_callbacks(self) -> list[BaseCallback]:
        scaled = [] if self.scale is None else [Relabel({}, self.scale, adds=True)]
        return [LogStepRewards("pwil/reward"), *scaled]

    def own_state(self) -> dict[str, Any]:
        """The scale; what the current episodes have used up is in the environment's state."""
        return {"scale": None if self.scale is None else self.scale.state_dict()}

    def load_own_state(self, state: dict[str, Any]) -> None:
        if self.scale is not None:
            self.scale.load_state_dict(state["scale"])
