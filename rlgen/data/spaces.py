"""What demonstrations hold of an observation space: the kind and shape of each entry."""

from typing import Any

import numpy as np

from rlgen.data.observations import entries, of_entries
from rlgen.errors import InputError, problem

Kinds = dict[str, tuple[str, tuple[int, ...]]]
"""Type and shape of a row by entry; a space other than a Dict has one entry with an empty name."""


def kinds_of(space: Any, where: str = "the environment") -> Kinds:
    """Type and shape of an observation of `space` in demonstrations (`rlgen.data.observations`).

    Raises:
        InputError: texts, tuples, graphs, sequences, dictionaries within dictionaries, and discrete spaces that do not
            count from 0.
    """
    require_counted_from_zero(space, None, where)
    if not hasattr(space, "spaces"):
        return {"": _kind(space, where)}
    if not isinstance(getattr(space, "spaces", None), dict):
        raise _unsupported(space, where)
    return {name: _kind_of_entry(inner, name, space, where) for name, inner in sorted(space.spaces.items())}


def _kind(space: Any, where: str) -> tuple[str, tuple[int, ...]]:
    if getattr(space, "shape", None) is None:
        raise _unsupported(space, where)
    if is_image(space):
        return "uint8", tuple(space.shape)
    return "float32", (int(np.prod(space.shape)),)


def _kind_of_entry(space: Any, name: str, whole: Any, where: str) -> tuple[str, tuple[int, ...]]:
    if hasattr(space, "spaces") or getattr(space, "shape", None) is None:
        kept = [each for each, inner in whole.spaces.items() if getattr(inner, "shape", None) is not None]
        raise problem(
            "entries that are numbers (Box, Discrete, MultiDiscrete, MultiBinary) in a Dict of one level",
            f"{name!r}, {short(space)}, of {where}",
            f"leave it out: gymnasium.wrappers.FilterObservation(env, {kept})",
        )
    if hasattr(space, "low") and space.dtype == np.uint8 and space.shape:
        return "uint8", (int(np.prod(space.shape)),) if is_codes(space) else tuple(space.shape)
    number = "float32" if space.dtype is not None and np.dtype(space.dtype).kind == "f" else "int64"
    return number, (int(np.prod(space.shape)),)


def require_counted_from_zero(observed: Any, acted: Any, where: str = "the environment") -> None:
    """Raises `InputError` for discrete observations or actions that start at another number than 0, which
    Stable-Baselines3 takes for other ones, or for none. None: not checked."""
    for name, space in ({} if observed is None else with_entries(observed)).items():
        if np.any(start := getattr(space, "start", 0)):
            change = f"observation - {_number(start)}"
            if name:
                change = f"{{**observation, {name!r}: observation[{name!r}] - {_number(start)}}}"
            wrapper = f"TransformObservation(env, lambda observation: {change}, {_from_zero(observed, name)})"
            got = f"{short(space)} of {where}" if not name else f"{name!r}, {short(space)}, of {where}"
            raise problem("discrete observations counted from 0", got, _wrap(wrapper))
    if np.any(start := getattr(acted, "start", 0)):
        wrapper = f"TransformAction(env, lambda action: action + {_number(start)}, {_from_zero(acted)})"
        raise problem("discrete actions counted from 0", f"{short(acted)} of {where}", _wrap(wrapper))


def _number(start: Any) -> str:
    return f"np.array({start.tolist()})" if np.ndim(start) else str(int(start))


def _from_zero(space: Any, name: str = "") -> str:
    """The space counted from 0, or that of an entry of a dictionary, as it is written in Python."""
    if name:
        return f"spaces.Dict({{**env.observation_space.spaces, {name!r}: {_from_zero(space.spaces[name])}}})"
    sizes = getattr(space, "nvec", None)
    return f"spaces.Discrete({int(space.n)})" if sizes is None else f"spaces.MultiDiscrete({sizes.tolist()})"


def _wrap(wrapper: str) -> str:
    return f"register the task with a wrapper: gymnasium.wrappers.{wrapper}, where spaces is gymnasium.spaces"


def _unsupported(space: Any, where: str) -> InputError:
    return problem(
        "numeric observations (a Box, a discrete space, or a Dict of them)",
        f"{short(space)} of {where}",
        "wrap the environment: gymnasium.wrappers.FlattenObservation makes one vector of a tuple",
    )


def short(space: Any) -> str:
    """A space in messages: its first characters, because bounds of images and codes fill pages."""
    text = str(space)
    return text if len(text) <= 120 else f"{text[:120]}…"


def is_image(space: Any) -> bool:
    """Whether observations of a Box are images: bytes of three dimensions or more, which are no codes."""
    return hasattr(space, "low") and space.dtype == np.uint8 and len(space.shape) >= 3 and not is_codes(space)


def is_codes(space: Any) -> bool:
    """Whether observations of a Box are codes, numbers of kinds: bytes from 0 to less than 255. Stable-Baselines3 takes
    none for an image either, because a byte of an image may be 255."""
    is_bytes = hasattr(space, "low") and space.dtype == np.uint8 and bool(space.shape)
    return is_bytes and not space.low.any() and bool((space.high < 255).all())


def channels_first_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """[C, H, W] of an image space, whose channels are its smallest dimension, first or last, as in
    Stable-Baselines3."""
    first, middle, last = shape
    return (first, middle, last) if first == min(shape) else (last, first, middle)


def channels_first(images: Any, shape: tuple[int, ...]) -> Any:
    """Images [B, C, H, W] or [B, H, W, C], arrays or tensors, as [B, C, H, W]; `shape` is [C, H, W]."""
    if tuple(images.shape[1:]) == tuple(shape):
        return images
    return images.swapaxes(-1, -2).swapaxes(-2, -3)


def rows_of(observations: Any, kinds: Kinds) -> Any:
    """Observations [..., *shape] of a vector environment with these kinds as rows [R, ...], as demonstrations hold
    them, but images with channels first. Images are not copied."""
    found = {name: _rows(np.asarray(array), *kinds[name]) for name, array in entries(observations).items()}
    return of_entries(found)


def _rows(array: np.ndarray, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    if dtype == "uint8" and len(shape) == 3:
        return channels_first(array.reshape(-1, *array.shape[-3:]), channels_first_shape(shape))
    return array.reshape(-1, *shape).astype(dtype, copy=False)


def fits(got: tuple[int, ...], kind: tuple[str, tuple[int, ...]]) -> bool:
    """Whether rows of shape `got` are of this kind. Images fit with channels first and last, because
    Stable-Baselines3 moves the channels to the front."""
    dtype, shape = kind
    if dtype == "uint8" and len(shape) == len(got) == 3:
        return got in (shape, (shape[2], *shape[:2]), (*shape[1:], shape[0]))
    return got == shape


def with_entries(space: Any) -> dict[str, Any]:
    """The space of each entry; a space other than a Dict under the empty name."""
    return entries(space.spaces) if isinstance(getattr(space, "spaces", None), dict) else {"": space}
