"""The equilibrium of BEGAN, between the autoencoder's errors on real and on generated images.

L(x) is the error on real images, L(G(z)) the error on generated ones: scalars in the same unit. Berthelot et al. 2017
(1703.10717).
"""

from jaxtyping import Float
from torch import Tensor

from rlgen.equations.penalties import dual_ascent

Scalar = Float[Tensor, ""]


def balanced_weight(weight: Scalar, real_error: Scalar, fake_error: Scalar, ratio: float, step_size: float) -> Scalar:
    """k + λ (γ L(x) - L(G(z))), clamped to [0, 1]: the weight of generated images in the autoencoder's loss. γ is the
    ratio; at equilibrium E[L(G(z))] = γ E[L(x)]. Berthelot et al. 2017 (1703.10717), section 3.4."""
    return dual_ascent(weight, ratio * real_error - fake_error, step_size).clamp(max=1)


def convergence_measure(real_error: Scalar, fake_error: Scalar, ratio: float) -> Scalar:
    """M = L(x) + |γ L(x) - L(G(z))|: small when real images are reconstructed well and the equilibrium holds. Berthelot
    et al. 2017 (1703.10717), section 3.4.1."""
    return real_error + (ratio * real_error - fake_error).abs()
