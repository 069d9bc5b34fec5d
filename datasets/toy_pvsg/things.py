"""The state of a drawn thing, and the looks it was born with."""

from dataclasses import dataclass, field, replace

import numpy as np

from . import looks


@dataclass(frozen=True)
class Pose:
    """How a living thing holds itself in a frame. Degrees, forward positive."""

    front: bool = True  # faces the viewer; else in profile, towards `facing`
    lean: float = 0.0  # of the upper body, forward
    head: float = 0.0  # of the head, downward
    seat: float | None = None  # height of the hips over the ground when seated
    legs: tuple = ((4.0, 0.0), (4.0, 0.0))  # thigh and shin of the near and the far leg
    arms: tuple = ((8.0, 4.0), (8.0, 4.0))  # upper and fore arm, near and far
    hands: tuple = (None, None)  # world points the hands reach for
    feet: tuple = (None, None)  # world points the feet rest on
    pitch: float = 0.0  # animals: how far the chest is raised
    crouch: float = 0.0  # animals: 1 lies on the ground
    swing: float = 0.0  # animals: phase of the step, radians
    paw: tuple | None = None  # animals: world point the front paw reaches for
    tail: float = 0.0  # animals

    def but(self, **changes) -> "Pose":
        return replace(self, **changes)


@dataclass
class Thing:
    """One thing of a scene. (x, y) is where it stands on the ground, z its height."""

    category: str
    size: float  # world units: height of people, length of animals, width of goods
    style: dict
    x: float = 0.0
    y: float = 200.0
    z: float = 0.0
    layer: float = 0.0  # added to y for the order of drawing; one lane is 2 deep
    facing: int = 1
    angle: float = 0.0  # of balls and wheels, degrees
    pose: Pose = field(default_factory=Pose)
    speed: tuple | None = None  # (x, z) units a frame while it flies or rolls
    free: bool = True  # nobody holds it
    stride: float = 0.0  # distance walked, for the gait
    still: int = 0  # frames it has not moved
    half: float = 0.0  # half of its width, for who stands beside whom

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
HALF = {  # of the width, as a share of the size
    "adult": 0.16,
    "child": 0.2,
    "dog": 0.5,
    "cat": 0.5,
}


def create(rng: np.random.Generator, category: str) -> Thing:
    """A thing of a class, with its size and looks drawn at random."""
    low, high = SIZES[category]
    size = float(rng.uniform(low, high))
    style = {"paints": looks.paints(rng, category), "kind": int(rng.integers(6))}
    thing = Thing(category, size, style)
    thing.half = HALF.get(category, 0.5) * size
    return thing
