"""The search for an off-screen renderer, in a child process, because a broken OpenGL driver ends its process."""

import functools
import os
import subprocess
import sys
from dataclasses import dataclass

PROBE_TIMEOUT_S = 60.0

PROBE = """
import mujoco
model = mujoco.MjModel.from_xml_string(
    '<mujoco><worldbody><light pos="0 0 3"/><geom type="sphere" size="1"/></worldbody></mujoco>')
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
renderer = mujoco.Renderer(model, 32, 32)
renderer.update_scene(data)
assert renderer.render().any(), "the picture is black"
renderer.close()
"""


@dataclass(frozen=True)
class Renderer:
    """A renderer: MuJoCo's name for it, or None and the reason."""

    name: str | None
    detail: str


@functools.cache
def find_renderer() -> Renderer:
    """The first of $MUJOCO_GL, EGL, OSMesa and GLFW that renders a picture on this machine; tried once per process."""
    failures = []
    for name in _candidates():
        why = _probe(name)
        if why is None:
            return Renderer(name, f"{name} draws off-screen")
        failures.append(f"{name}: {why}")
    remedy = "pip install glfw pyopengl; on Debian also apt-get install libegl1 libgl1-mesa-dri"
    return Renderer(None, f"no OpenGL draws off-screen here ({'; '.join(failures)}): {remedy}")


def child_environment(name: str) -> dict[str, str]:
    """Environment variables of a child process that renders with `name`."""
    # PyOpenGL would keep the platform of the parent; MuJoCo sets the right one if it is unset.
    inherited = {key: value for key, value in os.environ.items() if key != "PYOPENGL_PLATFORM"}
    return inherited | {"MUJOCO_GL": name}


def last_line(text: str) -> str:
    """The line of a Python traceback with the error."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("Exception ignored")]
    return lines[-1] if lines else "no message"


def _candidates() -> list[str]:
    known = {"linux": ["egl", "osmesa", "glfw"], "darwin": ["cgl", "glfw"]}.get(sys.platform, ["glfw"])
    wanted = os.environ.get("MUJOCO_GL", "").lower()  # MuJoCo's own variable, which the user set
    return sorted(known, key=lambda name: name != wanted)


def _probe(name: str) -> str | None:
    """The reason why `name` does not render; None if it does."""
    command = [sys.executable, "-P", "-c", PROBE]
    try:
        done = subprocess.run(
            command, env=child_environment(name), capture_output=True, text=True, check=False, timeout=PROBE_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {PROBE_TIMEOUT_S:.0f} s"
    if done.returncode == 0:
        return None
    return last_line(done.stderr) if done.returncode > 0 else f"killed by signal {-done.returncode}"
