"""Rewards of a replay buffer from reward sources, computed when a minibatch is sampled."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from operator import getitem
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import DictReplayBuffer, NStepReplayBuffer, ReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from stable_baselines3.common.vec_env import VecNormalize
from torch import Tensor

from rlgen import distributed
from rlgen.data import observations as tree
from rlgen.data.spaces import rows_of
from rlgen.data.transitions import Transitions
from rlgen.errors import problem
from rlgen.sb3.absorbed_entropy import absorbed_entropy
from rlgen.sb3.adaptive_rate import progress_remaining
from rlgen.sb3.expert_rows import ExpertRows
from rlgen.sb3.log import HostLog
from rlgen.sb3.policy_inputs import PolicyInputs
from rlgen.sb3.relabel import WeightedReward, readers_of_ends, weighted_rewards
from rlgen.sb3.steps import NewSteps, last_observation, normalizer_of, raw_kinds

UPDATE_EVERY = 1000
LOGGED = 256
"""Random rows of a replay buffer whose mean reward is logged after an update."""
DRAWING = {(kind.sample, kind._get_samples) for kind in (ReplayBuffer, NStepReplayBuffer, DictReplayBuffer)}
"""Sampling methods of the buffers whose rewards can be computed on reading."""


class RelabelReplay(BaseCallback):
    """Adds the weighted sum of reward sources to the rewards of every minibatch that an off-policy model samples;
    without `adds` the sum replaces the task's rewards, except for a part of them, their product with `task_weight`.

    The sources reward a transition by what it is worth to them now, however old it is. They learn from what `steps`
    gives them, new transitions (`NewSteps`) or random ones of the replay buffer (`ReplayDraws`), and give no reward
    before the first time. A list of such callbacks adds up. Rewards of n steps contain each step's bonus, discounted.
    Actions reach the sources as the environment received them, and observations raw; where a VecNormalize scales the
    task's rewards, the bonus is added to the scaled ones.

    A buffer with `optimize_memory_usage` does not keep the last observations of episodes: the sources learn from the
    last steps but do not reward them. Time limits stay as the buffer handles them.

    The model has its own replay buffer while the environments step, and after training; also if an environment or a
    source raises. Any other exception during a gradient step, such as Ctrl-C, leaves a `RelabelingReplayBuffer` in its
    place, because SB3 calls no callback around `train` or after an exception, and a wrapper of `model.train` would be
    saved with the model. It is saved as the buffer itself, gives no rewards in a later training and restores the buffer
    as soon as one uses it; `with restore_replay_buffer(model):` around `learn` restores it at once.
    """

    model: OffPolicyAlgorithm

    def __init__(
        self,
        sources: Mapping[str, WeightedReward],
        steps: "NewSteps | ReplayDraws | None" = None,
        *,
        adds: bool = True,
        experts: ExpertRows | None = None,
        absorbs: bool = False,
        task_weight: float = 0.0,
    ):
        """`absorbs`: the sources reward an episode that the task ends as one that goes on in an absorbing state."""
        super().__init__()
        self.sources, self.steps, self.adds = weighted_rewards(sources), steps or NewSteps(UPDATE_EVERY), adds
        self.experts, self.absorbs, self.task_weight = experts, absorbs, task_weight

    def mix_in(self, model: OffPolicyAlgorithm, rows: Transitions[Any], share: float) -> None:
        """Takes this share of each minibatch from demonstrated `rows`, with the rewards of all others."""
        self.experts = ExpertRows(model, rows, self.reward, share)

    def _init_callback(self) -> None:
        """Raises `InputError` for a replay buffer with its own way of sampling, and in several processes."""
        distributed.require_single_process(type(self.model).__name__)
        kind = type(plain_replay_buffer(self.model))
        if (kind.sample, kind._get_samples) not in DRAWING:
            raise problem(
                "a ReplayBuffer, DictReplayBuffer or NStepReplayBuffer that samples as SB3's do",
                f"a {kind.__name__}",
                "leave replay_buffer_class out, or use an on-policy model",
            )
        normalizer_of(self.model)
        self.inputs = PolicyInputs(self.model)

    def _on_training_start(self) -> None:
        present = self.model.replay_buffer
        # From an earlier callback in the list.
        joined = isinstance(present, RelabelingReplayBuffer) and present.is_current()
        self.replay: RelabelingReplayBuffer = present if joined else RelabelingReplayBuffer(self.model)  # type: ignore[assignment]
        self.replay.callbacks.append(self)
        self.model.replay_buffer = self.replay  # type: ignore[assignment]

    def _on_rollout_start(self) -> None:
        self.model.replay_buffer = plain_replay_buffer(self.model)  # the rollout itself already holds the one before

    def _on_rollout_end(self) -> None:
        self.replay.buffer = plain_replay_buffer(self.model)
        self.model.replay_buffer = self.replay  # type: ignore[assignment]

    def _on_training_end(self) -> None:
        self.model.replay_buffer = plain_replay_buffer(self.model)

    def _on_step(self) -> bool:
        return True

    def learn_from(self, step: tuple[Any, ...]) -> None:
        """Adds a new step, and updates the sources if there are enough of them."""
        if not self.sources:
            return
        self.steps.add(*step)
        while (new := self.steps.take(self.model.device)) is not None:
            progress, log = progress_remaining(self.model), HostLog(self.model)
            # Random rows have no returns of episodes, and a few of them are enough for their mean reward.
            logged = (new[0][:LOGGED], new[1][:LOGGED]) if isinstance(self.steps, ReplayDraws) else new
            for name, weighted in self.sources.items():
                weighted.log(name, weighted.source.update(new[0]), log)
                weighted.weighted(name, *logged, progress, log)

    def reward(self, batch: Transitions) -> Tensor:
        """The weighted sum [B] of the sources' current rewards."""
        total = torch.zeros(len(batch), device=self.model.device)
        if self.absorbs and batch.terminated.any():
            total += absorbed_entropy(self.model, self.inputs(batch.observations)) * batch.terminated
        if not self.steps.taken:
            return total  # before its first update a source cannot normalize its rewards
        for name, weighted in self.sources.items():
            if weight := weighted.weight_at(progress_remaining(self.model)):
                total += weight * weighted.reward(name, batch)
        return total


