"""Returns and wall-clock time of HumanCompatibleAI's `imitation` 1.0.1 on a file of demonstrations: GAIL, AIRL, SQIL,
BC and DAgger.

Installed as `peer_imitation.py` says, or, beside this project's own packages, into a folder that PYTHONPATH names:

    pip install --no-deps --target .peer imitation==1.0.1 seals datasets multiprocess dill xxhash sacred \
        huggingface_sb3 py-cpuinfo munch wrapt jsonpickle docopt
    PYTHONPATH=.peer python experiments/benchmarks/peer_imitation_returns.py gail --demos Ant-v5_every20.npz \
        --trajectories 4 --seed 40 --out rows.csv

Settings are those that the package ships as tuned for seals/Ant-v1 (`imitation/scripts/config/tuned_hps`), whose
observations and rewards are Ant's, for GAIL, AIRL, BC and DAgger, and the package's defaults around SB3's SAC for SQIL,
for which it ships none. Ours that they leave open: 8 environments, BC's epochs (--epochs). A row is appended to the
.csv: the final policy's mean action plays 50 episodes from seed 10000 on, as those of `rlgen bench` do.

DAgger asks an expert, a .npz of a network with the arrays w0, b0, w1, b1, w2, b2, obs_mean and obs_std.
"""

import argparse
import csv
import tempfile
import time
import warnings
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from peer_imitation import demonstrations
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # deprecations of newer packages in the peer's older code
    from imitation.algorithms import bc, dagger, sqil
    from imitation.algorithms.adversarial.airl import AIRL
    from imitation.algorithms.adversarial.gail import GAIL
    from imitation.data.types import Transitions
    from imitation.data.wrappers import RolloutInfoWrapper
    from imitation.policies.base import FeedForward32Policy, NormalizeFeaturesExtractor
    from imitation.rewards.reward_nets import BasicRewardNet, BasicShapedRewardNet, NormalizedRewardNet
    from imitation.util import logger
    from imitation.util.networks import RunningNorm

N_ENVS = 8
NETWORK = ("w0", "b0", "w1", "b1", "w2", "b2", "obs_mean", "obs_std")
"""Arrays of the expert's file."""
EPISODES, EVALUATION_SEED = 50, 10_000
NORMALIZED = {
    "features_extractor_class": NormalizeFeaturesExtractor,
    "features_extractor_kwargs": {"normalize_class": RunningNorm},
}
ADVERSARIAL: dict[str, dict[str, Any]] = {
    "gail": {
        "kind": GAIL, "net": BasicRewardNet, "rows": 16384, "batch": 32, "updates": 8, "rate": 2.428297806883194e-5,
        "entropy": 0.008871887607426377,
    },
    "airl": {
        "kind": AIRL, "net": BasicShapedRewardNet, "rows": 8192, "batch": 8192, "updates": 16,
        "rate": 3.249429831179079e-5, "entropy": 3.27750078482474e-6,
    },
}  # fmt: skip
"""What the tuned settings of the two differ in; `rows`: environment steps per round."""


class Expert(BasePolicy):
    """Mean action of a network of two tanh layers."""

    def __init__(self, path: str, env: VecEnv):
        super().__init__(env.observation_space, env.action_space)
        with np.load(path) as file:
            self.arrays = {name: np.asarray(file[name], np.float64) for name in NETWORK}

    def _predict(self, observation: torch.Tensor, deterministic: bool = False) -> torch.Tensor:
        of, low, high = self.arrays, self.action_space.low, self.action_space.high
        hidden = (observation.numpy() - of["obs_mean"]) / of["obs_std"]
        for layer in ("0", "1"):
            hidden = np.tanh(hidden @ of["w" + layer] + of["b" + layer])
        return torch.as_tensor(np.clip(hidden @ of["w2"] + of["b2"], low, high), dtype=torch.float32)


def environments(env_id: str, seed: int) -> VecEnv:
    venv = DummyVecEnv([lambda: RolloutInfoWrapper(gym.make(env_id))] * N_ENVS)
    venv.seed(seed)
    return venv


def adversarial(venv: VecEnv, of: dict[str, Any], path: str, trajectories: int, steps: int, seed: int) -> BasePolicy:
    """GAIL or AIRL around SB3's PPO."""
    learner = PPO(
        FeedForward32Policy,
        venv,
        n_steps=of["rows"] // N_ENVS,
        batch_size=16,
        n_epochs=10,
        learning_rate=of["rate"],
        clip_range=0.3,
        ent_coef=of["entropy"],
        gae_lambda=0.8,
        gamma=0.995,
        max_grad_norm=0.9,
        vf_coef=0.4351450387648799,
        policy_kwargs=NORMALIZED,
        seed=seed,
        device="cpu",
    )
    net = of["net"](venv.observation_space, venv.action_space, normalize_input_layer=RunningNorm)
    trainer = of["kind"](
        demonstrations=demonstrations(path, of["batch"], trajectories),
        demo_batch_size=of["batch"],
        gen_replay_buffer_capacity=of["rows"],
        n_disc_updates_per_round=of["updates"],
        venv=venv,
        allow_variable_horizon=True,
        custom_logger=logger.configure(tempfile.mkdtemp(), format_strs=[]),
        gen_algo=learner,
        reward_net=NormalizedRewardNet(net, RunningNorm),
    )
    trainer.train(steps)
    return learner.policy


