"""The environment as a policy sees it: that of InfoGAIL has a code in its observations."""

from collections.abc import Mapping
from typing import Any

from rlgen.envs import WarpOptions, make_vec
from rlgen.envs.backend import Backend
from rlgen.sb3.latent_code import LatentCode
from rlgen.sb3.vec_env import ResumableVecEnv


def make_env(
    env_id: str,
    n_envs: int,
    seed: int,
    backend: Backend,
    threads: int | None = None,
    codes: int | None = None,
    code: int | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
    warp: WarpOptions | None = None,
) -> ResumableVecEnv:
    """An SB3 VecEnv. `codes`: how many the policy has; `code`: the one to show instead of one drawn per episode;
    `env_kwargs`: what the environment's constructor takes."""
    env = make_vec(env_id, n_envs, seed, backend, threads, dict(env_kwargs or {}), warp=warp)
    return env if codes is None else LatentCode(env, codes, code, seed)


def judging(backend: Backend) -> Backend:
    """What steps the evaluations of what `backend` trained: Gymnasium's own physics, and quick for few worlds."""
    return "auto" if backend == "warp" else backend
