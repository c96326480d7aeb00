"""Observation statistics: those that a policy collects, and those that were saved next to it."""

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from rlgen.errors import InputError, problem
from rlgen.sb3.features import has_normalizer, merge_rollout
from rlgen.sb3.plain_pickle import array_of, read_plain
from rlgen.sb3.rollout import rollout_of
from rlgen.system.files import atomic_write
from rlgen.system.memory import require_room


class ObservationStatistics(BaseCallback):
    """Merges every rollout into the policy's normalizer after the policy has learned from it: when the next one starts
    or training ends.

    The statistics are thus fixed from a rollout's first step to its last update: log-probabilities and values from
    acting are compared with those of the same inputs. The first rollout uses the initial statistics. Models without
    such a normalizer, or that are not on-policy, are left unchanged.
    """

    def __init__(self) -> None:
        super().__init__()
        self.learned_from: Any = None

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        if isinstance(self.model, OnPolicyAlgorithm) and has_normalizer(self.model.policy):
            # No copy: a buffer starts its next rollout with new arrays, and a device overwrites these only later.
            self.learned_from = rollout_of(self.model).observations

    def _on_rollout_start(self) -> None:
        self._take()

    def _on_training_end(self) -> None:
        self._take()

    def _take(self) -> None:
        """Merges a rollout at most once."""
        if self.learned_from is not None:
            merge_rollout(self.model.policy, self.learned_from)
        self.learned_from = None


logger = logging.getLogger("rlgen")

OWN = "normaliser.json"
"""File of the statistics of the model in the same folder."""
NONE = "none"
"""Value for no normalizer: the policy sees raw observations, even if statistics are stored next to it."""

REMEDY = (
    "name the statistics of this policy (--normalizer FILE), or play it on raw observations (--normalizer none); a "
    "VecNormalize that cannot be read can be written as JSON where it was trained: json.dump(dict("
    "mean=v.obs_rms.mean.tolist(), var=v.obs_rms.var.tolist(), clip=v.clip_obs, epsilon=v.epsilon), "
    "open('normaliser.json', 'w'))"
)


class OtherShape(InputError):
    """Statistics of observations of another shape."""


@dataclass(frozen=True, kw_only=True)
class FrozenNormalizer:
    """x -> clip((x - mean) / std, -clip, clip), in the precision of `mean`; the result is float32."""

    mean: np.ndarray
    """[O], or the observation's shape."""

    std: np.ndarray
    """Like `mean`, > 0."""

    clip: float
    """Limit in standard deviations."""

    def __call__(self, observations: np.ndarray) -> np.ndarray:
        """Normalizes observations [..., O]: [..., O] float32."""
        scaled = (np.asarray(observations).astype(self.mean.dtype) - self.mean) / self.std
        return np.clip(scaled, -self.clip, self.clip).astype(np.float32)


def find_normalizer(model: Path, shape: tuple[int, ...]) -> FrozenNormalizer | None:
    """Finds the statistics saved with a model for observations of `shape`; None if there are none.

    First `normaliser.json` next to it; else a VecNormalize under the names of rl-baselines3-zoo and SB3's callbacks,
    after the model and its environment; else one next to it that fits and is not named after another model.

    Raises:
        InputError: statistics of this model that cannot be read or do not fit, or several candidates.
    """
    own = model.with_name(OWN)
    if own.is_file():
        return read_normalizer(own, shape)
    named = next((path for path in _named_after(model) if path.is_file()), None)
    if named is not None:
        return _logged(model, named, read_normalizer(named, shape))
    fitting = [(path, found) for path in _unnamed(model) if (found := _if_it_fits(path, shape)) is not None]
    if len(fitting) > 1:
        got = " and ".join(path.name for path, _ in fitting)
        raise problem(f"one VecNormalize next to {model} that may be its own", got, REMEDY)
    return _logged(model, *fitting[0]) if fitting else None


def write_normalizer(normalizer: FrozenNormalizer, folder: Path) -> None:
    """Writes the statistics next to a model in `folder`, where `find_normalizer` finds them."""
    numbers: dict[str, Any] = {"mean": normalizer.mean.tolist(), "var": np.square(normalizer.std).tolist()}
    atomic_write(folder / OWN, json.dumps({**numbers, "clip": normalizer.clip, "epsilon": 0.0}))


