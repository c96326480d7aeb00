"""Published weights of GPT-2: the folder of a model in the form of Hugging Face's package transformers.

Of such a folder, config.json, model.safetensors and tokenizer.json are read, and nothing is downloaded or run.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rlgen.data.text_model import TextModel
from rlgen.data.tokenizers import BPETokenizer, from_json
from rlgen.errors import problem
from rlgen.generators.language_model import LanguageModel, LanguageModelConfig
from rlgen.runs.config import read_json, restored
from rlgen.runs.published_files import CONFIG, TOKENIZER, WEIGHTS, read_config, read_weights, whole_numbers

LEARNING_RATE = 5e-5
"""Learning rate with which published weights are trained on, unless another is given. Li et al. 2020 (2004.04092),
released code."""
EXPANSION = 4
REQUIRED: Mapping[str, Any] = {
    "activation_function": "gelu_new",
    "layer_norm_epsilon": 1e-5,
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "tie_word_embeddings": True,
    "add_cross_attention": False,
}
"""Settings of GPT-2, which are also those of a config.json without them; others make another network."""


def load_gpt2(folder: str | os.PathLike[str]) -> TextModel:
    """The GPT-2 of a folder with its tokenizer, in evaluation mode. Its symbol for the end of a text, which is between
    texts there, is the start symbol here.

    Raises `InputError` for another kind of model, files that are missing or damaged, and tokenizers that lose text.
    """
    folder = Path(folder)
    described = describe(folder)
    tokenizer = _tokenizer(folder, described.vocabulary)
    try:
        weights = _converted(read_weights(folder, "AutoModelForCausalLM", "transformer."), described)
        with torch.random.fork_rng(devices=[]):  # building draws initial weights, which are replaced
            model = LanguageModel(described.vocabulary, described.config)
        model.load_state_dict(weights)
    except (KeyError, IndexError, RuntimeError) as error:
        raise problem(f"the weights of a GPT-2 as {folder / CONFIG} says", str(error)[:400], "get it again") from error
    probe = tokenizer.encode(PROBE)[: described.config.context]
    if not bool(model.eval().log_prob(probe[None]).isfinite().all()):
        raise problem(f"weights in {folder / WEIGHTS} that give finite probabilities", "others", "get it again")
    return TextModel(model, tokenizer)


class Description(NamedTuple):
    """What config.json says of a GPT-2."""

    config: LanguageModelConfig
    vocabulary: int
    start: int
    """Token between texts."""


def describe(folder: Path) -> Description:
    """The sizes of the GPT-2 of a folder. Raises `InputError` for another kind of model."""
    place = folder / CONFIG
    found = read_config(folder, "gpt2", "GPT-2", REQUIRED, "take a GPT-2, or a run of `rlgen train text`")
    number = whole_numbers(found, _NUMBERS, folder)
    if found.get("n_inner") not in (None, EXPANSION * number["n_embd"]):
        got = f"n_inner {found['n_inner']!r} in {place}"
        raise problem(f"a feedforward network of {EXPANSION} times the width", got, "take another model")
    dropout: float = restored(float, found.get("resid_pdrop", 0.1), f"resid_pdrop in {place}")
    config = LanguageModelConfig(
        network="gpt2",
        context=number["n_positions"],
        width=number["n_embd"],
        depth=number["n_layer"],
        heads=number["n_head"],
        dropout=dropout,
        learning_rate=LEARNING_RATE,
        weight_decay=0.0,
    )
    if not 0 <= number["bos_token_id"] < number["vocab_size"]:
        got = f"{number['bos_token_id']} in {place}"
        raise problem(f"a bos_token_id below the vocabulary of {number['vocab_size']:,}", got, "get it again")
    return Description(config, number["vocab_size"], number["bos_token_id"])


_NUMBERS = ("n_positions", "n_embd", "n_layer", "n_head", "vocab_size", "bos_token_id")


def _tokenizer(folder: Path, vocabulary: int) -> BPETokenizer:
    """The tokenizer of the folder. Raises `InputError` unless it gives back every text and fits the vocabulary."""
    path = folder / TOKENIZER
    tokenizer = from_json({"kind": BPETokenizer.kind, "description": read_json(path)}, path)
    assert isinstance(tokenizer, BPETokenizer)
    if (again := tokenizer.decode(tokenizer.encode(PROBE).tolist())) != PROBE:
        raise problem("a tokenizer that gives back every text", f"{again!r} for {PROBE!r} by {path}", "take GPT-2's")
    if tokenizer.size != vocabulary:
        got = f"{tokenizer.size:,} in {path}"
        raise problem(f"the {vocabulary:,} tokens of {folder / CONFIG}", got, "take both from one model")
    return tokenizer


PROBE = " The  CAT's\n\tÜber 日本 1.5"


def _converted(weights: Mapping[str, Tensor], described: Description) -> dict[str, Tensor]:
    """The state of a `LanguageModel` from GPT-2's tensors. Raises errors of several classes for others.

    GPT-2 keeps matrices as [in, out], and query, key and value of a block in one; here a key and a value of each head
    follow each other."""
    config, start, tokens = described.config, described.start, weights["wte.weight"]
    if tokens.shape != (described.vocabulary, config.width):
        raise RuntimeError(f"wte.weight has the shape {list(tokens.shape)}")
    if "lm_head.weight" in weights and not torch.equal(weights["lm_head.weight"], tokens):
        raise problem("a last layer with the weights of the embedding", "others in lm_head.weight", "take a GPT-2")
    found = {
        "embedding.weight": torch.cat([tokens, tokens[start : start + 1]]),
        "network.positions.weight": weights["wpe.weight"],
        "network.norm.weight": weights["ln_f.weight"],
        "network.norm.bias": weights["ln_f.bias"],
    }
    for number in range(config.depth):
        theirs, ours = f"h.{number}.", f"network.blocks.{number}."
        for part in ("weight", "bias"):
            query, key, value = weights[f"{theirs}attn.c_attn.{part}"].movedim(-1, 0).chunk(3)
            heads = [each.unflatten(0, (config.heads, -1)) for each in (key, value)]
            found[f"{ours}attention.query.{part}"] = query
            found[f"{ours}attention.key_value.{part}"] = torch.cat(heads, 1).flatten(0, 1)
            for name, own in _MATRICES.items():
                found[f"{ours}{own}.{part}"] = weights[f"{theirs}{name}.{part}"].movedim(-1, 0)
            for name, own in _NORMS.items():
                found[f"{ours}{own}.{part}"] = weights[f"{theirs}{name}.{part}"]
    return found


_MATRICES = {"attn.c_proj": "attention.output", "mlp.c_fc": "feedforward.0", "mlp.c_proj": "feedforward.2"}
_NORMS = {"ln_1": "attention_norm", "ln_2": "feedforward_norm"}
