"""What demonstrated episodes that the task ended say about a discriminator's reward: whether it needs absorbing states,
and a warning if the sign of the reward contradicts them."""

import logging

import torch

from rlgen.data.demonstrations import Demonstrations
from rlgen.equations.divergences import DIVERGENCES
from rlgen.rewards.absorbing_states import AbsorbingStates
from rlgen.rewards.adversarial import AdversarialConfig

log = logging.getLogger("rlgen")

LOGITS = torch.linspace(-20, 20, 401)
"""Expert logits that cover the output range of a discriminator."""
REPLAY_FORGETS = 0.01
"""Fraction of the counted ends that each draw from a replay buffer forgets: the draws are small, the buffer changes
slowly."""
USUAL = 0.5
"""Fraction of demonstrated episodes above which an early end counts as the expert's behavior."""


def reward_signs(config: AdversarialConfig) -> tuple[bool, bool]:
    """Whether the reward can be negative, and whether it can be positive."""
    reward = DIVERGENCES[config.divergence].reward(LOGITS)
    if config.zero == "lowest":
        reward = reward - reward.min()
    return bool((reward < 0).any()), bool((reward > 0).any())


def share_ended_by_task(demonstrations: Demonstrations) -> float:
    """Fraction of the demonstrated episodes that the task ended before a time limit. In a subsampled file that does not
    note which those are, they are those that are shorter than the longest or have a row that the task ended; in another
    one without last rows, only the latter."""
    ended = demonstrations.ended_by_task
    if ended is None:
        lengths = demonstrations.episode_lengths
        ended = (lengths < lengths.max()) & (demonstrations.stride > 1)
        ended[demonstrations.episode[demonstrations.terminated]] = True
    return float(ended.mean())


def absorbing_states(
    config: AdversarialConfig,
    demonstrations: Demonstrations,
    gamma: float,
    on_policy: bool,
    device: torch.device | str = "cpu",
) -> AbsorbingStates | None:
    """The absorbing states that `config` asks for, or by default the data; None for none. Logs which and why.

    Raises `InputError` for a discount of 1, under which their return is infinite, and for a divergence without a
    log-ratio, if `config` asks for them.
    """
    divergence = DIVERGENCES[config.divergence]
    share = share_ended_by_task(demonstrations)
    usual = share > USUAL
    if config.absorbing == "auto":
        if gamma == 1 or divergence.log_ratio is None or not (usual or not on_policy):
            warn_of_early_ends(config, demonstrations)
            return None
        why = f"{100 * share:.0f} % of the demonstrated episodes end before a time limit" if usual else "off-policy"
        what = "what follows an early end is rewarded too" if usual else "an early end is worse than going on"
        log.info("absorbing states, because %s: %s", why, what)
    elif config.absorbing == "off":
        warn_of_early_ends(config, demonstrations)
        return None
    return AbsorbingStates(
        divergence=divergence,
        gamma=gamma,
        expert_ends=share * demonstrations.n_episodes,
        expert_steps=float(len(demonstrations) * demonstrations.stride),
        forget=1.0 if on_policy else REPLAY_FORGETS,
        accidents=not usual,
        device=device,
    )


def warn_of_early_ends(config: AdversarialConfig, demonstrations: Demonstrations) -> None:
    """Logs a warning if the sign of the reward teaches the opposite of the expert's behavior.

    A reward that is never negative makes every further step worthwhile: a policy that could reach its goal and end the
    episode avoids the goal. A reward that is never positive makes the policy end the episode as soon as it can.
    Kostrikov et al. 2019 (1809.02925), section 4.
    """
    share = share_ended_by_task(demonstrations)
    negative, positive = reward_signs(config)
    if share > USUAL and not negative:
        log.warning(
            "expected a reward that can be negative, because %.0f %% of the demonstrated episodes end before a time "
            "limit; the %s divergence%s rewards every further step, so the policy learns not to end its episodes; use "
            'AdversarialConfig(divergence="non_saturating"), --gail.discriminator.divergence non_saturating, unless '
            "ending is a failure here",
            *(100 * share, config.divergence, " with zero=lowest" if config.zero == "lowest" else ""),
        )
    if share == 0 and not positive:
        log.warning(
            "expected a reward that can be positive, because no demonstrated episode ends before a time limit; the %s "
            "divergence penalizes every further step, so the policy learns to end its episodes if the task allows it; "
            'use AdversarialConfig(divergence="minimax"), --gail.discriminator.divergence minimax, unless episodes '
            "never end early here",
            config.divergence,
        )
