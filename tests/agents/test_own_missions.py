"""Tasks of MiniGrid with words, lengths and views of their own, from a recording to a policy that reads them."""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from rlgen.agents.cli import main
from rlgen.agents.image_encoder import require_words
from rlgen.agents.learner import LearnerConfig, make_model
from rlgen.data import Demonstrations
from rlgen.data.words import MOST_WORDS, NOTED, WORDS, decode, encode, instructions_of, with_own_words
from rlgen.envs import make_vec
from rlgen.errors import InputError
from rlgen.generators.instruction_model import InstructionModel, InstructionModelConfig
from rlgen.nn.cross_modal import CrossModalConfig
from rlgen.runs import evaluate
from rlgen.runs.instruction_files import load_instruction_model, save_instruction_model
from rlgen.sb3 import load_policy
from rlgen.sb3.instruction_extractor import InstructionFeatures, word_attention

pytest.importorskip("minigrid")
from minigrid.core.grid import Grid
from minigrid.core.mission import MissionSpace
from minigrid.core.world_object import Goal
from minigrid.minigrid_env import MiniGridEnv

OWN = ("kitchen", "Lamp")


class Kitchen(MiniGridEnv):
    """Asks for a lamp in a kitchen, and rewards the green square in the far corner."""

    mission_words: tuple[str, ...] = OWN
    said = "go to the lamp in the kitchen"

    def __init__(self, own: bool = True, **options: Any):
        if not own:
            self.mission_words = ()
        super().__init__(MissionSpace(lambda: self.said), grid_size=5, max_steps=12, **options)

    def _gen_grid(self, width: int, height: int) -> None:
        self.grid = Grid(width, height)
        self.grid.wall_rect(0, 0, width, height)
        self.put_obj(Goal(), width - 2, height - 2)
        self.agent_pos, self.agent_dir, self.mission = (1, 1), 0, self.said


class Lecture(Kitchen):
    mission_length = 40
    said = " then ".join(["go to the lamp"] * 8)


gym.register("test/Kitchen-v0", Kitchen, max_episode_steps=12)
gym.register("test/Lecture-v0", Lecture, max_episode_steps=12)
SHORT = LearnerConfig(hidden=(8,), n_steps=16, batch_size=16, n_epochs=1)


class Walks:
    """Ahead to the wall, right, and ahead to the goal."""

    def __init__(self) -> None:
        self.step = 0

    def predict(self, observation: Any, **_: Any) -> tuple[np.ndarray, None]:
        self.step += 1
        return np.full(len(observation["mission"]), (2, 2, 1, 2, 2)[(self.step - 1) % 5]), None


@pytest.fixture(scope="module")
def shown() -> Demonstrations:
    return Demonstrations.record(Walks(), make_vec("test/Kitchen-v0", 1), 20)


def test_words_of_a_task_follow_those_of_babyai_and_keep_their_numbers() -> None:
    words = with_own_words(("lamp", "ball", "LAMP", "kitchen"))
    assert words == (*WORDS, "lamp", "kitchen")
    numbers = encode("go to the lamp", 6, words)
    assert numbers.tolist() == [*encode("go to the", 3).tolist(), len(WORDS), 0, 0]
    assert decode(numbers, words) == "go to the lamp"
    with pytest.raises(InputError, match="single words; got 'two words'"):
        with_own_words(("two words",))
    free = MOST_WORDS - len(WORDS)
    assert len(with_own_words(f"word{number}" for number in range(free))) == MOST_WORDS
    with pytest.raises(InputError, match=f"at most {free} words"):
        with_own_words(f"word{number}" for number in range(free + 1))


def test_an_unknown_word_and_a_long_mission_have_errors_that_name_the_attribute_to_set() -> None:
    with pytest.raises(InputError, match=r"mission_words = \('kitchen', 'lamp',\)"):
        make_vec("test/Kitchen-v0", 1, env_kwargs={"own": False}).reset()
    with pytest.raises(InputError, match="mission_length = 33, or more"):
        encode(" ".join(["go"] * 33))


