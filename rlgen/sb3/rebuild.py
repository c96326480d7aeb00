"""Rebuilds SB3's own network classes from the sizes of saved tensors, and loads the tensors into them."""

import re
from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.preprocessing import get_flattened_obs_dim
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.dqn.policies import QNetwork
from stable_baselines3.sac.policies import Actor as GaussianActor
from stable_baselines3.td3.policies import Actor as DeterministicActor
from torch import Tensor, nn

from rlgen.errors import problem
from rlgen.sb3.saved_model import (
    SUPPORTED,
    VECTORS,
    SavedModel,
    activation,
    arguments,
    extractor_options,
    features_extractor,
    unsupported,
)

REMEDY = "give the environment it was trained in, with the same options"

LATENT_WEIGHT = r"actor\.latent_pi\.(\d+)\.weight"


def rebuild(saved: SavedModel, observation_space: spaces.Space, action_space: spaces.Space) -> BasePolicy:
    """The policy of `saved` for these spaces, or the part of it that acts.

    Raises `InputError` for other networks, for spaces of other sizes, and for numbers that are not finite."""
    known = spaces.Box | spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary | spaces.Dict
    if not isinstance(observation_space, known):
        got = f"{observation_space}"
        raise problem("an observation space that is a Box, discrete or a Dict of them", got, "choose another task")
    tensors = saved.tensors
    policy: BasePolicy
    if "action_net.weight" in tensors:
        policy, prefix = _actor_critic(saved, observation_space, action_space), ""
    elif "actor.latent_pi.0.ra_mean" in tensors:
        policy, prefix = _batch_normalized_actor(saved, observation_space, action_space), "actor."
    elif "actor.latent_pi.0.weight" in tensors or "actor.mu.weight" in tensors:
        policy, prefix = _gaussian_actor(saved, observation_space, action_space), "actor."
    elif "actor.mu.0.weight" in tensors:
        policy, prefix = _deterministic_actor(saved, observation_space, action_space), "actor."
    elif "q_net.q_net.0.weight" in tensors:
        policy, prefix = _q_network(saved, observation_space, action_space), "q_net."
    elif "quantile_net.quantile_net.0.weight" in tensors:
        policy, prefix = _quantile_network(saved, observation_space, action_space), "quantile_net."
    else:
        raise unsupported(saved, "a policy with other networks")
    own = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
    try:
        policy.load_state_dict(own)
    except RuntimeError as error:
        raise problem(SUPPORTED, f"other tensors in {saved.path} ({error})", "load it with SB3 itself") from error
    for name, tensor in policy.state_dict().items():
        if not tensor.isfinite().all() and not name.endswith("normaliser.clip"):
            raise problem("finite weights", f"NaN or infinity in {name} of {saved.path}", "use an earlier checkpoint")
    return policy


def _actor_critic(saved: SavedModel, observed: spaces.Space, acted: spaces.Space) -> ActorCriticPolicy:
    """PPO, A2C, TRPO, and RecurrentPPO."""
    tensors, gsde = saved.tensors, _gsde(saved)
    if ("log_std" in tensors) != isinstance(acted, spaces.Box):
        trained = "vectors (Box)" if "log_std" in tensors else "discrete actions (Discrete, MultiDiscrete, MultiBinary)"
        raise problem(f"an action space of {trained}, as in {saved.path}", f"{acted}", "give that of its training")
    hidden, value = _layers(saved, "mlp_extractor.policy_net."), _layers(saved, "mlp_extractor.value_net.")
    output = _matrix(saved, "action_net.weight")
    recurrent = _lstm(saved) if any(key.startswith("lstm_actor.") for key in tensors) else {}
    first = _matrix(saved, "lstm_actor.weight_ih_l0") if recurrent else [*hidden, output][0]
    _require_sizes(saved, observed, acted, first.shape[1], len(output))
    given, kind = arguments(saved), features_extractor(saved)
    options: dict[str, Any] = {
        "net_arch": {"pi": [len(weight) for weight in hidden], "vf": [len(weight) for weight in value]},
        "activation_fn": activation(saved, nn.Tanh),
        "ortho_init": False,
        "features_extractor_class": kind,
        "features_extractor_kwargs": extractor_options(saved, kind),
        "share_features_extractor": given.get("share_features_extractor", True) is not False,
        **_normalizing_images(saved),
        **gsde,
    }
    if gsde:
        options["squash_output"] = given.get("squash_output") is True
    if not recurrent:
        return ActorCriticPolicy(observed, acted, lambda _: 0.0, **options)
    try:
        from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
    except ImportError as error:
        raise _without_contrib(saved) from error
    return RecurrentActorCriticPolicy(observed, acted, lambda _: 0.0, **options, **recurrent)


