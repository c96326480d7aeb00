"""A policy is filmed in a child process: without a renderer there is a reason instead of a crash."""

import subprocess
import sys
from pathlib import Path

import gymnasium
import mujoco
import numpy as np
import pytest

from rlgen.reports import draw_frames, record_video, video
from rlgen.sb3 import GymnasiumVecEnv
from rlgen.system import renderer
from rlgen.system.renderer import Renderer, find_renderer

ANT_DT_S = 0.05


class Rest:
    def __init__(self, n_actions: int) -> None:
        self.n_actions = n_actions
        self.seen: list[np.ndarray] = []

    def predict(self, observation, *, deterministic):
        self.seen.append(observation)
        return np.zeros((len(observation), self.n_actions), dtype=np.float32), None


@pytest.fixture
def drawing():
    found = find_renderer()
    if found.name is None:
        pytest.skip(found.detail)
    return found


@pytest.fixture
def unused_renderer(monkeypatch):
    """A renderer that is never reached: these tests end before the drawing."""
    monkeypatch.setattr(video, "find_renderer", lambda: Renderer("egl", "pretended"))


def test_a_film_of_ant_has_the_promised_length_and_a_picture(drawing, tmp_path):
    policy = Rest(8)
    film = record_video(policy, "Ant-v5", tmp_path / "video.mp4", seconds=0.3, size=(64, 48))
    assert film.reason == ""
    assert film.path.parent == tmp_path
    assert film.path.stat().st_size > 500
    assert film.seconds == pytest.approx(6 * ANT_DT_S)
    assert len(film.returns) == 1
    assert policy.seen[0].shape == (1, 105)
    assert policy.seen[0].dtype == np.float32
    assert [path.name for path in tmp_path.iterdir()] == [film.path.name]


def test_without_an_mp4_encoder_the_film_is_a_gif(drawing, tmp_path, monkeypatch):
    (tmp_path / "stub").mkdir()
    (tmp_path / "stub" / "imageio_ffmpeg.py").write_text("raise ImportError")
    environment = renderer.child_environment(drawing.name) | {"PYTHONPATH": str(tmp_path / "stub")}
    monkeypatch.setattr(video, "child_environment", lambda name: environment)
    film = record_video(Rest(8), "Ant-v5", tmp_path / "video.mp4", seconds=0.2, size=(64, 48))
    assert film.path == tmp_path / "video.gif"
    assert film.path.read_bytes().startswith(b"GIF8")


def test_a_driver_that_crashes_costs_the_film_and_not_the_run(drawing, tmp_path, monkeypatch):
    (tmp_path / "stub").mkdir()
    (tmp_path / "stub" / "mujoco.py").write_text("raise RuntimeError('the driver is broken')")
    environment = renderer.child_environment(drawing.name) | {"PYTHONPATH": str(tmp_path / "stub")}
    monkeypatch.setattr(video, "child_environment", lambda name: environment)
    film = record_video(Rest(8), "Ant-v5", tmp_path / "video.mp4", seconds=0.2)
    assert film.path is None
    assert film.reason == "drawing failed: RuntimeError: the driver is broken"
    assert not list(tmp_path.glob("*.mp4"))


def test_without_a_renderer_there_is_a_reason_and_a_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(renderer, "PROBE", "raise ImportError('libEGL.so.1 is missing')")
    nothing = find_renderer.__wrapped__()
    monkeypatch.setattr(video, "find_renderer", lambda: nothing)
    film = record_video(Rest(8), "Ant-v5", tmp_path / "video.mp4")
    assert film.path is None
    assert "libEGL.so.1 is missing" in film.reason
    assert "apt-get install" in film.reason


