"""Published weights of GPT-2 give the probabilities of GPT-2, and other files are refused."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from rlgen.data import BPETokenizer, TextModel
from rlgen.errors import InputError
from rlgen.runs import load_text_model

pytest.importorskip("tokenizers")
TEXT = "the cat sat on the mat, the rat sat on the hat.\n" * 20
WIDTH, DEPTH, HEADS, PLACES = 16, 2, 2, 12
END = "<|endoftext|>"


def published(folder: Path, prefix: str = "", positions: int = PLACES, **changes: Any) -> Path:
    """A folder with a random GPT-2, as the package transformers writes it."""
    folder.mkdir(parents=True, exist_ok=True)
    described = BPETokenizer.fitted(TEXT, 270).to_json()["description"]
    number = len(described["model"]["vocab"])
    described["model"]["vocab"][END] = number
    described["added_tokens"] = [
        {"id": number, "content": END, "special": True}
        | dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    ]
    (folder / "tokenizer.json").write_text(json.dumps(described))
    sizes = {"n_embd": WIDTH, "n_layer": DEPTH, "n_head": HEADS, "n_positions": positions, "vocab_size": number + 1}
    config = {"model_type": "gpt2", "activation_function": "gelu_new", "bos_token_id": number, **sizes, **changes}
    (folder / "config.json").write_text(json.dumps(config))
    made = tensors(number + 1, positions)
    save_file({f"{prefix}{name}": tensor for name, tensor in made.items()}, folder / "model.safetensors")
    return folder


def tensors(vocabulary: int, positions: int = PLACES) -> dict[str, Tensor]:
    """Tensors of GPT-2 by their published names, so large that every one of them shows."""
    shapes: dict[str, tuple[int, ...]] = {"wte.weight": (vocabulary, WIDTH), "wpe.weight": (positions, WIDTH)}
    matrices = {
        "attn.c_attn": (WIDTH, 3 * WIDTH),
        "attn.c_proj": (WIDTH, WIDTH),
        "mlp.c_fc": (WIDTH, 4 * WIDTH),
        "mlp.c_proj": (4 * WIDTH, WIDTH),
    }
    for block in range(DEPTH):
        for name, (width, out) in matrices.items():
            shapes |= {f"h.{block}.{name}.weight": (width, out), f"h.{block}.{name}.bias": (out,)}
        for name in ("ln_1", "ln_2"):
            shapes |= {f"h.{block}.{name}.weight": (WIDTH,), f"h.{block}.{name}.bias": (WIDTH,)}
    shapes |= {"ln_f.weight": (WIDTH,), "ln_f.bias": (WIDTH,)}
    generator = torch.Generator().manual_seed(0)
    found = {name: 0.4 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    return found | {"h.0.attn.bias": torch.ones(1, 1, PLACES, PLACES).tril()}  # the mask, which some files have


def gpt2_logits(weights: dict[str, Tensor], tokens: Tensor) -> Tensor:
    """Logits [T, V] of the next token. Radford et al. 2019, section 2.3, and Radford et al. 2018, section 3.1, written
    here for single sequences, as an independent witness."""

    def norm(x: Tensor, name: str) -> Tensor:
        centered = x - x.mean(-1, keepdim=True)
        scale = (centered.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        return centered / scale * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def dense(x: Tensor, name: str) -> Tensor:
        return x @ weights[f"{name}.weight"] + weights[f"{name}.bias"]

    x = weights["wte.weight"][tokens] + weights["wpe.weight"][: len(tokens)]
    for block in range(DEPTH):
        at = f"h.{block}"
        query, key, value = dense(norm(x, f"{at}.ln_1"), f"{at}.attn.c_attn").split(WIDTH, 1)
        heads = []
        for head in range(HEADS):
            part = slice(head * WIDTH // HEADS, (head + 1) * WIDTH // HEADS)
            scores = query[:, part] @ key[:, part].T / math.sqrt(WIDTH // HEADS)
            future = torch.ones_like(scores).triu(1).bool()
            heads.append(scores.masked_fill(future, -torch.inf).softmax(-1) @ value[:, part])
        x = x + dense(torch.cat(heads, 1), f"{at}.attn.c_proj")
        hidden = dense(norm(x, f"{at}.ln_2"), f"{at}.mlp.c_fc")
        cubic = math.sqrt(2 / math.pi) * (hidden + 0.044715 * hidden**3)
        x = x + dense(0.5 * hidden * (1 + torch.tanh(cubic)), f"{at}.mlp.c_proj")
    return norm(x, "ln_f") @ weights["wte.weight"].T


@pytest.mark.parametrize("prefix", ["", "transformer."])
def test_published_weights_give_the_probabilities_of_gpt2(tmp_path: Path, prefix: str) -> None:
    model = load_text_model(published(tmp_path / "gpt2", prefix))
    assert isinstance(model, TextModel)
    tokens = model.tokenizer.encode(" the cat sat on it")[:PLACES]
    end = model.tokenizer.encode(END)
    assert end.tolist() == [model.tokenizer.size - 1]
    logits = gpt2_logits(tensors(model.tokenizer.size), torch.cat([end, tokens[:-1]]))
    expected = logits.log_softmax(-1).gather(1, tokens[:, None])[:, 0]
    found = model.model.log_prob(tokens[None])[0]
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert expected.std() > 0.1  # far from uniform, so that a wrong tensor shows


def test_a_published_model_writes_texts_longer_than_its_positions(tmp_path: Path) -> None:
    model = load_text_model(published(tmp_path / "gpt2"))
    assert isinstance(model, TextModel)
    written = model.sample(1, 30, prompt="the", seed=0)
    assert written == model.sample(1, 30, prompt="the", seed=0)
    assert written[0].startswith("the")


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"model_type": "bert"}, "a model of the type gpt2; got 'bert'"),
        ({"activation_function": "gelu"}, "activation_function 'gelu_new'; got activation_function 'gelu'"),
        ({"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx False"),
        ({"n_inner": 17}, "4 times the width"),
        ({"n_layer": DEPTH + 1}, "the weights of a GPT-2 as .*config.json says"),
        ({"n_positions": 2 * PLACES}, "the weights of a GPT-2 as .*config.json says"),
        ({"n_embd": 1_000_000, "n_head": 2}, "wte.weight has the shape"),
        ({"vocab_size": 100, "bos_token_id": 5}, "the 100 tokens of"),
        ({"bos_token_id": 10_000}, "a bos_token_id below"),
        ({"n_head": "two"}, "n_head in"),
    ],
)
def test_other_networks_are_refused(tmp_path: Path, changes: dict[str, Any], refusal: str) -> None:
    with pytest.raises(InputError, match=refusal):
        load_text_model(published(tmp_path / "gpt2", **changes))


def test_a_pickle_is_never_read_and_the_error_says_how_to_convert_it(tmp_path: Path) -> None:
    folder = published(tmp_path / "gpt2")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"only pytorch_model.bin, which can run code .*save_pretrained"):
        load_text_model(folder)


def test_a_last_layer_of_its_own_is_refused(tmp_path: Path) -> None:
    folder = published(tmp_path / "gpt2")
    weights = load_file(folder / "model.safetensors")
    save_file({**weights, "lm_head.weight": weights["wte.weight"] + 1}, folder / "model.safetensors")
    with pytest.raises(InputError, match="a last layer with the weights of the embedding"):
        load_text_model(folder)


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    folder = published(tmp_path / "gpt2")
    weights = load_file(folder / "model.safetensors")
    weights["ln_f.bias"][0] = torch.nan
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(InputError, match=r"NaN or an infinity in ln_f\.bias"):
        load_text_model(folder)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    folder = published(tmp_path / "gpt2")
    (folder / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0damaged")
    with pytest.raises(InputError, match="safetensors in"):
        load_text_model(folder)


def test_a_tokenizer_that_loses_text_is_refused(tmp_path: Path) -> None:
    folder = published(tmp_path / "gpt2")
    described = json.loads((folder / "tokenizer.json").read_text())
    described["normalizer"] = {"type": "Lowercase"}
    (folder / "tokenizer.json").write_text(json.dumps(described))
    with pytest.raises(InputError, match="a tokenizer that gives back every text"):
        load_text_model(folder)
