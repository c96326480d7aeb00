"""The last layer of a network, apart from the rest."""

from torch import nn

from rlgen.errors import problem


def split_head(network: nn.Module) -> tuple[nn.Sequential, nn.Linear]:
    """Everything before the last layer, and that layer. They share their parameters with `network`."""
    layers = list(network.children()) if isinstance(network, nn.Sequential) else []
    if not layers or not isinstance(layers[-1], nn.Linear):
        raise problem(
            "a network whose layers stand in a row (nn.Sequential), the last of them linear",
            f"a {type(network).__name__}{f' that ends with {type(layers[-1]).__name__}' if layers else ''}",
            "put this penalty before those that wrap the network as a whole, or place its module by hand",
        )
    return nn.Sequential(*layers[:-1]), layers[-1]
