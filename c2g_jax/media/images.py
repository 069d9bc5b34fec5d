"""Single images: reading, conversion to RGB, resizing; frame files of a folder."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from c2g_jax.types import InputError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


def frame_files(folder: Path) -> list[Path]:
    """Return the image files of a folder in natural order: 2.jpg before 10.jpg."""

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
    """Raise InputError unless all images have one size, by their headers.

    Width and height may be swapped, as the EXIF rotation is not read here.
    """
    first = None
    for file in files:
        try:
            with Image.open(file) as image:
                size = image.size
        except Image.DecompressionBombError:
            raise InputError(f"{file}: not a readable image: save it again") from None
        except OSError:
            continue  # reported when the frame is read
        first = first or size
        if sorted(size) != sorted(first):
            raise size_error(file, size, first)


def size_error(
    frame: object,
    size: tuple[int, int],
    first: tuple[int, int],
    mend: str = "use frames of one size",
) -> InputError:
    """Return the error for a frame whose (width, height) is not that of the first."""
    return InputError(
        f"{frame} is {size[0]}x{size[1]} but the first frame is {first[0]}x{first[1]}: "
        f"{mend}"
    )


def read_image(path: str | Path) -> np.ndarray:
    """Read an image file as uint8 RGB [H, W, 3], rotated by its EXIF orientation."""
    pixels = _pixels(path)
    return to_rgb(pixels) if pixels.ndim == 2 else pixels


def read_mask(path: str | Path) -> np.ndarray:
    """Read an image file as a mask, bool [H, W]: True wherever it is not black."""
    pixels = _pixels(path)
    return pixels.reshape(*pixels.shape[:2], -1).any(axis=2)


def _pixels(path: str | Path) -> np.ndarray:
    """Read an image as uint16 [H, W] if it is 16-bit grey, else as uint8 [H, W, 3]."""
    try:
        with Image.open(path) as image:
            image = ImageOps.exif_transpose(image)
            if image.mode.startswith("I"):  # convert("RGB") would clip, not scale
                return np.asarray(image).astype(np.uint16)
            return np.asarray(image.convert("RGB"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such image: check the path") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise InputError(f"{path}: not a readable image: save it again") from None


def to_rgb(array: np.ndarray) -> np.ndarray:
    """Convert grey, grey+alpha, RGB or RGBA of 8 or 16 bits to uint8 RGB [H, W, 3]."""
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
    """Resize uint8 [H, W, 3] to [size, size, 3] with PIL's bicubic filter.

    As SAM2 does for video frames (sam2/utils/misc.py); the aspect ratio is not kept.
    """
    image = Image.fromarray(rgb)
    return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC))


def resize_image(rgb: np.ndarray, size: int) -> np.ndarray:
    """Resize uint8 [H, W, 3] to float32 [size, size, 3] in [0, 1].

    As SAM2 does for images: antialiased bilinear on floats
    (sam2/utils/transforms.py:30-35); the aspect ratio is not kept.
    """
    channels = [
        Image.fromarray(rgb[..., c].astype(np.float32) / np.float32(255)).resize(
            (size, size), Image.Resampling.BILINEAR
        )
        for c in range(3)
    ]
    return np.stack(channels, axis=-1)


def resize_mask(mask: np.ndarray, size: int) -> np.ndarray:
    """Resize bool [H, W] to [size, size]: antialiased bilinear, then >= 0.5."""
    image = Image.fromarray(mask.astype(np.float32))
    resized = image.resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(resized) >= 0.5
