"""What Stable-Baselines3's learners log, and `rlgen.sb3`'s under the same names."""

from rlgen.display import Metric, Panel

EPISODES = (
    Panel("Return per episode", (Metric("rollout/ep_rew_mean", "training policy"),), large=True),
    Panel("Episode length [steps]", (Metric("rollout/ep_len_mean", "training policy"),), limits=(0, None)),
)
LEARNER = (
    Panel("Policy change: KL [nats]", (Metric("train/approx_kl", "KL"), Metric("train/kl_divergence_loss", "KL"))),
    Panel("Policy's entropy [nats]", (Metric("train/entropy_loss", "entropy", factor=-1.0),)),
    Panel("Standard deviation of actions", (Metric("train/std", "std"),)),
    Panel(
        "Value: explained variance",
        (Metric("train/explained_variance", "explained variance"),),
        limits=(None, 1),
        line=0.0,
    ),
    Panel("Value loss", (Metric("train/value_loss", "value loss"),)),
    Panel("Share of clipped ratios", (Metric("train/clip_fraction", "clip fraction"),), limits=(0, None)),
    Panel("Critics' loss", (Metric("train/critic_loss", "loss"),)),
    Panel("Actor's loss", (Metric("train/actor_loss", "loss"),)),
    Panel("Weight of the entropy", (Metric("train/ent_coef", "weight"),), limits=(0, None)),
    Panel(
        "Constants, counters and losses whose size says nothing",
        tuple(
            Metric(f"train/{name}", name)
            for name in (
                *("n_updates", "clip_range", "learning_rate", "loss", "policy_gradient_loss", "policy_loss"),
                *("policy_objective", "is_line_search_success", "ent_coef_loss"),
            )
        ),
        drawn=False,
    ),
)
