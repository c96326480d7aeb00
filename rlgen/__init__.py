"""rlgen: generative models for control.

Curiosity and adversarial imitation on MuJoCo, pluggable into Stable-Baselines3.
"""

__version__ = "0.1.0"
