"""Episodes of a task with instructions that are known on paper, without an environment: of two objects, left and right,
the agent turns to the one that is named, and sees it in front at the end. The direction shows when it is to turn."""

import numpy as np

from rlgen.data import Demonstrations, Episode

GO, TO, THE, BALL, RED = 1, 2, 14, 16, 20
"""Numbers of words; three kinds of objects and six colors follow each other."""
WORDS, LENGTH, ACTIONS = 26, 8, 3
LEFT, RIGHT, FRONT = (0, 3), (6, 3), (3, 5)
EMPTY = (1, 0, 0)


def demonstrations(episodes: int, seed: int = 0) -> Demonstrations:
    """Episodes of 2 to 4 steps whose actions are 0 for left, 1 for right, and 2 for waiting before that."""
    random = np.random.default_rng(seed)
    return Demonstrations.from_episodes([episode(random) for _ in range(episodes)], env_id="test/Two-v0")


def episode(random: np.random.Generator) -> Episode:
    kinds, colors = random.choice(3, 2, replace=False), random.choice(6, 2, replace=False)
    named, steps = int(random.integers(2)), int(random.integers(2, 5))
    image = np.empty((steps + 1, 7, 7, 3), np.uint8)
    image[:] = EMPTY
    for place, kind, color in zip((LEFT, RIGHT), kinds, colors, strict=True):
        image[:-1, *place] = 5 + kind, color, 0
    image[-1, *FRONT] = 5 + kinds[named], colors[named], 0
    words = np.zeros((steps + 1, LENGTH), np.uint8)
    words[:, :5] = GO, TO, THE, RED + colors[named], BALL + kinds[named]
    direction = (np.arange(steps + 1) >= steps - 1).astype(np.int64)[:, None]
    seen = {"image": image.reshape(steps + 1, -1), "direction": direction, "mission": words}
    actions = np.full((steps, 1), 2.0)
    actions[-1] = named
    return Episode(observations=seen, actions=actions, rewards=np.ones(steps), terminated=True)
