"""Videos of tasks with an instruction show it, and the attention of the policy to its words."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO

from rlgen.data.playing import Step
from rlgen.data.words import WORDS, encode
from rlgen.envs import make_vec
from rlgen.reports import record_video, video
from rlgen.reports.instruction_caption import LEAST_WIDTH, frames_of_an_end, with_instructions
from rlgen.sb3 import InstructionFeatures, load_policy
from rlgen.sb3.instructed import LAST_PICTURE
from rlgen.sb3.instruction_extractor import word_attention

pytest.importorskip("minigrid")
TASK = "BabyAI-GoToRedBallNoDists-v0"
FORWARD, LEFT = 2, 0


@pytest.fixture(scope="module")
def env() -> Any:
    return make_vec(TASK, 1, seed=0)


@pytest.fixture(scope="module")
def model(env: Any) -> PPO:
    sizes = {"features_extractor_class": InstructionFeatures, "features_extractor_kwargs": {"width": 16, "depth": 1}}
    return PPO("MultiInputPolicy", env, n_steps=8, batch_size=8, policy_kwargs=sizes, seed=0, device="cpu")


class Turns:
    """A policy without a network."""

    def predict(self, observation: Any, deterministic: bool = True) -> tuple[np.ndarray, None]:
        return np.full(len(observation["mission"]), LEFT), None


def steps_of(env: Any, text: str, rewards: list[float], last: np.ndarray | None = None) -> list[Step]:
    """An episode with this instruction that ends with its last step."""
    seen = {**env.reset(), "mission": encode(text)[None]}
    ends = [False] * (len(rewards) - 1) + [True]
    info: dict[str, Any] = {} if last is None else {LAST_PICTURE: last}
    return [
        Step(seen, np.array([FORWARD]), np.array([reward]), np.array([end]), [info if end else {}])
        for reward, end in zip(rewards, ends, strict=True)
    ]


def blank(width: int = 256, height: int = 64) -> np.ndarray:
    return np.zeros((height, width, 3), np.uint8)


def captions(frames: list[np.ndarray], height: int = 64) -> list[np.ndarray]:
    return [frame[height:] for frame in frames]


def test_the_attention_of_a_saved_policy_is_that_of_its_model(model: PPO, env: Any, tmp_path: Path) -> None:
    model.save(tmp_path / "model.zip")
    loaded, seen = load_policy(tmp_path / "model.zip", env.observation_space, env.action_space), env.reset()
    found = word_attention(model, seen)
    assert found.shape == (1, 32)
    assert (found[0, :5] > 0).all()
    assert not found[0, 5:].any(), "padding"
    assert found.sum() < 1
    np.testing.assert_array_equal(found, word_attention(loaded, seen))
    assert word_attention(Turns(), seen) is None


def test_words_are_darker_where_the_policy_attends_more(model: PPO, env: Any) -> None:
    steps = steps_of(env, "go to the red ball", [0.0, 0.0])
    shaded = captions(with_instructions([blank(), blank()], steps, model, 1))[0]
    plain = captions(with_instructions([blank(), blank()], steps, Turns(), 1))[0]
    assert plain.shape == shaded.shape
    assert (plain != 255).any(), "the words"
    assert shaded.astype(int).sum() < plain.astype(int).sum()
    other = captions(with_instructions([blank(), blank()], steps, wide_awake(model), 1))[0]
    assert (other != shaded).any(), "the picture changes with the attention"


def test_the_end_of_an_episode_says_whether_it_succeeded(env: Any) -> None:
    last = np.full((64, 256, 3), 7, np.uint8)
    success = with_instructions([blank()] * 2, steps_of(env, "go to the red ball", [0.0, 0.9], last), Turns(), 3)
    failure = with_instructions([blank()] * 2, steps_of(env, "go to the red ball", [0.0, 0.0]), Turns(), 3)
    assert len(success) == len(failure) == 2 + 3
    assert (success[2][:64] == 7).all(), "the picture after the last step"
    assert not failure[2][:64].any(), "without one, that before it"
    np.testing.assert_array_equal(captions(success)[1], captions(failure)[1])
    assert (captions(success)[2] != captions(failure)[2]).any()
    np.testing.assert_array_equal(success[2], success[4])
    assert strongest(captions(success)[2])[1] == strongest(captions(success)[2]).max(), "green"
    assert strongest(captions(failure)[2])[0] == strongest(captions(failure)[2]).max(), "red"


def wide_awake(model: PPO) -> Any:
    """A copy of the policy that attends to other words."""
    policy = copy.deepcopy(model.policy)
    with torch.no_grad():
        policy.features_extractor.network.words.weight[WORDS.index("red")] *= 200
    return policy


def strongest(strip: np.ndarray) -> np.ndarray:
    """Color of the most colorful pixel."""
    pixels = strip.reshape(-1, 3).astype(int)
    return pixels[np.ptp(pixels, axis=1).argmax()]


def test_long_instructions_have_more_rows_and_all_frames_one_size(env: Any) -> None:
    long = "put the yellow ball in front of you next to the purple object behind you"
    short = steps_of(env, "go to the red ball", [0.0])
    both = with_instructions([blank()] * 2, [*short, *steps_of(env, long, [0.0])], Turns(), 1)
    alone = with_instructions([blank()], short, Turns(), 1)
    assert len({frame.shape for frame in both}) == 1
    assert both[0].shape[0] > alone[0].shape[0]
    assert all(size % 2 == 0 for size in both[0].shape[:2])
    none = with_instructions([blank()], steps_of(env, "", [0.0]), Turns(), 1)
    assert none[0].shape == alone[0].shape


def test_narrow_pictures_are_enlarged(env: Any) -> None:
    (frame, _) = with_instructions(
        [blank(width=100, height=80)], steps_of(env, "go to the red ball", [0.0]), Turns(), 1
    )
    assert frame.shape[1] == 300 >= LEAST_WIDTH
    assert not frame[:240].any()


def test_a_video_of_an_instruction_has_captions_and_other_videos_have_none(
    model: PPO, env: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[np.ndarray] = []

    def write(path: Path, frames: Any, size: tuple[int, int], fps: float) -> Path:
        kept.extend(frames)
        assert {frame.shape for frame in kept} == {(size[1], size[0], 3)}
        path.write_bytes(b"film")
        return path

    monkeypatch.setattr(video, "write_video", write)
    found = record_video(model, TASK, tmp_path / "v.mp4", env_kwargs={"max_steps": 4}, seconds=2.5)
    assert found.path == tmp_path / "v.mp4", found.reason
    assert (len(kept), found.seconds) == (25, 2.5)
    assert len(found.returns) == 3, "four steps, and one second for the end of each episode"
    assert frames_of_an_end(env, 10.0) == 10
    ends = kept[4:14]
    assert all((end == ends[0]).all() for end in ends)
    assert (kept[3][-20:] != ends[0][-20:]).any()
    assert frames_of_an_end(make_vec("CartPole-v1", 1), 10.0) == 0
