"""Actions of one figure over some frames: walk, stand, sit, look, kick."""

import numpy as np

from .hands import attach
from .poses import advance, gait, idle_pose, sign
from .scene import World
from .things import Pose, Thing


def idle(w: World, a: Thing, frames: int):
    """Stand or lie, uninvolved."""
    for _ in range(frames):
        a.pose = idle_pose(w, a)
        yield


def sit_down(w: World, a: Thing, frames: int):
    """Sit on the ground with stretched legs."""
    for _ in range(frames):
        a.pose = Pose(
            front=False,
            seat=0.07 * a.size,
            lean=-8,
            legs=((86, 6), (74, 10)),
            arms=((36, 20), (-30, 0)),
        )
        yield


def walk(w: World, a: Thing, x: float, speed: float = 0.0, held: tuple = (), run=False):
    """Walk or run to x, carrying the held items."""
    speed = speed or (0.075 * a.size + 1.2 if a.person else 6.5) * (1.8 if run else 1.0)
    while abs(x - a.x) > 0.5:
        advance(a, float(np.clip(x - a.x, -speed, speed)))
        a.pose = gait(a, run)
        attach(w, a, held)
        for item in held:
            w.relate(a, item, "carrying")
        yield


def gaze(w: World, a: Thing, target: Thing, base: Pose | None = None) -> None:
    """Turn the head of a figure (and its body, unless `base` is given) to a thing."""
    a.facing = sign(target.x - a.x) if base is None else a.facing
    head = np.array([a.x, a.y - a.z - (0.9 if a.person else 0.6) * a.size])
    aim = np.array([target.x, target.y - target.z - 0.4 * target.size])
    down = np.degrees(np.arctan2(aim[1] - head[1], abs(aim[0] - head[0]) + 12))
    tilt = float(np.clip(0.75 * down, -30, 42))
    if base is not None:
        a.pose = base.but(head=tilt)
    elif a.person:  # lean forward, hands on the knees
        a.pose = Pose(front=False, lean=34, head=tilt - 14, legs=((30, 34), (22, 34)))
        knee = (a.x + a.facing * 0.13 * a.size, a.y - 0.26 * a.size)
        a.pose = a.pose.but(hands=(knee, knee))
    else:
        a.pose = Pose(front=False, pitch=34, head=tilt - 10)
    w.relate(a, target, "looking at")


def look(w: World, a: Thing, target: Thing, frames: int):
    """Stand still and look at a thing."""
    for _ in range(frames):
        gaze(w, a, target)
        yield


def kick(w: World, a: Thing, ball: Thing, strength: float):
    """Swing a leg at the ball in front of the figure; the ball flies off."""
    side = a.facing
    for back in (-34, -62):
        a.pose = Pose(
            front=False, lean=10, legs=((back, 50), (4, 6)), arms=((40, 20), (-40, 20))
        )
        w.relate(a, ball, "kicking")
        yield
    ball.speed = (side * strength, float(w.rng.uniform(5, 11)))
    ball.layer = a.layer + 0.6
    for forward in (58, 76, 70, 56, 38, 20):
        a.pose = Pose(
            front=False,
            lean=-12,
            legs=((forward, 6), (-6, 4)),
            arms=((-46, 20), (50, 20)),
        )
        w.relate(a, ball, "kicking")
        yield
