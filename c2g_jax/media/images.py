"""Single images: reading, conversion to RGB, resizing; frame files of a folder."""

import contextlib
import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from c2g_jax.types import InputError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
_ORIENTATION = 274  # EXIF's tag
# Raised by PIL for a damaged, truncated or excessively large file.
_BAD_IMAGE = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


def natural_order(name: str) -> tuple[list, str]:
    """Return a key that sorts file names by their numbers: 2.jpg before 10.jpg."""
    parts: list = re.split(r"([0-9]+)", name)
    parts[1::2] = map(int, parts[1::2])
    return parts, name


def frame_files(folder: Path) -> list[Path]:
    """Return the image files of a folder in natural order."""
    files = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in SUFFIXES
        and not path.name.startswith(".")
        and not path.is_dir()
    ]
    if not files:
        raise InputError(f"{folder}: holds no jpg, png, bmp or webp frames: add some")
    return sorted(files, key=lambda path: natural_order(path.name))


def check_frames(files: Sequence[Path]) -> None:
    """Raise InputError unless all are still images of one size, by their headers."""
    first = None
    for file in files:
        with contextlib.suppress(OSError), opened_image(file, (OSError,)) as image:
            if animated(image):
                raise InputError(
                    f"{file}: is animated: give it by itself, or save its frames"
                )
            size = _upright_size(image)
            first = first or size
            if size != first:
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


@contextlib.contextmanager
def opened_image(path: str | Path, passed: tuple = ()) -> Iterator[Image.Image]:
    """Open an image file; what goes wrong with it becomes an InputError.

    passed: exceptions that are left as they are.
    """
    try:
        with Image.open(path) as image:
            yield image
    except (InputError, *passed):
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such image: check the path") from None
    except _BAD_IMAGE:
        raise InputError(f"{path}: not a readable image: save it again") from None


def read_image(path: str | Path) -> np.ndarray:
    """Read an image file as uint8 RGB [H, W, 3], turned by its EXIF orientation."""
    with opened_image(path) as image:
        return to_rgb(_upright(image))


def to_rgb(image: np.ndarray | Image.Image) -> np.ndarray:
    """Convert an image to uint8 RGB [H, W, 3]; InputError for what is none.

    An array is grey, grey+alpha, RGB or RGBA of 8 or 16 bits. A PIL image may have any
    mode with colours, and is turned by its EXIF orientation. Alpha is ignored.
    """
    if isinstance(image, Image.Image):
        with readable("an image"):
            array = _upright(image)
    else:
        array = as_array(image, "a frame")
    if array.dtype.kind == "u" and array.dtype.itemsize == 2:
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


@contextlib.contextmanager
def readable(name: str) -> Iterator[None]:
    """Make an InputError of what goes wrong when the pixels of a PIL image are read."""
    try:
        yield
    except InputError:
        raise
    except _BAD_IMAGE as error:
        raise InputError(
            f"{name} cannot be read ({error}): open it again, or save it again"
        ) from error


def as_array(value: Any, name: str) -> np.ndarray:
    """Return `value` as an array; InputError for what numpy cannot take."""
    try:
        return np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:
        line = str(error).strip().splitlines()[0] if str(error).strip() else "no array"
        raise InputError(f"{name} is no array: {line}") from None


def _upright(image: Image.Image) -> np.ndarray:
    """Return the pixels of a PIL image, turned: uint8 [H, W, 3], or grey [H, W]."""
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # convert("RGB") would clip, not scale
        array = np.asarray(image)
        least, most = array.min(initial=0), array.max(initial=0)
        if least < 0 or most > 0xFFFF:
            raise InputError(
                f"an image has levels from {least} to {most}: scale them to 0 to 255"
            )
        # 32 bits hold either depth.
        return array.astype(np.uint8 if image.mode == "I" and most < 256 else np.uint16)
    if image.mode in ("F", "LAB"):
        raise InputError(f"an image has the mode {image.mode}: convert it to RGB")
    straight = {"RGBa": "RGBA", "La": "LA", "P": "RGBA", "PA": "RGBA"}
    if image.mode in straight:
        image = image.convert(straight[image.mode])
    return np.asarray(image.convert("RGB"))


def _upright_size(image: Image.Image) -> tuple[int, int]:
    """Return the (width, height) of an image when turned, without its pixels."""
    # The method of the class: that of PNG files reads all pixels to find late EXIF.
    turned = Image.Image.getexif(image).get(_ORIENTATION, 1) in (5, 6, 7, 8)
    return image.size[::-1] if turned else image.size


def size_of(image: Any) -> tuple[int, int] | None:
    """Return the (width, height) of a PIL image, turned, or of an array; else None."""
    if isinstance(image, Image.Image):
        return _upright_size(image)
    shape = getattr(image, "shape", ())
    return (shape[1], shape[0]) if len(shape) > 1 else None


def is_animated(path: str | Path) -> bool:
    """Return whether a file is an animated webp, png or gif."""
    with opened_image(path) as image:
        return animated(image)


def is_webp(path: str | Path) -> bool:
    """Return whether a file is a webp, by its first bytes."""
    try:
        with open(path, "rb") as file:
            head = file.read(12)
    except OSError:  # whoever opens it says why
        return False
    return head[:4] == b"RIFF" and head[8:] == b"WEBP"


def animated(image: Image.Image) -> bool:
    """Return whether a PIL image is an animated webp, png or gif."""
    # The second picture of a JPEG (MPO) is for the other eye, or of another size.
    return image.format in ("WEBP", "PNG", "GIF") and getattr(image, "n_frames", 1) > 1


def read_animation(path: str | Path) -> Iterator[tuple[float, Image.Image]]:
    """Yield the start in seconds of each frame of an animation, and its picture.

    A picture is valid until the next one. A duration of 0 counts as 0.1 s, as browsers
    take it.
    """
    with opened_image(path) as image:
        # The first picture of such a PNG is shown only where animations are not.
        first = 1 if getattr(image, "default_image", False) else 0
        start = 0.0
        for number in range(first, image.n_frames):
            image.seek(number)
            image.load()
            yield round(start, 6), image
            start += (image.info.get("duration") or 100) / 1000


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