def _lstm(saved: SavedModel) -> dict[str, Any]:
    """Options of RecurrentPPO's policy in addition to those of PPO's."""
    layers = sum(bool(re.fullmatch(r"lstm_actor\.weight_hh_l\d+", key)) for key in saved.tensors)
    critic = any(key.startswith("lstm_critic.") for key in saved.tensors)
    return {
        "lstm_hidden_size": _matrix(saved, "lstm_actor.weight_hh_l0").shape[1],
        "n_lstm_layers": layers,
        "enable_critic_lstm": critic,
        "shared_lstm": not critic and "critic.weight" not in saved.tensors,
    }


def _gaussian_actor(saved: SavedModel, observed: spaces.Space, acted: spaces.Space) -> GaussianActor:
    """SAC and TQC."""
    gsde, given = _gsde(saved), arguments(saved)
    wrapped = "actor.mu.0.weight" in saved.tensors  # gSDE bounds the mean
    hidden = _layers(saved, "actor.latent_pi.")
    output = _matrix(saved, "actor.mu.0.weight" if wrapped else "actor.mu.weight")
    if gsde:
        gsde["clip_mean"] = float(given.get("clip_mean", 2.0)) if wrapped else 0.0
    _require_box(saved, acted)
    _require_sizes(saved, observed, acted, [*hidden, output][0].shape[1], len(output))
    return GaussianActor(observed, acted, **_actor(saved, observed, hidden), **gsde)  # type: ignore[arg-type]


def _batch_normalized_actor(saved: SavedModel, observed: spaces.Space, acted: spaces.Space) -> BasePolicy:
    """CrossQ."""
    try:
        from sb3_contrib.crossq.policies import Actor
    except ImportError as error:
        raise _without_contrib(saved) from error
    linear = sorted(int(found[1]) for key in saved.tensors if (found := re.fullmatch(LATENT_WEIGHT, key)))
    hidden = [_matrix(saved, f"actor.latent_pi.{number}.weight") for number in linear]
    output = _matrix(saved, "actor.mu.weight")
    _require_box(saved, acted)
    _require_sizes(saved, observed, acted, [*hidden, output][0].shape[1], len(output))
    return Actor(observed, acted, **_actor(saved, observed, hidden), **_gsde(saved))  # type: ignore[arg-type]


def _deterministic_actor(saved: SavedModel, observed: spaces.Space, acted: spaces.Space) -> DeterministicActor:
    """TD3 and DDPG."""
    *hidden, output = _layers(saved, "actor.mu.")
    _require_box(saved, acted)
    _require_sizes(saved, observed, acted, [*hidden, output][0].shape[1], len(output))
    return DeterministicActor(observed, acted, **_actor(saved, observed, hidden))  # type: ignore[arg-type]


def _q_network(saved: SavedModel, observed: spaces.Space, acted: spaces.Space) -> QNetwork:
    """DQN, which here always takes the action of the highest value."""
    *hidden, output = _layers(saved, "q_net.q_net.")
    _require_discrete(saved, acted)
    _require_sizes(saved, observed, acted, [*hidden, output][0].shape[1], len(output))
    return QNetwork(observed, acted, **_actor(saved, observed, hidden))  # type: ignore[arg-type]


def _quantile_network(saved: SavedModel, observed: spaces.Space, acted: spaces.Space) -> BasePolicy:
    """QRDQN, which here always takes the action of the highest mean value."""
    try:
        from sb3_contrib.qrdqn.policies import QuantileNetwork
    except ImportError as error:
        raise _without_contrib(saved) from error
    *hidden, output = _layers(saved, "quantile_net.quantile_net.")
    kinds = _require_discrete(saved, acted)
    quantiles, rest = divmod(len(output), kinds)
    _require_sizes(saved, observed, acted, [*hidden, output][0].shape[1], kinds if rest == 0 else len(output))
    return QuantileNetwork(observed, acted, n_quantiles=quantiles, **_actor(saved, observed, hidden))  # type: ignore[arg-type]


