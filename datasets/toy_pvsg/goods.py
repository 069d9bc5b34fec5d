"""Outlines of balls, cups, bikes, carts and sofas."""

import numpy as np

from .shapes import Part, capsule, direction, ellipse, rectangle, turned
from .things import Thing


def _place(thing: Thing, parts: list[Part]) -> list[Part]:
    origin = np.array([thing.x, thing.y - thing.z])
    flip = (thing.facing, 1)
    return [Part(p.points * flip + origin, p.paint, p.order) for p in parts]


def ball(thing: Thing) -> list[Part]:
    r = thing.size / 2
    centre = np.array([0.0, -r])
    parts = [Part(ellipse(centre, r), "ball")]
    kind = thing.style["kind"] % 3
    if kind == 0:  # sectors of a beach ball
        for k in range(3):
            a = np.deg2rad(thing.angle + 120 * k + np.linspace(0, 60, 6))
            rim = np.stack([np.cos(a), np.sin(a)], axis=1) * r * 0.97
            parts.append(Part(np.vstack([[(0, 0)], rim]) + centre, "panel", 0.01))
    elif kind == 1:  # a belt
        u = 0.93 * r * direction(thing.angle)
        parts.append(Part(capsule(centre - u, centre + u, 0.62 * r), "panel", 0.01))
    else:  # spots of a football
        for k in range(4):
            at = centre + (0.0 if k == 3 else 0.62 * r) * direction(
                thing.angle + 120 * k
            )
            parts.append(Part(ellipse(at, 0.28 * r), "panel", 0.01))
    return _place(thing, parts)


def cup(thing: Thing) -> list[Part]:
    w, h = thing.size * 0.82, thing.size * 1.08
    handle = ellipse((0.5 * w, -0.5 * h), 0.3 * w, 0.3 * h)
    hole = ellipse((0.5 * w, -0.5 * h), 0.14 * w, 0.16 * h)
    ring = np.vstack([handle, handle[:1], hole[::-1], hole[-1:]])
    body = np.array(
        [(-0.5 * w, -h), (0.5 * w, -h), (0.4 * w, 0.0), (-0.4 * w, 0.0)], float
    )
    return _place(
        thing,
        [
            Part(ring, "rim", 0.0),
            Part(body, "cup", 0.01),
            Part(ellipse((0, -h), 0.5 * w, 0.13 * h), "rim", 0.02),
            Part(ellipse((0, -h), 0.4 * w, 0.08 * h), "drink", 0.03),
        ],
    )


def bike_points(thing: Thing) -> dict:
    """Return saddle, handlebar and pedal axle in world units, and the crank length."""
    s = thing.size
    local = {
        "saddle": (-0.13 * s, -0.52 * s),
        "bar": (0.25 * s, -0.56 * s),
        "axle": (-0.02 * s, -0.2 * s),
    }
    flip, origin = (thing.facing, 1), (thing.x, thing.y - thing.z)
    points = {k: np.array(v) * flip + origin for k, v in local.items()}
    return {**points, "crank": 0.08 * s}


def bike(thing: Thing) -> list[Part]:
    s = thing.size
    r = 0.2 * s
    rear, front = np.array([-0.3 * s, -r]), np.array([0.3 * s, -r])
    parts = []
    for hub in (rear, front):
        parts.append(Part(ellipse(hub, r), "tyre", 0.0))
        parts.append(Part(ellipse(hub, 0.76 * r), "wheel", 0.01))
        for k in range(3):
            u = 0.74 * r * direction(thing.angle + 60 * k)
            parts.append(Part(capsule(hub - u, hub + u, 0.09 * r), "spoke", 0.02))
    axle = np.array([-0.02 * s, -r])
    seat = np.array([-0.12 * s, -0.48 * s])
    head = np.array([0.21 * s, -0.46 * s])
    bars = ((rear, axle), (axle, seat), (axle, head), (seat, head), (rear, seat))
    for p, q in (*bars, (front, head)):
        parts.append(Part(capsule(p, q, 0.05 * s), "frame", 0.03))
    grip = np.array([0.25 * s, -0.56 * s])
    parts.append(Part(capsule(head, grip, 0.045 * s), "frame", 0.03))
    parts.append(Part(capsule(grip, grip + (-0.07 * s, 0), 0.05 * s), "saddle", 0.04))
    saddle = capsule(
        seat + (-0.07 * s, -0.02 * s), seat + (0.08 * s, -0.02 * s), 0.06 * s
    )
    parts.append(Part(saddle, "saddle", 0.04))
    crank = 0.08 * s * direction(thing.angle)
    parts.append(Part(capsule(axle - crank, axle + crank, 0.035 * s), "spoke", 0.045))
    return _place(thing, parts)


