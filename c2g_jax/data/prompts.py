"""Prompts drawn from true masks: points inside, boxes with noise, masks; numpy alone.

Pixels are counted by their corners as SAM2 does: (x, y) = (0, 0) is the centre of the
first pixel, so a fraction f of the image's width W is the pixel coordinate f * W - 0.5.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
from scipy import ndimage

POINT, BOX, MASK = 0, 1, 2  # kinds of prompt
KINDS = ("point", "box", "mask")
TRAINING_MIX = (0.49, 0.49, 0.02)  # Click2Graph's shares of point, box and mask

# The labels of c2g_jax.sam2.prompts, which needs JAX.
ABSENT, NOT_A_POINT, INSIDE, BOX_FIRST, BOX_SECOND = -2, -1, 1, 2, 3


def _box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """First and last column and row with pixels: x0, y0, x1, y1, both inclusive."""
    columns = np.flatnonzero(mask.any(axis=0))
    rows = np.flatnonzero(mask.any(axis=1))
    if not len(columns):
        raise ValueError("the mask is empty: there is nothing to prompt")
    return int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])


def mask_box(mask: np.ndarray) -> np.ndarray:
    """float32 [4], x0, y0, x1, y1 of a bool [H, W]: centres of its outermost pixels.

    Raises ValueError where the mask is empty.
    """
    return np.array(_box(mask), np.float32)


def interior_distance(mask: np.ndarray) -> np.ndarray:
    """float64 [H, W]: each pixel's distance to the nearest outside the mask, 0 outside.

    Beyond the image is outside, so a pixel at its border has distance 1.
    """
    return ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]


def interior_point(
    mask: np.ndarray, rng: np.random.Generator, max_side: int | None = None
) -> np.ndarray:
    """A pixel of the mask, likelier the deeper inside: float32 [2], (x, y).

    The chance is proportional to `interior_distance` (Click2Graph, section 3.7). Where
    the mask's box is longer than max_side, every k-th pixel of every k-th row stands
    for the mask: large masks then cost no more than small ones. Raises ValueError
    where the mask is empty.
    """
    x0, y0, x1, y1 = _box(mask)
    part = mask[y0 : y1 + 1, x0 : x1 + 1]  # what lies around it is outside anyway
    step = -(-max(part.shape) // max_side) if max_side else 1
    first_y, first_x = rng.integers(step, size=2) if step > 1 else (0, 0)
    sparse = part[first_y::step, first_x::step]
    if not sparse.any():  # a thin mask can fall between the pixels taken
        sparse, step, first_y, first_x = part, 1, 0, 0
    weight = np.cumsum(interior_distance(sparse))
    chosen = np.searchsorted(weight, rng.random() * weight[-1], side="right")
    last = np.searchsorted(weight, weight[-1])  # should the product round to the total
    y, x = np.divmod(min(chosen, last), sparse.shape[1])
    return np.array([x0 + first_x + step * x, y0 + first_y + step * y], np.float32)


def noisy_box(
    box: np.ndarray,
    size: tuple[int, int],
    rng: np.random.Generator,
    noise: float = 0.1,
    bound: float = 20.0,
) -> np.ndarray:
    """The box [4] with each corner moved at random, inside an image (width, height).

    Uniform within `noise` of the side it moves along, at most `bound` pixels, then
    clipped to the image, as SAM2 trains (sam2/modeling/sam2_utils.py:156-199).
    """
    x0, y0, x1, y1 = np.asarray(box, np.float32)
    reach = np.minimum(np.array([x1 - x0, y1 - y0] * 2) * noise, bound)
    moved = np.asarray(box, np.float32) + rng.uniform(-1, 1, 4) * reach
    return np.clip(moved, 0, np.array([*size, *size]) - 1).astype(np.float32)


def rescale(coords: np.ndarray, size: tuple[int, int], to: int) -> np.ndarray:
    """Pixel coordinates [..., 2] of an image (width, height) in its square of side to.

    Centres stay centres: a fraction of the image is the same fraction of the square.
    """
    return ((np.asarray(coords) + 0.5) * to / np.array(size) - 0.5).astype(np.float32)


def choose_kind(rng: np.random.Generator, mix: Sequence[float] = TRAINING_MIX) -> int:
    """POINT, BOX or MASK, with chances in proportion to `mix`."""
    shares = np.asarray(mix, np.float64)
    if shares.shape != (3,) or (shares < 0).any() or not shares.sum() > 0:
        raise ValueError(f"the prompt mix {list(mix)} is not three shares: give 3 >= 0")
    return int(rng.choice(3, p=shares / shares.sum()))


def draw_prompt(
    mask: np.ndarray, kind: int, to: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """coords float32 [2, 2], labels int32 [2] of one object, for a square of side `to`.

    A point is (INSIDE, ABSENT); a box its two corners; a mask has no points, which
    SAM2 writes as one NOT_A_POINT. Raises ValueError where the mask is empty.
    """
    height, width = mask.shape
    coords = np.zeros((2, 2), np.float32)
    if kind == POINT:
        coords[0] = rescale(
            interior_point(mask, rng, max_side=256), (width, height), to
        )
        return coords, np.array([INSIDE, ABSENT], np.int32)
    box = rescale(mask_box(mask).reshape(2, 2), (width, height), to)
    if kind == BOX:
        moved = noisy_box(box.reshape(4), (to, to), rng)
        return moved.reshape(2, 2), np.array([BOX_FIRST, BOX_SECOND], np.int32)
    return coords, np.array([NOT_A_POINT, ABSENT], np.int32)


def stable_seed(*parts: object) -> int:
    """A seed from names and numbers, the same in any process and on any machine."""
    text = "\0".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:8], "big")


def evaluation_points(
    mask: np.ndarray, video: str, subject: int, runs: int = 25
) -> np.ndarray:
    """One click a run: float32 [runs, 2], (x, y) pixels of the mask, the same always.

    Uniform over its pixels, run r by a seed of (video, subject, r), and no pixel twice;
    where the mask has fewer pixels than there are runs, pixels repeat. Raises
    ValueError where the mask is empty.
    """
    pixels = np.argwhere(mask)[:, ::-1].astype(np.float32)
    if not len(pixels):
        raise ValueError(f"{video}, subject {subject}: the mask is empty")
    left, points = pixels, []
    for run in range(runs):
        rng = np.random.default_rng(stable_seed(video, subject, run))
        chosen = rng.integers(len(left))
        points.append(left[chosen])
        if len(pixels) >= runs:
            left = np.delete(left, chosen, axis=0)
    return np.stack(points)
