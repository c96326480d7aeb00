"""`rlgen explore`: exploration by an archive of restored states."""

import logging
import math
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
import torch
import tyro
from gymnasium import spaces
from stable_baselines3.common.utils import set_random_seed

from rlgen.checks import at_least
from rlgen.data.visits import VISITS, Axis
from rlgen.display import Display, Metric, Panel
from rlgen.envs.registry import ARCHIVE_AXES, STATE_AXES
from rlgen.errors import problem
from rlgen.reports.video import record_video
from rlgen.rewards.source import TaskShape
from rlgen.rewards.view import ObservedNumbers, OfView
from rlgen.runs.folder import RunFolder
from rlgen.runs.metrics import Metrics
from rlgen.sb3.actor_critic import is_recurrent
from rlgen.sb3.coverage import Coverage
from rlgen.sb3.load import LoadedPolicy, copy_policy, load_policy
from rlgen.sb3.vec_env import ResumableVecEnv, SimVecEnv
from rlgen.system.device import choose_device

from ..archive_explorer import ArchiveConfig, ArchiveExplorer
from ..curiosities import CURIOSITIES
from ..trainable import Observer
from .finish import result_of, show
from .observed import CHANGES_OBSERVATION, observed_by_default
from .policy_training import DEMONSTRATIONS
from .settings import SteppedTraining

log = logging.getLogger("rlgen")
# Those of `CURIOSITIES` that can reward the rows of an archive; a static checker cannot follow that.
if TYPE_CHECKING:
    Name = str
else:
    Name = Literal["none", *(name for name, kind in CURIOSITIES.items() if not kind.needs_rollouts())]
POLICY = "bursts"
"""Folder of a run folder: the policy that acts in its bursts."""
CELLS = Metric("archive/cells", "cells")
FOUND = (
    Metric("restored_states", "states were restored"),
    Metric("first_reward_step", "first reward", "steps", absent="never"),
    Metric("archive_cells", "cells in the archive"),
    Metric("best_reward", "best sum of rewards"),
    Metric("best_steps", "steps of the best trajectory"),
)


