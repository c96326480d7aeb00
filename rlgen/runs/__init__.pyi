from .checkpoint import load_checkpoint, save_checkpoint
from .evaluation import Evaluation, RandomPolicy, evaluate
from .folder import RunFolder
from .image_files import load_image_model
from .metrics import Metrics, read_metrics
from .result import Result, Returns

__all__ = [
    "Evaluation",
    "Metrics",
    "RandomPolicy",
    "Result",
    "Returns",
    "RunFolder",
    "evaluate",
    "load_checkpoint",
    "load_image_model",
    "read_metrics",
    "save_checkpoint",
]
