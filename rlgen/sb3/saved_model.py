"""Reads a Stable-Baselines3 .zip without running anything in it: plain JSON values, tensors, spaces, kinds of layers.

A saved model holds Python objects as base64 pickles (`:serialized:` in the JSON). Opening them would run any code that
the file's author put there, so they are dropped here, except the two spaces, which `plain_pickle` reads as records;
`policy.pth` goes through torch's safe unpickler. By texts in the file, `require_readable` determines whether the model
can be rebuilt from its tensors: SB3's own policies can.
"""

import base64
import io
import json
import logging
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, CombinedExtractor, FlattenExtractor, NatureCNN
from torch import Tensor, nn

from rlgen.errors import InputError, problem
from rlgen.nn.layers import ACTIVATIONS as ENCODER_ACTIVATIONS
from rlgen.sb3.encoded_images import EncodedImages
from rlgen.sb3.features import NormalisedObservations
from rlgen.sb3.image_features import DictFeatures, ImageFeatures
from rlgen.sb3.instruction_extractor import InstructionFeatures, instruction_options
from rlgen.sb3.plain_pickle import read_plain, space_of
from rlgen.system.memory import require_room

AGAIN = "save the model again with an unmodified Stable-Baselines3"


@dataclass(frozen=True, kw_only=True)
class SavedModel:
    """A model's description and the tensors of its policy, on the CPU."""

    path: Path
    data: dict[str, Any]
    """Constructor arguments. For pickled objects only the texts that SB3 writes next to them."""

    tensors: dict[str, Tensor]
    """`policy.state_dict()`; every tensor stores all its elements."""

    observation_space: spaces.Space | None
    """Observation space of training; None if the file does not hold it in a readable form."""

    action_space: spaces.Space | None
    """Action space of training; None likewise."""


def read_saved_model(path: Path) -> SavedModel:
    """Reads `data` and `policy.pth` of the .zip.

    Raises:
        InputError: a missing file, not an SB3 model, cut or damaged, larger than the free memory, or tensors that need
            unpickling.
    """
    if not path.is_file():
        raise problem("a model saved by Stable-Baselines3 (.zip)", f"{path}, which does not exist", "check the path")
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = [archive.getinfo(name).file_size for name in ("data", "policy.pth")]
            require_room(sum(sizes), f"what {path} holds", path.stat().st_size)
            content, weights = archive.read("data"), archive.read("policy.pth")
    except InputError:
        raise
    except Exception as error:  # a damaged archive can make zipfile fail in many ways
        raise problem(
            "a model saved by Stable-Baselines3: a .zip with 'data' and 'policy.pth'",
            f"{path}, which is something else, cut or damaged ({error})",
            "save it again with model.save(path)",
        ) from error
    data = _json(content, path)
    found = {name: _space(data.get(name)) for name in ("observation_space", "action_space")}
    return SavedModel(path=path, data=_without_pickles(data), tensors=_tensors(weights, path), **found)


def _json(text: bytes, path: Path) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise problem("JSON under 'data'", f"{error} in {path}", "save the model again") from error
    if not isinstance(data, dict):
        raise problem("a JSON object under 'data'", f"{type(data).__name__} in {path}", "save the model again")
    return data


def _without_pickles(data: dict[str, Any]) -> dict[str, Any]:
    """Every entry without its `:serialized:` part, unread."""
    return {
        key: {inner: part for inner, part in value.items() if inner != ":serialized:"}
        if isinstance(value, dict)
        else value
        for key, value in data.items()
    }


def _space(entry: Any) -> spaces.Space | None:
    """The space in a pickle that holds only a space; None for any other."""
    try:
        return space_of(read_plain(base64.b64decode(entry[":serialized:"]), "the model's spaces"))
    except (ValueError, TypeError, KeyError):  # InputError is a ValueError
        return None


