"""An .npz of subsampled pairs, the GAIL paper's protocol: `obs, acts, next_obs, terminated` by row, `traj` (episode
number), `t` (time step), `returns` and `lengths` [E], `stride`, `env_id`."""

from pathlib import Path

from rlgen.data.formats.npz import read_npz
from rlgen.data.rows import Rows, matrix
from rlgen.errors import problem

KEYS = {"obs", "acts", "next_obs", "terminated", "traj", "t", "lengths", "stride"}


def read(path: Path, time_limit: int | None = None) -> Rows:
    """Reads the file. An episode's last step that is not terminated was cut by the time limit."""
    found = read_npz(path, KEYS, ("returns", "env_id", "rews"))
    lengths, episode, step = found["lengths"], found["traj"], found["t"]
    if episode.size and not 0 <= episode.min() <= episode.max() < len(lengths):
        raise problem(
            f"episode numbers below {len(lengths)} under 'traj'",
            f"{episode.min()} to {episode.max()} in {path}",
            "the file was put together wrongly: write it again",
        )
    terminated = found["terminated"].astype(bool)
    if not len(episode) == len(step) == len(terminated):
        raise problem(
            f"{len(episode)} rows under every key, as under 'traj'",
            f"{len(step)} under 't', {len(terminated)} under 'terminated' in {path}",
            "the file was put together wrongly: write it again",
        )
    source = str(path)
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
        env_id=str(found["env_id"]) if "env_id" in found else None,
        stride=int(found["stride"]),
        metadata={"source": path.name},
        source=source,
    )
