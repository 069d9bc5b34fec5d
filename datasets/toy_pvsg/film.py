"""One video of the drawn world: all that happens, as a function of three numbers."""

from dataclasses import dataclass

import numpy as np

from . import annotate, casting, looks
from .background import Background, Camera, Light
from .scene import HEIGHT, World

SUPERSAMPLING = 2  # outlines are drawn so many times finer, then averaged
SPLITS = ("train", "val")
FPS = 5


@dataclass
class Film:
    """What a video shows, before it is drawn.

    Objects are numbered from 1: the stuff regions first, then the things.
    """

    width: int  # pixels
    height: int
    stuff: list[str]  # annotated regions, objects 1..len(stuff)
    background: Background
    things: list
    paints: list[dict]  # of each thing
    frames: list[list]  # outlines (index of thing, Part) of each frame, far ones first
    shadows: list[list]  # (x, y, width) of each frame
    camera: Camera
    light: Light
    record: dict  # objects, relations, captions, qa_pairs and summary as in pvsg.json

    @property
    def scale(self) -> float:
        """Pixels a world unit."""
        return self.height / HEIGHT


def make(
    seed: int, split: str, index: int, size: tuple[int, int], num_frames: int
) -> Film:
    """Plays one video. size = (width, height) in pixels, both even."""
    rng = np.random.default_rng([seed, SPLITS.index(split), index])
    width, height = size
    world = World(rng, HEIGHT * width / height)
    casting.cast(world)
    for _ in range(int(rng.integers(8))):  # so that not all stories start at frame 0
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
