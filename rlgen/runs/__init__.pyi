from .checkpoint import load_checkpoint, save_checkpoint
from .curves import draw_curves
from .evaluation import Evaluation, RandomPolicy, evaluate
from .folder import RunFolder
from .image_model_file import load_image_model
from .metrics import Metrics, read_metrics
from .report import write_report
from .result import Result
from .video import record_video

__all__ = [
    "Evaluation",
    "Metrics",
    "RandomPolicy",
    "Result",
    "RunFolder",
    "draw_curves",
    "evaluate",
    "load_checkpoint",
    "load_image_model",
    "read_metrics",
    "record_video",
    "save_checkpoint",
    "write_report",
]
