"""The policy that `rlgen evaluate` plays and its evaluation settings, read from a run's files."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rlgen.envs.backend import Backend
from rlgen.envs.registration import registered_id
from rlgen.errors import problem
from rlgen.runs.scores import Reference

MOST_EPISODES = 100_000
"""Most episodes that a run's files can request; more only with --episodes."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A policy, its evaluation settings and its reference returns (None if unknown)."""

    saved: Path
    """File of the policy, or the folder that `rlgen publish` wrote."""
    env: str
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    episodes: int = 50
    seed: int = 10_000
    backend: Backend = "auto"
    codes: int | None = None
    """Number of codes of the policy; None without codes."""
    random_return: float | None = None
    expert_return: float | None = None
    reference: Reference = "demonstrations"
    """Source of `expert_return`."""
    reference_seed: int | None = None
    """Backend of the evaluation that measured these returns; None without one."""


def of_run(path: Path, env: str | None, env_kwargs: dict[str, Any]) -> Subject:
    """The policy of the run folder `path` with the evaluation settings of the run, but `env` and `env_kwargs` if
    given."""
    from rlgen.runs.config import restored
    from rlgen.runs.folder import RunFolder
    from rlgen.runs.result import Result
    from rlgen.sb3.plain_policy import is_plain_policy

    from .environment import evaluation_backend

    folder = RunFolder.open(path)
    plain = is_plain_policy(folder.path)
    if not plain and not (folder / "policy.zip").is_file():
        if (folder / "result.json").is_file():
            got = "a finished run without one, such as one of `rlgen explore`"
            raise problem(f"a policy in {path}", got, "evaluate a policy that was trained from it")
        raise problem(f"policy.zip in {path}", "a run that has not finished", f"finish it: rlgen resume {path}")
    hints = {"episodes": int, "backend": str, "codes": int, "env": str}
    known: dict[str, Any] = {
        name: restored(hint, folder.config[name], f"{name} in {path / 'config.json'}")
        for name, hint in hints.items()
        if folder.config.get(name) is not None
    }
    recorded = known.pop("env", None)
    if recorded is None and env is None:
        raise problem(f"an env in {path / 'config.json'}", "none", "give the id it was trained in by --env")
    if "backend" in known:
        known["backend"] = evaluation_backend(known["backend"])
    own_id = recorded if env is None else env
    own_kwargs = restored(dict[str, Any], folder.config.get("env_kwargs", {}), f"env_kwargs in {path / 'config.json'}")
    imports = restored(tuple[str, ...], folder.config.get("imports", []), f"imports in {path / 'config.json'}")
    used_kwargs, used_imports = (own_kwargs, imports) if env is None else ({}, ())
    subject = Subject(
        saved=folder.path if plain else folder / "policy.zip",
        env=registered_id(own_id, used_imports, f"rlgen evaluate {path}"),
        env_kwargs=env_kwargs or used_kwargs,
        **known,
    )
    if not (folder / "result.json").is_file():
        return subject
    returns = Result.read(path).returns
    if returns is None:
        return subject
    subject = replace(subject, episodes=returns.episodes, seed=returns.evaluation_seed)
    if (subject.env, subject.env_kwargs) != (returns.env, own_kwargs):
        return subject
    known = {name: getattr(returns, name) for name in ("random_return", "expert_return", "reference")}
    return replace(subject, **known, reference_seed=returns.evaluation_seed)


def require_bearable(subject: Subject, path: Path) -> None:
    """Raise `InputError` if the run's files request more than `MOST_EPISODES` episodes."""
    if not 1 <= subject.episodes <= MOST_EPISODES:
        got = f"{subject.episodes} in {path}"
        raise problem(f"1 to {MOST_EPISODES:,} episodes of a run's own evaluation", got, "give --episodes")
