"""A generator and an autoencoder kept in balance by the ratio of what the autoencoder misses on either side.

An autoencoder's error on real images, L(x), and on generated ones, L(G(z)), are scalars in any one unit. BEGAN,
Berthelot et al. 2017 (1703.10717).
"""

from jaxtyping import Float
from torch import Tensor

from rlgen.equations.penalties import dual_ascent

Scalar = Float[Tensor, ""]


def balanced_weight(weight: Scalar, real_error: Scalar, fake_error: Scalar, ratio: float, step_size: float) -> Scalar:
    """k + λ (γ L(x) - L(G(z))), kept between 0 and 1: how much the autoencoder cares to miss generated images. At rest
    E[L(G(z))] = γ E[L(x)], γ the ratio. Berthelot et al. 2017 (1703.10717), section 3.4."""
    return dual_ascent(weight, ratio * real_error - fake_error, step_size).clamp(max=1)


def convergence_measure(real_error: Scalar, fake_error: Scalar, ratio: float) -> Scalar:
    """M = L(x) + |γ L(x) - L(G(z))|: small when real images are well encoded and the balance is kept. Berthelot et
    al. 2017 (1703.10717), section 3.4.1."""
    return real_error + (ratio * real_error - fake_error).abs()
