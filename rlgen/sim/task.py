"""The interface between tasks and simulators: a task is a few functions of batched simulator state.

N environments, nq/nv/nu/nbody as in MuJoCo's model, O observation and A action dimensions. Every function takes NumPy
arrays or torch tensors and returns the same type, so one definition runs on C MuJoCo and on the GPU.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch

from rlgen.checks import at_least

Array = Any
"""np.ndarray or torch.Tensor; all arrays of one call have the same type."""

MarginRule = Literal["native", "legacy"]
"""How the contact margins of two geoms combine: "native", their sum, as in MuJoCo 3.5 and later; "legacy", the larger
of them, as in 3.4 and before. Either has the same meaning on every version, see `rlgen.sim.model`."""


class State:
    """Simulator state of N environments: only the arrays named in a task's `fields`.

    After a step, `qpos` and `qvel` are current. All other arrays are from MuJoCo's last forward pass, which with the
    RK4 integrator is the last stage of the last substep. Gymnasium's rewards use the same stale values.
    """

    qpos: Array  # [N, nq]
    qvel: Array  # [N, nv]
    ctrl: Array  # [N, nu] the action, as held by the simulator
    xpos: Array  # [N, nbody, 3] body frames, m
    ten_length: Array  # [N, ntendon] m
    ten_velocity: Array  # [N, ntendon] m/s
    subtree_com: Array  # [N, nbody, 3] centers of mass of the subtrees, m; row 0 is the complete model
    cinert: Array  # [N, nbody, 10] inertias about the center of mass
    cvel: Array  # [N, nbody, 6] velocities about the center of mass
    qfrc_actuator: Array  # [N, nv] actuator forces
    cfrc_ext: Array  # [N, nbody, 6] external contact forces; zero after a reset
    mocap_pos: Array  # [N, nmocap, 3] bodies that the task places and the physics does not move, m

    def __init__(self, **fields: Array) -> None:
        self.__dict__.update(fields)

    def rows(self, index: Array) -> "State":
        """The state of the environments selected by `index`."""
        return State(**{name: array[index] for name, array in self.__dict__.items()})


def namespace(array: Array) -> Any:
    """The module whose functions take this array: numpy or torch."""
    return torch if isinstance(array, torch.Tensor) else np


def indicator(condition: Array, like: Array) -> Array:
    """1 where the condition holds, else 0: the reward of sparse tasks. Shape of both, dtype of `like`."""
    numbers = namespace(like)
    return numbers.where(condition, numbers.ones_like(like), numbers.zeros_like(like))


def flat(array: Array) -> Array:
    """An array [N, ...] flattened to [N, product of the other dimensions]."""
    return array.reshape(len(array), -1)


def within(array: Array, ends: tuple[float, float]) -> Array:
    """Whether each element is strictly between the ends: bool, same shape."""
    return (ends[0] < array) & (array < ends[1])


def given(condition: Array, amount: float, like: Array) -> Array:
    """`amount` where the condition holds, else 0; in the dtype of `like`."""
    numbers = namespace(like)
    return numbers.where(condition, numbers.full_like(like, amount), numbers.zeros_like(like))


def distance(qpos: Array) -> Array:
    """Distance of (x, y), the first two coordinates, from the origin: [N], m."""
    return (qpos[:, 0] ** 2 + qpos[:, 1] ** 2) ** 0.5


def never_terminated(state: State) -> Array:
    """[N] bool, False everywhere: the result of `terminated` for a task that never terminates."""
    numbers = namespace(state.qpos)
    return numbers.zeros_like(numbers.isfinite(state.qpos[:, 0]))


@dataclass(frozen=True, kw_only=True)
class Task(ABC):
    """A task: model, observation, reward and termination. The fields are Gymnasium's keyword arguments."""

    xml: ClassVar[str]
    """Model file among Gymnasium's MuJoCo assets."""
    timestep_s: ClassVar[float]
    """Physics step of that model in seconds, checked when the model is loaded."""
    fields: ClassVar[tuple[str, ...]]
    """The arrays of `State` that the task reads."""
    info_fields: ClassVar[tuple[str, ...]] = ()
    """The additional arrays of `State` that `info` reads."""
    contacts: ClassVar[int] = 16
    """Contacts per environment for which memory is reserved on a GPU."""
    constraints: ClassVar[int] = 48
    """Constraint rows per environment on a GPU: four per contact with friction, one per joint at its limit."""
    rewards_events: ClassVar[bool] = False
    """Whether rewards are for events, such as reaching a goal, and not for the time in a state."""
    camera: ClassVar[Mapping[str, Any]] = {}
    """Camera position, as Gymnasium's `default_camera_config`."""

    frame_skip: int = 5
    """Physics steps per environment step."""
    action_repeat: int = 1
    """Environment steps for which an action is held: the task is observed, and its end is checked, once after them, and
    the reward is that many times the one of the last of them. Time limits count actions."""
    reset_noise_scale: float = 0.1
    """Scale of the noise on the initial position and velocity."""

    def __post_init__(self) -> None:
        at_least(self, 1, "frame_skip", "action_repeat", remedy="give a positive whole number")
        at_least(self, 0, "reset_noise_scale", remedy="give 0 for no noise")

    @property
    def control_step_s(self) -> float:
        """Seconds from one action to the next."""
        return self.timestep_s * self.physics_steps

    @property
    def physics_steps(self) -> int:
        """Physics steps from one action to the next."""
        return self.frame_skip * self.action_repeat

    @abstractmethod
    def observe(self, state: State) -> Array:
        """Observations [N, O], in the dtype of the state."""

    @abstractmethod
    def reward(self, before: State, action: Array, after: State) -> Array:
        """Rewards [N] of `action` [N, A], as the environment received it, for the transition `before` → `after`."""

    def held_reward(self, before: State, action: Array, after: State) -> Array:
        """Rewards [N] of the steps for which `action` is held, as if each had the one of the last; of an event once."""
        return (1 if self.rewards_events else self.action_repeat) * self.reward(before, action, after)

    def info(self, before: State, action: Array, after: State, qpos0: np.ndarray) -> dict[str, Array]:
        """The `info` of Gymnasium's environment for a step: name → [N, ...]. `qpos0` [nq]: the model's default pose."""
        return {}

    @abstractmethod
    def terminated(self, state: State) -> Array:
        """[N] bool: whether the task ends in this state (a fall); the time limit does not count."""

    def initial(self, rng: np.random.Generator, qpos0: np.ndarray, qvel0: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Initial state (qpos [nq], qvel [nv]) of an episode: the model's defaults plus uniform noise.

        A task with other noise overrides this method and draws random numbers in the same order as Gymnasium.
        """
        scale = self.reset_noise_scale
        qpos = qpos0 + rng.uniform(-scale, scale, size=len(qpos0))
        return qpos, qvel0 + rng.uniform(-scale, scale, size=len(qvel0))

    def edit_spec(self, spec: Any) -> Any:
        """The model specification, a `mujoco.MjSpec`, with the task's additions."""
        return spec

    def sample_mocap(self, rng: np.random.Generator) -> np.ndarray:
        """Initial positions [nmocap, 3] of the task's own bodies, m; drawn after `initial`."""
        raise NotImplementedError(f"{type(self).__name__} adds mocap bodies and does not place them")

    def update_mocap(self, state: State) -> Array:
        """Positions [N, nmocap, 3] of the task's own bodies after a step, m; called after `reward`."""
        return state.mocap_pos
