"""Tasks with an instruction: MiniGrid's and BabyAI's (Chevalier-Boisvert et al. 2019, 1810.08272) in numbers."""

import contextlib
import io
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from rlgen.data.cells import VIEW
from rlgen.data.spaces import with_entries
from rlgen.data.words import LENGTH, LONGEST, MISSION, encode, has_instructions, with_own_words
from rlgen.nn.cross_modal import CODES

DIRECTION = "direction"
"""Entry of an observation: where the agent looks."""
LAST_PICTURE = "last_picture"
"""Entry of the info of an episode's last step, in an environment that draws itself: the picture after it, which a
VecEnv does not draw, because it starts the next episode at once."""


class InstructedEnv(gym.Wrapper):
    """A task of MiniGrid whose mission is numbers of words (`rlgen.data.words`) and whose view is codes.

    Each cell of the view has a code of its object, its color and its state. The space of the view says how many codes
    there are, so that nothing takes it for a picture.

    The task may have an attribute `mission_words`, words that are not among those of BabyAI and MiniGrid, and one
    `mission_length`, the most words of a mission.
    """

    last_action: int | None = None
    """The last action of the current episode; None at its start."""

    def __init__(self, env: gym.Env):
        super().__init__(env)
        self.length = instruction_length(env)
        self.words = with_own_words(getattr(env.unwrapped, "mission_words", ()))
        """All words that a mission may have, by their numbers."""
        given = env.observation_space
        assert isinstance(given, spaces.Dict)
        words = spaces.Box(0, len(self.words) - 1, (self.length,), np.uint8)
        view = {VIEW: _codes(given[VIEW])} if _is_cells(env) else {}
        self.observation_space = spaces.Dict({**given.spaces, **view, MISSION: words})

    def reset(self, **options: Any) -> tuple[Any, dict[str, Any]]:
        self.last_action = None
        with contextlib.redirect_stdout(io.StringIO()):  # BabyAI prints each level that it draws and rejects
            observation, info = self.env.reset(**options)
        return self._numbers(observation), info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        self.last_action = int(action)
        observation, reward, terminated, truncated, info = self.env.step(action)
        if (terminated or truncated) and self.render_mode == "rgb_array":
            info = {**info, LAST_PICTURE: self.render()}
        return self._numbers(observation), reward, terminated, truncated, info

    def _numbers(self, observation: Any) -> dict[str, Any]:
        return {**observation, MISSION: encode(observation[MISSION], self.length, self.words)}


def with_numbers(env: gym.Env) -> gym.Env:
    """`env` with its mission in numbers, if it is a task of MiniGrid that shows one, and `env` itself otherwise."""
    space = env.observation_space
    ours = any(kind.__module__.startswith("minigrid.") for kind in type(env.unwrapped).__mro__)
    shown = isinstance(space, spaces.Dict) and getattr(space.spaces.get(MISSION), "shape", ()) is None
    return InstructedEnv(env) if ours and shown else env


def instruction_length(env: gym.Env) -> int:
    """Numbers of an instruction of the task: those that it asks for, or more where BabyAI draws sequences of
    clauses."""
    if (asked := getattr(env.unwrapped, "mission_length", None)) is not None:
        return int(asked)
    return LONGEST if "seq" in getattr(env.unwrapped, "instr_kinds", ()) else LENGTH


def shows_instructions(space: Any) -> bool:
    """Whether a space is that of an `InstructedEnv` with codes of cells, in a view of any size."""
    found = with_entries(space)
    return (
        set(found) == {MISSION, VIEW, DIRECTION}
        and len(found[VIEW].shape or ()) == 3
        and found[VIEW] == _codes(spaces.Box(0, 255, (*found[VIEW].shape[:2], len(CODES)), np.uint8))
        and has_instructions(space)
    )


def _is_cells(env: gym.Env) -> bool:
    """Whether the view is the task's own codes, and not a picture that a wrapper draws."""
    given, own = (getattr(each, "observation_space", None) for each in (env, env.unwrapped))
    same = isinstance(given, spaces.Dict) and isinstance(own, spaces.Dict) and {VIEW} <= set(given.spaces) & set(own)
    return same and given[VIEW].shape == own[VIEW].shape  # type: ignore[index]


def _codes(view: spaces.Space) -> spaces.Box:
    """The space of codes in cells of a view of this shape."""
    assert view.shape is not None
    high = np.zeros(view.shape, np.uint8) + np.array(CODES, np.uint8) - 1  # in the order in which policies are saved
    return spaces.Box(np.zeros_like(high), high, dtype=np.uint8)
