"""The one kind of reward that sparse tasks pay."""

from rlgen.sim.task import Array, namespace


def paid_where(condition: Array, like: Array) -> Array:
    """1 where the condition holds, else 0; shape of both, dtype of `like`."""
    numbers = namespace(like)
    return numbers.where(condition, numbers.ones_like(like), numbers.zeros_like(like))
