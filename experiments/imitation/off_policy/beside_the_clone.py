"""What the critics' gradient does to a cloned actor. On Ant, from 4 demonstrated episodes (every 20th step), the
critics of GAIL with SAC learn alone for 10,000 steps. Then actor and critics take 500 gradient steps, with several
weights of kickstarting.

    python beside_the_clone.py --demos Ant-v5_every20.npz --out beside_the_clone.csv

Columns: the weight (0: none), the return of the mean action (16 episodes) after cloning and after the 500 steps, the
distance from the clone that these steps have made (root mean square over replayed states, of half the action range),
and the sums of discounted rewards from the first step on: as the critics expect them, and as the discriminator pays.
"""

import argparse
import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3 import SAC
from torch import Tensor

from rlgen.agents import GAIL
from rlgen.agents.gail import OFF_POLICY
from rlgen.agents.off_policy import SACConfig
from rlgen.data import Demonstrations
from rlgen.data.transitions import Transitions
from rlgen.envs import make_vec

EPISODES, FIRST, UPDATES = 16, 10_000, 500
COLUMNS = ["weight", "return_cloned", "return_after", "distance", "value_expected", "value_paid"]


def played(model: SAC, agent: GAIL) -> tuple[float, float, float]:
    """Return of the mean action, and the discounted rewards of the first 400 steps: expected and paid."""
    env = make_vec("Ant-v5", EPISODES, seed=10_000)
    observations, alive = env.reset(), np.ones(EPISODES, bool)
    returns, paid, expected = np.zeros(EPISODES), np.zeros(EPISODES), 0.0
    for step in range(1000):
        actions, _ = model.predict(observations, deterministic=True)
        seen, acted = torch.as_tensor(observations), torch.as_tensor(model.policy.scale_action(actions))
        after, rewards, done, _ = env.step(actions)
        if step < 400:
            with torch.no_grad():
                reward = agent.source.reward(rows(seen, torch.as_tensor(actions), torch.as_tensor(after)))
                if step == 0:
                    expected = float(torch.cat(model.critic(seen, acted), 1).min(1).values.mean())
            paid += alive * model.gamma**step * reward.numpy()
        returns += alive * rewards
        alive &= ~done
        observations = after
    env.close()
    return returns.mean(), expected, paid.mean()


def rows(observations: Tensor, actions: Tensor, after: Tensor) -> Transitions:
    going_on = torch.zeros(len(observations), dtype=torch.bool)
    return Transitions(observations, actions, after, going_on, going_on)


def measured(demonstrations: Demonstrations, weight: float, seed: int) -> dict[str, float]:
    learner = SACConfig(
        hidden=(128, 128), activation="silu", layer_norm=True, updates_per_step=0.5, temperature=1e-3,
        learn_temperature=False, normalize=True,
    )  # fmt: skip
    env = make_vec("Ant-v5", 8, seed=seed)
    model: Any = learner.make(env, 100_000, seed)
    discriminator = replace(OFF_POLICY.discriminator, learning_rate=3e-5)
    config = replace(
        OFF_POLICY,
        discriminator=discriminator,
        critics_first=FIRST,
        kickstart=weight,
        kickstart_final=1.0,
        average=0.0,
    )
    agent = GAIL(model, demonstrations, config)
    agent.learn(FIRST)
    cloned, _, _ = played(model, agent)
    observations = model.replay_buffer.sample(2000).observations
    before = model.actor(observations, deterministic=True).detach()
    agent.learn(int(UPDATES / learner.updates_per_step))
    distance = (model.actor(observations, deterministic=True).detach() - before).square().mean().sqrt()
    after, expected, paid = played(model, agent)
    env.close()
    return dict(zip(COLUMNS, (weight, cloned, after, float(distance), expected, paid), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demos", required=True, help="demonstrations on Ant-v5, of which 4 episodes are used")
    parser.add_argument("--weights", type=float, nargs="+", default=[0.0, 2.0, 8.0, 32.0, 128.0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    demonstrations = Demonstrations.load(chosen.demos).first(4)
    with chosen.out.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for weight in chosen.weights:
            found = measured(demonstrations, weight, chosen.seed)
            print(found, flush=True)
            writer.writerow({name: round(value, 3) for name, value in found.items()})


if __name__ == "__main__":
    main()
