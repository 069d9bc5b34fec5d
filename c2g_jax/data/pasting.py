"""Copy-paste augmentation: a thing of another video, pasted onto a clip's frames.

Crowded scenes are rare and hard. Pasting makes them of what there is (Ghiasi et al.,
arXiv 2012.07177). A clip here is `frames` uint8 [t, S, S, 3] and `segments` uint8
[t, S, S].
"""

import numpy as np

from c2g_jax.data.augmentation import Clip


def paste(
    onto: Clip,
    donor: Clip,
    thing: int,
    as_id: int,
    crowd: np.ndarray,
    behind: bool,
    rng: np.random.Generator,
) -> Clip:
    """Return the clip with the donor's `thing` pasted onto it, as the object `as_id`.

    A random pixel of the thing comes to lie on a random pixel of the clip's own things
    (of the frame, if it shows none), both on the first frame; from there the thing
    moves as it did. crowd: bool [256], which ids of the clip are things; with `behind`,
    what is pasted lies behind them, else in front of all. The thing must have pixels on
    the donor's first frame; both clips have the same shape.
    """
    frames, segments = onto["frames"].copy(), onto["segments"].copy()
    there = crowd[segments[0]]
    target = _any_pixel(there if there.any() else np.ones_like(there), rng)
    move = target - _any_pixel(donor["segments"][0] == thing, rng)
    for t, shown in enumerate(donor["segments"] == thing):
        source = np.argwhere(shown)
        place = source + move
        fits = ((place >= 0) & (place < shown.shape)).all(axis=1)
        source, place = source[fits], place[fits]
        if behind:
            free = ~crowd[segments[t][tuple(place.T)]]
            source, place = source[free], place[free]
        frames[t][tuple(place.T)] = donor["frames"][t][tuple(source.T)]
        segments[t][tuple(place.T)] = as_id
    return {**onto, "frames": frames, "segments": segments}


def _any_pixel(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return (row, column) of a random pixel of a mask [S, S] that has some."""
    pixels = np.argwhere(mask)
    return pixels[rng.integers(len(pixels))]