@dataclass(frozen=True, kw_only=True)
class Explore(SteppedTraining):
    """Exploration by an archive of states: the simulator goes back to a state that was reached, a short burst of noise
    leads on from there, and new states are kept (Go-Explore, Ecoffet et al. 2021). It finds rewards that no policy
    finds from the start of an episode.

    The best trajectories become demonstrations.npz in the run's folder. `rlgen train rl --backward-from` makes a policy
    of them, and `rlgen train gail` and `bc` imitate them. Results say that states were restored: they cannot be
    compared with those of a learner that acts from starts of episodes alone.
    """

    agent: ClassVar[str] = "archive"
    spelling: ClassVar[str] = "Archive"
    panels: ClassVar[tuple[Panel, ...]] = (
        Panel("States in the archive", (CELLS,)),
        Panel("Best sum of rewards", (Metric("archive/best_reward", "reward"),)),
        *Coverage.panels,
        Panel("Bursts that the archive remembers", (Metric("archive/nodes", "bursts"),), drawn=False),
    )
    results: ClassVar[tuple[Metric, ...]] = FOUND

    steps: float = 5e5
    """Environment steps in all, rounded up to whole rounds."""
    episodes: int = 10
    """Best trajectories to write as demonstrations."""
    video: bool = True
    """Video of the best trajectory, where a renderer is found."""
    evaluate_every: Annotated[float | None, tyro.conf.Suppress] = None
    """Not read: there is no policy to evaluate."""
    cells: tuple[float, ...] = ()
    """Widths of a cell along the axes of the task, in their order (x, y, height of SparseAnt and SparseHumanoid); by
    default the task's own."""
    curiosity: Name = "none"
    """Curiosity that makes states likelier to be chosen whose last step it rewards; none: states are chosen by how
    often they were before."""
    policy: Path | None = None
    """Policy (.zip, or a run's folder) that acts, with its noise, in a share of the bursts; by default noise alone."""
    archive: ArchiveConfig = field(default_factory=ArchiveConfig)
    """Bursts, and which states are kept."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(not 0 < width < math.inf for width in self.cells):
            raise problem("positive widths of cells", f"{self.cells}", "use e.g. --cells 0.25 0.5 0.25")
        at_least(self, 1, "episodes")

    def display(self) -> Display:
        found = super().display()
        return Display(name=found.name, panels=self.panels, results=found.results)

    def total(self, training: Any) -> int:
        return int(self.steps)

    def intervals(self) -> tuple[float, float]:
        return super().intervals()[0], math.inf

    def build(self, stack: ExitStack, folder: RunFolder | None) -> "ArchiveTraining":  # type: ignore[override]
        device, sentence = choose_device(self.device)
        log.info(sentence)
        env = self.make_env(self.n_envs, self.seed)
        stack.callback(env.close)
        self._require_time_limit()
        set_random_seed(self.seed)
        kept = self if folder is None or self.policy is None else replace(self, policy=folder / POLICY)
        return ArchiveTraining(explorer=kept.agent_in(env, device, None), settings=self, device=device)

    def agent_in(self, env: ResumableVecEnv, device: torch.device, demonstrations: None) -> ArchiveExplorer:
        if not isinstance(env, SimVecEnv) or not isinstance(env.action_space, spaces.Box):
            got = f"{self.env} on the backend {env.backend}"
            raise problem("a task that rlgen steps, whose states can be restored", got, "choose another task")
        policy = None if self.policy is None else self._policy(self.policy, env)
        source = self._source(env)
        return ArchiveExplorer(env, self.axes(), self.archive, seed=self.seed, source=source, policy=policy)

    def _policy(self, path: Path, env: SimVecEnv) -> LoadedPolicy:
        """The policy of the bursts. Raises `InputError` for one that remembers, or whose noise does."""
        loaded = load_policy(path, env.observation_space, env.action_space)
        if is_recurrent(loaded.policy) or getattr(loaded.policy, "use_sde", False):
            got = f"{path}, {'recurrent' if is_recurrent(loaded.policy) else 'with gSDE'}"
            raise problem("a policy without memory, whose noise is drawn at each step", got, "use another policy")
        return loaded

    def axes(self) -> tuple[Axis, ...]:
        """The axes of the archive's cells. Raises `InputError` for a task without any of known widths."""
        changed = [name for name in self.env_kwargs if name.startswith(CHANGES_OBSERVATION)]
        if changed:
            got = ", ".join(changed)
            raise problem("the task's own observation, whose numbers the cells divide", got, "leave it out")
        known = ARCHIVE_AXES.get(self.env) or STATE_AXES.get(self.env)
        if known is None:
            expected = f"a task with cells ({', '.join(sorted({*ARCHIVE_AXES, *STATE_AXES}))})"
            raise problem(expected, self.env, "use rlgen.agents.archive_explorer with axes of your own")
        if not self.cells:
            return known
        if len(self.cells) != len(known):
            names = ", ".join(axis.name for axis in known)
            raise problem(f"{len(known)} widths of cells ({names})", f"{len(self.cells)}", "give one for each axis")
        own = [vars(axis) | {"width": width} for axis, width in zip(known, self.cells, strict=True)]
        return tuple(Axis(**axis) for axis in own)

    def _source(self, env: SimVecEnv) -> Any:
        """The curiosity, if there is one."""
        if self.curiosity == "none":
            return None
        assert env.observation_space.shape is not None
        assert env.action_space.shape is not None
        size = int(np.prod(env.observation_space.shape))
        seen = observed_by_default(self.env, self.env_kwargs) or tuple(range(size))
        shape = TaskShape(
            observation_size=len(seen), action_size=env.action_space.shape[0], n_envs=env.num_envs, device="cpu"
        )
        kind = CURIOSITIES[self.curiosity]
        return OfView(kind.source_type(shape, kind.config_type()()), ObservedNumbers(seen, size))


