"""Batched physics on one device: MuJoCo Warp behind torch tensors."""

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from copy import copy
from types import ModuleType
from typing import Any

import mujoco
import torch
from torch import Tensor

from rlgen.errors import problem
from rlgen.sim.model import load_model
from rlgen.sim.task import MarginRule, State, Task

log = logging.getLogger("rlgen")


class WarpPhysics:
    """The physics of N environments of a task's model in float32, advanced by one control step at a time.

    `arrays` are torch views of Warp's memory: writing to them changes the simulation.

    Args:
        task: the source of the model, the fields and `physics_steps`.
        n_envs: N.
        device: device of the simulation.
        margin_rule: see `MarginRule`.
        contacts: memory for contacts, per environment and shared by all; None for the task's value.
        constraints: memory for constraint rows of each environment; None for the task's value.
        captured: capture a control step once as a graph and replay it. The results are the same.

    Raises:
        InputError: Warp is not installed.
    """

    def __init__(
        self,
        task: Task,
        n_envs: int,
        device: torch.device,
        margin_rule: MarginRule = "native",
        contacts: int | None = None,
        constraints: int | None = None,
        captured: bool = True,
    ) -> None:
        self._warp, self._mjw = warp_modules()
        from rlgen.sim.contact_frames import turn_contact_frames

        self.task, self.device = task, device
        self.contacts, self.constraints = contacts or task.contacts, constraints or task.constraints
        self.host = load_model(task, margin_rule)
        """The model for C MuJoCo."""
        solved = solved_by_newton(self.host)
        log.info("Warp loads its kernels for %s; this takes a minute if they are not in its cache", device)
        with self._scope():
            self._model = self._mjw.put_model(solved)
            self._model.opt.warn_overflow = 0  # otherwise the device prints once per environment and step
            self._model.callback.contactfilter = turn_contact_frames
            self._data = self._mjw.make_data(solved, nworld=n_envs, nconmax=self.contacts, njmax=self.constraints)
        self.arrays = {name: self._view(name) for name in (*task.fields, "ctrl", "qacc_warmstart")}
        """Arrays that a step or the task reads, by MuJoCo's names, [N, …] float32."""
        self.now = State(**{name: self.arrays[name] for name in (*task.fields, "ctrl")})
        self._overflow = self._view("overflow")
        self._graph = self._recorded() if captured else None

    def advance(self) -> None:
        """Advance every environment by one control step with `now.ctrl`; on a GPU asynchronously, in torch's current
        stream."""
        with self._scope():
            if self._graph is None:
                self._control_step()
            else:
                self._warp.capture_launch(self._graph)

    def check(self) -> None:
        """Synchronize, and raise `InputError` if contacts or constraints ever exceeded the reserved memory, in which
        case some were omitted."""
        kinds = self._mjw.OverflowType
        for name, flags in (
            ("contacts", kinds.NARROWPHASE | kinds.BROADPHASE | kinds.CCD),
            ("constraints", kinds.NEFC | kinds.NJMAX_NNZ),
        ):
            lost = int((self._overflow & int(flags)).count_nonzero())
            if lost:
                raise problem(
                    f"room for all {name} of {self.task.xml}",
                    f"{name}={getattr(self, name)} was too few in {lost} of {len(self._overflow)} environments",
                    f"make the environment with a larger {name}, e.g. {2 * getattr(self, name)}",
                )

    def _control_step(self) -> None:
        for _ in range(self.task.physics_steps):
            self._mjw.step(self._model, self._data)
        if "cfrc_ext" in self.task.fields:
            self._mjw.rne_postconstraint(self._model, self._data)

    def _recorded(self) -> Any:
        """The graph of a control step. A first step loads the kernels, which is not possible during capture."""
        with self._own_stream(), self._scope():
            self._control_step()
            with self._warp.ScopedCapture() as capture:
                self._control_step()
        return capture.graph

    @contextmanager
    def _own_stream(self) -> Iterator[None]:
        """A new stream on a GPU, because the default stream cannot be captured."""
        if self.device.type != "cuda":
            yield
            return
        with torch.cuda.stream(torch.cuda.Stream(self.device)):
            torch.cuda.synchronize(self.device)
            yield
            torch.cuda.synchronize(self.device)

    def _scope(self) -> AbstractContextManager:
        if self.device.type == "cuda":
            stream = torch.cuda.current_stream(self.device)
            return self._warp.ScopedStream(self._warp.stream_from_torch(stream))
        return self._warp.ScopedDevice("cpu")

    def _view(self, name: str) -> Tensor:
        return self._warp.to_torch(getattr(self._data, name))


def solved_by_newton(model: mujoco.MjModel) -> mujoco.MjModel:
    """The model, or a copy with the Newton solver if it uses PGS, which Warp lacks (Humanoid-v5). Both solvers give the
    same results."""
    if model.opt.solver != mujoco.mjtSolver.mjSOL_PGS:
        return model
    other = copy(model)
    other.opt.solver = mujoco.mjtSolver.mjSOL_NEWTON
    return other


INSTALL = 'pip install "rlgen[gpu]"'


def warp_modules() -> tuple[ModuleType, ModuleType]:
    """The modules (warp, mujoco_warp); Warp logs only errors from then on.

    Raises:
        InputError: one of them is not installed.
    """
    try:
        import warp

        warp.config.log_level = warp.LOG_ERROR  # before the other import, which starts Warp
        import mujoco_warp
    except ModuleNotFoundError as error:
        raise problem("the packages of the warp backend", f"no module {error.name!r}", INSTALL) from error
    return warp, mujoco_warp
