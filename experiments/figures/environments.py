"""Pictures of the sparse tasks, one sheet for docs/environments.md:

MUJOCO_GL=egl python experiments/figures/environments.py
"""

from pathlib import Path

import gymnasium as gym
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle, Rectangle

from rlgen.envs.sparse_cart_pole import SparseCartPoleSwingup
from rlgen.envs.sparse_double_pendulum import SparseDoublePendulum
from rlgen.envs.sparse_mountain_car import SparseMountainCar
from rlgen.envs.swimmer_gather import SwimmerGather
from rlgen.sim.model import no_compiler_log

OUT = Path(__file__).parents[2] / "docs" / "environments.png"
REWARDED = {"color": "tab:green", "alpha": 0.3, "linewidth": 0}
CAMERAS = {
    "SparseHalfCheetah": {"distance": 3.0, "trackbodyid": 1},
    "SparseAnt": {"distance": 3.5, "trackbodyid": 1},
    "SparseHumanoid": {"distance": 3.5, "trackbodyid": 1, "elevation": -10.0},
    "SwimmerGather": dict(SwimmerGather.camera),
}


def mountain_car(ax: Axes) -> None:
    x = np.linspace(-2, 2, 200)
    goal = SparseMountainCar().goal_x
    ax.plot(x, -np.cos(np.pi / 2 * x), color="black")
    ax.axvspan(goal, 2, **REWARDED)
    ax.plot(0, -0.95, "s", color="tab:blue", markersize=10)


def cart_pole(ax: Axes) -> None:
    task = SparseCartPoleSwingup()
    half = np.degrees(np.arccos(task.paid_cosine))
    ax.plot([-task.end_x, task.end_x], [0, 0], color="black")
    ax.add_patch(Rectangle((-0.4, -0.2), 0.8, 0.4, color="tab:blue"))
    for angle in np.radians([180, 160, 140]):
        ax.plot([0, np.sin(angle)], [0, np.cos(angle)], color="tab:orange", linewidth=3)
    sector = np.radians(np.linspace(-half, half, 30))
    ax.fill([0, *np.sin(sector)], [0, *np.cos(sector)], **REWARDED)


def double_pendulum(ax: Axes) -> None:
    task = SparseDoublePendulum()
    rods = np.cumsum([[0, 0], [np.sin(0.5), -np.cos(0.5)], [np.sin(1.4), -np.cos(1.4)]], axis=0)
    ax.add_patch(Circle((0, 2 * task.link_length), task.paid_distance, **REWARDED))
    ax.plot(*rods.T, "o-", color="tab:orange", linewidth=3)
    ax.set_xlim(-2.6, 2.6)
    ax.set_ylim(-2.2, 3.2)


def frame(name: str) -> np.ndarray:
    """A picture [H, W, 3] of a MuJoCo task after some random steps."""
    with no_compiler_log():
        env = gym.make(
            f"rlgen.envs:rlgen/{name}-v0",
            render_mode="rgb_array", width=480, height=360, default_camera_config=CAMERAS[name],
        )  # fmt: skip
    env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(12):
        env.step(env.action_space.sample())
    picture = env.render()
    env.close()
    return np.asarray(picture)


def main() -> None:
    fig, axes = plt.subplots(2, 4, figsize=(12, 5.2), layout="constrained")
    classic = {
        "SparseMountainCar": mountain_car,
        "SparseCartPoleSwingup": cart_pole,
        "SparseDoublePendulum": double_pendulum,
    }
    for ax, (name, draw) in zip(axes.flat, classic.items(), strict=False):
        draw(ax)
        ax.set_aspect("equal")
        ax.set_title(name, fontsize=10)
    for ax, name in zip(axes.flat[len(classic) :], CAMERAS, strict=False):
        ax.imshow(frame(name))
        ax.set_title(name, fontsize=10)
    for ax in axes.flat:
        ax.set_axis_off()
    OUT.parent.mkdir(exist_ok=True)
    fig.savefig(OUT, dpi=70)


if __name__ == "__main__":
    main()
