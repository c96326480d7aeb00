"""Film a policy in an environment that draws its own pictures, such as the classic tasks."""

import tempfile
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from rlgen.data.playing import Policy, play
from rlgen.runs.draw_frames import write_video


def film(
    policy: Policy,
    env_id: str,
    path: Path,
    env_kwargs: Mapping[str, Any],
    most_frames: int,
    seconds: float,
    seed: int,
    deterministic: bool,
) -> tuple[Path, tuple[float, ...], float]:
    """(file, returns, seconds): a picture of every step for `seconds`, and for `most_frames` at most."""
    from rlgen.sb3.gymnasium_vec_env import GymnasiumVecEnv

    env = GymnasiumVecEnv(env_id, 1, seed, {**env_kwargs, "render_mode": "rgb_array"})
    try:
        fps = float(str(env.metadata.get("render_fps") or 25))
        n_frames = max(1, min(most_frames, round(seconds * fps)))
        observations = env.reset()
        pictures, returns = [_picture(env)], [0.0]
        for step in islice(play(policy, env, deterministic, observations), n_frames):
            returns[-1] += float(step.rewards[0])
            if step.dones[0]:
                returns.append(0.0)
            pictures.append(_picture(env))
        shown = pictures[:n_frames]
        size = (shown[0].shape[1], shown[0].shape[0])
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".video-", suffix=".partial") as folder:
            drawn = write_video(Path(folder, "video.mp4"), iter(shown), size, fps)
            target = path.with_suffix(drawn.suffix)
            drawn.replace(target)
        return target, tuple(returns), len(shown) / fps
    finally:
        env.close()


def _picture(env: Any) -> np.ndarray:
    """Bytes [height, width, 3] of the present state, both even, as encoders ask."""
    picture = np.asarray(env.envs[0].render(), dtype=np.uint8)
    height, width = picture.shape[:2]
    return picture[: height - height % 2, : width - width % 2]
