"""IoUs of run-length encoded masks with the true ones, at the size of the video.

True masks are disjoint: a frame of them is one image of object ids. It is encoded once,
and IoUs are computed on run lengths without decoding anything.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pycocotools import mask as coco

from c2g_jax.data.dataset import CHUNK, Dataset
from c2g_jax.data.records import VideoRecord
from c2g_jax.media.rle import coco_code, encode_mask


@dataclass(frozen=True, eq=False)
class CodedFrame:
    """The true masks of one frame, run-length encoded.

    masks: {id: COCO RLE} of those objects asked for that are in view. starts, values:
    the runs of the image of ids, column by column.
    """

    height: int
    width: int
    masks: Mapping[int, Mapping]
    starts: np.ndarray  # int [runs], ascending
    values: np.ndarray  # uint8 [runs]

    def ids_under(self, points: np.ndarray) -> np.ndarray:
        """Return int [q], the id at each point (x, y) of float [q, 2], in pixels."""
        x, y = pixels(points, self.height, self.width)
        run = np.searchsorted(self.starts, x * self.height + y, side="right") - 1
        return self.values[run].astype(int)


def coded_frame(segments: np.ndarray, ids: Iterable[int]) -> CodedFrame:
    """Encode an image of ids, uint8 [H, W], and the masks of `ids`."""
    visible = set(np.unique(segments).tolist())
    masks = {i: encode_mask(segments == i) for i in ids if i in visible}
    flat = segments.ravel(order="F")
    starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1])
    return CodedFrame(*segments.shape, masks, starts, flat[starts])


def coded_frames(
    dataset: Dataset, video: VideoRecord, numbers: Iterable[int], ids: Iterable[int]
) -> Iterator[tuple[int, CodedFrame]]:
    """Yield (frame, true masks of `ids`) for some frames of a video."""
    by_chunk = defaultdict(list)
    for t in numbers:
        by_chunk[t // CHUNK].append(t)
    for chunk in by_chunk.values():  # one chunk at a time in memory
        segments_of = dataset.read_masks(video, chunk)
        for t, segments in zip(chunk, segments_of, strict=True):
            yield t, coded_frame(segments, ids)


def pixels(
    points: np.ndarray, height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the columns and rows, int [q], of the pixels at points (x, y).

    Pixel i covers [i, i + 1); a point on the far border belongs to the last pixel.
    """
    points = np.floor(np.asarray(points, np.float64).reshape(-1, 2)).astype(int)
    return np.clip(points[:, 0], 0, width - 1), np.clip(points[:, 1], 0, height - 1)


def columns_of(ids: np.ndarray, objects: np.ndarray) -> np.ndarray:
    """Return int [q], the index of each of `ids` [q] in `objects` [g], -1 if absent."""
    match = ids[:, None] == objects
    return np.where(match.any(axis=1), match.argmax(axis=1), -1)


def ious(
    masks: Sequence[Mapping | None], objects: Sequence[Mapping | None]
) -> np.ndarray:
    """Return float [n, g], the IoUs of RLE masks of one size; None is empty: IoU 0."""
    found = np.zeros((len(masks), len(objects)))
    rows = [i for i, mask in enumerate(masks) if mask is not None]
    columns = [i for i, mask in enumerate(objects) if mask is not None]
    if rows and columns:
        ours = [coco_code(masks[i]) for i in rows]
        theirs = [coco_code(objects[i]) for i in columns]
        found[np.ix_(rows, columns)] = coco.iou(ours, theirs, [0] * len(theirs))
    return found
