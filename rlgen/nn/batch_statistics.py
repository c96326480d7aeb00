"""Batch norms whose running statistics stand still while somebody else learns."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def batch_norms_of_others(model: nn.Module, own: Collection[nn.Parameter]) -> list[nn.Module]:
    """The batch norms in `model` that do not belong to the parameters `own`.

    One without parameters of its own belongs to the nearest module around it that has some.
    """
    mine = {id(parameter) for parameter in own}
    found: list[nn.Module] = []

    def visit(module: nn.Module, owned: bool) -> None:
        parameters = list(module.parameters())
        if parameters:
            owned = any(id(parameter) in mine for parameter in parameters)
        if isinstance(module, _BatchNorm) and module.track_running_stats and not owned:
            found.append(module)
        for child in module.children():
            visit(child, owned)

    visit(model, False)
    return found


@contextmanager
def held(batch_norms: Sequence[nn.Module]) -> Iterator[None]:
    """Within the block they normalise as before, in training by the batch, but their running statistics do not move.

    Else a generator's turn would move the discriminator's statistics towards fakes alone, and every network's would
    move once for each player.
    """
    training = [module for module in batch_norms if module.training]
    for module in training:
        module.track_running_stats = False  # type: ignore[assignment]
    try:
        yield
    finally:
        for module in training:
            module.track_running_stats = True  # type: ignore[assignment]
