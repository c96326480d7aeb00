"""What a robot in the plane sees of point-like things around it."""

from math import pi

from rlgen.sim.task import Array, namespace


def readings(
    position: Array, heading: Array, things: Array, present: Array, bins: int, reach: float, span: float
) -> Array:
    """[N, bins]: in each sector the nearest thing's 1 - distance / reach, 0 where there is none within reach.

    The sectors share `span` (radians) about the heading, the first on the right. Duan et al. 2016, 1604.06778.

    Args:
        position: [N, 2] of the robot, m.
        heading: [N], radians.
        things: [N, M, 2], m.
        present: [N, M] bool; what is not there is not seen.
        bins: sectors.
        reach: m.
        span: radians.
    """
    numbers = namespace(position)
    if not things.shape[1]:
        return numbers.zeros((len(position), bins), dtype=position.dtype)
    apart = things - position[:, None, :]
    distance = numbers.sqrt((apart * apart).sum(-1))
    bearing = numbers.arctan2(apart[..., 1], apart[..., 0]) - heading[:, None]
    bearing = (bearing + pi) % (2 * pi) - pi
    sector = numbers.floor((bearing + span / 2) / (span / bins))
    strength = (1 - distance / reach) * (present & (distance <= reach))
    return numbers.stack([numbers.amax(strength * (sector == number), 1) for number in range(bins)], -1)
