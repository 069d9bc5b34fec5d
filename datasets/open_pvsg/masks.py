"""Mask files: one byte per pixel, the object_id, 0 for void."""

import io
import struct
import zlib
from collections.abc import Collection

import numpy as np
from PIL import Image, UnidentifiedImageError

from .download import Place

# Raised by PIL for a damaged, truncated or excessively large file.
_BAD_IMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


class UnreadableMask(Exception):
    """A mask file that is not an image of object ids."""


def read_mask(place: Place) -> np.ndarray:
    """Return object ids, uint8 [H, W]. Raises UnreadableMask."""
    try:
        data = place.read()
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            image.verify()  # checks the checksums, which decoding ignores
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            if image.mode not in ("P", "L"):
                raise UnreadableMask(f"mode {image.mode}, not P")
            return np.array(image)  # palette images: indices, not colours
    except UnidentifiedImageError as error:  # its text contains a memory address
        raise UnreadableMask("not a PNG, or a damaged one") from error
    except _BAD_IMAGE as error:
        raise UnreadableMask(getattr(error, "strerror", None) or str(error)) from error


def void_unknown(mask: np.ndarray, known: Collection[int]) -> np.ndarray:
    """Return the mask with every unknown id set to 0."""
    keep = np.zeros(256, np.uint8)
    ids = list(known)
    keep[ids] = ids
    return keep[mask]


def encode_png(mask: np.ndarray) -> bytes:
    """Encode uint8 [H, W] as a greyscale PNG.

    Not a palette PNG: some readers would apply the palette and return colours.
    """
    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, "PNG")
    return buffer.getvalue()


def void_png(height: int, width: int) -> bytes:
    """Return a PNG that is void everywhere."""
    return encode_png(np.zeros((height, width), np.uint8))
