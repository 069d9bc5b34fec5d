"""Textures: small tiles for parts of things, large pictures for stuff regions."""

import numpy as np
from PIL import Image, ImageDraw

TILE = 96  # side in pixels; repeated on larger parts


def noise(rng: np.random.Generator, height: int, width: int, cell: float):
    """Return smooth noise in about -1 to 1, float32 [height, width].

    cell: spacing of the noise grid, in pixels.
    """
    h, w = max(2, round(height / cell) + 1), max(2, round(width / cell) + 1)
    small = Image.fromarray(rng.uniform(-1, 1, (h, w)).astype(np.float32))
    return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))


def _mix(pattern: np.ndarray, first, second) -> np.ndarray:
    pattern = pattern[..., None].astype(np.float32)
    return np.float32(first) * (1 - pattern) + np.float32(second) * pattern


def tile(rng, kind: str, colour, second, scale: float) -> Image.Image:
    """Return a texture tile. scale: supersampled pixels per world unit."""
    y, x = np.mgrid[:TILE, :TILE].astype(np.float32)
    period = max(4.0, scale * float(rng.uniform(5.0, 8.0)))
    period = TILE / max(1, round(TILE / period))  # divides the tile: no seam
    if kind == "bands":
        pattern = (y % period) < period / 2
    elif kind == "bars":
        pattern = (x % period) < period / 2
    elif kind == "checks":
        pattern = ((x % period) < period / 2) ^ ((y % period) < period / 2)
    elif kind == "dots":
        half = period / 2
        pattern = (x % period - half) ** 2 + (y % period - half) ** 2 < (
            0.3 * period
        ) ** 2
    elif kind == "grid":
        line = max(2.0, 0.3 * period)
        pattern = ((x % period) < line) | ((y % period) < line)
    elif kind == "patches":
        pattern = noise(rng, TILE, TILE, 7 * scale) > 0.15
    elif kind == "tabby":
        wave = x + 2.0 * scale * noise(rng, TILE, TILE, 5 * scale)
        pattern = (wave % period) < 0.4 * period
    else:
        pattern = np.zeros((TILE, TILE), bool)
    picture = _mix(pattern, colour, second)
    grain = 7.0 if kind != "fur" else 14.0
    cell = 1.2 * scale
    picture += (grain * noise(rng, TILE, TILE, cell))[..., None]
    return Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))


def stuff(rng, name: str, height: int, width: int, scale: float) -> np.ndarray:
    """Return the texture of a stuff class, float32 [height, width, 3].

    scale: pixels per world unit.
    """
    return _STUFF[name](rng, height, width, scale)


def _base(rng, height, width, scale, colour, spread, rough):
    colour = np.float32(colour) + np.float32(rng.uniform(-spread, spread, 3))
    picture = np.broadcast_to(colour, (height, width, 3)).copy()
    picture += (rough * noise(rng, height, width, 30 * scale))[..., None]
    picture += (0.6 * rough * noise(rng, height, width, 3 * scale))[..., None]
    return picture


def _strokes(rng, picture, count, length, slope, change, scale):
    """Add short random strokes: blades of grass, ripples of water."""
    height, width = picture.shape[:2]
    layer = Image.new("L", (width, height), 0)
    draw = ImageDraw.Draw(layer)
    x = rng.uniform(0, width, count)
    y = rng.uniform(0, height, count)
    dx = length * scale * slope[0] * rng.uniform(0.5, 1.2, count)
    dy = length * scale * slope[1] * rng.uniform(0.5, 1.2, count)
    strong = rng.integers(60, 255, count)
    for i in range(count):
        ends = (x[i], y[i], x[i] + dx[i], y[i] + dy[i])
        draw.line(ends, fill=int(strong[i]), width=max(1, round(0.9 * scale)))
    return picture + np.asarray(layer, np.float32)[..., None] / 255 * np.float32(change)


def _grass(rng, height, width, scale):
    picture = _base(rng, height, width, scale, (88, 140, 62), 18, 12)
    lean = float(rng.uniform(-0.4, 0.4))
    count = round(height * width / (26 * scale * scale))
    return _strokes(rng, picture, count, 6, (lean, -1), (26, 34, 14), scale)


def _water(rng, height, width, scale):
    picture = _base(rng, height, width, scale, (58, 112, 158), 18, 10)
    count = round(height * width / (70 * scale * scale))
    return _strokes(rng, picture, count, 13, (1, 0), (52, 56, 50), scale)


def _sky(rng, height, width, scale):
    picture = _base(rng, height, width, scale, (142, 190, 232), 14, 3)
    picture += np.linspace(-16, 22, height, dtype=np.float32)[:, None, None]
    cloud = noise(rng, height, width, 34 * scale) + 0.4 * noise(
        rng, height, width, 11 * scale
    )
    amount = np.clip((cloud - 0.15) * 1.6, 0, 0.85)[..., None]
    return picture * (1 - amount) + np.float32((246, 247, 250)) * amount


def _lines(picture, axis, period, change, width):
    at = np.arange(picture.shape[axis]) % period < width
    if axis == 0:
        picture[at] += change
    else:
        picture[:, at] += change


def _wall(rng, height, width, scale):
    colour = [(198, 176, 148), (206, 200, 184), (170, 186, 190), (188, 132, 112)]
    picture = _base(rng, height, width, scale, colour[rng.integers(4)], 14, 5)
    period = max(4, round(scale * float(rng.uniform(11, 17))))
    kind = rng.integers(3)
    line = max(1, round(1.2 * scale))
    if kind == 0:  # bricks: rows, with joints shifted by half a brick
        _lines(picture, 0, period, -26, line)
        for row in range(0, height, period):
            at = (np.arange(width) + (row // period % 2) * period) % (2 * period) < line
            picture[row : row + period, at] -= 26
    elif kind == 1:  # wallpaper
        _lines(picture, 1, period, 13, period // 2)
    return picture


def _floor(rng, height, width, scale):
    colour = [(164, 120, 82), (134, 104, 84), (176, 170, 162), (150, 98, 70)]
    picture = _base(rng, height, width, scale, colour[rng.integers(4)], 14, 6)
    period = max(4, round(scale * float(rng.uniform(9, 14))))
    line = max(1, round(0.9 * scale))
    if rng.random() < 0.4:  # tiles, alternating light and dark
        y, x = np.mgrid[:height, :width]
        dark = (y // period + x // (2 * period)) % 2 == 0
        picture -= dark[..., None] * np.float32(15)
        return picture
    for row in range(0, height, period):  # long boards, each of a different shade
        picture[row : row + period] += np.float32(rng.uniform(-11, 11))
        picture[row : row + line] -= 20
        shift = int(rng.integers(12 * period))
        at = (np.arange(width) + shift) % (12 * period) < line
        picture[row : row + period, at] -= 20
    return picture


_STUFF = {
    "grass": _grass,
    "water": _water,
    "sky": _sky,
    "wall": _wall,
    "floor": _floor,
}
