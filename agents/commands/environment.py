"""The environment as a policy sees it: that of InfoGAIL has a code in its observations."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rlgen.envs import make_vec
from rlgen.envs.backend import Backend
from rlgen.sb3.latent_code import LatentCode

from .train import TrainInfoGAIL
from .train_settings import Training


def make_env(
    env_id: str,
    n_envs: int,
    seed: int,
    backend: Backend,
    threads: int | None = None,
    codes: int | None = None,
    code: int | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
    **of_warp: Any,
) -> Any:
    """An SB3 VecEnv. `codes`: how many the policy has; `code`: the one to show instead of one drawn per episode;
    `env_kwargs`: what the environment's constructor takes;
    `of_warp`: what `make_vec` takes for the warp backend."""
    env = make_vec(env_id, n_envs, seed, backend, threads, dict(env_kwargs or {}), **of_warp)
    return env if codes is None else LatentCode(env, codes, code, seed)


def env_of(config: Training, n_envs: int, seed: int) -> Any:
    """What a training acts in."""
    of_warp = {name: getattr(config, name) for name in ("device", "contacts", "constraints")}
    return make_env(
        config.env, n_envs, seed, config.backend, config.threads, codes_of(config), None, config.env_kwargs, **of_warp
    )


def judges_of(config: Training, n_envs: int, seed: int) -> Any:
    """What its policy is judged in: the same environment, on C MuJoCo where MuJoCo Warp trains it."""
    return env_of(replace(config, backend=judging(config.backend)), n_envs, seed)


def judging(backend: Backend) -> Backend:
    """What steps the evaluations of what `backend` trained: Gymnasium's own physics, and quick for few worlds."""
    return "auto" if backend == "warp" else backend


def codes_of(config: Training) -> int | None:
    """How many codes the policy has; None where it has none."""
    return config.codes if isinstance(config, TrainInfoGAIL) else None
