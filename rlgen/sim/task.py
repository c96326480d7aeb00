"""The seam between tasks and simulators: a task is a few functions on batched simulator state.

N environments, nq/nv/nu/nbody as in MuJoCo's model, O observation and A action numbers. Every function takes
NumPy arrays and torch tensors alike and answers in kind, so one definition runs on C MuJoCo and on the GPU.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch

from rlgen.checks import at_least

Array = Any
"""np.ndarray or torch.Tensor; all arrays of one call are of one kind."""

MarginRule = Literal["native", "legacy"]
"""How contact margins of two geoms combine: "native", their sum, as in MuJoCo 3.5 and later; "legacy", the larger of
them, as in 3.4 and before. Either means the same on every version, see `rlgen.sim.model`."""


class State:
    """Simulator state of N environments: the arrays named in a task's `fields`, no others.

    After a step, `qpos` and `qvel` are fresh; everything else is what MuJoCo's last forward pass left, which with
    the RK4 integrator is the last stage of the last substep. Gymnasium's rewards read exactly those stale values.
    """

    qpos: Array  # [N, nq]
    qvel: Array  # [N, nv]
    ctrl: Array  # [N, nu] the action as the simulator holds it
    xpos: Array  # [N, nbody, 3] body frames, m
    ten_length: Array  # [N, ntendon] m
    ten_velocity: Array  # [N, ntendon] m/s
    subtree_com: Array  # [N, nbody, 3] centres of mass of the subtrees, m; row 0 is the whole model
    cinert: Array  # [N, nbody, 10] inertias about the centre of mass
    cvel: Array  # [N, nbody, 6] velocities about the centre of mass
    qfrc_actuator: Array  # [N, nv] actuator forces
    cfrc_ext: Array  # [N, nbody, 6] external contact forces; zero after a reset
    mocap_pos: Array  # [N, nmocap, 3] bodies that the task places and the physics leaves alone, m

    def __init__(self, **fields: Array) -> None:
        self.__dict__.update(fields)

    def rows(self, index: Array) -> "State":
        """The state of some of the environments."""
        return State(**{name: array[index] for name, array in self.__dict__.items()})


def namespace(array: Array) -> Any:
    """The module, numpy or torch, whose functions take this array."""
    return torch if isinstance(array, torch.Tensor) else np


def flat(array: Array) -> Array:
    """[N, ...] as [N, product of the rest]."""
    return array.reshape(len(array), -1)


def within(array: Array, ends: tuple[float, float]) -> Array:
    """Bool of the same shape: strictly between the ends."""
    return (ends[0] < array) & (array < ends[1])


def given(condition: Array, amount: float, like: Array) -> Array:
    """The amount where the condition holds, else 0; dtype of `like`."""
    numbers = namespace(like)
    return numbers.where(condition, numbers.full_like(like, amount), numbers.zeros_like(like))


def distance(qpos: Array) -> Array:
    """[N]: of x and y, the first two coordinates, from the origin, m."""
    return (qpos[:, 0] ** 2 + qpos[:, 1] ** 2) ** 0.5


def nowhere(state: State) -> Array:
    """[N] bool, False: what a task that never ends answers."""
    numbers = namespace(state.qpos)
    return numbers.zeros_like(numbers.isfinite(state.qpos[:, 0]))


@dataclass(frozen=True, kw_only=True)
class Task(ABC):
    """What an environment asks of the simulator and pays for. The fields are Gymnasium's keyword arguments."""

    xml: ClassVar[str]
    """Model file among Gymnasium's MuJoCo assets."""
    timestep_s: ClassVar[float]
    """Physics step of that model in seconds; whoever loads the model checks it."""
    fields: ClassVar[tuple[str, ...]]
    """The arrays of `State` that the task reads."""
    info_fields: ClassVar[tuple[str, ...]] = ()
    """The arrays of `State` that `info` reads besides."""
    contacts: ClassVar[int] = 16
    """How many a world may have on a GPU, where memory is set aside for them."""
    constraints: ClassVar[int] = 48
    """How many rows of constraints: four for each contact with friction, one for each joint at its limit."""
    camera: ClassVar[Mapping[str, Any]] = {}
    """Where to look from, as Gymnasium's `default_camera_config`."""

    frame_skip: int = 5
    """Physics steps in one environment step."""
    reset_noise_scale: float = 0.1
    """Size of the noise on the initial position and velocity."""

    def __post_init__(self) -> None:
        at_least(self, 1, "frame_skip", remedy="give a positive whole number")
        at_least(self, 0, "reset_noise_scale", remedy="give 0 for no noise")

    @property
    def control_step_s(self) -> float:
        """Seconds from one action to the next."""
        return self.timestep_s * self.frame_skip

    @abstractmethod
    def observe(self, state: State) -> Array:
        """[N, O], in the dtype of the state."""

    @abstractmethod
    def reward(self, before: State, action: Array, after: State) -> Array:
        """[N]: for `action` [N, A], as the environment received it, which led from `before` to `after`."""

    def info(self, before: State, action: Array, after: State, qpos0: np.ndarray) -> dict[str, Array]:
        """What Gymnasium's environment reports of a step beside the reward: name → [N, ...]. `qpos0`: the model's."""
        return {}

    @abstractmethod
    def terminated(self, state: State) -> Array:
        """[N] bool: the task is over there (a fall); never the time limit."""

    def initial(self, rng: np.random.Generator, qpos0: np.ndarray, qvel0: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(qpos [nq], qvel [nv]) of a new episode: the model's own plus uniform noise.

        A task with other noise overrides this, drawing in the order in which Gymnasium draws.
        """
        scale = self.reset_noise_scale
        qpos = qpos0 + rng.uniform(-scale, scale, size=len(qpos0))
        return qpos, qvel0 + rng.uniform(-scale, scale, size=len(qvel0))

    def furnished(self, spec: Any) -> Any:
        """The model, a `mujoco.MjSpec`, with what the task adds to its file."""
        return spec

    def placed(self, rng: np.random.Generator) -> np.ndarray:
        """[nmocap, 3]: where the task's own bodies stand in a new episode, m; drawn after `initial`."""
        raise NotImplementedError(f"{type(self).__name__} has bodies of its own and does not place them")

    def moved(self, state: State) -> Array:
        """[N, nmocap, 3]: where the task's own bodies stand after a step, once it is paid, m."""
        return state.mocap_pos
