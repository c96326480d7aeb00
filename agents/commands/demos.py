"""`rlgen demos record | convert | inspect`: make, convert and look at demonstrations."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import Positional, arg

from rlgen.deprecation import renamed_fields
from rlgen.errors import InputError, problem

from .environment import EnvKwargs, Imports, import_typed
from .output import refuse_existing

if TYPE_CHECKING:
    from rlgen.data import Demonstrations

Format = Literal[
    "auto", "rlgen", "episodes", "pairs", "minari", "imitation", "d4rl", "robomimic", "tianshou", "openai-imitation",
    "baselines",
]  # fmt: skip
Target = Literal["auto", "npz", "hdf5", "minari", "imitation"]
Source = Annotated[str, arg(metavar="PATH")]


@renamed_fields(normaliser="normalizer")
@dataclass(frozen=True, kw_only=True)
class DemosRecord:
    """Play a saved policy, or an expert, and save its observations and actions."""

    policy: Path | None = None
    """Model saved by Stable-Baselines3 (.zip; nothing in it is run), or a finished or published run's folder."""
    expert: Literal["babyai-bot"] | None = None
    """Expert instead of a policy. babyai-bot: BabyAI's bot, which plans from the state of the task; the episodes in
    which it fails are left out."""
    env: str
    """Gymnasium id of the environment, e.g. Ant-v5, or my_module:Mine-v0, whose module is imported."""
    env_kwargs: EnvKwargs = field(default_factory=dict)
    """Keyword arguments of the environment, e.g. include_cfrc_ext_in_observation=False, or one JSON object."""
    imports: Imports = ()
    """Module that registers environments, installed or in the current folder."""
    out: Path
    """File to write: .npz (rlgen's own, which keeps everything) or .hdf5 (D4RL's layout)."""
    episodes: int = 25
    """Complete episodes to record, equally many in each environment."""
    every: int = 1
    """Interval K of the steps to keep, from a random offset per episode (the GAIL paper: 20); 1 keeps all."""
    seed: int = 0
    """Random seed of environments, sampled actions and offsets."""
    n_envs: int = 8
    """Environments stepped at once; another number records other episodes."""
    deterministic: bool = True
    """Mean actions instead of sampled ones."""
    normalizer: Path | None = None
    """File of observation statistics, a VecNormalize (.pkl) or JSON; by default those saved with the policy, if any;
    none: the policy gets observations as they are."""
    overwrite: bool = False
    """Permission to replace the file if it exists."""

    def run(self) -> None:
        from rlgen.data import Demonstrations
        from rlgen.envs import make_vec
        from rlgen.sb3.load import load_policy

        from .demos_bot import record_bot

        require_target(self.out, "auto", self.overwrite, subsampled=self.every > 1)
        if self.episodes < 1 or self.n_envs < 1:
            raise problem(
                "at least 1 episode and 1 environment", f"{self.episodes} and {self.n_envs}", "give 1 or more of each"
            )
        if self.every < 1:
            raise problem("--every of at least 1", f"{self.every}", "leave it out to keep every step")
        if (self.policy is None) == (self.expert is None):
            got = "neither" if self.policy is None else "both"
            raise problem("--policy or --expert", got, "give one of them")
        path = None if self.policy is None else policy_file(self.policy)
        import_typed(self.imports, self.env)
        env = make_vec(self.env, min(self.n_envs, self.episodes), seed=self.seed, env_kwargs=self.env_kwargs)
        try:
            if path is None:
                demonstrations = record_bot(env, self.episodes, self.seed)
            else:
                policy = load_policy(path, env.observation_space, env.action_space, self.normalizer)
                demonstrations = Demonstrations.record(policy, env, self.episodes, self.seed, self.deterministic)
                noted = demonstrations.metadata | {"policy": path.name}
                demonstrations = replace(demonstrations, metadata=noted)
        finally:
            env.close()
        demonstrations = replace(demonstrations, source=str(self.out))
        write(demonstrations.every(self.every, self.seed) if self.every > 1 else demonstrations, self.out)


