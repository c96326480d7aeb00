from .curves import draw_curves
from .report import write_report
from .tables import Row
from .video import Video, record_video
from .visits import draw_visits

__all__ = ["Row", "Video", "draw_curves", "draw_visits", "record_video", "write_report"]
