"""A synthetic clip: moving shapes, and a script of their relations."""

import math

import numpy as np
from PIL import Image, ImageDraw

WIDTH, HEIGHT, FRAMES = 320, 180, 24

# SHAPES: name -> colour, radius, centre at frame t. SCRIPT: subject, object, predicate,
# first and last frame, confidence.
SHAPES = {
    "adult": ((214, 96, 77), 24, lambda t: (60 + 6 * t, 80 + 8 * math.sin(t / 3))),
    "cup": ((255, 221, 110), 10, lambda t: (90 + 6 * t, 84 + 8 * math.sin(t / 3))),
    "table": ((120, 87, 60), 30, lambda t: (160, 142)),
    "dog": ((90, 104, 158), 18, lambda t: (282 - 5 * t, 40)),
    "ball": ((84, 170, 110), 9, lambda t: (250 - 5 * t, 44)),
}
SCRIPT = (
    ("adult", "cup", "holding", 0, 17, 0.92),
    ("adult", "table", "next to", 8, 20, 0.55),
    ("dog", "ball", "chasing", 2, 21, 0.81),
    ("dog", "table", "looking at", 5, 9, 0.31),
)


def draw(t: int) -> np.ndarray:
    """Return a frame of the clip, uint8 [H, W, 3]."""
    image = Image.new("RGB", (WIDTH, HEIGHT), (196, 205, 210))
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 120, WIDTH, HEIGHT), fill=(150, 160, 140))
    for colour, radius, place in SHAPES.values():
        x, y = place(t)
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    return np.asarray(image)


def shape_mask(name: str, t: int) -> np.ndarray:
    """Return the mask of a shape, bool [H, W]."""
    _, radius, centre = SHAPES[name]
    x, y = centre(t)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return (columns - x) ** 2 + (rows - y) ** 2 <= radius**2


def shape_at(x: float, y: float, t: int) -> str:
    """Return the shape at a point, or the nearest one."""

    def distance(name):
        cx, cy = SHAPES[name][2](t)
        return math.hypot(x - cx, y - cy) - SHAPES[name][1]

    return min(SHAPES, key=distance)
