"""State and appearance of a thing."""

from dataclasses import dataclass, field, replace

import numpy as np

from . import looks


@dataclass(frozen=True)
class Pose:
    """Pose of a person or animal in a frame. Angles in degrees, forward positive."""

    front: bool = True  # faces the viewer; else profile, towards `facing`
    lean: float = 0.0  # angle of the upper body, forward
    head: float = 0.0  # angle of the head, downward
    seat: float | None = None  # height of the hips above the ground if seated
    legs: tuple = ((4.0, 0.0), (4.0, 0.0))  # (thigh, shin) of the near, far leg
    arms: tuple = ((8.0, 4.0), (8.0, 4.0))  # (upper arm, forearm) near, far
    hands: tuple = (None, None)  # world points the hands reach for
    feet: tuple = (None, None)  # world points the feet rest on
    pitch: float = 0.0  # animals: angle by which the chest is raised
    crouch: float = 0.0  # animals: 1 = lying on the ground
    swing: float = 0.0  # animals: phase of the step, radians
    paw: tuple | None = None  # animals: world point the front paw reaches for
    tail: float = 0.0  # animals: angle of the tail

    def but(self, **changes) -> "Pose":
        return replace(self, **changes)


@dataclass
class Thing:
    """One thing of a scene. (x, y): point of ground contact; z: height above it."""

    category: str
    size: float  # world units: height of people, length of animals, width of others
    style: dict
    x: float = 0.0
    y: float = 200.0
    z: float = 0.0
    layer: float = 0.0  # added to y for the drawing order
    facing: int = 1
    angle: float = 0.0  # rotation of balls and wheels, degrees
    pose: Pose = field(default_factory=Pose)
    speed: tuple | None = None  # (x, z) units per frame while flying or rolling
    free: bool = True  # not held by anyone
    stride: float = 0.0  # distance walked, determines the gait
    still: int = 0  # frames since it last moved
    half: float = 0.0  # half of the width

    @property
    def alive(self) -> bool:
        return self.category in ALIVE

    @property
    def person(self) -> bool:
        return self.category in PEOPLE


PEOPLE = ("adult", "child")
ANIMALS = ("dog", "cat")
ALIVE = PEOPLE + ANIMALS
SIZES = {  # world units
    "adult": (94, 126),
    "child": (60, 78),
    "dog": (48, 60),
    "cat": (38, 48),
    "ball": (18, 25),
    "cup": (18, 22),
    "bike": (78, 90),
    "cart": (62, 78),
    "sofa": (80, 92),
}
HALF = {  # half of the width as a share of the size; others 0.5
    "adult": 0.16,
    "child": 0.2,
    "dog": 0.5,
    "cat": 0.5,
}


def create(rng: np.random.Generator, category: str) -> Thing:
    """Create a thing of a class with random size and appearance."""
    low, high = SIZES[category]
    size = float(rng.uniform(low, high))
    style = {"paints": looks.paints(rng, category), "kind": int(rng.integers(6))}
    thing = Thing(category, size, style)
    thing.half = HALF.get(category, 0.5) * size
    return thing
