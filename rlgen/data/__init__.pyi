from .archive import Archive
from .demonstrations import Demonstrations
from .episode import Episode
from .images import ImageSet
from .rows import Rows
from .transitions import Transitions
from .visits import Visits

__all__ = [
    "Archive",
    "Demonstrations",
    "Episode",
    "ImageSet",
    "Rows",
    "Transitions",
    "Visits",
]
