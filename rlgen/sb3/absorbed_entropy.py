"""What a learner with an entropy bonus expects of an absorbing state."""

from typing import Any

import torch
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from torch import Tensor

from rlgen.equations.absorbing_states import absorbing_return


def absorbed_entropy(model: OffPolicyAlgorithm) -> Tensor:
    """γ α H / (1 - γ), a scalar: the entropy bonus of an absorbing state, seen from the step that enters it; 0 for a
    learner without entropy bonus. H is the target entropy, α its coefficient (SAC, Haarnoja et al. 2018, 1812.05905).

    A policy goes on acting in an absorbing state. Without this term an end would save what entropy costs elsewhere: at
    the usual target of -1 per action dimension, each step outside has a bonus below 0.
    """
    learner: Any = model
    if not hasattr(learner, "ent_coef"):
        return torch.zeros((), device=model.device)
    learned = getattr(learner, "log_ent_coef", None)
    coefficient = learner.ent_coef_tensor if learned is None else learned.detach().exp()
    return absorbing_return(coefficient.reshape(()) * float(learner.target_entropy), model.gamma)
