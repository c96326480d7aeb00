"""`rlgen train vime`: from nothing but a task to a policy that explored it out of curiosity, or without."""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, make_dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from rlgen.data.visits import Visits, axes_within
from rlgen.envs.state_axes import STATE_AXES
from rlgen.errors import problem
from rlgen.rewards.bonus_unit import ReturnScale
from rlgen.sb3.coverage import Coverage
from rlgen.sb3.relabel_replay import UPDATE_EVERY
from rlgen.sb3.vec_env import ResumableVecEnv

from ..curiosity import CURIOSITIES, Curiosity
from ..explorer import Explorer
from ..learner import EXPLORATION, EXPLORATION_ENVS, LearnerConfig, OnPolicyConfig, make_model
from ..soft_actor_critic import SACConfig, default_buffer_size, make_sac
from .settings import SteppedTraining
from .typed import typed

# A kind that joins `CURIOSITIES` has its place on the command line by that; a static checker cannot follow it.
if TYPE_CHECKING:
    Kind = str

    class CuriositySettings: ...

else:
    Kind = Literal[*CURIOSITIES, "none"]
    CuriositySettings = make_dataclass(
        "CuriositySettings",
        [(name, kind.config_type(), field(default_factory=kind.config_type())) for name, kind in CURIOSITIES.items()],
        frozen=True,
        kw_only=True,
        namespace={"__doc__": "The settings of every curiosity there is, each under its name."},
    )


@dataclass(frozen=True, kw_only=True)
class TrainExplore(CuriositySettings, SteppedTraining):
    """Exploration by curiosity: the task's reward + η · a bonus for what is new, on any task, without demonstrations.

    --curiosity vime pays what a step taught a Bayesian model of the dynamics (Houthooft et al. 2016); the other kinds
    are what it is compared with, and none is the learner alone.
    """

    agent: ClassVar[str] = "vime"

    algo: Literal["ppo", "a2c", "trpo", "sac"] = "ppo"
    """The learner: ppo, a2c, trpo (needs the extra `contrib`) with the settings --learner, sac with those of --sac."""
    curiosity: Kind = "vime"
    """What pays the bonus: vime, information gained about the dynamics; rnd, the error of imitating a random network;
    icm, the prediction error in features of the action; l2, of the next observation; disagreement of an ensemble; lbs,
    how far the next observation moves a belief about a latent; none, the learner alone. The settings of each are those
    under its name."""
    eta: float | None = None
    """η, the weight of the bonus against the task's reward; that of its class in rlgen.agents when left out. While the
    task has not paid yet, --scale-reward cancels it: whatever η, the bonus then has unit spread."""
    final_eta: float = 1.0
    """Share of η that is left at the end of the training; η falls in proportion to the steps done."""
    update_every: int = UPDATE_EVERY
    """With sac, environment steps between two updates of what pays the bonus; other learners: after each rollout."""
    scale_reward: bool = True
    """Divide the sum of reward and bonus by the running spread of its discounted returns (not with sac)."""
    n_envs: int = EXPLORATION_ENVS
    """Environments stepped at once."""
    learner: OnPolicyConfig = EXPLORATION
    """The policy and the on-policy learner."""
    sac: SACConfig = field(default_factory=SACConfig)
    """The off-policy learner."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_defaults_of_idle()
        self.curiosities()

    def recorded(self) -> dict[str, Any]:
        """Without the settings that this training does not read, and with the η that it has."""
        idle = idle_settings(self.algo, self.curiosity)
        used = {name: value for name, value in super().recorded().items() if name not in idle}
        for each in self.curiosities():
            used["eta"] = each.eta
        return used

    @classmethod
    def without_idle(cls, values: Mapping[str, Any], arguments: Sequence[str]) -> dict[str, Any]:
        """Without what the typed learner and curiosity leave idle, and the η that was recorded of another curiosity."""
        algo = typed(arguments, "--algo") or values.get("algo", cls.algo)
        before = values.get("curiosity", cls.curiosity)
        curiosity = typed(arguments, "--curiosity") or before
        idle = idle_settings(algo, curiosity) | ({"eta"} if curiosity != before else set())
        read = {name: value for name, value in values.items() if name not in idle}
        return read | {"algo": algo, "curiosity": curiosity}

    def _require_defaults_of_idle(self) -> None:
        """A setting that nothing reads must not be given: whoever gives it expects that it does something."""
        given = [each for name in sorted(idle_settings(self.algo, self.curiosity)) for each in _differing(self, name)]
        if given:
            came = " and ".join(f"--{name.replace('_', '-')}" for name in given)
            expected = f"settings that --algo {self.algo} --curiosity {self.curiosity} reads"
            raise problem(expected, came, "leave that out, or choose another learner or curiosity")

    def with_steps(self, steps: float) -> Self:
        longer = replace(self, steps=steps)
        if self.algo != "sac" or self.sac.buffer_size is not None:
            return longer
        size = default_buffer_size(int(self.steps), self.n_envs)  # a saved buffer keeps its size
        return replace(longer, sac=replace(self.sac, buffer_size=size))

    def agent_in(self, env: ResumableVecEnv, device: torch.device, demonstrations: None) -> Explorer:
        observed = env.observation_space
        if not isinstance(observed, spaces.Box):
            raise problem("observations that are numbers (Box)", f"{observed}", "wrap the environment")
        model = self._model(env, device)
        axes = STATE_AXES.get(self.env) or axes_within(observed.low, observed.high)
        on_policy = isinstance(model, OnPolicyAlgorithm)
        scale = ReturnScale(self.learner.gamma, self.n_envs) if self.scale_reward and on_policy else None
        return Explorer(model, self.curiosities(), Coverage(Visits(axes)), scale)

    def _model(self, env: ResumableVecEnv, device: torch.device) -> BaseAlgorithm:
        if self.algo == "sac":
            return make_sac(self.sac, env, int(self.steps), self.seed, device)
        return make_model(LearnerConfig(algorithm=self.algo, **vars(self.learner)), env, self.seed, device)

    def curiosities(self) -> list[Curiosity[Any]]:
        """The curiosity that was chosen; none or one. It checks its settings."""
        if self.curiosity == "none":
            return []
        settings = getattr(self, self.curiosity)
        kind = CURIOSITIES[self.curiosity]
        return [kind(settings, eta=self.eta, final_eta=self.final_eta, update_every=self.update_every)]


def idle_settings(algo: str, curiosity: str) -> set[str]:
    """Names of the settings that a training with this learner and curiosity does not read."""
    idle = {name for name in CURIOSITIES if name != curiosity}
    idle |= {"learner", "scale_reward"} if algo == "sac" else {"sac", "update_every"}
    return idle | ({"eta", "final_eta", "update_every"} if curiosity == "none" else set())


def _differing(config: Any, name: str) -> list[str]:
    """The setting `name`, or of several under it those, that are not what they are when left out."""
    (found,) = (each for each in fields(config) if each.name == name)
    default = found.default if found.default_factory is MISSING else found.default_factory()
    value = getattr(config, name)
    if not is_dataclass(value):
        return [] if value == default else [name]
    pairs = ((each.name, getattr(value, each.name), getattr(default, each.name)) for each in fields(value))
    return [f"{name}.{inner}" for inner, has, left_out in pairs if has != left_out]
