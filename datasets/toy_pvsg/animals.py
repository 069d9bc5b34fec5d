"""Outlines of dogs and cats."""

import numpy as np

from .people import LocalCoordinates
from .shapes import Part, bend, capsule, direction, ellipse, turned
from .things import Thing


def animal(thing: Thing) -> list[Part]:
    """Return the outlines of a dog or a cat in its current pose."""
    pose, size = thing.pose, thing.size
    dog = thing.category == "dog"
    local = LocalCoordinates(thing)
    local.sign = thing.facing
    leg = (0.34 if dog else 0.26) * size * (1 - 0.75 * pose.crouch)
    thick = (0.27 if dog else 0.25) * size
    rump = np.array([-0.24 * size, -leg - 0.3 * thick])
    if pose.pitch > 0:  # sitting: the rump sinks and the chest rises
        rump[1] *= 1 - 0.55 * min(pose.pitch / 45, 1)
    chest = rump + 0.46 * size * np.array(
        [np.cos(np.deg2rad(pose.pitch)), -np.sin(np.deg2rad(pose.pitch))]
    )
    parts = _tail(pose, size, rump, dog)
    width = (0.105 if dog else 0.09) * size
    for k, (joint, order) in enumerate(((rump, 0.03), (chest, 0.03))):
        parts += _legs(pose, size, local, joint, width, k == 1, order)
    trunk = capsule(rump, chest, 0.92 * thick, 1.06 * thick)
    parts.append(Part(trunk, "coat", 0.1))
    parts += _head(pose, size, chest, dog)
    return [Part(local.to_world(p.points), p.paint, p.order) for p in parts]


def _tail(pose, size, rump, dog):
    root = rump + (-0.1 * size, -0.04 * size)
    if dog:
        tip = root + 0.24 * size * direction(-150 + pose.tail)
        return [Part(capsule(root, tip, 0.1 * size, 0.05 * size), "ear", 0.02)]
    middle = root + 0.2 * size * direction(-120 + 0.4 * pose.tail)
    tip = middle + 0.24 * size * direction(-195 + pose.tail)
    return [
        Part(capsule(root, middle, 0.075 * size), "coat", 0.02),
        Part(capsule(middle, tip, 0.075 * size, 0.06 * size), "ear", 0.02),
    ]


def _legs(pose, size, local, joint, width, front, order):
    parts = []
    for far in (True, False):
        start = joint + ((0.04 if far else -0.03) * size, 0.05 * size)
        phase = pose.swing + (np.pi if far else 0) + (0.9 * np.pi if front else 0)
        foot = np.array([start[0] + 0.17 * size * np.sin(phase), 0.0])
        foot[1] = -0.05 * size * max(np.cos(phase), 0) if pose.swing else 0.0
        if front and pose.pitch > 50:  # rearing up: the front paws hang
            foot = start + (0.16 * size, 0.14 * size)
        if front and not far and pose.paw is not None:
            reach = 0.2 * size
            _, foot = bend(start, local.to_local(pose.paw), reach, reach)
        elif pose.crouch > 0.6:
            foot = np.array([start[0] + 0.16 * size, -0.03 * size])
        place = order if far else 0.12
        shade = "ear" if far else "coat"
        parts.append(Part(capsule(start, foot, 1.3 * width, width), shade, place))
        toe = foot + (0.05 * size, -0.2 * width)
        parts.append(Part(ellipse(toe, 0.7 * width, 0.5 * width), "snout", place))
    return parts


def _head(pose, size, chest, dog):
    r = (0.145 if dog else 0.16) * size
    up = np.deg2rad(pose.pitch * 0.4)
    centre = chest + size * np.array([0.15 * np.cos(up), -0.2 - 0.1 * np.sin(up)])
    if pose.crouch > 0.6:
        centre = chest + (0.2 * size, -0.06 * size)

    def at(x, y):
        return centre + turned([(x * r, y * r)], pose.head)[0]

    parts = [Part(capsule(chest, centre, 1.25 * r, 1.05 * r), "coat", 0.2)]
    parts.append(Part(capsule(*_neck(chest, centre, r), 0.36 * r), "collar", 0.21))
    if pose.front:  # facing the viewer: two ears, two eyes
        for side in (-1, 1):
            parts.append(Part(_ear(at, side, dog, True), "ear", 0.215 if dog else 0.2))
        parts.append(Part(ellipse(centre, 1.05 * r, r), "head", 0.22))
        parts.append(Part(ellipse(at(0, 0.45), 0.5 * r, 0.4 * r), "snout", 0.23))
        parts.append(Part(ellipse(at(0, 0.3), 0.2 * r, 0.15 * r), "eye", 0.24))
        eyes = ((-0.42, -0.15), (0.42, -0.15))
    else:
        if dog:
            snout = capsule(at(0.4, 0.2), at(1.55, 0.32), 1.0 * r, 0.66 * r)
            nose = ellipse(at(1.78, 0.16), 0.24 * r)
        else:
            snout = capsule(at(0.5, 0.25), at(0.95, 0.32), 0.8 * r, 0.55 * r)
            nose = ellipse(at(1.2, 0.18), 0.15 * r)
        parts.append(Part(ellipse(centre, r), "head", 0.22))
        parts.append(Part(snout, "snout", 0.23))
        parts.append(Part(nose, "eye", 0.24))
        parts.append(Part(_ear(at, -1, dog, False), "ear", 0.24))
        eyes = ((0.4, -0.22),)
    for eye in eyes:
        parts.append(Part(ellipse(at(*eye), 0.17 * r), "eye", 0.25))
    return parts


def _neck(chest, centre, r):
    middle = 0.45 * chest + 0.55 * centre
    across = centre - chest
    across = np.array([-across[1], across[0]]) / max(np.hypot(*across), 1e-6)
    return middle - 0.55 * r * across, middle + 0.55 * r * across


def _ear(at, side, dog, front):
    if dog:
        x = 0.85 * side if front else -0.35
        return capsule(at(x, -0.55), at(x + 0.25 * side, 0.6), 0.55 * 8, 0.5 * 8)
    if front:
        corners = ((0.2, -0.75), (0.95, -0.45), (0.85, -1.7))
        return np.array([at(side * x, y) for x, y in corners])
    return np.array([at(-0.75, -0.6), at(0.15, -0.85), at(-0.35, -1.75)])


def mouth(thing: Thing) -> np.ndarray:
    """Return the tip of the snout in world units, for a standing animal in profile."""
    size, dog = thing.size, thing.category == "dog"
    leg = (0.34 if dog else 0.26) * size * (1 - 0.75 * thing.pose.crouch)
    thick = (0.27 if dog else 0.25) * size
    x = 0.22 + 0.15 + (0.24 if dog else 0.18)
    y = leg + 0.3 * thick + (0.16 if dog else 0.15) * size
    return np.array([thing.x + thing.facing * x * size, thing.y - thing.z - y])
