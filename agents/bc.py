"""Behavioural cloning: maximum likelihood of the demonstrated actions under a Stable-Baselines3 policy."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import Tensor

from rlgen.data.demonstrations import Demonstrations
from rlgen.errors import problem
from rlgen.sb3.features import fit_normaliser


@dataclass(frozen=True, kw_only=True)
class BCConfig:
    """Behavioural cloning (Pomerleau 1991)."""

    learning_rate: float = 1e-3
    """Adam's learning rate."""
    batch_size: int = 128
    """Rows per gradient step."""
    max_updates: int = 20_000
    """Gradient steps at most."""
    held_out: float = 0.1
    """Share of rows held out for early stopping."""
    check_every: int = 100
    """Gradient steps between two looks at the held-out rows."""
    patience: int = 20
    """Looks without improvement before stopping; the best weights are kept."""
    loss: str = "mse"
    """log_prob: negative log-likelihood; mse: squared error of the mean action (the standard deviation stays)."""
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.held_out < 1:
            raise problem("held_out between 0 and 1", str(self.held_out), "use e.g. 0.1")


@dataclass(frozen=True)
class BCResult:
    """What cloning reached: best held-out loss and the gradient step it was reached at."""

    held_out_loss: float
    best_update: int
    updates: int


@dataclass
class BC:
    """Clones demonstrations into `model.policy`, in place. The critic is left alone."""

    model: OnPolicyAlgorithm
    demonstrations: Demonstrations
    config: BCConfig = BCConfig()

    def learn(self, progress: Callable[[int, dict[str, float]], None] | None = None) -> BCResult:
        policy = self.model.policy
        assert isinstance(policy, ActorCriticPolicy)
        batch = self.demonstrations.transitions(self.model.device)
        fit_normaliser(policy, batch.observations)
        order = torch.randperm(len(batch))
        cut = max(1, round(self.config.held_out * len(batch)))
        held, train = batch[order[:cut]], batch[order[cut:]]
        optimiser = torch.optim.Adam(policy.parameters(), self.config.learning_rate, fused=True)
        best, best_update, best_weights = float("inf"), 0, {}
        update = 0
        while update < self.config.max_updates and update - best_update <= self.config.patience * self.config.check_every:
            rows = torch.randint(len(train), (self.config.batch_size,))
            loss = self.loss(policy, train.observations[rows], train.actions[rows])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            update += 1
            if update % self.config.check_every == 0:
                with torch.no_grad():
                    held_loss = float(self.loss(policy, held.observations, held.actions))
                if held_loss < best:
                    best, best_update = held_loss, update
                    best_weights = {name: value.clone() for name, value in policy.state_dict().items()}
                if progress is not None:
                    progress(update, {"bc/held_out_loss": held_loss, "bc/loss": loss.item()})
        policy.load_state_dict(best_weights)
        return BCResult(best, best_update, update)

    def loss(self, policy: ActorCriticPolicy, observations: Tensor, actions: Tensor) -> Tensor:
        distribution = policy.get_distribution(observations)
        if self.config.loss == "mse":
            return (distribution.distribution.mean - actions).square().mean()
        return -distribution.log_prob(actions).mean()
