"""The background of a video (stuff regions), its camera and its lighting."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from . import textures
from .scene import HEIGHT

MARGIN = 64.0  # world units drawn beyond each side, for a moving camera

# Weight, regions from top to bottom, and the y range of each boundary (world units).
_SETTINGS = (
    (3, ("wall", "floor"), ((112, 150),)),
    (2, ("sky", "grass"), ((84, 140),)),
    (2, ("sky", "water", "grass"), ((58, 92), (120, 150))),
    (1, ("wall", "grass"), ((96, 140),)),
    (1, ("sky", "wall", "floor"), ((50, 84), (126, 150))),
    (1, ("water", "floor"), ((110, 146),)),
    (1, ("grass",), ()),
    (1, ("floor",), ()),
)


@dataclass
class Background:
    """A background picture, wider than the view, and the stuff region of each pixel."""

    names: list[str]  # classes of annotated regions; object_id k + 1 is names[k]
    ground: int | None  # object_id of the lowest region, None if not annotated
    picture: Image.Image
    regions: Image.Image  # mode L: object_id, 0 for a region without annotation
    scale: float  # picture pixels per world unit
    origin: tuple[float, float]  # world position of the upper left corner

    @classmethod
    def draw(cls, rng, width: float, scale: float) -> "Background":
        """Sample a background. width: of the world; scale: pixels per world unit."""
        weights = np.array([s[0] for s in _SETTINGS], float)
        _, names, ranges = _SETTINGS[
            int(rng.choice(len(_SETTINGS), p=weights / weights.sum()))
        ]
        scale = 1.25 * scale
        w, h = round((width + 2 * MARGIN) * scale), round((HEIGHT + 2 * MARGIN) * scale)
        edges = [np.zeros(w)]
        for (low, high), below in zip(ranges, names[1:], strict=True):
            level = (float(rng.uniform(low, high)) + MARGIN) * scale
            straight = below in ("floor", "wall")
            rough = 0.8 if straight else 5.0
            wave = textures.noise(rng, 4, w, 50 * scale)[0] * rough * scale
            edges.append(level + wave)
        edges.append(np.full(w, float(h)))

        skipped = (
            int(rng.integers(len(names)))
            if len(names) > 1 and rng.random() < 0.12
            else -1
        )
        picture = np.zeros((h, w, 3), np.float32)
        regions = Image.new("L", (w, h), 0)
        layer = ImageDraw.Draw(regions)
        kept, ground = [], None
        rows = np.arange(h)[:, None]
        for k, name in enumerate(names):
            inside = (rows >= edges[k]) & (rows < edges[k + 1])
            top, bottom = int(edges[k].min()), int(np.ceil(edges[k + 1].max()))
            surface = textures.stuff(rng, name, max(bottom - top, 4), w, scale)[
                : bottom - top
            ]
            band = inside[top:bottom]
            picture[top:bottom][band] = surface[band]
            if k != skipped:
                kept.append(name)
                layer.bitmap((0, 0), Image.fromarray(inside), fill=len(kept))
                ground = len(kept) if k == len(names) - 1 else None
        picture = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
        return cls(kept, ground, picture, regions, scale, (-MARGIN, -MARGIN))


@dataclass
class Camera:
    """Transform from world to view: shift, then rotation and zoom about the centre."""

    middle: tuple[float, float]
    # [frames, 4]: shift x, shift y (world units), zoom, rotation (radians)
    moves: np.ndarray

    @classmethod
    def draw(cls, rng, width: float, num_frames: int) -> "Camera":
        """Sample a camera path; 30% of the cameras do not move."""
        t = np.arange(num_frames) / 40.0
        still = rng.random() < 0.3
        pan, tilt = rng.uniform(-26, 26), rng.uniform(-7, 7)
        wave = np.sin(2 * np.pi * (rng.uniform(0.3, 0.9) * t + rng.random()))
        zoom = 1.0 + rng.uniform(-0.05, 0.1) + 0.06 * wave * (not still)
        turn = np.deg2rad(rng.uniform(-2.5, 2.5)) + 0.02 * wave * (not still)
        shake = rng.uniform(-0.7, 0.7, (num_frames, 2)) * (not still)
        x = pan * wave * (not still) + shake[:, 0]
        y = tilt * wave * (not still) + shake[:, 1]
        moves = np.stack(
            [x, y, zoom * np.ones(num_frames), turn * np.ones(num_frames)], 1
        )
        return cls((width / 2, HEIGHT / 2), moves)

    def matrix(self, frame: int) -> np.ndarray:
        """Return the affine matrix [2, 3] from world units to view units."""
        x, y, zoom, turn = self.moves[frame]
        c, s = zoom * np.cos(turn), zoom * np.sin(turn)
        a = np.array([[c, -s], [s, c]])
        middle = np.array(self.middle)
        return np.column_stack([a, middle - a @ (middle + (x, y))])


@dataclass
class Light:
    """Brightness, colour, blur and noise of a video."""

    gain: np.ndarray  # [frames], brightness factor
    tint: np.ndarray  # [3], factor of each channel
    slope: tuple[float, float]  # brightness gradient across the picture (x, y)
    blur: float  # radius in pixels at a height of 256
    grain: float  # standard deviation of the noise, in grey levels of 255
    seed: int

    @classmethod
    def draw(cls, rng, num_frames: int) -> "Light":
        """Sample the lighting of a video."""
        gain = rng.uniform(0.8, 1.12) + rng.uniform(-0.012, 0.012, num_frames)
        tint = 1 + rng.uniform(-0.06, 0.06, 3)
        slope = (float(rng.uniform(-0.16, 0.16)), float(rng.uniform(-0.16, 0.16)))
        blur = float(rng.choice([0.0, 0.0, 0.4, 0.7, 0.9]))
        return cls(gain, tint, slope, blur, float(rng.uniform(1.0, 5.0)),
                   int(rng.integers(2**31)))  # fmt: skip
