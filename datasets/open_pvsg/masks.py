"""Mask files: one byte a pixel, the id of the object that it belongs to, 0 for void."""

import io
import struct
import zlib
from collections.abc import Collection

import numpy as np
from PIL import Image, UnidentifiedImageError

from .download import Place

# What PIL raises for a file that is damaged, cut off or absurdly large.
_BAD_IMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


class UnreadableMask(Exception):
    """A mask file that is no image, or not one of object ids."""


def read_mask(place: Place) -> np.ndarray:
    """uint8 [H, W] of object ids. Raises UnreadableMask."""
    try:
        data = place.read()
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            image.verify()  # the checksums, which decoding leaves unread
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            if image.mode not in ("P", "L"):
                raise UnreadableMask(f"mode {image.mode}, not P")
            return np.array(image)  # of a palette image the indices, not the colours
    except UnidentifiedImageError as error:  # its text names an object in memory
        raise UnreadableMask("not a PNG, or a damaged one") from error
    except _BAD_IMAGE as error:
        raise UnreadableMask(getattr(error, "strerror", None) or str(error)) from error


def void_unknown(mask: np.ndarray, known: Collection[int]) -> np.ndarray:
    """The mask with 0 in place of every id that is not known."""
    keep = np.zeros(256, np.uint8)
    ids = list(known)
    keep[ids] = ids
    return keep[mask]


def encode_png(mask: np.ndarray) -> bytes:
    """A PNG of uint8 [H, W], grey: its pixels are the ids in whatever reads it.

    A palette would be followed by some readers, which then see colours.
    """
    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, "PNG")
    return buffer.getvalue()


def void_png(height: int, width: int) -> bytes:
    """A PNG of nothing but void."""
    return encode_png(np.zeros((height, width), np.uint8))
