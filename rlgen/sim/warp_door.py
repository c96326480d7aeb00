"""The door to Warp: its modules if they are here, and what to install if they are not."""

from types import ModuleType

from rlgen.errors import problem

INSTALL = 'pip install "rlgen[gpu]"'


def warp_modules() -> tuple[ModuleType, ModuleType]:
    """(warp, mujoco_warp), which from now on report errors only.

    Raises:
        InputError: one of them is not installed.
    """
    try:
        import warp

        warp.config.log_level = warp.LOG_ERROR  # before the other import, which starts Warp
        import mujoco_warp
    except ModuleNotFoundError as error:
        raise problem("the packages of the warp backend", f"no module {error.name!r}", INSTALL) from error
    return warp, mujoco_warp
