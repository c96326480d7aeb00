"""What each curiosity rewards, on the same recorded rollouts of SparseAnt.

    python what_is_rewarded.py --out what_is_rewarded.csv

Noise with a correlation time of 0.095 s moves the Ant for 24 rollouts of 5,000 steps. Every curiosity learns from all
of them and then rewards the steps of the last six, of which it has learned, and one more rollout, of which it has not.

Columns: `flipped`, the mean bonus of an Ant on its back over that of an upright one; `fast`, of the tenth of upright
steps with the highest horizontal speed over that of the middle fifth; `far`, of the unseen rollout moved 3 m along x,
over that of the same rollout where it was; `error`, Spearman's correlation of bonus and squared error of the model
(where there is one), on the unseen rollout; `fade`, the median after two rollouts over that at the end; `peak`, the
highest bonus over the median, unseen; `unpredicted`, how many observed numbers the model predicts worse than no change
would. `error` and `unpredicted` are of the model that VIME has.
"""

import argparse
import csv
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from rlgen.data import Transitions
from rlgen.envs import make_vec
from rlgen.envs.registry import OBSERVED
from rlgen.rewards import (
    EnsembleDisagreement,
    EnsembleDisagreementConfig,
    InformationGain,
    InformationGain2016Config,
    InformationGainConfig,
    PredictionError,
    PredictionErrorConfig,
    RandomNetworkDistillation,
    TaskShape,
)
from rlgen.rewards.view import ObservedNumbers

TASK, N_ENVS, STEPS, ROLLOUTS, KEPT = "rlgen/SparseAnt-v0", 8, 625, 24, 6
WITHOUT_CONTACTS = OBSERVED[TASK]
TORSO = (*range(7), *range(15, 21))
Make = Callable[[TaskShape], Any]


def vime(**settings: Any) -> Make:
    return lambda shape: InformationGain(shape, InformationGainConfig(**settings))


def vime_2016(**settings: Any) -> Make:
    return lambda shape: InformationGain(shape, InformationGain2016Config(**settings))


CASES: dict[str, tuple[Sequence[int] | None, Make]] = {
    "VIME of 2016": (None, vime_2016()),
    "VIME of 2016, no contacts": (WITHOUT_CONTACTS, vime_2016()),
    "VIME of 2016, no contacts, 128 hidden": (WITHOUT_CONTACTS, vime_2016(hidden=(128,))),
    "VIME of 2016, no contacts, changes": (WITHOUT_CONTACTS, vime_2016(predicts="change")),
    "VIME of 2016, learned likelihood": (None, vime_2016(likelihood="learned")),
    "VIME of 2016, no contacts, changes, learned": (
        WITHOUT_CONTACTS,
        vime_2016(predicts="change", likelihood="learned"),
    ),
    "VIME of 2016, no contacts, changes, learned, 128 hidden": (
        WITHOUT_CONTACTS,
        vime_2016(predicts="change", likelihood="learned", hidden=(128,)),
    ),
    "VIME (no contacts, changes, heteroscedastic)": (WITHOUT_CONTACTS, vime()),
    "VIME, all numbers": (None, vime()),
    "expected gain, no contacts, changes, learned": (
        WITHOUT_CONTACTS,
        vime(likelihood="learned", gain="expected"),
    ),
    "expected gain, no contacts, changes, learned, 128 hidden": (
        WITHOUT_CONTACTS,
        vime(likelihood="learned", gain="expected", hidden=(128,)),
    ),
    "expected gain, no contacts, changes, heteroscedastic": (
        WITHOUT_CONTACTS,
        vime(gain="expected"),
    ),
    "expected gain, all numbers, changes, learned": (
        None,
        vime(likelihood="learned", gain="expected"),
    ),
    "expected gain, torso, changes, learned": (TORSO, vime(likelihood="learned", gain="expected")),
    "L2": (None, PredictionError),
    "L2, no contacts": (WITHOUT_CONTACTS, PredictionError),
    "L2, no contacts, changes": (
        WITHOUT_CONTACTS,
        lambda shape: PredictionError(shape, PredictionErrorConfig(predicts="change")),
    ),
    "RND": (None, RandomNetworkDistillation),
    "RND, no contacts": (WITHOUT_CONTACTS, RandomNetworkDistillation),
    "RND, torso": (TORSO, RandomNetworkDistillation),
    "Disagreement": (None, EnsembleDisagreement),
    "Disagreement, no contacts": (WITHOUT_CONTACTS, EnsembleDisagreement),
    "Disagreement, no contacts, changes": (
        WITHOUT_CONTACTS,
        lambda shape: EnsembleDisagreement(shape, EnsembleDisagreementConfig(predicts="change")),
    ),
}


