"""Activation functions of policies and action values, by name."""

from typing import Literal

from torch import nn

Activation = Literal["tanh", "relu", "elu", "silu"]
ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU, "elu": nn.ELU, "silu": nn.SiLU}
