"""Demonstrations shipped with rlgen, by experts trained with rlgen (recipes: experiments/experts)."""

from pathlib import Path

from rlgen.errors import problem

FOLDER = Path(__file__).parent


def shipped_demonstrations(env_id: str) -> Path:
    """The file of demonstrations shipped for `env_id`. Raises `InputError` if there is none.

    >>> from rlgen.data import Demonstrations
    >>> Demonstrations.load(shipped_demonstrations("Ant-v5")).n_episodes
    25
    """
    path = FOLDER / f"{env_id}.npz"
    if not path.is_file():
        names = sorted(file.stem for file in FOLDER.glob("*.npz"))
        got = f"only {', '.join(names) or 'none'}"
        raise problem(f"shipped demonstrations for {env_id}", got, "give a file of your own")
    return path
