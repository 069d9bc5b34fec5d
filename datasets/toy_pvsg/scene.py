"""The simulated world: positions of things, physics, and relations per frame."""

import numpy as np

from . import animals, goods, people
from .things import Thing

HEIGHT = 256.0  # height of every picture in world units
_GRAVITY = 5.0  # world units per frame^2

_OUTLINES = {
    "adult": people.person,
    "child": people.person,
    "dog": animals.animal,
    "cat": animals.animal,
    "ball": goods.ball,
    "cup": goods.cup,
    "bike": goods.bike,
    "cart": goods.cart,
    "sofa": goods.sofa,
}


def outlines(thing: Thing) -> list:
    """Return the outlines of a thing at its current position and pose."""
    return _OUTLINES[thing.category](thing)


class World:
    """A world of `width` x 256 units with things in it.

    Stories are generators that move things and call `relate`; each `next` advances one
    frame. relations: {(subject, object, predicate): frames}, things by index.
    """

    def __init__(self, rng: np.random.Generator, width: float):
        self.rng = rng
        self.width = width
        self.frame = 0
        self.things: list[Thing] = []
        self.stories: list = []
        self.relations: dict[tuple[int, int, str], set[int]] = {}
        self.margin = 24.0

    def add(self, thing: Thing) -> Thing:
        self.things.append(thing)
        return thing

    def index(self, thing: Thing) -> int:
        return next(i for i, other in enumerate(self.things) if other is thing)

    def relate(self, subject: Thing, target: Thing, predicate: str) -> None:
        """Record that a relation holds in the current frame."""
        key = (self.index(subject), self.index(target), predicate)
        self.relations.setdefault(key, set()).add(self.frame)

    def inside(self, x: float, half: float = 0.0) -> float:
        """Return the x nearest to the given one where a thing this wide fits."""
        margin = min(max(self.margin, 0.9 * half), 0.4 * self.width)
        return float(min(max(x, margin), self.width - margin))

    def chance(self, probability: float) -> bool:
        """Return True with the given probability."""
        return bool(self.rng.random() < probability)

    def randint(self, low: int, high: int) -> int:
        """Sample an integer from low to high, both included."""
        return int(self.rng.integers(low, high + 1))

    def pick(self, weighted: dict):
        """Sample one key of {key: weight}."""
        names = list(weighted)
        weights = np.array([weighted[n] for n in names], float)
        return names[int(self.rng.choice(len(names), p=weights / weights.sum()))]

    def step(self) -> None:
        """Advance one frame: stories, then flying and rolling, then rest counters."""
        before = [(t.x, t.z) for t in self.things]
        for story in self.stories:
            next(story)
        for thing in self.things:
            if thing.speed is not None and thing.free:
                self._roll(thing)
        for thing, (x, z) in zip(self.things, before, strict=True):
            moved = abs(thing.x - x) + abs(thing.z - z)
            thing.still = thing.still + 1 if moved < 0.7 else 0

    def _roll(self, thing: Thing) -> None:
        vx, vz = thing.speed
        thing.x += vx
        thing.z += vz
        thing.angle += vx * 2 * thing.facing / thing.size * 57.3
        in_air = thing.z > 0.5 or vz > 0
        vz = vz - _GRAVITY if in_air else 0.0
        if thing.z < 0:
            thing.z, vz = 0.0, (-0.5 * vz if vz < -6 else 0.0)
        vx *= 0.96 if in_air else 0.8
        if not self.margin < thing.x < self.width - self.margin:
            outwards = vx * (thing.x - self.width / 2) > 0
            vx = -0.6 * vx if outwards else vx
        resting = abs(vx) < 0.8 and not in_air
        thing.speed = None if resting else (vx, vz)

    def draw_list(self) -> list:
        """Return (index of thing, Part) of the current frame, back to front."""
        parts = []
        for i, thing in enumerate(self.things):
            for part in outlines(thing):
                parts.append((thing.y + thing.layer + part.order, i, part))
        parts.sort(key=lambda entry: entry[0])
        return [(i, part) for _, i, part in parts]
