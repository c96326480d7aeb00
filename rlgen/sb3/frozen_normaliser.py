"""Observation statistics that no longer move, for a policy that was trained on normalised observations."""

import json
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rlgen.errors import problem

logger = logging.getLogger("rlgen")

CONVERSION = (
    "where it was trained, run: v = VecNormalize.load('vecnormalize.pkl', venv); json.dump(dict("
    "mean=v.obs_rms.mean.tolist(), var=v.obs_rms.var.tolist(), clip=v.clip_obs, epsilon=v.epsilon), "
    "open('normaliser.json', 'w'))"
)


@dataclass(frozen=True, kw_only=True)
class FrozenNormaliser:
    """x -> clip((x - mean) / std, -clip, clip), in the precision of `mean`; the result is float32."""

    mean: np.ndarray
    """[O]."""

    std: np.ndarray
    """[O], > 0."""

    clip: float
    """In standard deviations."""

    def __call__(self, observations: np.ndarray) -> np.ndarray:
        """[..., O] -> [..., O] float32."""
        scaled = (np.asarray(observations).astype(self.mean.dtype) - self.mean) / self.std
        return np.clip(scaled, -self.clip, self.clip).astype(np.float32)


def find_normaliser(model: Path, size: int) -> FrozenNormaliser | None:
    """The `normaliser.json` beside a saved model. A pickled VecNormalize there is not opened; the log says so."""
    beside = model.with_name("normaliser.json")
    if beside.is_file():
        return read_normaliser(beside, size)
    pickled = sorted(model.parent.glob("*vec*normalize*.pkl"))
    if pickled:
        logger.warning(
            "expected normaliser.json beside %s, or a policy of raw observations; came %s, a pickle, which is not "
            "opened because it can run any code, so observations are NOT normalised; %s",
            *(model, pickled[0].name, CONVERSION),
        )
    return None


def read_normaliser(path: Path, size: int) -> FrozenNormaliser:
    """Reads `mean`, `var` (O = `size` numbers each), `clip` and `epsilon`: what SB3's VecNormalize computes with.

    Raises:
        InputError: not such a JSON file, another size, numbers that are not finite.
    """
    try:
        found = json.loads(path.read_text())
        mean, var = np.array(found["mean"], np.float64), np.array(found["var"], np.float64)
        clip, epsilon = float(found["clip"]), float(found["epsilon"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise problem(
            "JSON with the keys mean, var, clip and epsilon", f"{path} ({type(error).__name__}: {error})", CONVERSION
        ) from error
    if mean.shape != (size,) or var.shape != (size,):
        raise problem(
            f"{size} numbers under mean and var, one per observation number",
            f"shapes {list(mean.shape)} and {list(var.shape)} in {path}",
            "take the normaliser that was saved with this policy",
        )
    std = np.sqrt(np.maximum(var, 0) + epsilon)
    if not (np.isfinite(mean).all() and np.isfinite(std).all() and (std > 0).all() and clip > 0):
        raise problem(
            "finite mean, var >= 0, epsilon > 0 and clip > 0", f"other numbers in {path}", "write the file again"
        )
    return FrozenNormaliser(mean=mean, std=std, clip=clip)
