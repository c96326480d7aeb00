"""Speed of off-policy GAIL against Stable-Baselines3's plain SAC and against the peer's SAC with GAIL, run in turns.

    PYTHONPATH=.peer .venv/bin/python experiments/benchmarks/off_policy_throughput.py --demos ant_every20.npz

PYTHONPATH names a folder with `imitation`, as `peer_imitation_returns.py` says; without it the peer is left out. Every
measurement is a process of its own with one torch thread: SAC with networks 256-256, minibatches of 256, 8 environments
and a gradient step per environment step; a discriminator of 128-128 (peer: 32-32, its default) with an update of 256
rows of each side per 4 environment steps. The peer trains in rounds; `short` ones are its default, 8 steps. Each line
is kept in results/off_policy_throughput.csv, with the load average before it: run this on an idle machine.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import torch
from stable_baselines3 import SAC
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecEnv

from rlgen.system.pool import usable_cpus
from rlgen.system.versions import checkout_commit, cpu_name

N_ENVS = 8
HERE = Path(__file__).parent
COLUMNS = ("env", "contender", "repeat", "value", "unit", "load_average", "cpu", "cores", "commit", "versions")


def sac(env: VecEnv, kind: type[SAC] = SAC) -> SAC:
    return kind("MlpPolicy", env, gradient_steps=-1, learning_starts=100, buffer_size=20_000, seed=0, device="cpu")


def plain(env_id: str, demos: str) -> Callable[[int], object]:
    model = sac(make_vec_env(env_id, N_ENVS, seed=0))
    return lambda steps: model.learn(steps, reset_num_timesteps=False)


def plain_on_threads(env_id: str, demos: str) -> Callable[[int], object]:
    from rlgen.envs import make_vec

    model = sac(make_vec(env_id, N_ENVS, seed=0))
    return lambda steps: model.learn(steps, reset_num_timesteps=False)


def own(env_id: str, demos: str, kind: type[SAC] = SAC) -> Callable[[int], object]:
    from dataclasses import replace

    from rlgen.agents import GAIL
    from rlgen.agents.gail import OFF_POLICY
    from rlgen.data import Demonstrations
    from rlgen.envs import make_vec

    config = replace(OFF_POLICY, warm_start=False)
    model = sac(make_vec(env_id, N_ENVS, seed=0), kind=kind)
    return GAIL(model, Demonstrations.load(demos), config).learn


def own_fast(env_id: str, demos: str) -> Callable[[int], object]:
    from rlgen.sb3 import FastSAC

    return own(env_id, demos, FastSAC)


def peer(env_id: str, demos: str, round_steps: int = 2048) -> Callable[[int], object]:
    import tempfile

    import peer_imitation
    from imitation.algorithms.adversarial.gail import GAIL
    from imitation.rewards.reward_nets import BasicRewardNet
    from imitation.util import logger
    from imitation.util.networks import RunningNorm

    env = make_vec_env(env_id, N_ENVS, seed=0)
    trainer = GAIL(
        demonstrations=peer_imitation.demonstrations(demos, 256),
        demo_batch_size=256,
        n_disc_updates_per_round=round_steps // 4,
        gen_train_timesteps=round_steps,
        gen_replay_buffer_capacity=20_000,
        venv=env,
        allow_variable_horizon=True,
        custom_logger=logger.configure(tempfile.mkdtemp(), format_strs=[]),
        gen_algo=sac(env),
        reward_net=BasicRewardNet(env.observation_space, env.action_space, normalize_input_layer=RunningNorm),
    )
    return trainer.train


def peer_short(env_id: str, demos: str) -> Callable[[int], object]:
    return peer(env_id, demos, round_steps=N_ENVS)


CONTENDERS = {
    "SB3 SAC": plain,
    "SB3 SAC, rlgen's environments": plain_on_threads,
    "rlgen GAIL with SAC": own,
    "rlgen GAIL with FastSAC": own_fast,
    "imitation GAIL with SAC": peer,
    "imitation GAIL with SAC, short rounds": peer_short,
}
"""The first is what others are compared with."""


def measure(name: str, env_id: str, demos: str, steps: int) -> dict[str, Any]:
    """Environment steps per second, after a warm-up of 2048."""
    torch.set_num_threads(1)
    learn = CONTENDERS[name](env_id, demos)
    learn(2048)
    start = time.perf_counter()
    learn(steps)
    seconds = time.perf_counter() - start
    packages = ("stable-baselines3", "gymnasium", "mujoco", "torch", *(["imitation"] if name.startswith("im") else []))
    return {"steps_per_second": steps / seconds, "versions": {package: version(package) for package in packages}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=CONTENDERS, help="measure this one once, in this process")
    parser.add_argument("--env", default="Ant-v5")
    parser.add_argument("--demos", required=True, help="row-wise .npz: obs, acts, next_obs, terminated")
    parser.add_argument("--steps", type=int, default=2048, help="timed environment steps in each turn, at least 2048")
    parser.add_argument("--repeats", type=int, default=5, help="turns of every contender")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "off_policy_throughput.csv")
    chosen = parser.parse_args()
    if chosen.only:
        print(json.dumps(measure(chosen.only, chosen.env, chosen.demos, chosen.steps)))
        return
    names = [name for name in CONTENDERS if find_spec("imitation") or not name.startswith("imitation")]
    machine = {"cpu": cpu_name(), "cores": usable_cpus(), "commit": checkout_commit()}
    values: dict[str, list[float]] = {name: [] for name in names}
    with chosen.out.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        for repeat in range(chosen.repeats):
            for name in names:
                load = round(os.getloadavg()[0], 2)
                command = [sys.executable, __file__, "--only", name, "--env", chosen.env, "--demos", chosen.demos]
                done = subprocess.run(
                    [*command, "--steps", str(chosen.steps)], capture_output=True, text=True, check=False
                )
                if done.returncode:
                    sys.exit(f"{name} failed:\n{done.stderr[-2000:]}")
                found = json.loads(done.stdout.splitlines()[-1])
                values[name].append(found["steps_per_second"])
                versions = " ".join(f"{package}={number}" for package, number in found["versions"].items())
                line = {"env": chosen.env, "contender": name, "repeat": repeat, "unit": "steps/s"}
                line |= {"value": round(values[name][-1], 3), "load_average": load, "versions": versions}
                writer.writerow(line | machine)
                stream.flush()
    first = median(values[names[0]])
    for name, found in values.items():
        print(f"{chosen.env:<16}{name:<40}{median(found):>9.1f} steps/s{median(found) / first:>8.2f} x", flush=True)


if __name__ == "__main__":
    main()
