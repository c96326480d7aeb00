"""Range sensors of a planar robot for point-like objects around it."""

from math import pi

from rlgen.sim.task import Array, namespace


def readings(
    position: Array, heading: Array, things: Array, present: Array, bins: int, reach: float, span: float
) -> Array:
    """Readings [N, bins]: 1 - distance / reach of the nearest object in each sector, 0 if none is within reach.

    The sectors divide `span` equally and are centered on the heading, the first one on the right. Duan et al. 2016
    (1604.06778).

    Args:
        position: position [N, 2] of the robot, m.
        heading: heading [N] of the robot, radians.
        things: positions [N, M, 2] of the objects, m.
        present: [N, M] bool; absent objects are not seen.
        bins: number of sectors.
        reach: range of the sensors, m.
        span: total angle of the sectors, radians.
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
