"""States that stay as they are while what they were taken from goes on learning."""

from typing import Any

from torch import Tensor


def own_tensors(tree: Any) -> Any:
    """`tree` of dicts, lists and tuples with copies of its tensors: those of a `state_dict` of torch are the very ones
    that the next step changes."""
    if isinstance(tree, Tensor):
        return tree.detach().clone()
    if isinstance(tree, dict):
        return {key: own_tensors(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(own_tensors(value) for value in tree)
    return tree