class RelabelingReplayBuffer:
    """Replaces the replay buffer of `model` during one call of `learn`: passes new steps to `callbacks` and adds
    their rewards to those that are sampled. Everything else is the buffer's; pickled or copied it is the buffer."""

    def __init__(self, model: OffPolicyAlgorithm):
        self.model, self.buffer, self.began = model, plain_replay_buffer(model), model.start_time
        self.callbacks: list[RelabelReplay] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.buffer, name)

    def __reduce__(self) -> tuple[Any, ...]:
        return getitem, ([self.buffer], 0)

    def is_current(self) -> bool:
        """Whether the `learn` that this was made for is still running; SB3 stores the time at which each starts."""
        return self.model.start_time == self.began

    def give_place(self) -> None:
        """Restores the model's own buffer if an exception has left this in its place."""
        if self.model.replay_buffer is self:
            self.model.replay_buffer = self.buffer

    def add(
        self,
        obs: Any,
        next_obs: Any,
        action: np.ndarray,
        reward: np.ndarray,
        done: np.ndarray,
        infos: list[dict[str, Any]],
    ) -> None:
        """SB3's `add`, with raw observations [N, ...] under a VecNormalize, and an episode's true last observation."""
        self.buffer.add(obs, next_obs, action, reward, done, infos)
        if not self.is_current():
            self.give_place()
            return
        for env in np.flatnonzero(done).tolist():
            for callback in self.callbacks:
                last_observation(infos[env], tree.take(obs, env), readers_of_ends(callback.sources))
        kinds = raw_kinds(self.model)
        observations, following = (rows_of(each, kinds) for each in (obs, next_obs))
        limited, ended = np.array([bool(info.get("TimeLimit.truncated")) for info in infos]), np.asarray(done, bool)
        actions = received(np.asarray(action).reshape(len(done), -1), self.model)
        for callback in self.callbacks:
            callback.learn_from((observations, actions, following, ended & ~limited, ended & limited))

    def sample(self, batch_size: int, env: VecNormalize | None = None) -> ReplayBufferSamples:
        """SB3's `sample`, from a buffer that shares everything but the rewards."""
        if not self.is_current():
            self.give_place()
            return self.buffer.sample(batch_size, env)
        relabeled: Any = copy(self.buffer)
        relabeled.rewards = LazyRewards(self, env)
        relabeled._normalize_reward = lambda reward, env=None: reward
        experts = next((each.experts for each in self.callbacks if each.experts is not None), None)
        demonstrated = 0 if experts is None else experts.count(batch_size)
        try:
            own = relabeled.sample(batch_size - demonstrated, env)
            return own if experts is None else experts.join(own, demonstrated)
        except BaseException:
            self.give_place()
            raise


