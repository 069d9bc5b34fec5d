"""Data types shared by all rooms: frames, prompts, predictions, the scene graph.

Frozen dataclasses over numpy. Coordinates are (x, y) in pixels of the video, origin at
the top left; frame numbers count sampled frames from zero; times are in seconds from
the first frame of the video.
"""

import numbers
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

NO_CLASS = -1  # class index of ids without an object

# Labels of prompt points, as SAM2's, but for ABSENT: that marks padding, which every
# attention masks out, so that it does not change the result.
OUTSIDE, INSIDE, BOX_FIRST, BOX_SECOND = 0, 1, 2, 3
NOT_A_POINT, ABSENT = -1, -2


class InputError(ValueError):
    """Unusable user input; the message is one line: what is wrong, and what to do."""


def whole(
    value: Any, name: str, least: int | None = None, most: int | None = None
) -> int:
    """Return `value` as an int; InputError unless it is an integer within bounds.

    numpy's integers are accepted, booleans are not. `name` is for the message.
    """
    return int(_number(value, numbers.Integral, "a whole number", name, least, most))


def real(
    value: Any, name: str, least: float | None = None, most: float | None = None
) -> float:
    """Return `value` as a float; InputError unless it is a number within bounds."""
    return float(_number(value, numbers.Real, "a number", name, least, most))


def _number(value, kind, kind_name, name, least, most):
    plain = value.item() if getattr(value, "ndim", None) == 0 else value
    fits = isinstance(plain, kind) and not isinstance(plain, bool)
    low, high = least is None, most is None
    if fits and (low or plain >= least) and (high or plain <= most):
        return plain
    shown = " ".join(reprlib.repr(value).split())
    span = "" if low else f", {least} or more" if high else f" from {least} to {most}"
    raise InputError(f"{name} is {shown}: give {kind_name}{span}")


def mask_pixels(value: Any, name: str = "a mask") -> np.ndarray:
    """Return a mask as bool [H, W]; InputError, with `name`, for anything else.

    `value` is True or False; whole numbers, 0 and 1 or 0 and 255; or numbers from 0 to
    1, which are inside from 0.5 on.
    """
    try:
        array = np.asarray(value)
    except ValueError:  # rows of different lengths
        array = np.asarray(0)
    except (RuntimeError, TypeError) as error:  # as of a torch tensor with a gradient
        line = " ".join(str(error).split())
        raise InputError(f"{name} is no array: {line}") from None
    if array.ndim != 2 or 0 in array.shape:
        raise InputError(f"{name} of shape {array.shape} is given: make it HxW")
    if array.dtype == bool:
        return array
    if array.dtype.kind not in "iuf":
        raise InputError(f"{name} of {array.dtype} is given: make it bool")
    least, most = array.min(), array.max()
    if array.dtype.kind == "f" and least >= 0 and most <= 1:  # False for nan
        return array >= 0.5
    if array.dtype.kind != "f" and least >= 0 and most <= 255:
        values = np.unique(array).tolist()
        if set(values) <= {0, 1} or set(values) <= {0, 255}:
            return array > 0
        shown = ", ".join(map(str, values[:9])) + ", ..." * (len(values) > 9)
        raise InputError(
            f"{name} has the values {shown}: give one object, 0 and 1 or 0 and 255, "
            f"as ids == {values[-1]}"
        )
    raise InputError(
        f"{name} has numbers from {least:g} to {most:g}: give bool, 0 and 1, or "
        "numbers from 0 to 1; of logits, logits > 0"
    )


@dataclass(frozen=True)
class TrackRules:
    """Rules by which tracks are opened, linked, shared and closed."""

    link_iou: float = 0.5  # a new mask with at least this IoU continues an open track
    patience: int = 10  # frames without a matching mask after which a track closes
    tentative: int = 2  # the same, of a track that none has matched since it was opened
    max_tracks: int = 12  # open object tracks of one subject
    # Masks of different subjects with at least this IoU are one object; None: never.
    share_iou: float | None = 0.7
    # Of two tracks of one subject whose masks have at least this IoU, the younger ends:
    # a mask that wandered onto another object, or a part that grew; None: both go on.
    twin_iou: float | None = 0.7
    # A query or track whose mask has at least this IoU with its subject's is the
    # subject itself, and no object of it; None: it may be.
    subject_iou: float | None = 0.7


