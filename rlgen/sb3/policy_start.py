"""Training a saved policy on."""

from pathlib import Path

import torch
from stable_baselines3.common.base_class import BaseAlgorithm

from rlgen.errors import problem
from rlgen.sb3.load import load_policy

SHOWN = 3
"""Largest number of differing tensors that an error names."""


def start_from_policy(model: BaseAlgorithm, path: str | Path) -> None:
    """Gives the policy of `model` all weights of a saved one, standard deviations and statistics of observations within
    the network included. The optimizer and the learner's other state stay as they are.

    Args:
        model: a model with the same class of policy and the same network.
        path: a run folder, a folder that `rlgen publish` wrote, or a file of `model.save`. No code in it is run.

    Raises:
        InputError: another network, other spaces, an unreadable file, or statistics of a `VecNormalize` next to it.
    """
    env = model.get_env()
    assert env is not None
    loaded = load_policy(path, env.observation_space, env.action_space)
    if loaded.normalizers:
        got = f"statistics of observations outside of it, next to {path}"
        raise problem(
            "a policy that sees raw observations", got, "record its episodes, and clone these (rlgen train bc)"
        )
    given, own = loaded.policy.state_dict(), model.policy.state_dict()
    shapes = {name: (_shape(own.get(name)), _shape(given.get(name))) for name in {**own, **given}}
    other = [f"{name} {there} instead of {here}" for name, (here, there) in shapes.items() if here != there]
    if other:
        more = f" and {len(other) - SHOWN} more" if len(other) > SHOWN else ""
        remedy = "give the hidden layers, normalization, encoder and kind of learner that it was trained with"
        raise problem(f"a policy with this network in {path}", f"{', '.join(other[:SHOWN])}{more}", remedy)
    model.policy.load_state_dict(given)


def _shape(tensor: torch.Tensor | None) -> str:
    return "none" if tensor is None else str(list(tensor.shape))
