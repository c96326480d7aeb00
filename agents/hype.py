"""Hybrid inverse reinforcement learning (Ren et al. 2024, 2402.08848) around an off-policy Stable-Baselines3 model."""

from collections.abc import Sequence
from dataclasses import replace

from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from rlgen.data.demonstrations import Demonstrations
from rlgen.errors import problem
from rlgen.nn.penalties import Penalty
from rlgen.sb3.cloned import has_actor

from .gail import GAIL, OFF_POLICY, GAILConfig

HYPE = replace(OFF_POLICY, expert_share=0.5)
"""Settings of HyPE: those of off-policy GAIL, with as many demonstrated rows as replayed ones in every minibatch."""


class HyPE(GAIL):
    """Off-policy GAIL whose learner, not only the discriminator, also learns from demonstrated rows: half of each of
    its minibatches, with the discriminator's current rewards (HyPE, Ren et al. 2024, Alg. 2).

        HyPE(SAC("MlpPolicy", make_vec("Ant-v5", 8)), Demonstrations.load("ant.npz")).learn(200_000)

    The critics know the demonstrated states from the first step on, so it needs less exploration than GAIL. The same
    as `GAIL` with `GAILConfig(expert_share=0.5)`, `rlgen train gail --gail.expert-share 0.5`.

    Differs from the paper: the reward is that of GAIL's divergence, not of an integral probability metric alone
    (`divergence="wasserstein"` with a gradient penalty is one).
    """

    def __init__(
        self,
        model: OffPolicyAlgorithm,
        demonstrations: Demonstrations,
        config: GAILConfig | None = None,
        *,
        penalties: Sequence[Penalty] = (),
    ):
        config = replace(HYPE, warm_start=has_actor(model)) if config is None else config
        if not getattr(config, "expert_share", 0):
            raise problem("expert_share above 0 for HyPE", "0", "use e.g. 0.5, or GAIL for none")
        super().__init__(model, demonstrations, config, penalties=penalties)