def _actor(saved: SavedModel, observed: spaces.Space, hidden: list[Tensor]) -> dict[str, Any]:
    """Options that the networks of all off-policy algorithms share."""
    extractor = _extractor(saved, observed)
    return {
        "net_arch": [len(weight) for weight in hidden],
        "activation_fn": activation(saved, nn.ReLU),
        "features_extractor": extractor,
        "features_dim": extractor.features_dim,
        **_normalizing_images(saved),
    }


def _extractor(saved: SavedModel, observed: spaces.Space) -> BaseFeaturesExtractor:
    """The features extractor of `saved`, untrained."""
    kind = features_extractor(saved)
    try:
        return kind(observed, **extractor_options(saved, kind))  # type: ignore[call-arg]
    except (AssertionError, AttributeError, RuntimeError, TypeError, ValueError) as error:  # of torch, SB3 and NumPy
        got = f"{observed} for {saved.path}, a policy with {kind.__name__} ({type(error).__name__})"
        raise problem("observations of the policy's kind", got, "give the environment it was trained in") from error


def _gsde(saved: SavedModel) -> dict[str, Any]:
    """The options of state-dependent exploration; empty without it."""
    given = arguments(saved)
    if not (saved.data.get("use_sde") or given.get("use_sde")):
        return {}
    name = "log_std" if "log_std" in saved.tensors else "actor.log_std"
    full = _matrix(saved, name).shape[1] > 1 or given.get("full_std", True) is not False
    return {"use_sde": True, "full_std": full, "use_expln": given.get("use_expln") is True}


def _normalizing_images(saved: SavedModel) -> dict[str, Any]:
    return {"normalize_images": arguments(saved).get("normalize_images", True) is not False}


def _layers(saved: SavedModel, prefix: str) -> list[Tensor]:
    """Weights [out, in] of the linear layers `{prefix}0`, `{prefix}2` …"""
    numbers = sorted(int(key[len(prefix) : -7]) for key in saved.tensors if re.fullmatch(rf"{prefix}\d+\.weight", key))
    if numbers != list(range(0, 2 * len(numbers), 2)):
        raise problem(SUPPORTED, f"other layers than linear ones under {prefix!r} in {saved.path}", "load it with SB3")
    return [_matrix(saved, f"{prefix}{number}.weight") for number in numbers]


def _matrix(saved: SavedModel, key: str) -> Tensor:
    found = saved.tensors.get(key)
    if found is None or found.ndim != 2 or 0 in found.shape:
        raise problem(SUPPORTED, f"no matrix under {key!r} in {saved.path}", "load it with SB3 itself")
    return found


def _require_sizes(saved: SavedModel, observed: spaces.Space, acted: spaces.Space, inputs: int, outputs: int) -> None:
    vectors = features_extractor(saved) in VECTORS
    if vectors and isinstance(observed, spaces.Dict):
        raise problem(f"observations of {inputs} numbers for {saved.path}", f"{observed}", REMEDY)
    expected = (
        get_flattened_obs_dim(observed) if vectors else _extractor(saved, observed).features_dim,
        _outputs(acted),
    )
    if (inputs, outputs) != expected:
        raise problem(
            f"a policy of {expected[0]} observation and {expected[1]} action dimensions, as in the environment",
            f"one of {inputs} and {outputs} in {saved.path}",
            REMEDY,
        )


def _outputs(space: spaces.Space) -> int:
    """Number of outputs of a network for an action."""
    if isinstance(space, spaces.Discrete):
        return int(space.n)
    if isinstance(space, spaces.MultiDiscrete):
        return int(space.nvec.sum())
    if isinstance(space, spaces.Box | spaces.MultiBinary):
        return int(np.prod(space.shape))
    raise problem("a Box, Discrete, MultiDiscrete or MultiBinary action space", f"{space}", "choose another task")


def _require_box(saved: SavedModel, space: spaces.Space) -> None:
    if not isinstance(space, spaces.Box):
        got = f"{space} for {saved.path}"
        raise problem("an action space of vectors (Box)", got, "give the environment it was trained in")


def _require_discrete(saved: SavedModel, space: spaces.Space) -> int:
    if not isinstance(space, spaces.Discrete):
        got = f"{space} for {saved.path}"
        raise problem("a discrete action space (Discrete)", got, "give the environment it was trained in")
    return int(space.n)


def _without_contrib(saved: SavedModel) -> Exception:
    got = f"none, for {saved.path}"
    return problem("the package sb3-contrib", got, 'run pip install "rlgen[contrib]"')
