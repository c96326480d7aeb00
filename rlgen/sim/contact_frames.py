"""Frames of contacts between a plane and a capsule, as in C MuJoCo.

MuJoCo Warp uses the global y axis as the first tangent if a capsule is steeper than 60°. C MuJoCo always uses the
capsule's axis, projected onto the plane. With pyramidal friction cones the forces depend on the tangents.
"""

from typing import Any

import mujoco
import warp as wp

PLANE, CAPSULE = wp.constant(int(mujoco.mjtGeom.mjGEOM_PLANE)), wp.constant(int(mujoco.mjtGeom.mjGEOM_CAPSULE))


@wp.kernel
def _turn(
    geom_type: wp.array[int],
    geom_xmat: wp.array2d[wp.mat33],
    contacts: wp.array[int],
    geom: wp.array[wp.vec2i],
    env: wp.array[int],
    frame: wp.array[wp.mat33],
):
    contact = wp.tid()
    if contact >= contacts[0]:
        return
    pair = geom[contact]
    if pair[0] < 0 or pair[1] < 0:
        return
    if geom_type[pair[0]] != PLANE or geom_type[pair[1]] != CAPSULE:
        return
    turned = geom_xmat[env[contact], pair[1]]
    axis = wp.vec3(turned[0, 2], turned[1, 2], turned[2, 2])
    old = frame[contact]
    normal = wp.vec3(old[0, 0], old[0, 1], old[0, 2])
    along = axis - normal * wp.dot(normal, axis)
    length = wp.length(along)
    if length < 1.0e-6:  # upright: any tangent is valid
        return
    first = along / length
    second = wp.cross(normal, first)
    frame[contact] = wp.mat33(
        normal[0], normal[1], normal[2], first[0], first[1], first[2], second[0], second[1], second[2]
    )


def turn_contact_frames(model: Any, data: Any) -> None:
    """Rewrite `data.contact.frame` in place; a callback for `Model.callback.contactfilter`."""
    contact = data.contact
    wp.launch(
        _turn,
        dim=data.naconmax,
        inputs=[model.geom_type, data.geom_xmat, data.nacon, contact.geom, contact.worldid],
        outputs=[contact.frame],
    )
