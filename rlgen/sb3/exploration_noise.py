"""The noise of an on-policy model's actions in a rollout: white, autoregressive or coloured."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from rlgen import distributed
from rlgen.data.recording import environment_id
from rlgen.equations.correlated_noise import autoregressive, coloured_noise
from rlgen.errors import problem

Likelihood = Literal["marginal", "conditional"]


class Drawn(NamedTuple):
    """Noise of one step [N, A], normal and of variance 1."""

    noise: Tensor
    """What is added to the mean action, in standard deviations."""
    scored: Tensor
    """What the log-probability is of: the noise, or for conditional likelihoods what is new in it."""


@dataclass(frozen=True, kw_only=True)
class ExplorationNoise:
    """How the noise of successive steps is related. Sequences start again with every rollout and every episode, so that
    a training has no further state between two rounds."""

    correlation: float = 0.0
    """ρ of autoregressive noise, 0 to below 1; 0 for white noise."""
    exponent: float = 0.0
    """β of coloured noise, whose power spectrum is 1/f^β; 0 for none. Not together with a correlation."""
    likelihood: Likelihood = "marginal"
    """Log-probabilities of each action by itself, or given the step before (`rlgen.equations.correlated_noise`)."""

    @property
    def conditional(self) -> bool:
        return self.likelihood == "conditional" and self.correlation > 0

    def begin(self, steps: int, n_envs: int, size: int, device: torch.device | str) -> "NoiseSequence":
        """Noise for a rollout of `steps` steps."""
        if self.exponent:
            return Coloured(self.exponent, steps, n_envs, size, device)
        return Autoregressive(self, n_envs, size, device)


class NoiseSequence(ABC):
    """Noise of the steps of a rollout."""

    @abstractmethod
    def draw(self, starts: Tensor) -> Drawn:
        """The noise of the next step; starts [N] bool: the step is an episode's first."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Where the sequence is, for those that go on over many rollouts."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""


class Autoregressive(NoiseSequence):
    """Independent noise for a correlation of 0. Does not wait for a device. The processes of a data-parallel training
    draw the noise of all environments and use their share."""

    def __init__(self, noise: ExplorationNoise, n_envs: int, size: int, device: torch.device | str):
        self.correlation, self.conditional = noise.correlation, noise.conditional
        self.shape: Any = (distributed.world_size() * n_envs, size)
        self.device = device
        self.noise: Tensor | None = None

    def draw(self, starts: Tensor) -> Drawn:
        fresh = distributed.local_rows(torch.randn(self.shape, device=self.device))
        if self.noise is None or not self.correlation:
            self.noise = fresh
        else:
            going_on = autoregressive(self.noise, fresh, self.correlation)
            self.noise = torch.where(starts.unsqueeze(-1), fresh, going_on)
        return Drawn(self.noise, fresh if self.conditional else self.noise)

    def state_dict(self) -> dict[str, Any]:
        return {"noise": None if self.noise is None else self.noise.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.noise = None if state["noise"] is None else torch.as_tensor(state["noise"]).to(self.device)


class Coloured(NoiseSequence):
    """Sequences of `steps` steps; an episode that starts, or goes on longer, starts another sequence. They are drawn on
    the CPU."""

    def __init__(self, exponent: float, steps: int, n_envs: int, size: int, device: torch.device | str):
        self.exponent, self.steps, self.size, self.device = exponent, max(steps, 2), size, device
        self.sequences = self._sequences(n_envs)
        self.places = torch.zeros(n_envs, dtype=torch.int64)
        self.first = True

    def _sequences(self, count: int) -> Tensor:
        """Noise [T, count, A]."""
        fresh = torch.randn(count, self.size, 2 * (self.steps // 2 + 1))
        return coloured_noise(self.exponent, self.steps, fresh).movedim(-1, 0)

    def draw(self, starts: Tensor) -> Drawn:
        another = (starts.cpu() & (not self.first)) | (self.places >= self.steps)
        if bool(another.any()):
            self.sequences[:, another] = self._sequences(int(another.sum()))
            self.places[another] = 0
        self.first = False
        noise = self.sequences[self.places, torch.arange(len(self.places))].to(self.device)
        self.places += 1
        return Drawn(noise, noise)

    def state_dict(self) -> dict[str, Any]:
        return {"sequences": self.sequences.clone(), "places": self.places.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.sequences, self.places = (torch.as_tensor(state[name]).clone() for name in ("sequences", "places"))
        self.first = False


WHITE = ExplorationNoise()


def step_seconds(env: Any) -> float:
    """Seconds from one action to the next in an SB3 VecEnv.

    Raises `InputError` where neither a task, nor the environment's `dt` or `tau`, nor its frames per second give them.
    """
    task = getattr(getattr(env, "sim", None), "task", None)
    if task is not None:
        return float(task.control_step_s)
    for name in ("dt", "tau"):
        try:
            found = env.get_attr(name)[0]
        except AttributeError:
            continue
        if isinstance(found, int | float) and 0 < found < math.inf:
            return float(found)
    fps = (getattr(env, "metadata", None) or {}).get("render_fps")
    if isinstance(fps, int | float) and fps > 0:
        return 1 / float(fps)
    expected = "an environment with a known duration of a step (dt, tau, or render_fps in its metadata)"
    raise problem(expected, environment_id(env) or "another one", "use white noise, or give the environment a dt")
