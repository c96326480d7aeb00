"""A published GPT-2 or BERT, whose three files may be from anywhere: it is read, and writes or encodes a text."""

from pathlib import Path

from numpy.random import Generator

from rlgen.data.tokenizers import ByteTokenizer
from rlgen.runs.bert_files import load_bert
from rlgen.runs.text_files import load_text_model
from tests.runs.test_bert_files import published_bert
from tests.runs.test_gpt2_files import published

from .byte_damage import damaged_file
from .json_damage import damaged_json
from .subject import Subject
from .tensor_damage import damaged_tensors


def _build(folder: Path) -> None:
    published(folder)


def _build_bert(folder: Path) -> None:
    published_bert(folder)


def _damage(rng: Generator, folder: Path) -> str:
    if rng.integers(2):
        return damaged_file(rng, folder / "model.safetensors", damaged_tensors)
    name = ("config.json", "config.json", "tokenizer.json")[int(rng.integers(3))]
    return damaged_file(rng, folder / name, damaged_json)


def _write(folder: Path) -> None:
    load_text_model(folder).sample(1, 3, seed=0)


def _encode(folder: Path) -> None:
    load_bert(folder, ByteTokenizer())


TEXTS = (
    Subject(name="gpt2", example="gpt2", build=_build, damage=_damage, use=_write),
    Subject(name="bert", example="bert", build=_build_bert, damage=_damage, use=_encode),
)
