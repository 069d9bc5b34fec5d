"""Outlines of adults and children as jointed figures."""

import numpy as np

from .shapes import Part, bend, capsule, direction, ellipse, turned
from .things import Thing

# As shares of the height: head radius, torso, thigh (= shin), upper arm (= forearm),
# limb width, body width.
_BUILD = {
    "adult": dict(head=0.088, torso=0.31, leg=0.235, arm=0.185, width=0.085, body=0.2),
    "child": dict(head=0.135, torso=0.285, leg=0.195, arm=0.16, width=0.1, body=0.25),
}


class LocalCoordinates:
    """Coordinates of one figure: x forward, y down, origin on the ground."""

    def __init__(self, thing: Thing):
        self.origin = np.array([thing.x, thing.y - thing.z])
        self.sign = 1 if thing.pose.front else thing.facing

    def to_world(self, points) -> np.ndarray:
        return np.asarray(points, float) * (self.sign, 1) + self.origin

    def to_local(self, point) -> np.ndarray:
        return (np.asarray(point, float) - self.origin) * (self.sign, 1)


def person(thing: Thing) -> list[Part]:
    """Return the outlines of an adult or a child in its current pose."""
    pose, h = thing.pose, thing.size
    build = {k: v * h for k, v in _BUILD[thing.category].items()}
    local = LocalCoordinates(thing)
    hip = np.array([0.0, -_hip_height(pose, build)])
    up = np.array([np.sin(np.deg2rad(pose.lean)), -np.cos(np.deg2rad(pose.lean))])
    neck = hip + build["torso"] * up
    skull = neck + (build["head"] * 1.02) * turned([up], pose.head)[0]

    parts = []
    for side, order in ((1, 0.04), (0, 0.08)):  # the far leg is drawn first
        parts += _leg(pose, build, local, hip, side, order, thing.style["kind"])
    parts += _torso(pose, build, hip, neck, thing)
    parts += _head(pose, build, skull, thing)
    for side, order in ((1, 0.02), (0, 0.5)):
        front_order = 0.3 if pose.front and pose.hands[side] is None else order
        parts += _arm(pose, build, local, neck, up, side, front_order)
    return [Part(local.to_world(p.points), p.paint, p.order) for p in parts]


def _hip_height(pose, build) -> float:
    if pose.seat is not None:
        return pose.seat
    drops = []
    for thigh, shin in pose.legs:
        drop = direction(thigh)[1] + direction(thigh - shin)[1]
        drops.append(drop * build["leg"])
    return max(drops) + 0.35 * build["width"]


def _leg(pose, build, local, hip, side, order, kind):
    length, width = build["leg"], build["width"]
    spread = (0.27 if pose.front else 0.05) * build["body"] * (1 if side else -1)
    start = hip + (spread, 0)
    thigh, shin = pose.legs[side]
    if pose.feet[side] is not None:
        target = local.to_local(pose.feet[side])
        knee, foot = bend(start, target, length, length, side=1)
    elif pose.front and pose.seat is not None:  # thighs point towards the viewer
        knee = start + (0.25 * spread, 0.3 * length)
        foot = knee + (0.0, max(pose.seat - 0.3 * length, 0.5 * length))
        foot[1] = min(foot[1], 0.0)
    else:
        sign = np.sign(spread) if pose.front else 1
        knee = start + length * direction(thigh * sign)
        foot = knee + length * direction((thigh - shin) * sign)
    toe = foot + ((0.9 * width, 0) if not pose.front else (0.25 * spread, 0.2 * width))
    bare = "skin" if kind % 2 else "trousers"
    return [
        Part(capsule(knee, foot, 0.9 * width, 0.72 * width), bare, order),
        Part(capsule(start, knee, 1.25 * width, width), "trousers", order),
        Part(capsule(foot, toe, 0.8 * width, 0.7 * width), "shoe", order),
    ]


def _torso(pose, build, hip, neck, thing):
    wide = build["body"] * (1.0 if pose.front else 0.74)
    body = capsule(neck + (0, 0.3 * wide), hip, wide, 0.86 * wide)
    parts = [Part(body, "shirt", 0.1)]
    if thing.category == "adult" and thing.style["kind"] == 2 and pose.seat is None:
        hem = hip + (0, 0.75 * build["leg"])  # a skirt
        outline = [
            hip + (-0.42 * wide, -2),
            hip + (0.42 * wide, -2),
            hem + (0.72 * wide, 0),
            hem + (-0.72 * wide, 0),
        ]
        parts.append(Part(np.array(outline), "trousers", 0.09))
    else:
        belt = capsule(hip - (0.2 * wide, 0), hip + (0.2 * wide, 0), 0.6 * wide)
        parts.append(Part(belt, "trousers", 0.11))
    return parts