@dataclass(frozen=True)
class AutoRules:
    """How subjects are found without prompts; `predict` has flags for the first two.

    Time grows with `max_objects`, which replaces `TrackRules.max_tracks`.
    """

    max_subjects: int = 16  # the most confident ones are kept
    max_objects: int = 3  # tracked at once for each subject
    min_frames: int = 5  # in view, of subjects and objects; at most the video's length
    every: int = 10  # frames between searches for new masks; the first has one
    uncovered: float = 0.1  # least share outside all tracked masks for a search
    points_per_side: int = 16  # of the grid
    min_area: float = 0.001  # of a mask, as a share of the frame
    pred_iou: float = 0.6  # least value of a mask, as in Sam2AutomaticMaskGenerator
    stability: float = 0.75  # the same

    def __post_init__(self):
        counts = ("max_subjects", "max_objects", "min_frames", "every")
        for name in (*counts, "points_per_side"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}: give 1 or more")


@dataclass(frozen=True, eq=False)
class Frame:
    """One sampled frame: rgb uint8 [H, W, 3] at the video's size, time in seconds."""

    index: int
    time: float
    rgb: np.ndarray

    @property
    def height(self) -> int:
        return self.rgb.shape[0]

    @property
    def width(self) -> int:
        return self.rgb.shape[1]


@dataclass(frozen=True, eq=False)
class Prompt:
    """A user's prompt for one object on one frame.

    points float32 [p, 2], labels int32 [p] (1 on the object, 0 off it), box float32
    [4] as (x0, y0, x1, y1) or None, mask bool [H, W] or None (`mask_pixels`). A mask
    excludes points and box. Raises InputError for an invalid prompt.
    """

    frame: int
    object_id: int
    points: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), np.float32))
    labels: np.ndarray | None = None  # None: all points are on the object
    box: np.ndarray | None = None
    mask: np.ndarray | None = None

    def __post_init__(self):
        points = _numbers(self.points, f"{self} has points")
        if points.shape == (2,):
            points = points[None]
        points = points.reshape(0, 2) if not points.size else points
        _require(
            points.ndim == 2 and points.shape[1] == 2,
            f"{self} has points of shape {points.shape}: give one (x, y) each, [p, 2]",
        )
        labels = np.ones(len(points)) if self.labels is None else self.labels
        _numbers(labels, f"{self} has labels")
        labels = np.asarray(labels).reshape(-1)
        _require(
            len(labels) == len(points),
            f"{self} has {len(points)} points but {len(labels)} labels: "
            "give one label for each point",
        )
        _require(
            np.isin(labels, (0, 1)).all(),
            f"{self} has labels {labels.tolist()}: use 1 (on it) or 0 (off it)",
        )
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "labels", labels.astype(np.int32))
        if self.box is not None:
            box = _numbers(self.box, f"{self} has a box").reshape(-1)
            _require(
                box.shape == (4,), f"{self} has a box of {box.size} numbers: give 4"
            )
            object.__setattr__(self, "box", box)
        if self.mask is not None:
            mask = mask_pixels(self.mask, f"{self}: a mask")
            object.__setattr__(self, "mask", mask)
        alone = self.mask is None or (self.box is None and not len(points))
        _require(alone, f"{self} mixes a mask with points or a box: give one kind")
        empty = self.mask is None and self.box is None and not len(points)
        _require(not empty, f"{self} is empty: give a point, a box or a mask")

    def __str__(self) -> str:
        return f"the prompt for object {self.object_id} on frame {self.frame}"

    def check(self, width: int, height: int, num_frames: int | None = None) -> None:
        """Raise InputError unless the prompt fits a video of this size and length.

        num_frames None: the length is unknown, only the sign is checked. A box may
        reach beyond the edges, as detectors give it (sam2_video_predictor.py:219-225).
        """
        known = f"the video has {num_frames} sampled frames"
        last = f"use 0 to {(num_frames or 1) - 1}"
        _require(self.frame >= 0, f"{self}: frames count from 0: use 0 or more")
        _require(
            num_frames is None or self.frame < num_frames, f"{self}: {known}: {last}"
        )
        size = f"the frame is {width}x{height}"
        mend = f"give x from 0 to {width - 1} and y from 0 to {height - 1}"
        for x, y in self.points.tolist():
            _require(
                0 <= x < width and 0 <= y < height,  # False for nan as well
                f"point {x:g},{y:g} lies outside the frame: {size} pixels: {mend}",
            )
        if self.box is not None:
            x0, y0, x1, y1 = self.box.tolist()
            text = f"box {x0:g},{y0:g},{x1:g},{y1:g}"
            _require(
                x1 > x0 and y1 > y0,
                f"{text} has no area: give x1,y1,x2,y2 with x2 > x1 and y2 > y1",
            )
            _require(
                x0 < width and y0 < height and x1 > 0 and y1 > 0,
                f"{text} lies outside the frame: {size} pixels: "
                "give one that overlaps it",
            )
        if self.mask is not None:
            rows, columns = self.mask.shape
            _require(
                (rows, columns) == (height, width),
                f"the mask is {columns}x{rows} but {size}: "
                "give a mask of the frame's size",
            )
            _require(self.mask.any(), "the mask is empty: paint the object in it")


