"""Loading an SB3 policy for acting, without running code from the file.

`PPO.load` unpickles what the .zip holds, so a downloaded model can do anything on this machine. Here the network is
rebuilt from the shapes of its tensors, the texts in its JSON and the environment's spaces.
"""

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.preprocessing import is_image_space

from rlgen.data.playing import require_same_spaces
from rlgen.errors import problem
from rlgen.sb3.observation_normalization import (
    NONE,
    FrozenNormalizer,
    find_normalizer,
    read_normalizer,
    write_normalizer,
)
from rlgen.sb3.plain_policy import is_plain_policy, read_plain_policy, write_plain_policy
from rlgen.sb3.rebuild import rebuild
from rlgen.sb3.saved_model import SavedModel, read_saved_model, require_readable

logger = logging.getLogger("rlgen")


class LoadedPolicy:
    """A policy for acting only, with SB3's `predict`."""

    def __init__(self, policy: BasePolicy, normalizers: list[FrozenNormalizer]):
        self.policy = policy
        self.normalizers = normalizers
        self.observation_space, self.action_space = policy.observation_space, policy.action_space

    def predict(
        self,
        observation: np.ndarray,
        state: Any = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, Any]:
        """Actions [N, A] within the action space for raw observations [N, O] (or [A] for [O]), and the next state of a
        recurrent policy.

        The noise of gSDE is drawn again when all episodes start, and holds until then. DQN and QRDQN do not sample.
        """
        return self.act(self.seen(observation), state, episode_start, deterministic)

    def seen(self, observation: np.ndarray) -> np.ndarray:
        """What the network sees of raw observations [..., O]: normalized by the statistics outside of it."""
        for normalize in self.normalizers:
            observation = normalize(observation)
        return observation

    def act(
        self, seen: np.ndarray, state: Any, episode_start: np.ndarray | None, deterministic: bool
    ) -> tuple[np.ndarray, Any]:
        """`predict` for what the network sees."""
        if getattr(self.policy, "use_sde", False) and episode_start is not None and np.all(episode_start):
            self.policy.reset_noise()  # type: ignore[operator]
        return self.policy.predict(seen, state, episode_start, deterministic)


def load_policy(
    path: str | Path,
    observation_space: spaces.Space | None = None,
    action_space: spaces.Space | None = None,
    normalizer: str | Path | FrozenNormalizer | None = None,
) -> LoadedPolicy:
    """Rebuilds the policy of an SB3 .zip, or of a folder, on the CPU. No code in the file is run: pickled parts are not
    opened, except spaces and statistics, from which only numbers are read (`rlgen.sb3.plain_pickle`).

    Args:
        path: a file of `model.save`, a folder that `rlgen publish` wrote, or a run folder.
        observation_space, action_space: spaces of the environment to act in; by default those of training.
        normalizer: observation statistics, or their file: a VecNormalize (.pkl) or JSON; "none" for none. By default
            the statistics saved with the model, if any (`find_normalizer`). Statistics within the network always
            apply.

    Raises:
        InputError: an unsupported or damaged model, spaces of other kinds or sizes than the network's, or statistics
            of the model that cannot be read.
    """
    saved = read_policy(Path(path))
    require_readable(saved)
    observed = _space(saved, "observation_space", observation_space)
    acted = _space(saved, "action_space", action_space)
    policy = rebuild(saved, observed, acted)
    require_same_spaces(saved, SimpleNamespace(observation_space=observed, action_space=acted))
    _compare_bounds(saved, acted)
    policy.set_training_mode(False)
    if getattr(policy, "use_sde", False):
        policy.reset_noise()  # type: ignore[operator]  # with the saved standard deviations
    outer = _normalizer(saved, normalizer, observed)
    return LoadedPolicy(policy, [] if outer is None else [outer])


def read_policy(path: Path) -> SavedModel:
    """The policy of a .zip, of a published folder, or of a run folder, as plain values. Raises as `load_policy`."""
    if not path.is_dir():
        return read_saved_model(path)
    return read_plain_policy(path) if is_plain_policy(path) else read_saved_model(path / "policy.zip")


def copy_policy(path: Path, folder: Path) -> None:
    """Writes the policy of a file or folder, with its observation statistics, into the new `folder`, from which
    `load_policy` loads the same policy. Raises as `load_policy`."""
    loaded, saved = load_policy(path), read_policy(path)
    folder.mkdir(exist_ok=True)
    for normalizer in loaded.normalizers:
        write_normalizer(normalizer, folder)
    write_plain_policy(saved, folder)


def _space(saved: SavedModel, name: str, given: spaces.Space | None) -> spaces.Space:
    """The environment's space; for images and dictionaries that of training, because SB3 transposes images and then
    accepts both."""
    trained: spaces.Space | None = getattr(saved, name)
    moved = isinstance(trained, spaces.Dict) or (trained is not None and is_image_space(trained))
    if given is None or (moved and name == "observation_space"):
        given = trained
    if given is None:
        raise problem(
            f"the {name.replace('_', ' ')} of training in {saved.path}",
            "none in a readable form",
            "give it: load_policy(path, observation_space, action_space), or --env on the command line",
        )
    return given


def _normalizer(
    saved: SavedModel, given: str | Path | FrozenNormalizer | None, observed: spaces.Space
) -> FrozenNormalizer | None:
    if isinstance(given, FrozenNormalizer):
        return given
    if given is not None and str(given) == NONE:
        return None
    shape = observed.shape if isinstance(observed, spaces.Box) else None
    if shape is None:
        if given is not None:
            got = f"observations that are {observed}"
            raise problem("numeric observations (Box) to normalize", got, "leave the normalizer out")
        return None
    return find_normalizer(saved.path, shape) if given is None else read_normalizer(Path(given), shape)


def _compare_bounds(saved: SavedModel, given: spaces.Space) -> None:
    """Logs a warning if the action bounds of training differ."""
    trained = saved.action_space
    if not isinstance(trained, spaces.Box) or not isinstance(given, spaces.Box):
        return
    for side in ("low", "high"):
        own, there = getattr(trained, side), getattr(given, side)
        if not np.allclose(own, there, rtol=1e-4):
            logger.warning(
                "expected the action space of training, %s = %s; the environment has %s; actions will be scaled or "
                "clipped to the environment's",
                *(side, own, there),
            )