def test_a_probe_killed_by_its_driver_is_reported_as_killed(monkeypatch):
    monkeypatch.setattr(renderer, "PROBE", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    assert "killed by signal 11" in find_renderer.__wrapped__().detail


def test_a_probe_that_hangs_is_given_up(monkeypatch):
    monkeypatch.setattr(renderer, "PROBE", "import time; time.sleep(60)")
    monkeypatch.setattr(renderer, "PROBE_TIMEOUT_S", 0.1)
    assert "no answer" in find_renderer.__wrapped__().detail


def test_the_users_choice_is_tried_first(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    monkeypatch.setattr(sys, "platform", "linux")
    assert renderer._candidates() == ["osmesa", "egl", "glfw"]


@pytest.mark.parametrize(
    ("env_id", "reason"), [("FrozenLake-v1", "cannot render itself"), ("Nothing-v0", "does not make")]
)
def test_an_environment_without_pictures_is_not_filmed_and_said(unused_renderer, tmp_path, monkeypatch, env_id, reason):
    monkeypatch.setitem(sys.modules, "pygame", None)
    film = record_video(Rest(1), env_id, tmp_path / "video.mp4")
    assert film.path is None
    assert reason in film.reason


def test_episodes_follow_each_other_until_the_film_is_full():
    env = GymnasiumVecEnv("Hopper-v5", 1, 0, {})
    footage = video._play(Rest(3), env, env.envs[0].unwrapped, seconds=4.0, fps=25.0, deterministic=True)
    assert len(footage.returns) > 1  # a resting hopper falls
    assert len(footage.qpos) == pytest.approx(4.0 / footage.interval_s, abs=1)
    assert footage.interval_s == pytest.approx(0.04)
    env.close()


def test_a_long_film_stops_at_three_hundred_frames():
    env = GymnasiumVecEnv("InvertedPendulum-v5", 1, 0, {})
    footage = video._play(Rest(1), env, env.envs[0].unwrapped, seconds=100.0, fps=25.0, deterministic=True)
    assert len(footage.qpos) == 300
    env.close()


@pytest.mark.parametrize(
    ("env_id", "body", "azimuth"), [("Ant-v5", 1, 120.0), ("HalfCheetah-v5", 1, 90.0), ("Reacher-v5", 0, 90.0)]
)
def test_the_camera_follows_robots_that_move_about(env_id, body, azimuth, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # MuJoCo logs half-cheetah's deprecated attribute to the working folder
    env = gymnasium.make(env_id)
    camera = video._camera(env.unwrapped)
    assert (camera.body, camera.azimuth) == (body, azimuth)
    env.close()


def test_an_endless_floor_keeps_its_pattern():
    model = mujoco.MjModel.from_xml_string(
        """<mujoco><asset>
        <texture name="t" type="2d" builtin="checker" width="10" height="10"/>
        <material name="m" texture="t" texrepeat="60 30"/></asset>
        <worldbody><geom type="plane" size="40 40 1" material="m"/></worldbody></mujoco>"""
    )
    draw_frames._make_endless(model)
    assert model.geom_size[0, :2].tolist() == [0, 0]
    assert model.mat_texuniform[0] == 1
    assert model.mat_texrepeat[0] == pytest.approx([60 / 80, 30 / 80])


def test_filming_leaves_no_file_in_the_working_folder(unused_renderer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(video, "_draw", lambda *_: video.Video(None, "not drawn"))
    record_video(Rest(6), "HalfCheetah-v5", tmp_path / "video.mp4", seconds=0.1)
    assert list(Path.cwd().iterdir()) == []


def test_the_drawing_process_needs_neither_torch_nor_gymnasium():
    code = (
        "import sys, rlgen.reports.draw_frames; print({'torch', 'gymnasium', 'stable_baselines3'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_legacy_margin_rule_is_played_by_that_rule(unused_renderer, tmp_path, monkeypatch):
    margins = {}
    monkeypatch.setattr(
        video, "_draw", lambda footage, inner, *_: margins.update(value=inner.model.geom_margin.max()) or "film"
    )
    for rule in ("native", "legacy"):
        assert record_video(Rest(8), "Ant-v5", tmp_path / "v.mp4", margin_rule=rule, seconds=0.1) == "film"
        margins[rule] = margins["value"]
    assert margins["legacy"] == margins["native"] / 2 > 0


@pytest.mark.parametrize("name", ["MountainCar", "CartPoleSwingup", "DoublePendulum"])
def test_a_classic_task_films_itself_without_opengl(tmp_path, monkeypatch, name):
    monkeypatch.setattr(video, "find_renderer", lambda: renderer.Renderer(None, "nothing draws here"))
    film = record_video(Rest(1), f"rlgen.envs:rlgen/Sparse{name}-v0", tmp_path / "v.mp4", seconds=0.4)
    assert film.path is not None, film.reason
    assert film.path.stat().st_size > 1000
    assert film.seconds == pytest.approx(0.4, abs=0.05)
    assert len(film.returns) == 1
    assert list(tmp_path.iterdir()) == [film.path]
