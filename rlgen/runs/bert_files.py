"""Published weights of BERT, which encode the sentences of a VAE: the folder of a model in the form of Hugging Face's
package transformers."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rlgen.data.bert_reader import BertReader, WordPieces
from rlgen.data.tokenizers import Tokenizer
from rlgen.errors import InputError, problem
from rlgen.generators.sentence_vae import Reader
from rlgen.nn.bert import BertSizes
from rlgen.runs.config import read_object, restored, write_json
from rlgen.runs.published_files import CONFIG, TOKENIZER, WEIGHTS, read_config, read_weights, whole_numbers

ENCODER = "encoder.json"
REQUIRED: Mapping[str, Any] = {
    "hidden_act": "gelu",
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "add_cross_attention": False,
}
"""Settings of BERT, which are also those of a config.json without them; others make another network."""
NUMBERS = (
    *("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads"),
    *("intermediate_size", "max_position_embeddings"),
)


def load_bert(folder: Path, written: Tokenizer) -> BertReader:
    """The BERT of a folder as the encoder of a VAE whose tokenizer is `written`.

    Raises `InputError` for another kind of model, and files that are missing or damaged.
    """
    sizes = describe_bert(folder)
    pieces = _pieces(read_object(folder / TOKENIZER), folder / TOKENIZER)
    try:
        weights = _converted(read_weights(folder, "AutoModel", "bert."), sizes)
        with torch.random.fork_rng(devices=[]):  # building draws initial weights, which are replaced
            reader = BertReader(sizes, pieces, written, f"the published BERT {folder.resolve().name}")
        reader.network.load_state_dict(weights)
    except (KeyError, IndexError, RuntimeError) as error:
        raise problem(f"the weights of a BERT as {folder / CONFIG} says", str(error)[:400], "get it again") from error
    reader.eval()
    with torch.no_grad():
        if not bool(reader(written.encode(PROBE)[None]).isfinite().all()):
            raise problem(f"weights in {folder / WEIGHTS} that give finite features", "others", "get it again")
    return reader.train()


PROBE = "The cat sat."


def describe_bert(folder: Path) -> BertSizes:
    """The sizes of the BERT of a folder. Raises `InputError` for another kind of model."""
    if not (folder / CONFIG).is_file():
        got = "none" if folder.is_dir() else "no folder"
        raise problem(f"a BERT (config.json, model.safetensors, tokenizer.json) in {folder}", got, "check the path")
    found = read_config(folder, "bert", "BERT", REQUIRED, "take a BERT")
    number = whole_numbers(found, NUMBERS, folder)
    place = folder / CONFIG
    return BertSizes(
        vocabulary=number["vocab_size"],
        width=number["hidden_size"],
        depth=number["num_hidden_layers"],
        heads=number["num_attention_heads"],
        hidden=number["intermediate_size"],
        positions=number["max_position_embeddings"],
        dropout=restored(float, found.get("hidden_dropout_prob", 0.1), f"hidden_dropout_prob in {place}"),
        epsilon=restored(float, found.get("layer_norm_eps", 1e-12), f"layer_norm_eps in {place}"),
    )


def _pieces(description: Any, path: Path) -> WordPieces:
    """The tokenizer of a description from the file `path`. Raises `InputError` for anything else."""
    try:
        return WordPieces(description)
    except InputError:
        raise
    except Exception as error:  # the package raises Exception itself for a description that it cannot read
        said = f"{type(error).__name__}: {error}"[:200]
        raise problem(f"a tokenizer of the package tokenizers in {path}", said, "get it again") from error


def save_reader(folder: str | os.PathLike[str], reader: Reader | None) -> None:
    """Write FOLDER/encoder.json: sizes and tokenizer, without weights; nothing where there is no other encoder. Raises
    `InputError` for one that `load_reader` cannot make."""
    if reader is None:
        return
    if not isinstance(reader, BertReader):
        got, remedy = f"a {type(reader).__name__}", "save the model's state_dict yourself"
        raise problem("a BertReader, the encoder that a folder can hold", got, remedy)
    card = {"origin": reader.origin, "sizes": reader.network.sizes, "tokenizer": reader.pieces.description}
    write_json(Path(folder) / ENCODER, card)


def load_reader(folder: str | os.PathLike[str], written: Tokenizer) -> BertReader | None:
    """The encoder that a run's FOLDER/encoder.json describes, with random weights; None without that file. Raises
    `InputError` for a damaged one."""
    path = Path(folder) / ENCODER
    if not path.is_file():
        return None
    card = read_object(path)
    sizes: BertSizes = restored(BertSizes, card.get("sizes"), f"sizes in {path}")
    origin: str = restored(str, card.get("origin"), f"origin in {path}")
    pieces = _pieces(card.get("tokenizer"), path)
    with torch.random.fork_rng(devices=[]):  # its weights are replaced
        return BertReader(sizes, pieces, written, origin)


def _converted(weights: Mapping[str, Tensor], sizes: BertSizes) -> dict[str, Tensor]:
    """The state of a `Bert` from published tensors; older ones name the two parts of a norm gamma and beta. Raises
    errors of several classes for others."""
    named = {
        name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias"): tensor
        for name, tensor in weights.items()
    }
    segment = named["embeddings.token_type_embeddings.weight"][0]
    found = {
        "words.weight": named["embeddings.word_embeddings.weight"],
        "positions.weight": named["embeddings.position_embeddings.weight"] + segment,
    }
    for part in ("weight", "bias"):
        found[f"norm.{part}"] = named[f"embeddings.LayerNorm.{part}"]
        for number in range(sizes.depth):
            theirs, ours = f"encoder.layer.{number}.", f"blocks.layers.{number}."
            inputs = [named[f"{theirs}attention.self.{each}.{part}"] for each in ("query", "key", "value")]
            found[f"{ours}self_attn.in_proj_{part}"] = torch.cat(inputs)
            for name, own in _LAYERS.items():
                found[f"{ours}{own}.{part}"] = named[f"{theirs}{name}.{part}"]
    described = {  # before anything of these sizes is built
        "words.weight": (sizes.vocabulary, sizes.width),
        "positions.weight": (sizes.positions, sizes.width),
        "blocks.layers.0.linear1.weight": (sizes.hidden, sizes.width),
    }
    for name, shape in described.items():
        if found[name].shape != shape:
            raise RuntimeError(f"{name} has the shape {list(found[name].shape)} instead of {list(shape)}")
    return found


_LAYERS = {
    "attention.output.dense": "self_attn.out_proj",
    "attention.output.LayerNorm": "norm1",
    "intermediate.dense": "linear1",
    "output.dense": "linear2",
    "output.LayerNorm": "norm2",
}
