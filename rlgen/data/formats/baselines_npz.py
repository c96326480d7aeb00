"""Expert data of OpenAI's baselines (`obs [E, T, O], acs [E, T, A], rews [E, T], ep_rets [E]`) and Stable-Baselines 2
(`obs [R, O], actions [R, A], rewards [R], episode_returns [E], episode_starts [R]`)."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from rlgen.data.columns import column
from rlgen.data.formats.by_step import rows_by_step
from rlgen.data.formats.npz import npz_keys, read_npz
from rlgen.data.formats.openai_imitation import padded_rows
from rlgen.data.rows import Rows
from rlgen.errors import problem

BASELINES = {"obs", "acs", "ep_rets"}
STABLE_BASELINES = {"obs", "actions", "episode_starts"}


def read(path: Path, time_limit: int | None = None) -> Rows:
    """Reads either layout. The files lack the observation after an episode's last action."""
    return _read_stable_baselines(path) if npz_keys(path) >= STABLE_BASELINES else _read_baselines(path)


def _read_baselines(path: Path) -> Rows:
    found = read_npz(path, BASELINES, ("rews",))
    returns = column(found["ep_rets"], "number", 1, "ep_rets", str(path))
    columns = {"observations": found["obs"], "actions": found["acs"]}
    if "rews" in found:
        columns["rewards"] = found["rews"]
    if found["acs"].ndim < 2:
        got = f"shape {list(found['acs'].shape)} in {path}"
        raise problem("episodes of one length, [E, T, A], under 'acs'", got, "save episodes apart")
    episodes, steps = found["acs"].shape[:2]
    rows = padded_rows(columns, np.full(episodes, steps), path)
    return _with_returns(rows, returns, path)


def _read_stable_baselines(path: Path) -> Rows:
    found = read_npz(path, STABLE_BASELINES, ("rewards", "episode_returns"))
    starts = column(found["episode_starts"], "flag", 1, "episode_starts", str(path))
    if not len(starts) or not starts[0]:
        raise problem("a start of an episode in the first row", f"none in {path}", "write the file again")
    last = np.append(starts[1:], True)
    rows = rows_by_step(
        observations=found["obs"],
        actions=found["actions"],
        rewards=found.get("rewards"),
        terminated=np.zeros(len(last), bool),
        last=last,
        path=path,
    )
    if "episode_returns" not in found:
        return rows
    return _with_returns(rows, column(found["episode_returns"], "number", 1, "episode_returns", str(path)), path)


def _with_returns(rows: Rows, returns: np.ndarray, path: Path) -> Rows:
    """Adds the file's own returns, which must match the rewards if the file has both."""
    sums = rows.episode_returns
    if len(returns) != len(rows.episode_lengths):
        got = f"{len(returns)} in {path}"
        raise problem(f"a return for each of {len(rows.episode_lengths)} episodes", got, "write the file again")
    if sums is not None and not np.allclose(sums, returns, rtol=1e-3, atol=1e-3 * float(abs(sums).max(initial=0))):
        number = int(np.argmax(abs(sums - returns)))
        raise problem(
            f"the sum of its rewards, {sums[number]:g}, as the return of episode {number}",
            f"{returns[number]:g} in {path}",
            "leave one of the two out: they measure different rewards (scaled ones, for instance)",
        )
    return replace(rows, episode_returns=returns)
