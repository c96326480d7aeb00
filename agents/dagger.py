"""DAgger: imitation of an expert that can be asked (Ross et al. 2011, 1011.0686) around a Stable-Baselines3 model."""

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.type_aliases import MaybeCallback

from rlgen import distributed
from rlgen.checks import below_one, positive
from rlgen.data import observations as tree
from rlgen.data.aggregated_rows import AggregatedRows
from rlgen.data.demonstrations import Demonstrations, require_demonstrations
from rlgen.data.spaces import Kinds
from rlgen.display import Metric, Panel, under
from rlgen.equations.dataset_aggregation import expert_share
from rlgen.errors import problem
from rlgen.sb3.actor_critic import is_recurrent
from rlgen.sb3.cloned import require_cloneable
from rlgen.sb3.critics_first import prepare_cloned
from rlgen.sb3.expert_labels import ExpertLabels
from rlgen.sb3.log import OwnLog
from rlgen.sb3.model_state import clone_tensors, load_model_state, model_state
from rlgen.sb3.plain_pickle import plain
from rlgen.sb3.policy_inputs import PolicyInputs
from rlgen.sb3.steps import constant_statistics, raw_kinds, reset_unknown_observations

from .bc import BC
from .bc_config import BCConfig, BCResult
from .imitator import announce, given_callbacks


@dataclass(frozen=True, kw_only=True)
class DAggerConfig:
    """Settings of DAgger."""

    steps_per_round: int = 5000
    """Environment steps between two clonings, over all environments; rounded up to a step of all."""
    expert_decay: float = 0.0
    """Base p of the probability β = p^(i - 1) that the expert acts in a step of round i, where demonstrations count as
    the first round. 0: only in the first round, the paper's setting without parameters."""
    memory_mb: float = 256.0
    """Memory of the aggregated rows [MB]; beyond, a uniform sample of all rows is kept. A training needs up to four
    times as much while it clones, and a checkpoint as much on the disk. The default holds 500,000 rows of Ant."""
    bc: BCConfig = field(default_factory=BCConfig)
    """Settings of the cloning after every round."""

    def __post_init__(self) -> None:
        positive(self, "steps_per_round", "memory_mb")
        below_one(self, "expert_decay", remedy="use e.g. 0.5, or 0 for the first round only")


