"""One TensorBoard folder for one training, however often its `learn` is called."""

from collections.abc import Iterator
from contextlib import contextmanager

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.utils import configure_logger


class OwnLog:
    """SB3 takes a training whose step count goes on for a continuation, and its curves into the newest folder, whosever
    that is. Here the first block opens a new folder, as SB3's own first `learn` does, and later blocks go on in it."""

    def __init__(self) -> None:
        self.logger: Logger | None = None

    @contextmanager
    def of(self, model: BaseAlgorithm, name: str) -> Iterator[None]:
        """Within the block `model` logs to this training's folder, NAME_1, NAME_2 …; one with a logger of the user's
        (`model.set_logger`) keeps that."""
        if model._custom_logger:
            yield
            return
        if self.logger is None:
            self.logger = configure_logger(model.verbose, model.tensorboard_log, name, reset_num_timesteps=True)
        model.set_logger(self.logger)
        try:
            yield
        finally:
            model._custom_logger = False
