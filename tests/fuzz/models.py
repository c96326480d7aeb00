"""Models saved by Stable-Baselines3 and statistics beside them: evaluated, and recorded from."""

import json
import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.random import Generator
from stable_baselines3 import A2C, PPO, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from rlgen.agents.commands.demos import DemosRecord
from rlgen.agents.commands.evaluate import Evaluate
from rlgen.sb3.plain_policy import write_plain_policy
from rlgen.sb3.saved_model import read_saved_model

from .byte_damage import damaged_bytes, damaged_file
from .canary import MODULE, Payload
from .json_damage import damaged_json
from .model_damage import damaged_model
from .subject import Subject
from .tensor_damage import damaged_tensors
from .world import ENV, FuzzWorld
from .zip_damage import members_of, zipped

NORMALIZER = {"mean": [0.1, 0.2, 0.3], "var": [1.0, 2.0, 3.0], "clip": 10.0, "epsilon": 1e-8}
SMALL: dict[type[BaseAlgorithm], dict[str, object]] = {
    PPO: {"n_steps": 8, "batch_size": 8},
    A2C: {},
    SAC: {"buffer_size": 10},
    TD3: {"buffer_size": 10},
}


def _build(kind: type[BaseAlgorithm], folder: Path) -> None:
    model = kind("MlpPolicy", FuzzWorld(), seed=0, device="cpu", policy_kwargs={"net_arch": [4]}, **SMALL[kind])
    model.save(folder / "model.zip")
    members = members_of((folder / "model.zip").read_bytes())
    members["data"] = json.dumps({**json.loads(members["data"]), "start_time": 0}).encode()
    (folder / "model.zip").write_bytes(zipped(members))


def _build_normalized(folder: Path) -> None:
    _build(PPO, folder)
    (folder / "normaliser.json").write_text(json.dumps(NORMALIZER))


def _build_pickled(name: str, folder: Path) -> None:
    _build(PPO, folder)
    env = VecNormalize(DummyVecEnv([FuzzWorld]))
    env.reset()
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    env.save(str(path))


def _build_published(folder: Path) -> None:
    _build(PPO, folder)
    write_plain_policy(read_saved_model(folder / "model.zip"), folder)
    (folder / "model.zip").unlink()
    (folder / "config.json").write_text(json.dumps({"agent": "rl", "env": ENV, "episodes": 2}))


def _damage_published(rng: Generator, folder: Path) -> str:
    if rng.integers(2):
        return damaged_file(rng, folder / "model.safetensors", damaged_tensors)
    return damaged_file(rng, folder / "model.json", damaged_json)


def _evaluate(folder: Path) -> None:
    Evaluate(policy=folder, episodes=2).run()


def _damage_model(rng: Generator, folder: Path) -> str:
    return damaged_file(rng, folder / "model.zip", damaged_model)


def _damage_normalizer(rng: Generator, folder: Path) -> str:
    return damaged_file(rng, folder / "normaliser.json", damaged_json)


def _damage_pickle(rng: Generator, folder: Path) -> str:
    return damaged_file(rng, next(folder.rglob("*.pkl")), damaged_pickle)


def damaged_pickle(rng: Generator, data: bytes) -> tuple[bytes, str]:
    """The bytes of a pickled VecNormalize, or of something else, with one damage, and what it is."""
    kind = rng.choice(["bytes", "bytes", "name", "name", "canary", "inside", "other"])
    if kind == "bytes":
        return damaged_bytes(rng, data)
    if kind == "canary":
        return pickle.dumps(Payload()), "a pickle that runs code"
    if kind == "inside":
        # After the statistics were read, one more object: what has been made by then may not be all.
        return data[:-1] + pickle.dumps(Payload())[2:], "code behind the statistics"
    if kind == "other":
        things = (None, 3, [], {}, np.zeros(3), np.float64(1), {"obs_rms": Ellipsis}, VecNormalize, print)
        thing = things[int(rng.integers(len(things)))]
        return pickle.dumps(thing), f"a pickle of {thing!r}"
    names = (b"RunningMeanStd", b"VecNormalize", b"Box", b"numpy.random", b"_reconstruct", b"dtype", b"ndarray")
    old = names[int(rng.integers(len(names)))]
    new = (b"system", b"eval", MODULE.encode(), b"Popen", b"x")[int(rng.integers(5))]
    return data.replace(old, new.ljust(len(old))[: len(old)].strip()), f"the name {old!r} -> {new!r}"


def _play(folder: Path) -> None:
    Evaluate(policy=folder / "model.zip", env=ENV, episodes=2).run()
    out = folder / "recorded.npz"
    DemosRecord(policy=folder / "model.zip", env=ENV, out=out, episodes=2, n_envs=2).run()


def _subject(name: str, build: Callable[[Path], None], damage: Callable[[Generator, Path], str]) -> Subject:
    return Subject(name=name, example=name, build=build, damage=damage, use=_play)


MODELS = (
    *(_subject(f"sb3-{kind.__name__.lower()}", partial(_build, kind), _damage_model) for kind in SMALL),
    Subject(name="published", example="published", build=_build_published, damage=_damage_published, use=_evaluate),
    _subject("normaliser", _build_normalized, _damage_normalizer),
    _subject("vecnormalize", partial(_build_pickled, "vecnormalize.pkl"), _damage_pickle),
    _subject("vecnormalize-zoo", partial(_build_pickled, "model/vecnormalize.pkl"), _damage_pickle),
)
