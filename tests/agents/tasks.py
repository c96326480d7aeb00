"""Small tasks with experts written by hand: of vectors, windows, images and dictionaries."""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import FilterObservation, FrameStackObservation
from minigrid.wrappers import ImgObsWrapper

GOAL, WALL = 8, 2


def grid(**options: Any) -> gym.Env:
    """A room of 3 x 3 cells; the agent starts anywhere and sees 7 x 7 cells before it."""
    return gym.make("MiniGrid-Empty-Random-5x5-v0", **options)


def grid_image(**options: Any) -> gym.Env:
    return ImgObsWrapper(grid(**options))


def grid_dictionary(**options: Any) -> gym.Env:
    return FilterObservation(grid(**options), ["image", "direction"])


class Captioned(gym.ObservationWrapper):
    """Shows the mission under another name."""

    def __init__(self, env: gym.Env):
        super().__init__(env)
        found = dict(env.observation_space.spaces)
        self.observation_space = spaces.Dict({"caption": found.pop("mission"), **found})

    def observation(self, observation: Any) -> Any:
        return {"caption": observation["mission"], **{name: observation[name] for name in ("image", "direction")}}


def grid_caption(**options: Any) -> gym.Env:
    return Captioned(grid(**options))


def pendulum_window(**options: Any) -> gym.Env:
    return FrameStackObservation(gym.make("Pendulum-v1", **options), 2)


def cart_window(**options: Any) -> gym.Env:
    return FrameStackObservation(gym.make("CartPole-v1", **options), 2)


class Brightness(gym.Env):
    """Shows a gray image; the action names its brightness, from -1 to 1."""

    observation_space = spaces.Box(0, 255, (8, 8, 3), np.uint8)
    action_space = spaces.Box(-1, 1, (1,))

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return self.image(), {}

    def step(self, action: np.ndarray) -> Any:
        reward = 1 - abs(float(action[0]) - self.level)
        return self.image(), reward, False, False, {}

    def image(self) -> np.ndarray:
        gray = int(self.np_random.integers(256))
        self.level = gray / 127.5 - 1
        return np.full((8, 8, 3), gray, np.uint8)


class Photometer:
    """Names the brightness."""

    def predict(self, observation: np.ndarray, *, deterministic: bool = True) -> tuple[np.ndarray, None]:
        return observation.reshape(len(observation), -1)[:, :1] / np.float32(127.5) - 1, None


gym.register("test/Brightness-v0", Brightness, max_episode_steps=10)
gym.register("test/CartWindow-v0", cart_window, max_episode_steps=100)
gym.register("test/GridCaption-v0", grid_caption, max_episode_steps=20)
gym.register("test/GridImage-v0", grid_image, max_episode_steps=20)
gym.register("test/GridDictionary-v0", grid_dictionary, max_episode_steps=20)
gym.register("test/PendulumWindow-v0", pendulum_window, max_episode_steps=200)


class Walker:
    """Walks to the green goal that it sees: ahead if there is no wall, else it turns."""

    def predict(self, observation: Any, *, deterministic: bool = True) -> tuple[np.ndarray, None]:
        views = observation["image"] if isinstance(observation, dict) else observation
        return np.array([self.action(view) for view in views]), None

    def action(self, view: np.ndarray) -> int:
        """0 turns left, 1 right, 2 steps ahead. The agent is at (3, 6) of its view and looks along decreasing rows."""
        goal = np.argwhere(view[:, :, 0] == GOAL)
        if not len(goal):
            return 1
        if goal[0][1] < 6 and view[3, 5, 0] != WALL:
            return 2
        return 0 if goal[0][0] < 3 else 1


class Balancer:
    """Balances CartPole: pushes towards where the pole falls; reads the last frame of a window."""

    def predict(self, observation: np.ndarray, *, deterministic: bool = True) -> tuple[np.ndarray, None]:
        return (observation.reshape(len(observation), -1, 4)[:, -1] @ np.array([0.02, 0.1, 1.0, 0.5]) > 0).astype(
            int
        ), None


class Swinger:
    """Swings Pendulum up by its energy (Åström & Furuta 2000) and holds it; reads the last frame of a window."""

    def predict(self, observation: np.ndarray, *, deterministic: bool = True) -> tuple[np.ndarray, None]:
        cosine, sine, speed = observation.reshape(len(observation), -1, 3)[:, -1].T
        energy = speed**2 / 6 + 5 * (cosine - 1)  # 0 at rest on top
        pumping = np.clip(2 * speed * np.clip(-energy, -1, 1), -2, 2)
        holding = -12 * np.arctan2(sine, cosine) - 3 * speed
        near = 1 / (1 + np.exp(-20 * (cosine - 0.85)))
        return np.clip(near * holding + (1 - near) * pumping, -2, 2)[:, None], None
