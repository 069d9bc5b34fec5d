"""Outlines, the polygons that every thing is drawn from.

All coordinates are world units (x right, y down; a picture is 256 units high at any
resolution). Outlines are float arrays [n, 2].
"""

from typing import NamedTuple

import numpy as np


class Part(NamedTuple):
    """One filled outline of a thing."""

    points: np.ndarray  # [n, 2] world units
    paint: str  # key into the paints of the thing
    order: float = 0.0  # in [0, 1): higher is in front, at equal depth


def direction(degrees: float) -> np.ndarray:
    """Return a unit vector: down at 0 degrees, forward (+x) at 90."""
    a = np.deg2rad(degrees)
    return np.array([np.sin(a), np.cos(a)])


def turned(points: np.ndarray, degrees: float) -> np.ndarray:
    """Rotate an outline about the origin; positive is clockwise in the picture."""
    a = np.deg2rad(degrees)
    c, s = np.cos(a), np.sin(a)
    return np.asarray(points, float) @ np.array([[c, s], [-s, c]])


def _circle(n: int) -> np.ndarray:
    a = np.arange(n) * (2 * np.pi / n)
    return np.stack([np.cos(a), np.sin(a)], axis=1)


_CIRCLE = _circle(20)
_HALF = np.linspace(-np.pi / 2, np.pi / 2, 6)


def ellipse(centre, rx: float, ry: float | None = None) -> np.ndarray:
    """Return an ellipse with semi-axes rx, ry (a circle without ry)."""
    return _CIRCLE * (rx, rx if ry is None else ry) + np.asarray(centre, float)


def capsule(p, q, width_p: float, width_q: float | None = None) -> np.ndarray:
    """Return a limb: a bar with round ends from p to q and a width at each end."""
    p, q = np.asarray(p, float), np.asarray(q, float)
    rp, rq = width_p / 2, (width_p if width_q is None else width_q) / 2
    along = q - p
    length = float(np.hypot(*along))
    u = along / length if length > 1e-6 else np.array([1.0, 0.0])
    v = np.array([-u[1], u[0]])
    c, s = np.cos(_HALF)[:, None], np.sin(_HALF)[:, None]
    far = q + rq * (c * u + s * v)
    near = p + rp * (-c * u - s * v)
    return np.concatenate([far, near])


def rectangle(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], float)


def bend(start, target, first: float, second: float, side: float = 1.0):
    """Return joint and end of a two-segment limb that reaches for a target.

    side +1 puts the joint left of the line from start to target, -1 right of it.
    For a target out of reach the limb points at it, almost stretched.
    """
    start, target = np.asarray(start, float), np.asarray(target, float)
    along = target - start
    distance = float(np.hypot(*along))
    u = along / distance if distance > 1e-6 else np.array([0.0, 1.0])
    d = min(max(distance, abs(first - second) + 0.05), 0.995 * (first + second))
    a = (first**2 - second**2 + d**2) / (2 * d)
    height = np.sqrt(max(first**2 - a**2, 0.0))
    joint = start + a * u + side * height * np.array([u[1], -u[0]])
    return joint, start + d * u
