"""Draw recorded simulator states into a video. Runs as a child process, see `video.py`:

    python -m rlgen.reports.draw_frames < job.json

The input is a model that MuJoCo saved, the joint positions of each frame and a camera; the output is an mp4 (a GIF
without imageio-ffmpeg). Neither the environment nor the policy is needed, and a crash of a graphics driver ends only
this process.
"""

import contextlib
import json
import sys
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

# A quarter of MuJoCo's own: drawing in software is twice as fast and looks the same at this picture size. Reflections
# are off for the same reason.
SHADOW_SIZE = 1024
# Radius of the patch with shadows, in distances of the camera.
SHADOW_REACH = 0.6
# Fraction of the old height that the camera keeps from frame to frame, so that it does not bounce with the robot.
HEIGHT_MEMORY = 0.95

Frames = Generator[np.ndarray, None, None]


@dataclass(frozen=True)
class Camera:
    """Angles [degrees] and distance [m] of the camera, and the body to follow (0: none, look at `lookat`)."""

    distance: float
    azimuth: float
    elevation: float
    lookat: tuple[float, float, float]
    body: int


def draw(model: Path, footage: Path, camera: Camera, width: int, height: int, fps: float, path: Path) -> Path:
    """Draw the states in `footage` (.npz: qpos [F, nq], mocap [F, m, 3]) and return the video's path: .mp4 or .gif."""
    frames = _frames(mujoco.MjModel.from_binary_path(str(model)), np.load(footage), camera, width, height)
    with contextlib.closing(frames):
        return write_video(path, frames, (width, height), fps)


def write_video(path: Path, frames: Iterator[np.ndarray], size: tuple[int, int], fps: float) -> Path:
    """Write pictures of `size` (width, height) as .mp4, or as .gif without an encoder. Returns the file's path."""
    try:
        import imageio_ffmpeg
    except ImportError:
        return _write_gif(path.with_suffix(".gif"), frames, fps)
    return _write_mp4(imageio_ffmpeg, path.with_suffix(".mp4"), frames, size, fps)


def _frames(model: mujoco.MjModel, footage: Any, camera: Camera, width: int, height: int) -> Frames:
    """Pictures of the states, uint8 [height, width, 3]."""
    model.vis.global_.offwidth, model.vis.global_.offheight = width, height
    model.vis.quality.shadowsize = SHADOW_SIZE
    # Shadows near the robot only: they are sharper, and far away Mesa's software renderer draws stray stripes instead.
    model.vis.map.shadowclip = SHADOW_REACH * camera.distance / model.stat.extent
    _make_endless(model)
    data = mujoco.MjData(model)
    renderer = mujoco.Renderer(model, height, width)
    view = mujoco.MjvCamera()
    view.type = mujoco.mjtCamera.mjCAMERA_FREE
    view.distance, view.azimuth, view.elevation = camera.distance, camera.azimuth, camera.elevation
    view.lookat[:] = camera.lookat
    try:
        for index, qpos in enumerate(footage["qpos"]):
            data.qpos[:], data.mocap_pos[:] = qpos, footage["mocap"][index]
            mujoco.mj_forward(model, data)
            if camera.body:
                center = data.subtree_com[camera.body]
                view.lookat[:2] = center[:2]
                keep = HEIGHT_MEMORY if index else 0.0
                view.lookat[2] = keep * view.lookat[2] + (1 - keep) * center[2]
                # The lights move with the robot, which would otherwise leave the patch with shadows.
                data.light_xpos[model.light_bodyid == 0, :2] += center[:2]
            renderer.update_scene(data, view)
            renderer.scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0
            yield renderer.render()
    finally:
        renderer.close()


def _make_endless(model: mujoco.MjModel) -> None:
    """Extend the floor to the horizon: a plane's size affects only its picture, and robots run beyond Ant's 40 m."""
    for geom in np.flatnonzero(model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE):
        material, size = model.geom_matid[geom], model.geom_size[geom, :2].copy()
        if material >= 0 and not model.mat_texuniform[material] and (size > 0).all():
            # From repeats per plane to repeats per meter, so that the pattern keeps its size.
            model.mat_texrepeat[material] /= 2 * size
            model.mat_texuniform[material] = 1
        model.geom_size[geom, :2] = 0


def _write_mp4(ffmpeg: Any, path: Path, frames: Iterator[np.ndarray], size: tuple[int, int], fps: float) -> Path:
    # faststart puts the index first, so that browsers can play the file while it loads.
    writer = ffmpeg.write_frames(
        str(path), size, fps=fps, codec="libx264", quality=None, macro_block_size=2,
        output_params=["-crf", "26", "-preset", "veryfast", "-movflags", "+faststart"],
    )  # fmt: skip
    writer.send(None)
    with contextlib.closing(writer):
        for frame in frames:
            writer.send(np.ascontiguousarray(frame))
    return path


def _write_gif(path: Path, frames: Iterator[np.ndarray], fps: float) -> Path:
    from PIL import Image

    first, *rest = [Image.fromarray(frame).quantize(64) for frame in frames]
    first.save(path, save_all=True, append_images=rest, duration=round(1000 / fps), loop=0)
    return path


def main() -> None:
    """Read a job from standard input and print the path of the video."""
    job: dict[str, Any] = json.load(sys.stdin)
    job |= {name: Path(job[name]) for name in ("model", "footage", "path")}
    job["camera"] = Camera(**job["camera"])
    print(draw(**job))


if __name__ == "__main__":
    main()
