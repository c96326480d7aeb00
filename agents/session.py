"""One sitting of a training: rounds with progress, checkpoints, evaluations, and a clean stop."""

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback

from rlgen import ranks
from rlgen.atomic import atomic_write
from rlgen.errors import InputError, NotFinite, problem
from rlgen.runs.checkpoint import last_good, list_checkpoints, load_checkpoint, restoring, save_checkpoint
from rlgen.runs.evaluate import evaluate
from rlgen.runs.folder import RunFolder
from rlgen.runs.interrupt import Interrupt, Stopped
from rlgen.runs.metrics import Metrics
from rlgen.runs.progress import Progress, number
from rlgen.runs.rank_states import own_state, with_others
from rlgen.runs.rng import rng_state, set_rng_state
from rlgen.sb3.finite import finite_weights, require_finite_state

from .rounds import Rounds

log = logging.getLogger("rlgen")
CURVE_EPISODES, CURVE_SEED = 10, 20_000
SHOW_INTERVAL_S = 0.2


class Agent(Protocol):
    """What a session trains: a Stable-Baselines3 model and all that belongs to its learning."""

    name: str
    """Of its state in a checkpoint."""
    on_warm_up: Callable[[int, int], None] | None
    """Called with the updates done and the most there are, while something is learned before the first step."""
    shown: Mapping[str, str]
    """Logged names that the progress display shows, each with its label there."""

    @property
    def model(self) -> BaseAlgorithm: ...

    def learn(self, total_timesteps: int, callback: BaseCallback | None = None) -> Any:
        """Train for `total_timesteps` more environment steps, as SB3's `learn` does. The model ends as it is handed
        over, also with 0."""
        ...

    def acting(self) -> AbstractContextManager[None]:
        """Within the block, between two rounds, the model acts as it would be handed over."""
        ...

    def files(self) -> Mapping[str, bytes]:
        """What belongs in the run folder beside a checkpoint, by name."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything to go on from between two rounds, apart from the environment and the random numbers."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        ...


@dataclass
class Session:
    """`agent` in `folder`, from its newest checkpoint if it has one. `seconds`: training time over all sittings.

    Of several processes that train together, number 0 has metrics and a `curve_env`, and writes what all have."""

    folder: RunFolder
    agent: Agent
    env: Any
    curve_env: Any
    metrics: Metrics | None
    steps: int
    checkpoint_every: float
    evaluate_every: float
    seconds: float = 0.0
    since: float = field(default_factory=time.perf_counter)
    shown_at: float = 0.0

    def run(self) -> None:
        """Train to the end. Raises `Stopped`, with the state saved, when the user asks to stop, and `InputError` with
        what it was and the last good checkpoint when a number is not finite."""
        try:
            self._run()
        except NotFinite as stop:
            raise InputError(f"{stop}; {last_good(self.folder)}") from stop

    def _run(self) -> None:
        self.restore()
        remedy = f"continue with: rlgen resume {self.folder.path}"
        start = self.agent.model.num_timesteps
        title = self.folder.agent_name
        progress = Progress(title, self.steps, start=start, show=self.metrics is not None)
        self.agent.on_warm_up = self.show_warm_up
        with Interrupt(remedy) as interrupt, progress as self.progress:
            rounds = Rounds(
                self.save,
                self.evaluate,
                self.show,
                lambda: ranks.any_of(interrupt.requested),
                self.checkpoint_every,
                self.evaluate_every,
            )
            if start >= self.steps:  # stopped after its last checkpoint
                self.agent.learn(0)
                return
            with finite_weights(self.agent.model):
                self.agent.learn(self.steps - start, rounds)
            if self.evaluate_every:
                self.evaluate()
            self.save(final=True)
            if ranks.any_of(interrupt.requested):  # in the last round
                raise Stopped

    def restore(self) -> None:
        """Go on from the newest whole checkpoint, or from the beginning."""
        self.since = time.perf_counter()
        found = list_checkpoints(self.folder)
        latest = int(found[0].name.partition(".")[0]) if found else -1
        if len(set(ranks.gather(torch.tensor([latest])).tolist())) > 1:
            came = f"process {ranks.number()} found {'another checkpoint' if found else 'none'}"
            raise problem("one run folder that all processes see", came, "put it on a disk that they share")
        if not found:
            if self.metrics is not None:
                self.metrics.truncate(-1)  # what a run wrote that was killed before its first checkpoint
            return
        step, whole = load_checkpoint(self.folder)
        with restoring(self.folder, step):
            self.load(step, own_state(whole))
        if self.metrics is not None:
            self.metrics.truncate(step)
        self.write_files()  # of this checkpoint: the run may have been killed after it, before they were written
        log.info("continuing from step %s", f"{step:,}")

    def load(self, step: int, state: dict[str, Any]) -> None:
        """Give everything the state that it had at `step`."""
        self.agent.load_state_dict(state[self.agent.name])
        if self.agent.model.num_timesteps != step:
            raise ValueError(f"a model at step {self.agent.model.num_timesteps}")
        if state["env"] is None:
            log.info("this environment cannot be saved mid-episode: new episodes begin at step %d", step)
            self.agent.model._last_obs = None
        else:
            self.env.load_state_dict(state["env"])
        self.seconds = float(state["seconds"])
        set_rng_state(state["rng"])

    def save(self, final: bool = False) -> None:
        """Write a checkpoint of everything. Raises `NotFinite` rather than save what cannot go on."""
        self.pause_clock()
        of_agent = self.agent.state_dict()
        learned = {name: part for name, part in of_agent.items() if name != "coverage"}  # NaN: a width not chosen yet
        require_finite_state(learned, self.agent.model.num_timesteps)
        state: dict[str, Any] = {
            self.agent.name: of_agent,
            "env": self.env.state_dict() if self.env.can_resume else None,
            "rng": rng_state(),
            "seconds": self.seconds,
        }
        state = with_others(state)
        if self.metrics is not None:
            self.metrics.sync()
            save_checkpoint(self.folder, self.agent.model.num_timesteps, state, final=final)
        self.write_files()

    def write_files(self) -> None:
        """Write what belongs beside a checkpoint."""
        if self.metrics is None:
            return
        for name, data in self.agent.files().items():
            atomic_write(self.folder / name, data)

    def evaluate(self) -> None:
        """A point of the learning curve: the policy's mean action on held-out seeds, outside training time."""
        if self.metrics is None:
            return
        self.pause_clock()
        model = self.agent.model
        with self.agent.acting():
            found = evaluate(model, self.curve_env, CURVE_EPISODES, seed=CURVE_SEED, label=None).summary()
        names = ("return_mean", "return_std", "return_min", "episode_length_mean", "terminated")
        values = {f"evaluation/{name}": found[name] for name in names}
        self.metrics.write(model.num_timesteps, {**values, "time/training_seconds": self.seconds})
        self.progress.message(
            f"{model.num_timesteps:>12,} steps: return {number(found['return_mean'])} ± {number(found['return_std'])}"
            f" (lowest {number(found['return_min'])}) over {CURVE_EPISODES} episodes"
        )
        self.since = time.perf_counter()

    def show_warm_up(self, done: int, most: int) -> None:
        """Say on the progress display that the cloning before the first step is running."""
        self.progress.aside(f"{self.folder.agent_name}: cloning", done, most, "updates")

    def show(self) -> None:
        """Refresh the progress display with the newest values; rounds of a single step are shown now and then."""
        now = time.perf_counter()
        if now - self.shown_at < SHOW_INTERVAL_S:
            return
        self.shown_at = now
        model = self.agent.model
        logged = model.logger.name_to_value
        values = {label: float(logged[name]) for name, label in self.agent.shown.items() if name in logged}
        if model.ep_info_buffer:
            values = {"return": float(np.mean([episode["r"] for episode in model.ep_info_buffer])), **values}
        self.progress.update(model.num_timesteps, values)

    def pause_clock(self) -> None:
        """Book the training time so far."""
        now = time.perf_counter()
        self.seconds, self.since = self.seconds + now - self.since, now
