"""VIME: exploration by curiosity about the dynamics (Houthooft et al. 2016, arXiv 1605.09674), for SB3 models."""

import math
from dataclasses import dataclass, field

from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from rlgen.errors import problem
from rlgen.rewards.information_gain import InformationGain, InformationGainConfig
from rlgen.sb3.relabel import Paid, Relabel


@dataclass(frozen=True, kw_only=True)
class VIMEConfig:
    """VIME. The defaults suit rewards of about 1 per step."""

    eta: float = 1e-3
    """Reward for a transition of the usual information gain, beside the task's own reward."""
    curiosity: InformationGainConfig = field(default_factory=InformationGainConfig)
    """The Bayesian dynamics model and its bonus."""

    def __post_init__(self) -> None:
        if not 0 <= self.eta < math.inf:
            raise problem("eta of at least 0", str(self.eta), "use e.g. 0.001")


class VIME:
    """Curiosity for any on-policy SB3 model, whatever its policy:

        model.learn(1_000_000, callback=VIME(eta=1e-3).callback())

    The policy learns from task reward + η · bonus, through advantages and value function alike. `source` is the
    dynamics model once the training has begun.
    """

    def __init__(self, config: VIMEConfig | None = None, *, eta: float | None = None):
        if config is not None and eta is not None:
            raise problem("eta or a config", "both", "put eta into the config")
        self.config = config or (VIMEConfig() if eta is None else VIMEConfig(eta=eta))
        self.source: InformationGain | None = None

    def callback(self) -> BaseCallback:
        """For `model.learn`, which raises `InputError` for a model that is not on-policy and for spaces not flat."""
        return _Curious(self)

    def begin(self, model: OnPolicyAlgorithm) -> InformationGain:
        """The reward source for `model`: a new one, or that of an earlier `learn`."""
        if self.source is None:
            if not isinstance(model, OnPolicyAlgorithm):
                raise problem("an on-policy SB3 model", type(model).__name__, "use PPO, A2C or TRPO")
            observed, acted = model.observation_space, model.action_space
            if not isinstance(observed, spaces.Box) or len(observed.shape) != 1:
                raise problem("flat observations (Box of one dimension)", f"{observed}", "wrap with FlattenObservation")
            if not isinstance(acted, spaces.Box | spaces.Discrete):
                raise problem("actions of a Box or Discrete space", f"{acted}", "wrap the environment")
            n_actions = int(acted.n) if isinstance(acted, spaces.Discrete) else None
            self.source = InformationGain(
                observed.shape[0], spaces.flatdim(acted), self.config.curiosity, n_actions, model.device
            )
        return self.source


class _Curious(Relabel):
    """Relabelling whose source is made when the model is known."""

    def __init__(self, vime: VIME):
        super().__init__({}, task_weight=1.0)
        self.vime = vime

    def _init_callback(self) -> None:
        self.sources = {"vime": Paid(self.vime.begin(self.model), self.vime.config.eta)}
