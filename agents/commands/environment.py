"""Environments as policies observe them: InfoGAIL's have a code in the observations."""

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
    """An SB3 VecEnv. `codes`: how many codes the policy has; `code`: a fixed code, instead of one drawn per episode;
    `env_kwargs`: keyword arguments of the environment's constructor."""
    env = make_vec(env_id, n_envs, seed, backend, threads, dict(env_kwargs or {}), warp=warp)
    return env if codes is None else LatentCode(env, codes, code, seed)


def evaluation_backend(backend: Backend) -> Backend:
    """The backend of evaluations, given that of training: C MuJoCo instead of MuJoCo Warp, because it is Gymnasium's
    own physics and faster for few environments."""
    return "auto" if backend == "warp" else backend