def _tensors(weights: bytes, path: Path) -> dict[str, Tensor]:
    buffer = io.BytesIO(weights)
    try:
        if zipfile.is_zipfile(buffer):
            with zipfile.ZipFile(buffer) as archive:
                unpacked = sum(member.file_size for member in archive.infolist())
            require_room(unpacked, f"the tensors of {path}", len(weights))
        tensors = torch.load(io.BytesIO(weights), map_location="cpu", weights_only=True)
    except InputError:
        raise
    except Exception as error:  # unknown bytes can make torch's unpickler raise any type of exception
        raise problem(
            "plain tensors under 'policy.pth'",
            f"a damaged file or other objects in {path}; such objects are never opened, as they can run any code",
            AGAIN,
        ) from error
    if not isinstance(tensors, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in tensors.items()
    ):
        raise problem("a dictionary of tensors by name under 'policy.pth'", f"something else in {path}", AGAIN)
    for name, tensor in tensors.items():
        _require_memory_of_its_own(name, tensor, path)
    require_room(sum(each.nbytes for each in tensors.values()), f"the tensors of {path}", len(weights))
    return tensors


def _require_memory_of_its_own(name: str, tensor: Tensor, path: Path) -> None:
    """Rejects a view that repeats a few numbers: a network of its size would then take any amount of memory."""
    dense = tensor.layout == torch.strided and tensor.device.type == "cpu" and not tensor.is_quantized
    if not dense or tensor.nbytes > tensor.untyped_storage().nbytes():
        raise problem(
            "tensors that store all their elements",
            f"{name} of shape {list(tensor.shape)} in {path}, which has fewer",
            AGAIN,
        )


ACTIVATIONS = ("Tanh", "ReLU", "ELU", "SiLU", "GELU", "LeakyReLU", "SELU", "CELU", "Mish", "Sigmoid", "Softplus")
SUPPORTED = (
    "MlpPolicy, CnnPolicy or MultiInputPolicy of PPO, A2C, TRPO, SAC, TQC, CrossQ, TD3, DDPG, DQN or QRDQN, with gSDE "
    "or without, or a recurrent one of RecurrentPPO"
)
MODULES = (
    *(f"stable_baselines3.{each}.policies" for each in ("common", "sac", "td3", "dqn")),
    *(f"sb3_contrib.{each}.policies" for each in ("tqc", "crossq", "qrdqn", "common.recurrent")),
)
"""Modules of the policy classes whose tensors determine how they act."""

VECTORS = (FlattenExtractor, NormalisedObservations)
"""Features extractors without layers of their own."""
EXTRACTORS = {
    f"{kind.__module__}.{kind.__qualname__}": kind
    for kind in (
        *VECTORS,
        NatureCNN,
        CombinedExtractor,
        ImageFeatures,
        EncodedImages,
        DictFeatures,
        InstructionFeatures,
    )
}

LAYER_OF_ENCODER = re.compile(r"features_extractor\.(parts\..+\.)?(encoder\.0\.(?P<number>\d+)|mean)\.weight$")
LAST_OF_CNN = re.compile(r"features_extractor\.(extractors\..+\.)?linear\.0\.weight$")

logger = logging.getLogger("rlgen")


def require_readable(saved: SavedModel) -> None:
    """Raises `InputError` that names a custom part of `saved`: a policy class, a features extractor."""
    policy = saved.data.get("policy_class")
    policy = policy if isinstance(policy, dict) else {}
    module = str(policy.get("__module__", MODULES[0]))
    if module not in MODULES and not module.startswith("rlgen."):
        raise unsupported(saved, f"a policy class of {module}")
    custom = [key for key in saved.tensors if "features_extractor" in key and ".normaliser." not in key]
    if features_extractor(saved) in VECTORS and custom:
        raise unsupported(saved, f"a policy with its own features extractor ({custom[0]})")


def unsupported(saved: SavedModel, what: str) -> InputError:
    """The error, for `raise unsupported(…)`, for a model that only its own code can play."""
    return problem(SUPPORTED, f"{what} in {saved.path}", "load it with SB3 itself, if you trust its author")


