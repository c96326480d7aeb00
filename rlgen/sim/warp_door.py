"""The import of Warp's modules, with an error that says what to install."""

from types import ModuleType

from rlgen.errors import problem

INSTALL = 'pip install "rlgen[gpu]"'


def warp_modules() -> tuple[ModuleType, ModuleType]:
    """The modules (warp, mujoco_warp); Warp logs only errors from then on.

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
