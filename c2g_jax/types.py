"""What the parts hand to each other: frames, prompts, predictions, the scene graph.

Plain frozen dataclasses over numpy. Coordinates are (x, y) pixels of the video, the
origin at the top left; a frame number counts sampled frames from zero; times are
seconds from the video's first frame.
"""

import numbers
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

NO_CLASS = -1  # in the place of a class, of an id that is no object


class InputError(ValueError):
    """What the user gave cannot be used: one line that names the thing and the mend."""


def whole(
    value: Any, name: str, least: int | None = None, most: int | None = None
) -> int:
    """What a caller gave as an int; InputError unless it is whole, and within bounds.

    Numbers of numpy are numbers too; True and False are none.
    """
    return int(_number(value, numbers.Integral, "a whole number", name, least, most))


def real(
    value: Any, name: str, least: float | None = None, most: float | None = None
) -> float:
    """The same of any number, as a float."""
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


@dataclass(frozen=True)
class TrackRules:
    """When a track opens, lives on and closes."""

    link_iou: float = 0.5  # a new mask that overlaps an open track so far is that one
    patience: int = 10  # frames without a meeting after which a track closes
    max_tracks: int = 12  # open object tracks of one subject
    # Masks under different subjects that overlap so far are one object; None: never.
    share_iou: float | None = 0.7


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
    """What the user says about one object on one frame.

    points float32 [p, 2], labels int32 [p] (1 on the object, 0 off it), box float32
    [4] as (x0, y0, x1, y1) or None, mask bool [H, W] or None. A mask stands alone.
    Raises InputError where the prompt contradicts itself.
    """

    frame: int
    object_id: int
    points: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), np.float32))
    labels: np.ndarray | None = None  # None: every point lies on the object
    box: np.ndarray | None = None
    mask: np.ndarray | None = None

    def __post_init__(self):
        with np.errstate(over="ignore"):  # what is that large is infinitely far off
            points = np.asarray(self.points, np.float32).reshape(-1, 2)
        labels = np.ones(len(points)) if self.labels is None else self.labels
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
            with np.errstate(over="ignore"):
                box = np.asarray(self.box, np.float32).reshape(-1)
            _require(
                box.shape == (4,), f"{self} has a box of {box.size} numbers: give 4"
            )
            object.__setattr__(self, "box", box)
        if self.mask is not None:
            mask = np.asarray(self.mask, bool)
            _require(
                mask.ndim == 2, f"{self} has a mask of shape {mask.shape}: give HxW"
            )
            object.__setattr__(self, "mask", mask)
        alone = self.mask is None or (self.box is None and not len(points))
        _require(alone, f"{self} mixes a mask with points or a box: give one kind")
        empty = self.mask is None and self.box is None and not len(points)
        _require(not empty, f"{self} is empty: give a point, a box or a mask")

    def __str__(self) -> str:
        return f"the prompt for object {self.object_id} on frame {self.frame}"

    def check(self, width: int, height: int, num_frames: int | None = None) -> None:
        """Raise InputError unless the prompt fits a video of this size and length.

        num_frames None: the length is not known yet, only the sign is checked.
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
                x0 >= 0 and y0 >= 0 and x1 <= width and y1 <= height,
                f"{text} reaches outside the frame: {size} pixels: "
                f"give x up to {width} and y up to {height}",
            )
        if self.mask is not None:
            rows, columns = self.mask.shape
            _require(
                (rows, columns) == (height, width),
                f"the mask is {columns}x{rows} but {size}: "
                "give a mask of the frame's size",
            )
            _require(self.mask.any(), "the mask is empty: paint the object in it")


@dataclass(frozen=True)
class Triplet:
    """One labelled guess on one frame; confidence in [0, 1] ranks the guesses."""

    object_id: int
    subject_category: str
    object_category: str
    predicate: str
    confidence: float


@dataclass(frozen=True, eq=False)
class SubjectFrame:
    """What was found around one subject on one frame.

    points float32 [q, 2]: where the model looked for interacting objects, in pixels;
    q is 0 on frames where it did not look.
    """

    frame: int
    subject_id: int
    points: np.ndarray
    triplets: tuple[Triplet, ...]


@dataclass(frozen=True, eq=False)
class FrameResult:
    """All that one frame of the video gave.

    masks: object id -> bool [H, W], objects not visible left out.
    prompted_by: object id -> the subject that led to it, None where the user did;
    it names every object in `masks`.
    merged: ids found on this frame to be one thing, old id -> the id it has from here
    on. dropped: how many object tracks were given up on this frame for want of room.
    """

    frame: int
    masks: Mapping[int, np.ndarray]
    subjects: tuple[SubjectFrame, ...]
    prompted_by: Mapping[int, int | None]
    merged: Mapping[int, int] = field(default_factory=dict)
    dropped: int = 0


@dataclass(frozen=True)
class VideoInfo:
    """The video a graph speaks of; times [num_frames] are seconds per sampled frame.

    fps: sampled frames a second, None for a single image.
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

    masks: sampled frame -> COCO RLE {"size": [H, W], "counts": str}, frames without it
    left out. score: the category's share of the weighted votes, in [0, 1].
    prompted_by: the subject that led to it, None where the user did.
    """

    object_id: int
    category: str
    score: float
    prompted_by: int | None
    masks: Mapping[int, Mapping]


@dataclass(frozen=True)
class Relation:
    """<subject, predicate, object> while it holds; score in [0, 1].

    spans: inclusive zero-based (first, last) sampled frames, ascending and apart.
    """

    subject_id: int
    object_id: int
    predicate: str
    spans: tuple[tuple[int, int], ...]
    score: float


@dataclass(frozen=True, eq=False)
class SceneGraph:
    """The result for a video: its objects and how they relate over time.

    provenance: what made it (version, checkpoint, prompts), JSON values only.
    For evaluation, both may be empty: frames, the guesses behind the relations; run,
    {"index": int, "prompt": str}, which of a subject's prompts led to the graph.
    """

    video: VideoInfo
    objects: tuple[ObjectTrack, ...]
    relations: tuple[Relation, ...]
    provenance: Mapping = field(default_factory=dict)
    frames: tuple[SubjectFrame, ...] = ()
    run: Mapping = field(default_factory=dict)

    def object(self, object_id: int) -> ObjectTrack:
        """The track with this id; KeyError where there is none."""
        for track in self.objects:
            if track.object_id == object_id:
                return track
        raise KeyError(object_id)


def _require(holds: bool, line: str) -> None:
    if not holds:
        raise InputError(line)
