"""What the first clause of an instruction asks for, in the grammar of BabyAI (Chevalier-Boisvert et al. 2019,
1810.08272)."""

import re
from dataclasses import dataclass

from rlgen.data.cells import OBJECTS
from rlgen.data.words import COLORS

KINDS = {"go": "go to", "pick": "pick up", "open": "open", "put": "put next to"}
"""First word of an instruction, and its kind in words."""
ANY = "object"
"""Word for an object of any kind."""
_NAMED = re.compile(rf"(?P<first>go to|pick up|open|put) (a|the) ((?P<color>{'|'.join(COLORS)}) )?(?P<object>\w+)\b")
_NEXT_CLAUSE = re.compile(r", then | and | after you ")


@dataclass(frozen=True)
class Clause:
    """A clause such as "pick up the red ball"."""

    kind: str
    """Kind of the instruction: go to, pick up, open or put next to."""
    color: str
    """Color of the object that it is about, the first one of "put next to"; empty for any."""
    object: str
    """Kind of this object: door, key, ball or box; empty for any."""
    alone: bool
    """Whether the instruction has no other clause."""

    def is_about(self, name: str) -> bool:
        """Whether an object of this name, e.g. red ball, has the color and the kind that are asked for."""
        color, _, kind = name.partition(" ")
        return self.color in ("", color) and self.object in ("", kind) and bool(name)


def first_clause(text: str) -> Clause | None:
    """The first clause of an instruction; None for missions of other forms.

    >>> first_clause("put the key next to a red box")
    Clause(kind='put next to', color='', object='key', alone=True)
    """
    found = _NAMED.match(text)
    if found is None or found["object"] not in (*OBJECTS.values(), ANY):
        return None
    kind = KINDS[found["first"].partition(" ")[0]]
    object_ = "" if found["object"] == ANY else found["object"]
    return Clause(kind, found["color"] or "", object_, _NEXT_CLAUSE.search(text) is None)