@dataclass(frozen=True, kw_only=True)
class DemosConvert:
    """Write demonstrations of any known format in another one."""

    path: Positional[Source]
    """File, folder or Minari id (minari:NAME)."""
    out: Positional[Path]
    """File or folder to write."""
    to: Target = "auto"
    """Format of OUT: rlgen's own npz, which keeps everything; hdf5 in D4RL's layout; a folder of minari or of the
    imitation library. auto decides by the name: .npz, .hdf5, or NAME-vN for minari."""
    format: Format = "auto"
    """Format of PATH; auto decides by its content."""
    first: int | None = None
    """Number N of episodes to keep, from the first; by default all."""
    every: int = 1
    """Interval K of the steps to keep, from a random offset per episode (the GAIL paper: 20); 1 keeps all."""
    seed: int = 0
    """Random seed of the offsets."""
    time_limit: int | None = None
    """Steps after which the environment cuts an episode, for files without a flag of time limits."""
    env_id: str | None = None
    """Gymnasium id to note in the file, where PATH does not name it or names it wrongly."""
    overwrite: bool = False
    """Permission to replace the file if it exists."""

    def run(self) -> None:
        from rlgen.data import Demonstrations

        require_target(self.out, self.to, self.overwrite, subsampled=self.every > 1)
        demonstrations = Demonstrations.load(self.path, self.format, self.time_limit)
        if self.env_id is not None:
            demonstrations = replace(demonstrations, env_id=self.env_id)
        if self.first is not None:
            demonstrations = demonstrations.first(self.first)
        if self.every != 1:
            demonstrations = demonstrations.every(self.every, self.seed)
        write(demonstrations, self.out, self.to)


@dataclass(frozen=True, kw_only=True)
class DemosInspect:
    """Show episodes, returns, ranges and warnings of demonstrations."""

    path: Positional[Source]
    """File, folder or Minari id (minari:NAME)."""
    format: Format = "auto"
    """Format of PATH; auto decides by its content."""
    plot: Path | None = None
    """PNG file in which returns, lengths and actions are drawn as well."""
    time_limit: int | None = None
    """Steps after which the environment cuts an episode, for files without a flag of time limits."""
    overwrite: bool = False
    """Permission to replace the picture if it exists."""

    def run(self) -> None:
        from rlgen.data import Demonstrations
        from rlgen.data.recording import action_bounds
        from rlgen.data.validation import recorded_bounds
        from rlgen.system.console import Console

        from .demos_plot import draw
        from .demos_table import show

        if self.plot is not None:
            refuse_existing(self.plot, self.overwrite)
        demonstrations = Demonstrations.load(self.path, self.format, self.time_limit)
        bounds = recorded_bounds(demonstrations)
        space = known_action_space(demonstrations) if bounds is None else None
        if space is not None:
            bounds = action_bounds(space)
        show(demonstrations, demonstrations.summary(space), bounds, Console())
        if self.plot is not None:
            draw(demonstrations, self.plot)
            Console().print(f"picture: {self.plot}", soft_wrap=True, markup=False)


def policy_file(path: Path) -> Path:
    """The model: a .zip, policy.zip in a run folder, or the folder itself if `rlgen publish` wrote it."""
    from rlgen.sb3.plain_policy import is_plain_policy

    if is_plain_policy(path):
        return path
    file = path / "policy.zip" if path.is_dir() else path
    if not file.is_file():
        raise problem(
            "a policy saved by Stable-Baselines3 (.zip) or a finished run's folder", f"no file {file}", "check the path"
        )
    return file


def require_target(path: Path, to: Target, overwrite: bool, subsampled: bool) -> None:
    """Raise `InputError` before any work for an OUT that could not be written at the end."""
    from rlgen.data.formats import format_of_name

    found = format_of_name(path) if to == "auto" else to
    if subsampled and found != "npz":
        raise problem("an .npz for demonstrations kept --every K steps", f"{found}", "leave --every out, or write .npz")
    refuse_existing(path, overwrite, is_folder=found in ("minari", "imitation"))


def write(demonstrations: "Demonstrations", path: Path, to: Target = "auto") -> None:
    """Save the demonstrations and print one line about them."""
    from rlgen.system.console import Console, number

    demonstrations.save(path, to)
    summary, returns = demonstrations.summary(), ""
    if summary.return_mean is not None:
        returns = f", return {number(summary.return_mean)} ± {number(summary.return_std)}"
    text = f"{path}: {summary.episodes} episodes, {summary.rows} rows{returns}"
    Console().print(text, soft_wrap=True, markup=False, highlight=False)


def known_action_space(demonstrations: "Demonstrations") -> Any:
    """The action space of the environment that they name; None if it cannot be made or has other actions."""
    if demonstrations.env_id is None:
        return None
    from rlgen.envs import make_vec
    from rlgen.envs.registration import registered_id

    with _quiet():
        try:
            env = make_vec(registered_id(demonstrations.env_id), 1)
        except InputError:
            return None
        env.close()
    shape = getattr(env.action_space, "shape", None)
    return env.action_space if shape == demonstrations.actions.shape[1:] else None


@contextmanager
def _quiet() -> Iterator[None]:
    """No log of the backend: the environment is made only for its action space."""
    log = logging.getLogger("rlgen")
    level = log.level
    log.setLevel(logging.WARNING)
    try:
        yield
    finally:
        log.setLevel(level)
