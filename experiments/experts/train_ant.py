"""Trains the Ant-v5 expert whose demonstrations rlgen ships: SAC of Stable-Baselines3 on the stock task.

    python experiments/experts/train_ant.py --out runs/ant-expert
    python experiments/experts/train_ant.py --out runs/ant-expert-2 --start runs/ant-expert/best.zip \
        --learning-rate 1e-4 --batch-size 256 --every 25000

The actor acts in 16 environments and learns half as often as it acts: on a CPU an update costs as much as tens of
environment steps, so fresh data is cheap.
Writes OUT/curve.csv (evaluations of 20 episodes with the mean action), OUT/best.zip and OUT/last.zip.
"""

import argparse
import csv
import time
from pathlib import Path

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3 import SAC
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

ENV_ID = "Ant-v5"
N_ENVS = 16
EVALUATION_EPISODES = 20
REFILL_STEPS = 40_000


class Evaluate(BaseCallback):
    """Evaluates every `every` steps on held-out seeds, appends to curve.csv and keeps the best and the last policy."""

    def __init__(self, out: Path, every: int):
        super().__init__()
        self.out, self.every, self.next, self.best = out, every, 0, -np.inf
        self.env = DummyVecEnv([lambda: gym.make(ENV_ID)] * EVALUATION_EPISODES)
        self.start = time.perf_counter()

    def _on_step(self) -> bool:
        if self.num_timesteps >= self.next:
            self.next += self.every
            self.evaluate()
        return True

    def evaluate(self) -> None:
        returns, lengths = self.episodes()
        row = {
            "env_steps": self.num_timesteps,
            "updates": self.model._n_updates,
            "wall_seconds": round(time.perf_counter() - self.start, 1),
            "return_mean": round(float(returns.mean()), 2),
            "return_std": round(float(returns.std()), 2),
            "length_mean": float(lengths.mean()),
        }
        curve = self.out / "curve.csv"
        new = not curve.exists()
        with curve.open("a", newline="") as file:
            writer = csv.DictWriter(file, row)
            if new:
                writer.writeheader()
            writer.writerow(row)
        print(row, flush=True)
        self.save("last")
        if returns.mean() > self.best:
            self.best = returns.mean()
            self.save("best")

    def episodes(self) -> tuple[np.ndarray, np.ndarray]:
        self.env.seed(10_000)
        observations = self.env.reset()
        returns, lengths = np.zeros(EVALUATION_EPISODES), np.zeros(EVALUATION_EPISODES)
        running = np.ones(EVALUATION_EPISODES, bool)
        while running.any():
            actions, _ = self.model.predict(observations, deterministic=True)
            observations, rewards, dones, _ = self.env.step(actions)
            returns += rewards * running
            lengths += running
            running &= ~dones
        return returns, lengths

    def save(self, name: str) -> None:
        partial = self.out / f"{name}.partial.zip"
        self.model.save(partial)
        partial.replace(self.out / f"{name}.zip")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="a new folder")
    parser.add_argument("--steps", type=float, default=2.4e6, help="environment steps")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--learning-rate", type=float, default=7e-4, help="of Adam, for actor, critics and temperature")
    parser.add_argument("--batch-size", type=int, default=128, help="transitions per update")
    parser.add_argument("--gradient-steps", type=int, default=8, help="updates per step of the 16 environments")
    parser.add_argument("--start", type=Path, help="a .zip of an earlier run to continue, with a new replay buffer")
    parser.add_argument("--every", type=int, default=50_000, help="environment steps between evaluations")
    parser.add_argument("--n-step", type=int, default=1, help="n of the n-step return")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=False)
    torch.set_num_threads(1)
    env = make_vec_env(ENV_ID, N_ENVS, seed=args.seed)
    model = go_on(env, args) if args.start else begin(env, args)
    model.learn(int(args.steps), callback=Evaluate(args.out, args.every), reset_num_timesteps=False)


def begin(env: VecEnv, args: argparse.Namespace) -> SAC:
    """An untrained SAC."""
    return SAC(
        "MlpPolicy",
        env,
        learning_rate=args.learning_rate,
        buffer_size=1_000_000,
        learning_starts=10_000,
        batch_size=args.batch_size,
        train_freq=1,
        gradient_steps=args.gradient_steps,
        policy_kwargs={"optimizer_kwargs": {"fused": True}},
        n_steps=args.n_step,
        seed=args.seed,
        device="cpu",
    )


def go_on(env: VecEnv, args: argparse.Namespace) -> SAC:
    """The SAC of an earlier run with new settings; its first steps only fill the replay buffer. Trust the file: SB3
    unpickles it."""
    changes = {"learning_rate": args.learning_rate, "batch_size": args.batch_size, "learning_starts": 0}
    model = SAC.load(args.start, env, device="cpu", custom_objects=changes)
    model.set_random_seed(args.seed + 1)
    model.gradient_steps = 0
    model.learn(REFILL_STEPS, reset_num_timesteps=True)
    model.gradient_steps = args.gradient_steps
    return model


if __name__ == "__main__":
    main()
