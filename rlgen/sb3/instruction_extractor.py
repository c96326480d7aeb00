"""Features of an instruction and what is seen, for policies.

Saved policies name this module, so its class must stay here.
"""

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.preprocessing import preprocess_obs
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor

from rlgen.data.cells import VIEW
from rlgen.data.words import MISSION
from rlgen.errors import problem
from rlgen.generators.instruction_model import InstructionModel
from rlgen.nn.cross_modal import CrossModalConfig, CrossModalTransformer
from rlgen.sb3.instructed import DIRECTION, shows_instructions

POLICY = CrossModalConfig(width=64)
"""Sizes of a policy's network without other settings: half as wide as that of a pre-training, for a CPU."""


class InstructionFeatures(BaseFeaturesExtractor):
    """Features [B, `width`] of the observations of an `InstructedEnv`: those of the whole of a
    `CrossModalTransformer`. Frozen, it stays as it is: the policy's loss has no gradient there."""

    def __init__(
        self,
        observation_space: spaces.Dict,
        width: int = POLICY.width,
        depth: int = POLICY.depth,
        heads: int = POLICY.heads,
        frozen: bool = False,
    ):
        if not shows_instructions(observation_space):
            got = str(list(getattr(observation_space, "spaces", [])) or observation_space)
            remedy = "make a task of MiniGrid or BabyAI by rlgen.envs.make_vec"
            raise problem("observations with an instruction in numbers and a view of cells in codes", got, remedy)
        super().__init__(observation_space, width)
        config = CrossModalConfig(width=width, depth=depth, heads=heads)
        words, view = observation_space[MISSION], observation_space[VIEW]
        assert isinstance(words, spaces.Box)
        cells = int(np.prod(view.shape[:2]))  # type: ignore[index]
        self.network = CrossModalTransformer(int(words.high.max()) + 1, words.shape[0], config, cells)
        self.frozen = frozen

    def forward(self, observations: dict[str, Tensor]) -> Tensor:
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            return self.network.pooled(*cross_modal_inputs(observations))

    def attention(self, observations: dict[str, Tensor]) -> Tensor:
        """Shares [B, L] of the attention that go to each word, as `CrossModalTransformer.attention`."""
        return self.network.attention(*cross_modal_inputs(observations))

    def start_from(self, model: InstructionModel) -> None:
        """Takes the weights of the network of `model`, which has its sizes."""
        self.network.load_state_dict(model.network.state_dict())


def word_attention(policy: Any, observations: dict[str, np.ndarray]) -> np.ndarray | None:
    """Shares [B, L] of the attention of a policy, or of a model's, that go to each word of its observations [B, ...];
    None for a policy without `InstructionFeatures`."""
    inner = getattr(policy, "policy", policy)
    if not isinstance(inner, BasePolicy):
        return None
    features = next((each for each in inner.modules() if isinstance(each, InstructionFeatures)), None)
    if features is None:
        return None
    inner.set_training_mode(False)  # as where it acts
    with torch.no_grad():
        seen = preprocess_obs(inner.obs_to_tensor(observations)[0], inner.observation_space, inner.normalize_images)  # type: ignore[arg-type]
        return features.attention(seen).cpu().numpy()  # type: ignore[arg-type]


def instruction_settings(config: CrossModalConfig, frozen: bool) -> dict[str, Any]:
    """Arguments of `InstructionFeatures`, in types of JSON, for a network with this configuration, without its dropout:
    a policy that drops features would act otherwise than it learns."""
    return {"width": config.width, "depth": config.depth, "heads": config.heads, "frozen": frozen}


def cross_modal_inputs(observations: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """View, direction and mission as a `CrossModalTransformer` reads them, of what a policy sees: SB3 makes floats of
    bytes, and directions one-hot."""
    direction = observations[DIRECTION].flatten(1).argmax(1)
    return observations[VIEW].long(), direction, observations[MISSION].long()


def instruction_options(tensors: dict[str, Tensor], given: Any) -> dict[str, Any]:
    """Arguments of `InstructionFeatures` from the tensors of a saved policy, and from the arguments `given` in its file
    for what these do not show."""
    widths = [
        each.shape[1] for key, each in tensors.items() if key.endswith(".network.words.weight") and each.ndim == 2
    ]
    blocks = {key.split(".network.blocks.")[1].split(".")[0] for key in tensors if ".network.blocks." in key}
    given = given if isinstance(given, dict) else {}
    heads = given.get("heads", POLICY.heads)
    found: dict[str, Any] = {"frozen": given.get("frozen") is True}
    found |= {"width": widths[0], "depth": len(blocks)} if widths and blocks else {}
    return {**found, "heads": heads} if isinstance(heads, int) and not isinstance(heads, bool) else found
