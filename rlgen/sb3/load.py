"""Loading an SB3 policy for acting, without running code from the file.

`PPO.load` unpickles what the .zip holds, so a downloaded model can do anything on this machine. Here the network is
rebuilt from the shapes of its tensors, the texts in its JSON and the environment's spaces.
"""

import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.torch_layers import FlattenExtractor
from stable_baselines3.sac.policies import Actor as GaussianActor
from stable_baselines3.td3.policies import Actor as DeterministicActor
from torch import Tensor, nn

from rlgen.errors import problem
from rlgen.sb3.frozen_normaliser import FrozenNormaliser, find_normaliser, read_normaliser
from rlgen.sb3.saved_model import SavedModel, read_saved_model

ACTIVATIONS = ("Tanh", "ReLU", "ELU", "SiLU", "GELU", "LeakyReLU", "SELU", "CELU", "Mish", "Sigmoid", "Softplus")
SUPPORTED = "MlpPolicy of PPO, A2C, TRPO, SAC, TQC, TD3 or DDPG, without gSDE"

logger = logging.getLogger("rlgen")


@dataclass(frozen=True)
class Family:
    """Algorithms whose actors have one structure, with the names of its tensors."""

    hidden: str
    """Prefix of the hidden layers, `{hidden}0.weight`, `{hidden}2.weight` … (activations lie between)."""

    output: str | None
    """The output layer's weight; None where it is the last of the hidden prefix."""

    activation: str
    """SB3's default."""

    bounded: bool
    """The network gives actions in [-1, 1], scaled to the action space; else they are clipped to it."""


ON_POLICY = Family("mlp_extractor.policy_net.", "action_net.weight", "Tanh", False)
GAUSSIAN = Family("actor.latent_pi.", "actor.mu.weight", "ReLU", True)
DETERMINISTIC = Family("actor.mu.", None, "ReLU", True)


class LoadedPolicy:
    """A policy for acting only, with SB3's `predict`."""

    def __init__(self, policy: BasePolicy, normalisers: list[FrozenNormaliser]):
        self.policy = policy
        self.normalisers = normalisers
        self.observation_space, self.action_space = policy.observation_space, policy.action_space

    def predict(
        self,
        observation: np.ndarray,
        state: Any = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, Any]:
        """Actions [N, A] within the action space for raw observations [N, O] (or [A] for [O]), and `state` unused."""
        for normalise in self.normalisers:
            observation = normalise(observation)
        return self.policy.predict(observation, state, episode_start, deterministic)


def load_policy(
    path: str | Path,
    observation_space: spaces.Space,
    action_space: spaces.Space,
    normaliser: str | Path | FrozenNormaliser | None = None,
) -> LoadedPolicy:
    """Rebuilds the policy of an SB3 .zip on the CPU. Nothing in the file is unpickled.

    Args:
        path: what `model.save` wrote.
        observation_space, action_space: of the environment it is to act in, both Box.
        normaliser: observation statistics, or their JSON file; by default `normaliser.json` beside the model, if any.
            A normaliser within the network (`features_extractor.normaliser`) is always applied.

    Raises:
        InputError: an unsupported or damaged model, or spaces of other sizes than the network's.
    """
    saved = read_saved_model(Path(path))
    _check_spaces(saved, observation_space, action_space)
    assert isinstance(observation_space, spaces.Box)
    assert isinstance(action_space, spaces.Box)
    size = int(np.prod(observation_space.shape))
    family = _family(saved)
    policy = _build(saved, family, observation_space, action_space)
    policy.set_training_mode(False)
    if isinstance(normaliser, str | Path):
        outer: FrozenNormaliser | None = read_normaliser(Path(normaliser), size)
    else:
        outer = normaliser or find_normaliser(saved.path, size)
    inner = _inner_normaliser(saved, family)
    return LoadedPolicy(policy, [part for part in (outer, inner) if part is not None])


def _family(saved: SavedModel) -> Family:
    """Which structure the tensors have; the pickled class is not asked."""
    custom = [key for key in saved.tensors if "features_extractor" in key and ".normaliser." not in key]
    gsde = saved.data.get("use_sde") or _policy_arguments(saved).get("use_sde")
    if not custom and not gsde:
        if ON_POLICY.output in saved.tensors:
            return ON_POLICY
        if GAUSSIAN.output in saved.tensors and "actor.log_std.weight" in saved.tensors:
            return GAUSSIAN
        if "actor.mu.0.weight" in saved.tensors:
            return DETERMINISTIC
    cause = "gSDE" if gsde else f"its own features extractor ({custom[0]})" if custom else "other networks"
    raise problem(
        SUPPORTED, f"a policy with {cause} in {saved.path}", "load it with SB3 itself, if you trust its author"
    )


