from .archive import Archive
from .bert_reader import BertReader
from .demonstrations import Demonstrations
from .episode import Episode
from .images import ImageSet
from .rows import Rows
from .sentence_batches import SentenceBatches
from .sentence_model import SentenceModel
from .sentences import Sentences
from .text_model import TextModel
from .text_windows import TextWindows
from .texts import Corpus
from .tokenizers import BPETokenizer, ByteTokenizer, Tokenizer
from .transitions import Transitions
from .visits import Visits

__all__ = [
    "Archive",
    "BPETokenizer",
    "BertReader",
    "ByteTokenizer",
    "Corpus",
    "Demonstrations",
    "Episode",
    "ImageSet",
    "Rows",
    "SentenceBatches",
    "SentenceModel",
    "Sentences",
    "TextModel",
    "TextWindows",
    "Tokenizer",
    "Transitions",
    "Visits",
]
