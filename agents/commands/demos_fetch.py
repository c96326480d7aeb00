"""`rlgen demos fetch`: download demonstrations by Minari's own client."""

import contextlib
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from rlgen.errors import problem, reason

from .demos import require_target, write


@dataclass(frozen=True, kw_only=True)
class DemosFetch:
    """Download a Minari data set, unless it is on this disk already.

    Minari keeps it in ~/.minari/datasets, or in the folder of MINARI_DATASETS_PATH; minari:NAME then stands for it
    wherever demonstrations are expected. With --out it is also written as a file of its own.

    Minari's experts are minari:mujoco/ant/expert-v0, minari:mujoco/halfcheetah/expert-v0 and so on; `minari list
    remote` lists all.
    """

    name: Positional[Annotated[str, arg(metavar="minari:NAME")]]
    """Id of the data set, e.g. minari:mujoco/ant/expert-v0; minari: may be left out."""
    out: Path | None = None
    """File to write as well: .npz (rlgen's own, which keeps everything) or .hdf5 (D4RL's layout)."""
    overwrite: bool = False
    """Permission to replace the file if it exists."""

    def run(self) -> None:
        from rlgen.data import Demonstrations
        from rlgen.data.formats.minari import PREFIX, id_of, local_folder
        from rlgen.system.console import Console

        if self.out is not None:
            require_target(self.out, "auto", self.overwrite, subsampled=False)
        name = id_of(f"{PREFIX}{self.name.removeprefix(PREFIX)}")
        folder = local_folder(name)
        if not folder.is_dir():
            download(name, folder)
        demonstrations = Demonstrations.load(f"{PREFIX}{name}")
        if self.out is not None:
            write(demonstrations, self.out)
        else:
            text = f"{PREFIX}{name}: {demonstrations.n_episodes} episodes, {len(demonstrations)} rows, in {folder}"
            Console().print(text, soft_wrap=True, markup=False, highlight=False)


def download(name: str, folder: Path) -> None:
    """Download the data set with the id `name` to `folder`, completely or not at all.

    Raises:
        InputError: no connection, no such data set, or a version of it that the installed Minari does not read.
    """
    import minari

    complete = False
    try:
        with contextlib.redirect_stdout(sys.stderr):
            minari.download_dataset(name)
        complete = folder.is_dir()
    except Exception as error:  # each of its remote storages has errors of its own
        got = f"{type(error).__name__}: {reason(error)}"
        remedy = "check the name (`minari list remote` lists them) and the connection, then repeat the command"
        raise problem(f"the Minari data set {name} to download", got, remedy) from error
    finally:
        if not complete:
            shutil.rmtree(folder, ignore_errors=True)
    if not complete:
        raise problem(f"the Minari data set {name} in {folder}", "nothing there after the download", "update minari")
