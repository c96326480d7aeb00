"""The shape of the images a model is made for."""

from dataclasses import dataclass

from rlgen.errors import problem


@dataclass(frozen=True, kw_only=True)
class ImageShape:
    """Images [channels, height, width], with `n_classes` kinds of label (0: without labels)."""

    channels: int
    height: int
    width: int
    n_classes: int = 0

    def __post_init__(self) -> None:
        if min(self.channels, self.height, self.width) < 1 or self.n_classes < 0:
            raise problem("images of at least one pixel", str(self), "check the shape of the data")

    @property
    def chw(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        return self.channels, self.height, self.width

    @property
    def numbers(self) -> int:
        """Numbers in one image."""
        return self.channels * self.height * self.width

    def __str__(self) -> str:
        return f"{self.channels} × {self.height} × {self.width}"
