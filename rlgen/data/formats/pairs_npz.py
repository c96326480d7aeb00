"""An .npz of subsampled pairs, the GAIL paper's protocol: `obs, acts, next_obs, terminated` by row, `traj` (episode
number), `t` (time step), `returns` and `lengths` [E], `stride`, `env_id`."""

from pathlib import Path

from rlgen.data.columns import column, matrix, text
from rlgen.data.formats.npz import read_npz
from rlgen.data.rows import Rows
from rlgen.errors import problem

KEYS = {"obs", "acts", "next_obs", "terminated", "traj", "t", "lengths", "stride"}


def read(path: Path, time_limit: int | None = None) -> Rows:
    """Reads the file. An episode whose last step is not terminated was cut by the time limit."""
    found = read_npz(path, KEYS, ("returns", "env_id", "rews"))
    source = str(path)
    lengths, episode, step = (column(found[key], "count", 1, key, source) for key in ("lengths", "traj", "t"))
    terminated = column(found["terminated"], "flag", 1, "terminated", source)
    if episode.size and episode.max() >= len(lengths):
        raise problem(
            f"episode numbers below {len(lengths)} under 'traj'",
            f"{episode.min()} to {episode.max()} in {path}",
            "the file was put together wrongly: write it again",
        )
    if not len(episode) == len(step) == len(terminated):
        raise problem(
            f"{len(episode)} rows under every key, as under 'traj'",
            f"{len(step)} under 't', {len(terminated)} under 'terminated' in {path}",
            "the file was put together wrongly: write it again",
        )
    return Rows(
        observations=matrix(found["obs"], "obs", source),
        actions=matrix(found["acts"], "acts", source),
        next_observations=matrix(found["next_obs"], "next_obs", source),
        rewards=found.get("rews"),
        terminated=terminated,
        truncated=(step == lengths[episode] - 1) & ~terminated,
        episode=episode,
        step=step,
        episode_returns=found.get("returns"),
        episode_lengths=lengths,
        env_id=text(found["env_id"], "env_id", source) if "env_id" in found else None,
        stride=int(column(found["stride"], "count", 0, "stride", source)),
        metadata={"source": path.name},
        source=source,
    )