def cart_points(thing: Thing) -> dict:
    """Return the position of the handle and the height of the bed, in world units."""
    s = thing.size
    flip, origin = (thing.facing, 1), (thing.x, thing.y - thing.z)
    handle = np.array((-0.6 * s, -0.78 * s)) * flip + origin
    return {"handle": handle, "bed": 0.3 * s}


def cart(thing: Thing) -> list[Part]:
    """A shopping cart; `facing` is the push direction, the handle is at the back."""
    s = thing.size
    parts = [
        Part(
            np.array(
                [
                    (-0.45 * s, -0.7 * s),
                    (0.5 * s, -0.62 * s),
                    (0.38 * s, -0.3 * s),
                    (-0.36 * s, -0.3 * s),
                ]
            ),
            "inside",
            0.0,
        ),
        Part(
            np.array(
                [
                    (-0.44 * s, -0.62 * s),
                    (0.48 * s, -0.54 * s),
                    (0.37 * s, -0.22 * s),
                    (-0.34 * s, -0.22 * s),
                ]
            ),
            "basket",
            0.9,
        ),
        Part(
            capsule((-0.42 * s, -0.66 * s), (-0.6 * s, -0.78 * s), 0.06 * s), "bar", 0.0
        ),
        Part(
            capsule((-0.36 * s, -0.24 * s), (-0.3 * s, -0.1 * s), 0.05 * s), "bar", 0.0
        ),
        Part(capsule((0.34 * s, -0.24 * s), (0.3 * s, -0.1 * s), 0.05 * s), "bar", 0.0),
        Part(
            capsule((-0.3 * s, -0.14 * s), (0.3 * s, -0.14 * s), 0.045 * s), "bar", 0.0
        ),
    ]
    for x in (-0.28 * s, 0.28 * s):
        hub = np.array([x, -0.1 * s])
        parts.append(Part(ellipse(hub, 0.1 * s), "tyre", 0.91))
        spoke = 0.06 * s * direction(thing.angle)
        parts.append(Part(capsule(hub - spoke, hub + spoke, 0.05 * s), "hub", 0.92))
    return _place(thing, parts)


def sofa_points(thing: Thing) -> dict:
    """Return the height of the seat above the ground, in world units."""
    return {"seat": 0.25 * thing.size}


def sofa(thing: Thing) -> list[Part]:
    s = thing.size
    parts = [
        Part(rectangle(-0.42 * s, -0.08 * s, -0.34 * s, 0), "leg", 0.0),
        Part(rectangle(0.34 * s, -0.08 * s, 0.42 * s, 0), "leg", 0.0),
        Part(
            capsule((-0.33 * s, -0.42 * s), (0.33 * s, -0.42 * s), 0.3 * s),
            "back",
            0.01,
        ),
        Part(rectangle(-0.45 * s, -0.42 * s, 0.45 * s, -0.2 * s), "back", 0.01),
        Part(
            capsule((-0.38 * s, -0.19 * s), (0.38 * s, -0.19 * s), 0.17 * s),
            "seat",
            0.02,
        ),
        Part(rectangle(-0.42 * s, -0.17 * s, 0.42 * s, -0.06 * s), "seat", 0.02),
        Part(
            capsule((-0.43 * s, -0.3 * s), (-0.43 * s, -0.12 * s), 0.14 * s),
            "arm",
            0.03,
        ),
        Part(
            capsule((0.43 * s, -0.3 * s), (0.43 * s, -0.12 * s), 0.14 * s), "arm", 0.03
        ),
    ]
    if thing.style["kind"] % 2:
        cushion = turned(rectangle(-0.08 * s, -0.08 * s, 0.08 * s, 0.08 * s), 20)
        parts.append(Part(cushion + (0.26 * s, -0.32 * s), "cushion", 0.025))
    return _place(thing, parts)
