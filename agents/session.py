"""One sitting of a GAIL training: rounds with progress, checkpoints, evaluations, and a clean stop."""

import logging
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rlgen.runs.checkpoint import list_checkpoints, load_checkpoint, save_checkpoint
from rlgen.runs.evaluate import evaluate
from rlgen.runs.folder import RunFolder
from rlgen.runs.interrupt import Interrupt
from rlgen.runs.metrics import Metrics
from rlgen.runs.progress import Progress
from rlgen.runs.rng import rng_state, set_rng_state

from .gail import GAIL
from .rounds import Rounds, Stopped

log = logging.getLogger("rlgen")
CURVE_EPISODES, CURVE_SEED = 10, 20_000
SHOWN = {"gail/policy_accuracy": "D right on policy", "gail/expert_accuracy": "on expert"}


@dataclass
class Session:
    """`gail` in `folder`, from its newest checkpoint if it has one. `seconds`: training time over all sittings."""

    folder: RunFolder
    gail: GAIL
    env: Any
    curve_env: Any
    metrics: Metrics
    steps: int
    checkpoint_every: float
    evaluate_every: float
    seconds: float = 0.0
    since: float = field(default_factory=time.perf_counter)

    def run(self) -> None:
        """Train to the end. Raises `Stopped`, with the state saved, when the user asks to stop."""
        self.restore()
        remedy = f"continue with: rlgen resume {self.folder.path}"
        start = self.gail.model.num_timesteps
        with Interrupt(remedy) as interrupt, Progress("GAIL", self.steps, start=start) as self.progress:
            rounds = Rounds(
                self.save,
                self.evaluate,
                self.show,
                lambda: interrupt.requested,
                self.checkpoint_every,
                self.evaluate_every,
            )
            if start >= self.steps:  # stopped after its last checkpoint
                return
            self.gail.learn(self.steps, rounds)
            if self.evaluate_every:
                self.evaluate()
            self.save(final=True)
            if interrupt.requested:  # in the last round
                raise Stopped

    def restore(self) -> None:
        """Go on from the newest whole checkpoint, or from the beginning."""
        self.since = time.perf_counter()
        if not list_checkpoints(self.folder):
            self.metrics.truncate(-1)  # what a run wrote that was killed before its first checkpoint
            return
        step, state = load_checkpoint(self.folder)
        self.gail.load_state_dict(state["gail"])
        if state["env"] is None:
            log.info("this environment cannot be saved mid-episode: new episodes begin at step %d", step)
            self.gail.model._last_obs = None
        else:
            self.env.load_state_dict(state["env"])
        self.metrics.truncate(step)
        self.seconds = state["seconds"]
        set_rng_state(state["rng"])
        log.info("continuing from step %s", f"{step:,}")

    def save(self, final: bool = False) -> None:
        """Write a checkpoint of everything."""
        self.pause_clock()
        state: dict[str, Any] = {
            "gail": self.gail.state_dict(),
            "env": self.env.state_dict() if self.env.can_resume else None,
            "rng": rng_state(),
            "seconds": self.seconds,
        }
        save_checkpoint(self.folder, self.gail.model.num_timesteps, state, final=final)

    def evaluate(self) -> None:
        """A point of the learning curve: the averaged policy's mean action on held-out seeds, outside training time."""
        self.pause_clock()
        model = self.gail.model
        with self.gail.average.applied(model):
            found = evaluate(model, self.curve_env, CURVE_EPISODES, seed=CURVE_SEED, label=None).summary()
        names = ("return_mean", "return_std", "return_min", "episode_length_mean", "share_of_falls")
        values = {f"evaluation/{name}": found[name] for name in names}
        self.metrics.write(model.num_timesteps, {**values, "time/training_seconds": self.seconds})
        self.progress.message(
            f"{model.num_timesteps:>12,} steps: return {found['return_mean']:,.0f} ± {found['return_std']:,.0f}"
            f" (lowest {found['return_min']:,.0f}) over {CURVE_EPISODES} episodes"
        )
        self.since = time.perf_counter()

    def show(self) -> None:
        """Refresh the progress display with the newest values."""
        model = self.gail.model
        logged = model.logger.name_to_value
        values = {label: float(logged[name]) for name, label in SHOWN.items() if name in logged}
        if model.ep_info_buffer:
            values = {"return": float(np.mean([episode["r"] for episode in model.ep_info_buffer])), **values}
        self.progress.update(model.num_timesteps, values)

    def pause_clock(self) -> None:
        """Book the training time so far."""
        now = time.perf_counter()
        self.seconds, self.since = self.seconds + now - self.since, now
