"""A policy whose observations are attacked while it acts."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import BasePolicy
from torch import Tensor

from rlgen.data.playing import Policy, play
from rlgen.data.spaces import is_image
from rlgen.errors import problem
from rlgen.nn.attacks import AttackName, attack_of, require_radius
from rlgen.nn.normalizer import ActionScale, Normalizer
from rlgen.sb3.actor_critic import is_recurrent
from rlgen.sb3.cloned import action_distribution
from rlgen.sb3.features import policy_normalizers
from rlgen.sb3.load import LoadedPolicy

REMEDY = "leave the attack out"


class AttackedPolicy:
    """`loaded` with observations that an attack has changed before it sees them, each number by at most `epsilon`
    standard deviations `std` [O].

    The attack knows the policy (Huang et al. 2017, 1702.02284). For continuous actions it moves the mean action as far
    as it can from that of the true observation, which is the KL divergence for a Gaussian policy of constant noise
    (Zhang et al. 2020, 2003.08938); since the gradient of that distance is zero at the true observation, it starts from
    a random point nearby. For discrete actions it lowers the log-probability of the most probable action; those of
    DQN and QRDQN are the softmax of their values. Each step is attacked for itself, not for the return.

    Raises `InputError` for a recurrent policy, and for observations that are not a vector of floats.
    """

    def __init__(self, loaded: LoadedPolicy, name: AttackName, epsilon: float, std: Tensor, steps: int = 10):
        require_attackable(loaded)
        require_radius(epsilon)
        self.loaded, self.policy = loaded, loaded.policy
        self.observation_space, self.action_space = loaded.observation_space, loaded.action_space
        continuous = isinstance(self.action_space, spaces.Box)
        bounds: dict[str, float] = {}
        for normalizer in loaded.normalizers:  # the attack changes what comes after them
            std = std / torch.as_tensor(normalizer.std.ravel(), dtype=torch.float32)
            bounds = {"low": -normalizer.clip, "high": normalizer.clip}
        shape = self.observation_space.shape
        assert shape is not None
        radius = epsilon * std.reshape(shape).to(self.policy.device)
        self.attack = attack_of(name, radius, steps=steps, random_start=continuous or name == "pgd", **bounds)

    def predict(
        self,
        observation: np.ndarray,
        state: Any = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, Any]:
        """As `LoadedPolicy.predict`, of attacked observations."""
        # A copy, because an environment may give arrays that are read-only.
        seen = torch.from_numpy(np.array(self.loaded.seen(observation), np.float32)).to(self.policy.device)
        batch = seen.reshape(-1, *(self.observation_space.shape or ()))
        attacked = self.attack(action_loss(self.policy, batch), batch, self.policy)
        return self.loaded.act(attacked.reshape(seen.shape).cpu().numpy(), state, episode_start, deterministic)


def action_loss(policy: BasePolicy, observations: Tensor) -> Callable[[Tensor], Tensor]:
    """Losses [B] of inputs of the policy that are near `observations` [B, ...]: the squared distance of their mean
    action from that of the observations, in units of half the action range, or minus the log-probability, in nats, of
    the observations' most probable action."""
    space = policy.action_space
    with torch.no_grad():
        chosen = _mode(policy, observations)
    if not isinstance(space, spaces.Box):
        return lambda inputs: -_log_prob(policy, inputs, chosen)
    bounds = (torch.as_tensor(bound.ravel(), device=policy.device) for bound in (space.low, space.high))
    unit = torch.ones_like(chosen) if policy.squash_output else ActionScale.of(*bounds).half_range
    return lambda inputs: ((_mode(policy, inputs) - chosen) / unit).square().flatten(1).sum(1)


def _mode(policy: BasePolicy, inputs: Tensor) -> Tensor:
    values = _values(policy, inputs)
    return action_distribution(policy, inputs).mode() if values is None else values.argmax(-1)


def _log_prob(policy: BasePolicy, inputs: Tensor, actions: Tensor) -> Tensor:
    values = _values(policy, inputs)
    if values is None:
        return action_distribution(policy, inputs).log_prob(actions)
    return values.log_softmax(-1).gather(-1, actions[:, None]).squeeze(-1)


def _values(policy: Any, inputs: Tensor) -> Tensor | None:
    """Values [B, A] of discrete actions, for DQN and QRDQN."""
    if hasattr(policy, "q_net"):
        return policy(inputs)
    return policy(inputs).mean(1) if hasattr(policy, "quantile_net") else None


def require_attackable(loaded: LoadedPolicy) -> None:
    """Raise `InputError` for a policy whose observations cannot be attacked."""
    if is_recurrent(loaded.policy):
        raise problem("a policy without memory for an attack", "a recurrent one", REMEDY)
    space = loaded.observation_space
    if not isinstance(space, spaces.Box) or is_image(space) or not np.issubdtype(space.dtype, np.floating):
        got = f"{type(space).__name__} of type {space.dtype}" if isinstance(space, spaces.Box) else f"{space}"
        raise problem("observations of floats (Box) for an attack, no images and no Dict", got, REMEDY)


def own_observation_std(loaded: LoadedPolicy) -> Tensor | None:
    """Standard deviations [O] of observations by the statistics that the policy normalizes with; None without any."""
    for outer in loaded.normalizers:
        return torch.as_tensor(outer.std.ravel(), dtype=torch.float32)
    return next((each.std.cpu() for each in policy_normalizers(loaded.policy)), None)


def visited_observation_std(policy: Policy, env: Any, rows: int) -> Tensor:
    """Standard deviations [O] of the first observations, at least `rows`, that `policy` visits in an SB3 VecEnv; a
    number that hardly varies has a small share of the median one (`Normalizer`)."""
    seen, count = [], 0
    for step in play(policy, env, deterministic=False):
        seen.append(torch.from_numpy(np.array(step.observations, np.float32)).flatten(1))
        count += len(seen[-1])
        if count >= rows:
            break
    return Normalizer.of(torch.cat(seen)).std
