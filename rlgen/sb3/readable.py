"""Determines which saved models can be rebuilt from tensors: SB3's own policies of vectors, by texts in the file."""

import logging
import re
from typing import Any

from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, FlattenExtractor
from torch import nn

from rlgen.errors import InputError, problem
from rlgen.sb3.features import NormalisedObservations
from rlgen.sb3.saved_model import SavedModel

ACTIVATIONS = ("Tanh", "ReLU", "ELU", "SiLU", "GELU", "LeakyReLU", "SELU", "CELU", "Mish", "Sigmoid", "Softplus")
SUPPORTED = (
    "MlpPolicy of PPO, A2C, TRPO, SAC, TQC, TD3, DDPG, DQN or QRDQN, with gSDE or without, or MlpLstmPolicy of "
    "RecurrentPPO"
)
MODULES = (
    *(f"stable_baselines3.{each}.policies" for each in ("common", "sac", "td3", "dqn")),
    *(f"sb3_contrib.{each}.policies" for each in ("tqc", "qrdqn", "common.recurrent")),
)
"""Modules of the policy classes whose tensors determine how they act."""

EXTRACTORS = {f"{kind.__module__}.{kind.__qualname__}": kind for kind in (FlattenExtractor, NormalisedObservations)}

logger = logging.getLogger("rlgen")


def require_readable(saved: SavedModel) -> None:
    """Raises `InputError` that names a custom part of `saved`: a policy class, a features extractor."""
    policy = saved.data.get("policy_class")
    policy = policy if isinstance(policy, dict) else {}
    module, made = str(policy.get("__module__", MODULES[0])), str(policy.get("__init__", ""))
    if module not in MODULES and not module.startswith("rlgen."):
        raise unsupported(saved, f"a policy class of {module}")
    kind = re.search(r"<function (\w*(?:Cnn|MultiInput)\w*)\.", made)
    if kind is not None:
        raise unsupported(saved, f"a {kind.group(1)}, for images or dictionaries")
    custom = [key for key in saved.tensors if "features_extractor" in key and ".normaliser." not in key]
    if custom:
        raise unsupported(saved, f"a policy with its own features extractor ({custom[0]})")
    features_extractor(saved)


def unsupported(saved: SavedModel, what: str) -> InputError:
    """The error, for `raise unsupported(…)`, for a model that only its own code can play."""
    return problem(SUPPORTED, f"{what} in {saved.path}", "load it with SB3 itself, if you trust its author")


def arguments(saved: SavedModel) -> dict[str, Any]:
    """`policy_kwargs`, with texts in place of pickled values."""
    found = saved.data.get("policy_kwargs")
    return found if isinstance(found, dict) else {}


def features_extractor(saved: SavedModel) -> type[BaseFeaturesExtractor]:
    """SB3's own for vectors, or rlgen's, which stores statistics among the tensors."""
    normalizes = any(".normaliser." in key for key in saved.tensors)
    text = arguments(saved).get("features_extractor_class")
    if text is None:
        return NormalisedObservations if normalizes else FlattenExtractor
    match = re.fullmatch(r"<class '([\w.<>]+)'>", str(text))
    if match is None or match.group(1) not in EXTRACTORS:
        raise unsupported(saved, f"a policy with its own features extractor ({text})")
    return EXTRACTORS[match.group(1)]


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
