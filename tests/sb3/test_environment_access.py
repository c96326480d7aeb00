"""What SB3's users ask single environments for, asked of many that are one object: attributes, methods, pictures."""

import sys
from types import ModuleType

import numpy as np
import pytest
from stable_baselines3.common.vec_env import VecVideoRecorder

from rlgen.envs import make_vec
from rlgen.errors import InputError
from rlgen.sb3 import vec_env

CAR = "rlgen/SparseMountainCar-v0"
DRAWN = {"render_mode": "rgb_array", "width": 64, "height": 48}


@pytest.fixture
def cheetah():
    env = make_vec("HalfCheetah-v5", 3)
    env.reset()
    yield env
    env.close()


def test_a_setting_of_the_task_is_an_attribute(cheetah):
    assert cheetah.get_attr("ctrl_cost_weight") == [0.1] * 3
    assert cheetah.env_method("get_wrapper_attr", "ctrl_cost_weight", indices=[0]) == [0.1]
    with pytest.raises(AttributeError):
        cheetah.get_attr("wings")


@pytest.mark.parametrize("through", ["set_attr", "env_method"])
def test_a_changed_weight_is_paid_from_the_next_step_on(cheetah, through):
    state = cheetah.state_dict()
    actions = np.ones((3, 6), np.float32)
    before = cheetah.step(actions)[1]
    cheetah.load_state_dict(state)
    if through == "set_attr":
        cheetah.set_attr("ctrl_cost_weight", 0.6)
    else:
        assert cheetah.env_method("set_wrapper_attr", "ctrl_cost_weight", 0.6) == [True] * 3
    np.testing.assert_allclose(before - cheetah.step(actions)[1], 0.5 * 6, rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda env: env.set_attr("wings", 2), "a setting of HalfCheetah.*got wings"),
        (lambda env: env.set_attr("ctrl_cost_weight", "much"), "of the same type as 0.1; got 'much'"),
        (lambda env: env.set_attr("frame_skip", 0), "frame_skip of at least 1"),
        (lambda env: env.set_attr("ctrl_cost_weight", 1.0, indices=[1]), "all environments"),
        (lambda env: env.set_attr("exclude_current_positions_from_observation", False), "observation dimension 17"),
        (lambda env: env.env_method("jump"), r"render of an environment on threads; got jump.*backend=\"gymnasium\""),
    ],
)
def test_what_cannot_be_changed_is_told(cheetah, change, message):
    with pytest.raises(InputError, match=message):
        change(cheetah)


def test_a_classic_task_can_be_changed_too():
    env = make_vec(CAR, 2)
    env.reset()
    env.set_attr("goal_x", -1.5)
    assert env.step(np.zeros((2, 1), np.float32))[1].tolist() == [1.0, 1.0]


@pytest.mark.parametrize("name", ["MountainCar", "CartPoleSwingup", "DoublePendulum"])
def test_classic_tasks_draw_the_state_they_are_in(name):
    env = make_vec(f"rlgen/Sparse{name}-v0", 2, env_kwargs=DRAWN)
    assert (env.backend, env.render_mode) == ("numpy", "rgb_array")
    env.reset()
    first = env.get_images()
    assert [image.shape for image in first] == [(48, 64, 3)] * 2
    assert all(len(np.unique(image.reshape(-1, 3), axis=0)) > 8 for image in first)
    for _ in range(10):
        env.step(np.ones((2, 1), np.float32))
    assert not np.array_equal(first[0], env.env_method("render", indices=[0])[0])
    env.close()


def test_videos_are_recorded_by_sb3s_own_wrapper(tmp_path):
    pytest.importorskip("moviepy", reason="what SB3 writes videos with")
    env = VecVideoRecorder(make_vec(CAR, 2, env_kwargs=DRAWN), str(tmp_path), lambda step: step == 0, video_length=3)
    env.reset()
    for _ in range(5):
        env.step(np.zeros((2, 1), np.float32))
    env.close()
    assert [path.suffix for path in tmp_path.iterdir()] == [".mp4"]


def test_sb3s_recorder_accepts_the_environment_and_sees_its_frames(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "moviepy", ModuleType("moviepy"))  # what writes the file in the end
    monkeypatch.setattr(VecVideoRecorder, "_stop_recording", lambda self: setattr(self, "recording", False))
    env = VecVideoRecorder(make_vec(CAR, 2, env_kwargs=DRAWN), str(tmp_path), lambda step: step == 0, video_length=3)
    env.reset()
    for _ in range(2):
        env.step(np.zeros((2, 1), np.float32))
    assert env.frames_per_sec == 20
    assert [frame.shape for frame in env.recorded_frames] == [(96, 64, 3)] * 3
    env.recorded_frames.clear()  # or its end warns that they were not written


def test_a_painter_puts_the_robot_where_the_threads_have_it(monkeypatch):
    drawn = []

    class Canvas(vec_env.Painter):
        def picture(self, sim, i):
            monkeypatch.setattr(self.env.unwrapped, "render", lambda: self.env.unwrapped.data.qpos.copy())
            drawn.append(super().picture(sim, i))

    env = make_vec("Ant-v5", 2, seed=1, margin_rule="native")
    env.reset()
    canvas = Canvas("Ant-v5", {})
    for i in range(2):
        canvas.picture(env.sim, i)
    np.testing.assert_array_equal(drawn, env.sim.now.qpos)
    canvas.close()
    env.close()


def test_threads_keep_the_task_that_is_drawn_and_leave_windows_to_gymnasium():
    env = make_vec("Hopper-v5", 1, env_kwargs=DRAWN)
    assert (env.backend, env.render_mode, env.metadata["render_fps"]) == ("threads", "rgb_array", 125)
    env.close()
    with pytest.raises(InputError, match="rgb_array or None; got 'human'"):
        make_vec(CAR, 1, env_kwargs={"render_mode": "human"})
