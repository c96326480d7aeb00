"""PWIL's reward of N episodes in progress."""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from rlgen.data.transitions import Transitions
from rlgen.equations.greedy_coupling import coupling_reward, greedy_transport
from rlgen.errors import problem
from rlgen.nn.normalizer import Normalizer
from rlgen.rewards.observation_rows import action_encoding
from rlgen.rewards.random_features import features_for

Inputs = Literal["state_action", "state"]


class CoupledRows:
    """What is compared of B transitions [B, K]: observations, with the features of a random encoder for images, and
    encoded actions unless `inputs` is state. The encoder is the same in every run, and so are the distances."""

    def __init__(self, observation_space: Any, action_space: Any, inputs: Inputs = "state_action"):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.features = features_for(observation_space, "cpu")
        self.acted = action_encoding(action_space, torch.device("cpu"))[0] if inputs == "state_action" else None

    def __call__(self, batch: Transitions[Any]) -> Tensor:
        seen = batch.observations if self.features is None else self.features(batch.observations)
        return seen if self.acted is None else torch.cat([seen, self.acted(batch.actions)], 1)


class EpisodeCoupling:
    """Couples N episodes with the demonstrations, a step of each at a time (Dadashi et al. 2021, 2006.04678).

    Distances are Euclidean, in units of the demonstrations' standard deviations, each of them with 2 % of the median
    deviation of the components that vary added (`Normalizer`). A step's reward depends on what earlier steps of its
    episode have used up, so it cannot be computed again from a transition alone.

    Differs from the paper: the 2 %, without which a component that hardly varies would decide all distances, and one
    that is constant would have no unit; and the reward falls to 0 in proportion where the demonstrations are used up,
    in episodes longer than `horizon`.

    Args:
        demonstrations: D transitions, on the CPU.
        coupled: what of B transitions is compared, [B, K].
        n_envs: N.
        horizon: T, steps of an episode that uses all demonstrations up.
        scale, rate: α and β of the reward.
    """

    def __init__(
        self,
        demonstrations: Transitions[Any],
        coupled: Callable[[Transitions[Any]], Tensor],
        *,
        n_envs: int,
        horizon: int,
        scale: float,
        rate: float,
    ):
        if len(demonstrations) == 0:
            raise problem("at least one demonstrated transition", "none", "load a file with episodes")
        self.coupled, self.horizon, self.scale, self.rate = coupled, horizon, scale, rate
        rows = coupled(demonstrations)
        self.std = Normalizer.of(rows).std
        self.atoms = rows / self.std
        self.left = torch.empty(n_envs, len(rows), dtype=torch.float64)
        """[N, D] mass that remains in each demonstrated row."""
        self.begin(torch.ones(n_envs, dtype=torch.bool))

    def begin(self, envs: Tensor) -> None:
        """Starts new episodes where `envs` [N] is true."""
        self.left[envs] = 1 / len(self.atoms)

    @property
    def highest(self) -> float:
        """Reward of a step that equals demonstrated ones."""
        return self.scale

    def step(self, batch: Transitions[Any]) -> Tensor:
        """Rewards [N] of the next step of every episode, after which those that ended begin again."""
        rows = self.coupled(batch) / self.std
        apart = torch.cdist(rows, self.atoms, compute_mode="donot_use_mm_for_euclid_dist").double()
        found = greedy_transport(apart, self.left, 1 / self.horizon)
        self.left = found.left
        self.begin(batch.terminated | batch.truncated)
        reward = coupling_reward(found.cost, self.horizon, self.atoms.shape[1], self.scale, self.rate)
        return (reward * found.mass * self.horizon).float()

    def state_dict(self) -> dict[str, Any]:
        return {"left": self.left.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`. Raises `InputError` for another number of environments or demonstrations."""
        left = state["left"]
        if left.shape != self.left.shape:
            expected = f"mass left [{', '.join(map(str, self.left.shape))}] of environments and demonstrated rows"
            raise problem(expected, f"{list(left.shape)}", "load the state of the same training")
        self.left = left.double().clone()
