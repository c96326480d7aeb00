"""TQC's policy whose critics have layer normalization.

Saved policies name this module, so its class must stay here.
"""

from sb3_contrib.tqc.policies import TQCPolicy

from rlgen.sb3.layer_norm import LayerNormCritics


class LayerNormTQCPolicy(LayerNormCritics, TQCPolicy):
    """TQC's policy with layer normalization in the critics: `TQC(LayerNormTQCPolicy, env)`."""