def _head(pose, build, skull, thing):
    r = build["head"]
    long_hair = thing.style["kind"] in (1, 2)
    child_hat = thing.category == "child" and thing.style["kind"] > 1

    def at(x, y):
        return skull + turned([(x * r, y * r)], pose.head)[0]

    parts = []
    if pose.front:
        if long_hair:
            parts.append(Part(ellipse(at(0, 0.25), 1.2 * r, 1.3 * r), "hair", 0.12))
        parts.append(Part(ellipse(skull, r, 1.06 * r), "skin", 0.14))
        cap = turned(_cap(1.08 * r, 196, 344), pose.head) + skull
        for x in (-0.4, 0.4):
            parts.append(Part(ellipse(at(x, 0.12), 0.17 * r, 0.2 * r), "eye", 0.16))
        mouth = capsule(at(-0.28, 0.58), at(0.28, 0.58), 0.14 * r)
        parts.append(Part(mouth, "eye", 0.16))
    else:
        if long_hair:
            tail = capsule(at(-0.6, 0.2), at(-0.75, 1.25), 0.9 * r, 0.5 * r)
            parts.append(Part(tail, "hair", 0.12))
        nose = capsule(at(0.8, 0.1), at(1.22, 0.22), 0.5 * r, 0.3 * r)
        parts.append(Part(nose, "skin", 0.13))
        parts.append(Part(ellipse(skull, r, 1.06 * r), "skin", 0.14))
        cap = turned(_cap(1.08 * r, 95, 325), pose.head) + skull
        parts.append(Part(ellipse(at(0.52, -0.05), 0.17 * r, 0.22 * r), "eye", 0.16))
    parts.append(Part(cap, "hat" if child_hat else "hair", 0.15))
    if child_hat:
        if pose.front:
            brim = capsule(at(-0.95, -0.3), at(0.95, -0.3), 0.24 * r)
        else:
            brim = capsule(at(0.3, -0.5), at(1.6, -0.42), 0.3 * r, 0.22 * r)
        parts.append(Part(brim, "hat", 0.17))
    return parts


def _cap(r: float, start: float, stop: float) -> np.ndarray:
    """Return a circular segment between two directions (degrees), for hair or a hat."""
    a = np.deg2rad(np.linspace(start, stop, 14))
    return np.stack([r * np.cos(a), r * np.sin(a)], axis=1)


def _arm(pose, build, local, neck, up, side, order):
    length, width = build["arm"], 0.8 * build["width"]
    spread = (0.46 if pose.front else 0.04) * build["body"] * (1 if side else -1)
    start = neck - up * 0.3 * build["width"] + (spread, 0.35 * build["width"])
    upper, fore = pose.arms[side]
    if pose.hands[side] is not None:
        target = local.to_local(pose.hands[side])
        elbow, hand = bend(start, target, length, length, side=-1)
    else:
        sign = np.sign(spread) if pose.front else 1
        elbow = start + length * direction(upper * sign)
        hand = elbow + length * direction((upper + fore) * sign)
    return [
        Part(capsule(elbow, hand, 0.95 * width, 0.8 * width), "skin", order),
        Part(ellipse(hand, 0.58 * width), "skin", order + 0.002),
        Part(capsule(start, elbow, 1.15 * width, width), "shirt", order + 0.004),
    ]


def shoulder(thing: Thing) -> np.ndarray:
    """Return the position of the shoulders in world units."""
    pose, h = thing.pose, thing.size
    build = {k: v * h for k, v in _BUILD[thing.category].items()}
    lean = np.deg2rad(pose.lean)
    hip = _hip_height(pose, build)
    x = build["torso"] * np.sin(lean)
    y = hip + build["torso"] * np.cos(lean) - 0.5 * build["width"]
    return np.array([thing.x + thing.facing * x, thing.y - thing.z - y])


def reach(thing: Thing) -> float:
    """Return the length of an arm in world units."""
    return 2 * _BUILD[thing.category]["arm"] * thing.size
