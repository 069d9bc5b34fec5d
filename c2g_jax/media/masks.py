"""Masks that people give, in arrays and in pictures, as bool [H, W].

Arrays are read by `types.mask_pixels`. Pictures are read by their alpha channel where
it varies, palette pictures by index, and all others at half of their brightness.
"""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from c2g_jax.media.images import animated, opened_image, readable, to_rgb
from c2g_jax.types import InputError, mask_pixels

_ID_MODES = ("P", "PA", "L", "LA", "1")  # PIL's modes whose pixels may be ids


def read_mask(path: str | Path, mask_id: int | None = None) -> np.ndarray:
    """Read a picture as a mask, bool [H, W].

    mask_id: the id of the object in a picture of ids (palette, grey or 16-bit), None if
    it has one object. InputError if the picture is no mask, or has several objects.
    """
    with opened_image(path) as image:
        return _picture_mask(image, str(path), "choose one with mask_id", mask_id)


def to_mask(mask: Any, name: str = "a mask") -> np.ndarray:
    """Return an array, or a PIL image, as a mask bool [H, W]; InputError if it is none.

    name: how the message calls it.
    """
    if isinstance(mask, Image.Image):
        with readable(name):
            return _picture_mask(mask, name, "give numpy.asarray(mask) == ID")
    return mask_pixels(mask, name)


def _picture_mask(
    image: Image.Image, name: str, choose: str, mask_id: int | None = None
) -> np.ndarray:
    """Return a picture's mask; choose: the remedy for a picture of several objects."""
    if animated(image):
        raise InputError(f"{name}: is animated: give one picture")
    if 0 in image.size:
        raise InputError(f"{name}: has no pixels, it is {image.width}x{image.height}")
    image = ImageOps.exif_transpose(image)
    if mask_id is not None:
        return _pixels_of(image, name, mask_id)
    if image.mode == "1":
        return np.asarray(image)
    if image.has_transparency_data:
        straight = {"RGBa": "RGBA", "La": "LA"}.get(image.mode)
        image = image.convert(straight) if straight else image
        alpha = np.asarray(image.convert("RGBA").getchannel("A"))
        if alpha.min() < alpha.max():
            return alpha >= 128
    if image.mode in ("P", "PA"):
        ids = _ids(image)
        if len(found := _objects(ids)) > 1:
            raise InputError(f"{name}: has the objects {_list(found)}: {choose}")
        return ids > 0
    if image.mode == "F":
        return mask_pixels(np.asarray(image), name)
    grey = image.mode in ("L", "LA") or image.mode[0] == "I"
    levels = _ids(image) if grey else to_rgb(image).max(axis=2)
    if image.mode[0] == "I" and levels.max() <= 255:  # ids or 8 bits, stored in more
        return mask_pixels(levels, name)
    if levels.max() == 1:  # grey of 0 and 1: the object's id
        return levels > 0
    half = 128 if image.mode[0] != "I" else 1 << 15
    mask = levels >= half
    if levels.min() < levels.max() and not mask.any():  # dim, but not without content
        raise InputError(
            f"{name}: is nowhere brighter than a half, its levels are "
            f"{_list(np.unique(levels))}: paint the object white, or if these are ids, "
            f"{choose}"
        )
    return mask


def _pixels_of(image: Image.Image, name: str, mask_id: int) -> np.ndarray:
    """Return where a picture of ids has an id; InputError if nowhere."""
    if image.mode not in _ID_MODES and image.mode[0] != "I":
        raise InputError(
            f"{name}: has the mode {image.mode}, so no ids: leave out mask_id"
        )
    mask = (ids := _ids(image)) == mask_id
    if not mask.any():
        raise InputError(
            f"{name}: has no object {mask_id}: choose one of {_list(_objects(ids))}"
        )
    return mask


def _ids(image: Image.Image) -> np.ndarray:
    """Return the stored numbers of a palette or grey picture, without its alpha."""
    pixels = np.asarray(image)
    return pixels[..., 0] if pixels.ndim == 3 else pixels


def _objects(ids: np.ndarray) -> np.ndarray:
    found = np.unique(ids)
    return found[found != 0]


def _list(values: np.ndarray) -> str:
    more = ", ..." if len(values) > 9 else ""
    return ", ".join(map(str, values[:9].tolist())) + more
