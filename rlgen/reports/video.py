"""Records a video of a policy. A child process, which may fail without harm, renders MuJoCo models; other environments
render themselves."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from rlgen.data.playing import Policy, play
from rlgen.data.words import words_of
from rlgen.reports.draw_frames import Camera, write_video
from rlgen.reports.instruction_caption import even_sided, frames_of_an_end, with_instructions
from rlgen.sim.task import MarginRule
from rlgen.system.renderer import child_environment, find_renderer, last_line

DRAW_TIMEOUT_S = 600.0
MAX_FRAMES = 300


@dataclass(frozen=True)
class Video:
    """A recorded video, or the reason for its absence."""

    path: Path | None
    """Path of the file (.mp4, or .gif without imageio-ffmpeg); None without a video."""
    reason: str
    """Reason for the absence of the video; empty for a recorded one."""
    returns: tuple[float, ...] = ()
    """Return of each episode in the video; the end of the video cuts the last one."""
    seconds: float = 0.0
    """Length [s of simulated time]; the video has the robot's real speed."""


@dataclass(frozen=True)
class Footage:
    """F recorded states: qpos [F, nq], mocap [F, m, 3], one every `interval_s` of simulated time."""

    qpos: np.ndarray
    mocap: np.ndarray
    interval_s: float
    returns: tuple[float, ...]


def record_video(
    policy: Policy,
    env_id: str,
    path: str | os.PathLike[str],
    *,
    env_kwargs: Mapping[str, Any] | None = None,
    margin_rule: MarginRule = "native",
    seed: int = 0,
    deterministic: bool = True,
    seconds: float = 10.0,
    fps: float = 25.0,
    size: tuple[int, int] = (480, 360),
) -> Video:
    """Record `policy` in a Gymnasium environment for `seconds` of simulated time, at most 300 frames.

    A child process renders a MuJoCo model; another environment renders itself, in its own size. A missing renderer,
    encoder or picture raises no error: the returned video has the reason. `path` ends in .mp4 or .gif; the written file
    has the suffix of its format. `size` is width and height in pixels, both even.
    """
    import gymnasium
    import mujoco

    from rlgen.sb3.gymnasium_vec_env import GymnasiumVecEnv

    try:
        env = GymnasiumVecEnv(env_id, 1, seed, dict(env_kwargs or {}), margin_rule)
    except gymnasium.error.Error as error:
        return Video(None, f"gymnasium does not make {env_id}: {error}")
    try:
        inner: Any = env.envs[0].unwrapped
        if not isinstance(getattr(inner, "model", None), mujoco.MjModel):
            how = {"seconds": seconds, "seed": seed, "deterministic": deterministic}
            return _self_drawn(policy, env_id, Path(path), env_kwargs or {}, inner.metadata, how)
        renderer = find_renderer()
        if renderer.name is None:
            return Video(None, renderer.detail)
        footage = _play(policy, env, inner, seconds, fps, deterministic)
        return _draw(footage, inner, renderer.name, Path(path), size)
    finally:
        env.close()


def _self_drawn(
    policy: Policy, env_id: str, path: Path, env_kwargs: Mapping[str, Any], metadata: Mapping[str, Any], how: Any
) -> Video:
    """The video of an environment without a MuJoCo model, or the reason for its absence."""
    import gymnasium

    if "rgb_array" not in (metadata.get("render_modes") or ()):
        return Video(None, f"{env_id} is not a MuJoCo environment and does not render itself")
    try:
        target, returns, seconds = _record_frames(policy, env_id, path, env_kwargs, MAX_FRAMES, **how)
    except gymnasium.error.Error as error:
        return Video(None, f"{env_id} cannot render itself: {error}")
    return Video(target, "", returns, seconds)


def _play(policy: Policy, env: Any, inner: Any, seconds: float, fps: float, deterministic: bool) -> Footage:
    """Play for `seconds` in `env`, a vector environment of one, starting again whenever an episode ends. `inner` is the
    MuJoCo environment in it."""
    every = max(1, round(1 / (inner.dt * fps)))
    n_frames = max(1, min(MAX_FRAMES, round(seconds / (inner.dt * every))))
    steps = islice(play(policy, env, deterministic, env.reset()), n_frames * every)
    states = [(inner.data.qpos.copy(), inner.data.mocap_pos.copy())]
    returns = [0.0]
    for number, step in enumerate(steps, start=1):
        returns[-1] += float(step.rewards[0])
        if step.dones[0]:
            returns.append(0.0)
        if number % every == 0 and len(states) < n_frames:
            states.append((inner.data.qpos.copy(), inner.data.mocap_pos.copy()))
    qpos, mocap = (np.stack(part) for part in zip(*states, strict=True))
    return Footage(qpos, mocap, inner.dt * every, tuple(returns))


