"""Ant with two disabled legs, for rewards that were learned on Ant-v5."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .ant import Ant


@dataclass(frozen=True, kw_only=True)
class DisabledAnt(Ant):
    """Ant-v5 with two weak, shrunk legs: the transfer task of Fu et al. 2018 (AIRL, 1710.11248), section 7.2.

    As in the authors' code (justinjfu/inverse_rl, envs/ant_env.py), the hip and ankle links of the two back legs, 3 and
    4, have half their length, and their four motors a gear of 1, so that they hardly move; a fall does not end an
    episode. Observations and actions are those of Ant-v5, so that its policies and rewards fit.

    Differs from the paper: Gymnasium's Ant-v5, whose other motors have a gear of 150 (30 there), and whose cost of
    actions and reward for health are larger (env_kwargs change both).
    """

    disabled: ClassVar[tuple[int, int]] = (3, 4)

    terminate_when_unhealthy: bool = False
    leg_scale: float = 0.5
    """Length of the disabled links relative to Ant-v5's."""
    leg_gear: float = 1.0
    """Gear of the disabled legs' motors, N m per unit of action; Ant-v5's is 150."""

    def edit_spec(self, spec: Any) -> Any:
        """Shrink and weaken the two legs."""
        for leg in self.disabled:
            hip = spec.body(f"aux_{leg}")
            ankle = hip.bodies[0]
            ankle.pos = self.leg_scale * np.array(ankle.pos)
            for body in (hip, ankle):
                geom = body.geoms[0]
                geom.fromto = self.leg_scale * np.array(geom.fromto)
                geom.rgba = [0.8, 0.3, 0.3, 1.0]
            for joint in ("hip", "ankle"):
                (motor,) = (each for each in spec.actuators if each.target == f"{joint}_{leg}")
                motor.gear = [self.leg_gear, *motor.gear[1:]]
        return spec