def arguments(saved: SavedModel) -> dict[str, Any]:
    """`policy_kwargs`, with texts in place of pickled values."""
    found = saved.data.get("policy_kwargs")
    return found if isinstance(found, dict) else {}


def features_extractor(saved: SavedModel) -> type[BaseFeaturesExtractor]:
    """SB3's own for vectors, images or dictionaries, or rlgen's, which store statistics among the tensors."""
    normalizes = any(".normaliser." in key for key in saved.tensors)
    text = arguments(saved).get("features_extractor_class")
    if text is None:
        policy = saved.data.get("policy_class")
        made = str(policy.get("__init__", "")) if isinstance(policy, dict) else ""
        defaults = {"Cnn": NatureCNN, "MultiInput": CombinedExtractor}
        default = next((kind for name, kind in defaults.items() if name in made), FlattenExtractor)
        return NormalisedObservations if normalizes else default
    match = re.fullmatch(r"<class '([\w.<>]+)'>", str(text))
    if match is None or match.group(1) not in EXTRACTORS:
        raise unsupported(saved, f"a policy with its own features extractor ({text})")
    return EXTRACTORS[match.group(1)]


def extractor_options(saved: SavedModel, kind: type[BaseFeaturesExtractor]) -> dict[str, Any]:
    """Constructor arguments of a features extractor, from the sizes of its tensors."""
    if kind is InstructionFeatures:
        return instruction_options(saved.tensors, arguments(saved).get("features_extractor_kwargs"))
    if kind in (EncodedImages, DictFeatures):
        encoder = encoder_options(saved)
        return {"encoder": encoder} if encoder and kind is DictFeatures else encoder
    name = {NatureCNN: "features_dim", CombinedExtractor: "cnn_output_dim"}.get(kind)
    sizes = [len(each) for key, each in saved.tensors.items() if LAST_OF_CNN.search(key) and each.ndim == 2]
    return {name: sizes[0]} if name and sizes else {}


def encoder_options(saved: SavedModel) -> dict[str, Any]:
    """Constructor arguments of `EncodedImages`: its sizes from the tensors, and what else the file says of it; empty
    for a model without it."""
    found: dict[int, int] = {}
    for key, each in saved.tensors.items():
        if (match := LAYER_OF_ENCODER.search(key)) and each.ndim == 2:
            found[-1 if match["number"] is None else int(match["number"])] = len(each)
    given = arguments(saved).get("features_extractor_kwargs")
    given = given.get("encoder", given) if isinstance(given, dict) else {}
    if len(found) < 2 or -1 not in found or not isinstance(given, dict):
        return {}
    latent = found.pop(-1)
    name = given.get("activation")
    if name not in ENCODER_ACTIVATIONS:
        known = ", ".join(ENCODER_ACTIVATIONS)
        raise problem(f"an encoder's activation among {known}", f"{name!r} in {saved.path}", "load it with SB3 itself")
    widths = [found[number] for number in sorted(found)]
    return {"hidden": widths, "latent": latent, "activation": name, "frozen": given.get("frozen") is True}


def activation(saved: SavedModel, default: type[nn.Module]) -> type[nn.Module]:
    """The activation from the text that SB3 writes next to the pickled class, else SB3's default, which is logged."""
    text = arguments(saved).get("activation_fn")
    if text is None:
        logger.debug("%s names no activation: SB3's default for it is %s", saved.path, default.__name__)
        return default
    match = re.fullmatch(r"<class 'torch\.nn\.modules\.activation\.(\w+)'>", str(text))
    if match is None or match.group(1) not in ACTIVATIONS:
        raise problem(
            f"an activation among {', '.join(ACTIVATIONS)}", f"{text} in {saved.path}", "load it with SB3 itself"
        )
    return getattr(nn, match.group(1))
