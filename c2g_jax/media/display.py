"""How decoded pictures of a video are shown: orientation and the shape of pixels."""

from fractions import Fraction

import av
import av.sidedata.sidedata
import numpy as np

_RATIOS = (Fraction(1, 8), 8)  # plausible shapes of pixels, width to height


def shown_size(width: int, height: int, ratio: Fraction | None) -> tuple[int, int]:
    """Return the (width, height) at which square pixels show a stored picture.

    ratio: width to height of a stored pixel, None if not known.
    """
    if ratio is None or not _RATIOS[0] <= ratio <= _RATIOS[1]:
        return width, height
    return max(1, round(width * ratio)), height


def to_rgb(picture: av.VideoFrame, ratio: Fraction | None = None) -> np.ndarray:
    """Convert a decoded picture to uint8 RGB [H, W, 3] as a player shows it.

    The display matrix turns and mirrors it; pixels of shape `ratio` become square.
    """
    width, height = shown_size(picture.width, picture.height, ratio)
    if width == picture.width:
        rgb = picture.to_ndarray(format="rgb24")
    else:
        rgb = picture.to_ndarray(format="rgb24", width=width, height=height)
    matrix = picture.side_data.get("DISPLAYMATRIX")
    if matrix is not None:
        rgb = _orient(rgb, np.frombuffer(bytes(matrix), np.int32))
    return np.ascontiguousarray(rgb)


def _unnamed_type(cls, value: int):
    """Make a member of PyAV's enum of side data for a type that it has no name for."""
    member = object.__new__(cls)
    member._name_, member._value_ = f"TYPE_{value}", value
    return member


# FFmpeg adds types, as EXIF in frames of JPEG; with one of them PyAV (18) gives no side
# data of the frame at all, but ValueError.
av.sidedata.sidedata.Type._missing_ = classmethod(_unnamed_type)


def _orient(rgb: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Turn and mirror a picture by the nearest of the eight orientations.

    matrix: int32 [9], FFmpeg's display matrix (libavutil/display.h): the stored pixel
    (p, q) is shown at (a p + c q, b p + d q), and shifted back into the picture.
    """
    a, b, c, d = matrix[[0, 1, 3, 4]].tolist()
    right, down = a, d
    if abs(a) + abs(d) < abs(b) + abs(c):
        rgb = rgb.swapaxes(0, 1)
        right, down = c, b
    if right < 0:
        rgb = rgb[:, ::-1]
    return rgb[::-1] if down < 0 else rgb
