"""Simulate one video as a deterministic function of (seed, split, index)."""

from dataclasses import dataclass

import numpy as np

from . import annotate, casting, looks
from .background import Background, Camera, Light
from .scene import HEIGHT, World

SUPERSAMPLING = 2  # pictures are drawn at this multiple of the size and averaged
SPLITS = ("train", "val")
FPS = 5


@dataclass
class Film:
    """The content of a video before rendering.

    object_ids start at 1: the annotated stuff regions first, then the things.
    """

    width: int  # pixels
    height: int
    stuff: list[str]  # classes of the annotated regions, object_ids 1..len(stuff)
    background: Background
    things: list
    paints: list[dict]  # of each thing: {paint: tile}
    frames: list[list]  # of each frame: (index of thing, Part), back to front
    shadows: list[list]  # of each frame: (x, y, half width) of every thing
    camera: Camera
    light: Light
    record: dict  # objects, relations, captions, qa_pairs, summary as in pvsg.json

    @property
    def scale(self) -> float:
        """Pixels per world unit."""
        return self.height / HEIGHT


def make(
    seed: int, split: str, index: int, size: tuple[int, int], num_frames: int
) -> Film:
    """Simulate one video. size = (width, height) in pixels, both even."""
    rng = np.random.default_rng([seed, SPLITS.index(split), index])
    width, height = size
    world = World(rng, HEIGHT * width / height)
    casting.cast(world)
    for _ in range(int(rng.integers(8))):  # warm-up: stories differ in phase
        world.step()
    world.relations.clear()
    frames, shadows = [], []
    closeness = annotate.Closeness(world)
    for frame in range(num_frames):
        world.frame = frame
        world.step()
        closeness.observe()
        frames.append(world.draw_list())
        shadows.append([(t.x, t.y, t.half) for t in world.things])
    closeness.finish()
    background = Background.draw(rng, world.width, height / HEIGHT)
    record = annotate.record(world, background)
    annotate.with_ground(world, closeness, background, record)
    paints = [
        looks.tiles(rng, t.style["paints"], SUPERSAMPLING * height / HEIGHT)
        for t in world.things
    ]
    return Film(
        width, height, background.names, background, world.things, paints, frames,
        shadows, Camera.draw(rng, world.width, num_frames), Light.draw(rng, num_frames),
        record,
    )  # fmt: skip
