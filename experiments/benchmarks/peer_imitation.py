"""Speed of HumanCompatibleAI's `imitation` 1.0.1 (GAIL on SB3's PPO), measured in an environment of its own.

It pins older versions than this project, so it is installed without its pins, into `.peer`:

    python3 -m venv .peer
    .peer/bin/pip install -c constraints.txt torch "gymnasium[mujoco]" \
        stable-baselines3 sb3-contrib datasets rich tqdm tensorboard scikit-learn matplotlib \
        huggingface_sb3 sacred optuna
    .peer/bin/pip install --no-deps imitation==1.0.1 seals
    .peer/bin/python experiments/benchmarks/peer_imitation.py training --env Ant-v5 --demos ant_every20.npz

The demonstrations are a row-wise .npz: obs, acts, next_obs, terminated. The last line printed is one JSON object, as
`own_gail.py` prints it. Everything is the peer's default except what a fair race must share: SB3's PPO
with 8 environments × 256 steps, 10 epochs, batch 64; 8 discriminator updates of 1024 rows of each side per round.
The peer does not train long enough to improve its return; only its speed is measured.
"""

import argparse
import json
import tempfile
import time
import warnings
from importlib.metadata import version

import gymnasium as gym
import numpy as np
import torch

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # deprecations of newer packages in the peer's older code
    from imitation.algorithms.adversarial.gail import GAIL
    from imitation.data.types import Transitions
    from imitation.rewards.reward_nets import BasicRewardNet
    from imitation.util import logger
    from imitation.util.networks import RunningNorm
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv

N_ENVS, N_STEPS, EPOCHS, BATCH = 8, 256, 10, 64
DISCRIMINATOR_UPDATES, DISCRIMINATOR_BATCH = 8, 1024
ROUND = N_ENVS * N_STEPS


def demonstrations(path: str, at_least: int, trajectories: int | None = None) -> Transitions:
    """Rows of the file, or of its first `trajectories`, repeated until there are `at_least`: the peer's loader drops a
    batch that is not full."""
    with np.load(path) as data:
        arrays = [data[key] for key in ("obs", "acts", "next_obs", "terminated")]
        chosen = np.arange(len(arrays[0])) if trajectories is None else np.flatnonzero(data["traj"] < trajectories)
    rows = np.resize(chosen, max(at_least, len(chosen)))
    observations, actions, following, terminated = (array[rows] for array in arrays)
    no_infos = np.array([{}] * len(rows))
    return Transitions(obs=observations, acts=actions, next_obs=following, dones=terminated, infos=no_infos)


def trainer(env_id: str, demos: str, batch: int, vec: str) -> GAIL:
    """The peer's GAIL around SB3's PPO, without a log."""
    make = [lambda: gym.make(env_id)] * N_ENVS
    venv = SubprocVecEnv(make) if vec == "subproc" else DummyVecEnv(make)
    return GAIL(
        demonstrations=demonstrations(demos, batch),
        demo_batch_size=batch,
        gen_replay_buffer_capacity=ROUND,
        n_disc_updates_per_round=DISCRIMINATOR_UPDATES,
        venv=venv,
        allow_variable_horizon=True,
        custom_logger=logger.configure(tempfile.mkdtemp(), format_strs=[]),
        gen_algo=PPO("MlpPolicy", venv, n_steps=N_STEPS, batch_size=BATCH, n_epochs=EPOCHS, seed=0, device="cpu"),
        reward_net=BasicRewardNet(venv.observation_space, venv.action_space, normalize_input_layer=RunningNorm),
    )


def training(env_id: str, demos: str, rounds: int, vec: str) -> dict[str, float]:
    """Environment steps per second of whole rounds, the first one left out as warm-up."""
    learner = trainer(env_id, demos, DISCRIMINATOR_BATCH, vec)
    learner.train(ROUND)
    start = time.perf_counter()
    learner.train(rounds * ROUND)
    seconds = time.perf_counter() - start
    learner.venv.close()
    return {"steps": rounds * ROUND, "seconds": seconds, "steps_per_second": rounds * ROUND / seconds}


def discriminator(env_id: str, demos: str, batch: int, repeats: int) -> dict[str, float]:
    """Milliseconds of one discriminator update with `batch` rows of each side: median over `repeats`."""
    learner = trainer(env_id, demos, batch, "dummy")
    learner.train_gen(ROUND)
    times = []
    for _ in range(repeats + 3):
        start = time.perf_counter()
        learner.train_disc()
        times.append(time.perf_counter() - start)
    learner.venv.close()
    return {"batch": batch, "repeats": repeats, "milliseconds": 1000 * float(np.median(times[3:]))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measure", choices=["training", "discriminator"])
    parser.add_argument("--env", default="Ant-v5")
    parser.add_argument("--demos", required=True, help="row-wise .npz: obs, acts, next_obs, terminated")
    parser.add_argument("--rounds", type=int, default=10, help=f"timed rounds of {ROUND} environment steps")
    parser.add_argument("--vec", choices=["dummy", "subproc"], default="dummy", help="SB3's vector environment")
    parser.add_argument("--batch", type=int, default=8192, help="rows of each side (discriminator)")
    parser.add_argument("--repeats", type=int, default=20, help="timed updates (discriminator)")
    parser.add_argument("--torch-threads", type=int, default=1, help="0: torch's own choice")
    chosen = parser.parse_args()
    if chosen.torch_threads:
        torch.set_num_threads(chosen.torch_threads)
    if chosen.measure == "training":
        result = training(chosen.env, chosen.demos, chosen.rounds, chosen.vec)
    else:
        result = discriminator(chosen.env, chosen.demos, chosen.batch, chosen.repeats)
    versions = {name: version(name) for name in ("imitation", "stable-baselines3", "gymnasium", "mujoco", "torch")}
    print(json.dumps({"env": chosen.env, "measure": chosen.measure, **result, "versions": versions}))


if __name__ == "__main__":
    main()