def test_a_task_with_own_words_is_recorded_and_evaluated_in_them(shown: Demonstrations) -> None:
    assert shown.metadata[NOTED] == [*WORDS, "kitchen", "lamp"]
    assert set(instructions_of(shown.observations, shown.metadata)) == {Kitchen.said}
    found = evaluate(Walks(), make_vec("test/Kitchen-v0", 1), 2, seed=0, label=None)
    assert found.instructions is not None
    assert found.instructions.tolist() == [Kitchen.said] * 2
    assert (found.returns > 0).all()


def test_a_longer_mission_has_as_many_numbers_as_its_task_asks_for() -> None:
    assert make_vec("test/Lecture-v0", 1).reset()["mission"].shape == (1, 40)


def test_demonstrations_without_the_words_of_a_task_are_refused(shown: Demonstrations) -> None:
    other = Demonstrations(**{**vars(shown), "metadata": {**shown.metadata, NOTED: list(WORDS)}})
    with pytest.raises(InputError, match=r"the task adds \(kitchen, lamp"):
        other.validate(make_vec("test/Kitchen-v0", 1))


@pytest.mark.parametrize(
    ("task", "options"),
    [
        ("test/Kitchen-v0", {}),
        ("BabyAI-GoToObj-v0", {"agent_view_size": 5}),
        ("BabyAI-GoToObj-v0", {"agent_view_size": 9}),
    ],
)
def test_a_policy_reads_the_words_whatever_the_view_and_opens_again(
    task: str, options: dict[str, Any], tmp_path: Path
) -> None:
    env: Any = make_vec(task, 2, env_kwargs=options)
    model = make_model(SHORT, env, 0)
    assert isinstance(model.policy.features_extractor, InstructionFeatures)
    seen = env.reset()
    other = {**seen, "mission": np.roll(seen["mission"], 1, 1)}

    def logits(observed: Any) -> torch.Tensor:
        with torch.no_grad():
            return model.policy.get_distribution(model.policy.obs_to_tensor(observed)[0]).distribution.logits

    assert not torch.allclose(logits(seen), logits(other), atol=1e-7)
    assert word_attention(model, seen).shape == seen["mission"].shape
    model.learn(32)
    model.save(tmp_path / "model.zip")
    again = load_policy(tmp_path / "model.zip", env.observation_space, env.action_space)
    assert (again.predict(seen, deterministic=True)[0] == model.predict(seen, deterministic=True)[0]).all()


def test_a_pretraining_learns_own_words_and_a_policy_starts_from_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, pretrained = tmp_path / "kitchen.npz", tmp_path / "pretrained"
    Demonstrations.record(Turns(np.random.default_rng(0)), make_vec("test/Kitchen-v0", 1), 24).save(file)
    small = "--prevalent.network.width 16 --prevalent.network.depth 1 --device cpu --threads 1"
    training = f"--steps 4 --batch-size 8 --evaluate-every 2 {small}"
    assert main(["train", "instruction", "--data", str(file), "--out", str(pretrained), *training.split()]) == 0
    cloning = (
        "--env test/Kitchen-v0 --bc.max-updates 2 --bc.check-every 2 --no-video --episodes 2 --device cpu --threads 1"
    )
    start = ["--demos", str(file), "--encoder.run", str(pretrained), "--out", str(tmp_path / "bc")]
    assert main(["train", "bc", *cloning.split(), *start]) == 0
    assert main(["train", "bc", *cloning.replace("test/Kitchen", "BabyAI-GoToObj").split(), *start[:-1], "other"]) != 0
    assert "which the model in" in " ".join(capsys.readouterr().err.split())


class Turns:
    def __init__(self, rng: np.random.Generator):
        self.rng = rng

    def predict(self, observation: Any, **_: Any) -> tuple[np.ndarray, None]:
        return self.rng.integers(0, 3, len(observation["mission"])), None


def test_a_model_of_instructions_in_as_many_other_words_is_refused(tmp_path: Path) -> None:
    small = InstructionModelConfig(network=CrossModalConfig(width=8, heads=1, depth=1))
    model = InstructionModel(len(WORDS) + 2, 8, 7, small)
    model.own_words = ("kitchen", "lamp")
    save_instruction_model(tmp_path, model)
    again = load_instruction_model(tmp_path)
    require_words(again, (*WORDS, "kitchen", "lamp"))
    with pytest.raises(InputError, match=r"bathroom, sofa\); got kitchen, lamp"):
        require_words(again, (*WORDS, "bathroom", "sofa"))