class LazyRewards:
    """The rewards [rows, N] of a replay buffer, computed when they are read: those of the task, normalized by `env` if
    there is one, plus those of the reward sources; the latter alone if one of the callbacks replaces rewards."""

    def __init__(self, replay: RelabelingReplayBuffer, env: VecNormalize | None):
        self.replay, self.env = replay, env

    def __getitem__(self, index: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        rewards = self.replay.buffer.rewards[index]
        if self.env is not None:
            rewards = self.env.normalize_reward(rewards)
        if not all(callback.adds for callback in self.replay.callbacks):
            rewards = sum(each.task_weight for each in self.replay.callbacks) * rewards
        batch = stored_transitions(self.replay.model, *(each.ravel() for each in np.broadcast_arrays(*index)))
        bonus = torch.stack([callback.reward(batch) for callback in self.replay.callbacks]).sum(0)
        if self.replay.buffer.optimize_memory_usage:
            bonus = bonus * ~(batch.terminated | batch.truncated)
        return rewards + bonus.reshape(rewards.shape).cpu().numpy()


def plain_replay_buffer(model: OffPolicyAlgorithm) -> ReplayBuffer:
    """The model's own replay buffer, also while a `RelabelingReplayBuffer` replaces it."""
    present: Any = model.replay_buffer
    return present.buffer if isinstance(present, RelabelingReplayBuffer) else present


def stored_transitions(model: OffPolicyAlgorithm, rows: np.ndarray, envs: np.ndarray) -> Transitions[Any]:
    """Transitions at these rows and environments [B] of the model's replay buffer, on the model's device."""
    buffer, kinds = plain_replay_buffer(model), raw_kinds(model)
    now = tree.take(buffer.observations, (rows, envs))
    if buffer.optimize_memory_usage:
        then = tree.take(buffer.observations, ((rows + 1) % buffer.buffer_size, envs))
    else:
        then = tree.take(buffer.next_observations, (rows, envs))
    ended, limited = buffer.dones[rows, envs] > 0, buffer.timeouts[rows, envs] > 0
    actions = received(buffer.actions[rows, envs], model)
    columns = (rows_of(now, kinds), actions, rows_of(then, kinds), ended & ~limited, ended & limited)
    return Transitions(
        *(tree.each_entry(lambda array: torch.as_tensor(array, device=model.device), each) for each in columns)
    )


class ReplayDraws:
    """Gives `rows` random transitions of the model's replay buffer for every `every` steps of its environments, for a
    source that learns from all that the policy has done, such as a discriminator (Kostrikov et al. 2019, 1809.02925,
    Alg. 1)."""

    def __init__(self, model: OffPolicyAlgorithm, every: int, rows: int):
        self.model, self.every, self.rows = model, every, rows
        self.waiting = 0
        """Steps that nothing has been drawn for."""
        self.taken = 0
        """1 once something has been drawn, 0 before."""

    def add(self, observations: Any, *rest: np.ndarray) -> None:
        """Counts a step of all environments, which the buffer already holds."""
        self.waiting += tree.count(observations)

    def take(self, device: torch.device | str) -> tuple[Transitions, Tensor] | None:
        """Random transitions, and that none starts an episode, [rows, 1]; None until there are `every` new steps."""
        if self.waiting < self.every:
            return None
        self.waiting, self.taken = self.waiting - self.every, 1
        buffer = plain_replay_buffer(self.model)
        # NumPy's global generator, which a checkpoint holds.
        draw = np.random.randint  # as SB3's buffers draw
        places = draw(0, _complete(buffer), self.rows), draw(0, buffer.n_envs, self.rows)
        return stored_transitions(self.model, *places).to(device), torch.zeros(self.rows, 1, device=device)

    def state_dict(self) -> dict[str, int]:
        return {"waiting": self.waiting, "taken": self.taken}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """The inverse of `state_dict`."""
        self.waiting, self.taken = int(state["waiting"]), int(state["taken"])


def require_stored_ends(model: OffPolicyAlgorithm) -> None:
    """Raises `InputError` for a replay buffer that drops the last observations of episodes."""
    if plain_replay_buffer(model).optimize_memory_usage:
        raise problem(
            "a replay buffer that keeps the last observations of episodes",
            "one with optimize_memory_usage",
            f"make the {type(model).__name__} without it",
        )


def _complete(buffer: ReplayBuffer) -> int:
    """Rows whose transitions are complete, from the first row on."""
    return buffer.buffer_size if buffer.full else buffer.pos


@contextmanager
def restore_replay_buffer(model: BaseAlgorithm) -> Iterator[None]:
    """After the block, however it ends, an off-policy `model` has its own replay buffer."""
    try:
        yield
    finally:
        if isinstance(model, OffPolicyAlgorithm):
            model.replay_buffer = plain_replay_buffer(model)


def received(actions: np.ndarray, model: OffPolicyAlgorithm) -> np.ndarray:
    """Actions [B, A] of a replay buffer as the environment received them: from [-1, 1] to the space's bounds."""
    space = model.action_space
    if not isinstance(space, spaces.Box):
        return actions.astype(np.float32)
    unscaled = model.policy.unscale_action(actions.reshape(-1, *space.shape))
    return unscaled.reshape(actions.shape).astype(np.float32, copy=False)
