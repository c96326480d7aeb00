"""For what SB3 draws anew when a rollout or a training begins, although a loaded state has it already."""

from typing import Any


class KeepOnce:
    """In the place of a method of `owner`: the first call does nothing, and everything is as it was before."""

    def __init__(self, owner: Any, method: str):
        self.owner, self.method = owner, method
        setattr(owner, method, self)

    def __call__(self, *arguments: Any) -> None:
        delattr(self.owner, self.method)
