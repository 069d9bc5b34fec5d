"""Single images: reading, RGB, resizing, and which files of a folder are frames."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from c2g_jax.types import InputError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


def frame_files(folder: Path) -> list[Path]:
    """The frames of a folder in natural order: 2.jpg before 10.jpg, no other files."""

    def natural(path):
        parts = re.split(r"([0-9]+)", path.name)
        parts[1::2] = map(int, parts[1::2])
        return parts, path.name

    files = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    ]
    if not files:
        raise InputError(f"{folder}: holds no jpg, png, bmp or webp frames: add some")
    return sorted(files, key=natural)


def check_one_size(files: Sequence[Path]) -> None:
    """InputError unless all images are of one size, by what their headers say.

    An image that its camera noted to be turned counts as turned or not.
    """
    first = None
    for file in files:
        try:
            with Image.open(file) as image:
                size = image.size
        except Image.DecompressionBombError:
            raise InputError(f"{file}: not a readable image: save it anew") from None
        except OSError:
            continue  # its own error is told when its turn comes
        first = first or size
        if sorted(size) != sorted(first):
            raise InputError(
                f"{file} is {size[0]}x{size[1]} but the first frame is "
                f"{first[0]}x{first[1]}: use frames of one size"
            )


def read_image(path: str | Path) -> np.ndarray:
    """An image file as uint8 RGB [H, W, 3], turned upright as its camera noted."""
    pixels = _pixels(path)
    return to_rgb(pixels) if pixels.ndim == 2 else pixels


def read_mask(path: str | Path) -> np.ndarray:
    """An image file as bool [H, W]: True wherever it is not black."""
    pixels = _pixels(path)
    return pixels.reshape(*pixels.shape[:2], -1).any(axis=2)


def _pixels(path: str | Path) -> np.ndarray:
    """uint16 [H, W] where the file has 16 bits of grey, else uint8 [H, W, 3]."""
    try:
        with Image.open(path) as image:
            image = ImageOps.exif_transpose(image)
            if image.mode.startswith("I"):  # PIL would clip, not scale
                return np.asarray(image).astype(np.uint16)
            return np.asarray(image.convert("RGB"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such image: check the path") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise InputError(f"{path}: not a readable image: save it anew") from None


def to_rgb(array: np.ndarray) -> np.ndarray:
    """Grey, grey+alpha, RGB or RGBA of 8 or 16 bits as uint8 RGB [H, W, 3]."""
    array = np.asarray(array)
    if array.dtype == np.uint16:
        array = (array // 257).astype(np.uint8)
    shape = "x".join(map(str, array.shape))
    if array.ndim == 2:
        array = array[..., None]
    fits = array.dtype == np.uint8 and array.ndim == 3 and 0 not in array.shape
    if not fits or array.shape[2] > 4:
        raise InputError(f"a frame is {array.dtype} {shape}: give uint8 HxW or HxWx3")
    if array.shape[2] < 3:
        array = np.repeat(array[..., :1], 3, axis=2)
    return np.ascontiguousarray(array[..., :3])


def resize_frame(rgb: np.ndarray, size: int) -> np.ndarray:
    """uint8 [size, size, 3] by PIL's bicubic, the way SAM2 feeds video frames."""
    image = Image.fromarray(rgb)
    return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC))


def resize_image(rgb: np.ndarray, size: int) -> np.ndarray:
    """uint8 [H, W, 3] as float32 [size, size, 3] in [0, 1], the way SAM2 feeds images.

    Antialiased bilinear on floats (sam2/utils/transforms.py:30-35), aspect not kept.
    """
    channels = [
        Image.fromarray(rgb[..., c].astype(np.float32) / np.float32(255)).resize(
            (size, size), Image.Resampling.BILINEAR
        )
        for c in range(3)
    ]
    return np.stack(channels, axis=-1)


def resize_mask(mask: np.ndarray, size: int) -> np.ndarray:
    """bool [H, W] as bool [size, size]: antialiased bilinear, at least half covered."""
    image = Image.fromarray(mask.astype(np.float32))
    resized = image.resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(resized) >= 0.5
