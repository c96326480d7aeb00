"""Published weights of BERT give the features of BERT, and other files are refused."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from rlgen.data import BertReader, ByteTokenizer
from rlgen.errors import InputError
from rlgen.nn.bert import BertSizes
from rlgen.nn.padding import padded
from rlgen.runs import load_bert

tokenizers = pytest.importorskip("tokenizers")
WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "a", "cat", "dog", "rat", "sat", "lay", "on", "by", "it", "me", ".")
WIDTH, DEPTH, HEADS, HIDDEN, PLACES = 12, 2, 3, 20, 16


def published_bert(folder: Path, prefix: str = "", old_norms: bool = False, **changes: Any) -> Path:
    """A folder with a random BERT, as the package transformers writes it."""
    folder.mkdir(parents=True, exist_ok=True)
    pieces = tokenizers.Tokenizer(
        tokenizers.models.WordPiece({word: n for n, word in enumerate(WORDS)}, unk_token="[UNK]")
    )
    pieces.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=True)
    pieces.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    pieces.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    pieces.enable_truncation(5)  # as published ones have it; nothing is cut here
    pieces.enable_padding(length=9)
    pieces.save(str(folder / "tokenizer.json"))
    sizes = {"hidden_size": WIDTH, "num_hidden_layers": DEPTH, "num_attention_heads": HEADS, "vocab_size": len(WORDS)}
    sizes |= {"intermediate_size": HIDDEN, "max_position_embeddings": PLACES}
    config = {"model_type": "bert", "hidden_act": "gelu", "layer_norm_eps": 1e-5, **sizes, **changes}
    (folder / "config.json").write_text(json.dumps(config))
    named = {f"{prefix}{name}": tensor for name, tensor in tensors().items()}
    if old_norms:
        named = {
            name.replace("Norm.weight", "Norm.gamma").replace("Norm.bias", "Norm.beta"): tensor
            for name, tensor in named.items()
        }
    save_file(named | {"pooler.dense.bias": torch.ones(WIDTH)}, folder / "model.safetensors")
    return folder


def tensors() -> dict[str, Tensor]:
    """Tensors of BERT by their published names, so large that every one of them shows."""
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (len(WORDS), WIDTH),
        "embeddings.position_embeddings.weight": (PLACES, WIDTH),
        "embeddings.token_type_embeddings.weight": (2, WIDTH),
    }
    norms = ["embeddings.LayerNorm"]
    for block in range(DEPTH):
        at = f"encoder.layer.{block}."
        norms += [f"{at}attention.output.LayerNorm", f"{at}output.LayerNorm"]
        layers = {f"attention.self.{each}": (WIDTH, WIDTH) for each in ("query", "key", "value")}
        layers |= {"attention.output.dense": (WIDTH, WIDTH), "intermediate.dense": (HIDDEN, WIDTH)}
        for name, (out, width) in (layers | {"output.dense": (WIDTH, HIDDEN)}).items():
            shapes |= {f"{at}{name}.weight": (out, width), f"{at}{name}.bias": (out,)}
    for name in norms:
        shapes |= {f"{name}.weight": (WIDTH,), f"{name}.bias": (WIDTH,)}
    generator = torch.Generator().manual_seed(0)
    return {name: 0.5 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def bert_features(weights: dict[str, Tensor], tokens: list[int]) -> Tensor:
    """Features [T, W] of a sentence. Devlin et al. 2019, section 3, and Vaswani et al. 2017, section 3, written here
    for single sequences, as an independent witness."""

    def norm(x: Tensor, name: str) -> Tensor:
        centered = x - x.mean(-1, keepdim=True)
        scale = (centered.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        return centered / scale * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def dense(x: Tensor, name: str) -> Tensor:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    x = weights["embeddings.word_embeddings.weight"][tokens]
    x = x + weights["embeddings.position_embeddings.weight"][: len(tokens)]
    x = norm(x + weights["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for block in range(DEPTH):
        at = f"encoder.layer.{block}"
        query, key, value = (dense(x, f"{at}.attention.self.{each}") for each in ("query", "key", "value"))
        heads = []
        for head in range(HEADS):
            part = slice(head * WIDTH // HEADS, (head + 1) * WIDTH // HEADS)
            shares = (query[:, part] @ key[:, part].T / math.sqrt(WIDTH // HEADS)).softmax(-1)
            heads.append(shares @ value[:, part])
        x = norm(x + dense(torch.cat(heads, 1), f"{at}.attention.output.dense"), f"{at}.attention.output.LayerNorm")
        hidden = dense(x, f"{at}.intermediate.dense")
        hidden = hidden * 0.5 * (1 + torch.erf(hidden / math.sqrt(2)))
        x = norm(x + dense(hidden, f"{at}.output.dense"), f"{at}.output.LayerNorm")
    return x


def read(folder: Path) -> BertReader:
    return load_bert(folder, ByteTokenizer()).eval()


@pytest.mark.parametrize(("prefix", "old_norms"), [("", False), ("bert.", True)])
@torch.no_grad()
def test_published_weights_give_the_features_of_bert(tmp_path: Path, prefix: str, old_norms: bool) -> None:
    reader = read(published_bert(tmp_path / "bert", prefix, old_norms))
    sentences = {"The cat sat on it by me.": [2, 4, 6, 9, 11, 13, 12, 14, 15, 3], "a zebra": [2, 5, 1, 3], "": [2, 3]}
    assert [reader.pieces.encode(each).tolist() for each in sentences] == list(sentences.values())
    found = reader(padded([ByteTokenizer().encode(each) for each in sentences]))  # as one minibatch
    expected = torch.stack([bert_features(tensors(), each).mean(0) for each in sentences.values()])
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert (expected[0] - expected[1]).norm() > 100 * 1e-4  # far more than the tolerance
    tokens = padded([torch.tensor(each) for each in sentences.values()])
    torch.testing.assert_close(reader.network(tokens)[1, :4], bert_features(tensors(), tokens[1, :4].tolist()))


def test_gradients_reach_every_published_weight(tmp_path: Path) -> None:
    reader = load_bert(published_bert(tmp_path / "bert"), ByteTokenizer())
    reader(ByteTokenizer().encode("the cat sat")[None]).square().sum().backward()
    still = {name for name, each in reader.named_parameters() if each.grad is None or not each.grad.any()}
    assert not still


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"model_type": "gpt2"}, "a model of the type bert; got 'gpt2'"),
        ({"hidden_act": "relu"}, "the network of BERT, with hidden_act 'gelu'; got hidden_act 'relu'"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type 'absolute'"),
        ({"num_hidden_layers": DEPTH + 1}, "the weights of a BERT as .*config.json says"),
        ({"max_position_embeddings": PLACES + 1}, "the weights of a BERT as .*config.json says"),
        ({"num_attention_heads": 5}, "a width that is a multiple of the number of heads"),
        ({"vocab_size": 3}, r"words\.weight has the shape \[16, 12\] instead of \[3, 12\]"),
        ({"hidden_size": "twelve"}, "hidden_size in"),
        ({"hidden_size": 3_000_000, "num_attention_heads": 1}, r"shape \[16, 12\] instead of \[16, 3000000\]"),
        ({"intermediate_size": 10**9}, r"shape \[20, 12\] instead of \[1000000000, 12\]"),
        ({"max_position_embeddings": 10**9}, r"instead of \[1000000000, 12\]"),
        ({"num_hidden_layers": 10**9}, "the weights of a BERT as .*config.json says"),
        ({"hidden_dropout_prob": 2.0}, "dropout"),
    ],
)
def test_other_networks_are_refused(tmp_path: Path, changes: dict[str, Any], refusal: str) -> None:
    with pytest.raises(InputError, match=refusal):
        read(published_bert(tmp_path / "bert", **changes))


def test_weights_that_are_missing_damaged_or_not_finite_are_refused(tmp_path: Path) -> None:
    folder = published_bert(tmp_path / "bert")
    path = folder / "model.safetensors"
    weights = load_file(path)
    weights["embeddings.LayerNorm.bias"][0] = torch.nan
    save_file(weights, path)
    with pytest.raises(InputError, match=r"NaN or an infinity in embeddings\.LayerNorm\.bias"):
        read(folder)
    path.write_bytes(b"\x08\0\0\0\0\0\0\0damaged")
    with pytest.raises(InputError, match="safetensors in"):
        read(folder)
    path.rename(folder / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"only pytorch_model.bin, which can run code .*AutoModel\.from_pretrained"):
        read(folder)
    with pytest.raises(InputError, match=r"a BERT \(config.json, .* got no folder; check the path"):
        read(tmp_path / "absent")


def test_a_damaged_tokenizer_is_refused(tmp_path: Path) -> None:
    folder = published_bert(tmp_path / "bert")
    (folder / "tokenizer.json").write_text('{"model": {"type": "Else"}}')
    with pytest.raises(InputError, match="a tokenizer of the package tokenizers in"):
        read(folder)


def test_a_tokenizer_of_more_tokens_than_the_network_is_refused(tmp_path: Path) -> None:
    reader = read(published_bert(tmp_path / "bert"))
    sizes = BertSizes(vocabulary=3, width=WIDTH, depth=DEPTH, heads=HEADS, hidden=HIDDEN)
    with pytest.raises(InputError, match="at most the 3 tokens of the BERT"):
        BertReader(sizes, reader.pieces, ByteTokenizer())


def test_a_sentence_that_is_too_long_for_the_encoder_is_refused(tmp_path: Path) -> None:
    reader = read(published_bert(tmp_path / "bert"))
    with pytest.raises(InputError, match=r"at most 16 tokens of the encoder; got 17 in 'cat cat"):
        reader(ByteTokenizer().encode("cat " * 15)[None])