def _build(saved: SavedModel, family: Family, observation_space: spaces.Box, action_space: spaces.Box) -> BasePolicy:
    """SB3's own network classes, filled with the saved tensors."""
    hidden, inputs, outputs = _sizes(saved, family)
    expected = (int(np.prod(observation_space.shape)), int(np.prod(action_space.shape)))
    if (inputs, outputs) != expected:
        raise problem(
            f"a policy of {expected[0]} observation and {expected[1]} action numbers, as in the environment",
            f"one of {inputs} and {outputs} in {saved.path}",
            "give the environment it was trained in, with the same options",
        )
    arguments: dict[str, Any] = {"activation_fn": _activation(saved, family)}
    policy: BasePolicy
    if family is ON_POLICY:
        value = _layers(saved, "mlp_extractor.value_net.")
        net_arch = {"pi": hidden, "vf": [len(weight) for weight in value]}
        policy = ActorCriticPolicy(
            observation_space, action_space, lambda _: 0.0, net_arch=net_arch, ortho_init=False, **arguments
        )
        tensors = saved.tensors
    else:
        extractor = FlattenExtractor(observation_space)
        arguments |= {"net_arch": hidden, "features_extractor": extractor, "features_dim": extractor.features_dim}
        actor = GaussianActor if family is GAUSSIAN else DeterministicActor
        policy = actor(observation_space, action_space, **arguments)
        tensors = {
            key.removeprefix("actor."): value for key, value in saved.tensors.items() if key.startswith("actor.")
        }
    try:
        policy.load_state_dict({key: value for key, value in tensors.items() if "features_extractor" not in key})
    except RuntimeError as error:
        raise problem(SUPPORTED, f"other tensors in {saved.path} ({error})", "load it with SB3 itself") from error
    return policy


def _layers(saved: SavedModel, prefix: str) -> list[Tensor]:
    """Weights [out, in] of the linear layers `{prefix}0`, `{prefix}2` …"""
    numbers = sorted(int(key[len(prefix) : -7]) for key in saved.tensors if re.fullmatch(rf"{prefix}\d+\.weight", key))
    weights = [saved.tensors[f"{prefix}{number}.weight"] for number in numbers]
    if numbers != list(range(0, 2 * len(numbers), 2)) or any(weight.ndim != 2 for weight in weights):
        raise problem(SUPPORTED, f"other layers than linear ones under {prefix!r} in {saved.path}", "load it with SB3")
    return weights


def _sizes(saved: SavedModel, family: Family) -> tuple[list[int], int, int]:
    """Hidden layer sizes, number of inputs, number of outputs."""
    weights = _layers(saved, family.hidden)
    if family.output is not None:
        weights.append(saved.tensors[family.output])
    if any(weight.ndim != 2 for weight in weights):
        raise problem(SUPPORTED, f"an output that is not a linear layer in {saved.path}", "load it with SB3 itself")
    return [len(weight) for weight in weights[:-1]], weights[0].shape[1], len(weights[-1])


def _policy_arguments(saved: SavedModel) -> dict[str, Any]:
    found = saved.data.get("policy_kwargs")
    return found if isinstance(found, dict) else {}


def _activation(saved: SavedModel, family: Family) -> type[nn.Module]:
    """From the text that SB3 writes beside the pickled class, else SB3's default, which the log names."""
    text = _policy_arguments(saved).get("activation_fn")
    if text is None:
        logger.info("%s names no activation: SB3's default for it is %s", saved.path, family.activation)
        return getattr(nn, family.activation)
    match = re.fullmatch(r"<class 'torch\.nn\.modules\.activation\.(\w+)'>", str(text))
    if match is None or match.group(1) not in ACTIVATIONS:
        raise problem(
            f"an activation among {', '.join(ACTIVATIONS)}", f"{text} in {saved.path}", "load it with SB3 itself"
        )
    return getattr(nn, match.group(1))


def _inner_normaliser(saved: SavedModel, family: Family) -> FrozenNormaliser | None:
    """The statistics of rlgen's own features extractor, applied in float32 as the network does."""
    prefix = ("" if family is ON_POLICY else "actor.") + "features_extractor.normaliser."
    found = [saved.tensors.get(prefix + name) for name in ("mean", "std", "clip")]
    if all(tensor is None for tensor in found):
        return None
    if any(tensor is None for tensor in found):
        raise problem(f"mean, std and clip under {prefix!r}", f"a part of them in {saved.path}", "save the model again")
    mean, std, clip = (tensor.float().numpy() for tensor in found if tensor is not None)
    return FrozenNormaliser(mean=mean, std=std, clip=float(clip))


def _check_spaces(saved: SavedModel, observation_space: spaces.Space, action_space: spaces.Space) -> None:
    """Both are boxes, and the bounds are those of training as far as the file tells them in plain text."""
    for name, space in (("observation", observation_space), ("action", action_space)):
        if not isinstance(space, spaces.Box):
            raise problem(f"an {name} space of vectors (Box)", f"{space}", "choose an environment that has one")
    known = saved.data.get("action_space")
    for side in ("low", "high"):
        text = known.get(side) if isinstance(known, dict) else None
        if not isinstance(text, str) or re.search(r"[^-\d.e+\s\[\]]", text) or "..." in text:
            continue
        trained, given = np.array(text.strip("[]").split(), float), getattr(action_space, side).reshape(-1)
        if trained.shape == given.shape and not np.allclose(trained, given, rtol=1e-4):
            logger.warning(
                "expected the action space of training, %s = %s; the environment has %s; actions will be scaled or "
                "clipped to the environment's",
                *(side, text, getattr(action_space, side)),
            )
