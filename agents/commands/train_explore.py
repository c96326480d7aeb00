"""`rlgen train explore`: reinforcement learning with a curiosity bonus, or without."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import torch

from rlgen.deprecation import UNLESS_DEFAULT, UNLESS_NONE, renamed_fields
from rlgen.display import Display, Metric, under
from rlgen.rewards.bonus_value import BonusReturns, BonusValue, BonusValueConfig
from rlgen.sb3.coverage import Coverage
from rlgen.sb3.relabel_replay import UPDATE_EVERY
from rlgen.sb3.vec_env import ResumableVecEnv

from ..curiosities import CURIOSITIES
from ..curiosity import EVERY_PLACE, Curiosity
from ..explorer import Explorer
from ..learner import EXPLORATION, EXPLORATION_ENVS, LearnerConfig
from .choices import needs, typed, with_fields
from .environment import coverage_of
from .eta import Eta
from .observed import Observed, observed_by_default
from .parsing import options_of
from .train_rl import TrainRL

OBSERVED = Metric("observed", "numbers that the curiosity sees", absent="all")
PLACES = Metric("places", "numbers whose first visits have a bonus", absent="none")

# Every entry of `CURIOSITIES` is a choice of the command line; a static checker cannot follow that.
if TYPE_CHECKING:
    Name = str
else:
    Name = Literal[*CURIOSITIES, "none"]


@renamed_fields(algo="learner.algorithm", sac="learner")
@dataclass(frozen=True, kw_only=True)
class TrainExplore(TrainRL):
    """Exploration by curiosity: the task's reward + η · a bonus for novelty, on any task, without demonstrations.

    --curiosity vime adds the information that a step gives a Bayesian model of the dynamics (Houthooft et al. 2016).
    VIME is compared with the other curiosities and with none, the learner alone.

    The settings of learner and curiosity are those of the chosen ones: --learner.algorithm sac --curiosity rnd
    --help-all lists SAC's and RND's.
    """

    agent: ClassVar[str] = "explore"
    taken_first: ClassVar[tuple[str, ...]] = ("--config",)
    backward_learner: ClassVar[LearnerConfig] = EXPLORATION

    curiosity: Name = "vime"
    """Source of the bonus: vime, information gained about the dynamics; vime_2016, the same as in its paper; rnd, the
    error of imitating a random network; icm, the prediction error in features of the action; l2, of the next
    observation; disagreement of an ensemble; lbs, how far the next observation moves a belief about a latent; counts,
    of visits to the next state; pseudo_counts, by a density model of visited states; first_visits, places that are new
    in the episode; e3b, what is new within the episode; none, the learner alone."""
    eta: Eta = None
    """η, the weight of the bonus against the task's reward; by default that of the curiosity's class in rlgen.agents;
    auto: from there on tuned while training, so that the policy finds as much that is new as earlier policies do.
    While the task gives no reward, --scale-reward cancels it: the bonus then has unit variance whatever η."""
    final_eta: float = 1.0
    """Share of η that is left at the end of the training, between 0 and 1; η falls in proportion to the steps done."""
    update_every: int = UPDATE_EVERY
    """Environment steps between two updates of the curiosity with an off-policy learner; others update it after each
    rollout."""
    observed: Observed = field(default=None, metadata=UNLESS_NONE)
    """Numbers of the observation that the curiosity sees, counted from 0, e.g. 0-6 15-20; all for all. By default
    positions and velocities of Ant and Humanoid, also the sparse and disabled ones, and all of other tasks;
    counts, pseudo_counts, first_visits and e3b: what maps of visited states show, e.g. x and y. What it sees decides
    what is explored."""
    places: Observed = field(default=None, metadata=UNLESS_NONE)
    """Numbers of the observation that say where the agent is, counted from 0, e.g. 0 1 for x and y: a step then has a
    bonus only where its episode has not been before (Badia et al. 2020; PPO, A2C and TRPO). By default every step has
    one."""
    place_width: float = field(default=EVERY_PLACE.width, metadata=UNLESS_DEFAULT)
    """Width of a place along each of its numbers, in standard deviations of the first rollout; 2 % of the median
    deviation of these numbers is added to each, so that places should be numbers that vary about as much."""
    bonus_returns: BonusReturns = field(default="episodic", metadata=UNLESS_DEFAULT)
    """Returns of the bonus. episodic: it is added to the reward, and its returns end with the episode; non_episodic: it
    has returns that go on past the ends of episodes, and a value function of its own (Burda et al. 2018; PPO, A2C and
    TRPO, not with --backend warp). Where falls end episodes, they are then free."""
    bonus_value: BonusValueConfig = field(default=BonusValueConfig(), metadata=UNLESS_DEFAULT)
    """Value function of a bonus with non-episodic returns."""
    scale_reward: bool = True
    """Division of reward + bonus by the running standard deviation of its discounted returns (on-policy learners
    only)."""
    n_envs: int = EXPLORATION_ENVS
    """Environments stepped at once, by all processes together."""
    learner: LearnerConfig = EXPLORATION
    """Policy and reinforcement learner."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.curiosities()

    def display(self) -> Display:
        """Called PPO + VIME, SAC + Disagreement; PPO without curiosity."""
        found, curious = super().display(), (panel for each in self.curiosities() for panel in each.panels())
        kinds = [type(each).__name__ for each in self.curiosities()]
        seen = () if self.curiosity == "none" else (OBSERVED,) if self.places is None else (OBSERVED, PLACES)
        apart = () if self.bonus_returns == "episodic" else under(self.curiosity, BonusValue.panels)
        panels = (*Coverage.panels, *curious, *apart, *found.panels)
        return replace(
            found,
            name=" + ".join([found.name, *kinds]),
            panels=panels,
            results=(*Coverage.results, *seen, *found.results),
        )

    @classmethod
    def for_arguments(cls, arguments: Sequence[str], values: Mapping[str, Any]) -> type[Self]:
        """The class with the settings of the chosen algorithm and curiosity."""
        kind = super().for_arguments(arguments, values)
        asked = typed(arguments, "--curiosity") or values.get("curiosity", cls.curiosity)
        name = asked if isinstance(asked, str) and asked in CURIOSITIES else "none"
        own: list[Any] = [("curiosity", Name, field(default=name))]
        if name != "none":
            config = CURIOSITIES[name].config_type()
            own.append((name, config, field(default=config())))
        return with_fields(kind, own)

    @classmethod
    def elsewhere(cls) -> dict[str, str]:
        found = super().elsewhere()
        for name, kind in CURIOSITIES.items():
            if name != cls.curiosity:
                found |= needs("--curiosity", [name], options_of(kind.config_type(), f"{name}."))
        return found

    @classmethod
    def without_idle(cls, values: Mapping[str, Any], arguments: Sequence[str]) -> dict[str, Any]:
        """`values` without the settings that the typed learner and curiosity do not read, and without the η of another
        curiosity."""
        values = with_all_observed(values)
        idle = {name for name in CURIOSITIES if name != cls.curiosity} | cls.idle_with(cls.learner)
        if cls.curiosity != values.get("curiosity", cls.curiosity):
            idle.add("eta")
        if cls.curiosity == "none":
            idle |= NONE_READS_NOT
        if (typed(arguments, "--bonus-returns") or values.get("bonus_returns", "episodic")) == "episodic":
            idle.add("bonus_value")
        if not typed(arguments, "--places") and values.get("places") is None:
            idle.add("place_width")
        read = {name: value for name, value in values.items() if name not in idle}
        typed_one = {"curiosity": cls.curiosity} if typed(arguments, "--curiosity") in (*CURIOSITIES, "none") else {}
        return super().without_idle(read, arguments) | typed_one

    @classmethod
    def restored(cls, values: dict[str, Any]) -> Self:
        return super().restored(with_all_observed(values))

    @classmethod
    def idle_with(cls, learner: LearnerConfig) -> set[str]:
        own = {"update_every"} if learner.on_policy else ON_POLICY_ALONE
        return super().idle_with(learner) | own

    @property
    def idle(self) -> set[str]:
        found = super().idle | (NONE_READS_NOT if self.curiosity == "none" else set())
        found |= {"bonus_value"} if self.bonus_returns == "episodic" else set()
        return found | ({"place_width"} if self.places is None else set())

    @property
    def chosen(self) -> str:
        returns = "" if "bonus_returns" in self.idle else f" --bonus-returns {self.bonus_returns}"
        places = "" if self.places is not None or "places" in self.idle else " without --places"
        return f"{super().chosen} --curiosity {self.curiosity}{returns}{places}"

    def recorded(self) -> dict[str, Any]:
        """The contents of config.json, without the settings that this training does not read, and with the η in use."""
        used = super().recorded()
        for each in self.curiosities():
            used |= {"eta": each.eta, "observed": list(each.observed or ())}
        return used

    def agent_in(self, env: ResumableVecEnv, device: torch.device, demonstrations: None) -> Explorer:
        coverage = coverage_of(self.env, env.observation_space)
        starts = self.starts(env)
        return Explorer(self.started_model(env, device), self.curiosities(), coverage, self.scale(), starts)

    def curiosities(self) -> list[Curiosity[Any]]:
        """The chosen curiosity, at most one; it checks its settings when made."""
        if self.curiosity == "none":
            return []
        settings, kind = getattr(self, self.curiosity, None), CURIOSITIES[self.curiosity]
        by_default = observed_by_default(self.env, self.env_kwargs, kind.of_places)
        seen = by_default if self.observed is None else self.observed
        return [
            kind(
                settings,
                eta=self.eta,
                final_eta=self.final_eta,
                update_every=self.update_every,
                observed=seen or None,
                places=self.places,
                place_width=None if self.places is None else self.place_width,
                bonus_returns=self.bonus_returns,
                bonus_value=None if self.bonus_returns == "episodic" else self.bonus_value,
            )
        ]


def with_all_observed(values: Mapping[str, Any]) -> dict[str, Any]:
    """The recorded `values` of a run; in earlier ones, which do not say what the curiosity saw, it saw everything."""
    recorded = {"env", "seed", "n_envs"} <= values.keys() and values.get("curiosity", "vime") != "none"
    return {"observed": [], **values} if recorded else dict(values)


ON_POLICY_ALONE = {"places", "place_width", "bonus_returns", "bonus_value"}
NONE_READS_NOT = {"eta", "final_eta", "update_every", "observed", *ON_POLICY_ALONE}
