"""Poses shared by several actions: walking, bending, idling."""

import numpy as np

from .scene import World
from .things import Pose, Thing

STAND = Pose(front=False)


def sign(value: float) -> int:
    return 1 if value >= 0 else -1


def gait(thing: Thing, run: bool = False) -> Pose:
    """Return the walking pose for the distance walked so far."""
    phase = 2 * np.pi * thing.stride / ((0.62 if thing.person else 1.1) * thing.size)
    if not thing.person:
        return Pose(front=False, swing=phase + 0.01, tail=20 * np.sin(phase))
    wide = 40 if run else 27
    s = np.sin(phase)
    bent = 62 if run else 22
    legs = (
        (wide * s, bent * max(-np.cos(phase), 0.1)),
        (-wide * s, bent * max(np.cos(phase), 0.1)),
    )
    fore = 80 if run else 18
    arms = ((-wide * s, fore), (wide * s, fore))
    return Pose(front=False, lean=14 if run else 4, legs=legs, arms=arms)


def advance(thing: Thing, step: float) -> None:
    """Move a thing along x and turn it in the direction of motion."""
    thing.x += step
    thing.stride += abs(step)
    if abs(step) > 0.01:
        thing.facing = sign(step)


def idle_pose(w: World, a: Thing) -> Pose:
    """Return the idle pose: people face the viewer, animals lie or face the viewer."""
    if a.person:
        return Pose(arms=((7, 5), (9, 4)))
    return Pose(crouch=1.0, pitch=0, head=8) if a.style["kind"] % 2 else Pose(pitch=38)


def bent(a: Thing, lean: float, item: Thing) -> Pose:
    """Return the pose of a figure that bends down to an item."""
    hand = (item.x, item.y - item.z - 0.6 * item.size)
    legs = ((34, 60), (26, 60))
    return Pose(front=False, lean=lean, legs=legs, hands=(hand, None), head=10)