def _draw(footage: Footage, inner: Any, renderer: str, path: Path, size: tuple[int, int]) -> Video:
    """Pass the states to the child process; the finished file gets its name at the end."""
    import mujoco

    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".video-", suffix=".partial") as folder:
        files = {name: str(Path(folder, name)) for name in ("model.mjb", "footage.npz", "video.mp4")}
        mujoco.mj_saveModel(inner.model, files["model.mjb"])
        np.savez(files["footage.npz"], qpos=footage.qpos, mocap=footage.mocap)
        job = {
            "model": files["model.mjb"],
            "footage": files["footage.npz"],
            "path": files["video.mp4"],
            "camera": asdict(_camera(inner)),
            "width": size[0],
            "height": size[1],
            "fps": 1 / footage.interval_s,
        }
        command = [sys.executable, "-P", "-m", "rlgen.reports.draw_frames"]
        try:
            done = subprocess.run(
                command, input=json.dumps(job), env=child_environment(renderer), capture_output=True, text=True,
                check=False, timeout=DRAW_TIMEOUT_S,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return Video(None, f"drawing took longer than {DRAW_TIMEOUT_S:.0f} s")
        if done.returncode:
            return Video(None, f"drawing failed: {last_line(done.stderr)}")
        drawn = Path(done.stdout.splitlines()[-1])
        target = path.with_suffix(drawn.suffix)
        drawn.replace(target)
    return Video(target, "", footage.returns, len(footage.qpos) * footage.interval_s)


def _camera(inner: Any) -> Camera:
    """The environment's camera, which follows a moving robot, obliquely if it moves freely."""
    import mujoco

    model = inner.model
    config = inner.mujoco_renderer.default_cam_config or {}
    first = model.body_jntadr[1] if model.nbody > 1 else -1
    root = mujoco.mjtJoint(model.jnt_type[first]) if first >= 0 else None
    moves = root in (mujoco.mjtJoint.mjJNT_FREE, mujoco.mjtJoint.mjJNT_SLIDE)
    body = max(0, int(config.get("trackbodyid", 1 if moves else 0)))
    return Camera(
        distance=float(config.get("distance", 1.5 * model.stat.extent)),
        azimuth=float(config.get("azimuth", 120.0 if root == mujoco.mjtJoint.mjJNT_FREE else 90.0)),
        elevation=float(config.get("elevation", -20.0)),
        lookat=tuple(float(x) for x in config.get("lookat", model.stat.center)),  # type: ignore[arg-type]
        body=body,
    )


def _record_frames(
    policy: Policy,
    env_id: str,
    path: Path,
    env_kwargs: Mapping[str, Any],
    most_frames: int,
    seconds: float,
    seed: int,
    deterministic: bool,
) -> tuple[Path, tuple[float, ...], float]:
    """Record a picture of every step for `seconds`, at most `most_frames`. Returns (file, returns, seconds)."""
    from rlgen.sb3.gymnasium_vec_env import GymnasiumVecEnv

    env = GymnasiumVecEnv(env_id, 1, seed, {**env_kwargs, "render_mode": "rgb_array"})
    try:
        fps = float(str(env.metadata.get("render_fps") or 25))
        n_frames = max(1, min(most_frames, round(seconds * fps)))
        end_frames = frames_of_an_end(env, fps)
        observations = env.reset()
        pictures, returns, steps = [_picture(env)], [0.0], []
        for step in play(policy, env, deterministic, observations):
            steps.append(step)
            returns[-1] += float(step.rewards[0])
            if step.dones[0]:
                returns.append(0.0)
            if len(steps) + end_frames * (len(returns) - 1) >= n_frames:
                break
            pictures.append(_picture(env))
        shown = pictures
        if end_frames:
            shown = with_instructions(pictures, steps, policy, end_frames, words_of(env))[:n_frames]
        size = (shown[0].shape[1], shown[0].shape[0])
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".video-", suffix=".partial") as folder:
            drawn = write_video(Path(folder, "video.mp4"), iter(shown), size, fps)
            target = path.with_suffix(drawn.suffix)
            drawn.replace(target)
        return target, tuple(returns), len(shown) / fps
    finally:
        env.close()


def _picture(env: Any) -> np.ndarray:
    """The picture of the current state, uint8 [height, width, 3], both even, as encoders require."""
    return even_sided(env.envs[0].render())
