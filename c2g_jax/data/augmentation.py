"""Label-preserving augmentation of a finished clip: mirroring and colour jitter."""

from collections.abc import Mapping

import numpy as np
from PIL import Image

from c2g_jax.data.prompts import BOX, POINT

Clip = dict[str, np.ndarray]

_GREY = np.array([0.299, 0.587, 0.114])  # luma, as PIL weighs the channels


def mirror(clip: Mapping[str, np.ndarray]) -> Clip:
    """Return the clip with frames, segments, points and prompts flipped left to right.

    OpenPVSG's predicates name no side, so the relations stay.
    """
    flipped = dict(clip)
    size = clip["frames"].shape[2]
    backwards = np.arange(size)[::-1]
    for key in ("frames", "segments"):  # `take` is four times as fast as [:, :, ::-1]
        flipped[key] = clip[key].take(backwards, axis=2)
    if "points" in clip:
        flipped["points"] = clip["points"].copy()
        flipped["points"][..., 0] = 1 - clip["points"][..., 0]
        flipped["points"][~clip["point_valid"]] = 0
        flipped["prompt_coords"] = _mirror_prompts(
            clip["prompt_coords"], clip["prompt_kind"], clip["subjects"], size
        )
    return flipped


def _mirror_prompts(
    coords: np.ndarray, kinds: np.ndarray, subjects: np.ndarray, size: int
) -> np.ndarray:
    flipped = coords.copy()
    points = (kinds == POINT) & (subjects > 0)
    flipped[points, 0, 0] = size - 1 - coords[points, 0, 0]
    boxes = (kinds == BOX) & (subjects > 0)
    # The left corner is the mirror of the right one.
    flipped[boxes, :, 0] = size - 1 - coords[boxes, ::-1, 0]
    return flipped


def colour_matrix(
    brightness: float, contrast: float, saturation: float, grey: float, hue: float = 0.0
) -> np.ndarray:
    """Return the affine map of colours, rgb1 to rgb: float64 [3, 4].

    Brightness scales, contrast scales around the mean luma `grey` (0 to 255),
    saturation around each pixel's own luma; `hue` rotates colours around the grey axis,
    in half turns. Factors of 1 and a hue of 0 give the identity.
    """
    scale = brightness * contrast
    offset = (1 - contrast) * brightness * grey
    mix = saturation * np.eye(3) + (1 - saturation) * np.tile(_GREY, (3, 1))
    cos, sin = np.cos(np.pi * hue), np.sin(np.pi * hue) / np.sqrt(3)
    across = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    mix = mix @ (cos * np.eye(3) + (1 - cos) / 3 + sin * across)
    return np.concatenate([scale * mix, np.full((3, 1), offset)], axis=1)


def jitter_colours(
    clip: Mapping[str, np.ndarray],
    rng: np.random.Generator,
    brightness: float,
    contrast: float,
    saturation: float,
    hue: float = 0.0,
) -> Clip:
    """Return the clip with one random `colour_matrix` applied to all its frames.

    Each factor is drawn from 1 +- its argument, the hue from +- `hue` half turns.
    """
    reach = np.array([brightness, contrast, saturation])
    factors = 1 + rng.uniform(-1, 1, 3) * reach
    turn = hue and rng.uniform(-hue, hue)  # no draw where none is asked for
    if not reach.any() and not turn:
        return dict(clip)
    grey = float(clip["frames"][:, ::4, ::4].mean(axis=(0, 1, 2)) @ _GREY)
    matrix = tuple(colour_matrix(*factors, grey, turn).reshape(-1))
    frames = [
        np.asarray(Image.fromarray(frame).convert("RGB", matrix))
        for frame in clip["frames"]
    ]
    return {**clip, "frames": np.stack(frames)}
