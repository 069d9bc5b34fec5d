"""Draw prompts from ground-truth masks: points inside, jittered boxes, masks.

NumPy on the host, for data and evaluation. `mask_extents` and `jitter_boxes` take JAX
arrays too, for prompts drawn on the device (`training/segmenter/clicks.py`).

Pixel coordinates are SAM2's: (x, y) = (0, 0) is the centre of the first pixel, so a
fraction f of the image's width W is the pixel coordinate f * W - 0.5.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import ndimage

from c2g_jax.types import ABSENT, BOX_FIRST, BOX_SECOND, INSIDE, NOT_A_POINT

POINT, BOX, MASK = 0, 1, 2  # kinds of prompt
KINDS = ("point", "box", "mask")
TRAINING_MIX = (0.49, 0.49, 0.02)  # shares of point, box and mask: paper, section 6
# The labels of a prompt's two points, by kind. A mask has no points, which SAM2 writes
# as one NOT_A_POINT.
LABELS = ((INSIDE, ABSENT), (BOX_FIRST, BOX_SECOND), (NOT_A_POINT, ABSENT))

Arrays = Any  # of NumPy or JAX; nothing here imports JAX, which loaders do without


def mask_extents(masks: Arrays) -> Arrays:
    """Return the first and last column and row with pixels of masks bool [..., H, W].

    int [..., 4]: x0, y0, x1, y1, both inclusive; the whole image for an empty mask.
    """
    (x0, x1), (y0, y1) = (_ends(masks.any(axis=axis)) for axis in (-2, -1))
    return masks.__array_namespace__().stack([x0, y0, x1, y1], axis=-1)


def _ends(used: Arrays) -> tuple[Arrays, Arrays]:
    """Return the first and the last index that is True on the last axis."""
    last = used.shape[-1] - 1
    return used.argmax(axis=-1), last - used[..., ::-1].argmax(axis=-1)


def jitter_boxes(
    boxes: Arrays,
    shifts: Arrays,
    size: tuple[int, int],
    noise: float = 0.1,
    bound: float = 20.0,
) -> Arrays:
    """Return float32 boxes [..., 4] with each side moved, inside an image of `size`.

    A side moves by its entry of `shifts` [..., 4], in [-1, 1], times `noise` of the
    box's width or height, at most `bound` pixels (sam2/modeling/sam2_utils.py:156-199).
    `size` is (width, height).
    """
    xp = boxes.__array_namespace__()
    sides = boxes[..., 2:] - boxes[..., :2]
    reach = xp.minimum(xp.concat([sides, sides], axis=-1) * noise, bound)
    limit = xp.asarray([*size, *size]) - 1
    return xp.clip(boxes + shifts * reach, 0, limit).astype(xp.float32)


def mask_box(mask: np.ndarray) -> np.ndarray:
    """Return the box of a mask bool [H, W]: float32 [4], x0, y0, x1, y1.

    The coordinates are the centres of its outermost pixels. Raises ValueError for an
    empty mask.
    """
    if not mask.any():
        raise ValueError("the mask is empty: there is nothing to prompt")
    return mask_extents(mask).astype(np.float32)


def interior_distance(mask: np.ndarray) -> np.ndarray:
    """Return each pixel's distance to the nearest one outside the mask: float64 [H, W].

    The Euclidean distance transform; 0 outside the mask. Beyond the image is outside,
    so a pixel at its border has distance 1.
    """
    return ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]


def interior_point(
    mask: np.ndarray, rng: np.random.Generator, max_side: int | None = None
) -> np.ndarray:
    """Draw a pixel of the mask, weighted by its depth: float32 [2], (x, y).

    The probability is proportional to `interior_distance` (Click2Graph, section 3.7).
    If the mask's box is longer than max_side, only every k-th pixel of every k-th row
    is drawn from, so that large masks cost no more than small ones. Raises ValueError
    for an empty mask.
    """
    x0, y0, x1, y1 = map(int, mask_box(mask))
    part = mask[y0 : y1 + 1, x0 : x1 + 1]  # what lies around it is outside anyway
    step = -(-max(part.shape) // max_side) if max_side else 1
    first_y, first_x = rng.integers(step, size=2) if step > 1 else (0, 0)
    sparse = part[first_y::step, first_x::step]
    if not sparse.any():  # a thin mask can fall between the pixels taken
        sparse, step, first_y, first_x = part, 1, 0, 0
    weight = np.cumsum(interior_distance(sparse))
    chosen = np.searchsorted(weight, rng.random() * weight[-1], side="right")
    last = np.searchsorted(weight, weight[-1])  # guards against rounding up
    y, x = np.divmod(min(chosen, last), sparse.shape[1])
    return np.array([x0 + first_x + step * x, y0 + first_y + step * y], np.float32)


def noisy_box(
    box: np.ndarray,
    size: tuple[int, int],
    rng: np.random.Generator,
    noise: float = 0.1,
    bound: float = 20.0,
) -> np.ndarray:
    """Return the box [4] with its sides moved at random (`jitter_boxes`)."""
    shifts = rng.uniform(-1, 1, 4)
    return jitter_boxes(np.asarray(box, np.float32), shifts, size, noise, bound)


def rescale(coords: np.ndarray, size: tuple[int, int], to: int) -> np.ndarray:
    """Map pixels [..., 2] of an image (width, height) to those of a square of side to.

    A fraction of the image maps to the same fraction of the square.
    """
    return ((np.asarray(coords) + 0.5) * to / np.array(size) - 0.5).astype(np.float32)


def choose_kind(rng: np.random.Generator, mix: Sequence[float] = TRAINING_MIX) -> int:
    """Draw POINT, BOX or MASK with probabilities proportional to `mix`."""
    shares = np.asarray(mix, np.float64)
    if shares.shape != (3,) or (shares < 0).any() or not shares.sum() > 0:
        raise ValueError(f"the prompt mix {list(mix)} is not three shares: give 3 >= 0")
    return int(rng.choice(3, p=shares / shares.sum()))


def draw_prompt(
    mask: np.ndarray, kind: int, to: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a prompt of one object: coords float32 [2, 2], labels int32 [2] (LABELS).

    Coordinates are pixels of a square of side `to`; unused ones are 0. Raises
    ValueError for an empty mask.
    """
    height, width = mask.shape
    coords, labels = np.zeros((2, 2), np.float32), np.array(LABELS[kind], np.int32)
    if kind == POINT:
        point = interior_point(mask, rng, max_side=256)
        coords[0] = rescale(point, (width, height), to)
    else:
        box = rescale(mask_box(mask).reshape(2, 2), (width, height), to)
        if kind == BOX:
            coords = noisy_box(box.reshape(4), (to, to), rng).reshape(2, 2)
    return coords, labels


def stable_seed(*parts: object) -> int:
    """Return a seed from names and numbers, the same in any process on any machine."""
    text = "\0".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:8], "big")


def evaluation_points(
    mask: np.ndarray, video: str, subject: int, runs: int = 25
) -> np.ndarray:
    """Draw one click per run: float32 [runs, 2], (x, y) pixels of the mask.

    Uniform over the mask's pixels and without repetition; run r is seeded by (video,
    subject, r). If the mask has fewer pixels than there are runs, pixels repeat. Raises
    ValueError for an empty mask.
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