def read_normalizer(path: Path, shape: tuple[int, ...]) -> FrozenNormalizer | None:
    """Reads a pickled VecNormalize, without running any of it, or JSON with `mean` and `var` (one number for each
    component of an observation of `shape`), `clip` and `epsilon`, with which SB3's VecNormalize computes. None if a
    VecNormalize does not normalize observations.

    Raises:
        InputError: other content, another size, numbers that are not finite.
    """
    try:
        require_room(path.stat().st_size, f"the statistics of {path}")
        content = path.read_bytes()
    except OSError as error:
        raise problem("a file of observation statistics", f"{path} ({error.strerror})", "check the path") from error
    try:
        found = _of_pickle(content, path) if content[:1] == b"\x80" else json.loads(content)
        if found is None:
            return None
        numbers = [np.array(found[name], np.float64) for name in ("mean", "var", "clip", "epsilon")]
    except InputError:
        raise
    except Exception as error:  # an untrusted file can make parsers fail in any way
        raise problem(
            "a VecNormalize (.pkl), or JSON with the keys mean, var, clip and epsilon",
            f"{path} ({type(error).__name__}: {error})",
            REMEDY,
        ) from error
    return _frozen(numbers, shape, path)


def _of_pickle(content: bytes, path: Path) -> dict[str, Any] | None:
    try:
        record = read_plain(content, str(path))
    except InputError as refused:
        raise InputError(f"{str(refused).rpartition('; ')[0]}; {REMEDY}") from refused
    if getattr(record, "name", None) != "VecNormalize":
        raise ValueError("no VecNormalize")
    if not record.get("norm_obs", True):
        return None
    statistics = record.get("obs_rms")
    if getattr(statistics, "name", None) != "RunningMeanStd":
        raise ValueError("statistics of observations in a dictionary")
    return {
        **{name: array_of(statistics.get(name)) for name in ("mean", "var")},
        "clip": array_of(record.get("clip_obs")),
        "epsilon": array_of(record.get("epsilon")),
    }


def _frozen(numbers: list[np.ndarray], shape: tuple[int, ...], path: Path) -> FrozenNormalizer:
    mean, var, clip, epsilon = numbers
    size = int(np.prod(shape))
    if any(each.shape not in (shape, (size,)) for each in (mean, var)) or clip.ndim or epsilon.ndim:
        mismatch = problem(
            f"{size} numbers under mean and var, one per observation component, and one under clip and epsilon",
            f"shapes {', '.join(str(list(each.shape)) for each in numbers)} in {path}",
            "use the normalizer that was saved with this policy, or none: --normalizer none",
        )
        raise OtherShape(str(mismatch))
    with np.errstate(all="ignore"):
        std = np.sqrt(np.maximum(var, 0) + epsilon)
    if not (np.isfinite(mean).all() and np.isfinite(std).all() and (std > 0).all() and clip > 0):
        raise problem(
            "finite mean, var >= 0, epsilon > 0 and clip > 0", f"other numbers in {path}", "write the file again"
        )
    return FrozenNormalizer(mean=mean.reshape(shape), std=std.reshape(shape), clip=float(clip))


def _named_after(model: Path) -> Iterator[Path]:
    """Paths of the statistics of `model` by its name, or by that of its environment's folder, ENV_1."""
    folder, stem = model.absolute().parent, model.stem
    yield folder / stem / "vecnormalize.pkl"
    for part in (f"{stem}_vecnormalize", f"{stem}-vecnormalize", f"vecnormalize_{stem}", f"vecnormalize-{stem}"):
        yield folder / f"{part}.pkl"
    yield folder / (re.sub(r"_(\d+_steps)$", r"_vecnormalize_\1", stem) + ".pkl")
    yield folder / re.sub(r"_\d+$", "", folder.name) / "vecnormalize.pkl"


def _unnamed(model: Path) -> list[Path]:
    """Pickles of statistics next to `model` that are not named after another model there."""
    others = {path for each in model.parent.glob("*.zip") if each.stem != model.stem for path in _named_after(each)}
    found = sorted(model.absolute().parent.glob("*vec*normalize*.pkl"))
    return [path for path in found if path not in others]


def _if_it_fits(path: Path, shape: tuple[int, ...]) -> FrozenNormalizer | None:
    """None if the statistics are those of another task; raises if they cannot be read."""
    try:
        return read_normalizer(path, shape)
    except OtherShape as other:
        logger.info("%s is not used: %s", path, other)
        return None


def _logged(model: Path, path: Path, found: FrozenNormalizer | None) -> FrozenNormalizer | None:
    if found is not None:
        logger.info("%s sees observations normalized by %s", model, path)
    return found