def _numbers(values: Any, what: str) -> np.ndarray:
    """Return values as float32; InputError for text or rows of different lengths."""
    try:
        with np.errstate(over="ignore"):  # infinity is rejected later
            return np.asarray(values, np.float32)
    except RuntimeError as error:  # a tensor of torch that has a gradient
        line = " ".join(str(error).split())
        raise InputError(f"{what} no array: {line}") from None
    except (TypeError, ValueError):
        shown = " ".join(reprlib.repr(values).split())
        raise InputError(
            f"{what} {shown}: give numbers, in rows of one length"
        ) from None


@dataclass(frozen=True)
class Triplet:
    """One predicted triplet on one frame; `confidence` in [0, 1] ranks triplets."""

    object_id: int
    subject_category: str
    object_category: str
    predicate: str
    confidence: float


@dataclass(frozen=True, eq=False)
class SubjectFrame:
    """Predictions for one subject on one frame.

    points float32 [q, 2]: discovered prompts of interacting objects, in pixels; q is 0
    on frames without discovery.
    """

    frame: int
    subject_id: int
    points: np.ndarray
    triplets: tuple[Triplet, ...]


@dataclass(frozen=True, eq=False)
class FrameResult:
    """Predictions for one frame of the video.

    masks: object id -> bool [H, W], visible objects only.
    prompted_by: object id -> the subject it was discovered from, None for objects that
    the user prompted; has every object in `masks`.
    merged: object ids merged on this frame, old id -> the id used from here on.
    dropped: number of object tracks closed on this frame by `max_tracks`.
    """

    frame: int
    masks: Mapping[int, np.ndarray]
    subjects: tuple[SubjectFrame, ...]
    prompted_by: Mapping[int, int | None]
    merged: Mapping[int, int] = field(default_factory=dict)
    dropped: int = 0


@dataclass(frozen=True)
class VideoInfo:
    """The video of a scene graph.

    times [num_frames]: the time of each sampled frame in seconds. fps: sampled frames
    per second, None for a single image.
    """

    name: str
    width: int
    height: int
    fps: float | None
    times: tuple[float, ...]

    @property
    def num_frames(self) -> int:
        return len(self.times)


@dataclass(frozen=True)
class ObjectTrack:
    """One object through the video.

    masks: sampled frame -> COCO RLE {"size": [H, W], "counts": str}, for frames on
    which it is visible. score: the category's share of the weighted votes, in [0, 1].
    prompted_by: the subject it was discovered from, None if the user prompted it.
    """

    object_id: int
    category: str
    score: float
    prompted_by: int | None
    masks: Mapping[int, Mapping]


@dataclass(frozen=True)
class Relation:
    """<subject, predicate, object> with the spans over which it holds; score in [0, 1].

    spans: inclusive zero-based (first, last) sampled frames, ascending and disjoint.
    """

    subject_id: int
    object_id: int
    predicate: str
    spans: tuple[tuple[int, int], ...]
    score: float


@dataclass(frozen=True, eq=False)
class SceneGraph:
    """The scene graph of a video: objects, and relations over time.

    provenance: how it was made (version, checkpoint, prompts), JSON values only.
    For evaluation only: frames, the per-frame predictions behind the relations; run,
    {"index": int, "prompt": str}, the repetition and prompt that gave the graph.
    """

    video: VideoInfo
    objects: tuple[ObjectTrack, ...]
    relations: tuple[Relation, ...]
    provenance: Mapping = field(default_factory=dict)
    frames: tuple[SubjectFrame, ...] = ()
    run: Mapping = field(default_factory=dict)

    def object(self, object_id: int) -> ObjectTrack:
        """Return the track with this id; KeyError if there is none."""
        for track in self.objects:
            if track.object_id == object_id:
                return track
        raise KeyError(object_id)


def _require(holds: bool, line: str) -> None:
    if not holds:
        raise InputError(line)