class Replay:
    """A policy that repeats recorded actions, and holds the middle of the action range after them."""

    def __init__(self, actions: np.ndarray, rest: np.ndarray):
        self.actions, self.rest, self.step = actions, rest, 0

    def predict(self, observation: Any, *_: Any, **__: Any) -> tuple[np.ndarray, None]:
        action = self.actions[self.step] if self.step < len(self.actions) else self.rest
        self.step += 1
        return np.asarray(action, np.float32)[None], None


@dataclass(kw_only=True)
class ArchiveTraining:
    """A `Trainable`: rounds of an `ArchiveExplorer`."""

    explorer: ArchiveExplorer
    settings: Explore
    device: torch.device
    unit: ClassVar[str] = "steps"

    @property
    def step(self) -> int:
        return self.explorer.steps

    def advance(self, until: int, observer: Observer) -> None:
        while self.step < until:
            found = self.explorer.round()
            visits = self.explorer.visits
            speed = self.step / observer.seconds() if observer.seconds() else 0.0
            first = {} if visits.first_reward_step is None else {"coverage/first_reward": visits.first_reward_step}
            observer.log({**found, **first, "coverage/cells": len(visits.keys), "time/fps": speed})
            shown = {"cells": found["archive/cells"], "best reward": found["archive/best_reward"]}
            observer.show({**shown, **({} if not first else {"first reward at": first["coverage/first_reward"]})})
            if self.step < until:
                observer.between()

    def evaluate(self) -> Mapping[str, float]:
        return {}

    def pictures(self) -> Mapping[str, np.ndarray]:
        return {}

    def describe(self, evaluation: Mapping[str, float]) -> str:
        return ""

    def files(self) -> Mapping[str, bytes]:
        return {VISITS: self.explorer.visits.to_bytes()}

    def state_dict(self) -> dict[str, Any]:
        return {"explorer": self.explorer.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.explorer.load_state_dict(state["explorer"])

    def keep(self, folder: RunFolder) -> None:
        """Write the policy of the bursts, with which a resumed run goes on."""
        if self.settings.policy is not None:
            copy_policy(self.settings.policy, folder / POLICY)

    def finish(self, folder: RunFolder, metrics: Metrics, seconds: float) -> None:
        """Write the best trajectories, a video of the first one, and the report."""
        explorer, archive = self.explorer, self.explorer.archive
        found = explorer.demonstrations(self.settings.episodes)
        best = [each for each, _ in archive.best(1)]
        if found is not None:
            found.save(folder / DEMONSTRATIONS)
            log.info("wrote %d trajectories: %s", found.n_episodes, folder / DEMONSTRATIONS)
            self._record(folder)
        else:
            log.info("no state with a reward was found, and no demonstrations are written; explore for longer")
        numbers = {
            "restored_states": "yes",
            "first_reward_step": explorer.visits.first_reward_step,
            "archive_cells": len(archive),
            "cells_visited": len(explorer.visits.keys),
            "best_reward": best[0].reward if best else 0.0,
            "best_steps": best[0].steps if best else None,
            **self.settings.achieved(),
        }
        result = result_of(folder, self, seconds, numbers)
        result.write(folder)
        show(folder, result)

    def _record(self, folder: RunFolder) -> None:
        """A video of the best trajectory, which starts as an episode of its seed does."""
        if not self.settings.video:
            return
        if self.explorer.env.backend == "warp":
            log.info("no video: the trajectory is one of MuJoCo Warp, which another simulator cannot repeat")
            return
        archive = self.explorer.archive
        start, actions = archive.path(archive.best(1)[0][1])
        replay, kwargs = Replay(actions, self.explorer.center), dict(self.settings.env_kwargs)
        seed = self.settings.seed + start
        found = record_video(replay, self.settings.env, folder / "video.mp4", env_kwargs=kwargs, seed=seed)
        if found.path is None:
            log.info("no video: %s", found.reason)

    def close(self) -> None:
        """Do nothing: the environment is closed by the settings' stack."""
