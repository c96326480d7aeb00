"""The policy protocol, the record of a step, and the episode loop shared by recording, evaluation and videos."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from rlgen.data.spaces import fits, is_image
from rlgen.errors import InputError, problem


class Policy(Protocol):
    """An SB3 model or policy, or any other object with the same `predict`."""

    def predict(
        self,
        observation: np.ndarray,
        state: Any = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, Any]:
        """Actions [N, A] in environment scale for observations [N, O], and the next recurrent state.

        `state` is the state returned by the previous call, None at first; where `episode_start` [N] is true, the policy
        resets it. A policy without memory may leave both arguments out.
        """
        ...


@dataclass(frozen=True)
class Step:
    """One step of N environments. The arrays may belong to the environment, which overwrites them in its next step."""

    observations: np.ndarray
    """[N, O], before the step."""
    actions: np.ndarray
    """[N, A], as the environments received them."""
    rewards: np.ndarray
    """[N]."""
    dones: np.ndarray
    """[N] bool: the episode ended with this step, and the next one has started."""
    infos: list[dict[str, Any]]
    """Info dictionary of each environment."""


def play(policy: Policy, env: Any, deterministic: bool, observations: Any = None) -> Iterator[Step]:
    """Plays `policy` in an SB3 VecEnv without end and yields every step. Starts from `observations`, those of a reset,
    or resets the environment if they are None.

    A recurrent policy receives its own state and the episode starts, as in SB3's `evaluate_policy`. In an environment
    of raw observations, a model trained under a VecNormalize normalizes with the statistics of its training. Actions
    are clipped to the action space.

    Raises `InputError` if the spaces differ from the policy's or an action is not finite.
    """
    require_same_spaces(policy, env)
    act = acting(policy, env)
    low, high = (getattr(getattr(env, "action_space", None), side, None) for side in ("low", "high"))
    state, starts = None, np.ones(env.num_envs, bool)
    if observations is None:
        observations = env.reset()
    while True:
        actions, state = act(observations, state, starts, deterministic)
        if low is not None:
            actions = np.clip(actions, low, high)
        following, rewards, starts, infos = env.step(actions)
        yield Step(observations, actions, rewards, starts, infos)
        observations = following


def play_episodes(policy: Policy, env: Any, episodes: int, deterministic: bool) -> Iterator[tuple[Step, np.ndarray]]:
    """Plays as `play` until `episodes` episodes have ended, a fixed share of them in each environment.

    Yields each step with a mask [N] of the environments whose episode counts. To count the first E episodes that end
    would favor short ones, so shares are fixed beforehand; an environment that has completed its share plays on
    without being counted.
    """
    n = env.num_envs
    left = np.full(n, episodes // n) + (np.arange(n) < episodes % n)
    for step in play(policy, env, deterministic):
        counts = left > 0
        yield step, counts
        left -= step.dones & counts
        if not left.any():
            return


def require_same_spaces(policy: Any, env: Any) -> None:
    """Raises `InputError` if `policy` has spaces and those of `env` differ from them in class, shape or sizes."""
    for name in ("observation_space", "action_space"):
        own, given = getattr(policy, name, None), getattr(env, name, None)
        if own is None or given is None or _alike(own, given):
            continue
        raise problem(
            f"the {name.replace('_', ' ')} of the policy, {own}",
            f"{given}",
            "make the environment that the policy was trained in, with the same options",
        )


def is_normalizing(env: Any) -> bool:
    """Whether `env` is a VecNormalize, or has one below other wrappers."""
    return hasattr(env, "get_original_obs")


Acting = Callable[[Any, Any, np.ndarray, bool], tuple[np.ndarray, Any]]


def acting(policy: Any, env: Any) -> Acting:
    """`policy.predict` as a function of four arguments (observations, state, episode starts, deterministic), also if it
    accepts fewer. It raises `InputError` for actions that are not finite."""
    normalizer = policy.get_vec_normalize_env() if hasattr(policy, "get_vec_normalize_env") else None
    see = (lambda seen: seen) if normalizer is None or is_normalizing(env) else normalizer.normalize_obs
    parameters = inspect.signature(policy.predict).parameters
    open_ended = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    recurrent = open_ended or {"state", "episode_start"} <= set(parameters)

    def act(observations: Any, state: Any, starts: np.ndarray, deterministic: bool) -> tuple[np.ndarray, Any]:
        memory = {"state": state, "episode_start": starts} if recurrent else {}
        try:
            actions, state = policy.predict(see(observations), deterministic=deterministic, **memory)
        except ValueError as error:
            if "invalid values" in str(error):  # from a torch distribution that received NaN
                raise _not_finite() from error
            raise
        actions = np.asarray(actions)
        if actions.dtype.kind == "f" and not np.isfinite(actions).all():
            raise _not_finite()
        return actions, state

    return act


def _not_finite() -> InputError:
    return problem(
        "a policy with finite actions",
        "NaN or infinite actions: the policy's weights or observations are not finite or too large",
        "use a policy, or a checkpoint, from before the training diverged",
    )


def _alike(own: Any, given: Any) -> bool:
    """Whether two spaces have the same class, shape and sizes, in every entry. Images may have their channels first or
    last: Stable-Baselines3 moves them."""
    if isinstance(getattr(own, "spaces", None), dict) and isinstance(getattr(given, "spaces", None), dict):
        return own.spaces.keys() == given.spaces.keys() and all(
            _alike(own.spaces[name], given.spaces[name]) for name in own.spaces
        )
    if is_image(own) and is_image(given):
        return fits(own.shape, ("uint8", given.shape))
    return _kind(own) == _kind(given)


def _kind(space: Any) -> tuple[Any, ...]:
    """Class, shape and numbers of discrete values."""
    sizes = [np.asarray(getattr(space, name)).tolist() for name in ("n", "nvec") if hasattr(space, name)]
    return type(space), getattr(space, "shape", None), sizes
