from .bert_files import load_bert
from .checkpoint import load_checkpoint, save_checkpoint
from .evaluation import Evaluation, RandomPolicy, evaluate
from .folder import RunFolder
from .image_files import load_image_model
from .instruction_files import load_instruction_model, load_speaker
from .metrics import Metrics, read_metrics
from .result import Result, Returns
from .text_files import load_text_model

__all__ = [
    "Evaluation",
    "Metrics",
    "RandomPolicy",
    "Result",
    "Returns",
    "RunFolder",
    "evaluate",
    "load_bert",
    "load_checkpoint",
    "load_image_model",
    "load_instruction_model",
    "load_speaker",
    "load_text_model",
    "read_metrics",
    "save_checkpoint",
]