class DAgger:
    """Clones an expert that labels the states which the learner visits itself.

        DAgger(PPO("MlpPolicy", make_vec("Ant-v5", 8)), load_policy("expert.zip")).learn(100_000)

    In every round, the learner (and the expert with probability β, drawn in each step and environment) acts for
    `DAggerConfig.steps_per_round` steps, the expert labels all states, and `BC` trains the model's policy on the rows
    of all rounds, each time from the weights that it had at first. `model` is any that `BC` clones, except recurrent
    ones, with any actions. Under a VecNormalize the expert and the rows have raw observations; its statistics see the
    demonstrations once, and every step.

    `expert` is anything with SB3's `predict`, or a function from observations to actions. `demonstrations`, if given,
    are cloned before the first step; without them the expert acts alone in the first round.

    Raises `InputError` for a model that cannot be cloned or is recurrent, for an expert of other spaces, and for
    demonstrations that do not fit.
    """

    name = "dagger"
    shown: ClassVar[Mapping[str, str]] = {"dagger/error": "error", "dagger/rows": "rows"}
    panels: ClassVar[tuple[Panel, ...]] = under(
        "dagger",
        (
            Panel("Learner's difference from the expert", (Metric("error", "in visited states"),)),
            Panel("Held-out loss of the cloning", (Metric("held_out_loss", "held-out rows"),)),
            Panel("Aggregated rows", (Metric("rows", "kept"),)),
        ),
    )
    on_warm_up: Callable[[int, int], None] | None = None
    """Called with the number of updates that the cloning of demonstrations has done, and its maximum."""

    def __init__(
        self,
        model: BaseAlgorithm,
        expert: Any,
        demonstrations: Demonstrations | None = None,
        config: DAggerConfig | None = None,
    ):
        distributed.require_single_process("DAgger")
        if is_recurrent(require_cloneable(model)):
            raise problem("a model without memory for DAgger", type(model).__name__, "use e.g. PPO, or clone by BC")
        if model.get_env() is None:
            raise problem("a model with an environment", "none", "call model.set_env first")
        self.model, self.config, self.inputs = model, config or DAggerConfig(), PolicyInputs(model)
        self.demonstrations = demonstrations
        self.expert = ExpertLabels(expert, model)
        if demonstrations is not None:
            require_demonstrations(demonstrations)
            demonstrations.validate(self.inputs.raw_environment())
        self.rows = AggregatedRows(raw_kinds(model), len(self.expert.low), self.config.memory_mb)
        self.initial = clone_tensors(model.policy.state_dict())
        self.rounds, self.own_log = 0, OwnLog()

    def learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        tb_log_name: str | None = None,
        progress_bar: bool = False,
    ) -> Self:
        """Trains for `total_timesteps` more environment steps, rounded up to whole rounds, as SB3's `learn` does.

        The step count continues from the model's. After a callback has stopped it, the rows of the round are cloned
        too.
        """
        if total_timesteps <= 0:
            return self
        if self.demonstrations is not None and not self.rows.seen:
            self._clone_demonstrations(self.demonstrations)
        reset_unknown_observations(self.model)
        name = tb_log_name or type(self).__name__
        with self.own_log.of(self.model, name):
            until, callbacks = self.model._setup_learn(
                total_timesteps, CallbackList(given_callbacks(callback)), False, name, progress_bar
            )
            callbacks.on_training_start(locals(), globals())
            while self.model.num_timesteps < until and self._round(callbacks):
                pass
            callbacks.on_training_end()
        return self

    @property
    def share(self) -> float:
        """β: probability that the expert acts in a step of the current round."""
        return expert_share(self.rounds + (1 if self.demonstrations is None else 2), self.config.expert_decay)

    def _round(self, callback: BaseCallback) -> bool:
        """One iteration of Ross et al. 2011, Algorithm 3.1. Returns whether the callback wants another."""
        callback.on_rollout_start()
        share, steps = self.share, math.ceil(self.config.steps_per_round / self.model.n_envs)
        rollout = Rollout()
        going = True
        while going and len(rollout) < steps:
            going = self._step(rollout, share, callback)
        callback.on_rollout_end()
        self.rows.add_rollout(*rollout.arrays(self.rows.kinds))
        self.rounds += 1
        with constant_statistics(self.model):  # which the steps have been merged into
            found = self._clone()
        numbers = {"expert_share": share, "rows": len(self.rows), "held_out_loss": found.held_out_loss}
        if rollout.errors:
            numbers["error"] = float(np.mean(rollout.errors))
        for name, value in numbers.items():
            self.model.logger.record(f"dagger/{name}", value)
        self.model.dump_logs()
        return going

    def _step(self, rollout: "Rollout", share: float, callback: BaseCallback) -> bool:
        """One step of all environments, whose states the expert labels."""
        model: Any = self.model
        normalizer, starts = self.inputs.normalizer, model._last_episode_starts
        observations = model._last_obs if normalizer is None else normalizer.get_original_obs()
        labels = self.expert(observations, starts)
        actions = self._mixed(model._last_obs, labels, share, rollout)
        rollout.add(observations, labels, starts)
        new_obs, rewards, dones, infos = model.env.step(actions)
        model.num_timesteps += model.n_envs
        callback.update_locals(locals())
        going = callback.on_step()
        model._update_info_buffer(infos, dones)
        model._last_obs, model._last_episode_starts = new_obs, dones
        return going

    def _mixed(self, observations: Any, labels: np.ndarray, share: float, rollout: "Rollout") -> np.ndarray:
        """Actions [N, ...]: in each environment the expert's with probability `share`, else the learner's."""
        if share == 1:
            return labels
        own, _ = self.model.predict(observations, deterministic=True)
        own = np.asarray(own).reshape(labels.shape)
        rollout.errors.append(self._error(own, labels))
        draw = np.random.random_sample  # NumPy's global generator, which a checkpoint holds
        by_expert = draw(len(labels)) < share
        return np.where(by_expert.reshape(-1, *[1] * (labels.ndim - 1)), labels, own)

    def _error(self, own: np.ndarray, labels: np.ndarray) -> float:
        """Mean squared difference in units of half the action range, or share of different discrete actions."""
        if not isinstance(self.model.action_space, spaces.Box):
            return float((own != labels).mean())
        half_range = (self.expert.high - self.expert.low) / 2
        return float(np.square((own - labels).reshape(len(labels), -1) / half_range).mean())

    def _clone_demonstrations(self, demonstrations: Demonstrations) -> None:
        def report(update: int, values: Mapping[str, float]) -> None:
            if self.on_warm_up is not None:
                self.on_warm_up(update, self.config.bc.most_updates)

        announce(self.model, f"start: cloning {len(demonstrations):,} demonstrated transitions")
        self.rows.add(demonstrations)
        self._clone(report)

    def _clone(self, report: Callable[[int, dict[str, float]], None] | None = None) -> BCResult:
        """Trains the policy on all rows, from its initial weights: held-out rows must be new to it."""
        self.model.policy.load_state_dict(self.initial)
        found = BC(self.model, self.rows.demonstrations(), self.config.bc).learn(report)
        if isinstance(self.model, OffPolicyAlgorithm):
            prepare_cloned(self.model)
        return found

    def acting(self) -> AbstractContextManager[None]:
        """Within the block, the model acts as the final model; here it already is."""
        return nullcontext()

    def files(self) -> Mapping[str, bytes]:
        """No files in addition to the checkpoint."""
        return {}

    def achieved(self) -> Mapping[str, Any]:
        """Metrics of the finished run's result: none."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to continue between two rounds, except the environment and the random numbers."""
        return {
            "model": model_state(self.model),
            "initial": clone_tensors(self.initial),
            "rows": plain(self.rows.state_dict()),
            "rounds": self.rounds,
            "expert": self.expert.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`, for an agent built with the same arguments."""
        load_model_state(self.model, state["model"])
        self.initial = clone_tensors(state["initial"])
        self.rows.load_state_dict(state["rows"])
        self.rounds = int(state["rounds"])
        self.expert.load_state_dict(state["expert"])


class Rollout:
    """The observations, labels and episode starts of one round, step by step."""

    def __init__(self) -> None:
        self.steps: list[tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]] = []
        self.errors: list[float] = []
        """Differences of the learner's actions from the labels, a mean for each step in which it was asked."""

    def __len__(self) -> int:
        return len(self.steps)

    def add(self, observations: Any, labels: np.ndarray, starts: np.ndarray) -> None:
        """Adds a copy of a step, because an environment may reuse its arrays."""
        seen = {name: np.array(rows) for name, rows in tree.entries(observations).items()}
        self.steps.append((seen, np.array(labels), np.array(starts, bool)))

    def arrays(self, kinds: Kinds) -> tuple[Any, np.ndarray, np.ndarray]:
        """Observations as demonstrations hold them [T, N, ...], labels [T, N, A] and episode starts [T, N]."""
        seen, labels, starts = zip(*self.steps, strict=True)
        n = len(starts[0])
        observations = {
            name: np.stack([each[name] for each in seen]).astype(dtype, copy=False).reshape(-1, n, *shape)
            for name, (dtype, shape) in kinds.items()
        }
        actions = np.stack(labels).astype(np.float32).reshape(len(self), n, -1)
        return tree.of_entries(observations), actions, np.stack(starts)
