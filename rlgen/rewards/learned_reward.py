"""A learned reward as a network in a file of its own, for training on it later, also on another task."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from rlgen.data.transitions import Transitions
from rlgen.errors import problem
from rlgen.nn.layers import mlp
from rlgen.nn.normalizer import Normalizer
from rlgen.rewards.source import TaskShape
from rlgen.system.memory import require_room

FILE = "reward.safetensors"
"""File of a run folder with the learned reward."""
DESCRIPTION = "rlgen learned reward"
MOST_WIDTH = 2**20
"""Largest size of an observation, an action or a layer in a file."""
RewardInputs = Literal["state", "state_action"]


@dataclass(frozen=True, kw_only=True)
class RewardShape:
    """What a learned reward takes, and the size of its network."""

    observation_size: int
    action_size: int
    """Dimension of a continuous action; 1 for discrete ones."""
    n_actions: int | None
    """Number of discrete actions; None for continuous ones."""
    inputs: RewardInputs
    hidden: tuple[int, ...]
    observed: tuple[int, ...] = ()
    """Numbers of the observation dimensions that it sees; none for all."""


class LearnedReward(nn.Module):
    """g(s) or g(s, a): a reward [B] of raw observations [B, O] and actions [B, A] in environment scale.

        Relabel({"learned": WeightedReward(LearnedReward.load("runs/ant-airl"))})

    As a reward source it never learns; `AIRL` does, and writes it into its run folder.
    """

    reads_next_observations = False
    center: Tensor
    half_range: Tensor
    columns: Tensor

    def __init__(self, shape: RewardShape):
        super().__init__()
        self.shape = shape
        self.actions = TaskShape(
            observation_size=shape.observation_size, action_size=shape.action_size, n_actions=shape.n_actions
        )
        self.normalizer = Normalizer(shape.observation_size)
        seen = shape.observed or range(shape.observation_size)
        self.register_buffer("columns", torch.tensor(seen), persistent=False)
        size = len(seen) + (self.actions.encoded_size if shape.inputs == "state_action" else 0)
        self.register_buffer("center", torch.zeros(self.actions.encoded_size))
        self.register_buffer("half_range", torch.ones(self.actions.encoded_size))
        self.network = mlp([size, *shape.hidden, 1], nn.ReLU)

    def forward(self, observations: Tensor, actions: Tensor) -> Tensor:
        """Rewards [B]."""
        columns = [self.normalizer(observations)[..., self.columns]]
        if self.shape.inputs == "state_action":
            columns.append((self.actions.encode(actions) - self.center) / self.half_range)
        return self.network(torch.cat(columns, -1)).squeeze(-1)

    def reward(self, batch: Transitions) -> Tensor:
        """Reward per step [B], without gradient."""
        with torch.no_grad():
            return self(batch.observations, batch.actions)

    def update(self, batch: Transitions) -> dict[str, Tensor]:
        """Nothing: it has learned before."""
        return {}

    def to_bytes(self) -> bytes:
        """The contents of its file: tensors, and the shape as JSON in the header."""
        tensors = {name: value.detach().cpu().contiguous() for name, value in self.state_dict().items()}
        return save(tensors, metadata={DESCRIPTION: json.dumps(asdict(self.shape))})

    @classmethod
    def load(cls, path: str | Path, device: torch.device | str = "cpu") -> "LearnedReward":
        """Loads the reward of a file, or of the run folder of `rlgen train airl`. Nothing is unpickled.

        Raises:
            InputError: a missing or damaged file, or one of something else.
        """
        file = Path(path) / FILE if Path(path).is_dir() else Path(path)
        expected = f"a learned reward in {file}, the {FILE} of a run of `rlgen train airl`"
        if not file.is_file():
            raise problem(expected, "no such file", "train one first, or check the path")
        require_room(file.stat().st_size, f"the tensors of {file}", file.stat().st_size)
        try:
            with safe_open(file, "pt") as opened:
                shape = _shape((opened.metadata() or {})[DESCRIPTION])
                tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118, not a dictionary
            cls._require_tensors(shape, tensors)
            found = cls(shape)
            found.load_state_dict(tensors)
        except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise problem(expected, f"other content ({str(error)[:120]})", "train it again") from error
        if not all(value.isfinite().all() for value in tensors.values()):
            raise problem(expected, "NaN or infinity", "train it again")
        return found.to(device)

    @classmethod
    def _require_tensors(cls, shape: RewardShape, tensors: dict[str, Tensor]) -> None:
        """Raises `ValueError` unless a network of this shape has such tensors. Makes none of them: a header of a few
        bytes can ask for terabytes."""
        with torch.device("meta"):
            expected = {name: value.shape for name, value in cls(shape).state_dict().items()}
        if expected != {name: value.shape for name, value in tensors.items()}:
            raise ValueError(f"tensors of another shape than {shape}")

    def require_fits(self, observation_size: int, action_size: int, n_actions: int | None, where: str) -> None:
        """Raises `InputError` for a task of other sizes."""
        own = (self.shape.observation_size, self.shape.action_size, self.shape.n_actions)
        if own != (observation_size, action_size, n_actions):
            names = "observation and action dimensions, and number of discrete actions"
            got = f"{observation_size}, {action_size} and {n_actions} of {where}"
            raise problem(f"{names} {own[0]}, {own[1]} and {own[2]}", got, "use a task of the same sizes")


def _shape(text: str) -> RewardShape:
    """The shape in a file's header; raises an error of Python for other content."""
    values: Any = json.loads(text)
    if not isinstance(values, dict):
        raise ValueError(f"a shape {text[:20]}")
    hidden, observed = (tuple(values.pop(name, ())) for name in ("hidden", "observed"))
    shape = RewardShape(hidden=hidden, observed=observed, **values)
    n_actions = () if shape.n_actions is None else (shape.n_actions,)
    sizes = (shape.observation_size, shape.action_size, *n_actions, *shape.hidden)
    if not all(type(size) is int and 1 <= size <= MOST_WIDTH for size in sizes):
        raise ValueError(f"sizes {sizes}")
    if not set(shape.observed) <= set(range(shape.observation_size)) or any(type(n) is not int for n in shape.observed):
        raise ValueError(f"observed {shape.observed}")
    if shape.inputs not in ("state", "state_action"):
        raise ValueError(f"inputs {shape.inputs!r}")
    return shape
