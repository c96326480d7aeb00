"""A latent code per episode, appended to the observations of policies with several behaviors."""

from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn

from rlgen.data.playing import Policy
from rlgen.errors import problem
from rlgen.sb3.vec_env import ResumableVecEnv


class LatentCode(VecEnvWrapper, ResumableVecEnv):
    """Appends one of K codes, one-hot, to the flat observations of a VecEnv: [N, O] to [N, O + K].

    A code is drawn uniformly when an episode starts, and holds until it ends, including its last observation. A fixed
    `code` selects one behavior of a trained policy. The environment itself, its rewards and its infos do not change.
    """

    def __init__(self, venv: VecEnv, codes: int, code: int | None = None, seed: int = 0):
        observed = venv.observation_space
        if not isinstance(observed, gym.spaces.Box) or len(observed.shape) != 1:
            raise problem("flat observations (Box of one dimension)", f"{observed}", "wrap with FlattenObservation")
        if codes < 2 or (code is not None and not 0 <= code < codes):
            raise problem(
                "at least 2 codes, and a code from 0 to their number less 1", f"{codes} and {code}", "use 2 and None"
            )
        low, high = (
            np.concatenate([bound, np.full(codes, end)]) for bound, end in ((observed.low, 0), (observed.high, 1))
        )
        space = gym.spaces.Box(low.astype(observed.dtype), high.astype(observed.dtype), dtype=observed.dtype.type)
        super().__init__(venv, observation_space=space)
        self.n_codes, self.code = codes, code
        self.random = np.random.default_rng(seed)
        self.codes = np.zeros(self.num_envs, np.int64)
        """[N], codes of the current episodes."""

    def reset(self) -> np.ndarray:
        observations = self.venv.reset()
        self.codes = self._draw(self.num_envs)
        return self.coded(observations, self.codes)  # type: ignore[arg-type]

    def step_wait(self) -> VecEnvStepReturn:
        observations, rewards, dones, infos = self.venv.step_wait()
        ended = np.flatnonzero(dones)
        for env in ended.tolist():
            last = infos[env].get("terminal_observation")
            if last is None:
                continue
            infos[env] = {**infos[env], "terminal_observation": self.coded(last[None], self.codes[env : env + 1])[0]}
        if len(ended):
            self.codes = self.codes.copy()
            self.codes[ended] = self._draw(len(ended))
        return self.coded(observations, self.codes), rewards, dones, infos  # type: ignore[arg-type]

    def coded(self, observations: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Appends codes [B], one-hot, to observations [B, O]: [B, O + K]."""
        return with_codes(observations, codes, self.n_codes)

    def seed(self, seed: int | None = None) -> Any:
        self.random = np.random.default_rng(seed)
        return self.venv.seed(seed)

    def current_observations(self) -> np.ndarray:
        """Current observations, which a resumed learner sees first."""
        return self.coded(self.venv.current_observations(), self.codes)  # type: ignore[attr-defined]

    def state_dict(self) -> dict[str, Any]:
        """State of the environment, which must have one, and the codes."""
        inner = self.venv.state_dict()  # type: ignore[attr-defined]
        return {"inner": inner, "codes": self.codes.tolist(), "random": self.random.bit_generator.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self.venv.load_state_dict(state["inner"])  # type: ignore[attr-defined]
        self.codes = np.array(state["codes"], np.int64)
        self.random.bit_generator.state = state["random"]

    def _draw(self, n: int) -> np.ndarray:
        return np.full(n, self.code) if self.code is not None else self.random.integers(0, self.n_codes, n)


class UnderCode:
    """One behavior of a policy that was trained with a `LatentCode`: acts on observations without code, [N, O]."""

    def __init__(self, policy: Policy, codes: int, code: int):
        self.policy, self.n_codes, self.code = policy, codes, code

    def predict(
        self,
        observation: np.ndarray,
        state: Any = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, Any]:
        codes = np.full(len(observation), self.code)
        return self.policy.predict(
            with_codes(observation, codes, self.n_codes), state, episode_start, deterministic=deterministic
        )


def with_codes(observations: np.ndarray, codes: np.ndarray, n_codes: int) -> np.ndarray:
    """Appends codes [B], one-hot, to observations [B, O]: [B, O + K]."""
    return np.concatenate([observations, np.eye(n_codes, dtype=observations.dtype)[codes]], -1)


def latent_code(env: VecEnv | None) -> LatentCode:
    """The LatentCode of `env`. Raises `InputError` unless it is the outermost wrapper."""
    if isinstance(env, LatentCode):
        return env
    raise problem(
        "an environment whose outermost wrapper is a LatentCode",
        type(env).__name__,
        "make it as LatentCode(make_vec(…), codes=2), from rlgen.sb3.latent_code",
    )