def soft_q(venv: VecEnv, path: str, trajectories: int, steps: int, seed: int) -> BasePolicy:
    trainer = sqil.SQIL(
        venv=venv,
        demonstrations=demonstrations(path, 256, trajectories),
        policy="MlpPolicy",
        rl_algo_class=SAC,
        rl_kwargs={"seed": seed, "device": "cpu", "gradient_steps": -1},
        custom_logger=logger.configure(tempfile.mkdtemp(), format_strs=[]),
    )
    buffer = trainer.rl_algo.replay_buffer
    buffer.sample = partial(half_demonstrated, buffer)
    trainer.train(total_timesteps=steps)
    return trainer.policy


def half_demonstrated(buffer: Any, batch_size: int, env: Any = None) -> Any:
    """The package's mixture of rows; its own function fails where a field is None, as in newer versions of SB3."""
    own = super(type(buffer), buffer).sample(batch_size - batch_size // 2, env)
    demonstrated = buffer.expert_buffer.sample(batch_size // 2, env)
    return type(own)(*(None if a is None else torch.cat((a, b)) for a, b in zip(own, demonstrated, strict=True)))


def cloning(venv: VecEnv, rng: np.random.Generator, rows: Transitions | None, l2: float, rate: float) -> bc.BC:
    spaces = {"observation_space": venv.observation_space, "action_space": venv.action_space}
    return bc.BC(
        **spaces,
        rng=rng,
        policy=FeedForward32Policy(**spaces, lr_schedule=lambda _: rate, **NORMALIZED),
        demonstrations=rows,
        batch_size=16,
        optimizer_kwargs={"lr": rate},
        l2_weight=l2,
        custom_logger=logger.configure(tempfile.mkdtemp(), format_strs=[]),
    )


def train(agent: str, chosen: argparse.Namespace, venv: VecEnv) -> BasePolicy:
    """The trained policy."""
    path, trajectories, steps, seed = chosen.demos, chosen.trajectories, int(chosen.steps), chosen.seed
    rng = np.random.default_rng(seed)
    if agent in ADVERSARIAL:
        return adversarial(venv, ADVERSARIAL[agent], path, trajectories, steps, seed)
    if agent == "sqil":
        return soft_q(venv, path, trajectories, steps, seed)
    if agent == "bc":
        trainer = cloning(
            venv, rng, demonstrations(path, 16, trajectories), 2.350251568550711e-5, 0.0017601048183920826
        )
        trainer.train(n_epochs=chosen.epochs, progress_bar=False)
        return trainer.policy
    asking = dagger.SimpleDAggerTrainer(
        venv=venv,
        scratch_dir=tempfile.mkdtemp(),
        expert_policy=Expert(chosen.expert, venv),
        beta_schedule=dagger.LinearBetaSchedule(15),
        rng=rng,
        bc_trainer=cloning(venv, rng, None, 1e-4, 1e-3),
        custom_logger=logger.configure(tempfile.mkdtemp(), format_strs=[]),
    )
    asking.train(steps, rollout_round_min_episodes=5, bc_train_kwargs={"n_epochs": 10, "progress_bar": False})
    return asking.policy


def returns(policy: BasePolicy, env_id: str) -> list[float]:
    """Returns of the mean action."""
    env, found = gym.make(env_id), []
    for episode in range(EPISODES):
        observation, total, over = env.reset(seed=EVALUATION_SEED + episode)[0], 0.0, False
        while not over:
            action, _ = policy.predict(observation, deterministic=True)
            observation, reward, terminated, truncated, _ = env.step(action)
            total, over = total + float(reward), terminated or truncated
        found.append(total)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("agent", choices=[*ADVERSARIAL, "sqil", "bc", "dagger"])
    parser.add_argument("--env", default="Ant-v5")
    parser.add_argument("--demos", required=True, help="row-wise .npz: obs, acts, next_obs, terminated, traj")
    parser.add_argument("--trajectories", type=int, default=4)
    parser.add_argument("--steps", type=float, default=1e6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=5, help="of BC; the package's tuned 5 are few for few rows")
    parser.add_argument("--expert", help="network of the expert that DAgger asks, .npz")
    parser.add_argument("--out", required=True, type=Path, help=".csv to which a row is appended")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(chosen.seed)
    venv = environments(chosen.env, chosen.seed)
    began, worked = time.perf_counter(), time.process_time()
    policy = train(chosen.agent, chosen, venv)
    seconds, worked = time.perf_counter() - began, time.process_time() - worked
    found = returns(policy, chosen.env)
    row = {
        "task": chosen.env,
        "demos": Path(chosen.demos).stem,
        "trajectories": chosen.trajectories,
        "agent": f"imitation {chosen.agent}",
        "seed": chosen.seed,
        "epochs": chosen.epochs if chosen.agent == "bc" else "",
        "steps": 0 if chosen.agent == "bc" else int(chosen.steps),
        "return_mean": float(np.mean(found)),
        "return_std": float(np.std(found)),
        "return_min": float(np.min(found)),
        "episodes": EPISODES,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(worked, 1),
        **{name: version(name) for name in ("stable-baselines3", "gymnasium", "mujoco", "torch")},
    }
    new = not chosen.out.exists()
    with chosen.out.open("a", newline="") as file:
        writer = csv.DictWriter(file, row)
        if new:
            writer.writeheader()
        writer.writerow(row)
    print(row)


if __name__ == "__main__":
    main()
