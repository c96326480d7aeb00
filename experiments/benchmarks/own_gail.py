"""Speed of rlgen's GAIL, the counterpart of `peer_imitation.py`: same arguments, same JSON line.

    python experiments/benchmarks/own_gail.py training --env Ant-v5 --demos ant_every20.npz --profile matched

`matched` has the peer's hyper-parameters: SB3's PPO with 8 environments × 256 steps, 10 epochs, batch 64, networks
64-64; a discriminator of 32-32 ReLU with running normalization, no penalty, 8 updates of 1024 rows of each side per
round. `penalty` adds the gradient penalty, which the peer does not have, and `defaults` is plain `rlgen train gail`.
"""

import argparse
import json
import time
from importlib.metadata import version

import numpy as np
import torch

from rlgen.agents import GAIL, GAILConfig, LearnerConfig
from rlgen.agents.commands.train_gail import TrainGAIL
from rlgen.agents.learner import make_model
from rlgen.data import Demonstrations
from rlgen.envs import make_vec
from rlgen.nn import PenaltyConfig
from rlgen.rewards import AdversarialConfig
from rlgen.sb3 import FastPPO

N_ENVS, N_STEPS, EPOCHS, BATCH = 8, 256, 10, 64
ROUND = N_ENVS * N_STEPS


def learner(env_id: str, demos: str, profile: str, batch: int = 1024) -> GAIL:
    """GAIL with the given profile, without the warm start, which happens once and is not part of the throughput."""
    data = Demonstrations.load(demos)
    if profile == "defaults":
        env = make_vec(env_id, TrainGAIL.n_envs, seed=0)
        return GAIL(make_model(LearnerConfig(), env, seed=0), data, GAILConfig(warm_start=False))
    env = make_vec(env_id, N_ENVS, seed=0)
    config = GAILConfig(
        discriminator=AdversarialConfig(
            hidden=(32, 32), activation="relu", learning_rate=1e-3, batch_size=batch, normalizer="running"
        ),
        penalties=PenaltyConfig(gradient=1.0) if profile == "penalty" else PenaltyConfig(),
        warm_start=False,
    )
    fused = {"optimizer_kwargs": {"fused": True}}  # the same Adam in one kernel
    model = FastPPO(
        "MlpPolicy",
        env,
        n_steps=N_STEPS,
        batch_size=BATCH,
        n_epochs=EPOCHS,
        seed=0,
        device="cpu",
        policy_kwargs=fused,
    )
    return GAIL(model, data, config)


def training(env_id: str, demos: str, rounds: int, profile: str) -> dict[str, float]:
    """Environment steps per second of whole rounds, the first one left out as warm-up."""
    gail = learner(env_id, demos, profile)
    round_steps = gail.model.n_envs * gail.model.n_steps
    gail.learn(round_steps)
    timed = rounds * ROUND // round_steps * round_steps or round_steps
    start = time.perf_counter()
    gail.learn(timed)
    seconds = time.perf_counter() - start
    gail.model.get_env().close()
    return {"steps": timed, "seconds": seconds, "steps_per_second": timed / seconds}


def discriminator(env_id: str, demos: str, batch: int, repeats: int, profile: str) -> dict[str, float]:
    """Milliseconds of one discriminator update with `batch` rows of each side, the rollout's share included: median."""
    gail = learner(env_id, demos, profile, batch)
    updates = gail.config.discriminator.updates_per_rollout
    rollout = gail.source.demonstrations[torch.randint(len(gail.source.demonstrations), (ROUND,))]
    times = []
    for _ in range(max(1, repeats // updates) + 1):
        start = time.perf_counter()
        gail.source.update(rollout)
        times.append((time.perf_counter() - start) / updates)
    gail.model.get_env().close()
    return {"batch": batch, "repeats": repeats, "milliseconds": 1000 * float(np.median(times[1:]))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measure", choices=["training", "discriminator"])
    parser.add_argument("--env", default="Ant-v5")
    parser.add_argument("--demos", required=True, help="any file of demonstrations that rlgen reads")
    parser.add_argument("--profile", choices=["matched", "penalty", "defaults"], default="matched")
    parser.add_argument("--rounds", type=int, default=10, help=f"timed rounds of {ROUND} environment steps")
    parser.add_argument("--batch", type=int, default=8192, help="rows of each side (discriminator)")
    parser.add_argument("--repeats", type=int, default=20, help="timed updates (discriminator)")
    parser.add_argument("--torch-threads", type=int, default=1, help="0: torch's own choice, as `rlgen train` has it")
    chosen = parser.parse_args()
    if chosen.torch_threads:
        torch.set_num_threads(chosen.torch_threads)
    if chosen.measure == "training":
        result = training(chosen.env, chosen.demos, chosen.rounds, chosen.profile)
    else:
        result = discriminator(chosen.env, chosen.demos, chosen.batch, chosen.repeats, chosen.profile)
    versions = {name: version(name) for name in ("rlgen", "stable-baselines3", "gymnasium", "mujoco", "torch")}
    print(json.dumps({"env": chosen.env, "measure": chosen.measure, **result, "versions": versions}))


if __name__ == "__main__":
    main()