def recorded(rollouts: int, seed: int = 0, correlation: float = 0.9) -> list[Transitions]:
    """Rollouts [STEPS * N_ENVS] of Gaussian noise, each step correlated with the one before."""
    generator = torch.Generator().manual_seed(seed)
    env = make_vec(TASK, N_ENVS, seed=seed, n_threads=1)
    size = env.action_space.shape[0]
    observations, noise, found = torch.as_tensor(env.reset()), torch.randn(N_ENVS, size, generator=generator), []
    for _ in range(rollouts):
        steps = []
        for _ in range(STEPS):
            fresh = torch.randn(N_ENVS, size, generator=generator)
            noise = correlation * noise + math.sqrt(1 - correlation**2) * fresh
            after, _, done, infos = env.step(noise.clamp(-1, 1).numpy())
            true = torch.as_tensor(after).clone()
            for index in np.flatnonzero(done):
                true[index] = torch.as_tensor(infos[index]["terminal_observation"])
            steps.append((observations, noise.clamp(-1, 1), true, torch.as_tensor(done)))
            observations = torch.as_tensor(after)
        before, actions, following, ended = (torch.cat(each) for each in zip(*steps, strict=True))
        found.append(Transitions(before, actions, following, ended, torch.zeros_like(ended)))
    env.close()
    return found


def measured(make: Make, observed: Sequence[int] | None, rollouts: Sequence[Transitions]) -> dict[str, float]:
    """The columns of one curiosity, which learns from all rollouts but the last."""
    torch.manual_seed(1)
    size = rollouts[0].observations.shape[1]
    view = ObservedNumbers(observed or range(size), size)
    shape = TaskShape(observation_size=len(view.numbers), action_size=rollouts[0].actions.shape[1], n_envs=N_ENVS)
    source = make(shape)
    bonus = source.gain if hasattr(source, "gain") else source.novelty
    early = math.nan
    for number, rollout in enumerate(rollouts[:-1]):
        seen = view.of(rollout)
        if number == 2:
            early = float(bonus(seen).median())
        source.update(seen)
    known, unseen = joined(rollouts[-1 - KEPT : -1]), rollouts[-1]
    paid, torch_state = bonus(view.of(known)), torch.get_rng_state()
    new = bonus(view.of(unseen))
    torch.set_rng_state(torch_state)
    moved = bonus(view.of(shifted(unseen, 3.0)))
    up = 1 - 2 * known.observations[:, 4:6].square().sum(1)
    speed = known.observations[:, 15:17].norm(dim=1)
    upright = up > 0.5
    fast, middle = speed > speed.quantile(0.9), (speed > speed.quantile(0.4)) & (speed < speed.quantile(0.6))
    row = {
        "flipped": ratio(paid[up < 0], paid[upright]),
        "fast": ratio(paid[fast & upright], paid[middle & upright]),
        "far": ratio(moved, new),
        "fade": early / float(new.median()),
        "peak": float(new.max() / new.median()),
    }
    if isinstance(source, InformationGain):
        inputs, targets = source.normalized(view.of(unseen))
        error = (source.model.moments(inputs)[0] - targets).square().sum(1)
        row["error"] = float(spearmanr(new.numpy(), error.numpy()).statistic)
        row["unpredicted"] = int(source._unpredicted(view.of(unseen)))
    return row


def joined(rollouts: Sequence[Transitions]) -> Transitions:
    return Transitions(*(torch.cat(each) for each in zip(*(one.tensors() for one in rollouts), strict=True)))


def shifted(batch: Transitions, metres: float) -> Transitions:
    """The same steps elsewhere on the plane, where the dynamics are the same."""
    shift = torch.zeros(batch.observations.shape[1])
    shift[0] = metres
    moved = batch.observations + shift, batch.next_observations + shift
    return Transitions(moved[0], batch.actions, moved[1], batch.terminated, batch.truncated)


def ratio(above: Tensor, below: Tensor) -> float:
    return float(above.mean() / below.mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    parser.add_argument("--rollouts", type=int, default=ROLLOUTS)
    parser.add_argument("--only", default="", help="cases whose name has this text")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    rollouts = recorded(chosen.rollouts + 1)
    names = ["flipped", "fast", "far", "error", "fade", "peak", "unpredicted"]
    with chosen.out.open("w", newline="") as file:
        table = csv.DictWriter(file, ["curiosity", *names], restval="")
        table.writeheader()
        for name, (observed, make) in CASES.items():
            if chosen.only in name:
                row = measured(make, observed, rollouts)
                print(name, {key: round(value, 2) for key, value in row.items()}, flush=True)
                table.writerow({"curiosity": name, **{key: f"{value:.3g}" for key, value in row.items()}})
                file.flush()


if __name__ == "__main__":
    main()
