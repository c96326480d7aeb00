"""The cells that an agent of MiniGrid sees, in codes of object, color and state: which object is where."""

from typing import Any

import numpy as np

from rlgen.data.spaces import is_codes, with_entries
from rlgen.data.words import COLORS

VIEW = "image"
"""Entry of an observation: the cells in sight."""
OBJECTS = {4: "door", 5: "key", 6: "ball", 7: "box"}
"""Objects that instructions name, by code. The code of a color is its place in `COLORS`."""


def shows_cells(space: Any) -> bool:
    """Whether an observation of `space` has a square view of codes of cells."""
    found = with_entries(space).get(VIEW)
    return found is not None and is_codes(found) and len(found.shape) == 3 and found.shape[::2] == (found.shape[1], 3)


def carried(views: np.ndarray) -> np.ndarray:
    """Codes [..., 3] of the agent's own cell in views [..., V, V, 3]: those of the object that it carries."""
    side = views.shape[-2]
    return views[..., side // 2, side - 1, :]


def ahead(views: np.ndarray) -> np.ndarray:
    """Codes [..., 3] of the cell in front of the agent in views [..., V, V, 3]."""
    side = views.shape[-2]
    return views[..., side // 2, side - 2, :]


def object_name(cell: np.ndarray) -> str:
    """Color and kind of the object in a cell [3], e.g. red ball; empty without one that instructions name."""
    kind, color = OBJECTS.get(int(cell[0])), int(cell[1])
    return f"{COLORS[color]} {kind}" if kind and color < len(COLORS) else ""


class ObjectsFaced:
    """The last object that each of N agents stood before in its episode."""

    def __init__(self, n: int):
        self.cells = np.zeros((n, 3), np.uint8)

    def see(self, views: np.ndarray) -> None:
        """Views [N, V, V, 3] of the next step."""
        cells = ahead(views)
        found = np.isin(cells[:, 0], list(OBJECTS))
        self.cells[found] = cells[found]

    def end(self, agent: int, view: np.ndarray) -> tuple[str, str]:
        """The object that this agent carries in the last view [V, V, 3] of its episode, and the last one that it stood
        before; its next episode starts with none."""
        last = ahead(view) if object_name(ahead(view)) else self.cells[agent]
        found = object_name(carried(view)), object_name(last)
        self.cells[agent] = 0
        return found
